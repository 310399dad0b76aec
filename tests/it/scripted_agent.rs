//! The scripted agent as a program of its own, as the runner starts it; and `orch demo`, which is made of it.

use crate::kit::process::{Program, Ran};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, SOON, wait_some, wait_until};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agents::{DialectKind, LaunchRequest, Mode, PromptVia, Session};
use orch_core::prompts::prompt::{Templates, route_prompt};
use orch_core::prompts::router::{RouteInput, RouterSettings, Routing};
use orch_core::prompts::skills::Catalogue;
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_core::tasks::message::MessageId;
use orch_core::tasks::outcome::{AgentEvent, Ending, Exit, RunKind};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const SESSION: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// The scripted agent in a box, with a worktree.
struct Fixture {
    sealed: SealedBox,
    work: Repo,
    program: PathBuf,
}

/// What a turn amounts to, as orch reads it.
struct Turn {
    ran: Ran,
    events: Vec<AgentEvent>,
    ending: Ending,
}

impl Fixture {
    fn new() -> Self {
        let sealed = SealedBox::new();
        let program = sealed.bin().join("orch-scripted-agent");
        symlink(ORCH, &program).expect("a link in the box");
        let work = sealed.repo("shop").worktree(&sealed.base().join("linked"), "work");
        Self { sealed, work, program }
    }

    /// The very command line that orch's dialect makes.
    fn program(&self, kind: RunKind, session: Session, schema: Value, prompt: &str) -> Program {
        self.program_as(kind, session, schema, prompt, false)
    }

    fn program_as(&self, kind: RunKind, session: Session, schema: Value, prompt: &str, live: bool) -> Program {
        let dir = self.sealed.root().join("run");
        let request = LaunchRequest {
            task_id: TaskId(7),
            run_id: RunId::new(TaskId(7), 1, 0),
            kind,
            command: self.program.clone(),
            extra_args: Vec::new(),
            model: Some("scripted-medium".to_owned()),
            session,
            worktree: self.work.dir().to_owned(),
            main_dir: Some(self.sealed.base().join("shop")),
            git_dirs: None,
            run_dir: dir.clone(),
            prompt_file: dir.join("prompt.md"),
            prompt: PromptVia::Stdin,
            mode: Mode::Lines,
            title: "Say hello".to_owned(),
            answer_schema: schema,
            sandbox: true,
            codex_sandbox: orch_core::models::agents::CodexSandbox::default(),
            trust_repository: false,
            orch: crate::kit::sealed_box::ORCH.into(),
            live,
            endpoint: None,
        };
        let spec = DialectKind::Claude.dialect().launch(&request).expect("a launch");
        let program = self.sealed.run_program_in(spec.program, &spec.cwd);
        program.args(spec.args).envs(spec.env).stdin(prompt)
    }

    fn work(&self, session: Session, prompt: &str) -> Turn {
        read(self.program(RunKind::Work, session, Answer::json_schema(), prompt).run())
    }
}

fn read(ran: Ran) -> Turn {
    let mut reader = DialectKind::Claude.dialect().reader(RunKind::Work);
    let events = ran.stdout.lines().flat_map(|line| reader.line(line)).collect();
    let ending = reader.finish(Exit { code: ran.code, signal: ran.signal }, &ran.stderr);
    Turn { ran, events, ending }
}

fn new() -> Session {
    Session::New { id: SESSION.to_owned() }
}

fn resume() -> Session {
    Session::Resume { id: SESSION.to_owned() }
}

fn task(script: &str) -> String {
    let body = format!("Please.\n\n```orch-script\n{script}\n```");
    format!("# Task 7\n\n````text\nTask: 7\nTitle: Say hello\nLabels: none\n\n{body}\n````\n")
}

