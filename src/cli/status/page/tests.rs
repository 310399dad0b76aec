//! Tests of the screen of `orch status`.

mod golden;

use super::*;
use crate::cli::fixture::now;
use orch_api::status::{EngineMode, EngineState, QuestionView, SlotsView};
use orch_api::types::HoldView;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::{Spend, Usd};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::question::QuestionKind;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn status(counts: &[(&str, u64)]) -> StatusView {
    StatusView {
        version: "1.2.3".into(),
        pid: 42,
        mode: EngineMode::Serve,
        overrides: BTreeMap::new(),
        http: None,
        counts: counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
        idle: false,
        problems: vec![],
        slots: SlotsView { busy: 0, total: 4, because: None },
        breakers: Vec::new(),
        state: EngineState::Serving,
        shutting_down: None,
        paused: vec![],
        set_models: Vec::new(),
        left_alone: Vec::new(),
        seq: 0,
    }
}

#[test]
fn slots_are_reported_where_the_machine_has_changed_them() {
    let mut overview = empty();
    assert!(!page(&overview, 80, None).contains("slots"));
    overview.status.slots = SlotsView { busy: 1, total: 1, because: Some("3 % of the memory is available".into()) };
    assert!(page(&overview, 80, None).contains("\nslots: 1 of 1 busy (3 % of the memory is available)\n"));
}

fn spend(known: i64, runs: u64, unpriced: u64) -> SpendView {
    SpendView::new(Spend { known: Usd::from_micros(known), runs, unpriced }, now().at)
}

fn empty() -> Overview {
    Overview {
        status: status(&[]),
        running: vec![],
        needs_you: vec![],
        queued: vec![],
        today: spend(0, 0, 0),
        batches: vec![],
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
        cost_usd: None,
        since: "2026-03-01T11:57:00Z".parse().expect("a time"),
        last_line: Some(last_line.to_owned()),
        health: None,
    }
}

fn queued(id: u64, detail: &str) -> QueuedView {
    let hold = HoldView { reason: HoldReason::RateLimited, detail: detail.to_owned(), until: Some(now().at) };
    QueuedView {
        id: TaskId(id),
        title: format!("Task {id}"),
        status: Status::Routed,
        agent: Some("codex".to_owned()),
        model: None,
        hold: Some(hold),
    }
}

fn full() -> Overview {
    let question = "which database?\nSQLite or another".to_owned();
    Overview {
        status: status(&[("in_progress", 1), ("needs_review", 1), ("routed", 12), ("done", 3)]),
        running: vec![running(7, "Fix the parser", "▸ Bash: cargo test")],
        needs_you: vec![QuestionView {
            id: TaskId(3),
            title: "Choose".to_owned(),
            kind: QuestionKind::Question,
            question,
            choices: vec![],
        }],
        queued: (10..22).map(|id| queued(id, "the provider limits the rate")).collect(),
        today: spend(1_230_000, 5, 2),
        batches: vec![],
    }
}

fn page(overview: &Overview, columns: usize, rows: Option<usize>) -> String {
    Page { now: now(), columns, rows, paint: Paint::OFF }.render(overview, false)
}

#[test]
fn a_status_reads_like_this() {
    let mut overview = full();
    overview.queued.truncate(2);
    overview.status.counts.insert("routed".to_owned(), 2);
    assert_eq!(
        page(&overview, 100, None),
        "orch 1.2.3 runs as serve (pid 42): at work
tasks: 2 routed, 1 in_progress, 3 done, 1 needs_review
today: $1.23 (5 runs, 2 without a price)

running
id  agent          since  title           last line
 7  claude/sonnet  12:57  Fix the parser  ▸ Bash: cargo test

needs you
id  title   what is asked (orch why ID)
 3  Choose  which database?

queued
id  status  agent  title    why it waits
10  routed  codex  Task 10  until 13:00: the provider limits the rate
11  routed  codex  Task 11  until 13:00: the provider limits the rate
"
    );
}

#[test]
fn an_empty_home_takes_three_lines() {
    let text = Page { now: now(), columns: 80, rows: None, paint: Paint::OFF }.render(&empty(), true);
    assert_eq!(text, "no daemon runs\ntasks: none\ntoday: $0.00 (0 runs)\n");
    let unknown = Overview { today: spend(0, 1, 1), ..empty() };
    assert!(page(&unknown, 80, None).ends_with("today: unknown (1 run, 1 without a price)\n"));
}

#[test]
fn what_does_not_fit_is_counted_and_what_is_at_work_comes_first() {
    let text = page(&full(), 80, Some(20));
    assert_eq!(text.lines().count(), 20, "{text}");
    assert!(text.contains("Fix the parser") && text.contains("which database?"), "{text}");
    assert!(text.contains("\n10  routed") && text.contains("\n14  routed") && !text.contains("\n15  routed"), "{text}");
    assert!(text.ends_with("… and 7 more (orch list)\n"), "{text}");
    let long = page(&full(), 80, None);
    assert!(long.contains("\n21  routed") && !long.contains("more"), "{long}");
    // The engine sends no more than a screen; the counts include the rest.
    let mut cut = full();
    cut.status.counts.insert("new".to_owned(), 5_000);
    assert!(page(&cut, 80, None).ends_with("… and 5000 more (orch list)\n"));
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let mut overview = full();
    let hostile = "\u{1b}]52;c;cm0gLXJm\u{7}\u{1b}]0;owned\u{7}\u{1b}P$qm\u{1b}\\\u{9b}31m\r\n";
    overview.running = vec![running(7, hostile, hostile)];
    overview.needs_you[0].title = hostile.to_owned();
    overview.needs_you[0].question = hostile.to_owned();
    overview.queued = vec![queued(10, hostile)];
    overview.status.problems = vec![hostile.to_owned()];
    let text = page(&overview, 300, Some(60));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("\\u{1b}]52;c;cm0gLXJm\\u{7}"), "{text}");
}

proptest! {
    #[test]
    fn a_page_fits_its_screen(columns in 60_usize..200, rows in 5_usize..60, agents in 0_u64..30, waiting in 0_u64..30) {
        let mut overview = full();
        overview.running = (0..agents).map(|id| running(id, &"日本".repeat(40), "🙂 said")).collect();
        overview.queued = (0..waiting).map(|id| queued(id, &"why ".repeat(50))).collect();
        let text = page(&overview, columns, Some(rows));
        prop_assert!(text.lines().count() <= rows, "{}", text);
        prop_assert!(text.lines().all(|line| text::width(line) <= columns), "{}", text);
    }
}
