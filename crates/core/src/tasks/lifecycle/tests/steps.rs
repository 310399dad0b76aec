//! Steps of orch itself that fail for minutes: a person is asked, and the same step is what comes next, never a run.

use super::*;
use crate::base::external::How;
use crate::tasks::task::{Order, OrderKind};

fn gone() -> ExternalFailure {
    ExternalFailure::new(How::NotStarted, "git is not installed, or not in PATH")
}

/// What a person is offered, and where the task stands after `orch task unblock`.
fn unblocked(scenario: &mut Life) -> State {
    let State::NeedsReview { question, choices, .. } = scenario.task.state.clone() else {
        panic!("{:?}", scenario.task.state)
    };
    assert!(question.contains("git is not installed"), "{question}");
    assert_eq!(choices, ["orch task unblock 1", "orch task cancel 1"], "no run of an agent is offered");
    scenario.event(Event::UnblockAsked);
    assert_eq!(scenario.task.resume_at, None);
    scenario.task.state.clone()
}

#[test]
fn a_result_that_could_not_be_judged_is_judged_when_a_person_says_so() {
    let mut scenario = Life::routed();
    let run = scenario.run_ends(finished());
    let before = (scenario.task.attempts, scenario.task.conversation.clone());
    scenario.event(Event::NotJudged { run: run.clone(), failure: gone() });
    assert_eq!(unblocked(&mut scenario), State::InReview { run, review: ReviewStage::Judging });
    assert_eq!(
        (scenario.task.attempts, scenario.task.conversation.clone()),
        before,
        "nothing of the work is forgotten"
    );
}

#[test]
fn a_result_that_could_not_be_integrated_is_integrated_as_it_was_ordered() {
    for order in [None, Some(OrderKind::Merge)] {
        let mut scenario = Life::routed();
        let run = scenario.judged(Verdict::Accept);
        let order = order.map(|kind| Box::new(Order { kind, commit: "c".into(), at: now() }));
        let review = ReviewStage::Integrating { waiting: None, order };
        scenario.task.state = State::InReview { run: run.clone(), review: review.clone() };
        scenario.event(Event::NotIntegrated { run: run.clone(), problem: IntegrationProblem::External(gone()) });
        assert_eq!(unblocked(&mut scenario), State::InReview { run, review });
    }
}

#[test]
fn a_start_that_failed_for_minutes_begins_as_the_same_attempt() {
    let mut scenario = Life::routed();
    scenario.judged(Verdict::Fail(Failure::new(FailureClass::ChecksFailed, "red")));
    let run = scenario.launch();
    assert_eq!(scenario.task.attempts, 2);
    scenario.event(Event::LaunchFailed { run, problem: LaunchProblem::External(gone()) });
    let state = unblocked(&mut scenario);
    assert!(matches!(&state, State::Routed { next: NextRun::Again { .. }, .. }), "it hears what was wrong: {state:?}");
    scenario.launch();
    assert_eq!(scenario.task.attempts, 2);
}

#[test]
fn what_was_to_be_tried_again_is_forgotten_when_a_person_decides_otherwise() {
    let mut scenario = Life::routed();
    let run = scenario.run_ends(finished());
    scenario.event(Event::NotJudged { run, failure: gone() });
    scenario.event(Event::RetryAsked);
    assert_eq!(scenario.task.resume_at, None);
    scenario.event(Event::RouteChosen { route: route("claude", Complexity::Simple), failed: false });
    scenario.judged(Verdict::Ask { question: "which?".into(), kind: QuestionKind::Question });
    scenario.event(Event::UnblockAsked);
    assert!(!matches!(scenario.task.state, State::InReview { .. }), "{:?}", scenario.task.state);
}

#[test]
fn work_that_the_setup_kept_from_being_judged_is_judged_by_what_is_set_up_then() {
    let mut scenario = Life::routed();
    let place = Workplace { terms: Some(Box::default()), ..Workplace::default() };
    scenario.task.place = Some(Box::new(place));
    let run = scenario.judged(Verdict::Ask { question: "it is red\nout".into(), kind: QuestionKind::Setup });
    let State::NeedsReview { kind, question, choices } = scenario.task.state.clone() else {
        panic!("{:?}", scenario.task.state)
    };
    assert_eq!((kind, choices[0].as_str()), (QuestionKind::Setup, "orch task unblock 1"));
    assert!(question.starts_with("it is red; then `orch task unblock 1` judges") && question.ends_with("\nout"));
    let attempts = scenario.task.attempts;
    scenario.event(Event::UnblockAsked);
    assert_eq!(scenario.task.state, State::InReview { run, review: ReviewStage::Judging });
    assert_eq!((scenario.task.attempts, scenario.task.place.and_then(|place| place.terms)), (attempts, None));
}
