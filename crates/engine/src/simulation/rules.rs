//! What must hold after every turn, whatever happens. Looks at what is stored and at what is really there, and decides
//! nothing.

use super::batches;
use super::file::File;
use super::jobs;
use super::outside::Outside;
use super::stored::Tables;
use super::waits::Waits;
use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use jiff::Timestamp;
use orch_core::audit::history::{Fact, RunFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::planning::breaker::StateName;
use orch_core::planning::overlap::Overlap;
use orch_core::planning::plan::Hold;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::message::MessageState;
use orch_core::tasks::outcome::{FailureClass, Outcome, RunKind, Side};
use orch_core::tasks::task::{FileState, NextRun, Phase, ReviewStage, Run, State, Status, Task};
use orch_store::journal::{Entry, Write};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

pub(super) fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(otherwise())) }
}

/// The rules, and what they remember of the turn before.
#[derive(Debug, Default)]
pub struct Rules {
    /// What runs have cost.
    paid: super::money::Paid,
    max_attempts: u32,
    /// What the turn that is checked has started.
    launched: Vec<TaskId>,
    begun: batches::Begun,
    /// Integrations that the same turn took up again, whatever the slots.
    resumed: usize,
    /// Tasks that only this turn brought to the point where they can begin.
    fresh: BTreeSet<TaskId>,
    /// Tasks that were ever stored.
    tasks: BTreeSet<TaskId>,
    /// Tasks that somebody has taken out of the file on purpose, or may have.
    pub taken_out: BTreeSet<TaskId>,
    /// Tasks that somebody wants done again: by a command, or by the word `new` in the file.
    pub asked_again: BTreeSet<TaskId>,
    pub typed_new: BTreeSet<TaskId>,
    /// Tasks about whose work somebody has decided.
    pub ruled: BTreeSet<TaskId>,
    /// Tasks that somebody wants run although it is paused.
    pub past_pause: BTreeSet<TaskId>,
    /// How long each wait had to go when it was first seen.
    waits: Waits,
}

impl Rules {
    pub fn new(max_attempts: u32) -> Self {
        Self { max_attempts, ..Self::default() }
    }

    /// A turn that is about to be stored, beside what is stored.
    pub fn check_turn(&mut self, stored: &Tables, writes: &[Write]) -> Result<(), Broken> {
        self.launched.clear();
        self.fresh.clear();
        self.resumed = 0;
        let mut seq = stored.last_seq;
        self.paid.next_turn();
        for write in writes {
            self.paid.observe(write);
            if let Write::Task(task) = write {
                self.task_changes(stored, task)?;
            } else if let Write::Run(run) = write {
                run_changes(stored, run)?;
            } else if let Write::Entry(entry) = write {
                entry_follows(stored, entry, &mut seq)?;
            }
        }
        self.begun.check_turn(stored, writes)?;
        jobs::check_turn(stored, writes)
    }

