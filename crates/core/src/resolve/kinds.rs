//! What a resolution is asked and what it answers: preferences, needs, history, and the model with its reason.

use super::Score;
use crate::catalog::{Capability, Model, ModelRef, Tier};
use crate::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How price counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Not at all, but for a limit.
    #[default]
    Performance,
    /// A little, beside fitness.
    Balanced,
    /// First of all, among what fits.
    Economical,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Performance, Self::Balanced, Self::Economical];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Performance => "performance",
            Self::Balanced => "balanced",
            Self::Economical => "economical",
        }
    }
}

/// `model_selection`: what the person prefers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Selection {
    /// How price counts.
    pub mode: Mode,
    /// Tags and tiers choose nothing whose thousand tokens cost more on the average, or whose price is not known.
    pub max_cost_per_1k_tokens: Option<Usd>,
    /// The most liked first.
    pub preferred_providers: Vec<String>,
    /// What `auto` is.
    pub model: Option<String>,
    /// What `auto:fast` tries first.
    pub small_model: Option<String>,
    /// Providers that are paid in advance for a period, with something of its allowance left: not set, but found out.
    #[serde(skip)]
    pub paid_ahead: BTreeSet<String>,
}

/// What a model must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Needs {
    /// Each of them, surely.
    pub capabilities: BTreeSet<Capability>,
    /// So many tokens of context.
    pub min_context: Option<u64>,
    /// Files are changed by the work: a model that is known to have no tools cannot do it.
    pub changes_files: bool,
    /// The task refers to an image: a model that is known to have no vision cannot do it, and where there is a choice, one is
    /// taken that surely has it.
    pub sees_images: bool,
}

impl Needs {
    /// Both needs.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            capabilities: self.capabilities.union(&other.capabilities).copied().collect(),
            min_context: self.min_context.max(other.min_context),
            changes_files: self.changes_files || other.changes_files,
            sees_images: self.sees_images || other.sees_images,
        }
    }

    /// The same where there is a choice among models.
    pub(super) fn of_choice(&self) -> Self {
        let mut needs = self.clone();
        needs.capabilities.extend(self.sees_images.then_some(Capability::Vision));
        needs
    }

    /// What somebody who knows says it has not; a guess by its name is not enough.
    fn is_blind(&self, model: &Model) -> bool {
        self.sees_images && model.surely_cannot(Capability::Vision)
    }

    /// What somebody who knows says it has not; a guess by its name is not enough.
    fn is_without_tools(&self, model: &Model) -> bool {
        self.changes_files && model.surely_cannot(Capability::Tools)
    }

    /// Whether the model meets all of it.
    pub fn met_by(&self, model: &Model) -> bool {
        let context = || self.min_context.is_none_or(|min| model.facts().context_window.is_some_and(|has| has >= min));
        self.capabilities.iter().all(|capability| model.surely_can(*capability))
            && context()
            && !self.is_without_tools(model)
            && !self.is_blind(model)
    }

    /// Which of it the model has by its name only, where it has all the rest for sure. `None`: it lacks something, or nothing.
    pub(super) fn guessed_of(&self, model: &Model) -> Option<Vec<Capability>> {
        let guessed: Vec<Capability> =
            self.capabilities.iter().copied().filter(|what| !model.surely_can(*what)).collect();
        let rest = Self {
            capabilities: &self.capabilities - &guessed.iter().copied().collect::<BTreeSet<_>>(),
            ..self.clone()
        };
        let looks = guessed.iter().all(|what| model.can(*what) == Some(true));
        (looks && !guessed.is_empty() && rest.met_by(model)).then_some(guessed)
    }

    /// What the model lacks of it, in words; `None`: nothing.
    pub fn lacking(&self, model: &Model) -> Option<String> {
        let mut lacks: Vec<String> = Vec::new();
        for capability in self.capabilities.iter().filter(|capability| !model.surely_can(**capability)) {
            lacks.push(match model.can(*capability) {
                Some(false) => format!("has no {capability}"),
                Some(true) => format!("has {capability} by its name only, which is not enough"),
                None => format!("is not known to have {capability}"),
            });
        }
        if self.is_without_tools(model) && !self.capabilities.contains(&Capability::Tools) {
            lacks.push("has no tools, and the work changes files".to_owned());
        }
        if self.is_blind(model) && !self.capabilities.contains(&Capability::Vision) {
            lacks.push(
                "has no vision, and the task refers to an image (a label needs:text says that nobody has to look at it)"
                    .to_owned(),
            );
        }
        if let Some(min) = self.min_context {
            match model.facts().context_window {
                Some(has) if has >= min => {}
                Some(has) => lacks.push(format!("has a context of {has} tokens, and {min} are needed")),
                None => lacks.push(format!("has a context that is not known, and {min} tokens are needed")),
            }
        }
        (!lacks.is_empty()).then(|| lacks.join(", and "))
    }

    /// `vision and a context of 64000 tokens`; empty: nothing is needed.
    pub(super) fn told(&self) -> String {
        let context = self.min_context.map(|min| format!("a context of {min} tokens"));
        let words = self.capabilities.iter().map(|capability| capability.as_str().to_owned());
        words.chain(context).collect::<Vec<_>>().join(" and ")
    }
}

