//! The records of jobs and of their firings.

use super::records;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::operations::job::{CatchUp, Cause, CommandEnd, CommandState, Firing, JobId, JobSpec, Made, Overlap};
use orch_core::tasks::task::Spec;
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

records! {
    struct JobRecord = orch_core::operations::job::JobRecord {
        spec: JobSpec,
        through: Timestamp,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        recent: BTreeSet<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forgotten: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
        waiting: VecDeque<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_task: Option<TaskId>,
    }

    struct JobSpecRecord = JobSpec {
        id: JobId,
        schedule: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
        task: Spec,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<u64>,
        enabled: bool,
        catch_up: CatchUp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlap: Option<Overlap>,
        #[serde(default)]
        jitter_seconds: u64,
    }

    enum CatchUpRecord = CatchUp {
        Skip = "skip",
        Once = "once",
        All = "all",
    }

    enum OverlapRecord = Overlap {
        Skip = "skip",
        Queue = "queue",
        Allow = "allow",
    }

    struct FiringRecord = Firing {
        job: JobId,
        due: Timestamp,
        at: Timestamp,
        cause: Cause,
        #[serde(flatten)]
        made: Made,
    }

    enum CauseRecord = Cause {
        Schedule = "schedule",
        CatchUp = "catch_up",
        Queue = "queue",
        Person = "person",
    }

    #[serde(tag = "made")]
    enum MadeRecord = Made {
        Task { task: TaskId } = "task",
        Command {
            run: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            dir: Option<PathBuf>,
            timeout_seconds: u64,
            end: Option<CommandEnd>,
        } = "command",
        Nothing { why: String } = "nothing",
    }

    struct CommandEndRecord = CommandEnd {
        state: CommandState,
        exit_code: Option<i32>,
        duration_ms: u64,
        tail: String,
    }

    enum CommandStateRecord = CommandState {
        Passed = "passed",
        Failed = "failed",
        TimedOut = "timed_out",
        NotStarted = "not_started",
        Lost = "lost",
    }
}
