//! Work that an agent delegates: which delegations are refused and why, and the tasks created from them. PURE.

use super::answer::Delegation;
use super::evidence::Evidence;
use super::judge::Verdict;
use super::outcome::{Failure, FailureClass};
use super::task::{Spec, Task};
use crate::base::ids::TaskId;
use std::path::PathBuf;

/// The longest title of a subtask, in characters.
const MAX_TITLE: usize = 500;
/// The longest body of a subtask, in characters.
const MAX_BODY: usize = 100_000;
/// The most labels of a subtask, and the longest label in characters.
const MAX_LABELS: usize = 20;
const MAX_LABEL: usize = 200;
/// Characters of a title that a refusal shows.
const SHOWN_TITLE: usize = 80;
/// Refusals that are reported at once.
const MAX_REASONS: usize = 5;
/// The label key that suggests an agent without demanding it.
pub const SUGGESTED: &str = "suggested";

/// The position of a task that delegates work, with the limits that apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DelegationContext {
    /// The task and its ancestors, the nearest first.
    pub ancestry: Vec<(TaskId, String)>,
    /// The number of subtasks that its agents created before.
    pub delegated: usize,
    /// The subtasks that are done.
    pub done: Vec<TaskId>,
    /// `workflow.max_delegations`.
    pub max_delegations: u32,
    /// `workflow.max_delegation_depth`.
    pub max_depth: u32,
}

/// Applies the delegation limits to a verdict. If a delegation is refused, the agent is told and does the work itself.
/// A task that delegated all of its work needs no change of its own: its subtasks were judged.
pub fn apply_limits(verdict: Verdict, evidence: &mut Evidence, context: &DelegationContext) -> Verdict {
    match &verdict {
        Verdict::HandOn { delegations } => match refusal(delegations, context) {
            Some(why) => Verdict::Fail(Failure::new(
                FailureClass::Incomplete,
                format!(
                    "orch created no tasks from your delegations: {why}. Do the work yourself, or delegate less of it."
                ),
            )),
            None => verdict,
        },
        Verdict::Fail(failure) if failure.class == FailureClass::NoChange && !context.done.is_empty() => {
            let parts: Vec<String> = context.done.iter().map(ToString::to_string).collect();
            evidence
                .notes
                .push(format!("no change of its own: the work was done by its subtasks {}", parts.join(", ")));
            Verdict::Accept
        }
        Verdict::Fail(_) | Verdict::Accept | Verdict::Ask { .. } => verdict,
    }
}

/// Returns why the delegations are refused; `None` if all are accepted. They are accepted all or none.
pub fn refusal(delegations: &[Delegation], context: &DelegationContext) -> Option<String> {
    let (depth, most) = (context.ancestry.len(), context.max_depth as usize);
    if depth > most {
        return Some(match most {
            0 => "delegating work is disabled (workflow.max_delegation_depth: 0)".to_owned(),
            _ => format!(
                "this task is itself a subtask {} levels deep, and at most {most} is allowed \
                          (workflow.max_delegation_depth)",
                depth - 1
            ),
        });
    }
    let remaining = (context.max_delegations as usize).saturating_sub(context.delegated);
    if delegations.len() > remaining {
        let before = match context.delegated {
            0 => String::new(),
            made => format!(", {made} of them created before"),
        };
        return Some(format!(
            "{} subtasks are too many: at most {} for one task{before} (workflow.max_delegations)",
            delegations.len(),
            context.max_delegations
        ));
    }
    let wrong: Vec<String> =
        delegations.iter().enumerate().filter_map(|(at, one)| problem(delegations, at, one, context)).collect();
    (!wrong.is_empty()).then(|| {
        let more = wrong.len().saturating_sub(MAX_REASONS);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("{}{more}", wrong[..wrong.len().min(MAX_REASONS)].join("; "))
    })
}

