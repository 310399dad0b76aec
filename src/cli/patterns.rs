//! `orch patterns`: how agents and models have done so far, and what that says about whom to give a task.

pub mod page;
mod record;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Subcommand;
use orch_api::patterns::{PatternsView, SampleView, SimilarView};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Display;

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
    /// Behind the path of a request.
    fn query(&self, task_type: Option<&str>) -> String {
        let all = [("type", task_type), ("project", self.project.as_deref()), ("label", self.label.as_deref())];
        let given = all.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
        let given: Vec<String> = given.collect();
        if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
    }
}

/// A value in a query.
fn encoded(text: &str) -> impl Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// Runs one of them.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let columns = context.ui.columns();
    let path = |of: &Of, task_type: Option<&str>| format!("/v1/patterns{}", of.query(task_type));
    match args.command {
        Command::Record(args) => record::run(args, context).await,
        Command::Recommend { task_type, of } => {
            let told = |view: &PatternsView, _: &_, paint| page::recommendation(view, columns, paint);
            context.present(&path(&of, task_type.as_deref()), told).await
        }
        Command::Suggest { text, limit } => {
            let told = |view: &Vec<SimilarView>, _: &_, paint| page::similar(view, columns, paint);
            context.present(&format!("/v1/patterns/similar?text={}&limit={limit}", encoded(&text)), told).await
        }
        Command::Stats { task_type, of } => {
            let told = |view: &PatternsView, _: &_, paint| page::standings(view, columns, paint);
            context.present(&path(&of, task_type.as_deref()), told).await
        }
        Command::Analyze { task_type, of } => {
            let told = |view: &PatternsView, _: &_, paint| page::failures(view, columns, paint);
            context.present(&path(&of, task_type.as_deref()), told).await
        }
        Command::Report { of } => {
            let told = |view: &PatternsView, _: &_, paint| page::report(view, columns, paint);
            context.present(&path(&of, None), told).await
        }
        Command::Export { task_type, of } => export(&of.query(task_type.as_deref()), context).await,
    }
}

async fn export(query: &str, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let samples: Vec<SampleView> = link.get(&format!("/v1/patterns/samples{query}")).await?;
    for sample in &samples {
        context.ui.json(sample)?;
    }
    link.close().await?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_query_is_one_value_whatever_it_holds() {
        let of = Of { project: Some("/a b&c=d".to_owned()), label: Some("ü?#".to_owned()) };
        assert_eq!(of.query(Some("fix")), "?type=fix&project=%2Fa%20b%26c%3Dd&label=%C3%BC%3F%23");
        assert_eq!(Of { project: None, label: None }.query(None), "");
    }
}
