//! The open conversation with OpenCode. Its one-shot command takes no input while it works, but its server does: the
//! agent's process is the bridge to it (`conversation.rs` decides what the bridge does). The bridge prints the lines of
//! `opencode run`, which the same reader reads, and a few of its own, which this file reads.

use super::bridge_message::{BridgeMessage, DROPPED, ERROR, IDLE, OPENED, Opening, READ, RETRY};
use super::reader::Reader;
use crate::models::agents::errors::by_text;
use crate::models::agents::text::{detail, object, str_at, u64_at};
use crate::models::agents::{EventReader, LiveReader};
use crate::tasks::message::MessageId;
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// The open conversation of one run.
#[derive(Debug, Default)]
pub(super) struct Live {
    reader: Reader,
    opening: Opening,
    /// Whether there is a turn that could be interrupted.
    is_open: bool,
    /// Whether the last line of the bridge was that the turn is over.
    is_idle: bool,
    /// Messages that the agent has not confirmed yet.
    unconfirmed: BTreeMap<MessageId, String>,
    /// The failure after which the server waits to repeat a request, with the time of the next try.
    waiting: Option<Failure>,
}

impl Live {
    pub(super) fn new(opening: &Value) -> Self {
        Self { opening: serde_json::from_value(opening.clone()).unwrap_or_default(), ..Self::default() }
    }

    fn own_line(&mut self, kind: &str, line: &Value) -> Vec<AgentEvent> {
        let message = u64_at(line, "/message").map(MessageId);
        match (kind, message) {
            (OPENED, _) => {
                (self.is_open, self.is_idle) = (true, false);
                self.reader.started(line).into_iter().collect()
            }
            (READ, Some(message)) => {
                self.is_idle = false;
                self.reader.turn_started();
                self.unconfirmed.remove(&message);
                vec![AgentEvent::Heard { message }]
            }
            (DROPPED, Some(message)) => {
                self.unconfirmed.remove(&message);
                Vec::new()
            }
            (RETRY, _) => {
                self.is_idle = false;
                let text = str_at(line, "/text").unwrap_or_default();
                let class = by_text(text).unwrap_or(FailureClass::Overloaded);
                let attempt = u64_at(line, "/attempt").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
                let next = line.get("next").and_then(Value::as_i64);
                let retry_at = next.and_then(|at| Timestamp::from_millisecond(at).ok());
                self.waiting = Some(Failure { retry_at, ..Failure::new(class, detail(text)) });
                vec![AgentEvent::Retry { class, attempt, detail: detail(text) }]
            }
            (ERROR, _) => vec![self.reader.idle_error(line)],
            (IDLE, _) => {
                self.is_idle = true;
                Vec::new()
            }
            (_, _) => Vec::new(),
        }
    }
}

impl EventReader for Live {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        self.waiting = None;
        let own = object(line).filter(|line| str_at(line, "/type").is_some_and(|kind| kind.starts_with("orch.")));
        match own {
            Some(own) => self.own_line(str_at(&own, "/type").unwrap_or_default(), &own),
            None => {
                self.is_idle = false;
                self.reader.line(line)
            }
        }
    }

    fn fatal_failure(&self) -> Option<Failure> {
        self.reader.fatal_failure()
    }

    fn retrying_after(&self) -> Option<&Failure> {
        self.waiting.as_ref()
    }

    fn turn_ended(&self) -> bool {
        self.is_idle
    }

    fn is_start_collision(&self, exit: Exit, stderr_tail: &str) -> bool {
        self.reader.is_start_collision(exit, stderr_tail)
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let mut ending = self.reader.finish(exit, stderr_tail);
        // If it was ended during a wait for the provider, the provider is the cause.
        if let (Some(failure), Some(waiting)) = (&mut ending.failure, &self.waiting) {
            *failure = waiting.clone();
        }
        ending
    }
}

impl LiveReader for Live {
    fn open(&mut self, prompt: &str) -> Vec<String> {
        let open = BridgeMessage::Open { opening: self.opening.clone(), prompt: prompt.to_owned() };
        // After a collision of the previous start, the messages that were sent to it are sent again.
        let again =
            self.unconfirmed.iter().map(|(message, text)| BridgeMessage::Say { message: *message, text: text.clone() });
        [open].into_iter().chain(again).map(|message| message.line()).collect()
    }

