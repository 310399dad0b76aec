//! The resolved settings of model selection. `domain::resolve` chooses the model.

use super::raw::{RawModel, RawModelSelection, RawProvider};
use orch_core::models::catalog::{Additions, Capability, Facts, ModelRef, Provider};
use orch_core::models::resolve::Selection;
use serde::Serialize;
use std::collections::BTreeMap;

/// Returns what the settings add to the catalog. Invalid references were refused when the file was validated.
pub(super) fn additions(
    models: &BTreeMap<String, RawModel>,
    providers: &BTreeMap<String, RawProvider>,
    aliases: &BTreeMap<String, String>,
) -> Additions {
    let overrides = models.iter().filter_map(|(id, own)| Some((id.parse::<ModelRef>().ok()?, facts(own))));
    let provider = |(id, own): (&String, &RawProvider)| Provider {
        id: id.clone(),
        key_variables: own.key_variable.iter().cloned().collect(),
        base_url: own.base_url.clone(),
        declared: true,
        ..Provider::default()
    };
    Additions {
        api: Vec::new(),
        overrides: overrides.collect(),
        aliases: aliases.clone(),
        providers: providers.iter().map(provider).collect(),
    }
}

fn facts(own: &RawModel) -> Facts {
    let capabilities = [
        (Capability::Vision, own.vision),
        (Capability::Tools, own.tools),
        (Capability::Streaming, own.streaming),
        (Capability::Reasoning, own.reasoning),
        (Capability::Web, own.web),
        (Capability::Pdf, own.pdf),
        (Capability::CodeExecution, own.code_execution),
    ];
    Facts {
        name: None,
        released: None,
        deprecated: own.deprecated,
        tier: own.tier,
        capabilities: capabilities.into_iter().filter_map(|(what, value)| Some((what, value?))).collect(),
        context_window: own.context_window,
        max_output_tokens: own.max_output_tokens,
        input_price: own.input_usd_per_mtok,
        cached_price: own.cached_input_usd_per_mtok,
        output_price: own.output_usd_per_mtok,
        average_latency_ms: own.average_latency_ms,
        throughput_tokens_per_second: own.throughput_tokens_per_second,
    }
}

/// Drops names without a value: with `null`, a later file removes an entry of an earlier one.
pub(super) fn present<T>(raw: Option<BTreeMap<String, Option<T>>>) -> BTreeMap<String, T> {
    raw.unwrap_or_default().into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// How models are selected.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct ModelSelection(pub Selection);

impl ModelSelection {
    pub(super) fn with(self, raw: RawModelSelection) -> Self {
        let Self(own) = self;
        Self(Selection {
            mode: raw.mode.unwrap_or(own.mode),
            max_cost_per_1k_tokens: raw.max_cost_per_1k_tokens.or(own.max_cost_per_1k_tokens),
            preferred_providers: raw.preferred_providers.unwrap_or(own.preferred_providers),
            model: raw.model.or(own.model),
            small_model: raw.small_model.or(own.small_model),
            paid_ahead: own.paid_ahead,
        })
    }
}
