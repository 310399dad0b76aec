//! Figures of a replay: means over the seeds, and how far they may be off.

use super::dice::Dice;
use super::outcomes::Outcomes;
use super::replay::Pass;
use crate::money::Usd;
use std::collections::BTreeMap;

/// How often tasks are drawn anew for an interval.
const RESAMPLES: usize = 1000;
/// What the draws are for; part of what they are drawn from.
const FOR_RESAMPLING: u64 = 4;

/// What a policy does with one model, in the mean over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Use {
    /// Attempts.
    pub tries: f64,
    /// Results delivered.
    pub delivered: f64,
    /// What the attempts cost.
    pub cost: Usd,
}

/// The figures of one contender, in the mean over the seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Share of the tasks that is resolved.
    pub resolved: f64,
    /// Share of the tasks for which a wrong result is delivered.
    pub wrong: f64,
    /// Share of the tasks for which a person is asked.
    pub asked: f64,
    /// For all tasks.
    pub cost: Usd,
    /// For all tasks.
    pub calls: f64,
    /// By model; models that were never tried are left out.
    pub by_model: BTreeMap<String, Use>,
    /// 95 % interval of `resolved`, over the choice of tasks.
    pub resolved_within: [f64; 2],
    /// 95 % interval of `cost`, over the choice of tasks.
    pub cost_within: [Usd; 2],
}

/// Sums up the passes of one contender; there is at least one.
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
    // A sum of at most a million runs of at most a million dollars.
    Usd::from_micros(amount.round() as i64)
}

/// Draws as many tasks as there are, with repetition, again and again; tells between what the middle 95 % of the sums lie.
fn intervals(resolved: &[f64], cost: &[f64], seed: u64) -> ([f64; 2], [f64; 2]) {
    let mut dice = Dice::of(seed, &[FOR_RESAMPLING]);
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
