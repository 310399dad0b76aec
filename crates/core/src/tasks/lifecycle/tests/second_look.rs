//! Scenarios of reviews, and of work that goes in a circle.

use super::*;
use crate::tasks::lifecycle::reviewed::MAX_FAILED_REVIEWS;
use crate::tasks::question::QuestionKind;
use crate::tasks::review::{Decision, Review};
use crate::tasks::task::Conversation;

const HEAD: &str = "c1";

/// Work that is good, and is to be looked at.
fn looked_at(scenario: &mut Life, reviewers: Reviewers) -> RunId {
    let run = scenario.run_ends(finished());
    let evidence = Evidence { head: HEAD.into(), commits: vec![HEAD.into()], ..Evidence::default() };
    scenario.event(Event::Judged { run: run.clone(), verdict: Verdict::Accept, evidence, reviewers });
    run
}

fn asked(scenario: &mut Life, run: &RunId) {
    scenario.event(Event::ReviewAsked { run: run.clone(), review: run_id(50) });
}

fn says(run: &RunId, decision: Decision, commit: &str) -> Event {
    let (agent, notes) = (Some("codex".to_owned()), "look again".to_owned());
    let commit = commit.to_owned();
    let review = Review { decision, commit, agent, model: None, notes, test_results: String::new(), issues: vec![] };
    Event::Reviewed { run: run.clone(), review }
}

fn is_integrating(scenario: &Life) -> bool {
    matches!(scenario.task.state, State::InReview { review: ReviewStage::Integrating { .. }, .. })
}

#[test]
fn an_approval_of_the_judged_commit_lets_the_work_pass() {
    let mut scenario = Life::routed();
    let run = looked_at(&mut scenario, Reviewers::Agent);
    assert!(!is_integrating(&scenario));
    asked(&mut scenario, &run);
    assert!(scenario.try_event(&says(&run, Decision::Approve, "another")).is_err(), "it is of another commit");
    scenario.event(says(&run, Decision::Approve, HEAD));
    assert!(is_integrating(&scenario));
}

#[test]
fn a_person_looks_after_the_agent_where_both_are_asked_for() {
    let mut scenario = Life::routed();
    let run = looked_at(&mut scenario, Reviewers::AgentThenPerson);
    asked(&mut scenario, &run);
    scenario.event(says(&run, Decision::Approve, HEAD));
    let (_, choices) = scenario.task.question().expect("a question");
    assert_eq!(choices[..3], ["orch task diff 1", "orch task approve 1", "orch task reject 1 -m \"…\""]);
    assert_eq!(scenario.task.question_kind(), Some(QuestionKind::Ready));
}

#[test]
fn changes_are_asked_for_in_the_authors_conversation_and_are_no_attempt() {
    let mut scenario = Life::routed();
    for round in 1..=2 {
        let run = looked_at(&mut scenario, Reviewers::Agent);
        asked(&mut scenario, &run);
        scenario.event(says(&run, Decision::RequestChanges, HEAD));
        let (next, counts, _) = scenario.next();
        assert!(matches!(next, NextRun::Again { resume: true, .. }) && !counts, "round {round}: {next:?}");
        assert_eq!(scenario.task.attempts, 1);
    }
    let run = looked_at(&mut scenario, Reviewers::Agent);
    asked(&mut scenario, &run);
    scenario.event(says(&run, Decision::RequestChanges, HEAD));
    assert!(
        scenario.task.question().is_some_and(|(question, _)| question.contains("3 times")),
        "{:?}",
        scenario.task.state
    );
}

#[test]
fn a_review_that_fails_is_begun_again_and_never_approves() {
    let mut scenario = Life::routed();
    let run = looked_at(&mut scenario, Reviewers::Agent);
    for count in 1..=MAX_FAILED_REVIEWS {
        asked(&mut scenario, &run);
        let failure = Failure::new(FailureClass::Overloaded, "no");
        scenario.event(Event::ReviewFailed { run: run.clone(), agent: "codex".into(), failure, is_last: false });
        assert!(!is_integrating(&scenario));
        assert_eq!(scenario.task.question().is_some(), count == MAX_FAILED_REVIEWS);
    }
}

#[test]
fn where_nobody_is_left_to_review_a_person_is_asked_with_all_choices() {
    let mut scenario = Life::routed();
    let run = looked_at(&mut scenario, Reviewers::Agent);
    asked(&mut scenario, &run);
    let failure = Failure::new(FailureClass::Malformed, "no decision in it");
    scenario.event(Event::ReviewFailed { run, agent: "codex".into(), failure, is_last: true });
    let (question, choices) = scenario.task.question().expect("a question");
    assert!(
        question.contains("could not be reviewed, 1 time in a row") && question.contains("no decision"),
        "{question}"
    );
    for verb in ["diff", "approve", "reject", "send"] {
        assert!(choices.iter().any(|choice| choice.starts_with(&format!("orch task {verb} 1"))), "{verb}: {choices:?}");
    }
    assert_eq!(scenario.task.unread_reviews, ["codex"]);
}

fn refused_with(scenario: &mut Life, tree: &str) {
    let run = scenario.run_ends(finished());
    let evidence = Evidence { tree: Some(tree.into()), ..Evidence::default() };
    let verdict = Verdict::Fail(Failure::new(FailureClass::ChecksFailed, "red"));
    scenario.event(Event::Judged { run, verdict, evidence, reviewers: Reviewers::Nobody });
}

#[test]
fn an_agent_that_undoes_its_own_work_is_stopped_before_its_attempts_are_used() {
    let mut scenario = Life::routed();
    refused_with(&mut scenario, "a");
    refused_with(&mut scenario, "b");
    assert!(scenario.task.question().is_none());
    let conversation = Conversation { agent: "claude".into(), session_id: "s".into(), model: None };
    scenario.task.conversation = Some(Box::new(conversation));
    scenario.task.attempts = 1;
    refused_with(&mut scenario, "a");
    assert!(scenario.task.question().is_some_and(|(question, _)| question.contains("undone its own work")));
}

#[test]
fn the_same_files_are_refused_twice_and_then_a_person_is_asked() {
    let mut scenario = Life::routed();
    refused_with(&mut scenario, "a");
    scenario.task.attempts = 0;
    refused_with(&mut scenario, "a");
    assert!(scenario.task.question().is_none());
    scenario.task.attempts = 0;
    refused_with(&mut scenario, "a");
    assert!(scenario.task.question().is_some_and(|(question, _)| question.contains("third time")));
}
