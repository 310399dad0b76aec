//! `orch task attach`: shows the agent's tmux session in this terminal.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings;
use crate::cli::ui::stdin_is_terminal;
use crate::daemon::Setup;
use orch_api::endpoint;
use orch_api::types::RunView;
use orch_core::base::ids::TaskId;
use orch_core::models::agents::Mode;
use orch_core::tasks::outcome::RunKind;
use orch_sys::fs::{self, Durability};
use orch_sys::process::{Invocation, run_attached};
use std::path::PathBuf;

/// The file in a run's directory with the name of its session.
const SESSION: &str = "session.txt";
/// The file there with the name of the attached person, who is recorded if Ctrl-C stops the agent.
const ATTACHED: &str = "attached.txt";
/// The largest file with a name, in bytes.
const LONGEST_NAME: usize = 4096;

/// Arguments of `orch task attach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Read-only: input does not reach the pane. Without this, Ctrl-C there stops the agent, or reaches it if it is
    /// interactive
    #[arg(long, short)]
    read_only: bool,
}

/// Attaches to the session until the person detaches.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    if !stdin_is_terminal() {
        let hint = format!("orch stream {}", args.id);
        return Err(CliError::usage("attaching needs a terminal", &hint));
    }
    let setup = context.setup()?;
    let tmux = setup.tmux();
    tmux.check().await?;
    let task = context.fetch(&endpoint::TaskShow { id: args.id }).await?;
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
    let label = label(args.id, args.read_only, has_screen(run, context, &setup));
    context.ui.aside(&label);
    tmux.label(&name, &label).await?;
    let _present = Present::note(run, context, args.read_only);
    let argv = tmux.attach_argv(&name, args.read_only);
    let (program, arguments) = argv.split_first().ok_or_else(|| not_live(args.id))?;
    let own = context.environment.iter().filter(|(name, _)| !name.starts_with("TMUX"));
    let exit = run_attached(&Invocation::new(program, "/").args(arguments).envs(own))?;
    Ok(if exit.success() { Exit::Done } else { Exit::Failed })
}

/// Returns the status line of the pane: what it shows, whether input is possible, and how to detach.
fn label(id: TaskId, read_only: bool, has_screen: bool) -> String {
    match (read_only, has_screen) {
        (true, _) => format!("task {id}, read-only; Ctrl-b d detaches"),
        (false, true) => format!("task {id}: interactive, input reaches the agent; Ctrl-b d detaches"),
        (false, false) => {
            format!("task {id}: orch task send {id} TEXT sends a message; Ctrl-C stops it, Ctrl-b d detaches")
        }
    }
}

/// Returns whether the agent has an interactive terminal.
fn has_screen(run: &RunView, context: &Context, setup: &Setup) -> bool {
    let Ok(loaded) = settings::global(context, &setup.home) else { return false };
    loaded.config.agent(&run.agent).is_some_and(|agent| agent.mode == Mode::Screen)
}

/// Records the name of the attached person. If that fails, the name is missing later.
struct Present {
    file: Option<PathBuf>,
    name: String,
}

impl Present {
    fn note(run: &RunView, context: &Context, read_only: bool) -> Self {
        let file = run.transcript.parent().map(|dir| dir.join(ATTACHED)).filter(|_| !read_only);
        let name = context.person();
        let written = |file: &PathBuf| fs::write_private(file, name.as_bytes(), Durability::Cached).is_ok();
        Self { file: file.filter(written), name }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        // Somebody else may have attached since.
        if fs::read_text(file, LONGEST_NAME).is_ok_and(|name| name == self.name) {
            let _ = fs::remove_file(file);
        }
    }
}

fn is_live(run: &RunView) -> bool {
    run.kind != RunKind::Route && run.started_at.is_some() && run.outcome.is_none()
}

fn session_file(run: &RunView) -> Option<PathBuf> {
    Some(run.transcript.parent()?.join(SESSION))
}

/// Returns the error for a run that is active but has no session.
fn no_terminal(id: TaskId, run: &RunView) -> CliError {
    let hint = Some(format!("orch stream {id} shows its output; orch why {id} shows its state"));
    CliError::NotFound {
        message: format!("run {} of task {id} is active, but its terminal does not exist", run.run_id),
        hint,
    }
}

fn not_live(id: TaskId) -> CliError {
    let hint = Some(format!("orch task log {id} shows the output of its last run; orch task run {id} runs it"));
    CliError::NotFound { message: format!("no agent works on task {id} now"), hint }
}
