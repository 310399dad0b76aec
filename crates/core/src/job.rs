//! What recurs: a job of `jobs.yml`, what orch remembers of it, and each of its firings. Plain data; when it fires is
//! decided in [`due`].

pub mod due;
pub mod title;

use super::ids::TaskId;
use super::names::{LONGEST_NAME, fingerprint, is_plain};
use super::route::Complexity;
use super::task::Spec;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How many of its last times are remembered of a job.
pub const REMEMBERED: usize = 256;
/// How long a command may take when the job does not say.
pub const TIMEOUT: SignedDuration = SignedDuration::from_mins(30);
/// The longest delay and the longest time limit that a job may have.
pub const LONGEST_SPAN: SignedDuration = SignedDuration::from_hours(24);

/// The name of a job: letters, digits, `.`, `_` and `-`; unique within one `ORCH_HOME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct JobId(String);

/// Why a text is no name of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a job: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadJobId(pub String);

impl JobId {
    /// As text, safe as a file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that a title makes: `triage-new-issues`.
    pub fn of_title(title: &str) -> Self {
        let mut name = String::new();
        for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let room = LONGEST_NAME / 2 - name.len();
            if word.len() + 1 > room {
                break;
            }
            name.push_str(if name.is_empty() { "" } else { "-" });
            name.push_str(&word.to_ascii_lowercase());
        }
        Self(if name.is_empty() { format!("job-{:08x}", fingerprint(title.as_bytes()) as u32) } else { name })
    }

    /// The same name with a number behind it.
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

/// What becomes of times that passed while nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// Nothing.
    Skip,
    /// They are made up for by one firing.
    #[default]
    Once,
    /// Each is made up for, the newest hundred of them.
    All,
}

impl CatchUp {
    /// All, as they are written.
    pub const ALL: [(&'static str, Self); 3] = [("skip", Self::Skip), ("once", Self::Once), ("all", Self::All)];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

/// What becomes of a time at which the firing before is still under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing.
    #[default]
    Skip,
    /// It waits until the other is over.
    Queue,
    /// Both are under way.
    Allow,
}

impl Overlap {
    /// All, as they are written.
    pub const ALL: [(&'static str, Self); 3] = [("skip", Self::Skip), ("queue", Self::Queue), ("allow", Self::Allow)];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }
}

/// A job as the person wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Its name.
    pub id: JobId,
    /// Five fields, or a name for them; found good.
    pub schedule: String,
    /// The IANA name of its time zone; `None`: the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    /// What stands in each task that it makes; title and body are templates.
    pub task: Spec,
    /// A command that it runs instead of making tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// How long the command may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Whether it fires.
    pub enabled: bool,
    /// See [`CatchUp`].
    pub catch_up: CatchUp,
    /// See [`Overlap`]; `None`: as `catch_up` suggests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// It fires up to so much later, always by the same.
    #[serde(default)]
    pub jitter_seconds: u64,
}

impl JobSpec {
    /// What holds where nothing is said: who wants every time made up for does not want the second of them skipped.
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or(match self.catch_up {
            CatchUp::Skip | CatchUp::Once => Overlap::Skip,
            CatchUp::All => Overlap::Queue,
        })
    }

    /// By how much it fires later than its times: a share of `jitter` that its name decides, so that it is the same
    /// after a crash, and times keep their order.
    pub fn delay(&self) -> SignedDuration {
        let share = fingerprint(self.id.as_str().as_bytes()) % (self.jitter_seconds + 1);
        SignedDuration::from_secs(i64::try_from(share).unwrap_or(0))
    }

    /// How long its command may take, in seconds.
    pub fn timeout(&self) -> u64 {
        self.timeout_seconds.unwrap_or(TIMEOUT.unsigned_abs().as_secs())
    }

    /// The command that it runs, not begun.
    pub fn command(&self) -> Option<Made> {
        let (run, dir) = (self.run.clone()?, self.task.dir.clone());
        Some(Made::Command { run, dir, timeout_seconds: self.timeout(), end: None })
    }

    /// Times are counted anew when these differ: what was due before is nobody's wish any more.
    fn counts_as(&self, other: &Self) -> bool {
        self.schedule == other.schedule && self.tz == other.tz && self.enabled == other.enabled
    }
}

/// What orch remembers of a job. Stored together with each firing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The last form of it that read.
    pub spec: JobSpec,
    /// Times up to this one are dealt with.
    pub through: Timestamp,
    /// The latest times that were dealt with one by one, in seconds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub recent: BTreeSet<i64>,
    /// Of times up to this one it is not remembered whether they were dealt with one by one: they count as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Timestamp>,
    /// Times that wait until the firing before is over.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub waiting: VecDeque<Timestamp>,
    /// The task that it made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_task: Option<TaskId>,
}

impl JobRecord {
    /// A job that is seen for the first time: nothing before `now` counts.
    pub fn new(spec: JobSpec, now: Timestamp) -> Self {
        Self { spec, through: now, recent: BTreeSet::new(), forgotten: None, waiting: VecDeque::new(), last_task: None }
    }

