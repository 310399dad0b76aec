//! `orch task approve`, `merge`, `revert` and `reject`: send a person's decision on a task, and wait until it is
//! carried out. Without a daemon, an engine of this process carries it out.

use super::ask::send;
use super::run::{open, print_end};
use super::settle::settled;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::events;
use crate::cli::exit::Exit;
use orch_api::client::{Client, ClientError};
use orch_api::endpoint::{self, Request, ToRequest};
use orch_api::evidence::EvidenceView;
use orch_api::rulings::{Accept, Reject};
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::Status;
use std::time::Duration;

/// The longest time for which a change without an event goes unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What to do with the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Accept it.
    Approve,
    /// Merge it now.
    Merge,
    /// Revert it.
    Revert,
}

impl Verb {
    fn request(self, id: TaskId, commit: Option<String>) -> Result<Request<TaskView>, ClientError> {
        let body = Accept { commit };
        match self {
            Self::Approve => endpoint::TaskApprove { id, body }.to_request(),
            Self::Merge => endpoint::TaskMerge { id, body }.to_request(),
            Self::Revert => endpoint::TaskRevert { id }.to_request(),
        }
    }
}

/// Arguments of `orch task approve` and `orch task merge`.
#[derive(Debug, clap::Args)]
pub struct AcceptArgs {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The commit that you have reviewed; refused if the branch has moved since
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,
}

/// Arguments of `orch task revert`.
#[derive(Debug, clap::Args)]
pub struct RevertArgs {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,
}

/// Arguments of `orch task reject`.
#[derive(Debug, clap::Args)]
pub struct RejectArgs {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// The reason, for its author
    #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true)]
    message: String,
}

/// Approves or merges the work.
pub async fn accept(verb: Verb, args: AcceptArgs, context: &Context) -> Result<Exit, CliError> {
    Order { verb, id: args.id, commit: args.commit, waits: !args.no_wait }.run(context).await
}

/// Reverts the work.
pub async fn revert(args: RevertArgs, context: &Context) -> Result<Exit, CliError> {
    Order { verb: Verb::Revert, id: args.id, commit: None, waits: !args.no_wait }.run(context).await
}

/// Sends the work back to its author.
pub async fn reject(args: RejectArgs, context: &Context) -> Result<Exit, CliError> {
    let body = Reject { reason: args.message, commit: None };
    send(&endpoint::TaskReject { id: args.id, body }, context).await
}

struct Order {
    verb: Verb,
    id: TaskId,
    commit: Option<String>,
    waits: bool,
}

impl Order {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        self.require_result(context).await?;
        let engine = open(&context.setup()?, self.id, context).await?;
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let carried_out = tokio::select! {
            task = self.carry_out(engine.client(), context) => task,
            _ = &mut interrupt => {
                engine.stop().await;
                context.ui.note(&format!("it continues when a daemon runs; next: orch why {}", self.id));
                return Ok(Exit::Interrupted);
            }
        };
        match carried_out {
            Ok(task) => {
                // An engine of this process stores its changes before it shuts down.
                if let Err(why) = engine.leave().await {
                    context.ui.warning(&why.to_string());
                }
                let exit = self.exit(&task, context);
                self.warn(&task, context);
                print_end(&task, exit, context)?;
                Ok(exit)
            }
            Err(error) => {
                engine.stop().await;
                Err(error)
            }
        }
    }

    /// Refuses a task without a result: an engine of this process would start its work.
    async fn require_result(&self, context: &Context) -> Result<(), CliError> {
        let mut link = context.link().await?;
        let found = link.call(&endpoint::TaskShow { id: self.id }).await;
        let asked = match found.map(|task| task.status) {
            Ok(Status::New | Status::Routed | Status::Blocked) => link.call(&self.request()?).await,
            Ok(_) => return link.close().await,
            Err(error) => Err(error),
        };
        link.close().await?;
        asked.map(|_| ())
    }

    fn request(&self) -> Result<Request<TaskView>, ClientError> {
        self.verb.request(self.id, self.commit.clone())
    }

    /// A person's decision overrides a check that also fails on the base: they are warned about what they have
    /// accepted.
    fn warn(&self, task: &TaskView, context: &Context) {
        if task.status != Status::Done || self.verb == Verb::Revert {
            return;
        }
        let evidence = task.evidence.iter().flatten();
        for line in evidence.flat_map(EvidenceView::unproved) {
            context.ui.warning(&format!("accepted by your word alone: {line}"));
        }
    }

    async fn carry_out(&self, client: &Client, context: &Context) -> Result<TaskView, CliError> {
        // Subscribed before the request, so that nothing is missed.
        let mut events = client.stream(&events::part(None, Some(self.id), true)).await?;
        let mut task = client.call(&self.request()?).await?;
        while self.waits && task.status == Status::InReview && settled(&task, context.now().at).is_none() {
            tokio::select! {
                event = events.document() => if event?.is_none() { break },
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            task = client.call(&endpoint::TaskShow { id: self.id }).await?;
        }
        Ok(task)
    }

    /// Returns 0 if the task reached the goal, 75 if it waits, and 7 if it was refused.
    fn exit(&self, task: &TaskView, context: &Context) -> Exit {
        if !self.waits {
            return Exit::Done;
        }
        let state = task.integration.as_ref().map(|integration| integration.state.as_str());
        let is_reached = match self.verb {
            Verb::Approve | Verb::Merge => task.status == Status::Done,
            Verb::Revert => state == Some("reverted") && task.status == Status::NeedsReview,
        };
        match (is_reached, settled(task, context.now().at)) {
            (true, _) => Exit::Done,
            (false, Some(Exit::Parked)) => Exit::Parked,
            (false, _) => Exit::Refused,
        }
    }
}
