//! The recovery manifest `.orch/recovery.json`: what was under way when the daemon left, for people, for other tools and
//! for the history. A view of the journal: nothing depends on it, and one that is missing or wrong changes nothing.

use crate::deps::Deps;
use crate::launch::session::SESSION_FILE;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::service::{Departure, ShutdownMode};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{NextRun, Phase, Run, State, Task, Workplace};
use orch_sys::fs::{self, Durability, FsError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the shape.
const VERSION: u32 = 1;
/// The largest one that is read, in bytes.
const LARGEST: usize = 4 << 20;

/// What was under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of this format.
    pub version: u32,
    /// The version of the daemon.
    pub orch_version: String,
    /// The process id of the daemon.
    pub pid: u32,
    /// When the daemon wrote this.
    pub written_at: Timestamp,
    /// How the daemon left.
    pub how: ShutdownMode,
    /// Why the daemon left, in words.
    pub why: String,
    /// Runs that had not ended.
    pub runs: Vec<ManifestRun>,
    /// Tasks whose run was interrupted for the shutdown, and that go on by themselves.
    #[serde(default)]
    pub interrupted: Vec<ManifestTask>,
}

/// A task whose run was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestTask {
    /// The number of the task.
    pub task_id: TaskId,
    /// The attempt that goes on.
    pub attempt: u32,
    /// The agent that works on it.
    pub agent: Option<String>,
    /// The conversation in which it goes on, in the CLI's own terms; without one it begins again in its worktree.
    pub conversation: Option<String>,
    /// The branch of the task.
    pub branch: Option<String>,
    /// The worktree of the task.
    pub worktree: Option<PathBuf>,
}

impl ManifestTask {
    /// `None` for a task that does not go on after a shutdown.
    fn from_task(task: &Task) -> Option<Self> {
        let State::Routed { next: NextRun::Resumed { .. }, .. } = &task.state else { return None };
        let (branch, worktree) = task.place.as_deref().map(|p| (p.branch.clone(), p.worktree.clone())).unzip();
        Some(Self {
            task_id: task.id,
            attempt: task.progress.attempts,
            agent: task.route.as_ref().map(|route| route.agent.clone()),
            conversation: task.conversation.as_ref().map(|talk| talk.session_id.clone()),
            branch,
            worktree,
        })
    }
}

/// What is under way when an engine leaves.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    runs: Vec<(Run, Option<Workplace>)>,
    interrupted: Vec<ManifestTask>,
}

impl UnderWay {
    /// Collects these runs and tasks.
    pub(crate) fn from_state<'a>(
        runs: impl Iterator<Item = (&'a Run, Option<&'a Workplace>)>,
        tasks: impl Iterator<Item = &'a Task>,
    ) -> Self {
        Self {
            runs: runs.map(|(run, place)| (run.clone(), place.cloned())).collect(),
            interrupted: tasks.filter_map(ManifestTask::from_task).collect(),
        }
    }
}

/// A run that had not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestRun {
    /// The task of the run.
    pub task_id: TaskId,
    /// Its name; also the mark in the environment of its processes.
    pub run_id: RunId,
    /// What the run was started for.
    #[serde(with = "orch_store::records::as_record")]
    pub kind: RunKind,
    /// How far the run had come.
    #[serde(with = "orch_store::records::as_record")]
    pub phase: Phase,
    /// The agent of the run.
    pub agent: String,
    /// The requested model.
    pub model: Option<String>,
    /// The tmux session of the run.
    pub session: Option<String>,
    /// The conversation, in the CLI's own terms.
    pub conversation: Option<String>,
    /// The branch of the task.
    pub branch: Option<String>,
    /// The worktree of the task.
    pub worktree: Option<PathBuf>,
    /// The directory with the run's files.
    pub run_dir: PathBuf,
    /// How long its transcript was, in bytes.
    pub offset: u64,
}

/// What was left, where something was. Blocking.
pub(crate) fn read(path: &Path) -> Option<Manifest> {
    let bytes = fs::read_limited(path, LARGEST).ok()?;
    serde_json::from_slice(&bytes)
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "what the last daemon left does not read"))
        .ok()
}

/// Removes the manifest once it was taken over.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the recovery manifest stays");
    }
}

/// Writes it, whole or not at all. Blocking.
pub(crate) fn write(deps: &Deps, departure: &Departure, under_way: UnderWay, now: Timestamp) -> Result<(), FsError> {
    let manifest = Manifest {
        version: VERSION,
        orch_version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        written_at: now,
        how: departure.how,
        why: departure.why.clone(),
        runs: under_way.runs.into_iter().map(|(run, place)| of_run(deps, run, place)).collect(),
        interrupted: under_way.interrupted,
    };
    // Plain data; it always serializes.
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    fs::write_private(&deps.home.recovery(), &bytes, Durability::Synced)
}

fn of_run(deps: &Deps, run: Run, place: Option<Workplace>) -> ManifestRun {
    let run_dir = deps.home.run(&run.id);
    let session = fs::read_text(&run_dir.join(SESSION_FILE), 4096).ok().map(|name| name.trim().to_owned());
    let offset = std::fs::metadata(run_dir.join("transcript.log")).map_or(0, |file| file.len());
    let (branch, worktree) = place.filter(|_| run.kind != RunKind::Route).map(|p| (p.branch, p.worktree)).unzip();
    ManifestRun {
        task_id: run.task,
        run_id: run.id,
        kind: run.kind,
        phase: run.phase,
        agent: run.agent,
        model: run.model,
        session,
        conversation: run.session_id,
        branch,
        worktree,
        run_dir,
        offset,
    }
}