#[test]
fn the_scripted_agent_commits_what_its_script_says_and_reports_it() {
    let fixture = Fixture::new();
    let done =
        fixture.work(new(), &task("say Here I go.\nwrite hello.txt Hello\nrun cat hello.txt\ncommit Add hello.txt"));
    assert_eq!((done.ran.code, &done.ending.failure), (Some(0), &None), "{}", done.ran);
    assert_eq!(fixture.work.subjects("work"), ["Add hello.txt", "Begin"]);
    assert_eq!(fixture.work.show("work", "hello.txt").as_deref(), Some("Hello\n"));
    assert!(done.events.contains(&AgentEvent::Text { text: "Here I go.".into() }));
    let outputs = done
        .events
        .iter()
        .filter(|e| matches!(e, AgentEvent::ToolResult { ok: true, output, .. } if output == "Hello"));
    assert_eq!(outputs.count(), 1, "{:?}", done.events);
    assert_eq!(done.ending.session_id.as_deref(), Some(SESSION));
    assert_eq!(done.ending.model.as_deref(), Some("scripted-medium"));
    assert!(done.ending.cost.is_some_and(|cost| cost.micros() > 0));
    let answer = Answer::parse(done.ending.structured.as_ref(), None).expect("an answer");
    assert_eq!((answer.status, answer.files_changed), (AnswerStatus::Done, vec!["hello.txt".to_owned()]));
    fixture.sealed.finish();
}

#[test]
fn the_scripted_agent_takes_messages_over_an_open_conversation() {
    let fixture = Fixture::new();
    let mut reader = DialectKind::Claude.dialect().live_reader(&Value::Null).expect("claude can be talked to");
    let mut lines = reader.open(&task("write a.txt a\ncommit First"));
    lines.extend(reader.send_message(MessageId(3), "well done"));
    let stdin = lines.join("\n") + "\n";
    let ran = fixture.program_as(RunKind::Work, new(), Answer::json_schema(), &stdin, true).run().ok();
    let events: Vec<AgentEvent> = ran.stdout.lines().flat_map(|line| reader.line(line)).collect();
    assert!(events.contains(&AgentEvent::Heard { message: MessageId(3) }), "{events:?}");
    assert!(events.contains(&AgentEvent::Text { text: "I am told: well done".into() }), "{events:?}");
    assert_eq!(events.iter().filter(|event| **event == AgentEvent::TurnEnded).count(), 2);
    assert!(reader.is_idle());
    assert_eq!(fixture.work.subjects("work"), ["First", "Begin"]);
    fixture.sealed.finish();
}

#[test]
fn a_resumed_conversation_counts_its_turns_and_remembers_the_script() {
    let fixture = Fixture::new();
    let script = "write a.txt wrong\ncommit First\non-retry:\nwrite a.txt right\ncommit Second";
    fixture.work(new(), &task(script)).ran.ok();
    let again = fixture.work(resume(), "The work on task 7 was not accepted.");
    assert_eq!(again.ending.failure, None, "{}", again.ran);
    assert_eq!(fixture.work.subjects("work"), ["Second", "First", "Begin"]);
    assert!(again.ending.usage.cached.is_some_and(|tokens| tokens > 0));
    let lost = fixture.work(Session::Resume { id: "unknown".to_owned() }, "go on");
    assert_eq!(lost.ran.code, Some(1));
    assert!(lost.ran.stderr.contains("No conversation found"), "{}", lost.ran);
    fixture.sealed.finish();
}

#[test]
fn commits_are_made_without_any_configured_identity() {
    let fixture = Fixture::new();
    fixture.work.git(["config", "--unset", "user.name"]);
    fixture.work.git(["config", "--unset", "user.email"]);
    fixture.work(new(), &task("write a.txt a\ncommit Anonymous")).ran.ok();
    assert_eq!(fixture.work.git(["log", "-1", "--format=%s by %an"]), "Anonymous by Scripted Agent");
    fixture.sealed.finish();
}

#[test]
fn a_program_that_fails_is_shown_as_a_failed_tool() {
    let fixture = Fixture::new();
    let done = fixture.work(new(), &task("run ls no-such-file\nrun no-such-program"));
    let failed = done.events.iter().filter(|event| matches!(event, AgentEvent::ToolResult { ok: false, .. }));
    assert_eq!((failed.count(), done.ending.failure), (2, None), "{}", done.ran);
    fixture.sealed.finish();
}