    fn task_changes(&mut self, stored: &Tables, task: &Task) -> Result<(), Broken> {
        let id = task.id;
        self.tasks.insert(id);
        must(task.progress.attempts <= self.max_attempts, || {
            format!("task {id} has {} attempts", task.progress.attempts)
        })?;
        if let State::NeedsReview { question, choices, .. } = &task.state {
            must(!question.is_empty() && !choices.is_empty(), || format!("task {id} asks nothing"))?;
        }
        let before = stored.tasks.get(&id);
        if before.is_none_or(|before| before.status() != Status::Routed) {
            self.fresh.insert(id);
        }
        let Some(before) = before else { return made_once(stored, task) };
        self.resumed += usize::from(is_held(before) == Some(true) && is_held(task) == Some(false));
        must(task.runs >= before.runs, || format!("task {id} forgets runs"))?;
        if let (State::Done, State::InReview { run, .. }) = (&task.state, &before.state) {
            let commit = task.integration.as_ref().and_then(|integration| integration.commit.as_deref());
            must(commit == Some(run.as_str()), || {
                format!("task {id} is done with the work of another run: {commit:?}")
            })?;
        }
        if before.state == State::Done && task.state != State::Done {
            let is_asked = self.asked_again.remove(&id) || self.typed_new.remove(&id) || self.ruled.contains(&id);
            must(is_asked, || format!("task {id} was done, and is {} by itself", task.status().as_str()))?;
        }
        if let (
            State::InReview { review: ReviewStage::Judging, .. },
            State::InReview { review: ReviewStage::Integrating { .. }, .. },
        ) = (&before.state, &task.state)
        {
            parts_are_over(stored, task, "is accepted")?;
        }
        if task.state == State::Done && before.state != State::Done {
            // Typed before it was done; done counts.
            self.typed_new.remove(&id);
        }
        let given_up = task.file == FileState::Removed { gave_up: true } && task.file != before.file;
        must(!given_up || self.taken_out.contains(&id), || {
            format!("task {id} is given up, and nobody took it out of the file")
        })?;
        if let State::InProgress { run, .. } = &task.state
            && !stored.runs.contains_key(run)
        {
            self.launched.push(id);
            return launch_counts(stored, before, task);
        }
        must(task.progress.attempts <= before.progress.attempts, || {
            format!("task {id} counts an attempt that did not begin")
        })
    }

    /// Checks the state as the turn left it; the turn is stored, and what it starts has started.
    pub fn check_engine(&mut self, engine: &Engine, outside: &Outside, now: Timestamp) -> Result<(), Broken> {
        let plan = engine.planner.current();
        // Once for all: there may be as many tasks that wait for a slot as there are tasks.
        let busy = engine.state.tasks.values().filter(|task| takes_slot(task)).count();
        for task in engine.state.tasks.values() {
            is_cared_for((engine, busy), outside, task, now)?;
        }
        for run in engine.state.runs.values() {
            must(engine.state.tasks.contains_key(&run.task), || format!("run {} has no task", ordinal(&run.id)))?;
        }
        if !engine.file.is_read() {
            return Ok(());
        }
        jobs::check_engine(engine, now)?;
        self.begun.check_engine(engine, &self.launched, self.resumed)?;
        let leaving = engine.lifetime.leaving();
        must(leaving.is_none() || self.launched.is_empty(), || {
            format!("{:?} began while the daemon leaves", self.launched)
        })?;
        for task in self.launched.iter().filter_map(|id| engine.state.tasks.get(id)) {
            let agent = task.route.as_ref().map(|route| route.agent.as_str());
            let paused = engine.state.pauses.description(task.spec.dir.as_deref(), agent);
            let paused = paused.filter(|_| !self.past_pause.contains(&task.id));
            must(paused.is_none(), || format!("task {} began although {paused:?}", task.id))?;
        }
        self.waits.grow_shorter(engine, plan, now)?;
        must(plan.actions.is_empty(), || format!("{:?} could begin and does not", plan.actions))?;
        let max = engine.settings.config.engine.max_parallel as usize;
        let launched = self.launched.iter().filter_map(|id| engine.state.tasks.get(id));
        // What a person wants now begins whatever the slots, also after another one of the same turn.
        let (at_once, launched): (Vec<_>, Vec<_>) = launched.partition(|task| task.run_now);
        for task in launched {
            must(busy <= max + self.resumed + at_once.len(), || {
                format!("{busy} of {max} slots are busy after task {} began", task.id)
            })?;
            self.paid.allows(engine, task, now)?;
            let others = task.assigned_to_other(&engine.settings.identity);
            must(others.is_none(), || format!("task {} began and is claimed by {others:?}", task.id))?;
            let mut parts = engine.state.tasks.values().filter(|part| part.spec.parent == Some(task.id));
            if let Some(part) = parts.find(|part| !part.status().is_final()) {
                return Err(Broken(format!("task {} began before its part {}", task.id, part.id)));
            }
            for other in &task.spec.depends_on {
                let status = engine.state.status(*other);
                must(status == Some(Status::Done), || {
                    format!("task {} began and depends on {other}, which is {status:?}", task.id)
                })?;
            }
            let waits = plan.holds.iter().filter(|(_, hold)| hold.reason == HoldReason::Slots);
            // Where tasks hold each other up that meet in a file, one may have stepped back when there was room for it.
            let steps_back = engine.settings.config.workflow.overlap == Overlap::Hold;
            let waits = waits.filter(|(id, _)| !self.fresh.contains(id) && !steps_back);
            // A batch has an order of its own.
            let waits = waits.filter(|(id, _)| ![*id, task.id].iter().any(|id| batches::is_in_one(engine, *id)));
            for other in waits.filter_map(|(id, _)| engine.state.tasks.get(id)) {
                let rank = |task: &Task| (-task.spec.priority, task.id);
                must(rank(task) < rank(other), || format!("task {} began before {}", task.id, other.id))?;
            }
        }
        Ok(())
    }

