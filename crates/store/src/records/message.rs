//! The record of a message as the answer to a request. The journal's table of messages has columns instead.

use super::records;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::message::{Author, Message, MessageId, MessageState, Via};

records! {
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

    enum AuthorRecord = Author {
        Person = "person",
        Orch = "orch",
    }

    enum ViaRecord = Via {
        Live = "live",
        Prompt = "prompt",
    }

    enum MessageStateRecord = MessageState {
        Queued = "queued",
        Delivered = "delivered",
        Refused = "refused",
    }
}
