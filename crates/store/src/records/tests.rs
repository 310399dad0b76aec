//! What is stored reads back, and is written again to the byte.

use super::*;
use jiff::SignedDuration;
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::recorded::Recorded;
use orch_core::notices::outbox::OutboxItem;
use orch_core::operations::channel::ChannelKind;
use orch_core::operations::job::{CatchUp, Cause, CommandEnd, CommandState, Firing, JobRecord, JobSpec, Made};
use orch_core::operations::pause::Pause;
use orch_core::operations::service::ServiceEntry;
use orch_core::planning::batch::Batch;
use orch_core::planning::breaker::{Breaker, Rule, Target};
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::message::Message;
use orch_core::tasks::task::{Progress, Run, Spec, Status, Task};
use proptest::prelude::*;

/// What this version stores: a table's word and the JSON of a row. A line that changes is a change of the format on the disk.
const RECORDED: &str = include_str!("../../../../tests/fixtures/records.txt");

fn recorded() -> impl Iterator<Item = (&'static str, &'static str)> {
    RECORDED.lines().map(|line| line.split_once(' ').expect("a word and JSON"))
}

/// Returns what is written again of a row that was read.
fn again<T: Stored>(text: &str) -> serde_json::Result<String> {
    to_json(&from_json::<T>(text)?)
}

fn rewritten(table: &str, text: &str) -> serde_json::Result<String> {
    match table {
        "task" => again::<Task>(text),
        "run" => again::<Run>(text),
        "batch" => again::<Batch>(text),
        "job" => again::<JobRecord>(text),
        "firing" => again::<Firing>(text),
        "breaker" => again::<Breaker>(text),
        "cooldown" => again::<Cooldown>(text),
        "pause" => again::<Pause>(text),
        "service" => again::<ServiceEntry>(text),
        "spend" => again::<Record>(text),
        "recorded" => again::<Recorded>(text),
        "message" => again::<Message>(text),
        "answered" => again::<Answered>(text),
        "notice" => again::<OutboxItem>(text),
        other => panic!("no table {other}"),
    }
}

#[test]
fn what_this_version_stored_is_read_and_written_again_to_the_byte() {
    for (table, text) in recorded() {
        assert_eq!(rewritten(table, text).expect("it reads back"), text, "{table}");
    }
}

fn read_back<T: Stored>(value: &T) -> T {
    from_json(&to_json(value).expect("plain data")).expect("it reads back")
}

#[test]
fn jobs_and_firings_read_back() {
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let spec = JobSpec {
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
    };
    let mut record = JobRecord::new(spec.clone(), at("2026-11-01T00:00:00Z"));
    record.remember(at("2026-11-02T03:00:00Z"));
    assert_eq!(read_back(&record), record);
    let end = CommandEnd { state: CommandState::Failed, exit_code: Some(3), duration_ms: 5, tail: "no".to_owned() };
    for made in [
        Made::Task { task: TaskId(7) },
        Made::Command { run: "true".to_owned(), dir: None, timeout_seconds: 5, end: Some(end) },
        Made::Nothing { why: "so".to_owned() },
    ] {
        let due = at("2026-11-02T03:00:00Z");
        let firing = Firing { job: spec.id.clone(), due, at: due, cause: Cause::Schedule, made };
        assert_eq!(read_back(&firing), firing);
    }
}

#[test]
fn words_in_records_are_those_in_columns() {
    for status in Status::ALL {
        assert_eq!(to_json(&status).expect("a word"), format!("\"{}\"", status.as_str()));
    }
    for kind in ChannelKind::ALL {
        assert_eq!(to_json(&kind).expect("a word"), format!("\"{}\"", kind.as_str()));
    }
}

#[test]
fn the_words_of_failures_are_what_they_were() {
    let words = FailureClass::ALL.iter().map(|class| to_json(class).expect("a word"));
    assert_eq!(
        words.collect::<Vec<_>>().join(" ").replace('"', ""),
        "auth rate_limited overloaded network model_not_found budget agent_missing no_change checks_failed \
         review_rejected unacceptable malformed incomplete context_too_long conflict sandbox_violation timeout stalled \
         killed crashed memory session_lost"
    );
}

proptest! {
    #[test]
    fn any_task_reads_back_as_it_was(
        (title, body, labels) in (any::<String>(), any::<String>(), any::<Vec<String>>()),
        (priority, parent, cost) in (any::<i64>(), any::<Option<u64>>(), proptest::option::of(0..1_000_000_000_i64)),
        (counts, is_set) in (any::<[u32; 4]>(), any::<[bool; 3]>()),
        of in any::<proptest::sample::Index>(),
    ) {
        let states: Vec<&str> = recorded().filter(|(table, _)| *table == "task").map(|(_, text)| text).collect();
        let task: Task = from_json(states[of.index(states.len())]).expect("a task");
        let [attempts, runs, steps_up, review_rounds] = counts;
        let [run_now, past_pause, repaired] = is_set;
        let task = Task {
            spec: Spec { title, body, labels, priority, parent: parent.map(TaskId), ..task.spec },
            cost: cost.map(Usd::from_micros),
            progress: Progress { attempts, steps_up, review_rounds, repaired, ..task.progress },
            runs, run_now, past_pause,
            ..task
        };
        prop_assert_eq!(read_back(&task), task);
    }

    #[test]
    fn any_sample_reads_back(model in any::<String>(), note in any::<String>(), cost in proptest::option::of(0..1_000_000_000_i64)) {
        let recorded = recorded().find(|(table, _)| *table == "recorded").map(|(_, text)| from_json(text));
        let sample = Recorded { model, note, cost: cost.map(Usd::from_micros), ..recorded.expect("a line").expect("a sample") };
        prop_assert_eq!(read_back(&sample), sample);
    }

    #[test]
    fn any_breaker_reads_back(steps in prop::collection::vec((0i64..300, 1u64..5, any::<bool>()), 1..60)) {
        let rule = Rule {
            failures: 3,
            window: SignedDuration::from_mins(10),
            cool_down: SignedDuration::from_mins(1),
            longest: SignedDuration::from_mins(8),
        };
        let (mut breaker, mut at) = (Breaker::new(Target::agent("codex")), Timestamp::UNIX_EPOCH);
        for (pause, task, fails) in steps {
            at += SignedDuration::from_secs(pause);
            if let (Some(kept), _) = breaker.clone().advance(&rule, at) { breaker = kept; }
            if fails { breaker = breaker.failed(TaskId(task), "boom", &rule, at).0; }
            prop_assert_eq!(read_back(&breaker), breaker.clone());
        }
    }
}
