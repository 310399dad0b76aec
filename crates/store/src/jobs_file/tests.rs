//! `jobs.yml` as people write it, and what commands change there.

use super::*;
use orch_core::operations::job::{CatchUp, Overlap};
use proptest::prelude::*;
use serde_json::json;

const HAND_WRITTEN: &str = "# What recurs here
jobs:
  # every morning
  - id: triage
    schedule: '0 9 * * 1-5'   # on weekdays
    tz: Europe/Berlin
    title: Triage of {{date}}
    labels: [agent:claude, ops]
    my_own_key: stays
    body: |
      Look at what is new.

      Sort it.

  - {schedule: \"@weekly\", title: Tidy up, enabled: no thanks}
  # the last one
  - schedule: \"*/10 * * * *\"
    run: make backup
    id: backup
    overlap: queue
    catch_up: all
    jitter: 5m
    timeout: 1h
# the end
";

fn zone(name: &str) -> Result<(), String> {
    if name == "Europe/Berlin" { Ok(()) } else { Err(format!("there is no time zone {name}")) }
}

fn parse(text: &str) -> JobsDoc {
    JobsDoc::parse(text, &zone).expect("it reads")
}

/// Returns every problem of a text.
fn summary_of(text: &str) -> String {
    match JobsDoc::parse(text, &zone) {
        Ok(doc) => doc.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn a_file_written_by_hand_is_read_and_a_mistake_in_one_job_leaves_the_others() {
    let doc = parse(HAND_WRITTEN);
    let names: Vec<_> = doc.entries.iter().map(|entry| entry.id.as_ref().map(JobId::as_str)).collect();
    assert_eq!(names, [Some("triage"), Some("tidy-up"), Some("backup")]);
    let triage = doc.entries[0].spec.as_ref().expect("sound");
    assert_eq!((triage.schedule.as_str(), triage.tz.as_deref()), ("0 9 * * 1-5", Some("Europe/Berlin")));
    assert_eq!(triage.task.body, "Look at what is new.\n\nSort it.\n");
    assert_eq!(doc.entries[1].spec, None);
    assert_eq!(
        summary_of(HAND_WRITTEN),
        "line 15, column 52: job tidy-up: `no thanks` is no `enabled` (expected one of true, false)"
    );
    let backup = doc.entries[2].spec.as_ref().expect("sound");
    assert_eq!(
        (backup.catch_up, backup.overlap(), backup.run.as_deref()),
        (CatchUp::All, Overlap::Queue, Some("make backup"))
    );
    assert_eq!((backup.jitter_seconds, backup.timeout_seconds), (300, Some(3600)));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_to_write() {
    for (text, expected) in [
        ("jobs: [", "line 1, column 7: unclosed bracket '['"),
        ("just a text", "line 1, column 1: the file is not a list of jobs (begin it with `jobs:`)"),
        ("tasks: []", "line 1, column 1: the file has no list of jobs (begin it with `jobs:`)"),
        ("jobs: 7", "line 1, column 7: `jobs` is not a list (write each job as `- schedule: …` below it)"),
        ("jobs: [soon]", "line 1, column 8: this job is not a mapping (write `- schedule: …` and below it `title: …`)"),
        (
            "- {schedule: '61 * * * *', title: x}",
            "line 1, column 14: job x: `61` is no minute in `61 * * * *` (0 to 59; also *, lists a,b, ranges a-b and steps */n)",
        ),
        (
            "- {schedule: '@dayly', title: x}",
            "line 1, column 14: job x: no schedule is called @dayly (did you mean @daily?)",
        ),
        (
            "- {schedule: '0 0 30 2 *', title: x}",
            "line 1, column 14: job x: the time of `0 0 30 2 *` never comes: no month it names has such a day (the third \
             field is the day of the month, the fourth the month; L is the last day)",
        ),
        (
            "- {schedule: '@daily'}",
            "line 1, column 3: job job-84222325: this job makes nothing (give it a `title` for a task, or a command to `run`)",
        ),
        (
            "- {title: x}",
            "line 1, column 3: job x: this job has no schedule (give it a `schedule` such as \"0 9 * * 1-5\" or \"@daily\")",
        ),
        (
            "- {schedule: '@daily', title: x, tz: Mars/Base}",
            "line 1, column 38: job x: there is no time zone Mars/Base (write a name of the IANA database, such as \
             Europe/Berlin or UTC)",
        ),
        (
            "- {schedule: '@daily', title: x, shedule: y, mine: z}",
            "line 1, column 34: job x: `shedule` is no key of a job and is not looked at (did you mean `schedule`?)",
        ),
        (
            "- {schedule: '@daily', title: x, catch_up: onse}",
            "line 1, column 44: job x: `onse` is no `catch_up` (did you mean `once`?)",
        ),
        (
            "- {schedule: '@daily', title: x, jitter: soon}",
            "line 1, column 42: job x: `soon` is no `jitter`: expected a time up to a day, such as 90s, 5m or 1h",
        ),
        (
            "- {schedule: '@daily', title: 'Of {{dates}}'}",
            "line 1, column 31: job of-dates: {{dates}} stands for nothing (did you mean {{date}}?)",
        ),
        (
            "- {schedule: '@daily', title: x, id: a/b}",
            "line 1, column 38: \"a/b\" is no name of a job: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit",
        ),
        (
            "- {schedule: '@daily', title: x, id: a}\n- {schedule: '@hourly', title: y, id: a}",
            "line 2, column 39: another job above has the same name, and that one counts (give this one an `id` of its own)",
        ),
        ("- {schedule: '@daily', title: x, title: y}", "line 1, column 34: the key `title` is already set above"),
    ] {
        assert_eq!(summary_of(text), expected, "{text}");
    }
}

#[test]
fn of_two_jobs_of_one_name_the_first_counts() {
    let doc = parse("- {schedule: '@daily', title: Same}\n- {schedule: '@hourly', title: same}\n");
    assert_eq!(doc.entries[0].spec.as_ref().expect("sound").schedule, "@daily");
    assert_eq!(doc.entries[1].spec, None);
}

#[test]
fn a_file_without_anything_is_told_from_an_empty_list() {
    for text in ["", "\n", "# only a comment\n", "---\n", "null\n"] {
        assert!(parse(text).is_blank, "{text:?}");
    }
    for text in ["jobs: []\n", "jobs:\n", "[]"] {
        let doc = parse(text);
        assert!(!doc.is_blank && doc.entries.is_empty(), "{text:?}");
    }
}

#[test]
fn garbage_of_any_kind_is_told_and_stops_nothing() {
    for text in
        ["\u{0}\u{1}\u{2}", "%PDF-1.4", "{{{{", "- - - -", "&a [*a]", "jobs: &x [*x]", "<html></html>", "- ? : -"]
    {
        drop(JobsDoc::parse(text, &zone));
    }
}

fn new_entry() -> Map<String, Value> {
    let entry = json!({"id": "new", "schedule": "@daily", "title": "New: # one"});
    entry.as_object().expect("a mapping").clone()
}

#[test]
fn a_job_is_added_behind_the_others_and_every_other_byte_stays() {
    let added = with_entry(HAND_WRITTEN, &new_entry()).expect("added");
    let new = "  - id: new\n    schedule: \"@daily\"\n    title: 'New: # one'\n";
    let (before, end) = HAND_WRITTEN.split_at(HAND_WRITTEN.find("# the end").expect("there"));
    let doc = parse(&added);
    assert_eq!(doc.entries[3].spec.as_ref().expect("sound").task.title, "New: # one");
    assert!(
        added.starts_with(before) && added.ends_with(end) && added.len() > before.len() + end.len(),
        "{added}\n{new}"
    );
    for empty in ["", "jobs:\n", "jobs: []\n", "# mine\n", "[]\n"] {
        let added = with_entry(empty, &new_entry()).expect("added");
        assert_eq!(parse(&added).entries.len(), 1, "{empty:?}: {added}");
    }
}

#[test]
fn switching_a_job_off_changes_one_value() {
    let off = with_value(HAND_WRITTEN, 0, "enabled", false.into()).expect("valid").expect("there");
    assert_eq!(off.replace("    enabled: false\n", ""), HAND_WRITTEN);
    let on = with_value(&off, 0, "enabled", true.into()).expect("valid").expect("there");
    assert_eq!(on, off.replace("enabled: false", "enabled: true"));
    assert_eq!(with_value(HAND_WRITTEN, 9, "enabled", true.into()).expect("valid"), None);
}

#[test]
fn a_job_is_taken_out_with_its_lines_and_nothing_else() {
    let first = without_entry(HAND_WRITTEN, 0).expect("valid").expect("there");
    let (start, end) =
        (HAND_WRITTEN.find("  - id: triage").expect("there"), HAND_WRITTEN.find("  - {sch").expect("there"));
    // The empty line after the text belongs to it, or stays: either way no other line is touched.
    assert!(first.starts_with(&HAND_WRITTEN[..start]) && first.ends_with(&HAND_WRITTEN[end..]), "{first}");
    assert_eq!(parse(&first).entries.len(), 2);
    let last = without_entry(HAND_WRITTEN, 2).expect("valid").expect("there");
    assert!(last.ends_with("# the last one\n# the end\n"), "{last}");
    let flow = without_entry("jobs: [{schedule: '@daily', title: a}, {schedule: '@daily', title: b}]\n", 0);
    assert_eq!(flow, Ok(Some("jobs: [{schedule: '@daily', title: b}]\n".to_owned())));
    for only in [
        "jobs:\n  - schedule: '@daily'\n    title: a\n# end\n",
        "- schedule: '@daily'\n  title: a\n",
        "jobs: [{title: a}]\n",
    ] {
        let none = without_entry(only, 0).expect("valid").expect("there");
        let doc = parse(&none);
        assert!(doc.entries.is_empty() && !doc.is_blank, "{none:?}");
        assert_eq!(parse(&with_entry(&none, &new_entry()).expect("added")).entries.len(), 1, "{none:?}");
    }
}

#[test]
fn what_is_written_for_a_job_reads_back_as_that_job() {
    for entry in parse(HAND_WRITTEN).entries.iter().filter_map(|entry| entry.spec.clone()) {
        let text = with_entry("", &entry_of(&entry)).expect("added");
        assert_eq!(parse(&text).entries[0].spec, Some(entry), "{text}");
    }
}

proptest! {
    #[test]
    fn taking_out_and_adding_keep_all_other_jobs(count in 1_usize..8, at in 0_usize..8, indent in 0_usize..4) {
        let margin = " ".repeat(indent);
        let lines = |n| format!("{margin}- id: job-{n}   # c{n}\n{margin}  schedule: '@daily'\n{margin}  # deeper\n{margin}  title: Number {n}\n");
        let items: String = (0..count).map(lines).collect();
        let text = format!("jobs:\n{items}");
        let at = at % count;
        let without = without_entry(&text, at).expect("valid").expect("there");
        let names = |text: &str| -> Vec<String> {
            parse(text).entries.iter().map(|entry| entry.spec.as_ref().expect("sound").id.to_string()).collect()
        };
        let expected: Vec<String> = (0..count).filter(|n| *n != at).map(|n| format!("job-{n}")).collect();
        prop_assert_eq!(names(&without), expected.clone());
        let added = with_entry(&without, &new_entry()).expect("added");
        prop_assert_eq!(names(&added), expected.into_iter().chain(["new".to_owned()]).collect::<Vec<_>>());
    }

    #[test]
    fn no_text_at_all_makes_reading_fail_otherwise_than_by_words(text in "[ -~\n]{0,200}") {
        drop(JobsDoc::parse(&text, &zone));
    }
}
