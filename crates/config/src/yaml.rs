//! YAML: reading into types, and changing single values of a text that belongs to a person. The only place that names
//! the YAML crates. It opens no file; it never writes a document anew.

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

/// Largest text that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting that is read. A level takes up to 34 kB of stack in a build without optimization, and threads have 2 MB.
const MAX_DEPTH: usize = 32;
/// Most keys and values in one text: ten times what ten thousand tasks need.
const MAX_NODES: usize = 2_000_000;
/// Most nodes that aliases may add by repetition.
const MAX_REPLAYED: usize = 50_000;
/// Most aliases in one text that is read as an outline: each may stand for an entry that is nowhere written.
const MAX_ALIASES: usize = 5_000;

/// Reads one YAML document into a type. Duplicate keys are errors; an empty document is read as `null`.
///
/// # Errors
/// The text is larger than [`MAX_BYTES`], is no YAML, is too deeply nested, or does not fit the type. Faults of the
/// YAML itself are told before faults of the type.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    too_large(text)?;
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        // A reader that knows the type stops at the first value that does not fit, which may be long before the
        // bracket that was left open; the latter is what helps.
        syntax_fault(text).unwrap_or_else(|| YamlError::from_reader(text, &error))
    })
}

/// The same for a text that may be empty, all comments, or `null`: then the type's default.
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

/// The first place where the text is no YAML at all, when there is one.
fn syntax_fault(text: &str) -> Option<YamlError> {
    granit_parser::Parser::new_from_str(text)
        .take(2 * MAX_NODES)
        .find_map(|event| event.err())
        .map(|error| YamlError::from_scanner(text, &error))
}
