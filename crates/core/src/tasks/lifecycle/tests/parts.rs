//! A task that hands work on, waits for it, and goes on with it.

use super::*;

const PARTS: [TaskId; 2] = [TaskId(5), TaskId(6)];

/// A task whose first run has handed two parts on.
fn handed_on() -> Life {
    let mut scenario = Life::routed();
    let run = scenario.run_ends(finished());
    scenario.event(Event::HandedOn { run, evidence: Evidence::default(), made: PARTS.into(), awaited: PARTS.into() });
    scenario
}

fn waits_for(scenario: &Life) -> &[TaskId] {
    let State::Blocked(BlockedOn::Children { tasks }) = &scenario.task.state else {
        panic!("{:?}", scenario.task.state)
    };
    tasks
}

fn lost(part: TaskId, is_given_up: bool) -> Event {
    Event::PartFailed { part, why: "red".into(), is_given_up }
}

#[test]
fn a_task_that_hands_work_on_waits_for_it_and_goes_on_with_the_same_attempt_in_its_conversation() {
    let mut scenario = handed_on();
    assert_eq!(waits_for(&scenario), PARTS);
    scenario.event(Event::Blocked(BlockedOn::Children { tasks: vec![TaskId(6)] }));
    scenario.event(Event::Unblocked);
    assert_eq!(scenario.next(), (&NextRun::Parts, false, None));
    assert_eq!((scenario.task.awaited(), scenario.task.attempts), (PARTS.as_slice(), 1));
    assert!(scenario.task.conversation.is_some());
    scenario.run_ends(finished());
    assert_eq!(
        (scenario.task.awaited(), scenario.task.delegated(), scenario.task.attempts),
        ([].as_slice(), PARTS.as_slice(), 1)
    );
}

#[test]
fn the_end_of_a_run_that_is_told_twice_hands_nothing_on_twice() {
    let mut scenario = handed_on();
    let again =
        Event::HandedOn { run: run_id(1), evidence: Evidence::default(), made: vec![TaskId(9)], awaited: vec![] };
    assert!(matches!(scenario.try_event(&again), Err(Refused::Stale { .. })));
    assert_eq!(scenario.task.delegated(), PARTS);
}

#[test]
fn what_the_next_run_did_not_hear_of_its_parts_is_told_to_the_one_after_it() {
    let mut scenario = handed_on();
    scenario.event(Event::Unblocked);
    scenario.run_ends(failed(FailureClass::Crashed));
    assert_eq!(scenario.task.awaited(), PARTS);
}

#[test]
fn a_part_that_failed_asks_and_says_what_can_be_done() {
    let mut scenario = handed_on();
    scenario.event(lost(PARTS[0], false));
    let (question, choices) = scenario.task.question().expect("a question");
    assert_eq!(question, "its subtask 5 failed: red");
    assert_eq!(choices, ["orch task retry 5", "orch task cancel 5 && orch task unblock 1", "orch task cancel 1"]);
    scenario.event(Event::Blocked(BlockedOn::Children { tasks: PARTS.into() }));
    assert_eq!(waits_for(&scenario), PARTS, "somebody has taken the part up");
}

#[test]
fn a_person_may_have_it_go_on_without_a_part_that_was_given_up() {
    let mut scenario = handed_on();
    scenario.event(lost(PARTS[1], true));
    let (_, choices) = scenario.task.question().expect("a question");
    assert_eq!(choices[1], "orch task unblock 1");
    scenario.event(Event::UnblockAsked);
    assert_eq!(scenario.next(), (&NextRun::Parts, true, None));
    assert_eq!(scenario.task.awaited(), PARTS, "it is told what became of them");
}

#[test]
fn a_question_of_its_own_does_not_end_because_others_are_open() {
    let mut scenario = Life::routed();
    scenario.judged(Verdict::Ask { question: "which?".into(), kind: QuestionKind::Question });
    let on = BlockedOn::Children { tasks: PARTS.into() };
    assert!(scenario.try_event(&Event::Blocked(on)).is_err());
    let mut blocked = Life::routed();
    blocked.event(Event::Blocked(BlockedOn::Dependencies { tasks: PARTS.into() }));
    assert!(blocked.try_event(&lost(PARTS[0], false)).is_err());
}

#[test]
fn parts_of_a_persons_are_waited_for_before_the_first_run() {
    let mut scenario = Life::new();
    scenario.event(Event::Blocked(BlockedOn::Children { tasks: PARTS.into() }));
    scenario.event(Event::Unblocked);
    assert_eq!((scenario.task.status(), scenario.task.awaited()), (Status::New, PARTS.as_slice()));
    let mut routed = Life::routed();
    routed.event(Event::Blocked(BlockedOn::Children { tasks: PARTS.into() }));
    routed.event(Event::Unblocked);
    assert_eq!(routed.next(), (&NextRun::Parts, true, None));
}