#[test]
fn it_waits_hangs_and_leaves_processes_behind_as_instructed() {
    let fixture = Fixture::new();
    let script = "background 1000s\nwait-for go.txt\nstderr here I hang\nhang";
    let mut running = fixture.program(RunKind::Work, new(), Answer::json_schema(), &task(script)).start();
    let is_sleep = |command: &str| command == "sleep 1000";
    let sleeper = || fixture.sealed.inmates().iter().find(|one| is_sleep(&one.command)).map(|one| one.pid);
    let sleeper = wait_some("the process in the background", SOON, sleeper);
    assert!(running.is_running());
    fixture.work.write("go.txt", "");
    wait_until("the agent to go on", SOON, || running.said().1.contains("here I hang"));
    assert!(running.is_running());
    running.signal(Signal::TERM);
    let ran = running.finish(SOON);
    assert_eq!(ran.signal, Some(Signal::TERM.as_raw()), "{ran}");
    assert!(fixture.sealed.inmates().iter().any(|one| one.pid == sleeper), "it outlives the agent");
    drop(fixture.sealed);
}

#[test]
fn the_routing_question_is_answered_in_the_agreed_form() {
    let fixture = Fixture::new();
    let input = RouteInput {
        task_id: TaskId(7),
        title: "Write a guide".to_owned(),
        body: "For newcomers.".to_owned(),
        labels: Vec::new(),
        agent: None,
        model: None,
        complexity: None,
    };
    let agents = ["claude".to_owned(), "scripted".to_owned()];
    let settings = RouterSettings { agents: agents.to_vec(), ..RouterSettings::default() };
    let routing = Routing { input: &input, settings: &settings, installed: &agents[1..] };
    let skills = Catalogue::default();
    let prompt = route_prompt(&routing, &skills, &Templates::embedded());
    let turn = read(fixture.program(RunKind::Route, new(), routing.schema(&skills), &prompt).run().ok());
    let route = routing.parse(turn.ending.structured.as_ref(), turn.ending.final_text.as_deref(), &skills);
    let route = route.expect("a route");
    assert_eq!((route.agent.as_str(), route.complexity.as_str(), route.warning), ("scripted", "simple", None));
    fixture.sealed.finish();
}

// ---- orch demo

/// What is left of a demo in the box's temporary directory.
fn left_behind(sealed: &SealedBox) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sealed.root().join("tmp")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn column(task: &Value, pointer: &str) -> String {
    task.pointer(pointer)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .unwrap_or_default()
}

#[test]
fn the_demo_does_its_three_tasks_and_leaves_nothing_behind() {
    let sealed = SealedBox::new();
    let ran = sealed.orch(["demo"]).ok();
    let rows: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with('#') && line.contains(" done ")).collect();
    assert_eq!(rows.len(), 3, "{ran}");
    for (row, (model, attempts)) in
        rows.iter().zip([("small   simple", 1), ("medium  medium", 1), ("medium  medium", 2)])
    {
        let wanted = format!("scripted-{model}");
        assert!(row.contains(&wanted) && row.contains(&format!(" {attempts}  done ")) && row.contains('$'), "{row}");
    }
    for said in [
        "asking the router",
        "I write down how a change is checked.",
        "has no line \"# Usage: ...\"",
        "merged into main as",
    ] {
        assert!(ran.stdout.contains(said), "{said:?} is not in {ran}");
    }
    assert!(ran.stdout.contains("all 3 tasks are done and merged"), "{ran}");
    assert_eq!(left_behind(&sealed), [] as [PathBuf; 0]);
    assert!(!sealed.tasks_file().exists(), "the person's own home is not touched");
    sealed.finish();
}

