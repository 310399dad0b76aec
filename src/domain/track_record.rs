//! How agents and models have done so far: what the runs of the past say about whom to give a task of some kind. PURE.
//!
//! A run of work that was judged is a sample: it was accepted, or it failed by a fault of the work or of the process. What
//! failed on the provider's side, was stopped, or asked a person says nothing about its model and is no sample. A sample
//! weighs half as much for every [`HALF_LIFE_DAYS`] of its age. Who is recommended has at least [`MIN_SAMPLES`] and succeeded
//! in more than [`MIN_RATE`] of them; the lower end of the interval decides, and where two are as good, the cheaper one wins.

use super::ids::{RunId, TaskId};
use super::money::{Spend, Usd};
use super::outcome::{FailureClass, Side};
use super::route::Complexity;
use super::task_type::TaskType;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The fewest samples that a recommendation is made from.
pub const MIN_SAMPLES: u64 = 3;
/// The share of successes above which somebody is recommended.
pub const MIN_RATE: f64 = 0.75;
/// After so many days a sample weighs half as much.
pub const HALF_LIFE_DAYS: f64 = 90.0;
/// Two lower ends that differ by less are as good as each other.
const AS_GOOD: f64 = 0.01;
/// The 97.5 % point of the normal distribution: an interval that holds in 95 of 100 cases.
const Z: f64 = 1.96;

/// A run that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// The task's title.
    pub title: String,
    /// What kind of work.
    pub task_type: TaskType,
    /// The task's labels.
    pub labels: Vec<String>,
    /// Its repository, where it names one.
    pub project: Option<PathBuf>,
    /// How hard it was thought to be.
    pub complexity: Option<Complexity>,
    /// By which agent.
    pub agent: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Which attempt at the task it was, from 1.
    pub attempt: u32,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took, where that is known.
    pub took: Option<SignedDuration>,
    /// What it cost, as the CLI says.
    pub cost: Option<Usd>,
    /// Why its work was not accepted; `None`: it was.
    pub failure: Option<FailureClass>,
}

impl Sample {
    /// Whether a failure of this class says something about who worked.
    pub fn tells(class: FailureClass) -> bool {
        match class.side() {
            Side::Provider => false,
            Side::Quality | Side::Process => !matches!(class, FailureClass::SessionLost | FailureClass::Killed),
        }
    }

    fn weight(&self, now: Timestamp) -> f64 {
        let days = now.duration_since(self.ended_at).as_secs_f64() / 86_400.0;
        // What ended in the future, by a clock that jumped, is new.
        0.5_f64.powf(days.max(0.0) / HALF_LIFE_DAYS)
    }
}

/// Which samples count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only tasks of this type.
    pub task_type: Option<TaskType>,
    /// Only tasks of this repository.
    pub project: Option<PathBuf>,
    /// Only tasks with this label.
    pub label: Option<String>,
}

impl Filter {
    /// Whether this one counts.
    pub fn admits(&self, sample: &Sample) -> bool {
        let is_project = |project: &Path| sample.project.as_deref() == Some(project);
        self.task_type.as_ref().is_none_or(|wanted| *wanted == sample.task_type)
            && self.project.as_deref().is_none_or(is_project)
            && self.label.as_ref().is_none_or(|label| sample.labels.contains(label))
    }
}

/// Who worked: an agent, with the model that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worker {
    /// The agent.
    pub agent: String,
    /// The model; `None`: the agent's own choice.
    pub model: Option<String>,
}

/// How somebody has done.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Who.
    pub worker: Worker,
    /// How many samples.
    pub samples: u64,
    /// In how many of them the work was accepted.
    pub successes: u64,
    /// The share of successes, newer samples weighing more; from 0 to 1.
    pub rate: f64,
    /// Between which shares the true one lies, 95 times of a hundred.
    pub interval: (f64, f64),
    /// What the samples cost.
    pub spend: Spend,
    /// How long they took on average, where that is known.
    pub took: Option<SignedDuration>,
    /// What failed, and how often.
    pub failures: BTreeMap<&'static str, u64>,
}

