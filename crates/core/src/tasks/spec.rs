//! What a person requested: the task as it stands in `tasks.yml`. Plain data.

use super::route::Complexity;
use crate::base::ids::TaskId;
use std::path::PathBuf;

/// What the person requested. Belongs to the person: an edit in `tasks.yml` wins.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Spec {
    /// The title: one line of any characters.
    pub title: String,
    /// The details as free text.
    pub body: String,
    /// `agent:*` and `complexity:*` steer routing; others inform it.
    pub labels: Vec<String>,
    /// The priority: higher starts first, 0 is the default.
    pub priority: i64,
    /// Tasks that must be done before this one starts.
    pub depends_on: Vec<TaskId>,
    /// The task of which this one is a subtask.
    pub parent: Option<TaskId>,
    /// The directory of its repository; `None`: that of the only project.
    pub dir: Option<PathBuf>,
    /// A free word for the type of work, such as feature, bug, or docs.
    pub kind: Option<String>,
    /// The agent that the person requires.
    pub agent: Option<String>,
    /// The model that the person requires.
    pub model: Option<String>,
    /// The complexity that the person requires.
    pub complexity: Option<Complexity>,
    /// The person or orch that claimed the task.
    pub assignee: Option<String>,
}
