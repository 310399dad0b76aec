//! Sends one question to a model of a provider: one request, never repeated automatically.

use super::{Address, AddressError, Key, LARGEST_LIST, LARGEST_REFUSAL, Style, body, client, failure, pacing};
use crate::clock::{Clock, SystemClock};
use jiff::Timestamp;
use orch_core::models::availability::{Failure, resumes_at};
use orch_core::models::model_api::{ModelApi, Question, Reply, Shape, read, refuses_shape};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use std::time::Duration;

/// The time limit of a connection, for answers that themselves take long.
const PATIENT_CONNECT: Duration = Duration::from_secs(10);
/// The longest text of an error response that is passed on, in characters.
const LONGEST_REFUSAL: usize = 2_000;

/// A client for questions to one model.
#[derive(Debug, Clone)]
pub struct Talk {
    api: ModelApi,
    address: Address,
    key: Option<Key>,
    patience: Duration,
}

/// Why a question got no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum NoAnswer {
    /// The provider refused the request.
    Refused {
        /// The HTTP status code.
        status: u16,
        /// The provider's message, without the key.
        text: String,
        /// The earliest time of a retry, if the provider names one.
        retry_at: Option<Timestamp>,
    },
    /// The provider could not be reached, or its response could not be read.
    Failed(Failure),
    /// The response does not contain an answer.
    Strange,
}

impl Talk {
    /// Creates a client for the API of `provider` at `base_url`, with a time limit of `patience` per question.
    ///
    /// # Errors
    /// The address is invalid, a key must not be sent there, or the key does not fit into a header.
    pub fn new(
        provider: &str,
        api: ModelApi,
        base_url: &str,
        key: Option<Key>,
        patience: Duration,
    ) -> Result<Self, AddressError> {
        let address = Address::of_questions(base_url, provider, api)?;
        if let Some(key) = &key {
            if !address.is_safe() {
                return Err(AddressError::Unsafe);
            }
            key.header(style(api)).ok_or(AddressError::Key)?;
        }
        Ok(Self { api, address, key, patience })
    }

    /// Sends a question. A server that does not support an answer schema is asked a second time without one.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Reply, NoAnswer> {
        match self.send(&self.api.body(question, Shape::Enforced)).await {
            Err(NoAnswer::Refused { status, text, .. }) if refuses_shape(status, &text) => {
                self.send(&self.api.body(question, Shape::Described)).await
            }
            answered => answered,
        }
    }

    async fn send(&self, question: &Value) -> Result<Reply, NoAnswer> {
        let failed = |error: &reqwest::Error| NoAnswer::Failed(failure(error));
        let client = client(&self.address, PATIENT_CONNECT).map_err(NoAnswer::Failed)?;
        let request = client.post(self.address.url()).headers(self.headers()).body(question.to_string());
        let response = request.timeout(self.patience).send().await.map_err(|error| failed(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = body(response, LARGEST_LIST).await.map_err(NoAnswer::Failed)?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|_| NoAnswer::Strange)?;
        read(self.api, &answer).ok_or(NoAnswer::Strange)
    }

    async fn refusal(&self, response: Response) -> NoAnswer {
        let (status, headers) = (response.status().as_u16(), pacing(response.headers()));
        let bytes = body(response, LARGEST_REFUSAL).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let said = serde_json::from_str::<Value>(&text).ok().and_then(|said| {
            let words =
                ["/error/message", "/message", "/error"].into_iter().find_map(|at| said.pointer(at)?.as_str())?;
            // The kind of refusal is in a field beside the message.
            let kind = ["/error/code", "/error/type"].into_iter().find_map(|at| said.pointer(at)?.as_str());
            Some(kind.map_or_else(|| words.to_owned(), |kind| format!("{words} ({kind})")))
        });
        let text = said.unwrap_or_else(|| text.into_owned());
        let text = match &self.key {
            Some(key) => text.replace(&key.text, "***"),
            None => text,
        };
        let text = text.chars().take(LONGEST_REFUSAL).collect();
        NoAnswer::Refused { status, text, retry_at: resumes_at(status, &headers, SystemClock.now()) }
    }

    fn headers(&self) -> HeaderMap {
        let style = style(self.api);
        let mut headers: HeaderMap = self.key.iter().filter_map(|key| key.header(style)).collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        style.version(&mut headers);
        headers
    }
}

/// Returns the header for the key of a question; Google's OpenAI-compatible API takes it like the others.
fn style(api: ModelApi) -> Style {
    match api {
        ModelApi::Messages => Style::Anthropic,
        ModelApi::Responses | ModelApi::Chat => Style::OpenAi,
    }
}
