//! The three languages in which providers are asked for an answer over HTTP: what a question looks like in each, and what an
//! answer says. PURE. Everything is asked for at once, not streamed: orch asks short questions.
//!
//! Sources: the providers' references of Anthropic Messages, OpenAI Responses and OpenAI Chat Completions, the last of which
//! most others and servers of one's own speak too.

mod answers;

pub use answers::{Reply, Tokens, read};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most that may be written in an answer, thoughts included, in tokens.
const MOST_TOKENS: u32 = 8_192;
/// The name under which the shape of the answer goes.
const ANSWER: &str = "answer";

/// In which language a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelApi {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
}

impl ModelApi {
    /// That of a provider of whom nobody said otherwise.
    pub fn of(provider: &str) -> Self {
        match provider {
            "anthropic" | "minimax" => Self::Messages,
            "openai" => Self::Responses,
            _ => Self::Chat,
        }
    }

    /// The body of the question; with a shape, the provider holds the model to that of `schema`.
    pub fn body(self, question: &Question<'_>, shape: Shape) -> Value {
        let Question { provider, model, prompt, schema } = *question;
        let mut body = match self {
            Self::Messages => json!({
                "model": model, "max_tokens": MOST_TOKENS, "messages": [{"role": "user", "content": prompt}],
            }),
            Self::Responses => {
                json!({"model": model, "max_output_tokens": MOST_TOKENS, "input": prompt, "store": false})
            }
            Self::Chat => {
                // OpenAI's own models of today know only the first.
                let most = if provider == "openai" { "max_completion_tokens" } else { "max_tokens" };
                json!({"model": model, most: MOST_TOKENS, "messages": [{"role": "user", "content": prompt}]})
            }
        };
        if shape == Shape::Held
            && let Some(fields) = body.as_object_mut()
        {
            self.hold(fields, schema);
        }
        body
    }

    fn hold(self, body: &mut Map<String, Value>, schema: &Value) {
        match self {
            Self::Messages => {
                let tool = json!({"name": ANSWER, "description": "Gives the answer.", "input_schema": schema});
                body.insert("tools".to_owned(), json!([tool]));
                body.insert("tool_choice".to_owned(), json!({"type": "tool", "name": ANSWER}));
            }
            Self::Responses => {
                let format = json!({"type": "json_schema", "name": ANSWER, "schema": schema, "strict": true});
                body.insert("text".to_owned(), json!({"format": format}));
            }
            Self::Chat => {
                let named = json!({"name": ANSWER, "schema": schema, "strict": true});
                body.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": named}));
            }
        }
    }

    /// The path below the address of a provider's API.
    pub fn path(self) -> &'static str {
        match self {
            Self::Messages => "/messages",
            Self::Responses => "/responses",
            Self::Chat => "/chat/completions",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Whose model.
    pub provider: &'a str,
    /// The model, by the name that it has there.
    pub model: &'a str,
    /// The words.
    pub prompt: &'a str,
    /// JSON Schema of the answer.
    pub schema: &'a Value,
}

/// Whether the provider is told the shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It is, and holds the model to it.
    Held,
    /// Only the prompt tells it: not every server can do more.
    Told,
}

/// Whether a refusal may mean that the server cannot hold a model to a shape.
pub fn refuses_shape(status: u16, text: &str) -> bool {
    const WORDS: [&str; 5] = ["response_format", "json_schema", "tool_choice", "text.format", "structured output"];
    let text = text.to_lowercase();
    matches!(status, 400 | 404 | 422 | 501) && WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests;
