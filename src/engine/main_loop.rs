//! The one loop. Everything that happens becomes an input; a turn applies all inputs that are there, plans, stores what
//! changed as one transaction, and only then answers, tells and acts. It never waits for anything slow.

use super::apply::{Job, JobKey, Report};
use super::doors::Doors;
use super::handle::{Command, EngineHandle};
use super::metrics::Metrics;
use super::mode::Mode;
use super::settings::Settings;
use super::upkeep::Upkeep;
use super::world::{Turn, World};
use crate::adapters::clock::instant;
use crate::domain::ids::{RunId, TaskId};
use crate::domain::message::MessageId;
use crate::domain::plan::{HoldReason, Plan, Scope, plan};
use crate::domain::task::{Phase, ReviewStage, State, Task};
use crate::store::journal::{Entry, Loaded};
use crate::stream::Hub;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many inputs one turn takes at most, so that a flood cannot keep the first of them waiting.
const INPUTS_PER_TURN: usize = 256;
/// The longest time between two looks while agents run.
const WATCHFUL: Duration = Duration::from_secs(2);
/// How long the daemon gathers changes for one write of `tasks.yml`.
const WRITE_PAUSE: Duration = Duration::from_millis(50);

pub(super) enum Input {
    Command(Command),
    Report(JobKey, Report),
    /// A file of the home changed.
    Files,
    /// Look at the runs. Carries nothing.
    Wake,
    /// The safety net.
    Tick,
    /// A hold ends, or something that was put off is due.
    Due,
    /// Everybody who could send a command is gone.
    Unattended,
    Shutdown,
}

/// The engine. Made by [`super::start`], run to its end by [`Engine::run`].
pub struct Engine {
    pub(super) doors: Arc<Doors>,
    pub(super) world: World,
    pub(super) settings: Arc<Settings>,
    pub(super) mode: Mode,
    pub(super) file: super::file_sync::FileSync,
    pub(super) feed: broadcast::Sender<Entry>,
    pub(super) commands: mpsc::Receiver<Command>,
    jobs: JoinSet<(JobKey, Report)>,
    keys: HashMap<tokio::task::Id, JobKey>,
    in_flight: HashSet<JobKey>,
    /// Asked for once more while under way.
    again: HashSet<JobKey>,
    wake: Arc<Notify>,
    files_changed: Arc<Notify>,
    pub(super) shutdown: CancellationToken,
    plan: Arc<Plan>,
    unattended: bool,
    /// The first look at files is done, and what is new there has become tasks, where that is possible.
    looked: bool,
    /// A write of `tasks.yml` was tried.
    pub(super) wrote: bool,
    /// When the safety net is looked at next.
    next_tick: Instant,
    /// Why nothing can be stored now.
    pub(super) storage_problem: Option<String>,
    /// Tasks whose sidecar is older than their state.
    sidecars: BTreeMap<TaskId, Arc<Task>>,
    /// Runs that were asked to stop by this engine.
    asked_to_stop: HashSet<RunId>,
    pub(super) upkeep: Upkeep,
    /// Messages that this engine handed to a run.
    pub(super) handed: HashSet<(RunId, MessageId)>,
    pub(super) metrics: Arc<Metrics>,
}

/// How the engine left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Farewell {
    /// Some task needs a person, or can go on only when one acts.
    pub person_needed: bool,
}

/// What wakes the loop from outside.
#[derive(Clone, Default)]
pub struct Signals {
    /// A runner has news.
    pub wake: Arc<Notify>,
    /// A file of the home changed.
    pub files: Arc<Notify>,
    /// Leave at once; agents go on.
    pub shutdown: CancellationToken,
}

