//! `orch task claim` and `orch task unclaim`: sets the owner of a task. A task of another owner is taken only by force.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use orch_api::claims::NewClaim;
use orch_api::endpoint::{self, ToRequest};
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Claim the task.
    Claim,
    /// Release the claim.
    Unclaim,
}

/// Arguments of both commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Claim it under this name; default: ORCH_IDENTITY, your gh login, or user@host
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Even if another person has claimed it
    #[arg(long)]
    force: bool,
}

/// Sends the request, and prints the owner.
pub async fn run(verb: Verb, args: Args, context: &Context) -> Result<Exit, CliError> {
    let by = args.name.unwrap_or_else(|| context.identity());
    let (id, body) = (args.id, NewClaim { by: Some(by), force: args.force });
    let request = match verb {
        Verb::Claim => endpoint::TaskClaim { id, body }.to_request()?,
        Verb::Unclaim => endpoint::TaskUnclaim { id, body }.to_request()?,
    };
    let text = |task: &TaskView, _: &_, _| {
        let who = match &task.assignee {
            Some(name) => format!("is claimed by {}", text::fit(name, 80)),
            None => "is not claimed".to_owned(),
        };
        format!("task {} {who}: {}\n", task.id, text::fit(&task.title, 120))
    };
    context.present(&request, text).await
}
