//! The actor of a line of the history, named when the line is written.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Through what a person changes tasks, beside commands.
pub const TASKS: &str = "tasks.yml";
/// Through what a person changes jobs, beside commands.
pub const JOBS: &str = "jobs.yml";

/// The author of a change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Actor {
    /// orch, by its own rules.
    #[default]
    Orch,
    /// A person.
    Person {
        /// Through what, where it was no terminal: `telegram user 42`, `tasks.yml`.
        through: Option<String>,
    },
    /// A run: its agent, or a process that descends from it.
    Run(String),
    /// A job of `jobs.yml`, when its time came.
    Schedule(String),
    /// A process whose ancestors the system does not report.
    Unknown,
}

impl Actor {
    /// A person, through something.
    pub fn person(through: impl Into<String>) -> Self {
        Self::Person { through: Some(through.into()) }
    }

    /// The word for the kind of it, and what it is called.
    pub fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Orch => ("orch", None),
            Self::Person { through } => ("person", through.as_deref()),
            Self::Run(run) => ("agent", Some(run)),
            Self::Schedule(job) => ("schedule", Some(job)),
            Self::Unknown => ("unknown", None),
        }
    }
}

/// As it is stored: the word, and what it is called.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (word, Some(name)) => write!(f, "{word} {name}"),
            (word, None) => f.write_str(word),
        }
    }
}

impl FromStr for Actor {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (word, name) = text.split_once(' ').map_or((text, None), |(word, name)| (word, Some(name.to_owned())));
        Ok(match (word, name) {
            ("orch", _) => Self::Orch,
            ("person", through) => Self::Person { through },
            ("agent", run) => Self::Run(run.unwrap_or_default()),
            ("schedule", job) => Self::Schedule(job.unwrap_or_default()),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_reads_back_from_its_text() {
        let all = [
            Actor::Orch,
            Actor::Person { through: None },
            Actor::person("telegram user 42"),
            Actor::Run("1-1-0a0b".to_owned()),
            Actor::Schedule("nightly".to_owned()),
            Actor::Unknown,
        ];
        for actor in all {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        assert_eq!("somebody else".parse(), Ok(Actor::Unknown));
    }
}
