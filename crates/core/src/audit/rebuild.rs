//! Rebuilds a task from its traces when the journal cannot be used. Pure.
//!
//! Order of trust: an up-to-date, readable row of the journal; else the record in the sidecar, unless run directories
//! are newer; else `tasks.yml` and the run directories together. A live run is always followed, and a run that ended is
//! judged again, because judging and integrating twice has the effect of once. Anything else is asked.

use crate::base::ids::{RunId, TaskId};
use crate::base::money::Usd;
use crate::tasks::outcome::{Outcome, RunKind, Usage};
use crate::tasks::question::QuestionKind;
use crate::tasks::route::RouteResult;
use crate::tasks::task::{Conversation, FileState, NextRun, Phase, Run, Seen, Spec, State, Status, Task, Workplace};
use jiff::Timestamp;

/// A task's entry in `tasks.yml`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// What the person requested.
    pub spec: Spec,
    /// The status in the entry.
    pub status: Option<Status>,
    /// The branch that orch wrote there.
    pub branch: Option<String>,
    /// The attempts that orch wrote there.
    pub attempts: Option<u32>,
    /// The summary that orch wrote there.
    pub summary: Option<String>,
}

/// The sidecar of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Aside {
    /// The status when it was written.
    pub status: Status,
    /// The task's route.
    pub route: Option<RouteResult>,
    /// The attempts so far.
    pub attempts: u32,
    /// The task's branch.
    pub branch: Option<String>,
    /// The full record, where the version that wrote it stored one.
    pub task: Option<Task>,
}

/// What the directory of a run shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Trail {
    /// The run's id.
    pub id: RunId,
    /// The purpose of the run.
    pub kind: RunKind,
    /// The agent of the run.
    pub agent: String,
    /// The model of the run.
    pub model: Option<String>,
    /// The conversation that orch chose.
    pub session_id: Option<String>,
    /// Where its work is stored.
    pub place: Option<Workplace>,
    /// Whether its agent accepts messages while it works.
    pub live: bool,
    /// The progress of the run.
    pub stage: Stage,
}

/// The progress of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// No runner has taken it.
    Prepared,
    /// Its runner is alive, or died without a report.
    Begun,
    /// Its report exists.
    Ended(Box<End>),
    /// Its files are damaged, with the reason.
    Unreadable(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// When the runner took it.
    pub started_at: Timestamp,
    /// When its last process had ended.
    pub ended_at: Timestamp,
    /// The outcome of the run.
    pub outcome: Outcome,
    /// The cost of the run.
    pub cost: Option<Usd>,
    /// The tokens used.
    pub usage: Usage,
    /// The id of the conversation.
    pub session_id: Option<String>,
}

/// Whether `tasks.yml` was readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Readable: a missing entry does not exist.
    Reads,
    /// Not readable: entries are unknown.
    Broken,
}

/// All traces of one task.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Its row, and whether the journal with the row was up to date.
    pub row: Option<(Task, bool)>,
    /// The rows of its runs.
    pub rows: Vec<Run>,
    /// The task's sidecar.
    pub aside: Option<Aside>,
    /// The task's entry in `tasks.yml`.
    pub line: Option<Line>,
    /// The directories of its runs, in the order of their numbers.
    pub trails: Vec<Trail>,
    /// Branches with its name.
    pub branches: Vec<String>,
}

/// A rebuilt task.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// The rebuilt task.
    pub task: Task,
    /// The runs of the task.
    pub runs: Vec<Run>,
    /// Why a person is asked, if the state is unclear.
    pub doubt: Option<String>,
}

/// Rebuilds a task from its traces.
pub fn rebuild(id: TaskId, traces: &Traces, file: File, now: Timestamp) -> Rebuilt {
    let record = newest_record(traces);
    if let Some((mut task, true)) = record {
        let runs = runs_of(&mut task, traces, Trust::Record);
        return Rebuilt { task, runs, doubt: None };
    }
    let (state, doubt) = state_of(traces);
    let state = state.unwrap_or_else(|| question(id, doubt.as_deref().unwrap_or_default()));
    let mut task = match record {
        Some((task, _)) => Task { state, updated_at: now, ..task },
        None => Task { state, ..Task::new(id, spec_of(id, traces), FileState::Pending, now) },
    };
    complete(&mut task, traces, file);
    let runs = runs_of(&mut task, traces, Trust::Trails);
    Rebuilt { task, runs, doubt }
}

