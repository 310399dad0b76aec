//! Supervises the agent's process until it is gone: follows its output, enforces its limits, ends it.

use super::health::HealthReporter;
use super::launch::{Launch, RunDir};
use super::limits::{Alarm, Watchdog};
use super::reading::Reading;
use super::report::Stop;
use super::signals::Signals;
use super::talk::Conversation;
use super::wake::wake;
use super::watch::Watch;
use jiff::SignedDuration;
use orch_core::tasks::outcome::{Exit, Failure, FailureClass};
use orch_sys::clock::{self, Clock as _, SystemClock};
use orch_sys::process::{Load, descendants_load};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};
use std::path::Path;
use std::time::{Duration, Instant};

/// The share of the grace period in which an agent may end its interrupted turn by itself, before it gets a signal.
const INTERRUPT_SHARE: f64 = 0.6;
/// How long a killed process may take to disappear before the supervisor gives up on it.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest sleep allowed to a CLI before it repeats a request that its provider's limit refused.
const MAX_RETRY_SLEEP: Duration = Duration::from_secs(120);

/// How far the shutdown of the process has come.
#[derive(Clone, Copy)]
enum Phase {
    /// The agent works.
    Working,
    /// Its turn was interrupted. It gets a signal at `until`, and is killed at `last`.
    Interrupted { until: Instant, last: Instant },
    /// It got a signal to end, and is killed at `until`.
    Signalled { until: Instant },
    /// It was killed. A process that is still there at `until` is given up.
    Killed { until: Instant },
}

/// Supervises one agent.
pub(super) struct Supervisor<'a> {
    dir: &'a RunDir,
    agent: Pid,
    talk: Option<Conversation>,
    wake_socket: Option<&'a Path>,
    grace: Duration,
    signals: &'a Signals,
    watch: &'a mut Watch,
    watchdog: Watchdog,
    health: HealthReporter,
    /// How long a measurement of the processes may take before it counts as failed.
    check_timeout: Duration,
    phase: Phase,
    stop: Option<Stop>,
}

/// How the agent's process ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// `None` when it did not start, could not be ended, or its end is unknown.
    pub(super) exit: Option<Exit>,
    /// Why orch ended it, if it did.
    pub(super) stop: Option<Stop>,
    /// Why it did not start, if it did not.
    pub(super) failure: Option<Failure>,
}

impl<'a> Supervisor<'a> {
    /// Supervises the process `agent` of `launch`; `talk` is its open conversation, if it has one.
    pub(super) fn new(
        dir: &'a RunDir,
        launch: &'a Launch,
        (agent, talk): (Pid, Option<Conversation>),
        signals: &'a Signals,
        watch: &'a mut Watch,
    ) -> Self {
        let limits = launch.limits;
        let watchdog = Watchdog::new(limits, clock::instant());
        Self {
            dir,
            agent,
            talk,
            wake_socket: launch.wake_socket.as_deref(),
            grace: limits.grace(),
            signals,
            watch,
            watchdog,
            health: HealthReporter::new(dir, launch),
            check_timeout: Duration::from_millis(limits.health.timeout_ms),
            phase: Phase::Working,
            stop: None,
        }
    }

    /// Follows the agent until its process is gone.
    pub(super) fn follow(mut self, reading: &mut Reading) -> Ended {
        loop {
            let more = reading.step();
            if reading.take_new_receipts() {
                wake(self.wake_socket);
            }
            if let Some(talk) = &mut self.talk {
                talk.advance(self.dir, reading);
            }
            if let Reaped::Agent(exit) = reap(self.agent) {
                return Ended { exit, stop: self.stop, failure: None };
            }
            let now = clock::instant();
            let wait = match self.phase {
                Phase::Working => self.check(now, reading),
                // A pending message would start another turn, which is no longer wanted.
                Phase::Interrupted { until, last } if now >= until || has_pending_message(reading) => {
                    self.signal(now, last)
                }
                Phase::Signalled { until } if now >= until => self.kill(now),
                Phase::Killed { until } if now >= until => return Ended { exit: None, stop: self.stop, failure: None },
                Phase::Interrupted { until, .. } | Phase::Signalled { until } | Phase::Killed { until } => until - now,
            };
            let writable = self.talk.as_ref().and_then(Conversation::writable);
            self.watch.wait(self.signals, if more { Duration::ZERO } else { wait }, writable);
        }
    }

