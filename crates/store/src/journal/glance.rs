//! What a journal knows, read beside its writer: to check whether the world outside agrees with it.

use super::opening::read_only;
use super::rows::projects;
use super::{JournalError, Project, json_rows};
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::task::{Run, Task};
use std::collections::BTreeMap;
use std::path::Path;

/// All tasks and runs at one moment.
#[derive(Debug, Default)]
pub struct Glance {
    /// Every task, by its number.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Every run, by its id.
    pub runs: BTreeMap<RunId, Run>,
    /// The registered repositories.
    pub projects: Vec<Project>,
    /// When the last line of the history was written.
    pub last_at: Option<Timestamp>,
}

/// Reads all tasks and runs of a journal. Blocking.
///
/// # Errors
/// It cannot be read.
pub fn glance(path: &Path) -> Result<Glance, JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    let connection = read_only(path).map_err(sqlite)?;
    // One moment for all of it.
    let moment = connection.unchecked_transaction().map_err(sqlite)?;
    let tasks: Vec<Task> = json_rows(&moment, path, "task", "SELECT data FROM tasks", [])?;
    let runs: Vec<Run> = json_rows(&moment, path, "run", "SELECT data FROM runs", [])?;
    let last: Option<i64> =
        moment.query_row("SELECT at FROM events ORDER BY seq DESC LIMIT 1", [], |row| row.get(0)).ok();
    Ok(Glance {
        projects: projects(&moment, "dir").map_err(sqlite)?,
        last_at: last.and_then(|at| Timestamp::from_millisecond(at).ok()),
        tasks: tasks.into_iter().map(|task| (task.id, task)).collect(),
        runs: runs.into_iter().map(|run| (run.id.clone(), run)).collect(),
    })
}