/// Which source is used for a run that both a row and a directory describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Record,
    Trails,
}

/// Returns the newest full record, and whether it is the last state of the task.
fn newest_record(traces: &Traces) -> Option<(Task, bool)> {
    let aside = traces.aside.as_ref().and_then(|aside| aside.task.clone());
    let highest = traces.trails.iter().filter_map(|trail| trail.id.ordinal()).max().unwrap_or(0);
    match (traces.row.clone(), aside) {
        (Some((row, is_current)), aside) => {
            let newer = aside.filter(|aside| aside.updated_at > row.updated_at);
            match newer {
                None => {
                    let is_last = is_current || (highest <= row.runs && agrees(&row, traces));
                    Some((row, is_last))
                }
                Some(aside) => {
                    let is_last = highest <= aside.runs && agrees(&aside, traces);
                    Some((aside, is_last))
                }
            }
        }
        (None, Some(aside)) => {
            let is_last = highest <= aside.runs && agrees(&aside, traces);
            Some((aside, is_last))
        }
        (None, None) => None,
    }
}

/// Whether no other trace contradicts the state of this task.
fn agrees(task: &Task, traces: &Traces) -> bool {
    let known = |status: Status| {
        let FileState::Written { status: written, since, .. } = &task.file else { return status == task.status() };
        status == task.status() || *written == Some(status) || since.contains(&status)
    };
    let in_file = traces.line.as_ref().and_then(|line| line.status);
    let in_sidecar = traces.aside.as_ref().map(|aside| aside.status);
    in_file.is_none_or(known) && in_sidecar.is_none_or(|status| status == task.status())
}

/// Returns the state as shown by everything but a record, else why it is unclear.
fn state_of(traces: &Traces) -> (Option<State>, Option<String>) {
    let word = match (&traces.line, &traces.aside) {
        (Some(Line { status: Some(status), .. }), _) => Some(*status),
        (_, Some(aside)) => Some(aside.status),
        (_, None) => None,
    };
    let works = |trail: &&Trail| matches!(trail.kind, RunKind::Work | RunKind::Review);
    let last = traces.trails.iter().rfind(works);
    let going = |run: &RunId| State::InProgress { run: run.clone(), next: NextRun::Fresh, stopping: None };
    match (word, last) {
        // A live run is followed, whatever the other traces say.
        (_, Some(Trail { id, stage: Stage::Begun, .. })) => (Some(going(id)), None),
        (Some(Status::Done), _) => (Some(State::Done), None),
        (Some(Status::Cancelled), _) => {
            (Some(State::Cancelled { reason: "it was before the journal was damaged".to_owned() }), None)
        }
        (Some(Status::InProgress | Status::InReview), Some(Trail { id, .. })) => (Some(going(id)), None),
        // An entry with a number has a status, unless the file was cut off there.
        (Some(Status::New | Status::Routed | Status::Blocked), None)
            if traces.branches.is_empty() && !has_attempts(traces) =>
        {
            (Some(State::NEW), None)
        }
        (word, last) => (None, Some(doubt_of(word, last, traces))),
    }
}

fn has_attempts(traces: &Traces) -> bool {
    let in_file = traces.line.as_ref().and_then(|line| line.attempts).unwrap_or(0);
    in_file > 0 || traces.aside.as_ref().is_some_and(|aside| aside.attempts > 0)
}

fn doubt_of(word: Option<Status>, last: Option<&Trail>, traces: &Traces) -> String {
    let word = word.map_or_else(|| "nothing".to_owned(), |status| status.as_str().to_owned());
    let run = match last {
        None => "no run is left".to_owned(),
        Some(Trail { id, stage, .. }) => match stage {
            Stage::Prepared => format!("its last run {id} was prepared and not begun"),
            Stage::Begun => format!("its last run {id} was begun"),
            Stage::Unreadable(why) => format!("the files of its last run {id} are damaged ({why})"),
            Stage::Ended(end) => match &end.outcome {
                Outcome::Finished { .. } => format!("its last run {id} finished"),
                Outcome::Failed(failure) => format!("its last run {id} failed: {}", failure.class.as_str()),
                Outcome::Cancelled { .. } => format!("its last run {id} was stopped"),
            },
        },
    };
    let branch = traces.branches.first().map_or_else(String::new, |name| format!("; branch {name} is there"));
    format!("the last word on it is {word}; {run}{branch}")
}

