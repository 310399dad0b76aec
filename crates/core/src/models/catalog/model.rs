//! What is known of a model: its name, its facts, and the source of each fact.

use super::spelling::words;
use crate::base::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use strum::IntoStaticStr;

/// A model at a provider: `anthropic/claude-sonnet-4-6`. The model's own name may contain more slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct ModelRef {
    /// The provider.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
}

impl ModelRef {
    /// Creates a reference from its two parts.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into() }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl FromStr for ModelRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => Ok(Self::new(provider, model)),
            Some(_) | None => Err(format!("{text:?} is not provider/model")),
        }
    }
}

impl Serialize for ModelRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A level of capability and price across providers, from the lowest.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Tier {
    /// Classification, formatting.
    Haiku,
    /// Large context, summaries.
    Flash,
    /// Code; the default.
    Sonnet,
    /// Large codebases, and reasoning.
    Pro,
    /// Architecture, novel problems.
    Opus,
}

impl Tier {
    /// All tiers, from the lowest to the highest.
    pub const ALL: [Self; 5] = [Self::Haiku, Self::Flash, Self::Sonnet, Self::Pro, Self::Opus];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the tiers to try when this one is unavailable: first downwards, so that nothing more expensive is taken
    /// while something cheaper exists, then upwards.
    pub fn neighbours(self) -> impl Iterator<Item = Self> {
        let below = Self::ALL.into_iter().rev().filter(move |tier| *tier < self);
        below.chain(Self::ALL.into_iter().filter(move |tier| *tier > self))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A capability of a model.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Capability {
    /// Accepts images.
    Vision,
    /// Calls functions.
    Tools,
    /// Streams its answer.
    Streaming,
    /// Reasons before it answers.
    Reasoning,
    /// Searches the web by itself.
    Web,
    /// Accepts PDF files.
    Pdf,
    /// Runs code at its provider.
    CodeExecution,
}

impl Capability {
    /// All capabilities, in display order.
    pub const ALL: [Self; 7] =
        [Self::Vision, Self::Tools, Self::Streaming, Self::Reasoning, Self::Web, Self::Pdf, Self::CodeExecution];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The source of a fact; a later source overrides an earlier one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FactSource")]
#[strum(serialize_all = "snake_case")]
pub enum Source {
    /// Guessed from the name. Never enough for a requirement.
    Inferred,
    /// The built-in table.
    Catalog,
    /// The provider's own list.
    ProviderApi,
    /// The person's configuration.
    Override,
}

impl Source {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Facts about a model. Unknown facts are absent: an unknown price is not 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The display name.
    pub name: Option<String>,
    /// The release date, `2026-02-17`.
    pub released: Option<String>,
    /// Whether its maker discourages new use.
    pub deprecated: Option<bool>,
    /// The tier.
    pub tier: Option<Tier>,
    /// Capabilities that it has or lacks.
    pub capabilities: BTreeMap<Capability, bool>,
    /// The context window in tokens.
    pub context_window: Option<u64>,
    /// The longest answer in tokens.
    pub max_output_tokens: Option<u64>,
    /// The price of a million input tokens.
    pub input_price: Option<Usd>,
    /// The price of a million input tokens read from the provider's cache.
    pub cached_price: Option<Usd>,
    /// The price of a million output tokens.
    pub output_price: Option<Usd>,
    /// The time until an answer starts, in milliseconds.
    pub average_latency_ms: Option<u64>,
    /// The output speed.
    pub throughput_tokens_per_second: Option<u64>,
}

/// A model with all known facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The provider and the model's name.
    pub id: ModelRef,
    words: Vec<String>,
    facts: Facts,
    sources: BTreeMap<&'static str, Source>,
}

/// Tokens per unit of a price, in thousands.
const THOUSANDS: i64 = 1000;

impl Model {
    /// Creates a model without facts.
    pub fn unknown(id: ModelRef) -> Self {
        Self { words: words(&id.model), id, facts: Facts::default(), sources: BTreeMap::new() }
    }

    /// Returns the words of the name, in lower case.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns the known facts.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns the source of each fact, by the name of the fact.
    pub fn sources(&self) -> &BTreeMap<&'static str, Source> {
        &self.sources
    }

    /// Adds the facts of `source`; facts that it lacks stay as they were.
    pub fn learn(&mut self, said: &Facts, source: Source) {
        let sources = &mut self.sources;
        let mut note = |name: &'static str| {
            sources.insert(name, source);
        };
        take("name", &mut self.facts.name, &said.name, &mut note);
        take("released", &mut self.facts.released, &said.released, &mut note);
        take("deprecated", &mut self.facts.deprecated, &said.deprecated, &mut note);
        take("tier", &mut self.facts.tier, &said.tier, &mut note);
        take("context_window", &mut self.facts.context_window, &said.context_window, &mut note);
        take("max_output_tokens", &mut self.facts.max_output_tokens, &said.max_output_tokens, &mut note);
        take("input_usd_per_mtok", &mut self.facts.input_price, &said.input_price, &mut note);
        take("cached_input_usd_per_mtok", &mut self.facts.cached_price, &said.cached_price, &mut note);
        take("output_usd_per_mtok", &mut self.facts.output_price, &said.output_price, &mut note);
        take("average_latency_ms", &mut self.facts.average_latency_ms, &said.average_latency_ms, &mut note);
        let throughput = &said.throughput_tokens_per_second;
        take("throughput_tokens_per_second", &mut self.facts.throughput_tokens_per_second, throughput, &mut note);
        for (capability, value) in &said.capabilities {
            self.facts.capabilities.insert(*capability, *value);
            note(capability.as_str());
        }
    }

