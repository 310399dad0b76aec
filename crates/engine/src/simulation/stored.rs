//! The journal of the simulation: what is stored, whole turn by whole turn, and what an engine finds at its start. Keeps
//! the same rules as the one on disk; that one has its own tests.

use super::rules::{Broken, Rules};
use crate::state::archive::Archive;
use jiff::Timestamp;
use orch_core::audit::history::{BatchFact, Fact, RunFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::cost::Charge;
use orch_core::economics::track_record::Sample;
use orch_core::operations::job::{Firing, FiringKey, JobId, JobRecord};
use orch_core::operations::pause::Pause;
use orch_core::operations::service::ServiceEntry;
use orch_core::planning::batch::Batch;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::message::{Message, MessageId, MessageState};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Phase, Run, Status, Task};
use orch_store::journal::{JournalError, Loaded, Project, Write};
use orch_store::tasks_file::Agreed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is on the disk.
#[derive(Debug, Default)]
pub struct Tables {
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    pub runs: BTreeMap<RunId, Run>,
    pub messages: BTreeMap<MessageId, Message>,
    pub cooldowns: BTreeMap<String, Cooldown>,
    pub breakers: BTreeMap<String, Breaker>,
    pub pauses: Vec<Pause>,
    pub service: Vec<ServiceEntry>,
    pub jobs: BTreeMap<JobId, Arc<JobRecord>>,
    pub firings: BTreeMap<FiringKey, Firing>,
    pub batches: BTreeMap<u64, Arc<Batch>>,
    pub last_recorded: u64,
    pub projects: Vec<Project>,
    pub spends: Vec<Record>,
    pub agreed: Option<Agreed>,
    pub missing: Vec<TaskId>,
    pub last_seq: u64,
    /// How many ends of batches stand in the history.
    pub batch_ends: usize,
    /// Runs whose end stands in the history.
    pub ended_runs: BTreeSet<RunId>,
}

/// A hand on it, which outlives every engine.
#[derive(Debug, Clone, Default)]
pub struct Stored(Arc<Mutex<Tables>>);

impl Stored {
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a turn, if it keeps the rules.
    pub fn commit(&self, writes: Vec<Write>, rules: &mut Rules) -> Result<(), Broken> {
        let mut tables = self.tables();
        rules.check_turn(&tables, &writes)?;
        for write in writes {
            tables.put(write);
        }
        Ok(())
    }

    /// What an engine finds.
    pub fn load(&self) -> Loaded {
        let tables = self.tables();
        let live_runs: Vec<Run> = tables.runs.values().filter(|run| run.phase != Phase::Ended).cloned().collect();
        let with_run: BTreeSet<TaskId> = live_runs.iter().map(|run| run.task).collect();
        let is_at_hand = |task: &&Arc<Task>| !task.is_settled() || with_run.contains(&task.id);
        let waits = |message: &&Message| message.state == MessageState::Queued;
        Loaded {
            tasks: tables.tasks.values().filter(is_at_hand).map(|task| (task.id, Arc::clone(task))).collect(),
            live_runs,
            projects: tables.projects.clone(),
            cooldowns: tables.cooldowns.clone(),
            breakers: tables.breakers.values().cloned().collect(),
            messages: tables.messages.values().filter(waits).cloned().collect(),
            last_message_id: tables.messages.keys().next_back().map_or(0, |id| id.0),
            agreed: tables.agreed,
            missing: tables.missing.clone(),
            last_seq: tables.last_seq,
            last_task_id: tables.tasks.keys().next_back().map_or(0, |id| id.0),
            unexamined: false,
            pauses: tables.pauses.clone(),
            service: tables.service.clone(),
            jobs: tables.jobs.values().map(|job| JobRecord::clone(job)).collect(),
            firings: tables.firings.values().filter(|firing| firing.is_open()).cloned().collect(),
            batches: tables.batches.values().filter(|one| one.end.is_none()).map(|one| Batch::clone(one)).collect(),
            last_batch: tables.batches.keys().next_back().copied().unwrap_or(0),
            last_recorded: tables.last_recorded,
        }
    }
}

