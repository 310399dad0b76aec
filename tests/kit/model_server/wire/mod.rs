//! Renders the model's answer in each protocol: a list of server-sent events, or one document. Pure.

mod chat;
mod messages;
pub mod refusal;
mod responses;

use super::choose::{Cut, Speech};
use super::request::{Asked, Protocol};
use super::script::Usage;
use serde_json::Value;

/// The metadata of an answer.
pub struct Envelope {
    /// The number of the request, which makes the ids in the answer unique.
    pub number: u64,
    /// The name of the model.
    pub model: String,
    /// Tokens to report.
    pub usage: Usage,
}

impl Envelope {
    /// Creates the metadata of the answer `speech` to `asked`. Tokens that the script does not set are estimated at four bytes each.
    pub fn new(number: u64, asked: &Asked, speech: &Speech) -> Self {
        let said = speech.text.len() + speech.call.as_ref().map_or(0, |call| call.input.to_string().len());
        let reckoned = |bytes: usize| (bytes as u64 / 4).max(1);
        let usage = speech.usage.unwrap_or(Usage {
            input: reckoned(asked.body.to_string().len()),
            output: reckoned(said),
            cached: 0,
        });
        Self { number, model: asked.model.clone(), usage }
    }
}

/// Renders the events of an answer, in order; cut off where the speech is.
pub fn events(protocol: Protocol, speech: &Speech, envelope: &Envelope) -> Vec<String> {
    let mut events = match protocol {
        Protocol::Messages => messages::events(speech, envelope),
        Protocol::Responses => responses::events(speech, envelope),
        Protocol::Chat => chat::events(speech, envelope),
    };
    let end = events.len().saturating_sub(1);
    match speech.cut {
        None => {}
        Some(Cut::Hang { after } | Cut::Drop { after }) => events.truncate(after.min(end)),
        Some(Cut::Break { after, kind }) => {
            events.truncate(after.min(end));
            events.push(refusal::event(protocol, kind, &envelope.model));
        }
    }
    events
}

/// Renders the answer as one document.
pub fn document(protocol: Protocol, speech: &Speech, envelope: &Envelope) -> Value {
    match protocol {
        Protocol::Messages => messages::document(speech, envelope),
        Protocol::Responses => responses::document(speech, envelope),
        Protocol::Chat => chat::document(speech, envelope),
    }
}

/// Renders a server-sent event with a name, which is also the `type` of its data.
fn named_event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// Splits a text into a few chunks, as a model sends it.
fn pieces(text: &str) -> Vec<&str> {
    let size = text.len().div_ceil(5).clamp(16, 64 * 1024);
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.ceil_char_boundary(size.min(rest.len()));
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::choose::Call;
    use super::super::script::FailKind;
    use super::*;
    use serde_json::json;

    const PROTOCOLS: [Protocol; 3] = [Protocol::Messages, Protocol::Responses, Protocol::Chat];

    fn envelope() -> Envelope {
        Envelope { number: 7, model: "m".into(), usage: Usage { input: 10, output: 5, cached: 2 } }
    }

    fn speech(text: &str) -> Speech {
        Speech {
            text: text.to_owned(),
            call: Some(Call { name: "Bash".into(), input: json!({"command": "ls"}) }),
            ..Speech::default()
        }
    }

    #[test]
    fn the_pieces_of_a_text_make_the_text() {
        for text in ["", "short", "ünïcödé — ".repeat(40).as_str()] {
            assert_eq!(pieces(text).concat(), text);
        }
        assert!(pieces(&"x".repeat(1000)).len() > 3);
    }

    #[test]
    fn every_event_is_one_json_document_and_the_text_is_whole() {
        let text = "a text with \"quotes\" and\nlines, long enough for several events";
        for protocol in PROTOCOLS {
            let events = events(protocol, &speech(text), &envelope());
            let mut said = String::new();
            for event in &events {
                assert!(event.ends_with("\n\n"), "{event:?}");
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("a data line");
                if data == "[DONE]" {
                    continue;
                }
                let data: Value = serde_json::from_str(data).expect("JSON");
                if data["type"] == "response.function_call_arguments.delta" {
                    continue;
                }
                let deltas = [&data["delta"]["text"], &data["delta"], &data["choices"][0]["delta"]["content"]];
                said.extend(deltas.into_iter().filter_map(Value::as_str));
            }
            assert_eq!(said, text, "{protocol:?}");
            assert!(document(protocol, &speech(text), &envelope()).to_string().contains("quotes"), "{protocol:?}");
        }
    }

    #[test]
    fn a_cut_answer_never_reaches_its_end() {
        for protocol in PROTOCOLS {
            let whole = events(protocol, &speech("x"), &envelope()).len();
            for after in [0, 2, 1000] {
                let cut = Speech { cut: Some(Cut::Drop { after }), ..speech("x") };
                assert_eq!(events(protocol, &cut, &envelope()).len(), after.min(whole - 1));
                let broken = Speech { cut: Some(Cut::Break { after, kind: FailKind::Overloaded }), ..speech("x") };
                let last = events(protocol, &broken, &envelope()).pop().unwrap_or_default();
                assert!(last.contains("verloaded"), "{protocol:?}: {last}");
            }
        }
    }
}
