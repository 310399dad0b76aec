//! What budgets leave at a time, as planning and starting ask for it: which accounts are short, and what stops whom.

use super::{CRITICAL, Leeway, Level, Rules, SpendLedger, Standing, Terms, Unit, days_between, of_cap, standing};
use crate::money::Usd;
use crate::task::Task;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Dollars that are proposed where a limit was 0.
const FIRST: f64 = 10.0;

/// Whose money it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything in a day.
    Day,
    /// A provider or an agent.
    Account(String),
    /// A project in a day.
    Project(PathBuf),
}

impl Scope {
    /// For a person.
    pub fn told(&self) -> String {
        match self {
            Self::Day => "the day".to_owned(),
            Self::Account(name) => name.clone(),
            Self::Project(dir) => format!("project {}", dir.display()),
        }
    }
}

/// A run that has not ended.
#[derive(Debug, Clone, Copy)]
pub struct Flying<'a> {
    /// Its agent.
    pub agent: &'a str,
    /// Its model.
    pub model: Option<&'a str>,
    /// Its project.
    pub project: Option<&'a Path>,
    /// What is set aside for it.
    pub reserved: Option<Usd>,
    /// It has ended a moment ago, and is in no book yet: `reserved` is what it cost.
    pub has_ended: bool,
}

