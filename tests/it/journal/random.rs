//! Tests damage at random places of random files: no stored data is lost silently. [`survive`] takes the number of
//! cases, so that the torture table can run ten thousand.

use super::hurt::{Harm, hurt};
use orch::daemon::{OpenError, Setup};
use orch_config::Home;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::TaskFact;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agents::{DialectKind, LaunchSpec, Stdin};
use orch_core::tasks::outcome::{Ending, RunKind};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::task::{FileState, NextRun, Phase, Progress, Run, Seen, Spec, State, Status, Task};
use orch_engine::Damage;
use orch_runner::{Launch, Limits, RunDir, RunReport};
use orch_store::journal::{Entry, Journal, Write};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tasks in the home.
const TASKS: u64 = 40;
/// Of which the last ones are only in the journal's log.
const LATE: u64 = 10;

#[test]
fn nothing_is_lost_without_a_word_whatever_is_damaged() {
    survive(300, &std::env::temp_dir());
}

/// What the journal held.
struct Held {
    tasks: BTreeMap<TaskId, Task>,
    runs: BTreeMap<RunId, Run>,
    entries: usize,
}

/// Damages a home `cases` times, and compares what is there afterwards with what was there before. The homes are made in
/// `place`.
pub fn survive(cases: u32, place: &Path) {
    let template = tempfile::tempdir_in(place).expect("a directory");
    let held = furnish(template.path());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let done = runner.run(&prop::collection::vec((target(), harm()), 1..4), |harms| {
        let dir = tempfile::tempdir_in(place).expect("a directory");
        copy_all(template.path(), dir.path());
        for (target, harm) in &harms {
            let path = dir.path().join(target);
            if path.exists() {
                hurt(&path, harm);
            }
        }
        let harmed: Vec<&str> = harms.iter().map(|(target, _)| *target).collect();
        check(&held, dir.path(), &harmed)
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

fn target() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(".orch/orch.db"),
        6 => Just(".orch/orch.db-wal"),
        1 => Just("tasks.yml"),
        1 => Just(".orch/1.json"),
        1 => Just(".orch/12.json"),
        1 => Just(".orch/runs/3-1-00000003/outcome.json"),
        1 => Just(".orch/runs/6-1-00000006/launch.json"),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        any::<u64>().prop_map(|to| Harm::Cut { to }),
        (any::<u64>(), 1..9000_u64).prop_map(|(from, length)| Harm::Zeroed { from, length }),
        (any::<u64>(), 0..200_u64)
            .prop_map(|(page, pages)| Harm::Zeroed { from: page / 4096 * 4096, length: 4096 * pages }),
        (any::<u64>(), any::<u8>()).prop_map(|(at, bit)| Harm::Flipped { at, bit }),
        // The head of a file is where a single bit means most.
        (0..200_u64, any::<u8>()).prop_map(|(at, bit)| Harm::Flipped { at, bit }),
    ]
}

fn check(held: &Held, dir: &Path, harmed: &[&str]) -> Result<(), TestCaseError> {
    let setup = Setup {
        home: Home::new(dir, None),
        environment: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())]),
        flags: Vec::new(),
        orch: PathBuf::from(env!("CARGO_BIN_EXE_orch")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let damage = match runtime.block_on(setup.mend()) {
        Ok(damage) => damage,
        // A number in the header that means a newer version: it is reported, and nothing was changed.
        Err(OpenError::Journal(error)) if error.is_newer() => return Ok(()),
        Err(error) => return Err(TestCaseError::fail(format!("it is neither whole nor rebuilt: {error}"))),
    };
    let (journal, loaded) = match Journal::open(&setup.home.journal()) {
        Ok(opened) => opened,
        Err(error) => return Err(TestCaseError::fail(format!("{error} after {damage:?}"))),
    };
    prop_assert!(loaded.last_task_id >= TASKS, "a number would be given out twice: {}", loaded.last_task_id);
    let tasks = journal.tasks_after(TaskId(0), 10_000).expect("reads");
    let tasks: BTreeMap<TaskId, Task> = tasks.into_iter().map(|task| (task.id, task)).collect();
    for (id, before) in &held.tasks {
        let Some(now) = tasks.get(id) else {
            prop_assert!(is_reported_gone(*id, &damage), "task {id} is gone: {damage:?}");
            continue;
        };
        // The content of a person's file counts, however it was changed.
        let is_spec_same = now.spec == before.spec || harmed.contains(&"tasks.yml");
        // What was only routed and never begun is routed again.
        let stage = |task: &Task| if task.status() == Status::Routed { Status::New } else { task.status() };
        let is_same = stage(now) == stage(before) && is_spec_same;
        prop_assert!(is_same || is_reported(*id, &damage), "task {id} was {before:?}, is {now:?}: {damage:?}");
        prop_assert!(now.status() != Status::New || stage(before) == Status::New, "task {id} would be done again");
    }
    let is_harmed = |id: &RunId| harmed.iter().any(|target| target.contains(id.as_str()));
    for (id, before) in held.runs.iter().filter(|(id, _)| !is_harmed(id)) {
        let runs = journal.runs_of(before.task).expect("reads");
        let found = runs.iter().find(|run| run.id == *id);
        let is_same = found.is_some_and(|run| run.outcome == before.outcome && run.cost == before.cost);
        prop_assert!(is_same || has_losses(&damage), "run {id} was {before:?}, is {found:?}: {damage:?}");
    }
    let entries = journal.entries(0, None, 10_000).expect("reads").len();
    prop_assert!(entries >= held.entries || has_losses(&damage), "{entries} lines of {}: {damage:?}", held.entries);
    Ok(())
}

