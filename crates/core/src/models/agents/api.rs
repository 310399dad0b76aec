//! The dialect for a question to a provider's API instead of a program. The runner starts orch's own bridge, which sends
//! the request and prints one line, so that limits, ending and records are those of any run. The key is in the bridge's
//! environment, never in a file.

use super::argv::owned;
use super::{Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, errors, text};
use crate::models::model_api::{ModelApi, Tokens};
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass, RunKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The agent's name in `router.agent`.
pub const NAME: &str = "api";
/// The hidden subcommand: `orch __ask FILE`, with the prompt on stdin.
pub const BRIDGE: &str = "__ask";

/// The provider and model to ask. Written into the run's directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The name of the provider.
    pub provider: String,
    /// The protocol of its API.
    pub api: ModelApi,
    /// The address of its API.
    pub base_url: String,
    /// The variable with the key; `None` when the API needs no key.
    pub key_variable: Option<String>,
    /// The model, as the provider names it.
    pub model: String,
}

/// The contents of the bridge's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The provider and model to ask.
    pub endpoint: Endpoint,
    /// The JSON Schema of the answer.
    pub schema: Value,
}

/// A line that the bridge prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// The question is about to be sent.
    Asked {
        /// The model that is asked.
        model: String,
    },
    /// The provider answered.
    Answered {
        /// The model that gave it.
        model: Option<String>,
        /// The answer as text.
        text: Option<String>,
        /// The answer in the form of the schema.
        structured: Option<Value>,
        /// The tokens that it used.
        tokens: Tokens,
        /// Why the answer is incomplete, if it is.
        cut: Option<String>,
    },
    /// The provider refused.
    Refused {
        /// The HTTP status.
        status: u64,
        /// The text of the refusal.
        text: String,
        /// When the provider may be asked again.
        retry_at: Option<Timestamp>,
    },
    /// There was no readable answer.
    Unanswered {
        /// The reason.
        why: String,
    },
    /// The question could not be sent.
    Lacking {
        /// What is missing for it.
        why: String,
    },
}

/// The dialect of the bridge.
#[derive(Debug, Clone, Copy)]
pub struct Api;

impl Dialect for Api {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
        let refused = |field, reason: &str| LaunchRefused::BadValue { agent: NAME, field, reason: reason.to_owned() };
        if request.kind != RunKind::Route {
            return Err(refused("the run", "it answers routing questions only"));
        }
        let endpoint = request.endpoint.clone().ok_or_else(|| refused("the model", "its address is unknown"))?;
        let file = request.run_dir.join("ask.json");
        let path = file.to_str().ok_or_else(|| refused("the run's directory", "its path is not UTF-8"))?;
        let variable = endpoint.key_variable.clone();
        let args = owned(&[BRIDGE, path]);
        let ask = Ask { endpoint, schema: request.answer_schema.clone() };
        let ask = serde_json::to_string(&ask).map_err(|error| refused("the question", &error.to_string()))?;
        Ok(LaunchSpec {
            program: request.orch.clone(),
            files: [(file, ask)].into(),
            ..LaunchSpec::new(request, args, variable.as_deref().as_slice())
        })
    }

    fn reader(&self, _: RunKind) -> Box<dyn EventReader> {
        Box::new(Reader::default())
    }
}

/// The state of reading one run.
#[derive(Debug, Default)]
struct Reader {
    ending: Option<Ending>,
}

impl EventReader for Reader {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        let Ok(line) = serde_json::from_str(line) else { return Vec::new() };
        if let Line::Asked { model } = line {
            return vec![AgentEvent::Started { session_id: None, model: Some(model) }];
        }
        let ending = ending(line);
        let text = ending.failure.as_ref().map(|failure| failure.detail.clone()).or_else(|| ending.final_text.clone());
        let text = text.or_else(|| ending.structured.as_ref().map(Value::to_string));
        self.ending = Some(ending);
        text.map(|text| AgentEvent::Text { text: text::cut(&text, text::SPEECH) }).into_iter().collect()
    }

    fn fatal_failure(&self) -> Option<Failure> {
        None
    }

    fn turn_ended(&self) -> bool {
        self.ending.is_some()
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        self.ending.take().unwrap_or_else(|| Ending {
            failure: Some(errors::unfinished(exit, stderr_tail, None, true)),
            ..Ending::default()
        })
    }
}

