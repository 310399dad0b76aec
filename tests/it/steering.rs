//! Tests `orch task send` and `orch task interrupt` with the real agent CLIs and the scripted model server: every
//! message reaches the agent once, and the receipt says how.

use crate::kit::clis::Agent;
use crate::kit::model_server::{Action, ModelServer, Rule, Script};
use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A box with one agent, a repository, and a model that reacts to messages during its work.
struct Fixture {
    sealed: SealedBox,
    server: ModelServer,
    repo: Repo,
    label: String,
}

/// A command that holds its turn open until the test lets it go.
const HOLD: &str = "touch begun; while [ ! -e go ]; do sleep 0.05; done; echo went on";

impl Fixture {
    fn new(agent: Agent) -> Self {
        Self::with(agent, "")
    }

    fn with(agent: Agent, config: &str) -> Self {
        let mut steered = Rule::on("SCENARIO:steered").command(HOLD);
        steered.name = "steered-heard".to_owned();
        steered.when.result_contains = Some("use the new API".to_owned());
        let deaf = Rule::on("SCENARIO:steered").command(HOLD).done("used the old API");
        // Codex makes a message of its own of it, claude puts it beside the result of the command.
        let commit = "echo new > api.txt && git add api.txt && git commit -q -m 'Use the new API'";
        let mut text = Rule::on("SCENARIO:steered").newest_contains("use the new API").command(commit);
        text.name = "steered-told".to_owned();
        let steered = steered.command(commit).done("used the new API");
        let script = Script::standard().first(deaf).first(steered).first(text.done("used the new API"));
        let server = ModelServer::start(script);
        let mut sealed = SealedBox::new();
        sealed.with_agents(&[agent], &server, &format!("workflow: {{integrate: merge}}\n{config}"));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, server, repo, label: format!("agent:{}", agent.name()) }
    }

    fn add(&self, title: &str, body: &str) -> String {
        let args = ["task", "add", title, "-b", body, "-l", &self.label, "-l", "complexity:simple", "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn send(&self, id: &str, text: &str) -> Value {
        self.sealed.orch(["task", "send", id, text, "--json"]).ok().json()
    }

    fn until(&self, id: &str, status: &str) -> Value {
        wait::wait_until(&format!("task {id} to be {status}"), RUN, || self.show(id)["status"] == status);
        self.show(id)
    }

    /// A file in the worktree of a task.
    fn work(&self, id: &str, name: &str) -> PathBuf {
        PathBuf::from(self.show(id)["worktree"].as_str().expect("a worktree")).join(name)
    }

    /// Waits until the agent of the task has made `name`.
    fn until_made(&self, id: &str, name: &str) {
        wait::wait_until("a worktree", RUN, || self.show(id)["worktree"].is_string());
        let file = self.work(id, name);
        wait::wait_until(name, RUN, || file.exists());
    }

    fn transcripts(&self, id: &str) -> String {
        let task = self.show(id);
        let runs = task["runs"].as_array().expect("runs").iter();
        runs.map(|run| std::fs::read_to_string(run["transcript"].as_str().expect("a path")).unwrap_or_default())
            .collect()
    }

    /// Waits until no process of this kind is left in the box.
    fn until_gone(&self, what: &str) {
        let left = || self.sealed.inmates().into_iter().filter(|one| one.command.contains(what)).count();
        wait::wait_until(&format!("no {what} to be left"), RUN, || left() == 0);
    }

    /// Kills the only process of the box with this hidden command of orch.
    fn kill(&self, word: &str) {
        let start = format!("{ORCH} {word} ");
        let found: Vec<_> = self.sealed.inmates().into_iter().filter(|one| one.command.starts_with(&start)).collect();
        let [victim] = found.as_slice() else { panic!("not one {word}: {found:?}") };
        let pid = rustix::process::Pid::from_raw(victim.pid).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    }

    /// Waits until opencode's database contains a text.
    fn until_opencode_keeps(&self, text: &str) {
        let log = self.sealed.home().join(".local/share/opencode/opencode.db-wal");
        let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        wait::wait_until("opencode to keep the message", RUN, || std::fs::read(&log).is_ok_and(holds));
    }

    fn history(&self, id: &str) -> Vec<String> {
        let lines = self.sealed.orch(["events", "--json", "--task", id]).ok().json_lines();
        lines.iter().map(|line| line["kind"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn close(self) {
        drop(self.server);
        self.sealed.finish();
    }
}

/// The person's message in most tests.
const WISH: &str = "please use the new API";

fn receipt(message: &Value) -> (&str, Option<&str>) {
    (message["state"].as_str().expect("a state"), message["via"].as_str())
}

fn sessions(task: &Value) -> Vec<&str> {
    let runs = task["runs"].as_array().expect("runs").iter();
    runs.filter(|run| run["kind"] == "work").filter_map(|run| run["session_id"].as_str()).collect()
}

/// A message into the middle of a turn.
fn takes_a_message_up_while_it_works(agent: Agent) {
    let mut fixture = Fixture::new(agent);
    let id = fixture.add("Call the service", "SCENARIO:steered");
    fixture.sealed.serve();
    fixture.until_made(&id, "begun");
    let sent = fixture.sealed.orch(["task", "send", &id, "please use the new API", "--no-wait", "--json"]).ok().json();
    assert_eq!(receipt(&sent), ("queued", None), "{sent}");
    assert!(sent["detail"].as_str().is_some_and(|detail| detail.starts_with("handed to the agent")), "{sent}");
    crate::kit::write_file(&fixture.work(&id, "go"), "");
    let task = fixture.until(&id, "done");
    assert_eq!(task["summary"], "used the new API", "{task:#}");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("live")), "{task:#}");
    assert_eq!((task["messages"].as_array().map(Vec::len), sessions(&task).len()), (Some(1), 1), "{task:#}");
    assert!(task["runs"][0]["tokens"]["input"].as_u64().is_some_and(|tokens| tokens > 0), "{task:#}");
    assert_eq!(task["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), agent != Agent::Codex, "{task:#}");
    assert!(fixture.repo.show("main", "api.txt").is_some());
    assert_eq!(fixture.transcripts(&id).matches("— message from you: please use the new API\n").count(), 1);
    let last = fixture.server.requests().last().expect("requests").asked.body.to_string();
    assert_eq!(last.matches("please use the new API").count(), 1, "said once: {last}");
    let history = fixture.history(&id);
    assert!(history.contains(&"message_sent".to_owned()) && history.contains(&"message_delivered".to_owned()));
    fixture.close();
}

#[test]
fn claude_takes_a_message_up_while_it_works_and_the_receipt_says_so() {
    takes_a_message_up_while_it_works(Agent::Claude);
}

#[test]
fn codex_takes_a_message_up_while_it_works_and_the_receipt_says_so() {
    takes_a_message_up_while_it_works(Agent::Codex);
}

#[test]
fn opencode_takes_a_message_up_while_it_works_and_the_receipt_says_so() {
    takes_a_message_up_while_it_works(Agent::Opencode);
}

/// Work of claude whose answer waits for a gate; and again, if a message arrived before the answer.
fn late() -> [Rule; 2] {
    let commit = |name: &str| format!("echo x > {name} && git add {name} && git commit -q -m 'Add {name}'");
    let answer = |summary: &str| {
        let empty = json!([]);
        let report = json!({ "status": "done", "summary": summary, "accomplished": empty, "remaining": empty,
            "files_changed": empty, "blockers": empty, "reason": "", "learnings": empty, "delegations": empty, "result": "" });
        Action::Tool { name: "StructuredOutput".to_owned(), input: report }
    };
    let begun = |rule: Rule| rule.command(&commit("one.txt")).step(answer("added one").behind("end"));
    let mut heard = begun(Rule::on("SCENARIO:late")).command(&commit("two.txt")).step(answer("added two"));
    heard.name = "late-heard".to_owned();
    heard.when.result_contains = Some("add two.txt too".to_owned());
    [heard, begun(Rule::on("SCENARIO:late"))]
}

/// The same work of opencode, to which the message is one of its own.
fn late_in_words() -> [Rule; 2] {
    let commit = |name: &str| format!("echo x > {name} && git add {name} && git commit -q -m 'Add {name}'");
    let text = Rule::on("SCENARIO:late").newest_contains("add two.txt too").command(&commit("two.txt"));
    let answer = Action::Report(json!({ "status": "done", "summary": "added one" })).behind("end");
    [text.done("added two"), Rule::on("SCENARIO:late").command(&commit("one.txt")).step(answer)]
}

#[test]
fn a_message_at_the_end_of_claudes_turn_is_taken_up_by_the_same_process() {
    takes_up_a_message_at_the_end_of_its_turn(Agent::Claude, late());
}

#[test]
fn a_message_at_the_end_of_opencodes_turn_is_taken_up_by_the_same_process() {
    takes_up_a_message_at_the_end_of_its_turn(Agent::Opencode, late_in_words());
}

fn takes_up_a_message_at_the_end_of_its_turn(agent: Agent, [heard, deaf]: [Rule; 2]) {
    let mut fixture = Fixture::new(agent);
    fixture.server.follow(Script::standard().first(deaf).first(heard));
    let id = fixture.add("Late", "SCENARIO:late");
    fixture.sealed.serve();
    fixture.server.wait_for("the last request", RUN, |all| all.iter().any(|one| one.is("late") && one.step == 1));
    fixture.sealed.orch(["task", "send", &id, "add two.txt too", "--no-wait"]).ok();
    wait::wait_until("the runner to pass it on", RUN, || {
        let run = fixture.show(&id)["runs"][0]["run_id"].as_str().expect("a run").to_owned();
        fixture.sealed.orch_home().join(".orch/runs").join(run).join("claim-1.json").exists()
    });
    fixture.server.open("end");
    let task = fixture.until(&id, "done");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("live")), "{task:#}");
    assert_eq!((sessions(&task).len(), task["summary"].as_str()), (1, Some("added two")), "{task:#}");
    assert!(fixture.repo.show("main", "one.txt").is_some() && fixture.repo.show("main", "two.txt").is_some());
    fixture.close();
}

/// A model that does not answer: the CLI has nothing to show for it.
fn is_asked_when_nothing_is_seen_of_it(agent: Agent, [mut asked, deaf]: [Rule; 2]) {
    let mut fixture = Fixture::with(agent, "limits: {nudge_after_seconds: 6}\n");
    let words = Some("are you still at work".to_owned());
    match agent {
        Agent::Claude => asked.when.result_contains = words,
        Agent::Codex | Agent::Opencode => asked = asked.newest_contains("are you still at work"),
    }
    fixture.server.follow(Script::standard().first(deaf).first(asked));
    let id = fixture.add("Late", "SCENARIO:late");
    fixture.sealed.serve();
    wait::wait_until("the question", RUN, || fixture.show(&id)["messages"][0]["from"] == "orch");
    let text = fixture.history(&id);
    assert!(text.contains(&"worker:stale".to_owned()), "{text:?}");
    fixture.server.open("end");
    let task = fixture.until(&id, "done");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("live")), "{task:#}");
    assert_eq!(sessions(&task).len(), 1, "{task:#}");
    fixture.close();
}

