//! `orch task retry`, `orch task interrupt` and `orch task cancel`: one request about one task, and its effect.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use orch_api::client::ClientError;
use orch_api::endpoint::{self, Request, ToRequest};
use orch_api::queries::SeenQuery;
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::task::Status;

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start from scratch.
    Retry,
    /// Stop the agent, and keep the conversation.
    Interrupt,
    /// Cancel it.
    Cancel,
    /// Unblock it.
    Unblock,
}

impl Verb {
    fn request(self, id: TaskId) -> Result<Request<TaskView>, ClientError> {
        let query = SeenQuery::default();
        match self {
            Self::Retry => endpoint::TaskRetry { id, query }.to_request(),
            Self::Interrupt => endpoint::TaskInterrupt { id, query }.to_request(),
            Self::Cancel => endpoint::TaskCancel { id, query }.to_request(),
            Self::Unblock => endpoint::TaskUnblock { id, query }.to_request(),
        }
    }
}

/// Arguments of a request about one task.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

impl Args {
    /// Returns the arguments for this task.
    pub fn new(id: TaskId) -> Self {
        Self { id }
    }
}

/// Sends the request, and prints the new state.
pub async fn run(verb: Verb, args: Args, context: &Context) -> Result<Exit, CliError> {
    send(&verb.request(args.id)?, context).await
}

/// Sends a request about one task, and prints the new state.
pub(super) async fn send(request: &impl ToRequest<Answer = TaskView>, context: &Context) -> Result<Exit, CliError> {
    context.present_with_note(request, |task, _, _| render(task), |task, is_own| Some(next(task, is_own))).await
}

/// Describes the present state of the task in one line.
pub(super) fn render(task: &TaskView) -> String {
    format!("task {} is {}: {}\n", task.id, task.status.as_str(), text::fit(&task.title, 120))
}

/// Returns the command to type next.
pub(super) fn next(task: &TaskView, nobody_serves: bool) -> String {
    let id = task.id;
    match task.status {
        Status::New | Status::Routed | Status::InReview if nobody_serves => {
            format!("next: orch task run {id}, or orch serve")
        }
        Status::New | Status::Routed => format!("the daemon takes it; next: orch why {id}"),
        Status::InProgress | Status::InReview => match &task.hold {
            Some(hold) if hold.reason == HoldReason::Stopping => {
                format!("its run is being stopped; next: orch why {id}")
            }
            Some(_) | None => format!("it is running; next: orch log {id}"),
        },
        Status::Done => format!("next: orch task show {id}"),
        Status::Blocked => format!("next: orch why {id}"),
        Status::NeedsReview => format!("next: orch task show {id}"),
        Status::Cancelled => format!("next: orch task retry {id} takes it up again"),
    }
}
