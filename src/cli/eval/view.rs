//! The figures of a replay: one JSON document, or a table for a person.

use crate::cli::ui::paint::Paint;
use crate::cli::ui::table::{Column, Width, cell, render};
use orch_core::base::money::Usd;
use orch_core::economics::policy::Gate;
use orch_core::economics::policy::frontier::Point;
use orch_core::economics::policy::report::Figures;
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole document. Costs and calls are for all tasks of the file, as means over the seeds.
#[derive(Debug, Serialize)]
pub struct RoutingView {
    /// The number of tasks.
    pub tasks: usize,
    /// The number of models.
    pub models: usize,
    /// The error rates of the simulated gate.
    pub gate: GateView,
    /// The number of folds.
    pub folds: usize,
    /// The first seed.
    pub seed: u64,
    /// The number of seeds.
    pub seeds: usize,
    /// The policy.
    pub policy: PolicyView,
    /// The model that resolves most tasks alone.
    pub best_single: SingleView,
    /// The best plain cascade.
    pub best_cascade: CascadeView,
    /// The cheapest model that resolves each task.
    pub oracle: PointView,
    /// The share that a random choice between two single models resolves for the policy's cost; absent below the
    /// cheapest model's cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_mix: Option<PointView>,
    /// All points of the plot, cheapest first.
    pub frontier: Vec<FrontierView>,
    /// The source of the tasks, if it is the home's own runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryView>,
}

/// The home's own runs.
#[derive(Debug, Serialize)]
pub struct HistoryView {
    /// The number of judged runs.
    pub runs: usize,
    /// How many of them have no price and are omitted.
    pub unpriced: usize,
    /// How many of them repeat a model on a task and are omitted.
    pub repeated: usize,
    /// The number of tasks with a priced run, by model. Only tasks that all models have tried are replayed.
    pub tasks_by_model: BTreeMap<String, usize>,
}

impl HistoryView {
    fn render(&self, tasks: usize) -> String {
        let Self { runs, unpriced, repeated, .. } = self;
        format!(
            "of {runs} judged runs of this home those on the {tasks} tasks that all of these models have tried; left out: {unpriced} \
             without a price, {repeated} repeated\nsuch tasks are harder than others: a second model is tried where the first one failed\n\n"
        )
    }
}

/// The error rates of a gate.
#[derive(Debug, Serialize)]
pub struct GateView {
    /// The share of wrong results that are accepted.
    pub false_accept: f64,
    /// The share of right results that are rejected.
    pub false_reject: f64,
}

impl From<Gate> for GateView {
    fn from(gate: Gate) -> Self {
        Self { false_accept: gate.false_accept, false_reject: gate.false_reject }
    }
}

/// The share of tasks resolved, and its cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PointView {
    /// The share of tasks that are resolved.
    pub resolved: f64,
    /// The cost in dollars.
    pub cost_usd: Usd,
    /// The API calls of all attempts; absent for computed points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<f64>,
}

impl From<Point> for PointView {
    fn from(point: Point) -> Self {
        Self { resolved: figure(point.resolved), cost_usd: point.cost, calls: Some(figure(point.calls)) }
    }
}

impl From<&Figures> for PointView {
    fn from(figures: &Figures) -> Self {
        Self { resolved: figure(figures.resolved), cost_usd: figures.cost, calls: Some(figure(figures.calls)) }
    }
}

/// Rounds to six digits, and removes the sign of zero.
pub fn figure(exact: f64) -> f64 {
    (exact * 1e6).round() / 1e6 + 0.0
}

/// One model alone.
#[derive(Debug, Serialize)]
pub struct SingleView {
    /// Its name.
    pub model: String,
    /// Its figures.
    #[serde(flatten)]
    pub point: PointView,
}

/// A plain cascade.
#[derive(Debug, Serialize)]
pub struct CascadeView {
    /// Its models in order, chosen on all tasks. The figures are of those chosen on the training tasks.
    pub models: Vec<String>,
    /// Its figures.
    #[serde(flatten)]
    pub point: PointView,
}

/// A policy.
#[derive(Debug, Serialize)]
pub struct PolicyView {
    /// Its figures.
    #[serde(flatten)]
    pub point: PointView,
    /// The share of tasks for which a wrong result is delivered.
    pub wrong: f64,
    /// The share of tasks for which a person is asked.
    pub asked: f64,
    /// The usage of each model.
    pub by_model: BTreeMap<String, UseView>,
    /// 95 % confidence intervals over the choice of tasks.
    pub ci95: IntervalsView,
}

