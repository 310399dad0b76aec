//! What may be spent, and what is left of it, on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::base::money::Usd;
use orch_core::economics::budget::{Account, Billing, Burn, Level, Record, Scope, Standing, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of everything that has a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    /// Providers and agents that something is agreed with, by name.
    pub accounts: Vec<AccountView>,
    /// The day, and the projects in which something was spent today; of those with a limit.
    pub caps: Vec<CapView>,
    /// The account that work is best given to; `null`: all are exhausted, or there is none.
    pub recommended: Option<String>,
}

/// The state of a limit. Amounts are in `unit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitView {
    /// `ok`, `degraded` (cheaper models are taken) or `exhausted` (nothing more begins).
    pub level: Level,
    /// The reason for the level, as text.
    pub why: String,
    /// The unit of the amounts: `usd` or `requests`.
    pub unit: Unit,
    /// What is spent, runs without a price counted as the others cost; `null`: there were runs, and no price is known.
    pub used: Option<f64>,
    /// What is set aside for the runs under way.
    pub reserved: f64,
    /// What may be spent; `null`: there is no limit.
    pub limit: Option<f64>,
    /// The number of runs that count.
    pub runs: u64,
    /// The number of them without a price.
    pub unpriced: u64,
    /// When the period begins anew.
    pub until: Option<Timestamp>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// The provider's or the agent's name.
    pub name: String,
    /// How it is billed: `token` or `subscription`.
    pub billing_type: Billing,
    /// The lower, the sooner it is recommended.
    pub priority: i64,
    /// The state of the limit.
    #[serde(rename = "standing")]
    pub state: LimitView,
    /// What is spent in an hour, over the time since midnight; `null`: no price is known.
    pub per_hour: Option<f64>,
    /// Hours until nothing is left at that rate, of a period at that of its time so far; 0: nothing is left, or its period is
    /// over or has not begun; `null`: never, no limit, or no price is known.
    pub hours_left: Option<f64>,
    /// What was spent in a day, over the last seven before today; `null`: no price is known.
    pub per_day: Option<f64>,
    /// What today, or the period, will have taken at its end.
    pub forecast: Option<f64>,
}

/// The limit of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapView {
    /// Of what: `day`, or the directory of a project.
    pub scope: String,
    /// The state of the limit.
    #[serde(rename = "standing")]
    pub state: LimitView,
}

/// What a person says was spent beside orch's runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSpending {
    /// The account.
    pub account: String,
    /// How much; `null`: not known.
    #[serde(default)]
    pub cost_usd: Option<Usd>,
    /// The model that was used.
    #[serde(default)]
    pub model: Option<String>,
    /// What it was for, as text.
    #[serde(default)]
    pub note: Option<String>,
}

/// That, as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordView {
    /// The account.
    pub account: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// How much; `null`: not known.
    pub cost_usd: Option<Usd>,
    /// The model that was used.
    pub model: Option<String>,
    /// What it was for, as text.
    pub note: Option<String>,
}

impl From<Record> for RecordView {
    fn from(record: Record) -> Self {
        let Record { account, at, cost, model, note } = record;
        Self { account, at, cost_usd: cost, model, note }
    }
}

impl From<Standing> for LimitView {
    fn from(balance: Standing) -> Self {
        let Standing { level, is_over: _, why, unit, spend, used, reserved, limit, until, .. } = balance;
        let (used, limit) = (used.map(rounded), limit.map(rounded));
        let (runs, unpriced) = (spend.runs, spend.unpriced);
        Self { level, why, unit, used, reserved: rounded(reserved), limit, runs, unpriced, until }
    }
}

impl AccountView {
    /// Creates the view of an account.
    pub fn new(name: &str, account: &Account, balance: Standing, burn: Burn) -> Self {
        Self {
            name: name.to_owned(),
            billing_type: account.terms.billing(),
            priority: account.priority,
            state: LimitView::from(balance),
            per_hour: burn.per_hour.map(rounded),
            hours_left: burn.hours_left.map(rounded),
            per_day: burn.per_day.map(rounded),
            forecast: burn.forecast.map(rounded),
        }
    }
}

impl CapView {
    /// Creates the view of a daily limit.
    pub fn new(scope: &Scope, balance: Standing) -> Self {
        let scope = match scope {
            Scope::Day => "day".to_owned(),
            Scope::Account(name) => name.clone(),
            Scope::Project(dir) => dir.display().to_string(),
        };
        Self { scope, state: LimitView::from(balance) }
    }
}

/// To a millionth: what is smaller comes from calculating with fractions.
fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}
