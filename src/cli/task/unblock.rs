//! `orch task unblock ID
//! all`: continues tasks that wait for a person or for something else.

use super::ask::{self, Verb};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_api::endpoint;
use orch_core::base::count;
use orch_core::base::ids::TaskId;
use std::str::FromStr;

/// Which tasks to unblock.
#[derive(Debug, Clone, Copy)]
enum Which {
    One(TaskId),
    All,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::One).map_err(|e: orch_core::base::ids::BadTaskId| format!("{e}, or all"))
    }
}

/// Arguments of `orch task unblock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task, or all
    #[arg(value_name = "ID|all")]
    which: Which,
}

/// Unblocks them.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.which {
        Which::One(id) => ask::run(Verb::Unblock, ask::Args::new(id), context).await,
        Which::All => all(context).await,
    }
}

async fn all(context: &Context) -> Result<Exit, CliError> {
    let text = |sent: &Vec<TaskId>, _: &_, _| match sent.as_slice() {
        [] => "no task is blocked or needs review\n".to_owned(),
        sent => {
            let ids: Vec<String> = sent.iter().map(|id| format!("#{id}")).collect();
            format!("{} sent on: {}\n", count::plural(sent.len(), "task"), ids.join(" "))
        }
    };
    let note = |sent: &Vec<TaskId>, _| (!sent.is_empty()).then(|| "next: orch task list".to_owned());
    context.present_with_note(&endpoint::UnblockAll, text, note).await
}
