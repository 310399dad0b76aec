//! Which agent gets a task, and how hard the task is: the rules, in the order label or field, round robin, LLM, strict
//! parse, fallback. PURE: who is installed, how often the LLM failed and what it answered are arguments; the call
//! itself is somebody else's. What a task's text or a model says never widens the choice: an agent is always an
//! installed one that the configuration names, a model always comes from `model_map` or from the person.

mod answer;
mod format;
mod nearest;
mod sanity;
mod wishes;

#[cfg(test)]
mod tests;

pub use answer::RouteParseError;
pub(crate) use format::agent_line;
pub use format::{complexity_guide, describe_agent, format_text, schema};
pub use nearest::nearest;

use super::ids::TaskId;
use super::prompt::data::one_line;
use super::route::{AgentProfile, Complexity, RouteResult};
use super::skills::Catalogue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wishes::{AgentWish, Wishes};

/// The value of `router.fallback_executor` that stands for no agent but for taking turns.
const ROUND_ROBIN: &str = "round_robin";
/// The longest warning, in characters.
const MAX_WARNING: usize = 1_000;

/// What routing needs to know of a task.
///
/// `agent`, `model` and `complexity` are what a *person* asked for, not what orch wrote there after an earlier routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInput {
    /// The task; round robin counts by it.
    pub task_id: TaskId,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// Its labels; `agent:*` and `complexity:*` decide.
    pub labels: Vec<String>,
    /// The agent asked for.
    pub agent: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The complexity asked for.
    pub complexity: Option<Complexity>,
}

/// `router.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouterMode {
    /// Ask a model.
    #[default]
    Llm,
    /// The agents take turns, by the task's id.
    RoundRobin,
}

/// `model_map`: a model per complexity and agent.
pub type ModelMap = BTreeMap<Complexity, BTreeMap<String, String>>;

/// The model that `map` names for this agent and complexity; `None`: the CLI's own default.
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
    /// `router.max_route_attempts`: after so many failures of the LLM the agents take turns.
    pub max_route_attempts: u32,
    /// `router.agents`: who may be chosen by rule or LLM, in this order. A label may name any installed agent.
    pub agents: Vec<String>,
    /// `router.allowed_tools`: the tools of every profile.
    pub allowed_tools: Vec<String>,
    /// `router.default_skills`: always selected.
    pub default_skills: Vec<String>,
    /// `model_map`, without `review`.
    pub models: ModelMap,
    /// The provider of whose models alone an agent has some, by agent.
    pub providers: BTreeMap<String, String>,
    /// What agents are good at, for the LLM, where the user says so; others are described by [`describe_agent`].
    pub descriptions: BTreeMap<String, String>,
    /// Whom the record of such tasks speaks for, in words for the LLM; `None`: nobody has done enough of them well enough.
    pub proven: Option<String>,
    /// How many entries of `router.agents` are not in `agents` for now, because they are paused or wait for a limit.
    pub left_out: usize,
}

/// What the rules say before any LLM is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Settled.
    Resolved(RouteResult),
    /// Ask the router's LLM with [`super::prompt::route_prompt`]; then [`Routing::parse`] or [`Routing::after_failure`].
    AskLlm,
    /// No agent can do it as things are.
    Impossible(Impossible),
}

/// Why no agent can be chosen, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Impossible {
    /// What stands in the way.
    pub reason: String,
    /// What the user can do.
    pub hint: String,
}

/// The routing question of one task.
#[derive(Debug, Clone, Copy)]
pub struct Routing<'a> {
    /// The task.
    pub input: &'a RouteInput,
    /// The rules' settings.
    pub settings: &'a RouterSettings,
    /// Names of the agents, built in or declared, whose program was found.
    pub installed: &'a [String],
}

/// Parts of a result that depend on how the agent was found.
struct Choice {
    agent: String,
    complexity: Complexity,
    reason: String,
    profile: AgentProfile,
    selected_skills: Vec<String>,
    warnings: Vec<String>,
}

