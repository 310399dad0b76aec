//! `orch project`: lists the registered repositories, and forgets one.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::table::{Column, Width, cell, render};
use super::ui::text::line;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::types::RemoveProject;

/// Arguments of `orch project`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::List => list(context).await,
        Command::Remove { project } => remove(project, context).await,
    }
}

async fn remove(project: String, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let removed = link.call(&endpoint::ProjectRemove { body: RemoveProject { project } }).await?;
    if context.ui.is_json() {
        context.ui.json(&removed)?;
    } else {
        let (name, dir) = (line(&removed.name), removed.dir.to_string_lossy());
        context.ui.data(&format!("forgot project {name} at {}\n", line(&dir)))?;
        context.ui.note("its files and tasks stay as they are; orch init, in the repository, registers it again");
    }
    link.close().await?;
    Ok(Exit::Done)
}

async fn list(context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    if context.ui.is_json() {
        let document = link.raw(&endpoint::ProjectList).await?;
        context.ui.raw_json(&document)?;
    } else {
        let projects = link.call(&endpoint::ProjectList).await?;
        let rows: Vec<_> = projects
            .iter()
            .map(|project| {
                let approved = match project.approved.as_deref() {
                    _ if !project.dir.is_dir() => "the directory is gone",
                    Some(id) => id.get(..12).unwrap_or(id),
                    None => "nothing",
                };
                [cell(project.name.as_str()), cell(project.dir.to_string_lossy()), cell(approved)]
            })
            .collect();
        if rows.is_empty() {
            context.ui.note("no repository is registered: orch init, in the repository");
        } else {
            context.ui.data(&render(&HEAD, &rows, context.ui.columns(), context.ui.paint()))?;
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}
