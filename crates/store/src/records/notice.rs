//! The records of notices on their way to channels.

use super::{is_zero, records};
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::notices::notice::{About, Notice, NoticeKind};
use orch_core::notices::outbox::{OutboxItem, Stage};
use orch_core::operations::channel::{Button, ChannelKind, Press};

records! {
    struct OutboxItemRecord = OutboxItem {
        id: u64,
        channel: ChannelKind,
        notice: Notice,
        #[serde(flatten)]
        state: Stage,
        attempts: u32,
        not_before: Timestamp,
        #[serde(default, skip_serializing_if = "is_zero")]
        streak: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }

    enum ChannelKindRecord = ChannelKind {
        Telegram = "telegram",
        Discord = "discord",
        Webhook = "webhook",
        Desktop = "desktop",
    }

    #[serde(tag = "state")]
    enum StageRecord = Stage {
        Pending = "pending",
        Sent { at: Timestamp, message: Option<String> } = "sent",
        Merged { into: u64 } = "merged",
        Dead { at: Timestamp, why: String } = "dead",
    }

    struct NoticeRecord = Notice {
        seq: u64,
        at: Timestamp,
        kind: NoticeKind,
        event: String,
        about: Option<About>,
        cause: String,
        text: String,
        buttons: Vec<Button>,
        is_critical: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        went_wrong: bool,
    }

    enum NoticeKindRecord = NoticeKind {
        Question = "question",
        Approval = "approval",
        Failed = "failed",
        Finished = "finished",
        Batch = "batch",
        Budget = "budget",
        Login = "login",
        Limit = "limit",
        Trouble = "trouble",
        Stranger = "stranger",
        Note = "note",
        Summary = "summary",
    }

    struct AboutRecord = About {
        task: TaskId,
        title: String,
        project: Option<String>,
        labels: Vec<String>,
    }

    struct ButtonRecord = Button {
        label: String,
        press: Press,
    }

    enum PressRecord = Press {
        Approve { task: TaskId, commit: String } = "approve",
        RequestChanges { task: TaskId, commit: String } = "request_changes",
        ShowDiff { task: TaskId } = "show_diff",
        Retry {
            task: TaskId,
            since: Option<Timestamp>,
        } = "retry",
        Unblock {
            task: TaskId,
            since: Option<Timestamp>,
        } = "unblock",
        Cancel {
            task: TaskId,
            since: Option<Timestamp>,
        } = "cancel",
    }
}
