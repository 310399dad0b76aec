//! The contract between the scripted model server and the real agent CLIs: each of them, started by itself, does
//! against the server what it does against its provider. Where a test fails here, no end-to-end test can be trusted.

use crate::kit::clis::Agent;
use crate::kit::model_server::choose::{Counters, Reply, choose};
use crate::kit::model_server::{Action, Asked, FailKind, ModelServer, Protocol, Rule, Script};
use crate::kit::process::{Program, Ran};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use serde_json::{Value, json};

/// One CLI in a box with a repository, and the server that it talks to.
struct Fixture {
    agent: Agent,
    server: ModelServer,
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new(agent: Agent) -> Self {
        Self::with(agent, Script::standard())
    }

    fn with(agent: Agent, script: Script) -> Self {
        let server = ModelServer::start(script);
        let mut sealed = SealedBox::new();
        sealed.with_agents(&[agent], &server, "");
        let main = sealed.repo("shop");
        let repo = main.worktree(&sealed.base().join("linked"), "work");
        Self { agent, server, sealed, repo }
    }

    fn program(&self, args: Vec<String>, prompt: &str) -> Program {
        self.sealed.run_program_in(self.agent.name(), self.repo.dir()).args(args).stdin(prompt)
    }

    fn run(&self, prompt: &str) -> Ran {
        self.program(self.agent.run_args(), prompt).run()
    }

    /// The server was asked nothing that it does not know, and nothing of the box is left running.
    fn finish(self) {
        assert_eq!(self.server.strays(), Vec::<String>::new());
        self.sealed.finish();
    }
}

/// Returns the agent's final text from its events.
fn final_text(agent: Agent, ran: &Ran) -> String {
    let said = |line: &Value| match agent {
        Agent::Claude => line["result"].as_str().map(str::to_owned),
        Agent::Codex => {
            line["item"]["text"].as_str().filter(|_| line["item"]["type"] == "agent_message").map(str::to_owned)
        }
        Agent::Opencode => line["part"]["text"].as_str().map(str::to_owned),
    };
    ran.json_lines().iter().filter_map(said).next_back().unwrap_or_else(|| panic!("no final text: {ran}"))
}

/// The id of the conversation.
fn session(agent: Agent, ran: &Ran) -> String {
    let key = match agent {
        Agent::Claude => "session_id",
        Agent::Codex => "thread_id",
        Agent::Opencode => "sessionID",
    };
    let id = ran.json_lines().iter().find_map(|line| line[key].as_str().map(str::to_owned));
    id.unwrap_or_else(|| panic!("no session: {ran}"))
}

fn answers_and_goes_on(agent: Agent) {
    let fixture = Fixture::new(agent);
    let first = fixture.run("SCENARIO:text").ok();
    assert!(final_text(agent, &first).starts_with("plain answer of "), "{first}");
    let args = agent.resume_args(&session(agent, &first));
    let second = fixture.program(args, "SCENARIO:thinking, if you please").run().ok();
    assert_eq!(final_text(agent, &second), "thought answer");
    let requests = fixture.server.requests();
    let last = &requests.last().expect("the CLI asked").asked;
    assert_eq!(
        last.turns.iter().map(|turn| turn.trim()).collect::<Vec<_>>(),
        ["SCENARIO:text", "SCENARIO:thinking, if you please"]
    );
    assert!(last.stream && requests.iter().all(|seen| seen.authorized));
    fixture.finish();
}

fn commits_in_a_linked_worktree(agent: Agent) {
    let fixture = Fixture::new(agent);
    let ran = fixture.run("Please do this:\nSCENARIO:commit-file name=src/new.txt text=fresh").ok();
    let report: Value = serde_json::from_str(&final_text(agent, &ran)).expect("a report");
    assert_eq!((&report["status"], &report["files_changed"]), (&json!("done"), &json!(["src/new.txt"])));
    assert_eq!(fixture.repo.subjects("work"), ["Add src/new.txt", "Begin"]);
    assert_eq!(fixture.repo.read("src/new.txt"), "fresh\n");
    let steps: Vec<usize> = fixture.server.requests().iter().map(|seen| seen.step).collect();
    assert_eq!(steps, [0, 1]);
    fixture.finish();
}

fn learns_of_a_command_that_fails(agent: Agent) {
    let fixture = Fixture::new(agent);
    let ran = fixture.run("SCENARIO:tool-fails").ok();
    assert_eq!(final_text(agent, &ran), "The command failed.");
    let requests = fixture.server.requests();
    let result = &requests.last().expect("the CLI asked").asked.results[0];
    assert!(result.text.contains("oops"), "{result:?}");
    fixture.finish();
}

