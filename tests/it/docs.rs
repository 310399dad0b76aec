//! The reference pages say what the code says: every stable name that a user may meet stands in its page, and every
//! page that is pointed to is there. Wording is not compared.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use orch::api::messages::MessageView;
use orch::api::status::{Overview, QuestionView, QueuedView, RunningView, SpendView, StatusView};
use orch::api::types::{RunView, TaskContext, TaskRow, TaskView, WhyView};
use orch::domain::evidence::{Check, CheckState, Evidence, IntegrateMode, Integration, IntegrationState};
use orch::domain::ids::{RunId, TaskId};
use orch::domain::message::{Message, MessageId};
use orch::domain::outcome::{FailureClass, RunKind, Usage};
use orch::domain::plan::{Hold, HoldReason};
use orch::domain::route::{AgentProfile, Complexity, RouteResult};
use orch::domain::task::{FileState, Phase, Run, Spec, Status, Task};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn page(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names must stand in the page as code.
fn must_name<'a>(page_path: &str, names: impl IntoIterator<Item = &'a str>) {
    let text = page(page_path);
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !text.contains(&format!("`{name}`")) && !is_in_sample(&text, name)).collect();
    assert!(missing.is_empty(), "{page_path} does not name {missing:?}");
}

/// A field in one of the page's JSON samples.
fn is_in_sample(text: &str, name: &str) -> bool {
    text.contains(&format!("\"{name}\":"))
}

/// All keys of a document, at any depth.
fn keys(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                found.insert(name.clone());
                found.append(&mut keys(inner));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| found.append(&mut keys(item))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found
}

fn must_name_keys_of(value: &impl serde::Serialize) {
    let value = serde_json::to_value(value).expect("plain data");
    must_name("docs/json.md", keys(&value).iter().map(String::as_str));
}

/// A task in which nothing is absent.
fn full_task(now: jiff::Timestamp) -> Task {
    let mut task = Task::new(TaskId(7), Spec::default(), FileState::Pending, now);
    task.route = Some(Box::new(RouteResult {
        agent: "claude".to_owned(),
        model: None,
        complexity: Complexity::Simple,
        reason: String::new(),
        profile: AgentProfile::default(),
        selected_skills: Vec::new(),
        warning: None,
    }));
    let check = Check {
        command: "true".to_owned(),
        state: CheckState::Passed,
        exit_code: Some(0),
        duration_ms: 1,
        output_tail: "x".to_owned(),
    };
    task.evidence = Some(Box::new(Evidence { checks: vec![check], ..Evidence::default() }));
    let merged = Integration { mode: IntegrateMode::Merge, state: IntegrationState::Merged, commit: None };
    task.integration = Some(Box::new(merged));
    task
}

fn a_run(now: jiff::Timestamp) -> Run {
    Run {
        id: RunId::new(TaskId(7), 1, 0),
        task: TaskId(7),
        kind: RunKind::Work,
        attempt: 1,
        agent: "claude".to_owned(),
        model: None,
        phase: Phase::Ended,
        session_id: None,
        created_at: now,
        started_at: None,
        ended_at: None,
        outcome: Some(orch::domain::outcome::Outcome::Cancelled { detail: String::new() }),
        cost: None,
        usage: Usage::default(),
        live: false,
    }
}

#[test]
fn every_field_of_a_task_and_a_run_is_documented() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let (task, run) = (full_task(now), a_run(now));
    let hold = Hold { reason: HoldReason::Slots, detail: String::new(), until: None };
    let context = TaskContext { hold: Some(&hold), ..TaskContext::default() };
    let runs = vec![RunView::of(&run, "transcript.log".into())];
    let message = Message::new(MessageId(1), TaskId(7), String::new(), now);
    let messages = vec![MessageView::of(message, "")];
    must_name_keys_of(&TaskView::of(&task, &context).with_details(&task, runs, messages));
    must_name("docs/json.md", ["queued", "delivered", "refused", "live", "prompt", "wait_seconds"]);
}

#[test]
fn every_field_of_the_smaller_documents_is_documented() {
    let status = Status::New;
    must_name_keys_of(&WhyView { id: TaskId(1), status, hold: None, because: String::new(), next: String::new() });
    must_name_keys_of(&TaskRow {
        id: TaskId(1),
        status,
        agent: None,
        model: None,
        title: String::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        why: None,
    });
    must_name_keys_of(&overview());
}

/// An overview in which nothing is absent.
fn overview() -> Overview {
    let (id, title, since) = (TaskId(1), String::new(), jiff::Timestamp::UNIX_EPOCH);
    let hold = Hold { reason: HoldReason::Slots, detail: String::new(), until: None };
    Overview {
        status: StatusView {
            version: String::new(),
            pid: 1,
            mode: String::new(),
            http: None,
            counts: std::collections::BTreeMap::new(),
            idle: false,
            problems: Vec::new(),
        },
        running: vec![RunningView {
            task_id: id,
            title: title.clone(),
            run_id: RunId::new(id, 1, 0),
            kind: RunKind::Work,
            attempt: 1,
            agent: String::new(),
            model: None,
            since,
            last_line: None,
        }],
        needs_you: vec![QuestionView { id, title: title.clone(), question: String::new(), choices: Vec::new() }],
        queued: vec![QueuedView { id, title, status: Status::New, agent: None, model: None, hold: Some(hold) }],
        today: SpendView { since, cost_usd: None, runs: 0, unpriced: 0 },
    }
}