fn is_reported(id: TaskId, damage: &Option<Damage>) -> bool {
    damage.as_ref().is_some_and(|damage| {
        let names = |text: &String| text.contains(&format!("task {id}"));
        damage.asked.iter().any(|asked| asked.task == id) || damage.lost.iter().any(names)
    })
}

fn is_reported_gone(id: TaskId, damage: &Option<Damage>) -> bool {
    let holds = |line: &String| {
        let range = line.strip_prefix("tasks ")?.split_once(": nothing is left")?.0;
        let (from, to) = range.split_once(" to ")?;
        Some((from.parse::<u64>().ok()?..=to.parse::<u64>().ok()?).contains(&id.0))
    };
    damage.as_ref().is_some_and(|damage| damage.lost.iter().any(|line| holds(line) == Some(true)))
}

fn has_losses(damage: &Option<Damage>) -> bool {
    damage.as_ref().is_some_and(|damage| !damage.lost.is_empty())
}

/// Makes a home as a killed daemon leaves it: the newest changes are in the journal's log alone.
fn furnish(root: &Path) -> Held {
    let home = Home::new(root, None);
    std::fs::create_dir_all(home.runs()).expect("made");
    let mut held = Held { tasks: BTreeMap::new(), runs: BTreeMap::new(), entries: 0 };
    let mut text = "tasks:\n".to_owned();
    let made = tempfile::tempdir().expect("a directory");
    let path = made.path().join("orch.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut journal, _) = Journal::open(&path).expect("opens");
    for id in 1..=TASKS {
        if id == TASKS - LATE {
            runtime.block_on(journal.leave());
            (journal, _) = Journal::open(&path).expect("opens");
        }
        let (task, run) = task(id);
        text.push_str(&format!("  - id: {id}\n    title: Task {id}\n    status: {}\n", task.status().as_str()));
        held.entries += 1;
        let entry = Entry {
            seq: id,
            at: task.created_at,
            task_id: Some(task.id),
            run_id: None,
            actor: Actor::Orch,
            fact: TaskFact::Added { title: task.spec.title.clone(), over: None }.into(),
        };
        let mut writes = vec![Write::Task(Arc::new(task.clone())), Write::Entry(entry)];
        if let Some((run, report)) = run {
            write_run(&home, &run, &report);
            writes.push(Write::Run(Box::new(run.clone())));
            held.runs.insert(run.id.clone(), run);
        }
        runtime.block_on(journal.commit(writes)).expect("stored");
        if id % 2 == 0 || id < 4 {
            let sidecar = serde_json::json!({
                "task_id": id, "status": task.status(), "route": null, "branch": null, "attempts": task.progress.attempts,
                "updated_at": task.updated_at, "record": orch_store::records::to_value(&task).expect("plain data"),
            });
            std::fs::write(home.sidecar(task.id), sidecar.to_string()).expect("written");
        }
        held.tasks.insert(task.id, task);
    }
    std::fs::write(home.tasks_file(), text).expect("written");
    // The state of an open journal: its log was not merged into the file.
    for end in ["", "-wal", "-witness"] {
        std::fs::copy(format!("{}{end}", path.display()), format!("{}{end}", home.journal().display()))
            .expect("copied");
    }
    held
}

/// Returns a task of every kind, with its run if it had one.
fn task(id: u64) -> (Task, Option<(Run, RunReport)>) {
    let at = jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(id).expect("small")).expect("a time");
    let run = RunId::new(TaskId(id), 1, u32::try_from(id).expect("small"));
    let state = match id % 6 {
        0 => State::InProgress { run: run.clone(), next: NextRun::Fresh, stopping: None },
        1 => State::NEW,
        2 => State::NeedsReview { kind: QuestionKind::Question, question: "Which?".to_owned(), choices: Vec::new() },
        3 => State::Done,
        4 => State::Cancelled { reason: "no".to_owned() },
        _ => State::Routed { next: NextRun::Fresh, counts: true, not_before: None },
    };
    let file = FileState::Written { status: Some(state.status()), since: Vec::new(), results: false, seen: Seen::Yes };
    let spec = Spec { title: format!("Task {id}"), ..Spec::default() };
    let has_run = matches!(state, State::Done | State::InProgress { .. });
    let count = u32::from(has_run);
    let task = Task {
        state,
        progress: Progress { attempts: count, ..Progress::default() },
        runs: count,
        updated_at: at,
        ..Task::new(TaskId(id), spec, file, at)
    };
    if !has_run {
        return (task, None);
    }
    let report = RunReport {
        run_id: run.clone(),
        kind: RunKind::Work,
        started_at: at,
        ended_at: at,
        exit: None,
        ending: Ending { final_text: Some("{\"status\":\"done\",\"summary\":\"s\"}".to_owned()), ..Ending::default() },
        stopped: None,
        swept: Vec::new(),
        warnings: Vec::new(),
        transcript_bytes: 0,
    };
    let is_over = task.status() == Status::Done;
    let run = Run {
        phase: if is_over { Phase::Ended } else { Phase::Running },
        started_at: Some(at),
        ended_at: is_over.then_some(at),
        outcome: is_over.then(|| report.outcome()),
        ..Run::new(run, task.id, RunKind::Work, "bot".to_owned(), at)
    };
    (task, Some((run, report)))
}

fn write_run(home: &Home, run: &Run, report: &RunReport) {
    let dir = RunDir::new(home.run(&run.id));
    std::fs::create_dir_all(dir.path()).expect("made");
    let spec = LaunchSpec {
        program: "/bin/true".into(),
        args: Vec::new(),
        cwd: "/".into(),
        env: BTreeMap::new(),
        pass_env: Vec::new(),
        stdin: Stdin::Null,
        files: BTreeMap::new(),
        opening: serde_json::Value::Null,
    };
    let launch = Launch {
        run_id: run.id.clone(),
        task_id: run.task,
        kind: run.kind,
        agent: run.agent.clone(),
        model: None,
        dialect: DialectKind::Command,
        spec,
        limits: Limits::default(),
        redact: Vec::new(),
        messages: Vec::new(),
        wake_socket: None,
    };
    std::fs::write(dir.launch(), serde_json::to_vec(&launch).expect("plain")).expect("written");
    std::fs::write(dir.started(), "{}").expect("written");
    if run.phase == Phase::Ended {
        std::fs::write(dir.outcome(), serde_json::to_vec(report).expect("plain")).expect("written");
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("reads").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