fn problem(all: &[Delegation], at: usize, one: &Delegation, context: &DelegationContext) -> Option<String> {
    let number = at + 1;
    let title = single_line(&one.title);
    if title.is_empty() {
        return Some(format!("subtask {number} has no title"));
    }
    let shown: String = title.chars().take(SHOWN_TITLE).collect();
    if title.chars().count() > MAX_TITLE {
        return Some(format!("the title of subtask {number} is longer than {MAX_TITLE} characters"));
    }
    if one.body.chars().count() > MAX_BODY {
        return Some(format!("the body of subtask {number} ({shown}) is longer than {MAX_BODY} characters"));
    }
    if one.labels.len() > MAX_LABELS || one.labels.iter().any(|label| label.chars().count() > MAX_LABEL) {
        return Some(format!(
            "subtask {number} ({shown}) has more than {MAX_LABELS} labels, or a longer one than {MAX_LABEL} characters"
        ));
    }
    let same = |other: &str| single_line(other).to_lowercase() == title.to_lowercase();
    if let Some((id, _)) = context.ancestry.iter().find(|(_, other)| same(other)) {
        let whose = if context.ancestry.first().is_some_and(|(own, _)| own == id) {
            "itself"
        } else {
            "of which it is a subtask"
        };
        return Some(format!("subtask {number} ({shown}) is task {id} {whose}: that would be a cycle"));
    }
    let before = all[..at].iter().position(|other| same(&other.title));
    before.map(|before| format!("subtask {number} ({shown}) repeats subtask {}", before + 1))
}

