//! Whether a task may change its model: the label `model-policy:sticky`, or the default. Pure.
//!
//! `dynamic` (default): another model may continue the work and its conversation: a stronger one after failures, a
//! cheaper one when money runs low, or one that a person requests. `sticky`: the first model stays through failures,
//! low budgets and retries. A person's request overrides this, in a conversation of its own.

use super::task::{Conversation, Task};
use strum::IntoStaticStr;

/// The key of the label.
pub const LABEL: &str = "model-policy";

/// Whether the model of a task may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ModelPolicy {
    /// The model may change.
    #[default]
    Dynamic,
    /// The model stays.
    Sticky,
}

impl ModelPolicy {
    /// Both policies.
    pub const ALL: [Self; 2] = [Self::Dynamic, Self::Sticky];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the policy of a task: its last label with this key counts, because it was added last. Unknown values are
    /// ignored.
    pub fn from_labels(labels: &[String]) -> Self {
        let word = |label: &String| {
            let (key, word) = label.split_once(':')?;
            let is_it = |policy: &Self| policy.as_str().eq_ignore_ascii_case(word.trim());
            key.trim().eq_ignore_ascii_case(LABEL).then(|| Self::ALL.into_iter().find(is_it))?
        };
        labels.iter().rev().find_map(word).unwrap_or_default()
    }

    /// Returns the label that sets the policy.
    pub fn label(self) -> String {
        format!("{LABEL}:{}", self.as_str())
    }
}

/// Whether the model of the task stays.
pub fn is_sticky(task: &Task) -> bool {
    ModelPolicy::from_labels(&task.spec.labels) == ModelPolicy::Sticky
}

/// Whether the task keeps its agent and model because its policy is sticky and the person has not named another since.
pub fn keeps_route(task: &Task) -> bool {
    let Some(route) = task.route.as_deref().filter(|_| is_sticky(task)) else { return false };
    task.spec.agent.as_ref().is_none_or(|agent| *agent == route.agent)
        && (task.spec.model.is_none() || task.spec.model == route.model)
}

/// Whether a run of this agent with this model can continue the conversation.
pub fn can_go_on(task: &Task, talk: &Conversation, agent: &str, model: Option<&str>) -> bool {
    // Conversations recorded by older versions do not name their model.
    let is_same = talk.model.is_none() || talk.model.as_deref() == model;
    talk.agent == agent && (is_same || !is_sticky(task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use crate::tasks::task::{FileState, Spec};

    fn task(labels: &[&str]) -> Task {
        let spec = Spec { labels: labels.iter().map(|&label| label.to_owned()).collect(), ..Spec::default() };
        Task::new(TaskId(1), spec, FileState::Pending, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_last_label_that_says_something_counts() {
        assert!(!is_sticky(&task(&[])) && !is_sticky(&task(&["model-policy:glued", "sticky"])));
        assert!(is_sticky(&task(&["Model-Policy: Sticky"])));
        assert!(!is_sticky(&task(&["model-policy:sticky", "model-policy:dynamic"])));
        for policy in ModelPolicy::ALL {
            assert_eq!(ModelPolicy::from_labels(&[policy.label()]), policy);
        }
    }

    #[test]
    fn a_conversation_is_gone_on_with_by_its_own_model_or_where_it_may_change() {
        let talk = Conversation { agent: "claude".into(), session_id: "s".into(), model: Some("sonnet".into()) };
        let old = Conversation { model: None, ..talk.clone() };
        let (sticky, dynamic) = (task(&["model-policy:sticky"]), task(&[]));
        assert!(
            can_go_on(&sticky, &talk, "claude", Some("sonnet")) && can_go_on(&sticky, &old, "claude", Some("opus"))
        );
        assert!(!can_go_on(&sticky, &talk, "claude", Some("opus")) && !can_go_on(&sticky, &talk, "claude", None));
        assert!(can_go_on(&dynamic, &talk, "claude", Some("opus")));
        assert!(!can_go_on(&dynamic, &talk, "codex", Some("sonnet")), "of another agent");
    }
}