#[test]
fn claude_is_asked_when_its_model_does_not_answer() {
    is_asked_when_nothing_is_seen_of_it(Agent::Claude, late());
}

#[test]
fn opencode_is_asked_when_its_model_does_not_answer() {
    is_asked_when_nothing_is_seen_of_it(Agent::Opencode, late_in_words());
}

#[test]
fn claude_is_interrupted_and_goes_on_in_the_same_conversation_with_a_message() {
    let mut fixture = Fixture::new(Agent::Claude);
    let id = fixture.add("Take an hour", "SCENARIO:busy");
    fixture.sealed.serve();
    fixture.until_made(&id, "started.txt");
    fixture.sealed.orch(["task", "interrupt", &id]).ok();
    let task = fixture.until(&id, "needs_review");
    assert!(task["question"].as_str().is_some_and(|question| question.starts_with("interrupted by you")), "{task:#}");
    assert_eq!(task["runs"][0]["outcome"]["state"], "cancelled", "{task:#}");
    assert!(task["runs"][0]["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{task:#}");
    let left = fixture.sealed.inmates();
    assert!(!left.iter().any(|one| one.command.starts_with("sleep")), "its commands are ended: {left:?}");
    fixture.sealed.orch(["task", "interrupt", &id]).code_is(7);
    let sent = fixture.send(&id, "not that: SCENARIO:commit-file name=quick.txt");
    assert_ne!(sent["state"], "refused", "{sent}");
    let task = fixture.until(&id, "done");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("prompt")), "{task:#}");
    assert_eq!(task["attempts"], 1, "{task:#}");
    let sessions = sessions(&task);
    assert_eq!((sessions.len(), sessions[0]), (2, sessions[1]), "{task:#}");
    assert!(fixture.repo.show("main", "quick.txt").is_some());
    assert_eq!(fixture.transcripts(&id).matches("— message from you: not that").count(), 1);
    fixture.close();
}

