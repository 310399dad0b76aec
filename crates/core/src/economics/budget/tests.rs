//! Budgets by example and by property: thresholds, periods, unknown prices, what stops whom.

use super::*;
use crate::base::ids::TaskId;
use crate::tasks::task::{Spec, Task};
use proptest::prelude::*;
use std::path::Path;

const NOON: &str = "2026-02-10T12:30:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

fn day(date: &str) -> Date {
    date.parse().expect("a date")
}

fn usd(dollars: f64) -> Option<Usd> {
    Usd::from_dollars(dollars)
}

fn with(name: &str, terms: Terms) -> Rules {
    Rules { accounts: [(name.to_owned(), Account { terms, priority: 50 })].into(), ..Rules::default() }
}

fn token(daily: f64) -> Rules {
    with("anthropic", Terms::Token { daily: usd(daily) })
}

fn february(allowance: f64, unit: Unit, reserve: f64) -> Period {
    Period { start: day("2026-02-01"), end: day("2026-03-01"), allowance, unit, reserve }
}

fn subscription(period: Option<Period>) -> Rules {
    with("opencode", Terms::Subscription { period })
}

fn bill(account: &str, dollars: Option<f64>) -> Bill<'_> {
    Bill { accounts: [Some(account), None], project: None, cost: dollars.and_then(usd) }
}

fn spent(account: &str, date: &str, dollars: &[Option<f64>]) -> SpendLedger {
    let mut book = SpendLedger::default();
    dollars.iter().for_each(|cost| book.charge(day(date), bill(account, *cost)));
    book
}

fn stands(rules: &Rules, name: &str, book: &SpendLedger, in_flight: usize) -> Standing {
    standing(rules, name, book, &vec![None; in_flight], at(NOON), &TimeZone::UTC)
}

#[test]
fn a_daily_budget_degrades_at_four_fifths_and_is_exhausted_at_nineteen_twentieths() {
    let table = [
        (0.0, Level::Ok, false),
        (39.99, Level::Ok, false),
        (40.0, Level::Degraded, false),
        (47.49, Level::Degraded, false),
        (47.5, Level::Exhausted, false),
        (49.99, Level::Exhausted, false),
        (50.0, Level::Exhausted, true),
        (70.0, Level::Exhausted, true),
    ];
    for (dollars, level, is_over) in table {
        let standing = stands(&token(50.0), "anthropic", &spent("anthropic", "2026-02-10", &[Some(dollars)]), 0);
        assert_eq!((standing.level, standing.is_over), (level, is_over), "{dollars}");
        assert_eq!(standing.until, Some(at("2026-02-11T00:00:00Z")));
    }
}

#[test]
fn a_budget_of_nothing_lets_nothing_begin() {
    let standing = stands(&token(0.0), "anthropic", &SpendLedger::default(), 0);
    assert_eq!((standing.level, standing.is_over), (Level::Exhausted, true));
}

#[test]
fn a_day_is_one_of_the_persons_clock() {
    let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
    let book = spent("anthropic", "2026-03-29", &[Some(60.0)]);
    let of = |time| standing(&token(50.0), "anthropic", &book, &[], at(time), &berlin);
    assert_eq!(of("2026-03-28T22:59:59Z").level, Level::Ok, "the day before");
    let standing = of("2026-03-28T23:00:00Z");
    assert_eq!(standing.level, Level::Exhausted);
    assert_eq!(standing.until, Some(at("2026-03-29T22:00:00Z")), "it has 23 hours");
    assert_eq!(of("2026-03-29T22:00:00Z").level, Level::Ok, "the day after");
}

#[test]
fn what_is_under_way_counts_as_much_as_a_run_costs_on_the_average() {
    let book = spent("anthropic", "2026-02-10", &[Some(10.0), Some(20.0)]);
    let standing = stands(&token(100.0), "anthropic", &book, 4);
    assert_eq!((standing.used, standing.reserved, standing.level), (Some(30.0), 60.0, Level::Degraded));
    assert_eq!(standing.why, "$30.00 and about $60.00 under way of $100.00 today are spent");
}

