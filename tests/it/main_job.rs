//! Tests the main workflow with the real agent CLIs and the scripted model server: from a task to a merged commit, and
//! all ways in which an agent's report may differ from the facts.

use crate::kit::clis::Agent;
use crate::kit::model_server::{ModelServer, Script};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{self, RUN};
use serde_json::Value;

/// Fails with the text that the scripted model reacts to while `fix.txt` is wrong.
const CHECK: &str = "if grep -qs wrong fix.txt never.txt; then echo CHECK-FAILED: must not say wrong; exit 1; fi\n";

/// A box with these agents, a repository that is registered, and its check.
struct Fixture {
    sealed: SealedBox,
    server: ModelServer,
    repo: Repo,
}

impl Fixture {
    fn new(agents: &[Agent], config: &str) -> Self {
        let server = ModelServer::start(Script::standard());
        let mut sealed = SealedBox::new();
        let base = "workflow: {integrate: merge, checks: [sh check.sh], max_attempts: 2}\nengine: {max_parallel: 2}\n";
        sealed.with_agents(agents, &server, &format!("{base}{config}"));
        let repo = sealed.repo("shop");
        repo.write("check.sh", CHECK);
        repo.commit("Add the check");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, server, repo }
    }

    /// Adds a task and returns its id.
    fn add(&self, title: &str, body: &str, labels: &[&str]) -> String {
        let mut args = vec!["task", "add", title, "-b", body, "--json"];
        args.extend(labels.iter().flat_map(|label| ["-l", label]));
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn until_idle(&self, code: i32) {
        let ran = self.sealed.run_program(crate::kit::sealed_box::ORCH).args(["serve", "--until-idle"]);
        ran.deadline(RUN * 2).run().code_is(code);
    }

    /// Ends the test: nothing may be left running.
    fn close(self) {
        drop(self.server);
        self.sealed.finish();
    }
}

fn work(task: &Value) -> impl Iterator<Item = &Value> {
    task["runs"].as_array().expect("runs").iter().filter(|run| run["kind"] == "work")
}

fn classes(task: &Value) -> Vec<String> {
    work(task).map(|run| run["outcome"]["class"].as_str().unwrap_or("finished").to_owned()).collect()
}

/// How every run of the task ended, with the details of the failures, and then all of it.
fn story(task: &Value) -> String {
    let runs: String = work(task).map(|run| format!("  {}: {}\n", run["run_id"], run["outcome"])).collect();
    format!("task {} is {} after {} attempts:\n{runs}{task:#}", task["id"], task["status"], task["attempts"])
}

/// Tests all reports of an agent, for one agent.
fn words_and_facts(agent: Agent) {
    let fixture = Fixture::new(&[agent], "");
    let label = format!("agent:{}", agent.name());
    let labels = [label.as_str(), "complexity:simple"];
    let add = |title: &str, scenario: &str| fixture.add(title, scenario, &labels);
    let good = add("Commit a file", "SCENARIO:commit-file name=one.txt");
    let left = add("Leave it uncommitted", "SCENARIO:uncommitted name=two.txt");
    let idle = add("Change nothing", "SCENARIO:no-change");
    let fixed = add("Fix it the second time", "SCENARIO:fix-on-second name=fix.txt");
    let prose = add("Answer in prose first", "SCENARIO:malformed name=prose.txt");
    let asks = add("Ask a person", "SCENARIO:needs-review");
    let server = add("Leave a process behind", "SCENARIO:background name=bg.txt");
    fixture.until_idle(5);

    for (id, file) in [(&good, "one.txt"), (&left, "two.txt"), (&prose, "prose.txt"), (&server, "bg.txt")] {
        let task = fixture.show(id);
        assert_eq!(task["status"], "done", "{}", story(&task));
        assert_eq!(task["attempts"], 1, "{}", story(&task));
        assert_eq!(task["integration"]["state"], "merged", "{}", story(&task));
        assert!(fixture.repo.show("main", file).is_some(), "{file} is not on main");
    }
    let prose = fixture.show(&prose);
    assert_eq!(classes(&prose), ["malformed", "finished"], "{}", story(&prose));
    let notes = fixture.show(&left)["evidence"]["notes"].to_string();
    assert!(notes.contains("uncommitted"), "{notes}");

    let idle = fixture.show(&idle);
    assert_eq!(
        (idle["status"].as_str(), classes(&idle)),
        (Some("needs_review"), vec!["no_change".into(), "no_change".into()]),
        "{}",
        story(&idle)
    );

    let fixed = fixture.show(&fixed);
    assert_eq!((fixed["status"].as_str(), fixed["attempts"].as_u64()), (Some("done"), Some(2)), "{}", story(&fixed));
    assert_eq!(classes(&fixed), ["checks_failed", "finished"], "{}", story(&fixed));
    let sessions: Vec<&Value> = fixed["runs"].as_array().expect("runs").iter().map(|run| &run["session_id"]).collect();
    assert_eq!(sessions[0], sessions[1], "the second attempt goes on in the same conversation");

    let asks = fixture.show(&asks);
    assert_eq!(asks["status"], "needs_review", "{}", story(&asks));
    assert!(asks["question"].as_str().is_some_and(|q| !q.is_empty()), "{}", story(&asks));
    fixture.close();
}

