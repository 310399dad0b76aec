//! A person's word on the work of a task, and what they read before.

use super::ApiState;
use super::caller::Person;
use super::error::ApiError;
use super::once::Repeatable;
use super::read::{Body, Params, Segments};
use super::tasks::{full_view, task_id};
use axum::Json;
use axum::extract::State;
use orch_api::queries::DiffQuery;
use orch_api::rulings::{Accept, DiffView, FileView, Reject};
use orch_api::types::TaskView;
use orch_engine::handle::{Acceptance, ReviewDecision};

type Answer<T> = Result<Json<T>, ApiError>;

/// What it would change.
pub async fn diff(
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    Params(wanted): Params<DiffQuery>,
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
        moved: found.moved.map(|moved| moved.describe()),
    }))
}

/// Accepted as it is.
pub async fn approve(
    Person(state): Person,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
    Body(accept): Body<Accept>,
) -> Answer<TaskView> {
    self::accept(&state, &id, Acceptance::Approve, (accept, repeatable)).await
}

/// Accepts the work and merges it now.
pub async fn merge(
    Person(state): Person,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
    Body(accept): Body<Accept>,
) -> Answer<TaskView> {
    self::accept(&state, &id, Acceptance::Merge, (accept, repeatable)).await
}

async fn accept(
    state: &ApiState,
    id: &str,
    acceptance: Acceptance,
    (accept, repeatable): (Accept, Repeatable),
) -> Answer<TaskView> {
    let id = task_id(id)?;
    let once = repeatable.with(&accept);
    state.engine.accept(id, acceptance, accept.commit.as_deref(), once).await?;
    full_view(state, id).await.map(Json)
}

/// Back to its author.
pub async fn reject(
    Person(state): Person,
    Segments(id): Segments<String>,
    repeatable: Repeatable,
    Body(reject): Body<Reject>,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    let once = repeatable.with(&reject);
    state.engine.reject(id, reject.reason, reject.commit.as_deref(), once).await?;
    full_view(&state, id).await.map(Json)
}

/// What it merged is taken back.
pub async fn revert(Person(state): Person, Segments(id): Segments<String>, repeatable: Repeatable) -> Answer<TaskView> {
    let id = task_id(&id)?;
    state.engine.rule(id, ReviewDecision::Revert, repeatable.without_body()).await?;
    full_view(&state, id).await.map(Json)
}
