//! The tmux session of a run: opened while the rest is still being prepared, because neither waits for the other, and
//! closed again when nothing comes of it.

use crate::deps::Deps;
use crate::launch::run_start::{Started, ask, failed};
use crate::launch::starting_point::StartingPoint;
use crate::settings::frozen;
use orch_config::resolved::Config;
use orch_core::base::external::{ExternalFailure, How};
use orch_core::base::names::BranchName;
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::task::Workplace;
use orch_runner::{RunDir, RunState};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use orch_sys::tmux::TmuxError;
use orch_sys::worktree::Worktree;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a prepared run may take to be taken by its runner.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// After how much of that the session is opened once more: its runner may have given up waiting before all was
/// prepared, or a person may have closed it.
const SECOND_TRY: Duration = Duration::from_secs(2);

/// Holds the name of the run's tmux session, for those who want to enter it.
pub const SESSION_FILE: &str = "session.txt";

/// A session that is being opened, with a runner in it that waits for its run to be prepared.
pub struct Opening {
    deps: Arc<Deps>,
    name: String,
    run_dir: RunDir,
    made: JoinHandle<Result<(), TmuxError>>,
}

impl Opening {
    /// Begins to open the session `name` for a run without a runner. Its directory is made.
    pub fn begin(deps: &Arc<Deps>, name: String, run_dir: RunDir) -> Result<Self, LaunchProblem> {
        point!("session.file.before");
        fs::create_dir_private(run_dir.path())
            .and_then(|()| fs::write_private(&run_dir.path().join(SESSION_FILE), name.as_bytes(), Durability::Cached))
            .map_err(|e| failed(e, None))?;
        point!("session.file.after");
        let made = {
            let (deps, name, run_dir) = (Arc::clone(deps), name.clone(), run_dir.clone());
            tokio::spawn(async move { ensure(&deps, &name, &run_dir).await })
        };
        Ok(Self { deps: Arc::clone(deps), name, run_dir, made })
    }

    /// Waits until the runner has the run, which must be prepared.
    async fn taken(self) -> Result<(), LaunchProblem> {
        let made = self.made.await.map_err(|e| ask(&e, None))?;
        made.map_err(|e| failed(e, None))?;
        let waited = tokio::time::timeout(START_PATIENCE, async {
            loop {
                if tokio::time::timeout(SECOND_TRY, started(&self.run_dir)).await.is_ok() {
                    point!("session.taken");
                    return Ok(());
                }
                ensure(&self.deps, &self.name, &self.run_dir).await.map_err(|e| failed(e, None))?;
            }
        });
        waited.await.unwrap_or_else(|_| {
            let seconds = START_PATIENCE.as_secs();
            let socket = self.deps.tmux.socket().display();
            let problem = format!("the session in tmux ({socket}) did not start its runner within {seconds} s");
            Err(LaunchProblem::External(ExternalFailure::new(How::TimedOut, problem)))
        })
    }

    /// Waits until the runner has the run that was prepared; where it could not be prepared, closes the session.
    pub async fn finish<T>(self, prepared: Result<T, LaunchProblem>) -> Result<T, LaunchProblem> {
        match prepared {
            Ok(prepared) => self.taken().await.map(|()| prepared),
            Err(problem) => {
                self.close().await;
                Err(problem)
            }
        }
    }

    /// Closes the session: the run will not be prepared.
    async fn close(self) {
        // The opening must be over, with whatever result, before the session can be closed.
        let _ = self.made.await;
        point!("session.close.before");
        if let Err(error) = self.deps.tmux.kill_session(&self.name).await {
            tracing::warn!(session = self.name, %error, "a session that is not needed could not be closed");
        }
        point!("session.close.after");
    }
}

async fn ensure(deps: &Deps, name: &str, run_dir: &RunDir) -> Result<(), TmuxError> {
    let program = deps.program();
    let argv = [program.as_os_str(), OsStr::new(orch_runner::SUBCOMMAND), run_dir.path().as_os_str()];
    point!("session.open.before");
    let opened = deps.tmux.ensure_session(name, &argv).await.map(drop);
    point!("session.open.after");
    opened
}

/// Waits until a runner has taken the run. An unreadable directory counts as taken: polling the run shows why.
async fn started(run_dir: &RunDir) {
    while matches!(orch_runner::inspect(run_dir), Ok(RunState::NotStarted)) {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Returns whether no runner has ever taken the run.
pub fn not_started(run_dir: &RunDir) -> Result<bool, LaunchProblem> {
    match orch_runner::inspect(run_dir) {
        Ok(state) => Ok(matches!(state, RunState::NotStarted)),
        Err(error) => Err(failed(error, None)),
    }
}

/// Returns where a run works, as the task remembers it.
pub fn workplace(
    worktree: &Worktree,
    branch: &BranchName,
    base: &BranchName,
    config: &Config,
    start: StartingPoint,
) -> Workplace {
    Workplace {
        terms: Some(Box::new(frozen::terms(config))),
        branch: branch.as_str().to_owned(),
        worktree: worktree.path.clone(),
        base_branch: base.as_str().to_owned(),
        base: worktree.base_sha.clone(),
        began_from: start.began_from,
    }
}

/// Returns what was noted of a run before its runner could take it. `None`: there is no note, or it does not read.
pub fn prepared(run_dir: &RunDir) -> Result<Option<Started>, LaunchProblem> {
    match fs::read_limited(&prepared_file(run_dir), 64 << 10) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(failed(error, None)),
    }
}

/// Returns where that is noted.
pub fn prepared_file(run_dir: &RunDir) -> PathBuf {
    run_dir.path().join("prepared.json")
}
