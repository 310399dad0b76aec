//! What was spent, and on what, on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::base::money::Usd;
use orch_core::economics::cost::{By, Group};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostView {
    /// What it is added up by.
    pub by: By,
    /// Only runs that ended at this time or later; `null`: all.
    pub since: Option<Timestamp>,
    /// The groups, as the query orders them.
    pub rows: Vec<CostRow>,
    /// All of it together; its `key` is `null`.
    pub total: CostRow,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostRow {
    /// What its runs have in common: a task's number, an agent, a model, a directory, a day (`2026-03-01`); `null`: no model
    /// was asked for, or the task names no directory.
    pub key: Option<String>,
    /// Of a task, its title.
    pub title: Option<String>,
    /// The sum of what is known; `null` where there were runs and none of them has a price.
    pub cost_usd: Option<Usd>,
    /// The number of runs.
    pub runs: u64,
    /// The number of them without a price: the sum is too low by their cost.
    pub unpriced: u64,
    /// For how many of them the cost is computed from tokens and the catalog's prices: their agents reported none.
    #[serde(default)]
    pub computed: u64,
    /// The number of tasks.
    pub tasks: u64,
    /// How many merged changes its runs have written.
    pub merged: u64,
    /// What a merged change cost, its overhead included; `null` where nothing is merged, or no price is known.
    pub per_merged_usd: Option<Usd>,
    /// The part of that which is overhead: reviews, routing, earlier attempts by whomever, and what came to nothing.
    #[serde(default)]
    pub overhead_per_merged_usd: Option<Usd>,
    /// The number of runs behind these two figures without a price.
    #[serde(default)]
    pub per_merged_unpriced: u64,
}

impl From<Group> for CostRow {
    fn from(group: Group) -> Self {
        Self {
            cost_usd: group.spend.sum(),
            runs: group.spend.runs,
            unpriced: group.spend.unpriced,
            computed: group.computed,
            tasks: group.tasks,
            merged: group.merged,
            per_merged_usd: group.per_merged(),
            overhead_per_merged_usd: group.overhead_per_merged(),
            per_merged_unpriced: group.credited.unpriced,
            key: group.key,
            title: group.title,
        }
    }
}
