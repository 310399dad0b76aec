//! `orch task route`: shows which agent and model a task would get, and changes nothing.

use super::detail_view;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_api::endpoint;
use orch_core::base::ids::TaskId;

/// Arguments of `orch task route`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

/// Sends the request, and prints the answer.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let request = endpoint::TaskRoute { id: args.id };
    let route = context.ui.wait("asking the router", link.call(&request)).await?;
    if context.ui.is_json() {
        context.ui.json(&route)?;
    } else {
        context.ui.data(&detail_view::route(&route, context.ui.paint()))?;
        if let Some(warning) = &route.warning {
            context.ui.warning(warning);
        }
        context.ui.note(&format!("next: orch task run {}", args.id));
    }
    link.close().await?;
    Ok(Exit::Done)
}