/// Returns the state of a task that a person must clarify.
fn question(id: TaskId, doubt: &str) -> State {
    State::NeedsReview {
        kind: QuestionKind::Question,
        question: format!("the journal was damaged, and where this task stood is not known for sure: {doubt}"),
        choices: vec![
            format!("orch task show {id}"),
            format!("orch task unblock {id}"),
            format!("orch task retry {id}"),
            format!("orch task cancel {id}"),
        ],
    }
}

fn spec_of(id: TaskId, traces: &Traces) -> Spec {
    if let Some(line) = &traces.line {
        return line.spec.clone();
    }
    let branch = traces.trails.iter().rev().find_map(|trail| trail.place.as_ref()).map(|place| &place.branch);
    let name = branch.or_else(|| traces.aside.as_ref()?.branch.as_ref()).or_else(|| traces.branches.first());
    let title = name.map_or_else(|| format!("task {id}"), |name| format!("task {id}, of branch {name}"));
    Spec { title: format!("{title} (its text is lost)"), ..Spec::default() }
}

/// Fills in what the task has besides its state.
fn complete(task: &mut Task, traces: &Traces, file: File) {
    if let Some(line) = &traces.line {
        task.attempts = task.attempts.max(line.attempts.unwrap_or(0));
        task.summary = task.summary.take().or_else(|| line.summary.clone());
    }
    if let Some(aside) = &traces.aside {
        task.attempts = task.attempts.max(aside.attempts);
        task.route = task.route.take().or_else(|| aside.route.clone().map(Box::new));
    }
    let worked = traces.trails.iter().filter(|trail| matches!(trail.kind, RunKind::Work));
    let begun = worked.filter(|trail| trail.stage != Stage::Prepared).count();
    if task.attempts == 0 {
        task.attempts = u32::try_from(begun).unwrap_or(u32::MAX);
    }
    let place = traces.trails.iter().rev().find_map(|trail| trail.place.clone());
    task.place = task.place.take().or(place.map(Box::new));
    let talk = traces.trails.iter().rev().find_map(|trail| {
        let session_id = match &trail.stage {
            Stage::Ended(end) => end.session_id.clone().or_else(|| trail.session_id.clone()),
            Stage::Prepared | Stage::Begun | Stage::Unreadable(_) => trail.session_id.clone(),
        };
        Some(Conversation { agent: trail.agent.clone(), session_id: session_id?, model: trail.model.clone() })
    });
    task.conversation = task.conversation.take().or(talk.map(Box::new));
    let later = |trail: &&Trail| trail.id.ordinal().is_some_and(|ordinal| ordinal > task.runs);
    let added = traces.trails.iter().filter(later).filter_map(|trail| match &trail.stage {
        // What is judged again is also counted again.
        Stage::Ended(end) if !is_under_way(task, &trail.id) => end.cost,
        Stage::Ended(_) | Stage::Prepared | Stage::Begun | Stage::Unreadable(_) => None,
    });
    let cost = added.reduce(|sum, cost| sum + cost);
    task.cost = match (task.cost, cost) {
        (Some(known), Some(more)) => Some(known + more),
        (known, more) => known.or(more),
    };
    let highest = traces.trails.iter().filter_map(|trail| trail.id.ordinal());
    let known = traces.rows.iter().filter_map(|run| run.id.ordinal());
    task.runs = highest.chain(known).fold(task.runs, u32::max);
    task.file = file_state(task, traces.line.as_ref(), file);
}

