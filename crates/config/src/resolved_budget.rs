//! The resolved budget settings. `domain::budget` computes what is spent and what may still start.

use super::overlay::overlay;
use super::raw::{RawAccount, RawBudget};
use super::resolved_models::present;
use jiff::civil::Date;
use orch_core::base::money::Usd;
use orch_core::economics::budget::{self, Billing, Period, Rules, Terms, Unit};
use serde::Serialize;
use std::collections::BTreeMap;

/// What may be spent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// Limit for all spending per day; `None`: no limit.
    pub per_day: Option<Usd>,
    /// Limit for each project per day; `None`: no limit.
    pub per_project: Option<Usd>,
    /// Percentage of a limit at which tasks get cheaper models.
    pub degrade_percent: u8,
    /// Percentage of a subscription's allowance at which tasks get cheaper models.
    pub warn_percent: u8,
    /// Percentage at which only critical tasks still start.
    pub exhaust_percent: u8,
    /// Accounts by the name of a provider or agent.
    pub accounts: BTreeMap<String, Account>,
}

/// How a provider is paid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Payment by use or in advance.
    pub billing_type: Billing,
    /// Limit per day when paid by use; `None`: no limit.
    pub daily_budget: Option<Usd>,
    /// First day of the subscription's period.
    pub start: Option<Date>,
    /// Day after the last day of the period.
    pub end: Option<Date>,
    /// What the period includes, counted in `unit`.
    pub allowance: Option<u64>,
    /// Unit of the allowance.
    pub unit: Unit,
    /// Percentage of the allowance reserved for the person.
    pub reserve_percent: u8,
    /// Order of recommendation, lowest first.
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
    /// Invalid dates were refused when the file was validated, hence they are ignored here.
    fn from_raw(raw: RawAccount) -> Self {
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
        let accounts = present(raw.accounts).into_iter().map(|(name, account)| (name, Account::from_raw(account)));
        overlay!(self with raw {
            [degrade_percent, warn_percent, exhaust_percent]
            ?[per_day, per_project]
            accounts: accounts.collect(),
        })
    }

    /// Returns the budget rules that these settings define.
    pub fn rules(&self) -> Rules {
        let share = |percent: u8| f64::from(percent) / 100.0;
        let account = |account: &Account| budget::Account { terms: account.terms(), priority: account.priority };
        Rules {
            per_day: self.per_day,
            per_project: self.per_project,
            degrade: share(self.degrade_percent),
            warn: share(self.warn_percent),
            exhaust: share(self.exhaust_percent),
            accounts: self.accounts.iter().map(|(name, own)| (name.clone(), account(own))).collect(),
        }
    }
}
