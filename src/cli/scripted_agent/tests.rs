//! Tests of the scripted agent within the process: parsing of prompts and scripts, and its events as orch reads them.

use super::flags::{Flags, Session};
use super::price::Tokens;
use super::prompt::{Prompt, fenced};
use super::script::{Instruction, Script};
use super::{MODELS, NAME, SUBCOMMAND, Surroundings, TurnError, arguments, turns};
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::models::agents::DialectKind;
use orch_core::prompts::prompt::{
    Again, Conversation, Templates, WorkContext, again_prompt, repair_prompt, route_prompt, work_prompt,
};
use orch_core::prompts::router::{RouteInput, RouterSettings, Routing};
use orch_core::prompts::skills::{Catalogue, Selection};
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_core::tasks::outcome::{AgentEvent, Ending, Exit, FailureClass, RunKind};
use orch_core::tasks::route::{AgentProfile, Complexity};
use proptest::prelude::*;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const SCRIPT: &str = "Please say hello.\n\n```orch-script\n# a word first\nsay I will.\nwrite a/hello.txt Hello\\nthere\n\
    on-retry:\nsay Once more.\nappend a/hello.txt again\n```\n";

fn work(body: &str, again: Option<(FailureClass, Conversation)>) -> String {
    let profile = AgentProfile::default();
    let selection = Selection::default();
    let format = Answer::prompt_text();
    let context = WorkContext {
        task_id: TaskId(7),
        title: "Say hello",
        body,
        labels: &[],
        attempt: 1,
        max_attempts: 3,
        written: None,
        worktree: "/w",
        main_dir: Some("/m"),
        branch: "orch/7-say-hello",
        base_branch: "main",
        base_commit: "main",
        checks: &["sh ./check.sh".to_owned()],
        profile: &profile,
        skills: &selection,
        instructions: &[],
        tried: &[],
        answer_format: &format,
    };
    let templates = Templates::embedded();
    match again {
        None => work_prompt(&context, &templates),
        Some((class, conversation)) => {
            let again = Again { class, detail: "was not accepted", conflict: None, conversation };
            again_prompt(&context, &again, &templates)
        }
    }
}

