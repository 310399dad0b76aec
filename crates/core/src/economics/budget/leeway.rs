//! What a limit leaves for runs that are not started yet. Reservations count from the moment of planning: runs that
//! start together see each other, and a limit is exceeded by at most the cost of one run.

use super::balances::raise;
use super::ledger::mean;
use super::{Balances, Rules, Scope, SpendLedger, Standing, Stop, Unit};
use crate::base::money::{Spend, Usd};
use jiff::Timestamp;
use jiff::civil::Date;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The expected cost of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// A known amount: by a forecast, the task's own limit, or the catalog.
    Known(Usd),
    /// The account's average, or nothing if none of its runs has ended.
    Typical,
    /// Unknown until a run of its kind has ended.
    Unknown,
}

/// A run that is about to start.
#[derive(Debug, Clone, Copy)]
pub struct PlannedRun<'a> {
    /// The project.
    pub dir: Option<&'a Path>,
    /// The agent and the model, if they are chosen.
    pub agent: Option<(&'a str, Option<&'a str>)>,
    /// The expected cost.
    pub price: Price,
}

/// What one limit leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Leeway {
    scope: Scope,
    unit: Unit,
    limit: f64,
    /// The amount neither spent nor reserved.
    left: f64,
    /// The average cost of a run.
    typical: Option<Usd>,
    /// Whether a run has ended within the last days, so that its cost or its lack of a price is known.
    has_ended: bool,
    in_flight: u64,
    /// The number of runs in progress with unknown cost.
    unknown: u64,
    why: String,
    until: Option<Timestamp>,
    raise: Option<String>,
}

/// What the present plan draws on limits, the most urgent task first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlannedSpend {
    /// The runs that start, by limit.
    begun: BTreeMap<Scope, Planned>,
    /// Limits that a more urgent task waits for: a cheaper task must not overtake it forever.
    awaited: BTreeSet<Scope>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Planned {
    runs: u64,
    unknown: u64,
    amount: f64,
}

/// What one more run takes from a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    Known(f64),
    Unknown,
}

impl Leeway {
    /// Creates the leeway of an account, a project or the day; `None` if it has no limit.
    pub(super) fn new(
        rules: &Rules,
        scope: &Scope,
        standing: &Standing,
        ledger: &SpendLedger,
        today: Date,
    ) -> Option<Self> {
        let limit = standing.limit?;
        let recent: Spend = match scope {
            Scope::Account(name) => ledger.recent(today, name),
            Scope::Day | Scope::Project(_) => ledger.recent_of_all(today),
        };
        Some(Self {
            scope: scope.clone(),
            unit: standing.unit,
            limit,
            left: limit - standing.used.unwrap_or(0.0) - standing.reserved,
            typical: mean(recent),
            has_ended: recent.runs > 0,
            in_flight: standing.in_flight,
            unknown: standing.unknown,
            why: standing.why.clone(),
            until: standing.until,
            raise: raise(rules, scope, standing, today),
        })
    }

    fn share(&self, price: Price) -> Share {
        match (self.unit, price, self.typical) {
            (Unit::Requests, ..) => Share::Known(1.0),
            (Unit::Usd, Price::Known(cost), _) | (Unit::Usd, Price::Typical | Price::Unknown, Some(cost)) => {
                Share::Known(cost.dollars())
            }
            (Unit::Usd, Price::Unknown, None) if !self.has_ended => Share::Unknown,
            // Runs of this kind report no price, so no limit in dollars applies.
            (Unit::Usd, Price::Typical | Price::Unknown, None) => Share::Known(0.0),
        }
    }

