//! The table of answers, and what holds for all of them.

use super::*;
use crate::models::catalog::{Facts, ModelRef};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

fn headers(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn answered(status: u16, body: Body, list: &[(&str, &str)]) -> Verdict {
    judge(&Outcome::Answered(Answer { status, body, headers: headers(list), redirect_host: None }), now())
}

#[test]
fn every_answer_has_its_state_and_says_what_to_do() {
    use Body::{BadKey, Models, NoCredit, Other};
    use State::{Available, InvalidKey, RateLimited, Unavailable};
    for (status, body, state, word) in [
        (200, Models(12), Available, "12 models"),
        (200, Models(0), Available, "0 models"),
        (206, Models(1), Available, "1 model"),
        (200, Other, Unavailable, "is base_url right?"),
        (204, Other, Unavailable, "not with a list"),
        (401, Other, InvalidKey, "refuses the key (401)"),
        (403, Models(3), InvalidKey, "(403)"),
        (400, BadKey, InvalidKey, "not valid (400)"),
        (400, Other, Unavailable, "unexpected way (400)"),
        (402, Other, Unavailable, "paid first (402)"),
        (403, NoCredit, InvalidKey, "(403)"),
        (404, Other, Unavailable, "ends with /v1"),
        (405, Other, Unavailable, "no list of models"),
        (501, Other, Unavailable, "no list of models"),
        (407, Other, Unavailable, "proxy"),
        (408, Other, Unavailable, "(408)"),
        (429, Other, RateLimited, "limits requests"),
        (429, NoCredit, RateLimited, "waiting may not help"),
        (500, Other, Unavailable, "trouble of its own (500)"),
        (503, Models(1), Unavailable, "(503)"),
        (529, Other, Unavailable, "(529)"),
        (302, Other, Unavailable, "no key is sent there"),
        (101, Other, Unavailable, "(101)"),
        (999, Other, Unavailable, "(999)"),
    ] {
        let verdict = answered(status, body, &[]);
        assert_eq!((verdict.state, verdict.until), (state, None), "{status} {body:?}");
        assert!(verdict.why.contains(word), "{status} {body:?}: {}", verdict.why);
    }
    let moved = Answer { status: 301, redirect_host: Some("evil.test".to_owned()), ..Answer::default() };
    assert!(judge(&Outcome::Answered(moved), now()).why.contains("to evil.test"));
}

#[test]
fn whoever_cannot_be_reached_is_unavailable() {
    for (failure, word) in [
        (Failure::TimedOut, "in time"),
        (Failure::Refused, "refuses the connection"),
        (Failure::NoAddress, "no address"),
        (Failure::NoConnection, "cannot be reached"),
        (Failure::Tls("UnknownIssuer".to_owned()), "UnknownIssuer"),
        (Failure::CutOff, "cut off, or no HTTP"),
        (Failure::TooLarge, "larger than any"),
    ] {
        let verdict = judge(&Outcome::Failed(failure), now());
        assert_eq!((verdict.state, verdict.until), (State::Unavailable, None));
        assert!(verdict.why.contains(word), "{}", verdict.why);
    }
}

#[test]
fn states_have_the_documented_codes_and_names() {
    assert_eq!(State::ALL.map(State::code), [0, 1, 2, 3]);
    assert_eq!(State::ALL.map(State::as_str), ["available", "unavailable", "rate_limited", "invalid_key"]);
    assert_eq!(State::ALL.map(|state| State::from_name(state.as_str())), State::ALL.map(Some));
    assert_eq!(State::from_name("great"), None);
}

#[test]
fn a_limit_ends_when_the_provider_says_so_in_its_own_way() {
    let seconds = |list: &[(&str, &str)]| {
        answered(429, Body::Other, list).until.map(|until| until.duration_since(now()).as_millis())
    };
    for (list, expected) in [
        (vec![("retry-after", "20")], Some(20_000)),
        (vec![("retry-after", " 1.5 ")], Some(1_500)),
        (vec![("retry-after-ms", "250"), ("retry-after", "9")], Some(250)),
        (vec![("retry-after", "Sun, 01 Mar 2026 12:01:00 GMT")], Some(60_000)),
        // The provider's clock is an hour ahead: the distance counts.
        (
            vec![("date", "Sun, 01 Mar 2026 13:00:00 GMT"), ("retry-after", "Sun, 01 Mar 2026 13:00:30 GMT")],
            Some(30_000),
        ),
        (
            vec![
                ("date", "Sun, 01 Mar 2026 11:00:00 GMT"),
                ("anthropic-ratelimit-tokens-reset", "2026-03-01T11:00:45Z"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-03-01T11:00:05Z"),
                ("anthropic-ratelimit-requests-remaining", "40"),
            ],
            Some(45_000),
        ),
        (vec![("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-reset-tokens", "20ms")], Some(20)),
        (vec![("x-ratelimit-reset-requests", "2m59.5s"), ("x-ratelimit-remaining-requests", "0")], Some(179_500)),
        (vec![("x-ratelimit-reset", "1772366410")], Some(10_000)),
        (vec![("x-ratelimit-reset", "1772366410000")], Some(10_000)),
        (vec![("ratelimit-reset", "7")], Some(7_000)),
        // Nobody is believed who closes for years, or opened in the past.
        (vec![("retry-after", "99999999999999999999")], Some(31 * 86_400_000)),
        (vec![("retry-after", "0")], None),
        (vec![("retry-after", "-5")], None),
        (vec![("retry-after", "NaN")], None),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "Sun, 01 Mar 2026 11:00:00 GMT")], None),
        (vec![("x-ratelimit-reset-requests", "6 parsecs")], None),
        (vec![("x-ratelimit-reset-requests", "")], None),
        (vec![], None),
    ] {
        assert_eq!(seconds(&list), expected, "{list:?}");
    }
    let busy = answered(503, Body::Other, &[("retry-after", "20")]);
    assert_eq!((busy.state, busy.until.is_some()), (State::Unavailable, true));
    assert_eq!(answered(401, Body::Other, &[("retry-after", "20")]).until, None);
}

