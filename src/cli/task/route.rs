//! `orch task route`: asks which agent and model a task would get, and changes nothing.

use super::detail_view;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_core::ids::TaskId;
use orch_core::route::RouteResult;
use serde_json::json;

/// Arguments of `orch task route`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

/// Asks, and prints the answer.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let path = format!("/v1/tasks/{}/route", args.id);
    let nothing = json!({});
    let route: RouteResult = context.ui.wait("asking the router", link.post(&path, &nothing)).await?;
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
