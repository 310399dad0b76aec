//! How a task finds its agent and model, as a person types it.

use super::raw::RouterMode;
use orch_core::strategy::Strategy;
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
    /// Model for the routing question: a fast and cheap one.
    pub model: Option<String>,
    /// What money does to a route: cost_aware, quality (takes it as it is) or balanced (docs/explanation/which-model.md).
    pub strategy: Option<Strategy>,
    /// Of balanced: the share of routine work that tries a model of which little is known.
    pub explore: Option<String>,
    /// The only types of tasks that go to a cheaper model; null = all with cost_aware, research with balanced.
    pub cheaper_for: Option<Vec<String>>,
    /// File of a routing policy that decides model and stops, in ORCH_HOME or absolute (docs/explanation/which-model.md).
    pub policy: Option<PathBuf>,
    /// The daemon asks providers now and then whether they answer.
    pub probes: Option<bool>,
    /// Longest wait for the routing answer.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u64>,
    /// Agent that gets the task when routing fails; one of router.agents.
    pub fallback_executor: Option<String>,
    /// After so many failed routing calls for a task, round robin.
    #[schemars(range(min = 1, max = 100))]
    pub max_route_attempts: Option<u32>,
    /// Agents that tasks may be routed to, as far as they are installed.
    pub agents: Option<Vec<String>>,
    /// Tools of an agent's profile when the router names none.
    pub allowed_tools: Option<Vec<String>>,
    /// Skills that every agent gets.
    pub default_skills: Option<Vec<String>>,
}

/// Keys under `model_map`. A model of `null` is the agent's own default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModelMap {
    /// Docs, configuration, one file.
    pub simple: Option<BTreeMap<String, Option<String>>>,
    /// Features over a few files, bug fixes, tests.
    pub medium: Option<BTreeMap<String, Option<String>>>,
    /// Architecture, large refactors, migrations.
    pub complex: Option<BTreeMap<String, Option<String>>>,
    /// Reviewing the work of another agent.
    pub review: Option<BTreeMap<String, Option<String>>>,
}