#[test]
fn words_and_facts_with_claude() {
    words_and_facts(Agent::Claude);
}

#[test]
fn words_and_facts_with_codex() {
    words_and_facts(Agent::Codex);
}

#[test]
fn words_and_facts_with_opencode() {
    words_and_facts(Agent::Opencode);
}

#[test]
fn a_run_of_codex_costs_its_tokens_at_the_catalogs_prices_and_counts_in_every_limit() {
    let prices = "models: {openai/fake-model: {input_usd_per_mtok: 1000, cached_input_usd_per_mtok: 100, \
                  output_usd_per_mtok: 5000}}\n";
    let fixture = Fixture::new(&[Agent::Codex], prices);
    let labels = ["agent:codex", "complexity:simple"];
    let id = fixture.add("Commit a file", "SCENARIO:commit-file name=one.txt", &labels);
    fixture.until_idle(0);
    let task = fixture.show(&id);
    let run = work(&task).next().expect("a run");
    let tokens = |name: &str| run["tokens"][name].as_f64().unwrap_or_default();
    let dollars = (tokens("input") * 1000.0 + tokens("cached") * 100.0 + tokens("output") * 5000.0) / 1e6;
    assert!(dollars > 0.0, "{}", story(&task));
    let cost = run["cost_usd"].as_f64().expect("a price");
    assert!((cost - dollars).abs() < 1e-5, "{cost} is not {dollars}: {}", story(&task));
    assert_eq!(
        (&run["cost_computed"], task["cost_usd"].as_f64()),
        (&Value::Bool(true), Some(cost)),
        "{}",
        story(&task)
    );
    let view = fixture.sealed.orch(["cost", "--json"]).ok().json();
    let total = &view["total"];
    assert_eq!(
        (total["cost_usd"].as_f64(), &total["unpriced"], &total["computed"]),
        (Some(cost), &0.into(), &1.into())
    );
    let page = fixture.sealed.orch(["cost"]).ok().stdout;
    assert!(page.contains("~$") && page.contains("computed"), "{page}");
    fixture.sealed.orch(["config", "set", "budget.per_day", &format!("{:.6}", cost / 2.0)]).ok();
    fixture.sealed.orch(["budget", "check"]).code_is(2);
    fixture.close();
}

/// OpenCode sleeps through a pause that its provider names, however long it is.
#[test]
fn a_cli_that_would_sleep_for_an_hour_is_ended_and_its_task_waits_without_a_slot() {
    let mut fixture = Fixture::new(&[Agent::Opencode], "router: {agents: [opencode]}\n");
    let id = fixture.add("Be limited", "SCENARIO:rate-limit-long", &["agent:opencode", "complexity:simple"]);
    fixture.sealed.serve();
    let hold = || fixture.show(&id)["hold"].clone();
    wait::wait_until("the task to wait for its provider", RUN, || hold()["reason"] == "rate_limited");
    let until: jiff::Timestamp = hold()["until"].as_str().expect("a time").parse().expect("a time");
    let now = orch_sys::clock::Clock::now(&orch_sys::clock::SystemClock);
    let minutes = until.duration_since(now).as_mins();
    assert!((50..=60).contains(&minutes), "{minutes} minutes: {}", story(&fixture.show(&id)));
    let status = fixture.sealed.orch(["status", "--json"]).ok().json();
    assert_eq!(status["running"].as_array().map(Vec::len), Some(0), "{status:#}");
    fixture.close();
}

