//! Carries a person's decision on the work of a task to the engine, and returns the difference that they judge.

use super::ApiState;
use super::caller::Person;
use super::error::ApiError;
use super::once::Repeatable;
use super::read::{Body, Params, Segment};
use super::tasks::full_view;
use axum::Json;
use axum::extract::State;
use orch_api::queries::DiffQuery;
use orch_api::rulings::{Accept, DiffView, FileView, Reject};
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_engine::handle::{Acceptance, ReviewDecision};

type Answer<T> = Result<Json<T>, ApiError>;

/// Returns the difference that a task's branch makes.
pub async fn diff(
    State(state): State<ApiState>,
    Segment(id): Segment<TaskId>,
    Params(wanted): Params<DiffQuery>,
) -> Answer<DiffView> {
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

/// Accepts the work as it is.
pub async fn approve(
    Person(state): Person,
    Segment(id): Segment<TaskId>,
    repeatable: Repeatable,
    Body(accept): Body<Accept>,
) -> Answer<TaskView> {
    self::accept(&state, id, Acceptance::Approve, (accept, repeatable)).await
}

/// Accepts the work and merges it now.
pub async fn merge(
    Person(state): Person,
    Segment(id): Segment<TaskId>,
    repeatable: Repeatable,
    Body(accept): Body<Accept>,
) -> Answer<TaskView> {
    self::accept(&state, id, Acceptance::Merge, (accept, repeatable)).await
}

async fn accept(
    state: &ApiState,
    id: TaskId,
    acceptance: Acceptance,
    (accept, repeatable): (Accept, Repeatable),
) -> Answer<TaskView> {
    let once = repeatable.with(&accept);
    state.engine.accept(id, acceptance, accept.commit.as_deref(), once).await?;
    full_view(state, id).await.map(Json)
}

/// Sends the work back to its author.
pub async fn reject(
    Person(state): Person,
    Segment(id): Segment<TaskId>,
    repeatable: Repeatable,
    Body(reject): Body<Reject>,
) -> Answer<TaskView> {
    let once = repeatable.with(&reject);
    state.engine.reject(id, reject.reason, reject.commit.as_deref(), once).await?;
    full_view(&state, id).await.map(Json)
}

/// Reverts what a task merged.
pub async fn revert(Person(state): Person, Segment(id): Segment<TaskId>, repeatable: Repeatable) -> Answer<TaskView> {
    state.engine.rule(id, ReviewDecision::Revert, repeatable.without_body()).await?;
    full_view(&state, id).await.map(Json)
}
