//! The records of pauses, cooldowns and breakers, of the daemon's starts and stops, and of answered requests.

use super::records;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::once::Answered;
use orch_core::operations::pause::{Pause, PauseScope};
use orch_core::operations::service::{Cause, ServiceEntry, ServiceKind};
use orch_core::planning::breaker::{Breaker, Seen, State, Target};
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::outcome::FailureClass;
use serde_json::Value;
use std::path::PathBuf;

records! {
    struct PauseRecord = Pause {
        #[serde(flatten)]
        scope: PauseScope,
        since: Timestamp,
        by: String,
    }

    #[serde(tag = "scope")]
    enum PauseScopeRecord = PauseScope {
        All = "all",
        Project { dir: PathBuf, name: String } = "project",
        Agent { name: String } = "agent",
    }

    struct CooldownRecord = Cooldown {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        until: Timestamp,
        class: FailureClass,
        detail: String,
    }

    struct BreakerRecord = Breaker {
        target: Target,
        state: State,
        failures: Vec<Seen>,
        detail: String,
        opened: u32,
    }

    #[serde(tag = "kind")]
    enum TargetRecord = Target {
        Agent { name: String } = "agent",
        Project { dir: PathBuf } = "project",
        Check { dir: PathBuf, command: String } = "check",
    }

    #[serde(tag = "state")]
    enum BreakerStateRecord = State {
        Closed = "closed",
        Open { since: Timestamp, until: Timestamp } = "open",
        HalfOpen { since: Timestamp } = "half_open",
    }

    struct SeenRecord = Seen {
        task: TaskId,
        at: Timestamp,
    }

    struct ServiceRecord = ServiceEntry {
        at: Timestamp,
        kind: ServiceKind,
        cause: Cause,
        version: String,
        pid: u32,
        why: String,
        lasted_seconds: Option<i64>,
        memory_bytes: Option<u64>,
    }

    enum ServiceKindRecord = ServiceKind {
        Start = "start",
        Stop = "stop",
        Respawn = "respawn",
        Lost = "lost",
    }

    enum CauseRecord = Cause {
        Command = "command",
        Signal = "signal",
        Memory = "memory",
        Unknown = "unknown",
    }

    struct AnsweredRecord = Answered {
        digest: String,
        answer: Value,
        at: Timestamp,
    }
}
