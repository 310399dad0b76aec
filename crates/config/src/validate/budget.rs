//! Checks the budget settings: amounts, dates, complete periods, order of thresholds.

use super::Check;
use crate::origin::Origins;
use crate::problem::ConfigProblem;
use crate::raw::RawConfig;
use crate::resolved_budget::Account;
use jiff::civil::Date;
use orch_core::base::money::Usd;
use orch_core::economics::budget::Billing;

/// Checks that every date can be parsed.
pub(super) fn check_dates(raw: &RawConfig, origins: &Origins) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let accounts = raw.budget.iter().flat_map(|budget| budget.accounts.iter().flatten());
    for (name, account) in accounts.filter_map(|(name, account)| Some((name, account.as_ref()?))) {
        for (what, date) in [("start", &account.start), ("end", &account.end)] {
            let Some(date) = date.as_ref().filter(|date| date.parse::<Date>().is_err()) else { continue };
            let key = format!("budget.accounts.{name}.{what}");
            let message = format!("{key}: {date:?} is not a date such as 2026-02-01");
            problems.push(ConfigProblem::new(origins.near(&key).clone(), message));
        }
    }
    problems
}

impl Check<'_> {
    pub(super) fn budget(&mut self) {
        let budget = &self.config.budget;
        let amounts = [("per_day", budget.per_day), ("per_project", budget.per_project)];
        for (key, amount) in amounts {
            self.not_below_zero(&format!("budget.{key}"), amount);
        }
        for (key, percent) in [("degrade_percent", budget.degrade_percent), ("warn_percent", budget.warn_percent)] {
            if percent > budget.exhaust_percent {
                let exhaust = budget.exhaust_percent;
                self.wrong(
                    &format!("budget.{key}"),
                    format_args!("{percent} is above exhaust_percent, which is {exhaust}"),
                );
            }
        }
        for (name, account) in &budget.accounts {
            self.account(&format!("budget.accounts.{name}"), account);
        }
    }

    fn account(&mut self, key: &str, account: &Account) {
        self.not_below_zero(&format!("{key}.daily_budget"), account.daily_budget);
        let period = [
            ("start", account.start.is_some()),
            ("end", account.end.is_some()),
            ("allowance", account.allowance.is_some()),
        ];
        let has_some = period.iter().any(|(_, is_there)| *is_there);
        match account.billing_type {
            Billing::Token if has_some => {
                let key_of_period = period.iter().find(|(_, is_there)| *is_there).map_or("start", |(key, _)| key);
                self.wrong(
                    &format!("{key}.{key_of_period}"),
                    "only a subscription has a period: billing_type: subscription",
                );
            }
            Billing::Subscription if account.daily_budget.is_some() => {
                self.wrong(
                    &format!("{key}.daily_budget"),
                    "a subscription has a period instead: start, end, allowance",
                );
            }
            Billing::Subscription if has_some => {
                for (missing, _) in period.iter().filter(|(_, is_there)| !is_there) {
                    self.wrong(
                        key,
                        format_args!("a period needs a start, an end and an allowance: {missing} is missing"),
                    );
                }
            }
            Billing::Token | Billing::Subscription => {}
        }
        if let (Some(start), Some(end)) = (account.start, account.end)
            && end <= start
        {
            self.wrong(&format!("{key}.end"), format_args!("{end} is not after {start}, where the period starts"));
        }
        if let (Some(start), Some(end)) = (account.start, account.end)
            && (end - start).get_days() > 366
        {
            self.wrong(&format!("{key}.end"), "a period is at most 366 days long");
        }
    }

    fn not_below_zero(&mut self, key: &str, amount: Option<Usd>) {
        if amount.is_some_and(|amount| amount < Usd::ZERO) {
            self.wrong(key, "an amount must not be below 0");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::layers::{Layer, load};
    use orch_core::base::money::Usd;
    use orch_core::economics::budget::{Period, Terms, Unit};
    use std::path::PathBuf;

    fn config(text: &str) -> Result<Config, String> {
        let loaded = load(&[Layer::Global { path: PathBuf::from("c"), text: text.to_owned() }]);
        loaded.map(|loaded| loaded.config).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let problem = config(text).expect_err("an invalid configuration");
        assert!(problem.contains(expected), "{problem}");
    }

    #[test]
    fn the_documented_settings_are_understood() {
        let text = "budget:\n  per_day: 5\n  accounts:\n    anthropic: {billing_type: token, daily_budget: 50}\n    \
                    opencode: {billing_type: subscription, start: 2026-02-01, end: 2026-03-01, allowance: 200, \
                    reserve_percent: 20}\n";
        let rules = config(text).expect("valid").budget.rules();
        assert_eq!(rules.per_day, Usd::from_dollars(5.0));
        assert_eq!((rules.degrade, rules.warn, rules.exhaust), (0.80, 0.85, 0.95));
        assert_eq!(rules.accounts["anthropic"].terms, Terms::Token { daily: Usd::from_dollars(50.0) });
        let period = Period {
            start: "2026-02-01".parse().expect("a date"),
            end: "2026-03-01".parse().expect("a date"),
            allowance: 200.0,
            unit: Unit::Usd,
            reserve: 0.2,
        };
        assert_eq!(rules.accounts["opencode"].terms, Terms::Subscription { period: Some(period) });
    }

    #[test]
    fn a_percentage_is_a_number_with_or_without_its_sign_and_nothing_else() {
        let with = |key: &str, text: &str| {
            config(&format!("budget: {{accounts: {{a: {{billing_type: subscription, {key}: {text}}}}}}}\n"))
        };
        for percent in 0..=120_u8 {
            for text in [format!("{percent}"), format!("{percent}%"), format!("'{percent} %'"), format!("'{percent}%'")]
            {
                for key in ["reserve", "reserve_percent"] {
                    let read = with(key, &text).map(|config| config.budget.accounts["a"].reserve_percent);
                    assert_eq!(read.ok(), (percent < 100).then_some(percent), "{key}: {text}");
                }
            }
        }
        for text in ["20%%", "-20%", "'%'", "0.2", "20.5%", "twenty", "'20 % '", "20percent", "[20]"] {
            let error = with("reserve", text).expect_err(text);
            assert!(error.contains("reserve_percent: expected percent from 0 to 99, as 20 or 20%"), "{error}");
        }
        assert!(with("reserve: 20%, reserve_percent", "20").expect_err("twice").contains("is the same key as reserve"));
        assert_eq!(config("budget: {degrade_percent: 70%}\n").expect("valid").budget.degrade_percent, 70);
    }

    #[test]
    fn an_invalid_setting_is_reported_with_its_place() {
        let account = |text: &str| format!("budget: {{accounts: {{a: {{{text}}}}}}}\n");
        refused("budget: {per_day: -1}\n", "budget.per_day: expected an amount in dollars");
        refused("budget: {per_day: .nan}\n", "not a finite number");
        refused("budget: {degrade_percent: 96}\n", "96 is above exhaust_percent, which is 95");
        refused("budget: {exhaust_percent: 0}\n", "exhaust_percent");
        refused(&account("billing_type: flat"), "expected one of token, subscription");
        refused(&account("billing_type: subscription, start: tomorrow"), "\"tomorrow\" is not a date");
        refused(&account("billing_type: subscription, start: 2026-02-30"), "is not a date");
        refused(&account("billing_type: subscription, start: 2026-02-01, end: 2026-03-01"), "allowance is missing");
        refused(&account("start: 2026-02-01"), "only a subscription has a period");
        refused(&account("billing_type: subscription, daily_budget: 4"), "a subscription has a period instead");
        let period = |start: &str, end: &str, allowance: &str| {
            account(&format!("billing_type: subscription, start: {start}, end: {end}, allowance: {allowance}"))
        };
        refused(&period("2026-03-01", "2026-03-01", "1"), "2026-03-01 is not after 2026-03-01");
        refused(&period("2026-03-01", "2028-03-01", "1"), "at most 366 days");
        refused(&period("2026-03-01", "2026-04-01", "-1"), "allowance: expected a whole number");
        assert!(config("budget: {per_day: 0}\n").is_ok(), "nothing may be spent");
    }
}
