//! The keys under `budget` as they are typed. As in `raw`, every key is optional and carries its documentation.

use orch_core::base::money::Usd;
use orch_core::economics::budget::{Billing, Unit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keys under `budget`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// Limit for all spending per day (local time), in dollars; null = no limit.
    pub per_day: Option<Usd>,
    /// Limit for each project per day, in dollars; null = no limit.
    pub per_project: Option<Usd>,
    /// Percentage of a limit at which tasks get cheaper models.
    #[schemars(schema_with = "limit_percent")]
    pub degrade_percent: Option<u8>,
    /// Percentage of a subscription's allowance at which tasks get cheaper models.
    #[schemars(schema_with = "limit_percent")]
    pub warn_percent: Option<u8>,
    /// Percentage at which only tasks with the label critical still start.
    #[schemars(schema_with = "limit_percent")]
    pub exhaust_percent: Option<u8>,
    /// How providers are paid, by the name of the provider or of an agent.
    pub accounts: Option<BTreeMap<String, Option<RawAccount>>>,
}

/// Keys under `budget.accounts.<name>`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAccount {
    /// How it is paid: token = by use, subscription = in advance for a period.
    pub billing_type: Option<Billing>,
    /// For token: limit per day, in dollars; null = no limit.
    pub daily_budget: Option<Usd>,
    /// For subscription: first day of the period, such as 2026-02-01.
    pub start: Option<String>,
    /// For subscription: the day after the last day of the period.
    pub end: Option<String>,
    /// For subscription: what the period includes, counted in unit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub allowance: Option<u64>,
    /// For subscription: unit of the allowance.
    pub unit: Option<Unit>,
    /// For subscription: percentage of the allowance that is reserved for your own use.
    #[schemars(schema_with = "reserve_percent", extend("x-orch-alias" = "reserve"))]
    pub reserve_percent: Option<u8>,
    /// Order of recommendation: the account with the lowest number comes first.
    pub priority: Option<i64>,
}

fn limit_percent(_: &mut SchemaGenerator) -> Schema {
    percent(1, 100)
}

fn reserve_percent(_: &mut SchemaGenerator) -> Schema {
    percent(0, 99)
}

/// Returns the schema of a percentage: a whole number with or without a percent sign (`20`, `20%`).
fn percent(min: u8, max: u8) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": min, "maximum": max },
        { "type": "string", "pattern": "^[0-9]{1,3} ?%$" },
        { "type": "null" },
    ] })
}
