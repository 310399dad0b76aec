//! Inputs and outputs of a resolution: preferences, needs, history, and the model with the reason for it.

use super::Score;
use crate::base::money::Usd;
use crate::models::catalog::{Capability, Model, ModelRef, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use strum::IntoStaticStr;

/// How much the price counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Not at all, except for a limit.
    #[default]
    Performance,
    /// A little, after the fitness.
    Balanced,
    /// Most of all, among fitting models.
    Economical,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Performance, Self::Balanced, Self::Economical];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// `model_selection`: the preferences of the person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Selection {
    /// How much the price counts.
    pub mode: Mode,
    /// The highest average price per thousand tokens for a choice by tag or tier; models of unknown price are excluded.
    pub max_cost_per_1k_tokens: Option<Usd>,
    /// Preferred providers, the most preferred first.
    pub preferred_providers: Vec<String>,
    /// The model for `auto`.
    pub model: Option<String>,
    /// The first choice for `auto:fast`.
    pub small_model: Option<String>,
    /// Providers with a prepaid allowance that is not used up. Detected, not configured.
    #[serde(skip)]
    pub paid_ahead: BTreeSet<String>,
}

/// The needs of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Needs {
    /// Required capabilities; a guess from the name is not enough.
    pub capabilities: BTreeSet<Capability>,
    /// The required context, in tokens.
    pub min_context: Option<u64>,
    /// Whether the work changes files: models known to lack tools are excluded.
    pub changes_files: bool,
    /// Whether the task refers to an image: models known to lack vision are excluded, and a choice requires a model
    /// that is known to have it.
    pub sees_images: bool,
}

impl Needs {
    /// Returns both needs together.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            capabilities: self.capabilities.union(&other.capabilities).copied().collect(),
            min_context: self.min_context.max(other.min_context),
            changes_files: self.changes_files || other.changes_files,
            sees_images: self.sees_images || other.sees_images,
        }
    }

    /// Returns the needs for a choice among models.
    pub(super) fn of_choice(&self) -> Self {
        let mut needs = self.clone();
        needs.capabilities.extend(self.sees_images.then_some(Capability::Vision));
        needs
    }

    /// Whether the model is known to lack vision; a guess from its name is not enough.
    fn is_blind(&self, model: &Model) -> bool {
        self.sees_images && model.surely_cannot(Capability::Vision)
    }

    /// Whether the model is known to lack tools; a guess from its name is not enough.
    fn is_without_tools(&self, model: &Model) -> bool {
        self.changes_files && model.surely_cannot(Capability::Tools)
    }

    /// Whether the model meets all needs.
    pub fn met_by(&self, model: &Model) -> bool {
        let context = || self.min_context.is_none_or(|min| model.facts().context_window.is_some_and(|has| has >= min));
        self.capabilities.iter().all(|capability| model.surely_can(*capability))
            && context()
            && !self.is_without_tools(model)
            && !self.is_blind(model)
    }

    /// Returns the needed capabilities that are only guessed from the model's name, if all others are known. `None`: a
    /// need is not met, or nothing is guessed.
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

    /// Describes which needs the model does not meet; `None`: it meets all.
    pub fn missing(&self, model: &Model) -> Option<String> {
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

    /// Describes the needs, such as `vision and a context of 64000 tokens`; empty if there are none.
    pub(super) fn describe(&self) -> String {
        let context = self.min_context.map(|min| format!("a context of {min} tokens"));
        let words = self.capabilities.iter().map(|capability| capability.as_str().to_owned());
        words.chain(context).collect::<Vec<_>>().join(" and ")
    }
}

/// The track record of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// The number of successful runs.
    pub good: u64,
    /// The number of all runs.
    pub samples: u64,
    /// The weighted share of successful runs, in millionths.
    millionths: u32,
}

/// The number of samples from which on a record counts.
const ENOUGH: u64 = 3;
/// A share of 1, in millionths.
const WHOLE: f64 = 1_000_000.0;

impl Record {
    /// Creates a record of runs with equal weights.
    pub fn even(good: u64, samples: u64) -> Self {
        let share = if samples == 0 { 0.0 } else { good as f64 / samples as f64 };
        Self::weighed(good, samples, share)
    }

    /// Creates a record with the weighted share of successful runs, from 0 to 1.
    pub fn weighed(good: u64, samples: u64, share: f64) -> Self {
        Self { good, samples, millionths: (share.clamp(0.0, 1.0) * WHOLE).round() as u32 }
    }

    /// Whether there are enough runs and more than three of four were successful.
    pub fn is_good(self) -> bool {
        self.samples >= ENOUGH && self.millionths > 750_000
    }

    /// Whether there are enough runs and fewer than half were successful.
    pub fn is_bad(self) -> bool {
        self.samples >= ENOUGH && self.millionths < 500_000
    }

    /// Returns both records together, weighted by their runs.
    fn and(self, other: Self) -> Self {
        let samples = self.samples + other.samples;
        let share = |record: Self| f64::from(record.millionths) / WHOLE * record.samples as f64;
        let together = if samples == 0 { 0.0 } else { (share(self) + share(other)) / samples as f64 };
        Self::weighed(self.good + other.good, samples, together)
    }

    /// Describes the record, such as `9 of 10 good`, with the weighted share where it differs much.
    pub fn describe(self) -> String {
        let Self { good, samples, millionths } = self;
        let percent = |share: f64| (share * 100.0).round();
        let by_weight = percent(f64::from(millionths) / WHOLE);
        let weighs = samples > 0 && (percent(good as f64 / samples as f64) - by_weight).abs() >= 5.0;
        let weighed = if weighs { format!(", {by_weight} % as they weigh") } else { String::new() };
        format!("{good} of {samples} good{weighed}")
    }
}

/// Track records by model and by tier; a model's own record takes precedence over that of its tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    /// The records of models.
    pub models: BTreeMap<ModelRef, Record>,
    /// The records of tiers.
    pub tiers: BTreeMap<Tier, Record>,
}

/// The suffixes of names for a faster and more expensive offer of the same model.
const SPEEDS: [&str; 2] = ["-fast", "-highspeed"];

impl Records {
    /// Returns the record of a model, including that of the same model at another speed, which does not change its
    /// quality. The second value says whether another speed is included.
    pub fn record(&self, id: &ModelRef) -> Option<(Record, bool)> {
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

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.tiers.is_empty()
    }
}

/// The kind of reference by which a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ResolutionChoice")]
pub enum Choice {
    /// `provider/model`.
    Explicit,
    /// A model's own name, possibly in another spelling.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResolutionPolicy")]
pub struct Policy {
    /// The kind of reference.
    pub choice: Choice,
    /// `usable` or `all` providers.
    pub providers: Cow<'static, str>,
    /// How much the price counted.
    pub mode: Mode,
    /// The price limit in dollars per thousand tokens.
    pub max_cost_per_1k_tokens: Option<Usd>,
    /// Preferred providers, the most preferred first.
    pub preferred_providers: Vec<String>,
    /// The required capabilities.
    pub required: Vec<Capability>,
    /// The required context, in tokens.
    pub min_context: Option<u64>,
}

/// Another model that qualified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The model.
    pub model: ModelRef,
    /// Its score.
    pub score: Score,
}

/// A model with the reason for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution<'a> {
    /// The chosen model.
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
