//! `orch job add`: adds an entry to `jobs.yml`, for the repository of the working directory.

use super::show::next_words;
use crate::cli::context::{Context, resolve};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::repository::root_around;
use orch_api::endpoint;
use orch_api::jobs::NewJob;
use orch_api::types::TaskDraft;
use orch_core::operations::job::{CatchUp, Overlap};
use orch_core::tasks::route::Complexity;
use std::path::{Path, PathBuf};

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
    /// A label, such as agent:claude; may be given several times
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,
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
    /// Tasks with higher numbers start first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// Directory of the repository; without it, the repository you are in
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The type: feature, bug, docs or any other word
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Require this agent
    #[arg(long)]
    agent: Option<String>,
    /// Require this model, as the agent's CLI names it
    #[arg(long)]
    model: Option<String>,
    /// Require a complexity: simple, medium or complex
    #[arg(long, value_name = "COMPLEXITY")]
    complexity: Option<Complexity>,
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
    let dir = directory(&args, context).await?;
    let task = TaskDraft {
        title: args.title.unwrap_or_default(),
        body: args.body.unwrap_or_default(),
        labels: args.labels,
        priority: args.priority,
        dir,
        kind: args.kind,
        agent: args.agent,
        model: args.model,
        complexity: args.complexity,
    };
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
    let mut link = context.link().await?;
    let job = link.call(&endpoint::JobAdd { body: new }).await?;
    if context.ui.is_json() {
        context.ui.json(&job)?;
    } else {
        context.ui.data(&format!("added job {}{}\n", job.id, next_words(&job, &context.now())))?;
        if link.is_own() {
            context.ui.note("no daemon runs: jobs fire while `orch serve` runs, or at each `orch pulse`");
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}

/// Returns the directory of the work. `None` means the only project, which the engine determines.
async fn directory(args: &Args, context: &Context) -> Result<Option<PathBuf>, CliError> {
    let home = context.setup()?.home;
    let Some(dir) = &args.dir else {
        return root_around(context, &home, &resolve(&context.cwd, Path::new("."))).await;
    };
    let dir = resolve(&context.cwd, dir);
    if !dir.is_dir() {
        return Err(CliError::usage(format!("{} is not a directory", dir.display()), "--dir names a repository"));
    }
    Ok(Some(root_around(context, &home, &dir).await?.unwrap_or(dir)))
}
