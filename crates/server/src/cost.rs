//! Answers what was spent, and on what.

use super::ApiState;
use super::error::ApiError;
use super::read::Params;
use axum::Json;
use axum::extract::State;
use jiff::tz::TimeZone;
use orch_api::cost::{CostRow, CostView};
use orch_api::queries::CostQuery;
use orch_core::economics::cost::{self, Order};

/// Returns the sums of what was spent.
pub async fn cost(
    State(state): State<ApiState>,
    Params(wanted): Params<CostQuery>,
) -> Result<Json<CostView>, ApiError> {
    let mut charges = state.engine.charges_since(wanted.since).await?;
    if let Some(only) = state.engine.snapshot().await?.only_project() {
        for charge in charges.iter_mut().filter(|charge| charge.project.is_none()) {
            charge.project = Some(only.to_owned());
        }
    }
    let order = if wanted.per_merged { Order::PerMerged } else { Order::Spent };
    let groups = cost::groups(&charges, wanted.by, &TimeZone::system(), order);
    Ok(Json(CostView {
        by: wanted.by,
        since: wanted.since,
        rows: groups.into_iter().map(CostRow::from).collect(),
        total: CostRow::from(cost::total(&charges)),
    }))
}
