//! Talking to OpenCode while it works. Its one-shot command takes no input then, but its server does: the agent's process
//! is the bridge to one (`conversation.rs` decides what the bridge does). It prints the lines of `opencode run`, which the
//! same reader reads, and a few of its own, of which this file knows the meaning.

use super::bridge_message::{BEGUN, BridgeMessage, HEARD, Opening, REST, RETRY, TROUBLE, UNSAID};
use super::reader::Reader;
use crate::agents::errors::by_text;
use crate::agents::text::{detail, object, str_at, u64_at};
use crate::agents::{EventReader, LiveReader};
use crate::message::MessageId;
use crate::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// The open conversation of one run.
#[derive(Debug, Default)]
pub(super) struct Live {
    reader: Reader,
    opening: Opening,
    /// Whether there is a turn that could be ended.
    begun: bool,
    /// Whether the bridge said that the turn is over, and nothing since.
    resting: bool,
    /// What was said and not taken up.
    unheard: BTreeMap<MessageId, String>,
    /// Why the server waits before it repeats a request, and until when.
    waiting: Option<Failure>,
}

impl Live {
    pub(super) fn new(opening: &Value) -> Self {
        Self { opening: serde_json::from_value(opening.clone()).unwrap_or_default(), ..Self::default() }
    }

    fn own_line(&mut self, kind: &str, line: &Value) -> Vec<AgentEvent> {
        let message = u64_at(line, "/message").map(MessageId);
        match (kind, message) {
            (BEGUN, _) => {
                (self.begun, self.resting) = (true, false);
                self.reader.sign_of_life(line).into_iter().collect()
            }
            (HEARD, Some(message)) => {
                self.resting = false;
                self.reader.turn_begins();
                self.unheard.remove(&message);
                vec![AgentEvent::Heard { message }]
            }
            (UNSAID, Some(message)) => {
                self.unheard.remove(&message);
                Vec::new()
            }
            (RETRY, _) => {
                self.resting = false;
                let text = str_at(line, "/text").unwrap_or_default();
                let class = by_text(text).unwrap_or(FailureClass::Overloaded);
                let attempt = u64_at(line, "/attempt").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
                let next = line.get("next").and_then(Value::as_i64);
                let retry_at = next.and_then(|at| Timestamp::from_millisecond(at).ok());
                self.waiting = Some(Failure { retry_at, ..Failure::new(class, detail(text)) });
                vec![AgentEvent::Retry { class, attempt, detail: detail(text) }]
            }
            (TROUBLE, _) => vec![self.reader.trouble(line)],
            (REST, _) => {
                self.resting = true;
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
                self.resting = false;
                self.reader.line(line)
            }
        }
    }

    fn hopeless(&self) -> Option<Failure> {
        self.reader.hopeless()
    }

    fn waits_for(&self) -> Option<&Failure> {
        self.waiting.as_ref()
    }

    fn turn_ended(&self) -> bool {
        self.resting
    }

    fn collided(&self, exit: Exit, stderr_tail: &str) -> bool {
        self.reader.collided(exit, stderr_tail)
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let mut ending = self.reader.finish(exit, stderr_tail);
        // Whoever ended it while it waited ended a wait for the provider.
        if let (Some(failure), Some(waiting)) = (&mut ending.failure, &self.waiting) {
            *failure = waiting.clone();
        }
        ending
    }
}

impl LiveReader for Live {
    fn open(&mut self, prompt: &str) -> Vec<String> {
        let open = BridgeMessage::Open { opening: self.opening.clone(), prompt: prompt.to_owned() };
        // When the start before this one collided with another's, what was said to it was said to nobody.
        let again =
            self.unheard.iter().map(|(message, text)| BridgeMessage::Say { message: *message, text: text.clone() });
        [open].into_iter().chain(again).map(|told| told.line()).collect()
    }

    fn say(&mut self, message: MessageId, text: &str) -> Vec<String> {
        self.unheard.insert(message, text.to_owned());
        // It goes into the turn that runs, or begins another.
        self.resting = false;
        vec![BridgeMessage::Say { message, text: text.to_owned() }.line()]
    }