impl From<&Figures> for PolicyView {
    fn from(figures: &Figures) -> Self {
        let used = figures.by_model.iter().map(|(model, used)| {
            let view = UseView { tries: figure(used.tries), delivered: figure(used.delivered), cost_usd: used.cost };
            (model.clone(), view)
        });
        Self {
            point: figures.into(),
            wrong: figure(figures.wrong),
            asked: figure(figures.asked),
            by_model: used.collect(),
            ci95: IntervalsView { resolved: figures.resolved_within.map(figure), cost_usd: figures.cost_within },
        }
    }
}

/// The usage of one model.
#[derive(Debug, Serialize)]
pub struct UseView {
    /// Attempts.
    pub tries: f64,
    /// Delivered results.
    pub delivered: f64,
    /// The cost of the attempts.
    pub cost_usd: Usd,
}

/// Confidence intervals.
#[derive(Debug, Serialize)]
pub struct IntervalsView {
    /// The share of tasks that are resolved.
    pub resolved: [f64; 2],
    /// The cost in dollars.
    pub cost_usd: [Usd; 2],
}

/// The kind of a point of the frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One model alone.
    Single,
    /// A plain cascade.
    Cascade,
    /// The policy, with another value of a resolved task.
    Policy,
    /// A corner of the random-mix line.
    Mix,
    /// The oracle.
    Oracle,
}

/// A point of the plot.
#[derive(Debug, Serialize)]
pub struct FrontierView {
    /// Its kind.
    pub kind: Kind,
    /// The model, or the value of a resolved task.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub point: PointView,
}

const HEAD: [Column; 6] = [
    Column::new("", Width::Whole),
    Column::number("resolved"),
    Column::number("cost"),
    Column::number("of best"),
    Column::number("for"),
    Column::new("what it is", Width::Rest(20)),
];

/// Renders the document for a person. `columns` is the width of the terminal.
pub fn report(view: &RoutingView, columns: usize, paint: Paint) -> String {
    let best = view.best_single.point;
    let share = |part: f64, whole: f64| if whole > 0.0 { percent(part / whole) } else { "-".to_owned() };
    let row = |name: &'static str, point: PointView, what: String| {
        let of_best = share(point.resolved, best.resolved);
        let for_cost = share(point.cost_usd.dollars(), best.cost_usd.dollars());
        let cost = point.cost_usd.to_string();
        [cell(name), cell(percent(point.resolved)), cell(cost), cell(of_best), cell(for_cost), cell(what)]
    };
    let policy = &view.policy;
    let [low, high] = policy.ci95.resolved.map(percent);
    let [cheap, dear] = policy.ci95.cost_usd;
    let spread = format!("95 %: {low} to {high}, {cheap} to {dear}");
    let mut rows = vec![
        row("policy", policy.point, spread),
        row("best single", best, view.best_single.model.clone()),
        row("best cascade", view.best_cascade.point, view.best_cascade.models.join(", ")),
    ];
    rows.extend(view.random_mix.map(|mix| row("random mix", mix, "chance between two models, same cost".to_owned())));
    rows.push(row("oracle", view.oracle, "the cheapest model that resolves each task".to_owned()));
    let (wrong, right) = (percent(view.gate.false_accept), percent(view.gate.false_reject));
    let mut text = format!(
        "{} tasks, {} models; the gate accepts {wrong} of wrong and rejects {right} of right results; {} folds, {} seeds\n\n",
        view.tasks, view.models, view.folds, view.seeds
    );
    if let Some(history) = &view.history {
        text.push_str(&history.render(view.tasks));
    }
    text.push_str(&render(&HEAD, &rows, columns, paint));
    let (wrong, asked) = (percent(policy.wrong), percent(policy.asked));
    text.push_str(&format!("\nthe policy delivers a wrong result for {wrong} of the tasks and asks for {asked}\n"));
    let mut used: Vec<_> = policy.by_model.iter().collect();
    used.sort_by(|a, b| b.1.tries.total_cmp(&a.1.tries));
    let uses = used.iter().map(|(model, used)| {
        [
            cell(*model),
            cell(format!("{:.1}", used.tries)),
            cell(format!("{:.1}", used.delivered)),
            cell(used.cost_usd.to_string()),
        ]
    });
    let head = [
        Column::new("model", Width::Rest(20)),
        Column::number("tries"),
        Column::number("delivered"),
        Column::number("cost"),
    ];
    text.push('\n');
    text.push_str(&render(&head, &uses.collect::<Vec<_>>(), columns, paint));
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_no_dust_of_adding_up_and_no_zero_with_a_sign() {
        let point = Point { resolved: 1.000_000_000_000_000_2, cost: Usd::ZERO, calls: -0.0 };
        let text = serde_json::to_string(&PointView::from(point)).expect("JSON");
        assert_eq!(text, r#"{"resolved":1.0,"cost_usd":0.0,"calls":0.0}"#);
        assert_eq!(figure(22.000_000_000_000_178).to_string(), "22");
        assert_eq!(figure(0.751_234_567_8).to_string(), "0.751235");
    }
}
