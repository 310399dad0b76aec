//! Tests `orch cost` and `orch patterns` on recorded runs: one agent reports its price, the other does not.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

const SCRIPT: &str = "```orch-script\nwrite made.txt done\ncommit Made\n```\n";

/// Creates a home with three tasks: merged at a known price, merged at an unknown price, and failed.
fn after_a_night() -> SealedBox {
    after_a_night_with("")
}

/// The same with more in its settings.
pub fn after_a_night_with(more: &str) -> SealedBox {
    let mut sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    symlink(ORCH, &program).expect("a link in the box");
    sealed.program("mute", "#!/bin/sh\ncat > /dev/null; echo more >> README.md; git commit -qam did\n");
    sealed.config(&format!(
        "agents:\n  scripted: {{kind: claude, command: '{}'}}\n  mute: {{kind: command, command: mute}}\n\
         workflow: {{review: 'off', max_attempts: 1, integrate: merge}}\nmodel_map: {{simple: {{scripted: small}}}}\n{more}",
        program.display()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    let add = |title: &str, agent: &str, body: &str| {
        let agent = format!("agent:{agent}");
        let args = ["add", title, "-b", body, "-l", &agent, "-l", "complexity:simple"];
        sealed.orch_in(repo.dir(), args).ok();
    };
    add("Priced", "scripted", SCRIPT);
    add("Unpriced", "mute", "Do it");
    add("In vain", "scripted", "```orch-script\nsay nothing was done\n```\n");
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(5);
    sealed.serve();
    sealed
}

fn rows(sealed: &SealedBox, args: &[&str]) -> Value {
    let all: Vec<&str> = ["cost", "--json"].iter().chain(args).copied().collect();
    sealed.orch(all).ok().json()
}

/// A column of the rows.
fn column(view: &Value, key: &str) -> Vec<Value> {
    view["rows"].as_array().expect("rows").iter().map(|row| row[key].clone()).collect()
}

#[test]
fn what_was_spent_is_reported_by_agent_task_model_project_and_day_with_and_without_a_daemon() {
    let mut sealed = after_a_night();
    let by_agent = rows(&sealed, &[]);
    assert_eq!(column(&by_agent, "key"), ["scripted", "mute"], "{by_agent:#}");
    let (scripted, mute) = (&by_agent["rows"][0], &by_agent["rows"][1]);
    assert_eq!((&scripted["tasks"], &scripted["merged"], &scripted["unpriced"]), (&2.into(), &1.into(), &0.into()));
    let spent = scripted["cost_usd"].as_f64().expect("a price");
    assert!(spent > 0.0 && scripted["per_merged_usd"].as_f64() == Some(spent), "what came to nothing is paid for, too");
    assert_eq!(
        (&mute["cost_usd"], &mute["per_merged_usd"], &mute["unpriced"], &mute["merged"]),
        (&Value::Null, &Value::Null, &1.into(), &1.into())
    );
    assert_eq!(by_agent["total"]["cost_usd"].as_f64(), Some(spent));

    let by_task = rows(&sealed, &["--by", "task", "--per-merged"]);
    assert_eq!(column(&by_task, "title"), ["Priced", "In vain", "Unpriced"], "the cheapest merge first: {by_task:#}");
    assert_eq!(column(&rows(&sealed, &["--by", "model"]), "key"), [json!("small"), Value::Null]);
    let by_project = rows(&sealed, &["--by", "project"]);
    let place = by_project["rows"][0]["key"].as_str().expect("a directory").to_owned();
    assert!(place.ends_with("/shop") && column(&by_project, "merged") == [json!(2)], "{by_project:#}");
    assert_eq!(column(&rows(&sealed, &["--by", "day"]), "tasks"), [json!(3)]);
    assert_eq!(column(&rows(&sealed, &["--since", "2100-01-01T00:00:00Z"]), "key"), Vec::<Value>::new());
    assert_eq!(sealed.orch(["cost", "--since", "2100-01-01T00:00:00Z"]).ok().stdout, "no run has ended\n");
    sealed.orch(["cost", "--by", "moon"]).code_is(2);
    sealed.orch(["cost", "--since", "soon"]).code_is(2);

    let served = sealed.orch(["cost"]).ok().stdout;
    assert!(served.contains("per merged") && served.contains("have no price"), "{served}");
    sealed.stop_daemon().ok();
    assert_eq!(sealed.orch(["cost"]).ok().stdout, served);
    sealed.finish();
}

#[test]
fn judged_runs_recommend_the_agent_that_succeeded() {
    let mut sealed = after_a_night();
    let stats = sealed.orch(["patterns", "stats", "--json"]).ok().json();
    assert_eq!(
        (&stats["samples"], &stats["recommended"]),
        (&json!(3), &Value::Null),
        "too few of one agent: {stats:#}"
    );
    assert_eq!(column(&stats, "agent"), ["mute", "scripted"], "{stats:#}");
    assert_eq!(column(&stats, "failures"), [json!({}), json!({"no_change": 1})]);
    assert!(
        sealed
            .orch(["patterns", "recommend", "feature"])
            .ok()
            .stdout
            .starts_with("no recommendation for feature: that takes")
    );

    let repo = sealed.base().join("shop");
    for title in ["More of it", "Still more"] {
        let args = ["add", title, "-b", "Do it", "-l", "agent:mute", "-l", "complexity:simple", "--type", "bug"];
        sealed.orch_in(&repo, args).ok();
    }
    let merged = || rows(&sealed, &["--by", "agent"])["total"]["merged"] == json!(4);
    wait_until("all to be merged", RUN, merged);
    let best = sealed.orch(["patterns", "recommend", "--json"]).ok().json();
    assert_eq!(best["recommended"]["agent"], "mute", "{best:#}");
    let text = sealed.orch(["patterns", "recommend"]).ok().stdout;
    assert!(text.starts_with("mute (its own choice) for any: 3 of 3 accepted: 100 %"), "{text}");
    let fixes = sealed.orch(["patterns", "stats", "--type", "fix", "--json"]).ok().json();
    assert_eq!((&fixes["samples"], &fixes["by_type"]["fix"][0]["agent"]), (&json!(2), &json!("mute")));
    for (args, hint) in [
        (&["stats", "--project", "/nowhere"][..], "projects are shop"),
        (&["recommend", "--project", "shpo"], "did you mean shop?"),
        (&["recommend", "fixx"], "did you mean fix?"),
        (&["stats", "--type", "bogus"], "types are feature, fix"),
        (&["analyze", "--type", "fixx"], "did you mean fix?"),
        (&["export", "--type", "fixx"], "did you mean fix?"),
    ] {
        let refused = sealed.orch([&["patterns"], args].concat()).code_is(2);
        assert!(refused.stderr.contains(hint), "{args:?}: {}", refused.stderr);
    }
    let none = sealed.orch(["patterns", "stats", "--type", "ops", "--label", "x"]).ok().stdout;
    assert_eq!(none, "no judged run is of type ops, with the label x; there are 5 judged runs in all\n");
    let here = sealed.orch(["patterns", "stats", "--project", "shop", "--json"]).ok().json();
    assert_eq!(here["samples"], 5, "the name of a project is its directory");

    let similar = sealed.orch(["patterns", "suggest", "pricing & something", "--json"]).ok().json();
    assert_eq!((&similar[0]["title"], &similar[0]["accepted"]), (&json!("Priced"), &json!(true)), "{similar:#}");
    assert!(sealed.orch(["patterns", "suggest", "??"]).ok().stdout.starts_with("no task"));
    let failed = sealed.orch(["patterns", "analyze"]).ok().stdout;
    assert!(failed.contains("no_change") && failed.contains("50%"), "{failed}");
    sealed.stop_daemon().ok();
    let exported = sealed.orch(["patterns", "export"]).ok().json_lines();
    assert_eq!(exported.len(), 5);
    assert_eq!(exported.iter().filter(|sample| sample["accepted"] == json!(true)).count(), 4);
    assert!(sealed.orch(["patterns", "report"]).ok().stdout.contains("fix\n"));
    sealed.finish();
}

#[test]
fn what_a_person_recorded_counts_and_stays_visible_as_theirs() {
    let mut sealed = after_a_night();
    let record = |more: &[&str]| {
        let all = ["patterns", "record", "--task-type", "bug", "--model", "small", "--outcome", "success"];
        sealed.orch(all.iter().chain(more))
    };
    let first = record(&["--cost", "$0.41", "--duration", "10m", "--tier", "simple", "--note", "-by hand", "--json"]);
    let first = first.ok().json();
    assert_eq!(
        (&first["source"], &first["agent"], &first["type"]),
        (&json!("person"), &json!("scripted"), &json!("fix"))
    );
    assert_eq!((&first["note"], &first["seconds"], &first["task_id"]), (&json!("-by hand"), &json!(600), &Value::Null));
    let output = record(&["--project", "shop", "--ended", "2h"]).ok();
    assert!(output.stdout.contains("recorded a success of scripted small in fix, cost not known"), "{output}");
    record(&["--project", "."]).code_is(2);
    record(&["--agent", "scripted"]).ok();
    sealed.stop_daemon().ok();
    let best = sealed.orch(["patterns", "recommend", "fix", "--json"]).ok().json();
    assert_eq!((&best["samples"], &best["rows"][0]["by_hand"]), (&json!(3), &json!(3)), "{best:#}");
    let why = best["recommended"]["reason"].as_str().unwrap_or_default();
    assert!(why.contains("3 of 3 recorded by hand"), "{why}");
    assert!(sealed.orch(["patterns", "stats"]).ok().stdout.contains("5 (3 by hand)"));
    let exported = sealed.orch(["patterns", "export"]).ok().json_lines();
    assert_eq!(exported.iter().filter(|sample| sample["source"] == "person").count(), 3);
    let failed = ["patterns", "record", "--task-type", "docs", "--model", "small", "--outcome", "failure"];
    sealed.orch(failed).ok();
    assert!(sealed.orch(["patterns", "analyze", "--type", "docs"]).ok().stdout.contains("told"));
    assert!(sealed.orch(["events"]).ok().stdout.contains("records a failure: docs by scripted small"));
    sealed.finish();
}

#[test]
fn what_cannot_have_been_is_not_recorded_and_said_with_its_place() {
    let sealed = after_a_night();
    let sound = ["patterns", "record", "--task-type", "fix", "--model", "small", "--outcome", "success"];
    for (flag, value, part) in [
        ("--cost", "-3", "--cost"),
        ("--cost", "nan", "--cost"),
        ("--cost", "inf", "--cost"),
        ("--duration", "-5m", "--duration"),
        ("--tier", "pro", "expected simple, medium or complex"),
        ("--ended", "2999-01-01T00:00:00Z", "ended: 2999-01-01T00:00:00Z is in the future"),
        ("--project", "barn", "project: \"barn\" is no registered repository"),
        ("--agent", "clod", "agent: there is no agent \"clod\""),
    ] {
        let ran = sealed.orch(sound.iter().chain(&[flag, value]));
        assert!(ran.stderr.contains(part), "{flag} {value}: {ran}");
        ran.code_is(2);
    }
    for (at, value, part) in [
        (3, "fixx", "did you mean fix?"),
        (5, "sonet", "sonnet"),
        (5, "auto:fast", "auto:fast is a choice among models"),
        (7, "perhaps", "--outcome"),
    ] {
        let mut args = sound;
        args[at] = value;
        let ran = sealed.orch(args);
        assert!(ran.stderr.contains(part), "{value}: {ran}");
        ran.code_is(2);
    }
    assert_eq!(sealed.orch(["patterns", "stats", "--json"]).ok().json()["samples"], 3, "nothing was recorded");
    sealed.finish();
}

#[test]
fn models_are_compared_by_what_they_did_here_under_all_their_names() {
    let mut sealed = after_a_night();
    sealed.stop_daemon().ok();
    let compared = |sealed: &SealedBox| sealed.orch(["models", "compare", "opus", "gpt-5.2", "--json"]).ok().json();
    assert_eq!(column(&json!({"rows": compared(&sealed)}), "record"), [Value::Null, Value::Null]);
    let text = sealed.orch(["models", "compare", "opus", "gpt-5.2"]).ok().stdout;
    assert!(text.contains("no run of anthropic/claude-opus") && text.contains("was judged here yet"), "{text}");

    let opus = sealed.orch(["models", "resolve", "opus", "--json"]).ok().json();
    let id = opus["resolved_model"].as_str().expect("a model").to_owned();
    let own = id.strip_prefix("anthropic/").expect("of anthropic").to_owned();
    for (model, outcome) in [("opus", "success"), (own.as_str(), "success"), (id.as_str(), "failure")] {
        let sample = ["patterns", "record", "--task-type", "fix", "--agent", "claude", "--cost", "0.50"];
        sealed.orch([&sample[..], &["--model", model, "--outcome", outcome]].concat()).ok();
    }
    let record = &compared(&sealed)[0]["record"];
    assert_eq!((&record["samples"], &record["successes"]), (&json!(3), &json!(2)), "{record:#}");
    assert_eq!((&record["cost_usd"], &record["per_success_usd"]), (&json!(1.5), &json!(0.75)), "{record:#}");
    assert_eq!(record["recorded_as"].as_array().map(Vec::len), Some(3), "{record:#}");
    let text = sealed.orch(["models", "compare", "opus", "gpt-5.2"]).ok().stdout;
    assert!(text.contains("3 (3 by hand)") && text.contains("$0.75") && text.contains("67%"), "{text}");
    assert!(text.ends_with("no run of openai/gpt-5.2 was judged here yet\n"), "{text}");
    sealed.finish();
}
