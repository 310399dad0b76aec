//! The weight of a sample, and the records of models for the resolver and for strategies. Pure.

use super::{HALF_LIFE_DAYS, Sample};
use crate::models::catalog::{ModelRef, Tier};
use crate::models::resolve::{Record, Records};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The weight factor of a sample whose model version is not the one that answers now.
pub const OTHER_VERSION: f64 = 0.5;

/// An agent with a model by name.
type Name<'a> = (&'a str, Option<&'a str>);

/// The weights of samples, by their age and the version that answered last.
#[derive(Debug)]
pub struct Weights<'a> {
    now: Timestamp,
    /// The version that answered last, by name.
    newest: BTreeMap<Name<'a>, (Timestamp, &'a str)>,
}

fn name(sample: &Sample) -> Name<'_> {
    (&sample.agent, sample.model.as_deref())
}

impl<'a> Weights<'a> {
    /// Computes the weights from these samples, in any order.
    pub fn from_samples(samples: impl IntoIterator<Item = &'a Sample>, now: Timestamp) -> Self {
        let mut newest: BTreeMap<Name<'a>, (Timestamp, &'a str)> = BTreeMap::new();
        for sample in samples {
            let Some(version) = sample.version.as_deref() else { continue };
            let last = newest.entry(name(sample)).or_insert((sample.ended_at, version));
            *last = (*last).max((sample.ended_at, version));
        }
        Self { now, newest }
    }

    /// Returns the weight of a sample, from 0 to 1. An unknown version does not reduce it.
    pub fn weight(&self, sample: &Sample) -> f64 {
        let days = self.now.duration_since(sample.ended_at).as_secs_f64() / 86_400.0;
        // A sample from the future, by a clock that jumped, counts as new.
        let by_age = 0.5_f64.powf(days.max(0.0) / HALF_LIFE_DAYS);
        let newest = self.newest.get(&name(sample)).map(|(_, version)| *version);
        match (sample.version.as_deref(), newest) {
            (Some(own), Some(newest)) if own != newest => by_age * OTHER_VERSION,
            (Some(_) | None, _) => by_age,
        }
    }
}

/// Returns the record of these samples together.
pub fn record<'s>(samples: impl IntoIterator<Item = &'s Sample>, weights: &Weights<'_>) -> Record {
    let mut sum = Sum::default();
    samples.into_iter().for_each(|sample| sum.add(sample, weights));
    sum.record()
}

/// Returns the records of models and tiers from all samples. `find` returns the model that an agent's name for it means
/// now; names without one are skipped. A tier gets no record from a single model: it would apply to all others of the
/// tier.
pub fn records(
    samples: &[Sample],
    now: Timestamp,
    find: impl Fn(&str, &str) -> Option<(ModelRef, Option<Tier>)>,
) -> Records {
    let mut found: BTreeMap<Name<'_>, Option<(ModelRef, Option<Tier>)>> = BTreeMap::new();
    let (mut models, mut tiers) = (BTreeMap::<ModelRef, Sum>::new(), BTreeMap::<Tier, BTreeMap<ModelRef, Sum>>::new());
    let weights = Weights::from_samples(samples, now);
    for sample in samples {
        let Some(model) = &sample.model else { continue };
        let known = found.entry(name(sample)).or_insert_with(|| find(&sample.agent, model));
        let Some((model, tier)) = known else { continue };
        models.entry(model.clone()).or_default().add(sample, &weights);
        if let Some(tier) = tier {
            tiers.entry(*tier).or_default().entry(model.clone()).or_default().add(sample, &weights);
        }
    }
    let of_tier = |of: BTreeMap<ModelRef, Sum>| (of.len() > 1).then(|| of.into_values().fold(Sum::default(), Sum::and));
    Records {
        models: models.into_iter().map(|(model, sum)| (model, sum.record())).collect(),
        tiers: tiers.into_iter().filter_map(|(tier, of)| Some((tier, of_tier(of)?.record()))).collect(),
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    good: u64,
    samples: u64,
    won: f64,
    weight: f64,
}

impl Sum {
    fn add(&mut self, sample: &Sample, weights: &Weights<'_>) {
        let (weight, is_good) = (weights.weight(sample), sample.is_accepted());
        self.samples += 1;
        self.weight += weight;
        self.good += u64::from(is_good);
        self.won += if is_good { weight } else { 0.0 };
    }

    fn and(self, other: Self) -> Self {
        Self {
            good: self.good + other.good,
            samples: self.samples + other.samples,
            won: self.won + other.won,
            weight: self.weight + other.weight,
        }
    }

    fn record(self) -> Record {
        let share = if self.weight > 0.0 { self.won / self.weight } else { 0.0 };
        Record::weighed(self.good, self.samples, share)
    }
}

#[cfg(test)]
mod tests;
