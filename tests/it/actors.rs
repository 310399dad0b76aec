//! Tests that the history records who caused each entry, as reported by the cause itself.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use serde_json::Value;

/// Returns a program that does this work and reports that it is done.
fn bot(work: &str) -> String {
    format!("#!/bin/sh\ncat > /dev/null\n{work}\necho '{{\"status\":\"done\",\"summary\":\"did it\"}}'\n")
}

/// Creates a home whose program does this work and reports that it is done.
fn home(work: &str) -> (SealedBox, Repo) {
    let mut sealed = SealedBox::new();
    sealed.program("bot", &bot(work));
    sealed.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge}\n");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    (sealed, repo)
}

/// Returns the entries of these kinds, oldest first: the kind, `by` and `who`.
fn actors(sealed: &SealedBox, kinds: &[&str]) -> Vec<(String, String, Option<String>)> {
    let output = sealed.orch(["events", "--json"]).ok().stdout;
    let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).expect("a document"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    lines
        .map(|line| (text(&line["kind"]).expect("a kind"), text(&line["by"]).expect("somebody"), text(&line["who"])))
        .filter(|(kind, ..)| kinds.contains(&kind.as_str()))
        .collect()
}

fn line(kind: &str, by: &str, who: Option<&str>) -> (String, String, Option<String>) {
    (kind.to_owned(), by.to_owned(), who.map(str::to_owned))
}

#[test]
fn a_person_an_agent_and_what_an_agent_started_are_distinguished() {
    let (sealed, repo) = home("true");
    let orch = format!("ORCH_HOME='{}' {ORCH} task add -l agent:nobody", sealed.orch_home().display());
    let work = format!("{orch} Mine\nenv -i PATH=\"$PATH\" {orch} Own\necho 1 > a; git add a; git commit -qm a");
    sealed.program("bot", &bot(&work));
    sealed.orch_in(repo.dir(), ["task", "add", "Work", "-l", "agent:bot"]).ok();
    wait::wait_until("the work", RUN, || sealed.orch(["task", "show", "1", "--json"]).ok().json()["status"] == "done");
    let run = sealed.orch(["task", "show", "1", "--json"]).ok().json()["runs"][0]["run_id"].clone();
    let run = run.as_str();
    assert_eq!(
        actors(&sealed, &["task_added", "run_launched", "run_ended", "done"]),
        [
            line("task_added", "person", None),
            line("run_launched", "orch", None),
            line("task_added", "agent", run),
            line("task_added", "agent", run),
            line("run_ended", "agent", run),
            line("done", "orch", None),
        ]
    );
    sealed.finish();
}

#[test]
fn what_a_person_does_by_a_command_and_in_a_file_is_attributed_to_them() {
    let (sealed, repo) = home("true");
    sealed.orch(["pause"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "First"]).ok();
    sealed.orch(["task", "claim", "1"]).ok();
    sealed.orch(["task", "edit", "1", "--priority", "3"]).ok();
    sealed.orch(["task", "unclaim", "1"]).ok();
    let file = sealed.tasks_file();
    let before = crate::kit::read_file(&file);
    crate::kit::write_file(&file, &format!("{}  - title: By hand\n", before.replace("title: First", "title: Second")));
    let kinds = ["paused", "task_added", "task_edited", "claimed", "unclaimed"];
    wait::wait_until("the file to be read", RUN, || actors(&sealed, &kinds).len() == 7);
    let mut messages = actors(&sealed, &kinds);
    // The edit and the new entry come in one reading.
    messages[5..].sort();
    assert_eq!(
        messages,
        [
            line("paused", "person", None),
            line("task_added", "person", None),
            line("claimed", "person", None),
            line("task_edited", "person", None),
            line("unclaimed", "person", None),
            line("task_added", "person", Some("tasks.yml")),
            line("task_edited", "person", Some("tasks.yml")),
        ]
    );
    sealed.finish();
}

#[test]
fn a_firing_is_attributed_to_the_schedule_and_a_run_by_hand_to_the_person() {
    let (sealed, repo) = home("true");
    sealed.orch_in(repo.dir(), ["job", "add", "@yearly", "By hand", "--id", "yearly"]).ok();
    sealed.orch(["job", "run", "yearly"]).ok();
    assert_eq!(
        actors(&sealed, &["job_added", "task_made"]),
        [line("job_added", "person", None), line("task_made", "person", None)]
    );
    sealed.finish();
}
