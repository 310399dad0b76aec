//! `orch task attach`: the agent's own tmux session, on this terminal.

use crate::adapters::fs;
use crate::adapters::process::{Invocation, run_attached};
use crate::api::types::{RunView, TaskView};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::stdin_is_terminal;
use crate::domain::ids::TaskId;
use crate::domain::outcome::RunKind;
use std::path::PathBuf;

/// The file in a run's directory that names its session.
const SESSION: &str = "session.txt";
/// Names of sessions are short.
const LONGEST_NAME: usize = 4096;

/// Arguments of `orch task attach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Only look: what you type does not reach the pane. Without it Ctrl-C there stops the agent, unless it is one with
    /// a screen, which gets it
    #[arg(long, short)]
    read_only: bool,
}

/// Enters the session until the person leaves it.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    if !stdin_is_terminal() {
        let hint = format!("orch stream {}", args.id);
        return Err(CliError::usage("attaching needs a terminal", &hint));
    }
    let setup = context.setup()?;
    let tmux = setup.tmux();
    tmux.check().await?;
    let mut link = context.link().await?;
    let task: TaskView = link.get(&format!("/v1/tasks/{}", args.id)).await?;
    link.close().await?;
    let live = task.runs.iter().flatten().rev().find(|run| is_live(run));
    let Some(run) = live else { return Err(not_live(args.id)) };
    let Some(file) = session_file(run) else { return Err(no_terminal(args.id, run)) };
    let name = match fs::read_text(&file, LONGEST_NAME) {
        Ok(name) => name.trim().to_owned(),
        Err(error) if error.is_not_found() => return Err(no_terminal(args.id, run)),
        Err(error) => return Err(error.into()),
    };
    if !tmux.has_session(&name).await? {
        return Err(no_terminal(args.id, run));
    }
    context.ui.aside("leave with Ctrl-b d; the agent goes on");
    let argv = tmux.attach_argv(&name, args.read_only);
    let (program, arguments) = argv.split_first().ok_or_else(|| not_live(args.id))?;
    let own = context.environment.iter().filter(|(name, _)| !name.starts_with("TMUX"));
    let exit = run_attached(&Invocation::new(program, "/").args(arguments).envs(own))?;
    Ok(if exit.success() { Exit::Done } else { Exit::Failed })
}

fn is_live(run: &RunView) -> bool {
    run.kind != RunKind::Route && run.started_at.is_some() && run.outcome.is_none()
}

fn session_file(run: &RunView) -> Option<PathBuf> {
    Some(run.transcript.parent()?.join(SESSION))
}

/// The run is under way by all that is known, and nobody can look over its shoulder.
fn no_terminal(id: TaskId, run: &RunView) -> CliError {
    let hint = Some(format!("orch stream {id} shows what its agent says; orch why {id} tells how it stands"));
    CliError::NotFound {
        message: format!("run {} of task {id} is under way, but its terminal is not there", run.run_id),
        hint,
    }
}

fn not_live(id: TaskId) -> CliError {
    let hint = Some(format!("orch task log {id} shows what its last run said; orch task run {id} runs it"));
    CliError::NotFound { message: format!("no agent works on task {id} now"), hint }
}
