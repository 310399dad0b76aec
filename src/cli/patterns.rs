//! `orch patterns`: how agents and models have done so far, and what that says about whom to give a task.

pub mod page;
mod record;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::patterns::{PatternsView, SimilarView};
use orch_api::queries::{PatternsQuery, SimilarQuery};

/// Arguments of `orch patterns`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record by hand how a model has done a piece of work; it counts like a run, and is marked as yours
    Record(record::Args),
    /// Whom to give a task of this type, and why
    Recommend {
        /// The type: feature, fix, refactor, test, docs, research, review, ops, or a word of your own; without it, any
        #[arg(value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// Tasks of the past that are like this text, and how they went
    Suggest {
        /// What the task is about
        #[arg(value_name = "TEXT")]
        text: String,
        /// So many at most
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
        limit: u32,
    },
    /// How every agent and model has done
    Stats {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// What failed, and how often, by agent and model
    Analyze {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// How every agent and model has done, type by type
    Report {
        #[command(flatten)]
        of: Of,
    },
    /// Every run that was judged, as JSON, one on a line
    Export {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE")]
        task_type: Option<String>,
        #[command(flatten)]
        of: Of,
    },
}

/// Of which tasks.
#[derive(Debug, clap::Args)]
struct Of {
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

/// Runs one of them.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let columns = context.ui.columns();
    match args.command {
        Command::Record(args) => record::run(args, context).await,
        Command::Recommend { task_type, of } => {
            let told = |view: &PatternsView, _: &_, paint| page::recommendation(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(task_type) }, told).await
        }
        Command::Suggest { text, limit } => {
            let told = |view: &Vec<SimilarView>, _: &_, paint| page::similar(view, columns, paint);
            let query = SimilarQuery { text, limit: Some(limit) };
            context.present(&endpoint::SimilarTasks { query }, told).await
        }
        Command::Stats { task_type, of } => {
            let told = |view: &PatternsView, _: &_, paint| page::standings(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(task_type) }, told).await
        }
        Command::Analyze { task_type, of } => {
            let told = |view: &PatternsView, _: &_, paint| page::failures(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(task_type) }, told).await
        }
        Command::Report { of } => {
            let told = |view: &PatternsView, _: &_, paint| page::report(view, columns, paint);
            context.present(&endpoint::Patterns { query: of.query(None) }, told).await
        }
        Command::Export { task_type, of } => export(of.query(task_type), context).await,
    }
}

async fn export(query: PatternsQuery, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let samples = link.call(&endpoint::SampleList { query }).await?;
    for sample in &samples {
        context.ui.json(sample)?;
    }
    link.close().await?;
    Ok(Exit::Done)
}