/// Returns the file state. A status in the file that this record does not have was written by orch and is no request.
fn file_state(task: &Task, line: Option<&Line>, file: File) -> FileState {
    match (&task.file, line) {
        (FileState::Written { status, since, results, seen }, Some(line)) => {
            let mut since = since.clone();
            since.extend(line.status.filter(|word| Some(*word) != *status && !since.contains(word)));
            FileState::Written { status: *status, since, results: *results, seen: *seen }
        }
        (FileState::Pending | FileState::PutBack | FileState::Removed { .. }, Some(line)) => {
            let results = line.branch.is_some() || line.attempts.is_some();
            FileState::Written { status: line.status, since: Vec::new(), results, seen: Seen::Yes }
        }
        // Appending an entry that may exist already would use a number twice.
        (FileState::Pending | FileState::PutBack, None) if file == File::Broken => {
            FileState::Written { status: None, since: Vec::new(), results: false, seen: Seen::Yes }
        }
        (known, None) => known.clone(),
    }
}

fn is_under_way(task: &Task, run: &RunId) -> bool {
    matches!(&task.state, State::InProgress { run: current, .. } if current == run)
}

/// Returns the runs from their rows, else from their directories, always including the one that the task waits for.
fn runs_of(task: &mut Task, traces: &Traces, trust: Trust) -> Vec<Run> {
    let mut runs: Vec<Run> = traces.rows.clone();
    let mut attempt = 0;
    for trail in &traces.trails {
        attempt += u32::from(trail.kind == RunKind::Work);
        let known = runs.iter().position(|run| run.id == trail.id);
        let is_due = is_under_way(task, &trail.id);
        match known {
            Some(_) if trust == Trust::Record => {}
            Some(index) if is_due && runs[index].phase == Phase::Ended => runs[index].phase = Phase::Running,
            Some(index) if !is_due && runs[index].phase != Phase::Ended => runs[index] = run_of(task, trail, attempt),
            Some(_) => {}
            None => runs.push(run_of(task, trail, attempt)),
        }
    }
    if let State::New { routing, .. } = &mut task.state
        && routing.as_ref().is_some_and(|asked| runs.iter().all(|run| run.id != *asked || run.phase == Phase::Ended))
    {
        *routing = None;
    }
    let waits_for = if let State::InProgress { run, .. } | State::InReview { run, .. } = &task.state {
        Some(run.clone())
    } else {
        None
    };
    if let Some(id) = waits_for.filter(|id| runs.iter().all(|run| run.id != *id)) {
        let phase = if is_under_way(task, &id) { Phase::Running } else { Phase::Ended };
        let agent = task.route.as_ref().map_or_else(String::new, |route| route.agent.clone());
        runs.push(bare(task, id, RunKind::Work, agent, phase));
    }
    runs
}

fn bare(task: &Task, id: RunId, kind: RunKind, agent: String, phase: Phase) -> Run {
    Run { attempt: task.attempts.max(1), phase, ..Run::new(id, task.id, kind, agent, task.updated_at) }
}

fn run_of(task: &Task, trail: &Trail, attempt: u32) -> Run {
    let is_due = is_under_way(task, &trail.id);
    let asks = matches!(&task.state, State::New { routing: Some(asked), .. } if *asked == trail.id);
    let lives = trail.stage == Stage::Begun && trail.kind != RunKind::Route;
    let phase = if is_due && trail.stage == Stage::Prepared {
        Phase::Starting
    } else if is_due || asks || lives {
        Phase::Running
    } else {
        Phase::Ended
    };
    let made = bare(task, trail.id.clone(), trail.kind, trail.agent.clone(), phase);
    let run = Run {
        attempt: attempt.max(1),
        model: trail.model.clone(),
        session_id: trail.session_id.clone(),
        live: trail.live,
        ..made
    };
    match &trail.stage {
        Stage::Ended(end) if phase == Phase::Ended => Run {
            created_at: end.started_at,
            started_at: Some(end.started_at),
            ended_at: Some(end.ended_at),
            outcome: Some(end.outcome.clone()),
            cost: end.cost,
            usage: end.usage,
            session_id: end.session_id.clone().or(run.session_id),
            ..run
        },
        Stage::Prepared | Stage::Begun | Stage::Unreadable(_) if phase == Phase::Ended => Run {
            ended_at: Some(task.updated_at),
            outcome: Some(Outcome::Cancelled { detail: "how it ended was lost with the journal".to_owned() }),
            ..run
        },
        Stage::Ended(_) | Stage::Prepared | Stage::Begun | Stage::Unreadable(_) => run,
    }
}

#[cfg(test)]
mod tests;
