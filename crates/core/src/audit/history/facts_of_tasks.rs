//! Facts of tasks: what they are, what people want of them, what is said to their agents and with which model they run.

use super::{Standing, facts};
use crate::base::ids::TaskId;
use crate::operations::pause::PauseScope;
use crate::tasks::message::{MessageId, Via};
use crate::tasks::spec_merge::FieldChange;
use crate::tasks::task::{BlockedOn, Status};
use serde::{Deserialize, Serialize};

facts! {
    /// What a task is and what people want of it.
    TaskFact {
        /// A person added it.
        "task_added" Added {
            /// Its title.
            title: String,
            /// It was written as one that is over, and is not run.
            over: Option<Status>,
        },
        /// orch made it, for an agent or for a job.
        "task_made" Made {
            /// Its title.
            title: String,
            /// The task whose agent handed it on.
            part_of: Option<TaskId>,
        },
        /// A person changed fields.
        "task_edited" Edited {
            /// Where.
            source: EditSource,
            /// What.
            changes: Vec<FieldChange>,
        },
        /// A person took it out of `tasks.yml`.
        "task_removed" Removed,
        /// A person put it into `tasks.yml` again.
        "task_returned" Returned {
            /// It is over and stays so; otherwise it is taken up again.
            stays: Option<Stays>,
        },
        /// It is written into `tasks.yml` again.
        "put_back" PutBack {
            /// Why.
            why: PutBack,
        },
        /// The file and a command, or the file and orch, say different things.
        "edit_conflict" EditConflict(EditConflict),
        /// A change in `tasks.yml` is not taken over: the task would wait for itself.
        "edit_refused" EditRefused {
            /// The cycle: `2 → 4 → 2`.
            cycle: String,
        },
        /// A status in `tasks.yml` is not taken over.
        "status_refused" StatusRefused {
            /// Which.
            status: Status,
            /// Why; `None`: it comes from an old copy of the file.
            reason: Option<String>,
        },
        /// A person or agent claimed it.
        "claimed" Claimed {
            /// Who.
            by: String,
            /// The owner of the claim.
            before: Option<String>,
        },
        /// Its claim was released.
        "unclaimed" Unclaimed {
            /// Who.
            by: String,
            /// The owner of the claim.
            before: Option<String>,
        },
        /// The next run begins a new conversation.
        "conversation_left" ConversationLeft,
        /// A running task will likely change the same file.
        "overlap" Overlap {
            /// Which task.
            other: TaskId,
            /// Which file.
            file: String,
        },
        /// A person gave it up.
        "cancel_asked" CancelAsked {
            /// Why.
            reason: String,
        },
        /// A person wants it done again.
        "retry_asked" RetryAsked {
            /// How it stood.
            before: Status,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// A person wants it to go on.
        "unblock_asked" UnblockAsked {
            /// How it stood.
            before: Status,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// A message takes it up again.
        "goes_on" GoesOn {
            /// How it stood.
            before: Status,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// A person wants it to run now.
        "run_asked" RunAsked {
            /// Also where that is paused.
            past_pause: bool,
        },
        /// A person interrupts its agent.
        "interrupt_asked" InterruptAsked,
        /// A shutdown interrupts its agent.
        "shutdown_asked" ShutdownAsked,
        /// It waits for something.
        "blocked" Blocked(BlockedOn),
        /// What it waited for is there.
        "unblocked" Unblocked,
        /// It waits for itself.
        "waits_for_itself" WaitsForItself {
            /// Over these tasks.
            cycle: Vec<TaskId>,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// Its state was lost with a damaged journal.
        "journal_doubt" JournalDoubt {
            /// What a person is asked.
            question: String,
        },
    }
}

impl TaskFact {
    pub(super) fn standing(&self) -> Option<&Standing> {
        let (Self::RetryAsked { then, .. }
        | Self::UnblockAsked { then, .. }
        | Self::GoesOn { then, .. }
        | Self::WaitsForItself { then, .. }) = self
        else {
            return None;
        };
        Some(then)
    }
}

/// Where a person edits a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditSource {
    /// By a command or the API.
    Command,
    /// In `tasks.yml`.
    File,
}

/// A task that is over, and whose entry is in `tasks.yml` again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stays {
    /// Which task.
    pub task: TaskId,
    /// What its entry says.
    pub written: Option<Status>,
    /// The state of the task afterwards.
    pub status: Status,
}

/// Why a task is written into `tasks.yml` again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PutBack {
    /// The file was saved from a copy that is older than the task.
    OldCopy,
    /// A person wants it.
    Asked,
}

/// What is at odds about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum EditConflict {
    /// The status was typed before the task moved on; the task's own counts.
    Status {
        /// Which task.
        task: TaskId,
        /// What the file says.
        written: Status,
        /// The state of the task afterwards.
        status: Status,
    },
    /// A field was changed in the file and by a command; the file counts.
    Field {
        /// Its key.
        field: String,
        /// What the file says.
        file: String,
        /// What the command said.
        command: String,
    },
    /// The file repeats what it said before a command changed it; the command counts.
    Echo {
        /// Its key.
        field: String,
        /// What the file says.
        file: String,
        /// What the command said.
        command: String,
    },
    /// The task would wait for itself; what it depends on is not taken over, and written over.
    Cycle {
        /// The cycle: `2 → 4 → 2`.
        cycle: String,
    },
}

facts! {
    /// Which model is used.
    ModelFact {
        /// A person wants a model for the next run.
        "model_asked" Asked {
            /// Which.
            model: String,
        },
        /// What was asked for became a model.
        "model_resolved" Resolved {
            /// What was asked for.
            asked: String,
            /// The model; `None`: the agent's own default.
            model: Option<String>,
            /// Why.
            reason: String,
        },
        /// A person set a model for a while.
        "model_set" Set {
            /// For whom.
            of: PauseScope,
            /// Which.
            model: String,
            /// Who.
            by: String,
        },
        /// A person took that back.
        "model_reset" Reset {
            /// For whom.
            of: PauseScope,
            /// Who.
            by: String,
        },
        /// Money is short, and the dear model stays.
        "model_kept" Kept {
            /// Which.
            model: String,
            /// Why it stays.
            reason: String,
            /// What is short.
            short: String,
        },
        /// Money is short, and a cheaper model is taken.
        "model_degraded" Degraded {
            /// Which.
            model: String,
            /// In place of which, in words.
            choice: String,
            /// What is short.
            short: String,
        },
    }
}

facts! {
    /// What is said to agents.
    MessageFact {
        /// A person said something to a task's agent.
        "message_sent" Sent {
            /// What.
            text: String,
        },
        /// The message will not be heard.
        "message_refused" Refused {
            /// Which.
            message: MessageId,
            /// Why.
            detail: String,
        },
        /// The agent has it.
        "message_delivered" Delivered {
            /// Which.
            message: MessageId,
            /// How.
            via: Via,
        },
    }
}
