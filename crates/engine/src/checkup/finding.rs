//! What a check-up examines and what it finds.

use super::mend::Mend;
use crate::settings::Sources;
use jiff::{SignedDuration, Timestamp};
use orch_config::home::Home;
use orch_config::resolved::Config;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::task::{Phase, Run, Task};
use orch_store::journal::{Glance, glance};
use orch_sys::git::{Git, Repo};
use orch_sys::tmux::Tmux;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

/// How long a run must be over before what is left of it belongs to no engine: its end is still being brought to an
/// end.
pub(super) const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// The same for runs that are in no journal: a routing question of a person is in none while it is asked.
pub(super) const UNKNOWN_GRACE: SignedDuration = SignedDuration::from_hours(2);

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it should be.
    Ok,
    /// A person should look at it.
    Warning,
    /// orch cannot work like this.
    Bad,
}

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: a stable word, with the name of the thing behind it where there are several.
    pub name: String,
    /// The result of the check.
    pub verdict: Verdict,
    /// What was found, for a person.
    pub detail: String,
    /// What to do: a command that one can type.
    pub remedy: Option<String>,
    /// It was mended just now.
    pub fixed: bool,
    /// What would mend it.
    #[serde(skip)]
    pub(super) mend: Option<Box<Mend>>,
}

impl Finding {
    /// Creates a finding without a remedy.
    pub fn new(name: &str, verdict: Verdict, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.to_owned(), detail.into());
        Self { name, verdict, detail, remedy: None, fixed: false, mend: None }
    }

    /// Adds what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A problem of a configuration: its lines as one, and its hint as what to do, before the `check` that shows
    /// whether it is mended.
    pub fn of_problem(name: &str, verdict: Verdict, problem: &str, check: &str) -> Self {
        let lines = problem.lines().map(str::trim);
        let (hints, lines): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(HINT));
        let remedy = match hints.first().and_then(|hint| hint.strip_prefix(HINT)) {
            Some(hint) => format!("{hint}; {check}"),
            None => check.to_owned(),
        };
        Self::new(name, verdict, lines.join(" ")).remedy(remedy)
    }

    pub(super) fn mend(mut self, mend: Mend) -> Self {
        self.mend = Some(Box::new(mend));
        self
    }
}

/// How the line of a hint begins.
const HINT: &str = "hint: ";

/// What is done about what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The findings are reported, and nothing is changed.
    Inspect,
    /// The findings say what would be mended.
    DryRun,
    /// What is safe to mend is mended.
    Fix,
}

/// The home that is examined, and with what.
pub struct Patient<'a> {
    /// The paths of the home.
    pub home: &'a Home,
    /// The settings of the home.
    pub config: &'a Config,
    /// What the settings are read from.
    pub sources: Sources,
    /// The tmux server of the home.
    pub tmux: Tmux,
    /// git, where it is installed.
    pub git: Option<Git>,
    /// Sockets of its engine.
    pub sockets: Vec<PathBuf>,
    /// The time of the checkup.
    pub now: Timestamp,
}

impl Patient<'_> {
    /// Returns what the journal knows; `None` where there is none, or it does not read.
    pub(super) async fn known(&self) -> Option<Glance> {
        let path = self.home.journal();
        if !path.exists() {
            return None;
        }
        tokio::task::spawn_blocking(move || glance(&path)).await.ok()?.ok()
    }

    pub(super) async fn repositories(&self, known: &Glance) -> Vec<Repo> {
        let of_tasks = known.tasks.values().filter_map(|task| task.spec.dir.clone());
        let dirs: BTreeSet<PathBuf> =
            known.projects.iter().map(|project| project.dir.clone()).chain(of_tasks).collect();
        let mut found: Vec<Repo> = Vec::new();
        let Some(git) = &self.git else { return found };
        for dir in dirs {
            if let Ok(repo) = Repo::discover(git, &dir).await
                && !found.iter().any(|other| other.common_dir() == repo.common_dir())
            {
                found.push(repo);
            }
        }
        found
    }

    pub(super) fn file_time(&self) -> SystemTime {
        SystemTime::from(self.now)
    }
}

/// A run whose end the journal has, for long enough.
pub(super) fn is_over(run: &Run, now: Timestamp) -> bool {
    run.phase == Phase::Ended && run.ended_at.is_none_or(|at| now.duration_since(at) >= GRACE)
}

/// Returns whether anything works for a task.
pub(super) fn is_at_work(known: &Glance, task: &Task) -> bool {
    !task.status().is_final() && known.runs.values().any(|run| run.task == task.id && run.phase != Phase::Ended)
}

pub(super) fn of_task(id: TaskId) -> String {
    format!("task {id}")
}

/// Returns what to say of a run without a follower.
pub(super) fn describe_run(known: &Glance, run: &RunId) -> String {
    match known.runs.get(run) {
        Some(_) => format!("run {run}, which is over"),
        None => format!("run {run}, which no journal has"),
    }
}
