//! Tests the bridge to opencode's server as a separate program, with the real opencode and the scripted model server:
//! what it prints, what it leaves behind, and that it never waits for a peer that is gone.

use crate::kit::clis::Agent;
use crate::kit::model_server::{ModelServer, Rule, Script};
use crate::kit::process::{Program, Ran};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, SOON, wait_some, wait_until};
use orch_core::models::agents::DialectKind;
use orch_core::tasks::outcome::{AgentEvent, Ending, Exit, FailureClass};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;

/// A box with opencode, a repository and a model.
struct Fixture {
    sealed: SealedBox,
    server: ModelServer,
    repo: Repo,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Script::standard())
    }

    fn with(script: Script) -> Self {
        let server = ModelServer::start(script);
        let mut sealed = SealedBox::new();
        sealed.with_agents(&[Agent::Opencode], &server, "");
        let repo = sealed.repo("shop");
        Self { sealed, server, repo }
    }

    /// Returns the bridge with these lines as input.
    fn bridge(&self, lines: &[Value]) -> Program {
        let program = self.sealed.bin().join(Agent::Opencode.name());
        self.bridge_to(program, lines)
    }

    fn bridge_to(&self, program: PathBuf, lines: &[Value]) -> Program {
        let program = program.to_str().expect("a path").to_owned();
        let args = ["__opencode", &program, "serve", "--hostname=127.0.0.1", "--port=0", "--print-logs"];
        let words: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let bridge = self.sealed.run_program_in(ORCH, self.repo.dir());
        bridge.args(args).args(["--log-level", "ERROR"]).stdin(words).deadline(RUN)
    }

    fn no_server_is_left(&self) {
        let left = || self.sealed.inmates().into_iter().filter(|one| one.command.contains("opencode serve")).count();
        wait_until("no server to be left", RUN, || left() == 0);
    }

    fn close(self) {
        self.no_server_is_left();
        drop(self.server);
        self.sealed.finish();
    }
}

fn open(prompt: &str) -> Value {
    open_with(prompt, &json!({}))
}

fn open_with(prompt: &str, opening: &Value) -> Value {
    let mut whole = json!({ "title": "task", "model": { "providerID": "fake", "modelID": "fake-model" } });
    for (name, value) in opening.as_object().expect("fields") {
        whole[name] = value.clone();
    }
    json!({ "do": "open", "opening": whole, "prompt": prompt })
}

fn kinds(ran: &Ran) -> Vec<String> {
    ran.json_lines().iter().map(|line| line["type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What orch makes of it.
fn read(ran: &Ran) -> (Vec<AgentEvent>, Ending) {
    let mut reader = DialectKind::Opencode.dialect().live_reader(&Value::Null).expect("it is live");
    let events = ran.stdout.lines().flat_map(|line| reader.line(line)).collect();
    let ending = reader.finish(Exit { code: ran.code, signal: ran.signal }, &ran.stderr);
    (events, ending)
}

fn class(ran: &Ran) -> Option<FailureClass> {
    read(ran).1.failure.map(|failure| failure.class)
}

#[test]
fn a_turn_is_reported_in_the_words_of_the_one_shot_command_and_the_conversation_can_be_gone_on_with() {
    let fixture = Fixture::new();
    let first = fixture.bridge(&[open("SCENARIO:commit-file name=one.txt")]).run().ok();
    let by_run =
        fixture.sealed.run_program_in(Agent::Opencode.name(), fixture.repo.dir()).args(Agent::Opencode.run_args());
    let by_run = by_run.stdin("SCENARIO:commit-file name=two.txt").run().ok();
    let own: Vec<String> = kinds(&first).into_iter().filter(|kind| !kind.starts_with("orch.")).collect();
    assert_eq!(own, kinds(&by_run));
    let (_, ending) = read(&first);
    let session = ending.session_id.clone().expect("a session");
    assert!(ending.failure.is_none() && ending.cost.is_some() && ending.final_text.is_some(), "{ending:?}");
    // The one-shot command and the server can continue each other's conversations.
    for (name, id) in
        [("three.txt", session), ("four.txt", by_run.json_lines()[0]["sessionID"].as_str().unwrap().to_owned())]
    {
        let prompt = format!("SCENARIO:commit-file name={name}");
        let ran = fixture.bridge(&[open_with(&prompt, &json!({ "session": id }))]).run().ok();
        assert_eq!(read(&ran).1.session_id, Some(id));
        assert_eq!(fixture.server.requests().last().expect("requests").asked.turns.len(), 2);
    }
    fixture.close();
}

#[test]
fn failures_are_those_of_the_one_shot_command() {
    let fixture = Fixture::new();
    for (opening, prompt, expected) in [
        (json!({}), "SCENARIO:auth-401", FailureClass::Auth),
        (json!({}), "SCENARIO:billing", FailureClass::Budget),
        (json!({ "model": { "providerID": "fake", "modelID": "nope" } }), "hello", FailureClass::ModelNotFound),
        (json!({ "session": "ses_0000000000000000000000000000" }), "go on", FailureClass::SessionLost),
    ] {
        let ran = fixture.bridge(&[open_with(prompt, &opening)]).run().code_is(1);
        assert_eq!(class(&ran), Some(expected), "{ran}");
    }
    let missing = fixture.bridge_to(PathBuf::from("/no/such/opencode"), &[open("hello")]).run().code_is(127);
    assert_eq!(class(&missing), Some(FailureClass::AgentMissing), "{missing}");
    fixture.close();
}

#[test]
fn a_request_that_is_repeated_is_reported_before_it_is() {
    let fixture = Fixture::new();
    let ran = fixture.bridge(&[open("SCENARIO:rate-limit-once")]).run().ok();
    let (events, ending) = read(&ran);
    let again =
        |event: &&AgentEvent| matches!(event, AgentEvent::Retry { class: FailureClass::RateLimited, attempt: 1, .. });
    assert_eq!((events.iter().filter(again).count(), ending.failure), (1, None), "{ran}");
    fixture.close();
}

#[test]
fn a_question_to_the_person_is_turned_down_instead_of_waited_for() {
    let mut fixture = Fixture::new();
    fixture.sealed.set("OPENCODE_PERMISSION", json!({ "bash": "ask" }).to_string());
    let ran = fixture.bridge(&[open("SCENARIO:commit-file name=one.txt")]).run();
    let (_, ending) = read(&ran);
    assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Incomplete), "{ran}");
    assert_eq!(ending.denials.len(), 1, "{ran}");
    fixture.close();
}

#[test]
fn a_bridge_that_is_made_to_end_takes_its_server_with_it() {
    let hold = Rule::on("SCENARIO:hold").command("touch begun; while [ ! -e go ]; do sleep 0.05; done");
    let fixture = Fixture::with(Script::standard().first(hold.done("held")));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let begun = fixture.repo.dir().join("begun");
        let _ = std::fs::remove_file(&begun);
        let running = fixture.bridge(&[open("SCENARIO:hold")]).start();
        wait_until("the command", RUN, || begun.exists());
        running.signal(signal);
        assert_eq!(running.finish(RUN).code, Some(130));
        fixture.no_server_is_left();
    }
    crate::kit::write_file(&fixture.repo.dir().join("go"), "");
    fixture.close();
}

