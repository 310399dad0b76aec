//! Scenarios of branches that conflict with their base again and again.

use super::*;
use crate::tasks::conflict::Conflict;
use crate::tasks::outcome::ConflictRound;

/// A conflict with the base at this commit; the last one was resolved or not.
fn conflict_with(base: &str, resolved_last: bool) -> IntegrationProblem {
    let round = Some(Box::new(ConflictRound { base: base.to_owned(), resolved_last }));
    IntegrationProblem::Work(Failure { round, ..Failure::new(FailureClass::Conflict, "a.txt") })
}

#[test]
fn conflicts_go_back_to_the_author_while_the_base_moves_and_rounds_resolve_them() {
    let mut scenario = Life::routed();
    for round in 0..20 {
        let run = scenario.judged(Verdict::Accept);
        scenario.event(Event::NotIntegrated { run, problem: conflict_with(&format!("base {round}"), round > 0) });
        assert!(matches!(scenario.next(), (NextRun::Again { .. }, false, None)), "round {round}");
    }
    // The base stays where it was: another round would bring nothing.
    let run = scenario.judged(Verdict::Accept);
    scenario.event(Event::NotIntegrated { run, problem: conflict_with("base 19", false) });
    assert_eq!(scenario.task.status(), Status::NeedsReview);
}

#[test]
fn rounds_that_resolve_nothing_end_with_a_person_however_far_the_base_moves() {
    let mut scenario = Life::routed();
    let mut rounds = 0;
    while scenario.task.status() == Status::Routed {
        let run = scenario.judged(Verdict::Accept);
        scenario.event(Event::NotIntegrated { run, problem: conflict_with(&format!("base {rounds}"), false) });
        rounds += 1;
    }
    assert_eq!(rounds, 3);
    let (question, _) = scenario.task.question().expect("a question");
    assert!(question.contains("after 2 rounds without progress: a.txt"), "{question}");
}

#[test]
fn an_order_that_cannot_be_carried_out_starts_no_agent() {
    let at_odds = || Conflict { files: vec!["a.txt".into(), "b.txt".into()], sides: "<<<<<<< HEAD".into() };
    let conflict = || Failure::of_conflict(at_odds());
    let mut scenario = asking();
    scenario.event(ruled(ReviewDecision::Merge { commit: "abc".into() }));
    scenario.event(Event::NotIntegrated { run: run_id(1), problem: IntegrationProblem::Work(conflict()) });
    let (question, choices) = scenario.task.question().expect("it asks");
    assert!(question.contains("conflicts in a.txt, b.txt") && !question.contains("<<<<"), "{question}");
    assert!(choices[0].starts_with("orch task reject 1"), "{choices:?}");
    // Its author hears of both sides, and of what the person says.
    scenario.event(ruled(ReviewDecision::Reject { reason: "keep both".into() }));
    let NextRun::Again { feedback, .. } = scenario.next().0 else { panic!("it goes on") };
    assert_eq!(feedback.class, FailureClass::Conflict);
    let text = feedback.conflict.as_deref().expect("what is at odds");
    assert_eq!(text.files, ["a.txt", "b.txt"]);
    assert!(text.sides.starts_with("The person says: keep both\n\n<<<<"), "{}", text.sides);
}