/// An agent without input receives the message with its next turn, which comes before the task is done.
fn waits_for_the_next_turn(agent: Agent, settings: &[[&str; 2]]) {
    let mut fixture = Fixture::new(agent);
    for [key, value] in settings {
        fixture.sealed.orch(["config", "set", key, value]).ok();
    }
    let id = fixture.add("Held", "SCENARIO:held gate=g name=one.txt");
    fixture.sealed.serve();
    fixture.server.wait_for_rule("held", RUN);
    let sent = fixture.send(&id, "and then SCENARIO:commit-file name=two.txt");
    assert_eq!(receipt(&sent), ("queued", None), "{sent}");
    assert!(sent["detail"].as_str().is_some_and(|d| d.contains("takes no messages while it works")), "{sent}");
    fixture.server.open("g");
    let task = fixture.until(&id, "done");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("prompt")), "{task:#}");
    let sessions = sessions(&task);
    assert_eq!((sessions.len(), sessions[0]), (2, sessions[1]), "{task:#}");
    assert!(fixture.repo.show("main", "one.txt").is_some() && fixture.repo.show("main", "two.txt").is_some());
    fixture.close();
}

#[test]
fn codex_without_a_live_conversation_gets_a_message_with_its_next_turn() {
    waits_for_the_next_turn(Agent::Codex, &[["agents.codex.live", "false"]]);
}

