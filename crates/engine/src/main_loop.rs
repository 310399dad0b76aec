//! The one loop. Everything that happens becomes an input; a turn applies all inputs that are there, plans, stores what
//! changed as one transaction, and only then answers, publishes and acts. It never waits for anything slow.

mod due;
mod rest;

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::inputs::Input;
use crate::engine::planner::Planning;
use crate::engine::signals::EngineExit;
use crate::job::report::Report;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::base::ids::RunId;
use orch_core::planning::plan::{Capacity, Plan};
use orch_sys::clock::instant;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How many inputs one turn takes at most, so that a flood cannot keep the first of them waiting.
const INPUTS_PER_TURN: usize = 256;
/// How often one turn plans at most. Each time something begins, and what is left to begin gets less; tasks that wait for a
/// reviewer may each need one.
const ROUNDS: usize = 32;
/// The longest time between two polls while agents run.
const WATCHFUL: Duration = Duration::from_secs(2);

impl Engine {
    /// Runs until its mode is fulfilled or it is asked to leave.
    pub async fn run(mut self) -> EngineExit {
        self.read_manifest().await;
        let mut inputs = vec![Input::Files, Input::Wake];
        loop {
            let begun = instant();
            let stop = self.change_set(inputs).await;
            self.storage.turn_took(begun.elapsed());
            if stop || self.fulfilled() || self.departed() {
                break;
            }
            inputs = self.gather().await;
        }
        self.jobs.abort().await;
        self.depart().await
    }

    /// Waits for one input, then takes all that are there.
    async fn gather(&mut self) -> Vec<Input> {
        let mut inputs = vec![self.next_input().await];
        while inputs.len() < INPUTS_PER_TURN {
            if self.file.is_read()
                && let Some(command) = self.inputs.try_command()
            {
                inputs.push(Input::Command(command));
            } else if let Some((key, report)) = self.jobs.try_next() {
                inputs.push(self.ended(key, report));
            } else {
                break;
            }
        }
        inputs
    }

    /// Every arm may be dropped half-way: channels, notifications and timers lose nothing by it.
    async fn next_input(&mut self) -> Input {
        let now = self.deps.clock.now();
        let timer = tokio::time::sleep_until(self.next_wakeup(now));
        tokio::select! {
            biased;
            () = self.lifetime.stopped() => Input::Shutdown,
            () = self.storage.damaged() => Input::Damaged,
            Some((key, report)) = self.jobs.next() => self.ended(key, report),
            // No request is answered before the files were read: an answer would miss what they hold.
            input = self.inputs.next(self.file.is_read()) => input,
            () = self.deps.obstacles.changed() => Input::Due,
            () = timer => if self.instant() >= self.inputs.next_tick() { Input::Tick } else { Input::Due },
        }
    }

    /// The tick, or the end of a hold if that comes first. The tick does not move when a command reaches the loop.
    fn next_wakeup(&self, now: Timestamp) -> Instant {
        self.next_due(now).map_or(self.inputs.next_tick(), |due| due.min(self.inputs.next_tick()))
    }

