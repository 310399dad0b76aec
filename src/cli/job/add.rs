//! `orch job add`: adds an entry to `jobs.yml`, for the repository of the working directory.

use super::show::next_words;
use crate::cli::context::Context;
use crate::cli::draft_args::{DraftArgs, directory};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::time::Now;
use orch_api::endpoint;
use orch_api::jobs::{JobView, NewJob};
use orch_core::operations::job::{CatchUp, Overlap};

/// Arguments of `orch job add`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schedule: "0 9 * * 1-5" (minute, hour, day of the month, month, day of the week), or @hourly, @daily,
    /// @weekly …
    schedule: String,
    /// Title of the task that is created each time; {{date}}, {{time}}, {{weekday}}, {{week}} and {{job}} are filled in
    #[arg(required_unless_present = "run")]
    title: Option<String>,
    /// The details
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// Run this command instead of creating a task
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    run: Option<String>,
    /// How long the command may take: 90s, 10m (30m)
    #[arg(long, value_name = "TIME", requires = "run")]
    timeout: Option<String>,
    /// Time zone of the schedule, such as Europe/Berlin; default: the machine's
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Its id; default: derived from the title
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What to do about firings missed while orch was not running: skip, once (the default) or all
    #[arg(long, value_name = "HOW", value_parser = catch_up)]
    catch_up: Option<CatchUp>,
    /// What to do if the previous firing has not ended: skip, queue or allow
    #[arg(long, value_name = "HOW", value_parser = overlap)]
    overlap: Option<Overlap>,
    /// Delay each firing by up to this time, always by the same: 5m
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,
    /// Add it disabled
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    draft: DraftArgs,
}

fn catch_up(text: &str) -> Result<CatchUp, String> {
    word(text, &CatchUp::ALL)
}

fn overlap(text: &str) -> Result<Overlap, String> {
    word(text, &Overlap::ALL)
}

fn word<T: Copy>(text: &str, all: &[(&'static str, T)]) -> Result<T, String> {
    let known = || all.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    all.iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meant)| *meant)
        .ok_or_else(|| format!("expected one of {}", known()))
}

/// Adds the job.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let dir = directory(args.draft.dir.as_deref(), context, &home).await?;
    let task = args.draft.into_draft(args.title.unwrap_or_default(), args.body.unwrap_or_default(), dir);
    let new = NewJob {
        id: args.id,
        schedule: args.schedule,
        tz: args.tz,
        task,
        run: args.run,
        timeout: args.timeout,
        disabled: args.disabled,
        catch_up: args.catch_up,
        overlap: args.overlap,
        jitter: args.jitter,
    };
    let text = |job: &JobView, now: &Now, _| format!("added job {}{}\n", job.id, next_words(job, now));
    let note = |_: &_, is_own: bool| {
        is_own.then(|| "no daemon runs: jobs fire while `orch serve` runs, or at each `orch pulse`".to_owned())
    };
    context.present_with_note(&endpoint::JobAdd { body: new }, text, note).await
}
