//! Who did what a line of the history tells, by the line's kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person: by a command, in a chat, in `tasks.yml` or another file of theirs.
    Person,
    /// The agent of a run.
    Agent,
    /// orch, by its own rules.
    Orch,
}

/// Kinds of lines that tell what a person did.
const PERSONS: [&str; 29] = [
    "approved",
    "batch_cancelled",
    "batch_changed",
    "batch_created",
    "cancel_asked",
    "goes_on",
    "interrupt_asked",
    "job_added",
    "job_changed",
    "job_removed",
    "merge_asked",
    "message_sent",
    "model_asked",
    "model_reset",
    "model_set",
    "pattern_recorded",
    "paused",
    "project_registered",
    "rejected",
    "resumed",
    "retry_asked",
    "revert_asked",
    "run_asked",
    "spending_recorded",
    "task_added",
    "task_edited",
    "task_removed",
    "task_returned",
    "unblock_asked",
];
/// Kinds of lines that tell what came of an agent's work.
const AGENTS: [&str; 3] = ["handed_on", "reviewed", "run_ended"];

impl Actor {
    /// Who did what a line of this kind tells.
    pub fn of(kind: &str) -> Self {
        if PERSONS.contains(&kind) {
            Self::Person
        } else if AGENTS.contains(&kind) {
            Self::Agent
        } else {
            Self::Orch
        }
    }

    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Agent => "agent",
            Self::Orch => "orch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_it_follows_from_the_kind() {
        let told = ["task_added", "paused", "approved", "run_ended", "reviewed", "task_made", "routed", "gc.removed"];
        let who: Vec<&str> = told.into_iter().map(|kind| Actor::of(kind).as_str()).collect();
        assert_eq!(who, ["person", "person", "person", "agent", "agent", "orch", "orch", "orch"]);
    }

    #[test]
    fn what_orch_asks_an_agent_by_itself_was_asked_by_no_person() {
        for (of_orch, of_a_person) in [("worker:asked", "message_sent"), ("shutdown_asked", "interrupt_asked")] {
            assert_eq!((Actor::of(of_orch), Actor::of(of_a_person)), (Actor::Orch, Actor::Person));
        }
    }
}