#[test]
fn the_demo_shows_everything_as_one_document() {
    let sealed = SealedBox::new();
    let demo = sealed.orch(["demo", "--json", "--keep"]).ok().json();
    assert_eq!(
        (&demo["ok"], &demo["agent"], &demo["problems"]),
        (&true.into(), &"scripted".into(), &Value::Array(vec![]))
    );
    let tasks = demo["tasks"].as_array().expect("tasks");
    for (task, attempts) in tasks.iter().zip(["1", "1", "2"]) {
        assert_eq!(column(task, "/status"), "done");
        assert_eq!(column(task, "/integration/state"), "merged");
        assert_eq!(column(task, "/attempts"), attempts);
        assert!(task["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{task:#}");
        let kinds: Vec<String> =
            task["runs"].as_array().expect("runs").iter().map(|run| column(run, "/kind")).collect();
        assert_eq!(kinds[0], "route", "the router was asked");
    }
    assert_eq!(tasks.len(), 3);
    assert_eq!(column(&tasks[2], "/runs/1/outcome/class"), "checks_failed");
    assert!(demo["log"].as_array().is_some_and(|log| log.len() >= 8));
    let kept = PathBuf::from(demo["directory"].as_str().expect("kept"));
    assert!(kept.join("greet/farewell.sh").exists() && kept.join("orch/tasks.yml").exists());
    sealed.finish();
}

#[test]
fn the_demo_plays_below_a_path_that_is_too_long_for_sockets() {
    let mut sealed = SealedBox::awkward();
    let base = sealed.base().to_owned();
    sealed.set("TMPDIR", &base);
    sealed.orch(["demo"]).ok();
    let dirs =
        |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name()).collect::<Vec<_>>();
    assert_eq!(dirs(&sealed.runtime()), [] as [&str; 0]);
    assert!(dirs(sealed.base()).iter().all(|name| !name.to_string_lossy().starts_with("orch-demo")));
    sealed.finish();
}

#[test]
fn an_interrupted_demo_takes_everything_with_it() {
    let sealed = SealedBox::new();
    let demo = sealed.run_program(ORCH).args(["demo"]).start();
    wait_until("an agent to speak", RUN, || demo.said().0.contains("The farewell goes beside the greeting."));
    demo.signal(Signal::INT);
    let ran = demo.finish(RUN).code_is(130);
    assert!(ran.stderr.contains("interrupted"), "{ran}");
    assert_eq!(left_behind(&sealed), [] as [PathBuf; 0]);
    sealed.finish();
}

#[test]
fn an_agent_of_ones_own_plays_with_ones_own_settings() {
    let sealed = SealedBox::new();
    symlink(ORCH, sealed.bin().join("orch-scripted-agent")).expect("a link in the box");
    sealed.config("agents: {mine: {kind: claude, command: orch-scripted-agent}}\nmodel_map: {simple: {mine: tiny}}\n");
    let demo = sealed.orch(["demo", "--agent", "mine", "--json"]).ok().json();
    let tasks = demo["tasks"].as_array().expect("tasks");
    assert!(tasks.iter().all(|task| column(task, "/route/agent") == "mine"), "{demo:#}");
    assert_eq!(column(&tasks[0], "/runs/0/kind"), "work", "there is only one to choose from: no router is asked");
    sealed.finish();
}

#[test]
fn what_the_demo_lacks_is_said_with_a_hint() {
    let sealed = SealedBox::new();
    let ran = sealed.orch(["demo", "--agent", "claude"]).code_is(3);
    assert!(ran.stderr.contains("not installed") && ran.stderr.contains("without --agent"), "{ran}");
    let ran = sealed.orch(["demo", "--agent", "nobody"]).code_is(3);
    assert!(ran.stderr.contains("known agents: claude"), "{ran}");
    for (kept, lacking) in [("git", "tmux"), ("tmux", "git")] {
        let mut poor = SealedBox::new();
        let only = poor.root().join("only");
        std::fs::create_dir(&only).expect("a directory in the box");
        let program = poor.run_program("sh").args(["-c", &format!("command -v {kept}")]).run().ok();
        symlink(program.stdout.trim(), only.join(kept)).expect("a link in the box");
        poor.set("PATH", &only);
        let ran = poor.orch(["demo"]).code_is(1);
        assert!(ran.stderr.contains(&format!("{lacking} is not installed")), "{ran}");
        assert_eq!(left_behind(&poor), [] as [PathBuf; 0]);
        poor.finish();
    }
    sealed.finish();
}
