//! What orch has to say of a task in its entry of `tasks.yml`.

use orch_core::tasks::task::{FileState, Task};
use orch_store::tasks_file::{At, Edit, NewEntry};
use serde_json::Value;

/// orch's own values of one task, and of the person's what a command has changed. Returns whether there is anything to
/// write.
pub(crate) fn edits_of(task: &Task, edits: &mut Vec<Edit>) -> bool {
    let written = match &task.file {
        FileState::Removed { .. } => return false,
        FileState::Pending | FileState::PutBack => {
            let entry = NewEntry { id: task.id, spec: task.spec.clone(), status: Some(task.status()) };
            edits.push(Edit::Append(Box::new(entry)));
            return true;
        }
        FileState::Written { status, .. } => *status,
    };
    let before = edits.len();
    let mut set = |key: &'static str, value: Value| edits.push(Edit::Set { at: At::Id(task.id), key, value });
    for field in task.unwritten() {
        set(field.key(), field.value(&task.spec));
    }
    if written != Some(task.status()) {
        set("status", task.status().as_str().into());
        if let Some(place) = &task.place {
            set("branch", place.branch.as_str().into());
        }
        if task.progress.attempts > 0 {
            set("attempts", task.progress.attempts.into());
        }
        if let Some(summary) = &task.summary {
            set("summary", summary.as_str().into());
        }
    }
    edits.len() > before
}
