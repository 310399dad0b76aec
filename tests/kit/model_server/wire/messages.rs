//! Anthropic Messages.

use super::super::choose::Speech;
use super::super::script::Usage;
use super::{Envelope, named_event, pieces};
use serde_json::{Value, json};

/// Renders the events of a streamed answer.
pub fn events(speech: &Speech, envelope: &Envelope) -> Vec<String> {
    let mut start = message(envelope, json!([]), Value::Null);
    start["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({"type": "message_start", "message": start})];
    for (index, block) in blocks(speech, envelope).into_iter().enumerate() {
        events.extend(block_events(index, &block));
    }
    let delta = json!({"stop_reason": stop_reason(speech), "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": usage(envelope.usage)}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(named_event).collect()
}

/// Renders the answer as one document.
pub fn document(speech: &Speech, envelope: &Envelope) -> Value {
    let content = blocks(speech, envelope)
        .into_iter()
        .map(|block| match block {
            Block::Thinking(text) => json!({"type": "thinking", "thinking": text, "signature": "c2lnbmVk"}),
            Block::Text(text) => json!({"type": "text", "text": text}),
            Block::Call { id, name, input } => json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        })
        .collect();
    message(envelope, content, json!(stop_reason(speech)))
}

enum Block<'a> {
    Thinking(&'a str),
    Text(&'a str),
    Call { id: String, name: &'a str, input: &'a Value },
}

fn blocks<'a>(speech: &'a Speech, envelope: &Envelope) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'_>> = speech.reasoning.iter().map(|text| Block::Thinking(text)).collect();
    if !speech.text.is_empty() || speech.call.is_none() {
        blocks.push(Block::Text(&speech.text));
    }
    blocks.extend(speech.call.iter().map(|call| Block::Call {
        id: format!("toolu_{:06}", envelope.number),
        name: &call.name,
        input: &call.input,
    }));
    blocks
}

fn block_events(index: usize, block: &Block<'_>) -> Vec<Value> {
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let (start, mut deltas) = match block {
        Block::Thinking(text) => {
            let mut deltas: Vec<Value> =
                pieces(text).iter().map(|piece| delta(json!({"type": "thinking_delta", "thinking": piece}))).collect();
            deltas.push(delta(json!({"type": "signature_delta", "signature": "c2lnbmVk"})));
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
        }
        Block::Text(text) => {
            let deltas = pieces(text).iter().map(|piece| delta(json!({"type": "text_delta", "text": piece}))).collect();
            (json!({"type": "text", "text": ""}), deltas)
        }
        Block::Call { id, name, input } => {
            let input = delta(json!({"type": "input_json_delta", "partial_json": input.to_string()}));
            (json!({"type": "tool_use", "id": id, "name": name, "input": {}}), vec![input])
        }
    };
    deltas.insert(0, json!({"type": "content_block_start", "index": index, "content_block": start}));
    deltas.push(json!({"type": "content_block_stop", "index": index}));
    deltas
}

fn message(envelope: &Envelope, content: Value, stop_reason: Value) -> Value {
    json!({"id": format!("msg_{:06}", envelope.number), "type": "message", "role": "assistant", "model": envelope.model,
        "content": content, "stop_reason": stop_reason, "stop_sequence": null, "usage": usage(envelope.usage)})
}

fn stop_reason(speech: &Speech) -> &'static str {
    if speech.call.is_some() { "tool_use" } else { "end_turn" }
}

fn usage(usage: Usage) -> Value {
    json!({"input_tokens": usage.input, "output_tokens": usage.output, "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": 0})
}
