//! Samples that a person records by hand: what they say of a piece of work that orch has not judged, checked against what is
//! known here. PURE.

use super::money::Usd;
use super::route::Complexity;
use super::router::nearest;
use super::task_type::TaskType;
use super::track_record::{Sample, Source, Verdict, Worker};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The dearest piece of work that is believed.
const DEAREST: Usd = Usd::from_micros(1_000_000_000_000);
/// The longest, in seconds: a year.
const LONGEST: i64 = 365 * 86_400;
/// The longest note, in characters.
const MAX_NOTE: usize = 1_000;
/// The longest word, in characters.
const MAX_WORD: usize = 200;

/// A sample as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its number, from 1; 0 as long as it has none.
    pub number: u64,
    /// What kind of work, in the word that stands for all of its names.
    pub task_type: String,
    /// The agent.
    pub agent: String,
    /// The model, as the agent's CLI names it.
    pub model: String,
    /// It was accepted.
    pub accepted: bool,
    /// How hard it was.
    pub complexity: Option<Complexity>,
    /// Its repository.
    pub project: Option<PathBuf>,
    /// What it cost.
    pub cost: Option<Usd>,
    /// How many seconds it took.
    pub seconds: Option<i64>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who says so.
    pub by: String,
    /// In their words.
    pub note: String,
}

impl From<Recorded> for Sample {
    fn from(recorded: Recorded) -> Self {
        Self {
            source: Source::Person { number: recorded.number, by: recorded.by, note: recorded.note },
            title: String::new(),
            task_type: TaskType::parse(&recorded.task_type),
            labels: Vec::new(),
            project: recorded.project,
            complexity: recorded.complexity,
            agent: recorded.agent,
            model: Some(recorded.model),
            version: None,
            ended_at: recorded.ended_at,
            took: recorded.seconds.map(SignedDuration::from_secs),
            cost: recorded.cost,
            verdict: if recorded.accepted { Verdict::Accepted } else { Verdict::Failed(None) },
        }
    }
}

/// What a person says, as they wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// What kind of work.
    pub task_type: String,
    /// The agent; without it, the only one that has this model.
    pub agent: Option<String>,
    /// The model.
    pub model: String,
    /// It was accepted.
    pub accepted: bool,
    /// How hard it was.
    pub complexity: Option<Complexity>,
    /// Its repository: the directory or the name of a project.
    pub project: Option<String>,
    /// What it cost.
    pub cost: Option<Usd>,
    /// How many seconds it took.
    pub seconds: Option<i64>,
    /// When it ended; without it, now.
    pub ended_at: Option<Timestamp>,
    /// Who says so.
    pub by: String,
    /// In their words.
    pub note: String,
}

/// What is known here.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Types of a person's own that tasks here have had.
    pub own_types: BTreeSet<String>,
    /// The agents that are declared.
    pub agents: BTreeSet<String>,
    /// Who has worked here, and who would, by `model_map`.
    pub workers: BTreeSet<Worker>,
    /// The registered repositories, by name.
    pub projects: Vec<(String, PathBuf)>,
    /// Why the catalog of models has none of this name, and what there is; `None`: it has.
    pub not_in_catalog: Option<(String, String)>,
}

/// Why a sample is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// There is no such type.
    #[error("task type: there is no type {word:?}")]
    Type {
        /// As it was written.
        word: String,
        /// What may have been meant.
        meant: Option<String>,
        /// What there is.
        known: String,
    },
    /// There is no such model.
    #[error("model: {why}")]
    Model {
        /// Why not.
        why: String,
        /// What there is.
        hint: String,
    },
    /// There is no such agent.
    #[error("agent: there is no agent {agent:?}")]
    Agent {
        /// As it was written.
        agent: String,
        /// What there is.
        known: String,
    },
    /// It cannot be told which agent it was.
    #[error("agent: {}", if *.several { "more than one agent works with the model" } else { "nobody here has worked with the model yet" })]
    WhichAgent {
        /// More than one may be meant.
        several: bool,
        /// Who.
        known: String,
    },
    /// There is no such project.
    #[error("project: {project:?} is no registered repository")]
    Project {
        /// As it was written.
        project: String,
        /// What may have been meant.
        meant: Option<String>,
        /// What there is.
        known: String,
    },
    /// No price.
    #[error("cost: {cost} is no cost: expected $0 to {DEAREST}")]
    Cost {
        /// As it was written.
        cost: Usd,
    },
    /// No duration.
    #[error("duration: {seconds} seconds is no duration: expected 0 seconds to a year")]
    Duration {
        /// As it was written.
        seconds: i64,
    },
    /// Nothing has ended that will end.
    #[error("ended: {at} is in the future; it is {now} now")]
    Future {
        /// As it was written.
        at: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// A text without end.
    #[error("{field}: longer than {most} characters")]
    Long {
        /// Which.
        field: &'static str,
        /// The most that is kept.
        most: usize,
    },
}