#[test]
fn a_run_without_a_price_is_never_free() {
    let book = spent("anthropic", "2026-02-10", &[Some(10.0), None, None]);
    let standing = stands(&token(100.0), "anthropic", &book, 0);
    assert_eq!((standing.used, standing.spend.unpriced), (Some(30.0), 2));
    assert!(standing.why.ends_with("(2 runs without a price are counted as the others cost)"), "{}", standing.why);
    let standing = stands(&token(100.0), "anthropic", &spent("anthropic", "2026-02-10", &[None]), 3);
    assert_eq!((standing.used, standing.level), (None, Level::Ok), "nobody knows");
    assert!(standing.why.contains("has no effect"), "{}", standing.why);
}

#[test]
fn a_subscription_keeps_a_reserve_and_counts_over_its_period() {
    let rules = subscription(Some(february(200.0, Unit::Usd, 0.2)));
    let mut book = spent("opencode", "2026-01-31", &[Some(1000.0)]);
    book.charge(day("2026-02-02"), bill("opencode", Some(50.0)));
    let standing = stands(&rules, "opencode", &book, 0);
    assert_eq!((standing.used, standing.limit, standing.level), (Some(50.0), Some(160.0), Level::Ok));
    assert_eq!(standing.until, Some(at("2026-03-01T00:00:00Z")));
    for (dollars, level) in [(86.0, Level::Degraded), (101.99, Level::Degraded), (102.0, Level::Exhausted)] {
        let mut book = book.clone();
        book.charge(day("2026-02-10"), bill("opencode", Some(dollars)));
        assert_eq!(stands(&rules, "opencode", &book, 0).level, level, "{dollars}");
    }
}

#[test]
fn what_goes_faster_than_evenly_is_degraded_until_the_days_catch_up() {
    let rules = subscription(Some(february(280.0, Unit::Requests, 0.0)));
    let requests = |count: usize| spent("opencode", "2026-02-01", &vec![None; count]);
    assert_eq!(stands(&rules, "opencode", &requests(100), 0).level, Level::Ok, "ten days' worth");
    let standing = stands(&rules, "opencode", &requests(101), 0);
    assert_eq!(standing.level, Level::Degraded);
    assert_eq!(standing.why, "101 requests are used, and evenly spread it would be 100 requests by tonight");
    let later = at("2026-02-11T00:00:01Z");
    let standing = super::standing(&rules, "opencode", &requests(101), &[], later, &TimeZone::UTC);
    assert_eq!(standing.level, Level::Ok);
}

#[test]
fn a_period_that_ended_or_has_not_begun_allows_nothing_and_says_so() {
    let rules = subscription(Some(february(200.0, Unit::Usd, 0.0)));
    let of = |time| standing(&rules, "opencode", &SpendLedger::default(), &[], at(time), &TimeZone::UTC);
    let ended = of("2026-03-01T00:00:00Z");
    assert_eq!((ended.level, ended.is_over, ended.until), (Level::Exhausted, true, None));
    assert!(ended.why.contains("ended on 2026-03-01") && ended.why.contains("configure-period"), "{}", ended.why);
    let early = of("2026-01-31T23:59:59Z");
    assert_eq!((early.level, early.until), (Level::Exhausted, Some(at("2026-02-01T00:00:00Z"))));
    assert_eq!(of("2026-02-28T23:59:59Z").level, Level::Ok);
}

#[test]
fn a_subscription_without_a_period_limits_nothing_and_says_that() {
    let standing = stands(&subscription(None), "opencode", &spent("opencode", "2026-02-10", &[Some(1e6)]), 9);
    assert_eq!(standing.level, Level::Ok);
    assert!(standing.why.contains("configure-period"));
}

#[test]
fn the_burn_rate_is_that_of_the_time_since_midnight() {
    let rules = token(50.0);
    let mut book = spent("anthropic", "2026-02-10", &[Some(25.0)]);
    book.charge(day("2026-02-05"), bill("anthropic", Some(70.0)));
    let standing = stands(&rules, "anthropic", &book, 0);
    let burn = burn(&rules, "anthropic", &standing, &book, at(NOON), &TimeZone::UTC);
    assert_eq!((burn.per_hour, burn.hours_left, burn.per_day), (Some(2.0), Some(12.5), Some(10.0)));
    assert_eq!(burn.forecast, Some(25.0 + 2.0 * 11.5));
    let early = at("2026-02-10T00:10:00Z");
    let burn = super::burn(&rules, "anthropic", &standing, &book, early, &TimeZone::UTC);
    assert_eq!(burn.per_hour, Some(25.0), "never less than one hour");
    let quiet = stands(&rules, "anthropic", &SpendLedger::default(), 0);
    let idle = super::burn(&rules, "anthropic", &quiet, &SpendLedger::default(), early, &TimeZone::UTC);
    assert_eq!((idle.per_hour, idle.hours_left), (Some(0.0), None), "it never ends");
    let used_up = super::burn(
        &token(25.0),
        "anthropic",
        &stands(&token(25.0), "anthropic", &book, 0),
        &book,
        early,
        &TimeZone::UTC,
    );
    assert_eq!(used_up.hours_left, Some(0.0));
}

