//! The whole of a run, in its order: take it, start the agent, follow it, sweep, report, wake. Whatever goes wrong
//! after the run was taken ends in a report; what goes wrong before leaves no trace.

use super::again::Starts;
use super::agent::{self, Streams};
use super::claim::{Claim, Started};
use super::conclude;
use super::launch::{Launch, RunDir, RunFileError};
use super::pane::Pane;
use super::pty::Relay;
use super::reading::Reading;
use super::render::Renderer;
use super::report::{RunReport, Stop};
use super::signals::Signals;
use super::supervise::{Ended, Supervisor};
use super::talk::Talk;
use super::transcript::Transcript;
use super::wake::wake;
use super::watch::Watch;
use orch_core::agents::Stdin;
use orch_core::outcome::{Failure, FailureClass};
use orch_sys::clock::{Clock, SystemClock, instant};
use orch_sys::crash::point;
use orch_sys::fs::{Durability, FsError};
use orch_sys::process::{MemoryGroup, Swept, sweep_tree};
use rustix::io::Errno;
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Time between two looks whether a full disk has room again.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);
/// How long a program that does not start may be in the middle of being replaced.
const REPLACED: Duration = Duration::from_secs(6);
/// Time between two looks whether it starts.
const LOOK_FOR_PROGRAM: Duration = Duration::from_millis(200);
/// How often a report is tried that a disk with room refuses.
const TRIES: u32 = 5;