    /// Nothing happens any more by itself: the file says what is stored, and everything in it is a task, once.
    pub fn check_file(stored: &Tables, file: &File) -> Result<(), Broken> {
        for task in stored.tasks.values().filter(|task| !task.file.is_removed()) {
            let (id, there) = (task.id, file.status(task.id));
            must(there == Some(task.status()), || {
                format!("task {id} is {} and {there:?} in tasks.yml", task.status().as_str())
            })?;
        }
        let born = |task: &&Arc<Task>| task.spec.title.starts_with("wish 10") && task.spec.title.len() > 7;
        let mut titles: Vec<&str> = stored.tasks.values().filter(born).map(|task| task.spec.title.as_str()).collect();
        let all = titles.len();
        titles.sort_unstable();
        titles.dedup();
        must(titles.len() == all, || format!("an entry became two tasks: {titles:?}"))
    }

    /// Nothing happens any more by itself.
    pub fn check_rest(&self, stored: &Tables, outside: &Outside) -> Result<(), Broken> {
        jobs::check_rest(stored)?;
        batches::check_rest(stored)?;
        for id in &self.tasks {
            must(stored.tasks.contains_key(id), || format!("task {id} is forgotten"))?;
        }
        for (id, agent) in &outside.agents {
            let name = ordinal(id);
            let Some(report) = &agent.report else {
                return Err(Broken(format!("the agent of run {name} works at the end of all time")));
            };
            let Some(run) = stored.runs.get(id) else { return Err(Broken(format!("run {name} is not recorded"))) };
            must(run.phase == Phase::Ended, || format!("the end of run {name} is not recorded"))?;
            let taken_back = run.kind == RunKind::Route && matches!(run.outcome, Some(Outcome::Cancelled { .. }));
            must(taken_back || run.cost == report.ending.cost, || format!("run {name} cost something else"))?;
            let ended_as = |outcome: &Outcome| matches!(outcome, Outcome::Failed(f) if is_about_time(f.class));
            let spurious = run.outcome.as_ref().is_some_and(ended_as) && !ended_as(&report.outcome());
            must(!spurious, || format!("run {name} is recorded as too slow, and was not: {:?}", run.outcome))?;
            let is_recorded = stored.ended_runs.contains(id) || run.kind != RunKind::Work;
            must(is_recorded, || format!("the history does not tell the end of run {name}"))?;
        }
        for task in stored.tasks.values() {
            let spent = stored.runs.values().filter(|run| run.task == task.id).filter_map(|run| run.cost);
            let spent: orch_core::base::money::Usd = spent.sum();
            must(task.cost.unwrap_or_default() == spent, || {
                format!("task {} cost {} and its runs {spent}", task.id, task.cost.unwrap_or_default())
            })?;
            let status = task.status();
            let rests = match &task.state {
                State::Done | State::Cancelled { .. } | State::NeedsReview { .. } | State::Blocked(_) => true,
                State::New { routing, .. } => routing.is_none() && task.spec.dir.is_none(),
                State::Routed { .. } => task.spec.dir.is_none(),
                State::InProgress { .. } | State::InReview { .. } => false,
            };
            must(rests, || format!("task {} is {} for ever", task.id, status.as_str()))?;
            if status == Status::Done {
                let merged = task.integration.as_ref().and_then(|i| i.commit.as_ref());
                let is_there = merged.is_some_and(|commit| outside.merged.iter().any(|run| run.as_str() == commit));
                must(is_there, || format!("task {} is done and its work is not in the base", task.id))?;
            }
        }
        for message in stored.messages.values().filter(|message| message.state == MessageState::Queued) {
            let over = stored.tasks.get(&message.task).is_none_or(|task| task.status().is_final());
            must(!over, || format!("message {} waits for ever", message.id))?;
        }
        Ok(())
    }
}

