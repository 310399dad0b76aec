//! Learning where few tasks have been tried by more than one model, as in a home in use: counts of judged runs per
//! model and group. Where few runs are known, the estimates are drawn to those of all groups and all models.

use super::history::Judged;
use super::learned::Learned;
use super::{Learning, Policy};
use std::collections::BTreeMap;

/// The weight of all models together, in runs of a model's own.
const LIKE_THE_OTHERS: f64 = 2.0;
/// The weight of a model's runs in all groups, in runs in the group.
const LIKE_EVERYWHERE: f64 = 4.0;
/// The weight of the other attempts at a task in its difficulty.
const HARDNESS: f64 = 0.5;
/// The least distance of probabilities from certainty.
const DOUBT: f64 = 1e-3;

/// The number of accepted runs and of all runs.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    good: f64,
    all: f64,
}

impl Count {
    fn add(&mut self, accepted: bool) {
        self.good += f64::from(u8::from(accepted));
        self.all += 1.0;
    }

    /// Returns the share of accepted runs, drawn to `like` as if that were `weight` more runs.
    fn rate(self, like: f64, weight: f64) -> f64 {
        (self.good + weight * like) / (self.all + weight)
    }
}

/// The counts of a home.
#[derive(Debug, Default)]
struct Counts<'a> {
    all: Count,
    models: BTreeMap<&'a str, Count>,
    groups: BTreeMap<(&'a str, &'a str), Count>,
    prices: BTreeMap<&'a str, (f64, f64)>,
    /// The tasks: group, runs, and whether each model's first run was accepted.
    tasks: BTreeMap<u64, (&'a str, Count, BTreeMap<&'a str, bool>)>,
}

impl<'a> Counts<'a> {
    fn from_runs(runs: &'a [Judged]) -> Self {
        let mut counts = Self::default();
        for run in runs {
            let (model, group) = (run.model.as_str(), run.group.as_str());
            counts.all.add(run.accepted);
            counts.models.entry(model).or_default().add(run.accepted);
            counts.groups.entry((group, model)).or_default().add(run.accepted);
            if let Some(cost) = run.cost {
                let (sum, number) = counts.prices.entry(model).or_default();
                *sum += cost.dollars();
                *number += 1.0;
            }
            let (_, tries, first) = counts.tasks.entry(run.task).or_insert((group, Count::default(), BTreeMap::new()));
            tries.add(run.accepted);
            first.entry(model).or_insert(run.accepted);
        }
        counts
    }

    fn rate(&self, model: &str) -> f64 {
        let all = self.all.rate(0.5, LIKE_THE_OTHERS);
        self.models.get(model).copied().unwrap_or_default().rate(all, LIKE_THE_OTHERS)
    }

    fn rate_in(&self, group: &str, model: &str) -> f64 {
        let own = self.groups.get(&(group, model)).copied().unwrap_or_default();
        own.rate(self.rate(model), LIKE_EVERYWHERE)
    }

    /// Returns the cost of a run; a model without known prices counts as the most expensive one.
    fn price(&self, model: &str) -> f64 {
        let mean = |(sum, number): &(f64, f64)| sum / number;
        let dearest = || self.prices.values().map(mean).fold(0.0, f64::max);
        self.prices.get(model).map_or_else(dearest, mean)
    }
}

fn odds(share: f64) -> f64 {
    let share = share.clamp(DOUBT, 1.0 - DOUBT);
    (share / (1.0 - share)).ln()
}

fn share(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds.clamp(-30.0, 30.0)).exp())
}

impl Learned {
    /// Learns from judged runs, of any models on any tasks, how these models will perform. Models without runs get the
    /// average of all.
    pub fn from_counts(runs: &[Judged], models: &[String], learning: Learning) -> Self {
        let counts = Counts::from_runs(runs);
        let (width, size) = (models.len(), counts.tasks.len() * models.len());
        let mut learned = Self {
            models: models.to_vec(),
            groups: counts.tasks.values().map(|(group, _, _)| (*group).to_owned()).collect(),
            success: Vec::with_capacity(size),
            effort: vec![0.0; size],
            spread: vec![1.0; width],
            price: Vec::with_capacity(size),
            group_weight: learning.group,
            effort_weight: learning.effort,
            unit: unit(&counts, models),
        };
        let usual = odds(counts.all.rate(0.5, LIKE_THE_OTHERS));
        for (group, tries, first) in counts.tasks.values() {
            let easier = HARDNESS * (odds(tries.rate(0.5, 1.0)) - usual);
            for model in models {
                let like_it = share(odds(counts.rate_in(group, model)) + easier);
                let own = first.get(model.as_str()).map(|accepted| f64::from(u8::from(*accepted)));
                let likely = own.map_or(like_it, |own| learning.own * own + (1.0 - learning.own) * like_it);
                learned.success.push(likely.clamp(DOUBT, 1.0 - DOUBT));
                learned.price.push(counts.price(model));
            }
        }
        learned
    }
}

