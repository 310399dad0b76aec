//! Lists, creates, changes and cancels batches.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::once::Repeatable;
use super::read::{Body, InPath, Segment};
use super::tasks::{occupancy, short_why};
use axum::Json;
use axum::extract::State;
use orch_api::batches::{BatchRow, BatchView, CancelBatch, NewBatch, SetBatch};
use orch_api::error::ErrorCode;
use orch_core::planning::batch::{Batch, BatchName, CONCURRENCY};
use orch_engine::handle::{BatchOrder, NewBatch as Wanted, View};

type Answer<T> = Result<Json<T>, ApiError>;

/// The number of ended batches that are listed.
const ENDED: u32 = 20;
/// The longest name of a person that is kept, in characters.
const LONGEST_NAME: usize = 100;

/// Returns the newest batch of a name.
pub(super) async fn named(state: &ApiState, view: &View, name: &BatchName) -> Result<Batch, ApiError> {
    if let Some(open) = view.batches.iter().find(|batch| batch.name == *name) {
        return Ok(Batch::clone(open));
    }
    let missing = || {
        ApiError::new(
            ErrorCode::NotFound,
            format!("there is no batch {name}"),
            Some("`orch batch list` shows all batches"),
        )
    };
    state.engine.batch(name.clone()).await?.ok_or_else(missing)
}

/// Returns the open batches.
pub(super) fn open(view: &View) -> Vec<BatchView> {
    let slots = occupancy(view);
    let one = |batch: &Batch| BatchView::new(batch, slots.busy_of(batch).len(), |id| view.status(id));
    view.batches.iter().map(|batch| one(batch)).collect()
}

/// Lists all open batches, and the newest ended ones.
pub async fn list(State(state): State<ApiState>) -> Answer<Vec<BatchView>> {
    let view = state.engine.snapshot().await?;
    let ended = state.engine.ended_batches(ENDED).await?;
    // One may have ended between the two reads.
    let is_new = |batch: &&Batch| view.batches.iter().all(|open| open.number != batch.number);
    let ended = ended.iter().filter(is_new).map(|batch| BatchView::new(batch, 0, |_| None));
    Ok(Json(open(&view).into_iter().chain(ended).collect()))
}

/// Returns a batch with its tasks.
pub async fn show(State(state): State<ApiState>, Segment(name): Segment<BatchName>) -> Answer<BatchView> {
    updated(&state, &name).await
}

async fn updated(state: &ApiState, name: &BatchName) -> Answer<BatchView> {
    let view = state.engine.snapshot().await?;
    let batch = named(state, &view, name).await?;
    view_of(state, &view, &batch).await.map(Json)
}

/// Returns a batch with its rows.
pub(super) async fn view_of(state: &ApiState, view: &View, batch: &Batch) -> Result<BatchView, ApiError> {
    let slots = occupancy(view);
    let mut rows = Vec::new();
    if let Some(end) = &batch.end {
        rows.extend(end.rows.iter().map(|row| BatchRow {
            id: row.task,
            title: row.title.clone(),
            status: row.status,
            spent_usd: BatchRow::known(row.spent),
            why: None,
        }));
    } else {
        for member in &batch.members {
            let here = view.tasks.get(&member.task).cloned();
            let task = match here {
                Some(task) => task,
                None => state.engine.task(member.task).await?,
            };
            rows.push(BatchRow {
                id: task.id,
                title: task.spec.title.clone(),
                status: task.status(),
                spent_usd: BatchRow::known(member.spent),
                why: short_why(view, &task, &slots),
            });
        }
    }
    let of = |id| rows.iter().find(|row| row.id == id).map(|row| row.status);
    let batch_view = BatchView::new(batch, slots.busy_of(batch).len(), of);
    Ok(BatchView { rows: Some(rows), ..batch_view })
}

/// Creates a batch.
pub async fn create(Caller(state): Caller, repeatable: Repeatable, Body(new): Body<NewBatch>) -> Answer<BatchView> {
    let once = repeatable.with(&new);
    let name = BatchName::read(&new.name)?;
    let concurrency = new.concurrency.unwrap_or(CONCURRENCY);
    let wanted = Wanted { name: name.clone(), tasks: new.tasks, concurrency, budget: new.budget_usd };
    state.engine.batch_order(BatchOrder::Create(wanted), once).await?;
    updated(&state, &name).await
}

/// Changes an open batch.
pub async fn set(
    Caller(state): Caller,
    Segment(name): Segment<BatchName>,
    Body(set): Body<SetBatch>,
) -> Answer<BatchView> {
    let budget = match (set.budget_usd, set.no_budget) {
        (Some(_), true) => {
            let hint = Some("one of both: --budget 20, or --no-budget");
            return Err(ApiError::new(ErrorCode::Usage, "a budget and no budget at once", hint));
        }
        (None, true) => Some(None),
        (Some(budget), false) => Some(Some(budget)),
        (None, false) => None,
    };
    let view = state.engine.snapshot().await?;
    named(&state, &view, &name).await?;
    state
        .engine
        .batch_order(BatchOrder::Set { name: name.clone(), concurrency: set.concurrency, budget }, None)
        .await?;
    updated(&state, &name).await
}

/// Cancels the unfinished tasks of a batch.
pub async fn cancel(
    Caller(state): Caller,
    Segment(name): Segment<BatchName>,
    Body(cancel): Body<CancelBatch>,
) -> Answer<BatchView> {
    let by: String = cancel.by.as_deref().unwrap_or("a person").chars().take(LONGEST_NAME).collect();
    let view = state.engine.snapshot().await?;
    named(&state, &view, &name).await?;
    state.engine.batch_order(BatchOrder::Cancel { name: name.clone(), by }, None).await?;
    updated(&state, &name).await
}