#[test]
fn a_minute_before_two_is_nearly_two_hours_and_not_one() {
    let book = spent("anthropic", "2026-02-10", &[Some(10.0)]);
    let now = at("2026-02-10T01:48:00Z");
    let standing = standing(&token(50.0), "anthropic", &book, &[], now, &TimeZone::UTC);
    let burn = burn(&token(50.0), "anthropic", &standing, &book, now, &TimeZone::UTC);
    let rounded = |amount: Option<f64>| amount.map(|amount| (amount * 100.0).round() / 100.0);
    assert_eq!((rounded(burn.per_hour), rounded(burn.forecast)), (Some(5.56), Some(133.33)));
}

#[test]
fn how_long_a_period_lasts_and_what_it_will_have_taken_go_by_one_rate() {
    let rules = subscription(Some(february(200.0, Unit::Usd, 0.0)));
    let of = |date: &str, dollars: f64| {
        let book = spent("opencode", date, &[Some(dollars)]);
        burn(&rules, "opencode", &stands(&rules, "opencode", &book, 0), &book, at(NOON), &TimeZone::UTC)
    };
    // 228.5 hours of 672 are over.
    let slow = of("2026-02-03", 50.0);
    assert_eq!(slow.hours_left, Some(150.0 / (50.0 / 228.5)));
    assert_eq!(slow.forecast, Some(50.0 + 50.0 / 228.5 * 443.5));
    assert_eq!(of("2026-02-10", 50.0).forecast, slow.forecast, "on which day it was spent is the same");
    for dollars in [1.0, 60.0, 68.0, 68.1, 120.0, 199.0] {
        let burn = of("2026-02-10", dollars);
        let lasts = burn.hours_left.is_some_and(|hours| hours >= 443.5);
        assert_eq!(lasts, burn.forecast.is_some_and(|forecast| forecast <= 200.0), "{dollars}: {burn:?}");
    }
}

#[test]
fn of_a_period_that_ended_nothing_is_left_and_without_a_price_nothing_is_known() {
    let rules = subscription(Some(february(200.0, Unit::Usd, 0.0)));
    let book = spent("opencode", "2026-02-03", &[Some(50.0)]);
    let of = |rules: &Rules, book: &SpendLedger, now: &str| {
        let standing = standing(rules, "opencode", book, &[], at(now), &TimeZone::UTC);
        burn(rules, "opencode", &standing, book, at(now), &TimeZone::UTC)
    };
    let ended = of(&rules, &book, "2026-03-05T12:00:00Z");
    assert_eq!((ended.hours_left, ended.forecast), (Some(0.0), Some(50.0)));
    let early = of(&rules, &SpendLedger::default(), "2026-01-05T12:00:00Z");
    assert_eq!((early.hours_left, early.forecast), (Some(0.0), None));
    let dark = spent("opencode", "2026-02-10", &[None]);
    let unknown = of(&with("opencode", Terms::Token { daily: usd(50.0) }), &dark, NOON);
    assert_eq!((unknown.per_hour, unknown.hours_left, unknown.forecast), (None, None, None));
}

#[test]
fn a_period_that_has_not_begun_says_when_it_does_and_asks_for_no_larger_allowance() {
    let march = Period { start: day("2026-03-01"), end: day("2026-04-01"), ..february(200.0, Unit::Usd, 0.0) };
    let stops = balances(&subscription(Some(march)), &SpendLedger::default()).stops;
    let [stop] = stops.as_slice() else { panic!("{stops:?}") };
    assert_eq!(stop.question(), "opencode: its period begins on 2026-03-01");
    assert_eq!(stop.until, Some(at("2026-03-01T00:00:00Z")));
}

