//! Sends messages to agents, each with a receipt, and lists them with their states.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::once::Repeatable;
use super::read::{Body, Segment};
use axum::Json;
use axum::extract::State;
use orch_api::messages::{MessageView, NewMessage};
use orch_core::base::ids::TaskId;
use orch_core::tasks::message::{Message, MessageState};
use orch_core::tasks::task::{State as TaskState, StopFor};
use orch_engine::handle::{EngineError, View};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Sends a message, and answers as soon as the agent has it, or after the time that was asked for.
pub async fn send(
    Caller(state): Caller,
    Segment(task): Segment<TaskId>,
    repeatable: Repeatable,
    Body(new): Body<NewMessage>,
) -> Result<Json<MessageView>, ApiError> {
    let once = repeatable.with(&new);
    // Before it is sent, so that no news is missed.
    let mut news = state.engine.follow();
    let mut message = state.engine.send(task, new.text, new.model.clone(), once).await?;
    let wait = Duration::from_secs(new.wait_seconds.min(NewMessage::LONGEST_WAIT));
    let settled = async {
        while message.state == MessageState::Queued && waits_for(&state.engine.snapshot().await?, task).soon {
            match news.recv().await {
                Ok(entry) if entry.task_id == Some(task) => {
                    let all = state.engine.messages_of(task).await?;
                    message = all.into_iter().find(|known| known.id == message.id).unwrap_or(message.clone());
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
        Ok::<(), EngineError>(())
    };
    if let Ok(result) = tokio::time::timeout(wait, settled).await {
        result?;
    }
    let view = state.engine.snapshot().await?;
    let known = state.engine.messages_of(task).await?.into_iter().find(|known| known.id == message.id);
    let mut shown = MessageView::new(known.unwrap_or(message), &waits_for(&view, task).what);
    if let Some(model) = new.model {
        let waits = view.tasks.get(&task).is_some_and(|task| task.next_model.is_some());
        let from = match waits {
            true => format!("the next run has the model {model}; a run under way keeps its own"),
            false => format!("the run that begins with it has the model {model}"),
        };
        shown.detail = if shown.detail.is_empty() { from } else { format!("{}; {from}", shown.detail) };
    }
    Ok(Json(shown))
}

/// Lists all messages to a task.
pub async fn list(
    State(state): State<ApiState>,
    Segment(task): Segment<TaskId>,
) -> Result<Json<Vec<MessageView>>, ApiError> {
    let view = state.engine.snapshot().await?;
    if !view.tasks.contains_key(&task) {
        state.engine.task(task).await?;
    }
    Ok(Json(views(state.engine.messages_of(task).await?, &view, task)))
}

/// Returns the messages of a task, each with what it waits for.
pub(super) fn views(messages: Vec<Message>, view: &View, task: TaskId) -> Vec<MessageView> {
    let waits = waits_for(view, task).what;
    messages.into_iter().map(|message| MessageView::new(message, &waits)).collect()
}

/// What a queued message waits for.
struct Wait {
    what: String,
    /// It may end within seconds.
    soon: bool,
}

fn waits_for(view: &View, id: TaskId) -> Wait {
    let wait = |what: &str, soon| Wait { what: what.to_owned(), soon };
    let Some(task) = view.tasks.get(&id) else { return wait("the task is over", false) };
    match &task.state {
        TaskState::InProgress { stopping: Some(StopFor::Cancel), .. } => wait("the task is being cancelled", true),
        TaskState::InProgress { stopping: Some(_), .. } => wait("its run is being stopped: the next one gets it", true),
        TaskState::InProgress { run, .. } => {
            let run = view.live_runs.iter().find(|known| known.id == *run);
            let agent = run.map_or("the agent", |run| run.agent.as_str());
            match (run.is_some_and(|run| run.live), run.is_some_and(|run| run.started_at.is_some())) {
                (true, true) => wait("handed to the agent, which takes it up after its present step", true),
                (_, false) => wait("its run is about to start", true),
                (false, true) => {
                    let what = format!("{agent} takes no messages while it works: it gets this one with its next turn");
                    Wait { what, soon: false }
                }
            }
        }
        TaskState::InReview { .. } => wait("the result is being checked; then the agent goes on with it", false),
        // Without a hold the run begins now.
        TaskState::Routed { .. } => wait("it goes with the prompt of the next run", view.plan.hold(id).is_none()),
        TaskState::New { .. } | TaskState::Blocked(_) | TaskState::NeedsReview { .. } => {
            wait("it goes with the prompt of the next run", false)
        }
        TaskState::Done => wait("the task is done", false),
        TaskState::Cancelled { .. } => wait("the task is cancelled", false),
    }
}