/// How runs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// Runs that were good.
    pub good: u64,
    /// All runs.
    pub samples: u64,
    /// The share of good ones in millionths, as they weigh.
    millionths: u32,
}

/// Samples from which on a record counts.
const ENOUGH: u64 = 3;
/// A whole share.
const WHOLE: f64 = 1_000_000.0;

impl Record {
    /// Runs of which each weighs as much as another.
    pub fn even(good: u64, samples: u64) -> Self {
        let share = if samples == 0 { 0.0 } else { good as f64 / samples as f64 };
        Self::weighed(good, samples, share)
    }

    /// Runs with the share of the good ones, from 0 to 1, as they weigh.
    pub fn weighed(good: u64, samples: u64, share: f64) -> Self {
        Self { good, samples, millionths: (share.clamp(0.0, 1.0) * WHOLE).round() as u32 }
    }

    /// More than three of four were good, and there are enough.
    pub fn is_good(self) -> bool {
        self.samples >= ENOUGH && self.millionths > 750_000
    }

    /// Fewer than half were, and there are enough.
    pub fn is_bad(self) -> bool {
        self.samples >= ENOUGH && self.millionths < 500_000
    }

    /// Both, each run as it weighs.
    fn and(self, other: Self) -> Self {
        let samples = self.samples + other.samples;
        let share = |record: Self| f64::from(record.millionths) / WHOLE * record.samples as f64;
        let together = if samples == 0 { 0.0 } else { (share(self) + share(other)) / samples as f64 };
        Self::weighed(self.good + other.good, samples, together)
    }

    /// `9 of 10 good`, and the share by weight where that is quite another one.
    pub fn told(self) -> String {
        let Self { good, samples, millionths } = self;
        let percent = |share: f64| (share * 100.0).round();
        let by_weight = percent(f64::from(millionths) / WHOLE);
        let weighs = samples > 0 && (percent(good as f64 / samples as f64) - by_weight).abs() >= 5.0;
        let weighed = if weighs { format!(", {by_weight} % as they weigh") } else { String::new() };
        format!("{good} of {samples} good{weighed}")
    }
}

/// How runs ended, by model and by tier; a model's own record goes before that of its tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    /// By model.
    pub models: BTreeMap<ModelRef, Record>,
    /// By tier.
    pub tiers: BTreeMap<Tier, Record>,
}

/// What the name of a model ends in that is served quicker for more money, and is the same model.
const SPEEDS: [&str; 2] = ["-fast", "-highspeed"];

impl Records {
    /// The record of a model, with what is known of the same model at another speed: how quickly it is served makes it
    /// neither better nor worse. The second word says whether there is such a thing.
    pub fn of(&self, id: &ModelRef) -> Option<(Record, bool)> {
        let slow = SPEEDS.iter().find_map(|speed| id.model.strip_suffix(speed)).unwrap_or(&id.model);
        let own = self.models.get(id).copied();
        let speeds =
            std::iter::once("").chain(SPEEDS).map(|speed| ModelRef::new(&*id.provider, format!("{slow}{speed}")));
        let others = speeds.filter(|one| one != id).filter_map(|one| self.models.get(&one).copied());
        match (own, others.reduce(Record::and)) {
            (Some(own), Some(others)) => Some((own.and(others), true)),
            (Some(own), None) => Some((own, false)),
            (None, others) => others.map(|others| (others, true)),
        }
    }

    /// Nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.tiers.is_empty()
    }
}

/// By which kind of reference a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// `provider/model`.
    Explicit,
    /// A model's own name, perhaps in another spelling.
    Name,
    /// A name that is no longer in use.
    Retired,
    /// `auto:…`, by score.
    Tag,
    /// `tier:…`, by score.
    Tier,
    /// `model_selection.model`.
    DefaultModel,
    /// `model_selection.small_model`.
    SmallModel,
}

/// The rules by which the choice was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// By what.
    pub choice: Choice,
    /// Among `usable` providers or `all`.
    pub providers: &'static str,
    /// How price counts.
    pub mode: Mode,
    /// The limit, in dollars a thousand tokens.
    pub max_cost_per_1k_tokens: Option<Usd>,
    /// The most liked first.
    pub preferred_providers: Vec<String>,
    /// Capabilities that were needed.
    pub required: Vec<&'static str>,
    /// Context that was needed.
    pub min_context: Option<u64>,
}

/// Another model that would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alternative {
    /// Which.
    pub model: ModelRef,
    /// What it is worth.
    pub score: Score,
}

/// A model, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution<'a> {
    /// The model.
    pub model: &'a Model,
    /// Why, for a person.
    pub reason: String,
    /// By which rules.
    pub policy: Policy,
    /// What it is worth by them.
    pub score: Score,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Others that would have done, the best first.
    pub alternatives: Vec<Alternative>,
}
