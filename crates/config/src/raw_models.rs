//! The keys for the choice of models as they are typed. As in `raw`, every key is optional and carries its documentation.

use orch_core::base::money::Usd;
use orch_core::models::catalog::Tier;
use orch_core::models::model_api::ModelApi;
use orch_core::models::resolve::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys under `model_selection`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModelSelection {
    /// Weight of the price: performance ignores it, balanced considers it, economical puts it first.
    pub mode: Option<Mode>,
    /// Limit in dollars for 1,000 tokens, as the average of input and output price; null = no limit.
    #[schemars(extend("x-orch-alias" = "maxCostPer1kTokens"))]
    pub max_cost_per_1k_tokens: Option<Usd>,
    /// Preferred providers, best first.
    #[schemars(extend("x-orch-alias" = "preferredProviders"))]
    pub preferred_providers: Option<Vec<String>>,
    /// Model that auto selects; null = the one with the best score.
    pub model: Option<String>,
    /// Model that auto:fast tries first; null = the one with the best score.
    pub small_model: Option<String>,
}

/// Keys under `models.<provider/model>`. A key that is left out keeps the value of the other sources.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    /// Tier of capability and price.
    pub tier: Option<Tier>,
    /// Accepts images.
    pub vision: Option<bool>,
    /// Supports tool calls.
    pub tools: Option<bool>,
    /// Streams its answer.
    pub streaming: Option<bool>,
    /// Reasons before it answers.
    pub reasoning: Option<bool>,
    /// Can search the web.
    pub web: Option<bool>,
    /// Accepts PDF files.
    pub pdf: Option<bool>,
    /// Can run code at its provider.
    pub code_execution: Option<bool>,
    /// Size of the context window, in tokens.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub context_window: Option<u64>,
    /// Longest answer, in tokens.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_output_tokens: Option<u64>,
    /// Price in dollars of a million input tokens.
    pub input_usd_per_mtok: Option<Usd>,
    /// Price in dollars of a million cached input tokens; default: the price of input tokens.
    pub cached_input_usd_per_mtok: Option<Usd>,
    /// Price in dollars of a million output tokens.
    pub output_usd_per_mtok: Option<Usd>,
    /// Average time until an answer starts, in milliseconds.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub average_latency_ms: Option<u64>,
    /// Output tokens per second.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub throughput_tokens_per_second: Option<u64>,
    /// Whether the model is deprecated: new tasks do not use it.
    pub deprecated: Option<bool>,
}

/// Keys under `providers.<name>`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawProvider {
    /// Base URL of its API.
    pub base_url: Option<String>,
    /// Environment variable that contains the API key; if absent, your own provider needs no key.
    pub key_variable: Option<String>,
    /// Protocol for requests that orch sends itself: messages, responses or chat; null = the provider's default.
    pub api: Option<ModelApi>,
}
