//! A task that hands work on, waits for it, and goes on with it.

use super::*;

const PARTS: [TaskId; 2] = [TaskId(5), TaskId(6)];

/// A task whose first run has handed two parts on.
fn handed_on() -> Life {
    let mut life = Life::routed();
    let run = life.run_ends(finished());
    life.event(Event::HandedOn { run, evidence: Evidence::default(), made: PARTS.into(), awaited: PARTS.into() });
    life
}

fn waits_for(life: &Life) -> &[TaskId] {
    let State::Blocked(BlockedOn::Children { tasks }) = &life.task.state else { panic!("{:?}", life.task.state) };
    tasks
}

fn lost(part: TaskId, is_given_up: bool) -> Event {
    Event::PartFailed { part, why: "red".into(), is_given_up }
}

#[test]
fn a_task_that_hands_work_on_waits_for_it_and_goes_on_with_the_same_attempt_in_its_conversation() {
    let mut life = handed_on();
    assert_eq!(waits_for(&life), PARTS);
    life.event(Event::Blocked(BlockedOn::Children { tasks: vec![TaskId(6)] }));
    life.event(Event::Unblocked);
    assert_eq!(life.next(), (&NextRun::Parts, false, None));
    assert_eq!((life.task.awaited(), life.task.attempts), (PARTS.as_slice(), 1));
    assert!(life.task.conversation.is_some());
    life.run_ends(finished());
    assert_eq!((life.task.awaited(), life.task.delegated(), life.task.attempts), ([].as_slice(), PARTS.as_slice(), 1));
}

#[test]
fn the_end_of_a_run_that_is_told_twice_hands_nothing_on_twice() {
    let mut life = handed_on();
    let again =
        Event::HandedOn { run: run_id(1), evidence: Evidence::default(), made: vec![TaskId(9)], awaited: vec![] };
    assert!(matches!(life.try_event(&again), Err(Refused::Stale { .. })));
    assert_eq!(life.task.delegated(), PARTS);
}

#[test]
fn what_the_next_run_did_not_hear_of_its_parts_is_told_to_the_one_after_it() {
    let mut life = handed_on();
    life.event(Event::Unblocked);
    life.run_ends(failed(FailureClass::Crashed));
    assert_eq!(life.task.awaited(), PARTS);
}

#[test]
fn a_part_that_failed_asks_and_says_what_can_be_done() {
    let mut life = handed_on();
    life.event(lost(PARTS[0], false));
    let (question, choices) = life.task.question().expect("a question");
    assert_eq!(question, "its subtask 5 failed: red");
    assert_eq!(choices, ["orch task retry 5", "orch task cancel 5 && orch task unblock 1", "orch task cancel 1"]);
    life.event(Event::Blocked(BlockedOn::Children { tasks: PARTS.into() }));
    assert_eq!(waits_for(&life), PARTS, "somebody has taken the part up");
}

#[test]
fn a_person_may_have_it_go_on_without_a_part_that_was_given_up() {
    let mut life = handed_on();
    life.event(lost(PARTS[1], true));
    let (_, choices) = life.task.question().expect("a question");
    assert_eq!(choices[1], "orch task unblock 1");
    life.event(Event::UnblockAsked);
    assert_eq!(life.next(), (&NextRun::Parts, true, None));
    assert_eq!(life.task.awaited(), PARTS, "it is told what became of them");
}

#[test]
fn a_question_of_its_own_does_not_end_because_others_are_open() {
    let mut life = Life::routed();
    life.judged(Verdict::Ask { question: "which?".into(), kind: QuestionKind::Question });
    let on = BlockedOn::Children { tasks: PARTS.into() };
    assert!(life.try_event(&Event::Blocked(on)).is_err());
    let mut blocked = Life::routed();
    blocked.event(Event::Blocked(BlockedOn::Dependencies { tasks: PARTS.into() }));
    assert!(blocked.try_event(&lost(PARTS[0], false)).is_err());
}

#[test]
fn parts_of_a_persons_are_waited_for_before_the_first_run() {
    let mut life = Life::new();
    life.event(Event::Blocked(BlockedOn::Children { tasks: PARTS.into() }));
    life.event(Event::Unblocked);
    assert_eq!((life.task.status(), life.task.awaited()), (Status::New, PARTS.as_slice()));
    let mut routed = Life::routed();
    routed.event(Event::Blocked(BlockedOn::Children { tasks: PARTS.into() }));
    routed.event(Event::Unblocked);
    assert_eq!(routed.next(), (&NextRun::Parts, true, None));
}
