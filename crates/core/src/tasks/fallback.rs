//! Fallback after a provider failure: the agents that take over, in the person's order. PURE.

use super::escalation::{Choice, Rung};
use super::model_policy::is_sticky;
use super::outcome::FailureClass;
use super::route::{Complexity, RouteResult};
use super::task::Task;
use crate::base::names::provider_in;
use jiff::Timestamp;
use serde::Serialize;

/// The most rungs of a chain.
pub const DEPTH: usize = 5;

/// The agents that take over, in order, by complexity of the task. An empty chain means all installed agents of
/// `router.agents`, each with its model of `model_map`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Fallback {
    /// The chain for simple tasks.
    pub simple: Vec<Rung>,
    /// The chain for medium tasks.
    pub medium: Vec<Rung>,
    /// The chain for complex tasks.
    pub complex: Vec<Rung>,
}

impl Fallback {
    /// Returns the chain for a complexity.
    pub fn chain(&self, complexity: Complexity) -> &[Rung] {
        match complexity {
            Complexity::Simple => &self.simple,
            Complexity::Medium => &self.medium,
            Complexity::Complex => &self.complex,
        }
    }

    /// Returns the route of a task whose provider has failed: the first available rung of its chain, with another
    /// agent, or with the same agent and a model of another provider. `None` if no rung is available or the person has
    /// named the agent.
    pub fn next(&self, task: &Task, class: FailureClass, choice: Choice<'_>) -> Option<RouteResult> {
        let current = task.route.as_deref()?;
        let mut rungs = self.rungs(task, choice, choice.alternatives).into_iter();
        let (agent, model) = rungs.find(|(agent, model)| is_free(current, class, choice, agent, model.as_deref()))?;
        let is_paid = (choice.is_paid_ahead)(&agent, model.as_deref());
        let paid = if is_paid { "; what it costs is paid in advance, with something left" } else { "" };
        let reason = format!("moved from {}: {class}{paid}", current.agent);
        Some(RouteResult { agent, model, reason, ..current.clone() })
    }

    /// Returns when the first cooldown ends among the rungs that could take over; `None` if there are none.
    pub fn earliest(
        &self,
        task: &Task,
        choice: Choice<'_>,
        cooldown_until: &dyn Fn(&str, Option<&str>) -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let current = task.route.as_deref()?;
        let others = self.rungs(task, choice, choice.candidates).into_iter().filter(|(agent, model)| {
            *agent != current.agent || model.as_deref().and_then(provider_in) != provider_of(current)
        });
        others.filter_map(|(agent, model)| cooldown_until(&agent, model.as_deref())).min()
    }

    /// Returns the chain of a task as agents with models. Where it is empty, `all` with their models of `model_map`,
    /// those paid in advance first. A configured order is kept.
    fn rungs(&self, task: &Task, choice: Choice<'_>, all: &[String]) -> Vec<(String, Option<String>)> {
        let Some(current) = task.route.as_deref() else { return Vec::new() };
        if task.agent_is_pinned() || is_sticky(task) {
            return Vec::new();
        }
        let chain = self.chain(current.complexity);
        let all = all
            .iter()
            .filter(|agent| choice.routed.contains(agent))
            .map(|agent| Rung { agent: agent.clone(), model: None });
        let rungs: Vec<Rung> =
            if chain.is_empty() { all.collect() } else { chain.iter().take(DEPTH).cloned().collect() };
        let mapped = rungs.into_iter().map(|Rung { agent, model }| {
            let model = model.or_else(|| (choice.model_for)(current.complexity, &agent));
            (agent, model)
        });
        let mut mapped: Vec<(String, Option<String>)> = mapped.collect();
        if chain.is_empty() {
            mapped.sort_by_key(|(agent, model)| !(choice.is_paid_ahead)(agent, model.as_deref()));
        }
        mapped
    }
}

fn provider_of(route: &RouteResult) -> Option<&str> {
    route.model.as_deref().and_then(provider_in)
}

