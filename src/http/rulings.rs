//! A person's word on the work of a task. It must be a person's: what descends from a run is turned away before anything else.

use super::error::ApiError;
use super::once::Repeatable;
use super::read::{Body, Params, Segments};
use super::tasks::{full_view, task_id};
use super::{ApiState, Peer};
use crate::api::error::ErrorCode;
use crate::api::rulings::{Accept, DiffView, FileView, OnBehalf, Reject};
use crate::api::types::TaskView;
use crate::engine::handle::{Acceptance, ReviewDecision};
use axum::Json;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;

type Answer<T> = Result<Json<T>, ApiError>;

/// Whoever asks is no agent, and nothing that one has started.
pub struct Person {
    /// Who it is, where that is known.
    pub by: Option<String>,
}

impl FromRequestParts<ApiState> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        // Without a socket it is this very process; over TCP somebody who has the token.
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().map_or(Peer::Own, |ConnectInfo(peer)| *peer);
        let run_of = state.process.run_of;
        let looked = tokio::task::spawn_blocking(move || run_of(peer)).await;
        let path = parts.uri.path();
        match looked {
            Ok(Ok(None)) => Ok(Self { by: parts.extensions.get::<OnBehalf>().map(|OnBehalf(by)| by.clone()) }),
            Ok(Ok(Some(run))) => {
                tracing::warn!(path, run, "an agent asks for what only a person may ask for");
                let message = format!("only a person decides about the work of a task, and this comes from run {run}");
                Err(ApiError::new(ErrorCode::Denied, message, Some("ask the person to do it")))
            }
            Ok(Err(unknown)) => {
                tracing::warn!(path, unknown, "it cannot be told who asks for what only a person may ask for");
                let message = format!("only a person decides about the work of a task, and {unknown}");
                Err(ApiError::new(ErrorCode::Denied, message, Some("ask again from a terminal")))
            }
            Err(error) => Err(ApiError::new(ErrorCode::Failed, error.to_string(), Some("try again"))),
        }
    }
}

/// What is wanted of a difference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WantedDiff {
    /// `true`: only the figures.
    stat: Option<bool>,
}

/// What it would change.
pub async fn diff(
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    Params(wanted): Params<WantedDiff>,
) -> Answer<DiffView> {
    let id = task_id(&id)?;
    let found = state.engine.compare(id, !wanted.stat.unwrap_or(false)).await?;
    let file = |(path, insertions, deletions)| FileView { path, insertions, deletions };
    let files: Vec<FileView> = found.files.into_iter().map(file).collect();
    Ok(Json(DiffView {
        task_id: id,
        branch: found.branch,
        base_branch: found.base_branch,
        base: found.base,
        head: found.head,
        commits: found.commits,
        insertions: files.iter().map(|file| file.insertions).sum(),
        deletions: files.iter().map(|file| file.deletions).sum(),
        files,
        patch: found.patch,
        omitted: found.omitted,
        judged: found.judged,
        moved: found.moved.map(|moved| moved.told()),
    }))
}

/// Accepted as it is.
pub async fn approve(
    person: Person,
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
    Body(accept): Body<Accept>,
) -> Answer<TaskView> {
    self::accept(&state, &id, Acceptance::Approve, (accept, person, repeatable)).await
}

/// Merged now.
pub async fn merge(
    person: Person,
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
    Body(accept): Body<Accept>,
) -> Answer<TaskView> {
    self::accept(&state, &id, Acceptance::Merge, (accept, person, repeatable)).await
}

async fn accept(
    state: &ApiState,
    id: &str,
    acceptance: Acceptance,
    (accept, person, repeatable): (Accept, Person, Repeatable),
) -> Answer<TaskView> {
    let id = task_id(id)?;
    let once = repeatable.with(&accept);
    state.engine.accept(id, acceptance, accept.commit.as_deref(), (person.by, once)).await?;
    full_view(state, id).await.map(Json)
}

/// Back to its author.
pub async fn reject(
    person: Person,
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
    Body(reject): Body<Reject>,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    let once = repeatable.with(&reject);
    state.engine.reject(id, reject.reason, reject.commit.as_deref(), (person.by, once)).await?;
    full_view(&state, id).await.map(Json)
}

/// What it merged is taken back.
pub async fn revert(
    person: Person,
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    state.engine.rule(id, ReviewDecision::Revert, (person.by, repeatable.without_body())).await?;
    full_view(&state, id).await.map(Json)
}
