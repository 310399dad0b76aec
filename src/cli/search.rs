//! `orch search`: searches the output of all runs. Reads the files itself, so it needs no daemon.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::search_results::{Around, SearchResults};
use super::since::Since;
use orch_core::base::ids::TaskId;
use orch_engine::{Wanted, search};
use std::ops::ControlFlow;

/// Arguments of `orch search`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The text to search for, within single lines
    #[arg(value_name = "TEXT")]
    text: String,
    /// TEXT is a regular expression
    #[arg(long)]
    regex: bool,
    /// Only runs of this task
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
    /// Only output since then: 10m, 2h, 3d, a day or a time (2026-08-01 14:30)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    #[command(flatten)]
    around: Around,
}

/// Searches and prints the matches.
pub fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let wanted = Wanted {
        pattern: args.around.pattern(&args.text, args.regex)?,
        task: args.task,
        since: args.since.map(|since| since.at(&context.now())),
        context: args.around.context(),
    };
    let home = context.setup()?.home;
    let mut hits = SearchResults::new(context, true, args.around.context());
    let searched = search(&home, &wanted, &mut |found| match hits.show(found.task, &found.run, found.at, found.hit) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    let (flow, troubles) = searched.map_err(CliError::system("cannot search"))?;
    if let ControlFlow::Break(error) = flow {
        return Err(error);
    }
    hits.finish()?;
    troubles.iter().for_each(|trouble| context.ui.warning(&format!("{}: {}", trouble.what, trouble.error)));
    // As grep does.
    Ok(if hits.count() > 0 { Exit::Done } else { Exit::Failed })
}
