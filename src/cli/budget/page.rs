//! Renders budgets for a person. PURE.

use crate::cli::ui::paint::{Paint, Role};
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::text;
use crate::cli::ui::time::Now;
use orch_api::budget::{AccountView, BudgetView, LimitView, RecordView};
use orch_core::economics::budget::{Level, Unit};

const HEAD: [Column; 6] = [
    Column::new("account", Width::Rest(12)),
    Column::new("level", Width::Whole),
    Column::number("used"),
    Column::number("reserved"),
    Column::number("of"),
    Column::new("until", Width::Whole),
];

/// Renders all accounts and daily limits, and why something is short. `is_one`: a single account was requested.
pub fn status(view: &BudgetView, is_one: bool, now: &Now, columns: usize, paint: Paint) -> String {
    let accounts = view.accounts.iter().map(|account| (account.name.as_str(), &account.state));
    let caps = view.caps.iter().map(|cap| (cap.scope.as_str(), &cap.state)).filter(|_| !is_one);
    let all: Vec<(&str, &LimitView)> = accounts.chain(caps).collect();
    let mut text = String::new();
    if all.is_empty() {
        text.push_str("no account has an agreement: `orch budget configure NAME --daily-budget 50`\n");
    } else {
        let rows: Vec<_> = all.iter().map(|(name, state)| row(name, state, now)).collect();
        text.push_str(&render(&HEAD, &rows, columns, paint));
    }
    for (name, state) in all.iter().filter(|(_, state)| state.level != Level::Ok || state.limit.is_none()) {
        text.push_str(&format!("{}\n", text::line(&format!("{name}: {}", state.why))));
    }
    if let Some(name) = view.recommended.as_deref().filter(|_| !is_one && view.accounts.len() > 1) {
        text.push_str(&format!("best given work to: {}\n", text::line(name)));
    }
    text
}

fn row<'a>(name: &'a str, state: &'a LimitView, now: &Now) -> [Cell<'a>; 6] {
    let unit = state.unit;
    let role = match state.level {
        Level::Ok => Role::Good,
        Level::Degraded => Role::Warning,
        Level::Exhausted => Role::Bad,
    };
    [
        cell(name),
        (state.level.as_str().into(), Some(role)),
        cell(used(state)),
        cell(if state.reserved > 0.0 { unit.describe(state.reserved) } else { String::new() }),
        cell(state.limit.map_or_else(|| "no limit".to_owned(), |limit| unit.describe(limit))),
        cell(state.until.map(|until| now.local(until)).unwrap_or_default()),
    ]
}

/// Renders a sum, marked if it is partly estimated.
fn used(state: &LimitView) -> String {
    match state.used {
        None => "?".to_owned(),
        Some(used) if state.unit == Unit::Usd && state.unpriced > 0 => {
            format!("~{}", state.unit.describe(used))
        }
        Some(used) => state.unit.describe(used),
    }
}

const RATES: [Column; 6] = [
    Column::new("account", Width::Rest(12)),
    Column::number("an hour"),
    Column::number("a day"),
    Column::number("left"),
    Column::new("lasts", Width::Whole),
    Column::number("forecast"),
];

/// Renders how fast money is spent.
pub fn burn_rates(accounts: &[AccountView], now: &Now, columns: usize, paint: Paint) -> String {
    if accounts.is_empty() {
        return "no account has an agreement: `orch budget configure NAME --daily-budget 50`\n".to_owned();
    }
    let rows: Vec<_> = accounts
        .iter()
        .map(|account| {
            let state = &account.state;
            let amount =
                |amount: Option<f64>| amount.map_or_else(|| "?".to_owned(), |amount| state.unit.describe(amount));
            let left = state.limit.zip(state.used).map(|(limit, used)| (limit - used).max(0.0));
            let left = left.map(|left| if account.hours_left == Some(0.0) { 0.0 } else { left });
            [
                cell(account.name.as_str()),
                cell(amount(account.per_hour)),
                cell(amount(account.per_day)),
                cell(if state.limit.is_none() { "no limit".to_owned() } else { amount(left) }),
                cell(lasts(account, now)),
                cell(amount(account.forecast)),
            ]
        })
        .collect();
    render(&RATES, &rows, columns, paint)
}

/// Returns how long the rest lasts, or that it lasts until the period ends.
fn lasts(account: &AccountView, now: &Now) -> String {
    let is_unknown = account.state.limit.is_some() && account.state.used.is_none();
    let Some(hours) = account.hours_left else { return if is_unknown { "?" } else { "on and on" }.to_owned() };
    if hours <= 0.0 {
        return "nothing is left".to_owned();
    }
    let seconds = jiff::SignedDuration::from_secs_f64((hours * 3600.0).min(1e9));
    let Ok(end) = now.at.checked_add(seconds) else { return "on and on".to_owned() };
    match account.state.until {
        Some(until) if end >= until => format!("beyond {}", now.local(until)),
        Some(_) | None => format!("until {}", now.local(end)),
    }
}

/// Renders the answer of a check.
pub fn answer(name: &str, state: &LimitView) -> String {
    format!("{}: {}: {}\n", text::line(name), state.level.as_str(), text::line(&state.why))
}

/// Renders the reasons for the states.
pub fn reasons(accounts: &[AccountView]) -> String {
    accounts.iter().map(|account| answer(&account.name, &account.state)).collect()
}

/// Renders what was recorded.
pub fn recorded(record: &RecordView) -> String {
    let cost = record.cost_usd.map_or_else(|| "an unknown amount".to_owned(), |cost| cost.to_string());
    format!("{}: {cost} written down\n", text::line(&record.account))
}
