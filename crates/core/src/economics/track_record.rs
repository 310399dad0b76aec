//! The track record of agents and models: what past runs say about the choice for a type of task. Pure.
//!
//! A sample is a judged run of work, or what a person recorded by hand; both have the same weight, and the number of
//! recorded ones is shown. A run is judged if it was accepted, or failed by a fault of the work or the process.
//! Provider failures, stopped runs and questions to a person say nothing about the model and are no samples. The weight
//! of a sample halves with every [`HALF_LIFE_DAYS`] of its age, and is halved again if another version of the model
//! answers now. A recommended model has at least [`MIN_SAMPLES`] and succeeded in more than [`MIN_RATE`] of them;
//! models are ranked by the lower end of the interval, and of two equal ones the cheaper one comes first.

mod weights;

pub use weights::{Weights, record, records};

use crate::base::ids::{RunId, TaskId};
use crate::base::money::{Spend, Usd};
use crate::prompts::prompt::data::one_line;
use crate::tasks::outcome::{FailureClass, Side};
use crate::tasks::route::Complexity;
use crate::tasks::task_type::TaskType;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use strum::IntoStaticStr;

/// The fewest samples for a recommendation.
pub const MIN_SAMPLES: u64 = 3;
/// The success rate that a recommendation must exceed.
pub const MIN_RATE: f64 = 0.75;
/// The age in days at which a sample has half its weight.
pub const HALF_LIFE_DAYS: f64 = 90.0;
/// The difference of two lower ends below which they count as equal.
const AS_GOOD: f64 = 0.01;
/// The 97.5 % quantile of the normal distribution, for a 95 % interval.
const Z: f64 = 1.96;
/// The failure class of a recorded failure without a class.
const UNCLASSED: &str = "told";

/// A piece of judged work.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Where the sample is from.
    pub source: Source,
    /// The task's title; empty for a recorded sample.
    pub title: String,
    /// The type of work.
    pub task_type: TaskType,
    /// The task's labels.
    pub labels: Vec<String>,
    /// The repository, where the task names one.
    pub project: Option<PathBuf>,
    /// The assumed complexity.
    pub complexity: Option<Complexity>,
    /// The agent that did the work.
    pub agent: String,
    /// The model, as it was passed to the agent's program.
    pub model: Option<String>,
    /// The model that answered, as the CLI names it; `None`: unknown.
    pub version: Option<String>,
    /// When the work ended.
    pub ended_at: Timestamp,
    /// How long the work took, where it is known.
    pub took: Option<SignedDuration>,
    /// The cost, as reported by the CLI or the person.
    pub cost: Option<Usd>,
    /// The verdict on the work.
    pub verdict: Verdict,
}

/// The origin of a sample.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Source {
    /// A run that orch judged.
    Run {
        /// The task's id.
        task: TaskId,
        /// The run's id.
        run: RunId,
        /// The attempt at the task, from 1.
        attempt: u32,
    },
    /// A record by a person, without evidence.
    Person {
        /// The number of the record.
        number: u64,
        /// The person who recorded it.
        by: String,
        /// The person's note.
        note: String,
    },
}

impl Source {
    /// Returns the task, if there is one.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Run { task, .. } => Some(*task),
            Self::Person { .. } => None,
        }
    }

    /// Returns the stable name.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

/// The verdict on a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was accepted.
    Accepted,
    /// It was not accepted, with the class of the failure; `None`: a person gave none.
    Failed(Option<FailureClass>),
}

impl Sample {
    /// Whether the work was accepted.
    pub fn is_accepted(&self) -> bool {
        self.verdict == Verdict::Accepted
    }

    /// Returns the class of the failure, where it is known.
    pub fn failure(&self) -> Option<FailureClass> {
        match self.verdict {
            Verdict::Accepted => None,
            Verdict::Failed(class) => class,
        }
    }

    /// Whether a failure of this class says something about the agent and model.
    pub fn is_informative(class: FailureClass) -> bool {
        match class.side() {
            Side::Provider => false,
            Side::Quality | Side::Process => !matches!(class, FailureClass::SessionLost | FailureClass::Killed),
        }
    }
}

