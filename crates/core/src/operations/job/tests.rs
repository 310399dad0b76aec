//! Names, spans and what is remembered of a job.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub fn spec() -> JobSpec {
    JobSpec {
        id: JobId::of_title("Nightly"),
        schedule: "0 3 * * *".to_owned(),
        tz: None,
        task: Spec { title: "Nightly".to_owned(), ..Spec::default() },
        run: None,
        timeout_seconds: None,
        enabled: true,
        catch_up: CatchUp::Once,
        overlap: None,
        jitter_seconds: 0,
    }
}

#[test]
fn a_name_is_safe_in_paths_and_urls_and_a_title_makes_one() {
    for name in ["a", "night-2", "0", "A.b_c", &"x".repeat(64)] {
        assert_eq!(name.parse::<JobId>().expect("a name").as_str(), name);
    }
    for name in ["", "-a", ".", "..", "a b", "a/b", "é", &"x".repeat(65)] {
        assert!(name.parse::<JobId>().is_err(), "{name}");
    }
    for (title, name) in [
        ("Triage new issues", "triage-new-issues"),
        ("  Über {{date}}! ", "ber-date"),
        ("one two three four five six seven eight nine", "one-two-three-four-five-six"),
    ] {
        assert_eq!(JobId::of_title(title).as_str(), name);
    }
    let odd = JobId::of_title("日本");
    assert!(odd.as_str().starts_with("job-") && odd.as_str().parse::<JobId>().is_ok(), "{odd}");
    assert!(JobId::of_title(&"x".repeat(300)).as_str().parse::<JobId>().is_ok());
}

#[test]
fn spans_are_read_as_people_write_them() {
    for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h 30m", 5400), ("24h", 86_400), ("0", 0)] {
        assert_eq!(parse_span(text), Ok(seconds), "{text}");
    }
    for text in ["", "soon", "-5m", "25h", "5 apples", "99999999999999999999"] {
        assert!(parse_span(text).is_err(), "{text}");
    }
}

#[test]
fn the_delay_of_a_job_is_its_own_and_stays_the_same() {
    let delayed = |name: &str| JobSpec { id: JobId::of_title(name), jitter_seconds: 600, ..spec() }.delay();
    assert_eq!(delayed("a"), delayed("a"));
    let delays: std::collections::BTreeSet<_> = (0..50).map(|n| delayed(&format!("job {n}")).as_secs()).collect();
    assert!(delays.len() > 30 && delays.iter().all(|delay| (0..=600).contains(delay)), "{delays:?}");
    assert_eq!(spec().delay(), SignedDuration::ZERO);
}

#[test]
fn a_changed_schedule_counts_from_now_on_and_a_changed_title_changes_nothing_of_that() {
    let mut record = JobRecord::new(spec(), at("2026-11-01T00:00:00Z"));
    record.waiting.push_back(at("2026-11-02T03:00:00Z"));
    let now = at("2026-11-20T00:00:00Z");
    let titled = record.with_spec(JobSpec { task: Spec { title: "New".to_owned(), ..Spec::default() }, ..spec() }, now);
    assert_eq!((titled.through, titled.waiting.len()), (record.through, 1));
    for changed in [
        JobSpec { schedule: "@hourly".to_owned(), ..spec() },
        JobSpec { tz: Some("Europe/Berlin".to_owned()), ..spec() },
        JobSpec { enabled: false, ..spec() },
    ] {
        let became = record.with_spec(changed, now);
        assert_eq!((became.through, became.waiting.len()), (now, 0));
    }
}
