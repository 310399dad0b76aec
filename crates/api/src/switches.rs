//! Switches on the wire: what is paused, and how the daemon leaves.

use super::mirror::{mirror, words};
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::service::{Cause, ServiceEntry, ServiceKind, ShutdownMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What to pause, or to let go on. Without `project` and `agent`: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPause {
    /// A project, by its name or directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The name of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Of a resume: ends every pause, also those of single projects and agents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Something that is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseView {
    /// What is paused.
    pub scope: PauseKind,
    /// The project's or agent's name.
    pub name: Option<String>,
    /// The directory of the project.
    pub dir: Option<PathBuf>,
    /// When it was paused.
    pub since: Timestamp,
    /// Who paused it.
    pub by: String,
    /// A description for a person, with what ends the pause.
    #[serde(rename(deserialize = "told"))]
    pub description: String,
    /// The same as `description`: its earlier name.
    #[serde(skip_deserializing)]
    pub told: String,
}

words! {
    /// What a pause is for.
    pub enum PauseKind {
        /// Everything.
        All = "all",
        /// The tasks of one project.
        Project = "project",
        /// The runs of one agent.
        Agent = "agent",
    }
}

/// What is paused now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausesView {
    /// Whether the request changed anything.
    pub changed: bool,
    /// Everything that is paused.
    pub paused: Vec<PauseView>,
}

/// How the daemon is to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShutdownOrder {
    /// How the daemon is to shut down.
    pub how: ShutdownMode,
    /// Only tell what would become of what is under way.
    #[serde(default)]
    pub dry_run: bool,
    /// The reason, for the history.
    #[serde(default)]
    pub why: Option<String>,
}

/// How the daemon leaves, while it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DepartureView {
    /// How the daemon shuts down.
    pub how: ShutdownMode,
    /// The reason for it.
    pub why: String,
}

/// What becomes of something that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FateView {
    /// The agent goes on; the next daemon takes it over.
    GoesOn,
    /// The daemon waits for it to finish.
    Finished,
    /// The agent is interrupted; the next daemon resumes it.
    Interrupted,
    /// The result is judged or integrated by the next daemon.
    Later,
}

/// Something that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnderWayView {
    /// The id of the task.
    pub task_id: TaskId,
    /// The id of the run.
    pub run_id: RunId,
    /// The agent of the run.
    pub agent: String,
    /// What becomes of it.
    pub fate: FateView,
}

/// The daemon leaves, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShutdownView {
    /// How the daemon shuts down.
    pub how: ShutdownMode,
    /// It was only asked what would happen.
    pub dry_run: bool,
    /// The version of the daemon.
    pub version: String,
    /// The id of its process.
    pub pid: u32,
    /// What is under way, and what becomes of it.
    pub under_way: Vec<UnderWayView>,
}

mirror! {
    /// A start or an end of the daemon.
    #[schemars(rename = "ServiceEntry")]
    pub struct ServiceEntryView for ServiceEntry {
        /// When it happened; for a lost daemon, when that was noticed.
        pub at: Timestamp,
        /// The kind of the entry.
        pub kind: ServiceKind,
        /// What caused it.
        pub cause: Cause,
        /// The version of the daemon.
        pub version: String,
        /// The id of its process.
        pub pid: u32,
        /// The reason in words.
        pub why: String,
        /// How long it had served, in seconds; `null` for a start.
        pub lasted_seconds: Option<i64>,
        /// The memory it used, in bytes, where the system reports it.
        pub memory_bytes: Option<u64>,
    }
}