fn is_refused_with_a_wrong_key(agent: Agent) {
    let fixture = Fixture::new(agent);
    let ran = fixture.run("SCENARIO:auth-401").code_is(1);
    assert!(ran.stdout.contains("401"), "{ran}");
    assert!(fixture.server.requests().iter().all(|seen| seen.is("auth-401")));
    fixture.finish();
}

fn is_held_at_a_gate(agent: Agent) {
    let fixture = Fixture::with(
        agent,
        Script::default().first(Rule::on("WAIT").step(Action::Text("let go".into()).behind("here"))),
    );
    let mut running = fixture.program(agent.run_args(), "WAIT").start();
    fixture.server.wait_for_rule("WAIT", RUN);
    assert!(running.is_running());
    fixture.server.open("here");
    let ran = running.finish(RUN).ok();
    assert_eq!(final_text(agent, &ran), "let go");
    fixture.finish();
}

fn knows_each_refusal(agent: Agent, cases: &[(FailKind, &str)]) {
    let fixture = Fixture::new(agent);
    for (kind, sign) in cases {
        fixture.server.follow(Script { otherwise: Some(Action::fail(*kind)), ..Script::default() });
        let ran = fixture.run("go").code_is(1);
        assert!(ran.stdout.contains(sign), "{kind:?}: {ran}");
    }
    fixture.finish();
}

macro_rules! contract_of {
    ($module:ident, $agent:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn answers_and_goes_on_with_a_conversation() {
                answers_and_goes_on($agent);
            }

            #[test]
            fn commits_in_a_linked_worktree_and_reports() {
                commits_in_a_linked_worktree($agent);
            }

            #[test]
            fn tells_the_model_of_a_command_that_fails() {
                learns_of_a_command_that_fails($agent);
            }

            #[test]
            fn is_refused_with_a_wrong_key() {
                super::is_refused_with_a_wrong_key($agent);
            }

            #[test]
            fn is_held_at_a_gate_as_long_as_the_test_wants() {
                is_held_at_a_gate($agent);
            }
        }
    };
}

contract_of!(claude, Agent::Claude);
contract_of!(codex, Agent::Codex);
contract_of!(opencode, Agent::Opencode);

const SCHEMA: &str = r#"{"type":"object","properties":{"status":{"type":"string"},"summary":{"type":"string"}},"required":["status","summary"]}"#;

#[test]
fn claude_takes_a_structured_answer_through_its_tool() {
    let fixture = Fixture::new(Agent::Claude);
    let mut args = Agent::Claude.run_args();
    args.splice(1..1, ["--json-schema".to_owned(), SCHEMA.to_owned()]);
    let ran = fixture.program(args, "SCENARIO:commit-file").run().ok();
    let result = ran.json_lines().into_iter().find(|line| line["type"] == "result").expect("a result");
    assert_eq!(result["structured_output"]["summary"], "added hello.txt");
    fixture.finish();
}

#[test]
fn claude_ends_without_a_structured_answer_when_the_model_keeps_to_prose() {
    let fixture = Fixture::new(Agent::Claude);
    let mut args = Agent::Claude.run_args();
    args.splice(1..1, ["--json-schema".to_owned(), SCHEMA.to_owned()]);
    let ran = fixture.program(args, "SCENARIO:malformed").run().ok();
    let result = ran.json_lines().into_iter().find(|line| line["type"] == "result").expect("a result");
    assert!(result["structured_output"].is_null(), "{ran}");
    fixture.finish();
}

#[test]
fn codex_hands_on_the_schema_and_the_answer() {
    let fixture = Fixture::new(Agent::Codex);
    let schema = fixture.sealed.root().join("schema.json");
    crate::kit::write_file(&schema, SCHEMA);
    let mut args = Agent::Codex.run_args();
    args.splice(1..1, ["--output-schema".to_owned(), schema.to_string_lossy().into_owned()]);
    let ran = fixture.program(args, "SCENARIO:no-change").run().ok();
    let report: Value = serde_json::from_str(&final_text(Agent::Codex, &ran)).expect("a report");
    assert_eq!(report["status"], "done");
    let body = &fixture.server.requests()[0].asked.body;
    assert_eq!(body["text"]["format"]["schema"]["required"], json!(["status", "summary"]));
    fixture.finish();
}

#[test]
fn claude_and_codex_recognize_every_refusal() {
    let claude = [
        (FailKind::Forbidden, "\"authentication_failed\""),
        (FailKind::ModelNotFound, "\"model_not_found\""),
        (FailKind::RateLimit, "\"rate_limit\""),
        (FailKind::Billing, "\"billing_error\""),
        (FailKind::Overloaded, "529"),
        (FailKind::ServerError, "\"server_error\""),
        (FailKind::Context, "Prompt is too long"),
    ];
    knows_each_refusal(Agent::Claude, &claude);
    let codex = [
        (FailKind::Forbidden, "403 Forbidden"),
        (FailKind::ModelNotFound, "does not exist or you do not have access"),
        (FailKind::RateLimit, "429 Too Many Requests"),
        (FailKind::UsageLimit, "hit your usage limit"),
        (FailKind::Quota, "Quota exceeded"),
        (FailKind::Overloaded, "at capacity"),
        (FailKind::ServerError, "high demand"),
        (FailKind::Context, "ran out of room"),
    ];
    knows_each_refusal(Agent::Codex, &codex);
}

