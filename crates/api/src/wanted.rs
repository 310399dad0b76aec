//! What is asked for over the wire: a task to add, a repository to register, to try or to leave.

use orch_core::base::ids::TaskId;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::Spec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The description of a new task, which a person adds now or a job adds when it fires.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TaskDraft {
    /// The title, in one line.
    pub title: String,
    /// The details.
    pub body: String,
    /// The labels.
    pub labels: Vec<String>,
    /// The priority; higher starts first.
    pub priority: i64,
    /// The directory of its repository.
    pub dir: Option<PathBuf>,
    /// The type of work: feature, bug, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The agent that is demanded.
    pub agent: Option<String>,
    /// The model that is demanded.
    pub model: Option<String>,
    /// The complexity that is demanded.
    pub complexity: Option<Complexity>,
}

impl From<TaskDraft> for Spec {
    fn from(draft: TaskDraft) -> Self {
        let TaskDraft { title, body, labels, priority, dir, kind, agent, model, complexity } = draft;
        let (depends_on, parent, assignee) = (Vec::new(), None, None);
        Self { title, body, labels, priority, depends_on, parent, dir, kind, agent, model, complexity, assignee }
    }
}

impl From<&Spec> for TaskDraft {
    fn from(spec: &Spec) -> Self {
        let Spec { title, body, labels, priority, dir, kind, agent, model, complexity, .. } = spec.clone();
        Self { title, body, labels, priority, dir, kind, agent, model, complexity }
    }
}

/// A task to add.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewTask {
    /// What it is asked to be.
    #[serde(flatten)]
    pub task: TaskDraft,
    /// The tasks that must be done before.
    pub depends_on: Vec<TaskId>,
    /// The task that it is a part of.
    pub parent: Option<TaskId>,
}

impl From<NewTask> for Spec {
    fn from(new: NewTask) -> Self {
        let NewTask { task, depends_on, parent } = new;
        Self { depends_on, parent, ..task.into() }
    }
}

/// A repository to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewProject {
    /// The main checkout of the repository.
    pub dir: PathBuf,
    /// The name of the project.
    pub name: String,
    /// Content id of the approved `.orch.yml`.
    pub approved: Option<String>,
}

/// A repository whose checks are to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TryChecks {
    /// The main checkout of the repository.
    pub dir: PathBuf,
}

/// A repository that is to be registered no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveProject {
    /// The name or the directory of the project.
    pub project: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_to_add_is_one_flat_document_and_an_unknown_key_is_refused() {
        let read = |text: &str| serde_json::from_str::<NewTask>(text);
        let new = read(r#"{"title": "x", "type": "bug", "parent": 1}"#).expect("a task");
        assert_eq!(
            (new.task.title.as_str(), new.task.kind.as_deref(), new.parent),
            ("x", Some("bug"), Some(TaskId(1)))
        );
        assert!(serde_json::to_value(&new).expect("plain data").get("task").is_none());
        let error = read(r#"{"titel": "x"}"#).expect_err("no such key").to_string();
        assert!(error.contains("unknown field `titel`"), "{error}");
    }
}
