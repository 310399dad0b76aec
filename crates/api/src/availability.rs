//! The states of model providers, and agents that are not used for a while because a provider failed.

use jiff::Timestamp;
use orch_core::models::availability::{Probe, State, Verdict};
use orch_core::models::provider_access::Way;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::outcome::FailureClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which providers to check.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckQuestion {
    /// The name of one; without it, all that have a key, a login or an entry under `providers`.
    pub provider: Option<String>,
    /// Ignores recent answers.
    pub refresh: bool,
}

/// The states of the providers that were checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProvidersView {
    /// The exit code of `orch models check`: the highest of the providers' codes, or 3 where there is no provider.
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

/// The state of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderView {
    /// The name of the provider.
    pub provider: String,
    /// Whether it can be used.
    pub state: State,
    /// The exit code for its state.
    pub code: u8,
    /// Why: a phrase that follows its name.
    pub why: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// What makes it usable.
    pub by: Option<String>,
    /// When it says that it answers again.
    pub until: Option<Timestamp>,
    /// When it was asked; `null`: it was not asked.
    pub checked_at: Option<Timestamp>,
    /// How long ago that was.
    pub age_seconds: Option<u64>,
    /// Whether the answer is an earlier one.
    pub cached: bool,
    /// How long the answer took.
    pub took_ms: Option<u64>,
    /// The number of models in its last list with which one can talk.
    pub models: Option<usize>,
    /// When it listed them.
    pub listed_at: Option<Timestamp>,
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