#[test]
fn paid_in_advance_comes_first_then_by_use_then_what_is_short_and_nothing_when_all_is_spent() {
    let account = |terms, priority| Account { terms, priority };
    let rules = Rules {
        accounts: [
            ("anthropic".to_owned(), account(Terms::Token { daily: usd(50.0) }, 50)),
            ("openai".to_owned(), account(Terms::Token { daily: usd(50.0) }, 10)),
            ("opencode".to_owned(), account(Terms::Subscription { period: Some(february(100.0, Unit::Usd, 0.0)) }, 90)),
        ]
        .into(),
        ..Rules::default()
    };
    let best = |book: &SpendLedger| {
        let best = recommend(&rules, &|name| Some(stands(&rules, name, book, 0)));
        best.map(|(name, standing)| (name.to_owned(), standing.level))
    };
    let text = |name: &str, level| Some((name.to_owned(), level));
    let mut book = SpendLedger::default();
    assert_eq!(best(&book), text("opencode", Level::Ok));
    book.charge(day("2026-02-10"), bill("opencode", Some(90.0)));
    assert_eq!(best(&book), text("openai", Level::Ok), "the lower priority first");
    book.charge(day("2026-02-10"), bill("openai", Some(40.0)));
    assert_eq!(best(&book), text("anthropic", Level::Ok));
    book.charge(day("2026-02-10"), bill("anthropic", Some(60.0)));
    assert_eq!(best(&book), text("opencode", Level::Degraded));
    book.charge(day("2026-02-10"), bill("opencode", Some(90.0)));
    book.charge(day("2026-02-10"), bill("openai", Some(40.0)));
    assert_eq!(best(&book), None);
}

fn task(labels: &[&str]) -> Task {
    let spec = Spec { labels: labels.iter().map(|label| (*label).to_owned()).collect(), ..Spec::default() };
    Task::new(TaskId(1), spec, crate::tasks::task::FileState::Pending, at(NOON))
}

fn balances(rules: &Rules, book: &SpendLedger) -> Balances {
    let payees = Payees { providers: [("claude".to_owned(), "anthropic".to_owned())].into() };
    Balances::new(rules, payees, book, &[], at(NOON), &TimeZone::UTC)
}

#[test]
fn an_exhausted_account_stops_whoever_is_paid_by_it_and_spares_what_is_critical_to_the_last() {
    let spent = |dollars| balances(&token(50.0), &spent("anthropic", "2026-02-10", &[Some(dollars)]));
    let holds = |balances: &Balances, labels: &[&str], agent| balances.hold(&task(labels), None, Some(agent)).is_some();
    let nearly = spent(48.0);
    assert!(holds(&nearly, &[], ("claude", Some("opus"))));
    assert!(holds(&nearly, &[], ("opencode", Some("anthropic/claude-opus-4-6"))));
    assert!(!holds(&nearly, &["Critical"], ("claude", None)));
    assert!(!holds(&nearly, &[], ("codex", None)) && !holds(&nearly, &[], ("opencode", Some("openai/gpt-5"))));
    assert!(nearly.hold(&task(&[]), None, None).is_none(), "another agent may be chosen");
    assert!(nearly.is_exhausted("claude") && !nearly.is_exhausted("codex"));
    assert!(holds(&spent(50.0), &["critical"], ("claude", None)));
    let short = spent(41.0);
    assert!(!holds(&short, &[], ("claude", None)));
    assert!(short.degrades(&task(&[]), None, "claude", Some("opus")).is_some());
    assert_eq!(short.degrades(&task(&["critical"]), None, "claude", Some("opus")), None);
    assert_eq!(short.degrades(&task(&[]), None, "codex", None), None);
}

#[test]
fn whoever_chooses_an_agent_knows_whose_money_is_paid_already_and_whose_runs_low() {
    let advice = |rules: &Rules, book: &SpendLedger, agent| balances(rules, book).advice(agent);
    let paid = subscription(Some(february(280.0, Unit::Usd, 0.0)));
    assert!(advice(&paid, &SpendLedger::default(), "opencode").is_some_and(|words| words.contains("paid in advance")));
    assert_eq!(advice(&paid, &SpendLedger::default(), "claude"), None);
    let fast = spent("opencode", "2026-02-10", &[Some(150.0)]);
    assert!(advice(&paid, &fast, "opencode").is_some_and(|words| words.contains("runs low")));
    assert_eq!(advice(&token(50.0), &SpendLedger::default(), "claude"), None, "there is nothing to say");
    let short = spent("anthropic", "2026-02-10", &[Some(45.0)]);
    assert!(advice(&token(50.0), &short, "claude").is_some_and(|words| words.contains("runs low")));
    assert_eq!(advice(&subscription(None), &SpendLedger::default(), "opencode"), None);
}

