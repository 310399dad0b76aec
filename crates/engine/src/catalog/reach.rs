//! The models that an agent's program can use, and the agents that the settings name with a model.

use crate::catalog::credentials::{ELSEWHERE, Environment};
use orch_config::Config;
use orch_core::models::agent_model::Reach;
use orch_core::models::agents::{DialectKind, first_of_tier, own_model_names, provider_of};
use orch_core::tasks::escalation::Rung;
use orch_core::tasks::route::Complexity;

/// Returns what an agent's program can have.
pub fn reach<'a>(config: &Config, agent: &'a str, environment: &Environment) -> Reach<'a> {
    let known = config.agents.answerer(agent);
    let kind = known.map_or(DialectKind::Command, |known| known.kind);
    let is_set = |name: &str| known.is_some_and(|known| known.env.contains_key(name)) || environment.contains_key(name);
    Reach {
        agent,
        provider: provider_of(kind, agent),
        own_names: own_model_names(kind),
        first_of_tier: first_of_tier(kind),
        full_names: matches!(kind, DialectKind::Opencode | DialectKind::Api),
        by_key: kind == DialectKind::Api,
        is_elsewhere: match kind {
            DialectKind::Claude => is_set(ELSEWHERE),
            DialectKind::Codex => is_set("OPENAI_BASE_URL"),
            DialectKind::Opencode | DialectKind::Command | DialectKind::Api => false,
        },
    }
}

/// Returns all agents that the settings name with a model: `model_map`, the ladder and the chains; each once.
pub(crate) fn workers(config: &Config, agents: &[String]) -> Vec<(String, String)> {
    let mapped =
        agents.iter().flat_map(|agent| config.mapped_models(agent).map(|model| (agent.clone(), model.to_owned())));
    let chains = Complexity::ALL.into_iter().flat_map(|complexity| config.fallback.chain(complexity));
    let rungs = config.escalation.ladder.iter().chain(chains);
    let is_free = |rung: &&Rung| agents.contains(&rung.agent);
    let rungs = rungs.filter(is_free).filter_map(|rung| Some((rung.agent.clone(), rung.model.clone()?)));
    let mut all: Vec<(String, String)> = Vec::new();
    for worker in mapped.chain(rungs) {
        if !all.contains(&worker) {
            all.push(worker);
        }
    }
    all
}
