//! Facts of a home: jobs, the person's files, the daemon, repositories, worktrees and channels.

use super::facts;
use crate::operations::channel::ChannelKind;
use crate::operations::job::{CatchUp, Cause, CommandState, JobId};
use crate::operations::pause::{Pause, PauseScope};
use crate::operations::service::ShutdownMode;
use crate::planning::breaker::Target;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

facts! {
    /// Jobs that recur.
    JobFact {
        /// `jobs.yml` has a new one.
        "job_added" Added {
            /// Which.
            job: JobId,
            /// When it fires.
            schedule: String,
            /// It is switched on.
            enabled: bool,
        },
        /// It is another one in `jobs.yml`.
        "job_changed" Changed {
            /// Which.
            job: JobId,
            /// When it fires.
            schedule: String,
            /// It is switched on.
            enabled: bool,
        },
        /// `jobs.yml` has it no more.
        "job_removed" Removed {
            /// Which.
            job: JobId,
        },
        /// It fired.
        "job_fired" Fired {
            /// Which.
            job: JobId,
            /// For which time.
            due: Due,
            /// Why.
            cause: Cause,
            /// What it makes.
            makes: Fired,
        },
        /// A time waits for the firing before.
        "job_queued" Queued {
            /// Which.
            job: JobId,
            /// For which time.
            due: Due,
        },
        /// A time is left out.
        "job_skipped" Skipped {
            /// Which.
            job: JobId,
            /// For which time.
            due: Due,
            /// Why.
            why: String,
        },
        /// Times passed, and are not made up for.
        "job_missed" Missed {
            /// Which.
            job: JobId,
            /// The first that is known.
            first: Due,
            /// The last that is known.
            last: Due,
            /// How many are known.
            count: usize,
            /// There were earlier ones.
            more: bool,
            /// Its rule.
            catch_up: CatchUp,
        },
        /// Its command ended well.
        "job_ran" Ran(CommandRun),
        /// It came to nothing.
        "job_failed" Failed(JobFailure),
    }
}

/// A time at which a job fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// The same in the job's time zone, for a person.
    pub local: String,
}

/// What a job makes when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fired {
    /// A task.
    Task,
    /// A run of its command.
    Command,
}

/// A job's command that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRun {
    /// Of which job.
    pub job: JobId,
    /// How it ended.
    pub state: CommandState,
    /// Its exit code, where it has one.
    pub exit_code: Option<i32>,
    /// How long it took.
    pub duration_ms: u64,
    /// The last line that it printed.
    pub last_line: Option<String>,
}

/// Why a job came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum JobFailure {
    /// No task could be made.
    Task {
        /// Of which job.
        job: JobId,
        /// For which time.
        due: Due,
        /// Why.
        why: String,
    },
    /// Its command failed.
    Command(CommandRun),
}

facts! {
    /// Files of the person.
    FileFact {
        /// Something is wrong in the configuration.
        "config_problem" ConfigProblem {
            /// One line each.
            problems: Vec<String>,
        },
        /// Something is wrong with `tasks.yml` or `jobs.yml`.
        "file_problem" Problem(FileProblem),
    }
}

/// What is wrong with a file of the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum FileProblem {
    /// It was read.
    Read {
        /// One line each.
        problems: Vec<String>,
    },
    /// Something could not be written to `tasks.yml`.
    NotWritten {
        /// What, and why.
        refused: Vec<String>,
    },
}

facts! {
    /// The daemon and what it switches.
    ServiceFact {
        /// An earlier daemon is gone without a word.
        "service_lost" Lost {
            /// Its version.
            version: String,
            /// Its process.
            pid: u32,
            /// What is known.
            why: String,
        },
        /// The daemon starts itself anew.
        "service_respawn" Respawns {
            /// The memory that it uses.
            used_mb: u64,
            /// The memory that it may use.
            limit_mb: u64,
        },
        /// The daemon leaves.
        "shutting_down" ShutsDown {
            /// How.
            mode: ShutdownMode,
            /// Why.
            why: String,
        },
        /// A person paused something.
        "paused" Paused(Pause),
        /// A person ended a pause.
        "resumed" Resumed {
            /// Of what.
            of: PauseScope,
            /// Who.
            by: String,
        },
        /// The system is in the way of the work.
        "hindered" Hindered(Hindrance),
        /// A damaged journal was rebuilt.
        "journal_rebuilt" JournalRebuilt {
            /// What was damaged.
            cause: String,
            /// Tasks in the new journal.
            tasks: usize,
            /// Those whose state a person is asked for.
            asked: usize,
            /// Runs in the new journal.
            runs: usize,
            /// Things that are lost.
            lost: usize,
            /// The path of the report.
            report: PathBuf,
        },
        /// Failure followed failure, and nothing begins.
        "breaker.opened" BreakerOpened {
            /// Where.
            target: Target,
            /// Until when, where that is known.
            until: Option<Timestamp>,
            /// After so many failures.
            failures: usize,
            /// The last one.
            detail: String,
        },
        /// One at a time may try.
        "breaker.half_open" BreakerHalfOpen {
            /// Where.
            target: Target,
        },
        /// All may go on.
        "breaker.closed" BreakerClosed(BreakerClosed),
    }
}

