//! YAML: deserializes documents, and changes single values of a user's text. The only module that names the YAML
//! crates. It opens no file, and never rewrites a document.

pub mod edit;
mod error;
mod scalar;
mod spanned;
#[cfg(test)]
mod tests;
mod tree;

pub use edit::{EditError, set_path};
pub use error::YamlError;
pub use spanned::Spanned;
pub use tree::{Decoded, Kind, Lines, NodeId, Tree, position_of};

use serde::de::DeserializeOwned;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The deepest nesting. A level takes up to 34 kB of stack in an unoptimized build, and threads have 2 MB.
const MAX_DEPTH: usize = 32;
/// The most keys and values in one text: ten times what ten thousand tasks need.
const MAX_NODES: usize = 2_000_000;
/// The most nodes that aliases may add by repetition.
const MAX_REPLAYED: usize = 50_000;
/// The most aliases in an outline: each may stand for an entry that is written nowhere.
const MAX_ALIASES: usize = 5_000;

/// Deserializes one YAML document. Duplicate keys are errors; an empty document is read as `null`.
///
/// # Errors
/// The text is larger than [`MAX_BYTES`], is no YAML, is too deeply nested, or does not fit the type. Syntax errors are
/// reported before type errors.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    too_large(text)?;
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        // The typed reader stops at the first value that does not fit, which may be long before an unclosed bracket;
        // the latter is the helpful error.
        syntax_fault(text).unwrap_or_else(|| YamlError::from_reader(text, &error))
    })
}

/// Deserializes a text that may be empty, all comments, or `null`: then returns the type's default.
///
/// # Errors
/// As for [`read`].
pub fn read_or_default<T: DeserializeOwned + Default>(text: &str) -> Result<T, YamlError> {
    Ok(read::<Option<T>>(text)?.unwrap_or_default())
}

fn too_large(text: &str) -> Result<(), YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError::whole(format!("{} bytes are more than the {MAX_BYTES} that are read", text.len())));
    }
    Ok(())
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_total_scalar_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        with_snippet: false,
    }
}

/// Returns the first syntax error, if any.
fn syntax_fault(text: &str) -> Option<YamlError> {
    granit_parser::Parser::new_from_str(text)
        .take(2 * MAX_NODES)
        .find_map(|event| event.err())
        .map(|error| YamlError::from_scanner(text, &error))
}
