//! Tests `router.strategy` and `orch config preset`, with a real daemon and an agent that reports its price.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_some};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

/// A home with one agent that has a model for each complexity, and a project.
fn home() -> SealedBox {
    let sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    symlink(ORCH, &program).expect("a link in the box");
    sealed.config(&format!(
        "# mine\nrouter:   # who gets it\n  mode: round_robin\n  agents: [scripted]\n  fallback_executor: scripted   # the only one\n\
         agents:\n  scripted: {{kind: claude, command: '{}'}}\nworkflow: {{review: 'off'}}\n\
         model_map:\n  simple: {{scripted: haiku}}\n  medium: {{scripted: sonnet}}\n  complex: {{scripted: opus}}\n",
        program.display()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed
}

/// The route of a task that there is not.
fn route(sealed: &SealedBox, args: &[&str]) -> Value {
    let repo = sealed.base().join("shop");
    let view = sealed.orch_in(&repo, ["route", "--json", "Count the stars"].iter().chain(args)).ok().json();
    view["route"].clone()
}

fn reason(route: &Value) -> &str {
    route["reason"].as_str().expect("a reason")
}

#[test]
fn the_strategy_is_changed_without_a_restart_and_the_reason_says_what_it_did() {
    let mut sealed = home();
    sealed.serve();
    let usual = route(&sealed, &[]);
    assert_eq!((&usual["model"], reason(&usual)), (&json!("sonnet"), "round robin: turn 1 of 1"));
    sealed.orch(["config", "set", "router.strategy", "cost_aware"]).ok();
    // It holds for the very next command.
    let cheaper = route(&sealed, &[]);
    assert_eq!(cheaper["model"], "haiku", "{cheaper:#}");
    let text = reason(&cheaper);
    assert!(
        text.contains("; cost_aware: scripted/haiku ($") && text.contains("instead of scripted/sonnet ($"),
        "{text}"
    );
    for (label, why) in [("critical", "the task is critical"), ("complexity:complex", "the task is complex")] {
        let kept = route(&sealed, &["-l", label]);
        assert!(kept["model"] != "haiku" && reason(&kept).ends_with(&format!("cost_aware: kept, {why}")), "{kept:#}");
    }
    let simple = route(&sealed, &["-l", "complexity:simple"]);
    assert!(reason(&simple).contains("nothing that can do it is known to be cheaper"), "{simple:#}");

    let repo = sealed.base().join("shop");
    let body = "```orch-script\nwrite stars.txt many\ncommit Stars\n```\n";
    let added = sealed.orch_in(&repo, ["add", "Count the stars", "-b", body, "--json"]).ok().json();
    let id = added["id"].to_string();
    let done = wait_some("the task to be done", RUN, || {
        let shown = sealed.orch(["show", &id, "--json"]).ok().json();
        (shown["status"] == "done").then_some(shown)
    });
    assert_eq!((&done["route"]["model"], &done["runs"][0]["model"]), (&json!("haiku"), &json!("haiku")), "{done:#}");
    assert!(reason(&done["route"]).contains("cost_aware: scripted/haiku"), "{done:#}");
    let named = ["add", "Count them", "--agent", "scripted", "--model", "sonnet", "-b", body, "--json"];
    let named = sealed.orch_in(&repo, named).ok().json()["id"].to_string();
    let routed = wait_some("the second task to be routed", RUN, || {
        let shown = sealed.orch(["show", &named, "--json"]).ok().json();
        shown["route"].is_object().then_some(shown)
    });
    assert!(reason(&routed["route"]).ends_with("cost_aware: kept, the model was named"), "{routed:#}");
    sealed.finish();
}

#[test]
fn for_one_command_the_environment_goes_before_the_file() {
    let mut sealed = home();
    sealed.set("ORCH_ROUTER_STRATEGY", "balanced");
    sealed.set("ORCH_ROUTER_EXPLORE", "100%");
    let tried = route(&sealed, &[]);
    assert!(reason(&tried).contains("; balanced: tries scripted/") && tried["model"] != "sonnet", "{tried:#}");
    assert_eq!(route(&sealed, &[]), tried, "the same task, the same draw");
    let research = route(&sealed, &["-l", "type:research"]);
    assert!(reason(&research).contains("balanced: scripted/haiku"), "{research:#}");
    for (variable, value, text) in [
        ("ORCH_ROUTER_EXPLORE", "lots", "\"lots\" is not a share: write it as 5%, from 0% to 100%"),
        ("ORCH_ROUTER_STRATEGY", "cheap", "expected one of cost_aware, quality, balanced"),
    ] {
        sealed.set(variable, value);
        let ran = sealed.orch(["config", "validate"]).code_is(2);
        assert!(ran.stderr.contains(text), "{ran}");
    }
    sealed.finish();
}

#[test]
fn a_preset_is_shown_before_it_is_written_and_keeps_what_else_stands_there() {
    let mut sealed = home();
    let file = sealed.orch_home().join("config.yml");
    let read = || std::fs::read_to_string(&file).expect("a file");
    let before = read();
    let all = sealed.orch(["config", "preset", "--json"]).ok().json();
    let names: Vec<&str> = all.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["save-money", "max-quality", "balanced", "testing"]);
    let page = sealed.orch(["config", "preset"]).ok().stdout;
    assert!(page.contains("  router.strategy: cost_aware"), "{page}");

    let shown = sealed.orch(["config", "preset", "save-money", "--dry-run", "--json"]).ok().json();
    let strategy = json!({ "key": "router.strategy", "from": "quality", "to": "cost_aware" });
    assert!(shown["changes"].as_array().expect("changes").contains(&strategy), "{shown:#}");
    assert_eq!((read(), &shown["dry_run"]), (before.clone(), &json!(true)));

    sealed.orch(["config", "preset", "save_money"]).ok();
    let after = read();
    assert!(after.starts_with("# mine\nrouter:   # who gets it\n") && after.contains("# the only one"), "{after}");
    assert_eq!(sealed.orch(["config", "get", "router.strategy"]).ok().stdout, "cost_aware\n");
    let again = sealed.orch(["config", "preset", "save-money", "--json"]).ok().json();
    assert_eq!((read(), &again["changes"]), (after, &json!([])), "{again:#}");
    sealed.orch(["config", "preset", "balanced"]).ok();
    assert_eq!(sealed.orch(["config", "get", "router.cheaper_for"]).ok().stdout, "research\n");
    sealed.orch(["config", "preset", "max-quality"]).ok();
    assert_eq!(sealed.orch(["config", "get", "router.cheaper_for"]).ok().stdout, "null\n");

    let unknown = sealed.orch(["config", "preset", "save-mony"]).code_is(3);
    assert!(unknown.stderr.contains("did you mean save-money?"), "{unknown}");
    sealed.set("ORCH_ROUTER_STRATEGY", "quality");
    let ran = sealed.orch(["config", "preset", "testing"]).ok();
    assert!(ran.stderr.contains("ORCH_ROUTER_STRATEGY is set and goes before router.strategy"), "{ran}");
    sealed.unset("ORCH_ROUTER_STRATEGY");
    sealed.config("router: [\n");
    sealed.orch(["config", "preset", "testing"]).code_is(2);
    assert_eq!(read(), "router: [\n", "what cannot be read is not written over");
    sealed.finish();
}