/// Returns whether an agent with a model can take over now. The failed agent can if its program has models of several
/// providers and this model's provider is not the failed one.
fn is_free(
    current: &RouteResult,
    class: FailureClass,
    choice: Choice<'_>,
    agent: &String,
    model: Option<&str>,
) -> bool {
    if (choice.is_cooling_down)(agent, model) {
        return false;
    }
    if *agent != current.agent {
        return choice.alternatives.contains(agent);
    }
    let is_of_another = model.and_then(provider_in) != provider_of(current);
    class != FailureClass::AgentMissing && model.and_then(provider_in).is_some() && is_of_another
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use crate::tasks::route::AgentProfile;
    use crate::tasks::task::{FileState, Spec};
    use proptest::prelude::*;

    fn task(agent: &str, complexity: Complexity) -> Task {
        let spec = Spec { title: "t".into(), ..Spec::default() };
        let mut task = Task::new(TaskId(1), spec, FileState::Pending, jiff::Timestamp::UNIX_EPOCH);
        task.route = Some(Box::new(RouteResult {
            agent: agent.into(),
            model: Some("dear".into()),
            complexity,
            reason: String::new(),
            profile: AgentProfile::default(),
            selected_skills: vec![],
            warning: None,
        }));
        task
    }

    fn rungs(texts: &[&str]) -> Vec<Rung> {
        texts.iter().map(|text| text.parse().expect("a rung")).collect()
    }

    fn chains() -> Fallback {
        Fallback {
            complex: rungs(&["claude/opus", "codex/o3", "opencode/google/gemini-2.5-pro"]),
            ..Fallback::default()
        }
    }

    fn next(fallback: &Fallback, task: &Task, free: &[&str]) -> Option<String> {
        next_beside(fallback, task, free, &|_, _| false)
    }

    #[test]
    fn an_agent_beside_those_of_the_router_takes_over_only_where_a_chain_names_it() {
        let free = ["unrouted", "codex"];
        let named = Fallback { medium: rungs(&["unrouted", "codex"]), ..Fallback::default() };
        let medium = task("claude", Complexity::Medium);
        assert_eq!(next(&named, &medium, &free).as_deref(), Some("unrouted unrouted-medium"));
        assert_eq!(next(&Fallback::default(), &medium, &free).as_deref(), Some("codex codex-medium"));
    }

    fn next_beside(
        fallback: &Fallback,
        task: &Task,
        free: &[&str],
        rests: &dyn Fn(&str, Option<&str>) -> bool,
    ) -> Option<String> {
        let alternatives: Vec<String> = free.iter().map(|&agent| agent.to_owned()).collect();
        let routed: Vec<String> = alternatives.iter().filter(|agent| *agent != "unrouted").cloned().collect();
        let model_for = |complexity: Complexity, agent: &str| Some(format!("{agent}-{complexity}"));
        let is_paid_ahead = |agent: &str, _: Option<&str>| agent == "prepaid";
        let choice = Choice {
            alternatives: &alternatives,
            candidates: &alternatives,
            routed: &routed,
            model_for: &model_for,
            is_cooling_down: rests,
            is_paid_ahead: &is_paid_ahead,
        };
        let route = fallback.next(task, FailureClass::RateLimited, choice)?;
        assert!(route.reason.starts_with("moved from "), "{}", route.reason);
        Some(format!("{} {}", route.agent, route.model.unwrap_or_default()))
    }

    #[test]
    fn the_first_of_the_chain_who_is_free_takes_over_with_the_chains_model() {
        let task = task("claude", Complexity::Complex);
        let free = ["kimi", "opencode", "codex"];
        assert_eq!(next(&chains(), &task, &free).as_deref(), Some("codex o3"));
        assert_eq!(next(&chains(), &task, &free[..2]).as_deref(), Some("opencode google/gemini-2.5-pro"));
        assert_eq!(next(&chains(), &task, &free[..1]), None, "nobody of the chain is");
    }

    #[test]
    fn a_chain_leads_back_to_its_beginning_when_that_is_free_again() {
        let task = task("codex", Complexity::Complex);
        assert_eq!(next(&chains(), &task, &["claude", "opencode"]).as_deref(), Some("claude opus"));
    }

    #[test]
    fn without_a_chain_the_agents_take_over_in_their_order_and_with_their_own_models() {
        let task = task("claude", Complexity::Simple);
        assert_eq!(next(&chains(), &task, &["kimi", "codex"]).as_deref(), Some("kimi kimi-simple"));
    }

    #[test]
    fn who_is_paid_in_advance_takes_over_first_and_a_chain_of_the_persons_keeps_its_order() {
        let task = task("claude", Complexity::Medium);
        let free = ["kimi", "prepaid", "codex"];
        assert_eq!(next(&Fallback::default(), &task, &free).as_deref(), Some("prepaid prepaid-medium"));
        let chain = Fallback { medium: rungs(&["codex", "prepaid"]), ..Fallback::default() };
        assert_eq!(next(&chain, &task, &free).as_deref(), Some("codex codex-medium"));
    }

    #[test]
    fn a_rung_without_a_model_has_that_of_its_agent() {
        let fallback = Fallback { medium: rungs(&["codex"]), ..Fallback::default() };
        assert_eq!(
            next(&fallback, &task("claude", Complexity::Medium), &["codex"]).as_deref(),
            Some("codex codex-medium")
        );
    }

    #[test]
    fn an_agent_with_several_providers_goes_on_with_another_one() {
        let chain = ["opencode/google/gemini-2.5-pro", "opencode/openai/gpt-5.2", "claude/opus"];
        let fallback = Fallback { complex: rungs(&chain), ..Fallback::default() };
        let mut task = task("opencode", Complexity::Complex);
        let with = |task: &mut Task, model: &str| {
            task.route.as_deref_mut().expect("routed").model = Some(model.to_owned());
        };
        with(&mut task, "google/gemini-2.5-pro");
        let google =
            |agent: &str, model: Option<&str>| agent == "opencode" && model.is_some_and(|m| m.starts_with("google/"));
        let next =
            |task: &Task, rests: &dyn Fn(&str, Option<&str>) -> bool| next_beside(&fallback, task, &["claude"], rests);
        assert_eq!(next(&task, &google).as_deref(), Some("opencode openai/gpt-5.2"));
        let opencode = |agent: &str, _: Option<&str>| agent == "opencode";
        assert_eq!(next(&task, &opencode).as_deref(), Some("claude opus"), "the whole agent rests");
        with(&mut task, "openai/gpt-5.2");
        let openai =
            |agent: &str, model: Option<&str>| agent == "opencode" && model.is_some_and(|m| m.starts_with("openai/"));
        assert_eq!(next(&task, &openai).as_deref(), Some("opencode google/gemini-2.5-pro"), "back to the beginning");
        let both = |agent: &str, model: Option<&str>| google(agent, model) || openai(agent, model);
        assert_eq!(next(&task, &both).as_deref(), Some("claude opus"));
        let all = |_: &str, _: Option<&str>| true;
        assert_eq!(next(&task, &all), None);
        // One provider's agents have no other: whatever their models are called.
        assert_eq!(
            next_beside(
                &Fallback { complex: rungs(&["claude/sonnet"]), ..Fallback::default() },
                &self::task("claude", Complexity::Complex),
                &[],
                &|_, _| false
            ),
            None
        );
    }

    #[test]
    fn whom_a_person_named_stays() {
        let mut task = task("claude", Complexity::Complex);
        task.spec.agent = Some("claude".to_owned());
        assert_eq!(next(&chains(), &task, &["codex"]), None);
    }

    proptest! {
        #[test]
        fn nobody_takes_over_from_themselves_or_without_being_free(
            chain in proptest::collection::vec("[a-d]", 0..8),
            free in proptest::collection::vec("[a-d]", 0..4),
            current in "[a-d]",
        ) {
            let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
            let free: Vec<&str> = free.iter().map(String::as_str).collect();
            let fallback = Fallback { simple: rungs(&chain), ..Fallback::default() };
            if let Some(route) = next(&fallback, &task(&current, Complexity::Simple), &free) {
                let agent = &route[..1];
                prop_assert!(agent != current && free.contains(&agent));
                prop_assert!(chain.is_empty() || chain.iter().take(DEPTH).any(|rung| *rung == agent));
            }
        }
    }
}
