//! What a person requested: the task as it stands in `tasks.yml`. Plain data.

use super::route::Complexity;
use crate::base::ids::TaskId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the person requested. Belongs to the person: an edit in `tasks.yml` wins.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// The title: one line of any characters.
    pub title: String,
    /// The details as free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// `agent:*` and `complexity:*` steer routing; others inform it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The priority: higher starts first, 0 is the default.
    pub priority: i64,
    /// Tasks that must be done before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// The task of which this one is a subtask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The directory of its repository; `None`: that of the only project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// A free word for the type of work, such as feature, bug, or docs.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The agent that the person requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The model that the person requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The complexity that the person requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complexity: Option<Complexity>,
    /// The person or orch that claimed the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
}
