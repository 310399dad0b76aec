//! What a person requested by labels and by the task's own fields. A label overrides a field, because a tool may have
//! filled in the field; contradictions are resolved here and named in a warning.

use super::{Impossible, Routing, model_for_complexity, nearest};
use crate::models::catalog::Catalog;
use crate::models::resolve::{Reference, parse};
use crate::prompts::prompt::data::one_line;
use crate::tasks::delegation::SUGGESTED;
use crate::tasks::route::Complexity;
use std::sync::LazyLock;

/// The longest name of an agent or model shown in a message, in characters.
const SHOWN: usize = 60;
/// The catalog of known models.
static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::built_in);
/// The longest name of a model, in bytes.
const MAX_MODEL: usize = 200;

/// An agent that a person requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestedAgent {
    pub agent: String,
    /// What named it, for the reason of the route.
    pub cause: String,
}

/// Everything that a person requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RouteRequest {
    pub agent: Option<RequestedAgent>,
    pub complexity: Option<Complexity>,
    pub model: Option<String>,
    pub warnings: Vec<String>,
}

/// Reads labels and fields. It is an error if an agent is not installed, or if a model is not a valid name.
pub(super) fn read(routing: &Routing<'_>) -> Result<RouteRequest, Impossible> {
    let mut warnings = Vec::new();
    let model = model(routing)?;
    let complexity = complexity(routing, &mut warnings);
    let agent = match agent(routing, &mut warnings)? {
        Some(requested) => Some(requested),
        None => model.as_deref().and_then(|model| agent_of_model(routing, model, &mut warnings)),
    };
    let agent = agent.or_else(|| suggested(routing, &mut warnings));
    Ok(RouteRequest { agent, complexity, model, warnings })
}

/// Returns the values of the labels `<key>:<value>`.
fn labels<'a>(routing: &Routing<'a>, key: &str) -> Vec<&'a str> {
    let value = |label: &'a String| {
        let (own, value) = label.split_once(':')?;
        let value = value.trim();
        (own.trim().eq_ignore_ascii_case(key) && !value.is_empty()).then_some(value)
    };
    let mut values: Vec<&str> = Vec::new();
    for value in routing.input.labels.iter().filter_map(value) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

fn agent(routing: &Routing<'_>, warnings: &mut Vec<String>) -> Result<Option<RequestedAgent>, Impossible> {
    let wanted = labels(routing, "agent");
    let field = routing.input.agent.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let find = |name: &str| routing.installed.iter().find(|known| known.eq_ignore_ascii_case(name)).cloned();
    let Some(first) = wanted.first() else {
        let Some(name) = field else { return Ok(None) };
        let agent = find(name).ok_or_else(|| not_installed(routing, "the task's agent", name))?;
        return Ok(Some(RequestedAgent { cause: format!("the task asks for agent {agent}"), agent }));
    };
    let agent = wanted.iter().find_map(|name| find(name));
    let agent = agent.ok_or_else(|| not_installed(routing, "the label agent", first))?;
    if wanted.len() > 1 {
        let all = wanted.iter().map(|name| one_line(name, SHOWN)).collect::<Vec<_>>().join(", ");
        warnings.push(format!("labels ask for several agents ({all}): took {agent}, the first that is installed"));
    }
    if let Some(other) = field.filter(|name| !name.eq_ignore_ascii_case(&agent)) {
        warnings.push(format!(
            "the label asks for agent {agent}, the task for {}: the label counts",
            one_line(other, SHOWN)
        ));
    }
    Ok(Some(RequestedAgent { cause: format!("label agent:{agent}"), agent }))
}

/// Returns the agent that was suggested when another agent delegated the task. It is not required: one that is not
/// installed or not in `router.agents` is skipped.
fn suggested(routing: &Routing<'_>, warnings: &mut Vec<String>) -> Option<RequestedAgent> {
    let wanted = labels(routing, SUGGESTED);
    let candidates = routing.candidates().unwrap_or_default();
    let find = |name: &str| candidates.iter().find(|known| known.eq_ignore_ascii_case(name)).cloned();
    let Some(agent) = wanted.iter().find_map(|name| find(name)) else {
        let first = wanted.first()?;
        let is_there = routing.installed.iter().any(|known| known.eq_ignore_ascii_case(first));
        let why = if is_there { "is not in router.agents" } else { "is not installed" };
        warnings.push(format!("the suggested agent {} {why}", one_line(first, SHOWN)));
        return None;
    };
    Some(RequestedAgent { cause: format!("{agent} is suggested by the agent that handed it on"), agent })
}

