//! The record of a message as the answer to a request. The journal's table of messages has columns instead.

use super::record;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::message::{Author, Message, MessageId, MessageState, Via};

record! {
    struct MessageRecord = Message {
        id: MessageId,
        task: TaskId,
        from: Author,
        run: Option<RunId>,
        via: Option<Via>,
        text: String,
        sent_at: Timestamp,
        state: MessageState,
        detail: String,
        settled_at: Option<Timestamp>,
    }
}

record! {
    enum AuthorRecord = Author {
        Person = "person",
        Orch = "orch",
    }
}

record! {
    enum ViaRecord = Via {
        Live = "live",
        Prompt = "prompt",
    }
}

record! {
    enum MessageStateRecord = MessageState {
        Queued = "queued",
        Delivered = "delivered",
        Refused = "refused",
    }
}
