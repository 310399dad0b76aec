//! Tests of the screen of `orch dashboard`.

use super::*;
use crate::cli::fixture::now;
use crate::cli::ui::paint::Paint;
use jiff::{SignedDuration, Timestamp};
use orch_api::batches::BatchRow;
use orch_api::jobs::UpcomingView;
use orch_api::status::{EngineMode, EngineState, Overview, SlotsView, SpendView, StatusView};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Spend;
use orch_core::operations::job::JobId;
use orch_core::planning::batch::BatchState;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::question::QuestionKind;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn ago(minutes: i64) -> Timestamp {
    now().at - SignedDuration::from_mins(minutes)
}

fn dollars(amount: f64) -> Option<Usd> {
    Usd::from_dollars(amount)
}

fn status() -> StatusView {
    let counts = [("new", 1), ("routed", 9), ("in_progress", 2), ("needs_review", 1), ("done", 3)];
    StatusView {
        version: "1.2.3".into(),
        pid: 42,
        mode: EngineMode::Serve,
        overrides: BTreeMap::new(),
        http: None,
        counts: counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
        idle: false,
        problems: vec![],
        slots: SlotsView { busy: 2, total: 4, because: None },
        breakers: vec![],
        state: EngineState::Serving,
        shutting_down: None,
        paused: vec![],
        set_models: Vec::new(),
        left_alone: Vec::new(),
        seq: 0,
    }
}

fn batch() -> BatchView {
    BatchView {
        name: "night".parse().expect("a name"),
        state: BatchState::Open,
        tasks: vec![TaskId(7), TaskId(8)],
        counts: [("in_progress".to_owned(), 1), ("routed".to_owned(), 1)].into(),
        busy: 1,
        concurrency: 1,
        budget_usd: dollars(10.0),
        spent_usd: Usd::from_micros(410_000),
        created_at: ago(90),
        cancelled_at: None,
        ended_at: None,
        rows: None,
    }
}

fn running(id: u64, title: &str, last_line: &str) -> RunningView {
    RunningView {
        task_id: TaskId(id),
        title: title.to_owned(),
        run_id: RunId::new(TaskId(id), 1, 0),
        kind: RunKind::Work,
        attempt: 1,
        agent: "claude".to_owned(),
        model: Some("sonnet".to_owned()),
        cost_usd: dollars(0.41),
        since: ago(12),
        last_line: Some(last_line.to_owned()),
        health: None,
    }
}

fn held(reason: HoldReason, ids: std::ops::Range<u64>, detail: &str) -> HeldView {
    let tasks: Vec<TaskId> = ids.map(TaskId).collect();
    HeldView { reason, count: tasks.len() as u64, tasks, detail: detail.to_owned(), until: None }
}

fn ended(id: u64, status: Status, title: &str) -> EndedView {
    EndedView {
        task_id: TaskId(id),
        title: title.to_owned(),
        status,
        run_id: RunId::new(TaskId(id), 1, 0),
        agent: "codex".to_owned(),
        model: None,
        ended_at: ago(i64::try_from(id).expect("small") * 3),
        cost_usd: dollars(1.2),
    }
}

fn full() -> DashboardView {
    let spend = Spend { known: Usd::from_micros(1_230_000), runs: 5, unpriced: 2 };
    let overview = Overview {
        status: status(),
        running: vec![
            running(7, "Fix the parser", "▸ Bash: cargo test"),
            running(2, "日本語のタイトル \u{1b}[2J and more", "thinking"),
        ],
        needs_you: vec![QuestionView {
            id: TaskId(3),
            title: "Choose a database".to_owned(),
            kind: QuestionKind::Question,
            question: "which database?\nSQLite or another".to_owned(),
            choices: vec!["orch task unblock 3".to_owned()],
        }],
        queued: vec![],
        today: SpendView::new(spend, now().at),
        batches: vec![batch()],
    };
    let project = |name: &str, count| ProjectView {
        name: Some(name.to_owned()),
        dir: None,
        counts: [("routed".to_owned(), count), ("new".to_owned(), 1)].into(),
    };
    DashboardView {
        overview,
        projects: vec![project("shop", 5), project("site", 2)],
        held: vec![
            held(HoldReason::Slots, 20..28, "2 of 2 slots are busy (tasks 2 7)"),
            held(HoldReason::BatchSlots, 8..9, "1 of 1 slot of batch night is busy (task 7)"),
        ],
        ended: vec![ended(1, Status::Done, "Add a health endpoint"), ended(4, Status::Cancelled, "Redo the docs")],
        upcoming: vec![UpcomingView {
            job: JobId::of_title("Triage"),
            due: now().at + SignedDuration::from_mins(90),
            at: now().at + SignedDuration::from_mins(90),
            local: String::new(),
            what: "Triage of 2026-03-01".to_owned(),
        }],
        batch: None,
    }
}

fn shown(view: &DashboardView, columns: usize, rows: Option<usize>) -> String {
    render(&Page { now: now(), columns, rows, paint: Paint::OFF }, view, false)
}

#[test]
fn a_dashboard_reads_like_this_and_a_small_home_fits_a_small_terminal() {
    let text = shown(&full(), 80, Some(40));
    assert_eq!(text, include_str!("../../../../tests/fixtures/cli/dashboard.txt"), "it is now:\n{text}");
    let small = DashboardView { projects: Vec::new(), upcoming: Vec::new(), ended: Vec::new(), ..full() };
    let text = shown(&small, 80, None);
    assert!(text.lines().count() <= 23, "{text}");
}

#[test]
fn a_screen_that_is_too_small_keeps_something_of_everything_that_is_urgent() {
    let text = shown(&full(), 80, Some(23));
    assert!(text.lines().count() <= 23, "{text}");
    for part in ["running", "needs you", "orch task unblock 3", "waiting"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn a_batch_that_was_asked_for_is_shown_with_its_tasks() {
    let row = |id, status| BatchRow { id: TaskId(id), title: format!("Task {id}"), status, spent_usd: None, why: None };
    let rows = Some(vec![row(8, Status::Routed), row(7, Status::InProgress)]);
    let text = shown(&DashboardView { batch: Some(BatchView { rows, ..batch() }), ..full() }, 80, None);
    assert!(text.contains("the batch, in its order\nid  status "), "{text}");
    let over = BatchView { state: BatchState::Completed, ended_at: Some(now().at), ..batch() };
    let text = shown(&DashboardView { batch: Some(over), ..full() }, 80, None);
    assert!(text.contains("batch night has ended: 2 tasks"), "{text}");
}

#[test]
fn many_batches_and_projects_leave_room_for_the_lists() {
    let mut many = full();
    many.overview.batches = (0..40).map(|_| batch()).collect();
    many.projects = (0..40).map(|_| many.projects[0].clone()).collect();
    let text = shown(&many, 80, None);
    assert!(
        text.contains("… and 34 more (orch batch list)") && text.contains("… and 34 more (orch project list)"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn nothing_is_wider_or_higher_than_the_screen(columns in 60usize..140, rows in 1usize..60) {
        let text = shown(&full(), columns, Some(rows));
        prop_assert!(text.lines().count() <= rows);
        prop_assert!(text.lines().all(|line| text::width(line) <= columns), "{}", text);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