fn not_installed(routing: &Routing<'_>, place: &str, name: &str) -> Impossible {
    let shown = one_line(name, SHOWN);
    let installed = routing.installed;
    let meant = nearest(name, installed.iter().map(String::as_str));
    let meant = meant.map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
    let list = if installed.is_empty() { "none".to_owned() } else { installed.join(", ") };
    Impossible {
        reason: format!("{place} names {shown}, which is not installed"),
        hint: format!("{meant}installed: {list}; install {shown}, declare it under agents.{shown}, or ask for another"),
    }
}

/// Returns the complexity. Of several labels the hardest counts: a task rated too easy costs a failed attempt.
fn complexity(routing: &Routing<'_>, warnings: &mut Vec<String>) -> Option<Complexity> {
    let mut known: Vec<Complexity> = Vec::new();
    for value in labels(routing, "complexity") {
        match value.to_ascii_lowercase().parse::<Complexity>() {
            Ok(complexity) => known.push(complexity),
            Err(_) => {
                let meant = nearest(value, Complexity::ALL.map(Complexity::as_str));
                let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
                let value = one_line(value, SHOWN);
                warnings.push(format!("label complexity:{value} is not simple, medium or complex{meant}: ignored"));
            }
        }
    }
    let label = known.iter().copied().max();
    if known.len() > 1
        && let Some(hardest) = label
    {
        warnings.push(format!("labels ask for several complexities: took {hardest}, the hardest"));
    }
    match (label, routing.input.complexity) {
        (Some(label), Some(field)) if label != field => {
            warnings.push(format!("the label asks for complexity {label}, the task for {field}: the label counts"));
            Some(label)
        }
        (label, field) => label.or(field),
    }
}

fn model(routing: &Routing<'_>) -> Result<Option<String>, Impossible> {
    let Some(model) = routing.input.model.as_deref().map(str::trim).filter(|model| !model.is_empty()) else {
        return Ok(None);
    };
    let bad = |c: char| c.is_whitespace() || c.is_control();
    if model.starts_with('-') || model.len() > MAX_MODEL || model.contains(bad) {
        return Err(Impossible {
            reason: format!("the task's model {:?} is not the name of a model", one_line(model, SHOWN)),
            hint: "write it as the agent's CLI does, for instance sonnet or provider/model".to_owned(),
        });
    }
    Ok(Some(model.to_owned()))
}

/// Returns the agent to which `model_map` gives this model, or the agent that is limited to the model's provider.
fn agent_of_model(routing: &Routing<'_>, model: &str, warnings: &mut Vec<String>) -> Option<RequestedAgent> {
    let candidates = routing.candidates().ok()?;
    let models = &routing.settings.models;
    let has = |agent: &String| {
        Complexity::ALL.into_iter().any(|c| model_for_complexity(models, c, agent).as_deref() == Some(model))
    };
    if matches!(parse(model), Ok(Reference::Tag(_) | Reference::Tier(_))) {
        // A tag or tier is not a model's name: the task's agent decides which model it stands for.
        return None;
    }
    if let Some(agent) = candidates.iter().find(|agent| has(agent)) {
        let cause = format!("the task asks for model {model}, which is {agent}'s in model_map");
        return Some(RequestedAgent { cause, agent: agent.clone() });
    }
    let makers: Vec<&str> = CATALOG.spelled(model, None).into_iter().map(|model| model.id.provider.as_str()).collect();
    let is_maker = |agent: &&String| {
        let own = routing.settings.providers.get(*agent);
        own.is_some_and(|own| makers.contains(&own.as_str()))
    };
    let Some(agent) = candidates.iter().find(is_maker) else {
        let model = one_line(model, SHOWN);
        warnings
            .push(format!("model {model} is in no model_map of an installed agent: the agent's CLI may not know it"));
        return None;
    };
    let cause = format!("the task asks for model {model}, and {agent} has those of its maker");
    Some(RequestedAgent { cause, agent: agent.clone() })
}
