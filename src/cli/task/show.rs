//! `orch task show`: prints everything about one task.

use super::detail_view;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_api::endpoint;
use orch_core::base::ids::TaskId;

/// Arguments of `orch task show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

/// Prints the task, or the API's document as JSON.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    context.present(&endpoint::TaskShow { id: args.id }, detail_view::task).await
}
