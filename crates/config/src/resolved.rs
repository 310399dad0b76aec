//! The configuration as it is meant: complete, every default in its place, plain values. What is typed in files is in
//! `raw`; the only statement of the defaults is here.

use super::raw::{
    ChecksIn, Integrate, RawConfig, RawHttp, RawLog, RawModel, RawModelMap, RawProvider, RawRedact, RawRouter,
    RawWorkflow, RouterMode,
};
use super::resolved_agent::{AgentConfig, Agents};
use super::resolved_breaker::Breaker;
use super::resolved_budget::Budget;
use super::resolved_channels::{Channels, Notifications};
pub use super::resolved_engine::Engine;
use super::resolved_escalation::{escalation, fallback};
use super::resolved_gc::Gc;
use super::resolved_limits::{HealthCheck, Limits as RunLimits};
use super::resolved_models::{ModelSelection, additions, present};
pub use super::resolved_retention::Retention;
pub use super::resolved_review::Review;
pub use super::resolved_workspace::Workspace;

use orch_core::agents::provider_of;
use orch_core::budget::Payees;
use orch_core::catalog::Additions;
use orch_core::escalation::Escalation;
use orch_core::fallback::Fallback;
use orch_core::money::Usd;
use orch_core::overlap::Overlap;
use orch_core::redact::{Pattern, Redactor, is_secret_name};
use orch_core::review::ReviewMode;
use orch_core::route::Complexity;
use orch_core::strategy::Strategy;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// All settings in force for one project (or for none: then without what a project file adds).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Config {
    /// The project's own name for itself; `None`: the name of its directory.
    pub name: Option<String>,
    /// Choice of agent and model.
    pub router: Router,
    /// Models.
    pub model_map: ModelMap,
    /// How tags and tiers choose among models.
    pub model_selection: ModelSelection,
    /// The person's names for models.
    pub model_aliases: BTreeMap<String, String>,
    /// What the person says of models.
    pub models: BTreeMap<String, RawModel>,
    /// What the person says of providers.
    pub providers: BTreeMap<String, RawProvider>,
    /// Agents by name: the known ones and the declared ones.
    pub agents: Agents,
    /// Work, judgement, integration.
    pub workflow: Workflow,
    /// What a fresh checkout needs.
    pub workspace: Workspace,
    /// The second look.
    pub review: Review,
    /// Upwards.
    pub escalation: Escalation,
    /// Sideways.
    pub fallback: Fallback,
    /// The loop.
    pub engine: Engine,
    /// When starts stop.
    pub breaker: Breaker,
    /// What may be spent.
    pub budget: Budget,
    /// How much a run may take.
    pub limits: RunLimits,
    /// How agents are watched.
    pub health_check: HealthCheck,
    /// What is kept.
    pub retention: Retention,
    /// Which worktrees go.
    pub gc: Gc,
    /// The API beside its socket.
    pub http: Http,
    /// Ways to the person.
    pub channels: Channels,
    /// What is told in them.
    pub notifications: Notifications,
    /// What is masked.
    pub redact: Redact,
    /// The log.
    pub log: Log,
}

/// How a task finds its agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Router {
    /// By a language model or in turn.
    pub mode: RouterMode,
    /// Agent that answers the routing question.
    pub agent: String,
    /// Its model for that.
    pub model: String,
    /// What money does to a route.
    pub strategy: Strategy,
    /// Of `balanced`: the share of routine work that explores, as `5%`.
    pub explore: String,
    /// The only types of tasks that go to a cheaper model; `None`: what the strategy says.
    pub cheaper_for: Option<Vec<String>>,
    /// File of the policy that routes; `None`: none does.
    pub policy: Option<PathBuf>,
    /// The daemon asks providers whether they answer.
    pub probes: bool,
    /// Longest wait for the answer.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout: Duration,
    /// Agent that gets the task when routing fails.
    pub fallback_executor: String,
    /// Failed routing calls after which the agents take turns.
    pub max_route_attempts: u32,
    /// Agents that may be chosen, as far as they are installed.
    pub agents: Vec<String>,
    /// Tools of a profile that names none.
    pub allowed_tools: Vec<String>,
    /// Skills that every agent gets.
    pub default_skills: Vec<String>,
}

