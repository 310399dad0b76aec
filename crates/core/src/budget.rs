//! Budgets: what may be spent on a provider, in a project and in a day, and what is left of it. PURE: says how
//! an account stands, and neither stores what is spent nor holds a task.
//!
//! An account is the name of a provider or of an agent; a run is charged to each account that it is of. Thresholds,
//! billing types and exit codes are those of the budget tracker of the aidevops supervisor.

mod balances;
mod ledger;
mod leeway;

pub use balances::{Balances, Flying, Payees, Scope, Stop, is_critical, proposed, standings};
pub use ledger::{Bill, Day, Record, SpendLedger};
pub use leeway::{Drawn, Leeway, Price, Wanted};

use super::money::{Spend, Usd};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A task with this label keeps its model where money is short, and may spend the last of a budget.
pub const CRITICAL: &str = "critical";
/// Days that the average looks back over.
pub const AVERAGED: i64 = 7;
/// Seconds.
const HOUR: f64 = 3600.0;
/// Hours that a rate of today is taken over at least: a first minute tells nothing of the rest.
const LEAST_OF_DAY: f64 = 1.0;
/// The same of the rate of a period.
const LEAST_OF_PERIOD: f64 = 24.0;

/// How a provider is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// For what is used.
    #[default]
    Token,
    /// In advance, for a period.
    Subscription,
}

impl Billing {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Subscription => "subscription",
        }
    }
}

/// What an allowance is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Dollars.
    #[default]
    Usd,
    /// Runs: each is one request to the person's plan.
    Requests,
}

impl Unit {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Requests => "requests",
        }
    }

    /// What was spent, in this unit. A run without a price counts as much as one with a price does on the average; where
    /// none has one, `None`.
    fn used(self, spend: Spend, typical: Option<Usd>) -> Option<f64> {
        match self {
            Self::Requests => Some(spend.runs as f64),
            Self::Usd if spend.unpriced == 0 => Some(spend.known.dollars()),
            Self::Usd => Some(spend.known.dollars() + typical?.dollars() * spend.unpriced as f64),
        }
    }

    /// An amount in words.
    pub fn told(self, amount: f64) -> String {
        match self {
            Self::Usd => Usd::from_dollars(amount).map_or_else(|| "?".to_owned(), |usd| usd.to_string()),
            Self::Requests => format!("{amount:.0} requests"),
        }
    }
}

/// A period of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// Its first day.
    pub start: Date,
    /// The day after its last one.
    pub end: Date,
    /// What it allows.
    pub allowance: f64,
    /// Of what.
    pub unit: Unit,
    /// The share of it that is kept for the person: 0.2 is a fifth.
    pub reserve: f64,
}

impl Period {
    /// What orch may use of it.
    fn share(&self) -> f64 {
        self.allowance * (1.0 - self.reserve)
    }

    /// Whether a day is one of it.
    fn has(&self, day: Date) -> bool {
        self.start <= day && day < self.end
    }

    /// What orch may have used at the end of `day`, when it is spread evenly.
    fn pace(&self, day: Date) -> f64 {
        let length = days_between(self.start, self.end).max(1) as f64;
        let passed = (days_between(self.start, day) + 1) as f64;
        self.share() * (passed / length).clamp(0.0, 1.0)
    }
}

/// What was agreed with a provider.
#[derive(Debug, Clone, PartialEq)]
pub enum Terms {
    /// By use; with a limit for each day, where there is one.
    Token {
        /// For a day.
        daily: Option<Usd>,
    },
    /// By the period. Without one nothing is known that could be used up.
    Subscription {
        /// The present one.
        period: Option<Period>,
    },
}

impl Terms {
    /// How it is paid.
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
    /// What was agreed.
    pub terms: Terms,
    /// The lower, the sooner it is recommended.
    pub priority: i64,
}

/// `budget.*` of the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// For everything in a day.
    pub per_day: Option<Usd>,
    /// For each project in a day.
    pub per_project: Option<Usd>,
    /// The share of a limit from which on cheaper models are taken.
    pub degrade: f64,
    /// The same for the allowance of a subscription.
    pub warn: f64,
    /// The share from which on nothing more begins.
    pub exhaust: f64,
    /// By name.
    pub accounts: BTreeMap<String, Account>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { per_day: None, per_project: None, degrade: 0.80, warn: 0.85, exhaust: 0.95, accounts: BTreeMap::new() }
    }
}

impl Rules {
    /// Whether anything is limited or counted.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.per_day.is_none() && self.per_project.is_none()
    }

    /// Whether an account is paid in advance for a period that is known.
    pub fn has_period(&self, account: &str) -> bool {
        let terms = self.accounts.get(account).map(|account| &account.terms);
        matches!(terms, Some(Terms::Subscription { period: Some(_) }))
    }

    /// The first day of which anything has to be known on `today`.
    pub fn since(&self, today: Date) -> Date {
        let starts = self.accounts.values().filter_map(|account| match &account.terms {
            Terms::Subscription { period: Some(period) } => Some(period.start),
            Terms::Subscription { period: None } | Terms::Token { .. } => None,
        });
        let averaged = today.saturating_sub(AVERAGED.days());
        // What is more than a year ago is of no period that goes on.
        starts.chain([averaged]).min().unwrap_or(averaged).max(today.saturating_sub(366.days()))
    }
}

/// How much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Enough.
    Ok,
    /// Little: cheaper models are taken.
    Degraded,
    /// Nothing more begins; what is critical does while anything at all is left.
    Exhausted,
}

impl Level {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Exhausted => "exhausted",
        }
    }
}