#[test]
fn what_is_paid_in_advance_goes_first_only_within_its_period_its_allowance_and_its_pace() {
    let ahead = |rules: &Rules, book: &SpendLedger, now: &str| {
        let balances = Balances::new(rules, Payees::default(), book, &[], at(now), &TimeZone::UTC);
        balances.payees.paid_ahead(&balances.ahead, "opencode", Some("google/gemini")).map(str::to_owned)
    };
    let used = |dollars| spent("opencode", "2026-02-10", &[Some(dollars)]);
    // Ten of 28 days have passed, a fifth of 280 is kept for the person: 80 by tonight.
    let paid = subscription(Some(february(280.0, Unit::Usd, 0.2)));
    let opencode = Some("opencode".to_owned());
    for (dollars, now, expected) in [
        (0.0, NOON, &opencode),
        (79.0, NOON, &opencode),
        (81.0, NOON, &None),
        (95.0, NOON, &None),
        (200.0, "2026-02-28T12:00:00Z", &None),
        (190.0, "2026-02-28T12:00:00Z", &opencode),
        (0.0, "2026-03-01T00:00:00Z", &None),
        (0.0, "2026-01-31T23:00:00Z", &None),
    ] {
        assert_eq!(&ahead(&paid, &used(dollars), now), expected, "{dollars} at {now}");
    }
    assert_eq!(ahead(&subscription(None), &SpendLedger::default(), NOON), None, "nothing is known of it");
    assert_eq!(ahead(&token(50.0), &SpendLedger::default(), NOON), None);
    // Of an agent with models of several providers, the provider of the model counts as well.
    let google = with("google", Terms::Subscription { period: Some(february(280.0, Unit::Usd, 0.2)) });
    assert_eq!(ahead(&google, &SpendLedger::default(), NOON).as_deref(), Some("google"));
}

#[test]
fn whatever_is_short_is_told_with_the_command_that_lets_more_begin() {
    let command = |rules: &Rules, book: &SpendLedger| {
        let stops = balances(rules, book).stops;
        let [stop] = stops.as_slice() else { panic!("{stops:?}") };
        assert!(stop.question().ends_with("lets more begin"), "{}", stop.question());
        stop.raise.clone().expect("a command")
    };
    let spent_on = |account: &str, dollars| spent(account, "2026-02-10", &[Some(dollars)]);
    assert_eq!(
        command(&token(50.0), &spent_on("anthropic", 48.0)),
        "orch budget configure anthropic --daily-budget 100"
    );
    assert_eq!(
        command(&token(50.0), &spent_on("anthropic", 100.5)),
        "orch budget configure anthropic --daily-budget 150.75"
    );
    assert_eq!(command(&token(0.0), &SpendLedger::default()), "orch budget configure anthropic --daily-budget 10");
    let mut book = SpendLedger::default();
    book.charge(day("2026-02-10"), Bill { project: Some(Path::new("/shop")), ..bill("claude", Some(20.0)) });
    let of_day = Rules { per_day: usd(20.0), ..Rules::default() };
    assert_eq!(command(&of_day, &book), "orch config set budget.per_day 40");
    let of_project = Rules { per_project: usd(20.0), ..Rules::default() };
    assert_eq!(command(&of_project, &book), "orch config set budget.per_project 40");
    let requests = subscription(Some(february(10.0, Unit::Requests, 0.2)));
    assert_eq!(
        command(&requests, &spent("opencode", "2026-02-10", &[None; 8])),
        "orch budget configure-period opencode --start 2026-02-01 --end 2026-03-01 --allowance 20 --unit requests"
    );
    let ended = Period { start: day("2026-01-01"), end: day("2026-02-01"), ..february(100.0, Unit::Usd, 0.2) };
    assert_eq!(
        command(&subscription(Some(ended)), &SpendLedger::default()),
        "orch budget configure-period opencode --start 2026-02-01 --end 2026-03-04 --allowance 100"
    );
}

#[test]
fn the_day_stops_all_and_a_project_its_own() {
    let mut book = SpendLedger::default();
    let (shop, blog) = (Path::new("/shop"), Path::new("/blog"));
    book.charge(day("2026-02-10"), Bill { project: Some(shop), ..bill("claude", Some(20.0)) });
    let of_day = balances(&Rules { per_day: usd(20.0), ..Rules::default() }, &book);
    assert!(of_day.hold(&task(&["critical"]), Some(blog), None).is_some());
    let of_project = balances(&Rules { per_project: usd(20.0), ..Rules::default() }, &book);
    assert!(of_project.hold(&task(&[]), Some(shop), None).is_some());
    assert!(of_project.hold(&task(&[]), Some(blog), None).is_none());
}

