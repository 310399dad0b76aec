//! Routing rules: which agent gets a task, and how complex the task is. Labels and fields come first, then round robin,
//! the LLM, strict parsing of its answer, and the fallback. Pure: installed agents, failed attempts, and the LLM's
//! answer are arguments. Neither a task's text nor a model's answer widens the choice: an agent is always an installed
//! one that the configuration names, and a model always comes from `model_map` or from the person.

mod answer;
mod format;
mod sanity;
mod wishes;

#[cfg(test)]
mod tests;

pub use crate::base::nearest::nearest;
pub use answer::RouteParseError;
pub(crate) use format::agent_line;
pub use format::{complexity_guide, describe_agent, format_text, schema};

use super::prompt::data::one_line;
use super::skills::Catalogue;
use crate::base::ids::TaskId;
use crate::tasks::route::{AgentProfile, Complexity, RouteResult};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wishes::{RequestedAgent, RouteRequest};

/// The value of `router.fallback_executor` that stands for round robin instead of an agent.
const ROUND_ROBIN: &str = "round_robin";
/// The longest warning, in characters.
const MAX_WARNING: usize = 1_000;

/// What routing needs to know about a task.
///
/// `agent`, `model` and `complexity` are what a *person* requested, not what orch stored after an earlier routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInput {
    /// The task's id; round robin uses it.
    pub task_id: TaskId,
    /// The task's title.
    pub title: String,
    /// The task's body.
    pub body: String,
    /// The task's labels; `agent:*` and `complexity:*` decide.
    pub labels: Vec<String>,
    /// The requested agent.
    pub agent: Option<String>,
    /// The requested model.
    pub model: Option<String>,
    /// The requested complexity.
    pub complexity: Option<Complexity>,
}

/// `router.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouterMode {
    /// An LLM chooses the agent.
    #[default]
    Llm,
    /// The agents take turns by the task's id.
    RoundRobin,
}

/// `model_map`: a model per complexity and agent.
pub type ModelMap = BTreeMap<Complexity, BTreeMap<String, String>>;

/// Returns the model that `map` names for this agent and complexity; `None`: the CLI's own default.
pub fn model_for_complexity(map: &ModelMap, complexity: Complexity, agent: &str) -> Option<String> {
    map.get(&complexity)?.get(agent).cloned()
}

/// The settings that the rules read: `router.*` and `model_map`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouterSettings {
    /// `router.mode`.
    pub mode: RouterMode,
    /// `router.fallback_executor`: an agent, or `round_robin`.
    pub fallback_executor: String,
    /// `router.max_route_attempts`: after this many failures of the LLM, round robin is used.
    pub max_route_attempts: u32,
    /// `router.agents`: the agents that rules or the LLM may choose, in this order. A label may name any installed
    /// agent.
    pub agents: Vec<String>,
    /// `router.allowed_tools`: the tools of every profile.
    pub allowed_tools: Vec<String>,
    /// `router.default_skills`: always selected.
    pub default_skills: Vec<String>,
    /// `model_map`, without `review`.
    pub models: ModelMap,
    /// The only provider of an agent's models, by agent, where an agent is limited to one.
    pub providers: BTreeMap<String, String>,
    /// The user's descriptions of agents for the LLM; other agents are described by [`describe_agent`].
    pub descriptions: BTreeMap<String, String>,
    /// The agents with a good record for such tasks, in words for the LLM; `None`: no agent has enough good results.
    pub proven: Option<String>,
    /// How many entries of `router.agents` are missing from `agents` because they are paused or wait for a limit.
    pub left_out: usize,
}

/// The decision of the rules before any LLM is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The route is decided.
    Resolved(RouteResult),
    /// Ask the router's LLM with [`super::prompt::route_prompt`]; then [`Routing::parse`] or
    /// [`Routing::after_failure`].
    AskLlm,
    /// No agent can take the task at present.
    Impossible(Impossible),
}

/// Why no agent can be chosen, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Impossible {
    /// The cause.
    pub reason: String,
    /// What the user can do.
    pub hint: String,
}

