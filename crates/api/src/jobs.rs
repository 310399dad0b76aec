//! The shapes of jobs on the wire. Stable: documented in `docs/reference/json.md`.

use super::wanted::TaskDraft;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::operations::job::{CatchUp, Cause, CommandState, Firing, JobId, JobRecord, Made, Overlap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// The name of the job.
    pub id: JobId,
    /// Five fields as in a crontab, or a name such as `@daily`.
    pub schedule: String,
    /// IANA name of its time zone; absent: the machine's.
    pub tz: Option<String>,
    /// Whether it fires.
    pub enabled: bool,
    /// The tasks that it makes, with `{{date}}` and others in the title.
    #[serde(flatten)]
    pub task: TaskDraft,
    /// The tasks that must be done before these.
    pub depends_on: Vec<TaskId>,
    /// Who the tasks are for.
    pub assignee: Option<String>,
    /// The command that it runs instead of making tasks.
    pub run: Option<String>,
    /// How long the command may take.
    pub timeout_seconds: Option<u64>,
    /// What becomes of times that passed while no daemon ran.
    pub catch_up: CatchUp,
    /// What becomes of a time at which the firing before is still under way.
    pub overlap: Overlap,
    /// It fires up to so much later.
    pub jitter_seconds: u64,
    /// When it fires next; absent where it is switched off.
    pub next_at: Option<Timestamp>,
    /// Its last firing is still under way.
    pub busy: bool,
    /// So many of its times wait for that.
    pub waiting: u64,
    /// The task that it made last.
    pub last_task: Option<TaskId>,
    /// Its last firings, newest first; in lists the last one only.
    pub firings: Vec<FiringView>,
}

impl JobView {
    /// Creates the view of a job.
    pub fn new(record: &JobRecord, next_at: Option<Timestamp>, busy: bool, firings: Vec<FiringView>) -> Self {
        let (spec, task) = (&record.spec, &record.spec.task);
        Self {
            id: spec.id.clone(),
            schedule: spec.schedule.clone(),
            tz: spec.tz.clone(),
            enabled: spec.enabled,
            task: task.into(),
            depends_on: task.depends_on.clone(),
            assignee: task.assignee.clone(),
            run: spec.run.clone(),
            timeout_seconds: spec.run.is_some().then(|| spec.timeout()),
            catch_up: spec.catch_up,
            overlap: spec.overlap(),
            jitter_seconds: spec.jitter_seconds,
            next_at,
            busy,
            waiting: record.waiting.len() as u64,
            last_task: record.last_task,
            firings,
        }
    }
}

/// What came of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MadeView {
    /// A task.
    Task,
    /// A command ran, or runs.
    Command,
    /// Nothing; `why` tells.
    Nothing,
}

/// One firing of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FiringView {
    /// The name of the job.
    pub job: JobId,
    /// The time for which it fired.
    pub due: Timestamp,
    /// When it fired.
    pub at: Timestamp,
    /// Why it fired.
    pub cause: Cause,
    /// What came of it.
    pub made: MadeView,
    /// The id of the task.
    pub task_id: Option<TaskId>,
    /// How the command ended; absent while it runs.
    pub state: Option<CommandState>,
    /// The exit code of the command.
    pub exit_code: Option<i32>,
    /// How long the command took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The last of what it printed.
    pub output_tail: Option<String>,
    /// The file with all of it.
    pub output: Option<PathBuf>,
    /// Why nothing came of it.
    pub why: Option<String>,
}

impl FiringView {
    /// Creates the view of a firing; `output` is the file with the output of its command.
    pub fn new(firing: &Firing, output: PathBuf) -> Self {
        let none = Self {
            job: firing.job.clone(),
            due: firing.due,
            at: firing.at,
            cause: firing.cause,
            made: MadeView::Nothing,
            task_id: None,
            state: None,
            exit_code: None,
            duration_ms: None,
            output_tail: None,
            output: None,
            why: None,
        };
        match &firing.made {
            Made::Task { task } => Self { made: MadeView::Task, task_id: Some(*task), ..none },
            Made::Nothing { why } => Self { why: Some(why.clone()), ..none },
            Made::Command { end: None, .. } => Self { made: MadeView::Command, ..none },
            Made::Command { end: Some(end), .. } => Self {
                made: MadeView::Command,
                state: Some(end.state),
                exit_code: end.exit_code,
                duration_ms: Some(end.duration_ms),
                output_tail: Some(end.tail.clone()),
                output: Some(output),
                ..none
            },
        }
    }
}

/// A job to add.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewJob {
    /// Its name; without it, one is made from the title.
    pub id: Option<String>,
    /// Five fields as in a crontab, or a name such as `@daily`.
    pub schedule: String,
    /// IANA name of its time zone; without it, the machine's.
    pub tz: Option<String>,
    /// The tasks that it makes.
    #[serde(flatten)]
    pub task: TaskDraft,
    /// A command to run instead of making tasks.
    pub run: Option<String>,
    /// How long it may take: `90s`, `10m`.
    pub timeout: Option<String>,
    /// `true`: it is added, and does not fire before it is enabled.
    pub disabled: bool,
    /// What becomes of times that passed while no daemon ran; by default `once`.
    pub catch_up: Option<CatchUp>,
    /// What becomes of a time at which the firing before is still under way; `skip`, with `catch_up: all` `queue`.
    pub overlap: Option<Overlap>,
    /// It fires up to so much later: `5m`.
    pub jitter: Option<String>,
}

/// A time that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpcomingView {
    /// The name of the job.
    pub job: JobId,
    /// The time of its schedule.
    pub due: Timestamp,
    /// When it fires: later by its share of `jitter`.
    pub at: Timestamp,
    /// The same on the clock of its zone, with the zone.
    pub local: String,
    /// The task's title, or the command.
    pub what: String,
}
