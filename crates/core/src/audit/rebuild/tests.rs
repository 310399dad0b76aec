//! Every case of who is believed, one test each.

use super::*;
use crate::tasks::outcome::{Failure, FailureClass};

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn line(status: Option<Status>) -> Option<Line> {
    let spec = Spec { title: "Fix the login".to_owned(), ..Spec::default() };
    Some(Line { spec, status, ..Line::default() })
}

fn record(state: State, runs: u32, second: i64) -> Task {
    let spec = Spec { title: "As recorded".to_owned(), ..Spec::default() };
    let file = FileState::Written { status: Some(state.status()), since: Vec::new(), results: false, seen: Seen::Yes };
    let updated_at = Timestamp::from_second(second).expect("a time");
    Task { state, runs, updated_at, ..Task::new(TaskId(7), spec, file, Timestamp::UNIX_EPOCH) }
}

fn aside(task: Task) -> Option<Aside> {
    Some(Aside { status: task.status(), route: None, attempts: task.attempts, branch: None, task: Some(task) })
}

fn trail(ordinal: u32, stage: Stage) -> Trail {
    Trail {
        id: RunId::new(TaskId(7), ordinal, ordinal),
        kind: RunKind::Work,
        agent: "claude".to_owned(),
        model: None,
        session_id: None,
        place: None,
        live: false,
        stage,
    }
}

fn ended(dollars: f64) -> Stage {
    Stage::Ended(Box::new(End {
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: now(),
        outcome: Outcome::Failed(Failure::new(FailureClass::Crashed, "x")),
        cost: Usd::from_dollars(dollars),
        usage: Usage::default(),
        session_id: Some("talk".to_owned()),
    }))
}

fn made(traces: &Traces) -> Rebuilt {
    rebuild(TaskId(7), traces, File::Reads, now())
}

fn status(traces: &Traces) -> Status {
    made(traces).task.status()
}

#[test]
fn a_row_of_a_journal_that_is_up_to_date_is_believed_whatever_others_say() {
    let row = record(State::Done, 1, 100);
    let traces = Traces { row: Some((row.clone(), true)), line: line(Some(Status::New)), ..Traces::default() };
    let Rebuilt { task, doubt, .. } = made(&traces);
    assert_eq!((task, doubt), (row, None), "also its place in the file, so that a request of the person's is heard");
}

#[test]
fn the_newer_of_row_and_sidecar_is_believed_while_nothing_contradicts_it() {
    let (row, newer) = (record(State::NEW, 0, 100), record(State::Done, 1, 200));
    let mut traces = Traces { row: Some((row, false)), aside: aside(newer), ..Traces::default() };
    assert_eq!(status(&traces), Status::Done);
    traces.line = line(Some(Status::Cancelled));
    assert_eq!(status(&traces), Status::Cancelled, "the file went further");
    traces.line = line(Some(Status::Done));
    traces.trails = vec![trail(1, ended(0.5)), trail(2, Stage::Begun)];
    let Rebuilt { task, runs, .. } = made(&traces);
    assert_eq!(task.status(), Status::InProgress, "a run began since");
    assert_eq!(runs.iter().map(|run| run.phase).collect::<Vec<_>>(), [Phase::Ended, Phase::Running]);
    assert_eq!((task.runs, task.spec.title.as_str()), (2, "As recorded"));
}

#[test]
fn without_a_record_the_file_and_the_runs_tell_what_is_known_for_sure() {
    let of = |word, trails: Vec<Trail>, branch: bool| {
        let branches = if branch { vec!["orch/7-x".to_owned()] } else { Vec::new() };
        status(&Traces { line: line(word), trails, branches, ..Traces::default() })
    };
    assert_eq!(of(None, Vec::new(), false), Status::NeedsReview, "the file may be cut there");
    for word in [Some(Status::New), Some(Status::Routed), Some(Status::Blocked)] {
        assert_eq!(of(word, Vec::new(), false), Status::New, "{word:?}");
        assert_eq!(of(word, Vec::new(), true), Status::NeedsReview, "{word:?}: its branch is there");
        assert_eq!(of(word, vec![trail(1, ended(0.5))], false), Status::NeedsReview, "{word:?}: it was worked on");
    }
    for word in [Status::InProgress, Status::InReview] {
        assert_eq!(of(Some(word), Vec::new(), false), Status::NeedsReview, "{word:?}: no run is left");
        for stage in [Stage::Prepared, Stage::Begun, ended(0.5), Stage::Unreadable("x".to_owned())] {
            assert_eq!(of(Some(word), vec![trail(1, stage)], true), Status::InProgress, "{word:?}");
        }
    }
    assert_eq!(of(Some(Status::Done), vec![trail(1, ended(0.5))], true), Status::Done);
    assert_eq!(of(Some(Status::Cancelled), Vec::new(), false), Status::Cancelled);
    assert_eq!(of(Some(Status::NeedsReview), Vec::new(), false), Status::NeedsReview);
    assert_eq!(
        of(Some(Status::Done), vec![trail(1, Stage::Begun)], true),
        Status::InProgress,
        "what lives is followed"
    );
}

#[test]
fn a_run_that_is_waited_for_is_judged_and_counted_once() {
    let traces = Traces {
        line: line(Some(Status::InReview)),
        trails: vec![trail(1, ended(0.5)), trail(2, ended(0.25))],
        ..Traces::default()
    };
    let Rebuilt { task, runs, doubt } = made(&traces);
    assert_eq!((task.cost, doubt), (Usd::from_dollars(0.5), None), "the second is counted when it is judged again");
    assert_eq!(
        runs.iter().map(|run| (run.phase, run.attempt)).collect::<Vec<_>>(),
        [(Phase::Ended, 1), (Phase::Running, 2)]
    );
    assert_eq!((task.runs, task.attempts), (2, 2));
    assert_eq!(task.conversation.map(|talk| talk.session_id).as_deref(), Some("talk"));
}

#[test]
fn what_was_not_taken_begins_again_and_what_nobody_named_asks() {
    let traces =
        Traces { line: line(Some(Status::InProgress)), trails: vec![trail(1, Stage::Prepared)], ..Traces::default() };
    assert_eq!(made(&traces).runs[0].phase, Phase::Starting);
    let traces = Traces { branches: vec!["orch/7-fix-login".to_owned()], ..Traces::default() };
    let Rebuilt { task, doubt, .. } = made(&traces);
    assert!(task.spec.title.contains("orch/7-fix-login") && task.file == FileState::Pending);
    assert_eq!(task.status(), Status::NeedsReview);
    assert!(doubt.is_some_and(|why| why.contains("no run is left")));
    let unread = rebuild(TaskId(7), &traces, File::Broken, now());
    assert_ne!(unread.task.file, FileState::Pending, "it may stand in the file already");
}

#[test]
fn a_word_in_the_file_that_nobody_knows_of_is_no_request() {
    let traces =
        Traces { aside: aside(record(State::NEW, 0, 100)), line: line(Some(Status::Done)), ..Traces::default() };
    let Rebuilt { task, .. } = made(&traces);
    assert_eq!(task.status(), Status::Done);
    assert!(matches!(task.file, FileState::Written { since, .. } if since == [Status::Done]));
}
