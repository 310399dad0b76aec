//! `orch patterns`: shows how agents and models have performed, and which one that recommends for a task.

pub mod page;
mod record;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::patterns::{PatternsView, SimilarView};
use orch_api::queries::{PatternsQuery, SimilarQuery};

/// The commands of `orch patterns`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record a result by hand; it counts like a run, and is marked
    Record(record::Args),
    /// Recommend an agent and model for tasks of this type
    Recommend {
        /// The type: feature, fix, refactor, test, docs, research, review, ops, or your own word; without it, any
        #[arg(value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// List past tasks that are similar to this text, with their results
    Suggest {
        /// What the task is about
        #[arg(value_name = "TEXT")]
        text: String,
        /// The most tasks to list
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
        limit: u32,
    },
    /// Show the record of every agent and model
    Stats {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// Show failures and how often they occur, by agent and model
    Analyze {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// Show the record of every agent and model, type by type
    Report {
        #[command(flatten)]
        of: Of,
    },
    /// Print every judged run as JSON, one per line
    Export {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
}

/// Which tasks to include.
#[derive(Debug, clap::Args)]
pub struct Of {
    /// Only tasks of this project: its name or directory
    #[arg(long)]
    project: Option<String>,
    /// Only tasks with this label
    #[arg(long)]
    label: Option<String>,
}

impl Of {
    fn query(self, task_type: Option<String>) -> PatternsQuery {
        PatternsQuery { task_type, project: self.project, label: self.label }
    }
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    let columns = context.ui.columns();
    match command {
        Command::Record(args) => record::run(args, context).await,
        Command::Recommend { task_type, of } => {
            let output = |view: &PatternsView, _: &_, paint| page::recommendation(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(task_type) }, output).await
        }
        Command::Suggest { text, limit } => {
            let output = |view: &Vec<SimilarView>, _: &_, paint| page::similar(view, columns, paint);
            let query = SimilarQuery { text, limit: Some(limit) };
            context.present(&endpoint::SimilarTasks { query }, output).await
        }
        Command::Stats { task_type, of } => {
            let output = |view: &PatternsView, _: &_, paint| page::standings(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(task_type) }, output).await
        }
        Command::Analyze { task_type, of } => {
            let output = |view: &PatternsView, _: &_, paint| page::failures(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(task_type) }, output).await
        }
        Command::Report { of } => {
            let output = |view: &PatternsView, _: &_, paint| page::report(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(None) }, output).await
        }
        Command::Export { task_type, of } => export(of.query(task_type), context).await,
    }
}

async fn export(query: PatternsQuery, context: &Context) -> Result<Exit, CliError> {
    for sample in &context.fetch(&endpoint::SampleList { query }).await? {
        context.ui.json(sample)?;
    }
    Ok(Exit::Done)
}
