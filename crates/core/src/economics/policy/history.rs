//! The home's own runs as outcomes for a replay. Pure.
//!
//! A replay needs a run of every model for every task. A home has few such tasks, because most are done at the first
//! attempt. The largest block is used in which all models have a run for all tasks. Where even that is too small
//! nothing is replayed: figures from a handful of tasks would be misleading.

use super::outcomes::{Cell, Outcomes, TaskOutcomes};
use crate::base::money::Usd;
use std::collections::{BTreeMap, BTreeSet};

/// The fewest models in a block.
pub const MIN_MODELS: usize = 2;
/// The fewest tasks in a block.
pub const MIN_TASKS: usize = 20;
/// The most models in a block: those with the most tasks.
const MOST_MODELS: usize = 12;

/// A judged run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The task.
    pub task: u64,
    /// The group of the task: where it belongs.
    pub group: String,
    /// Agent and model in one word.
    pub model: String,
    /// Whether the work was accepted.
    pub accepted: bool,
    /// The cost; `None`: unknown.
    pub cost: Option<Usd>,
}

/// A summary of the judged runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// The number of judged runs.
    pub runs: usize,
    /// The number of runs without a price.
    pub unpriced: usize,
    /// The number of repeated runs of a model on the same task.
    pub repeated: usize,
    /// The number of tasks for which each model has a priced run.
    pub tasks_by_model: BTreeMap<String, usize>,
    /// The most tasks that two models have both tried.
    pub shared: usize,
}

impl Stock {
    /// Describes what is missing for a replay; empty: nothing.
    pub fn missing(&self) -> Vec<String> {
        let models = self.tasks_by_model.len();
        let mut lacks = Vec::new();
        if models < MIN_MODELS {
            lacks.push(format!("{MIN_MODELS} models with judged and priced runs are needed, there are {models}"));
        }
        if self.shared < MIN_TASKS {
            let shared = self.shared;
            lacks.push(format!(
                "{MIN_TASKS} tasks that the same two models have both tried are needed, there are {shared}"
            ));
        }
        lacks
    }
}

/// Returns the largest block of these runs, given in the order in which they ended, with a summary of them. `None`: it
/// is too small. Of several runs of a model on a task the first counts, because later ones build on its work.
pub fn block(runs: &[Judged]) -> (Stock, Option<Outcomes>) {
    let mut tasks: BTreeMap<u64, BTreeMap<&str, &Judged>> = BTreeMap::new();
    let (mut unpriced, mut repeated) = (0, 0);
    for run in runs {
        let of_task = tasks.entry(run.task).or_default();
        if run.cost.is_none() {
            unpriced += 1;
        } else if of_task.contains_key(run.model.as_str()) {
            repeated += 1;
        } else {
            of_task.insert(&run.model, run);
        }
    }
    let mut tasks_by_model: BTreeMap<String, usize> = BTreeMap::new();
    for model in tasks.values().flat_map(BTreeMap::keys) {
        *tasks_by_model.entry((*model).to_owned()).or_default() += 1;
    }
    let mut models: Vec<&str> = tasks_by_model.keys().map(String::as_str).collect();
    models.sort_by_key(|model| (std::cmp::Reverse(tasks_by_model[*model]), *model));
    models.truncate(MOST_MODELS);
    let masks: Vec<u32> = tasks.values().map(|of_task| mask(&models, of_task)).collect();
    let shared_by = |set: u32| masks.iter().filter(|mask| *mask & set == set).count();
    let sets = || (1..1u32 << models.len()).filter(|set| set.count_ones() as usize >= MIN_MODELS);
    let shared = sets().filter(|set| set.count_ones() == 2).map(shared_by).max().unwrap_or(0);
    let size = |set: u32| (set.count_ones() as usize) * shared_by(set);
    let best =
        sets().filter(|set| shared_by(*set) >= MIN_TASKS).max_by_key(|set| (size(*set), std::cmp::Reverse(*set)));
    let outcomes = best.map(|set| outcomes(&models, set, &tasks));
    (Stock { runs: runs.len(), unpriced, repeated, tasks_by_model, shared }, outcomes)
}

/// Returns the models that have tried a task as a bit mask.
fn mask(models: &[&str], of_task: &BTreeMap<&str, &Judged>) -> u32 {
    let bits = models.iter().enumerate().filter(|(_, model)| of_task.contains_key(**model));
    bits.map(|(bit, _)| 1 << bit).sum()
}

