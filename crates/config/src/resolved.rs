//! The resolved configuration: complete, with every default filled in. `raw` has the keys as they are typed in files;
//! the defaults are defined only here and in the other `resolved_*` modules.

use super::overlay::overlay;
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

use orch_core::base::money::Usd;
use orch_core::economics::budget::Payees;
use orch_core::economics::strategy::Strategy;
use orch_core::models::agents::provider_of;
use orch_core::models::catalog::Additions;
use orch_core::planning::overlap::Overlap;
use orch_core::tasks::escalation::Escalation;
use orch_core::tasks::fallback::Fallback;
use orch_core::tasks::review::ReviewMode;
use orch_core::tasks::route::Complexity;
use orch_core::text::redact::{Pattern, Redactor, is_secret_name};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// All effective settings for one project, or, without a project, those of the person alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Config {
    /// Name of the project; `None`: the name of its directory.
    pub name: Option<String>,
    /// How orch chooses the agent and the model of a task.
    pub router: Router,
    /// Models by complexity and agent.
    pub model_map: ModelMap,
    /// How tags and tiers select a model.
    pub model_selection: ModelSelection,
    /// The person's aliases for models.
    pub model_aliases: BTreeMap<String, String>,
    /// Properties of models that override those of the catalog.
    pub models: BTreeMap<String, RawModel>,
    /// Declared providers, and changed settings of known ones.
    pub providers: BTreeMap<String, RawProvider>,
    /// Known and declared agents by name.
    pub agents: Agents,
    /// How tasks are run, judged and integrated.
    pub workflow: Workflow,
    /// What a fresh checkout needs beyond the files that git tracks.
    pub workspace: Workspace,
    /// Review of finished work by another agent.
    pub review: Review,
    /// Escalation to stronger models after work that was not good enough.
    pub escalation: Escalation,
    /// Agents that take over when a provider fails.
    pub fallback: Fallback,
    /// The daemon's main loop.
    pub engine: Engine,
    /// When consecutive failures pause starts.
    pub breaker: Breaker,
    /// Spending limits.
    pub budget: Budget,
    /// Resource limits of a run.
    pub limits: RunLimits,
    /// How running agents are monitored.
    pub health_check: HealthCheck,
    /// How long data of finished runs is kept.
    pub retention: Retention,
    /// Which worktrees are removed.
    pub gc: Gc,
    /// The API over TCP.
    pub http: Http,
    /// Channels that send notifications.
    pub channels: Channels,
    /// Which notifications the channels send, and when.
    pub notifications: Notifications,
    /// Patterns of what is masked in all output.
    pub redact: Redact,
    /// The daemon's log file.
    pub log: Log,
}

/// How orch chooses the agent and the model of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Router {
    /// Whether a language model routes or the agents take turns.
    pub mode: RouterMode,
    /// Agent that answers the routing question.
    pub agent: String,
    /// Model that answers the routing question.
    pub model: String,
    /// How cost affects routing.
    pub strategy: Strategy,
    /// Under `balanced`: share of routine tasks that try a model with few results, such as `5%`.
    pub explore: String,
    /// Types of tasks that may go to a cheaper model; `None`: the strategy's default.
    pub cheaper_for: Option<Vec<String>>,
    /// Routing policy file; `None`: no policy.
    pub policy: Option<PathBuf>,
    /// Whether the daemon checks that providers respond.
    pub probes: bool,
    /// Longest wait for the routing answer.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout: Duration,
    /// Agent that gets the task if routing fails.
    pub fallback_executor: String,
    /// Failed routing calls after which the agents take turns.
    pub max_route_attempts: u32,
    /// Agents that tasks may be routed to, if they are installed.
    pub agents: Vec<String>,
    /// Tools in an agent's profile if the router names none.
    pub allowed_tools: Vec<String>,
    /// Skills that every agent receives.
    pub default_skills: Vec<String>,
}

/// Models by agent for each complexity. An agent without an entry uses its own default model.
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

/// How tasks are run, judged and integrated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workflow {
    /// Whether agents are kept out of the project's own directory.
    pub sandbox: bool,
    /// Shell commands that must succeed on the committed work. Contains only approved ones.
    pub checks: Vec<String>,
    /// Checks of the project's file that do not run, because the person has not approved that file.
    #[serde(skip)]
    pub unapproved_checks: Vec<String>,
    /// Where checks run.
    pub checks_in: ChecksIn,
    /// Who reviews work that passed its checks.
    pub review: ReviewMode,
    /// Patterns of files that tasks may change; empty: all.
    pub allowed_paths: Vec<String>,
    /// Largest file that a change may add, in megabytes (of 1,000,000 bytes); 0: no limit.
    pub max_file_mb: u64,
    /// Number of attempts before a person is asked; at least 1.
    pub max_attempts: u32,
    /// Cost of a task at which a person is asked; `None`: no limit.
    pub max_cost_usd: Option<Usd>,
    /// Maximum number of subtasks that the agents of one task may create.
    pub max_delegations: u32,
    /// Maximum depth of delegation.
    pub max_delegation_depth: u32,
    /// Longest run of an agent; `None`: no limit.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds_or_none")]
    pub timeout: Option<Duration>,
    /// Longest time without output or activity of an agent; `None`: no limit.
    #[serde(rename = "silence_seconds", serialize_with = "seconds_or_none")]
    pub silence: Option<Duration>,
    /// Longest run of one check.
    #[serde(rename = "check_timeout_seconds", serialize_with = "seconds")]
    pub check_timeout: Duration,
    /// Base branch; `None`: the repository's default branch.
    pub base_branch: Option<String>,
    /// What happens to accepted work.
    pub integrate: Integrate,
    /// Whether checks run again after a merge if the base is not what they passed on.
    pub verify_after_merge: bool,
    /// What happens to a task that is likely to change the same files as a running one.
    pub overlap: Overlap,
    /// Maximum number of the project's tasks at once; `None`: only the global limit.
    pub max_parallel: Option<u32>,
}

