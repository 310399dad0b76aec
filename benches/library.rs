//! Measures what needs no daemon: the plan over ten thousand tasks, and a status update in a `tasks.yml` of ten
//! thousand.

use crate::Scale;
use crate::kit::write_file;
use crate::measure::{Samples, timed};
use crate::table::Table;
use granit_parser::Parser;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::pause::Pauses;
use orch_core::planning::plan::{Capacity, Scope, Snapshot, plan};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::route::{AgentProfile, Complexity, RouteResult};
use orch_core::tasks::task::{FileState, NextRun, Spec, State, Task};
use orch_store::tasks_file::{At, Edit, Outline, TasksDoc};
use orch_sys::fs::{exchange_write, read_text};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many tasks "many" are.
pub const MANY: u64 = 10_000;
/// How many tasks a home has that was never cleaned up.
const VERY_MANY: u64 = 100_000;
/// Milliseconds for a plan.
const PLAN: f64 = 1.0;
/// The same over a hundred thousand.
const LARGE_PLAN: f64 = 10.0;
/// Times the bare parse.
const WRITE_BACK: f64 = 1.5;
const LARGEST: usize = 64 << 20;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    plans(scale.pick(300, 50), table);
    write_back(scale.pick(40, 8), table);
}

// ---- plan

/// What the tasks are like, how one of an id is made, and what limits them.
type Kind<'a> = (&'static str, fn(u64) -> Task, &'a Capacity);

fn plans(rounds: usize, table: &mut Table) {
    let now = Timestamp::UNIX_EPOCH;
    let slots = Capacity::with_slots(4);
    // Slots for all, so that each task is compared with what its own agent and project have.
    let capped = Capacity {
        agents: [("claude".to_owned(), 4)].into(),
        projects: [(PathBuf::from("/repo"), 5000)].into(),
        ..Capacity::with_slots(10_000)
    };
    let kinds: [Kind<'_>; 6] = [
        ("all done", |id| task(id, State::Done), &slots),
        ("all open, routed, waiting for slots", routed, &slots),
        ("all open, routed, waiting for slots of their agent", routed, &capped),
        ("all open, waiting for a time", waiting, &slots),
        ("all open, each blocked by the one before", blocked, &slots),
        ("mixed: 9 of 10 done, the rest open", mixed, &slots),
    ];
    for (name, make, capacity) in kinds {
        let samples = planned(rounds, MANY, make, capacity, now);
        table.limit(format!("plan, 10,000 tasks, {name}"), None, &samples, PLAN);
    }
    // What is done is not at hand in a daemon; of the tasks here each is looked at.
    let large: [Kind<'_>; 2] = [
        ("100 may run, the rest are asked about", asked_about, &slots),
        ("100 may run, the rest blocked by the one before", one_of_a_thousand, &slots),
    ];
    for (name, make, capacity) in large {
        let samples = planned(rounds / 5, VERY_MANY, make, capacity, now);
        table.limit(format!("plan, 100,000 tasks, {name}"), None, &samples, LARGE_PLAN);
    }
}

fn planned(rounds: usize, count: u64, make: fn(u64) -> Task, capacity: &Capacity, now: Timestamp) -> Samples {
    let tasks: BTreeMap<TaskId, Arc<Task>> = (1..=count).map(|id| (TaskId(id), Arc::new(make(id)))).collect();
    let snapshot = Snapshot {
        tasks: &tasks,
        settled: &BTreeMap::new(),
        projects: &[PathBuf::from("/repo")],
        capacity,
        cooldowns: &BTreeMap::new(),
        invalid: &BTreeMap::new(),
        scope: Scope::All,
        pauses: &Pauses::default(),
        shutdown: None,
        batches: &BTreeMap::new(),
        identity: "ada",
        dir_exists: &|_| true,
        is_registered: &|_| true,
    };
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let (ms, made) = timed(|| plan(black_box(&snapshot), now));
        samples.add(ms);
        black_box(made);
    }
    samples
}

fn task(id: u64, state: State) -> Task {
    let spec = Spec { title: format!("task {id}"), ..Spec::default() };
    Task { state, ..Task::new(TaskId(id), spec, FileState::Pending, Timestamp::UNIX_EPOCH) }
}

