//! `orch patterns record`: records a sample by hand.

use super::page::who;
use crate::cli::amount::usd;
use crate::cli::context::{Context, resolve};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::since::Since;
use crate::cli::task::wait::span;
use crate::cli::ui::text::line;
use clap::ValueEnum;
use orch_api::endpoint;
use orch_api::patterns::{NewSample, Outcome, SampleView};
use orch_core::base::money::Usd;
use orch_core::tasks::route::Complexity;
use std::path::Path;
use std::time::Duration;

/// Arguments of `orch patterns record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The type of the work: feature, fix, refactor, test, docs, research, review, ops, or another type in use
    #[arg(long, value_name = "TYPE")]
    task_type: String,
    /// The model, as the agent's CLI names it
    #[arg(long)]
    model: String,
    /// The result
    #[arg(long)]
    outcome: Judgement,
    /// The agent; default: the only one that uses this model
    #[arg(long)]
    agent: Option<String>,
    /// The difficulty: simple, medium or complex
    #[arg(long, visible_alias = "complexity", value_name = "COMPLEXITY")]
    tier: Option<Complexity>,
    /// The repository: name or directory of a registered project
    #[arg(long)]
    project: Option<String>,
    /// The cost in US dollars; default: unknown
    #[arg(long, value_name = "USD", value_parser = usd, allow_hyphen_values = true)]
    cost: Option<Usd>,
    /// The duration: 90s, 10m, 1h 30m; default: unknown
    #[arg(long, value_name = "TIME", value_parser = span, allow_hyphen_values = true)]
    duration: Option<Duration>,
    /// When it ended: how long ago (2h), or a time; default: now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    ended: Option<Since>,
    /// A note
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, default_value = "")]
    note: String,
}

/// The result of the work.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Judgement {
    /// It was accepted
    Success,
    /// It was not accepted
    Failure,
}

/// Records the sample.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let new = NewSample {
        task_type: args.task_type,
        model: args.model,
        outcome: match args.outcome {
            Judgement::Success => Outcome::Success,
            Judgement::Failure => Outcome::Failure,
        },
        agent: args.agent,
        complexity: args.tier,
        project: args.project.map(|word| project(&word, context)),
        cost_usd: args.cost,
        seconds: args.duration.map(|took| i64::try_from(took.as_secs()).unwrap_or(i64::MAX)),
        ended_at: args.ended.map(|since| since.at(&context.now())),
        note: args.note,
        by: Some(context.person()),
    };
    let note = |sample: &SampleView, _| Some(format!("next: orch patterns stats --type {}", sample.task_type));
    let text = |sample: &SampleView, _: &_, _| format!("{}\n", render(sample));
    context.present_with_note(&endpoint::SampleRecord { body: new }, text, note).await
}

/// Returns a directory as the engine knows it; a name is unchanged.
fn project(word: &str, context: &Context) -> String {
    if word.contains('/') || word == "." {
        resolve(&context.cwd, Path::new(word)).to_string_lossy().into_owned()
    } else {
        word.to_owned()
    }
}

fn render(sample: &SampleView) -> String {
    let outcome = if sample.accepted { "success" } else { "failure" };
    let cost = sample.cost_usd.map_or_else(|| "cost not known".to_owned(), |cost| cost.to_string());
    let who = who(&sample.agent, sample.model.as_deref());
    line(&format!("recorded a {outcome} of {who} in {}, {cost}", sample.task_type)).into_owned()
}
