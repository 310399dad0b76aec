//! Tests many finished tasks, which are not in memory: all requests about them work.

use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, SOON, wait_until};
use serde_json::Value;

/// More than are taken over at once.
const MANY: usize = 1200;

fn finished() -> String {
    let mut text = String::from("# mine\ntasks:\n");
    for id in 1..=MANY {
        text.push_str(&format!(
            "  - id: {id}\n    title: Old {id}\n    status: done # well\n    body: |\n      Text.\n"
        ));
    }
    text
}

fn json(sealed: &SealedBox, args: &[&str]) -> Value {
    sealed.orch(args.iter().copied().chain(["--json"])).ok().json()
}

fn show(sealed: &SealedBox, id: &str) -> Value {
    json(sealed, &["task", "show", id])
}

#[test]
fn finished_tasks_are_listed_shown_and_taken_up_again_without_a_daemon() {
    let sealed = SealedBox::new();
    // The last one has no id: it is beyond what is taken over at once.
    sealed.write_tasks(&format!("{}  - Fresh\n", finished()));
    // It gets one when the file is first looked at, and is a task from then on.
    sealed.orch(["status"]).ok();
    let list = sealed.orch(["task", "list"]).ok();
    let lines = list.stdout.lines().count();
    assert_eq!(lines, 1 + 20 + 1, "a head, the newest finished ones, the new one: {list}");
    assert!(list.stderr.contains("1180 older finished tasks"), "{list}");
    assert_eq!(json(&sealed, &["task", "list"]).as_array().map(Vec::len), Some(MANY + 1));
    assert_eq!(json(&sealed, &["status"])["counts"]["done"], MANY);
    assert_eq!(show(&sealed, "7")["title"], "Old 7");
    sealed.orch(["task", "show", "9999"]).code_is(3);

    let before = sealed.read_tasks();
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "After two", "--depends-on", "7"]).ok();
    let after = sealed.read_tasks();
    let added = after.strip_prefix(&before).expect("what was there stays as it is");
    assert!(added.starts_with("  - id: 1202\n    title: After two\n"), "{added}");
    assert!(added.contains("\n    depends_on: [7]\n"), "{added}");
    let new = (MANY + 2).to_string();
    assert_eq!(show(&sealed, &new)["hold"]["reason"], "no_daemon", "7 is done, so that nothing else holds it");

    sealed.orch(["task", "retry", "7"]).ok();
    assert_eq!(show(&sealed, "7")["status"], "new");
    assert_eq!(show(&sealed, &new)["status"], "blocked");
    assert!(sealed.read_tasks().contains("title: Old 7\n    status: new # well\n"));
    sealed.orch(["task", "cancel", "7"]).ok();
    assert_eq!(json(&sealed, &["status"])["counts"]["cancelled"], 1);
    sealed.finish();
}

#[test]
fn an_edit_of_a_finished_task_is_seen_and_the_rest_is_left_alone() {
    let mut sealed = SealedBox::new();
    sealed.write_tasks(&finished());
    sealed.serve();
    wait_until("the tasks to be taken in", RUN, || json(&sealed, &["status"])["counts"]["done"] == MANY);
    let text = sealed.read_tasks();
    sealed.write_tasks(
        &text
            .replace("Old 9\n", "Other 9\n")
            .replace("title: Old 5\n    status: done", "title: Old 5\n    status: new"),
    );
    wait_until("the title", SOON, || show(&sealed, "9")["title"] == "Other 9");
    wait_until("the status", SOON, || show(&sealed, "5")["status"] == "new");
    sealed.stop_daemon();

    // While no daemon runs, the file changes: its previous content is outdated.
    let text = sealed.read_tasks();
    let (start, end) = (text.find("  - id: 11\n").expect("there"), text.find("  - id: 12\n").expect("there"));
    sealed.write_tasks(&format!("{}{}", &text[..start], &text[end..]));
    sealed.serve();
    let output = || sealed.orch(["events", "--task", "11"]).stdout;
    wait_until("the task to be given up", RUN, || output().contains("task_removed"));
    assert_eq!(show(&sealed, "11")["status"], "done", "it is over all the same");
    assert_eq!(show(&sealed, "10")["title"], "Old 10");
    sealed.finish();
}

#[test]
fn the_first_list_without_a_daemon_shows_what_was_just_written() {
    let sealed = SealedBox::new();
    sealed.write_tasks("tasks:\n  - title: Written by hand\n");
    for title in ["Written by hand", "And another", "And a third"] {
        let listed = sealed.orch(["task", "list"]).ok();
        assert!(listed.stdout.contains(title), "{listed}");
        let next = if title == "Written by hand" { "And another" } else { "And a third" };
        sealed.write_tasks(&format!("{}  - title: {next}\n", sealed.read_tasks()));
    }
    sealed.finish();
}
