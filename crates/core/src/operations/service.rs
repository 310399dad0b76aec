//! The lifecycle of the daemon: its shutdown modes, its history of starts and stops, and when it may restart because of
//! its memory use. The submodules have the service definition, its supervisor, and versions. Pure.

pub mod definition;
pub mod release;
pub mod supervisor;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The shortest time between two restarts because of memory; doubled with each restart within [`REMEMBERED`].
const PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// The longest time between two restarts because of memory.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(6);
/// How long a restart because of memory counts.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// How the daemon shuts down. The names are part of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ShutdownMode {
    /// At once; agents continue, and the next daemon takes them over.
    Stop,
    /// After running tasks are finished, judged and integrated; nothing new starts.
    Drain,
    /// After all agents are interrupted; the next daemon resumes their conversations.
    Now,
    /// At once, by executing the program on disk in the same process.
    Respawn,
}

impl ShutdownMode {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Describes the mode for tasks that wait because of it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Stop => "orch shuts down; agents go on",
            Self::Drain => "orch finishes what runs, and shuts down; nothing new begins",
            Self::Now => "orch interrupts its agents, and shuts down; the next start resumes them",
            Self::Respawn => "orch starts itself anew; agents go on",
        }
    }
}

/// What caused a start or a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A command of a person or a program.
    Command,
    /// A signal to the process.
    Signal,
    /// The memory limit was exceeded.
    Memory,
    /// Unknown: it was killed, it crashed, or the machine went down.
    Unknown,
}

/// A shutdown in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The shutdown mode.
    pub how: ShutdownMode,
    /// What caused it.
    pub cause: Cause,
    /// The reason in words: `SIGTERM`, `orch shutdown by ada`.
    pub why: String,
}

impl Departure {
    /// Creates a departure.
    pub fn new(how: ShutdownMode, cause: Cause, why: impl Into<String>) -> Self {
        Self { how, cause, why: why.into() }
    }
}

/// The kind of an entry in the daemon's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ServiceKind {
    /// It started to serve.
    Start,
    /// It stopped.
    Stop,
    /// It stopped to execute itself again.
    Respawn,
    /// It ended without a record.
    Lost,
}

impl ServiceKind {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An entry in the daemon's history. Part of the JSON contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEntry {
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

/// Returns an entry if the history shows that the last daemon ended without a record.
pub fn lost(history: &[ServiceEntry], now: Timestamp) -> Option<ServiceEntry> {
    let last = history.last().filter(|last| last.kind == ServiceKind::Start)?;
    Some(ServiceEntry {
        at: now,
        kind: ServiceKind::Lost,
        cause: Cause::Unknown,
        why: "it left no word: it was killed, it crashed, or the machine went down".to_owned(),
        lasted_seconds: None,
        memory_bytes: None,
        ..last.clone()
    })
}

/// Returns the time before which the daemon does not restart because of its memory. Entries of the future are ignored:
/// the clock was wrong.
pub fn respawn_not_before(history: &[ServiceEntry], now: Timestamp) -> Option<Timestamp> {
    let for_memory = |entry: &&ServiceEntry| entry.kind == ServiceKind::Respawn && entry.cause == Cause::Memory;
    let recent = |at: &Timestamp| *at <= now && now.duration_since(*at) < REMEMBERED;
    let times: Vec<Timestamp> = history.iter().filter(for_memory).map(|entry| entry.at).filter(recent).collect();
    let last = times.iter().max()?;
    let doublings = u32::try_from(times.len() - 1).unwrap_or(u32::MAX).min(10);
    let pause = PAUSE.checked_mul(1 << doublings).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
    last.checked_add(pause).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(100_000 + minute)
    }

    fn entry(kind: ServiceKind, cause: Cause, minute: i64) -> ServiceEntry {
        let why = String::new();
        ServiceEntry {
            at: at(minute),
            kind,
            cause,
            version: "1".to_owned(),
            pid: 7,
            why,
            lasted_seconds: None,
            memory_bytes: None,
        }
    }

    #[test]
    fn the_pause_between_two_restarts_for_memory_grows_and_ends_somewhere() {
        let respawn = |minute| entry(ServiceKind::Respawn, Cause::Memory, minute);
        let after = |minutes: &[i64], now: i64| {
            let history: Vec<ServiceEntry> = minutes.iter().map(|minute| respawn(*minute)).collect();
            respawn_not_before(&history, at(now))
        };
        assert_eq!(after(&[], 0), None);
        assert_eq!(after(&[0], 1), Some(at(5)));
        assert_eq!(after(&[0, 5], 6), Some(at(15)));
        assert_eq!(after(&[0, 5, 15], 16), Some(at(35)));
        assert_eq!(after(&(0..40).collect::<Vec<i64>>(), 40), Some(at(39 + 360)));
        assert_eq!(after(&[0], 60 * 24), None, "a day later it is forgotten");
        assert_eq!(after(&[600], 1), None, "the clock was wrong");
        let asked = entry(ServiceKind::Respawn, Cause::Signal, 0);
        assert_eq!(respawn_not_before(&[asked], at(1)), None, "what a person asked for does not count");
    }

    #[test]
    fn a_daemon_that_began_and_did_not_end_was_lost() {
        let start = entry(ServiceKind::Start, Cause::Command, 0);
        let found = lost(std::slice::from_ref(&start), at(9)).expect("lost");
        assert_eq!((found.kind, found.cause, found.pid, found.at), (ServiceKind::Lost, Cause::Unknown, 7, at(9)));
        assert_eq!(lost(&[start, entry(ServiceKind::Stop, Cause::Signal, 3)], at(9)), None);
        assert_eq!(lost(&[], at(9)), None);
    }
}
