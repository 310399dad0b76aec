//! The open conversation with Claude Code: one JSON object per line on stdin (`--input-format stream-json`). The CLI repeats
//! each message on stdout when it reads it (`--replay-user-messages`), which is the receipt.

use super::reader::Reader;
use crate::models::agents::text::str_at;
use crate::models::agents::{EventReader, LiveReader};
use crate::tasks::message::MessageId;
use serde_json::{Value, json};

/// The prefix of the `uuid` of orch's messages, before the message's number; the CLI repeats it. The prompt has none,
/// because a resumed conversation would take it for one that it knows already.
const MARK: &str = "0c4a0000-0000-4000-8000-";

impl LiveReader for Reader {
    fn open(&mut self, prompt: &str) -> Vec<String> {
        vec![user(prompt).to_string()]
    }

    fn send_message(&mut self, message: MessageId, text: &str) -> Vec<String> {
        self.unconfirmed.insert(message);
        let mut line = user(text);
        line["uuid"] = json!(format!("{MARK}{:012x}", message.0));
        vec![line.to_string()]
    }

    fn interrupt(&mut self) -> Vec<String> {
        let request = json!({ "subtype": "interrupt" });
        vec![json!({ "type": "control_request", "request_id": "orch-interrupt", "request": request }).to_string()]
    }

    fn is_idle(&self) -> bool {
        self.turn_ended() && self.unconfirmed.is_empty()
    }
}

fn user(text: &str) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    json!({ "type": "user", "message": { "role": "user", "content": content } })
}

/// Returns the message that a `user` line repeats, if it is one of orch's.
pub(super) fn receipt(event: &Value) -> Option<MessageId> {
    let repeated = event.get("isReplay").and_then(Value::as_bool) == Some(true);
    let number = str_at(event, "/uuid").filter(|_| repeated)?.strip_prefix(MARK)?;
    u64::from_str_radix(number, 16).ok().map(MessageId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::outcome::AgentEvent;

    const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s","model":"m"}"#;
    const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"x","num_turns":1}"#;

    /// Returns the line by which the CLI confirms that it has read `line`.
    fn repeated(line: &str) -> String {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        line["isReplay"] = json!(true);
        line.to_string()
    }

    #[test]
    fn the_process_may_exit_when_the_turn_is_over_and_every_message_was_read() {
        let mut reader = Reader::default();
        let prompt = reader.open("do it\nwell");
        assert_eq!(prompt.len(), 1);
        assert!(!prompt[0].contains('\n') && !prompt[0].contains("uuid"), "{prompt:?}");
        assert!(reader.line(INIT).len() == 1 && !reader.is_idle());
        assert_eq!(reader.line(&repeated(&prompt[0])), []);
        let sent = reader.send_message(MessageId(300), "use the new API");
        reader.line(RESULT);
        assert!(reader.turn_ended() && !reader.is_idle(), "a message waits: another turn begins");
        reader.line(INIT);
        assert_eq!(reader.line(&repeated(&sent[0])), [AgentEvent::Heard { message: MessageId(300) }]);
        assert!(!reader.is_idle());
        reader.line(RESULT);
        assert!(reader.is_idle());
    }

    #[test]
    fn only_a_repeated_message_of_orchs_is_a_receipt() {
        let of = |uuid: &str, replay: bool| receipt(&json!({ "type": "user", "uuid": uuid, "isReplay": replay }));
        assert_eq!(of(&format!("{MARK}00000000002a"), true), Some(MessageId(42)));
        assert_eq!(of(&format!("{MARK}00000000002a"), false), None);
        assert_eq!(of("0344d514-d63c-470a-afee-05a13cd3fa1a", true), None);
        assert_eq!(of(&format!("{MARK}x"), true), None);
    }
}
