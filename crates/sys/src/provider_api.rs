//! The HTTP client of model providers: requests a provider's list of models, or sends a model a question. It knows the
//! requests and responses of each kind of API; `domain::availability` interprets the results.
//!
//! A key is sent in a header only, over TLS or to this machine only, and never to a redirect's target.

mod address;
mod list;
mod question;

pub use address::{Address, AddressError};
pub use question::{NoAnswer, Talk};

use super::clock::{self, Clock, SystemClock};
use super::outgoing;
use orch_core::models::availability::{Answer, Asked, Body, Failure, HEADERS, Listed, Outcome, Probe, State, judge};
use orch_core::models::catalog::{Facts, ModelRef};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Response};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// The time limit of a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// The time limit of a whole list request.
const WHOLE: Duration = Duration::from_secs(3);
/// The largest list of models that is read, in bytes.
const LARGEST_LIST: usize = 4 << 20;
/// The largest error response that is read, in bytes.
const LARGEST_REFUSAL: usize = 64 << 10;
/// The longest header value that is read, in bytes.
const LONGEST_VALUE: usize = 200;

/// The kind of API that a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The API of Anthropic.
    Anthropic,
    /// The API of OpenAI and of all compatible providers.
    OpenAi,
    /// The API of Google.
    Google,
}

impl Style {
    /// Returns the API of a provider.
    pub fn for_provider(provider: &str) -> Self {
        match provider {
            "anthropic" | "minimax" => Self::Anthropic,
            "google" => Self::Google,
            _ => Self::OpenAi,
        }
    }

    fn version(self, headers: &mut HeaderMap) {
        if self == Self::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
    }
}

/// A secret key. Its `Debug` output does not contain it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    text: String,
    is_token: bool,
}

impl Key {
    /// Creates the API key of an account.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_token: false }
    }

    /// Creates a bearer token, which is sent as such in every API.
    pub fn token(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_token: true }
    }

    fn header(&self, style: Style) -> Option<(HeaderName, HeaderValue)> {
        let (name, text) = match style {
            Style::Anthropic if !self.is_token => (HeaderName::from_static("x-api-key"), self.text.clone()),
            Style::Google if !self.is_token => (HeaderName::from_static("x-goog-api-key"), self.text.clone()),
            Style::Anthropic | Style::Google | Style::OpenAi => (AUTHORIZATION, format!("Bearer {}", self.text)),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A request for a provider's list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    provider: String,
    style: Style,
    address: Address,
    key: Option<Key>,
}

/// The result of the request.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The state of the provider that follows from it.
    pub outcome: Outcome,
    /// The chat models of the list.
    pub models: Vec<(ModelRef, Facts)>,
    /// How long the request took.
    pub took: Duration,
}

impl Request {
    /// Prepares a request for the models of the provider whose API is at `base_url`.
    ///
    /// # Errors
    /// The address is invalid, a key must not be sent there, or the key does not fit into a header.
    pub fn new(provider: &str, base_url: &str, key: Option<Key>) -> Result<Self, AddressError> {
        let style = Style::for_provider(provider);
        let address = Address::of_models(base_url, style)?;
        if let Some(key) = &key {
            if !address.is_safe() {
                return Err(AddressError::Unsafe);
            }
            key.header(style).ok_or(AddressError::Key)?;
        }
        Ok(Self { provider: provider.to_owned(), style, address, key })
    }

    /// Identifies this request without revealing the address or the key.
    pub fn asked(&self) -> Asked {
        let of_key = |key: &Key| fingerprint(&format!("{}\0{}", self.address.as_str(), key.text));
        let key = self.key.as_ref().map(of_key).unwrap_or_default();
        Asked { address: fingerprint(self.address.as_str()), key }
    }

    /// Sends the request. Takes three seconds at most.
    pub async fn models(&self) -> Reply {
        let began = clock::instant();
        let (outcome, models) = match self.ask().await {
            Ok((answer, models)) => (Outcome::Answered(answer), models),
            Err(failure) => (Outcome::Failed(failure), Vec::new()),
        };
        Reply { outcome, models, took: clock::instant().duration_since(began) }
    }

    /// Sends the request, and judges the reply.
    pub async fn probe(&self) -> Probe {
        let Reply { outcome, models, took } = self.models().await;
        let at = SystemClock.now();
        let verdict = judge(&outcome, at);
        let listed = (verdict.state == State::Available).then_some(Listed { at, models });
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Probe { asked: self.asked(), at, verdict, took_ms, listed }
    }

