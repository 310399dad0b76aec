//! Tests the records of models, under the names that programs were given; fallbacks; and settings that become invalid
//! during runs.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_some, wait_until};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

const DO_IT: &str = "```orch-script\nwrite stars.txt many\ncommit Stars\n```\n";
const IN_VAIN: &str = "```orch-script\nsay nothing was done\n```\n";

fn settings(sealed: &SealedBox, models: &str) -> String {
    let program = sealed.bin().join("orch-scripted-agent");
    format!(
        "engine: {{tick_seconds: 1}}\nrouter: {{mode: round_robin, agents: [scripted], fallback_executor: scripted}}\n\
         agents: {{scripted: {{kind: claude, command: '{}'}}}}\nworkflow: {{review: 'off', max_attempts: 1}}\n\
         model_aliases: {{work: haiku}}\n{models}\n",
        program.display()
    )
}

/// A home with an agent of anthropic's, and a project.
fn home(models: &str) -> SealedBox {
    let sealed = SealedBox::new();
    symlink(ORCH, sealed.bin().join("orch-scripted-agent")).expect("a link in the box");
    sealed.config(&settings(&sealed, models));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed
}

fn add(sealed: &SealedBox, body: &str, args: &[&str]) -> String {
    let repo = sealed.base().join("shop");
    let own = ["add", "Count the stars", "--json", "-b", body];
    sealed.orch_in(&repo, own.iter().chain(args)).ok().json()["id"].to_string()
}

fn work_off(sealed: &SealedBox) {
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run();
}

fn show(sealed: &SealedBox, id: &str) -> Value {
    sealed.orch(["show", id, "--json"]).ok().json()
}

/// The model that the only run of a task was given.
fn given(sealed: &SealedBox, id: &str) -> String {
    let shown = show(sealed, id);
    text(&shown["runs"][0]["model"]).to_owned()
}

