//! `orch batch wait`: waits until all tasks of a batch have ended, or none continues without a person.

use super::show;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::task::wait::until_over;
use orch_api::batches::BatchView;
use orch_api::endpoint;
use orch_core::planning::batch::BatchName;
use orch_core::tasks::task::Status;
use std::time::Duration;
use tokio::time::timeout;

/// Waits, and prints the result.
pub async fn run(name: &BatchName, limit: Option<Duration>, context: &Context) -> Result<Exit, CliError> {
    let waited = timeout(limit.unwrap_or(Duration::MAX), until_ended(name, context)).await;
    let exit = waited.unwrap_or(Ok(Exit::TimedOut))?;
    if exit == Exit::Interrupted {
        return Ok(exit);
    }
    let batch = fetch(name, context).await?;
    if context.ui.is_json() {
        context.ui.json(&batch)?;
    } else {
        context.ui.data(&show::details(&batch, &context.now(), context.ui.columns(), context.ui.paint()))?;
    }
    match exit {
        Exit::NoDaemon => {
            context.ui.warning(&format!("no daemon runs, so batch {name} makes no progress; next: orch serve"));
        }
        Exit::TimedOut => {
            context
                .ui
                .warning(&format!("the time limit was reached; the batch continues; next: orch batch show {name}"));
        }
        Exit::PersonNeeded => {
            let asking = batch.rows.iter().flatten().find(|row| row.status == Status::NeedsReview);
            if let Some(row) = asking {
                context.ui.note(&format!("none of its tasks continues without a person; next: orch why {}", row.id));
            }
        }
        Exit::Done
        | Exit::Failed
        | Exit::Usage
        | Exit::NotFound
        | Exit::Refused
        | Exit::Answer(_)
        | Exit::NoAnswer
        | Exit::Parked
        | Exit::Interrupted => {}
    }
    Ok(exit)
}

/// Waits until the batch has ended, or none of its tasks continues by itself.
async fn until_ended(name: &BatchName, context: &Context) -> Result<Exit, CliError> {
    loop {
        let batch = fetch(name, context).await?;
        if batch.state.is_over() {
            return Ok(ended(&batch));
        }
        let exit = until_over(batch.tasks, None, context).await?;
        // If all tasks have ended and the batch has not, they have created subtasks meanwhile.
        if !matches!(exit, Exit::Done | Exit::Failed) {
            return Ok(exit);
        }
    }
}

async fn fetch(name: &BatchName, context: &Context) -> Result<BatchView, CliError> {
    context.fetch(&endpoint::BatchShow { name: name.clone() }).await
}

/// Returns how a batch ended, from its tasks.
fn ended(batch: &BatchView) -> Exit {
    let is_done = batch.rows.iter().flatten().all(|row| row.status == Status::Done);
    if is_done { Exit::Done } else { Exit::Failed }
}