/// Models by agent, for each complexity. An agent without an entry uses its own default.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelMap {
    /// For simple tasks.
    pub simple: BTreeMap<String, String>,
    /// For medium tasks.
    pub medium: BTreeMap<String, String>,
    /// For complex tasks.
    pub complex: BTreeMap<String, String>,
    /// For reviews.
    pub review: BTreeMap<String, String>,
}

/// How a task is worked on, judged and integrated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workflow {
    /// Keep agents out of the project's own directory.
    pub sandbox: bool,
    /// Shell commands that must succeed. Only approved ones are here.
    pub checks: Vec<String>,
    /// Checks of the project's file that do not run, because the person has not approved that file.
    #[serde(skip)]
    pub unapproved_checks: Vec<String>,
    /// Where they run.
    pub checks_in: ChecksIn,
    /// Who looks at work whose evidence is good.
    pub review: ReviewMode,
    /// Patterns of the files that may change; empty: all may.
    pub allowed_paths: Vec<String>,
    /// Largest file that a change may bring in, in megabytes (of 1,000,000 bytes); 0: any.
    pub max_file_mb: u64,
    /// Attempts before a person is asked; at least 1.
    pub max_attempts: u32,
    /// What a task may cost before a person is asked; `None`: anything.
    pub max_cost_usd: Option<Usd>,
    /// Tasks that the agents of one task may hand work on to.
    pub max_delegations: u32,
    /// How deep the parts of parts may lie.
    pub max_delegation_depth: u32,
    /// Longest run of an agent; `None`: no limit.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds_or_none")]
    pub timeout: Option<Duration>,
    /// Longest time without a sign of life; `None`: no limit.
    #[serde(rename = "silence_seconds", serialize_with = "seconds_or_none")]
    pub silence: Option<Duration>,
    /// Longest run of one check.
    #[serde(rename = "check_timeout_seconds", serialize_with = "seconds")]
    pub check_timeout: Duration,
    /// Base branch; `None`: the repository's default branch.
    pub base_branch: Option<String>,
    /// What happens with accepted work.
    pub integrate: Integrate,
    /// The base is checked after a merge where it is not what the checks have passed on.
    pub verify_after_merge: bool,
    /// What happens with a task that will likely change the same files as a running one.
    pub overlap: Overlap,
    /// Tasks of the project at the same time; `None`: only the limit for all.
    pub max_parallel: Option<u32>,
}

/// The API beside its Unix socket.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Http {
    /// Where it listens on TCP, see [`super::http::loopback`]; `None`: nowhere.
    pub listen: Option<String>,
}

/// What is masked beside what orch knows by itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Redact {
    /// Regular expressions by the name that stands in the place of what they match.
    pub patterns: BTreeMap<String, String>,
}

/// The daemon's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log {
    /// Size in megabytes (of 1,000,000 bytes) at which a new file is begun.
    pub max_megabytes: u64,
    /// Older files that are kept.
    pub keep: u32,
}

impl Config {
    /// The agent of that name, when it is one that orch knows or that was declared.
    pub fn agent(&self, name: &str) -> Option<&AgentConfig> {
        self.agents.get(name)
    }

    /// The model for a task; `None`: the agent's own default.
    pub fn model_for(&self, complexity: Complexity, agent: &str) -> Option<&str> {
        let models = match complexity {
            Complexity::Simple => &self.model_map.simple,
            Complexity::Medium => &self.model_map.medium,
            Complexity::Complex => &self.model_map.complex,
        };
        models.get(agent).map(String::as_str)
    }

