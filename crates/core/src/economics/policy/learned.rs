//! Learning from recorded outcomes: for each recorded task the probability that each model solves a similar task, and
//! the expected calls and cost. The difficulty of a task is derived from the share of models that solved it; success,
//! calls and cost of each model are then curves over the difficulty (logistic, and straight lines of the logarithms),
//! so that two hundred tasks suffice for two dozen models.

use super::Learning;
use super::outcomes::TaskOutcomes;

/// The least distance of probabilities from certainty.
const DOUBT: f64 = 1e-3;
/// Steps of Newton's method; five were enough for all data tried.
const STEPS: usize = 12;
/// The least standard deviation of the logarithm of calls.
const LEAST_SPREAD: f64 = 0.05;

/// The learned data. Rows are recorded tasks, columns are models.
#[derive(Debug, Clone)]
pub struct Learned {
    /// The names of the models.
    pub models: Vec<String>,
    /// The group of each row.
    pub(super) groups: Vec<String>,
    /// The probability that a model solves a similar task; row by row.
    pub(super) success: Vec<f64>,
    /// The expected logarithm of calls; row by row.
    pub(super) effort: Vec<f64>,
    /// The standard deviation of the logarithm of calls, for each model.
    pub(super) spread: Vec<f64>,
    /// The expected cost in dollars; row by row.
    pub(super) price: Vec<f64>,
    /// The weight of rows of the same group.
    pub(super) group_weight: f64,
    /// The weight of the number of calls.
    pub(super) effort_weight: f64,
    /// The cost of a resolved task with the best single model, in dollars.
    pub(super) unit: f64,
}

impl Learned {
    /// Learns from tasks, each with one cell for each of `models`. Without tasks nothing is known, and no attempt is
    /// worth its price.
    pub fn from_tasks(tasks: &[&TaskOutcomes], models: &[String], learning: Learning) -> Self {
        let width = models.len();
        let hardness: Vec<f64> = tasks.iter().map(|task| ease(task)).collect();
        let size = tasks.len() * width;
        let mut learned = Self {
            models: models.to_vec(),
            groups: tasks.iter().map(|task| task.group.clone()).collect(),
            success: vec![0.0; size],
            effort: vec![0.0; size],
            spread: vec![LEAST_SPREAD; width],
            price: vec![0.0; size],
            group_weight: learning.group,
            effort_weight: learning.effort,
            unit: unit(tasks, width),
        };
        for model in 0..width {
            let solved: Vec<f64> = tasks.iter().map(|task| f64::from(u8::from(task.cells[model].resolved))).collect();
            let (level, slope) = logistic(&hardness, &solved);
            let calls: Vec<f64> = tasks.iter().map(|task| f64::from(task.cells[model].calls.max(1)).ln()).collect();
            let (calls_at, spread) = line(&hardness, &calls);
            learned.spread[model] = spread.max(LEAST_SPREAD);
            let costs: Vec<f64> = tasks.iter().map(|task| task.cells[model].cost.dollars()).collect();
            let costs_at = price_curve(&hardness, &costs);
            for (row, ease) in hardness.iter().enumerate() {
                let like_it = sigmoid(level + slope * ease);
                let likely = learning.own * solved[row] + (1.0 - learning.own) * like_it;
                let at = row * width + model;
                learned.success[at] = likely.clamp(DOUBT, 1.0 - DOUBT);
                learned.effort[at] = calls_at(*ease);
                learned.price[at] = costs_at(*ease);
            }
        }
        learned
    }

    /// Returns the number of tasks it was learned from.
    pub fn tasks(&self) -> usize {
        self.groups.len()
    }

    /// Returns the column of a model.
    pub fn index_of(&self, model: &str) -> Option<usize> {
        self.models.iter().position(|known| known == model)
    }
}

/// Returns the ease of a task: the log-odds of being solved, with half a success and half a failure added.
fn ease(task: &TaskOutcomes) -> f64 {
    let solved = task.cells.iter().filter(|cell| cell.resolved).count() as f64 + 0.5;
    let failed = task.cells.iter().filter(|cell| !cell.resolved).count() as f64 + 0.5;
    (solved / failed).ln()
}