impl BadRecord {
    /// What to do instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Type { meant: Some(meant), .. } => format!("did you mean {meant}?"),
            Self::Type { meant: None, known, .. } => format!("types are {known}, and those that tasks here have"),
            Self::Model { hint, .. } => hint.clone(),
            Self::Agent { known, .. } => format!("agents are {known}"),
            Self::WhichAgent { known, .. } => format!("name it with --agent: {known}"),
            Self::Project { meant: Some(meant), .. } => format!("did you mean {meant}?"),
            Self::Project { known, .. } if known.is_empty() => "register it by `orch init` there".to_owned(),
            Self::Project { known, .. } => format!("projects are {known}; `orch init` registers another"),
            Self::Cost { .. } => "leave the cost out where it is not known".to_owned(),
            Self::Duration { .. } => "leave the duration out where it is not known".to_owned(),
            Self::Future { .. } => {
                "say when it ended, for instance 2h (so long ago), or leave it out for now".to_owned()
            }
            Self::Long { .. } => "say it shorter".to_owned(),
        }
    }
}

/// The names of the types that are known everywhere.
const TYPES: [&str; 8] = ["feature", "fix", "refactor", "test", "docs", "research", "review", "ops"];

/// The sample, still without a number.
///
/// # Errors
/// The first thing that cannot be true, or that nobody here has heard of.
pub fn check(word: Word, known: &Known, now: Timestamp) -> Result<Recorded, BadRecord> {
    let within = |field, text: &str, most| {
        if text.chars().count() > most { Err(BadRecord::Long { field, most }) } else { Ok(()) }
    };
    within("task type", &word.task_type, MAX_WORD)?;
    within("model", &word.model, MAX_WORD)?;
    within("by", &word.by, MAX_WORD)?;
    within("note", &word.note, MAX_NOTE)?;
    let task_type = of_type(&word.task_type, known)?;
    let model = of_model(&word.model, known)?;
    let agent = of_agent(word.agent.as_deref(), &model, known)?;
    let project = word.project.map(|project| of_project(&project, known)).transpose()?;
    if let Some(cost) = word.cost.filter(|cost| !(Usd::ZERO..=DEAREST).contains(cost)) {
        return Err(BadRecord::Cost { cost });
    }
    if let Some(seconds) = word.seconds.filter(|seconds| !(0..=LONGEST).contains(seconds)) {
        return Err(BadRecord::Duration { seconds });
    }
    let ended_at = word.ended_at.unwrap_or(now);
    if ended_at > now {
        return Err(BadRecord::Future { at: ended_at, now });
    }
    Ok(Recorded {
        number: 0,
        task_type,
        agent,
        model,
        accepted: word.accepted,
        complexity: word.complexity,
        project,
        cost: word.cost,
        seconds: word.seconds,
        ended_at,
        recorded_at: now,
        by: word.by,
        note: word.note.trim().to_owned(),
    })
}

/// The type that a word means.
///
/// # Errors
/// Nobody here has heard of it.
pub fn of_type(word: &str, known: &Known) -> Result<String, BadRecord> {
    let found = TaskType::parse(word).to_string();
    let is_empty = word.trim().is_empty();
    if !is_empty && (TYPES.contains(&found.as_str()) || known.own_types.contains(&found)) {
        return Ok(found);
    }
    let all = || TYPES.into_iter().chain(known.own_types.iter().map(String::as_str));
    let meant = if is_empty { None } else { nearest(&found, all()).map(str::to_owned) };
    Err(BadRecord::Type { word: word.to_owned(), meant, known: all().collect::<Vec<_>>().join(", ") })
}

/// As it was written: standings are kept by the names that the agents' CLIs have.
fn of_model(word: &str, known: &Known) -> Result<String, BadRecord> {
    let model = word.trim();
    let has_worked = known.workers.iter().any(|worker| worker.model.as_deref() == Some(model));
    let refused = |why: &str, hint: &str| Err(BadRecord::Model { why: why.to_owned(), hint: hint.to_owned() });
    match &known.not_in_catalog {
        _ if model.is_empty() => refused("no model is named", "`orch models list` shows what there is"),
        Some((why, hint)) if !has_worked => refused(why, hint),
        Some(_) | None => Ok(model.to_owned()),
    }
}

fn of_agent(word: Option<&str>, model: &str, known: &Known) -> Result<String, BadRecord> {
    let list = |agents: &BTreeSet<&str>| agents.iter().copied().collect::<Vec<_>>().join(", ");
    let declared = || known.agents.iter().map(String::as_str).collect::<BTreeSet<_>>();
    if let Some(agent) = word {
        let agent = agent.trim();
        return match known.agents.contains(agent) {
            true => Ok(agent.to_owned()),
            false => Err(BadRecord::Agent { agent: agent.to_owned(), known: list(&declared()) }),
        };
    }
    let with_model = known.workers.iter().filter(|worker| worker.model.as_deref() == Some(model));
    let candidates: BTreeSet<&str> = with_model.map(|worker| worker.agent.as_str()).collect();
    match candidates.iter().copied().collect::<Vec<_>>().as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(BadRecord::WhichAgent { several: false, known: list(&declared()) }),
        [_, _, ..] => Err(BadRecord::WhichAgent { several: true, known: list(&candidates) }),
    }
}

/// The repository that a name or a directory means.
///
/// # Errors
/// None that is registered.
pub fn of_project(word: &str, known: &Known) -> Result<PathBuf, BadRecord> {
    let is_it = |(name, dir): &&(String, PathBuf)| name == word || dir.as_os_str() == word;
    let names = || known.projects.iter().map(|(name, _)| name.as_str());
    let found = known.projects.iter().find(is_it).map(|(_, dir)| dir.clone());
    found.ok_or_else(|| BadRecord::Project {
        project: word.to_owned(),
        meant: nearest(word, names()).map(str::to_owned),
        known: names().collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests;
