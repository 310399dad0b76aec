//! Tests of the budget pages and of the answers of a check.

use super::*;
use crate::cli::fixture::now;
use crate::cli::ui::paint::Paint;
use orch_api::budget::CapView;
use orch_core::economics::budget::{Billing, Unit};

fn standing(level: Level, used: Option<f64>, limit: Option<f64>) -> LimitView {
    LimitView {
        level,
        why: "$41.00 of $50.00 today are spent".to_owned(),
        unit: Unit::Usd,
        used,
        reserved: 0.0,
        limit,
        runs: 4,
        unpriced: 0,
        until: "2026-03-01T23:00:00Z".parse().ok(),
    }
}

fn account(name: &str, state: LimitView) -> AccountView {
    AccountView {
        name: name.to_owned(),
        billing_type: Billing::Token,
        priority: 50,
        state,
        per_hour: Some(2.0),
        hours_left: Some(4.5),
        per_day: None,
        forecast: Some(48.0),
    }
}

fn view(accounts: Vec<AccountView>, recommended: Option<&str>) -> BudgetView {
    BudgetView { accounts, caps: Vec::new(), recommended: recommended.map(str::to_owned) }
}

fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn the_page_shows_what_is_left_and_why_something_is_short() {
    let short = LimitView { reserved: 1.5, unpriced: 1, ..standing(Level::Degraded, Some(41.0), Some(50.0)) };
    let free = LimitView { why: "it has no limit".to_owned(), until: None, ..standing(Level::Ok, None, None) };
    let all = view(vec![account("anthropic", short), account("openai", free)], Some("openai"));
    let text = page::status(&all, false, &now(), 100, Paint::OFF);
    let lines = words(&text);
    assert_eq!(lines[1], ["anthropic", "degraded", "~$41.00", "$1.50", "$50.00", "2026-03-02", "00:00"], "{text}");
    assert_eq!(lines[2], ["openai", "ok", "?", "no", "limit"], "{text}");
    assert!(text.contains("anthropic: $41.00 of $50.00 today are spent\n"), "{text}");
    assert!(text.ends_with("best given work to: openai\n"), "{text}");
    assert!(page::status(&view(Vec::new(), None), false, &now(), 80, Paint::OFF).contains("orch budget configure"));
}

#[test]
fn the_rates_tell_until_when_it_lasts() {
    let lasting = AccountView { hours_left: Some(400.0), ..account("b", standing(Level::Ok, Some(1.0), Some(50.0))) };
    let idle = AccountView { hours_left: None, ..account("c", standing(Level::Ok, Some(0.0), None)) };
    let all = [account("a", standing(Level::Ok, Some(41.0), Some(50.0))), lasting, idle];
    let text = page::burn_rates(&all, &now(), 100, Paint::OFF);
    let lines = words(&text);
    assert_eq!(lines[1], ["a", "$2.00", "?", "$9.00", "until", "17:30", "$48.00"], "{text}");
    assert_eq!(lines[2][4..7], ["beyond", "2026-03-02", "00:00"], "{text}");
    assert_eq!(lines[3][3..8], ["no", "limit", "on", "and", "on"], "{text}");
}

#[test]
fn the_rates_tell_where_nothing_is_left_and_where_nothing_is_known() {
    let ended =
        AccountView { hours_left: Some(0.0), ..account("a", standing(Level::Exhausted, Some(0.0), Some(200.0))) };
    let dark = LimitView { until: None, ..standing(Level::Ok, None, Some(50.0)) };
    let dark = AccountView { per_hour: None, hours_left: None, forecast: None, ..account("b", dark) };
    let idle = AccountView { hours_left: None, ..account("c", standing(Level::Ok, Some(0.0), Some(50.0))) };
    let text = page::burn_rates(&[ended, dark, idle], &now(), 100, Paint::OFF);
    let lines = words(&text);
    assert_eq!(lines[1][3..7], ["$0.00", "nothing", "is", "left"], "{text}");
    assert_eq!(lines[2], ["b", "?", "?", "?", "?", "?"], "{text}");
    assert_eq!(lines[3][3..7], ["$50.00", "on", "and", "on"], "{text}");
}

#[test]
fn a_check_answers_for_the_best_account_and_the_day_overrules_it() {
    let level = |view: &BudgetView| best(view).map(|(name, standing)| (name.to_owned(), standing.level));
    let one = |level| vec![account("a", standing(level, Some(1.0), Some(2.0)))];
    assert_eq!(level(&view(one(Level::Ok), Some("a"))), Some(("a".to_owned(), Level::Ok)));
    assert_eq!(level(&view(one(Level::Exhausted), None)), None);
    let day = |level| CapView { scope: "day".to_owned(), state: standing(level, Some(1.0), Some(2.0)) };
    let spent = BudgetView { caps: vec![day(Level::Exhausted)], ..view(one(Level::Ok), Some("a")) };
    assert_eq!(level(&spent), Some(("day".to_owned(), Level::Exhausted)));
    let fine = BudgetView { caps: vec![day(Level::Ok)], ..view(one(Level::Degraded), Some("a")) };
    assert_eq!(level(&fine), Some(("a".to_owned(), Level::Degraded)));
    let alone = BudgetView { caps: vec![day(Level::Degraded)], ..view(Vec::new(), None) };
    assert_eq!(level(&alone), Some(("day".to_owned(), Level::Degraded)));
}