/// Returns the dollars per accepted task of the model that is accepted most often, the cheaper one of equals.
fn unit(counts: &Counts<'_>, models: &[String]) -> f64 {
    let rated = models.iter().map(|model| (counts.rate(model), counts.price(model)));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    best.map_or(0.0, |(rate, price)| price / rate)
}

impl Policy {
    /// Returns a copy for a home with too little data to weigh: one rung after another.
    #[must_use]
    pub fn unlearned(&self) -> Self {
        Self { order: super::Order::Fixed, worth: None, explore: 0.0, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::Usd;
    use crate::economics::policy::Gate;
    use crate::economics::policy::belief::Belief;
    use proptest::prelude::*;

    fn run(task: u64, group: &str, model: &str, accepted: bool, micros: i64) -> Judged {
        let cost = (micros > 0).then(|| Usd::from_micros(micros));
        Judged { task, group: group.to_owned(), model: model.to_owned(), accepted, cost }
    }

    fn names(models: &[&str]) -> Vec<String> {
        models.iter().map(|&model| model.to_owned()).collect()
    }

    fn gains(runs: &[Judged], models: &[&str], group: &str) -> Vec<f64> {
        let learned = Learned::from_counts(runs, &names(models), Policy::default().learning);
        let belief = Belief::after(&learned, Gate::PERFECT, group, &[]);
        belief.prospects().iter().map(|prospect| prospect.gain).collect()
    }

    #[test]
    fn who_was_accepted_more_often_is_likelier_to_be() {
        let runs: Vec<Judged> = (0..40)
            .flat_map(|task| {
                [
                    run(task, "shop", "cheap", task % 4 == 0, 10_000),
                    run(100 + task, "shop", "dear", task % 4 != 0, 90_000),
                ]
            })
            .collect();
        let gains = gains(&runs, &["cheap", "dear", "new"], "shop");
        assert!(gains[0] < gains[2] && gains[2] < gains[1], "{gains:?}");
        let learned = Learned::from_counts(&runs, &names(&["cheap", "dear", "new"]), Policy::default().learning);
        let prices: Vec<f64> =
            Belief::after(&learned, Gate::PERFECT, "shop", &[]).prospects().iter().map(|one| one.price).collect();
        let near = |price: f64, dollars: f64| (price - dollars).abs() < 1e-9;
        assert!(near(prices[0], 0.01) && near(prices[1], 0.09) && near(prices[2], 0.09), "{prices:?}");
    }

    #[test]
    fn a_group_of_its_own_counts_and_an_unknown_one_is_like_all() {
        let mut runs: Vec<Judged> = (0..30).map(|task| run(task, "easy", "m", true, 1)).collect();
        runs.extend((30..60).map(|task| run(task, "hard", "m", false, 1)));
        let gain = |group: &str| gains(&runs, &["m"], group)[0];
        assert!(gain("hard") < gain("other") && gain("other") < gain("easy"));
    }

    #[test]
    fn without_a_run_nothing_is_known_and_nothing_breaks() {
        let learned = Learned::from_counts(&[], &names(&["a"]), Policy::default().learning);
        assert_eq!((learned.tasks(), learned.index_of("a"), learned.unit), (0, Some(0), 0.0));
    }

    proptest! {
        #[test]
        fn whatever_was_run_all_that_is_believed_is_a_likelihood(
            runs in proptest::collection::vec((0u64..20, "[a-c]", "[m-p]", any::<bool>(), 0i64..1_000_000), 0..80),
            group in "[a-d]",
        ) {
            let runs: Vec<Judged> =
                runs.iter().map(|(task, group, model, good, cost)| run(*task, group, model, *good, *cost)).collect();
            let models = names(&["m", "n", "o", "q"]);
            let learned = Learned::from_counts(&runs, &models, Policy::default().learning);
            prop_assert!(learned.unit.is_finite() && learned.unit >= 0.0);
            for prospect in Belief::after(&learned, Gate::ASSUMED, &group, &[]).prospects() {
                prop_assert!((-1e-9..=1.0).contains(&prospect.gain) && prospect.price.is_finite());
            }
        }
    }
}