fn ending(line: Line) -> Ending {
    let failed = |failure: Failure| Ending { failure: Some(failure), ..Ending::default() };
    match line {
        Line::Answered { model, text, structured, tokens, cut } => Ending {
            model,
            final_text: text,
            structured,
            usage: tokens,
            failure: cut.map(|why| Failure::new(FailureClass::Incomplete, format!("the answer broke off: {why}"))),
            ..Ending::default()
        },
        Line::Refused { status, text, retry_at } => {
            let class = errors::by_status(status, &text).unwrap_or(FailureClass::Crashed);
            let detail = format!("HTTP {status}: {}", text::one_line(&text, 300));
            failed(Failure { retry_at, ..Failure::new(class, detail) })
        }
        Line::Unanswered { why } => failed(Failure::new(FailureClass::Network, why)),
        Line::Lacking { why } => failed(Failure::new(FailureClass::Auth, why)),
        Line::Asked { .. } => Ending::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(lines: &[Line]) -> Ending {
        let mut reader = Api.reader(RunKind::Route);
        for line in lines {
            reader.line(&serde_json::to_string(line).expect("a line"));
        }
        assert_eq!(reader.turn_ended(), lines.len() > 1);
        reader.finish(Exit { code: Some(0), signal: None }, "")
    }

    fn after_asked(line: Line) -> Ending {
        read(&[Line::Asked { model: "anthropic/claude-haiku-4-5".to_owned() }, line])
    }

    #[test]
    fn an_answer_has_its_shape_its_model_and_its_tokens() {
        let tokens = Tokens { input: Some(10), output: Some(3), cached: None };
        let ending = after_asked(Line::Answered {
            model: Some("claude-haiku-4-5-20251001".to_owned()),
            text: None,
            structured: Some(json!({"executor": "claude"})),
            tokens,
            cut: None,
        });
        assert_eq!(ending.structured, Some(json!({"executor": "claude"})));
        assert_eq!(
            (ending.usage, ending.cost, ending.failure),
            (tokens, None, None),
            "the cost is added where prices are known"
        );
    }

    #[test]
    fn a_refusal_has_the_class_of_its_status_and_the_time_of_the_next_try() {
        let at = Timestamp::from_second(1_800_000_000).ok();
        for (status, text, class) in [
            (401, "invalid x-api-key", FailureClass::Auth),
            (404, "model: claude-3", FailureClass::ModelNotFound),
            (429, "slow down", FailureClass::RateLimited),
            (429, "You exceeded your current quota", FailureClass::Budget),
            (529, "Overloaded", FailureClass::Overloaded),
            (418, "teapot", FailureClass::Crashed),
        ] {
            let ending = after_asked(Line::Refused { status, text: text.to_owned(), retry_at: at });
            let failure = ending.failure.expect("a failure");
            assert_eq!((failure.class, failure.retry_at), (class, at), "{status}");
            assert!(failure.detail.contains(text), "{failure:?}");
        }
    }

    #[test]
    fn what_broke_off_never_came_or_could_not_be_asked_is_a_failure() {
        let cut = Some("max_tokens".to_owned());
        let (model, text, structured) = (None, Some("{".to_owned()), None);
        let ending = after_asked(Line::Answered { model, text, structured, tokens: Tokens::default(), cut });
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Incomplete));
        let ending = after_asked(Line::Unanswered { why: "it does not answer in time".to_owned() });
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Network));
        let ending = after_asked(Line::Lacking { why: "ANTHROPIC_API_KEY is not set".to_owned() });
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Auth));
        assert!(read(&[Line::Asked { model: "m".to_owned() }]).failure.is_some());
    }
}
