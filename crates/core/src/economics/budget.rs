//! Budgets: limits on spending per provider, project and day, and what is left of them. PURE: computes balances;
//! neither stores what is spent nor holds a task.
//!
//! An account is named after a provider or an agent; a run is charged to each of its accounts. Thresholds, billing
//! types and exit codes are those of the budget tracker of the aidevops supervisor.

mod balances;
mod ledger;
mod leeway;

pub use balances::{Balances, Payees, RunInFlight, Scope, Stop, is_critical, standings};
pub use ledger::{Bill, Day, Record, SpendLedger};
pub use leeway::{Leeway, PlannedRun, PlannedSpend, Price};

use crate::base::money::{Spend, Usd};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::IntoStaticStr;

/// A task with this label keeps its model when money is short, and may spend the last of a budget.
pub const CRITICAL: &str = "critical";
/// Days over which averages are taken.
pub const AVERAGED: i64 = 7;
/// Seconds of an hour.
const HOUR: f64 = 3600.0;
/// The least number of hours over which today's rate is taken: the first minutes say little about the rest.
const LEAST_OF_DAY: f64 = 1.0;
/// The same for the rate of a period.
const LEAST_OF_PERIOD: f64 = 24.0;

/// How a provider is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Billing {
    /// By usage.
    #[default]
    Token,
    /// In advance, for a period.
    Subscription,
}

impl Billing {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The unit of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Unit {
    /// Dollars.
    #[default]
    Usd,
    /// Runs; each is one request to the person's plan.
    Requests,
}

impl Unit {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Converts spending to this unit. A run without a price counts as an average one; `None` if no run has a price.
    fn used(self, spend: Spend, typical: Option<Usd>) -> Option<f64> {
        match self {
            Self::Requests => Some(spend.runs as f64),
            Self::Usd if spend.unpriced == 0 => Some(spend.known.dollars()),
            Self::Usd => Some(spend.known.dollars() + typical?.dollars() * spend.unpriced as f64),
        }
    }

    /// Formats an amount with its unit.
    pub fn describe(self, amount: f64) -> String {
        match self {
            Self::Usd => Usd::from_dollars(amount).map_or_else(|| "?".to_owned(), |usd| usd.to_string()),
            Self::Requests => format!("{amount:.0} requests"),
        }
    }
}

/// A period of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// The first day.
    pub start: Date,
    /// The day after the last one.
    pub end: Date,
    /// The amount that it allows.
    pub allowance: f64,
    /// The unit of the allowance.
    pub unit: Unit,
    /// The share kept for the person: 0.2 is a fifth.
    pub reserve: f64,
}

impl Period {
    /// Returns the amount that orch may use.
    fn share(&self) -> f64 {
        self.allowance * (1.0 - self.reserve)
    }

    /// Returns whether a day is in the period.
    fn has(&self, day: Date) -> bool {
        self.start <= day && day < self.end
    }

    /// Returns the amount that orch may have used by the end of `day` if it is spread evenly.
    fn pace(&self, day: Date) -> f64 {
        let length = days_between(self.start, self.end).max(1) as f64;
        let passed = (days_between(self.start, day) + 1) as f64;
        self.share() * (passed / length).clamp(0.0, 1.0)
    }
}

/// The terms agreed with a provider.
#[derive(Debug, Clone, PartialEq)]
pub enum Terms {
    /// Paid by usage, with an optional daily limit.
    Token {
        /// The daily limit.
        daily: Option<Usd>,
    },
    /// Paid per period. Without a known period nothing is limited.
    Subscription {
        /// The present period.
        period: Option<Period>,
    },
}

impl Terms {
    /// Returns how the account is paid.
    pub fn billing(&self) -> Billing {
        match self {
            Self::Token { .. } => Billing::Token,
            Self::Subscription { .. } => Billing::Subscription,
        }
    }
}

/// One provider, or one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The agreed terms.
    pub terms: Terms,
    /// Accounts with a lower value are recommended first.
    pub priority: i64,
}

