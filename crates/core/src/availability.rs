//! What a provider's answer to a request for its list of models says: whether it can be used now, and until when not.
//! PURE: who asks, what came back and what time it is are arguments.

mod observed;
mod pacing;
#[cfg(test)]
mod tests;

pub use pacing::HEADERS;

use crate::catalog::{Facts, ModelRef};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long an answer that it can be used is good for.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(300);
/// The same of a limit on requests that does not say when it ends, and of a key that was refused.
const REFUSAL_FOR: SignedDuration = SignedDuration::from_secs(60);
/// The same of everything else that went wrong.
const TROUBLE_FOR: SignedDuration = SignedDuration::from_secs(30);
/// How long a provider is left alone at most because it said so.
const LEFT_ALONE: SignedDuration = SignedDuration::from_hours(1);
/// How long a refused key counts against a provider, unless another key is there.
const REFUSED_KEY: SignedDuration = SignedDuration::from_hours(24);
/// Clocks that differ by more are told of.
const SKEW: SignedDuration = SignedDuration::from_secs(120);

/// What a server answers that has no list of models.
const NO_LIST: [u16; 3] = [404, 405, 501];

/// How a provider stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It can be used.
    Available,
    /// It does not answer as it should.
    Unavailable,
    /// It answers again later.
    RateLimited,
    /// It does not take the key, or there is none.
    InvalidKey,
}

impl State {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Available, Self::Unavailable, Self::RateLimited, Self::InvalidKey];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Unavailable => "unavailable",
            Self::RateLimited => "rate_limited",
            Self::InvalidKey => "invalid_key",
        }
    }

    /// The state of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The exit code of a check; of several providers the highest counts.
    pub fn code(self) -> u8 {
        match self {
            Self::Available => 0,
            Self::Unavailable => 1,
            Self::RateLimited => 2,
            Self::InvalidKey => 3,
        }
    }
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was an answer.
    Answered(Answer),
    /// There was none, or not a whole one.
    Failed(Failure),
}

/// An answer, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Those of [`HEADERS`] that it had, by names in lower case.
    pub headers: BTreeMap<String, String>,
    /// To which host it points, when it points elsewhere.
    pub elsewhere: Option<String>,
    /// What its body says.
    pub said: Said,
}

/// What the body of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Said {
    /// A list with so many models.
    Models(usize),
    /// The key is not valid, whatever the status.
    BadKey,
    /// The account has nothing left.
    NoCredit,
    /// Nothing that is understood.
    #[default]
    Other,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Not in time.
    TimedOut,
    /// Nobody listens there.
    Refused,
    /// The host has no address.
    NoAddress,
    /// No connection, for another reason.
    NoConnection,
    /// The connection is not safe, and why.
    Tls(String),
    /// It is not whole, or not HTTP.
    CutOff,
    /// More than orch reads.
    TooLarge,
}

impl Failure {
    /// For a person, after the name of the provider.
    pub fn told(&self) -> String {
        match self {
            Self::TimedOut => "does not answer in time".to_owned(),
            Self::Refused => "refuses the connection: nobody listens there".to_owned(),
            Self::NoAddress => "its host has no address; is base_url right, and is this machine online?".to_owned(),
            Self::NoConnection => "cannot be reached".to_owned(),
            Self::Tls(why) => format!("no safe connection: {why}"),
            Self::CutOff => "its answer is cut off, or no HTTP".to_owned(),
            Self::TooLarge => "its answer is larger than any of such a server (4 MB); is base_url right?".to_owned(),
        }
    }
}

/// How a provider stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How.
    pub state: State,
    /// When it says that it answers again.
    pub until: Option<Timestamp>,
    /// Why: a phrase that follows the provider's name.
    pub why: String,
    /// It tells something of the models themselves, and not only that there is no list of them.
    pub is_conclusive: bool,
}

impl Verdict {
    /// One without a time.
    pub fn new(state: State, why: impl Into<String>) -> Self {
        Self { state, until: None, why: why.into(), is_conclusive: true }
    }

    /// Until when nobody needs to ask again, after it was asked `at` that time.
    pub fn fresh_until(&self, at: Timestamp) -> Timestamp {
        let told = self.until.map(|until| until.min(after(at, LEFT_ALONE))).filter(|until| *until > at);
        match self.state {
            State::Available => after(at, GOOD_FOR),
            State::RateLimited => told.unwrap_or(after(at, REFUSAL_FOR)),
            State::InvalidKey => after(at, REFUSAL_FOR).min(self.counts_until(at)),
            State::Unavailable => told.unwrap_or(after(at, TROUBLE_FOR)),
        }
    }

    /// Until when it counts where a model is chosen: longer than it is fresh, because choosing asks nobody.
    pub fn counts_until(&self, at: Timestamp) -> Timestamp {
        match self.state {
            State::Available | State::Unavailable => self.until.unwrap_or(after(at, GOOD_FOR)),
            State::RateLimited => self.until.unwrap_or(after(at, REFUSAL_FOR)),
            State::InvalidKey => self.until.unwrap_or(after(at, REFUSED_KEY)),
        }
    }

