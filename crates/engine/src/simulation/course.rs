//! The course of a simulation: the next thing that happens, at its time, and the engine's real turn on it.

mod editor;
mod happenings;
mod person;

use super::file::File;
use super::jobs::Jobs;
use super::outside::{Agent, DIR, Outside, PROJECT};
use super::rules::{Broken, Rules};
use super::scenario::{DAY, Millis, Moment, SECOND, Scenario, Step};
use super::stored::Stored;
use super::trace::Trace;
use crate::deps::Deps;
use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::command::Command;
use crate::engine::inputs::Input;
use crate::engine::mode::Mode;
use crate::engine::signals::Signals;
use crate::job::report::Report;
use crate::settings::Settings;
use crate::state::ChangeSet;
use crate::tasks_file::missing_tasks::Verdict;
use happenings::Happening;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::planning::overlap::Overlap;
use orch_core::tasks::task::{BlockedOn, Phase, State, Status};
use orch_store::journal::{JournalError, Project};
use orch_sys::clock::{Clock, ManualClock};
use person::Awaited;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How many turns may follow each other within a simulated second: more are a loop.
const TURNS_PER_SECOND: u32 = 2000;
/// How long it may take at most until all is settled when the faults are over.
const PATIENCE: Millis = 60 * DAY;

/// A simulation under way.
pub struct Course<'a> {
    scenario: &'a Scenario,
    deps: Arc<Deps>,
    clock: Arc<ManualClock>,
    settings: Settings,
    at: Millis,
    queue: BTreeMap<(Millis, u64), Happening>,
    queued: u64,
    outside: Outside,
    stored: Stored,
    file: File,
    jobs: Jobs,
    rules: Rules,
    engine: Option<Engine>,
    /// Raised with each start of the engine.
    epoch: u64,
    dies_at: Option<Moment>,
    /// How long the daemon stays away when it has left.
    down: Millis,
    disk_full: bool,
    write_breaks: bool,
    /// Until then every effect takes a hundred times as long.
    slow_until: Millis,
    /// The configuration changed, and the engine has not read it.
    new_settings: bool,
    /// A turn that cannot be stored yet.
    unstored: Option<(ChangeSet, bool, Timestamp)>,
    inputs: Vec<Input>,
    /// Reports on runs that come once more, when a later run of the task is under way.
    old: Vec<(RunId, JobKey, Report)>,
    /// Asked, and not yet taken by the engine.
    commands: VecDeque<(Command, Awaited)>,
    awaited: Vec<Awaited>,
    /// The tasks of the scenario that were added.
    ids: BTreeMap<usize, TaskId>,
    /// New entries that were written into the file by hand.
    written: BTreeSet<usize>,
    /// Those of them that are gone from it.
    unwritten: BTreeSet<usize>,
    turns: (u64, u32),
    pub trace: Trace,
}

/// The real parts that a simulation needs and never uses, and those that it sets.
pub struct Ground {
    pub deps: Arc<dyn Fn(Arc<dyn Clock>) -> Deps>,
    pub settings: Settings,
}

impl<'a> Course<'a> {
    pub fn new(scenario: &'a Scenario, ground: &Ground, trace: Trace) -> Self {
        let clock = Arc::new(ManualClock::at("2026-08-01T12:00:00Z".parse().expect("a time")));
        let for_doors: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let mut settings = ground.settings.clone();
        let config = Arc::make_mut(&mut settings.config);
        config.engine.max_parallel = scenario.max_parallel;
        config.workflow.overlap = if scenario.seed.is_multiple_of(3) { Overlap::Hold } else { Overlap::Warn };
        super::money::configure(config, scenario.seed);
        let rules = Rules::new(settings.config.workflow.max_attempts);
        let mut course = Self {
            scenario,
            deps: Arc::new((ground.deps)(for_doors)),
            clock,
            settings,
            at: 0,
            queue: BTreeMap::new(),
            queued: 0,
            outside: Outside::new(scenario),
            stored: Stored::default(),
            file: File::default(),
            jobs: Jobs::new(&scenario.jobs),
            rules,
            engine: None,
            epoch: 0,
            dies_at: None,
            down: SECOND,
            disk_full: false,
            write_breaks: false,
            slow_until: 0,
            new_settings: false,
            unstored: None,
            inputs: Vec::new(),
            old: Vec::new(),
            commands: VecDeque::new(),
            awaited: Vec::new(),
            ids: BTreeMap::new(),
            written: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            turns: (0, 0),
            trace,
        };
        // Two, so that a task without a directory has none.
        let project = |dir: &str, name: &str| Project { dir: dir.into(), name: name.to_owned(), approved: None };
        course.stored.tables().projects = vec![project(DIR, PROJECT), project("/simulated/other", "other")];
        for Step { at, act } in &scenario.steps {
            course.later(*at, Happening::Act(act.clone()));
        }
        course
    }