impl Routing<'_> {
    /// Decides without an LLM where that is possible. `failed_attempts`: how often the LLM failed for this task.
    pub fn decide(&self, failed_attempts: u32) -> Decision {
        match self.without_llm(failed_attempts) {
            Ok(Some(result)) => Decision::Resolved(result),
            Ok(None) => Decision::AskLlm,
            Err(impossible) => Decision::Impossible(impossible),
        }
    }

    /// The route after the LLM failed for the `failed_attempts`-th time with `error`: the fallback executor, and from
    /// `max_route_attempts` on round robin.
    pub fn after_failure(&self, failed_attempts: u32, error: &str) -> Result<RouteResult, Impossible> {
        if failed_attempts < self.settings.max_route_attempts {
            return self.fallback(error);
        }
        let wishes = wishes::read(self)?;
        match &wishes.agent {
            Some(wish) => Ok(self.by_wish(wish, &wishes)),
            None => self.round_robin(&wishes, Some(self.used_up(failed_attempts, Some(error)))),
        }
    }

    /// The route by `router.fallback_executor`, or by the first installed agent of `router.agents` when that one is not
    /// installed or not among them: nothing outside the list runs unless a task names it. The warning says why.
    pub fn fallback(&self, error: &str) -> Result<RouteResult, Impossible> {
        let wishes = wishes::read(self)?;
        if let Some(wish) = &wishes.agent {
            return Ok(self.by_wish(wish, &wishes));
        }
        let failed = format!("the router failed: {}", one_line(error, 300));
        let executor = self.settings.fallback_executor.trim();
        if executor == ROUND_ROBIN {
            return self.round_robin(&wishes, Some(failed));
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
        Ok(self.plain(agent, reason, &wishes, Some(note)))
    }

    /// The agents among which rules and LLM choose: `router.agents`, as far as installed, in its order, each once.
    /// Error: there is none.
    pub fn candidates(&self) -> Result<Vec<String>, Impossible> {
        let mut candidates: Vec<String> = Vec::new();
        for agent in &self.settings.agents {
            if self.installed.contains(agent) && !candidates.contains(agent) {
                candidates.push(agent.clone());
            }
        }
        if candidates.is_empty() { Err(self.nobody()) } else { Ok(candidates) }
    }

    /// JSON Schema of the answer that the LLM shall give here.
    pub fn schema(&self, skills: &Catalogue) -> serde_json::Value {
        let skills: Vec<String> = skills.iter().map(|skill| skill.name.clone()).collect();
        schema(&self.candidates().unwrap_or_default(), &skills, &unique(&self.settings.allowed_tools))
    }

    fn without_llm(&self, failed_attempts: u32) -> Result<Option<RouteResult>, Impossible> {
        let wishes = wishes::read(self)?;
        if let Some(wish) = &wishes.agent {
            return Ok(Some(self.by_wish(wish, &wishes)));
        }
        match self.settings.mode {
            RouterMode::RoundRobin => self.round_robin(&wishes, None).map(Some),
            RouterMode::Llm if failed_attempts >= self.settings.max_route_attempts => {
                self.round_robin(&wishes, Some(self.used_up(failed_attempts, None))).map(Some)
            }
            RouterMode::Llm => {
                let mut candidates = self.candidates()?;
                if unique(&self.settings.agents).len() + self.settings.left_out > 1 {
                    return Ok(None);
                }
                let reason = "the only agent of router.agents: no question is asked".to_owned();
                Ok(Some(self.plain(candidates.swap_remove(0), reason, &wishes, None)))
            }
        }
    }

    fn used_up(&self, failed_attempts: u32, error: Option<&str>) -> String {
        let last = error.map(|error| format!(", last: {}", one_line(error, 300))).unwrap_or_default();
        let max = self.settings.max_route_attempts;
        format!("the router failed {failed_attempts} times (max_route_attempts {max}){last}; the agents take turns")
    }

    fn by_wish(&self, wish: &AgentWish, wishes: &Wishes) -> RouteResult {
        self.plain(wish.agent.clone(), wish.cause.clone(), wishes, None)
    }

    fn round_robin(&self, wishes: &Wishes, note: Option<String>) -> Result<RouteResult, Impossible> {
        let mut candidates = self.candidates()?;
        let turn = self.input.task_id.0.saturating_sub(1) % candidates.len() as u64;
        let reason = format!("round robin: turn {} of {}", turn + 1, candidates.len());
        let agent = candidates.swap_remove(usize::try_from(turn).unwrap_or_default());
        Ok(self.plain(agent, reason, wishes, note))
    }

    /// A result that no LLM had a part in.
    fn plain(&self, agent: String, reason: String, wishes: &Wishes, note: Option<String>) -> RouteResult {
        let choice = Choice {
            complexity: wishes.complexity.or_else(|| self.tier_of_model(&agent, wishes)).unwrap_or(Complexity::Medium),
            agent,
            reason,
            profile: AgentProfile { role: "software engineer".to_owned(), ..AgentProfile::default() },
            selected_skills: Vec::new(),
            warnings: note.into_iter().collect(),
        };
        self.finish(choice, wishes)
    }

    /// The complexity for which `model_map` gives this agent the model that was asked for.
    fn tier_of_model(&self, agent: &str, wishes: &Wishes) -> Option<Complexity> {
        let wanted = wishes.model.as_ref()?;
        let tier = |c: &Complexity| model_for_complexity(&self.settings.models, *c, agent).as_ref() == Some(wanted);
        Complexity::ALL.into_iter().find(tier)
    }

    /// Adds what holds for every result: model, tools, default skills, the warnings about labels and fields.
    fn finish(&self, choice: Choice, wishes: &Wishes) -> RouteResult {
        let Choice { agent, complexity, reason, mut profile, mut selected_skills, mut warnings } = choice;
        profile.tools = unique(&self.settings.allowed_tools);
        selected_skills.extend(self.settings.default_skills.iter().cloned());
        warnings.splice(0..0, wishes.warnings.iter().cloned());
        let model = wishes.model.clone();
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

    fn nobody(&self) -> Impossible {
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

/// The list with each entry once, in its order.
fn unique(list: &[String]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    list.iter().filter(|entry| seen.insert(entry.as_str())).cloned().collect()
}
