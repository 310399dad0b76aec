//! Spending by day, account and project: sums of run charges and of a person's records.

use super::{AVERAGED, Payees};
use crate::base::money::{Spend, Usd};
use crate::economics::cost::Charge;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Spending outside of orch's runs, recorded by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The account.
    pub account: String,
    /// The time of the spending.
    pub at: Timestamp,
    /// The amount, if known.
    pub cost: Option<Usd>,
    /// The model that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it was for, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The cost of one run.
#[derive(Debug, Clone, Copy)]
pub struct Bill<'a> {
    /// The accounts of the run; each counts once.
    pub accounts: [Option<&'a str>; 2],
    /// The project.
    pub project: Option<&'a Path>,
    /// The amount, if known.
    pub cost: Option<Usd>,
}

/// The spending of one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Day {
    /// The total.
    pub all: Spend,
    accounts: BTreeMap<String, Spend>,
    projects: BTreeMap<PathBuf, Spend>,
}

/// The spending of all known days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpendLedger {
    days: BTreeMap<Date, Day>,
}

impl SpendLedger {
    /// Adds the cost of a run.
    pub fn charge(&mut self, date: Date, bill: Bill<'_>) {
        let day = self.days.entry(date).or_default();
        day.all.add(bill.cost);
        let [first, second] = bill.accounts;
        for name in [first, second.filter(|second| first != Some(*second))].into_iter().flatten() {
            day.accounts.entry(name.to_owned()).or_default().add(bill.cost);
        }
        if let Some(project) = bill.project {
            day.projects.entry(project.to_owned()).or_default().add(bill.cost);
        }
    }

    /// Adds charges and records by the days of `zone`. `only`: the project of tasks that name none.
    pub fn enter(
        &mut self,
        payees: &Payees,
        only: Option<&Path>,
        charges: &[Charge],
        records: &[Record],
        zone: &TimeZone,
    ) {
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        for charge in charges {
            let accounts = payees.accounts(&charge.agent, charge.model.as_deref());
            let project = charge.project.as_deref().or(only);
            self.charge(day(charge.ended_at), Bill { accounts, project, cost: charge.cost });
        }
        for record in records {
            let accounts = [Some(record.account.as_str()), None];
            self.charge(day(record.at), Bill { accounts, project: None, cost: record.cost });
        }
    }

    /// Forgets the spending from that day on.
    pub fn cut(&mut self, from: Date) {
        self.days.split_off(&from);
    }

    /// Returns the total spending of a day.
    pub fn day(&self, date: Date) -> Spend {
        self.days.get(&date).map(|day| day.all).unwrap_or_default()
    }

    /// Returns an account's spending of a day.
    pub fn of_day(&self, date: Date, account: &str) -> Spend {
        self.days.get(&date).and_then(|day| day.accounts.get(account)).copied().unwrap_or_default()
    }

    /// Returns a project's spending of a day.
    pub fn of_project(&self, date: Date, project: &Path) -> Spend {
        self.days.get(&date).and_then(|day| day.projects.get(project)).copied().unwrap_or_default()
    }

    /// Returns the projects with spending on a day.
    pub fn projects(&self, date: Date) -> impl Iterator<Item = (&Path, Spend)> {
        let projects = self.days.get(&date).map(|day| &day.projects).into_iter().flatten();
        projects.map(|(dir, spend)| (dir.as_path(), *spend))
    }

    /// Returns an account's spending from `start` until the day before `end`.
    pub fn between(&self, start: Date, end: Date, account: &str) -> Spend {
        let of = |day: &Day| day.accounts.get(account).copied();
        sum(self.range(start, end).filter_map(of))
    }

    /// Returns the average cost of a run of an account over the last days, if any price is known.
    pub fn typical(&self, today: Date, account: &str) -> Option<Usd> {
        mean(self.recent(today, account))
    }

    /// Returns the average cost of any run over the last days.
    pub fn typical_of_all(&self, today: Date) -> Option<Usd> {
        mean(self.recent_of_all(today))
    }

    /// Returns an account's spending over the last days.
    pub fn recent(&self, today: Date, account: &str) -> Spend {
        let of = |day: &Day| day.accounts.get(account).copied();
        sum(self.last_days(today).filter_map(of))
    }

    /// Returns the total spending over the last days.
    pub fn recent_of_all(&self, today: Date) -> Spend {
        sum(self.last_days(today).map(|day| day.all))
    }

    fn last_days(&self, today: Date) -> impl Iterator<Item = &Day> {
        let after = today.tomorrow().unwrap_or(today);
        self.range(today.saturating_sub(AVERAGED.days()), after)
    }

    fn range(&self, start: Date, end: Date) -> impl Iterator<Item = &Day> {
        // The map panics on a range that ends before it starts.
        self.days.range(start..end.max(start)).map(|(_, day)| day)
    }
}

fn sum(spends: impl Iterator<Item = Spend>) -> Spend {
    spends.fold(Spend::default(), |all, one| Spend {
        known: all.known + one.known,
        runs: all.runs + one.runs,
        unpriced: all.unpriced + one.unpriced,
    })
}

pub(super) fn mean(spend: Spend) -> Option<Usd> {
    let priced = i64::try_from(spend.runs - spend.unpriced).ok().filter(|priced| *priced > 0)?;
    Some(Usd::from_micros(spend.known.micros() / priced))
}
