//! The records of notices on their way to channels.

use super::{is_zero, record};
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::notices::notice::{About, Notice, NoticeKind};
use orch_core::notices::outbox::{OutboxItem, Stage};
use orch_core::operations::channel::{Button, ChannelKind, Press};

record! {
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
}

record! {
    enum ChannelKindRecord = ChannelKind {
        Telegram = "telegram",
        Discord = "discord",
        Webhook = "webhook",
        Desktop = "desktop",
    }
}

record! {
    #[serde(tag = "state")]
    enum StageRecord = Stage {
        Pending = "pending",
        Sent { at: Timestamp, message: Option<String> } = "sent",
        Merged { into: u64 } = "merged",
        Dead { at: Timestamp, why: String } = "dead",
    }
}

record! {
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
}

record! {
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
}

record! {
    struct AboutRecord = About {
        task: TaskId,
        title: String,
        project: Option<String>,
        labels: Vec<String>,
    }
}

record! {
    struct ButtonRecord = Button {
        label: String,
        press: Press,
    }
}

record! {
    enum PressRecord = Press {
        Approve { task: TaskId, commit: String } = "approve",
        RequestChanges { task: TaskId, commit: String } = "request_changes",
        ShowDiff { task: TaskId } = "show_diff",
        Retry {
            task: TaskId,
            #[serde(default)]
            since: Option<Timestamp>,
        } = "retry",
        Unblock {
            task: TaskId,
            #[serde(default)]
            since: Option<Timestamp>,
        } = "unblock",
        Cancel {
            task: TaskId,
            #[serde(default)]
            since: Option<Timestamp>,
        } = "cancel",
    }
}