fn routed(id: u64) -> Task {
    let route = RouteResult {
        agent: "claude".into(),
        model: None,
        complexity: Complexity::Simple,
        reason: String::new(),
        profile: AgentProfile::default(),
        selected_skills: vec![],
        warning: None,
    };
    // The first four hold the slots.
    let state = if id <= 4 {
        State::InProgress { run: RunId::new(TaskId(id), 1, 1), next: NextRun::Fresh, stopping: None }
    } else {
        State::Routed { next: NextRun::Fresh, counts: true, not_before: None }
    };
    Task { route: Some(Box::new(route)), ..task(id, state) }
}

fn waiting(id: u64) -> Task {
    let mut task = routed(id);
    if let State::Routed { not_before, .. } = &mut task.state {
        *not_before = Timestamp::from_second(60).ok();
    }
    task
}

fn blocked(id: u64) -> Task {
    let mut task = routed(id);
    if id > 4 {
        let on = orch_core::tasks::task::BlockedOn::Dependencies { tasks: vec![TaskId(id - 1)] };
        task.state = State::Blocked(on);
        task.spec.depends_on = vec![TaskId(id - 1)];
    }
    task
}

fn mixed(id: u64) -> Task {
    if id > 4 && !id.is_multiple_of(10) { task(id, State::Done) } else { routed(id) }
}

fn asked_about(id: u64) -> Task {
    let asked = State::NeedsReview { kind: QuestionKind::Question, question: "which one?".into(), choices: Vec::new() };
    if id.is_multiple_of(1000) { routed(id) } else { task(id, asked) }
}

fn one_of_a_thousand(id: u64) -> Task {
    if id.is_multiple_of(1000) { routed(id) } else { blocked(id) }
}

// ---- tasks.yml

/// A `tasks.yml` as people write it, with as many tasks of a status.
pub fn tasks_yaml(count: u64, status: &str) -> String {
    let mut text = String::from("# What is to be done\ntasks:\n");
    for id in 1..=count {
        if id.is_multiple_of(20) {
            text.push_str("\n  # The next part\n");
        }
        text.push_str(&format!(
            "  - id: {id}\n    title: \"Task {id}: mend what the last one broke\" # soon\n    labels: [backend, agent:bot]\n    \
             status: {status}\n    attempts: 1\n    body: |\n      First line of what is wanted, in some words.\n      \
             Second line, with a detail: \"quoted\", #not-a-comment.\n"
        ));
    }
    text
}

fn write_back(rounds: usize, table: &mut Table) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("tasks.yml");
    let text = tasks_yaml(MANY, "in_review");
    write_file(&path, &text);
    let mut outline = TasksDoc::parse(text.clone(), &|_| true).expect("a valid file").into_outline();
    let [mut bare, mut splice, mut whole, mut read] = [(); 4].map(|()| Samples::default());
    for round in 0..rounds {
        let text = read_text(&path, LARGEST).expect("the file is there");
        bare.add(timed(|| black_box(events(&text))).0);
        read.add(timed(|| black_box(TasksDoc::parse(text.clone(), &|_| true).is_ok())).0);
        let edit = status_of(round);
        splice.add(timed(|| black_box(outline.apply(&text, std::slice::from_ref(&edit)).into_outline().is_some())).0);
        let (ms, next) = timed(|| write(&path, &outline, &edit));
        whole.add(ms);
        outline = next;
    }
    let bounds = (0.0, WRITE_BACK);
    table.ratio("a status into 10,000-task tasks.yml / bare YAML events", &bare, &whole, bounds, "≤ × 1.5");
    table.part("of that: in memory (splice, parse again, compare)", &splice);
    table.part("reading the same file whole: entries, checks, outline", &read);
}

/// The parser alone, set up as orch uses it: how many events there are.
fn events(text: &str) -> usize {
    let options = granit_parser::options! { emit_comments: false };
    Parser::new_from_str_with_options(black_box(text), options).filter(Result::is_ok).count()
}

fn status_of(round: usize) -> Edit {
    let id = 1 + (round as u64 * 7_919) % MANY;
    let status = if round.is_multiple_of(2) { "done" } else { "needs_review" };
    Edit::Set { at: At::Id(TaskId(id)), key: "status", value: status.into() }
}

/// As the daemon does it: read, see that it is the text that is known, splice, exchange.
fn write(path: &Path, outline: &Outline, edit: &Edit) -> Outline {
    let text = read_text(path, LARGEST).expect("the file is there");
    assert!(outline.is_of(&text), "nobody else writes here");
    let (new, next) = outline.apply(&text, std::slice::from_ref(edit)).into_outline().expect("the edit is made");
    let lock = path.with_file_name("state").join("tasks.lock");
    exchange_write(path, &lock, new.as_bytes(), Some(text.as_bytes())).expect("the file is written");
    next
}
