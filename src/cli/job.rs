//! `orch job`: adds, shows, enables, disables and fires recurring jobs, and shows when they fire next.

mod add;
mod show;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::paint::Paint;
use super::ui::text;
use super::ui::time::Now;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::jobs::{JobView, MadeView, UpcomingView};
use orch_api::queries::UpcomingQuery;
use orch_core::operations::job::{BadJobId, JobId};

/// The id of a job.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Its id, as listed by `orch job list`
    #[arg(value_name = "ID", value_parser = job_id)]
    id: JobId,
}

/// The commands of `orch job`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a job: a recurring task or command
    Add(Box<add::Args>),
    /// List all jobs
    #[command(visible_alias = "ls")]
    List,
    /// Show a job with its last firings
    Show(Which),
    /// Enable it, from now on
    Enable(Which),
    /// Disable it; it stays in jobs.yml
    Disable(Which),
    /// Remove it from jobs.yml
    #[command(visible_alias = "rm")]
    Remove {
        #[command(flatten)]
        which: Which,
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Fire it now, regardless of its schedule
    Run(Which),
    /// Show when jobs fire next
    Next {
        /// Only this job
        #[arg(value_name = "ID", value_parser = job_id)]
        id: Option<JobId>,
        /// How many firings to show
        #[arg(short = 'n', long = "count", default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
}

fn job_id(text: &str) -> Result<JobId, BadJobId> {
    text.parse()
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Add(args) => add::run(*args, context).await,
        Command::List => {
            let columns = context.ui.columns();
            let text = |jobs: &Vec<JobView>, now: &Now, paint: Paint| show::listed(jobs, now, columns, paint);
            context.present(&endpoint::JobList, text).await
        }
        Command::Show(Which { id }) => {
            let text = |job: &JobView, now: &Now, _: Paint| show::details(job, now);
            context.present(&endpoint::JobShow { id }, text).await
        }
        Command::Enable(Which { id }) => {
            let text = |job: &JobView, now: &Now, _| format!("job {id} is switched on{}\n", show::next_words(job, now));
            context.present(&endpoint::JobEnable { id: id.clone() }, text).await
        }
        Command::Disable(Which { id }) => {
            let text = |_: &_, _: &Now, _| format!("job {id} is switched off; `orch job enable {id}` switches it on\n");
            context.present(&endpoint::JobDisable { id: id.clone() }, text).await
        }
        Command::Remove { which: Which { id }, dry_run: true } => {
            let text = |job: &JobView, now: &Now, _: Paint| format!("would remove:\n{}", show::details(job, now));
            context.present(&endpoint::JobShow { id }, text).await
        }
        Command::Remove { which: Which { id }, dry_run: false } => {
            let text = |_: &_, _: &Now, _| format!("job {id} is gone from jobs.yml\n");
            context.present(&endpoint::JobRemove { id: id.clone() }, text).await
        }
        Command::Run(Which { id }) => fire(&id, context).await,
        Command::Next { id, count } => {
            let query = UpcomingQuery { job: id.map(|id| id.to_string()), n: Some(count) };
            context.present(&endpoint::Upcoming { query }, |times: &Vec<UpcomingView>, _, _| next(times)).await
        }
    }
}

/// Fires a job. If this process runs its command, waits for the command to end.
async fn fire(id: &JobId, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let firing = link.call(&endpoint::JobRun { id: id.clone() }).await?;
    let is_own = link.is_own();
    if context.ui.is_json() {
        context.ui.json(&firing)?;
    } else {
        match (firing.made, firing.task_id) {
            (MadeView::Task, Some(task)) => {
                context.ui.data(&format!("job {id} made task {task}\n"))?;
                if is_own {
                    context.ui.note(&format!("next: orch task run {task}, or orch serve"));
                }
            }
            (MadeView::Task | MadeView::Command, _) => {
                context.ui.data(&format!("the command of job {id} runs\n"))?;
                let waits = if is_own { "this command ends with it; " } else { "" };
                context.ui.note(&format!("{waits}orch job show {id} shows how it ended"));
            }
            (MadeView::Nothing, _) => {
                let why = firing.why.unwrap_or_default();
                context.ui.data(&format!("job {id} created nothing: {}\n", text::line(&why)))?;
                link.close().await?;
                return Ok(Exit::Failed);
            }
        }
    }
    link.close().await?;
    Ok(if firing.made == MadeView::Nothing { Exit::Failed } else { Exit::Done })
}

fn next(times: &[UpcomingView]) -> String {
    if times.is_empty() {
        return "no job is to fire\n".to_owned();
    }
    let width = times.iter().map(|time| time.job.as_str().len()).max().unwrap_or(0);
    let line =
        |time: &UpcomingView| format!("{}  {:width$}  {}\n", time.local, time.job.as_str(), text::fit(&time.what, 80));
    times.iter().map(line).collect()
}