fn outcomes(models: &[&str], set: u32, tasks: &BTreeMap<u64, BTreeMap<&str, &Judged>>) -> Outcomes {
    let chosen: BTreeSet<&str> =
        models.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0).map(|(_, model)| *model).collect();
    let row = |(id, of_task): (&u64, &BTreeMap<&str, &Judged>)| {
        let runs: Vec<&Judged> = chosen.iter().filter_map(|model| of_task.get(model).copied()).collect();
        let group = runs.first()?.group.clone();
        // The number of calls is not recorded: a run counts as one call.
        let cell = |run: &&Judged| Some(Cell { resolved: run.accepted, cost: run.cost?, calls: 1 });
        let cells: Vec<Cell> = runs.iter().filter_map(cell).collect();
        (cells.len() == chosen.len()).then(|| TaskOutcomes { id: id.to_string(), group, cells })
    };
    let mut tasks: Vec<TaskOutcomes> = tasks.iter().filter_map(row).collect();
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    Outcomes { models: chosen.iter().map(|&model| model.to_owned()).collect(), tasks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(task: u64, model: &str, accepted: bool, micros: Option<i64>) -> Judged {
        Judged { task, group: "shop".to_owned(), model: model.to_owned(), accepted, cost: micros.map(Usd::from_micros) }
    }

    #[test]
    fn what_is_too_little_makes_no_figures_and_says_what_is_missing() {
        assert_eq!(block(&[]).0.missing().len(), 2);
        let one: Vec<Judged> = (1..=30).map(|task| run(task, "a", true, Some(1))).collect();
        let (stock, outcomes) = block(&one);
        assert_eq!((stock.runs, stock.shared, outcomes.is_none()), (30, 0, true));
        assert!(stock.missing()[0].contains("there are 1"), "{:?}", stock.missing());
        let two = (1..=19).flat_map(|task| [run(task, "a", false, Some(1)), run(task, "b", true, Some(9))]);
        let (stock, outcomes) = block(&two.collect::<Vec<_>>());
        assert_eq!((stock.shared, outcomes), (19, None));
        assert!(stock.missing()[0].contains("20 tasks") && stock.missing()[0].contains("there are 19"));
        let mute = (1..=30).flat_map(|task| [run(task, "a", true, None), run(task, "b", true, None)]);
        let (stock, outcomes) = block(&mute.collect::<Vec<_>>());
        assert_eq!((stock.unpriced, outcomes), (60, None), "no price is no price of zero");
    }

    #[test]
    fn the_largest_block_is_taken_and_of_several_runs_the_first() {
        let mut runs: Vec<Judged> =
            (1..=25).flat_map(|task| [run(task, "a", task % 2 == 0, Some(1)), run(task, "b", true, Some(9))]).collect();
        runs.extend((1..=22).map(|task| run(task, "c", true, Some(5))));
        runs.push(run(2, "a", false, Some(700)));
        let (stock, outcomes) = block(&runs);
        assert_eq!((stock.repeated, stock.shared), (1, 25));
        let outcomes = outcomes.expect("enough");
        assert_eq!((outcomes.models.join(","), outcomes.tasks.len()), ("a,b,c".to_owned(), 22));
        let second = outcomes.tasks.iter().find(|task| task.id == "2").expect("it is in");
        assert_eq!(second.cells[0], Cell { resolved: true, cost: Usd::from_micros(1), calls: 1 });
    }

    proptest! {
        #[test]
        fn every_model_of_a_block_has_a_run_for_every_task(
            tried in proptest::collection::vec((0u64..30, 0usize..14, any::<bool>(), proptest::option::of(0i64..100)), 0..600),
        ) {
            let runs: Vec<Judged> =
                tried.into_iter().map(|(task, model, good, cost)| run(task, &format!("m{model}"), good, cost)).collect();
            let (stock, outcomes) = block(&runs);
            prop_assert_eq!(stock.runs, runs.len());
            prop_assert_eq!(outcomes.is_some(), stock.missing().is_empty());
            let Some(outcomes) = outcomes else { return Ok(()) };
            prop_assert!(outcomes.models.len() >= MIN_MODELS && outcomes.tasks.len() >= MIN_TASKS);
            prop_assert!(outcomes.models.is_sorted() && outcomes.tasks.is_sorted_by_key(|task| task.id.clone()));
            for task in &outcomes.tasks {
                prop_assert_eq!(task.cells.len(), outcomes.models.len());
                for (model, cell) in outcomes.models.iter().zip(&task.cells) {
                    let first = runs.iter().find(|run| {
                        run.task.to_string() == task.id && run.model == *model && run.cost.is_some()
                    });
                    prop_assert_eq!(first.map(|run| (run.accepted, run.cost)), Some((cell.resolved, Some(cell.cost))));
                }
            }
        }
    }
}
