//! An engine whose disk fails it: a damaged journal, a `tasks.yml` that cannot be written. It says so, does not spin, and
//! leaves when it is told to. The engine's own turns on real files.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::command::Command;
use crate::engine::engine_handle::EngineHandle;
use crate::engine::inputs::Input;
use crate::engine::mode::Mode;
use crate::engine::signals::{EngineExit, Signals};
use crate::file_tests::fixture::ground;
use crate::files::file_job::{Writeback, read};
use crate::job::report::Report;
use crate::start;
use crate::state::archive::Archive;
use jiff::Timestamp;
use orch_core::audit::history::{Fact, ServiceFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::cost::Charge;
use orch_core::economics::track_record::Sample;
use orch_core::operations::service::{Cause, Departure, ShutdownMode};
use orch_core::tasks::task::{Run, Status, Task};
use orch_store::journal::JournalError;
use orch_sys::clock::{Clock, SystemClock, instant};
use orch_sys::fs::{Durability, write_private};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// An archive of which nothing can be read.
struct Unreadable(fn() -> JournalError);

impl Archive for Unreadable {
    fn task(&self, _: TaskId) -> Result<Option<Task>, JournalError> {
        Err((self.0)())
    }

    fn settled_status(&self, _: TaskId) -> Result<Option<Status>, JournalError> {
        Err((self.0)())
    }

    fn last_work_run(&self, _: TaskId) -> Result<Option<Run>, JournalError> {
        Err((self.0)())
    }

    fn charges_since(&self, _: Timestamp) -> Result<Vec<Charge>, JournalError> {
        Err((self.0)())
    }

    fn spends_since(&self, _: Timestamp) -> Result<Vec<Record>, JournalError> {
        Err((self.0)())
    }

    fn samples(&self) -> Result<Vec<Sample>, JournalError> {
        Err((self.0)())
    }

    fn answered(&self, _: &str) -> Result<Option<Answered>, JournalError> {
        Err((self.0)())
    }

    fn each_since(&self, _: Timestamp, _: &mut dyn FnMut(Fact)) -> Result<(), JournalError> {
        Err((self.0)())
    }
}

fn damage() -> JournalError {
    JournalError::Damaged { path: "orch.db".into(), findings: vec!["a page is gone".to_owned()] }
}

fn hiccup() -> JournalError {
    JournalError::Stopped { path: "orch.db".into() }
}

fn save(path: &Path, text: &str) {
    write_private(path, text.as_bytes(), Durability::Cached).expect("written");
}

/// An engine on a home of its own, moved by hand.
struct Patient {
    _dir: tempfile::TempDir,
    engine: Engine,
    signals: Signals,
    handle: EngineHandle,
}

impl Patient {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (deps, loaded) = ground(dir.path());
        let signals = Signals::default();
        let (engine, handle) = start(deps, loaded, Mode::Serve, signals.clone());
        Self { _dir: dir, engine, signals, handle }
    }

    /// Its `tasks.yml` has an entry of task 1, which is settled, and does not read.
    fn with_unreadable_task(why: fn() -> JournalError) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (deps, mut loaded) = ground(dir.path());
        loaded.last_task_id = 1;
        save(&deps.home.tasks_file(), "tasks:\n  - id: 1\n    title: t\n");
        let (settings, signals) = (deps.sources.load(&[], None), Signals::default());
        let archive = Arc::new(Unreadable(why));
        let (engine, handle) = Engine::new(deps, loaded, archive, settings, Mode::Serve, signals.clone());
        Self { _dir: dir, engine, signals, handle }
    }

    /// Waits until the engine has read its files.
    fn reads(&mut self) {
        let settings = Arc::clone(&self.engine.settings);
        let news = read(&self.engine.deps, self.engine.file.known(), &settings, &[]);
        self.change_set(Input::Report(JobKey::ReadFiles, Report::Files(Box::new(news))));
    }

    /// How long it sleeps over its files.
    fn sleeps(&self) -> Option<Duration> {
        self.engine.file.due().map(|due| due.saturating_duration_since(instant()))
    }

    async fn leaves(self) -> EngineExit {
        tokio::time::timeout(Duration::from_secs(20), self.engine.run()).await.expect("it leaves")
    }

    /// One turn that is never stored. Tells whether the engine leaves at once.
    fn change_set(&mut self, input: Input) -> bool {
        self.engine.decide(vec![input], SystemClock.now()).1
    }

    fn told_to_leave(&mut self, how: ShutdownMode) {
        let (reply, _) = oneshot::channel();
        let departure = Departure::new(how, Cause::Command, "a test");
        self.change_set(Input::Command(Command::shut_down(departure, false, reply)));
    }

    /// It meets damage, and leaves.
    async fn damaged(self) -> EngineExit {
        self.signals.damaged.cancel();
        self.leaves().await
    }
}

