//! The baselines of a policy: each single model, random mixes of two models, the best plain cascade, and the oracle
//! that knows every outcome in advance.

use super::Gate;
use super::outcomes::{Outcomes, TaskOutcomes};
use crate::base::money::Usd;

/// The number of ladders kept per length in the search for the best one.
const KEPT: usize = 8;

/// A strategy's results and costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The share of resolved tasks.
    pub resolved: f64,
    /// The cost of all tasks.
    pub cost: Usd,
    /// The number of calls for all tasks.
    pub calls: f64,
}

/// Returns the point of each model alone on all tasks, by column.
pub fn singles(outcomes: &Outcomes) -> Vec<Point> {
    let all = outcomes.tasks.len().max(1) as f64;
    let one = |model: usize| {
        let cells = || outcomes.tasks.iter().map(move |task| task.cells[model]);
        Point {
            resolved: cells().filter(|cell| cell.resolved).count() as f64 / all,
            cost: cells().map(|cell| cell.cost).sum(),
            calls: cells().map(|cell| f64::from(cell.calls)).sum(),
        }
    };
    (0..outcomes.models.len()).map(one).collect()
}

/// Returns the column that resolves most; of equals the cheapest. `None` without models.
pub fn best_single(singles: &[Point]) -> Option<usize> {
    let better = |a: &Point, b: &Point| a.resolved.total_cmp(&b.resolved).then(b.cost.cmp(&a.cost));
    singles.iter().enumerate().max_by(|a, b| better(a.1, b.1)).map(|(column, _)| column)
}

/// Uses the cheapest model that resolves each task, and nothing for a task that no model resolves.
pub fn oracle(outcomes: &Outcomes) -> Point {
    let cheapest =
        |task: &TaskOutcomes| task.cells.iter().filter(|cell| cell.resolved).min_by_key(|cell| cell.cost).copied();
    let solved: Vec<_> = outcomes.tasks.iter().filter_map(cheapest).collect();
    Point {
        resolved: solved.len() as f64 / outcomes.tasks.len().max(1) as f64,
        cost: solved.iter().map(|cell| cell.cost).sum(),
        calls: solved.iter().map(|cell| f64::from(cell.calls)).sum(),
    }
}

/// Returns the corners of the random-mix line as columns from cheap to expensive: each task goes to one of two
/// neighbours at random, and no other random choice of models lies above the line.
pub fn mix_line(singles: &[Point]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..singles.len()).collect();
    order.sort_by(|a, b| {
        singles[*a].cost.cmp(&singles[*b].cost).then(singles[*b].resolved.total_cmp(&singles[*a].resolved))
    });
    let mut corners: Vec<usize> = Vec::new();
    for next in order {
        if corners.last().is_some_and(|last| singles[*last].resolved >= singles[next].resolved) {
            continue;
        }
        while let [.., from, over] = corners[..] {
            if rise(singles, from, over) > rise(singles, from, next) {
                break;
            }
            corners.pop();
        }
        corners.push(next);
    }
    corners
}

fn rise(singles: &[Point], from: usize, to: usize) -> f64 {
    let paid = (singles[to].cost.dollars() - singles[from].cost.dollars()).max(f64::MIN_POSITIVE);
    (singles[to].resolved - singles[from].resolved) / paid
}

/// Returns what a random mix of two models resolves for this cost; `None` below the cost of the cheapest corner.
pub fn mixed_at(singles: &[Point], cost: Usd) -> Option<f64> {
    let corners = mix_line(singles);
    let after = corners.partition_point(|corner| singles[*corner].cost <= cost);
    let from = corners[after.checked_sub(1)?];
    let Some(to) = corners.get(after) else { return Some(singles[from].resolved) };
    Some(singles[from].resolved + rise(singles, from, *to) * (cost.dollars() - singles[from].cost.dollars()))
}

/// Returns the plain cascade with the most value (worth of what it resolves minus its cost) on these tasks under this
/// gate, as columns. The value is exact in the mean over the gate's draws; the search keeps the best few ladders of
/// each length. `worth` is in multiples of the cost of a resolved task with the best single model.
pub fn best_cascade(tasks: &[&TaskOutcomes], gate: Gate, worth: f64, steps: usize) -> Vec<usize> {
    let width = tasks.first().map_or(0, |task| task.cells.len());
    let worth = worth * dollars_for_one(tasks, width);
    let start = Ladder { columns: Vec::new(), value: 0.0, open: vec![1.0; tasks.len()] };
    let (mut best, mut kept) = ((Vec::new(), f64::NEG_INFINITY), vec![start]);
    for _ in 0..steps.min(width) {
        let longer = |ladder: &Ladder| {
            let fresh = (0..width).filter(|column| !ladder.columns.contains(column)).collect::<Vec<_>>();
            fresh.into_iter().map(|column| ladder.and(column, tasks, gate, worth)).collect::<Vec<_>>()
        };
        let mut next: Vec<Ladder> = kept.iter().flat_map(longer).collect();
        next.sort_by(|a, b| b.value.total_cmp(&a.value));
        next.truncate(KEPT);
        if let Some(first) = next.first().filter(|first| first.value > best.1) {
            best = (first.columns.clone(), first.value);
        }
        kept = next;
    }
    best.0
}

fn dollars_for_one(tasks: &[&TaskOutcomes], width: usize) -> f64 {
    let total = |column: usize| {
        let solved = tasks.iter().filter(|task| task.cells[column].resolved).count();
        let cost: Usd = tasks.iter().map(|task| task.cells[column].cost).sum();
        (solved, cost)
    };
    let best = (0..width).map(total).max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    best.filter(|(solved, _)| *solved > 0).map_or(0.0, |(solved, cost)| cost.dollars() / solved as f64)
}

struct Ladder {
    columns: Vec<usize>,
    value: f64,
    /// For each task: the probability that it reaches the next step.
    open: Vec<f64>,
}

impl Ladder {
    fn and(&self, column: usize, tasks: &[&TaskOutcomes], gate: Gate, worth: f64) -> Self {
        let mut columns = self.columns.clone();
        columns.push(column);
        let (mut value, mut open) = (self.value, Vec::with_capacity(tasks.len()));
        for (task, reached) in tasks.iter().zip(&self.open) {
            let cell = task.cells[column];
            let accepted = if cell.resolved { 1.0 - gate.false_reject } else { gate.false_accept };
            let gained = if cell.resolved { worth * accepted } else { 0.0 };
            value += reached * (gained - cell.cost.dollars());
            open.push(reached * (1.0 - accepted));
        }
        Self { columns, value, open }
    }
}
