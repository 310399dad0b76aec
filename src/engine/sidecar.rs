//! The sidecar of a task: its route and state in a small file, for other tools to read. Written after the journal, never
//! read back.

use super::doors::Doors;
use crate::adapters::fs::{self, Durability};
use crate::domain::ids::TaskId;
use crate::domain::route::RouteResult;
use crate::domain::task::{Status, Task};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Sidecar<'a> {
    task_id: TaskId,
    status: Status,
    route: Option<&'a RouteResult>,
    branch: Option<&'a str>,
    attempts: u32,
    updated_at: Timestamp,
}

/// Writes the sidecars of these tasks. One that cannot be written is told in the log: nothing depends on it.
pub fn write(doors: &Doors, tasks: &[Arc<Task>]) {
    for task in tasks {
        let sidecar = Sidecar {
            task_id: task.id,
            status: task.status(),
            route: task.route.as_deref(),
            branch: task.place.as_ref().map(|p| p.branch.as_str()),
            attempts: task.attempts,
            updated_at: task.updated_at,
        };
        let path = doors.home.sidecar(task.id);
        let written = serde_json::to_vec_pretty(&sidecar)
            .map_err(|e| e.to_string())
            .and_then(|bytes| fs::write_private(&path, &bytes, Durability::Cached).map_err(|e| e.to_string()));
        if let Err(error) = written {
            tracing::warn!(task = %task.id, %error, "a sidecar could not be written");
        }
    }
}
