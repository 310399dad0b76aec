//! What a provider's answer to a model list request says: whether it can be used now, and if not, until when. PURE: the
//! request, the reply and the time are arguments.

mod observed;
mod pacing;
#[cfg(test)]
mod tests;

pub use pacing::HEADERS;

use crate::models::catalog::{Facts, ModelRef};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::IntoStaticStr;

/// How long a good answer stays fresh.
const AVAILABLE_FOR: SignedDuration = SignedDuration::from_secs(300);
/// How long a rate limit without an end, or a refused key, stays fresh.
const REFUSAL_FOR: SignedDuration = SignedDuration::from_secs(60);
/// How long any other failure stays fresh.
const UNAVAILABLE_FOR: SignedDuration = SignedDuration::from_secs(30);
/// The longest cooldown that a provider's own announcement can cause.
const MAX_COOLDOWN: SignedDuration = SignedDuration::from_hours(1);
/// How long a refused key counts against a provider, unless the key changes.
const INVALID_KEY_COUNTS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Clock difference above which the person is notified.
const SKEW: SignedDuration = SignedDuration::from_secs(120);

/// Statuses of a server that has no model list.
const NO_LIST: [u16; 3] = [404, 405, 501];

/// The state of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProviderState")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// It can be used.
    Available,
    /// It does not answer as it should.
    Unavailable,
    /// It answers again later.
    RateLimited,
    /// The key is refused or missing.
    InvalidKey,
}

impl State {
    /// All states, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Available, Self::Unavailable, Self::RateLimited, Self::InvalidKey];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the state with this stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Returns the exit code of a check; for several providers the highest counts.
    pub fn code(self) -> u8 {
        match self {
            Self::Available => 0,
            Self::Unavailable => 1,
            Self::RateLimited => 2,
            Self::InvalidKey => 3,
        }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider answered.
    Answered(Answer),
    /// There was no complete answer.
    Failed(Failure),
}

/// The relevant parts of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers among [`HEADERS`], with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The host that a redirect points to.
    pub redirect_host: Option<String>,
    /// The content of the body.
    pub body: Body,
}

/// The content of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// A list with this number of models.
    Models(usize),
    /// The key is invalid, whatever the status.
    BadKey,
    /// The account has no credit left.
    NoCredit,
    /// Nothing that orch understands.
    #[default]
    Other,
}

/// Why there was no complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The time limit passed.
    TimedOut,
    /// Nothing listens at the address.
    Refused,
    /// The host name has no address.
    NoAddress,
    /// The connection failed for another reason.
    NoConnection,
    /// The TLS connection failed, with the reason.
    Tls(String),
    /// The answer is incomplete or not HTTP.
    CutOff,
    /// The answer is larger than orch reads.
    TooLarge,
}

impl Failure {
    /// Describes the failure, to follow the provider's name.
    pub fn describe(&self) -> String {
        match self {
            Self::TimedOut => "does not answer in time".to_owned(),
            Self::Refused => "refuses the connection: nothing listens there".to_owned(),
            Self::NoAddress => "its host has no address; is base_url right, and is this machine online?".to_owned(),
            Self::NoConnection => "cannot be reached".to_owned(),
            Self::Tls(why) => format!("no safe connection: {why}"),
            Self::CutOff => "its answer is cut off, or no HTTP".to_owned(),
            Self::TooLarge => "its answer is larger than any of such a server (4 MB); is base_url right?".to_owned(),
        }
    }
}

/// The state of a provider, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub state: State,
    /// When the provider says that it answers again.
    pub until: Option<Timestamp>,
    /// Why: a phrase that follows the provider's name.
    pub why: String,
    /// Whether it says something about the models, and not only that there is no list of them.
    pub is_conclusive: bool,
}

impl Verdict {
    /// Creates a verdict without an end.
    pub fn new(state: State, why: impl Into<String>) -> Self {
        Self { state, until: None, why: why.into(), is_conclusive: true }
    }

    /// Returns until when an answer received `at` that time makes another request unnecessary.
    pub fn fresh_until(&self, at: Timestamp) -> Timestamp {
        let announced = self.until.map(|until| until.min(after(at, MAX_COOLDOWN))).filter(|until| *until > at);
        match self.state {
            State::Available => after(at, AVAILABLE_FOR),
            State::RateLimited => announced.unwrap_or(after(at, REFUSAL_FOR)),
            State::InvalidKey => after(at, REFUSAL_FOR).min(self.counts_until(at)),
            State::Unavailable => announced.unwrap_or(after(at, UNAVAILABLE_FOR)),
        }
    }

    /// Returns until when the verdict counts in the choice of a model: longer than it is fresh, because choosing sends
    /// no request.
    pub fn counts_until(&self, at: Timestamp) -> Timestamp {
        match self.state {
            State::Available | State::Unavailable => self.until.unwrap_or(after(at, AVAILABLE_FOR)),
            State::RateLimited => self.until.unwrap_or(after(at, REFUSAL_FOR)),
            State::InvalidKey => self.until.unwrap_or(after(at, INVALID_KEY_COUNTS_FOR)),
        }
    }

