//! The settings of budgets as they are meant. What they say of a time is `domain::budget`'s.

use super::raw::{RawAccount, RawBudget};
use super::resolved_models::present;
use jiff::civil::Date;
use orch_core::budget::{self, Billing, Period, Rules, Terms, Unit};
use orch_core::money::Usd;
use serde::Serialize;
use std::collections::BTreeMap;

/// What may be spent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// In a day.
    pub per_day: Option<Usd>,
    /// In a project and a day.
    pub per_project: Option<Usd>,
    /// Cheaper models from here on.
    pub degrade_percent: u8,
    /// The same of subscriptions.
    pub warn_percent: u8,
    /// Nothing more from here on.
    pub exhaust_percent: u8,
    /// By name.
    pub accounts: BTreeMap<String, Account>,
}

/// What is agreed with a provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// How it is paid.
    pub billing_type: Billing,
    /// For a day.
    pub daily_budget: Option<Usd>,
    /// The period's first day.
    pub start: Option<Date>,
    /// The day after its last.
    pub end: Option<Date>,
    /// What it allows.
    pub allowance: Option<u64>,
    /// Of what.
    pub unit: Unit,
    /// How much of it is kept for the person.
    pub reserve_percent: u8,
    /// The lower, the sooner.
    pub priority: i64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            per_day: None,
            per_project: None,
            degrade_percent: 80,
            warn_percent: 85,
            exhaust_percent: 95,
            accounts: BTreeMap::new(),
        }
    }
}

impl Account {
    /// Dates that are none were refused when they were read.
    fn of(raw: RawAccount) -> Self {
        let date = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Self {
            billing_type: raw.billing_type.unwrap_or_default(),
            daily_budget: raw.daily_budget,
            start: date(raw.start),
            end: date(raw.end),
            allowance: raw.allowance,
            unit: raw.unit.unwrap_or_default(),
            reserve_percent: raw.reserve_percent.unwrap_or(0),
            priority: raw.priority.unwrap_or(50),
        }
    }

    fn terms(&self) -> Terms {
        match self.billing_type {
            Billing::Token => Terms::Token { daily: self.daily_budget },
            Billing::Subscription => Terms::Subscription { period: self.period() },
        }
    }

    fn period(&self) -> Option<Period> {
        let (start, end, allowance) = (self.start?, self.end?, self.allowance?);
        let reserve = f64::from(self.reserve_percent) / 100.0;
        let allowance = allowance as f64;
        Some(Period { start, end, allowance, unit: self.unit, reserve })
    }
}

impl Budget {
    pub(super) fn with(self, raw: RawBudget) -> Self {
        let accounts = present(raw.accounts).into_iter().map(|(name, account)| (name, Account::of(account)));
        Self {
            per_day: raw.per_day.or(self.per_day),
            per_project: raw.per_project.or(self.per_project),
            degrade_percent: raw.degrade_percent.unwrap_or(self.degrade_percent),
            warn_percent: raw.warn_percent.unwrap_or(self.warn_percent),
            exhaust_percent: raw.exhaust_percent.unwrap_or(self.exhaust_percent),
            accounts: accounts.collect(),
        }
    }

    /// The rules that it sets.
    pub fn rules(&self) -> Rules {
        let share = |percent: u8| f64::from(percent) / 100.0;
        let account = |account: &Account| budget::Account { terms: account.terms(), priority: account.priority };
        Rules {
            per_day: self.per_day,
            per_project: self.per_project,
            degrade: share(self.degrade_percent),
            warn: share(self.warn_percent),
            exhaust: share(self.exhaust_percent),
            accounts: self.accounts.iter().map(|(name, of)| (name.clone(), account(of))).collect(),
        }
    }
}
