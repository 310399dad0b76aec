//! `orch project list`: the registered repositories.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::table::{Column, Width, cell, render};
use crate::api::types::NewProject;
use clap::Subcommand;

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
}

const HEAD: [Column; 3] = [
    Column::new("name", Width::Whole),
    Column::new("directory", Width::Rest(30)),
    Column::new("approved", Width::Whole),
];

/// Runs one of them.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let Command::List = args.command;
    let mut link = context.link().await?;
    if context.ui.is_json() {
        let document = link.get_raw("/v1/projects").await?;
        context.ui.raw_json(&document)?;
    } else {
        let projects: Vec<NewProject> = link.get("/v1/projects").await?;
        let rows: Vec<_> = projects
            .iter()
            .map(|project| {
                let approved = project.approved.as_deref().map_or("nothing", |id| id.get(..12).unwrap_or(id));
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