    /// Returns why one more run does not fit. The first run always fits: the level says whether anything is left at
    /// all.
    fn shortfall(&self, price: Price, begun: Planned) -> Option<String> {
        if self.in_flight + begun.runs == 0 {
            return None;
        }
        let alone = "what a run costs is not known before the first one has ended: until then one at a time";
        let is_unknown = !self.has_ended && self.unknown + begun.unknown > 0;
        match self.share(price) {
            Share::Unknown => Some(alone.to_owned()),
            Share::Known(_) if is_unknown => Some(alone.to_owned()),
            Share::Known(amount) if amount > self.left - begun.amount => {
                let (amount, limit) = (self.unit.describe(amount), self.unit.describe(self.limit));
                let others = if begun.amount > 0.0 {
                    format!("; {} are set aside for what begins now", self.unit.describe(begun.amount))
                } else {
                    String::new()
                };
                Some(format!(
                    "{}{others}: with about {amount} for the next run more than {limit} could be spent, so it begins \
                     when a run under way has ended and leaves enough",
                    self.why
                ))
            }
            Share::Known(_) => None,
        }
    }
}

impl Balances {
    /// Returns the limits that apply to a run.
    fn leeways_of<'a>(&'a self, wanted: &PlannedRun<'_>) -> Vec<Cow<'a, Leeway>> {
        let accounts = wanted.agent.map(|(agent, model)| self.payees.accounts(agent, model)).unwrap_or_default();
        let concerns = |leeway: &&Leeway| match &leeway.scope {
            Scope::Day => true,
            Scope::Account(name) => accounts.contains(&Some(name.as_str())),
            Scope::Project(of) => wanted.dir == Some(of.as_path()),
        };
        let mut found: Vec<Cow<'a, Leeway>> = self.leeways.iter().filter(concerns).map(Cow::Borrowed).collect();
        let has_project = found.iter().any(|leeway| matches!(leeway.scope, Scope::Project(_)));
        if let (false, Some(dir), Some(most)) = (has_project, wanted.dir, self.per_project) {
            found.push(Cow::Owned(self.unspent_project(dir, most)));
        }
        found
    }

    /// Returns the leeway of a project in which nothing was spent today.
    fn unspent_project(&self, dir: &Path, most: Usd) -> Leeway {
        let alike = self.leeways.iter().find(|leeway| matches!(leeway.scope, Scope::Day | Scope::Project(_)));
        Leeway {
            scope: Scope::Project(dir.to_owned()),
            unit: Unit::Usd,
            limit: most.dollars(),
            left: most.dollars(),
            typical: alike.and_then(|leeway| leeway.typical),
            has_ended: alike.is_some_and(|leeway| leeway.has_ended),
            in_flight: 0,
            unknown: 0,
            why: format!("{} of {most} today are spent", Usd::ZERO),
            until: alike.and_then(|leeway| leeway.until),
            raise: None,
        }
    }

    /// Returns whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        self.leeways.is_empty() && self.per_project.is_none()
    }

    /// Returns the limit that has no room for one more run, beside those in progress and those that start now. That
    /// limit is kept for the run from then on.
    pub fn stop_for(&self, wanted: &PlannedRun<'_>, drawn: &mut PlannedSpend) -> Option<Stop> {
        let stop_for = |leeway: Cow<'_, Leeway>| {
            let begun = drawn.begun.get(&leeway.scope).copied().unwrap_or_default();
            let is_awaited = drawn.awaited.contains(&leeway.scope);
            let behind = is_awaited.then(|| format!("{}; a more urgent task waits for what is left", leeway.why));
            let why = leeway.shortfall(wanted.price, begun).or(behind)?;
            let Leeway { scope, until, raise, .. } = leeway.into_owned();
            Some(Stop { scope, level: super::Level::Exhausted, is_over: true, why, until, raise })
        };
        let stop = self.leeways_of(wanted).into_iter().find_map(stop_for)?;
        drawn.awaited.insert(stop.scope.clone());
        Some(stop)
    }

    /// Counts a run that starts now.
    pub fn draw(&self, wanted: &PlannedRun<'_>, drawn: &mut PlannedSpend) {
        for leeway in self.leeways_of(wanted) {
            let begun = drawn.begun.entry(leeway.scope.clone()).or_default();
            begun.runs += 1;
            match leeway.share(wanted.price) {
                Share::Known(amount) => begun.amount += amount,
                Share::Unknown => begun.unknown += 1,
            }
        }
    }
}
