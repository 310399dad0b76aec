//! The settings of budgets as a person types them. As in `raw`: every key optional, its documentation beside it.

use orch_core::budget::{Billing, Unit};
use orch_core::money::Usd;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keys under `budget`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// Dollars for everything in a day of your clock; null = no limit.
    pub per_day: Option<Usd>,
    /// Dollars for each project in a day; null = no limit.
    pub per_project: Option<Usd>,
    /// Percent of a limit from which on cheaper models are taken.
    #[schemars(schema_with = "of_a_limit")]
    pub degrade_percent: Option<u8>,
    /// The same for the allowance of a subscription.
    #[schemars(schema_with = "of_a_limit")]
    pub warn_percent: Option<u8>,
    /// Percent from which on nothing more begins but tasks with the label critical.
    #[schemars(schema_with = "of_a_limit")]
    pub exhaust_percent: Option<u8>,
    /// What is agreed with providers, by their names or by those of agents.
    pub accounts: Option<BTreeMap<String, Option<RawAccount>>>,
}

/// Keys under `budget.accounts.<name>`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAccount {
    /// How it is paid: token by use, subscription in advance for a period.
    pub billing_type: Option<Billing>,
    /// Of token: dollars for a day; null = no limit.
    pub daily_budget: Option<Usd>,
    /// Of subscription: the first day of the period, as 2026-02-01.
    pub start: Option<String>,
    /// Of subscription: the day after the period's last one.
    pub end: Option<String>,
    /// Of subscription: what the period allows.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub allowance: Option<u64>,
    /// What the allowance is counted in.
    pub unit: Option<Unit>,
    /// Of subscription: percent of the allowance that is kept for you.
    #[schemars(schema_with = "kept", extend("x-orch-alias" = "reserve"))]
    pub reserve_percent: Option<u8>,
    /// The lower, the sooner it is recommended.
    pub priority: Option<i64>,
}

fn of_a_limit(_: &mut SchemaGenerator) -> Schema {
    percent(1, 100)
}

fn kept(_: &mut SchemaGenerator) -> Schema {
    percent(0, 99)
}

/// A whole number, or the same with a sign: `20`, `20%`.
fn percent(min: u8, max: u8) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": min, "maximum": max },
        { "type": "string", "pattern": "^[0-9]{1,3} ?%$" },
        { "type": "null" },
    ] })
}
