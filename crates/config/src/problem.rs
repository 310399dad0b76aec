//! What is wrong with a configuration, in words a person can act on: place, cause, hint. Never holds a secret's value
//! and never a piece of the file's text, because problems are shown in chats too.

use super::origin::Origin;
use std::fmt;

/// One thing that is wrong. Printed as `place: message` with the hint on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// Where: file with line and column, variable, or flag.
    pub origin: Origin,
    /// What, as a lower-case fragment.
    pub message: String,
    /// What to do about it, where there is more to say than the message does.
    pub hint: Option<String>,
}

impl ConfigProblem {
    /// A problem without a hint.
    pub fn new(origin: Origin, message: impl Into<String>) -> Self {
        Self { origin, message: message.into(), hint: None }
    }

    /// The same with a hint.
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

/// Something odd that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A project file holds commands that nobody approved: they are not used, and accepted work stays on its branch.
    NotApproved {
        /// Where the commands stand.
        origin: Origin,
        /// The dotted key that they were set for.
        key: String,
        /// The commands.
        commands: Vec<String>,
    },
    /// Anything else.
    Odd(ConfigProblem),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Odd(problem) => problem.fmt(f),
            Self::NotApproved { origin, key, commands } => {
                write!(f, "{origin}: the commands of {key} are not approved and will not run")?;
                commands.iter().try_for_each(|command| write!(f, "\n  - {}", command.escape_debug()))?;
                write!(f, "\n  hint: read them, then approve this version of the file with `orch init`")
            }
        }
    }
}

/// The most similar of the known names, when it is similar enough to be meant.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(wanted.chars().count()) / 3).max(1))
        .min_by_key(|(distance, candidate)| (*distance, candidate.len().abs_diff(wanted.len())))
        .map(|(_, candidate)| candidate)
}

/// `, did you mean "…"?` or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    similar(name, known).map(|found| format!(", did you mean {found:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_recognized_and_a_stranger_is_not() {
        let known = ["router", "workflow", "engine", "log"];
        assert_eq!(similar("worfklow", known), Some("workflow"));
        assert_eq!(similar("Router", known), Some("router"));
        assert_eq!(similar("lgo", known), Some("log"));
        assert_eq!(similar("database", known), None);
        assert_eq!(similar("", known), None);
    }

    #[test]
    fn commands_of_a_stranger_are_listed_without_their_control_characters() {
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