/// How an account stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How much is left.
    pub level: Level,
    /// Nothing at all is: not for what is critical either.
    pub is_over: bool,
    /// Why it is so, in words.
    pub why: String,
    /// What counts, in this unit.
    pub unit: Unit,
    /// What the runs of the day or the period told of their costs.
    pub spend: Spend,
    /// What is spent; `None`: runs were made, and none of them told a price.
    pub used: Option<f64>,
    /// What is set aside for the runs under way: for each its own amount, else what one costs on the average.
    pub reserved: f64,
    /// The runs under way.
    pub in_flight: u64,
    /// Those of them for which nothing is set aside, because no price is known.
    pub unknown: u64,
    /// What may be spent; `None`: there is no limit.
    pub limit: Option<f64>,
    /// When what is spent counts no more, or when its period begins.
    pub until: Option<Timestamp>,
}

/// What is spent when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// An hour, over the time since midnight (at least an hour of it); `None`: no price is known.
    pub per_hour: Option<f64>,
    /// Hours until what is left is spent at that rate, of a period at that of its time so far (at least a day of it); 0: nothing
    /// is left, or it is not its period; `None`: never, no limit, or no price is known.
    pub hours_left: Option<f64>,
    /// A day, over the days before today.
    pub per_day: Option<f64>,
    /// What today, or the period, will have taken at its end, at the same rate.
    pub forecast: Option<f64>,
}

/// How the account stands at `now`. `in_flight`: what is set aside for each run of it that has not ended.
pub fn standing(
    rules: &Rules,
    name: &str,
    book: &SpendLedger,
    in_flight: &[Option<Usd>],
    now: Timestamp,
    zone: &TimeZone,
) -> Standing {
    let today = now.to_zoned(zone.clone()).date();
    let typical = book.typical(today, name);
    match rules.accounts.get(name).map(|account| &account.terms) {
        None | Some(Terms::Token { daily: None }) => {
            let spend = book.of_day(today, name);
            let why = "it has no limit".to_owned();
            Standing { used: Unit::Usd.used(spend, typical), ..unlimited(why, Unit::Usd, spend) }
        }
        Some(Terms::Token { daily: Some(daily) }) => {
            let limit = Limit { most: daily.dollars(), from: rules.degrade, of: "today", per: Per::Day };
            limit.standing(rules, book.of_day(today, name), typical, in_flight, now, zone)
        }
        Some(Terms::Subscription { period: None }) => {
            let why = "its period is not known, so that nothing limits it: `orch budget configure-period`".to_owned();
            unlimited(why, Unit::Requests, book.of_day(today, name))
        }
        Some(Terms::Subscription { period: Some(period) }) => {
            of_period(rules, period, name, book, in_flight, now, zone)
        }
    }
}

/// How much of a daily limit for everything, or for a project, is left.
fn of_cap(
    rules: &Rules,
    most: Usd,
    spend: Spend,
    typical: Option<Usd>,
    in_flight: &[Option<Usd>],
    now: Timestamp,
    zone: &TimeZone,
) -> Standing {
    let limit = Limit { most: most.dollars(), from: rules.degrade, of: "today", per: Per::Day };
    limit.standing(rules, spend, typical, in_flight, now, zone)
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
    book: &SpendLedger,
    in_flight: &[Option<Usd>],
    now: Timestamp,
    zone: &TimeZone,
) -> Standing {
    let today = now.to_zoned(zone.clone()).date();
    let spend = book.between(period.start, period.end, name);
    let typical = book.typical(today, name);
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
        let (used, pace) = (period.unit.told(used), period.unit.told(pace));
        let why = format!("{used} are used, and evenly spread it would be {pace} by tonight");
        return Standing { level: Level::Degraded, why, ..standing };
    }
    standing
}

/// By when a limit begins anew.
#[derive(Clone, Copy)]
enum Per<'a> {
    Day,
    Period(&'a Period),
}

/// A limit that what is spent is compared with.
struct Limit<'a> {
    most: f64,
    /// The share from which on it is degraded.
    from: f64,
    of: &'static str,
    per: Per<'a>,
}

impl Limit<'_> {
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
        let why = self.words(unit, spend, used, reserved);
        let is_over = together >= self.most;
        let limit = Some(self.most);
        Standing { level, is_over, why, unit, spend, used, reserved, in_flight, unknown, limit, until }
    }

    fn words(&self, unit: Unit, spend: Spend, used: Option<f64>, reserved: f64) -> String {
        let most = unit.told(self.most);
        let Some(used) = used else {
            return format!(
                "none of {} runs {} told a price, so that the limit of {most} holds nothing",
                spend.runs, self.of
            );
        };
        let under_way =
            if reserved > 0.0 { format!(" and about {} under way", unit.told(reserved)) } else { String::new() };
        let guessed = match (unit, spend.unpriced) {
            (Unit::Requests, _) | (Unit::Usd, 0) => String::new(),
            (Unit::Usd, unpriced) => format!(" ({unpriced} runs without a price are counted as the others cost)"),
        };
        format!("{}{under_way} of {most} {} are spent{guessed}", unit.told(used), self.of)
    }
}

/// How fast it goes. `standing` is that of the same account at the same time.
pub fn burn(
    rules: &Rules,
    name: &str,
    standing: &Standing,
    book: &SpendLedger,
    now: Timestamp,
    zone: &TimeZone,
) -> Burn {
    let today = now.to_zoned(zone.clone()).date();
    let typical = book.typical(today, name);
    let unit = standing.unit;
    let since = |day: Date| start_of(day, zone).map_or(0.0, |start| now.duration_since(start).as_secs_f64() / HOUR);
    let hours_today = since(today).max(LEAST_OF_DAY);
    let per_hour = unit.used(book.of_day(today, name), typical).map(|used| used / hours_today);
    let before = today.saturating_sub(AVERAGED.days());
    let per_day = unit.used(book.between(before, today, name), typical).map(|used| used / AVERAGED as f64);
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