/// Normalizes a text to one line with single spaces.
fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Creates the spec of a subtask of `parent`, whose repository is at `dir`.
pub fn spec_of(delegation: &Delegation, parent: &Task, dir: Option<PathBuf>) -> Spec {
    let mut labels: Vec<String> = delegation.labels.iter().map(|label| single_line(label)).collect();
    let agent = single_line(&delegation.suggested_agent);
    if !agent.is_empty() {
        let agent: String = agent.chars().take(MAX_LABEL).collect();
        labels.push(format!("{SUGGESTED}:{agent}"));
    }
    labels.retain(|label| !label.is_empty());
    Spec {
        title: single_line(&delegation.title),
        body: delegation.body.trim().to_owned(),
        labels,
        priority: parent.spec.priority,
        parent: Some(parent.id),
        dir,
        ..Spec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::FileState;
    use proptest::prelude::*;

    fn piece(title: &str) -> Delegation {
        Delegation { title: title.to_owned(), ..Delegation::default() }
    }

    fn context(line: &[(u64, &str)], handed_on: usize) -> DelegationContext {
        let line = line.iter().map(|(id, title)| (TaskId(*id), (*title).to_owned())).collect();
        DelegationContext { ancestry: line, delegated: handed_on, done: Vec::new(), max_delegations: 3, max_depth: 2 }
    }

    fn refusal_of(titles: &[&str], context: &DelegationContext) -> String {
        let pieces: Vec<Delegation> = titles.iter().map(|title| piece(title)).collect();
        refusal(&pieces, context).unwrap_or_default()
    }

    #[test]
    fn as_many_as_are_allowed_and_as_deep_as_is_allowed() {
        let own = context(&[(1, "Whole")], 0);
        assert_eq!(refusal_of(&["A", "B", "C"], &own), "");
        assert!(refusal_of(&["A", "B", "C", "D"], &own).starts_with("4 subtasks are too many: at most 3"));
        let later = context(&[(1, "Whole")], 2);
        assert!(refusal_of(&["A", "B"], &later).contains("2 of them created before"));
        assert_eq!(refusal_of(&["C"], &later), "");
        assert_eq!(refusal_of(&["A"], &context(&[(2, "Part"), (1, "Whole")], 0)), "");
        assert!(
            refusal_of(&["A"], &context(&[(3, "Deep"), (2, "Part"), (1, "Whole")], 0))
                .contains("a subtask 2 levels deep")
        );
        let off = DelegationContext { max_depth: 0, ..own };
        assert!(refusal_of(&["A"], &off).contains("disabled"));
    }

    #[test]
    fn a_part_does_not_hand_its_own_work_back_to_whoever_handed_it_on() {
        let part = context(&[(2, "Write the  tests"), (1, "Build it")], 0);
        assert!(refusal_of(&["build IT"], &part).contains("is task 1 of which it is a subtask: that would be a cycle"));
        assert!(refusal_of(&["write the tests"], &part).contains("is task 2 itself"));
        assert!(refusal_of(&["A", "a "], &part).contains("subtask 2 (a) repeats subtask 1"));
    }

    #[test]
    fn what_has_no_title_or_is_too_long_is_refused_with_its_number() {
        let own = context(&[(1, "Whole")], 0);
        assert_eq!(refusal_of(&["A", " \n "], &own), "subtask 2 has no title");
        assert!(refusal_of(&[&"x".repeat(501)], &own).contains("longer than 500"));
        let labels = Delegation { labels: vec!["l".into(); 21], ..piece("A") };
        assert!(refusal(&[labels], &own).is_some_and(|why| why.contains("20 labels")));
    }

    #[test]
    fn a_refusal_goes_back_to_the_agent_and_what_is_good_stays() {
        let own = context(&[(1, "Whole")], 0);
        let hands_on =
            |count: usize| Verdict::HandOn { delegations: (0..count).map(|n| piece(&n.to_string())).collect() };
        let weighed = |verdict| apply_limits(verdict, &mut Evidence::default(), &own);
        assert_eq!(weighed(hands_on(3)), hands_on(3));
        assert_eq!(weighed(Verdict::Accept), Verdict::Accept);
        let Verdict::Fail(failure) = weighed(hands_on(500)) else { panic!("500 are too many") };
        assert_eq!(failure.class, FailureClass::Incomplete);
        assert!(failure.detail.contains("500 subtasks"), "{}", failure.detail);
    }

    #[test]
    fn whoever_has_handed_all_of_it_on_need_not_change_anything_itself() {
        let none = || Verdict::Fail(Failure::new(FailureClass::NoChange, "no file differs"));
        let alone = context(&[(1, "Whole")], 2);
        assert_eq!(apply_limits(none(), &mut Evidence::default(), &alone), none(), "nothing of it is done");
        let with_parts = DelegationContext { done: vec![TaskId(2), TaskId(3)], ..alone };
        let mut evidence = Evidence::default();
        assert_eq!(apply_limits(none(), &mut evidence, &with_parts), Verdict::Accept);
        assert_eq!(evidence.notes, ["no change of its own: the work was done by its subtasks 2, 3"]);
        let red = Verdict::Fail(Failure::new(FailureClass::ChecksFailed, "red"));
        assert_eq!(apply_limits(red.clone(), &mut Evidence::default(), &with_parts), red);
    }

    #[test]
    fn a_part_belongs_where_the_whole_belongs() {
        let spec = Spec { title: "Whole".into(), priority: 5, ..Spec::default() };
        let whole = Task::new(TaskId(4), spec, FileState::Pending, jiff::Timestamp::UNIX_EPOCH);
        let one = Delegation {
            title: "Two\nlines".into(),
            body: " text\n".into(),
            labels: vec![" docs ".into(), String::new()],
            suggested_agent: "codex".into(),
        };
        let part = spec_of(&one, &whole, Some("/repo".into()));
        assert_eq!((part.title.as_str(), part.body.as_str(), part.priority), ("Two lines", "text", 5));
        assert_eq!(part.labels, ["docs", "suggested:codex"]);
        assert_eq!((part.parent, part.dir, part.agent), (Some(TaskId(4)), Some("/repo".into()), None));
    }

    proptest! {
        #[test]
        fn whatever_is_handed_on_has_a_title_and_is_within_the_limits(
            titles in prop::collection::vec("[a-c \\n]{0,3}", 0..8), depth in 1usize..5, handed_on in 0usize..5,
        ) {
            let line: Vec<(u64, &str)> = (0..depth as u64).map(|id| (id + 1, "abc")).collect();
            let context = context(&line, handed_on);
            let pieces: Vec<Delegation> = titles.iter().map(|title| piece(title)).collect();
            if !pieces.is_empty() && refusal(&pieces, &context).is_none() {
                prop_assert!(pieces.len() + handed_on <= 3 && depth <= 2);
                prop_assert!(titles.iter().all(|title| !title.trim().is_empty()));
            }
        }
    }
}