/// `budget.*` of the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The daily limit for everything.
    pub per_day: Option<Usd>,
    /// The daily limit for each project.
    pub per_project: Option<Usd>,
    /// Share of a limit from which on cheaper models are used.
    pub degrade: f64,
    /// The same for the allowance of a subscription.
    pub warn: f64,
    /// Share of a limit from which on nothing more starts.
    pub exhaust: f64,
    /// The accounts by name.
    pub accounts: BTreeMap<String, Account>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { per_day: None, per_project: None, degrade: 0.80, warn: 0.85, exhaust: 0.95, accounts: BTreeMap::new() }
    }
}

impl Rules {
    /// Returns whether nothing is limited or counted.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.per_day.is_none() && self.per_project.is_none()
    }

    /// Returns whether an account is paid in advance for a known period.
    pub fn has_period(&self, account: &str) -> bool {
        let terms = self.accounts.get(account).map(|account| &account.terms);
        matches!(terms, Some(Terms::Subscription { period: Some(_) }))
    }

    /// Returns the first day whose spending matters on `today`.
    pub fn since(&self, today: Date) -> Date {
        let starts = self.accounts.values().filter_map(|account| match &account.terms {
            Terms::Subscription { period: Some(period) } => Some(period.start),
            Terms::Subscription { period: None } | Terms::Token { .. } => None,
        });
        let averaged = today.saturating_sub(AVERAGED.days());
        // A period that goes on started at most a year ago.
        starts.chain([averaged]).min().unwrap_or(averaged).max(today.saturating_sub(366.days()))
    }
}

/// How much of a budget is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Enough is left.
    Ok,
    /// Little is left: cheaper models are used.
    Degraded,
    /// Nothing more starts; critical tasks do while anything at all is left.
    Exhausted,
}

impl Level {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The balance of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How much is left.
    pub level: Level,
    /// Whether nothing at all is left, not even for critical tasks.
    pub is_over: bool,
    /// The reason, as text.
    pub why: String,
    /// The unit of the amounts.
    pub unit: Unit,
    /// The reported costs of the runs of the day or period.
    pub spend: Spend,
    /// The amount spent; `None` if there were runs and none reported a price.
    pub used: Option<f64>,
    /// The amount reserved for runs in progress: each run's own amount, else the average.
    pub reserved: f64,
    /// The number of runs in progress.
    pub in_flight: u64,
    /// The number of runs in progress without a reservation, because no price is known.
    pub unknown: u64,
    /// The limit, if there is one.
    pub limit: Option<f64>,
    /// When the spending is reset, or when the period starts.
    pub until: Option<Timestamp>,
}

/// Spending rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// Per hour since midnight (over at least one hour); `None` if no price is known.
    pub per_hour: Option<f64>,
    /// Hours until the rest is spent: at today's rate, or at the rate of the period so far (over at least one day). 0
    /// if nothing is left or the period is not the present one; `None` if never, if there is no limit, or if no price
    /// is known.
    pub hours_left: Option<f64>,
    /// Per day, averaged over the days before today.
    pub per_day: Option<f64>,
    /// The predicted total at the end of the day or period, at the same rate.
    pub forecast: Option<f64>,
}

/// Returns the balance of an account at `now`. `in_flight`: the reservation of each of its unfinished runs.
pub fn standing(
    rules: &Rules,
    name: &str,
    ledger: &SpendLedger,
    in_flight: &[Option<Usd>],
    now: Timestamp,
    zone: &TimeZone,
) -> Standing {
    let today = now.to_zoned(zone.clone()).date();
    let typical = ledger.typical(today, name);
    match rules.accounts.get(name).map(|account| &account.terms) {
        None | Some(Terms::Token { daily: None }) => {
            let spend = ledger.of_day(today, name);
            let why = "it has no limit".to_owned();
            Standing { used: Unit::Usd.used(spend, typical), ..unlimited(why, Unit::Usd, spend) }
        }
        Some(Terms::Token { daily: Some(daily) }) => {
            Limit::daily(rules, *daily).standing(rules, ledger.of_day(today, name), typical, in_flight, now, zone)
        }
        Some(Terms::Subscription { period: None }) => {
            let why = "its period is not known, so that nothing limits it: `orch budget configure-period`".to_owned();
            unlimited(why, Unit::Requests, ledger.of_day(today, name))
        }
        Some(Terms::Subscription { period: Some(period) }) => {
            of_period(rules, period, name, ledger, in_flight, now, zone)
        }
    }
}