/// How every account stands, the day and each project with something spent or under way, as far as they have a limit.
pub fn standings(
    rules: &Rules,
    payees: &Payees,
    book: &SpendLedger,
    in_flight: &[Flying<'_>],
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<(Scope, Standing)> {
    let today = now.to_zoned(zone.clone()).date();
    let stand = |of: &dyn Fn(&Flying<'_>) -> bool, make: &dyn Fn(&[Option<Usd>]) -> Standing| -> Standing {
        let runs: Vec<&Flying<'_>> = in_flight.iter().filter(|run| of(run)).collect();
        let standing = make(&runs.iter().map(|run| run.reserved).collect::<Vec<_>>());
        // What has ended counts with its amount; nobody waits for its end.
        let ended = |is_unknown: bool| {
            let ended = runs.iter().filter(|run| run.has_ended && (run.reserved.is_none() || !is_unknown));
            ended.count() as u64
        };
        Standing {
            in_flight: standing.in_flight.saturating_sub(ended(false)),
            unknown: standing.unknown.saturating_sub(ended(true)),
            ..standing
        }
    };
    let of_account = |name: &String| {
        let is_of = |run: &Flying<'_>| payees.accounts(run.agent, run.model).contains(&Some(name.as_str()));
        let standing = stand(&is_of, &|under_way| standing(rules, name, book, under_way, now, zone));
        (Scope::Account(name.clone()), standing)
    };
    let mut all: Vec<(Scope, Standing)> = rules.accounts.keys().map(of_account).collect();
    let typical = book.typical_of_all(today);
    let cap = |most, spend, under_way: &[_]| of_cap(rules, most, spend, typical, under_way, now, zone);
    if let Some(most) = rules.per_day {
        all.push((Scope::Day, stand(&|_| true, &|under_way| cap(most, book.day(today), under_way))));
    }
    if let Some(most) = rules.per_project {
        let busy = in_flight.iter().filter_map(|run| run.project);
        let dirs: BTreeSet<&Path> = book.projects(today).map(|(dir, _)| dir).chain(busy).collect();
        for dir in dirs {
            let spend = book.of_project(today, dir);
            let standing = stand(&|run| run.project == Some(dir), &|under_way| cap(most, spend, under_way));
            all.push((Scope::Project(dir.to_owned()), standing));
        }
    }
    all
}

/// What is short, or stops.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// Whose money.
    pub scope: Scope,
    /// How short: never [`Level::Ok`].
    pub level: Level,
    /// What is critical stops too.
    pub is_over: bool,
    /// Why.
    pub why: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
    /// The command that gives it more; `None`: no limit is in the way, or its period has not begun and no allowance helps.
    pub raise: Option<String>,
}

impl Stop {
    fn of(rules: &Rules, scope: Scope, standing: Standing, today: Date) -> Option<Self> {
        if standing.level == Level::Ok {
            return None;
        }
        let raise = raise(rules, &scope, &standing, today);
        let Standing { level, is_over, why, until, .. } = standing;
        Some(Self { scope, level, is_over, why, until, raise })
    }

    /// Nothing of a task begins.
    fn holds(&self, is_critical: bool) -> bool {
        self.level == Level::Exhausted && (self.is_over || !is_critical)
    }

    /// For a person.
    pub fn words(&self) -> String {
        format!("{}: {}", self.scope.told(), self.why)
    }

    /// The same, with the command that lets more begin.
    pub fn question(&self) -> String {
        let raise = self.raise.as_ref().map(|command| format!("; `{command}` lets more begin")).unwrap_or_default();
        format!("{}{raise}", self.words())
    }
}

/// A limit in dollars to propose, in whole cents; something to begin with where nothing was allowed.
pub fn proposed(dollars: f64) -> f64 {
    if dollars > 0.0 { (dollars * 100.0).ceil() / 100.0 } else { FIRST }
}

/// The command by which a person gives it more: twice the limit, or half as much again as is spent where that is more. They
/// may type another number.
pub(super) fn raise(rules: &Rules, scope: &Scope, standing: &Standing, today: Date) -> Option<String> {
    let limit = standing.limit?;
    let taken = standing.used.unwrap_or(0.0) + standing.reserved;
    let more = (limit * 2.0).max(taken * 1.5);
    let dollars = proposed(more);
    match scope {
        Scope::Day => Some(format!("orch config set budget.per_day {dollars}")),
        Scope::Project(_) => Some(format!("orch config set budget.per_project {dollars}")),
        Scope::Account(name) => match &rules.accounts.get(name)?.terms {
            Terms::Token { .. } => Some(format!("orch budget configure {name} --daily-budget {dollars}")),
            Terms::Subscription { period: None } => None,
            Terms::Subscription { period: Some(period) } if today < period.start => None,
            Terms::Subscription { period: Some(period) } => {
                let is_over = today >= period.end;
                let length = days_between(period.start, period.end).max(1);
                let (start, end) = match is_over {
                    true => (period.end, today.max(period.end.saturating_add(length.days()))),
                    false => (period.start, period.end),
                };
                // Of a period that is over, the next one is asked for, and not more of it.
                let share = if is_over { limit } else { more };
                let allowance = (share / (1.0 - period.reserve).max(0.01)).ceil().max(1.0);
                let unit = match period.unit {
                    Unit::Usd => "",
                    Unit::Requests => " --unit requests",
                };
                Some(format!(
                    "orch budget configure-period {name} --start {start} --end {end} --allowance {allowance}{unit}"
                ))
            }
        },
    }
}

/// Whom an agent's runs are paid to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payees {
    /// For agents with a provider of their own, its name.
    pub providers: BTreeMap<String, String>,
}

impl Payees {
    /// Whether a run would be paid from what is paid in advance already: which account that is.
    pub fn paid_ahead<'a>(&self, ahead: &'a BTreeSet<String>, agent: &str, model: Option<&str>) -> Option<&'a str> {
        let accounts = self.accounts(agent, model);
        accounts.into_iter().flatten().find_map(|name| ahead.get(name)).map(String::as_str)
    }

    /// The accounts of a run: its agent, and the provider of its model.
    pub fn accounts<'a>(&'a self, agent: &'a str, model: Option<&'a str>) -> [Option<&'a str>; 2] {
        let named = model.and_then(|model| model.split_once('/')).map(|(provider, _)| provider);
        let own = || self.providers.get(agent).map(String::as_str);
        [Some(agent), named.or_else(own)]
    }
}

/// Everything that is short now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Balances {
    /// Accounts, projects and the day, as far as they are short.
    pub stops: Vec<Stop>,
    /// Whom runs are paid to.
    pub payees: Payees,
    /// Accounts that are paid in advance, within their period, and not ahead of their pace.
    pub ahead: BTreeSet<String>,
    /// What every limit leaves for runs that are not begun yet.
    pub leeways: Vec<Leeway>,
    /// What a project without a leeway of its own may spend in a day: nothing was spent in it today.
    pub per_project: Option<Usd>,
}

