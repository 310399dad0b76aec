//! Recurring jobs: a job of `jobs.yml`, what orch remembers of it, and its firings. Plain data; [`due`] decides when a
//! job fires.

pub mod due;
pub mod title;

use crate::base::ids::TaskId;
use crate::base::names::{LONGEST_NAME, fingerprint, is_plain};
use crate::tasks::route::Complexity;
use crate::tasks::task::Spec;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use strum::IntoStaticStr;

/// The most past times remembered per job.
pub const REMEMBERED: usize = 256;
/// The default time limit of a command.
pub const TIMEOUT: SignedDuration = SignedDuration::from_mins(30);
/// The longest delay and the longest time limit of a job.
pub const LONGEST_SPAN: SignedDuration = SignedDuration::from_hours(24);

/// The name of a job: letters, digits, `.`, `_` and `-`; unique within one `ORCH_HOME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct JobId(String);

/// A text that is not a valid job name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a job: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadJobId(pub String);

impl JobId {
    /// Returns the name as text, safe as a file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Derives a name from a title: `triage-new-issues`.
    pub fn of_title(title: &str) -> Self {
        let mut name = String::new();
        for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let space = LONGEST_NAME / 2 - name.len();
            if word.len() + 1 > space {
                break;
            }
            name.push_str(if name.is_empty() { "" } else { "-" });
            name.push_str(&word.to_ascii_lowercase());
        }
        Self(if name.is_empty() { format!("job-{:08x}", fingerprint(title.as_bytes()) as u32) } else { name })
    }

    /// Returns the name with a number appended.
    pub fn numbered(&self, number: usize) -> Self {
        Self(format!("{}-{number}", self.0))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobId {
    type Err = BadJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text) { Ok(Self(text.to_owned())) } else { Err(BadJobId(text.chars().take(100).collect())) }
    }
}

/// What happens to times that were missed while orch did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CatchUp {
    /// They are dropped.
    Skip,
    /// One firing makes up for all of them.
    #[default]
    Once,
    /// Each is made up for, up to the newest hundred.
    All,
}

impl CatchUp {
    /// All values with their names.
    pub const ALL: [(&'static str, Self); 3] = [("skip", Self::Skip), ("once", Self::Once), ("all", Self::All)];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What happens to a time at which the previous firing is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Overlap {
    /// It is dropped.
    #[default]
    Skip,
    /// It waits for the previous firing to end.
    Queue,
    /// Both run.
    Allow,
}

impl Overlap {
    /// All values with their names.
    pub const ALL: [(&'static str, Self); 3] = [("skip", Self::Skip), ("queue", Self::Queue), ("allow", Self::Allow)];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A job as the person configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// The job's name.
    pub id: JobId,
    /// A valid cron expression of five fields, or a name for one.
    pub schedule: String,
    /// The IANA name of the time zone; `None` means the machine's.
    pub tz: Option<String>,
    /// The spec of each task that it creates; title and body are templates.
    pub task: Spec,
    /// A command to run instead of creating tasks.
    pub run: Option<String>,
    /// The time limit of the command, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Whether the job fires.
    pub enabled: bool,
    /// What happens to missed times.
    pub catch_up: CatchUp,
    /// What happens when firings overlap; the default follows from `catch_up`.
    pub overlap: Option<Overlap>,
    /// The maximum delay of its firings; a job's own delay is constant.
    pub jitter_seconds: u64,
}

impl JobSpec {
    /// Returns the overlap rule. By default every time is kept only if `catch_up` asks for all of them.
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or(match self.catch_up {
            CatchUp::Skip | CatchUp::Once => Overlap::Skip,
            CatchUp::All => Overlap::Queue,
        })
    }

    /// Returns how much later than its times the job fires: a share of `jitter_seconds` derived from its name, so that
    /// it survives a crash and times keep their order.
    pub fn delay(&self) -> SignedDuration {
        let share = fingerprint(self.id.as_str().as_bytes()) % (self.jitter_seconds + 1);
        SignedDuration::from_secs(i64::try_from(share).unwrap_or(0))
    }

    /// Returns the time limit of its command, in seconds.
    pub fn timeout(&self) -> u64 {
        self.timeout_seconds.unwrap_or(TIMEOUT.unsigned_abs().as_secs())
    }

    /// Returns the command as a firing that has not started.
    pub fn command(&self) -> Option<Made> {
        let (run, dir) = (self.run.clone()?, self.task.dir.clone());
        Some(Made::Command { run, dir, timeout_seconds: self.timeout(), end: None })
    }

    /// Returns whether the timing is the same. If it differs, times that were due before are dropped.
    fn has_same_timing(&self, other: &Self) -> bool {
        self.schedule == other.schedule && self.tz == other.tz && self.enabled == other.enabled
    }
}

/// What orch remembers of a job. Stored together with each firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// The last valid version of its configuration.
    pub spec: JobSpec,
    /// Times up to this one are handled.
    pub through: Timestamp,
    /// The latest times handled individually, in seconds.
    pub recent: BTreeSet<i64>,
    /// Times up to this one count as handled; which of them were is no longer remembered.
    pub forgotten: Option<Timestamp>,
    /// Times that wait for the previous firing to end.
    pub waiting: VecDeque<Timestamp>,
    /// The last task that it created.
    pub last_task: Option<TaskId>,
}

impl JobRecord {
    /// Creates the record of a new job: times before `now` do not count.
    pub fn new(spec: JobSpec, now: Timestamp) -> Self {
        Self { spec, through: now, recent: BTreeSet::new(), forgotten: None, waiting: VecDeque::new(), last_task: None }
    }

    /// Returns the record after a change of the configuration.
    pub fn with_spec(&self, spec: JobSpec, now: Timestamp) -> Self {
        if self.spec.has_same_timing(&spec) {
            return Self { spec, ..self.clone() };
        }
        // A change by the person counts from now, even if the clock was ahead before.
        Self { spec, through: now, forgotten: None, waiting: VecDeque::new(), ..self.clone() }
    }

    /// Records that a time was handled.
    pub fn remember(&mut self, due: Timestamp) {
        self.recent.insert(due.as_second());
        while self.recent.len() > REMEMBERED {
            let gone = self.recent.pop_first().and_then(|gone| Timestamp::from_second(gone).ok());
            self.forgotten = self.forgotten.max(gone);
        }
    }

    /// Returns whether a time was handled individually.
    pub fn remembers(&self, due: Timestamp) -> bool {
        self.recent.contains(&due.as_second())
    }

    /// Limits the handled times to `now`. If the clock was ahead before, the times since then fire again, except for
    /// those remembered.
    pub fn rewind(&mut self, now: Timestamp) {
        let known = self.through.min(now);
        self.through = self.forgotten.map_or(known, |forgotten| forgotten.max(known));
    }
}

/// Why a job fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// It was time.
    Schedule,
    /// Its time was missed while orch did not run.
    CatchUp,
    /// Its time came while the previous firing was running.
    Queue,
    /// A person asked for it.
    Person,
}

impl Cause {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The identity of a firing: the job and its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiringKey {
    /// The job.
    pub job: JobId,
    /// The time for which it fired; for a firing requested by a person, the time of the request.
    pub due: Timestamp,
}

impl FiringKey {
    /// Returns a name that is safe as a file name and as the mark of processes.
    pub fn name(&self) -> String {
        format!("{}-{}", self.job, self.due.as_millisecond())
    }
}

impl fmt::Display for FiringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.job, self.due.strftime("%FT%TZ"))
    }
}

