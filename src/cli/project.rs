//! `orch project`: lists the registered repositories, and forgets one.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::table::{Cell, Column, Width, cell, render};
use super::ui::text::line;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::types::{NewProject, RemoveProject};

/// The commands of `orch project`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the registered repositories
    #[command(visible_alias = "ls")]
    List,
    /// Forget a repository, even a missing one; its files are not touched, its tasks stay and wait
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name or directory
        #[arg(value_name = "NAME")]
        project: String,
    },
}

const HEAD: [Column; 3] = [
    Column::new("name", Width::Whole),
    Column::new("directory", Width::Rest(30)),
    Column::new("approved", Width::Whole),
];

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::List => list(context).await,
        Command::Remove { project } => remove(project, context).await,
    }
}

async fn remove(project: String, context: &Context) -> Result<Exit, CliError> {
    let text = |removed: &NewProject, _: &_, _| {
        format!("forgot project {} at {}\n", line(&removed.name), line(&removed.dir.to_string_lossy()))
    };
    let note = "its files and tasks stay as they are; orch init, in the repository, registers it again";
    let request = endpoint::ProjectRemove { body: RemoveProject { project } };
    context.present_with_note(&request, text, |_, _| Some(note.to_owned())).await
}

async fn list(context: &Context) -> Result<Exit, CliError> {
    let columns = context.ui.columns();
    let text = |projects: &Vec<NewProject>, _: &_, paint| match projects.as_slice() {
        [] => String::new(),
        projects => render(&HEAD, &projects.iter().map(row).collect::<Vec<_>>(), columns, paint),
    };
    let note = |projects: &Vec<NewProject>, _| {
        projects.is_empty().then(|| "no repository is registered: orch init, in the repository".to_owned())
    };
    context.present_with_note(&endpoint::ProjectList, text, note).await
}

fn row(project: &NewProject) -> [Cell<'_>; 3] {
    let approved = match project.approved.as_deref() {
        _ if !project.dir.is_dir() => "the directory is gone",
        Some(id) => id.get(..12).unwrap_or(id),
        None => "nothing",
    };
    [cell(project.name.as_str()), cell(project.dir.to_string_lossy()), cell(approved)]
}