/// The API over TCP, in addition to its Unix socket.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Http {
    /// Address as [`super::http::loopback`] parses it; `None`: do not listen.
    pub listen: Option<String>,
}

/// What is masked in addition to the secrets that orch recognizes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Redact {
    /// Regular expressions by the name that replaces what they match.
    pub patterns: BTreeMap<String, String>,
}

/// The daemon's log file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log {
    /// Size in megabytes (of 1,000,000 bytes) at which a new file is started.
    pub max_megabytes: u64,
    /// Number of old log files that are kept.
    pub keep: u32,
}

impl Config {
    /// Returns the known or declared agent of that name.
    pub fn agent(&self, name: &str) -> Option<&AgentConfig> {
        self.agents.get(name)
    }

    /// Returns the model for a task; `None`: the agent's own default.
    pub fn model_for(&self, complexity: Complexity, agent: &str) -> Option<&str> {
        let models = match complexity {
            Complexity::Simple => &self.model_map.simple,
            Complexity::Medium => &self.model_map.medium,
            Complexity::Complex => &self.model_map.complex,
        };
        models.get(agent).map(String::as_str)
    }

    /// Returns all models of `model_map` for work by that agent.
    pub fn mapped_models(&self, agent: &str) -> impl Iterator<Item = &str> {
        Complexity::ALL.into_iter().filter_map(move |complexity| self.model_for(complexity, agent))
    }

    /// Returns the model for a review; `None`: the agent's own default.
    pub fn review_model(&self, agent: &str) -> Option<&str> {
        self.model_map.review.get(agent).map(String::as_str)
    }

    /// Returns which provider is paid for each agent.
    pub fn payees(&self) -> Payees {
        let own =
            |(name, agent): (&str, &AgentConfig)| Some((name.to_owned(), provider_of(agent.kind, name)?.to_owned()));
        Payees { providers: self.agents.iter().filter_map(own).collect() }
    }

    /// Returns what the settings add to the built-in catalog of models.
    pub fn model_additions(&self) -> Additions {
        additions(&self.models, &self.providers, &self.model_aliases)
    }

    /// Returns the redactor of all secrets in this configuration and in the daemon's environment.
    pub fn redactor(&self, daemon: &BTreeMap<String, String>) -> Redactor {
        let of_agents = self.agents.iter().filter_map(|(_, agent)| agent.environment(daemon).ok()).flatten();
        let of_agents = of_agents.map(|(name, value)| (name, value.expose().to_owned()));
        let of_daemon = daemon.iter().map(|(name, value)| (name.clone(), value.clone()));
        let secrets = of_daemon.chain(of_agents).filter(|(name, _)| is_secret_name(name));
        Redactor::new(secrets).with_patterns(&self.redact.compiled())
    }

    /// Fills in the defaults.
    pub(super) fn resolve(raw: RawConfig) -> Self {
        let default = Self::default();
        let timeout_is_set = raw.workflow.as_ref().is_some_and(|workflow| workflow.timeout_seconds.is_some());
        Self {
            limits: default.limits.with(raw.limits.unwrap_or_default(), timeout_is_set),
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
        // The routing question never goes to an agent that the person has neither listed nor named.
        let lists = |agents: &Vec<String>| raw.agent.is_some() || agents.contains(&self.agent);
        let usual = if raw.agents.as_ref().is_none_or(lists) { self.mode } else { RouterMode::RoundRobin };
        overlay!(self with raw {
            [
                agent, model, strategy, explore, probes, fallback_executor, max_route_attempts, agents,
                allowed_tools, default_skills
            ]
            ?[cheaper_for, policy]
            mode: raw.mode.unwrap_or(usual),
            timeout: raw.timeout_seconds.map_or(self.timeout, Duration::from_secs),
        })
    }
}

impl Default for ModelMap {
    fn default() -> Self {
        let models = |claude: &str, codex: &str| {
            BTreeMap::from([("claude".to_owned(), claude.to_owned()), ("codex".to_owned(), codex.to_owned())])
        };
        Self {
            simple: models("haiku", "tier:haiku"),
            medium: models("sonnet", "tier:sonnet"),
            complex: models("opus", "tier:pro"),
            review: models("sonnet", "tier:sonnet"),
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
        overlay!(self with raw {
            [
                sandbox, checks, checks_in, review, allowed_paths, max_file_mb, max_attempts, max_delegations,
                max_delegation_depth, integrate, verify_after_merge, overlap
            ]
            ?[max_cost_usd, base_branch, max_parallel]
            unapproved_checks: self.unapproved_checks,
            timeout: raw.timeout_seconds.map_or(self.timeout, limit),
            silence: raw.silence_seconds.map_or(self.silence, limit),
            check_timeout: raw.check_timeout_seconds.map_or(self.check_timeout, Duration::from_secs),
        })
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

    /// Returns the compiled patterns. A configuration with an invalid pattern is refused when it is loaded.
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
    fn a_key_that_is_not_set_has_its_default() {
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
