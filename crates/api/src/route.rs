//! What a task that there is not would get: the route, what speaks for it, and what it will likely cost. Stable: documented in
//! `docs/reference/json.md`.

use super::mirror::{mirror, words};
use super::patterns::{Recommended, SimilarView, StandingView};
use orch_core::base::money::Usd;
use orch_core::economics::forecast::{Forecast, Outlook, Trait};
use orch_core::models::catalog::{Model, Tier};
use orch_core::models::model_path::{Source, Step};
use orch_core::tasks::route::{AgentProfile, Complexity, RouteResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A task that does not exist yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteQuestion {
    /// What is to be done, in a line.
    pub title: String,
    /// The details.
    pub body: String,
    /// Labels; some of them decide.
    pub labels: Vec<String>,
    /// The directory of its repository; without it, the only project.
    pub dir: Option<PathBuf>,
}

/// What it would get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteView {
    /// The title that was asked about.
    pub title: String,
    /// What kind of work it is.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The repository; `null`: it is not known.
    pub project: Option<PathBuf>,
    /// The route, with the router's reason.
    pub route: RouteResultView,
    /// What the catalog of models says of the route's model.
    pub resolver: ResolvedView,
    /// How agents and models have done in tasks of this type.
    pub record: TrackRecordView,
    /// Tasks of the past that are like it, the likest first.
    pub similar: Vec<SimilarView>,
    /// What one run of it will likely cost.
    pub cost: OutlookView,
    /// Why it would not begin, whatever its route, and labels that mean nothing.
    pub warnings: Vec<String>,
}

mirror! {
    /// The result of routing, always with the reason.
    #[schemars(rename = "RouteResult")]
    pub struct RouteResultView for RouteResult {
        /// The agent's name, as in `agents.<name>`.
        pub agent: String,
        /// The model, as the agent's CLI names it; `null`: the CLI's own default.
        pub model: Option<String>,
        /// How hard the task is thought to be.
        pub complexity: Complexity,
        /// Why this route, for a person.
        pub reason: String,
        /// The role for this task.
        pub profile: AgentProfileView as one,
        /// The skills whose text the agent receives.
        pub selected_skills: Vec<String>,
        /// What is unusual about this choice, if anything.
        pub warning: Option<String>,
    }
}

mirror! {
    /// The role given to an agent for one task.
    #[derive(Default)]
    #[serde(default)]
    #[schemars(rename = "AgentProfile")]
    pub struct AgentProfileView for AgentProfile {
        /// The role, for instance "backend specialist".
        pub role: String,
        /// The skills that the task needs.
        pub skills: Vec<String>,
        /// The tools that it may use.
        pub tools: Vec<String>,
        /// The constraints for this task.
        pub constraints: Vec<String>,
    }
}

/// A model as the catalog has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedView {
    /// `provider/model`; `null`: no model is asked for, or the catalog has none of that name.
    pub model: Option<String>,
    /// The model's name as the agent's program is given it; `null`: no model is asked for, or no run would begin.
    pub given: Option<String>,
    /// The tier of the model.
    pub tier: Option<Tier>,
    /// Dollars for a million tokens that it reads.
    pub input_usd_per_mtok: Option<Usd>,
    /// Dollars for a million tokens that it writes.
    pub output_usd_per_mtok: Option<Usd>,
    /// Why it is this model, or why there is none.
    pub reason: String,
    /// The places that name a model for the run, in the order of precedence: the first decides.
    #[serde(default)]
    pub sources: Vec<ModelSourceView>,
}

mirror! {
    /// A place that names the model of a run.
    pub struct ModelSourceView for Step {
        /// The place.
        pub source: Source,
        /// What it names: a name, an alias, `provider/model`, a tag or a tier; `null`: the agent's default.
        pub reference: Option<String>,
        /// Why it names it, where that is not the route.
        pub reason: Option<String>,
    }
}

impl ResolvedView {
    /// Creates the view of a model with the reason for it.
    pub fn new(model: &Model, reason: &str) -> Self {
        let facts = model.facts();
        Self {
            model: Some(model.id.to_string()),
            given: None,
            tier: facts.tier,
            input_usd_per_mtok: facts.input_price,
            output_usd_per_mtok: facts.output_price,
            reason: reason.to_owned(),
            sources: Vec::new(),
        }
    }

    /// Creates the view where there is no model, with the reason.
    pub fn none(reason: impl Into<String>) -> Self {
        let (model, given, tier, input_usd_per_mtok, output_usd_per_mtok) = (None, None, None, None, None);
        Self { model, given, tier, input_usd_per_mtok, output_usd_per_mtok, reason: reason.into(), sources: Vec::new() }
    }
}

/// How agents and models have done in tasks of this type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrackRecordView {
    /// How many samples there are of it.
    pub samples: u64,
    /// Of whom the route chose; `null`: there is none.
    pub chosen: Option<StandingView>,
    /// The agent that they recommend; `null`: no agent has enough accepted runs.
    pub recommended: Option<Recommended>,
}

/// What one run will likely cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutlookView {
    /// By what comparable runs have cost; `null`: not known.
    pub forecast: Option<ForecastView>,
    /// The number of runs of this agent and model without a price.
    pub unpriced: u64,
}

/// What comparable runs have cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForecastView {
    /// A quarter of them cost less.
    pub low_usd: Usd,
    /// Half of them cost less.
    pub median_usd: Usd,
    /// A quarter of them cost more.
    pub high_usd: Usd,
    /// The number of comparable runs.
    pub samples: u64,
    /// What they have in common with the task, beside agent and model.
    pub group: Vec<SharedTrait>,
}

words! {
    /// What runs have in common with a task.
    pub enum SharedTrait for Trait {
        /// The project.
        Project = "project",
        /// The type of the task.
        Type = "type",
        /// The complexity.
        Complexity = "complexity",
    }
}

impl From<Outlook> for OutlookView {
    fn from(outlook: Outlook) -> Self {
        let view = |Forecast { low, median, high, samples, group }: Forecast| ForecastView {
            low_usd: low,
            median_usd: median,
            high_usd: high,
            samples: samples as u64,
            group: group.iter().map(|shared| (*shared).into()).collect(),
        };
        Self { forecast: outlook.forecast.map(view), unpriced: outlook.unpriced as u64 }
    }
}