    /// All models of `model_map` for work by that agent.
    pub fn mapped_models(&self, agent: &str) -> impl Iterator<Item = &str> {
        Complexity::ALL.into_iter().filter_map(move |complexity| self.model_for(complexity, agent))
    }

    /// The model for a review; `None`: the agent's own default.
    pub fn review_model(&self, agent: &str) -> Option<&str> {
        self.model_map.review.get(agent).map(String::as_str)
    }

    /// Whom its agents are paid to.
    pub fn payees(&self) -> Payees {
        let own =
            |(name, agent): (&str, &AgentConfig)| Some((name.to_owned(), provider_of(agent.kind, name)?.to_owned()));
        Payees { providers: self.agents.iter().filter_map(own).collect() }
    }

    /// What it adds to the built-in models.
    pub fn model_additions(&self) -> Additions {
        additions(&self.models, &self.providers, &self.model_aliases)
    }

    /// What masks all secrets that this configuration and the daemon's environment tell of.
    pub fn redactor(&self, daemon: &BTreeMap<String, String>) -> Redactor {
        let of_agents = self.agents.iter().filter_map(|(_, agent)| agent.environment(daemon).ok()).flatten();
        let of_agents = of_agents.map(|(name, value)| (name, value.expose().to_owned()));
        let of_daemon = daemon.iter().map(|(name, value)| (name.clone(), value.clone()));
        let secrets = of_daemon.chain(of_agents).filter(|(name, _)| is_secret_name(name));
        Redactor::new(secrets).with_patterns(&self.redact.compiled())
    }

