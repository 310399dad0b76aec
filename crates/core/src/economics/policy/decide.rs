//! The decision: deliver an existing result, try another model, or stop and ask a person. It sees what a daemon sees of
//! a running task (models tried, cost, calls, verdicts), and never whether a result is right.

use super::belief::{Belief, Prospect};
use super::learned::Learned;
use super::{Order, Policy};
use crate::base::money::Usd;

/// An attempt at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The model, as a column of [`Learned::models`].
    pub model: usize,
    /// The cost; `None` where it is unknown.
    pub cost: Option<Usd>,
    /// The number of calls to the model; `None` where it is unknown.
    pub calls: Option<u32>,
    /// The gate's verdict.
    pub accepted: bool,
}

/// The current state of a task.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Its group, usually its repository.
    pub group: &'a str,
    /// The attempts so far, in order. All their models are columns.
    pub attempts: &'a [Attempt],
    /// A random number in [0, 1) for this task, which selects the share of tasks that explore.
    pub draw: f64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Deliver the result of an attempt.
    Accept {
        /// The index of the attempt.
        attempt: usize,
        /// The probability that its result is right.
        confidence: f64,
    },
    /// Try a model.
    Try {
        /// The column of the model.
        model: usize,
        /// The expected gain and cost.
        prospect: Prospect,
    },
    /// Stop and ask a person.
    Ask {
        /// The probability of the best result; 0 where there is none.
        confidence: f64,
    },
}

/// Decides what to do with a task.
pub fn decide(policy: &Policy, learned: &Learned, situation: &Situation<'_>) -> Decision {
    let attempts = situation.attempts;
    let belief = Belief::after(learned, policy.gate, situation.group, attempts);
    let satisfied = !policy.second_opinion && attempts.iter().any(|attempt| attempt.accepted);
    if satisfied || attempts.len() >= policy.max_tries {
        return settle(policy, &belief, attempts);
    }
    let left = left_to_try(policy, learned, situation);
    if left.is_empty() {
        return settle(policy, &belief, attempts);
    }
    let prospects = belief.prospects();
    let may = |model: &usize| {
        is_worth_it(policy, learned, prospects[*model]) && is_within(policy, attempts, prospects[*model])
    };
    let next = match policy.order {
        // In a fixed order only the next model may be tried, never one behind it.
        Order::Fixed => left.first().copied().filter(may),
        Order::Learned => {
            let worthy: Vec<usize> = left.into_iter().filter(may).collect();
            explored(policy, situation, &worthy).or_else(|| best_of(&worthy, &prospects))
        }
    };
    match next {
        Some(model) => Decision::Try { model, prospect: prospects[model] },
        None => settle(policy, &belief, attempts),
    }
}

/// Returns the columns of the ladder that are untried, in order. Unknown models are skipped.
fn left_to_try(policy: &Policy, learned: &Learned, situation: &Situation<'_>) -> Vec<usize> {
    let ladder = policy.ladder_of(situation.group);
    let all = || (0..learned.models.len()).collect();
    let columns: Vec<usize> =
        if ladder.is_empty() { all() } else { ladder.iter().filter_map(|model| learned.index_of(model)).collect() };
    let tried = |model: &usize| situation.attempts.iter().any(|attempt| attempt.model == *model);
    columns.into_iter().filter(|model| !tried(model)).collect()
}

/// Whether the gain is worth the price.
fn is_worth_it(policy: &Policy, learned: &Learned, prospect: Prospect) -> bool {
    let Some(worth) = &policy.worth else { return true };
    prospect.gain > 0.0 && prospect.gain * worth.under(policy.gate) * learned.unit >= prospect.price
}

/// Whether the task's budget covers another attempt. Attempts of unknown cost count as 0.
fn is_within(policy: &Policy, attempts: &[Attempt], prospect: Prospect) -> bool {
    let spent: Usd = attempts.iter().filter_map(|attempt| attempt.cost).sum();
    policy.budget.is_none_or(|most| spent.dollars() + prospect.price <= most.dollars())
}

/// Returns the model with the most gain per dollar; of equals the first.
fn best_of(models: &[usize], prospects: &[Prospect]) -> Option<usize> {
    let yields = |model: usize| prospects[model].gain / prospects[model].price.max(f64::MIN_POSITIVE);
    models.iter().copied().reduce(|best, next| if yields(next) > yields(best) { next } else { best })
}

/// Returns a random model that is worth its price, for the first attempt at the share of tasks that explore.
fn explored(policy: &Policy, situation: &Situation<'_>, worthy: &[usize]) -> Option<usize> {
    let explores = situation.attempts.is_empty() && situation.draw < policy.explore;
    // The draw is below `explore` here: divided by it, it is in [0, 1) again.
    let at = (situation.draw / policy.explore * worthy.len() as f64) as usize;
    worthy.get(at).copied().filter(|_| explores)
}

/// Delivers the best result, or asks where none is probable enough.
fn settle(policy: &Policy, belief: &Belief<'_>, attempts: &[Attempt]) -> Decision {
    let accepted_first = |at: usize| !policy.second_opinion && attempts[at].accepted;
    let likeliest = belief.confidences().into_iter().enumerate().reduce(|best, next| {
        let (was, is) = ((accepted_first(best.0), best.1), (accepted_first(next.0), next.1));
        if is > was { next } else { best }
    });
    match likeliest {
        Some((attempt, confidence)) if confidence >= policy.confidence => Decision::Accept { attempt, confidence },
        Some((_, confidence)) => Decision::Ask { confidence },
        None => Decision::Ask { confidence: 0.0 },
    }
}