    /// Lets everything happen, then settles in peace, then lets a person answer whatever is asked: then all is done.
    pub fn run(&mut self) -> Result<(), Broken> {
        self.start_engine();
        self.until(Some(self.scenario.lasts))?;
        self.make_peace();
        self.until(None)?;
        self.decide(if self.scenario.seed.is_multiple_of(2) { Verdict::Restore } else { Verdict::Cancel });
        self.resume_all();
        self.let_go_of_all();
        self.until(None)?;
        self.check_rest()?;
        self.take_one_out()?;
        for _ in 0..3 {
            self.answer_everything();
            self.until(None)?;
            self.check_rest()?;
        }
        let tables = self.stored.tables();
        let mut stuck: BTreeSet<TaskId> =
            tables.tasks.values().filter(|task| task.spec.dir.is_none()).map(|task| task.id).collect();
        let titles: BTreeSet<&str> = tables.tasks.values().map(|task| task.spec.title.as_str()).collect();
        if let Some(wish) =
            self.written.difference(&self.unwritten).find(|wish| !titles.contains(format!("wish {wish}").as_str()))
        {
            return Err(Broken(format!("the entry \"wish {wish}\" never became a task")));
        }
        // In the order of ids, and no task depends on a later one.
        for task in tables.tasks.values() {
            if task.spec.depends_on.iter().any(|other| stuck.contains(other)) {
                stuck.insert(task.id);
            }
        }
        match tables.tasks.values().find(|task| task.status() != Status::Done && !stuck.contains(&task.id)) {
            Some(task) => Err(Broken(format!("task {} is never done: {:?}", task.id, task.state))),
            None => Ok(()),
        }
    }

    fn check_rest(&self) -> Result<(), Broken> {
        let tables = self.stored.tables();
        self.rules.check_rest(&tables, &self.outside)?;
        if self.scenario.with_file { Rules::check_file(&tables, &self.file) } else { Ok(()) }
    }

    /// How long it took, in simulated time.
    pub fn lasted(&self) -> Millis {
        self.at
    }

    fn make_peace(&mut self) {
        self.trace.say(self.at, || "the faults are over".to_owned());
        self.outside.calm = true;
        self.outside.outages.clear();
        self.jobs.switch_off();
        self.inputs.push(Input::Files);
        self.file.mend();
        self.file.saved_by_hand(self.now());
        self.outside.dir_gone.store(false, Ordering::Relaxed);
        self.dies_at = None;
        self.disk_full = false;
        if self.engine.is_none() {
            self.start_engine();
        }
    }

    fn later(&mut self, after: Millis, what: Happening) {
        self.queued += 1;
        self.queue.insert((self.at + after, self.queued), what);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Until this time, or until nothing happens any more.
    fn until(&mut self, end: Option<Millis>) -> Result<(), Broken> {
        // Where money is short, a day may be enough for one task only.
        let open = self.engine.as_ref().map_or(0, |engine| engine.state.tasks.len()) as Millis;
        let latest = end.unwrap_or(self.at + PATIENCE + open * DAY);
        loop {
            self.take_turns()?;
            let timers = self.timers();
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [queued, timers.0, timers.1].into_iter().flatten().min() else { break };
            if next > latest {
                if end.is_none() {
                    return Err(Broken("it does not settle".to_owned()));
                }
                break;
            }
            self.move_to(next);
            while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= self.at) {
                let Some((_, what)) = self.queue.pop_first() else { break };
                self.happen(what)?;
            }
            if self.engine.is_some() && self.unstored.is_none() {
                let is_over = |timer: Option<Millis>| timer.is_some_and(|at| at <= next);
                self.inputs.extend(is_over(timers.0).then_some(Input::Due));
                self.inputs.extend(is_over(timers.1).then_some(Input::Tick));
            }
        }
        if let Some(end) = end.filter(|end| *end > self.at) {
            self.move_to(end);
        }
        Ok(())
    }

    fn move_to(&mut self, at: Millis) {
        let step = at.saturating_sub(self.at);
        self.clock.advance(Duration::from_millis(step));
        self.at += step;
    }

    fn since(&self, instant: tokio::time::Instant) -> Millis {
        let wait = instant.into_std().saturating_duration_since(self.clock.instant());
        u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(Millis::MAX)
    }

    /// When the engine's own timer ends, and its next tick, where that would find anything.
    fn timers(&self) -> (Option<Millis>, Option<Millis>) {
        let Some(engine) = self.engine.as_ref().filter(|_| self.unstored.is_none()) else { return (None, None) };
        let due = engine.next_due(self.now()).map(|due| self.at + self.since(due));
        (due, self.has_news(engine).then(|| self.at + self.since(engine.inputs.next_tick())))
    }