#[tokio::test]
async fn an_engine_that_was_told_to_leave_is_not_opened_again_because_of_damage() {
    for how in [ShutdownMode::Stop, ShutdownMode::Drain, ShutdownMode::Now] {
        let mut patient = Patient::new();
        patient.told_to_leave(how);
        let exit = patient.damaged().await;
        assert_eq!((exit.damage.is_some(), exit.ordered), (true, Some(how)));
        assert!(!exit.reopens(), "{how:?}");
    }
    let mut anew = Patient::new();
    anew.told_to_leave(ShutdownMode::Respawn);
    assert!(anew.damaged().await.reopens(), "who was to start anew is there afterwards");
    let unasked = Patient::new().damaged().await;
    assert!(unasked.reopens() && unasked.ordered.is_none(), "{unasked:?}");
}

#[tokio::test]
async fn a_signal_counts_though_the_journal_is_damaged() {
    let patient = Patient::new();
    patient.signals.leave(Departure::new(ShutdownMode::Stop, Cause::Signal, "SIGTERM"));
    let exit = patient.damaged().await;
    assert!(exit.damage.is_some() && !exit.reopens(), "{exit:?}");
}

#[tokio::test]
async fn who_waits_for_room_on_the_disk_leaves_when_damage_is_found() {
    let mut patient = Patient::new();
    patient.signals.damaged.cancel();
    let full = Arc::new(hiccup());
    assert!(!patient.engine.wait_for_storage(&full).await, "there is nothing to wait for");
}

#[tokio::test]
async fn a_disk_that_took_nothing_for_a_while_stands_in_the_history_as_soon_as_it_does() {
    let mut patient = Patient::new();
    let lines = |patient: &mut Patient| {
        let (change_set, _) = patient.engine.decide(vec![Input::Tick], SystemClock.now());
        let lines =
            change_set.entries.iter().filter(|entry| matches!(entry.fact, Fact::Service(ServiceFact::Hindered(_))));
        lines.map(|entry| entry.fact.text()).collect::<Vec<_>>()
    };
    assert!(lines(&mut patient).is_empty());
    let full = serde_json::Error::io(std::io::Error::other("database or disk is full"));
    let error = JournalError::Unstorable { path: "orch.db".into(), what: "task", source: full };
    patient.engine.storage.refused(&error, SystemClock.now());
    let reported = lines(&mut patient);
    assert!(
        reported.len() == 1 && reported[0].contains("disk is full") && reported[0].contains("goes on now"),
        "{reported:?}"
    );
    assert!(lines(&mut patient).is_empty(), "once");
}

#[tokio::test]
async fn a_task_that_does_not_read_is_looked_at_again_after_a_while_and_not_at_full_speed() {
    let mut patient = Patient::with_unreadable_task(hiccup);
    patient.reads();
    let sleeps = patient.sleeps().expect("it looks again");
    assert!(sleeps > Duration::from_secs(1) && sleeps <= Duration::from_secs(2), "{sleeps:?}");
    assert!(!patient.signals.damaged.is_cancelled(), "that is no damage");
}

#[tokio::test]
async fn damage_that_a_read_meets_makes_the_engine_leave_and_tell_what_it_is() {
    let read_by_the_loop = Patient::with_unreadable_task(damage).leaves().await;
    assert!(read_by_the_loop.reopens(), "{read_by_the_loop:?}");
    assert!(read_by_the_loop.damage.is_some_and(|told| told.contains("a page is gone")));
    let patient = Patient::new();
    patient.handle.read(|_| Err::<(), _>(damage())).await.expect_err("damaged");
    assert!(patient.leaves().await.damage.is_some_and(|told| told.contains("a page is gone")));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_seldom_and_holds_nobody_up() {
    let mut patient = Patient::new();
    save(&patient.engine.deps.home.tasks_file(), "tasks:\n  - id: 1\n    title: t\n");
    patient.reads();
    assert!(!patient.engine.file.is_written(), "task 1 has no status there");
    let began = instant();
    let failed = Writeback::Failed("the disk is full".to_owned());
    patient.change_set(Input::Report(JobKey::WriteFile, Report::Written(Box::new(failed))));
    let file = &mut patient.engine.file;
    assert!(!file.is_due(began + Duration::from_millis(999), Duration::ZERO), "not at once");
    assert!(file.is_written(), "nobody waits for what cannot be");
    let now = instant();
    let pauses = [2, 4, 8, 16, 30, 30].map(|seconds| {
        file.take_failure("the disk is full".to_owned(), now);
        (file.is_due(now, Duration::ZERO), file.due() == Some(now + Duration::from_secs(seconds)))
    });
    assert_eq!(pauses, [(false, true); 6]);
    assert!(file.is_due(now + Duration::from_secs(30), Duration::ZERO), "it is tried again");
    patient.told_to_leave(ShutdownMode::Drain);
    patient.engine.file.set_read();
    let exit = patient.engine.depart().await;
    assert!(exit.unwritten.is_some_and(|why| why.contains("full")), "who leaves says so");
}

#[tokio::test]
async fn a_run_that_could_not_be_asked_to_stop_is_asked_again_at_the_next_tick() {
    let mut patient = Patient::new();
    let run = RunId::new(TaskId(1), 1, 7);
    assert!(patient.engine.watch.asks_to_stop(&run));
    patient.change_set(Input::Report(JobKey::Stop(run.clone()), Report::Broken("the disk is full".to_owned())));
    assert!(!patient.engine.watch.asks_to_stop(&run), "not at once");
    patient.change_set(Input::Tick);
    assert!(patient.engine.watch.asks_to_stop(&run));
}
