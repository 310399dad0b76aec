//! One question to a model of a provider, and its answer: one request, never repeated by itself.

use super::{Address, AddressError, Key, LARGEST_LIST, LARGEST_REFUSAL, Style, body, client, failure, pacing};
use crate::clock::{Clock, SystemClock};
use jiff::Timestamp;
use orch_core::availability::{Failure, resumes};
use orch_core::model_api::{ModelApi, Question, Reply, Shape, read, refuses_shape};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use std::time::Duration;

/// How long a connection may take, where the answer takes long as well.
const PATIENT_CONNECT: Duration = Duration::from_secs(10);
/// The longest text of a refusal that is handed on, in characters.
const LONGEST_REFUSAL: usize = 2_000;

/// A model that can be asked.
#[derive(Debug, Clone)]
pub struct Talk {
    api: ModelApi,
    address: Address,
    key: Option<Key>,
    patience: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum NoAnswer {
    /// The provider said no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words, without the key.
        text: String,
        /// When it may be asked again.
        retry_at: Option<Timestamp>,
    },
    /// It could not be reached, or its answer could not be read.
    Failed(Failure),
    /// It answered with something else than an answer.
    Strange,
}

impl Talk {
    /// With the API of `provider` at `base_url`, for at most `patience`.
    ///
    /// # Errors
    /// That is no address, or none to which the key may go, or the key cannot be sent.
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

    /// Asks. A server that cannot hold a model to a shape is asked a second time without one.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Reply, NoAnswer> {
        match self.send(&self.api.body(question, Shape::Held)).await {
            Err(NoAnswer::Refused { status, text, .. }) if refuses_shape(status, &text) => {
                self.send(&self.api.body(question, Shape::Told)).await
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
            // What kind of refusal it is stands beside the words.
            let kind = ["/error/code", "/error/type"].into_iter().find_map(|at| said.pointer(at)?.as_str());
            Some(kind.map_or_else(|| words.to_owned(), |kind| format!("{words} ({kind})")))
        });
        let text = said.unwrap_or_else(|| text.into_owned());
        let text = match &self.key {
            Some(key) => text.replace(&key.text, "***"),
            None => text,
        };
        let text = text.chars().take(LONGEST_REFUSAL).collect();
        NoAnswer::Refused { status, text, retry_at: resumes(status, &headers, SystemClock.now()) }
    }

    fn headers(&self) -> HeaderMap {
        let style = style(self.api);
        let mut headers: HeaderMap = self.key.iter().filter_map(|key| key.header(style)).collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        style.version(&mut headers);
        headers
    }
}

/// How a key is sent with a question: Google takes it as the others do where it speaks their language.
fn style(api: ModelApi) -> Style {
    match api {
        ModelApi::Messages => Style::Anthropic,
        ModelApi::Responses | ModelApi::Chat => Style::OpenAi,
    }
}