    /// Returns whether an answer received `at` that time is still fresh. A time in the future comes from a clock that
    /// was set back.
    pub fn is_fresh(&self, at: Timestamp, now: Timestamp) -> bool {
        at <= now && now < self.fresh_until(at)
    }

    /// Returns whether an answer received `at` that time still counts in the choice of a model.
    pub fn counts(&self, at: Timestamp, now: Timestamp) -> bool {
        self.is_conclusive && at <= now && now < self.counts_until(at)
    }
}

/// The address and the key of a request, as fingerprints from which neither can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The fingerprint of the address.
    pub address: String,
    /// The fingerprint of the key; empty without one.
    pub key: String,
}

/// The models that a provider lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// When the list was received.
    pub at: Timestamp,
    /// The models for conversation, with their facts.
    pub models: Vec<(ModelRef, Facts)>,
}

/// The last known state of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The address and the key that were used.
    pub asked: Asked,
    /// The time of the request.
    pub at: Timestamp,
    /// The state of the provider.
    pub verdict: Verdict,
    /// How long the answer took, in milliseconds.
    pub took_ms: u64,
    /// The last model list received.
    pub listed: Option<Listed>,
}

impl Probe {
    /// Keeps the model list of an earlier probe of the same address, if this one has none.
    #[must_use]
    pub fn following(mut self, earlier: Option<&Self>) -> Self {
        if self.listed.is_none() {
            let same = earlier.filter(|earlier| earlier.asked.address == self.asked.address);
            self.listed = same.and_then(|earlier| earlier.listed.clone());
        }
        self
    }
}

/// The last probe of each provider, by name.
pub type Probes = BTreeMap<String, Probe>;

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// Returns when a provider that refused with this status and headers may be asked again, if it said so.
pub fn resumes_at(status: u16, headers: &BTreeMap<String, String>, now: Timestamp) -> Option<Timestamp> {
    if status == 429 { pacing::reset(headers, now) } else { pacing::retry_after(headers, now) }
}

/// Judges an answer received at `now`.
pub fn judge(outcome: &Outcome, now: Timestamp) -> Verdict {
    match outcome {
        Outcome::Failed(failure) => Verdict::new(State::Unavailable, failure.describe()),
        Outcome::Answered(answer) => {
            let (state, why) = by_status(answer);
            let until = match state {
                State::RateLimited => pacing::reset(&answer.headers, now),
                State::Unavailable => pacing::retry_after(&answer.headers, now),
                State::Available | State::InvalidKey => None,
            };
            let why = format!("{why}{}", describe_skew(&answer.headers, now));
            // A key that may not read the list may be good for everything else.
            let is_of_the_list = NO_LIST.contains(&answer.status) || (answer.status, answer.body) == (403, Body::Other);
            Verdict { state, until, why, is_conclusive: !is_of_the_list }
        }
    }
}

fn by_status(answer: &Answer) -> (State, String) {
    let status = answer.status;
    let off = |why: String| (State::Unavailable, why);
    match (status, answer.body) {
        (200..=299, Body::Models(1)) => (State::Available, "answers: 1 model".to_owned()),
        (200..=299, Body::Models(count)) => (State::Available, format!("answers: {count} models")),
        (401 | 403, _) => (State::InvalidKey, format!("refuses the key ({status})")),
        (400..=499, Body::BadKey) => (State::InvalidKey, format!("says that the key is not valid ({status})")),
        (429, Body::NoCredit) => {
            (State::RateLimited, "has used up what the account may spend (429); waiting may not help".to_owned())
        }
        (429, _) => (State::RateLimited, "limits requests (429)".to_owned()),
        (402, _) | (400..=499, Body::NoCredit) => off(format!("wants to be paid first ({status})")),
        (status, _) if NO_LIST.contains(&status) => off(format!(
            "answers, but has no list of models there ({status}), so whether it can be used is not known; is base_url \
             right? that of an OpenAI-compatible server mostly ends with /v1"
        )),
        (407, _) => off("cannot be reached: the proxy asks who you are (407)".to_owned()),
        (500..=599, _) => off(format!("has trouble of its own ({status})")),
        (300..=399, _) => {
            let place = answer.redirect_host.as_ref().map(|host| format!(" to {host}")).unwrap_or_default();
            off(format!("points elsewhere ({status}{place}), and no key is sent there; set its base_url"))
        }
        (200..=299, _) => off(format!("answers ({status}), but not with a list of models; is base_url right?")),
        _ => off(format!("answers in an unexpected way ({status})")),
    }
}

/// Describes a large difference between the clocks.
fn describe_skew(headers: &BTreeMap<String, String>, now: Timestamp) -> String {
    let Some(skew) = pacing::skew(headers, now).filter(|skew| skew.abs() > SKEW) else { return String::new() };
    let which = if skew.is_positive() { "ahead of" } else { "behind" };
    format!("; its clock is {} minutes {which} this machine's", skew.abs().as_mins())
}
