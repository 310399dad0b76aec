//! `orch demo`: shows the main workflow. It uses a temporary directory with its own repository, home and daemon, runs
//! three tasks, prints the history as it happens, and ends with a table. It never touches the person's own files, and
//! always cleans up.

mod agent_choice;
mod history;
mod project;
mod sandbox;
mod summary;
mod tasks;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use agent_choice::AgentChoice;
use history::History;
use jiff::Timestamp;
use orch_api::client::Client;
use orch_api::endpoint;
use orch_api::types::{TaskView, WhyView};
use orch_sys::clock::{Clock, SystemClock};
use sandbox::Sandbox;
use std::time::Duration;
use summary::Summary;
use tokio::signal::unix::{SignalKind, signal};

/// How long the scripted agent may take in total; it takes a few seconds.
const SCRIPTED_PATIENCE: Duration = Duration::from_secs(60);
/// How long a real agent may take in total.
const REAL_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Arguments of `orch demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let an installed agent do the tasks (claude, codex, opencode, …); without it, a scripted one, offline
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Keep the temporary directory: home, repository and log
    #[arg(long)]
    keep: bool,
}

/// How the demo ended.
enum Ending {
    /// All tasks have come to rest.
    Settled,
    /// The time limit was reached.
    TimedOut,
    /// The person pressed Ctrl-C.
    Interrupted,
}

/// Runs the demo.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let began = SystemClock.now();
    let mut stop = Stop::listen()?;
    let choice = AgentChoice::choose(args.agent.as_deref(), context)?;
    let mut sandbox = Sandbox::set(&choice, context).await?;
    let played = play(&mut sandbox, &choice, context, began, &mut stop).await;
    let summary = match &played {
        Ok((ending, tasks)) => Some(Summary::new(&sandbox, &choice, ending, tasks, began).await),
        Err(_) => None,
    };
    let good = summary.as_ref().is_some_and(|summary| summary.ok);
    let interrupted = matches!(played, Ok((Ending::Interrupted, _)));
    // A person who stopped the demo, or stopped reading, does not look for a cause.
    let left = interrupted || played.as_ref().is_err_and(CliError::is_broken_pipe);
    let keeps = args.keep || !(good || left);
    sandbox.strike(keeps).await;
    if let Some(mut summary) = summary {
        summary.directory = keeps.then(|| sandbox.root().to_owned());
        summary.print(context)?;
    }
    if keeps {
        print_location(&sandbox, context);
    }
    played?;
    Ok(match (interrupted, good) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    })
}

async fn play(
    sandbox: &mut Sandbox,
    choice: &AgentChoice,
    context: &Context,
    began: Timestamp,
    stop: &mut Stop,
) -> Result<(Ending, Vec<TaskView>), CliError> {
    let mut act = std::pin::pin!(perform(sandbox, choice, context, began));
    tokio::select! {
        played = &mut act => played,
        () = stop.asked() => Ok((Ending::Interrupted, Vec::new())),
    }
}

/// Runs the tasks, from the first commit to the last merge.
async fn perform(
    sandbox: &mut Sandbox,
    choice: &AgentChoice,
    context: &Context,
    began: Timestamp,
) -> Result<(Ending, Vec<TaskView>), CliError> {
    let ui = context.ui;
    history::print(ui, &format!("orch demo: three tasks for {}, in {}", choice.describe(), sandbox.root().display()))?;
    let client = sandbox.start_daemon().await?;
    let mut history = History::follow(&client, began, ui).await?;
    let project = sandbox.project()?;
    drop(client.call(&endpoint::ProjectRegister { body: project }).await?);
    let tasks = tasks::all(choice.is_scripted());
    for task in &tasks {
        drop(client.call(&endpoint::TaskAdd { body: task.clone() }).await?);
    }
    let patience = if choice.is_scripted() { SCRIPTED_PATIENCE } else { REAL_PATIENCE };
    let settled = tokio::time::timeout(patience, history.until_settled(tasks.len(), sandbox)).await;
    let tasks = details(&client).await?;
    match settled {
        Ok(Ok(())) => Ok((Ending::Settled, tasks)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            print_reasons(&client, &tasks, context).await;
            Ok((Ending::TimedOut, tasks))
        }
    }
}

/// Returns the tasks with their runs.
async fn details(client: &Client) -> Result<Vec<TaskView>, CliError> {
    let list = client.call(&endpoint::TaskList).await?;
    let mut tasks = Vec::with_capacity(list.len());
    for task in list {
        tasks.push(client.call(&endpoint::TaskShow { id: task.id }).await?);
    }
    Ok(tasks)
}

/// Prints what the unfinished tasks wait for.
async fn print_reasons(client: &Client, tasks: &[TaskView], context: &Context) {
    for task in tasks {
        let why: Result<WhyView, _> = client.call(&endpoint::TaskWhy { id: task.id }).await;
        if let Ok(why) = why {
            context.ui.note(&format!("{} is {}: {}; {}", task.id, why.status.as_str(), why.because, why.next));
        }
    }
}

fn print_location(sandbox: &Sandbox, context: &Context) {
    let home = sandbox.home();
    context.ui.note(&format!("kept: {}", sandbox.root().display()));
    context.ui.note(&format!("  ORCH_HOME={} orch list", home.root().display()));
    context.ui.note(&format!("  the daemon's log: {}", home.log().display()));
}

/// The signals that stop the demo.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self, CliError> {
        let on = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for one of the signals. Cancel-safe.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
