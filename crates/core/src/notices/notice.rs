//! What is worth telling a person, as data. PURE: what the history's line and its task say, and nothing of any channel.

mod derive;
mod describe;
pub mod queue;

pub use derive::{Context, Line, Tally, derive, may_tell, summary};
pub use describe::render_message;

use crate::base::ids::TaskId;
use crate::operations::channel::Button;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use strum::IntoStaticStr;

/// What a notice is about. The words are those of `events:` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NoticeKind {
    /// A task asks a person.
    Question,
    /// Work waits for a person's yes.
    Approval,
    /// A task was given up, or failed for good.
    Failed,
    /// A task is done.
    Finished,
    /// A batch is over.
    Batch,
    /// Money runs out, or has.
    Budget,
    /// A provider refuses the credentials.
    Login,
    /// A provider's limit parks tasks.
    Limit,
    /// The daemon is in trouble.
    Trouble,
    /// A person who is not on the list spoke to the bot.
    Stranger,
    /// A person's own words (`orch notify`).
    Note,
    /// What happened in a day.
    Summary,
}

impl NoticeKind {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Question,
        Self::Approval,
        Self::Failed,
        Self::Finished,
        Self::Batch,
        Self::Budget,
        Self::Login,
        Self::Limit,
        Self::Trouble,
        Self::Stranger,
        Self::Note,
        Self::Summary,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether something went wrong or waits for the person.
    fn is_error(self) -> bool {
        match self {
            Self::Question
            | Self::Approval
            | Self::Failed
            | Self::Budget
            | Self::Login
            | Self::Trouble
            | Self::Stranger
            | Self::Note => true,
            Self::Finished | Self::Batch | Self::Limit | Self::Summary => false,
        }
    }
}

/// The task that a notice is about, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Which.
    pub task: TaskId,
    /// Its title, redacted.
    pub title: String,
    /// The name of its project.
    pub project: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
}

/// A message for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The place in the history that it comes from.
    pub seq: u64,
    /// When that happened.
    pub at: Timestamp,
    /// What it is about.
    pub kind: NoticeKind,
    /// The kind of the history's line.
    pub event: String,
    /// The task, where it is about one.
    pub about: Option<About>,
    /// What stays the same when the same happens again.
    pub cause: String,
    /// What is said, redacted; it may have several lines.
    pub text: String,
    /// What can be pressed.
    pub buttons: Vec<Button>,
    /// It passes quiet hours.
    pub is_critical: bool,
    /// Whether it reports a batch that did not end as wanted.
    pub went_wrong: bool,
}

/// The notices that a channel gets; an empty list lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Filter {
    /// These kinds.
    pub events: BTreeSet<NoticeKind>,
    /// Of these projects.
    pub projects: BTreeSet<String>,
    /// Of tasks that have one of these labels.
    pub labels: BTreeSet<String>,
}

impl Filter {
    /// Whether it lets a notice through. What is about no task belongs to no project and passes.
    pub fn passes(&self, notice: &Notice) -> bool {
        let of_task = |about: &About| {
            let is_project = about.project.as_ref().is_some_and(|project| self.projects.contains(project));
            let has_label = about.labels.iter().any(|label| self.labels.contains(label));
            (self.projects.is_empty() || is_project) && (self.labels.is_empty() || has_label)
        };
        (self.events.is_empty() || self.events.contains(&notice.kind)) && notice.about.as_ref().is_none_or(of_task)
    }
}

impl Notice {
    /// Something went wrong, or waits for the person: what `errors_only` lets through, beside what a person says.
    pub fn is_error(&self) -> bool {
        self.kind.is_error() || self.went_wrong
    }

    /// Whether it is sent with a sound, alone or among others: it waits for the person, or cannot wait.
    pub fn is_urgent(&self) -> bool {
        self.is_critical || self.kind.asks() || self.kind == NoticeKind::Stranger
    }

    /// What notices share that are sent as one message: kind and cause, and the task where it matters which.
    pub fn key(&self) -> (NoticeKind, Option<TaskId>, &str) {
        let task = (!self.kind.is_shared()).then(|| self.about.as_ref().map(|about| about.task)).flatten();
        (self.kind, task, &self.cause)
    }

    /// The task it is about, where it is about one only.
    pub fn task(&self) -> Option<TaskId> {
        self.about.as_ref().map(|about| about.task)
    }
}

impl NoticeKind {
    /// One thing outside is behind it, whichever tasks meet it.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Login | Self::Limit | Self::Budget | Self::Trouble | Self::Stranger)
    }

    /// The person is to do something about a task.
    pub fn asks(self) -> bool {
        matches!(self, Self::Question | Self::Approval | Self::Failed)
    }
}