#[test]
fn a_clock_that_is_off_is_told_of() {
    let why = |date: &str| answered(200, Body::Models(1), &[("date", date)]).why;
    assert!(why("Sun, 01 Mar 2026 15:00:00 GMT").contains("180 minutes ahead of"));
    assert!(why("Sun, 01 Mar 2026 11:50:00 GMT").contains("10 minutes behind"));
    assert!(!why("Sun, 01 Mar 2026 12:01:00 GMT").contains("clock"));
    assert!(!why("yesterday").contains("clock"));
}

#[test]
fn a_bad_answer_is_asked_for_again_sooner_than_a_good_one() {
    let fresh = |verdict: &Verdict| verdict.fresh_until(now()).duration_since(now()).as_secs();
    assert_eq!(State::ALL.map(|state| fresh(&Verdict::new(state, ""))), [300, 30, 60, 60]);
    assert_eq!(fresh(&answered(429, Body::Other, &[("retry-after", "20")])), 20);
    assert_eq!(fresh(&answered(429, Body::Other, &[("retry-after", "86400")])), 3_600);
    assert_eq!(fresh(&answered(503, Body::Other, &[("retry-after", "120")])), 120);
    let good = Verdict::new(State::Available, "");
    let later = |seconds| now() + SignedDuration::from_secs(seconds);
    assert!(good.is_fresh(now(), now()) && good.is_fresh(now(), later(299)) && !good.is_fresh(now(), later(300)));
    assert!(!good.is_fresh(later(1), now()), "the clock was set back");
    let refused = Verdict::new(State::InvalidKey, "");
    assert!(refused.counts(now(), later(80_000)) && !refused.is_fresh(now(), later(80_000)));
    let (no_list, busy) = (answered(404, Body::Other, &[]), answered(500, Body::Other, &[]));
    assert!(!no_list.counts(now(), later(1)) && busy.counts(now(), later(1)), "without a list nothing is known");
    let (not_the_list, bad_key) = (answered(403, Body::Other, &[]), answered(403, Body::BadKey, &[]));
    assert!(
        !not_the_list.counts(now(), later(1)) && bad_key.counts(now(), later(1)),
        "a key may be kept from the list only"
    );
    let text = answered(503, Body::Other, &[("retry-after", "20")]);
    assert!(text.counts(now(), later(19)) && !text.counts(now(), later(21)), "as long as it says");
    assert!(!refused.counts(now(), later(90_000)) && !refused.counts(later(1), now()));
}