#[test]
fn a_server_that_dies_under_its_work_ends_the_bridge_as_a_crash() {
    let hold = Rule::on("SCENARIO:hold").command("touch begun; while [ ! -e go ]; do sleep 0.05; done");
    let fixture = Fixture::with(Script::standard().first(hold.done("held")));
    let running = fixture.bridge(&[open("SCENARIO:hold")]).start();
    let begun = fixture.repo.dir().join("begun");
    wait_until("the command", RUN, || begun.exists());
    let server = |command: &str| command.contains("opencode serve") && !command.contains("__opencode");
    let found: Vec<_> = fixture.sealed.inmates().into_iter().filter(|one| server(&one.command)).collect();
    let [server] = found.as_slice() else { panic!("not one server: {found:?}") };
    let pid = rustix::process::Pid::from_raw(server.pid).expect("a process");
    rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
    let ran = running.finish(RUN).code_is(1);
    assert_eq!(class(&ran), Some(FailureClass::Crashed), "{ran}");
    crate::kit::write_file(&fixture.repo.dir().join("go"), "");
    fixture.close();
}

#[test]
fn the_password_of_the_server_is_not_revealed() {
    let fixture = Fixture::with(Script::standard().first(Rule::on("SCENARIO:env").command("env").done("seen")));
    let ran = fixture.bridge(&[open("SCENARIO:env")]).run().ok();
    let expected = "OPENCODE_SERVER_PASSWORD=[REDACTED:OPENCODE_SERVER_PASSWORD]";
    assert!(ran.stdout.contains(expected), "{ran}");
    fixture.close();
}

#[test]
fn a_server_that_anybody_could_speak_to_is_not_used() {
    let fixture = Fixture::new();
    let guarded = fixture.sealed.bin().join(Agent::Opencode.name());
    let open_door = format!("#!/bin/sh\nunset OPENCODE_SERVER_PASSWORD; exec {} \"$@\"\n", guarded.display());
    let program = fixture.sealed.program("open-door", &open_door);
    let ran = fixture.bridge_to(program, &[open("SCENARIO:text")]).run().code_is(1);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("accepts requests without a password"), "{ran}");
    assert!(fixture.server.requests().is_empty());
    fixture.close();
}

#[test]
fn a_server_that_listens_and_never_answers_can_be_ended_and_its_death_is_seen() {
    let fixture = Fixture::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("it can be asked without waiting");
    let address = silent.local_addr().expect("an address");
    let script = format!("#!/bin/sh\necho 'opencode server listening on http://{address}'\nexec sleep 4242\n");
    let program = fixture.sealed.program("silent", &script);
    let servers = || fixture.sealed.inmates().into_iter().filter(|one| one.command.contains("sleep 4242"));
    for (to_the_bridge, code) in [(true, 130), (false, 1)] {
        let running = fixture.bridge_to(program.clone(), &[open("SCENARIO:text")]).start();
        let (_held, _) = wait_some("the first request", RUN, || silent.accept().ok());
        let server = wait_some("the server", RUN, || servers().next());
        if to_the_bridge {
            running.signal(Signal::TERM);
        } else {
            let pid = rustix::process::Pid::from_raw(server.pid).expect("a process");
            rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
        }
        let ran = running.finish(SOON).code_is(code);
        assert!(ran.stdout.is_empty(), "{ran}");
        wait_until("no server to be left", RUN, || servers().next().is_none());
    }
    fixture.close();
}

#[test]
fn servers_that_start_at_once_on_a_new_database_work_or_are_to_be_started_again() {
    let fixture = Fixture::new();
    let all: Vec<_> = (0..4).map(|_| fixture.bridge(&[open("SCENARIO:text")]).start()).collect();
    for running in all {
        let ran = running.finish(RUN);
        let reader = DialectKind::Opencode.dialect().live_reader(&Value::Null).expect("it is live");
        let collided = ran.stdout.is_empty()
            && reader.is_start_collision(Exit { code: ran.code, signal: ran.signal }, &ran.stderr);
        assert!(collided || class(&ran).is_none(), "{ran}");
    }
    fixture.close();
}
