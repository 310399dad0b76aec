//! Inspects a run's directory for the daemon: whether the run was started, whether its runner is alive, how it ended.
//! Finishes the run of a killed runner, so that nothing of its agent's work is lost.

use super::agent;
use super::claim::Started;
use super::conclude;
use super::launch::{Launch, RunDir, RunFileError};
use super::pty;
use super::reading::{self, Reading};
use super::render::Renderer;
use super::report::{RunReport, Stop};
use super::supervise::Ended;
use super::transcript::Transcript;
use orch_core::base::external::{External, ExternalFailure};
use orch_core::tasks::outcome::{Failure, FailureClass};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability, FileLock, FsError};
use orch_sys::process::{Identity, sweep};
use std::collections::BTreeMap;
use std::io;

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunState {
    /// No runner has claimed the run. It may be started.
    NotStarted,
    /// Its runner is alive.
    Running {
        /// The runner; `None` while the file is being written.
        started: Option<Started>,
    },
    /// Its runner has written the report.
    Ended(Box<RunReport>),
    /// Its runner is gone without a report. The agent may still run: see [`finish_lost`].
    Lost {
        /// The runner that is gone.
        started: Option<Started>,
    },
}

/// Reads the state of a run from its directory. Changes nothing.
///
/// # Errors
/// The directory cannot be read, or its report is damaged.
pub fn inspect(dir: &RunDir) -> Result<RunState, RunFileError> {
    if let Some(report) = read_report(dir)? {
        return Ok(RunState::Ended(Box::new(report)));
    }
    if !dir.started().exists() {
        return Ok(RunState::NotStarted);
    }
    let started = dir.read::<Started>(&dir.started()).ok();
    // A runner holds the lock before it writes the mark, so taking the lock here cannot keep one from starting.
    let Some(_lock) = fs::lock_exclusive(&dir.lock())? else { return Ok(RunState::Running { started }) };
    Ok(match read_report(dir)? {
        Some(report) => RunState::Ended(Box::new(report)),
        None => RunState::Lost { started },
    })
}

fn read_report(dir: &RunDir) -> Result<Option<RunReport>, RunFileError> {
    match dir.read(&dir.outcome()) {
        Ok(report) => Ok(Some(report)),
        Err(RunFileError::File(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a lost run could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum FinishLostError {
    /// The run is not lost.
    #[error("run {run} is not lost: its runner is alive")]
    Alive {
        /// The id of the run.
        run: String,
    },
    /// The files of the run cannot be used.
    #[error(transparent)]
    Files(#[from] RunFileError),
}

impl External for FinishLostError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::Files(error) => error.external(),
            Self::Alive { .. } => None,
        }
    }
}

/// Finishes a lost run: ends what is left of its processes, reads all of its output, and writes the report that its
/// runner would have written. If the agent's turn had ended well, so has the run; otherwise it has crashed.
///
/// `env` is the environment that the agent was given: it says which values are secret and where the CLI keeps its
/// session records. If it lacks a secret that the agent had, the agent's remaining output is withheld, and a note says
/// so. A second call returns the first report again. The call lasts as long as the processes take to exit, a few
/// seconds at most: do not make it on the engine's thread.
///
/// # Errors
/// The runner is alive, or files cannot be read or written.
pub fn finish_lost(dir: &RunDir, env: &BTreeMap<String, String>) -> Result<RunReport, FinishLostError> {
    let launch = dir.read_launch()?;
    let _lock: FileLock = fs::lock_exclusive(&dir.lock())
        .map_err(RunFileError::from)?
        .ok_or_else(|| FinishLostError::Alive { run: launch.run_id.to_string() })?;
    if let Some(report) = read_report(dir)? {
        return Ok(report);
    }
    let now = SystemClock.now();
    let started = dir
        .read::<Started>(&dir.started())
        .unwrap_or(Started { runner: Identity { pid: 0, started: String::new() }, at: now });
    // A file of secrets that was never read must not outlive the run.
    let _ = std::fs::remove_file(dir.env());
    let swept = sweep(launch.run_id.as_str(), conclude::SWEEP_GRACE);
    point!("bury.swept");
    let stop = dir.stop_requested().map(|reason| Stop::Asked { reason });
    let report = if reading::has_output(dir) {
        pty::recover(dir).map_err(|source| unreadable(dir, source))?;
        let withheld = dir.unknown_secrets(env);
        let env = agent::environment(&launch, env);
        let reading = reread(dir, &launch, &env, withheld).map_err(|source| unreadable(dir, source))?;
        conclude::report(&launch, &started, &env, reading, Ended { stop, ..Ended::default() }, &swept)
    } else {
        let failure = Failure::new(FailureClass::Crashed, "its runner was killed before the agent started");
        let mut report = conclude::not_started(&launch, &started, failure);
        report.stopped = stop;
        report
    };
    point!("bury.before");
    dir.write(&dir.outcome(), &report, Durability::Synced)?;
    dir.sync_parents()?;
    point!("bury.after");
    dir.remove_reread_files();
    Ok(report)
}

/// Reads the output from its beginning. What the runner wrote to the transcript is not written again; nothing is
/// written if `withheld` holds a reason.
fn reread(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    withheld: Option<String>,
) -> io::Result<Reading> {
    let renderer = Renderer::new(launch.redactor(env)).below(&launch.spec.cwd);
    let mut transcript = Transcript::open(dir, renderer, None)?;
    transcript.resume()?;
    let mut reading = Reading::open(dir, launch, transcript)?;
    if let Some(reason) = withheld {
        reading.withhold(reason);
    }
    Ok(reading)
}

fn unreadable(dir: &RunDir, source: io::Error) -> RunFileError {
    FsError::Io { action: "read", path: dir.events(), source }.into()
}