impl Engine {
    pub(super) fn new(
        doors: Arc<Doors>,
        loaded: Loaded,
        settings: Settings,
        mode: Mode,
        signals: Signals,
    ) -> (Self, EngineHandle) {
        let (sender, commands) = mpsc::channel(256);
        let (feed, _) = broadcast::channel(4096);
        let metrics = Arc::new(Metrics::new(loaded.live_runs.iter().map(|run| &run.id)));
        let handle = EngineHandle {
            commands: sender,
            feed: feed.clone(),
            journal: doors.journal.clone(),
            runs_dir: doors.home.runs(),
            hub: Hub::default(),
            metrics: Arc::clone(&metrics),
        };
        let file = super::file_sync::FileSync::new(loaded.agreed);
        let engine = Self {
            metrics,
            world: World::from_journal(loaded, doors.journal.clone()),
            settings: Arc::new(settings),
            mode,
            file,
            feed,
            commands,
            jobs: JoinSet::new(),
            keys: HashMap::new(),
            in_flight: HashSet::new(),
            again: HashSet::new(),
            wake: signals.wake,
            files_changed: signals.files,
            shutdown: signals.shutdown,
            plan: Arc::new(Plan::default()),
            unattended: false,
            looked: false,
            wrote: false,
            next_tick: Instant::from_std(instant()),
            storage_problem: None,
            sidecars: BTreeMap::new(),
            asked_to_stop: HashSet::new(),
            upkeep: Upkeep::default(),
            handed: HashSet::new(),
            doors,
        };
        (engine, handle)
    }

    /// Runs until its mode is fulfilled or it is told to leave.
    pub async fn run(mut self) -> Farewell {
        let mut inputs = vec![Input::Files, Input::Wake];
        loop {
            let begun = instant();
            let stop = self.turn(inputs).await;
            self.metrics.turn(begun.elapsed());
            if stop || self.fulfilled() {
                break;
            }
            inputs = self.gather().await;
        }
        self.jobs.abort_all();
        while self.jobs.join_next().await.is_some() {}
        Farewell { person_needed: self.person_needed() }
    }

    /// Waits for one input, then takes all that are there.
    async fn gather(&mut self) -> Vec<Input> {
        let mut inputs = vec![self.next_input().await];
        while inputs.len() < INPUTS_PER_TURN {
            if self.looked
                && let Ok(command) = self.commands.try_recv()
            {
                inputs.push(Input::Command(command));
            } else if let Some(done) = self.jobs.try_join_next_with_id() {
                inputs.push(self.joined(done));
            } else {
                break;
            }
        }
        inputs
    }

