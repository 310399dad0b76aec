//! What budgets leave at a time, as planning and starting ask for it: which accounts are short, and what stops whom.

use super::{Book, CRITICAL, Level, Rules, Standing, Terms, of_cap, standing};
use crate::domain::task::Task;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// A run that has not ended: its agent, its model and its project.
pub type Flying<'a> = (&'a str, Option<&'a str>, Option<&'a Path>);

/// How every account stands, the day and each project with something spent or under way, as far as they have a limit.
pub fn standings(
    rules: &Rules,
    payees: &Payees,
    book: &Book,
    in_flight: &[Flying<'_>],
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<(Scope, Standing)> {
    let today = now.to_zoned(zone.clone()).date();
    let under_way = |name: &str| {
        let is_of = |(agent, model, _): &&Flying<'_>| payees.accounts(agent, *model).contains(&Some(name));
        in_flight.iter().filter(is_of).count() as u64
    };
    let of_account =
        |name: &String| (Scope::Account(name.clone()), standing(rules, name, book, under_way(name), now, zone));
    let mut all: Vec<(Scope, Standing)> = rules.accounts.keys().map(of_account).collect();
    let typical = book.typical_of_all(today);
    let cap = |most, spend, count| of_cap(rules, most, spend, typical, count, now, zone);
    if let Some(most) = rules.per_day {
        all.push((Scope::Day, cap(most, book.day(today), in_flight.len() as u64)));
    }
    if let Some(most) = rules.per_project {
        let busy = in_flight.iter().filter_map(|(.., dir)| *dir);
        let dirs: BTreeSet<&Path> = book.projects(today).map(|(dir, _)| dir).chain(busy).collect();
        for dir in dirs {
            let count = in_flight.iter().filter(|(.., of)| *of == Some(dir)).count() as u64;
            all.push((Scope::Project(dir.to_owned()), cap(most, book.of_project(today, dir), count)));
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
}

impl Stop {
    fn of(scope: Scope, standing: Standing) -> Option<Self> {
        let Standing { level, is_over, why, until, .. } = standing;
        (level != Level::Ok).then_some(Self { scope, level, is_over, why, until })
    }

    /// Nothing of a task begins.
    fn holds(&self, is_critical: bool) -> bool {
        self.level == Level::Exhausted && (self.is_over || !is_critical)
    }

    /// For a person.
    pub fn words(&self) -> String {
        format!("{}: {}", self.scope.told(), self.why)
    }
}

/// Whom an agent's runs are paid to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payees {
    /// For agents with a provider of their own, its name.
    pub providers: BTreeMap<String, String>,
}

impl Payees {
    /// The accounts of a run: its agent, and the provider of its model.
    pub fn accounts<'a>(&'a self, agent: &'a str, model: Option<&'a str>) -> [Option<&'a str>; 2] {
        let named = model.and_then(|model| model.split_once('/')).map(|(provider, _)| provider);
        let own = || self.providers.get(agent).map(String::as_str);
        [Some(agent), named.or_else(own)]
    }
}

/// Everything that is short now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Purse {
    /// Accounts, projects and the day, as far as they are short.
    pub stops: Vec<Stop>,
    /// Whom runs are paid to.
    pub payees: Payees,
}

impl Purse {
    /// What is short. `in_flight`: of each run that has not ended, its agent, its model and its project.
    pub fn new<'a>(
        rules: &Rules,
        payees: Payees,
        book: &Book,
        in_flight: &[Flying<'a>],
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let all = standings(rules, &payees, book, in_flight, now, zone);
        let stops = all.into_iter().filter_map(|(scope, standing)| Stop::of(scope, standing)).collect();
        Self { stops, payees }
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
    pub fn advice(&self, rules: &Rules, agent: &str) -> Option<&'static str> {
        let accounts = self.payees.accounts(agent, None);
        let names: Vec<&str> = accounts.into_iter().flatten().collect();
        let is_short = |stop: &Stop| matches!(&stop.scope, Scope::Account(name) if names.contains(&name.as_str()));
        if self.stops.iter().any(is_short) {
            return Some("its budget runs low: only for what others cannot do");
        }
        let terms = |name: &&str| rules.accounts.get(*name).map(|account| &account.terms);
        let is_paid = |name: &&str| matches!(terms(name), Some(Terms::Subscription { period: Some(_) }));
        names.iter().any(is_paid).then_some("paid in advance, with something left: prefer it where it fits")
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
