//! The settings of choosing models as a person types them. As in `raw`: every key optional, its documentation beside it.

use orch_core::catalog::Tier;
use orch_core::model_api::ModelApi;
use orch_core::money::Usd;
use orch_core::resolve::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys under `model_selection`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModelSelection {
    /// How price counts: performance not at all, balanced a little, economical first of all.
    pub mode: Option<Mode>,
    /// Dollars that 1,000 tokens may cost on the average of reading and writing; null = no limit.
    #[schemars(extend("x-orch-alias" = "maxCostPer1kTokens"))]
    pub max_cost_per_1k_tokens: Option<Usd>,
    /// Providers that you like better than others, the best first.
    #[schemars(extend("x-orch-alias" = "preferredProviders"))]
    pub preferred_providers: Option<Vec<String>>,
    /// What auto is; null = the best score.
    pub model: Option<String>,
    /// What auto:fast tries first; null = the best score.
    pub small_model: Option<String>,
}

/// Keys under `models.<provider/model>`. What is left out stays as other sources have it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    /// Rung of capability and price.
    pub tier: Option<Tier>,
    /// Takes images.
    pub vision: Option<bool>,
    /// Calls functions.
    pub tools: Option<bool>,
    /// Sends its answer while it makes it.
    pub streaming: Option<bool>,
    /// Thinks before it answers.
    pub reasoning: Option<bool>,
    /// Looks things up in the web by itself.
    pub web: Option<bool>,
    /// Takes PDF files.
    pub pdf: Option<bool>,
    /// Runs code on its provider's side.
    pub code_execution: Option<bool>,
    /// Tokens that it can have before it.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub context_window: Option<u64>,
    /// Tokens that one answer can have.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_output_tokens: Option<u64>,
    /// Dollars for a million tokens that it reads.
    pub input_usd_per_mtok: Option<Usd>,
    /// Dollars for a million tokens that it reads from its provider's cache; without it, as for all that it reads.
    pub cached_input_usd_per_mtok: Option<Usd>,
    /// Dollars for a million tokens that it writes.
    pub output_usd_per_mtok: Option<Usd>,
    /// Until an answer begins.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub average_latency_ms: Option<u64>,
    /// How quickly it writes.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub throughput_tokens_per_second: Option<u64>,
    /// Nothing new should begin with it.
    pub deprecated: Option<bool>,
}

/// Keys under `providers.<name>`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawProvider {
    /// Where its API is.
    pub base_url: Option<String>,
    /// Variable that holds its key; without one, a provider of your own needs no key.
    pub key_variable: Option<String>,
    /// In which language a model is asked by orch itself: messages, responses or chat; null = as is usual there.
    pub api: Option<ModelApi>,
}