impl Standing {
    /// What an accepted piece of work cost, those that were not accepted included; `None`: there is none, or no price.
    pub fn per_success(&self) -> Option<Usd> {
        let successes = i64::try_from(self.successes).ok().filter(|successes| *successes > 0)?;
        self.spend.sum().map(|sum| Usd::from_micros(sum.micros() / successes))
    }

    /// There is enough of it, and it is good enough.
    pub fn is_proven(&self) -> bool {
        self.samples >= MIN_SAMPLES && self.rate > MIN_RATE
    }

    /// The best first: who is proven before who is not, then by the lower end of the interval; who is as good and cheaper
    /// stands before who is dearer.
    fn order(&self, other: &Self) -> Ordering {
        // In steps, so that "as good as" has an order at all.
        let step = |standing: &Self| (standing.interval.0 / AS_GOOD).floor() as i64;
        let price = |standing: &Self| standing.per_success().map_or(i64::MAX, Usd::micros);
        (other.is_proven(), step(other))
            .cmp(&(self.is_proven(), step(self)))
            .then_with(|| price(self).cmp(&price(other)))
            .then_with(|| self.worker.cmp(&other.worker))
    }
}

/// How everybody has done in these samples, the best first.
pub fn standings<'a>(samples: impl IntoIterator<Item = &'a Sample>, now: Timestamp) -> Vec<Standing> {
    let mut samples: Vec<&Sample> = samples.into_iter().collect();
    // Sums of fractions depend on the order in the last place: it is always the same one.
    samples.sort_by_key(|sample| (sample.ended_at, sample.failure.is_some()));
    let mut tallies: BTreeMap<Worker, Tally> = BTreeMap::new();
    for sample in samples {
        let worker = Worker { agent: sample.agent.clone(), model: sample.model.clone() };
        tallies.entry(worker).or_default().add(sample, now);
    }
    let mut standings: Vec<Standing> = tallies.into_iter().map(|(worker, tally)| tally.standing(worker)).collect();
    standings.sort_by(Standing::order);
    standings
}

/// Whom to give a task of this kind, by these standings. `None`: nobody has done enough of it well enough.
pub fn recommended(standings: &[Standing]) -> Option<&Standing> {
    standings.first().filter(|standing| standing.is_proven())
}

#[derive(Default)]
struct Tally {
    samples: u64,
    successes: u64,
    weight: f64,
    won: f64,
    spend: Spend,
    timed: i64,
    seconds: f64,
    failures: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, sample: &Sample, now: Timestamp) {
        let weight = sample.weight(now);
        self.samples += 1;
        self.weight += weight;
        match sample.failure {
            None => {
                self.successes += 1;
                self.won += weight;
            }
            Some(class) => *self.failures.entry(class.as_str()).or_default() += 1,
        }
        self.spend.add(sample.cost);
        if let Some(took) = sample.took {
            self.timed += 1;
            self.seconds += took.as_secs_f64();
        }
    }

    fn standing(self, worker: Worker) -> Standing {
        let rate = if self.weight > 0.0 { (self.won / self.weight).clamp(0.0, 1.0) } else { 0.0 };
        let took = (self.timed > 0).then(|| SignedDuration::from_secs((self.seconds / self.timed as f64) as i64));
        Standing {
            worker,
            samples: self.samples,
            successes: self.successes,
            rate,
            interval: wilson(rate, self.weight),
            spend: self.spend,
            took,
            failures: self.failures,
        }
    }
}

/// The interval of Wilson (1927) for a share that was seen in so many samples; all of it where there are none.
pub fn wilson(rate: f64, samples: f64) -> (f64, f64) {
    if samples <= 0.0 {
        return (0.0, 1.0);
    }
    let square = Z * Z;
    let middle = rate + square / (2.0 * samples);
    let spread = Z * (rate * (1.0 - rate) / samples + square / (4.0 * samples * samples)).sqrt();
    let scale = 1.0 + square / samples;
    (((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0))
}

#[cfg(test)]
mod tests;