#[test]
fn runs_of_an_agent_whose_name_is_an_account_and_of_its_provider_are_charged_to_each_once() {
    let payees = Payees { providers: [("opencode".to_owned(), "opencode".to_owned())].into() };
    let mut book = SpendLedger::default();
    let bill = Bill { accounts: payees.accounts("opencode", None), project: None, cost: usd(1.0) };
    book.charge(day("2026-02-10"), bill);
    assert_eq!(book.of_day(day("2026-02-10"), "opencode").runs, 1);
    assert_eq!(payees.accounts("claude", Some("openrouter/anthropic/claude")), [Some("claude"), Some("openrouter")]);
}

proptest! {
    #[test]
    fn spending_more_never_leaves_more(
        costs in proptest::collection::vec(proptest::option::of(0.0f64..30.0), 0..20),
        more in 0.0f64..30.0,
        in_flight in 0usize..5,
    ) {
        for rules in [token(100.0), with("anthropic", Terms::Subscription { period: Some(february(300.0, Unit::Requests, 0.2)) })] {
            let mut book = SpendLedger::default();
            costs.iter().for_each(|cost| book.charge(day("2026-02-10"), bill("anthropic", *cost)));
            let before = stands(&rules, "anthropic", &book, in_flight);
            let typical = book.typical(day("2026-02-10"), "anthropic");
            // A cheap run makes those without a price cheaper: one that costs as much as they do, or more, does not.
            let more = more.max(typical.map_or(0.0, Usd::dollars));
            book.charge(day("2026-02-10"), bill("anthropic", Some(more)));
            let after = stands(&rules, "anthropic", &book, in_flight);
            prop_assert!(after.level >= before.level, "{before:?} {after:?}");
            prop_assert!(after.used >= before.used);
        }
    }

    #[test]
    fn whatever_is_charged_and_whenever_the_sums_of_days_are_those_of_the_period(
        charges in proptest::collection::vec((1i8..29, proptest::option::of(0i64..10_000_000)), 0..40),
        split in 1i8..29,
    ) {
        let date = |day: i8| Date::new(2026, 2, day).expect("a date");
        let mut book = SpendLedger::default();
        for (day, micros) in &charges {
            let cost = micros.map(Usd::from_micros);
            book.charge(date(*day), Bill { accounts: [Some("a"), Some("a")], project: None, cost });
        }
        let all = book.between(date(1), day("2026-03-01"), "a");
        let (first, second) = (book.between(date(1), date(split), "a"), book.between(date(split), day("2026-03-01"), "a"));
        prop_assert_eq!(all.runs as usize, charges.len());
        prop_assert_eq!(all.known, first.known + second.known);
        prop_assert_eq!(all.unpriced, first.unpriced + second.unpriced);
        book.cut(date(split));
        prop_assert_eq!(book.between(date(1), day("2026-03-01"), "a"), first);
    }
}

fn flying(model: &str, reserved: Option<Usd>) -> RunInFlight<'_> {
    RunInFlight { agent: "claude", model: Some(model), project: Some(Path::new("/shop")), reserved, has_ended: false }
}

