//! Parses a provider's answer. Missing counts and texts are `None`; a body that is not an answer is rejected.

use super::ModelApi;
use crate::tasks::outcome::Usage;
use serde_json::Value;

/// The tokens of an answer; those read from the provider's cache are counted separately.
pub type Tokens = Usage;

/// A provider's answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The text of the answer.
    pub text: Option<String>,
    /// The structured answer, where the provider enforced a schema.
    pub structured: Option<Value>,
    /// The tokens that were used.
    pub tokens: Tokens,
    /// Why the answer was cut off, if it was.
    pub cut: Option<String>,
}

/// Parses an answer; `None`: the body is not one.
pub fn read(api: ModelApi, body: &Value) -> Option<Reply> {
    let reply = match api {
        ModelApi::Messages => messages(body),
        ModelApi::Responses => responses(body),
        ModelApi::Chat => chat(body),
    }?;
    let structured = reply.structured.or_else(|| object(reply.text.as_deref()?));
    Some(Reply { structured, model: string(body, "/model"), ..reply })
}

fn messages(body: &Value) -> Option<Reply> {
    let blocks = body.get("content")?.as_array()?;
    let of_kind = |kind: &'static str| blocks.iter().filter(move |block| block["type"] == kind);
    let cached = count(body, "/usage/cache_read_input_tokens");
    // Tokens written to the cache were read as well.
    let stored = count(body, "/usage/cache_creation_input_tokens").unwrap_or(0);
    Some(Reply {
        text: joined(of_kind("text").filter_map(|block| block["text"].as_str())),
        structured: of_kind("tool_use").map(|block| block["input"].clone()).find(Value::is_object),
        tokens: Tokens {
            input: count(body, "/usage/input_tokens").map(|input| input.saturating_add(stored)),
            output: count(body, "/usage/output_tokens"),
            cached,
        },
        cut: string(body, "/stop_reason").filter(|reason| matches!(reason.as_str(), "max_tokens" | "refusal")),
        ..Reply::default()
    })
}

fn responses(body: &Value) -> Option<Reply> {
    let items = body.get("output")?.as_array()?;
    let parts = items.iter().filter_map(|item| item.get("content")?.as_array()).flatten();
    let words = parts.filter_map(|part| part.get("text").or_else(|| part.get("refusal"))?.as_str());
    let status = string(body, "/status").filter(|status| status != "completed");
    let why = || string(body, "/incomplete_details/reason").or_else(|| string(body, "/error/message"));
    Some(Reply {
        text: joined(words),
        tokens: counted(body, ["/usage/input_tokens", "/usage/output_tokens"], "/usage/input_tokens_details"),
        cut: status.map(|status| why().unwrap_or(status)),
        ..Reply::default()
    })
}

fn chat(body: &Value) -> Option<Reply> {
    let choice = body.get("choices")?.as_array()?.first()?;
    let message = choice.get("message")?;
    let words = ["content", "refusal"].into_iter().find_map(|key| message.get(key)?.as_str());
    Some(Reply {
        text: joined(words.into_iter()),
        tokens: counted(body, ["/usage/prompt_tokens", "/usage/completion_tokens"], "/usage/prompt_tokens_details"),
        cut: string(choice, "/finish_reason").filter(|reason| matches!(reason.as_str(), "length" | "content_filter")),
        ..Reply::default()
    })
}

/// Converts OpenAI's counts, in which the input includes cached tokens.
fn counted(body: &Value, [input, output]: [&str; 2], details: &str) -> Tokens {
    let cached = count(body, &format!("{details}/cached_tokens"));
    let read = count(body, input).map(|all| all.saturating_sub(cached.unwrap_or(0)));
    Tokens { input: read, output: count(body, output), cached }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    Some(words.collect::<Vec<_>>().join("\n")).filter(|text| !text.trim().is_empty())
}

fn object(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim()).ok().filter(Value::is_object)
}

fn count(body: &Value, at: &str) -> Option<u64> {
    body.pointer(at)?.as_u64()
}

fn string(body: &Value, at: &str) -> Option<String> {
    body.pointer(at)?.as_str().map(str::to_owned)
}
