//! What is worth telling a person, as data. PURE: what the history's line and its task say, and nothing of any channel.

use super::channel::Button;
use super::ids::TaskId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a notice is about. The words are those of `events:` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Somebody who is not on the list spoke to the bot.
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
        match self {
            Self::Question => "question",
            Self::Approval => "approval",
            Self::Failed => "failed",
            Self::Finished => "finished",
            Self::Batch => "batch",
            Self::Budget => "budget",
            Self::Login => "login",
            Self::Limit => "limit",
            Self::Trouble => "trouble",
            Self::Stranger => "stranger",
            Self::Note => "note",
            Self::Summary => "summary",
        }
    }

    /// Something went wrong, or waits for the person: what `errors_only` lets through, beside what a person says.
    pub fn is_error(self) -> bool {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Something that a person is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}
