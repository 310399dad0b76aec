//! Sideways after a failure of a provider: the agents that take the work over, in the person's own order. PURE.

use super::escalation::{Choice, Rung};
use super::model_policy::is_sticky;
use super::outcome::FailureClass;
use super::route::{Complexity, RouteResult};
use super::task::Task;
use serde::Serialize;

/// The most rungs of a chain.
pub const DEPTH: usize = 5;

/// Who takes over, the first first, by how hard the task is. An empty chain is that of all installed agents of
/// `router.agents`, each with its own model of `model_map`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Fallback {
    /// Of simple tasks.
    pub simple: Vec<Rung>,
    /// Of medium ones.
    pub medium: Vec<Rung>,
    /// Of complex ones.
    pub complex: Vec<Rung>,
}

impl Fallback {
    /// The chain of a complexity.
    pub fn chain(&self, complexity: Complexity) -> &[Rung] {
        match complexity {
            Complexity::Simple => &self.simple,
            Complexity::Medium => &self.medium,
            Complexity::Complex => &self.complex,
        }
    }

    /// Who takes over a task whose provider has failed: the first of its chain who is free, and another agent than the one
    /// that failed. `None`: nobody is, or the person has named the agent.
    pub fn next(&self, task: &Task, class: FailureClass, choice: Choice<'_>) -> Option<RouteResult> {
        let current = task.route.as_deref()?;
        if task.agent_is_pinned() || is_sticky(task) {
            return None;
        }
        let is_free = |agent: &String| *agent != current.agent && choice.alternatives.contains(agent);
        let chain = self.chain(current.complexity);
        let (agent, model) = if chain.is_empty() {
            (choice.alternatives.iter().find(|agent| is_free(agent))?, None)
        } else {
            let rung = chain.iter().take(DEPTH).find(|rung| is_free(&rung.agent))?;
            (&rung.agent, rung.model.clone())
        };
        Some(RouteResult {
            agent: agent.clone(),
            model: model.or_else(|| (choice.model_for)(current.complexity, agent)),
            reason: format!("moved from {}: {class}", current.agent),
            ..current.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TaskId;
    use crate::domain::route::AgentProfile;
    use crate::domain::task::{FileState, Spec};
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
        let alternatives: Vec<String> = free.iter().map(|&agent| agent.to_owned()).collect();
        let model_for = |complexity: Complexity, agent: &str| Some(format!("{agent}-{complexity}"));
        let choice = Choice { alternatives: &alternatives, model_for: &model_for };
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
    fn a_rung_without_a_model_has_that_of_its_agent() {
        let fallback = Fallback { medium: rungs(&["codex"]), ..Fallback::default() };
        assert_eq!(
            next(&fallback, &task("claude", Complexity::Medium), &["codex"]).as_deref(),
            Some("codex codex-medium")
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