    /// Returns when something is due by time alone.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Instant> {
        let hold =
            self.planner.current().wake_at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        let hold = hold.map(|hold| self.instant() + hold.max(Duration::from_millis(1)));
        let write = self.file.due().map(Instant::from_std);
        let leave = self.lifetime.deadline().map(Instant::from_std);
        let job = self.next_firing(now).map(|wait| self.instant() + wait);
        [hold, write, leave, job].into_iter().flatten().min()
    }

    fn instant(&self) -> Instant {
        Instant::from_std(self.deps.clock.instant())
    }

    /// While agents run, a runner that died without a word is found sooner.
    fn set_next_tick(&mut self) {
        let tick = self.settings.config.engine.tick;
        let tick = if self.state.runs.is_empty() { tick } else { tick.min(WATCHFUL) };
        self.inputs.set_next_tick(self.instant() + tick);
    }

    /// Takes over the report of a job.
    pub(crate) fn ended(&mut self, key: JobKey, report: Report) -> Input {
        self.jobs.end(&key);
        Input::Report(key, report)
    }

    /// Takes one turn: apply, plan, store, answer, act. Returns whether to leave.
    async fn change_set(&mut self, inputs: Vec<Input>) -> bool {
        let now = self.deps.clock.now();
        let (mut change_set, leave) = self.decide(inputs, now);
        if self.meets_damage(&mut change_set.replies) {
            return true;
        }
        let writes = change_set.writes();
        self.storage.count(&writes);
        if !self.store(&mut change_set.replies, writes).await {
            return true;
        }
        self.conclude(change_set, leave, now);
        self.begin_jobs();
        leave
    }

    /// Decides what follows from the inputs. Nothing of it happens before it is stored.
    pub(crate) fn decide(&mut self, inputs: Vec<Input>, now: Timestamp) -> (ChangeSet, bool) {
        let mut change_set = ChangeSet::default();
        change_set.renew(&mut self.state);
        self.arrive(&mut change_set, now);
        self.note_obstacles(&mut change_set, now);
        let mut leave = false;
        self.time_breakers(&mut change_set, now);
        for input in inputs {
            leave |= self.apply_input(&mut change_set, input, now);
        }
        self.settle_messages(&mut change_set, now);
        self.fire_jobs(&mut change_set, now);
        self.update_batches(&mut change_set, now);
        self.update_money(&mut change_set, now);
        self.plan_and_begin(&mut change_set, now);
        change_set.agreed = self.file.take_agreed_anew();
        change_set.missing = self.file.take_new_missing();
        (change_set, leave)
    }

    /// Publishes a turn that is stored, and queues the jobs that it asks for.
    pub(crate) fn conclude(&mut self, change_set: ChangeSet, leave: bool, now: Timestamp) {
        self.forget_what_was_left();
        self.state.put_settled_away(&change_set);
        self.storage.outdate_sidecars(change_set.touched_tasks().filter(|(_, task)| task.route.is_some()));
        self.file.touch(&change_set.touched);
        for entry in change_set.entries {
            let (task, run) = (entry.task_id.map(|id| id.0), entry.run_id.as_ref().map(RunId::as_str));
            tracing::info!(task, run, kind = entry.fact.kind(), text = entry.fact.text().lines().next(), "history");
            self.storage.publish(entry);
        }
        for reply in change_set.replies {
            reply(None);
        }
        if !leave && !self.departed() {
            self.act(now);
        }
    }

    fn apply_input(&mut self, change_set: &mut ChangeSet, input: Input, now: Timestamp) -> bool {
        match input {
            Input::Command(command) => self.on_command(change_set, command, now),
            Input::Report(key, report) => {
                let again = self.jobs.take_again(&key);
                self.on_report(change_set, &key, report, now);
                // Everything else is started again by the state that asks for it.
                if again && key == JobKey::Poll {
                    self.poll_runs();
                } else if again && key == JobKey::ReadFiles {
                    self.read_files();
                } else if key == JobKey::Retain {
                    self.watch.outputs_changed();
                }
            }
            Input::Files => self.read_files(),
            Input::Wake => self.poll_runs(),
            Input::Due => {
                self.lift_cooldowns(change_set, now);
                let instant = self.deps.clock.instant();
                if self.file.take_late(instant) {
                    self.read_files();
                }
                if self.file.take_scheduled_read(instant) {
                    self.file.read_anew();
                    self.read_files();
                }
            }
            Input::Tick => {
                self.set_next_tick();
                self.watch.ask_again();
                self.poll_runs();
                self.lift_cooldowns(change_set, now);
                self.watch_memory(change_set, now);
                self.read_files();
            }
            Input::Unattended => self.inputs.set_unattended(),
            // No one ordered that: how it was asked to leave, if it was, still counts.
            Input::Damaged => return true,
            Input::Shutdown => {
                self.lifetime.leave_at_once(self.deps.clock.instant());
                return true;
            }
        }
        false
    }

    fn lift_cooldowns(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let over: Vec<String> =
            self.state.cooldowns.iter().filter(|(_, c)| !c.is_active(now)).map(|(agent, _)| agent.clone()).collect();
        for agent in &over {
            change_set.put_cooldown(&mut self.state, agent, None);
        }
        if !over.is_empty() {
            self.apply_pauses(now);
        }
    }

    /// Plans until nothing new begins by rule alone, so that one turn takes a task from new to started.
    fn plan_and_begin(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        for _ in 0..ROUNDS {
            let mut present = self.make_plan(now);
            if present.needs_capacity && self.measure_machine(now) {
                present = self.make_plan(now);
            }
            if self.file.is_read() && self.pass_over_resting(change_set, &present, now) {
                present = self.make_plan(now);
            }
            let begun = self.file.is_read() && self.begin(change_set, &present, now);
            self.planner.keep(present);
            if !begun {
                break;
            }
        }
    }

    fn make_plan(&mut self, now: Timestamp) -> Plan {
        let model_cooldowns = self.unserved(now);
        let prices = self.prices_of_waiting(&self.settings.config.budget.rules(), now);
        let capacity = Capacity { model_cooldowns, prices, ..self.capacity_at(now) };
        let planning = Planning {
            scope: self.lifetime.mode().scope(),
            leaving: self.lifetime.leaving(),
            identity: self.settings.identity.as_str(),
            now,
        };
        self.planner.plan(&self.state, capacity, planning)
    }

    /// Returns whether a directory that is there belongs to a registered repository.
    pub(crate) fn is_registered(&self, dir: &Path) -> bool {
        self.planner.is_registered(dir, &self.state.project_dirs)
    }
}
