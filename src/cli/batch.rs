//! `orch batch`: a named set of tasks with its own concurrency limit and, optionally, a budget. Creates, shows, changes
//! and cancels batches, and waits for them to end.

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
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::planning::batch::{BadBatchName, BatchName};
use std::time::Duration;

/// The name of a batch.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Its name, as listed by `orch batch list`
    #[arg(value_name = "NAME", value_parser = batch_name)]
    name: BatchName,
}

/// The commands of `orch batch`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a batch of unfinished tasks
    #[command(visible_alias = "add")]
    Create {
        #[command(flatten)]
        which: Which,
        /// Its tasks, in the order in which they start: 4,5,6
        #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
        tasks: Vec<TaskId>,
        /// How many of its tasks run at the same time [default: 4]
        #[arg(long, value_name = "N")]
        concurrency: Option<u32>,
        /// Start no more of its tasks once they have cost this much, in US dollars
        #[arg(long, value_name = "USD", value_parser = usd)]
        budget: Option<Usd>,
    },
    /// List open batches, and those that ended last
    #[command(visible_alias = "ls")]
    List,
    /// Show a batch with its tasks
    #[command(visible_alias = "status")]
    Show(Which),
    /// Change the concurrency limit or the budget
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Set {
        #[command(flatten)]
        which: Which,
        /// How many of its tasks run at the same time
        #[arg(long, value_name = "N", group = "what")]
        concurrency: Option<u32>,
        /// Start no more of its tasks once they have cost this much, in US dollars
        #[arg(long, value_name = "USD", value_parser = usd, group = "what", conflicts_with = "no_budget")]
        budget: Option<Usd>,
        /// Remove the budget
        #[arg(long, group = "what")]
        no_budget: bool,
    },
    /// Cancel its unfinished tasks; finished work stays
    Cancel {
        #[command(flatten)]
        which: Which,
        /// Only show what would be cancelled
        #[arg(long)]
        dry_run: bool,
    },
    /// Wait until all of its tasks have ended; the exit code says how
    Wait {
        #[command(flatten)]
        which: Which,
        /// Give up after this time: 90s, 10m, 1h 30m
        #[arg(long, value_name = "TIME", value_parser = span)]
        timeout: Option<Duration>,
    },
}

/// Parses the name of a batch.
pub fn batch_name(text: &str) -> Result<BatchName, BadBatchName> {
    text.parse()
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Create { which: Which { name }, tasks, concurrency, budget } => {
            let new = NewBatch { name: name.as_str().to_owned(), tasks, concurrency, budget_usd: budget };
            let text = |batch: &BatchView, _: &Now, _| format!("batch {name} is open: {}\n", show::summary(batch));
            let note = |_: &_, is_own: bool| is_own.then(|| format!("next: orch serve, then orch batch wait {name}"));
            context.present_with_note(&endpoint::BatchCreate { body: new }, text, note).await
        }
        Command::List => {
            let columns = context.ui.columns();
            let text = |batches: &Vec<BatchView>, now: &Now, paint: Paint| show::listed(batches, now, columns, paint);
            context.present(&endpoint::BatchList, text).await
        }
        Command::Show(Which { name }) => {
            let columns = context.ui.columns();
            let text = |batch: &BatchView, now: &Now, paint: Paint| show::details(batch, now, columns, paint);
            context.present(&endpoint::BatchShow { name }, text).await
        }
        Command::Set { which: Which { name }, concurrency, budget, no_budget } => {
            let set = SetBatch { concurrency, budget_usd: budget, no_budget };
            let text = |batch: &BatchView, _: &Now, _| format!("batch {name}: {}\n", show::summary(batch));
            context.present(&endpoint::BatchSet { name: name.clone(), body: set }, text).await
        }
        Command::Cancel { which: Which { name }, dry_run: true } => {
            context.present(&endpoint::BatchShow { name }, |batch: &BatchView, _, _| show::rehearsal(batch)).await
        }
        Command::Cancel { which: Which { name }, dry_run: false } => {
            let body = CancelBatch { by: Some(context.person()) };
            context.present(&endpoint::BatchCancel { name, body }, |batch, _, _| show::given_up(batch)).await
        }
        Command::Wait { which: Which { name }, timeout } => wait::run(&name, timeout, context).await,
    }
}
