//! What the daemon asks about a run's directory: whether it was started, whether its runner lives, how it ended. And
//! what is left to do when a runner was killed: nothing of its agent's work may be lost.

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
use orch_core::external::{External, ExternalFailure};
use orch_core::outcome::{Failure, FailureClass};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability, FileLock, FsError};
use orch_sys::process::{Identity, sweep};
use std::collections::BTreeMap;
use std::io;

/// How a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum RunState {
    /// Its runner has not taken it. It may be started.
    NotStarted,
    /// Its runner lives.
    Running {
        /// Who that is; `None` while it is being written.
        started: Option<Started>,
    },
    /// Its runner has written the report.
    Ended(Box<RunReport>),
    /// Its runner is gone without a report. The agent may still run: see [`bury`].
    Lost {
        /// Who the runner was.
        started: Option<Started>,
    },
}

/// Looks at a run's directory. Changes nothing.
///
/// # Errors
/// When the directory cannot be read, or its report is damaged.
pub fn inspect(dir: &RunDir) -> Result<RunState, RunFileError> {
    if let Some(report) = ended(dir)? {
        return Ok(RunState::Ended(Box::new(report)));
    }
    if !dir.started().exists() {
        return Ok(RunState::NotStarted);
    }
    let started = dir.read::<Started>(&dir.started()).ok();
    // Who starts a run holds the lock before it leaves the mark, so taking the lock here is in nobody's way.
    let Some(_lock) = fs::lock_exclusive(&dir.lock())? else { return Ok(RunState::Running { started }) };
    Ok(match ended(dir)? {
        Some(report) => RunState::Ended(Box::new(report)),
        None => RunState::Lost { started },
    })
}

fn ended(dir: &RunDir) -> Result<Option<RunReport>, RunFileError> {
    match dir.read(&dir.outcome()) {
        Ok(report) => Ok(Some(report)),
        Err(RunFileError::File(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a lost run could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum BuryError {
    /// It is not lost.
    #[error("run {run} is not lost: its runner lives")]
    Lives {
        /// The run.
        run: String,
    },
    /// Its files cannot be used.
    #[error(transparent)]
    Files(#[from] RunFileError),
}

impl External for BuryError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::Files(error) => error.external(),
            Self::Lives { .. } => None,
        }
    }
}

/// Brings a lost run to its end: ends what is left of its processes, reads all of its output, and writes the report
/// that its runner would have written. When the agent's turn had ended well, so has the run; else it has crashed.
///
/// `env` is the environment that the agent was given: it tells which values are secret and where the CLI keeps its
/// session records. When it lacks a secret that the agent was given, nothing that the agent said is told any more, but
/// that it is not told. Doing it twice gives the first report again. It takes as long as the processes take to end, a few
/// seconds at most: not for the engine's own thread.
///
/// # Errors
/// When the runner lives, or files cannot be read or written.
pub fn bury(dir: &RunDir, env: &BTreeMap<String, String>) -> Result<RunReport, BuryError> {
    let launch = dir.read_launch()?;
    let _lock: FileLock = fs::lock_exclusive(&dir.lock())
        .map_err(RunFileError::from)?
        .ok_or_else(|| BuryError::Lives { run: launch.run_id.to_string() })?;
    if let Some(report) = ended(dir)? {
        return Ok(report);
    }
    let now = SystemClock.now();
    let started = dir
        .read::<Started>(&dir.started())
        .unwrap_or(Started { runner: Identity { pid: 0, started: String::new() }, at: now });
    // A secret file that was never read must not outlive the run.
    let _ = std::fs::remove_file(dir.env());
    let swept = sweep(launch.run_id.as_str(), conclude::SWEEP_GRACE);
    point!("bury.swept");
    let stop = dir.stop_requested().map(|reason| Stop::Asked { reason });
    let report = if reading::has_output(dir) {
        pty::recover(dir).map_err(|source| unreadable(dir, source))?;
        let untold = dir.lost_secrets(env);
        let env = agent::environment(&launch, env);
        let reading = reread(dir, &launch, &env, untold).map_err(|source| unreadable(dir, source))?;
        conclude::report(&launch, &started, &env, reading, Ended { stop, ..Ended::default() }, &swept)
    } else {
        let failure = Failure::new(FailureClass::Crashed, "its runner was killed before the agent started");
        let mut report = conclude::not_started(&launch, &started, failure);
        report.stopped = stop;
        report
    };
    point!("bury.before");
    dir.write(&dir.outcome(), &report, Durability::Synced)?;
    dir.keep()?;
    point!("bury.after");
    dir.forget_how_to_read_again();
    Ok(report)
}

/// Reads the output from its beginning; what the runner had put into the transcript is not put there again, and nothing
/// is when `untold` says why.
fn reread(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    untold: Option<String>,
) -> io::Result<Reading> {
    let renderer = Renderer::new(launch.redactor(env)).below(&launch.spec.cwd);
    let mut transcript = Transcript::open(dir, renderer, None)?;
    transcript.continue_where_it_ended()?;
    let mut reading = Reading::open(dir, launch, transcript)?;
    if let Some(why) = untold {
        reading.tell_nothing(why);
    }
    Ok(reading)
}

fn unreadable(dir: &RunDir, source: io::Error) -> RunFileError {
    FsError::Io { action: "read", path: dir.events(), source }.into()
}
