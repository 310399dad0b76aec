//! Escalation after insufficient work: the rungs of a ladder, and which one is next.

use super::model_policy::is_sticky;
use super::outcome::FailureClass;
use super::route::{Complexity, RouteResult};
use super::task::Task;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// When a task moves to a stronger model, how often, and to which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// Failures on one rung that lead to the next; at least 1.
    pub after: u32,
    /// The most steps up per task; 0 means none.
    pub max_steps: u32,
    /// From the weakest to the strongest. If empty, the agent's own models by `model_map` for increasing complexity.
    pub ladder: Vec<Rung>,
}

impl Default for Escalation {
    fn default() -> Self {
        Self { after: 2, max_steps: 2, ladder: Vec::new() }
    }
}

/// A rung of a ladder, written `agent` or `agent/model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// The agent's name, as in `agents.<name>`.
    pub agent: String,
    /// The model, as the agent's CLI names it; `None` means that of `model_map` for the task.
    pub model: Option<String>,
}

impl FromStr for Rung {
    type Err = String;

    /// Parses `agent` or `agent/model`. The agent's name ends at the first slash; model names may contain slashes.
    fn from_str(text: &str) -> Result<Self, String> {
        let (agent, model) = match text.split_once('/') {
            Some((agent, model)) => (agent, Some(model)),
            None => (text, None),
        };
        let is_word = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_word(agent) || !model.is_none_or(is_word) {
            return Err(format!("{text:?} is not a rung: write agent or agent/model"));
        }
        Ok(Self { agent: agent.to_owned(), model: model.map(str::to_owned) })
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.agent)?;
        self.model.as_ref().map_or(Ok(()), |model| write!(f, "/{model}"))
    }
}

impl Serialize for Rung {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Rung {
    fn is_of(&self, route: &RouteResult) -> bool {
        self.agent == route.agent && (self.model.is_none() || self.model == route.model)
    }
}

/// The options of a step up.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// Other agents that could take the task now.
    pub alternatives: &'a [String],
    /// The same agents, and those that could take it but for a cooldown.
    pub candidates: &'a [String],
    /// `router.agents`: the agents used where no chain or ladder names others.
    pub routed: &'a [String],
    /// `model_map`: the model of an agent for a complexity.
    pub model_for: &'a dyn Fn(Complexity, &str) -> Option<String>,
    /// Returns whether an agent with a model is cooling down.
    pub is_cooling_down: &'a dyn Fn(&str, Option<&str>) -> bool,
    /// Returns whether a run of an agent with a model is paid in advance, with credit left.
    pub is_paid_ahead: &'a dyn Fn(&str, Option<&str>) -> bool,
}

impl Escalation {
    /// Returns the next rung of a task whose work has failed again, if it is due. A model named by the person is kept,
    /// and so is an agent.
    pub fn next(&self, task: &Task, class: FailureClass, choice: Choice<'_>) -> Option<RouteResult> {
        let current = task.route.as_deref()?;
        let is_due = task.tier_failures + 1 >= self.after && task.steps_up < self.max_steps;
        if task.spec.model.is_some() || is_sticky(task) || !is_due {
            return None;
        }
        let harder = current.complexity.harder();
        let failed = match task.tier_failures + 1 {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            times => format!("{times} times"),
        };
        let complexity = harder.unwrap_or(current.complexity);
        let to = |agent: &str, model: Option<String>, from: &dyn fmt::Display| RouteResult {
            agent: agent.to_owned(),
            model,
            complexity,
            reason: format!("up from {from}: {class} {failed}"),
            ..current.clone()
        };
        if self.ladder.is_empty() {
            let model = (choice.model_for)(harder?, &current.agent);
            let is_another = model.is_some() && model != current.model;
            return is_another.then(|| to(&current.agent, model, &current.complexity));
        }
        let rung = self.rung_above(task, current, choice)?;
        let model = rung.model.clone().or_else(|| (choice.model_for)(complexity, &rung.agent));
        let from = Rung { agent: current.agent.clone(), model: current.model.clone() };
        Some(to(&rung.agent, model, &from))
    }

