//! Estimates about a task after the attempts at it: each recorded task counts by the probability with which it would
//! have shown the same verdicts and the same effort. All sums are weighted means over the recorded tasks.

use super::Gate;
use super::decide::Attempt;
use super::learned::Learned;

/// The limit, in standard deviations, for the distance of calls from their expectation.
const FARTHEST: f64 = 4.0;

/// The estimates for one task.
#[derive(Debug)]
pub struct Belief<'a> {
    learned: &'a Learned,
    gate: Gate,
    /// The weight of each recorded task; together 1 if there is any.
    weights: Vec<f64>,
    /// For each attempt and each recorded task: the probability that the attempt's result is right.
    right: Vec<Vec<f64>>,
}

/// What another attempt with a model would bring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prospect {
    /// By how much the probability of delivering a right result rises.
    pub gain: f64,
    /// The expected cost in dollars.
    pub price: f64,
}

impl<'a> Belief<'a> {
    /// Computes the estimates after these attempts.
    pub fn after(learned: &'a Learned, gate: Gate, group: &str, attempts: &[Attempt]) -> Self {
        let of_group = |other: &String| if other == group { learned.group_weight } else { 1.0 };
        let weights = learned.groups.iter().map(of_group).collect();
        let mut belief = Self { learned, gate, weights, right: Vec::with_capacity(attempts.len()) };
        belief.normalize();
        for attempt in attempts {
            belief.learn_of(attempt);
        }
        belief
    }

    fn normalize(&mut self) -> bool {
        let sum: f64 = self.weights.iter().sum();
        if !(sum.is_finite() && sum > 0.0) {
            return false;
        }
        self.weights.iter_mut().for_each(|weight| *weight /= sum);
        true
    }

    fn learn_of(&mut self, attempt: &Attempt) {
        let (learned, width) = (self.learned, self.learned.models.len());
        let seen = attempt.calls.map(|calls| f64::from(calls.max(1)).ln());
        let mut right = Vec::with_capacity(self.weights.len());
        let before = self.weights.clone();
        for (row, weight) in self.weights.iter_mut().enumerate() {
            let at = row * width + attempt.model;
            let (from_right, from_wrong) = shares(self.gate, attempt.accepted, learned.success[at]);
            let likely = from_right + from_wrong;
            right.push(if likely > 0.0 { from_right / likely } else { learned.success[at] });
            *weight *= likely;
            if let Some(seen) = seen {
                let off = (seen - learned.effort[at]) / learned.spread[attempt.model];
                let off = off.clamp(-FARTHEST, FARTHEST);
                *weight *= (-learned.effort_weight * off * off / 2.0).exp();
            }
        }
        // An observation that no recorded task could have shown carries no information.
        if !self.normalize() {
            self.weights = before;
        }
        self.right.push(right);
    }

    /// Returns the probability that each attempt's result is right, in the order of the attempts.
    pub fn confidences(&self) -> Vec<f64> {
        self.right.iter().map(|right| dot(&self.weights, right)).collect()
    }

    /// Returns what an attempt with each model would bring, by the model's column. The gain includes what the verdict
    /// may change: a rejection of the next model also counts for or against the existing results.
    pub fn prospects(&self) -> Vec<Prospect> {
        let width = self.learned.models.len();
        let mut solves = vec![0.0; width];
        let mut price = vec![0.0; width];
        // For each attempt and model: the probability that the attempt is right and the model solves the task too.
        let mut both = vec![0.0; self.right.len() * width];
        for (row, weight) in self.weights.iter().enumerate() {
            let success = &self.learned.success[row * width..(row + 1) * width];
            add_scaled(&mut solves, success, *weight);
            add_scaled(&mut price, &self.learned.price[row * width..(row + 1) * width], *weight);
            for (right, both) in self.right.iter().zip(both.chunks_exact_mut(width.max(1))) {
                add_scaled(both, success, weight * right[row]);
            }
        }
        let now = self.confidences();
        let best_now = now.iter().copied().fold(0.0, f64::max);
        let text = 1.0 - self.gate.errors();
        let one = |model: usize| {
            let (mut accepted, _) = shares(self.gate, true, solves[model]);
            let (mut rejected, _) = shares(self.gate, false, solves[model]);
            for (attempt, now) in now.iter().enumerate() {
                let and_accepted = self.gate.false_accept * now + text * both[attempt * width + model];
                accepted = accepted.max(and_accepted);
                rejected = rejected.max(now - and_accepted);
            }
            Prospect { gain: accepted + rejected - best_now, price: price[model] }
        };
        (0..width).map(one).collect()
    }
}

/// Returns the probabilities of a verdict on a right and on a wrong result, where the result is right with probability
/// `likely`.
fn shares(gate: Gate, accepted: bool, likely: f64) -> (f64, f64) {
    if accepted {
        (likely * (1.0 - gate.false_reject), (1.0 - likely) * gate.false_accept)
    } else {
        (likely * gate.false_reject, (1.0 - likely) * (1.0 - gate.false_accept))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(sums: &mut [f64], values: &[f64], by: f64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += by * value;
    }
}
