//! The answer that orch asks of an agent. One type makes the prompt text, the validator, the JSON Schema and the docs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the agent says of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    /// Everything asked for is finished and committed.
    Done,
    /// Part of it is finished; more turns are needed.
    InProgress,
    /// It cannot go on before something else happens.
    Blocked,
    /// A person must decide.
    NeedsReview,
}

/// A piece of work that the agent hands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Title of the new task.
    pub title: String,
    /// What is to be done.
    #[serde(default)]
    pub body: String,
    /// Labels of the new task.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// The report of an agent at the end of its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// How the work stands.
    pub status: AnswerStatus,
    /// What was done, in one or two sentences.
    pub summary: String,
    /// Finished points.
    #[serde(default)]
    pub accomplished: Vec<String>,
    /// Open points.
    #[serde(default)]
    pub remaining: Vec<String>,
    /// Paths of changed files, relative to the repository.
    #[serde(default)]
    pub files_changed: Vec<String>,
    /// What stands in the way.
    #[serde(default)]
    pub blockers: Vec<String>,
    /// Why the status is not done.
    #[serde(default)]
    pub reason: String,
    /// What the next agent should know.
    #[serde(default)]
    pub learnings: Vec<String>,
    /// Work handed on as new tasks.
    #[serde(default)]
    pub delegations: Vec<Delegation>,
}
