//! The replay: policies on recorded outcomes, with cross-validation. What is learned for a task comes from other folds
//! than its own, and a simulated gate errs as it is told to. Same outcomes, same seeds, same result.

use super::decide::{Attempt, Decision, Situation, decide};
use super::dice::Dice;
use super::frontier::best_cascade;
use super::learned::Learned;
use super::outcomes::{Outcomes, TaskOutcomes};
use super::{Gate, Policy, PolicyError};
use crate::money::Usd;

/// What a draw is for; part of what it is drawn from.
const FOR_FOLDS: u64 = 1;
const FOR_VERDICTS: u64 = 2;
const FOR_EXPLORING: u64 = 3;

/// How a replay is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// How the simulated gate errs.
    pub gate: Gate,
    /// The first seed.
    pub seed: u64,
    /// How many seeds, from the first one on; at least 1.
    pub seeds: usize,
    /// How many folds; at least 2, and at most as many as there are tasks.
    pub folds: usize,
}

/// Who is replayed.
#[derive(Debug, Clone)]
pub enum Contender {
    /// A policy as it is.
    Given(Policy),
    /// The best plain cascade of at most so many models, found anew on each fold's training tasks.
    Cascade {
        /// What a resolved task is worth to whoever picks it, in multiples of the best single model's.
        worth: f64,
        /// Most models in it.
        steps: usize,
    },
}

/// What became of one task in one replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Models tried, as columns of [`Outcomes::models`], in their order.
    pub tried: Vec<usize>,
    /// The model whose result was delivered; `None`: a person was asked.
    pub delivered: Option<usize>,
    /// What was delivered resolves the task.
    pub resolved: bool,
    /// What all attempts cost.
    pub cost: Usd,
    /// Calls of all attempts.
    pub calls: u64,
}

/// All tasks of one contender with one seed, in the order of [`Outcomes::tasks`].
pub type Pass = Vec<Played>;

/// Why a replay cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The policy cannot be followed on these outcomes.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nothing would be left to learn from, or to test on.
    #[error("{folds} folds of {tasks} tasks: expected 2 folds to as many as there are tasks")]
    Folds {
        /// How many folds.
        folds: usize,
        /// How many tasks.
        tasks: usize,
    },
    /// No replay at all.
    #[error("0 seeds: expected 1 or more")]
    Seeds,
}

/// Replays every contender with every seed: for each contender one pass for each seed.
///
/// # Errors
/// The setting or a policy does not fit the outcomes.
pub fn replay(outcomes: &Outcomes, contenders: &[Contender], setting: &Setting) -> Result<Vec<Vec<Pass>>, ReplayError> {
    if setting.seeds == 0 {
        return Err(ReplayError::Seeds);
    }
    if !(2..=outcomes.tasks.len()).contains(&setting.folds) {
        return Err(ReplayError::Folds { folds: setting.folds, tasks: outcomes.tasks.len() });
    }
    for contender in contenders {
        if let Contender::Given(policy) = contender {
            policy.check()?;
            must_know(policy, outcomes)?;
        }
    }
    let mut passes: Vec<Vec<Pass>> = contenders.iter().map(|_| Vec::with_capacity(setting.seeds)).collect();
    for at in 0..setting.seeds {
        let seed = setting.seed.wrapping_add(at as u64);
        for (all, pass) in passes.iter_mut().zip(one_seed(outcomes, contenders, setting, seed)) {
            all.push(pass);
        }
    }
    Ok(passes)
}

fn must_know(policy: &Policy, outcomes: &Outcomes) -> Result<(), PolicyError> {
    let ladders = policy.groups.iter().map(|(group, ladder)| (format!("groups.{group}"), ladder));
    for (key, ladder) in std::iter::once(("ladder".to_owned(), &policy.ladder)).chain(ladders) {
        if let Some(model) = ladder.iter().find(|model| !outcomes.models.contains(model)) {
            return Err(PolicyError::Unknown { key, model: model.clone(), known: outcomes.models.join(", ") });
        }
    }
    Ok(())
}

