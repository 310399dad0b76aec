//! The output of a run as a streamed body of plain text, from any offset to the end of the run.

use super::ApiState;
use super::error::ApiError;
use super::read::{Params, Segment};
use axum::body::Body;
use axum::extract::State;
use futures::stream;
use orch_api::error::ErrorCode;
use orch_api::queries::OutputQuery;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::Phase;
use orch_core::text::output::Part;
use orch_engine::handle::EngineError;
use orch_stream::{Delivery, Start};
use std::io;

/// Follows the output of one run.
pub async fn follow(
    State(state): State<ApiState>,
    Segment(task): Segment<TaskId>,
    Params(wanted): Params<OutputQuery>,
) -> Result<Body, ApiError> {
    let usage = |message: String| ApiError::new(ErrorCode::Usage, message, None);
    let run = wanted.run.map(|r| r.parse::<RunId>()).transpose().map_err(|e| usage(e.to_string()))?;
    let runs = state.engine.runs_of(task).await?;
    let chosen = match &run {
        Some(id) => runs.iter().find(|r| r.id == *id),
        None => runs.iter().rev().find(|r| r.kind == RunKind::Work),
    };
    let Some(chosen) = chosen else {
        return Err(match run {
            Some(run) => ApiError::new(ErrorCode::NotFound, format!("task {task} has no run {run}"), None),
            None if runs.is_empty() && state.engine.task(task).await.is_ok() => {
                ApiError::new(ErrorCode::NotFound, format!("task {task} has not run yet"), Some("orch task run"))
            }
            None => EngineError::NoTask(task).into(),
        });
    };
    if chosen.phase == Phase::Starting && chosen.started_at.is_none() {
        // Its files are still to be made: what is not there yet must not be taken for an end.
        let message = format!("run {} has not begun yet", chosen.id);
        return Err(ApiError::new(ErrorCode::NotFound, message, Some("orch task why")));
    }
    let failed = |e: io::Error| ApiError::new(ErrorCode::Failed, format!("output of run {}: {e}", chosen.id), None);
    let watched =
        state.engine.watch(chosen, Part::Output, Start::Offset(wanted.from.unwrap_or(0))).await.map_err(failed)?;
    let pieces = stream::try_unfold((watched, state.parting), |(mut watched, parting)| async move {
        loop {
            let next = tokio::select! {
                next = watched.next() => next?,
                // Not an end: the reader must not take what came for all.
                () = parting.cancelled() => return Err(io::Error::other("the engine is let go of")),
            };
            match next {
                Some(Delivery::Output(chunk)) if chunk.is_final => return Ok(None),
                Some(Delivery::Output(chunk)) => {
                    return Ok::<_, io::Error>(Some((chunk.content.clone(), (watched, parting))));
                }
                // What is late comes all the same, and plain text cannot say what was cut off.
                Some(Delivery::Lagged { .. } | Delivery::Cut { .. }) => {}
                None => return Ok(None),
            }
        }
    });
    Ok(Body::from_stream(pieces))
}
