//! Determines the repository of a new task, asks a person where that is ambiguous, and describes the result.

use crate::cli::context::Context;
use crate::cli::draft_args::directory;
use crate::cli::error::CliError;
use crate::cli::ui::{stdin_is_terminal, text};
use crate::cli::{init, repository};
use orch_api::endpoint;
use orch_api::evidence::IntegrateMode;
use orch_api::types::{NewProject, TaskView};
use orch_config::home::Home;
use orch_core::planning::plan::not_registered;
use orch_sys::git::{Repo, is_top};
use std::path::{Path, PathBuf};

/// Returns the given directory, or the repository around the working directory. At a terminal, asks whether to register
/// a
/// new repository, and whether the only project is meant outside of any repository.
///
/// # Errors
/// There is no repository here, and the only project is not meant, or a registration failed.
pub async fn resolve(named: Option<&Path>, context: &Context, home: &Home) -> Result<PathBuf, CliError> {
    match directory(named, context, home).await? {
        Some(dir) => {
            if stdin_is_terminal() {
                offer_to_register(&dir, context).await?;
            }
            // Without a person to ask, the engine refuses an unregistered directory.
            Ok(dir)
        }
        None => outside(context).await,
    }
}

async fn offer_to_register(dir: &Path, context: &Context) -> Result<(), CliError> {
    let is_known = projects(context).await?.iter().any(|project| project.dir == dir);
    if is_known || !is_top(dir) {
        return Ok(());
    }
    context.ui.warning(&not_registered(dir));
    if !context.ui.agrees("register it now, as `orch init` does? [Y/n]")? {
        return Ok(());
    }
    let there = Context {
        ui: context.ui,
        environment: context.environment.clone(),
        cwd: dir.to_owned(),
        flags: context.flags.clone(),
    };
    // The answer to `orch add` is the task; what `init` found is printed as a note.
    let found = init::register(init::Args::default(), &there).await?;
    context.ui.note(found.render(context.ui.paint()).trim_end());
    Ok(())
}

async fn outside(context: &Context) -> Result<PathBuf, CliError> {
    let projects = projects(context).await?;
    let message = "there is no repository here, so it is not known where the task belongs";
    match projects.as_slice() {
        [] => Err(CliError::usage(message, "orch init, in the repository; then orch add there")),
        [only] if stdin_is_terminal() => {
            context.ui.warning(message);
            let question =
                format!("add it to the only project, {} at {}? [Y/n]", text::line(&only.name), only.dir.display());
            if context.ui.agrees(&question)? {
                return Ok(only.dir.clone());
            }
            Err(CliError::usage("no task was added", "change to its repository, or name it with --dir"))
        }
        [first, ..] => {
            let hint = format!("change to its repository, or name it: --dir {}", first.dir.display());
            Err(CliError::usage(message, &hint))
        }
    }
}

async fn projects(context: &Context) -> Result<Vec<NewProject>, CliError> {
    context.fetch(&endpoint::ProjectList).await
}

/// Describes the project, the branch that work starts from, and what happens to the result.
pub async fn render(task: &TaskView, context: &Context, home: &Home) -> String {
    let base = match &task.base_branch {
        Some(base) => Some(base.clone()),
        None => base_of(task, context, home).await,
    };
    let base = base.as_deref().map(text::line);
    let project = task.project.as_deref().map_or_else(|| "no project".into(), text::line);
    let dir = task.dir.as_ref().map(|dir| format!(" at {}", text::line(&dir.to_string_lossy()))).unwrap_or_default();
    let from = base.as_ref().map(|base| format!(", from {base}")).unwrap_or_default();
    let result = match task.integrate {
        Some(IntegrateMode::Merge) => {
            format!(
                "accepted work is merged into {} (workflow.integrate: merge)",
                base.as_deref().unwrap_or("its base")
            )
        }
        Some(IntegrateMode::Branch) | None => format!(
            "accepted work stays on a branch of its own until orch task merge {} (workflow.integrate: branch)",
            task.id
        ),
    };
    format!("project {project}{dir}{from}; {result}")
}

/// Returns the base commit if the task started now. Omitted if git cannot determine it: the task is added already.
async fn base_of(task: &TaskView, context: &Context, home: &Home) -> Option<String> {
    let git = repository::git(context, home).await.ok()?;
    let repo = Repo::discover(&git, task.dir.as_deref()?).await.ok()?;
    Some(repo.default_branch(None).await.ok()?.as_str().to_owned())
}