/// The routing question of one task.
#[derive(Debug, Clone, Copy)]
pub struct Routing<'a> {
    /// The task's data.
    pub input: &'a RouteInput,
    /// The settings of the rules.
    pub settings: &'a RouterSettings,
    /// The names of built-in or declared agents whose program was found.
    pub installed: &'a [String],
}

/// The parts of a result that depend on how the agent was found.
struct Choice {
    agent: String,
    complexity: Complexity,
    reason: String,
    profile: AgentProfile,
    selected_skills: Vec<String>,
    warnings: Vec<String>,
}

impl Routing<'_> {
    /// Decides without an LLM where possible. `failed_attempts` is how often the LLM failed for this task.
    pub fn decide(&self, failed_attempts: u32) -> Decision {
        match self.without_llm(failed_attempts) {
            Ok(Some(result)) => Decision::Resolved(result),
            Ok(None) => Decision::AskLlm,
            Err(impossible) => Decision::Impossible(impossible),
        }
    }

    /// Returns the route after the LLM failed for the `failed_attempts`-th time with `error`: the fallback executor, or
    /// round robin once `max_route_attempts` is reached.
    pub fn after_failure(&self, failed_attempts: u32, error: &str) -> Result<RouteResult, Impossible> {
        if failed_attempts < self.settings.max_route_attempts {
            return self.fallback(error);
        }
        let request = wishes::read(self)?;
        match &request.agent {
            Some(requested) => Ok(self.requested_route(requested, &request)),
            None => self.round_robin(&request, Some(self.used_up(failed_attempts, Some(error)))),
        }
    }

    /// Returns the route by `router.fallback_executor`, or by the first installed agent of `router.agents` when that
    /// one is not installed or not listed: agents outside the list run only when a task names them. The warning says
    /// why.
    pub fn fallback(&self, error: &str) -> Result<RouteResult, Impossible> {
        let request = wishes::read(self)?;
        if let Some(requested) = &request.agent {
            return Ok(self.requested_route(requested, &request));
        }
        let failed = format!("the router failed: {}", one_line(error, 300));
        let executor = self.settings.fallback_executor.trim();
        if executor == ROUND_ROBIN {
            return self.round_robin(&request, Some(failed));
        }
        let mut candidates = self.candidates()?;
        let (agent, note) = match candidates.iter().position(|name| name == executor) {
            Some(at) => (candidates.swap_remove(at), failed),
            None => {
                let is_listed = self.settings.agents.iter().any(|name| name == executor);
                let why = if is_listed { "is not installed" } else { "is not in router.agents" };
                let note = format!("{failed}; fallback_executor {} {why}", one_line(executor, 40));
                (candidates.swap_remove(0), note)
            }
        };
        let reason = format!("fallback to {agent}");
        Ok(self.plain(agent, reason, &request, Some(note)))
    }

    /// Returns the agents among which rules and LLM choose: the installed ones of `router.agents`, in order, each once.
    /// It is an error if there is none.
    pub fn candidates(&self) -> Result<Vec<String>, Impossible> {
        let mut candidates: Vec<String> = Vec::new();
        for agent in &self.settings.agents {
            if self.installed.contains(agent) && !candidates.contains(agent) {
                candidates.push(agent.clone());
            }
        }
        if candidates.is_empty() { Err(self.no_agent_error()) } else { Ok(candidates) }
    }

    /// Returns the JSON Schema of the LLM's answer to this question.
    pub fn schema(&self, skills: &Catalogue) -> serde_json::Value {
        let skills: Vec<String> = skills.iter().map(|skill| skill.name.clone()).collect();
        schema(&self.candidates().unwrap_or_default(), &skills, &unique(&self.settings.allowed_tools))
    }

    fn without_llm(&self, failed_attempts: u32) -> Result<Option<RouteResult>, Impossible> {
        let request = wishes::read(self)?;
        if let Some(requested) = &request.agent {
            return Ok(Some(self.requested_route(requested, &request)));
        }
        match self.settings.mode {
            RouterMode::RoundRobin => self.round_robin(&request, None).map(Some),
            RouterMode::Llm if failed_attempts >= self.settings.max_route_attempts => {
                self.round_robin(&request, Some(self.used_up(failed_attempts, None))).map(Some)
            }
            RouterMode::Llm => {
                let mut candidates = self.candidates()?;
                if unique(&self.settings.agents).len() + self.settings.left_out > 1 {
                    return Ok(None);
                }
                let reason = "the only agent of router.agents: no question is asked".to_owned();
                Ok(Some(self.plain(candidates.swap_remove(0), reason, &request, None)))
            }
        }
    }

    fn used_up(&self, failed_attempts: u32, error: Option<&str>) -> String {
        let last = error.map(|error| format!(", last: {}", one_line(error, 300))).unwrap_or_default();
        let max = self.settings.max_route_attempts;
        format!("the router failed {failed_attempts} times (max_route_attempts {max}){last}; the agents take turns")
    }

    fn requested_route(&self, requested: &RequestedAgent, request: &RouteRequest) -> RouteResult {
        self.plain(requested.agent.clone(), requested.cause.clone(), request, None)
    }

    fn round_robin(&self, request: &RouteRequest, note: Option<String>) -> Result<RouteResult, Impossible> {
        let mut candidates = self.candidates()?;
        let turn = self.input.task_id.0.saturating_sub(1) % candidates.len() as u64;
        let reason = format!("round robin: turn {} of {}", turn + 1, candidates.len());
        let agent = candidates.swap_remove(usize::try_from(turn).unwrap_or_default());
        Ok(self.plain(agent, reason, request, note))
    }

    /// Builds a result without the LLM.
    fn plain(&self, agent: String, reason: String, request: &RouteRequest, note: Option<String>) -> RouteResult {
        let choice = Choice {
            complexity: request
                .complexity
                .or_else(|| self.tier_of_model(&agent, request))
                .unwrap_or(Complexity::Medium),
            agent,
            reason,
            profile: AgentProfile { role: "software engineer".to_owned(), ..AgentProfile::default() },
            selected_skills: Vec::new(),
            warnings: note.into_iter().collect(),
        };
        self.finish(choice, request)
    }

    /// Returns the complexity for which `model_map` gives this agent the requested model.
    fn tier_of_model(&self, agent: &str, request: &RouteRequest) -> Option<Complexity> {
        let wanted = request.model.as_ref()?;
        let tier = |c: &Complexity| model_for_complexity(&self.settings.models, *c, agent).as_ref() == Some(wanted);
        Complexity::ALL.into_iter().find(tier)
    }

    /// Adds what every result has: model, tools, default skills, and the warnings about labels and fields.
    fn finish(&self, choice: Choice, request: &RouteRequest) -> RouteResult {
        let Choice { agent, complexity, reason, mut profile, mut selected_skills, mut warnings } = choice;
        profile.tools = unique(&self.settings.allowed_tools);
        selected_skills.extend(self.settings.default_skills.iter().cloned());
        warnings.splice(0..0, request.warnings.iter().cloned());
        let model = request.model.clone();
        RouteResult {
            model: model.or_else(|| model_for_complexity(&self.settings.models, complexity, &agent)),
            agent,
            complexity,
            reason,
            profile,
            selected_skills: unique(&selected_skills),
            warning: (!warnings.is_empty()).then(|| one_line(&warnings.join("; "), MAX_WARNING)),
        }
    }

    fn no_agent_error(&self) -> Impossible {
        let wanted = self.settings.agents.join(", ");
        if self.installed.is_empty() {
            return Impossible {
                reason: format!("no agent is installed (looked for {wanted})"),
                hint: "install one, for instance `npm install -g @anthropic-ai/claude-code`, `npm install -g \
                       @openai/codex` or `npm install -g opencode-ai`, or declare a program of your own under \
                       agents.<name> with `kind: command`; `orch doctor` shows what is found"
                    .to_owned(),
            };
        }
        Impossible {
            reason: format!("none of router.agents is installed ({wanted})"),
            hint: format!(
                "installed: {}; name one of them in router.agents, or give the task a label agent:<name>",
                self.installed.join(", ")
            ),
        }
    }
}

/// Returns each entry of the list once, in order.
fn unique(list: &[String]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    list.iter().filter(|entry| seen.insert(entry.as_str())).cloned().collect()
}
