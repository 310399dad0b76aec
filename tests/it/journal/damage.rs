//! Tests a damaged journal: it is found, kept, reported and rebuilt, and nothing starts twice.

use super::Fixture;
use super::hurt::{Harm, hurt};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::write_file;

/// One finished task, one that runs, one that waits; the daemon killed. The journal is put out of order by `harm`.
fn after(harm: &[Harm]) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.add("Make a file", "good");
    fixture.sealed.serve();
    fixture.is("1", "done");
    fixture.add("Wait", "held");
    fixture.is("2", "in_progress");
    let waits = ["task", "add", "Comes after", "-l", "agent:good", "--depends-on", "2"];
    fixture.sealed.orch_in(fixture.repo.dir(), waits).ok();
    fixture.is("3", "blocked");
    wait_until("the file to be written", RUN, || fixture.sealed.read_tasks().contains("title: Comes after"));
    fixture.sealed.kill_daemon();
    harm.iter().for_each(|harm| hurt(&fixture.db(), harm));
    fixture
}

/// Everything that was there is there: the finished one, the running one with its one run, the waiting one.
fn all_is_well(mut fixture: Fixture) {
    fixture.sealed.serve();
    // If the pauses are unknown, everything is paused.
    fixture.sealed.orch(["resume"]).ok();
    fixture.open_gate();
    fixture.is("3", "done");
    assert_eq!(fixture.show("2")["status"], "done");
    assert_eq!(
        fixture.show("2")["runs"].as_array().map(Vec::len),
        Some(1),
        "its agent was found again, not started again"
    );
    assert_eq!(fixture.show("1")["status"], "done");
    assert_eq!(fixture.show("1")["body"], "Its text.");
    assert!(fixture.repo.read("orch-1-make-a-file.txt").contains("work"));
    let (one, events) = (fixture.show("1"), fixture.sealed.orch(["events"]).ok().stdout);
    assert_eq!(one["runs"][0]["outcome"]["state"], "finished", "{one:#}");
    assert!(events.contains("journal_rebuilt"), "{events}");
    assert_eq!(fixture.add("New", "good"), "4", "no number is given out twice");
    assert_eq!(fixture.report()["asked"], serde_json::json!([]));
    fixture.is("4", "done");
    fixture.sealed.finish();
}

#[test]
fn a_journal_without_its_head_is_rebuilt_while_agents_work() {
    all_is_well(after(&[Harm::Log(None), Harm::Zeroed { from: 0, length: 4096 }]));
}

#[test]
fn a_journal_that_is_no_database_is_rebuilt() {
    all_is_well(after(&[Harm::Log(None), Harm::Cut { to: 0 }]));
}

#[test]
fn a_journal_that_went_back_in_time_is_recognized() {
    all_is_well(after(&[Harm::Log(None)]));
}

#[test]
fn a_journal_that_is_gone_is_rebuilt() {
    let fixture = after(&[]);
    for end in ["", "-wal", "-shm", "-witness"] {
        std::fs::remove_file(format!("{}{end}", fixture.db().display())).ok();
    }
    all_is_well(fixture);
}

#[test]
fn a_command_describes_the_damage_and_leaves_the_file_alone() {
    let fixture = after(&[Harm::Log(None), Harm::Zeroed { from: 0, length: 4096 }]);
    let before = std::fs::read(fixture.db()).expect("there");
    let ran = fixture.sealed.orch(["task", "list"]).code_is(1);
    assert!(ran.stderr.contains("orch doctor --fix") && ran.stderr.contains("orch.db"), "{ran}");
    assert_eq!(std::fs::read(fixture.db()).expect("there"), before);
    let ran = fixture.sealed.orch(["doctor"]).code_is(1);
    assert!(ran.stdout.contains("bad      journal:"), "{ran}");
    let ran = fixture.sealed.orch(["doctor", "--fix"]);
    assert!(ran.stderr.contains("was rebuilt: 3 tasks") && ran.stdout.contains("ok       journal:"), "{ran}");
    let kept = fixture.report()["kept"].as_str().expect("a directory").to_owned();
    assert_eq!(std::fs::read(format!("{kept}/orch.db")).expect("kept"), before, "the damaged file is kept as it was");
    assert_eq!(fixture.show("2")["status"], "in_progress");
    all_is_well(fixture);
}

#[test]
fn a_task_of_which_too_little_is_left_asks_a_person() {
    let mut fixture = Fixture::new();
    fixture.add("Make a file", "good");
    fixture.until_idle(0);
    // Nothing is left but its branch, and a file that speaks of another one.
    fixture.repo.git(["branch", "orch/7-fix-the-login"]);
    write_file(&fixture.sealed.tasks_file(), "tasks:\n  - id: 1\n    title: Make a file\n    status: routed\n");
    std::fs::remove_file(fixture.state().join("1.json")).expect("there");
    hurt(&fixture.db(), &Harm::Zeroed { from: 0, length: 4096 });
    fixture.sealed.serve();
    let (one, seven) = (fixture.show("1"), fixture.show("7"));
    assert_eq!((&one["status"], &seven["status"]), (&"needs_review".into(), &"needs_review".into()), "{one:#}");
    assert!(
        one["question"].as_str().is_some_and(|text| text.contains("finished") && text.contains("routed")),
        "{one:#}"
    );
    assert!(seven["title"].as_str().is_some_and(|title| title.contains("orch/7-fix-the-login")), "{seven:#}");
    assert_eq!(fixture.report()["asked"].as_array().map(Vec::len), Some(2));
    let status = fixture.sealed.orch(["status"]).ok();
    assert!(status.stderr.contains("was rebuilt") && status.stderr.contains("report.txt"), "{status}");
    assert_eq!(fixture.add("New", "good"), "8");
    wait_until("the file to have it", RUN, || fixture.sealed.read_tasks().contains("id: 7"));
    fixture.sealed.finish();
}