/// What is in the way of the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Hindrance {
    /// The journal could not be written for a while, and can be again.
    Storage {
        /// Since when.
        since: Timestamp,
        /// Why.
        error: String,
    },
    /// Jobs of the engine fail and are tried again.
    Outside {
        /// What fails, and what is done.
        detail: String,
    },
}

/// How a breaker was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum BreakerClosed {
    /// A run went well.
    Recovered {
        /// Where.
        target: Target,
    },
    /// A person closed it.
    ByHand {
        /// Where.
        target: Target,
    },
    /// A person ended the time in which an agent or a provider is left alone.
    CooldownEnded {
        /// Its name.
        name: String,
    },
}

facts! {
    /// Registered repositories.
    ProjectFact {
        /// A person registered one.
        "project_registered" Registered {
            /// Its name.
            name: String,
            /// Its main checkout.
            dir: PathBuf,
        },
        /// A person removed one from the list.
        "project_removed" Removed {
            /// Its name.
            name: String,
            /// Its main checkout.
            dir: PathBuf,
        },
    }
}

facts! {
    /// Worktrees that are removed.
    GcFact {
        /// One was removed.
        "gc.removed" Removed {
            /// Which.
            worktree: PathBuf,
            /// How large it was.
            bytes: u64,
            /// Its branch went with it.
            with_branch: bool,
        },
        /// A removal that was cut off was brought to its end.
        "gc.settled" Settled {
            /// Which.
            worktree: PathBuf,
            /// How.
            detail: String,
        },
    }
}

facts! {
    /// What is said in channels.
    ChannelFact {
        /// A person says something in all of them.
        "notice" Note {
            /// What.
            text: String,
        },
        /// A person says something in Telegram.
        "notice.telegram" NoteInTelegram {
            /// What.
            text: String,
        },
        /// A person says something in Discord.
        "notice.discord" NoteInDiscord {
            /// What.
            text: String,
        },
        /// A person says something to the webhook.
        "notice.webhook" NoteInWebhook {
            /// What.
            text: String,
        },
        /// A person says something on the desktop.
        "notice.desktop" NoteOnDesktop {
            /// What.
            text: String,
        },
        /// A person who is not on the list spoke to a bot.
        "stranger" Stranger {
            /// Who, and what.
            text: String,
        },
    }
}

impl ChannelFact {
    /// Words of a person, for one channel or for all.
    pub fn note(channel: Option<ChannelKind>, text: String) -> Self {
        match channel {
            None => Self::Note { text },
            Some(ChannelKind::Telegram) => Self::NoteInTelegram { text },
            Some(ChannelKind::Discord) => Self::NoteInDiscord { text },
            Some(ChannelKind::Webhook) => Self::NoteInWebhook { text },
            Some(ChannelKind::Desktop) => Self::NoteOnDesktop { text },
        }
    }

    /// Whether it is to be said in this channel.
    pub fn is_for(&self, channel: ChannelKind) -> bool {
        match self {
            Self::Note { .. } | Self::Stranger { .. } => true,
            Self::NoteInTelegram { .. } => channel == ChannelKind::Telegram,
            Self::NoteInDiscord { .. } => channel == ChannelKind::Discord,
            Self::NoteInWebhook { .. } => channel == ChannelKind::Webhook,
            Self::NoteOnDesktop { .. } => channel == ChannelKind::Desktop,
        }
    }

    /// The words.
    pub fn words(&self) -> &str {
        let (Self::Note { text }
        | Self::NoteInTelegram { text }
        | Self::NoteInDiscord { text }
        | Self::NoteInWebhook { text }
        | Self::NoteOnDesktop { text }
        | Self::Stranger { text }) = self;
        text
    }
}
