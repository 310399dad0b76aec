//! The summary of the demo: a table, the history of the base branch, and the verdict.

use super::Ending;
use super::agent_choice::AgentChoice;
use super::sandbox::Sandbox;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::paint::{Role, role_of};
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::time::took;
use jiff::Timestamp;
use orch_api::evidence::IntegrationState;
use orch_api::types::TaskView;
use orch_core::base::money::Usd;
use orch_core::tasks::task::Status;
use orch_sys::clock::{Clock, SystemClock};
use serde::Serialize;
use std::path::PathBuf;

const HEAD: [Column; 9] = [
    Column::new("task", Width::Rest(16)),
    Column::new("agent", Width::Whole),
    Column::new("model", Width::Whole),
    Column::new("complexity", Width::Whole),
    Column::number("attempts"),
    Column::new("status", Width::Whole),
    Column::new("commit", Width::Whole),
    Column::number("cost"),
    Column::number("time"),
];

/// How many digits of a commit are shown.
const SHORT: usize = 7;

/// The document of `orch demo --json`.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Whether all tasks are done and merged.
    pub ok: bool,
    /// The agent.
    agent: String,
    /// The time from the start to the last merge.
    elapsed_ms: u64,
    /// The tasks, as `orch task show --json` prints them.
    tasks: Vec<TaskView>,
    /// `git log --oneline --graph` of the base branch.
    log: Vec<String>,
    /// The problems, for a person.
    problems: Vec<String>,
    /// The directory, if it was kept.
    pub directory: Option<PathBuf>,
}

impl Summary {
    /// Collects the results.
    pub(super) async fn new(
        sandbox: &Sandbox,
        choice: &AgentChoice,
        ending: &Ending,
        tasks: &[TaskView],
        began: Timestamp,
    ) -> Self {
        let mut problems: Vec<String> = tasks.iter().filter_map(problem).collect();
        match ending {
            Ending::Settled => {}
            Ending::TimedOut => problems.push("the time was over before everything was done".to_owned()),
            Ending::Interrupted => problems.push("interrupted".to_owned()),
        }
        Self {
            ok: problems.is_empty() && !tasks.is_empty(),
            agent: choice.agent().to_owned(),
            elapsed_ms: u64::try_from(SystemClock.now().duration_since(began).as_millis()).unwrap_or_default(),
            tasks: tasks.to_vec(),
            log: sandbox.log().await,
            problems,
            directory: None,
        }
    }

    /// Prints the summary.
    pub(super) fn print(&self, context: &Context) -> Result<(), CliError> {
        if context.ui.is_json() {
            return context.ui.json(self);
        }
        let paint = context.ui.paint();
        if !self.tasks.is_empty() {
            let rows: Vec<[Cell<'_>; 9]> = self.tasks.iter().map(row).collect();
            let table = render(&HEAD, &rows, context.ui.columns(), paint);
            context.ui.data(&format!("\n{table}\n{}\n", self.log.join("\n")))?;
        }
        if self.ok {
            let cost = self.tasks.iter().filter_map(|task| task.cost_usd).sum::<Usd>();
            let count = self.tasks.len();
            let text = format!("all {count} tasks are done and merged: {}, {cost}", took(self.elapsed_ms));
            return context.ui.data(&format!("\n{}\n", paint.text(Role::Good, text)));
        }
        self.problems.iter().for_each(|problem| context.ui.note(problem));
        Ok(())
    }
}

/// Returns why a task is not done and merged.
fn problem(task: &TaskView) -> Option<String> {
    let merged = task.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Merged);
    if task.status == Status::Done && merged {
        return None;
    }
    let why = task.question.clone().or_else(|| task.hold.as_ref().map(|hold| hold.detail.clone()));
    let why = why.unwrap_or_else(|| if merged { String::new() } else { "nothing was merged".to_owned() });
    Some(format!("#{} {}: {}: {why}", task.id, task.title, task.status.as_str()))
}

fn row(task: &TaskView) -> [Cell<'_>; 9] {
    let route = task.route.as_ref();
    let text = |text: Option<&str>| cell(text.unwrap_or("-").to_owned());
    let commit = task.integration.as_ref().and_then(|integration| integration.commit.as_deref());
    let time = task.updated_at.duration_since(task.created_at).as_millis();
    [
        cell(format!("#{} {}", task.id, task.title)),
        text(route.map(|route| route.agent.as_str())),
        text(route.and_then(|route| route.model.as_deref())),
        text(route.map(|route| route.complexity.as_str())),
        cell(task.attempts.to_string()),
        (task.status.as_str().into(), Some(role_of(task.status))),
        text(commit.map(|commit| commit.get(..SHORT).unwrap_or(commit))),
        cell(task.cost_usd.map_or_else(|| "-".to_owned(), |cost| cost.to_string())),
        cell(took(u64::try_from(time).unwrap_or_default())),
    ]
}
