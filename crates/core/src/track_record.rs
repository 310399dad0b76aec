//! How agents and models have done so far: what the runs of the past say about whom to give a task of some kind. PURE.
//!
//! A run of work that was judged is a sample, and so is what a person recorded by hand; both weigh the same, and how many of
//! them are of a person is told beside them. A run is judged: it was accepted, or it failed by a fault of the work or of the process. What
//! failed on the provider's side, was stopped, or asked a person says nothing about its model and is no sample. A sample
//! weighs half as much for every [`HALF_LIFE_DAYS`] of its age, and half as much again where another version of the model
//! answered than does now. Who is recommended has at least [`MIN_SAMPLES`] and succeeded
//! in more than [`MIN_RATE`] of them; the lower end of the interval decides, and where two are as good, the cheaper one wins.

mod weights;

pub use weights::{Weights, record, records};

use super::ids::{RunId, TaskId};
use super::money::{Spend, Usd};
use super::outcome::{FailureClass, Side};
use super::prompt::data::one_line;
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
/// Among the classes of failures: recorded by a person, who gave none.
const UNCLASSED: &str = "told";

/// A piece of work that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Where it is from.
    pub source: Source,
    /// The task's title; of what a person recorded, empty.
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
    /// The model, as the agent's program was given it.
    pub model: Option<String>,
    /// The model that answered, as the CLI names it; `None`: it did not say.
    pub version: Option<String>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took, where that is known.
    pub took: Option<SignedDuration>,
    /// What it cost, as the CLI or the person says.
    pub cost: Option<Usd>,
    /// What became of it.
    pub verdict: Verdict,
}

/// Where a sample is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A run that orch judged.
    Run {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
        /// Which attempt at the task it was, from 1.
        attempt: u32,
    },
    /// A person's word: nobody has seen evidence.
    Person {
        /// Its number.
        number: u64,
        /// Who.
        by: String,
        /// In their words.
        note: String,
    },
}

impl Source {
    /// The task, where there was one.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Run { task, .. } => Some(*task),
            Self::Person { .. } => None,
        }
    }

    /// The stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Person { .. } => "person",
        }
    }
}

/// What became of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was accepted.
    Accepted,
    /// It was not, and why; `None`: a person has not said.
    Failed(Option<FailureClass>),
}

impl Sample {
    /// Its work was accepted.
    pub fn is_accepted(&self) -> bool {
        self.verdict == Verdict::Accepted
    }

    /// Why it was not, where that is known.
    pub fn failure(&self) -> Option<FailureClass> {
        match self.verdict {
            Verdict::Accepted => None,
            Verdict::Failed(class) => class,
        }
    }

    /// Whether a failure of this class says something about who worked.
    pub fn tells(class: FailureClass) -> bool {
        match class.side() {
            Side::Provider => false,
            Side::Quality | Side::Process => !matches!(class, FailureClass::SessionLost | FailureClass::Killed),
        }
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

/// Who worked: an agent, with the model that its program was given.
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
    /// How many of them a person recorded by hand.
    pub by_hand: u64,
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

    /// What it was recommended for, for a person or a model.
    pub fn told(&self) -> String {
        let (low, high) = self.interval;
        let percent = |share: f64| (share * 100.0).round();
        let by_hand = match self.by_hand {
            0 => String::new(),
            count => format!("; {count} of {} recorded by hand", self.samples),
        };
        format!(
            "{} of {} accepted: {} % with newer ones weighing more (more than {} % are asked for), and 95 times of a hundred \
             the true share lies between {} and {} %{by_hand}",
            self.successes,
            self.samples,
            percent(self.rate),
            percent(MIN_RATE),
            percent(low),
            percent(high),
        )
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
    samples.sort_by_key(|sample| (sample.ended_at, !sample.is_accepted()));
    let weights = Weights::of(samples.iter().copied(), now);
    let mut tallies: BTreeMap<Worker, Counts> = BTreeMap::new();
    for sample in samples {
        let worker = Worker { agent: sample.agent.clone(), model: sample.model.clone() };
        tallies.entry(worker).or_default().add(sample, weights.weight(sample));
    }
    let mut standings: Vec<Standing> = tallies.into_iter().map(|(worker, tally)| tally.standing(worker)).collect();
    standings.sort_by(Standing::order);
    standings
}

/// Whom to give a task of this kind, by these standings. `None`: nobody has done enough of it well enough.
pub fn recommended(standings: &[Standing]) -> Option<&Standing> {
    standings.first().filter(|standing| standing.is_proven())
}

/// What the router is told of tasks of this type: whom of these agents their record speaks for, that of the project where it
/// speaks for anybody, else that of all. `None`: it speaks for nobody.
pub fn proven(
    samples: &[Sample],
    task_type: &TaskType,
    project: Option<&Path>,
    agents: &[String],
    now: Timestamp,
) -> Option<String> {
    let of = |project: Option<&Path>| {
        let filter = Filter { task_type: Some(task_type.clone()), project: project.map(Path::to_owned), label: None };
        let admitted = samples.iter().filter(|sample| filter.admits(sample) && agents.contains(&sample.agent));
        let all = standings(admitted, now);
        recommended(&all).map(|best| {
            let Worker { agent, model } = &best.worker;
            let model = model.as_deref().map(|model| format!(" with the model `{}`", one_line(model, 100)));
            let place = if project.is_some() { " of this project" } else { "" };
            let task_type = one_line(&task_type.to_string(), 100);
            format!("- `{agent}`{} in tasks{place} of type `{task_type}`: {}", model.unwrap_or_default(), best.told())
        })
    };
    project.and_then(|project| of(Some(project))).or_else(|| of(None))
}

#[derive(Default)]
struct Counts {
    samples: u64,
    successes: u64,
    by_hand: u64,
    weight: f64,
    won: f64,
    spend: Spend,
    timed: i64,
    seconds: f64,
    failures: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn add(&mut self, sample: &Sample, weight: f64) {
        self.samples += 1;
        self.weight += weight;
        self.by_hand += u64::from(sample.source.task().is_none());
        match sample.verdict {
            Verdict::Accepted => {
                self.successes += 1;
                self.won += weight;
            }
            Verdict::Failed(class) => {
                *self.failures.entry(class.map_or(UNCLASSED, FailureClass::as_str)).or_default() += 1;
            }
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
            by_hand: self.by_hand,
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
