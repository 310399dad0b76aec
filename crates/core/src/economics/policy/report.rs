//! The figures of a replay: means over the seeds, and confidence intervals.

use super::dice::Dice;
use super::outcomes::Outcomes;
use super::replay::Pass;
use crate::base::money::Usd;
use std::collections::BTreeMap;

/// The number of bootstrap samples for an interval.
const RESAMPLES: usize = 1000;
/// The purpose of the random numbers, for [`Dice`].
const FOR_RESAMPLING: u64 = 4;

/// A policy's use of one model, in the mean over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Use {
    /// The number of attempts.
    pub tries: f64,
    /// The number of delivered results.
    pub delivered: f64,
    /// The cost of the attempts.
    pub cost: Usd,
}

/// The figures of one contender, in the mean over the seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The share of resolved tasks.
    pub resolved: f64,
    /// The share of tasks for which a wrong result is delivered.
    pub wrong: f64,
    /// The share of tasks for which a person is asked.
    pub asked: f64,
    /// The cost of all tasks.
    pub cost: Usd,
    /// The number of calls for all tasks.
    pub calls: f64,
    /// The use of each model; models that were never tried are left out.
    pub by_model: BTreeMap<String, Use>,
    /// The 95 % interval of `resolved` over the choice of tasks.
    pub resolved_within: [f64; 2],
    /// The 95 % interval of `cost` over the choice of tasks.
    pub cost_within: [Usd; 2],
}

/// Summarizes the passes of one contender, of which there must be at least one.
pub fn figures(outcomes: &Outcomes, passes: &[Pass], seed: u64) -> Figures {
    let (tasks, seeds) = (outcomes.tasks.len(), passes.len().max(1) as f64);
    let mut resolved = vec![0.0; tasks];
    let mut cost = vec![0.0; tasks];
    let (mut wrong, mut asked, mut calls) = (0.0, 0.0, 0.0);
    let mut used: BTreeMap<usize, (f64, f64, Usd)> = BTreeMap::new();
    for pass in passes {
        for (at, played) in pass.iter().enumerate() {
            resolved[at] += f64::from(u8::from(played.resolved)) / seeds;
            cost[at] += played.cost.micros() as f64 / seeds;
            wrong += f64::from(u8::from(played.delivered.is_some() && !played.resolved));
            asked += f64::from(u8::from(played.delivered.is_none()));
            calls += played.calls as f64 / seeds;
            for model in &played.tried {
                let of_model = used.entry(*model).or_default();
                of_model.0 += 1.0 / seeds;
                of_model.2 = of_model.2 + outcomes.tasks[at].cells[*model].cost;
            }
            if let Some(model) = played.delivered {
                used.entry(model).or_default().1 += 1.0 / seeds;
            }
        }
    }
    let name = |(model, (tries, delivered, cost)): (usize, (f64, f64, Usd))| {
        (outcomes.models[model].clone(), Use { tries, delivered, cost: micros(cost.micros() as f64 / seeds) })
    };
    let count = tasks.max(1) as f64;
    let (resolved_within, cost_within) = intervals(&resolved, &cost, seed);
    Figures {
        resolved: resolved.iter().sum::<f64>() / count,
        wrong: wrong / seeds / count,
        asked: asked / seeds / count,
        cost: micros(cost.iter().sum()),
        calls,
        by_model: used.into_iter().map(name).collect(),
        resolved_within: resolved_within.map(|sum| sum / count),
        cost_within: cost_within.map(micros),
    }
}

fn micros(amount: f64) -> Usd {
    // The sum of at most a million runs of at most a million dollars.
    Usd::from_micros(amount.round() as i64)
}

/// Returns the bootstrap intervals that contain the middle 95 % of the sums.
fn intervals(resolved: &[f64], cost: &[f64], seed: u64) -> ([f64; 2], [f64; 2]) {
    let mut dice = Dice::for_purpose(seed, &[FOR_RESAMPLING]);
    let (mut solved, mut paid) = (Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        let (mut sum, mut spent) = (0.0, 0.0);
        for _ in 0..resolved.len() {
            let at = dice.below(resolved.len());
            sum += resolved[at];
            spent += cost[at];
        }
        solved.push(sum);
        paid.push(spent);
    }
    (middle(solved), middle(paid))
}

fn middle(mut sums: Vec<f64>) -> [f64; 2] {
    sums.sort_by(f64::total_cmp);
    let cut = sums.len() / 40;
    [sums[cut], sums[sums.len() - 1 - cut]]
}