    /// Returns the first rung above the present one whose agent can take the task. A task on no rung starts at the
    /// second, because the first is for the easiest work.
    fn rung_above(&self, task: &Task, current: &RouteResult, choice: Choice<'_>) -> Option<&Rung> {
        let stands_on = self.ladder.iter().rposition(|rung| rung.is_of(current));
        let first = stands_on.map_or(1.min(self.ladder.len() - 1), |at| at + 1);
        let can_take = |rung: &&Rung| {
            rung.agent == current.agent || (!task.agent_is_pinned() && choice.alternatives.contains(&rung.agent))
        };
        self.ladder[first..].iter().filter(|rung| !rung.is_of(current)).find(can_take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use crate::tasks::route::AgentProfile;
    use crate::tasks::task::{FileState, Spec};

    fn task(agent: &str, model: &str) -> Task {
        let spec = Spec { title: "t".into(), ..Spec::default() };
        let mut task = Task::new(TaskId(1), spec, FileState::Pending, jiff::Timestamp::UNIX_EPOCH);
        task.tier_failures = 1;
        task.route = Some(Box::new(RouteResult {
            agent: agent.into(),
            model: Some(model.into()),
            complexity: Complexity::Medium,
            reason: String::new(),
            profile: AgentProfile::default(),
            selected_skills: vec![],
            warning: None,
        }));
        task
    }

    fn ladder(rungs: &[&str]) -> Escalation {
        Escalation { ladder: rungs.iter().map(|rung| rung.parse().expect("a rung")).collect(), ..Escalation::default() }
    }

    /// Where the task goes, as `agent/model`.
    fn goes(escalation: &Escalation, task: &Task, free: &[&str]) -> Option<String> {
        let alternatives: Vec<String> = free.iter().map(|&agent| agent.to_owned()).collect();
        let model_for = |complexity: Complexity, agent: &str| Some(format!("{agent}-{complexity}"));
        let choice = Choice {
            alternatives: &alternatives,
            candidates: &alternatives,
            routed: &alternatives,
            model_for: &model_for,
            is_cooling_down: &|_, _| false,
            is_paid_ahead: &|_, _| false,
        };
        let route = escalation.next(task, FailureClass::ChecksFailed, choice)?;
        Some(Rung { agent: route.agent, model: route.model }.to_string())
    }

    const CLAUDE: [&str; 3] = ["claude/haiku", "claude/sonnet", "claude/opus"];

    #[test]
    fn a_task_climbs_the_ladder_rung_by_rung_and_stays_at_the_top() {
        let ladder = ladder(&CLAUDE);
        assert_eq!(goes(&ladder, &task("claude", "haiku"), &[]).as_deref(), Some("claude/sonnet"));
        assert_eq!(goes(&ladder, &task("claude", "sonnet"), &[]).as_deref(), Some("claude/opus"));
        assert_eq!(goes(&ladder, &task("claude", "opus"), &[]), None);
    }

    #[test]
    fn what_stands_on_no_rung_goes_to_the_second() {
        assert_eq!(goes(&ladder(&CLAUDE), &task("codex", "x"), &["claude"]).as_deref(), Some("claude/sonnet"));
        assert_eq!(goes(&ladder(&["claude/opus"]), &task("codex", "x"), &["claude"]).as_deref(), Some("claude/opus"));
    }

    #[test]
    fn a_rung_whose_agent_cannot_work_now_is_left_out() {
        let ladder = ladder(&["claude/haiku", "codex/big", "claude/opus"]);
        assert_eq!(goes(&ladder, &task("claude", "haiku"), &[]).as_deref(), Some("claude/opus"));
        assert_eq!(goes(&ladder, &task("claude", "haiku"), &["codex"]).as_deref(), Some("codex/big"));
    }

    #[test]
    fn a_rung_without_a_model_takes_that_of_the_model_map() {
        let ladder = ladder(&["claude/haiku", "codex"]);
        assert_eq!(goes(&ladder, &task("claude", "haiku"), &["codex"]).as_deref(), Some("codex/codex-complex"));
        assert_eq!(goes(&ladder, &task("codex", "any"), &["claude"]), None, "it stands on that rung");
    }

    #[test]
    fn the_agent_and_the_model_that_a_person_named_stay() {
        let ladder = ladder(&["codex/x", "claude/sonnet", "codex/y"]);
        let mut pinned = task("codex", "x");
        pinned.spec.agent = Some("codex".into());
        assert_eq!(goes(&ladder, &pinned, &["claude"]).as_deref(), Some("codex/y"));
        pinned.spec.model = Some("x".into());
        assert_eq!(goes(&ladder, &pinned, &["claude"]), None);
    }

    #[test]
    fn it_is_left_after_as_many_failures_and_as_often_as_configured() {
        let mut patient = ladder(&CLAUDE);
        patient.after = 3;
        let mut tried = task("claude", "haiku");
        assert_eq!(goes(&patient, &tried, &[]), None, "this was the second failure");
        tried.tier_failures = 2;
        assert!(goes(&patient, &tried, &[]).is_some());
        tried.steps_up = 2;
        assert_eq!(goes(&patient, &tried, &[]), None, "it has climbed as often as it may");
        patient.max_steps = 0;
        tried.steps_up = 0;
        assert_eq!(goes(&patient, &tried, &[]), None);
    }

    #[test]
    fn without_a_ladder_it_is_the_model_for_a_harder_task() {
        let usual = Escalation::default();
        assert_eq!(goes(&usual, &task("claude", "sonnet"), &["codex"]).as_deref(), Some("claude/claude-complex"));
    }

    #[test]
    fn a_rung_is_read_as_it_is_written_and_nothing_else_is() {
        for text in ["codex", "claude/opus", "opencode/anthropic/claude-opus-4-5"] {
            assert_eq!(text.parse::<Rung>().expect("a rung").to_string(), text);
        }
        for text in ["", "/opus", "claude/", "claude /opus", "claude/o pus", "a\nb"] {
            assert!(text.parse::<Rung>().is_err(), "{text:?}");
        }
    }
}
