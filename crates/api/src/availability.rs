//! How providers of models stand, as programs and people read it.

use jiff::Timestamp;
use orch_core::models::availability::{Probe, State, Verdict};
use orch_core::models::provider_access::Way;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::outcome::FailureClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// How all providers stand that were asked about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckView {
    /// The exit code: the highest of theirs.
    pub code: u8,
    /// Every provider that was checked.
    pub providers: Vec<ProviderView>,
}

/// An agent that is left alone for a while because a provider failed, or one provider of its models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftAloneView {
    /// The agent.
    pub agent: String,
    /// The provider whose models are meant; `null`: all that the agent has.
    pub provider: Option<String>,
    /// The class of the failure.
    pub class: FailureClass,
    /// A description for a person.
    pub detail: String,
    /// When the pause ends.
    pub until: Timestamp,
}

impl LeftAloneView {
    /// Creates the view from the name under which the pause is kept: `opencode/google`.
    pub fn new(name: &str, cooldown: &Cooldown) -> Self {
        let (agent, provider) = match name.split_once('/') {
            Some((agent, provider)) => (agent, Some(provider.to_owned())),
            None => (name, None),
        };
        let Cooldown { class, detail, until, .. } = cooldown.clone();
        Self { agent: agent.to_owned(), provider, class, detail, until }
    }

    /// Returns the agent and the provider: `opencode/google`.
    pub fn who(&self) -> String {
        self.provider.as_ref().map_or_else(|| self.agent.clone(), |provider| format!("{}/{provider}", self.agent))
    }
}

/// How a provider stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderView {
    /// The name of the provider.
    pub provider: String,
    /// `available`, `unavailable`, `rate_limited` or `invalid_key`.
    #[serde(serialize_with = "name")]
    pub state: State,
    /// The exit code for its state.
    pub code: u8,
    /// Why: a phrase that follows its name.
    pub why: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// By what it can be used.
    pub by: Option<String>,
    /// When it says that it answers again.
    pub until: Option<Timestamp>,
    /// When it was asked; `None`: there was no need to, or nobody to ask.
    pub checked_at: Option<Timestamp>,
    /// How long ago that was.
    pub age_seconds: Option<u64>,
    /// The answer is an earlier one.
    pub cached: bool,
    /// How long the answer took.
    pub took_ms: Option<u64>,
    /// How many models that one can talk with it told of, last time it did.
    pub models: Option<usize>,
    /// When it listed them.
    pub listed_at: Option<Timestamp>,
}

fn name<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

impl ProviderView {
    /// Creates the view of a provider that was not asked.
    pub fn unasked(provider: &str, verdict: Verdict, way: Option<&Way>) -> Self {
        Self {
            provider: provider.to_owned(),
            state: verdict.state,
            code: verdict.state.code(),
            why: verdict.why,
            remedy: None,
            by: way.map(Way::describe),
            until: verdict.until,
            checked_at: None,
            age_seconds: None,
            cached: false,
            took_ms: None,
            models: None,
            listed_at: None,
        }
    }

    /// Creates the view of a provider that was asked.
    pub fn asked(provider: &str, probe: &Probe, cached: bool, way: Option<&Way>, now: Timestamp) -> Self {
        let age = now.duration_since(probe.at).as_secs();
        Self {
            checked_at: Some(probe.at),
            age_seconds: Some(u64::try_from(age).unwrap_or_default()),
            cached,
            took_ms: Some(probe.took_ms),
            models: probe.listed.as_ref().map(|listed| listed.models.len()),
            listed_at: probe.listed.as_ref().map(|listed| listed.at),
            ..Self::unasked(provider, probe.verdict.clone(), way)
        }
    }

    /// Returns the view with what to do about it.
    #[must_use]
    pub fn with(mut self, remedy: Option<String>) -> Self {
        self.remedy = remedy;
        self
    }
}