proptest! {
    #[test]
    fn any_answer_has_a_verdict_in_reach(
        status: u16,
        body in prop_oneof![Just(Body::Other), Just(Body::BadKey), Just(Body::NoCredit), (0..9_usize).prop_map(Body::Models)],
        list in proptest::collection::btree_map(
            proptest::sample::select(HEADERS.to_vec()).prop_map(str::to_owned),
            prop_oneof!["[0-9.eE+-]{0,24}", "[0-9]{1,6}(ms|s|m|h|d)([0-9]{1,9}s)?", "\\PC{0,30}",
                        "(Sun|Mon), [0-3][0-9] (Jan|Mar) [0-9]{4} [0-2][0-9]:00:00 GMT", "[0-9]{4}-0[1-9]-0[1-9]T00:00:00Z"],
            0..6,
        ),
        at in -1_000_000_000_000_i64..200_000_000_000,
    ) {
        let now = Timestamp::from_second(at.max(Timestamp::MIN.as_second()).min(Timestamp::MAX.as_second())).expect("in range");
        let answer = Answer { status, body, headers: list, redirect_host: None };
        let verdict = judge(&Outcome::Answered(answer), now);
        let is_good = (200..300).contains(&status) && matches!(body, Body::Models(_));
        prop_assert_eq!(verdict.state == State::Available, is_good);
        prop_assert_eq!(verdict.state == State::RateLimited, status == 429 && body != Body::BadKey);
        if let Some(until) = verdict.until {
            prop_assert!(until > now && until.duration_since(now) <= SignedDuration::from_hours(31 * 24));
            prop_assert!(!matches!(verdict.state, State::Available | State::InvalidKey));
        }
        let fresh = verdict.fresh_until(now).duration_since(now);
        prop_assert!(fresh <= SignedDuration::from_hours(1) && (fresh.is_positive() || now > Timestamp::MAX - SignedDuration::from_secs(300)));
        prop_assert!(verdict.counts_until(now) >= verdict.fresh_until(now));
    }
}

fn probe(key: &str, verdict: Verdict, models: Option<usize>) -> Probe {
    let asked = Asked { address: "a".to_owned(), key: key.to_owned() };
    let model = |number| (ModelRef::new("p", format!("m{number}")), Facts::default());
    let listed = models.map(|count| Listed { at: now(), models: (0..count).map(model).collect() });
    Probe { asked, at: now(), verdict, took_ms: 1, listed }
}

#[test]
fn a_list_outlives_a_later_failure_at_the_same_address_only() {
    let good = probe("k", Verdict::new(State::Available, ""), Some(2));
    let failed = probe("other key", Verdict::new(State::Unavailable, ""), None);
    let kept = failed.clone().following(Some(&good));
    assert_eq!((kept.verdict.state, kept.listed), (State::Unavailable, good.listed.clone()));
    let redirect_host = Asked { address: "b".to_owned(), key: "k".to_owned() };
    assert_eq!(Probe { asked: redirect_host, ..failed }.following(Some(&good)).listed, None);
    let newer = probe("k", Verdict::new(State::Available, ""), Some(0)).following(Some(&good));
    assert_eq!(newer.listed.map(|listed| listed.models.len()), Some(0), "an empty list is a list");
}