    fn interrupt(&mut self) -> Vec<String> {
        if self.begun && !self.resting { vec![BridgeMessage::Interrupt.line()] } else { Vec::new() }
    }

    fn rests(&self) -> bool {
        self.resting && self.unheard.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(live: &mut Live, line: Value) -> Vec<AgentEvent> {
        live.line(&line.to_string())
    }

    fn step(live: &mut Live, reason: &str) {
        said(live, json!({ "type": "step_start", "sessionID": "ses_1" }));
        said(live, json!({ "type": "step_finish", "part": { "reason": reason } }));
    }

    #[test]
    fn a_wait_for_the_provider_is_known_with_its_end_until_something_else_happens() {
        let mut live = Live::default();
        said(&mut live, json!({ "type": BEGUN, "sessionID": "ses_1" }));
        let retry = json!({ "type": RETRY, "attempt": 1, "text": "Rate limit reached", "next": 1_795_374_000_000_i64 });
        said(&mut live, retry);
        let waits = live.waits_for().expect("it waits").clone();
        assert_eq!(waits.class, FailureClass::RateLimited);
        assert_eq!(waits.retry_at.map(|at| at.as_second()), Some(1_795_374_000));
        let ending = live.finish(Exit { code: None, signal: Some(15) }, "");
        assert_eq!(ending.failure, Some(waits), "who ends it ends a wait for the provider");
        said(&mut live, json!({ "type": "step_start", "sessionID": "ses_1" }));
        assert_eq!(live.waits_for(), None);
    }

    #[test]
    fn the_bridge_is_let_go_when_it_rests_and_everything_was_heard() {
        let mut live = Live::default();
        assert!(live.open("do\nit").iter().all(|line| !line.contains('\n')) && live.interrupt().is_empty());
        let started = said(&mut live, json!({ "type": BEGUN, "sessionID": "ses_1" }));
        assert_eq!(started, [AgentEvent::Started { session_id: Some("ses_1".into()), model: None }]);
        live.say(MessageId(3), "use the new API");
        step(&mut live, "stop");
        assert!(!live.turn_ended(), "only the bridge knows what comes next");
        assert_eq!(BridgeMessage::parse(&live.interrupt()[0]), Some(BridgeMessage::Interrupt));
        said(&mut live, json!({ "type": REST }));
        assert!(live.turn_ended() && !live.rests(), "a message waits: another turn begins");
        assert_eq!(
            said(&mut live, json!({ "type": HEARD, "message": 3 })),
            [AgentEvent::Heard { message: MessageId(3) }]
        );
        assert!(!live.turn_ended());
        step(&mut live, "stop");
        said(&mut live, json!({ "type": REST }));
        assert!(live.rests() && live.interrupt().is_empty());
        assert_eq!(live.finish(Exit { code: Some(0), signal: None }, "").failure, None);
    }

    #[test]
    fn the_end_of_one_turn_is_not_taken_for_that_of_the_next() {
        let mut live = Live::default();
        said(&mut live, json!({ "type": BEGUN, "sessionID": "ses_1" }));
        step(&mut live, "stop");
        said(&mut live, json!({ "type": HEARD, "message": 3 }));
        // Aborted before the model said a word, of which there is no event.
        said(&mut live, json!({ "type": REST }));
        assert!(live.finish(Exit { code: Some(0), signal: None }, "").failure.is_some());
    }

    #[test]
    fn a_message_that_the_server_refused_holds_nothing_up_and_has_no_receipt() {
        let mut live = Live::default();
        live.say(MessageId(3), "use the new API");
        assert_eq!(said(&mut live, json!({ "type": UNSAID, "message": 3 })), []);
        said(&mut live, json!({ "type": REST }));
        assert!(live.rests());
    }

    #[test]
    fn a_repeated_request_is_told_with_its_reason() {
        let line = json!({ "type": RETRY, "attempt": 2, "text": "Too Many Requests" });
        let told = said(&mut Live::default(), line);
        let detail = "Too Many Requests".to_owned();
        assert_eq!(told, [AgentEvent::Retry { class: FailureClass::RateLimited, attempt: 2, detail }]);
    }
}
