//! `orch demo`: the whole main job before one's eyes. A repository, a home and a daemon of its own in a temporary
//! directory; three tasks; the history as it happens; a table at the end. Nothing of the person's own is touched, and
//! nothing is left behind, however it ends.

mod agent_choice;
mod history;
mod project;
mod stage;
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
use stage::Stage;
use std::time::Duration;
use summary::Summary;
use tokio::signal::unix::{SignalKind, signal};

/// How long the scripted agent may take for everything; it takes a few seconds.
const SCRIPTED_PATIENCE: Duration = Duration::from_secs(60);
/// How long a real agent may take.
const REAL_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Arguments of `orch demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let an agent of yours do the tasks (claude, codex, opencode, …); without it, a scripted one, offline
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Keep the temporary directory: home, repository and log
    #[arg(long)]
    keep: bool,
}

/// How the play ended.
enum Ending {
    /// Nothing moves any more.
    Settled,
    /// The time was over.
    TimedOut,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// Plays the demo.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let began = SystemClock.now();
    let mut stop = Stop::listen()?;
    let choice = AgentChoice::choose(args.agent.as_deref(), context)?;
    let mut stage = Stage::set(&choice, context).await?;
    let played = play(&mut stage, &choice, context, began, &mut stop).await;
    let summary = match &played {
        Ok((ending, tasks)) => Some(Summary::new(&stage, &choice, ending, tasks, began).await),
        Err(_) => None,
    };
    let good = summary.as_ref().is_some_and(|summary| summary.ok);
    let interrupted = matches!(played, Ok((Ending::Interrupted, _)));
    // Whoever stopped it, or stopped reading, does not look for a cause.
    let left = interrupted || played.as_ref().is_err_and(CliError::is_broken_pipe);
    let keeps = args.keep || !(good || left);
    stage.strike(keeps).await;
    if let Some(mut summary) = summary {
        summary.directory = keeps.then(|| stage.root().to_owned());
        summary.print(context)?;
    }
    if keeps {
        tell_where(&stage, context);
    }
    played?;
    Ok(match (interrupted, good) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    })
}

async fn play(
    stage: &mut Stage,
    choice: &AgentChoice,
    context: &Context,
    began: Timestamp,
    stop: &mut Stop,
) -> Result<(Ending, Vec<TaskView>), CliError> {
    let mut act = std::pin::pin!(perform(stage, choice, context, began));
    tokio::select! {
        played = &mut act => played,
        () = stop.asked() => Ok((Ending::Interrupted, Vec::new())),
    }
}

/// From the first commit to the last merge.
async fn perform(
    stage: &mut Stage,
    choice: &AgentChoice,
    context: &Context,
    began: Timestamp,
) -> Result<(Ending, Vec<TaskView>), CliError> {
    let ui = context.ui;
    history::tell(ui, &format!("orch demo: three tasks for {}, in {}", choice.told(), stage.root().display()))?;
    let client = stage.start_daemon().await?;
    let mut history = History::follow(&client, began, ui).await?;
    let project = stage.project()?;
    drop(client.call(&endpoint::ProjectRegister { body: project }).await?);
    let tasks = tasks::all(choice.is_scripted());
    for task in &tasks {
        drop(client.call(&endpoint::TaskAdd { body: task.clone() }).await?);
    }
    let patience = if choice.is_scripted() { SCRIPTED_PATIENCE } else { REAL_PATIENCE };
    let settled = tokio::time::timeout(patience, history.until_settled(tasks.len(), stage)).await;
    let tasks = details(&client).await?;
    match settled {
        Ok(Ok(())) => Ok((Ending::Settled, tasks)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            tell_why(&client, &tasks, context).await;
            Ok((Ending::TimedOut, tasks))
        }
    }
}

/// The tasks with their runs.
async fn details(client: &Client) -> Result<Vec<TaskView>, CliError> {
    let list = client.call(&endpoint::TaskList).await?;
    let mut tasks = Vec::with_capacity(list.len());
    for task in list {
        tasks.push(client.call(&endpoint::TaskShow { id: task.id }).await?);
    }
    Ok(tasks)
}

/// What the tasks that did not end wait for.
async fn tell_why(client: &Client, tasks: &[TaskView], context: &Context) {
    for task in tasks {
        let why: Result<WhyView, _> = client.call(&endpoint::TaskWhy { id: task.id }).await;
        if let Ok(why) = why {
            context.ui.note(&format!("{} is {}: {}; {}", task.id, why.status.as_str(), why.because, why.next));
        }
    }
}

fn tell_where(stage: &Stage, context: &Context) {
    let home = stage.home();
    context.ui.note(&format!("kept: {}", stage.root().display()));
    context.ui.note(&format!("  ORCH_HOME={} orch list", home.root().display()));
    context.ui.note(&format!("  the daemon's log: {}", home.log().display()));
}

/// The signals that end the play.
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

    /// Waits for one of them. May be dropped half-way.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
