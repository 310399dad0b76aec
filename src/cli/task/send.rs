//! `orch task send`: sends a message to a task's agent, and prints the receipt.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_api::endpoint;
use orch_api::messages::{MessageView, NewMessage};
use orch_core::base::ids::TaskId;
use orch_core::tasks::message::{MAX_MESSAGE, MessageState, Via};
use std::io::Read;

/// How long to wait for a receipt, in seconds.
const WAIT: u64 = 5;

/// Arguments of `orch task send`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The message; - reads it from stdin
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    text: String,
    /// Do not wait for the receipt
    #[arg(long)]
    no_wait: bool,
    /// The model of the next run only: a tag, a tier, provider/model or a name
    #[arg(long)]
    model: Option<String>,
}

/// Sends the message, and prints what happened to it.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let new =
        NewMessage { text: text(args.text)?, wait_seconds: if args.no_wait { 0 } else { WAIT }, model: args.model };
    let mut link = context.link().await?;
    let message = link.call(&endpoint::TaskSend { id: args.id, body: new }).await?;
    if context.ui.is_json() {
        context.ui.json(&message)?;
    } else {
        context.ui.data(&format!("{}\n", render(&message)))?;
        if message.state == MessageState::Queued && link.is_own() {
            context.ui.note(&format!("no daemon runs; next: orch task run {}, or orch serve", args.id));
        }
    }
    link.close().await?;
    Ok(match message.state {
        MessageState::Queued | MessageState::Delivered => Exit::Done,
        MessageState::Refused => Exit::Refused,
    })
}

fn text(given: String) -> Result<String, CliError> {
    if given != "-" {
        return Ok(given);
    }
    // One character more than allowed, so that the engine reports the error.
    let limit = u64::try_from((MAX_MESSAGE + 1) * 4).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
    read.map_err(CliError::system("cannot read the message from stdin"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Renders the receipt in one line.
fn render(message: &MessageView) -> String {
    let task = message.task_id;
    // A delivered message has a detail only if a model was requested.
    let about = if message.detail.is_empty() { String::new() } else { format!("; {}", message.detail) };
    match (message.state, message.via) {
        (MessageState::Delivered, Some(Via::Prompt)) => {
            format!("delivered to task {task}: with the prompt of its run{about}")
        }
        (MessageState::Delivered, Some(Via::Live) | None) => format!("delivered to task {task} (live){about}"),
        (MessageState::Queued, _) => format!("queued for task {task}: {}", message.detail),
        (MessageState::Refused, _) => format!("refused by task {task}: {}", message.detail),
    }
}
