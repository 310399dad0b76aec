//! Models, and which one a reference means, as programs and people read them.

use super::patterns::{OutcomesView, SampleView};
use jiff::Timestamp;
use orch_core::base::money::Usd;
use orch_core::economics::track_record::{Sample, standings};
use orch_core::models::catalog::{Capability, Catalog, Model, ModelRef, Source, Tier};
use orch_core::models::provider_access::ProviderAccess;
use orch_core::models::resolve::{Alternative, Mode, Policy, Resolution, Score};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A reference, and what the model for it must have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResolveQuestion {
    /// A tag, a tier, `provider/model`, an alias or a name.
    pub reference: String,
    /// How much the price counts; without it, as `model_selection.mode` says.
    pub mode: Option<Mode>,
    /// Required capabilities.
    pub require: Vec<Capability>,
    /// The required context, in tokens.
    pub min_context: Option<u64>,
}

/// Models to compare.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareQuestion {
    /// What each is called: a tag, a tier, `provider/model`, an alias or a name.
    pub references: Vec<String>,
}

/// A model with all that is known of it; what is not known is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelView {
    /// The id of the model: `provider/model`.
    pub id: ModelRef,
    /// The provider that serves it.
    pub provider: String,
    /// What the provider calls it.
    pub model: String,
    /// The name for people.
    pub name: Option<String>,
    /// The tier of the model.
    pub tier: Option<Tier>,
    /// What it can do and what not.
    pub capabilities: BTreeMap<String, Option<bool>>,
    /// Tokens that it can have before it.
    pub context_window: Option<u64>,
    /// Tokens that one answer can have.
    pub max_output_tokens: Option<u64>,
    /// Dollars for a million tokens that it reads.
    pub input_usd_per_mtok: Option<Usd>,
    /// Dollars for a million tokens that it reads from its provider's cache.
    pub cached_input_usd_per_mtok: Option<Usd>,
    /// Dollars for a million tokens that it writes.
    pub output_usd_per_mtok: Option<Usd>,
    /// The time until an answer begins, in milliseconds.
    pub average_latency_ms: Option<u64>,
    /// The tokens that it writes in a second.
    pub throughput_tokens_per_second: Option<u64>,
    /// The day of its release.
    pub released: Option<String>,
    /// Nothing new should begin with it.
    pub deprecated: bool,
    /// Its provider can be used.
    pub usable: bool,
    /// By what, or why not.
    pub why: String,
    /// For whose work it is set while the daemon runs: `agent NAME`, `project NAME`.
    pub set_for: Vec<String>,
    /// Who said each of the facts: `override`, `provider_api`, `catalog` or `inferred`.
    pub sources: BTreeMap<String, Source>,
}

impl ModelView {
    /// Creates the view of a model.
    pub fn new(model: &Model, usability: &ProviderAccess) -> Self {
        let facts = model.facts();
        let why = usability.why(&model.id.provider);
        Self {
            id: model.id.clone(),
            provider: model.id.provider.clone(),
            model: model.id.model.clone(),
            name: facts.name.clone(),
            tier: facts.tier,
            capabilities: Capability::ALL.iter().map(|what| (what.to_string(), model.can(*what))).collect(),
            context_window: facts.context_window,
            max_output_tokens: facts.max_output_tokens,
            input_usd_per_mtok: facts.input_price,
            cached_input_usd_per_mtok: facts.cached_price,
            output_usd_per_mtok: facts.output_price,
            average_latency_ms: facts.average_latency_ms,
            throughput_tokens_per_second: facts.throughput_tokens_per_second,
            released: facts.released.clone(),
            deprecated: model.is_deprecated(),
            usable: why.is_ok(),
            why: why.unwrap_or_else(|lacks| lacks),
            set_for: Vec::new(),
            sources: model.sources().iter().map(|(fact, source)| ((*fact).to_owned(), *source)).collect(),
        }
    }
}

/// What is known beside the choice itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetadataView {
    /// The model itself.
    #[serde(rename = "model")]
    pub about: ModelView,
    /// What it is worth, and for what.
    pub score: Score,
    /// What the built-in table is taken from.
    pub catalog: String,
}

/// The model that a reference means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResolutionView {
    /// As it was asked for.
    pub reference: String,
    /// The id of the model: `provider/model`.
    pub resolved_model: ModelRef,
    /// Why it is this model.
    pub reason: String,
    /// The rules that were applied.
    pub policy: Policy,
    /// What is known of it.
    pub metadata: MetadataView,
    /// Others that would have done, the best first.
    pub alternatives: Vec<Alternative>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl ResolutionView {
    /// Creates the view of a resolution.
    pub fn new(reference: &str, found: &Resolution<'_>, catalog: &Catalog, usability: &ProviderAccess) -> Self {
        Self {
            reference: reference.to_owned(),
            resolved_model: found.model.id.clone(),
            reason: found.reason.clone(),
            policy: found.policy.clone(),
            metadata: MetadataView {
                about: ModelView::new(found.model, usability),
                score: found.score.clone(),
                catalog: catalog.about().to_owned(),
            },
            alternatives: found.alternatives.clone(),
            warnings: found.warnings.clone(),
        }
    }
}

/// A model beside others: what is known of it, and how it has done here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedView {
    /// The model itself.
    #[serde(flatten)]
    pub about: ModelView,
    /// How it has done here; `null`: no run of it was judged.
    pub record: Option<OwnRecordView>,
}

/// How a model has done here, whichever agent worked with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnRecordView {
    /// The results of its judged runs.
    #[serde(flatten)]
    pub outcomes: OutcomesView,
    /// Agent and model as they were recorded.
    pub recorded_as: BTreeSet<String>,
}

impl OwnRecordView {
    /// Summarizes the judged runs of one model; `None`: there are none.
    pub fn from_samples(views: &[SampleView], now: Timestamp) -> Option<Self> {
        let name = |view: &SampleView| format!("{} {}", view.agent, view.model.as_deref().unwrap_or_default());
        let recorded_as = views.iter().map(name).collect();
        // All of one worker, so that there is one record.
        let of_one = |view: &SampleView| Sample { agent: String::new(), model: None, ..Sample::from(view.clone()) };
        let samples: Vec<Sample> = views.iter().map(of_one).collect();
        Some(Self { outcomes: standings(&samples, now).first()?.into(), recorded_as })
    }
}