impl Balances {
    /// What is short. `in_flight`: of each run that has not ended, its agent, its model and its project.
    pub fn new<'a>(
        rules: &Rules,
        payees: Payees,
        book: &SpendLedger,
        in_flight: &[Flying<'a>],
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let all = standings(rules, &payees, book, in_flight, now, zone);
        let today = now.to_zoned(zone.clone()).date();
        let is_ahead = |name: &String, standing: &Standing| rules.has_period(name) && standing.level == Level::Ok;
        let ahead = all.iter().filter_map(|(scope, standing)| match scope {
            Scope::Account(name) => is_ahead(name, standing).then(|| name.clone()),
            Scope::Day | Scope::Project(_) => None,
        });
        let ahead = ahead.collect();
        let leeways = all.iter().filter_map(|(scope, standing)| Leeway::of(rules, scope, standing, book, today));
        let leeways = leeways.collect();
        let stops = all.into_iter().filter_map(|(scope, standing)| Stop::of(rules, scope, standing, today)).collect();
        Self { stops, payees, ahead, leeways, per_project: rules.per_project }
    }

    /// What keeps a task from beginning anything: the day, its project, and the accounts of its agent where
    /// that is chosen.
    pub fn hold(&self, task: &Task, dir: Option<&Path>, agent: Option<(&str, Option<&str>)>) -> Option<Stop> {
        let is_critical = is_critical(task);
        let accounts = agent.map(|(agent, model)| self.payees.accounts(agent, model)).unwrap_or_default();
        let concerns = |stop: &&Stop| match &stop.scope {
            Scope::Day => true,
            Scope::Account(name) => accounts.contains(&Some(name.as_str())),
            Scope::Project(of) => dir == Some(of.as_path()),
        };
        let held = self.stops.iter().filter(concerns).filter(|stop| stop.holds(is_critical));
        // The one that lasts longest is told; one without an end waits for a person.
        held.max_by_key(|stop| stop.until.unwrap_or(Timestamp::MAX)).cloned()
    }

    /// Why a cheaper model is to be taken for a task.
    pub fn degrades(&self, task: &Task, dir: Option<&Path>, agent: &str, model: Option<&str>) -> Option<&Stop> {
        if is_critical(task) {
            return None;
        }
        let accounts = self.payees.accounts(agent, model);
        self.stops.iter().find(|stop| match &stop.scope {
            Scope::Day => true,
            Scope::Account(name) => accounts.contains(&Some(name.as_str())),
            Scope::Project(of) => dir == Some(of.as_path()),
        })
    }

    /// What whoever chooses an agent should know of its money.
    pub fn advice(&self, agent: &str) -> Option<&'static str> {
        let accounts = self.payees.accounts(agent, None);
        let names: Vec<&str> = accounts.into_iter().flatten().collect();
        let is_short = |stop: &Stop| matches!(&stop.scope, Scope::Account(name) if names.contains(&name.as_str()));
        if self.stops.iter().any(is_short) {
            return Some("its budget runs low: only for what others cannot do");
        }
        names
            .iter()
            .any(|name| self.ahead.contains(*name))
            .then_some("paid in advance, with something left: prefer it where it fits")
    }

    /// Whether an agent is not to be chosen, because what it is paid with is exhausted. Of one whose provider depends on the
    /// model, its own account counts.
    pub fn is_exhausted(&self, agent: &str) -> bool {
        let accounts = self.payees.accounts(agent, None);
        self.stops.iter().any(|stop| match &stop.scope {
            Scope::Account(name) => stop.level == Level::Exhausted && accounts.contains(&Some(name.as_str())),
            Scope::Day | Scope::Project(_) => false,
        })
    }
}

/// Whether a task is to be done whatever it costs.
pub fn is_critical(task: &Task) -> bool {
    task.spec.labels.iter().any(|label| label.eq_ignore_ascii_case(CRITICAL))
}