impl Tables {
    fn put(&mut self, write: Write) {
        match write {
            Write::Task(task) => drop(self.tasks.insert(task.id, task)),
            Write::Run(run) => drop(self.runs.insert(run.id.clone(), *run)),
            Write::Entry(entry) => {
                self.last_seq = entry.seq;
                self.batch_ends += usize::from(matches!(entry.fact, Fact::Batch(BatchFact::Ended(_))));
                if matches!(entry.fact, Fact::Run(RunFact::Ended { .. })) {
                    self.ended_runs.extend(entry.run_id);
                }
            }
            Write::Project(project) => self.projects.push(project),
            Write::Unregister(dir) => self.projects.retain(|project| project.dir != dir),
            Write::Cooldown(agent, Some(cooldown)) => drop(self.cooldowns.insert(agent, cooldown)),
            Write::Cooldown(agent, None) => drop(self.cooldowns.remove(&agent)),
            Write::Breaker(target, Some(breaker)) => drop(self.breakers.insert(target, breaker)),
            Write::Breaker(target, None) => drop(self.breakers.remove(&target)),
            Write::Message(message) => drop(self.messages.insert(message.id, message)),
            Write::Pause(scope, pause) => {
                self.pauses.retain(|known| known.scope != scope);
                self.pauses.extend(pause);
            }
            Write::Service(entry) => self.service.push(entry),
            Write::Job(id, Some(record)) => drop(self.jobs.insert(id, record)),
            Write::Job(id, None) => drop(self.jobs.remove(&id)),
            Write::Firing(firing) => drop(self.firings.insert(firing.key(), firing)),
            Write::Batch(batch) => drop(self.batches.insert(batch.number, batch)),
            Write::Spend(record) => self.spends.push(record),
            Write::Recorded(recorded) => self.last_recorded = recorded.number,
            // Beside the loop: no turn writes them.
            Write::Kept(_) | Write::Answered(..) | Write::OutboxItem(..) => {}
            Write::Agreed(agreed) => self.agreed = agreed,
            Write::Missing(tasks) => self.missing = tasks,
        }
    }
}

impl Archive for Stored {
    fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError> {
        Ok(self.tables().tasks.get(&id).map(|task| Task::clone(task)))
    }

    fn settled_status(&self, id: TaskId) -> Result<Option<Status>, JournalError> {
        Ok(self.tables().tasks.get(&id).filter(|task| task.is_settled()).map(|task| task.status()))
    }

    fn last_work_run(&self, id: TaskId) -> Result<Option<Run>, JournalError> {
        let tables = self.tables();
        let runs = tables.runs.values().filter(|run| run.task == id && run.kind == RunKind::Work);
        Ok(runs.max_by_key(|run| run.id.ordinal()).cloned())
    }

    fn charges_since(&self, since: Timestamp) -> Result<Vec<Charge>, JournalError> {
        let tables = self.tables();
        let ended = |run: &Run| run.ended_at.filter(|at| run.phase == Phase::Ended && *at >= since);
        let charge = |run: &Run| {
            let task = tables.tasks.get(&run.task);
            Some(Charge {
                kind: run.kind,
                task: run.task,
                title: String::new(),
                project: task.and_then(|task| task.spec.dir.clone()),
                merged: false,
                agent: run.agent.clone(),
                model: run.model.clone(),
                ended_at: ended(run)?,
                cost: run.cost,
                computed: run.cost_computed,
            })
        };
        Ok(tables.runs.values().filter_map(charge).collect())
    }

    fn samples(&self) -> Result<Vec<Sample>, JournalError> {
        Ok(Vec::new())
    }

    fn answered(&self, _: &str) -> Result<Option<Answered>, JournalError> {
        Ok(None)
    }

    fn each_since(&self, _: Timestamp, _: &mut dyn FnMut(Fact)) -> Result<(), JournalError> {
        Ok(())
    }

    fn spends_since(&self, since: Timestamp) -> Result<Vec<Record>, JournalError> {
        Ok(self.tables().spends.iter().filter(|record| record.at >= since).cloned().collect())
    }
}