/// Whether accepted work is held up; `None`: it is not being integrated.
fn is_held(task: &Task) -> Option<bool> {
    let State::InReview { review: ReviewStage::Integrating { waiting, .. }, .. } = &task.state else { return None };
    Some(waiting.is_some())
}

/// A piece of a run's work becomes one task, however often its end is reported.
fn made_once(stored: &Tables, task: &Task) -> Result<(), Broken> {
    let Some(whole) = task.spec.parent else { return Ok(()) };
    let is_same = |other: &&Arc<Task>| other.spec.parent == Some(whole) && other.spec.title == task.spec.title;
    match stored.tasks.values().find(is_same) {
        Some(other) => {
            Err(Broken(format!("{:?} of task {whole} is task {} and task {}", task.spec.title, other.id, task.id)))
        }
        None => Ok(()),
    }
}

/// A task neither begins nor is accepted while a part of it is open.
fn parts_are_over(stored: &Tables, task: &Task, what: &str) -> Result<(), Broken> {
    let is_open = |part: &&Arc<Task>| part.spec.parent == Some(task.id) && !part.status().is_final();
    match stored.tasks.values().find(is_open) {
        Some(part) => Err(Broken(format!("task {} {what} before its part {}", task.id, part.id))),
        None => Ok(()),
    }
}

/// The attempt is counted once, and none for what the provider did.
fn launch_counts(stored: &Tables, before: &Task, task: &Task) -> Result<(), Broken> {
    let id = task.id;
    must(task.progress.attempts >= 1, || format!("task {id} runs without an attempt"))?;
    let of_task = |run: &&Run| run.task == id && run.kind == RunKind::Work;
    let live = stored.runs.values().filter(of_task).any(|run| run.phase != Phase::Ended);
    // The end of the last run may be part of the same turn: then it is stored together with this beginning.
    must(!live || matches!(before.state, State::InProgress { .. }), || format!("task {id} begins beside its own run"))?;
    let again = matches!(before.state, State::Routed { counts: false, .. });
    let of_provider = task.last_failure.as_ref().is_some_and(|failure| failure.class.side() == Side::Provider);
    let resumed = matches!(before.state, State::Routed { next: NextRun::Resumed { .. }, .. });
    must(!resumed || before.progress.attempts == task.progress.attempts, || {
        format!("task {id} counts a run that is resumed")
    })?;
    let same = before.progress.attempts.max(1) == task.progress.attempts;
    must(!(again && of_provider) || same, || format!("task {id} counts an attempt for a failure of its provider"))?;
    must(task.progress.attempts <= before.progress.attempts + 1, || format!("task {id} counts an attempt twice"))
}

fn run_changes(stored: &Tables, run: &Run) -> Result<(), Broken> {
    let name = ordinal(&run.id);
    must(run.phase != Phase::Ended || run.outcome.is_some(), || format!("run {name} ended, and nobody knows how"))?;
    match stored.runs.get(&run.id) {
        None => must(run.phase != Phase::Running, || format!("run {name} was acted upon before it was stored")),
        Some(before) if before.phase == Phase::Ended => {
            let same_end = run.phase == Phase::Ended && run.cost == before.cost && run.ended_at == before.ended_at;
            must(same_end, || format!("the end of run {name} is recorded twice"))
        }
        Some(_) => Ok(()),
    }
}

