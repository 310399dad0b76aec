//! Tests a daemon that dies right after an agent has started, before that is in the journal: whatever fails when the
//! next one starts the run again, the agent does not work unobserved.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{self, RUN};
use serde_json::Value;
use std::path::PathBuf;

/// An agent that notes that it began, and works until a file appears.
const PATIENT: &str = "#!/bin/sh
cat > /dev/null
echo begun >> \"$HOME/begun\"
until [ -e \"$HOME/go-on\" ]; do sleep 0.1; done
echo work > work.txt && git add . && git commit -q -m work && echo finished
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
    run_dir: PathBuf,
}

impl Fixture {
    /// The agent of task 1 works, its daemon is dead, and the journal does not know yet that the run was started.
    fn new() -> Self {
        let mut sealed = SealedBox::new();
        sealed.program("patient", PATIENT);
        sealed.config("agents: {patient: {kind: command, command: patient}}\nworkflow: {integrate: merge}\n");
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        sealed.orch_in(repo.dir(), ["task", "add", "Take your time", "-l", "agent:patient"]).ok();
        sealed.serve();
        let begun = sealed.home().join("begun");
        wait::wait_until("the agent to work", RUN, || begun.exists());
        let mut run = Value::Null;
        wait::wait_until("its start to be recorded", RUN, || {
            run = sealed.orch(["task", "show", "1", "--json"]).ok().json()["runs"][0].clone();
            run["started_at"].is_string()
        });
        let transcript = PathBuf::from(run["transcript"].as_str().expect("a transcript"));
        let run_dir = transcript.parent().expect("in a directory").to_owned();
        sealed.kill_daemon();
        let journal = rusqlite::Connection::open(sealed.orch_home().join(".orch/orch.db")).expect("a journal");
        for sql in [
            "UPDATE runs SET data = json_set(data, '$.phase', 'starting', '$.started_at', NULL), sum = NULL",
            "UPDATE tasks SET data = json_set(data, '$.place', NULL), sum = NULL",
        ] {
            assert_eq!(journal.execute(sql, []).expect("updated"), 1);
        }
        Self { sealed, repo, run_dir }
    }

    fn task(&self) -> Value {
        self.sealed.orch(["task", "show", "1", "--json"]).ok().json()
    }

    /// The run continues under a new daemon, once, and its work is merged.
    fn goes_on(self) {
        let adopted = || self.task()["runs"][0]["started_at"].is_string();
        wait::wait_until("the run to be taken over", RUN, adopted);
        std::fs::write(self.sealed.home().join("go-on"), "").expect("a file");
        wait::wait_until("the task to be done", RUN, || self.task()["status"] == "done");
        let begun = std::fs::read_to_string(self.sealed.home().join("begun")).expect("a file");
        let runs = self.task()["runs"].as_array().map(Vec::len);
        assert_eq!((begun.lines().count(), runs), (1, Some(1)), "no second agent was started");
        assert_eq!(self.repo.show("main", "work.txt").as_deref(), Some("work\n"));
        self.sealed.finish();
    }
}

#[test]
fn an_agent_whose_note_of_its_place_is_lost_is_taken_over() {
    let mut fixture = Fixture::new();
    std::fs::remove_file(fixture.run_dir.join("prepared.json")).expect("removed");
    fixture.sealed.serve();
    fixture.goes_on();
}

#[test]
fn an_agent_whose_project_is_away_at_the_moment_is_taken_over() {
    let mut fixture = Fixture::new();
    let away = fixture.sealed.base().join("away");
    std::fs::rename(fixture.repo.dir(), &away).expect("moved");
    fixture.sealed.serve();
    wait::wait_until("the run to be looked at", RUN, || {
        let run = &fixture.task()["runs"][0];
        run["started_at"].is_string() || run["ended_at"].is_string()
    });
    std::fs::rename(&away, fixture.repo.dir()).expect("moved back");
    fixture.goes_on();
}

#[test]
fn an_agent_that_cannot_be_taken_over_is_ended_and_its_task_is_done_again_when_it_can() {
    let mut fixture = Fixture::new();
    for file in ["prepared.json", "launch.json"] {
        std::fs::remove_file(fixture.run_dir.join(file)).expect("removed");
    }
    let away = fixture.sealed.base().join("away");
    std::fs::rename(fixture.repo.dir(), &away).expect("moved");
    fixture.sealed.serve();
    wait::wait_until("the task to wait for its directory", RUN, || fixture.task()["status"] == "blocked");
    let alive = || fixture.sealed.inmates().iter().any(|one| one.command.contains("patient"));
    wait::wait_until("the agent to be ended", RUN, || !alive());
    std::fs::rename(&away, fixture.repo.dir()).expect("moved back");
    std::fs::write(fixture.sealed.home().join("go-on"), "").expect("a file");
    wait::wait_until("the task to be done", RUN, || fixture.task()["status"] == "done");
    assert_eq!(fixture.repo.show("main", "work.txt").as_deref(), Some("work\n"));
    fixture.sealed.finish();
}

#[test]
fn an_agent_of_which_only_the_worktree_is_known_is_taken_over() {
    let mut fixture = Fixture::new();
    for file in ["prepared.json", "launch.json"] {
        std::fs::remove_file(fixture.run_dir.join(file)).expect("removed");
    }
    fixture.sealed.serve();
    fixture.goes_on();
}