/// How many of ten runs at this price begin in one plan, beside those under way.
fn begun(rules: &Rules, book: &SpendLedger, under_way: &[RunInFlight<'_>], price: Price) -> usize {
    let payees = Payees { providers: [("claude".to_owned(), "anthropic".to_owned())].into() };
    let balances = Balances::new(rules, payees, book, under_way, at(NOON), &TimeZone::UTC);
    let mut drawn = PlannedSpend::default();
    let wanted = PlannedRun { dir: Some(Path::new("/shop")), agent: Some(("claude", Some("opus"))), price };
    (0..10)
        .filter(|_| {
            let has_room = balances.stop_for(&wanted, &mut drawn).is_none();
            if has_room {
                balances.draw(&wanted, &mut drawn);
            }
            has_room
        })
        .count()
}

#[test]
fn what_begins_at_once_sees_each_other_and_no_limit_is_passed_by_more_than_one_run() {
    let known = Price::Known(usd(0.75).expect("an amount"));
    let rules = [
        token(2.0),
        Rules { per_day: usd(2.0), ..Rules::default() },
        Rules { per_project: usd(2.0), ..Rules::default() },
    ];
    for rules in &rules {
        let of = |under_way: &[RunInFlight<'_>], price| begun(rules, &SpendLedger::default(), under_way, price);
        assert_eq!(of(&[], known), 2, "{rules:?}");
        assert_eq!(of(&[], Price::Known(usd(5.0).expect("an amount"))), 1, "the first has room always: {rules:?}");
        assert_eq!(of(&[flying("opus", usd(0.75))], known), 1, "{rules:?}");
        assert_eq!(of(&[flying("opus", usd(1.5))], known), 0, "{rules:?}");
        assert_eq!(of(&[], Price::Unknown), 1, "one tells what it costs: {rules:?}");
        assert_eq!(of(&[flying("opus", None)], Price::Unknown), 0, "{rules:?}");
        assert_eq!(of(&[flying("opus", None)], known), 0, "nobody knows what is left: {rules:?}");
        let ended = RunInFlight { has_ended: true, ..flying("opus", usd(0.1)) };
        assert_eq!(of(&[ended], known), 2, "nobody waits for what has ended: {rules:?}");
        assert_eq!(of(&[], Price::Typical), 10, "what is nearly finished waits for no price: {rules:?}");
    }
    let book = spent("anthropic", "2026-02-10", &[Some(0.5)]);
    assert_eq!(begun(&token(2.0), &book, &[], Price::Unknown), 3, "as much as the others cost");
    assert_eq!(begun(&token(2.0), &spent("anthropic", "2026-02-10", &[None]), &[], Price::Unknown), 10);
    assert_eq!(begun(&Rules::default(), &book, &[], Price::Unknown), 10, "nothing is limited");
    let requests = subscription(Some(february(4.0, Unit::Requests, 0.0)));
    let of_agent = with("claude", requests.accounts["opencode"].terms.clone());
    assert_eq!(begun(&of_agent, &SpendLedger::default(), &[], Price::Unknown), 4, "each is one request");
}

#[test]
fn a_run_that_waits_for_money_is_told_what_is_set_aside_and_for_how_long_it_waits() {
    let payees = Payees { providers: [("claude".to_owned(), "anthropic".to_owned())].into() };
    let under_way = [flying("opus", usd(1.5))];
    let balances = Balances::new(&token(2.0), payees, &SpendLedger::default(), &under_way, at(NOON), &TimeZone::UTC);
    let price = Price::Known(usd(0.75).expect("an amount"));
    let stop = balances
        .stop_for(&PlannedRun { dir: None, agent: Some(("claude", None)), price }, &mut PlannedSpend::default());
    let stop = stop.expect("it waits");
    assert!(
        stop.describe().starts_with("anthropic: $0.00 and about $1.50 under way of $2.00 today are spent"),
        "{stop:?}"
    );
    assert!(stop.why.contains("$0.75 for the next run"), "{stop:?}");
    assert!(
        balances
            .stop_for(&PlannedRun { dir: None, agent: Some(("codex", None)), price }, &mut PlannedSpend::default())
            .is_none()
    );
}

#[test]
fn whoever_is_cheaper_does_not_overtake_a_more_urgent_task_for_ever() {
    let payees = Payees { providers: [("claude".to_owned(), "anthropic".to_owned())].into() };
    let under_way = [flying("opus", usd(1.0))];
    let balances = Balances::new(&token(2.0), payees, &SpendLedger::default(), &under_way, at(NOON), &TimeZone::UTC);
    let (mut drawn, agent) = (PlannedSpend::default(), Some(("claude", None)));
    let wanted = |dollars| PlannedRun { dir: None, agent, price: Price::Known(usd(dollars).expect("an amount")) };
    assert!(balances.stop_for(&wanted(0.1), &mut drawn).is_none());
    assert!(balances.stop_for(&wanted(1.5), &mut drawn).is_some());
    let behind = balances.stop_for(&wanted(0.1), &mut drawn).expect("it is kept for the other");
    assert!(behind.why.contains("a more urgent task waits"), "{behind:?}");
    let elsewhere = PlannedRun { agent: Some(("codex", None)), ..wanted(1.5) };
    assert!(balances.stop_for(&elsewhere, &mut drawn).is_none(), "another account is nobody's business");
}