/// Selects samples.
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
    /// Whether the sample is selected.
    pub fn admits(&self, sample: &Sample) -> bool {
        let is_project = |project: &Path| sample.project.as_deref() == Some(project);
        self.task_type.as_ref().is_none_or(|wanted| *wanted == sample.task_type)
            && self.project.as_deref().is_none_or(is_project)
            && self.label.as_ref().is_none_or(|label| sample.labels.contains(label))
    }
}

/// An agent with the model that its program received.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worker {
    /// The name of the agent.
    pub agent: String,
    /// The model; `None`: the agent's own choice.
    pub model: Option<String>,
}

/// The track record of an agent with a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The agent and model.
    pub worker: Worker,
    /// The number of samples.
    pub samples: u64,
    /// The number of samples that were accepted.
    pub successes: u64,
    /// The number of samples that a person recorded by hand.
    pub by_hand: u64,
    /// The weighted success rate, from 0 to 1.
    pub rate: f64,
    /// The 95 % interval of the success rate.
    pub interval: (f64, f64),
    /// The cost of the samples.
    pub spend: Spend,
    /// The average duration, where it is known.
    pub took: Option<SignedDuration>,
    /// The number of failures by class.
    pub failures: BTreeMap<&'static str, u64>,
}

impl Standing {
    /// Returns the cost per accepted sample, failed ones included; `None`: there is none, or no price.
    pub fn per_success(&self) -> Option<Usd> {
        let successes = i64::try_from(self.successes).ok().filter(|successes| *successes > 0)?;
        self.spend.sum().map(|sum| Usd::from_micros(sum.micros() / successes))
    }

    /// Describes the record that led to a recommendation, for a person or a model.
    pub fn describe(&self) -> String {
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

    /// Whether there are enough samples and the rate is good enough.
    pub fn is_proven(&self) -> bool {
        self.samples >= MIN_SAMPLES && self.rate > MIN_RATE
    }

    /// Orders the best first: proven ones, then by the lower end of the interval; of equal ones the cheaper one comes
    /// first.
    fn order(&self, other: &Self) -> Ordering {
        // In steps, so that "equal" is transitive.
        let step = |standing: &Self| (standing.interval.0 / AS_GOOD).floor() as i64;
        let price = |standing: &Self| standing.per_success().map_or(i64::MAX, Usd::micros);
        (other.is_proven(), step(other))
            .cmp(&(self.is_proven(), step(self)))
            .then_with(|| price(self).cmp(&price(other)))
            .then_with(|| self.worker.cmp(&other.worker))
    }
}

/// Computes the track records of all agents and models in these samples, the best first.
pub fn standings<'a>(samples: impl IntoIterator<Item = &'a Sample>, now: Timestamp) -> Vec<Standing> {
    let mut samples: Vec<&Sample> = samples.into_iter().collect();
    // Sums of floats depend on the order in the last digit, so the order is fixed.
    samples.sort_by_key(|sample| (sample.ended_at, !sample.is_accepted()));
    let weights = Weights::from_samples(samples.iter().copied(), now);
    let mut tallies: BTreeMap<Worker, Counts> = BTreeMap::new();
    for sample in samples {
        let worker = Worker { agent: sample.agent.clone(), model: sample.model.clone() };
        tallies.entry(worker).or_default().add(sample, weights.weight(sample));
    }
    let mut standings: Vec<Standing> = tallies.into_iter().map(|(worker, tally)| tally.standing(worker)).collect();
    standings.sort_by(Standing::order);
    standings
}

/// Returns the recommended agent and model. `None`: none is proven.
pub fn recommended(standings: &[Standing]) -> Option<&Standing> {
    standings.first().filter(|standing| standing.is_proven())
}

/// Describes for the router which of these agents have a good record for tasks of this type: in the project, else in
/// all projects. `None`: none has.
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
            format!(
                "- `{agent}`{} in tasks{place} of type `{task_type}`: {}",
                model.unwrap_or_default(),
                best.describe()
            )
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

/// Returns the Wilson interval (1927) of a share in this many samples; (0, 1) without samples.
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
