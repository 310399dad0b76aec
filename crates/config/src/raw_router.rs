//! The keys under `router` and `model_map` as they are typed. As in `raw`, every key is optional and carries its
//! documentation.

use super::raw::RouterMode;
use orch_core::economics::strategy::Strategy;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Keys under `router`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRouter {
    /// How a task without an agent label is routed: llm, or round_robin over the installed agents.
    pub mode: Option<RouterMode>,
    /// Agent that answers the routing question.
    pub agent: Option<String>,
    /// Model that answers the routing question; a fast and cheap one suffices.
    pub model: Option<String>,
    /// How cost affects routing: cost_aware, quality (not at all) or balanced (docs/explanation/which-model.md).
    pub strategy: Option<Strategy>,
    /// For balanced: share of routine tasks that try a model with few results so far.
    pub explore: Option<String>,
    /// Types of tasks that may go to a cheaper model; null = all with cost_aware, research with balanced.
    pub cheaper_for: Option<Vec<String>>,
    /// Routing policy file, absolute or relative to ORCH_HOME (docs/explanation/which-model.md).
    pub policy: Option<PathBuf>,
    /// Whether the daemon regularly checks that providers respond.
    pub probes: Option<bool>,
    /// Longest wait for the routing answer.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u64>,
    /// Agent that gets the task if routing fails; one of router.agents.
    pub fallback_executor: Option<String>,
    /// Number of failed routing calls for a task after which the agents take turns.
    #[schemars(range(min = 1, max = 100))]
    pub max_route_attempts: Option<u32>,
    /// Agents that tasks may be routed to, if they are installed.
    pub agents: Option<Vec<String>>,
    /// Tools in an agent's profile if the router names none.
    pub allowed_tools: Option<Vec<String>>,
    /// Skills that every agent receives.
    pub default_skills: Option<Vec<String>>,
}

/// Keys under `model_map`. A model of `null` is the agent's own default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModelMap {
    /// Models for simple tasks: docs, configuration, one file.
    pub simple: Option<BTreeMap<String, Option<String>>>,
    /// Models for medium tasks: features over a few files, bug fixes, tests.
    pub medium: Option<BTreeMap<String, Option<String>>>,
    /// Models for complex tasks: architecture, large refactors, migrations.
    pub complex: Option<BTreeMap<String, Option<String>>>,
    /// Models for reviews of another agent's work.
    pub review: Option<BTreeMap<String, Option<String>>>,
}