#[test]
fn claude_without_a_live_conversation_gets_a_message_with_its_next_turn() {
    waits_for_the_next_turn(Agent::Claude, &[["agents.claude.live", "false"]]);
}

#[test]
fn opencode_without_a_live_conversation_gets_a_message_with_its_next_turn() {
    waits_for_the_next_turn(Agent::Opencode, &[["agents.opencode.live", "false"]]);
}

/// Ends the turn of an agent without input, and continues.
fn is_interrupted(agent: Agent) {
    let mut fixture = Fixture::new(agent);
    let id = fixture.add("Take an hour", "SCENARIO:busy");
    fixture.sealed.serve();
    fixture.until_made(&id, "started.txt");
    fixture.sealed.orch(["task", "interrupt", &id]).ok();
    let task = fixture.until(&id, "needs_review");
    assert!(task["question"].as_str().is_some_and(|question| question.starts_with("interrupted by you")), "{task:#}");
    fixture.send(&id, "not that: SCENARIO:commit-file name=quick.txt");
    let task = fixture.until(&id, "done");
    let sessions = sessions(&task);
    assert_eq!((sessions.len(), sessions[0]), (2, sessions[1]), "{task:#}");
    fixture.close();
}

#[test]
fn codex_is_interrupted_and_goes_on_in_the_same_conversation() {
    is_interrupted(Agent::Codex);
}

#[test]
fn opencode_is_interrupted_and_goes_on_in_the_same_conversation() {
    is_interrupted(Agent::Opencode);
}

#[test]
fn an_interrupted_opencode_leaves_nothing_behind_and_hears_in_its_next_turn_what_it_had_not_heard() {
    let mut fixture = Fixture::new(Agent::Opencode);
    let id = fixture.add("Take an hour", "SCENARIO:busy");
    fixture.sealed.serve();
    fixture.until_made(&id, "started.txt");
    assert!(fixture.sealed.inmates().iter().any(|one| one.command.contains(SERVER)), "it is live");
    let wish = "not that: SCENARIO:commit-file name=quick.txt";
    fixture.sealed.orch(["task", "send", &id, wish, "--no-wait"]).ok();
    fixture.until_opencode_keeps(wish);
    fixture.sealed.orch(["task", "interrupt", &id]).ok();
    let task = fixture.until(&id, "done");
    assert_eq!(task["runs"][0]["outcome"]["state"], "cancelled", "{task:#}");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("prompt")), "{task:#}");
    let sessions = sessions(&task);
    assert_eq!((sessions.len(), sessions[0]), (2, sessions[1]), "{task:#}");
    let last = fixture.server.requests().last().expect("requests").asked.body.to_string();
    assert_eq!(last.matches("not that").count(), 1, "said once: {last}");
    for what in [SERVER, "__opencode", "sleep 3600"] {
        fixture.until_gone(what);
    }
    fixture.close();
}

/// How a server of opencode is known.
const SERVER: &str = "opencode serve";

