//! What was spent, and on what.

use super::ApiState;
use super::error::ApiError;
use super::read::Params;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_api::cost::{CostRow, CostView};
use orch_core::cost::{self, By, Order};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Wanted {
    /// What it is added up by; without a word by agent.
    #[serde(default)]
    by: By,
    /// Only runs that ended at this time or later.
    since: Option<Timestamp>,
    /// The cheapest merged change first.
    #[serde(default)]
    per_merged: bool,
}

/// The sums.
pub async fn cost(State(state): State<ApiState>, Params(wanted): Params<Wanted>) -> Result<Json<CostView>, ApiError> {
    let mut charges = state.engine.charges_since(wanted.since).await?;
    if let Some(only) = state.engine.look().await?.only_project() {
        for charge in charges.iter_mut().filter(|charge| charge.project.is_none()) {
            charge.project = Some(only.to_owned());
        }
    }
    let order = if wanted.per_merged { Order::PerMerged } else { Order::Spent };
    let groups = cost::groups(&charges, wanted.by, &TimeZone::system(), order);
    Ok(Json(CostView {
        by: wanted.by,
        since: wanted.since,
        rows: groups.into_iter().map(CostRow::of).collect(),
        total: CostRow::of(cost::total(&charges)),
    }))
}