fn entry_follows(stored: &Tables, entry: &Entry, seq: &mut u64) -> Result<(), Broken> {
    must(entry.seq == *seq + 1, || format!("the history jumps from {seq} to {}", entry.seq))?;
    *seq = entry.seq;
    let twice = matches!(entry.fact, Fact::Run(RunFact::Ended { .. }))
        && entry.run_id.as_ref().is_some_and(|run| stored.ended_runs.contains(run));
    must(!twice, || format!("the history tells an end twice: {}", entry.fact.text()))
}

/// The task has something that moves it on, and orch can say what.
fn is_cared_for(
    (engine, busy): (&Engine, usize),
    outside: &Outside,
    task: &Task,
    now: Timestamp,
) -> Result<(), Broken> {
    let id = task.id;
    let hold = || {
        let plan = engine.planner.current();
        plan.hold(id)
            .cloned()
            .ok_or_else(|| Broken(format!("task {id} waits ({:?}), and nobody knows for what", task.state)))
    };
    let live = |run: &RunId| engine.state.runs.contains_key(run);
    let forgotten = |what: &str| format!("task {id} is forgotten: {what}");
    match &task.state {
        State::Done | State::Cancelled { .. } | State::NeedsReview { .. } => Ok(()),
        State::New { routing: Some(run), .. } => {
            must(live(run), || forgotten("nobody answers its routing question"))?;
            must(is_moved_on(engine, run), || forgotten("its routing question is not begun"))
        }
        State::InProgress { run, stopping, .. } => {
            must(live(run), || forgotten("it has no run"))?;
            must(is_moved_on(engine, run), || forgotten("its run is not begun"))?;
            if stopping.is_some() { hold().map(drop) } else { Ok(()) }
        }
        State::InReview { run, review: ReviewStage::Judging } => {
            must(engine.jobs.is_under_way(&JobKey::Judge(run.clone())), || forgotten("nobody judges it"))
        }
        State::InReview { run, review: ReviewStage::Integrating { waiting: None, order } } => {
            let is_good = outside.accepted.contains(run) || order.is_some();
            must(is_good, || format!("task {id} is integrated, and run {} was not accepted", ordinal(run)))?;
            let is_seen = outside.reviewed.get(run) != Some(&false) || order.is_some();
            must(is_seen, || format!("task {id} is integrated, and no reviewer has approved run {}", ordinal(run)))?;
            must(engine.jobs.is_under_way(&JobKey::Integrate(run.clone())), || forgotten("nobody integrates it"))
        }
        State::InReview { review: ReviewStage::Reviewing { review: Some(run), .. }, .. } => {
            must(live(run), || forgotten("nobody reviews it"))?;
            must(is_moved_on(engine, run), || forgotten("its review is not begun"))
        }
        State::InReview {
            review: ReviewStage::Integrating { waiting: Some(_), .. } | ReviewStage::Reviewing { review: None, .. },
            ..
        } if !engine.file.is_read() => Ok(()),
        State::New { .. } | State::Routed { .. } | State::Blocked(_) if !engine.file.is_read() => Ok(()),
        State::InReview {
            review: ReviewStage::Integrating { waiting: Some(_), .. } | ReviewStage::Reviewing { review: None, .. },
            ..
        }
        | State::New { routing: None, .. }
        | State::Routed { .. }
        | State::Blocked(_) => ends((engine, busy), outside, task, &hold()?, now),
    }
}

/// A run that is recorded runs, or is being started.
fn is_moved_on(engine: &Engine, run: &RunId) -> bool {
    let starting = engine.state.runs.get(run).is_some_and(|run| run.phase == Phase::Starting);
    !starting || engine.jobs.is_under_way(&JobKey::Start(run.clone()))
}

