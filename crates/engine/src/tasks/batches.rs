//! Batches: made, changed and given up by a person; what they have spent is kept beside their tasks' costs, and their end
//! is written in the turn in which the last of their tasks is over, so that it is reported once.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::state::{ChangeSet, EngineState};
use jiff::Timestamp;
use orch_core::audit::history::{BatchEnd, BatchFact};
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::planning::batch::{BadBatch, Batch, BatchName, End, Member, Row};
use orch_core::tasks::event::Event;
use orch_core::tasks::task::{State, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most characters of a title that a batch's report keeps.
const TITLE: usize = 120;

/// A batch to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// The name of the batch.
    pub name: BatchName,
    /// Its tasks, in their order.
    pub tasks: Vec<TaskId>,
    /// How many of its tasks may be busy at the same time.
    pub concurrency: u32,
    /// What it may spend.
    pub budget: Option<Usd>,
}

/// What a person asks of batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Creates a batch.
    Create(NewBatch),
    /// Change an open one; what is `None` stays.
    Set {
        /// The name of the batch.
        name: BatchName,
        /// How many of its tasks may be busy at the same time.
        concurrency: Option<u32>,
        /// What it may spend; `Some(None)`: as much as it takes.
        budget: Option<Option<Usd>>,
    },
    /// Give up what is not over of it.
    Cancel {
        /// The name of the batch.
        name: BatchName,
        /// Who cancels the batch.
        by: String,
    },
}

impl EngineState {
    /// Returns the open batch of a name.
    fn batch(&self, name: &BatchName) -> Option<&Arc<Batch>> {
        self.batches.values().find(|batch| batch.name == *name)
    }

    /// Returns the open batch that a task is in.
    fn batch_of(&self, task: TaskId) -> Option<&Arc<Batch>> {
        self.batches.values().find(|batch| batch.contains(task))
    }
}

impl ChangeSet {
    /// Stores a batch; one that has ended leaves the state.
    fn put_batch(&mut self, state: &mut EngineState, batch: Batch) -> Arc<Batch> {
        let batch = Arc::new(batch);
        match batch.end {
            None => drop(state.batches.insert(batch.number, Arc::clone(&batch))),
            Some(_) => drop(state.batches.remove(&batch.number)),
        }
        self.batches.insert(batch.number, Arc::clone(&batch));
        batch
    }
}

fn refused(bad: &BadBatch) -> EngineError {
    let (message, hint) = (bad.to_string(), bad.hint());
    match bad.is_conflict() {
        true => EngineError::NotNow { message, hint },
        false => EngineError::Invalid { message, hint: Some(hint) },
    }
}

impl Engine {
    pub(crate) fn order_batch(
        &mut self,
        change_set: &mut ChangeSet,
        order: Order,
        now: Timestamp,
    ) -> Result<Arc<Batch>, EngineError> {
        match order {
            Order::Create(new) => self.create_batch(change_set, new, now),
            Order::Set { name, concurrency, budget } => self.set_batch(change_set, &name, concurrency, budget, now),
            Order::Cancel { name, by } => self.cancel_batch(change_set, &name, &by, now),
        }
    }

    fn open_batch(&self, name: &BatchName) -> Result<Batch, EngineError> {
        let batch = self.state.batch(name).map(|batch| Batch::clone(batch));
        batch.ok_or_else(|| refused(&BadBatch::NotOpen(name.clone())))
    }