/// Returns the dollars per resolved task of the model that resolves most, the cheaper one of equals.
fn unit(tasks: &[&TaskOutcomes], width: usize) -> f64 {
    let totals = (0..width).map(|model| {
        let solved = tasks.iter().filter(|task| task.cells[model].resolved).count();
        let cost: f64 = tasks.iter().map(|task| task.cells[model].cost.dollars()).sum();
        (solved, cost)
    });
    let best = totals.max_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    best.filter(|(solved, _)| *solved > 0).map_or(0.0, |(solved, cost)| cost / solved as f64)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x.clamp(-30.0, 30.0)).exp())
}

/// Returns level and slope of a logistic curve, drawn weakly to that of an average model (level 0, slope 1), by maximum
/// likelihood with Newton's method.
fn logistic(x: &[f64], y: &[f64]) -> (f64, f64) {
    const HOLD_LEVEL: f64 = 0.1;
    const HOLD_SLOPE: f64 = 1.0;
    let (mut level, mut slope) = (0.0, 1.0);
    for _ in 0..STEPS {
        let (mut g0, mut g1) = (-HOLD_LEVEL * level, -HOLD_SLOPE * (slope - 1.0));
        let (mut h00, mut h01, mut h11) = (HOLD_LEVEL, 0.0, HOLD_SLOPE);
        for (x, y) in x.iter().zip(y) {
            let p = sigmoid(level + slope * x);
            let (miss, weight) = (y - p, p * (1.0 - p));
            g0 += miss;
            g1 += miss * x;
            h00 += weight;
            h01 += weight * x;
            h11 += weight * x * x;
        }
        // The two priors keep the determinant above 0.
        let determinant = h00 * h11 - h01 * h01;
        level += (h11 * g0 - h01 * g1) / determinant;
        slope += (h00 * g1 - h01 * g0) / determinant;
    }
    (level, slope)
}

/// Returns the least-squares line and the standard deviation from it. Level where all `x` are equal.
fn line(x: &[f64], y: &[f64]) -> (impl Fn(f64) -> f64 + use<>, f64) {
    let count = x.len().max(1) as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let across: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let along: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    let slope = if along > 1e-9 { across / along } else { 0.0 };
    let at = move |x: f64| mean_y + slope * (x - mean_x);
    let stray: f64 = x.iter().zip(y).map(|(x, y)| (y - at(*x)).powi(2)).sum();
    (at, (stray / count).sqrt())
}

/// Returns the expected cost over difficulty: a straight line of the logarithms, scaled to the total cost of all
/// recorded tasks.
fn price_curve(x: &[f64], costs: &[f64]) -> impl Fn(f64) -> f64 + use<> {
    /// A hundredth of a cent: smaller costs do not matter, but their logarithms would.
    const LEAST: f64 = 1e-4;
    let logs: Vec<f64> = costs.iter().map(|cost| cost.max(LEAST).ln()).collect();
    let (at, _) = line(x, &logs);
    let expected: f64 = x.iter().map(|x| at(*x).exp()).sum();
    let paid: f64 = costs.iter().sum();
    let scale = if expected > 0.0 { paid / expected } else { 0.0 };
    move |x| at(x).exp() * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_follows_success_over_ease() {
        let x = [-2.0, -1.0, 0.0, 1.0, 2.0].repeat(40);
        let y: Vec<f64> = x.iter().map(|x| f64::from(u8::from(*x > 0.5))).collect();
        let (level, slope) = logistic(&x, &y);
        assert!(sigmoid(level + slope * -2.0) < 0.02);
        assert!(sigmoid(level + slope * 2.0) > 0.98);
        let (level, slope) = logistic(&x, &vec![1.0; x.len()]);
        assert!(level.is_finite() && slope.is_finite() && sigmoid(level) > 0.95);
    }

    #[test]
    fn prices_add_up_to_what_was_paid() {
        let x = [-1.0, 0.0, 1.0, 2.0];
        let costs = [4.0, 2.0, 1.0, 0.0];
        let at = price_curve(&x, &costs);
        let sum: f64 = x.iter().map(|x| at(*x)).sum();
        assert!((sum - 7.0).abs() < 1e-9);
        assert!(at(-1.0) > at(2.0));
        assert_eq!(price_curve(&x, &[0.0; 4])(0.0), 0.0);
    }

    #[test]
    fn a_line_through_one_place_is_level() {
        let (at, stray) = line(&[3.0, 3.0], &[1.0, 2.0]);
        assert_eq!([at(0.0), at(9.0), stray], [1.5, 1.5, 0.5]);
    }
}