    /// Fills in what nobody said.
    pub(super) fn resolve(raw: RawConfig) -> Self {
        let default = Self::default();
        let timeout_is_said = raw.workflow.as_ref().is_some_and(|workflow| workflow.timeout_seconds.is_some());
        Self {
            limits: default.limits.with(raw.limits.unwrap_or_default(), timeout_is_said),
            health_check: default.health_check.with(raw.health_check.unwrap_or_default()),
            name: raw.name,
            router: default.router.with(raw.router.unwrap_or_default()),
            model_map: default.model_map.with(raw.model_map.unwrap_or_default()),
            model_selection: default.model_selection.with(raw.model_selection.unwrap_or_default()),
            model_aliases: present(raw.model_aliases),
            models: present(raw.models),
            providers: present(raw.providers),
            agents: default.agents.with(raw.agents.unwrap_or_default()),
            workflow: default.workflow.with(raw.workflow.unwrap_or_default()),
            workspace: default.workspace.with(raw.workspace.unwrap_or_default()),
            review: default.review.with(raw.review.unwrap_or_default()),
            escalation: escalation(default.escalation, raw.escalation.unwrap_or_default()),
            fallback: fallback(default.fallback, raw.fallback.unwrap_or_default()),
            engine: default.engine.with(raw.engine.unwrap_or_default()),
            breaker: default.breaker.with(raw.breaker.unwrap_or_default()),
            budget: default.budget.with(raw.budget.unwrap_or_default()),
            retention: default.retention.with(raw.retention.unwrap_or_default()),
            gc: default.gc.with(raw.gc.unwrap_or_default()),
            http: default.http.with(raw.http.unwrap_or_default()),
            channels: default.channels.with(raw.channels.unwrap_or_default()),
            notifications: default.notifications.with(raw.notifications.unwrap_or_default()),
            redact: default.redact.with(raw.redact.unwrap_or_default()),
            log: default.log.with(raw.log.unwrap_or_default()),
        }
    }
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

impl Default for Router {
    fn default() -> Self {
        Self {
            mode: RouterMode::default(),
            agent: "claude".to_owned(),
            model: "haiku".to_owned(),
            strategy: Strategy::default(),
            explore: "5%".to_owned(),
            cheaper_for: None,
            policy: None,
            probes: true,
            timeout: Duration::from_secs(120),
            fallback_executor: "codex".to_owned(),
            max_route_attempts: 3,
            agents: texts(&["claude", "codex", "opencode", "kimi", "minimax"]),
            allowed_tools: texts(&[
                "yq", "jq", "bash", "just", "git", "rg", "sed", "awk", "python3", "node", "npm", "bun",
            ]),
            default_skills: texts(&["gh", "git-worktree"]),
        }
    }
}

impl Router {
    fn with(self, raw: RawRouter) -> Self {
        // Nobody asks an agent that the person has neither listed nor named.
        let lists = |agents: &Vec<String>| raw.agent.is_some() || agents.contains(&self.agent);
        let usual = if raw.agents.as_ref().is_none_or(lists) { self.mode } else { RouterMode::RoundRobin };
        Self {
            mode: raw.mode.unwrap_or(usual),
            agent: raw.agent.unwrap_or(self.agent),
            model: raw.model.unwrap_or(self.model),
            strategy: raw.strategy.unwrap_or(self.strategy),
            explore: raw.explore.unwrap_or(self.explore),
            cheaper_for: raw.cheaper_for.or(self.cheaper_for),
            policy: raw.policy.or(self.policy),
            probes: raw.probes.unwrap_or(self.probes),
            timeout: raw.timeout_seconds.map_or(self.timeout, Duration::from_secs),
            fallback_executor: raw.fallback_executor.unwrap_or(self.fallback_executor),
            max_route_attempts: raw.max_route_attempts.unwrap_or(self.max_route_attempts),
            agents: raw.agents.unwrap_or(self.agents),
            allowed_tools: raw.allowed_tools.unwrap_or(self.allowed_tools),
            default_skills: raw.default_skills.unwrap_or(self.default_skills),
        }
    }
}

impl Default for ModelMap {
    fn default() -> Self {
        let of = |claude: &str, codex: &str| {
            BTreeMap::from([("claude".to_owned(), claude.to_owned()), ("codex".to_owned(), codex.to_owned())])
        };
        Self {
            simple: of("haiku", "tier:haiku"),
            medium: of("sonnet", "tier:sonnet"),
            complex: of("opus", "tier:pro"),
            review: of("sonnet", "tier:sonnet"),
        }
    }
}

impl ModelMap {
    fn with(self, raw: RawModelMap) -> Self {
        let merge = |mut models: BTreeMap<String, String>, raw: Option<BTreeMap<String, Option<String>>>| {
            for (agent, model) in raw.unwrap_or_default() {
                match model {
                    Some(model) => models.insert(agent, model),
                    None => models.remove(&agent),
                };
            }
            models
        };
        Self {
            simple: merge(self.simple, raw.simple),
            medium: merge(self.medium, raw.medium),
            complex: merge(self.complex, raw.complex),
            review: merge(self.review, raw.review),
        }
    }
}

impl Default for Workflow {
    fn default() -> Self {
        Self {
            sandbox: true,
            checks: Vec::new(),
            unapproved_checks: Vec::new(),
            checks_in: ChecksIn::default(),
            review: ReviewMode::default(),
            allowed_paths: Vec::new(),
            max_file_mb: 10,
            max_attempts: 3,
            max_cost_usd: None,
            max_delegations: 10,
            max_delegation_depth: 2,
            timeout: Some(Duration::from_secs(1800)),
            silence: Some(Duration::from_secs(900)),
            check_timeout: Duration::from_secs(900),
            base_branch: None,
            integrate: Integrate::default(),
            verify_after_merge: true,
            overlap: Overlap::default(),
            max_parallel: None,
        }
    }
}

impl Workflow {
    fn with(self, raw: RawWorkflow) -> Self {
        let limit = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        Self {
            sandbox: raw.sandbox.unwrap_or(self.sandbox),
            checks: raw.checks.unwrap_or(self.checks),
            unapproved_checks: self.unapproved_checks,
            checks_in: raw.checks_in.unwrap_or(self.checks_in),
            review: raw.review.unwrap_or(self.review),
            allowed_paths: raw.allowed_paths.unwrap_or(self.allowed_paths),
            max_file_mb: raw.max_file_mb.unwrap_or(self.max_file_mb),
            max_attempts: raw.max_attempts.unwrap_or(self.max_attempts),
            max_cost_usd: raw.max_cost_usd.or(self.max_cost_usd),
            max_delegations: raw.max_delegations.unwrap_or(self.max_delegations),
            max_delegation_depth: raw.max_delegation_depth.unwrap_or(self.max_delegation_depth),
            timeout: raw.timeout_seconds.map_or(self.timeout, limit),
            silence: raw.silence_seconds.map_or(self.silence, limit),
            check_timeout: raw.check_timeout_seconds.map_or(self.check_timeout, Duration::from_secs),
            base_branch: raw.base_branch.or(self.base_branch),
            integrate: raw.integrate.unwrap_or(self.integrate),
            verify_after_merge: raw.verify_after_merge.unwrap_or(self.verify_after_merge),
            overlap: raw.overlap.unwrap_or(self.overlap),
            max_parallel: raw.max_parallel.or(self.max_parallel),
        }
    }
}

impl Http {
    fn with(self, raw: RawHttp) -> Self {
        Self { listen: raw.listen.or(self.listen) }
    }
}

impl Redact {
    fn with(mut self, raw: RawRedact) -> Self {
        for (name, regex) in raw.patterns.unwrap_or_default() {
            match regex {
                Some(regex) => self.patterns.insert(name, regex),
                None => self.patterns.remove(&name),
            };
        }
        self
    }

