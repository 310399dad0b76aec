//! Talking to Claude Code while it works: one JSON object a line on stdin (`--input-format stream-json`). The CLI repeats
//! every message on stdout when it takes it up (`--replay-user-messages`), which is the receipt.

use super::reader::Reader;
use crate::agents::text::str_at;
use crate::agents::{EventReader, LiveReader};
use crate::message::MessageId;
use serde_json::{Value, json};

/// How orch's own messages begin their `uuid`, which the CLI repeats; the number of the message follows. The prompt has
/// none: a conversation that is resumed would take it for one that it knows already.
const MARK: &str = "0c4a0000-0000-4000-8000-";

impl LiveReader for Reader {
    fn open(&mut self, prompt: &str) -> Vec<String> {
        vec![user(prompt).to_string()]
    }

    fn say(&mut self, message: MessageId, text: &str) -> Vec<String> {
        self.unheard.insert(message);
        let mut line = user(text);
        line["uuid"] = json!(format!("{MARK}{:012x}", message.0));
        vec![line.to_string()]
    }

    fn interrupt(&mut self) -> Vec<String> {
        let request = json!({ "subtype": "interrupt" });
        vec![json!({ "type": "control_request", "request_id": "orch-interrupt", "request": request }).to_string()]
    }

    fn rests(&self) -> bool {
        self.turn_ended() && self.unheard.is_empty()
    }
}

fn user(text: &str) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    json!({ "type": "user", "message": { "role": "user", "content": content } })
}

/// The message that a `user` line repeats, when it is one of orch's.
pub(super) fn heard(event: &Value) -> Option<MessageId> {
    let repeated = event.get("isReplay").and_then(Value::as_bool) == Some(true);
    let number = str_at(event, "/uuid").filter(|_| repeated)?.strip_prefix(MARK)?;
    u64::from_str_radix(number, 16).ok().map(MessageId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::AgentEvent;

    const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s","model":"m"}"#;
    const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"x","num_turns":1}"#;

    /// The line by which the CLI tells that it has taken up what it was told.
    fn repeated(line: &str) -> String {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        line["isReplay"] = json!(true);
        line.to_string()
    }

    #[test]
    fn the_process_is_let_go_when_the_turn_is_over_and_everything_was_heard() {
        let mut reader = Reader::default();
        let prompt = reader.open("do it\nwell");
        assert_eq!(prompt.len(), 1);
        assert!(!prompt[0].contains('\n') && !prompt[0].contains("uuid"), "{prompt:?}");
        assert!(reader.line(INIT).len() == 1 && !reader.rests());
        assert_eq!(reader.line(&repeated(&prompt[0])), []);
        let said = reader.say(MessageId(300), "use the new API");
        reader.line(RESULT);
        assert!(reader.turn_ended() && !reader.rests(), "a message waits: another turn begins");
        reader.line(INIT);
        assert_eq!(reader.line(&repeated(&said[0])), [AgentEvent::Heard { message: MessageId(300) }]);
        assert!(!reader.rests());
        reader.line(RESULT);
        assert!(reader.rests());
    }

    #[test]
    fn only_a_repeated_message_of_orchs_is_a_receipt() {
        let of = |uuid: &str, replay: bool| heard(&json!({ "type": "user", "uuid": uuid, "isReplay": replay }));
        assert_eq!(of(&format!("{MARK}00000000002a"), true), Some(MessageId(42)));
        assert_eq!(of(&format!("{MARK}00000000002a"), false), None);
        assert_eq!(of("0344d514-d63c-470a-afee-05a13cd3fa1a", true), None);
        assert_eq!(of(&format!("{MARK}x"), true), None);
    }
}