fn unlimited(why: String, unit: Unit, spend: Spend) -> Standing {
    let used = unit.used(spend, None);
    let (reserved, in_flight, unknown, limit, until) = (0.0, 0, 0, None, None);
    Standing { level: Level::Ok, is_over: false, why, unit, spend, used, reserved, in_flight, unknown, limit, until }
}

fn of_period(
    rules: &Rules,
    period: &Period,
    name: &str,
    ledger: &SpendLedger,
    in_flight: &[Option<Usd>],
    now: Timestamp,
    zone: &TimeZone,
) -> Standing {
    let today = now.to_zoned(zone.clone()).date();
    let spend = ledger.between(period.start, period.end, name);
    let typical = ledger.typical(today, name);
    let limit = Limit { most: period.share(), from: rules.warn, of: "of the period", per: Per::Period(period) };
    let standing = limit.standing(rules, spend, typical, in_flight, now, zone);
    if today >= period.end {
        let why = format!("its period ended on {}: `orch budget configure-period` for the next", period.end);
        return Standing { level: Level::Exhausted, is_over: true, why, until: None, ..standing };
    }
    if today < period.start {
        let (why, until) = (format!("its period begins on {}", period.start), start_of(period.start, zone));
        return Standing { level: Level::Exhausted, is_over: true, why, until, ..standing };
    }
    let (pace, used) = (period.pace(today), standing.used.unwrap_or(0.0) + standing.reserved);
    if standing.level == Level::Ok && used > pace {
        let (used, pace) = (period.unit.describe(used), period.unit.describe(pace));
        let why = format!("{used} are used, and evenly spread it would be {pace} by tonight");
        return Standing { level: Level::Degraded, why, ..standing };
    }
    standing
}

/// The time span of a limit.
#[derive(Clone, Copy)]
enum Per<'a> {
    Day,
    Period(&'a Period),
}

/// A limit with which spending is compared.
struct Limit<'a> {
    most: f64,
    /// The share from which on the account is degraded.
    from: f64,
    of: &'static str,
    per: Per<'a>,
}

impl Limit<'_> {
    fn daily(rules: &Rules, most: Usd) -> Self {
        Self { most: most.dollars(), from: rules.degrade, of: "today", per: Per::Day }
    }

    fn standing(
        &self,
        rules: &Rules,
        spend: Spend,
        typical: Option<Usd>,
        in_flight: &[Option<Usd>],
        now: Timestamp,
        zone: &TimeZone,
    ) -> Standing {
        let today = now.to_zoned(zone.clone()).date();
        let (unit, until) = match self.per {
            Per::Day => (Unit::Usd, start_of(today.tomorrow().unwrap_or(today), zone)),
            Per::Period(period) => (period.unit, start_of(period.end, zone)),
        };
        let amounts = || in_flight.iter().map(|reserved| reserved.or(typical));
        let (reserved, unknown) = match unit {
            Unit::Usd => {
                (amounts().flatten().map(Usd::dollars).sum(), amounts().filter(Option::is_none).count() as u64)
            }
            Unit::Requests => (in_flight.len() as f64, 0),
        };
        let in_flight = in_flight.len() as u64;
        let used = unit.used(spend, typical);
        let together = used.unwrap_or(0.0) + reserved;
        let level = if together >= rules.exhaust * self.most {
            Level::Exhausted
        } else if together >= self.from * self.most {
            Level::Degraded
        } else {
            Level::Ok
        };
        let why = self.describe(unit, spend, used, reserved);
        let is_over = together >= self.most;
        let limit = Some(self.most);
        Standing { level, is_over, why, unit, spend, used, reserved, in_flight, unknown, limit, until }
    }

    fn describe(&self, unit: Unit, spend: Spend, used: Option<f64>, reserved: f64) -> String {
        let most = unit.describe(self.most);
        let Some(used) = used else {
            return format!(
                "none of {} runs {} reported a price, so the limit of {most} has no effect",
                spend.runs, self.of
            );
        };
        let under_way =
            if reserved > 0.0 { format!(" and about {} under way", unit.describe(reserved)) } else { String::new() };
        let guessed = match (unit, spend.unpriced) {
            (Unit::Requests, _) | (Unit::Usd, 0) => String::new(),
            (Unit::Usd, unpriced) => format!(" ({unpriced} runs without a price are counted as the others cost)"),
        };
        format!("{}{under_way} of {most} {} are spent{guessed}", unit.describe(used), self.of)
    }
}