    /// Checks for a reason to end the agent, and begins its shutdown if there is one. Returns how long nothing is due.
    fn check(&mut self, now: Instant, reading: &mut Reading) -> Duration {
        self.stop = self.requested_stop().or_else(|| self.limit_stop(now, reading));
        let (monitor, at) = self.watchdog.health(now);
        self.health.report(monitor, at);
        let Some(stop) = &self.stop else { return self.watchdog.next_check(now) };
        reading.transcript.aside(&match stop {
            Stop::Asked { reason } => format!("ending the agent: {reason}"),
            Stop::Limit { failure } => format!("ending the agent: {}: {}", failure.class, failure.detail),
            Stop::Lingering => "ending the agent: its turn is over, but its process did not exit".to_owned(),
        });
        if self.grace.is_zero() {
            return self.kill(now);
        }
        let may_interrupt = matches!(stop, Stop::Asked { .. });
        if may_interrupt && self.talk.as_mut().is_some_and(|talk| talk.interrupt(reading)) {
            let wait = self.grace.mul_f64(INTERRUPT_SHARE);
            self.phase = Phase::Interrupted { until: now + wait, last: now + self.grace };
            return wait;
        }
        self.signal(now, now + self.grace)
    }

    /// Signals only the agent itself: on this signal it ends its own tools, which run in process groups of their own.
    fn signal(&mut self, now: Instant, until: Instant) -> Duration {
        // The agent may have exited meanwhile.
        let _ = kill_process(self.agent, Signal::INT);
        self.phase = Phase::Signalled { until };
        until.saturating_duration_since(now)
    }

    fn requested_stop(&self) -> Option<Stop> {
        let signalled = || self.signals.stop_source().map(|source| self.dir.describe_stop(source));
        self.dir.stop_requested().or_else(signalled).map(|reason| Stop::Asked { reason })
    }

    fn limit_stop(&mut self, now: Instant, reading: &Reading) -> Option<Stop> {
        if let Some(failure) = reading.reader().fatal_failure() {
            return Some(Stop::Limit { failure });
        }
        if let Some(failure) = self.long_retry_sleep(now, reading) {
            return Some(Stop::Limit { failure });
        }
        let ended = reading.reader().turn_ended();
        let timeout = self.check_timeout;
        let mut load = || load_within(timeout);
        match self.watchdog.check(now, reading.output_bytes(), ended, &mut load)? {
            Alarm::Limit(failure) => Some(Stop::Limit { failure }),
            Alarm::Excess(failure) => {
                self.grace = Duration::ZERO;
                Some(Stop::Limit { failure })
            }
            Alarm::Lingering => Some(Stop::Lingering),
        }
    }

    /// Returns the rate limit for which the CLI sleeps too long. The task can wait for its end without a process, which
    /// frees the slot meanwhile.
    fn long_retry_sleep(&self, now: Instant, reading: &Reading) -> Option<Failure> {
        let failure = reading.reader().retrying_after().filter(|failure| failure.class == FailureClass::RateLimited)?;
        let until = failure.retry_at.map(|at| at.duration_since(SystemClock.now()));
        let is_long = until.is_some_and(|left| left > SignedDuration::try_from(MAX_RETRY_SLEEP).unwrap_or_default());
        let (monitor, at) = self.watchdog.health(now);
        (is_long || monitor.quiet_for(at) >= MAX_RETRY_SLEEP).then(|| failure.clone())
    }

    /// Kills the agent's process group. The agent is not reaped yet, so its pid cannot be another process's.
    fn kill(&mut self, now: Instant) -> Duration {
        let _ = kill_process_group(self.agent, Signal::KILL);
        self.phase = Phase::Killed { until: now + KILL_TIMEOUT };
        KILL_TIMEOUT
    }
}

/// Measures what the agent and its processes use. `None` when it took so long that the result is outdated.
fn load_within(timeout: Duration) -> Option<Load> {
    let started = clock::instant();
    let load = descendants_load();
    (started.elapsed() <= timeout).then_some(load)
}

/// Returns whether the turn is over and a message that was sent will begin another one.
fn has_pending_message(reading: &mut Reading) -> bool {
    reading.live().is_some_and(|live| live.turn_ended() && !live.is_idle())
}

enum Reaped {
    /// The agent has exited.
    Agent(Option<Exit>),
    /// The agent still runs.
    Nothing,
}

/// Reaps every child that has exited: the agent, and orphans that this process adopted.
fn reap(agent: Pid) -> Reaped {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == agent => {
                return Reaped::Agent(Some(Exit { code: status.exit_status(), signal: status.terminating_signal() }));
            }
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Reaped::Nothing,
            // No children at all: another part of the process has reaped the agent.
            Err(_) => return Reaped::Agent(None),
        }
    }
}