    async fn ask(&self) -> Result<(Answer, Vec<(ModelRef, Facts)>), Failure> {
        let client = client(&self.address, CONNECT)?;
        let response = client.get(self.address.url()).headers(self.headers()).timeout(WHOLE).send().await;
        let response = response.map_err(|error| failure(&error))?;
        let mut answer = Answer {
            status: response.status().as_u16(),
            headers: pacing(response.headers()),
            redirect_host: self.redirect_host(&response),
            body: Body::Other,
        };
        if !response.status().is_success() {
            // The status is the main information, whether or not the rest can be read.
            let body = body(response, LARGEST_REFUSAL).await.unwrap_or_default();
            answer.body = list::refusal(&body);
            return Ok((answer, Vec::new()));
        }
        let body = body(response, LARGEST_LIST).await?;
        let key = self.key.as_ref().map(|key| key.text.as_str());
        let Some(listed) = list::read(&self.provider, &body, key) else { return Ok((answer, Vec::new())) };
        answer.body = Body::Models(listed.count);
        Ok((answer, listed.models))
    }

    fn headers(&self) -> HeaderMap {
        let mut headers: HeaderMap = self.key.iter().filter_map(|key| key.header(self.style)).collect();
        self.style.version(&mut headers);
        headers
    }

    /// Returns the target of a redirect: the host only, and nothing that repeats the key.
    fn redirect_host(&self, response: &Response) -> Option<String> {
        let place = response.headers().get(LOCATION)?.to_str().ok()?;
        let host = response.url().join(place).ok()?.host_str()?.to_owned();
        let repeats = |key: &Key| host.contains(&key.text.to_lowercase());
        (host.len() <= LONGEST_VALUE && !self.key.as_ref().is_some_and(repeats)).then_some(host)
    }
}

/// Returns a short digest: enough to distinguish two values, too little to guess from.
fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn client(address: &Address, connect: Duration) -> Result<Client, Failure> {
    outgoing::client(address.is_encrypted(), address.is_loopback(), connect).map_err(|error| failure(&error))
}

async fn body(response: Response, largest: usize) -> Result<Vec<u8>, Failure> {
    outgoing::body(response, largest).await.map_err(|error| failure(&error))?.ok_or(Failure::TooLarge)
}

fn pacing(headers: &HeaderMap) -> BTreeMap<String, String> {
    let value = |name: &&str| headers.get(*name)?.to_str().ok().filter(|value| value.len() <= LONGEST_VALUE);
    HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?.to_owned()))).collect()
}

/// Returns the cause of a failed request, from its chain of errors.
fn failure(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::TimedOut;
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(found) = of_cause(cause) {
            return found;
        }
        next = cause.source();
    }
    match (error.is_builder(), error.is_connect()) {
        (true, _) => Failure::Tls("no trusted certificates on this machine; install ca-certificates".to_owned()),
        (false, true) => Failure::NoConnection,
        (false, false) => Failure::CutOff,
    }
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(Failure::Tls(error.to_string().chars().take(LONGEST_VALUE).collect()));
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Some(Failure::Refused);
        }
        // The wrapped error is not in the chain of sources.
        return of_cause(error.get_ref()?);
    }
    // The connector has no error type of its own for it.
    (cause.to_string() == "dns error").then_some(Failure::NoAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_into_the_header_of_its_api_and_is_never_shown() {
        let sent = |provider: &str, key: Key| {
            let request = Request::new(provider, "https://x.test/v1", Some(key)).expect("an address");
            assert!(!format!("{request:?} {:?}", request.headers()).contains("sk-secret"), "{request:?}");
            let asked = request.asked();
            assert!(!asked.key.is_empty() && !asked.key.contains("secret") && !asked.address.contains("x.test"));
            let headers = request.headers();
            ["x-api-key", "x-goog-api-key", "authorization"]
                .map(|name| headers.get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default())
        };
        assert_eq!(sent("anthropic", Key::new("sk-secret")), ["sk-secret", "", ""]);
        assert_eq!(sent("anthropic", Key::token("sk-secret")), ["", "", "Bearer sk-secret"]);
        assert_eq!(sent("google", Key::new("sk-secret")), ["", "sk-secret", ""]);
        assert_eq!(sent("groq", Key::new("sk-secret")), ["", "", "Bearer sk-secret"]);
        let open = Request::new("local", "http://10.0.0.7:8080/v1", None).expect("without a key anywhere");
        assert_eq!((open.asked().key.as_str(), open.headers().len()), ("", 0));
        let broken = Request::new("openai", "https://x.test", Some(Key::new("two\nlines")));
        assert_eq!(broken, Err(AddressError::Key));
        assert_eq!(Request::new("openai", "http://x.test", Some(Key::new("k"))), Err(AddressError::Unsafe));
    }

    #[test]
    fn questions_with_another_key_or_address_differ() {
        let asked = |base: &str, key: &str| Request::new("x", base, Some(Key::new(key))).expect("an address").asked();
        assert_eq!(asked("https://a.test", "k"), asked("https://a.test/", "k"));
        assert_ne!(asked("https://a.test", "k").address, asked("https://b.test", "k").address);
        assert_ne!(asked("https://a.test", "k").key, asked("https://a.test", "l").key);
    }
}
