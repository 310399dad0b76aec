//! `orch route`: what a task would get that there is not. Nothing is added by it.

use crate::cost::after_a_night_with;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ROUTER: &str = "router: {agent: scripted, agents: [scripted, mute], fallback_executor: mute}\n";

fn asked(sealed: &SealedBox, args: &[&str]) -> Value {
    let repo = sealed.base().join("shop");
    sealed.orch_in(&repo, ["route", "--json"].iter().chain(args)).ok().json()
}

/// Returns the state that a question must not change.
fn state(sealed: &SealedBox) -> (String, String, Vec<Value>, BTreeSet<String>, String) {
    let names = |dir: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(sealed.orch_home().join(dir)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let history = sealed.orch(["events", "--json"]).ok().json_lines();
    // Another start of an engine is no doing of the question.
    let history = history.into_iter().filter(|line| line["task_id"].is_number()).collect();
    let tasks = std::fs::read_to_string(sealed.tasks_file()).expect("tasks.yml");
    let listed = sealed.orch(["list", "--all", "--json"]).ok().stdout;
    (tasks, listed, history, names(".orch/runs"), sealed.orch(["cost", "--json"]).ok().stdout)
}

#[test]
fn a_task_that_is_not_there_is_routed_with_all_that_is_known_and_nothing_changes() {
    let mut sealed = after_a_night_with(ROUTER);
    let before = state(&sealed);
    for is_served in [true, false] {
        if !is_served {
            sealed.stop_daemon().ok();
        }
        let known = asked(&sealed, &["Priced again", "-l", "agent:scripted", "-l", "complexity:simple"]);
        assert_eq!((&known["route"]["agent"], &known["route"]["model"]), (&json!("scripted"), &json!("small")));
        assert_eq!((&known["type"], &known["warnings"]), (&json!("feature"), &json!([])), "{known:#}");
        assert!(known["project"].as_str().is_some_and(|dir| dir.ends_with("/shop")), "{known:#}");
        let forecast = &known["cost"]["forecast"];
        assert_eq!((&forecast["samples"], &known["cost"]["unpriced"]), (&json!(2), &json!(0)), "{known:#}");
        assert!(forecast["median_usd"].as_f64().is_some_and(|median| median > 0.0), "{known:#}");
        assert_eq!((&known["record"]["samples"], &known["record"]["chosen"]["samples"]), (&json!(3), &json!(2)));
        assert_eq!(known["similar"][0]["title"], "Priced", "{known:#}");
        assert_eq!(known["resolver"]["model"], Value::Null, "small is no model of the catalog: {known:#}");

        let asked_router = asked(&sealed, &["Rename the readme", "-l", "type:docs"]);
        let route = &asked_router["route"];
        assert_eq!((&route["agent"], &route["complexity"]), (&json!("scripted"), &json!("simple")), "{asked_router:#}");
        assert!(route["reason"].as_str().is_some_and(|why| why.contains("readme")), "the router's own: {route:#}");
        assert_eq!((&asked_router["type"], &asked_router["record"]["chosen"]), (&json!("docs"), &Value::Null));

        let mute = asked(&sealed, &["Anything", "-l", "agent:mute"]);
        assert_eq!((&mute["cost"]["forecast"], &mute["cost"]["unpriced"]), (&Value::Null, &json!(1)), "{mute:#}");
        assert_eq!(state(&sealed), before, "nothing was added, recorded or left behind");
    }
    let output = sealed.orch_in(&sealed.base().join("shop"), ["route", "Anything", "-l", "agent:mute"]).ok();
    assert!(
        output.stdout.contains("unknown: no priced run by mute (its own choice) yet (1 have no price)"),
        "{output}"
    );
    assert!(output.stdout.contains("mute takes its own default") && !output.stdout.contains("$0.00"), "{output}");
    sealed.finish();
}

#[test]
fn a_router_that_cannot_answer_is_reported_with_what_the_task_would_get_instead() {
    let mut sealed = after_a_night_with(ROUTER);
    let prose = "```orch-script\nroute answer=I would rather not\n```\n";
    let failed = asked(&sealed, &["Prose", "--body", prose]);
    let warning = failed["route"]["warning"].as_str().unwrap_or_default();
    assert!(failed["route"]["agent"] == "mute" && warning.contains("router failed"), "{failed:#}");
    sealed.orch(["pause", "--agent", "scripted"]).ok();
    let paused = asked(&sealed, &["Anything"]);
    let warning = paused["route"]["warning"].as_str().unwrap_or_default();
    assert!(paused["route"]["agent"] == "mute" && warning.contains("router.agent scripted is paused"), "{paused:#}");
    sealed.stop_daemon().ok();
    let turns = asked(&sealed, &["Anything", "--set", "router.mode=round_robin"]);
    assert!(turns["route"]["reason"].as_str().is_some_and(|why| why.starts_with("round robin")), "{turns:#}");
    sealed.finish();
}

#[test]
fn what_is_no_task_is_refused_with_what_to_do() {
    let sealed = after_a_night_with(ROUTER);
    let repo = sealed.base().join("shop");
    let long = "x".repeat(10_001);
    for (args, part) in [
        (["route", " "].as_slice(), "a task needs a title"),
        (&["route", &long], "the title is longer than 10000 characters"),
        (&["route", "Do it", "--dir", "/nowhere"], "/nowhere is not a directory"),
        (&["route", "Do it", "-l", "agent:nobody"], "nobody"),
        (&["route"], "required"),
    ] {
        let ran = sealed.orch_in(&repo, args);
        assert!(ran.stderr.contains(part), "{args:?}: {ran}");
        ran.code_is(2);
    }
    let strange =
        sealed.orch_in(&repo, ["route", "\u{1b}]0;pwned\u{7} `$(reboot)` \"; --json", "-l", "agent:mute"]).ok();
    assert!(!strange.stdout.contains('\u{1b}'), "{strange}");
    sealed.finish();
}

#[test]
fn the_router_gets_the_record_of_similar_tasks() {
    let mut sealed = after_a_night_with(ROUTER);
    for _ in 0..3 {
        sealed.orch(["patterns", "record", "--task-type", "docs", "--model", "small", "--outcome", "success"]).ok();
    }
    sealed.stop_daemon().ok();
    let repo = sealed.base().join("shop");
    let body = "```orch-script\nwrite said.txt done\ncommit Said\n```\n";
    sealed.orch_in(&repo, ["add", "Rename the readme", "-b", body, "-l", "type:docs"]).ok();
    sealed.run_program_in(ORCH, &repo).args(["run", "4"]).deadline(RUN).run().ok();
    let runs = std::fs::read_dir(sealed.orch_home().join(".orch/runs")).expect("runs").flatten();
    let prompts = runs.filter_map(|run| std::fs::read_to_string(run.path().join("prompt.md")).ok());
    let asked: Vec<String> = prompts.filter(|prompt| prompt.contains("ROUTE-REQUEST")).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let line = "- `scripted` with the model `small` in tasks of this project of type `docs`: 3 of 3 accepted";
    assert!(asked[0].contains(line) && asked[0].contains("3 of 3 recorded by hand"), "{}", asked[0]);
    sealed.finish();
}