    /// A look would find something: agents that ended, or heard a message.
    fn has_news(&self, engine: &Engine) -> bool {
        let agents = || {
            let running = engine.state.runs.values().filter(|run| run.phase == Phase::Running);
            running.filter_map(|run| self.outside.agents.get(&run.id))
        };
        let knows = |agent: &Agent| agent.heard.iter().any(|message| engine.state.messages.contains_key(message));
        let is_there = !self.outside.dir_gone.load(Ordering::Relaxed);
        let missed = |state: &State| matches!(state, State::Blocked(BlockedOn::MissingDir { .. }));
        let reading = engine.jobs.is_under_way(&JobKey::ReadFiles) || engine.file.is_writing();
        if self.scenario.with_file && !reading && self.file.is_news_to(&engine.file.known()) {
            return true;
        }
        if !reading && self.jobs.is_news_to(&engine.file.known()) {
            return true;
        }
        let looking = engine.jobs.is_under_way(&JobKey::Poll);
        (is_there && engine.state.tasks.values().any(|task| missed(&task.state)))
            || (!looking && agents().any(|agent| agent.report.is_some() || knows(agent)))
    }

    fn start_engine(&mut self) {
        self.epoch += 1;
        self.trace.say(self.at, || "the daemon starts".to_owned());
        let (deps, loaded, archive) = (Arc::clone(&self.deps), self.stored.load(), Arc::new(self.stored.clone()));
        let (mut engine, _) =
            Engine::new(deps, loaded, archive, self.settings.clone(), Mode::Serve, Signals::default());
        let (gone, seen) = (Arc::clone(&self.outside.dir_gone), Arc::clone(&self.outside.dir_seen_gone));
        engine.planner.set_dir_exists(move |_| {
            let is_gone = gone.load(Ordering::Relaxed);
            seen.store(is_gone, Ordering::Relaxed);
            !is_gone
        });
        self.engine = Some(engine);
        self.inputs = vec![Input::Files, Input::Wake];
        self.new_settings = false;
    }

    fn die(&mut self, down: Millis) {
        self.trace.say(self.at, || "the daemon dies".to_owned());
        self.engine = None;
        self.unstored = None;
        self.inputs.clear();
        self.old.clear();
        self.commands.clear();
        // No engine answers any more.
        self.awaited.clear();
        self.dies_at = None;
        let jobs: Vec<(Millis, u64)> = self
            .queue
            .iter()
            .filter(|(_, what)| matches!(what, Happening::JobActs { .. } | Happening::Report { .. }))
            .map(|(key, _)| *key)
            .collect();
        for key in jobs {
            // What was under way is lost, or had happened and was not reported.
            if let Some(Happening::JobActs { job, .. }) = self.queue.remove(&key)
                && key.1.is_multiple_of(2)
            {
                drop(self.carry_out(&job));
            }
        }
        self.later(down, Happening::Restart);
    }

    /// All that the engine has to do now.
    fn take_turns(&mut self) -> Result<(), Broken> {
        while self.engine.is_some() && self.unstored.is_none() {
            let ready = self.engine.as_ref().is_some_and(|engine| engine.file.is_read());
            if ready {
                for (command, awaited) in self.commands.drain(..) {
                    self.inputs.push(Input::Command(command));
                    self.awaited.push(awaited);
                }
            }
            if self.inputs.is_empty() {
                break;
            }
            let inputs = std::mem::take(&mut self.inputs);
            self.change_set(inputs)?;
        }
        Ok(())
    }

    fn change_set(&mut self, inputs: Vec<Input>) -> Result<(), Broken> {
        self.trace.looks += 1;
        let second = self.at / SECOND;
        self.turns = if self.turns.0 == second { (second, self.turns.1 + 1) } else { (second, 1) };
        if self.turns.1 > TURNS_PER_SECOND {
            return Err(Broken(format!("{TURNS_PER_SECOND} turns within a second")));
        }
        let now = self.now();
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let (mut change_set, leave) = engine.decide(inputs, now);
        let stores = !change_set.writes().is_empty();
        if stores && self.dies_at == Some(Moment::BeforeCommit) {
            self.die(SECOND);
            return Ok(());
        }
        if stores && self.disk_full {
            let error = Arc::new(JournalError::Stopped { path: PathBuf::new() });
            change_set.replies.drain(..).for_each(|reply| reply(Some(&error)));
            self.unstored = Some((change_set, leave, now));
            return Ok(());
        }
        self.store(change_set, leave, now)
    }

    fn store(&mut self, change_set: ChangeSet, leave: bool, now: Timestamp) -> Result<(), Broken> {
        let writes = change_set.writes();
        let stores = !writes.is_empty();
        self.trace.change_set(self.at, &writes);
        self.stored.commit(writes, &mut self.rules)?;
        if stores && self.dies_at == Some(Moment::AfterCommit) {
            self.die(SECOND);
            return Ok(());
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        engine.conclude(change_set, leave, now);
        let jobs = engine.jobs.take_ordered();
        if leave || engine.departed() {
            let left = (engine.lifetime.leaving(), engine.state.runs.len());
            self.trace.say(self.at, || format!("the daemon has left: {left:?}"));
            self.read_answers()?;
            self.die(self.down);
            return Ok(());
        }
        self.rules.check_engine(engine, &self.outside, now)?;
        for job in jobs {
            self.take_job(job);
        }
        self.read_answers()
    }
}
