//! The life of the agent's process, from its start to its end: follows it, holds its limits, ends it.

use super::health::HealthReport;
use super::launch::{Launch, RunDir};
use super::limits::{Alarm, Watchdog};
use super::reading::Reading;
use super::report::Stop;
use super::signals::Signals;
use super::talk::Talk;
use super::wake::wake;
use super::watch::Watch;
use jiff::SignedDuration;
use orch_core::outcome::{Exit, Failure, FailureClass};
use orch_sys::clock::{self, Clock as _, SystemClock};
use orch_sys::process::{Load, descendants_load};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};
use std::path::Path;
use std::time::{Duration, Instant};

/// The share of the grace in which an agent that was told to stop in its own words may do so, before it gets a signal.
const FOR_WORD: f64 = 0.6;
/// How long a killed process may take to disappear before it is given up.
const DEATH: Duration = Duration::from_secs(5);

/// The longest sleep of a CLI before it repeats a request that its provider's limit refused.
const LONGEST_SLEEP: Duration = Duration::from_secs(120);

/// How far the end of the process has been driven.
#[derive(Clone, Copy)]
enum Phase {
    /// It works.
    Working,
    /// Its turn was interrupted, and its process has until then to leave before it is asked to, and to the last to end.
    Interrupted { until: Instant, last: Instant },
    /// It was asked to end and has until then.
    Asked { until: Instant },
    /// It was killed; what is not gone until then will never go.
    Killed { until: Instant },
}

/// Watches over one agent.
pub(super) struct Supervisor<'a> {
    dir: &'a RunDir,
    agent: Pid,
    talk: Option<Talk>,
    wake_socket: Option<&'a Path>,
    grace: Duration,
    signals: &'a Signals,
    watch: &'a mut Watch,
    watchdog: Watchdog,
    health_report: HealthReport,
    /// How long a look at the processes may take.
    patience: Duration,
    phase: Phase,
    stop: Option<Stop>,
}

/// How the agent's process ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// `None`: it did not start, could not be ended, or nobody saw its end.
    pub(super) exit: Option<Exit>,
    /// Why orch ended it, when it did.
    pub(super) stop: Option<Stop>,
    /// Why it did not start.
    pub(super) failure: Option<Failure>,
}

