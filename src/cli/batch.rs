//! `orch batch`: a named set of tasks with a concurrency and perhaps a budget of its own. Makes, shows, changes and gives
//! up batches, and waits for their end.

mod show;
mod wait;

pub use show::summary;

use super::amount::usd;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::task::wait::span;
use super::ui::paint::Paint;
use super::ui::time::Now;
use clap::Subcommand;
use orch_api::batches::{BatchView, CancelBatch, NewBatch, SetBatch};
use orch_api::endpoint;
use orch_core::batch::{BadBatchName, BatchName};
use orch_core::ids::TaskId;
use orch_core::money::Usd;
use std::time::Duration;

/// Arguments of `orch batch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Which batch.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Its name, as `orch batch list` has it
    #[arg(value_name = "NAME", value_parser = batch_name)]
    name: BatchName,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a batch of tasks that are not over
    #[command(visible_alias = "add")]
    Create {
        #[command(flatten)]
        which: Which,
        /// Its tasks, in the order in which they are to begin: 4,5,6
        #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
        tasks: Vec<TaskId>,
        /// So many of them run at the same time [default: 4]
        #[arg(long, value_name = "N")]
        concurrency: Option<u32>,
        /// Begin nothing more of it once it has spent so many US dollars
        #[arg(long, value_name = "USD", value_parser = usd)]
        budget: Option<Usd>,
    },
    /// List all batches that are open, and the last that have ended
    #[command(visible_alias = "ls")]
    List,
    /// Show a batch with its tasks
    #[command(visible_alias = "status")]
    Show(Which),
    /// Change how many run at the same time, or the budget
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Set {
        #[command(flatten)]
        which: Which,
        /// So many of its tasks run at the same time
        #[arg(long, value_name = "N", group = "what")]
        concurrency: Option<u32>,
        /// Begin nothing more of it once it has spent so many US dollars
        #[arg(long, value_name = "USD", value_parser = usd, group = "what", conflicts_with = "no_budget")]
        budget: Option<Usd>,
        /// Let it spend as much as it takes
        #[arg(long, group = "what")]
        no_budget: bool,
    },
    /// Give up what is not over of it; finished work stays
    Cancel {
        #[command(flatten)]
        which: Which,
        /// Only show what would be given up
        #[arg(long)]
        dry_run: bool,
    },
    /// Wait until all of its tasks are over; the exit code tells how it ended
    Wait {
        #[command(flatten)]
        which: Which,
        /// Wait no longer than this: 90s, 10m, 1h 30m
        #[arg(long, value_name = "TIME", value_parser = span)]
        timeout: Option<Duration>,
    },
}

/// Reads the name of a batch.
pub fn batch_name(text: &str) -> Result<BatchName, BadBatchName> {
    text.parse()
}

/// Runs one of them.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::Create { which: Which { name }, tasks, concurrency, budget } => {
            let new = NewBatch { name: name.as_str().to_owned(), tasks, concurrency, budget_usd: budget };
            let mut link = context.link().await?;
            let batch = link.call(&endpoint::BatchCreate { body: new }).await?;
            let is_own = link.is_own();
            tell(&batch, context, |batch| format!("batch {name} is open: {}\n", show::summary(batch)))?;
            if is_own {
                context.ui.note(&format!("next: orch serve, then orch batch wait {name}"));
            }
            link.close().await?;
            Ok(Exit::Done)
        }
        Command::List => {
            let columns = context.ui.columns();
            let told = |batches: &Vec<BatchView>, now: &Now, paint: Paint| show::listed(batches, now, columns, paint);
            context.present(&endpoint::BatchList, told).await
        }
        Command::Show(Which { name }) => {
            let columns = context.ui.columns();
            let told = |batch: &BatchView, now: &Now, paint: Paint| show::sheet(batch, now, columns, paint);
            context.present(&endpoint::BatchShow { name }, told).await
        }
        Command::Set { which: Which { name }, concurrency, budget, no_budget } => {
            let set = SetBatch { concurrency, budget_usd: budget, no_budget };
            let mut link = context.link().await?;
            let batch = link.call(&endpoint::BatchSet { name: name.clone(), body: set }).await?;
            tell(&batch, context, |batch| format!("batch {name}: {}\n", show::summary(batch)))?;
            link.close().await?;
            Ok(Exit::Done)
        }
        Command::Cancel { which: Which { name }, dry_run: true } => {
            context.present(&endpoint::BatchShow { name }, |batch: &BatchView, _, _| show::rehearsal(batch)).await
        }
        Command::Cancel { which: Which { name }, dry_run: false } => {
            let mut link = context.link().await?;
            let order = CancelBatch { by: Some(context.person()) };
            let batch = link.call(&endpoint::BatchCancel { name, body: order }).await?;
            tell(&batch, context, show::given_up)?;
            link.close().await?;
            Ok(Exit::Done)
        }
        Command::Wait { which: Which { name }, timeout } => wait::run(&name, timeout, context).await,
    }
}

fn tell(batch: &BatchView, context: &Context, told: impl FnOnce(&BatchView) -> String) -> Result<(), CliError> {
    if context.ui.is_json() { context.ui.json(batch) } else { context.ui.data(&told(batch)) }
}
