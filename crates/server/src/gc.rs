//! Cleaning up after tasks at rest.

use super::caller::Caller;
use super::error::ApiError;
use super::read::Body;
use axum::Json;
use orch_api::gc::{Action, CleanUp, GcReport, ItemView, LeftoverView};
use orch_core::operations::gc::Branch;
use orch_engine::{Cleaned, Collected, Item};

/// Removes the worktrees that may go, or only reports which.
pub async fn clean(Caller(state): Caller, Body(wish): Body<CleanUp>) -> Result<Json<GcReport>, ApiError> {
    Ok(Json(report(state.engine.collect(wish.dry_run).await?)))
}

fn report(collected: Collected) -> GcReport {
    let worktrees: Vec<ItemView> = collected.items.into_iter().map(item).collect();
    let left =
        |left: orch_engine::Leftover| LeftoverView { path: left.path, settled: left.settled, detail: left.detail };
    GcReport {
        dry_run: collected.dry_run,
        freed_bytes: worktrees.iter().filter(|item| item.action != Action::Kept).map(|item| item.bytes).sum(),
        worktrees,
        leftovers: collected.leftovers.into_iter().map(left).collect(),
    }
}

fn item(item: Item) -> ItemView {
    let safe = || "nothing in it that is not elsewhere too".to_owned();
    let (action, branch_deleted, reason, detail) = match item.outcome {
        Cleaned::Removed(branch) => (Action::Removed, branch == Branch::Goes, None, safe()),
        Cleaned::WouldRemove(branch) => (Action::WouldRemove, branch == Branch::Goes, None, safe()),
        Cleaned::Kept(keep) => (Action::Kept, false, Some(keep.reason), keep.detail),
    };
    let (task, path, branch, bytes) = (item.task, item.path, item.branch, item.bytes);
    ItemView { task, path, branch, bytes, action, branch_deleted, reason, detail }
}
