//! What is known of a model: its name, its facts, and for each fact who said it.

use super::spelling::words;
use crate::money::Usd;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A model at a provider: `anthropic/claude-sonnet-4-6`. The model's own name may hold more slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelRef {
    /// Who serves it.
    pub provider: String,
    /// What the provider calls it.
    pub model: String,
}

impl ModelRef {
    /// From its two parts.
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

/// A rung of capability and price across providers, from the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Classification, formatting.
    Haiku,
    /// Large context, summaries.
    Flash,
    /// Code; the default.
    Sonnet,
    /// A large codebase, and reasoning.
    Pro,
    /// Architecture, novel problems.
    Opus,
}

impl Tier {
    /// From the lowest to the highest.
    pub const ALL: [Self; 5] = [Self::Haiku, Self::Flash, Self::Sonnet, Self::Pro, Self::Opus];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Haiku => "haiku",
            Self::Flash => "flash",
            Self::Sonnet => "sonnet",
            Self::Pro => "pro",
            Self::Opus => "opus",
        }
    }

    /// Where to look when nothing of this tier can be had: first downwards, so that nothing dearer than what was asked
    /// for is taken while there is something below it, then upwards.
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

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Takes images.
    Vision,
    /// Calls functions.
    Tools,
    /// Sends its answer while it makes it.
    Streaming,
    /// Thinks before it answers.
    Reasoning,
    /// Looks things up in the web by itself.
    Web,
    /// Takes PDF files.
    Pdf,
    /// Runs code on its provider's side.
    CodeExecution,
}

impl Capability {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Vision, Self::Tools, Self::Streaming, Self::Reasoning, Self::Web, Self::Pdf, Self::CodeExecution];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Tools => "tools",
            Self::Streaming => "streaming",
            Self::Reasoning => "reasoning",
            Self::Web => "web",
            Self::Pdf => "pdf",
            Self::CodeExecution => "code_execution",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who said something of a model; a later one overrules an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Its name looks like it. Never enough for a requirement.
    Inferred,
    /// The built-in table.
    Catalog,
    /// The provider's own list.
    ProviderApi,
    /// The person's configuration.
    Override,
}

impl Source {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inferred => "inferred",
            Self::Catalog => "catalog",
            Self::ProviderApi => "provider_api",
            Self::Override => "override",
        }
    }
}

/// Facts about a model. What is not known is absent: a price that nobody knows is not 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// For people.
    pub name: Option<String>,
    /// Day of its release, `2026-02-17`.
    pub released: Option<String>,
    /// Its maker wants nobody to begin with it any more.
    pub deprecated: Option<bool>,
    /// Its rung.
    pub tier: Option<Tier>,
    /// What it can do and what not.
    pub capabilities: BTreeMap<Capability, bool>,
    /// Tokens that it can have before it.
    pub context_window: Option<u64>,
    /// Tokens that one answer can have.
    pub max_output_tokens: Option<u64>,
    /// Price of a million tokens that it reads.
    pub input_price: Option<Usd>,
    /// Price of a million tokens that it reads from its provider's cache.
    pub cached_price: Option<Usd>,
    /// Price of a million tokens that it writes.
    pub output_price: Option<Usd>,
    /// Until an answer begins.
    pub average_latency_ms: Option<u64>,
    /// How quickly it writes.
    pub throughput_tokens_per_second: Option<u64>,
}

/// A model with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Where and what.
    pub id: ModelRef,
    words: Vec<String>,
    facts: Facts,
    sources: BTreeMap<&'static str, Source>,
}

/// Tokens to which prices refer, in thousands.
const THOUSANDS: i64 = 1000;

impl Model {
    /// One of which nothing is known.
    pub fn unknown(id: ModelRef) -> Self {
        Self { words: words(&id.model), id, facts: Facts::default(), sources: BTreeMap::new() }
    }

    /// The words of its name, in lower case.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// What is known.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Who said it, by the name of the fact.
    pub fn sources(&self) -> &BTreeMap<&'static str, Source> {
        &self.sources
    }

    /// Adds what `source` says; where it says nothing, what was said before holds.
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

    /// Whether it can; `None`: nobody knows. Every model is taken to stream unless somebody says otherwise.
    pub fn can(&self, capability: Capability) -> Option<bool> {
        let streams = (capability == Capability::Streaming).then_some(true);
        self.facts.capabilities.get(&capability).copied().or(streams)
    }

    /// Whether somebody who knows says that it can: a guess by its name is not enough.
    pub fn surely_can(&self, capability: Capability) -> bool {
        let guessed = self.sources.get(capability.as_str()) == Some(&Source::Inferred);
        self.can(capability) == Some(true) && !guessed
    }

    /// Whether somebody who knows says that it cannot.
    pub fn surely_cannot(&self, capability: Capability) -> bool {
        let guessed = self.sources.get(capability.as_str()) == Some(&Source::Inferred);
        self.can(capability) == Some(false) && !guessed
    }

    /// Mean of the prices of a million tokens read and written; the one that is known where only one is.
    pub fn average_price(&self) -> Option<Usd> {
        match (self.facts.input_price, self.facts.output_price) {
            (Some(input), Some(output)) => Some(Usd::from_micros(i64::midpoint(input.micros(), output.micros()))),
            (one, other) => one.or(other),
        }
    }

    /// Whether a thousand of its tokens cost more than `limit` on the average; `None`: its price is not known.
    pub fn is_dearer_than(&self, limit_per_1k: Usd) -> Option<bool> {
        Some(self.average_price()?.micros() > limit_per_1k.micros().saturating_mul(THOUSANDS))
    }

    /// Whether it has a tier that only its name makes likely.
    pub fn is_tier_guessed(&self) -> bool {
        self.sources.get("tier") == Some(&Source::Inferred)
    }

    /// Whether its maker wants nobody to begin with it.
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