/// Why a runner left without carrying out the run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// Another runner has the run, or had it.
    #[error("this run was started before; a run starts only once")]
    Taken,
    /// A file of the run cannot be used.
    #[error(transparent)]
    Files(#[from] RunFileError),
    /// The kernel refused something the runner cannot do without.
    #[error("cannot watch over an agent: {0}")]
    System(#[from] io::Error),
}

/// Carries out the run in `run_dir`. Returns the exit code: 0 when the report is written, however the agent fared;
/// 7 when the run had been started before, and nothing was touched; 1 when it could not be carried out.
pub fn run(run_dir: &Path) -> i32 {
    let dir = match std::path::absolute(run_dir) {
        Ok(path) => RunDir::new(path),
        Err(error) => return say(&error.into(), 1),
    };
    match carry_out(&dir) {
        Ok(()) => 0,
        Err(error @ RunError::Taken) => say(&error, 7),
        Err(error @ (RunError::Files(_) | RunError::System(_))) => say(&error, 1),
    }
}

/// A last word on the pane.
fn say(error: &RunError, code: i32) -> i32 {
    let _ = writeln!(io::stderr(), "orch: {error}");
    code
}

fn carry_out(dir: &RunDir) -> Result<(), RunError> {
    let mut watch = Watch::new(dir);
    let launch = watch.await_launch(dir)?;
    let signals = Signals::install()?;
    let claim = Claim::take(dir, SystemClock.now())?;
    wake(launch.wake_socket.as_deref());
    let env = dir.take_env();
    point!("runner.env.taken");
    let report = match env {
        Ok(env) => run_agent(dir, &launch, &agent::environment(&launch, &env), &claim.started, &signals, &mut watch),
        Err(error) => Err(Failure::new(FailureClass::Crashed, error.to_string())),
    };
    let report = report.unwrap_or_else(|failure| conclude::not_started(&launch, &claim.started, failure));
    write_report(dir, &report, &signals, &watch)?;
    wake(launch.wake_socket.as_deref());
    point!("runner.wake.after");
    Ok(())
}

/// Writes the report. On a full disk it waits for room: without a report, a run that ended well would be lost. Whoever
/// does not want to wait ends the runner. What the disk refuses otherwise is tried a few times more.
fn write_report(dir: &RunDir, report: &RunReport, signals: &Signals, watch: &Watch) -> Result<(), RunError> {
    point!("outcome.before");
    let mut tries = 0;
    loop {
        tries += 1;
        match dir.write(&dir.outcome(), report, Durability::Synced).and_then(|()| dir.keep()) {
            Err(RunFileError::File(FsError::Io { source, .. }))
                if (is_full(&source) || (is_passing(&source) && tries < TRIES)) && signals.stop_asked().is_none() =>
            {
                watch.wait(signals, LOOK_FOR_ROOM, None);
            }
            done => {
                done?;
                point!("outcome.after");
                dir.forget_how_to_read_again();
                point!("outcome.settled");
                return Ok(());
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// From the start of the agent to the report.
///
/// # Errors
/// Only as long as no agent runs: once it does, there is a report.
fn run_agent(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    started: &Started,
    signals: &Signals,
    watch: &mut Watch,
) -> Result<RunReport, Failure> {
    let files =
        |error: io::Error| Failure::new(FailureClass::Crashed, format!("cannot set up the run's files: {error}"));
    adopt_orphans();
    let mut streams = Streams::create(dir).map_err(files)?;
    watch.follow_output(dir);
    let mut reading = open(dir, launch, env).map_err(files)?;
    reading.follow_live();
    let mut starts = Starts::default();
    loop {
        let begun = begin(dir, launch, env, streams, &mut reading, (signals, &*watch));
        let (ended, swept) = live(begun, dir, launch, signals, watch, &mut reading);
        let again = starts.again(dir, &ended, &mut reading, signals, watch);
        match again.then(|| Streams::create(dir)) {
            Some(Ok(next)) => streams = next,
            Some(Err(_)) | None => return Ok(conclude::report(launch, started, env, reading, ended, &swept)),
        }
    }
}

/// From the start of the agent's process to the end of the last one that it started.
fn live(
    begun: Begun,
    dir: &RunDir,
    launch: &Launch,
    signals: &Signals,
    watch: &mut Watch,
    reading: &mut Reading,
) -> (Ended, Vec<Swept>) {
    match begun {
        Begun::Agent { agent, stage } => {
            if let Some(stage) = &stage {
                reading.counted_by(stage.printed());
            }
            let group = memory_group(launch, agent.0);
            let mut ended = Supervisor::new(dir, launch, agent, signals, watch).follow(reading);
            point!("runner.agent.ended");
            if ended.stop.is_none() && group.as_ref().is_some_and(MemoryGroup::has_killed) {
                ended.stop = Some(Stop::Limit { failure: launch.limits.out_of_memory(None) });
            }
            // Who was made to end has had its time.
            let grace = if ended.stop.is_some() { Duration::ZERO } else { conclude::SWEEP_GRACE };
            let swept = sweep_tree(launch.run_id.as_str(), grace);
            point!("runner.swept");
            if let Some(stage) = stage {
                stage.finish();
            }
            (ended, swept)
        }
        Begun::Stopped(reason) => (Ended { stop: Some(Stop::Asked { reason }), ..Ended::default() }, Vec::new()),
        Begun::Failed(failure) => (Ended { failure: Some(failure), ..Ended::default() }, Vec::new()),
    }
}

/// The kernel holds the limit of memory, where it can: then no burst between two looks is the machine's to bear. From here
/// on, all that the agent starts is in the group; it has hardly begun.
fn memory_group(launch: &Launch, agent: Pid) -> Option<MemoryGroup> {
    let bytes = launch.limits.memory_bytes?;
    MemoryGroup::create_for(agent, &format!("orch-{}", launch.run_id), bytes)
}

/// How the beginning went.
enum Begun {
    /// The agent runs; perhaps it can be talked to, perhaps it has a terminal.
    Agent { agent: (Pid, Option<Talk>), stage: Option<Relay> },
    /// Somebody was quicker and stopped the run.
    Stopped(String),
    /// The agent did not start.
    Failed(Failure),
}

fn begin(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    mut streams: Streams,
    reading: &mut Reading,
    (signals, watch): (&Signals, &Watch),
) -> Begun {
    let begun = instant();
    let agent = loop {
        if let Some(reason) = dir.stop_requested() {
            return Begun::Stopped(reason);
        }
        point!("runner.agent.before");
        let again = streams.again();
        match (agent::start(dir, launch, env, streams), again) {
            (Ok(agent), _) => break agent,
            // Somebody replaces the program just now: it is away, empty, or still being written.
            (Err(failure), Ok(again)) if failure.class == FailureClass::AgentMissing && begun.elapsed() < REPLACED => {
                streams = again;
                watch.wait(signals, LOOK_FOR_PROGRAM, None);
            }
            (Err(failure), _) => return Begun::Failed(failure),
        }
    };
    point!("runner.agent.after");
    match agent.stdin.map(|stdin| Talk::open(stdin, dir, reading)).transpose() {
        Ok(talk) => Begun::Agent { agent: (agent.pid, talk), stage: agent.stage },
        // Its stdin is closed by now, so it ends by itself; its report tells what it made of that.
        Err(error) => {
            reading.transcript.aside(&format!("the agent was told nothing: {error}"));
            Begun::Agent { agent: (agent.pid, None), stage: agent.stage }
        }
    }
}

fn open(dir: &RunDir, launch: &Launch, env: &BTreeMap<String, String>) -> io::Result<Reading> {
    let renderer = Renderer::new(launch.redactor(env)).below(&launch.spec.cwd);
    let pane = match launch.spec.stdin {
        // It has the pane for itself.
        Stdin::Terminal => None,
        // A descriptor of its own, so that each batch is one write.
        Stdin::Null | Stdin::Prompt | Stdin::Live => {
            Some(Pane::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
        }
    };
    Reading::open(dir, launch, Transcript::open(dir, renderer, pane)?)
}

/// What a disk with room may give once.
fn is_passing(error: &io::Error) -> bool {
    let known = [Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}

/// Makes the kernel hand this process every orphan below it, so that none is out of sight.
pub(super) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}