    /// Returns whether the model has a capability, if known. Streaming is assumed unless a source denies it.
    pub fn can(&self, capability: Capability) -> Option<bool> {
        let streams = (capability == Capability::Streaming).then_some(true);
        self.facts.capabilities.get(&capability).copied().or(streams)
    }

    /// Returns whether a reliable source says that it has a capability: a guess by its name is not enough.
    pub fn surely_can(&self, capability: Capability) -> bool {
        let guessed = self.sources.get(capability.as_str()) == Some(&Source::Inferred);
        self.can(capability) == Some(true) && !guessed
    }

    /// Returns whether a reliable source says that it lacks a capability.
    pub fn surely_cannot(&self, capability: Capability) -> bool {
        let guessed = self.sources.get(capability.as_str()) == Some(&Source::Inferred);
        self.can(capability) == Some(false) && !guessed
    }

    /// Returns the mean of the input and output prices per million tokens; the known one if only one is known.
    pub fn average_price(&self) -> Option<Usd> {
        match (self.facts.input_price, self.facts.output_price) {
            (Some(input), Some(output)) => Some(Usd::from_micros(i64::midpoint(input.micros(), output.micros()))),
            (one, other) => one.or(other),
        }
    }

    /// Returns whether a thousand tokens cost more than the limit on average; `None` if the price is unknown.
    pub fn is_dearer_than(&self, limit_per_1k: Usd) -> Option<bool> {
        Some(self.average_price()?.micros() > limit_per_1k.micros().saturating_mul(THOUSANDS))
    }

    /// Returns whether the tier is only guessed from the name.
    pub fn is_tier_guessed(&self) -> bool {
        self.sources.get("tier") == Some(&Source::Inferred)
    }

    /// Returns whether its maker discourages new use.
    pub fn is_deprecated(&self) -> bool {
        self.facts.deprecated == Some(true)
    }
}

fn take<T: Clone>(name: &'static str, known: &mut Option<T>, said: &Option<T>, note: &mut impl FnMut(&'static str)) {
    if said.is_some() {
        known.clone_from(said);
        note(name);
    }
}