fn routing<R>(title: &str, body: &str, with: impl FnOnce(&Routing<'_>, &Catalogue) -> R) -> R {
    let input = RouteInput {
        task_id: TaskId(7),
        title: title.to_owned(),
        body: body.to_owned(),
        labels: Vec::new(),
        agent: None,
        model: None,
        complexity: None,
    };
    let agents = ["scripted".to_owned(), "other".to_owned()];
    let settings = RouterSettings { agents: agents.to_vec(), ..RouterSettings::default() };
    with(&Routing { input: &input, settings: &settings, installed: &agents }, &Catalogue::default())
}

/// A directory for turns, with its own conversations.
struct Fixture {
    dir: TempDir,
}

/// The result of a turn.
struct Turn {
    code: u8,
    lines: String,
    events: Vec<AgentEvent>,
    ending: Ending,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("work")).expect("a directory");
        Self { dir }
    }

    fn work(&self) -> std::path::PathBuf {
        self.dir.path().join("work")
    }

    fn try_turn(&self, args: &[&str], prompt: &str) -> (Result<u8, TurnError>, String) {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let home = self.dir.path().to_string_lossy().into_owned();
        let environment = [("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()), ("HOME", home)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let surroundings = Surroundings { dir: self.work(), environment };
        let mut out = Vec::new();
        let code = turns(&args, &surroundings, prompt.as_bytes(), &mut out);
        (code, String::from_utf8(out).expect("text"))
    }

    fn turn(&self, args: &[&str], prompt: &str) -> Turn {
        let (code, lines) = self.try_turn(args, prompt);
        let code = code.unwrap_or(1);
        let mut reader = DialectKind::Claude.dialect().reader(RunKind::Work);
        let events = lines.lines().flat_map(|line| reader.line(line)).collect();
        let ending = reader.finish(Exit { code: Some(i32::from(code)), signal: None }, "");
        Turn { code, lines, events, ending }
    }
}

const NEW: [&str; 4] = ["--session-id=s-1", "--model=scripted-small", "--json-schema={}", "-p"];
const RESUME: [&str; 3] = ["--resume=s-1", "--model=scripted-small", "--json-schema={}"];

#[test]
fn it_is_known_by_its_name_and_by_the_hidden_subcommand() {
    let argv = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let by_name = argv(&[&format!("/some/where/{NAME}"), "-p"]);
    assert_eq!(arguments(&by_name), Some(&by_name[1..]));
    let by_word = argv(&["orch", SUBCOMMAND, "-p"]);
    assert_eq!(arguments(&by_word), Some(&by_word[2..]));
    assert_eq!(arguments(&argv(&["orch", "task", SUBCOMMAND])), None);
    assert_eq!(arguments(&[]), None);
}

#[test]
fn flags_are_read_as_one_word_or_two_and_the_unknown_are_passed_over() {
    let parse = |words: &[&str]| Flags::parse(&words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
    let flags = parse(&["-p", "--verbose", "--model", "m", "--resume=abc", "--tools", "--json-schema={\"a\":1}"]);
    let flags = flags.expect("fine");
    assert_eq!((flags.session, flags.model.as_str()), (Session::Resume("abc".into()), "m"));
    assert_eq!(flags.schema, Some(serde_json::json!({"a": 1})));
    assert!(matches!(parse(&[]).expect("fine").session, Session::New(id) if id.len() == 36));
    assert!(parse(&["--session-id=../x"]).is_err() && parse(&["--json-schema={"]).is_err());
}

#[test]
fn nested_fences_belong_to_the_outer_one_and_an_open_one_reaches_to_the_end() {
    let (words, blocks) = fenced("a\n````text\nb\n```x\nc\n```\n````\nd\n``` y\ne");
    assert_eq!(words, "a\nd\n");
    let blocks: Vec<(&str, &str)> = blocks.iter().map(|b| (b.info.as_str(), b.text.as_str())).collect();
    assert_eq!(blocks, [("text", "b\n```x\nc\n```"), ("y", "e")]);
}

#[test]
fn orchs_own_prompts_are_understood_and_the_data_in_them_poses_as_nothing() {
    let first = Prompt::read(&work("ROUTE-REQUEST, was not accepted", None));
    assert!(!first.is_route_request() && !first.mentions_trouble());
    let task = first.task().expect("a task");
    assert_eq!((task.id.as_str(), task.title.as_str()), ("7", "Say hello"));
    for class in [FailureClass::ChecksFailed, FailureClass::Killed, FailureClass::Conflict] {
        for conversation in [Conversation::Same, Conversation::Fresh] {
            let again = Prompt::read(&work(SCRIPT, Some((class, conversation))));
            assert!(again.mentions_trouble(), "{class}");
            assert_eq!(again.task().is_some(), conversation == Conversation::Fresh);
        }
    }
    let question = routing("Fix it", SCRIPT, |r, skills| route_prompt(r, skills, &Templates::embedded()));
    let question = Prompt::read(&question);
    assert!(question.is_route_request());
    assert_eq!(question.agents(), ["scripted", "other"]);
    assert_eq!(question.task().map(|task| task.title.as_str()), Some("Fix it"));
}

#[test]
fn every_instruction_is_understood() {
    let body = "```orch-script\nsay a\\nb\nwrite d/f x y\nappend f\nrun sh -c 'a b' \"\"\ncommit Add f\nwait 300ms\n\
        wait-for f\nexit 3\nhang\nflood 10MB\nbackground 1m\nstderr e\nevent {\"a\":1}\nmalformed no\n\
        status needs_review which one?\nroute executor=x complexity=simple reason=because it is\n```";
    let script = Script::parse(body).expect("fine");
    let expected = [
        Instruction::Say("a\nb".into()),
        Instruction::Write("d/f".into(), "x y\n".into()),
        Instruction::Append("f".into(), String::new()),
        Instruction::Run(["sh", "-c", "a b", ""].map(str::to_owned).to_vec()),
        Instruction::Commit("Add f".into()),
        Instruction::Wait(Duration::from_millis(300)),
        Instruction::WaitFor("f".into()),
        Instruction::Exit(3),
        Instruction::Hang,
        Instruction::Flood(10_000_000),
        Instruction::Background(Duration::from_secs(60)),
        Instruction::Stderr("e".into()),
        Instruction::Event("{\"a\":1}".into()),
        Instruction::Malformed("no".into()),
        Instruction::Status(AnswerStatus::NeedsReview, "which one?".into()),
    ];
    assert_eq!(script.instructions(false), expected);
    assert_eq!(script.instructions(true), expected, "without on-retry the same again");
    assert_eq!(script.route.reason.as_deref(), Some("because it is"));
    assert_eq!((script.route.executor.as_deref(), script.route.complexity.as_deref()), (Some("x"), Some("simple")));
}

#[test]
fn a_wrong_line_is_named() {
    for (line, reason) in [
        ("dance", "no such instruction"),
        ("write ../x y", "inside the worktree"),
        ("write /x y", "inside the worktree"),
        ("wait 3", "300ms"),
        ("exit 256", "up to 255"),
        ("run 'a", "not closed"),
        ("run", "needs a program"),
        ("status fine", "needs_review"),
        ("route agent=x", "executor="),
        ("flood much", "10MB"),
    ] {
        let error = Script::parse(&format!("```orch-script\nsay x\n{line}\n```")).expect_err(line).to_string();
        assert!(error.starts_with("line 2 (") && error.contains(reason), "{error}");
    }
}

#[test]
fn its_events_read_like_those_of_a_real_cli() {
    let fixture = Fixture::new();
    let mut done = fixture.turn(&NEW, &work(SCRIPT, None));
    done.events.retain(|event| !matches!(event, AgentEvent::Spent { .. }));
    assert_eq!((done.code, &done.ending.failure), (0, &None), "{}", done.lines);
    assert_eq!(std::fs::read_to_string(fixture.work().join("a/hello.txt")).expect("written"), "Hello\nthere\n");
    assert!(matches!(&done.events[0], AgentEvent::Started { session_id: Some(id), model: Some(model) }
        if id == "s-1" && model == "scripted-small"));
    assert!(matches!(&done.events[1], AgentEvent::Text { text } if text == "I will."));
    assert!(
        matches!(&done.events[2], AgentEvent::ToolCall { name, input, .. } if name == "Write" && input == "a/hello.txt")
    );
    assert!(matches!(&done.events[3], AgentEvent::ToolResult { ok: true, .. }));
    assert_eq!(done.events.last(), Some(&AgentEvent::TurnEnded));
    let answer = Answer::parse(done.ending.structured.as_ref(), None).expect("an answer");
    assert_eq!((answer.status, answer.files_changed), (AnswerStatus::Done, vec!["a/hello.txt".to_owned()]));
    assert_eq!(
        Answer::parse(None, done.ending.final_text.as_deref()).expect("the same as text").status,
        AnswerStatus::Done
    );
    let used = done.ending.usage;
    let tokens = Tokens { input: used.input.unwrap(), cached: used.cached.unwrap(), output: used.output.unwrap() };
    assert_eq!(done.ending.cost, Some(tokens.cost("scripted-small")));
}

#[test]
fn a_resumed_conversation_knows_its_task_and_reads_the_rest_from_the_cache() {
    let fixture = Fixture::new();
    let first = fixture.turn(&NEW, &work(SCRIPT, None));
    let again = fixture.turn(&RESUME, &work(SCRIPT, Some((FailureClass::ChecksFailed, Conversation::Same))));
    assert_eq!(again.code, 0);
    assert!(again.events.contains(&AgentEvent::Text { text: "Once more.".into() }), "{}", again.lines);
    assert_eq!(std::fs::read_to_string(fixture.work().join("a/hello.txt")).expect("written"), "Hello\nthere\nagain\n");
    let before = first.ending.usage;
    let read = before.input.unwrap() + before.output.unwrap();
    assert_eq!((before.cached, again.ending.usage.cached), (Some(0), Some(read)));
}

#[test]
fn a_fresh_conversation_after_a_failure_does_the_later_part() {
    let prompt = work(SCRIPT, Some((FailureClass::ChecksFailed, Conversation::Fresh)));
    let done = Fixture::new().turn(&NEW, &prompt);
    assert!(done.events.contains(&AgentEvent::Text { text: "Once more.".into() }), "{}", done.lines);
}

#[test]
fn an_unknown_conversation_is_reported_as_the_real_cli_does() {
    let lost = Fixture::new().turn(&RESUME, "go on");
    assert_eq!((lost.code, lost.ending.failure.map(|f| f.class)), (1, Some(FailureClass::SessionLost)));
}

#[test]
fn an_answer_can_be_malformed_and_repaired() {
    let fixture = Fixture::new();
    let body = "```orch-script\nwrite f x\nmalformed all is well\non-retry:\n```";
    let prose = fixture.turn(&NEW, &work(body, None));
    assert_eq!((prose.ending.structured, prose.ending.final_text.as_deref()), (None, Some("all is well")));
    let format = Answer::prompt_text();
    let repaired = fixture.turn(&RESUME, &repair_prompt("no object", &format, &Templates::embedded()));
    assert!(Answer::parse(repaired.ending.structured.as_ref(), None).is_ok(), "{}", repaired.lines);
}

#[test]
fn a_script_can_end_the_process_and_print_what_it_wants() {
    let end = Fixture::new()
        .turn(&NEW, &work("```orch-script\nevent {\"type\":\"x\"}\nflood 100KB\nexit 3\nsay no\n```", None));
    assert_eq!((end.code, end.ending.failure.map(|f| f.class)), (3, Some(FailureClass::Crashed)));
    assert!(end.lines.len() > 100_000 && end.lines.contains("\n{\"type\":\"x\"}\n"));
}

#[test]
fn a_slip_in_the_script_is_reported_and_nothing_is_done() {
    let fixture = Fixture::new();
    let bad = fixture.turn(&NEW, &work("```orch-script\nwrite f x\ndance\n```", None));
    assert_eq!((bad.code, fixture.work().join("f").exists()), (1, false));
    assert!(bad.ending.failure.expect("failed").detail.contains("line 2"));
}

#[test]
fn a_task_without_a_script_gets_a_file_named_after_it() {
    let fixture = Fixture::new();
    fixture.turn(&NEW, &work("just so", None));
    assert_eq!(std::fs::read_to_string(fixture.work().join("say-hello.md")).expect("written"), "# Say hello\n");
}

#[test]
fn its_route_is_one_that_orch_accepts() {
    for (title, body, complexity) in [
        ("Write a guide", "", Complexity::Simple),
        ("Greet two people", "with ```docs```", Complexity::Medium),
        ("Redesign the storage", "", Complexity::Complex),
        ("Write a guide", "```orch-script\nroute complexity=complex reason=on my word\n```", Complexity::Complex),
    ] {
        let prompt = routing(title, body, |r, skills| route_prompt(r, skills, &Templates::embedded()));
        let answer = Fixture::new().turn(&NEW, &prompt).ending;
        let route =
            routing(title, body, |r, skills| r.parse(answer.structured.as_ref(), answer.final_text.as_deref(), skills));
        let route = route.expect("a route");
        assert_eq!((route.agent.as_str(), route.complexity, route.warning), ("scripted", complexity, None), "{title}");
    }
    let body = "```orch-script\nroute answer=let me think about it\n```";
    let prompt = routing("x", body, |r, skills| route_prompt(r, skills, &Templates::embedded()));
    assert_eq!(Fixture::new().turn(&NEW, &prompt).ending.final_text.as_deref(), Some("let me think about it"));
}

#[test]
fn the_prices_are_the_documented_ones() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/demo.md");
    let page = std::fs::read_to_string(page).expect("docs/how-to/demo.md");
    for price in MODELS {
        let row = format!("| `{}` | {} | {} |", price.name, price.input, price.output);
        assert!(page.contains(&row), "docs/how-to/demo.md lacks {row}");
    }
    let tokens = Tokens { input: 1000, cached: 1000, output: 100 };
    assert_eq!(tokens.cost("scripted-small"), Usd::from_micros(1000 + 100 + 500));
    assert_eq!(tokens.cost("anything"), tokens.cost("scripted-medium"));
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>(), line in "[a-z-]{0,10} [^\n]{0,40}") {
        Prompt::read(&text);
        drop(Script::parse(&format!("```orch-script\n{line}\n{text}\n```")));
    }
}
