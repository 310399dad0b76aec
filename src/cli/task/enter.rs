//! `orch task open`: opens a task's worktree in the person's editor, in a shell, or in the agent's program.

use super::edit::editor;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::stdin_is_terminal;
use crate::cli::{repository, settings};
use orch_api::endpoint;
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_core::base::names::BranchName;
use orch_core::models::agents::interactive::interactive;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::Status;
use orch_sys::git::{Head, Repo};
use orch_sys::process::{Invocation, run_attached, which};
use orch_sys::worktree::WorktreeRequest;
use std::path::{Path, PathBuf};

/// Arguments of `orch task open`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Open a shell instead of your editor ($VISUAL, $EDITOR)
    #[arg(long, conflicts_with = "agent")]
    shell: bool,
    /// Start the agent's program in the conversation of its last run
    #[arg(long)]
    agent: bool,
    /// Read-only use: allowed while an agent works there
    #[arg(long, conflicts_with = "agent")]
    look: bool,
}

/// Opens the worktree, and returns when the program ends.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let id = args.id;
    if (args.shell || args.agent) && !stdin_is_terminal() {
        return Err(CliError::usage("a shell and an agent need a terminal", &format!("orch task show {id} --json")));
    }
    let task = context.fetch(&endpoint::TaskShow { id }).await?;
    let is_at_work = matches!(task.status, Status::InProgress | Status::InReview);
    if is_at_work && !args.look {
        let message = format!("task {id} is {}: an agent or orch is at work in its worktree", task.status.as_str());
        let hint = format!("orch task open {id} --look opens it read-only; orch task interrupt {id} stops the agent");
        return Err(CliError::Refused { message, hint: Some(hint) });
    }
    let worktree = ensure(&task, context).await?;
    let invocation = if args.agent {
        agent(&task, &worktree, context)?
    } else if args.shell {
        let shell = context.environment.get("SHELL").filter(|shell| !shell.trim().is_empty());
        Invocation::new(shell.map_or("/bin/sh", String::as_str), &worktree)
    } else {
        let line = editor(context)?;
        let script = format!("{line} \"$@\"");
        Invocation::new("sh", &worktree).args(["-c", &script, &line]).arg(&worktree)
    };
    context.ui.note(&format!("{}; orch commits uncommitted changes there with the next run", worktree.display()));
    let exit = run_attached(&invocation.envs(context.environment.iter()))?;
    Ok(if exit.success() { Exit::Done } else { Exit::Failed })
}

/// Returns the worktree, and creates it again if it was removed.
async fn ensure(task: &TaskView, context: &Context) -> Result<PathBuf, CliError> {
    let id = task.id;
    let none = |message: String, hint: String| CliError::NotFound { message, hint: Some(hint) };
    let (Some(worktree), Some(branch)) = (&task.worktree, &task.branch) else {
        return Err(none(format!("task {id} has no worktree yet"), format!("orch task run {id} creates one")));
    };
    if worktree.join(".git").exists() {
        return Ok(worktree.clone());
    }
    let dir =
        task.dir.as_deref().ok_or_else(|| none(format!("task {id} has no repository"), "orch init".to_owned()))?;
    let setup = context.setup()?;
    let git = repository::git(context, &setup.home).await?;
    let repo = Repo::discover(&git, dir).await?;
    let gone = || none(format!("branch {branch} does not exist any more"), format!("orch task show {id}"));
    let name = BranchName::parse(branch).map_err(|_| gone())?;
    let tip = repo.tip(&name).await?.ok_or_else(gone)?;
    let base = match repo.head_of(&repo.main_checkout()).await? {
        Head::Branch { name, .. } | Head::Unborn { name } => name,
        Head::Detached { .. } => name.clone(),
    };
    let request = WorktreeRequest { path: worktree, branch: &name, base: &base, start: Some(&tip), fetch: false };
    repo.ensure_worktree(&request).await.map_err(|error| {
        let hint = error.hint();
        CliError::Refused { message: format!("the worktree cannot be made again: {error}"), hint }
    })?;
    context.ui.note("the worktree was removed and is made again, from its branch");
    Ok(worktree.clone())
}

/// Returns the agent's program with its last conversation.
fn agent(task: &TaskView, worktree: &Path, context: &Context) -> Result<Invocation, CliError> {
    let id = task.id;
    let refused = |message: String, hint: String| CliError::Refused { message, hint: Some(hint) };
    let last = task.runs.iter().flatten().rev().find(|run| run.kind == RunKind::Work);
    let last =
        last.ok_or_else(|| refused(format!("no agent has worked on task {id} yet"), format!("orch task run {id}")))?;
    let setup = context.setup()?;
    let loaded = settings::global(context, &setup.home)?;
    let shell = format!("orch task open {id} --shell");
    let known = loaded.config.agent(&last.agent);
    let known = known.ok_or_else(|| refused(format!("there is no agent {}", last.agent), shell.clone()))?;
    let arguments = interactive(known.kind, last.session_id.as_deref());
    let arguments =
        arguments.ok_or_else(|| refused(format!("{} has no screen that orch can open", last.agent), shell.clone()))?;
    let program = which(&known.command, context.path())
        .ok_or_else(|| refused(format!("{} is not in PATH", known.command), shell))?;
    Ok(Invocation::new(program, worktree).args(arguments))
}