#[test]
fn the_router_is_asked_and_its_answer_decides() {
    let fixture = Fixture::new(&[Agent::Claude, Agent::Codex], "");
    let to_codex =
        fixture.add("Go to codex", "ROUTE-TO:codex ROUTE-COMPLEXITY:simple SCENARIO:commit-file name=a.txt", &[]);
    let prose = fixture.add("Router talks prose", "ROUTE:prose SCENARIO:commit-file name=b.txt", &[]);
    let unknown = fixture.add("Router names a stranger", "ROUTE:unknown-agent SCENARIO:commit-file name=c.txt", &[]);
    let complexity =
        fixture.add("Router invents a complexity", "ROUTE:unknown-complexity SCENARIO:commit-file name=d.txt", &[]);
    let empty = fixture.add("Router says nothing", "ROUTE:empty SCENARIO:commit-file name=e.txt", &[]);
    let looked = fixture.sealed.orch(["task", "route", &to_codex, "--json"]).ok().json();
    assert_eq!((looked["agent"].as_str(), looked["complexity"].as_str()), (Some("codex"), Some("simple")));
    assert_eq!(fixture.show(&to_codex)["status"], "new", "asking changes nothing");
    fixture.until_idle(0);
    let task = fixture.show(&to_codex);
    assert_eq!(task["route"]["agent"], "codex");
    assert!(!task["route"]["warning"].to_string().contains("router failed"), "{}", story(&task));
    for id in [&prose, &unknown, &complexity, &empty] {
        let task = fixture.show(id);
        assert_eq!(task["status"], "done", "{}", story(&task));
        assert_eq!(task["route"]["agent"], "codex", "the fallback executor: {}", story(&task));
        assert!(task["route"]["warning"].as_str().is_some_and(|w| w.contains("router failed")), "{}", story(&task));
    }
    fixture.close();
}

#[test]
fn a_router_that_hangs_is_left_after_its_time() {
    let fixture = Fixture::new(&[Agent::Claude], "router: {timeout_seconds: 3, fallback_executor: claude}\n");
    let id = fixture.add("Router hangs", "ROUTE:hang SCENARIO:commit-file name=a.txt", &[]);
    fixture.until_idle(0);
    let task = fixture.show(&id);
    assert_eq!(task["status"], "done", "{}", story(&task));
    assert!(task["route"]["warning"].as_str().is_some(), "{}", story(&task));
    fixture.close();
}

#[test]
fn a_daemon_that_is_killed_during_a_run_loses_and_doubles_nothing() {
    let mut fixture = Fixture::new(&[Agent::Claude], "");
    let id = fixture.add("Held", "SCENARIO:held gate=g name=held.txt", &["agent:claude"]);
    fixture.sealed.serve();
    fixture.server.wait_for_rule("held", RUN);
    fixture.sealed.kill_daemon();
    fixture.server.open("g");
    fixture.sealed.serve();
    wait::wait_until("the task to be done", RUN, || fixture.show(&id)["status"] == "done");
    let task = fixture.show(&id);
    assert_eq!(task["runs"].as_array().map(Vec::len), Some(1), "{}", story(&task));
    assert!(fixture.repo.show("main", "held.txt").is_some());
    fixture.close();
}

#[test]
fn an_agent_that_ends_while_no_daemon_lives_is_judged_when_one_comes() {
    let mut fixture = Fixture::new(&[Agent::Claude], "");
    let id = fixture.add("Held", "SCENARIO:held gate=g name=held.txt", &["agent:claude"]);
    fixture.sealed.serve();
    fixture.server.wait_for_rule("held", RUN);
    fixture.sealed.kill_daemon();
    let before = fixture.sealed.inmates().len();
    fixture.server.open("g");
    wait::wait_until("the agent to end", RUN, || fixture.sealed.inmates().len() < before);
    fixture.sealed.serve();
    wait::wait_until("the task to be done", RUN, || fixture.show(&id)["status"] == "done");
    assert_eq!(fixture.show(&id)["runs"].as_array().map(Vec::len), Some(1));
    fixture.close();
}

/// Either the CLI's own rules keep the agent out, or the comparison afterwards finds what it did.
fn writes_into_the_main_checkout(agent: Agent) {
    let fixture = Fixture::new(&[agent], "");
    let label = format!("agent:{}", agent.name());
    let id = fixture.add("Write outside", "SCENARIO:main-dir-write name=a.txt", &[&label]);
    fixture.sealed.run_program(crate::kit::sealed_box::ORCH).args(["serve", "--until-idle"]).deadline(RUN).run();
    let task = fixture.show(&id);
    let kept_out = !fixture.repo.dir().join("intruder.txt").exists();
    let found = classes(&task).contains(&"sandbox_violation".to_owned());
    assert!(kept_out || found, "{}", story(&task));
    assert!(found || task["status"] == "done", "{}", story(&task));
    fixture.close();
}

#[test]
fn claude_cannot_change_the_main_checkout_unseen() {
    writes_into_the_main_checkout(Agent::Claude);
}

#[test]
fn codex_cannot_change_the_main_checkout_unseen() {
    writes_into_the_main_checkout(Agent::Codex);
}

#[test]
fn opencode_cannot_change_the_main_checkout_unseen() {
    writes_into_the_main_checkout(Agent::Opencode);
}
