//! OpenAI Responses.

use super::super::choose::Speech;
use super::super::script::Usage;
use super::{Envelope, named_event, pieces};
use serde_json::{Value, json};

/// Renders the events of a streamed answer.
pub fn events(speech: &Speech, envelope: &Envelope) -> Vec<String> {
    let mut events =
        vec![json!({"type": "response.created", "response": response(envelope, "in_progress", json!([]))})];
    for (index, item) in items(speech, envelope).into_iter().enumerate() {
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": opened(&item)}));
        events.extend(deltas(index, &item));
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    events.push(json!({"type": "response.completed", "response": document(speech, envelope)}));
    for (sequence, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(sequence);
    }
    events.iter().map(named_event).collect()
}

/// Renders the answer as one document.
pub fn document(speech: &Speech, envelope: &Envelope) -> Value {
    let mut response = response(envelope, "completed", items(speech, envelope).into());
    response["usage"] = usage(envelope.usage);
    response
}

fn items(speech: &Speech, envelope: &Envelope) -> Vec<Value> {
    let number = envelope.number;
    let mut items = Vec::new();
    if let Some(text) = &speech.reasoning {
        let summary = json!([{"type": "summary_text", "text": text}]);
        items.push(json!({"type": "reasoning", "id": format!("rs_{number:06}"), "summary": summary}));
    }
    if !speech.text.is_empty() || speech.call.is_none() {
        let content = json!([{"type": "output_text", "text": speech.text, "annotations": []}]);
        items.push(json!({"type": "message", "id": format!("msg_{number:06}"), "role": "assistant",
            "status": "completed", "content": content}));
    }
    if let Some(call) = &speech.call {
        items.push(json!({"type": "function_call", "id": format!("fc_{number:06}"), "status": "completed",
            "call_id": format!("call_{number:06}"), "name": call.name, "arguments": call.input.to_string()}));
    }
    items
}

/// Returns the item as it is announced before its content.
fn opened(item: &Value) -> Value {
    let mut item = item.clone();
    for (key, empty) in [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))] {
        if !item[key].is_null() {
            item[key] = empty;
        }
    }
    if !item["status"].is_null() {
        item["status"] = json!("in_progress");
    }
    item
}

fn deltas(index: usize, item: &Value) -> Vec<Value> {
    let (kind, part, whole) = match item["type"].as_str() {
        Some("message") => ("response.output_text.delta", Some("content_index"), &item["content"][0]["text"]),
        Some("reasoning") => {
            ("response.reasoning_summary_text.delta", Some("summary_index"), &item["summary"][0]["text"])
        }
        _ => ("response.function_call_arguments.delta", None, &item["arguments"]),
    };
    let delta = |piece: &str| {
        let mut event = json!({"type": kind, "item_id": item["id"], "output_index": index, "delta": piece});
        if let Some(part) = part {
            event[part] = json!(0);
        }
        event
    };
    pieces(whole.as_str().unwrap_or_default()).into_iter().map(delta).collect()
}

fn response(envelope: &Envelope, status: &str, output: Value) -> Value {
    json!({"id": format!("resp_{:06}", envelope.number), "object": "response", "status": status,
        "model": envelope.model, "output": output})
}

fn usage(usage: Usage) -> Value {
    let input = usage.input + usage.cached;
    json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + usage.output})
}
