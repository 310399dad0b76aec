//! Problems of a configuration, with place, cause and hint. Must not contain a secret's value or an excerpt of the
//! file, because problems are shown in chats too.

use super::origin::Origin;
use std::fmt;

/// A problem. Printed as `place: message` with the hint on a separate line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// Place of the problem: file with line and column, variable, or flag.
    pub origin: Origin,
    /// Description of the problem, as a lower-case fragment.
    pub message: String,
    /// What to do about it, if the message does not say so.
    pub hint: Option<String>,
}

impl ConfigProblem {
    /// Creates a problem without a hint.
    pub fn new(origin: Origin, message: impl Into<String>) -> Self {
        Self { origin, message: message.into(), hint: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Something suspicious that is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A project file contains commands that are not approved: they do not run, and accepted work stays on its branch.
    NotApproved {
        /// Place of the commands.
        origin: Origin,
        /// Dotted key of the commands.
        key: String,
        /// The commands.
        commands: Vec<String>,
    },
    /// Anything else.
    Other(ConfigProblem),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(problem) => problem.fmt(f),
            Self::NotApproved { origin, key, commands } => {
                write!(f, "{origin}: the commands of {key} are not approved and will not run")?;
                commands.iter().try_for_each(|command| write!(f, "\n  - {}", command.escape_debug()))?;
                write!(f, "\n  hint: read them, then approve this version of the file with `orch init`")
            }
        }
    }
}

/// Returns the most similar of the known names, if it is similar enough to be meant.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(wanted.chars().count()) / 3).max(1))
        .min_by_key(|(distance, candidate)| (*distance, candidate.len().abs_diff(wanted.len())))
        .map(|(_, candidate)| candidate)
}

/// Returns `, did you mean "…"?` or an empty text.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    similar(name, known).map(|found| format!(", did you mean {found:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_recognized_and_an_unrelated_name_is_not() {
        let known = ["router", "workflow", "engine", "log"];
        assert_eq!(similar("worfklow", known), Some("workflow"));
        assert_eq!(similar("Router", known), Some("router"));
        assert_eq!(similar("lgo", known), Some("log"));
        assert_eq!(similar("database", known), None);
        assert_eq!(similar("", known), None);
    }

    #[test]
    fn unapproved_commands_are_listed_without_their_control_characters() {
        let origin = Origin::file(".orch.yml", 3, 5);
        let warning = Warning::NotApproved {
            origin,
            key: "workspace.setup".to_owned(),
            commands: vec!["make \u{1b}[2Jtest".to_owned()],
        };
        assert_eq!(
            warning.to_string(),
            ".orch.yml:3:5: the commands of workspace.setup are not approved and will not run\n  - make \\u{1b}[2Jtest\n  \
             hint: read them, then approve this version of the file with `orch init`"
        );
    }
}