#[test]
fn every_status_and_failure_class_is_documented() {
    must_name("docs/json.md", Status::ALL.map(Status::as_str));
    must_name("docs/json.md", FailureClass::ALL.iter().map(|class| class.as_str()));
}

#[test]
fn every_hold_reason_is_documented_and_no_other() {
    let text = page("docs/holds.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: Vec<&str> = rows.skip_while(|name| *name == "reason").collect();
    for name in &documented {
        let known = serde_json::from_value::<HoldReason>(json!(name));
        assert!(known.is_ok(), "docs/holds.md documents {name}, which is no reason");
    }
    // The enum cannot be asked for its size; its source can.
    let source = page("src/domain/plan.rs");
    let body = source.split("pub enum HoldReason {").nth(1).and_then(|rest| rest.split("\n}").next());
    let is_variant = |line: &&str| line.trim_start().starts_with(char::is_uppercase);
    let count = body.expect("HoldReason is in plan.rs").lines().filter(is_variant).count();
    assert_eq!(documented.len(), count, "docs/holds.md has the reasons {documented:?}");
}

#[test]
fn every_error_code_is_documented_with_an_exit_code() {
    let text = page("docs/exit-codes.md");
    for code in ["failed", "usage", "not_found", "no_daemon", "conflict", "timed_out", "denied"] {
        let known = serde_json::from_value::<orch::api::types::ErrorCode>(json!(code));
        assert!(known.is_ok() && text.contains(&format!("| `{code}` | ")), "{code}");
    }
}

#[test]
fn every_page_that_is_pointed_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec!["README.md".to_owned(), "AGENTS.md".to_owned(), "specs.md".to_owned()];
    for entry in fs::read_dir(root.join("docs")).expect("docs/") {
        let name = entry.expect("docs/").file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    let mut missing = Vec::new();
    for path in &pages {
        let dir = root.join(path).parent().expect("a file has a directory").to_owned();
        for rest in page(path).split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !dir.join(target).exists() {
                missing.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let text = page("README.md");
    let code = text.lines().filter(|line| line.starts_with("make ")).take(2).collect::<Vec<_>>();
    assert!(code[0].starts_with("make demo") && code[1].starts_with("make test"), "{code:?}");
}

/// What a page's `sh` blocks do, and what their output must hold.
fn examples(text: &str) -> (String, Vec<String>) {
    let (mut script, mut expected) = (String::from("set -e\n"), Vec::new());
    for block in text.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            match line.strip_prefix("#= ") {
                // A mark in the output tells which example said what.
                Some(held) => {
                    expected.push(held.to_owned());
                    script.push_str(&format!("echo; echo '== {}'\n", expected.len()));
                }
                None => script.push_str(&format!("{line}\n")),
            }
        }
    }
    (script, expected)
}

#[test]
fn the_examples_of_the_streaming_page_work_as_they_are_written() {
    let mut sealed = SealedBox::new();
    sealed.program(
        "greeter",
        r#"#!/bin/sh
cat > /dev/null
printf '%s\n' '{"type":"system","subtype":"init","session_id":"s-1","model":"sonnet"}' \
  '{"type":"assistant","message":{"content":[{"type":"text","text":"hello from the agent"}]}}' \
  '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"1","name":"Write","input":{"file_path":"greeting.txt","content":"hello\n"}}]}}'
echo hello > greeting.txt; git add greeting.txt; git commit -qm greeted
printf '%s\n' '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"1","content":"written"}]}}' \
  '{"type":"result","subtype":"success","is_error":false,"session_id":"s-1","result":"{\"status\":\"done\",\"summary\":\"greeted\"}","total_cost_usd":0.25,"usage":{"input_tokens":10,"output_tokens":2}}'
"#,
    );
    std::os::unix::fs::symlink(ORCH, sealed.bin().join("orch")).expect("a link");
    sealed.config("agents: {greeter: {kind: claude, command: greeter, live: false}}\n");
    sealed.set("AGENT", "greeter");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    let (script, expected) = examples(&page("docs/streaming.md"));
    assert!(expected.len() > 20);
    let ran = sealed.run_program("/bin/sh").args(["-c", &script]).deadline(RUN).run().ok();
    // Of several lines after one example, each looks at what came since the last example.
    let mut rest = ran.stdout.as_str();
    let mut since = "";
    for (index, held) in expected.iter().enumerate() {
        let (said, after) = rest.split_once(&format!("\n== {}\n", index + 1)).unwrap_or_else(|| panic!("{ran}"));
        since = if said.trim().is_empty() { since } else { said };
        assert!(since.contains(held.trim_end()), "{held:?} is not in\n{since}");
        rest = after;
    }
    sealed.finish();
}
