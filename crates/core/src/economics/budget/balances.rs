//! The balances at one time, as planning and starting use them: which accounts are short, and what is stopped.

use super::{CRITICAL, Leeway, Level, Limit, Rules, SpendLedger, Standing, Terms, Unit, days_between, standing};
use crate::base::money::{Usd, proposed_limit};
use crate::tasks::task::Task;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a budget covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
pub enum Scope {
    /// All spending of a day.
    Day,
    /// A provider or an agent.
    Account(String),
    /// A project's spending of a day.
    Project(PathBuf),
}

impl Scope {
    /// Describes the scope for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Day => "the day".to_owned(),
            Self::Account(name) => name.clone(),
            Self::Project(dir) => format!("project {}", dir.display()),
        }
    }
}

/// A run that has not ended.
#[derive(Debug, Clone, Copy)]
pub struct RunInFlight<'a> {
    /// The run's agent.
    pub agent: &'a str,
    /// The run's model.
    pub model: Option<&'a str>,
    /// The run's project.
    pub project: Option<&'a Path>,
    /// The reserved amount.
    pub reserved: Option<Usd>,
    /// Whether it has just ended and is not in the ledger yet: `reserved` is what it cost.
    pub has_ended: bool,
}

/// Returns the balances of all accounts, of the day, and of each project with spending or runs in progress, as far as
/// they have a limit.
pub fn standings(
    rules: &Rules,
    payees: &Payees,
    ledger: &SpendLedger,
    in_flight: &[RunInFlight<'_>],
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<(Scope, Standing)> {
    let today = now.to_zoned(zone.clone()).date();
    let stand = |of: &dyn Fn(&RunInFlight<'_>) -> bool, make: &dyn Fn(&[Option<Usd>]) -> Standing| -> Standing {
        let runs: Vec<&RunInFlight<'_>> = in_flight.iter().filter(|run| of(run)).collect();
        let standing = make(&runs.iter().map(|run| run.reserved).collect::<Vec<_>>());
        // A run that has ended counts with its amount, but not as one in progress.
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
        let is_of = |run: &RunInFlight<'_>| payees.accounts(run.agent, run.model).contains(&Some(name.as_str()));
        let standing = stand(&is_of, &|under_way| standing(rules, name, ledger, under_way, now, zone));
        (Scope::Account(name.clone()), standing)
    };
    let mut all: Vec<(Scope, Standing)> = rules.accounts.keys().map(of_account).collect();
    let typical = ledger.typical_of_all(today);
    let cap =
        |most, spend, under_way: &[_]| Limit::daily(rules, most).standing(rules, spend, typical, under_way, now, zone);
    if let Some(most) = rules.per_day {
        all.push((Scope::Day, stand(&|_| true, &|under_way| cap(most, ledger.day(today), under_way))));
    }
    if let Some(most) = rules.per_project {
        let busy = in_flight.iter().filter_map(|run| run.project);
        let dirs: BTreeSet<&Path> = ledger.projects(today).map(|(dir, _)| dir).chain(busy).collect();
        for dir in dirs {
            let spend = ledger.of_project(today, dir);
            let standing = stand(&|run| run.project == Some(dir), &|under_way| cap(most, spend, under_way));
            all.push((Scope::Project(dir.to_owned()), standing));
        }
    }
    all
}

/// A budget that is short or used up.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// The budget's scope.
    pub scope: Scope,
    /// How short it is: never [`Level::Ok`].
    pub level: Level,
    /// Whether critical tasks stop too.
    pub is_over: bool,
    /// The reason, as text.
    pub why: String,
    /// When it ends, if that is known.
    pub until: Option<Timestamp>,
    /// The command that raises the limit; `None` if there is none, or if the period has not started and no allowance
    /// helps.
    pub raise: Option<String>,
}

impl Stop {
    fn new(rules: &Rules, scope: Scope, standing: Standing, today: Date) -> Option<Self> {
        if standing.level == Level::Ok {
            return None;
        }
        let raise = raise(rules, &scope, &standing, today);
        let Standing { level, is_over, why, until, .. } = standing;
        Some(Self { scope, level, is_over, why, until, raise })
    }

    /// Returns whether a task must not start.
    fn holds(&self, is_critical: bool) -> bool {
        self.level == Level::Exhausted && (self.is_over || !is_critical)
    }

    /// Describes the stop for a person.
    pub fn describe(&self) -> String {
        format!("{}: {}", self.scope.describe(), self.why)
    }

    /// Describes the stop, with the command that raises the limit.
    pub fn question(&self) -> String {
        let raise = self.raise.as_ref().map(|command| format!("; `{command}` lets more begin")).unwrap_or_default();
        format!("{}{raise}", self.describe())
    }
}

/// Returns the command that raises the limit: to twice the limit, or to one and a half times what is spent if that is
/// more. The person may change the number.
pub(super) fn raise(rules: &Rules, scope: &Scope, standing: &Standing, today: Date) -> Option<String> {
    let limit = standing.limit?;
    let taken = standing.used.unwrap_or(0.0) + standing.reserved;
    let more = (limit * 2.0).max(taken * 1.5);
    let dollars = proposed_limit(more);
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
                // For a period that is over the command sets up the next one, not a larger allowance.
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

/// Which accounts pay for an agent's runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payees {
    /// The provider of each agent that has its own.
    pub providers: BTreeMap<String, String>,
}

impl Payees {
    /// Returns the account that has paid for the run in advance, if there is one.
    pub fn paid_ahead<'a>(&self, ahead: &'a BTreeSet<String>, agent: &str, model: Option<&str>) -> Option<&'a str> {
        let accounts = self.accounts(agent, model);
        accounts.into_iter().flatten().find_map(|name| ahead.get(name)).map(String::as_str)
    }

    /// Returns the accounts of a run: its agent, and the provider of its model.
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
    /// The accounts that pay for runs.
    pub payees: Payees,
    /// Accounts paid in advance, within their period and not ahead of their pace.
    pub ahead: BTreeSet<String>,
    /// What every limit leaves for runs that are not started yet.
    pub leeways: Vec<Leeway>,
    /// The daily limit of a project without a leeway of its own, in which nothing was spent today.
    pub per_project: Option<Usd>,
}

