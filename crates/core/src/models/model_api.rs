//! The three HTTP APIs of model providers: the body of a question and the meaning of an answer. Pure. Answers are
//! requested as a whole and not streamed, because orch asks short questions.
//!
//! Sources: the API references of Anthropic Messages, OpenAI Responses, and OpenAI Chat Completions; most other
//! providers and local servers support the last one.

mod answers;

pub use answers::{Reply, Tokens, read};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most tokens in an answer, reasoning included.
const MOST_TOKENS: u32 = 8_192;
/// The name of the answer's schema or tool.
const ANSWER: &str = "answer";

/// The API of a provider.
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
    /// Returns the API of a provider, where the configuration does not name one.
    pub fn for_provider(provider: &str) -> Self {
        match provider {
            "anthropic" | "minimax" => Self::Messages,
            "openai" => Self::Responses,
            _ => Self::Chat,
        }
    }

    /// Returns the body of the question; with [`Shape::Enforced`] the provider enforces `schema`.
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
                // OpenAI's current models accept only the first.
                let most = if provider == "openai" { "max_completion_tokens" } else { "max_tokens" };
                json!({"model": model, most: MOST_TOKENS, "messages": [{"role": "user", "content": prompt}]})
            }
        };
        if shape == Shape::Enforced
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

    /// Returns the path below the base URL of a provider's API.
    pub fn path(self) -> &'static str {
        match self {
            Self::Messages => "/messages",
            Self::Responses => "/responses",
            Self::Chat => "/chat/completions",
        }
    }
}

/// A question to a model.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The provider of the model.
    pub provider: &'a str,
    /// The provider's name of the model.
    pub model: &'a str,
    /// The text of the question.
    pub prompt: &'a str,
    /// The JSON Schema of the answer.
    pub schema: &'a Value,
}

/// Whether the provider receives the schema of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The provider receives and enforces it.
    Enforced,
    /// Only the prompt describes it, for servers that cannot enforce a schema.
    Described,
}

/// Whether an error may mean that the server cannot enforce a schema.
pub fn refuses_shape(status: u16, text: &str) -> bool {
    const WORDS: [&str; 5] = ["response_format", "json_schema", "tool_choice", "text.format", "structured output"];
    let text = text.to_lowercase();
    matches!(status, 400 | 404 | 422 | 501) && WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests;