    /// Whether an answer had `at` that time needs not be asked for again; a time that is yet to come is of a clock that
    /// was set back.
    pub fn is_fresh(&self, at: Timestamp, now: Timestamp) -> bool {
        at <= now && now < self.fresh_until(at)
    }

    /// Whether an answer had `at` that time still counts where a model is chosen.
    pub fn counts(&self, at: Timestamp, now: Timestamp) -> bool {
        self.is_conclusive && at <= now && now < self.counts_until(at)
    }
}

/// Whom a question went to, and with what key: fingerprints, from which neither can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Of the address.
    pub address: String,
    /// Of the key; empty without one.
    pub key: String,
}

/// The models that a provider has, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// When it said so.
    pub at: Timestamp,
    /// Those that one can talk with.
    pub models: Vec<(ModelRef, Facts)>,
}

/// What is known of a provider since it was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Who was asked.
    pub asked: Asked,
    /// When.
    pub at: Timestamp,
    /// How it stands.
    pub verdict: Verdict,
    /// How long the answer took.
    pub took_ms: u64,
    /// Its models, when it ever told them.
    pub listed: Option<Listed>,
}

impl Probe {
    /// The same after an earlier one: a list that the provider had at that address is not forgotten when it fails.
    #[must_use]
    pub fn following(mut self, earlier: Option<&Self>) -> Self {
        if self.listed.is_none() {
            let same = earlier.filter(|earlier| earlier.asked.address == self.asked.address);
            self.listed = same.and_then(|earlier| earlier.listed.clone());
        }
        self
    }
}

/// What is known of all providers that were asked, by name.
pub type Probes = BTreeMap<String, Probe>;

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// When a provider that refused with this status and these headers may be asked again, as far as it said so.
pub fn resumes(status: u16, headers: &BTreeMap<String, String>, now: Timestamp) -> Option<Timestamp> {
    if status == 429 { pacing::reset(headers, now) } else { pacing::retry_after(headers, now) }
}

/// What an answer that came `now` says.
pub fn judge(outcome: &Outcome, now: Timestamp) -> Verdict {
    match outcome {
        Outcome::Failed(failure) => Verdict::new(State::Unavailable, failure.told()),
        Outcome::Answered(answer) => {
            let (state, why) = by_status(answer);
            let until = match state {
                State::RateLimited => pacing::reset(&answer.headers, now),
                State::Unavailable => pacing::retry_after(&answer.headers, now),
                State::Available | State::InvalidKey => None,
            };
            let why = format!("{why}{}", skewed(&answer.headers, now));
            // A key that may not see the list may be good for everything else.
            let is_of_the_list = NO_LIST.contains(&answer.status) || (answer.status, answer.said) == (403, Said::Other);
            Verdict { state, until, why, is_conclusive: !is_of_the_list }
        }
    }
}

fn by_status(answer: &Answer) -> (State, String) {
    let status = answer.status;
    let off = |why: String| (State::Unavailable, why);
    match (status, answer.said) {
        (200..=299, Said::Models(1)) => (State::Available, "answers: 1 model".to_owned()),
        (200..=299, Said::Models(count)) => (State::Available, format!("answers: {count} models")),
        (401 | 403, _) => (State::InvalidKey, format!("refuses the key ({status})")),
        (400..=499, Said::BadKey) => (State::InvalidKey, format!("says that the key is not valid ({status})")),
        (429, Said::NoCredit) => {
            (State::RateLimited, "has used up what the account may spend (429); waiting may not help".to_owned())
        }
        (429, _) => (State::RateLimited, "limits requests (429)".to_owned()),
        (402, _) | (400..=499, Said::NoCredit) => off(format!("wants to be paid first ({status})")),
        (status, _) if NO_LIST.contains(&status) => off(format!(
            "answers, but has no list of models there ({status}), so whether it can be used is not known; is base_url \
             right? that of an OpenAI-compatible server mostly ends with /v1"
        )),
        (407, _) => off("cannot be reached: the proxy asks who you are (407)".to_owned()),
        (500..=599, _) => off(format!("has trouble of its own ({status})")),
        (300..=399, _) => {
            let place = answer.elsewhere.as_ref().map(|host| format!(" to {host}")).unwrap_or_default();
            off(format!("points elsewhere ({status}{place}), and no key is sent there; set its base_url"))
        }
        (200..=299, _) => off(format!("answers ({status}), but not with a list of models; is base_url right?")),
        _ => off(format!("answers in an unexpected way ({status})")),
    }
}

/// What a person should know of the clocks.
fn skewed(headers: &BTreeMap<String, String>, now: Timestamp) -> String {
    let Some(skew) = pacing::skew(headers, now).filter(|skew| skew.abs() > SKEW) else { return String::new() };
    let which = if skew.is_positive() { "ahead of" } else { "behind" };
    format!("; its clock is {} minutes {which} this machine's", skew.abs().as_mins())
}