impl Balances {
    /// Computes the balances. `in_flight`: the agent, model and project of each unfinished run.
    pub fn new<'a>(
        rules: &Rules,
        payees: Payees,
        ledger: &SpendLedger,
        in_flight: &[RunInFlight<'a>],
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let all = standings(rules, &payees, ledger, in_flight, now, zone);
        let today = now.to_zoned(zone.clone()).date();
        let is_ahead = |name: &String, standing: &Standing| rules.has_period(name) && standing.level == Level::Ok;
        let ahead = all.iter().filter_map(|(scope, standing)| match scope {
            Scope::Account(name) => is_ahead(name, standing).then(|| name.clone()),
            Scope::Day | Scope::Project(_) => None,
        });
        let ahead = ahead.collect();
        let leeways = all.iter().filter_map(|(scope, standing)| Leeway::new(rules, scope, standing, ledger, today));
        let leeways = leeways.collect();
        let stops = all.into_iter().filter_map(|(scope, standing)| Stop::new(rules, scope, standing, today)).collect();
        Self { stops, payees, ahead, leeways, per_project: rules.per_project }
    }

    /// Returns what keeps a task from starting: the day, its project, or an account of its chosen agent.
    pub fn hold(&self, task: &Task, dir: Option<&Path>, agent: Option<(&str, Option<&str>)>) -> Option<Stop> {
        let is_critical = is_critical(task);
        let accounts = agent.map(|(agent, model)| self.payees.accounts(agent, model)).unwrap_or_default();
        let concerns = |stop: &&Stop| match &stop.scope {
            Scope::Day => true,
            Scope::Account(name) => accounts.contains(&Some(name.as_str())),
            Scope::Project(of) => dir == Some(of.as_path()),
        };
        let held = self.stops.iter().filter(concerns).filter(|stop| stop.holds(is_critical));
        // The stop that lasts longest is reported; one without an end waits for a person.
        held.max_by_key(|stop| stop.until.unwrap_or(Timestamp::MAX)).cloned()
    }

    /// Returns why the task should use a cheaper model.
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

    /// Returns what the router should know about an agent's budget.
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

    /// Returns whether an agent cannot be chosen because its budget is exhausted. If its provider depends on the model,
    /// its own account counts.
    pub fn is_exhausted(&self, agent: &str) -> bool {
        let accounts = self.payees.accounts(agent, None);
        self.stops.iter().any(|stop| match &stop.scope {
            Scope::Account(name) => stop.level == Level::Exhausted && accounts.contains(&Some(name.as_str())),
            Scope::Day | Scope::Project(_) => false,
        })
    }
}

/// Returns whether a task is to be done whatever it costs.
pub fn is_critical(task: &Task) -> bool {
    task.spec.labels.iter().any(|label| label.eq_ignore_ascii_case(CRITICAL))
}