    /// The patterns, compiled. A configuration with one that cannot be is refused when it is loaded.
    pub fn compiled(&self) -> Vec<Pattern> {
        self.patterns.iter().filter_map(|(name, regex)| Pattern::new(name, regex).ok()).collect()
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { max_megabytes: 10, keep: 5 }
    }
}

impl Log {
    fn with(self, raw: RawLog) -> Self {
        Self { max_megabytes: raw.max_megabytes.unwrap_or(self.max_megabytes), keep: raw.keep.unwrap_or(self.keep) }
    }
}

pub(super) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

fn seconds_or_none<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.map_or(0, |time| time.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(raw: serde_json::Value) -> Config {
        Config::resolve(serde_json::from_value(raw).unwrap())
    }

    #[test]
    fn what_nobody_said_is_the_default() {
        assert_eq!(resolve(serde_json::json!({})), Config::default());
        assert_eq!(resolve(serde_json::json!({"router": {"mode": null}, "workflow": {}})), Config::default());
    }

    #[test]
    fn zero_seconds_are_no_limit() {
        let workflow = resolve(serde_json::json!({"workflow": {"timeout_seconds": 0, "silence_seconds": 5}})).workflow;
        assert_eq!((workflow.timeout, workflow.silence), (None, Some(Duration::from_secs(5))));
    }

    #[test]
    fn models_are_looked_up_by_complexity_and_agent() {
        let config = resolve(serde_json::json!({"model_map": {
            "simple": {"claude": null, "opencode": "x/y"}, "review": {"codex": "z"}
        }}));
        assert_eq!(config.model_for(Complexity::Simple, "claude"), None);
        assert_eq!(config.model_for(Complexity::Simple, "opencode"), Some("x/y"));
        assert_eq!(config.model_for(Complexity::Simple, "codex"), Some("tier:haiku"));
        assert_eq!(config.model_for(Complexity::Medium, "claude"), Some("sonnet"));
        assert_eq!(config.model_for(Complexity::Complex, "claude"), Some("opus"));
        assert_eq!(config.model_for(Complexity::Complex, "kimi"), None);
        assert_eq!((config.review_model("codex"), config.review_model("claude")), (Some("z"), Some("sonnet")));
    }
}
