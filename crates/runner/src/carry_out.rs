//! The steps of a run in order: claim it, start the agent, follow it, sweep, report, wake the daemon. Whatever goes
//! wrong after the claim ends in a report; what goes wrong before leaves no trace.

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
use super::talk::Conversation;
use super::transcript::Transcript;
use super::wake::wake;
use super::watch::Watch;
use orch_core::models::agents::Stdin;
use orch_core::tasks::outcome::{Failure, FailureClass};
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

/// How often a report that a full disk refused is tried again.
const DISK_RETRY: Duration = Duration::from_secs(1);
/// How long a missing program may be in the middle of an upgrade.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(6);
/// How often the start of such a program is tried again.
const START_RETRY: Duration = Duration::from_millis(200);
/// How often a report that a disk with room refused is tried in all.
const MAX_TRIES: u32 = 5;

/// Why a runner did not carry out the run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// Another runner has the run, or had it.
    #[error("this run was started before; a run starts only once")]
    Taken,
    /// A file of the run cannot be used.
    #[error(transparent)]
    Files(#[from] RunFileError),
    /// The kernel refused something that the runner needs.
    #[error("cannot supervise an agent: {0}")]
    System(#[from] io::Error),
}

/// Carries out the run in `run_dir`. Returns the exit code: 0 when the report is written, whatever became of the agent;
/// 7 when the run had been started before, and nothing was touched; 1 when it could not be carried out.
pub fn run(run_dir: &Path) -> i32 {
    let dir = match std::path::absolute(run_dir) {
        Ok(path) => RunDir::new(path),
        Err(error) => return report_error(&error.into(), 1),
    };
    match carry_out(&dir) {
        Ok(()) => 0,
        Err(error @ RunError::Taken) => report_error(&error, 7),
        Err(error @ (RunError::Files(_) | RunError::System(_))) => report_error(&error, 1),
    }
}

/// Prints the error on the pane and returns `code`.
fn report_error(error: &RunError, code: i32) -> i32 {
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

/// Writes the report. On a full disk it waits for room, because a run that ended well would be lost without a report; a
/// stop signal ends the wait. Other transient errors are retried a few times.
fn write_report(dir: &RunDir, report: &RunReport, signals: &Signals, watch: &Watch) -> Result<(), RunError> {
    point!("outcome.before");
    let mut tries = 0;
    loop {
        tries += 1;
        match dir.write(&dir.outcome(), report, Durability::Synced).and_then(|()| dir.sync_parents()) {
            Err(RunFileError::File(FsError::Io { source, .. }))
                if (is_full(&source) || (is_transient(&source) && tries < MAX_TRIES))
                    && signals.stop_source().is_none() =>
            {
                watch.wait(signals, DISK_RETRY, None);
            }
            done => {
                done?;
                point!("outcome.after");
                dir.remove_reread_files();
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

/// Runs the agent, from its start to the report.
///
/// # Errors
/// Only before an agent runs: once it does, there is a report.
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
        let start = start_agent(dir, launch, env, streams, &mut reading, signals, &*watch);
        let (ended, swept) = follow_agent(start, dir, launch, signals, watch, &mut reading);
        let restart = starts.should_restart(dir, &ended, &mut reading, signals, watch);
        match restart.then(|| Streams::create(dir)) {
            Some(Ok(next)) => streams = next,
            Some(Err(_)) | None => return Ok(conclude::report(launch, started, env, reading, ended, &swept)),
        }
    }
}

/// Follows the agent until the last process that it started is gone.
fn follow_agent(
    start: AgentStart,
    dir: &RunDir,
    launch: &Launch,
    signals: &Signals,
    watch: &mut Watch,
    reading: &mut Reading,
) -> (Ended, Vec<Swept>) {
    match start {
        AgentStart::Agent { agent, relay } => {
            if let Some(relay) = &relay {
                reading.count_output_by(relay.printed());
            }
            let group = memory_group(launch, agent.0);
            let mut ended = Supervisor::new(dir, launch, agent, signals, watch).follow(reading);
            point!("runner.agent.ended");
            if ended.stop.is_none() && group.as_ref().is_some_and(MemoryGroup::has_killed) {
                ended.stop = Some(Stop::Limit { failure: launch.limits.out_of_memory(None) });
            }
            // An agent that orch ended has had its grace period.
            let grace = if ended.stop.is_some() { Duration::ZERO } else { conclude::SWEEP_GRACE };
            let swept = sweep_tree(launch.run_id.as_str(), grace);
            point!("runner.swept");
            if let Some(relay) = relay {
                relay.finish();
            }
            (ended, swept)
        }
        AgentStart::Stopped(reason) => (Ended { stop: Some(Stop::Asked { reason }), ..Ended::default() }, Vec::new()),
        AgentStart::Failed(failure) => (Ended { failure: Some(failure), ..Ended::default() }, Vec::new()),
    }
}

/// Lets the kernel enforce the memory limit where it can, so that no burst between two measurements harms the machine.
/// The agent has hardly begun: everything that it starts from here on is in the group.
fn memory_group(launch: &Launch, agent: Pid) -> Option<MemoryGroup> {
    let bytes = launch.limits.memory_bytes?;
    MemoryGroup::create_for(agent, &format!("orch-{}", launch.run_id), bytes)
}

/// The result of starting the agent.
enum AgentStart {
    /// The agent runs, with an open conversation or a terminal if its launch asks for one.
    Agent { agent: (Pid, Option<Conversation>), relay: Option<Relay> },
    /// The run was stopped before the agent started. Holds the reason.
    Stopped(String),
    /// The agent did not start.
    Failed(Failure),
}

fn start_agent(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    mut streams: Streams,
    reading: &mut Reading,
    signals: &Signals,
    watch: &Watch,
) -> AgentStart {
    let started = instant();
    let agent = loop {
        if let Some(reason) = dir.stop_requested() {
            return AgentStart::Stopped(reason);
        }
        point!("runner.agent.before");
        let again = streams.again();
        match (agent::start(dir, launch, env, streams), again) {
            (Ok(agent), _) => break agent,
            // The program is being replaced: it is missing, empty, or still being written.
            (Err(failure), Ok(again))
                if failure.class == FailureClass::AgentMissing && started.elapsed() < UPGRADE_TIMEOUT =>
            {
                streams = again;
                watch.wait(signals, START_RETRY, None);
            }
            (Err(failure), _) => return AgentStart::Failed(failure),
        }
    };
    point!("runner.agent.after");
    match agent.stdin.map(|stdin| Conversation::open(stdin, dir, reading)).transpose() {
        Ok(talk) => AgentStart::Agent { agent: (agent.pid, talk), relay: agent.relay },
        // Its stdin is closed by now, so the agent exits by itself, and its output says why.
        Err(error) => {
            reading.transcript.aside(&format!("the prompt could not be sent to the agent: {error}"));
            AgentStart::Agent { agent: (agent.pid, None), relay: agent.relay }
        }
    }
}

fn open(dir: &RunDir, launch: &Launch, env: &BTreeMap<String, String>) -> io::Result<Reading> {
    let renderer = Renderer::new(launch.redactor(env)).below(&launch.spec.cwd);
    let pane = match launch.spec.stdin {
        // The agent has the pane for itself.
        Stdin::Terminal => None,
        // A descriptor of its own is unbuffered: each batch is one write.
        Stdin::Null | Stdin::Prompt | Stdin::Live => {
            Some(Pane::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
        }
    };
    Reading::open(dir, launch, Transcript::open(dir, renderer, pane)?)
}

/// Returns whether a disk with room may give this error once and then no more.
fn is_transient(error: &io::Error) -> bool {
    let known = [Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}

/// Makes this process the subreaper: the kernel hands it every orphan below it, so that none escapes.
pub(super) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}
