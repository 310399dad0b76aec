//! `orch task missing`: handles open tasks that are missing from `tasks.yml`. orch cancels nothing because a file was
//! emptied, truncated or removed; a person decides.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use orch_api::edits::{DecideMissing, MissingVerdict};
use orch_api::endpoint;

/// Arguments of `orch task missing`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Add them to tasks.yml again
    #[arg(long)]
    restore: bool,
    /// Cancel them; their agents are stopped, their branches are kept
    #[arg(long, conflicts_with = "restore")]
    cancel: bool,
    /// Only show which tasks are affected
    #[arg(long)]
    dry_run: bool,
}

/// Lists the missing tasks, or restores or cancels them.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let (what, done) = match (args.restore, args.cancel) {
        (true, _) => (MissingVerdict::Restore, "is written into tasks.yml again"),
        (false, true) => (MissingVerdict::Cancel, "is given up"),
        (false, false) => (MissingVerdict::List, "is lacking in tasks.yml"),
    };
    let asked = if args.dry_run { MissingVerdict::List } else { what };
    let mut link = context.link().await?;
    let tasks = link.call(&endpoint::MissingDecide { body: DecideMissing { what: asked } }).await?;
    if context.ui.is_json() {
        context.ui.json(&tasks)?;
    } else {
        let would = if args.dry_run && what != MissingVerdict::List { "would be: " } else { "" };
        for task in &tasks {
            context.ui.data(&format!("{would}task {} {done}: {}\n", task.id, text::fit(&task.title, 120)))?;
        }
        if tasks.is_empty() {
            context.ui.note("no open task is missing from tasks.yml");
        } else if what == MissingVerdict::List {
            context.ui.note("next: restore the file, or orch task missing --restore, or orch task missing --cancel");
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}
