//! Where a value of the configuration comes from.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// The value was not set.
    Default,
    /// A file.
    File {
        /// Its path, as the caller named it.
        path: PathBuf,
        /// Line, from 1; 0 when the problem is with the file as a whole.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag of the command line.
    Flag {
        /// The dotted key it sets.
        key: String,
    },
}

impl Origin {
    /// Returns a position in a file.
    pub fn file(path: impl Into<PathBuf>, line: usize, column: usize) -> Self {
        Self::File { path: path.into(), line, column }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { key } => write!(f, "flag {key}"),
        }
    }
}

/// Origin of every value that is not a default, by dotted key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Records where `key` was set; a later call replaces an earlier one.
    pub fn set(&mut self, key: impl Into<String>, origin: Origin) {
        self.0.insert(key.into(), origin);
    }

    /// Returns where the value of `key` comes from.
    pub fn get(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    /// Returns where `key` itself, or else the first key below it, was set.
    pub fn near(&self, key: &str) -> &Origin {
        let below = format!("{key}.");
        let mut keys = self.0.range(key.to_owned()..);
        keys.find(|(name, _)| *name == key || name.starts_with(&below)).map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// Iterates over all keys that were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_like_a_place() {
        assert_eq!(Origin::Default.to_string(), "default");
        assert_eq!(Origin::file("/h/config.yml", 3, 5).to_string(), "/h/config.yml:3:5");
        assert_eq!(Origin::file("/h/config.yml", 0, 0).to_string(), "/h/config.yml");
        let variable = Origin::Environment { variable: "ORCH_ROUTER_MODEL".to_owned() };
        assert_eq!(variable.to_string(), "environment variable ORCH_ROUTER_MODEL");
    }

    #[test]
    fn the_place_of_a_section_is_that_of_its_first_key() {
        let mut origins = Origins::default();
        origins.set("agents.bot-2.args", Origin::file("c", 9, 1));
        origins.set("agents.bot.command", Origin::file("c", 2, 1));
        assert_eq!(origins.near("agents.bot"), &Origin::file("c", 2, 1));
        assert_eq!(origins.near("agents.b"), &Origin::Default);
    }
}