/// The result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CommandState {
    /// Exit code 0.
    Passed,
    /// Another exit code, or a signal.
    Failed,
    /// It was stopped at its time limit.
    TimedOut,
    /// It could not be started.
    NotStarted,
    /// orch ended while it ran; its result is unknown, and it is not run again.
    Lost,
}

impl CommandState {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Describes the result, to follow "its command".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "took too long and was ended",
            Self::NotStarted => "could not be started",
            Self::Lost => "was under way when orch ended, and is not run again",
        }
    }
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandEnd {
    /// How it ended.
    pub state: CommandState,
    /// The exit code, if there is one.
    pub exit_code: Option<i32>,
    /// The run time in milliseconds.
    pub duration_ms: u64,
    /// The end of its output, or why it could not be started.
    pub tail: String,
}

/// The result of a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A task was created.
    Task {
        /// The task.
        task: TaskId,
    },
    /// A command was started or will be.
    Command {
        /// The shell command.
        run: String,
        /// The working directory; `None` means the only project.
        dir: Option<PathBuf>,
        /// The time limit, in seconds.
        timeout_seconds: u64,
        /// The command's result, once it has ended.
        end: Option<CommandEnd>,
    },
    /// Nothing was done.
    Nothing {
        /// The reason, for a person.
        why: String,
    },
}

/// One firing of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The job.
    pub job: JobId,
    /// The time for which it fired.
    pub due: Timestamp,
    /// When it fired.
    pub at: Timestamp,
    /// The cause.
    pub cause: Cause,
    /// The result.
    pub made: Made,
}

impl Firing {
    /// Returns the identity of the firing.
    pub fn key(&self) -> FiringKey {
        FiringKey { job: self.job.clone(), due: self.due }
    }

    /// Returns whether its command is running or will be started.
    pub fn is_open(&self) -> bool {
        match &self.made {
            Made::Command { end, .. } => end.is_none(),
            Made::Task { .. } | Made::Nothing { .. } => false,
        }
    }
}

/// Parses a duration: `90s`, `5m`, `1h 30m`, or a plain number of seconds.
///
/// # Errors
/// The text is no duration, is negative, or is longer than a day; as text.
pub fn parse_span(text: &str) -> Result<u64, String> {
    let seconds = match text.trim().parse::<u64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => text.trim().parse::<SignedDuration>().ok().and_then(|span| u64::try_from(span.as_secs()).ok()),
    };
    let longest = LONGEST_SPAN.unsigned_abs().as_secs();
    seconds
        .filter(|seconds| *seconds <= longest)
        .ok_or_else(|| "expected a time up to a day, such as 90s, 5m or 1h".to_owned())
}

/// Parses the name of a complexity.
///
/// # Errors
/// There is no complexity of that name.
pub fn parse_complexity(text: &str) -> Result<Complexity, String> {
    text.parse().map_err(|error: <Complexity as FromStr>::Err| error.to_string())
}

#[cfg(test)]
mod tests;
