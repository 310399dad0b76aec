//! `orch task missing`: open tasks that `tasks.yml` has lost. orch gives nothing up because a file was emptied, cut off or
//! taken away; a person says what was meant.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use orch_api::edits::{DecideMissing, MissingVerdict};
use orch_api::endpoint;

/// Arguments of `orch task missing`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write them into tasks.yml again
    #[arg(long)]
    restore: bool,
    /// Give them up; their agents are stopped, their branches are kept
    #[arg(long, conflicts_with = "restore")]
    cancel: bool,
    /// Only tell which tasks that would be
    #[arg(long)]
    dry_run: bool,
}

/// Lists them, or does what is asked with them.
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
            context.ui.note("tasks.yml lacks no open task that orch waits for a word about");
        } else if what == MissingVerdict::List {
            context.ui.note("next: restore the file, or orch task missing --restore, or orch task missing --cancel");
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}