/// A message that opencode keeps in the conversation and that no model was asked with, when `victim` dies.
fn is_said_once_though_it_was_kept_when_somebody_died(victim: &str) {
    let mut fixture = Fixture::new(Agent::Opencode);
    let id = fixture.add("Call the service", "SCENARIO:steered");
    fixture.sealed.serve();
    fixture.until_made(&id, "begun");
    fixture.sealed.orch(["task", "send", &id, WISH, "--no-wait"]).ok();
    fixture.until_opencode_keeps(WISH);
    fixture.kill(victim);
    fixture.until_gone("while [ ! -e go ]");
    let task = fixture.until(&id, "done");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("prompt")), "{task:#}");
    assert_eq!((sessions(&task).len(), task["messages"].as_array().map(Vec::len)), (2, Some(1)), "{task:#}");
    assert!(fixture.repo.show("main", "api.txt").is_some());
    let last = fixture.server.requests().last().expect("requests").asked.body.to_string();
    assert_eq!(last.matches(WISH).count(), 1, "said once: {last}");
    fixture.until_gone(SERVER);
    fixture.close();
}

#[test]
fn what_opencode_kept_and_did_not_hear_is_said_once_after_its_runner_was_killed() {
    is_said_once_though_it_was_kept_when_somebody_died("__run");
}

#[test]
fn what_opencode_kept_and_did_not_hear_is_said_once_after_the_bridge_was_killed() {
    is_said_once_though_it_was_kept_when_somebody_died("__opencode");
}

#[test]
fn a_message_answers_the_question_of_an_agent() {
    let mut fixture = Fixture::new(Agent::Claude);
    let id = fixture.add("Ask a person", "SCENARIO:needs-review");
    fixture.sealed.serve();
    fixture.until(&id, "needs_review");
    fixture.send(&id, "yes, keep it: SCENARIO:commit-file name=kept.txt");
    let task = fixture.until(&id, "done");
    assert!(fixture.repo.show("main", "kept.txt").is_some(), "{task:#}");
    fixture.close();
}

#[test]
fn a_message_is_not_lost_when_the_daemon_dies_before_claude_hears_it() {
    outlives_the_daemon(Agent::Claude);
}

#[test]
fn a_message_is_not_lost_when_the_daemon_dies_before_opencode_hears_it() {
    outlives_the_daemon(Agent::Opencode);
}

fn outlives_the_daemon(agent: Agent) {
    let mut fixture = Fixture::new(agent);
    let id = fixture.add("Call the service", "SCENARIO:steered");
    fixture.sealed.serve();
    fixture.until_made(&id, "begun");
    fixture.sealed.kill_daemon();
    // Without a daemon the command itself hands it over: the agent's runner lives.
    let sent = fixture.sealed.orch(["task", "send", &id, "please use the new API", "--no-wait", "--json"]).ok().json();
    assert_eq!(receipt(&sent), ("queued", None), "{sent}");
    fixture.sealed.serve();
    crate::kit::write_file(&fixture.work(&id, "go"), "");
    let task = fixture.until(&id, "done");
    assert_eq!(task["summary"], "used the new API", "{task:#}");
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("live")), "{task:#}");
    fixture.close();
}

#[test]
fn messages_that_nobody_can_read_are_refused_with_the_reason() {
    let fixture = Fixture::new(Agent::Claude);
    let id = fixture.add("Commit a file", "SCENARIO:commit-file name=one.txt");
    let refused = |ran: Ran, code: i32, why: &str| {
        let ran = ran.code_is(code);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    };
    refused(fixture.sealed.orch(["task", "send", "99", "hello"]), 3, "no task 99");
    refused(fixture.sealed.orch(["task", "send", &id, "  "]), 2, "the message is empty");
    refused(fixture.sealed.orch(["task", "send", &id, &"x".repeat(40_000)]), 2, "32000");
    // Of a task that has not begun, the first run begins with it.
    let sent =
        fixture.sealed.run_program(ORCH).args(["task", "send", &id, "-", "--json"]).stdin("from stdin").run().ok();
    assert_eq!(receipt(&sent.json()), ("queued", None));
    fixture.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(0);
    let task = fixture.show(&id);
    assert_eq!(receipt(&task["messages"][0]), ("delivered", Some("prompt")), "{task:#}");
    refused(fixture.sealed.orch(["task", "send", &id, "too late"]), 7, "task is done");
    let waits = fixture.add("Given up", "SCENARIO:commit-file");
    fixture.send(&waits, "hello");
    fixture.sealed.orch(["task", "cancel", &waits]).ok();
    let message = &fixture.show(&waits)["messages"][0];
    assert_eq!(
        (receipt(message).0, message["detail"].as_str()),
        ("refused", Some("not delivered: the task was cancelled"))
    );
    fixture.close();
}
