//! `orch task show`: everything about one task.

use super::sheet;
use crate::api::types::TaskView;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::ids::TaskId;

/// Arguments of `orch task show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

/// Prints the task; JSON is the API's document as it is.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let path = format!("/v1/tasks/{}", args.id);
    if context.ui.is_json() {
        let document = link.get_raw(&path).await?;
        context.ui.raw_json(&document)?;
    } else {
        let task: TaskView = link.get(&path).await?;
        context.ui.data(&sheet::task(&task, &context.now(), context.ui.paint()))?;
    }
    link.close().await?;
    Ok(Exit::Done)
}