fn one_seed(outcomes: &Outcomes, contenders: &[Contender], setting: &Setting, seed: u64) -> Vec<Pass> {
    let fold_of = folds(outcomes.tasks.len(), setting.folds, seed);
    let mut passes: Vec<Vec<Option<Played>>> = contenders.iter().map(|_| vec![None; outcomes.tasks.len()]).collect();
    for fold in 0..setting.folds {
        let training: Vec<&TaskOutcomes> =
            outcomes.tasks.iter().zip(&fold_of).filter(|(_, of)| **of != fold).map(|(task, _)| task).collect();
        for (contender, pass) in contenders.iter().zip(&mut passes) {
            let policy = policy_for(contender, &training, outcomes, setting.gate);
            let learned = Learned::from_tasks(&training, &outcomes.models, policy.learning);
            for (at, task) in outcomes.tasks.iter().enumerate().filter(|(at, _)| fold_of[*at] == fold) {
                let verdicts = verdicts(task, setting.gate, seed, at);
                let draw = Dice::of(seed, &[FOR_EXPLORING, at as u64]).unit();
                pass[at] = Some(play(&policy, &learned, task, &verdicts, draw));
            }
        }
    }
    passes.into_iter().map(|pass| pass.into_iter().flatten().collect()).collect()
}

/// What the contender does once it has seen the training tasks.
fn policy_for(contender: &Contender, training: &[&TaskOutcomes], outcomes: &Outcomes, gate: Gate) -> Policy {
    match contender {
        Contender::Given(policy) => policy.clone(),
        Contender::Cascade { worth, steps } => {
            let columns = best_cascade(training, gate, *worth, *steps);
            Policy::cascade(columns.into_iter().map(|column| outcomes.models[column].clone()).collect(), gate)
        }
    }
}

/// The fold of each task: a shuffled deck dealt to the folds.
fn folds(tasks: usize, folds: usize, seed: u64) -> Vec<usize> {
    let mut dice = Dice::of(seed, &[FOR_FOLDS]);
    let mut deck: Vec<usize> = (0..tasks).collect();
    for last in (1..tasks).rev() {
        deck.swap(last, dice.below(last + 1));
    }
    let mut fold_of = vec![0; tasks];
    for (at, task) in deck.into_iter().enumerate() {
        fold_of[task] = at % folds;
    }
    fold_of
}

/// What the gate says of each model's result. A gate that errs more errs wherever a better one does, so that gates can
/// be compared on the same draws.
fn verdicts(task: &TaskOutcomes, gate: Gate, seed: u64, at: usize) -> Vec<bool> {
    let verdict = |(model, cell): (usize, &super::outcomes::Cell)| {
        let draw = Dice::of(seed, &[FOR_VERDICTS, at as u64, model as u64]).unit();
        if cell.resolved { draw >= gate.false_reject } else { draw < gate.false_accept }
    };
    task.cells.iter().enumerate().map(verdict).collect()
}

/// Follows a policy through one task.
fn play(policy: &Policy, learned: &Learned, task: &TaskOutcomes, verdicts: &[bool], draw: f64) -> Played {
    let mut attempts: Vec<Attempt> = Vec::new();
    let delivered = loop {
        match decide(policy, learned, &Situation { group: &task.group, attempts: &attempts, draw }) {
            Decision::Accept { attempt, confidence: _ } => break Some(attempts[attempt].model),
            Decision::Ask { confidence: _ } => break None,
            Decision::Try { model, prospect: _ } => {
                let cell = task.cells[model];
                let accepted = verdicts[model];
                attempts.push(Attempt { model, cost: Some(cell.cost), calls: Some(cell.calls), accepted });
            }
        }
    };
    let tried: Vec<usize> = attempts.iter().map(|attempt| attempt.model).collect();
    Played {
        delivered,
        resolved: delivered.is_some_and(|model| task.cells[model].resolved),
        cost: tried.iter().map(|model| task.cells[*model].cost).sum(),
        calls: tried.iter().map(|model| u64::from(task.cells[*model].calls)).sum(),
        tried,
    }
}
