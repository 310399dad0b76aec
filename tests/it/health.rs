//! Tests the health of agents: signs of life, reports and questions without them, and limits that end a run. Small
//! programs as agents, through the daemon.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use serde_json::Value;

/// A program that is silent and idle until something is written into the pipe `$1`.
const REST: &str = "rest() { [ -p \"$1\" ] || mkfifo \"$1\"; read -r gate < \"$1\"; }";

/// A box with one agent, `bot`, and a repository.
struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new(kind: &str, script: &str, config: &str) -> Self {
        let sealed = SealedBox::new();
        let base = sealed.base().display().to_string();
        sealed.program("bot", &format!("#!/bin/sh\nbase='{base}'\n{REST}\n{script}\n"));
        sealed.config(&format!("agents: {{bot: {{kind: {kind}, command: bot}}}}\n{config}"));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self, more: &[&str]) -> String {
        let args = [&["task", "add", "Do it", "-l", "agent:bot", "-l", "complexity:simple", "--json"], more].concat();
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn until(&self, id: &str, status: &str) -> Value {
        wait::wait_until(&format!("task {id} to be {status}"), RUN, || self.show(id)["status"] == status);
        self.show(id)
    }

    /// Returns the texts of a task's entries of this kind.
    fn events(&self, id: &str, kind: &str) -> Vec<String> {
        let lines = self.sealed.orch(["events", "--json", "--task", id]).ok().json_lines();
        let of_kind = lines.iter().filter(|line| line["kind"] == kind);
        of_kind.map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn until_reported(&self, id: &str, kind: &str) -> String {
        wait::wait_some(kind, RUN, || self.events(id, kind).pop())
    }

    /// Wakes a program that waits on this pipe.
    fn wake(&self, pipe: &str) {
        let line = format!("echo go > '{}/{pipe}'", self.sealed.base().display());
        self.sealed.run_program("sh").args(["-c", &line]).run().ok();
    }

    /// The class of the failure that ended the only run of a task that asks a person now.
    fn failed(&self, id: &str) -> (String, String) {
        let task = self.until(id, "needs_review");
        let outcome = &task["runs"][0]["outcome"];
        let text = |field: &str| outcome[field].as_str().unwrap_or_default().to_owned();
        (text("class"), text("detail"))
    }

    fn transcript(&self, id: &str) -> String {
        let path = self.show(id)["runs"][0]["transcript"].as_str().expect("a path").to_owned();
        std::fs::read_to_string(path).expect("a transcript")
    }
}

const COMMIT: &str = "echo x > made.txt; git add made.txt; git commit -qm 'Make it'; echo made it";

#[test]
fn an_agent_that_computes_without_a_word_is_healthy() {
    let script = format!("cat > /dev/null; timeout 5 sh -c 'while :; do :; done'; {COMMIT}");
    let config = "workflow: {silence_seconds: 2, max_attempts: 1}\nhealth_check: {max_retries: 0}\n";
    let mut fixture = Fixture::new("command", &script, config);
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    let task = fixture.until(&id, "done");
    assert_eq!(fixture.events(&id, "worker:stale"), [""; 0], "{task:#}");
    fixture.sealed.finish();
}

#[test]
fn an_agent_without_a_sign_of_life_is_reported_to_be_stale_and_back_when_it_speaks() {
    let script = format!("cat > /dev/null; rest $base/one; echo awake; rest $base/two; {COMMIT}");
    let mut fixture = Fixture::new("command", &script, "limits: {nudge_after_seconds: 2}\n");
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    let text = fixture.until_reported(&id, "worker:stale");
    assert!(text.starts_with("quiet for ") && text.ends_with(": no output, no processor time"), "{text}");
    let why = fixture.sealed.orch(["why", &id]).ok().stdout;
    assert!(why.contains("no processor time") && why.contains("stopped after 15 min of silence"), "{why}");
    let status = fixture.sealed.orch(["status", "--json"]).ok().json();
    assert_eq!(status["running"][0]["health"]["state"], "stale", "{status:#}");
    assert!(fixture.sealed.orch(["status"]).ok().stdout.contains("quiet for "));
    assert!(fixture.sealed.orch(["show", &id]).ok().stdout.contains("under way, quiet for "));
    assert_eq!(fixture.show(&id)["messages"], serde_json::json!([]), "it could hear of it only when it is over");
    fixture.wake("one");
    assert!(fixture.until_reported(&id, "worker:healthy").starts_with("at work again, after "));
    fixture.wake("two");
    let task = fixture.until(&id, "done");
    assert_eq!((fixture.events(&id, "worker:stale").len(), &task["runs"][0]["health"]), (1, &Value::Null), "{task:#}");
    fixture.sealed.finish();
}

/// Behaves like Claude Code, and continues when it receives a message.
const MUTE: &str = r#"
repeat() { printf '{"isReplay":true,%s\n' "${line#?}"; }
IFS= read -r line; echo '{"type":"system","subtype":"init","session_id":"s-1","model":"m"}'; repeat
IFS= read -r line; echo "$line" > "$base/heard"; repeat
echo x > made.txt; git add made.txt; git commit -qm 'Make it'
echo '{"type":"result","subtype":"success","is_error":false,"session_id":"s-1","result":"{\"status\":\"done\",\"summary\":\"made it\"}"}'
cat > /dev/null"#;

#[test]
fn a_live_agent_without_a_sign_of_life_is_asked_once_and_goes_on() {
    let mut fixture = Fixture::new("claude", MUTE, "limits: {nudge_after_seconds: 2}\n");
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    let task = fixture.until(&id, "done");
    let messages = task["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 1, "{task:#}");
    let [from, state, via] = ["from", "state", "via"].map(|field| messages[0][field].as_str());
    assert_eq!((from, state, via), (Some("orch"), Some("delivered"), Some("live")), "{task:#}");
    let heard = std::fs::read_to_string(fixture.sealed.base().join("heard")).expect("something");
    assert!(heard.contains("orch, which watches over your work on task 1, asks"), "{heard}");
    assert!(fixture.transcript(&id).contains("— message from orch: are you still at work? You are quiet for "));
    let events = fixture.sealed.orch(["events", "--task", &id, "--json"]).ok().json_lines();
    let asked: Vec<&Value> = events
        .iter()
        .filter(|line| line["text"].as_str().is_some_and(|text| text.contains("still at work?")))
        .collect();
    let [asked] = asked[..] else { panic!("one question in {events:#?}") };
    assert_eq!((asked["kind"].as_str(), asked["by"].as_str()), (Some("worker:asked"), Some("orch")), "{asked}");
    let runs = task["runs"].as_array().expect("runs").iter().filter(|run| run["kind"] == "work");
    assert_eq!(runs.count(), 1, "what orch asks is nothing to work on: {task:#}");
    fixture.sealed.finish();
}

#[test]
fn a_silence_is_ended_while_the_daemon_is_away_and_reported_when_it_is_back() {
    let script = "cat > /dev/null; echo begun; rest $base/never";
    let config = "workflow: {silence_seconds: 4, max_attempts: 1}\n\
                  limits: {nudge_after_seconds: 0}\nhealthCheck: {maxRetries: 1}\n";
    let mut fixture = Fixture::new("command", script, config);
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    wait::wait_until("the run", RUN, || fixture.show(&id)["runs"][0]["started_at"].is_string());
    fixture.sealed.kill_daemon();
    let run = fixture.show(&id)["runs"][0]["run_id"].as_str().expect("a run").to_owned();
    let outcome = fixture.sealed.orch_home().join(".orch/runs").join(run).join("outcome.json");
    wait::wait_until("the end", RUN, || outcome.exists());
    fixture.sealed.serve();
    let (class, detail) = fixture.failed(&id);
    assert_eq!((class.as_str(), detail.as_str()), ("stalled", "it printed nothing and did no work for 4 s"));
    assert_eq!((fixture.events(&id, "worker:stale").len(), fixture.events(&id, "worker:asked").len()), (1, 0));
    fixture.sealed.finish();
}

#[test]
fn who_wants_nothing_reported_of_health_has_the_limits_all_the_same() {
    let config = "workflow: {silence_seconds: 3, max_attempts: 1}\nhealth_check: {enabled: false, max_retries: 0}\n";
    let mut fixture = Fixture::new("command", "cat > /dev/null; rest $base/never", config);
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    assert_eq!(fixture.failed(&id).0, "stalled");
    assert_eq!(fixture.events(&id, "worker:stale"), [""; 0]);
    fixture.sealed.finish();
}

#[test]
fn an_agent_whose_runner_is_killed_is_reported_to_be_dead() {
    let mut fixture = Fixture::new("command", "cat > /dev/null; rest $base/never", "workflow: {max_attempts: 1}\n");
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    wait::wait_until("the agent", RUN, || fixture.sealed.base().join("never").exists());
    let runner = format!("{ORCH} __run ");
    let inmates = fixture.sealed.inmates();
    let victim = inmates.iter().find(|one| one.command.starts_with(&runner)).expect("a runner");
    let pid = rustix::process::Pid::from_raw(victim.pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    let text = fixture.until_reported(&id, "worker:dead");
    assert_eq!(text, format!("its runner (process {}) is gone without a report", victim.pid));
    assert_eq!(fixture.failed(&id).0, "crashed");
    fixture.sealed.finish();
}

#[test]
fn an_agent_that_takes_the_memory_is_stopped() {
    // tail keeps a last line in memory, however long it is.
    let script = "cat > /dev/null; echo begun; { head -c 300000000 /dev/zero; rest $base/never; } | tail > /dev/null";
    let config = "workflow: {max_attempts: 1}\nlimits: {memory_mb: 100}\n";
    let mut fixture = Fixture::new("command", script, config);
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    let (class, detail) = fixture.failed(&id);
    assert!(class == "memory" && detail.ends_with("95 are allowed"), "{class}: {detail}");
    fixture.sealed.finish();
}

#[test]
fn an_agent_that_floods_is_stopped_and_what_it_said_is_kept() {
    let script = "cat > /dev/null; echo first words; yes \"$(printf %01000d 0)\"";
    let config = "workflow: {max_attempts: 1}\nlimits: {output_mb: 1}\n";
    let mut fixture = Fixture::new("command", script, config);
    let id = fixture.add(&[]);
    fixture.sealed.serve();
    let (class, detail) = fixture.failed(&id);
    assert_eq!((class.as_str(), detail.as_str()), ("incomplete", "it printed more than 1000000 bytes"));
    assert!(fixture.transcript(&id).contains("first words\n0000"));
    fixture.sealed.finish();
}

#[test]
fn a_run_may_take_as_long_as_the_type_of_its_task_says() {
    let config = "workflow: {max_attempts: 1}\nlimits: {time_by_type: {docs: 1}}\n";
    let mut fixture = Fixture::new("command", "cat > /dev/null; rest $base/never", config);
    let id = fixture.add(&["--type", "Docs"]);
    fixture.sealed.serve();
    let (class, detail) = fixture.failed(&id);
    assert_eq!((class.as_str(), detail.as_str()), ("timeout", "it took longer than 1 s"));
    fixture.sealed.finish();
}