    fn send_message(&mut self, message: MessageId, text: &str) -> Vec<String> {
        self.unconfirmed.insert(message, text.to_owned());
        // The message goes into the running turn, or begins another.
        self.is_idle = false;
        vec![BridgeMessage::Say { message, text: text.to_owned() }.line()]
    }

    fn interrupt(&mut self) -> Vec<String> {
        if self.is_open && !self.is_idle { vec![BridgeMessage::Interrupt.line()] } else { Vec::new() }
    }

    fn is_idle(&self) -> bool {
        self.is_idle && self.unconfirmed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(live: &mut Live, line: Value) -> Vec<AgentEvent> {
        live.line(&line.to_string())
    }

    fn step(live: &mut Live, reason: &str) {
        read(live, json!({ "type": "step_start", "sessionID": "ses_1" }));
        read(live, json!({ "type": "step_finish", "part": { "reason": reason } }));
    }

    #[test]
    fn a_wait_for_the_provider_is_known_with_its_end_until_something_else_happens() {
        let mut live = Live::default();
        read(&mut live, json!({ "type": OPENED, "sessionID": "ses_1" }));
        let retry = json!({ "type": RETRY, "attempt": 1, "text": "Rate limit reached", "next": 1_795_374_000_000_i64 });
        read(&mut live, retry);
        let waits = live.retrying_after().expect("it waits").clone();
        assert_eq!(waits.class, FailureClass::RateLimited);
        assert_eq!(waits.retry_at.map(|at| at.as_second()), Some(1_795_374_000));
        let ending = live.finish(Exit { code: None, signal: Some(15) }, "");
        assert_eq!(ending.failure, Some(waits), "it was ended during a wait for the provider");
        read(&mut live, json!({ "type": "step_start", "sessionID": "ses_1" }));
        assert_eq!(live.retrying_after(), None);
    }

    #[test]
    fn the_bridge_may_exit_when_it_is_idle_and_every_message_was_read() {
        let mut live = Live::default();
        assert!(live.open("do\nit").iter().all(|line| !line.contains('\n')) && live.interrupt().is_empty());
        let started = read(&mut live, json!({ "type": OPENED, "sessionID": "ses_1" }));
        assert_eq!(started, [AgentEvent::Started { session_id: Some("ses_1".into()), model: None }]);
        live.send_message(MessageId(3), "use the new API");
        step(&mut live, "stop");
        assert!(!live.turn_ended(), "only the bridge knows what comes next");
        assert_eq!(BridgeMessage::parse(&live.interrupt()[0]), Some(BridgeMessage::Interrupt));
        read(&mut live, json!({ "type": IDLE }));
        assert!(live.turn_ended() && !live.is_idle(), "a message waits: another turn begins");
        assert_eq!(
            read(&mut live, json!({ "type": READ, "message": 3 })),
            [AgentEvent::Heard { message: MessageId(3) }]
        );
        assert!(!live.turn_ended());
        step(&mut live, "stop");
        read(&mut live, json!({ "type": IDLE }));
        assert!(live.is_idle() && live.interrupt().is_empty());
        assert_eq!(live.finish(Exit { code: Some(0), signal: None }, "").failure, None);
    }

    #[test]
    fn the_end_of_one_turn_is_not_taken_for_that_of_the_next() {
        let mut live = Live::default();
        read(&mut live, json!({ "type": OPENED, "sessionID": "ses_1" }));
        step(&mut live, "stop");
        read(&mut live, json!({ "type": READ, "message": 3 }));
        // The turn was aborted before any event of the model.
        read(&mut live, json!({ "type": IDLE }));
        assert!(live.finish(Exit { code: Some(0), signal: None }, "").failure.is_some());
    }

    #[test]
    fn a_refused_message_blocks_nothing_and_has_no_receipt() {
        let mut live = Live::default();
        live.send_message(MessageId(3), "use the new API");
        assert_eq!(read(&mut live, json!({ "type": DROPPED, "message": 3 })), []);
        read(&mut live, json!({ "type": IDLE }));
        assert!(live.is_idle());
    }

    #[test]
    fn a_repeated_request_is_reported_with_its_reason() {
        let line = json!({ "type": RETRY, "attempt": 2, "text": "Too Many Requests" });
        let events = read(&mut Live::default(), line);
        let detail = "Too Many Requests".to_owned();
        assert_eq!(events, [AgentEvent::Retry { class: FailureClass::RateLimited, attempt: 2, detail }]);
    }
}
