//! The sidecar of a task: its route and state in a small file, for other tools to read. Written after the journal, and
//! read back only when that is damaged: then the record in it is the nearest thing to what the journal said.

use crate::deps::Deps;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::names::fingerprint;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{Status, Task};
use orch_store::records::{Stored, to_json};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Sidecar<'a> {
    task_id: TaskId,
    status: <Status as Stored>::Record,
    route: <Option<Box<RouteResult>> as Stored>::Record,
    branch: Option<&'a str>,
    attempts: u32,
    updated_at: Timestamp,
    record: <Task as Stored>::Record,
    /// The sum of the record, see [`record_sum`].
    sum: Option<u64>,
}

/// Returns the sum that distinguishes a record that orch wrote from one that changed on the disk.
pub(crate) fn record_sum(record: &Task) -> Option<u64> {
    to_json(record).ok().map(|text| fingerprint(text.as_bytes()))
}

/// Writes the sidecars of these tasks. One that cannot be written is reported in the log: nothing depends on it.
pub fn write(deps: &Deps, tasks: &[Arc<Task>]) {
    for task in tasks {
        let sidecar = Sidecar {
            task_id: task.id,
            status: task.status().to_record(),
            route: task.route.to_record(),
            branch: task.place.as_ref().map(|p| p.branch.as_str()),
            attempts: task.progress.attempts,
            updated_at: task.updated_at,
            record: task.to_record(),
            sum: record_sum(task),
        };
        let path = deps.home.sidecar(task.id);
        point!("sidecar.before");
        let written = serde_json::to_vec_pretty(&sidecar)
            .map_err(|e| e.to_string())
            .and_then(|bytes| fs::write_private(&path, &bytes, Durability::Cached).map_err(|e| e.to_string()));
        point!("sidecar.after");
        if let Err(error) = written {
            tracing::warn!(task = %task.id, %error, "a sidecar could not be written");
        }
    }
}
