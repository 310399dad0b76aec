//! Identifiers of tasks and runs, as newtypes so that they cannot be confused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number of a task in `tasks.yml`; unique within one `ORCH_HOME`, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A text that is not a task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a task id: expected a positive number such as 7 or #7")]
pub struct BadTaskId(pub String);

impl FromStr for TaskId {
    type Err = BadTaskId;

    /// Parses `7` and `#7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        match digits.parse::<u64>() {
            Ok(number) if number > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(number)),
            Ok(_) | Err(_) => Err(BadTaskId(text.to_owned())),
        }
    }
}

/// The name of a run: `<task>-<ordinal>-<8 hex digits>`.
///
/// The last part makes it unique across all homes of a machine, because it also marks the run's processes so that they
/// can be found and stopped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Creates the name of the `ordinal`-th run of `task`; `salt` is 32 random bits.
    pub fn new(task: TaskId, ordinal: u32, salt: u32) -> Self {
        Self(format!("{task}-{ordinal}-{salt:08x}"))
    }

    /// Returns the name as text: letters, digits and `-` only, safe as a file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the task of the run.
    pub fn task(&self) -> Option<TaskId> {
        self.0.split('-').next()?.parse().ok()
    }
}

impl RunId {
    /// Returns the run's position among the runs of its task, from 1.
    pub fn ordinal(&self) -> Option<u32> {
        self.0.split('-').nth(1)?.parse().ok()
    }
}

/// A text that is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run id: expected <task>-<ordinal>-<8 hex digits>")]
pub struct BadRunId(pub String);

impl FromStr for RunId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadRunId(text.to_owned());
        let parts: Vec<&str> = text.split('-').collect();
        let [task, ordinal, salt] = parts.as_slice() else { return Err(bad()) };
        task.parse::<TaskId>().map_err(|_| bad())?;
        ordinal.parse::<u32>().map_err(|_| bad())?;
        if salt.len() != 8 || !salt.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_are_accepted_with_and_without_the_hash() {
        assert_eq!("7".parse::<TaskId>(), Ok(TaskId(7)));
        assert_eq!("#7".parse::<TaskId>(), Ok(TaskId(7)));
        for bad in ["", "#", "0", "-1", "+7", "7a", "##7", "99999999999999999999999"] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_id_reads_back_as_it_was_written() {
        let id = RunId::new(TaskId(12), 3, 0xab);
        assert_eq!(id.as_str(), "12-3-000000ab");
        assert_eq!(id.as_str().parse::<RunId>(), Ok(id.clone()));
        assert_eq!((id.task(), id.ordinal()), (Some(TaskId(12)), Some(3)));
        assert!("12-3-../../x".parse::<RunId>().is_err());
    }
}
