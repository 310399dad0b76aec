//! The replay: policies on recorded outcomes, with cross-validation. What is learned for a task comes from other folds
//! than its own, and a simulated gate errs at the given rates. The same outcomes and seeds give the same result.

use super::decide::{Attempt, Decision, Situation, decide};
use super::dice::Dice;
use super::frontier::best_cascade;
use super::learned::Learned;
use super::outcomes::{Outcomes, TaskOutcomes};
use super::{Gate, Policy, PolicyError};
use crate::base::money::Usd;

/// The purposes of random numbers, for [`Dice`].
const FOR_FOLDS: u64 = 1;
const FOR_VERDICTS: u64 = 2;
const FOR_EXPLORING: u64 = 3;

/// The settings of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The error rates of the simulated gate.
    pub gate: Gate,
    /// The first seed.
    pub seed: u64,
    /// The number of seeds, from the first one on; at least 1.
    pub seeds: usize,
    /// The number of folds; at least 2, and at most the number of tasks.
    pub folds: usize,
}

/// A strategy that is replayed.
#[derive(Debug, Clone)]
pub enum Contender {
    /// A given policy.
    Given(Policy),
    /// The best plain cascade of limited length, computed on the training tasks of each fold.
    Cascade {
        /// The worth of a resolved task for the choice, in multiples of its cost with the best single model.
        worth: f64,
        /// The most models in the cascade.
        steps: usize,
    },
}

/// The result of one task in one replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The tried models, as columns of [`Outcomes::models`], in order.
    pub tried: Vec<usize>,
    /// The model whose result was delivered; `None`: a person was asked.
    pub delivered: Option<usize>,
    /// Whether the delivered result resolves the task.
    pub resolved: bool,
    /// The cost of all attempts.
    pub cost: Usd,
    /// The calls of all attempts.
    pub calls: u64,
}

/// All tasks of one contender with one seed, in the order of [`Outcomes::tasks`].
pub type Pass = Vec<Played>;

/// Why a replay is not possible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The policy is not valid for these outcomes.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Training or test data would be empty.
    #[error("{folds} folds of {tasks} tasks: expected 2 folds to as many as there are tasks")]
    Folds {
        /// The number of folds.
        folds: usize,
        /// The number of tasks.
        tasks: usize,
    },
    /// The number of seeds is 0.
    #[error("0 seeds: expected 1 or more")]
    Seeds,
}

/// Replays every contender with every seed and returns one pass per seed for each contender.
///
/// # Errors
/// Returns an error if the settings or a policy do not fit the outcomes.
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
                let draw = Dice::for_purpose(seed, &[FOR_EXPLORING, at as u64]).unit();
                pass[at] = Some(play(&policy, &learned, task, &verdicts, draw));
            }
        }
    }
    passes.into_iter().map(|pass| pass.into_iter().flatten().collect()).collect()
}

/// Returns the contender's policy after learning from the training tasks.
fn policy_for(contender: &Contender, training: &[&TaskOutcomes], outcomes: &Outcomes, gate: Gate) -> Policy {
    match contender {
        Contender::Given(policy) => policy.clone(),
        Contender::Cascade { worth, steps } => {
            let columns = best_cascade(training, gate, *worth, *steps);
            Policy::cascade(columns.into_iter().map(|column| outcomes.models[column].clone()).collect(), gate)
        }
    }
}

/// Assigns each task to a fold by dealing a shuffled deck.
fn folds(tasks: usize, folds: usize, seed: u64) -> Vec<usize> {
    let mut dice = Dice::for_purpose(seed, &[FOR_FOLDS]);
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

/// Returns the gate's verdict on each model's result. A gate with a higher error rate errs wherever one with a lower
/// rate does, so that gates can be compared on the same draws.
fn verdicts(task: &TaskOutcomes, gate: Gate, seed: u64, at: usize) -> Vec<bool> {
    let verdict = |(model, cell): (usize, &super::outcomes::Cell)| {
        let draw = Dice::for_purpose(seed, &[FOR_VERDICTS, at as u64, model as u64]).unit();
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
