//! Samples that a person records by hand about work that orch has not judged, checked against what is known here. Pure.

use super::track_record::{Sample, Source, Verdict, Worker};
use crate::base::money::Usd;
use crate::base::nearest::nearest;
use crate::tasks::route::Complexity;
use crate::tasks::task_type::TaskType;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The highest cost that is accepted.
const DEAREST: Usd = Usd::from_micros(1_000_000_000_000);
/// The longest duration that is accepted, in seconds: a year.
const LONGEST: i64 = 365 * 86_400;
/// The longest note, in characters.
const MAX_NOTE: usize = 1_000;
/// The longest single word, in characters.
const MAX_WORD: usize = 200;

/// A sample as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The sample's number, from 1; 0 while it has none.
    pub number: u64,
    /// The type of work, by its canonical name.
    pub task_type: String,
    /// The agent that did the work.
    pub agent: String,
    /// The model, as the agent's CLI names it.
    pub model: String,
    /// Whether the work was accepted.
    pub accepted: bool,
    /// The complexity of the work.
    pub complexity: Option<Complexity>,
    /// The repository of the work.
    pub project: Option<PathBuf>,
    /// The cost of the work.
    pub cost: Option<Usd>,
    /// The duration in seconds.
    pub seconds: Option<i64>,
    /// When the work ended.
    pub ended_at: Timestamp,
    /// When the sample was recorded.
    pub recorded_at: Timestamp,
    /// The person who recorded it.
    pub by: String,
    /// The person's note.
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

/// A sample as the person entered it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The type of work.
    pub task_type: String,
    /// The agent; `None`: the only one that has this model.
    pub agent: Option<String>,
    /// The model, as the agent's CLI names it.
    pub model: String,
    /// Whether the work was accepted.
    pub accepted: bool,
    /// The complexity of the work.
    pub complexity: Option<Complexity>,
    /// The repository: the directory or name of a project.
    pub project: Option<String>,
    /// The cost of the work.
    pub cost: Option<Usd>,
    /// The duration in seconds.
    pub seconds: Option<i64>,
    /// When the work ended; `None`: now.
    pub ended_at: Option<Timestamp>,
    /// The person who records it.
    pub by: String,
    /// The person's note.
    pub note: String,
}

/// What is known on this machine.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Custom types that tasks here have had.
    pub own_types: BTreeSet<String>,
    /// The declared agents.
    pub agents: BTreeSet<String>,
    /// The agents and models that have worked here, or would by `model_map`.
    pub workers: BTreeSet<Worker>,
    /// The registered repositories by name.
    pub projects: Vec<(String, PathBuf)>,
    /// Why the catalog of models does not have this name, and what it has instead; `None`: it has the name.
    pub not_in_catalog: Option<(String, String)>,
}

/// Why a sample is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The type of work is unknown.
    #[error("task type: there is no type {word:?}")]
    Type {
        /// The entered word.
        word: String,
        /// A similar type, if there is one.
        meant: Option<String>,
        /// The known types.
        known: String,
    },
    /// The model is unknown.
    #[error("model: {why}")]
    Model {
        /// Why it is unknown.
        why: String,
        /// The known models.
        hint: String,
    },
    /// The agent is unknown.
    #[error("agent: there is no agent {agent:?}")]
    Agent {
        /// The entered agent.
        agent: String,
        /// The known agents.
        known: String,
    },
    /// The agent is not named and cannot be derived from the model.
    #[error("agent: {}", if *.several { "more than one agent works with the model" } else { "nobody here has worked with the model yet" })]
    WhichAgent {
        /// Whether several agents have the model.
        several: bool,
        /// The agents in question.
        known: String,
    },
    /// The project is unknown.
    #[error("project: {project:?} is no registered repository")]
    Project {
        /// The entered project.
        project: String,
        /// A similar project, if there is one.
        meant: Option<String>,
        /// The known projects.
        known: String,
    },
    /// The cost is out of range.
    #[error("cost: {cost} is no cost: expected $0 to {DEAREST}")]
    Cost {
        /// The entered cost.
        cost: Usd,
    },
    /// The duration is out of range.
    #[error("duration: {seconds} seconds is no duration: expected 0 seconds to a year")]
    Duration {
        /// The entered duration.
        seconds: i64,
    },
    /// The end of the work is in the future.
    #[error("ended: {at} is in the future; it is {now} now")]
    Future {
        /// The entered time.
        at: Timestamp,
        /// The current time.
        now: Timestamp,
    },
    /// A text is too long.
    #[error("{field}: longer than {most} characters")]
    Long {
        /// The name of the field.
        field: &'static str,
        /// The longest accepted text, in characters.
        most: usize,
    },
}

impl BadRecord {
    /// Returns what to do instead.
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

/// The names of the built-in types.
const TYPES: [&str; 8] = ["feature", "fix", "refactor", "test", "docs", "research", "review", "ops"];

/// Checks an entry and returns the sample, still without a number.
///
/// # Errors
/// Returns the first invalid or unknown value.
pub fn check(entry: Entry, known: &Known, now: Timestamp) -> Result<Recorded, BadRecord> {
    let within = |field, text: &str, most| {
        if text.chars().count() > most { Err(BadRecord::Long { field, most }) } else { Ok(()) }
    };
    within("task type", &entry.task_type, MAX_WORD)?;
    within("model", &entry.model, MAX_WORD)?;
    within("by", &entry.by, MAX_WORD)?;
    within("note", &entry.note, MAX_NOTE)?;
    let task_type = of_type(&entry.task_type, known)?;
    let model = of_model(&entry.model, known)?;
    let agent = of_agent(entry.agent.as_deref(), &model, known)?;
    let project = entry.project.map(|project| of_project(&project, known)).transpose()?;
    if let Some(cost) = entry.cost.filter(|cost| !(Usd::ZERO..=DEAREST).contains(cost)) {
        return Err(BadRecord::Cost { cost });
    }
    if let Some(seconds) = entry.seconds.filter(|seconds| !(0..=LONGEST).contains(seconds)) {
        return Err(BadRecord::Duration { seconds });
    }
    let ended_at = entry.ended_at.unwrap_or(now);
    if ended_at > now {
        return Err(BadRecord::Future { at: ended_at, now });
    }
    Ok(Recorded {
        number: 0,
        task_type,
        agent,
        model,
        accepted: entry.accepted,
        complexity: entry.complexity,
        project,
        cost: entry.cost,
        seconds: entry.seconds,
        ended_at,
        recorded_at: now,
        by: entry.by,
        note: entry.note.trim().to_owned(),
    })
}

/// Returns the type that a word names.
///
/// # Errors
/// Returns an error if the type is unknown.
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

/// Returns the model as entered: track records use the names of the agents' CLIs.
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

/// Returns the repository that a name or a directory refers to.
///
/// # Errors
/// Returns an error if it is not registered.
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