    fn create_batch(
        &mut self,
        change_set: &mut ChangeSet,
        new: NewBatch,
        now: Timestamp,
    ) -> Result<Arc<Batch>, EngineError> {
        let NewBatch { name, tasks, concurrency, budget } = new;
        let mut found = BTreeMap::new();
        // Few enough to be looked up one by one; more than may be are refused by their number.
        for id in tasks.iter().take(orch_core::planning::batch::MOST_TASKS) {
            match self.task(*id) {
                Ok(task) => drop(found.insert(*id, task)),
                Err(EngineError::NoTask(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let check = || {
            if self.state.batch(&name).is_some() {
                return Err(BadBatch::Exists(name.clone()));
            }
            BadBatch::check_concurrency(&name, concurrency)?;
            BadBatch::check_budget(&name, budget)?;
            let status = |id: TaskId| found.get(&id).map(|task| task.status());
            let batch_of = |id: TaskId| self.state.batch_of(id).map(|batch| batch.name.clone());
            BadBatch::check_tasks(&name, &tasks, status, batch_of)
        };
        check().map_err(|bad| refused(&bad))?;
        let member = |id: &TaskId| {
            let before = found.get(id).and_then(|task| task.cost).unwrap_or_default();
            Member { task: *id, before, spent: Usd::ZERO }
        };
        let members: Vec<Member> = tasks.iter().map(member).collect();
        self.state.last_batch += 1;
        let number = self.state.last_batch;
        let batch =
            Batch { number, name, members, concurrency, budget, created_at: now, cancelled_at: None, end: None };
        let (name, tasks) = (batch.name.clone(), batch.tasks().collect());
        change_set.note(&mut self.state, now, None, None, BatchFact::Created { name, tasks, concurrency, budget });
        Ok(change_set.put_batch(&mut self.state, batch))
    }

    fn set_batch(
        &mut self,
        change_set: &mut ChangeSet,
        name: &BatchName,
        concurrency: Option<u32>,
        budget: Option<Option<Usd>>,
        now: Timestamp,
    ) -> Result<Arc<Batch>, EngineError> {
        let before = self.open_batch(name)?;
        let concurrency = concurrency.unwrap_or(before.concurrency);
        let budget = budget.unwrap_or(before.budget);
        let check = BadBatch::check_concurrency(name, concurrency).and_then(|()| BadBatch::check_budget(name, budget));
        check.map_err(|bad| refused(&bad))?;
        let batch = Batch { concurrency, budget, ..before.clone() };
        if batch == before {
            return Ok(Arc::new(batch));
        }
        let fact = BatchFact::Changed { name: name.clone(), concurrency, budget };
        change_set.note(&mut self.state, now, None, None, fact);
        Ok(change_set.put_batch(&mut self.state, batch))
    }

    /// What is over stays as it is; what runs is being stopped, and the batch ends when it has.
    fn cancel_batch(
        &mut self,
        change_set: &mut ChangeSet,
        name: &BatchName,
        by: &str,
        now: Timestamp,
    ) -> Result<Arc<Batch>, EngineError> {
        let mut batch = self.open_batch(name)?;
        let mut given_up = 0;
        for id in batch.tasks().collect::<Vec<_>>() {
            if self.state.status(id).is_none_or(Status::is_final) {
                continue;
            }
            self.give_up(change_set, id, &format!("batch {name} was cancelled by {by}"), now);
            given_up += 1;
        }
        if !self.file.missing().is_empty() {
            // What the file lacks may be given up by that.
            self.file.read_anew();
            self.read_files();
        }
        batch.cancelled_at.get_or_insert(now);
        let (name, by, tasks) = (name.clone(), by.to_owned(), batch.members.len());
        change_set.note(&mut self.state, now, None, None, BatchFact::Cancelled { name, by, given_up, tasks });
        change_set.put_batch(&mut self.state, batch.clone());
        // It may be over by that already.
        self.update_batches(change_set, now);
        Ok(change_set.batches.get(&batch.number).map_or_else(|| Arc::new(batch), Arc::clone))
    }

    /// What a task of a batch delegates is work of the batch: it counts for its concurrency and its budget.
    pub(crate) fn join_batch(&mut self, change_set: &mut ChangeSet, whole: TaskId, parts: &[TaskId]) {
        if let Some(mut batch) = self.state.batch_of(whole).map(|batch| Batch::clone(batch)) {
            batch.add_subtasks(whole, parts);
            change_set.put_batch(&mut self.state, batch);
        }
    }

    fn give_up(&mut self, change_set: &mut ChangeSet, id: TaskId, reason: &str, now: Timestamp) {
        let task = self.state.tasks.get(&id).map(Arc::clone);
        // The answer to a cancelled routing question has no receiver: its run ends with it.
        if let Some(State::New { routing: Some(run), .. }) = task.as_ref().map(|task| &task.state) {
            self.drop_route_run(change_set, run.clone(), now);
        }
        let event = Event::CancelAsked { reason: reason.to_owned() };
        if let Err(error) = self.apply(change_set, id, &event, now) {
            tracing::warn!(task = %id, %error, "a task of a batch is not given up");
        }
    }

    /// What open batches have spent, and those of which everything is over.
    pub(crate) fn update_batches(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let open: Vec<Arc<Batch>> = self.state.batches.values().cloned().collect();
        for before in open {
            let mut batch = Batch::clone(&before);
            for id in before.tasks() {
                if let Some(cost) = self.state.tasks.get(&id).and_then(|task| task.cost) {
                    batch.record_cost(id, cost);
                }
            }
            if batch.is_spent() && !before.is_spent() {
                let (name, spent, raise) = (batch.name.clone(), batch.spent(), batch.raise_command());
                let fact = BatchFact::Spent { name, spent, budget: batch.budget, raise };
                change_set.note(&mut self.state, now, None, None, fact);
            }
            if batch.tasks().all(|id| self.is_over(id)) {
                let rows = self.rows_of(&batch);
                let fact = BatchFact::Ended(BatchEnd::new(&batch, rows.clone(), now));
                change_set.note(&mut self.state, now, None, None, fact);
                batch.end = Some(End { at: now, rows });
            }
            if batch != *before {
                change_set.put_batch(&mut self.state, batch);
            }
        }
    }

    /// A task that is lost for good holds nothing up.
    fn is_over(&self, id: TaskId) -> bool {
        match self.state.status(id) {
            Some(status) => status.is_final(),
            None => matches!(self.state.exists(id), Ok(false)),
        }
    }

    fn rows_of(&mut self, batch: &Batch) -> Vec<Row> {
        let row = |member: &Member| {
            let task = self.task(member.task).ok();
            let title = task.as_ref().map(|task| task.spec.title.chars().take(TITLE).collect());
            let status = task.as_ref().map_or(Status::Cancelled, |task| task.status());
            Row { task: member.task, title: title.unwrap_or_default(), status, spent: member.spent }
        };
        batch.members.iter().map(row).collect()
    }
}