/// How fast it goes. `standing` is that of the same account at the same time.
pub fn burn(
    rules: &Rules,
    name: &str,
    standing: &Standing,
    ledger: &SpendLedger,
    now: Timestamp,
    zone: &TimeZone,
) -> Burn {
    let today = now.to_zoned(zone.clone()).date();
    let typical = ledger.typical(today, name);
    let unit = standing.unit;
    let since = |day: Date| start_of(day, zone).map_or(0.0, |start| now.duration_since(start).as_secs_f64() / HOUR);
    let hours_today = since(today).max(LEAST_OF_DAY);
    let per_hour = unit.used(ledger.of_day(today, name), typical).map(|used| used / hours_today);
    let before = today.saturating_sub(AVERAGED.days());
    let per_day = unit.used(ledger.between(before, today, name), typical).map(|used| used / AVERAGED as f64);
    let left = standing.limit.zip(standing.used).map(|(limit, used)| limit - used);
    // How long it lasts and what it will have taken go by one rate, so that they never contradict each other.
    let (rate, left, end) = match rules.accounts.get(name).map(|account| &account.terms) {
        Some(Terms::Subscription { period: Some(period) }) if !period.has(today) => {
            let forecast = standing.used.filter(|_| today >= period.end);
            return Burn { per_hour, hours_left: Some(0.0), per_day, forecast };
        }
        Some(Terms::Subscription { period: Some(period) }) => {
            let hours = since(period.start).max(LEAST_OF_PERIOD);
            (standing.used.map(|used| used / hours), left, period.end)
        }
        Some(Terms::Subscription { period: None } | Terms::Token { .. }) | None => {
            (per_hour, left, today.tomorrow().unwrap_or(today))
        }
    };
    let hours_left = match left {
        Some(left) if left <= 0.0 => Some(0.0),
        left => left.zip(rate).filter(|(_, rate)| *rate > 0.0).map(|(left, rate)| left / rate),
    };
    let forecast = standing.used.zip(rate).map(|(used, rate)| used + rate * (-since(end)).max(0.0));
    Burn { per_hour, hours_left, per_day, forecast }
}

/// Which account work is best given to: a subscription with something left, one paid by use within its limit, then what is
/// short, and never what is exhausted. Within these by priority and by name.
pub fn recommend<'a>(rules: &'a Rules, standing: &dyn Fn(&str) -> Option<Standing>) -> Option<(&'a str, Standing)> {
    let rank = |account: &Account, standing: &Standing| {
        let is_paid_by_use = account.terms.billing() == Billing::Token;
        (standing.level, is_paid_by_use, account.priority)
    };
    let all = rules.accounts.iter().filter_map(|(name, account)| Some((name.as_str(), account, standing(name)?)));
    let left = all.filter(|(.., standing)| standing.level != Level::Exhausted);
    let best = left.min_by(|(a, a_account, a_standing), (b, b_account, b_standing)| {
        rank(a_account, a_standing).cmp(&rank(b_account, b_standing)).then(a.cmp(b))
    });
    best.map(|(name, _, standing)| (name, standing))
}

/// When a day begins there.
fn start_of(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    day.to_zoned(zone.clone()).ok().map(|start| start.timestamp())
}

fn days_between(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
}

#[cfg(test)]
mod tests;