    /// The same job as the person wants it now.
    pub fn becomes(&self, spec: JobSpec, now: Timestamp) -> Self {
        if self.spec.counts_as(&spec) {
            return Self { spec, ..self.clone() };
        }
        // What a person has changed just now is to count, also where the clock was ahead before.
        Self { spec, through: now, forgotten: None, waiting: VecDeque::new(), ..self.clone() }
    }

    /// This time was dealt with.
    pub fn remember(&mut self, due: Timestamp) {
        self.recent.insert(due.as_second());
        while self.recent.len() > REMEMBERED {
            let gone = self.recent.pop_first().and_then(|gone| Timestamp::from_second(gone).ok());
            self.forgotten = self.forgotten.max(gone);
        }
    }

    /// This time was dealt with by itself before.
    pub fn remembers(&self, due: Timestamp) -> bool {
        self.recent.contains(&due.as_second())
    }

    /// Times up to this one are dealt with at `now`. Where the clock stands before that, it was ahead or is wrong now: what
    /// comes up to then comes again, but for what is remembered.
    pub fn rewind(&mut self, now: Timestamp) {
        let known = self.through.min(now);
        self.through = self.forgotten.map_or(known, |forgotten| forgotten.max(known));
    }
}

/// Why a job fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its time came.
    Schedule,
    /// Its time had passed while nobody looked.
    CatchUp,
    /// Its time had come while the firing before was under way.
    Queue,
    /// A person asked for it.
    Person,
}

impl Cause {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::CatchUp => "catch_up",
            Self::Queue => "queue",
            Self::Person => "person",
        }
    }
}

/// What makes two firings the same: the job, and its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiringKey {
    /// The job.
    pub job: JobId,
    /// The time for which it fired; for one that a person asked for, when that was.
    pub due: Timestamp,
}

impl FiringKey {
    /// Safe as a file name and as the mark of processes.
    pub fn name(&self) -> String {
        format!("{}-{}", self.job, self.due.as_millisecond())
    }
}

impl fmt::Display for FiringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.job, self.due.strftime("%FT%TZ"))
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// With exit code 0.
    Passed,
    /// With another one, or by a signal.
    Failed,
    /// It took too long and was ended.
    TimedOut,
    /// It could not be started.
    NotStarted,
    /// orch ended while it ran; what became of it is not known, and it is not run again.
    Lost,
}

impl CommandState {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotStarted => "not_started",
            Self::Lost => "lost",
        }
    }

    /// For a person, after "its command".
    pub fn told(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "took too long and was ended",
            Self::NotStarted => "could not be started",
            Self::Lost => "was under way when orch ended, and is not run again",
        }
    }
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandEnd {
    /// How.
    pub state: CommandState,
    /// Its exit code, where it had one.
    pub exit_code: Option<i32>,
    /// How long it took.
    pub duration_ms: u64,
    /// The last of what it printed; or why it could not be started.
    pub tail: String,
}

/// What came of a firing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "made", rename_all = "snake_case")]
pub enum Made {
    /// A task.
    Task {
        /// Which.
        task: TaskId,
    },
    /// A command was started, or is to be.
    Command {
        /// Which, for a shell.
        run: String,
        /// Where; `None`: in the only project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dir: Option<PathBuf>,
        /// How long it may take.
        timeout_seconds: u64,
        /// Its end, when that came.
        end: Option<CommandEnd>,
    },
    /// Nothing, and why.
    Nothing {
        /// For a person.
        why: String,
    },
}

/// One firing of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// The job.
    pub job: JobId,
    /// The time for which it fired.
    pub due: Timestamp,
    /// When it did.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// What came of it.
    #[serde(flatten)]
    pub made: Made,
}

impl Firing {
    /// What makes it the same as another.
    pub fn key(&self) -> FiringKey {
        FiringKey { job: self.job.clone(), due: self.due }
    }

    /// Its command is under way, or to be begun.
    pub fn is_open(&self) -> bool {
        match &self.made {
            Made::Command { end, .. } => end.is_none(),
            Made::Task { .. } | Made::Nothing { .. } => false,
        }
    }
}

/// Reads a span of time: `90s`, `5m`, `1h 30m`, or a plain number of seconds.
///
/// # Errors
/// It is none, is negative, or longer than a day; in words.
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

/// The complexity that a word names.
///
/// # Errors
/// None of that name.
pub fn parse_complexity(text: &str) -> Result<Complexity, String> {
    text.parse().map_err(|error: <Complexity as FromStr>::Err| error.to_string())
}

#[cfg(test)]
mod tests;