    /// Every arm may be dropped half-way: channels, notifications and timers lose nothing by it.
    async fn next_input(&mut self) -> Input {
        let now = self.doors.clock.now();
        let timer = tokio::time::sleep_until(self.next_look(now));
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Input::Shutdown,
            Some(done) = self.jobs.join_next_with_id(), if !self.jobs.is_empty() => self.joined(done),
            // Nobody is answered before the files were read: an answer would miss what stands there.
            command = self.commands.recv(), if self.looked && !self.unattended => match command {
                Some(command) => Input::Command(command),
                None => Input::Unattended,
            },
            () = self.wake.notified() => Input::Wake,
            () = self.files_changed.notified() => Input::Files,
            () = timer => if Instant::from_std(instant()) >= self.next_tick { Input::Tick } else { Input::Due },
        }
    }

    /// The tick, or the end of a hold if that comes first. The tick does not move when somebody talks to the loop.
    fn next_look(&self, now: Timestamp) -> Instant {
        let hold = self.plan.wake_at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        let hold = hold.map(|hold| Instant::from_std(instant()) + hold.max(Duration::from_millis(1)));
        let write = self.file.due().map(Instant::from_std);
        [hold, write].into_iter().flatten().fold(self.next_tick, Instant::min)
    }

    /// While agents run, a runner that died without a word is found sooner.
    fn set_next_tick(&mut self) {
        let tick = self.settings.config.engine.tick;
        let tick = if self.world.runs.is_empty() { tick } else { tick.min(WATCHFUL) };
        self.next_tick = Instant::from_std(instant()) + tick;
    }

    fn joined(&mut self, done: Result<(tokio::task::Id, (JobKey, Report)), tokio::task::JoinError>) -> Input {
        match done {
            Ok((id, (key, report))) => {
                self.keys.remove(&id);
                self.in_flight.remove(&key);
                Input::Report(key, report)
            }
            Err(error) => {
                let key = self.keys.remove(&error.id()).unwrap_or(JobKey::Look);
                self.in_flight.remove(&key);
                tracing::error!(job = ?key, %error, "a job ended without a report");
                Input::Report(key, Report::Broken(error.to_string()))
            }
        }
    }

    /// One turn: apply, plan, store, answer, act. Returns whether to leave.
    async fn turn(&mut self, inputs: Vec<Input>) -> bool {
        let now = self.doors.clock.now();
        let mut turn = Turn::default();
        turn.renew(&mut self.world);
        let mut leave = false;
        for input in inputs {
            leave |= self.apply_input(&mut turn, input, now);
        }
        self.settle_messages(&mut turn, now);
        self.plan_and_begin(&mut turn, now);
        turn.agreed = self.file.take_agreed_anew();
        let writes = turn.writes();
        self.metrics.count(&writes);
        if !self.store(&mut turn.replies, writes).await {
            return true;
        }
        self.world.put_settled_away(&turn);
        self.sidecars.extend(turn.touched_tasks().filter(|(_, task)| task.route.is_some()));
        self.file.touch(&turn.touched);
        for entry in turn.entries {
            let (task, run) = (entry.task_id.map(|id| id.0), entry.run_id.as_ref().map(RunId::as_str));
            tracing::info!(task, run, kind = entry.kind, text = entry.text.lines().next(), "history");
            // Nobody listening is fine.
            self.feed.send(entry).ok();
        }
        for reply in turn.replies {
            reply(None);
        }
        if !leave {
            self.act(now);
        }
        leave
    }

    fn apply_input(&mut self, turn: &mut Turn, input: Input, now: Timestamp) -> bool {
        match input {
            Input::Command(command) => self.on_command(turn, command, now),
            Input::Report(key, report) => {
                let again = self.again.remove(&key);
                self.on_report(turn, &key, report, now);
                match key {
                    JobKey::Look if again => self.look_at_runs(),
                    JobKey::ReadFiles if again => self.read_files(),
                    JobKey::Retain => self.upkeep.looked(),
                    // Everything else is begun again by the state that asks for it.
                    JobKey::Look
                    | JobKey::ReadFiles
                    | JobKey::WriteFile
                    | JobKey::Start(_)
                    | JobKey::Stop(_)
                    | JobKey::HandOver(..)
                    | JobKey::Judge(_)
                    | JobKey::Integrate(_)
                    | JobKey::TryRoute(_)
                    | JobKey::Sidecars
                    | JobKey::Index => {}
                }
            }
            Input::Files => self.read_files(),
            Input::Wake => self.look_at_runs(),
            Input::Due => self.lift_cooldowns(turn, now),
            Input::Tick => {
                self.set_next_tick();
                self.look_at_runs();
                self.lift_cooldowns(turn, now);
                self.read_files();
            }
            Input::Unattended => self.unattended = true,
            Input::Shutdown => return true,
        }
        false
    }

    fn lift_cooldowns(&mut self, turn: &mut Turn, now: Timestamp) {
        let over: Vec<String> =
            self.world.cooldowns.iter().filter(|(_, c)| c.until <= now).map(|(agent, _)| agent.clone()).collect();
        for agent in over {
            turn.put_cooldown(&mut self.world, &agent, None);
        }
    }

    /// Plans until nothing new begins by rule alone, so that one turn takes a task from new to started.
    fn plan_and_begin(&mut self, turn: &mut Turn, now: Timestamp) {
        for _ in 0..4 {
            let present = self.make_plan(now);
            let begun = self.looked && self.begin(turn, &present, now);
            self.plan = Arc::new(present);
            if !begun {
                break;
            }
        }
    }

    fn make_plan(&self, now: Timestamp) -> Plan {
        let dir_exists = |dir: &std::path::Path| dir.is_dir();
        let max = self.settings.config.engine.max_parallel as usize;
        plan(&self.world.snapshot(self.mode.scope(), max, &dir_exists), now)
    }

    pub(super) fn current_plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    /// Starts whatever the stored state says must be under way and is not.
    fn act(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        for run in self.world.runs.values() {
            let Some(task) = self.world.tasks.get(&run.task) else { continue };
            let stopping = matches!(task.state, State::InProgress { stopping: Some(_), .. });
            if run.phase == Phase::Running && stopping && self.asked_to_stop.insert(run.id.clone()) {
                due.push(Job::Stop { run: run.id.clone() });
            } else if run.phase == Phase::Starting && self.responsible_for(task.id) {
                let said = self.said_in_prompt(&run.id);
                due.push(Job::Start { task: Arc::clone(task), run: Box::new(run.clone()), said });
            }
        }
        for task in self.world.tasks.values().filter(|t| self.responsible_for(t.id)) {
            let State::InReview { run, review } = &task.state else { continue };
            match review {
                ReviewStage::Judging => due.push(Job::Judge { task: Arc::clone(task), run: run.clone() }),
                ReviewStage::Integrating { waiting } => {
                    if waiting.as_ref().is_none_or(|w| w.until <= now) {
                        due.push(Job::Integrate { task: Arc::clone(task), run: run.clone() });
                    }
                }
            }
        }
        due.extend(self.deliveries());
        for job in due {
            self.spawn_once(job);
        }
        let pause = if self.mode == Mode::Serve { WRITE_PAUSE } else { Duration::ZERO };
        if self.file.is_due(instant(), pause)
            && let Some(job) = self.file.next_write(&self.world)
        {
            self.spawn_once(job);
        }
        if self.file.holds_outline() && self.world.tasks.is_empty() {
            self.file.rest();
        }
        self.write_sidecars();
        self.keep_up();
    }

    fn write_sidecars(&mut self) {
        if self.in_flight.contains(&JobKey::Sidecars) || self.sidecars.is_empty() {
            return;
        }
        let tasks = std::mem::take(&mut self.sidecars).into_values().collect();
        self.spawn_once(Job::Sidecars { tasks });
    }

    pub(super) fn responsible_for(&self, task: TaskId) -> bool {
        match self.mode.scope() {
            Scope::All => true,
            Scope::Only(id) => id == task,
            Scope::Nothing => false,
        }
    }

    /// Starts a job unless the same is under way.
    pub(super) fn spawn_once(&mut self, job: Job) {
        let key = job.key();
        if !self.in_flight.insert(key.clone()) {
            // What the running one has looked at already may have changed since.
            self.again.insert(key);
            return;
        }
        let named = key.clone();
        let doors = Arc::clone(&self.doors);
        let settings = Arc::clone(&self.settings);
        let projects = self.world.projects.clone();
        let handle = self.jobs.spawn(async move {
            let report = job.run(&doors, &settings, &projects).await;
            (key, report)
        });
        self.keys.insert(handle.id(), named);
    }

    pub(super) fn look_at_runs(&mut self) {
        let running: Vec<_> =
            self.world.runs.values().filter(|run| run.phase == Phase::Running).map(|run| run.id.clone()).collect();
        if running.is_empty() {
            return;
        }
        self.spawn_once(Job::Look { runs: running, listen: self.tasks_with_messages() });
    }

    pub(super) fn read_files(&mut self) {
        if self.file.is_writing() {
            // What would be read is about to change; the end of the write reads again.
            return self.file.read_after_write();
        }
        self.spawn_once(Job::ReadFiles { known: self.file.known() });
    }

    pub(super) fn is_under_way(&self, key: &JobKey) -> bool {
        self.in_flight.contains(key)
    }

    pub(super) fn looked(&mut self) {
        self.looked = true;
    }

    fn settled(&self) -> bool {
        self.looked && self.in_flight.is_empty() && self.plan.actions.is_empty() && self.file.is_written()
    }

    /// Nothing will happen by itself any more.
    pub(super) fn idle(&self) -> bool {
        let waits_for_time =
            |reason: HoldReason, until: Option<Timestamp>| until.is_some() && reason != HoldReason::BaseDirty;
        self.settled()
            && self.world.runs.is_empty()
            && !self.plan.holds.iter().any(|(_, hold)| waits_for_time(hold.reason, hold.until))
    }

    fn fulfilled(&self) -> bool {
        match self.mode {
            Mode::Serve => false,
            Mode::Once => self.settled(),
            Mode::UntilIdle => self.idle(),
            Mode::Command | Mode::Task(_) => self.unattended && self.settled(),
        }
    }

    fn person_needed(&self) -> bool {
        self.world.tasks.values().any(|task| match &task.state {
            State::NeedsReview { .. } | State::Blocked(_) => true,
            State::Done | State::Cancelled { .. } => false,
            State::New { .. } | State::Routed { .. } | State::InProgress { .. } | State::InReview { .. } => {
                self.mode == Mode::UntilIdle
            }
        })
    }
}
