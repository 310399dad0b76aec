//! Why a task needs a person, and the commands that answer the question. Pure.

use super::review_decision::short;
use crate::base::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of help a task needs from a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// A judged commit exists, and the person decides about it.
    Ready,
    /// The agent or orch asks something; the answer comes first.
    #[default]
    Question,
    /// The work failed, and orch does not try again by itself.
    Failed,
    /// Something outside the task must be set up or changed first; then the task continues.
    Setup,
}

impl QuestionKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Question, Self::Failed, Self::Setup];

    /// Returns a short label for lists and headings.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready for you",
            Self::Question => "question",
            Self::Failed => "failed",
            Self::Setup => "your setup",
        }
    }

    /// Returns the question with its label; a plain question has none.
    pub fn labelled(self, question: &str) -> String {
        match self {
            Self::Question => question.to_owned(),
            Self::Ready | Self::Failed | Self::Setup => format!("{}: {question}", self.label()),
        }
    }

    /// Returns the first line of the labelled question.
    pub fn in_a_line(self, question: &str) -> String {
        self.labelled(question.lines().next().unwrap_or_default())
    }
}

/// Returns the commands that answer a question of this kind, the most useful first. Where there is judged work,
/// commands that inspect it and decide about it come before those that restart the task.
pub fn choices(id: TaskId, kind: QuestionKind, has_work: bool) -> Vec<String> {
    let commands = |verbs: &[&str]| verbs.iter().map(|verb| format!("orch task {verb} {id}")).collect::<Vec<_>>();
    let reject = format!("orch task reject {id} -m \"…\"");
    let send = format!("orch task send {id} \"…\"");
    let decide = |first: &[&str]| if has_work { [commands(first), vec![reject.clone()]].concat() } else { Vec::new() };
    match kind {
        QuestionKind::Ready => [decide(&["diff", "approve"]), vec![send], commands(&["retry", "cancel"])].concat(),
        QuestionKind::Question => {
            [vec![send], decide(&["diff", "approve"]), commands(&["unblock", "retry", "cancel"])].concat()
        }
        QuestionKind::Failed if has_work => {
            [decide(&["diff"]), commands(&["approve"]), vec![send], commands(&["unblock", "retry", "cancel"])].concat()
        }
        QuestionKind::Failed => commands(&["retry", "unblock", "cancel"]),
        QuestionKind::Setup => [decide(&["diff", "approve"]), commands(&["unblock", "retry", "cancel"])].concat(),
    }
}

/// Adds the judged commit to a choice that decides about it, for messages that may be read after the branch has moved.
pub fn with_commit(choice: &str, judged: Option<&str>) -> String {
    let names = ["orch task approve ", "orch task merge "].iter().any(|verb| choice.starts_with(verb));
    match judged.filter(|_| names) {
        Some(judged) => format!("{choice} --commit {}", short(judged)),
        None => choice.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TaskId = TaskId(7);

    #[test]
    fn to_begin_again_is_never_the_first_or_only_choice_where_judged_work_is_there() {
        for kind in QuestionKind::ALL {
            let offered = choices(ID, kind, true);
            let at = |verb: &str| offered.iter().position(|choice| choice.starts_with(&format!("orch task {verb} 7")));
            for decides in ["diff", "approve", "reject"] {
                assert!(at(decides).is_some() && at(decides) < at("retry"), "{kind:?}: {decides} in {offered:?}");
                assert!(at(decides) < at("unblock").or(Some(usize::MAX)), "{kind:?}: {decides} in {offered:?}");
            }
        }
    }

    #[test]
    fn the_first_choice_fits_the_kind() {
        let first = |has_work, kind| choices(ID, kind, has_work)[0].clone();
        assert_eq!(first(true, QuestionKind::Ready), "orch task diff 7");
        assert_eq!(first(true, QuestionKind::Question), "orch task send 7 \"…\"");
        assert_eq!(first(false, QuestionKind::Failed), "orch task retry 7");
        assert_eq!(first(false, QuestionKind::Setup), "orch task unblock 7");
        let nothing = choices(ID, QuestionKind::Failed, false);
        assert!(nothing.iter().all(|choice| !choice.contains("approve")), "{nothing:?}");
    }
}
