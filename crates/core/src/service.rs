//! The life of the daemon: how it leaves, what is written down of its starts and ends, and when it may start itself
//! anew because it has grown. Below: what a supervisor of processes is told about it, and which one it is. PURE.

pub mod definition;
pub mod release;
pub mod supervisor;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shortest time between two restarts because of memory; doubled with each one within [`REMEMBERED`].
const PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// The longest.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(6);
/// How long a restart because of memory counts.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// How the daemon leaves. The names are part of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShutdownMode {
    /// At once; agents go on, and the next daemon takes them over.
    Stop,
    /// When what runs is finished, judged and integrated; nothing new begins.
    Drain,
    /// When all agents are interrupted; the next daemon resumes their conversations.
    Now,
    /// At once, to be the same process with the program as it is on the disk now.
    Respawn,
}

impl ShutdownMode {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Drain => "drain",
            Self::Now => "now",
            Self::Respawn => "respawn",
        }
    }

    /// In words, for whom it holds up.
    pub fn told(self) -> &'static str {
        match self {
            Self::Stop => "orch shuts down; agents go on",
            Self::Drain => "orch finishes what runs, and shuts down; nothing new begins",
            Self::Now => "orch interrupts its agents, and shuts down; the next start resumes them",
            Self::Respawn => "orch starts itself anew; agents go on",
        }
    }
}

/// What ended a life, or began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A person or a program asked for it by a command.
    Command,
    /// A signal.
    Signal,
    /// It used more memory than it may.
    Memory,
    /// Nobody knows: it was killed, it crashed, or the machine went down.
    Unknown,
}

/// The daemon is leaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// How.
    pub how: ShutdownMode,
    /// What made it.
    pub cause: Cause,
    /// In words: `SIGTERM`, `orch shutdown by ada`.
    pub why: String,
}

impl Departure {
    /// A departure.
    pub fn new(how: ShutdownMode, cause: Cause, why: impl Into<String>) -> Self {
        Self { how, cause, why: why.into() }
    }
}

/// What happened to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// It began to serve.
    Start,
    /// It left.
    Stop,
    /// It left to become itself again.
    Respawn,
    /// It was gone without a word.
    Lost,
}

impl ServiceKind {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Respawn => "respawn",
            Self::Lost => "lost",
        }
    }
}

/// A line of the daemon's history. Part of the JSON contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceEntry {
    /// When; of a daemon that was lost, when that was noticed.
    pub at: Timestamp,
    /// What.
    pub kind: ServiceKind,
    /// What made it.
    pub cause: Cause,
    /// Version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// In words.
    pub why: String,
    /// How long it had served, in seconds; of a start `null`.
    pub lasted_seconds: Option<i64>,
    /// Memory that it had in use, in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
}

/// What the end of the history says of the daemon before this one.
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

/// Before this time the daemon does not start itself anew because of its memory. What `history` holds of the future is a
/// clock that was wrong.
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