fn asked(sealed: &SealedBox, args: &[&str]) -> Value {
    let repo = sealed.base().join("shop");
    sealed.orch_in(&repo, ["route", "Count the stars", "--json"].iter().chain(args)).ok().json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_judged_run_of_a_tier_is_found_again_as_record_and_forecast() {
    let mut sealed = home("model_map: {medium: {scripted: 'tier:opus'}}");
    let id = add(&sealed, DO_IT, &[]);
    work_off(&sealed);
    let model = given(&sealed, &id);
    assert!(model.starts_with("claude-opus-"), "{model}");
    for is_served in [false, true] {
        if is_served {
            sealed.serve();
        }
        let view = asked(&sealed, &[]);
        assert_eq!(view["route"]["model"], "tier:opus", "{view:#}");
        assert_eq!(view["cost"]["forecast"]["samples"], 1, "{view:#}");
        assert_eq!(view["record"]["chosen"]["model"], json!(model), "{view:#}");
        assert_eq!(
            (view["record"]["chosen"]["successes"].as_u64(), view["record"]["samples"].as_u64()),
            (Some(1), Some(1)),
            "{view:#}"
        );
    }
    let export = sealed.orch(["patterns", "export"]).ok().json_lines();
    assert_eq!((&export[0]["model"], &export[0]["answered_by"]), (&json!(model), &json!(model)), "{export:#?}");
    sealed.finish();
}

#[test]
fn who_has_failed_is_passed_over_within_its_tier_and_the_reason_says_it() {
    let mut sealed = home("model_map: {medium: {scripted: 'tier:opus'}}");
    let failed: Vec<String> = (0..3).map(|_| add(&sealed, IN_VAIN, &[])).collect();
    work_off(&sealed);
    let given_first = given(&sealed, &failed[0]);
    assert!(failed.iter().all(|id| given(&sealed, id) == given_first), "all of them had {given_first}");
    let passed = format!("without history anthropic/{given_first} would be first (history: 0 of 3 good)");

    sealed.set("ANTHROPIC_API_KEY", "sk-test-not-shown");
    let resolved = sealed.orch(["models", "resolve", "tier:opus", "--json"]).ok().json();
    assert_ne!(resolved["resolved_model"], json!(format!("anthropic/{given_first}")), "{resolved:#}");
    assert!(text(&resolved["reason"]).contains(&passed), "{resolved:#}");
    sealed.unset("ANTHROPIC_API_KEY");

    let view = asked(&sealed, &[]);
    assert!(text(&view["resolver"]["reason"]).contains(&passed), "{view:#}");
    let next = add(&sealed, DO_IT, &[]);
    sealed.serve();
    wait_until("the next task to be done", RUN, || show(&sealed, &next)["status"] == "done");
    let shown = show(&sealed, &next);
    assert_ne!(given(&sealed, &next), given_first, "{shown:#}");
    assert!(text(&shown["runs"][0]["reason"]).contains(&passed), "{shown:#}");
    sealed.finish();
}

#[test]
fn a_strategy_remembers_what_an_alias_has_failed_at() {
    let sealed = home("model_map: {simple: {scripted: work}, medium: {scripted: sonnet}}");
    let cheaper = |sealed: &SealedBox| asked(sealed, &["--set", "router.strategy=cost_aware"])["route"].clone();
    assert_eq!(cheaper(&sealed)["model"], "work", "{:#}", cheaper(&sealed));
    let failed: Vec<String> =
        (0..3).map(|_| add(&sealed, IN_VAIN, &["--agent", "scripted", "--model", "work"])).collect();
    work_off(&sealed);
    assert!(given(&sealed, &failed[2]).starts_with("claude-haiku-"), "{}", given(&sealed, &failed[2]));
    let kept = cheaper(&sealed);
    assert_eq!(kept["model"], "sonnet", "{kept:#}");
    assert!(text(&kept["reason"]).contains("nothing that can do it is known to be cheaper"), "{kept:#}");
    sealed.finish();
}

#[test]
fn a_model_without_tools_gets_questions_and_no_work_that_changes_files() {
    let sealed = home(
        "models: {anthropic/claude-haiku-4-5: {tools: false}}\n\
         model_map: {simple: {scripted: claude-haiku-4-5}, medium: {scripted: sonnet}}",
    );
    let cost_aware = ["--set", "router.strategy=cost_aware", "-l"];
    let feature = asked(&sealed, &[&cost_aware[..], &["type:feature"]].concat());
    assert_eq!(feature["route"]["model"], "sonnet", "{feature:#}");
    let research = asked(&sealed, &[&cost_aware[..], &["type:research"]].concat());
    assert_eq!(research["route"]["model"], "claude-haiku-4-5", "{research:#}");
    assert!(text(&research["resolver"]["reason"]).contains("claude-haiku-4-5"), "{research:#}");
    let simple = asked(&sealed, &["-l", "complexity:simple"]);
    let why = "has no tools, and the work changes files";
    assert!(text(&simple["resolver"]["reason"]).contains(why), "{simple:#}");
    let named = add(&sealed, DO_IT, &["--agent", "scripted", "--model", "claude-haiku-4-5"]);
    work_off(&sealed);
    let shown = show(&sealed, &named);
    assert_eq!((&shown["status"], &shown["runs"]), (&json!("needs_review"), &json!([])), "{shown:#}");
    assert!(text(&shown["question"]).contains(why), "{shown:#}");
    sealed.finish();
}

#[test]
fn a_model_map_that_breaks_while_a_run_is_under_way_stops_nothing_and_the_last_good_one_stays() {
    let mut sealed = home("model_map: {medium: {scripted: sonnet}}");
    sealed.serve();
    let gate = sealed.base().join("go-on");
    let body = format!("```orch-script\nwait-for {}\nwrite stars.txt many\ncommit Stars\n```\n", gate.display());
    let running = add(&sealed, &body, &[]);
    wait_until("the run to begin", RUN, || show(&sealed, &running)["status"] == "in_progress");
    let problem = || {
        let status = sealed.orch(["status", "--json"]).ok().json();
        let output = status["problems"].as_array().cloned().unwrap_or_default();
        output.iter().map(text).find(|output| output.contains("model_map")).map(str::to_owned)
    };
    for broken in [
        "model_map: [haiku]",
        "model_map: {medium: {scripted: {deep: haiku}}}",
        "model_map: {mediun: {scripted: haiku}}",
    ] {
        sealed.config(&settings(&sealed, broken));
        sealed.orch(["config", "validate"]).code_is(2);
        let output = wait_some(&format!("{broken} to be reported"), RUN, problem);
        assert!(output.contains("config.yml"), "{output}");
    }
    assert_eq!(show(&sealed, &running)["status"], "in_progress");
    crate::kit::write_file(&gate, "");
    wait_until("the run to end well", RUN, || show(&sealed, &running)["status"] == "done");
    let next = add(&sealed, DO_IT, &[]);
    wait_until("the next one to be done", RUN, || show(&sealed, &next)["status"] == "done");
    assert_eq!([given(&sealed, &running), given(&sealed, &next)], ["sonnet", "sonnet"], "the last good settings");
    assert!(problem().is_some(), "as long as it is broken");
    sealed.config(&settings(&sealed, "model_map: {medium: {scripted: haiku}}"));
    wait_until("the mended settings to count", RUN, || problem().is_none());
    let last = add(&sealed, DO_IT, &[]);
    wait_until("the last one to be done", RUN, || show(&sealed, &last)["status"] == "done");
    assert_eq!(given(&sealed, &last), "haiku");
    sealed.finish();
}
