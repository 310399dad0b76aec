//! OpenAI Chat Completions.

use super::super::choose::Speech;
use super::super::script::Usage;
use super::{Envelope, pieces};
use serde_json::{Value, json};

/// Renders the events of a streamed answer.
pub fn events(speech: &Speech, envelope: &Envelope) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        frame(envelope, json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let thoughts = speech.reasoning.as_deref().unwrap_or_default();
    events.extend(pieces(thoughts).iter().map(|piece| chunk(json!({"reasoning_content": piece}), Value::Null)));
    events.extend(pieces(&speech.text).iter().map(|piece| chunk(json!({"content": piece}), Value::Null)));
    events.extend(call(speech, envelope).map(|call| chunk(json!({"tool_calls": [call]}), Value::Null)));
    events.push(chunk(json!({}), json!(finish_reason(speech))));
    events.push(frame(envelope, json!([]), usage(envelope.usage)));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// Renders the answer as one document.
pub fn document(speech: &Speech, envelope: &Envelope) -> Value {
    let mut message = json!({"role": "assistant", "content": speech.text});
    if let Some(mut call) = call(speech, envelope) {
        call.as_object_mut().map(|call| call.remove("index"));
        message["tool_calls"] = json!([call]);
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason(speech)});
    json!({"id": id(envelope), "object": "chat.completion", "created": CREATED, "model": envelope.model,
        "choices": [choice], "usage": usage(envelope.usage)})
}

/// The time stamp of every answer. No CLI reads it, and a fixed one makes answers reproducible.
const CREATED: u64 = 1_700_000_000;

fn frame(envelope: &Envelope, choices: Value, usage: Value) -> String {
    let mut chunk = json!({"id": id(envelope), "object": "chat.completion.chunk", "created": CREATED,
        "model": envelope.model, "choices": choices});
    if !usage.is_null() {
        chunk["usage"] = usage;
    }
    format!("data: {chunk}\n\n")
}

fn id(envelope: &Envelope) -> String {
    format!("chatcmpl-{:06}", envelope.number)
}

fn call(speech: &Speech, envelope: &Envelope) -> Option<Value> {
    let call = speech.call.as_ref()?;
    let function = json!({"name": call.name, "arguments": call.input.to_string()});
    Some(json!({"index": 0, "id": format!("call_{:06}", envelope.number), "type": "function", "function": function}))
}

fn finish_reason(speech: &Speech) -> &'static str {
    if speech.call.is_some() { "tool_calls" } else { "stop" }
}

fn usage(usage: Usage) -> Value {
    let prompt = usage.input + usage.cached;
    json!({"prompt_tokens": prompt, "completion_tokens": usage.output, "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached}})
}
