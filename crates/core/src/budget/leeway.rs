//! What a limit leaves for runs that are not begun yet. What is set aside for a run counts from the moment at which it is
//! planned: many that begin at once see each other, and a limit is passed by at most what one run costs.

use super::balances::raise;
use super::ledger::mean;
use super::{Balances, Rules, Scope, SpendLedger, Standing, Stop, Unit};
use crate::money::{Spend, Usd};
use jiff::Timestamp;
use jiff::civil::Date;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a run that is to begin will cost, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// So much: by a forecast, a limit of its own, or the catalog.
    Known(Usd),
    /// As much as others of the account on the average, and nothing where none has ended.
    Typical,
    /// Nobody can say before one of its kind has ended.
    Unknown,
}

/// A run that is to begin.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its project.
    pub dir: Option<&'a Path>,
    /// Its agent and its model, where they are chosen.
    pub agent: Option<(&'a str, Option<&'a str>)>,
    /// What it will cost.
    pub price: Price,
}

/// What one limit leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Leeway {
    scope: Scope,
    unit: Unit,
    limit: f64,
    /// Neither spent nor set aside.
    left: f64,
    /// What a run costs on the average.
    typical: Option<Usd>,
    /// A run has ended within the last days: what it cost is known, or that its kind reports no price.
    has_ended: bool,
    in_flight: u64,
    /// Runs under way of which nothing is known.
    unknown: u64,
    why: String,
    until: Option<Timestamp>,
    raise: Option<String>,
}

/// What the present plan draws on limits, the most urgent task first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawn {
    /// Runs that begin.
    begun: BTreeMap<Scope, Begun>,
    /// Limits that a more urgent task waits for: whoever is cheaper does not overtake it for ever.
    awaited: BTreeSet<Scope>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Begun {
    runs: u64,
    unknown: u64,
    amount: f64,
}

/// What one more run takes of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    Known(f64),
    Unknown,
}

impl Leeway {
    /// Of an account, a project or the day; `None`: it has no limit.
    pub(super) fn of(
        rules: &Rules,
        scope: &Scope,
        standing: &Standing,
        book: &SpendLedger,
        today: Date,
    ) -> Option<Self> {
        let limit = standing.limit?;
        let recent: Spend = match scope {
            Scope::Account(name) => book.recent(today, name),
            Scope::Day | Scope::Project(_) => book.recent_of_all(today),
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
            // Its kind reports no price: no limit in dollars can hold it.
            (Unit::Usd, Price::Typical | Price::Unknown, None) => Share::Known(0.0),
        }
    }

    /// Why there is no room for one more. The first one has room always: whether anything is left at all says the level.
    fn lacks(&self, price: Price, begun: Begun) -> Option<String> {
        if self.in_flight + begun.runs == 0 {
            return None;
        }
        let alone = "what a run costs is not known before the first one has ended: until then one at a time";
        let is_unknown = !self.has_ended && self.unknown + begun.unknown > 0;
        match self.share(price) {
            Share::Unknown => Some(alone.to_owned()),
            Share::Known(_) if is_unknown => Some(alone.to_owned()),
            Share::Known(amount) if amount > self.left - begun.amount => {
                let (amount, limit) = (self.unit.told(amount), self.unit.told(self.limit));
                let others = if begun.amount > 0.0 {
                    format!("; {} are set aside for what begins now", self.unit.told(begun.amount))
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
    /// The limits that a run counts for.
    fn leeways_of<'a>(&'a self, wanted: &Wanted<'_>) -> Vec<Cow<'a, Leeway>> {
        let accounts = wanted.agent.map(|(agent, model)| self.payees.accounts(agent, model)).unwrap_or_default();
        let concerns = |leeway: &&Leeway| match &leeway.scope {
            Scope::Day => true,
            Scope::Account(name) => accounts.contains(&Some(name.as_str())),
            Scope::Project(of) => wanted.dir == Some(of.as_path()),
        };
        let mut found: Vec<Cow<'a, Leeway>> = self.leeways.iter().filter(concerns).map(Cow::Borrowed).collect();
        let has_project = found.iter().any(|leeway| matches!(leeway.scope, Scope::Project(_)));
        if let (false, Some(dir), Some(most)) = (has_project, wanted.dir, self.per_project) {
            found.push(Cow::Owned(self.untouched(dir, most)));
        }
        found
    }

    /// Of a project in which nothing was spent today.
    fn untouched(&self, dir: &Path, most: Usd) -> Leeway {
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

    /// Nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        self.leeways.is_empty() && self.per_project.is_none()
    }

    /// Why a limit has no room for one more run beside those under way and those that begin now; `None`: it has.
    /// From then on the limit is kept for that run.
    pub fn no_room(&self, wanted: &Wanted<'_>, drawn: &mut Drawn) -> Option<Stop> {
        let lacking = |leeway: Cow<'_, Leeway>| {
            let begun = drawn.begun.get(&leeway.scope).copied().unwrap_or_default();
            let is_awaited = drawn.awaited.contains(&leeway.scope);
            let behind = is_awaited.then(|| format!("{}; a more urgent task waits for what is left", leeway.why));
            let why = leeway.lacks(wanted.price, begun).or(behind)?;
            let Leeway { scope, until, raise, .. } = leeway.into_owned();
            Some(Stop { scope, level: super::Level::Exhausted, is_over: true, why, until, raise })
        };
        let stop = self.leeways_of(wanted).into_iter().find_map(lacking)?;
        drawn.awaited.insert(stop.scope.clone());
        Some(stop)
    }

    /// Counts a run that begins now.
    pub fn draw(&self, wanted: &Wanted<'_>, drawn: &mut Drawn) {
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
