//! Batches in the simulation, and their rules: never more of one busy than may be, nothing started beyond its budget,
//! and its end reported exactly once, when everything of it is over.

use super::dice::Dice;
use super::rules::{Broken, must, takes_slot};
use super::scenario::{Act, Millis, Step};
use super::stored::Tables;
use crate::engine::Engine;
use orch_core::audit::history::{BatchFact, Fact};
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::planning::batch::Batch;
use orch_core::tasks::task::{Run, Task};
use orch_store::journal::Write;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What people do with batches in the scenario of a seed: often nothing.
pub fn steps(seed: u64, wishes: usize, lasts: Millis) -> Vec<Step> {
    // Dice of their own: the other steps of a seed stay what they were.
    let mut dice = Dice::fate(seed, &[6]);
    let mut steps = Vec::new();
    if dice.chance(40) {
        return steps;
    }
    let batches = dice.between(1, 4);
    for _ in 0..dice.between(2, 16) {
        let at = dice.below(lasts);
        let batch = usize::try_from(dice.below(batches)).expect("small");
        let (concurrency, budget) = (dice.pick(&[1, 1, 2, 3]), dice.pick(&[None, None, Some(60_000), Some(400_000)]));
        let act = match dice.below(10) {
            0..5 => {
                let of: BTreeSet<usize> = (0..wishes).filter(|_| dice.chance(60)).collect();
                let mut of: Vec<usize> = of.into_iter().collect();
                if dice.chance(50) {
                    of.reverse();
                }
                Act::Batch { batch, of, concurrency, budget }
            }
            5..7 => Act::SetBatch { batch, concurrency, budget },
            _ => Act::CancelBatch(batch),
        };
        steps.push(Step { at, act });
    }
    steps
}

/// What batches have to do with a turn that was stored.
#[derive(Debug, Default)]
pub struct Begun(Vec<TaskId>);

impl Begun {
    /// A turn that is about to be stored, beside what is stored.
    pub fn check_turn(&mut self, stored: &Tables, writes: &[Write]) -> Result<(), Broken> {
        self.0.clear();
        let mut batches: BTreeMap<u64, &Batch> = stored.batches.iter().map(|(id, batch)| (*id, &**batch)).collect();
        let mut tasks: BTreeMap<TaskId, &Task> = BTreeMap::new();
        let (mut ended, mut reported) = (0, 0);
        for write in writes {
            if let Write::Task(task) = write {
                tasks.insert(task.id, task);
            } else if let Write::Run(run) = write {
                self.run_begins(stored, run);
            } else if let Write::Entry(entry) = write {
                reported += usize::from(matches!(entry.fact, Fact::Batch(BatchFact::Ended(_))));
            } else if let Write::Batch(batch) = write {
                let before = batches.insert(batch.number, batch);
                let is_over = before.is_some_and(|before| before.end.is_some());
                must(!is_over, || format!("batch {} is changed after its end", batch.name))?;
                ended += usize::from(batch.end.is_some());
            }
        }
        must(ended == reported, || format!("{ended} batches end, and {reported} ends are reported"))?;
        let task = |id: TaskId| tasks.get(&id).copied().or_else(|| stored.tasks.get(&id).map(|task| &**task));
        let mut members = BTreeSet::new();
        for batch in batches.values() {
            if stored.batches.get(&batch.number).is_some_and(|before| before.end.is_some()) {
                continue;
            }
            adds_up(batch, &task)?;
            if batch.end.is_none() {
                let twice = batch.tasks().find(|id| !members.insert(*id));
                must(twice.is_none(), || format!("task {twice:?} is in two batches"))?;
            }
        }
        Ok(())
    }

    fn run_begins(&mut self, stored: &Tables, run: &Run) {
        if !stored.runs.contains_key(&run.id) {
            self.0.push(run.task);
        }
    }

    /// Checks the state as the turn left it: what it has started was allowed to start.
    pub fn check_engine(&self, engine: &Engine, launched: &[TaskId], resumed: usize) -> Result<(), Broken> {
        for batch in engine.state.batches.values() {
            let of = |id: &&TaskId| batch.contains(**id);
            let by_itself = |id: &&TaskId| engine.state.tasks.get(*id).is_some_and(|task| !task.run_now);
            let beyond = self.0.iter().filter(of).find(by_itself).filter(|_| batch.is_spent());
            must(beyond.is_none(), || {
                format!("task {beyond:?} began, and its batch has spent {}", batch.describe_spending())
            })?;
            let begun: Vec<&TaskId> = launched.iter().filter(of).collect();
            let at_once = begun.iter().filter(|id| !by_itself(id)).count();
            let (busy, most) = (busy(engine, batch), batch.concurrency as usize);
            must(begun.len() == at_once || busy <= most + at_once + resumed, || {
                format!("{busy} of {most} of batch {} are busy after {begun:?} began", batch.name)
            })?;
        }
        Ok(())
    }
}

/// What a batch has spent is what its tasks have cost since they are in it, and it is over when they are.
fn adds_up<'a>(batch: &Batch, task: &impl Fn(TaskId) -> Option<&'a Task>) -> Result<(), Broken> {
    let mut is_open = false;
    for member in &batch.members {
        let Some(task) = task(member.task) else {
            return Err(Broken(format!("batch {} holds task {}, which is not", batch.name, member.task)));
        };
        let cost = task.cost.unwrap_or_default().micros() - member.before.micros();
        must(member.spent == Usd::from_micros(cost), || {
            format!("batch {} has {} for task {}, which cost {cost} there", batch.name, member.spent, member.task)
        })?;
        is_open |= !task.status().is_final();
    }
    must(batch.end.is_none() || !is_open, || format!("batch {} ends before its tasks", batch.name))?;
    must(batch.end.is_some() || is_open, || format!("everything of batch {} is over, and it is open", batch.name))
}

/// Nothing happens any more by itself.
pub fn check_rest(stored: &Tables) -> Result<(), Broken> {
    let ended = stored.batches.values().filter(|batch| batch.end.is_some()).count();
    must(stored.batch_ends == ended, || {
        format!("{ended} batches have ended, and {} ends were reported", stored.batch_ends)
    })
}

fn batch_of(engine: &Engine, task: TaskId) -> Option<&Arc<Batch>> {
    engine.state.batches.values().find(|batch| batch.contains(task))
}

/// Whether a batch has an order of its own for this task.
pub fn is_in_one(engine: &Engine, task: TaskId) -> bool {
    batch_of(engine, task).is_some()
}

fn busy(engine: &Engine, batch: &Batch) -> usize {
    engine.state.tasks.values().filter(|task| batch.contains(task.id) && takes_slot(task)).count()
}

/// Returns whether as many of the task's batch are busy as may be.
pub fn is_full(engine: &Engine, task: TaskId) -> bool {
    batch_of(engine, task).is_some_and(|batch| busy(engine, batch) >= batch.concurrency as usize)
}

/// The task's batch has spent its budget.
pub fn is_spent(engine: &Engine, task: TaskId) -> bool {
    batch_of(engine, task).is_some_and(|batch| batch.is_spent())
}