impl<'a> Supervisor<'a> {
    /// Over the process `agent` of `launch`; `talk` where a conversation is held open.
    pub(super) fn new(
        dir: &'a RunDir,
        launch: &'a Launch,
        (agent, talk): (Pid, Option<Talk>),
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
            health_report: HealthReport::new(dir, launch),
            patience: Duration::from_millis(limits.health.timeout_ms),
            phase: Phase::Working,
            stop: None,
        }
    }

    /// Follows the agent until its process is gone.
    pub(super) fn follow(mut self, reading: &mut Reading) -> Ended {
        loop {
            let more = reading.step();
            if reading.take_news() {
                wake(self.wake_socket);
            }
            if let Some(talk) = &mut self.talk {
                talk.go_on(self.dir, reading);
            }
            if let Reaped::Agent(exit) = reap(self.agent) {
                return Ended { exit, stop: self.stop, failure: None };
            }
            let now = clock::instant();
            let wait = match self.phase {
                Phase::Working => self.look(now, reading),
                // A turn that begins now is one that nobody wants any more.
                Phase::Interrupted { until, last } if now >= until || unheard(reading) => self.ask(now, last),
                Phase::Asked { until } if now >= until => self.kill(now),
                Phase::Killed { until } if now >= until => return Ended { exit: None, stop: self.stop, failure: None },
                Phase::Interrupted { until, .. } | Phase::Asked { until } | Phase::Killed { until } => until - now,
            };
            let room = self.talk.as_ref().and_then(Talk::room);
            self.watch.wait(self.signals, if more { Duration::ZERO } else { wait }, room);
        }
    }

    /// Looks for a reason to end it. Returns how long nothing is due.
    fn look(&mut self, now: Instant, reading: &mut Reading) -> Duration {
        self.stop = self.asked().or_else(|| self.alarmed(now, reading));
        let (monitor, at) = self.watchdog.health(now);
        self.health_report.tell(monitor, at);
        let Some(stop) = &self.stop else { return self.watchdog.next_look(now) };
        reading.transcript.aside(&match stop {
            Stop::Asked { reason } => format!("ending the agent: {reason}"),
            Stop::Limit { failure } => format!("ending the agent: {}: {}", failure.class, failure.detail),
            Stop::Lingering => "ending the agent: its turn is over, but its process stays".to_owned(),
        });
        if self.grace.is_zero() {
            return self.kill(now);
        }
        let by_word = matches!(stop, Stop::Asked { .. });
        if by_word && self.talk.as_mut().is_some_and(|talk| talk.interrupt(reading)) {
            let for_word = self.grace.mul_f64(FOR_WORD);
            self.phase = Phase::Interrupted { until: now + for_word, last: now + self.grace };
            return for_word;
        }
        self.ask(now, now + self.grace)
    }

    /// Only the agent itself: on this signal it ends its own tools, which live in groups of their own.
    fn ask(&mut self, now: Instant, until: Instant) -> Duration {
        // It may have ended by itself meanwhile.
        let _ = kill_process(self.agent, Signal::INT);
        self.phase = Phase::Asked { until };
        until.saturating_duration_since(now)
    }

    fn asked(&self) -> Option<Stop> {
        let signalled = || self.signals.stop_asked().map(|asked| self.dir.told_asked(asked));
        self.dir.stop_requested().or_else(signalled).map(|reason| Stop::Asked { reason })
    }

    fn alarmed(&mut self, now: Instant, reading: &Reading) -> Option<Stop> {
        if let Some(failure) = reading.reader().hopeless() {
            return Some(Stop::Limit { failure });
        }
        if let Some(failure) = self.sleeps(now, reading) {
            return Some(Stop::Limit { failure });
        }
        let ended = reading.reader().turn_ended();
        let patience = self.patience;
        let mut load = || load_within(patience);
        match self.watchdog.look(now, reading.output_bytes(), ended, &mut load)? {
            Alarm::Limit(failure) => Some(Stop::Limit { failure }),
            Alarm::Excess(failure) => {
                self.grace = Duration::ZERO;
                Some(Stop::Limit { failure })
            }
            Alarm::Lingering => Some(Stop::Lingering),
        }
    }

    /// The CLI sleeps until its provider's limit ends. Its task can wait for that without a process, and its slot is free meanwhile.
    fn sleeps(&self, now: Instant, reading: &Reading) -> Option<Failure> {
        let waits_for = reading.reader().waits_for().filter(|failure| failure.class == FailureClass::RateLimited)?;
        let until = waits_for.retry_at.map(|at| at.duration_since(SystemClock.now()));
        let is_long = until.is_some_and(|left| left > SignedDuration::try_from(LONGEST_SLEEP).unwrap_or_default());
        let (monitor, at) = self.watchdog.health(now);
        (is_long || monitor.quiet_for(at) >= LONGEST_SLEEP).then(|| waits_for.clone())
    }

    /// The agent is not waited for yet, so its number is still its own.
    fn kill(&mut self, now: Instant) -> Duration {
        let _ = kill_process_group(self.agent, Signal::KILL);
        self.phase = Phase::Killed { until: now + DEATH };
        DEATH
    }
}

/// What the agent and its processes use, unless it takes so long to find out that it is past.
fn load_within(patience: Duration) -> Option<Load> {
    let begun = clock::instant();
    let load = descendants_load();
    (begun.elapsed() <= patience).then_some(load)
}

/// Whether the turn is over and something that was said will begin another one.
fn unheard(reading: &mut Reading) -> bool {
    reading.live().is_some_and(|live| live.turn_ended() && !live.rests())
}

enum Reaped {
    /// The agent has ended.
    Agent(Option<Exit>),
    /// It runs.
    Nothing,
}

/// Waits for everything that has ended: the agent, and orphans that came to us.
fn reap(agent: Pid) -> Reaped {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == agent => {
                return Reaped::Agent(Some(Exit { code: status.exit_status(), signal: status.terminating_signal() }));
            }
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Reaped::Nothing,
            // No children at all: its end was seen by somebody else.
            Err(_) => return Reaped::Agent(None),
        }
    }
}
