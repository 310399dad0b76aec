//! Warnings about an unusual model or unusual labels: given when the task is written, and never
//! refused, because an agent may be declared later.

use super::ApiState;
use orch_config::Config;
use orch_config::problem::did_you_mean;
use orch_config::resolved_escalation::max_cost_of;
use orch_core::models::agent_model::{is_text_only_label, needs_of_labels};
use orch_core::models::catalog::Capability;
use orch_core::tasks::model_policy::ModelPolicy;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::Spec;

/// Returns the warnings. An engine that is leaving has none: what was asked for is done already.
pub(super) async fn task_warnings(state: &ApiState, spec: Spec) -> Vec<String> {
    let Ok(view) = state.engine.snapshot().await else { return Vec::new() };
    let mut warnings = label_warnings(&spec.labels, &view.settings.config);
    warnings.extend(state.engine.model_warning(spec).await.unwrap_or_default());
    warnings
}

/// Returns what is unusual about labels that steer the choice of the agent, or limit what the task may cost.
pub(super) fn label_warnings(labels: &[String], config: &Config) -> Vec<String> {
    labels.iter().filter_map(|label| Some(format!("label {label}: {}", label_warning(label, config)?))).collect()
}

fn label_warning(label: &str, config: &Config) -> Option<String> {
    if let Some(name) = label.strip_prefix("agent:") {
        if config.agents.get(name).is_some() {
            return None;
        }
        let meant = did_you_mean(name, config.agents.names());
        let known = config.agents.names().collect::<Vec<_>>().join(", ");
        return Some(format!("no agent is called {name:?}{meant} (there are: {known})"));
    }
    if let Some(word) = label.strip_prefix("complexity:") {
        return word.parse::<Complexity>().err().map(|error| error.to_string());
    }
    if let Some(word) = label.strip_prefix("needs:") {
        if !needs_of_labels(&[label.to_owned()]).capabilities.is_empty() || is_text_only_label(label) {
            return None;
        }
        let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::as_str).chain(["text"]).collect();
        let meant = did_you_mean(word, known.iter().copied());
        return Some(format!("means nothing{meant} (there are: {})", known.join(", ")));
    }
    if let Some(word) = label.strip_prefix("model-policy:") {
        let is_known = ModelPolicy::ALL.into_iter().any(|policy| policy.as_str() == word.trim());
        return (!is_known).then(|| "expected dynamic or sticky".to_owned());
    }
    max_cost_of(label)?.err()
}
