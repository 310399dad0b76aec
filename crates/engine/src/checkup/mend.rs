//! Mending, one thing at a time. Each checks again that what was found is still so, right before it acts.

use super::finding::{Finding, Patient, Wish, is_over};
use super::home::{is_served, mode_that_is_open};
use super::outside::is_abandoned;
use orch_core::base::ids::RunId;
use orch_core::base::names::BranchName;
use orch_core::operations::gc::task_of_branch;
use orch_core::tasks::task::{Phase, Status};
use orch_sys::crash::point;
use orch_sys::fs;
use orch_sys::git::Repo;
use orch_sys::process::sweep;
use orch_sys::worktree::OldLock;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a leftover process may take to end.
const PARTING: Duration = Duration::from_secs(2);

/// What mends a finding.
#[derive(Debug, Clone)]
pub(super) enum Mend {
    /// Closes a file or directory to other users.
    Private { path: PathBuf },
    /// Removes a socket without a server.
    Socket { path: PathBuf },
    /// A session of a run that is over ends.
    Session { name: String, run: RunId },
    /// Processes of a run that is over end.
    Processes { run: RunId },
    /// A worktree that is not there is not listed any more.
    Registration { repo: Repo, path: PathBuf },
    /// A branch of no task goes, all of whose commits are elsewhere.
    Branch { repo: Repo, branch: BranchName },
    /// A lock of a git that was killed goes.
    Lock { repo: Repo, lock: OldLock },
    /// A scratch worktree of a merge that is over goes.
    Scratch { repo: Repo, path: PathBuf, run: RunId },
}

/// Two findings are the same by what they say.
impl PartialEq for Mend {
    fn eq(&self, other: &Self) -> bool {
        self.describe() == other.describe()
    }
}

impl Eq for Mend {}

impl Mend {
    fn describe(&self) -> String {
        match self {
            Self::Private { path } => format!("{} is made private", path.display()),
            Self::Socket { path } => format!("{} is removed", path.display()),
            Self::Session { name, .. } => format!("session {name} is ended"),
            Self::Processes { run } => format!("the processes of run {run} are ended"),
            Self::Registration { path, .. } => format!("{} is taken off git's list", path.display()),
            Self::Branch { branch, .. } => format!("branch {branch} is deleted"),
            Self::Lock { lock, .. } => format!("{} is removed", lock.path.display()),
            Self::Scratch { path, .. } => format!("{} is removed", path.display()),
        }
    }

    /// `false`: it is not so any more, and nothing was done.
    async fn apply(&self, patient: &Patient<'_>) -> Result<bool, String> {
        match self {
            Self::Private { path } => make_private(path),
            Self::Socket { path } => drop_socket(patient, path).await,
            Self::Session { name, run } => end_session(patient, name, run).await,
            Self::Processes { run } => end_processes(patient, run).await,
            Self::Registration { repo, path } => repo.forget_missing(path).await.map_err(text),
            Self::Branch { repo, branch } => {
                let known = patient.known().await.ok_or("the journal cannot be read")?;
                if task_of_branch(branch.as_str()).is_some_and(|id| known.tasks.contains_key(&id)) {
                    return Ok(false);
                }
                repo.drop_spare(branch).await.map_err(text)
            }
            Self::Lock { repo, lock } => {
                let known = patient.known().await.ok_or("the journal cannot be read")?;
                if known.runs.values().any(|run| run.phase != Phase::Ended) {
                    return Ok(false);
                }
                repo.drop_old_lock(lock, patient.home.worktrees(), patient.file_time()).await.map_err(text)
            }
            Self::Scratch { repo, path, run } => {
                let known = patient.known().await.ok_or("the journal cannot be read")?;
                let task = run.task().and_then(|id| known.tasks.get(&id));
                let is_used = task.is_some_and(|task| task.status() == Status::InReview);
                if is_used || !is_abandoned(patient, &known, run) || !repo.is_scratch(path).await.map_err(text)? {
                    return Ok(false);
                }
                repo.remove_scratch(path).await.map(|()| true).map_err(text)
            }
        }
    }
}

/// Mends one, and says so.
pub(super) async fn carry_out(patient: &Patient<'_>, finding: &mut Finding, wish: Wish) {
    let Some(mend) = finding.mend.take() else { return };
    if wish == Wish::Fix {
        point!("mend.before");
    }
    match wish {
        Wish::Inspect => {}
        Wish::DryRun => finding.detail.push_str(&format!("; with --fix, {}", mend.describe())),
        Wish::Fix => match mend.apply(patient).await {
            Ok(true) => {
                point!("mend.after");
                finding.fixed = true;
                finding.remedy = None;
                finding.detail.push_str(&format!("; mended: {}", mend.describe()));
            }
            Ok(false) => finding.detail.push_str("; left as it is: it is not so any more"),
            Err(error) => finding.detail.push_str(&format!("; not mended: {error}")),
        },
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn make_private(path: &Path) -> Result<bool, String> {
    let Some(mode) = mode_that_is_open(path) else { return Ok(false) };
    let private = std::fs::Permissions::from_mode(mode & 0o700);
    std::fs::set_permissions(path, private).map(|()| true).map_err(text)
}

/// Only while no engine of this home can run.
async fn drop_socket(patient: &Patient<'_>, path: &Path) -> Result<bool, String> {
    let Some(_lock) = fs::lock_exclusive(&patient.home.lock()).map_err(text)? else { return Ok(false) };
    if is_served(path).await {
        return Ok(false);
    }
    std::fs::remove_file(path).map(|()| true).map_err(text)
}

async fn end_session(patient: &Patient<'_>, name: &str, run: &RunId) -> Result<bool, String> {
    let known = patient.known().await.ok_or("the journal cannot be read")?;
    if !is_abandoned(patient, &known, run) || !patient.tmux.has_session(name).await.map_err(text)? {
        return Ok(false);
    }
    patient.tmux.kill_session(name).await.map(|()| true).map_err(text)
}

async fn end_processes(patient: &Patient<'_>, run: &RunId) -> Result<bool, String> {
    let known = patient.known().await.ok_or("the journal cannot be read")?;
    if !known.runs.get(run).is_some_and(|run| is_over(run, patient.now)) {
        return Ok(false);
    }
    let run = run.as_str().to_owned();
    let ended = tokio::task::spawn_blocking(move || sweep(&run, PARTING)).await.map_err(text)?;
    Ok(!ended.is_empty())
}
