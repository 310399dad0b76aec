//! The settings of choosing models as they are meant. Which model is chosen is `domain::resolve`'s to say.

use super::raw::{RawModel, RawModelSelection, RawProvider};
use orch_core::catalog::{Additions, Capability, Facts, ModelRef, Provider};
use orch_core::resolve::Selection;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the catalog learns from the settings. References that are none were refused when they were read.
pub(super) fn additions(
    models: &BTreeMap<String, RawModel>,
    providers: &BTreeMap<String, RawProvider>,
    aliases: &BTreeMap<String, String>,
) -> Additions {
    let overrides = models.iter().filter_map(|(id, said)| Some((id.parse::<ModelRef>().ok()?, facts(said))));
    let provider = |(id, said): (&String, &RawProvider)| Provider {
        id: id.clone(),
        key_variables: said.key_variable.iter().cloned().collect(),
        base_url: said.base_url.clone(),
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

fn facts(said: &RawModel) -> Facts {
    let capabilities = [
        (Capability::Vision, said.vision),
        (Capability::Tools, said.tools),
        (Capability::Streaming, said.streaming),
        (Capability::Reasoning, said.reasoning),
        (Capability::Web, said.web),
        (Capability::Pdf, said.pdf),
        (Capability::CodeExecution, said.code_execution),
    ];
    Facts {
        name: None,
        released: None,
        deprecated: said.deprecated,
        tier: said.tier,
        capabilities: capabilities.into_iter().filter_map(|(what, value)| Some((what, value?))).collect(),
        context_window: said.context_window,
        max_output_tokens: said.max_output_tokens,
        input_price: said.input_usd_per_mtok,
        cached_price: said.cached_input_usd_per_mtok,
        output_price: said.output_usd_per_mtok,
        average_latency_ms: said.average_latency_ms,
        throughput_tokens_per_second: said.throughput_tokens_per_second,
    }
}

/// Names without a value are not there: a later file takes back what an earlier one said.
pub(super) fn present<T>(raw: Option<BTreeMap<String, Option<T>>>) -> BTreeMap<String, T> {
    raw.unwrap_or_default().into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// How models are chosen.
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