#[test]
fn claude_with_a_subscription_learns_when_its_limit_resets() {
    let mut fixture = Fixture::new(Agent::Claude);
    fixture.sealed.unset("ANTHROPIC_API_KEY");
    fixture.sealed.set("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-dummy");
    let ran = fixture.run("SCENARIO:usage-limit").code_is(1);
    let event =
        ran.json_lines().into_iter().find(|line| line["type"] == "rate_limit_event").expect("a rate limit event");
    assert_eq!(event["rate_limit_info"]["status"], "rejected");
    assert!(event["rate_limit_info"]["resetsAt"].as_i64().is_some_and(|at| at > 1_700_000_000), "{event}");
    fixture.finish();
}

#[test]
fn broken_answers_reach_the_clis_as_such() {
    for (agent, scenario, sign) in [
        (Agent::Claude, "stream-overloaded", "Overloaded"),
        (Agent::Claude, "malformed-html", "empty or malformed response"),
        (Agent::Codex, "drop", "stream disconnected"),
        (Agent::Codex, "stream-context", "ran out of room"),
    ] {
        let fixture = Fixture::new(agent);
        let ran = fixture.run(&format!("SCENARIO:{scenario}")).code_is(1);
        assert!(ran.stdout.contains(sign), "{agent:?} {scenario}: {ran}");
        fixture.finish();
    }
}

#[test]
fn a_dropped_answer_is_asked_for_again_and_given() {
    let fixture = Fixture::new(Agent::Claude);
    let ran = fixture.run("SCENARIO:drop-once").ok();
    assert_eq!(final_text(Agent::Claude, &ran), "answered after one drop");
    assert_eq!(fixture.server.requests().iter().map(|seen| seen.asked.stream).collect::<Vec<_>>(), [true, false]);
    fixture.finish();
}

#[test]
fn an_agent_that_hangs_is_ended_with_the_box() {
    let fixture = Fixture::new(Agent::Codex);
    let running = fixture.program(Agent::Codex.run_args(), "SCENARIO:hang").start();
    fixture.server.wait_for_rule("hang", RUN);
    assert!(!fixture.sealed.inmates().is_empty());
    drop(fixture);
    let mut running = running;
    wait_until("the agent to be gone", RUN, || !running.is_running());
}

/// Returns the commands that the standard script runs for `word`, without any CLI.
fn commands_of(script: &Script, prompt: &str) -> Vec<String> {
    let mut messages = vec![json!({"role": "user", "content": prompt})];
    let mut commands = Vec::new();
    loop {
        let body = json!({"model": "m", "messages": messages, "tools": [{"name": "Bash"}]});
        let chosen = choose(script, &Asked::read(Protocol::Messages, body), &mut Counters::new());
        let Reply::Speak(speech) = chosen.reply else { panic!("{prompt}: no speech") };
        let Some(call) = speech.call else { return commands };
        commands.push(call.input["command"].as_str().expect("a command").to_owned());
        messages.push(json!({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": call.name}]}));
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": ""}]}));
    }
}

#[test]
fn the_commands_of_the_standard_work_run_in_a_worktree() {
    let script = Script::standard();
    let sealed = SealedBox::awkward();
    let main = sealed.repo("shop");
    for (index, work) in [
        "commit-file name=a/b.txt",
        "held",
        "held-end",
        "uncommitted",
        "fix-on-second",
        "fix-on-second CHECK-FAILED",
        "never-right",
        "malformed",
        "malformed-always",
        "in-progress",
        "delegate",
        "conflict text=theirs",
        "main-dir-write",
        "background",
    ]
    .into_iter()
    .enumerate()
    {
        let repo = main.worktree(&sealed.base().join(format!("linked-{index}")), &format!("work-{index}"));
        let commands = commands_of(&script, &format!("Task: SCENARIO:{work}"));
        assert!(!commands.is_empty(), "{work}");
        for command in commands {
            sealed.run_program_in("sh", repo.dir()).args(["-c", &command]).run().ok();
        }
        let committed = repo.subjects("HEAD").len() > 1;
        assert_eq!(committed, work != "uncommitted", "{work}");
    }
    assert_eq!(main.read("intruder.txt"), "intruder\n");
    assert!(sealed.inmates().iter().any(|inmate| inmate.command.contains("sleep 3600")));
}