/// The hold has an end: a time at which the engine wakes, something that it waits for, or a person who is asked.
/// So many slots are `busy`.
fn ends(
    (engine, busy): (&Engine, usize),
    outside: &Outside,
    task: &Task,
    hold: &Hold,
    now: Timestamp,
) -> Result<(), Broken> {
    let id = task.id;
    if let Some(until) = hold.until {
        let wakes = engine.planner.current().wake_at.is_some_and(|at| at <= until);
        return must(until > now && wakes, || format!("task {id} waits until {until}, and nobody wakes then"));
    }
    let max = engine.settings.config.engine.max_parallel as usize;
    let really = match hold.reason {
        HoldReason::Slots => busy >= max,
        HoldReason::Dependency => {
            task.spec.depends_on.iter().any(|other| engine.state.status(*other) != Some(Status::Done))
        }
        HoldReason::MissingDir => outside.dir_seen_gone.load(std::sync::atomic::Ordering::Relaxed),
        HoldReason::NoProject => task.spec.dir.is_none(),
        HoldReason::InvalidEntry => engine.state.invalid.contains_key(&id),
        HoldReason::Breaker => engine.state.breakers.values().any(|one| one.state_name() == StateName::HalfOpen),
        HoldReason::Paused | HoldReason::Review => engine.state.pauses.iter().next().is_some(),
        HoldReason::ShuttingDown => engine.lifetime.leaving().is_some(),
        HoldReason::Overlap => {
            let runs = |other: &&Arc<Task>| takes_slot(other) && other.id != id;
            engine.state.tasks.values().any(|other| runs(&other))
        }
        HoldReason::Claimed => task.assigned_to_other(&engine.settings.identity).is_some(),
        HoldReason::Children => {
            engine.state.tasks.values().any(|part| part.spec.parent == Some(id) && !part.status().is_final())
        }
        HoldReason::BatchSlots => batches::is_full(engine, id),
        HoldReason::BatchBudget => batches::is_spent(engine, id),
        HoldReason::Setup => false,
        HoldReason::Config => engine.settings.unread.is_some() || !engine.settings.unread_projects.is_empty(),
        HoldReason::NotApproved => !engine.settings.unapproved_projects().is_empty(),
        HoldReason::Spent => engine.planner.capacity().balances.stops.iter().any(|stop| stop.until.is_none()),
        HoldReason::AgentSlots
        | HoldReason::ProjectSlots
        | HoldReason::Load
        | HoldReason::Memory
        | HoldReason::Disk
        | HoldReason::Routing
        | HoldReason::Backoff
        | HoldReason::RateLimited
        | HoldReason::Overloaded
        | HoldReason::Network
        | HoldReason::Auth
        | HoldReason::Budget
        | HoldReason::Agent
        | HoldReason::BaseDirty
        | HoldReason::NoDaemon
        | HoldReason::Locked
        | HoldReason::System
        | HoldReason::Stopping => false,
    };
    must(really, || format!("task {id} waits for {:?}, which nothing ends", hold.reason))
}

fn is_about_time(class: FailureClass) -> bool {
    matches!(class, FailureClass::Timeout | FailureClass::Stalled)
}

pub(super) fn takes_slot(task: &Task) -> bool {
    match &task.state {
        State::InProgress { .. } | State::InReview { review: ReviewStage::Judging, .. } => true,
        State::InReview { review: ReviewStage::Integrating { waiting, .. }, .. } => waiting.is_none(),
        State::InReview { review: ReviewStage::Reviewing { review, .. }, .. } => review.is_some(),
        State::New { .. }
        | State::Routed { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => false,
    }
}

/// A run without the random part of its name.
pub fn ordinal(run: &RunId) -> String {
    format!("{}-{}", run.task().map_or(0, |task| task.0), run.ordinal().unwrap_or(0))
}
