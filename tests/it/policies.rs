//! `router.policy`: live tasks routed by the document that `orch eval routing --policy` replays, with a real daemon.

use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_some, wait_until};
use crate::kit::write_file;
use serde_json::{Value, json};

/// A program that does its work with one model only.
const WORKER: &str = "#!/bin/sh
cat > /dev/null
case \"$1\" in strong*) echo work > answer.txt && git add . && git commit -q -m work;; esac
echo finished
";

fn home(policy: Option<&str>) -> SealedBox {
    let sealed = SealedBox::new();
    sealed.program("worker", WORKER);
    sealed.config(
        "engine: {tick_seconds: 1}\nrouter: {mode: round_robin, agents: [bot], fallback_executor: bot, policy: cheap.yml}\n\
         workflow: {review: 'off', max_attempts: 5}\n\
         agents: {bot: {kind: command, command: worker, args: ['{model}']}}\nmodel_map: {medium: {bot: strong-usual}}\n",
    );
    if let Some(policy) = policy {
        write(&sealed, policy);
    }
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed
}

fn write(sealed: &SealedBox, policy: &str) {
    write_file(&sealed.orch_home().join("cheap.yml"), policy);
}

fn add(sealed: &SealedBox, args: &[&str]) -> String {
    let repo = sealed.base().join("shop");
    let added = sealed.orch_in(&repo, ["add", "Find the answer", "--json"].iter().chain(args)).ok().json();
    added["id"].to_string()
}

fn until(sealed: &SealedBox, id: &str, status: &str) -> Value {
    wait_some(&format!("task {id} to be {status}"), RUN, || {
        let task = sealed.orch(["task", "show", id, "--json"]).ok().json();
        (task["status"] == status).then_some(task)
    })
}

fn models(task: &Value) -> Vec<&str> {
    task["runs"].as_array().into_iter().flatten().map(|run| text(&run["model"])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the problem of the settings that concerns the policy.
fn problem(sealed: &SealedBox) -> String {
    let status = sealed.orch(["status", "--json"]).ok().json();
    let problems = status["problems"].as_array().cloned().unwrap_or_default();
    problems.iter().map(text).filter(|output| output.contains("router.policy")).collect()
}

fn route(sealed: &SealedBox, args: &[&str]) -> Value {
    let repo = sealed.base().join("shop");
    sealed.orch_in(&repo, ["route", "Find the answer", "--json"].iter().chain(args)).ok().json()["route"].clone()
}

#[test]
fn a_task_climbs_the_ladder_of_the_policy_and_its_route_says_why() {
    let mut sealed = home(Some("ladder: [bot/weak, bot/strong]\n"));
    let answer = route(&sealed, &[]);
    assert_eq!(answer["model"], "weak", "{answer:#}");
    let reason = "round robin: turn 1 of 1; policy cheap.yml: bot/weak, the next of its ladder";
    assert!(text(&answer["reason"]).starts_with(reason), "{answer:#}");
    sealed.serve();
    let task = until(&sealed, &add(&sealed, &[]), "done");
    assert_eq!((models(&task), &task["attempts"]), (vec!["weak", "strong"], &json!(2)), "{task:#}");
    let reason = text(&task["route"]["reason"]);
    assert!(reason.starts_with("policy cheap.yml: bot/strong, the next of its ladder"), "{reason}");
    assert!(reason.ends_with("; before it: no_change"), "{reason}");
    for (args, model, why) in [
        (["--agent", "bot", "--model", "strong-named"], "strong-named", "kept, the model was named"),
        (["-l", "critical", "--agent", "bot"], "strong-usual", "kept, the task is critical"),
    ] {
        let task = until(&sealed, &add(&sealed, &args), "done");
        assert_eq!(models(&task), [model], "{task:#}");
        assert!(text(&task["route"]["reason"]).contains(why), "{task:#}");
    }
    sealed.finish();
}

#[test]
fn a_ladder_that_is_used_up_asks_a_person_with_the_reason() {
    let mut sealed = home(Some("ladder: [bot/weak, gone/strong]\n"));
    sealed.serve();
    assert!(problem(&sealed).contains("gone/strong names no agent"), "{}", problem(&sealed));
    write(&sealed, "ladder: [bot/weak]\n");
    wait_until("the policy to be read", RUN, || problem(&sealed).is_empty());
    let id = add(&sealed, &[]);
    let task = until(&sealed, &id, "needs_review");
    let question = text(&task["question"]);
    assert!(question.contains("policy cheap.yml stops here: 1 attempt failed"), "{task:#}");
    assert_eq!(models(&task), ["weak"], "{task:#}");
    let why = sealed.orch(["why", &id]).ok().stdout;
    assert!(why.contains("policy cheap.yml stops here"), "{why}");
    sealed.orch(["task", "edit", &id, "--model", "strong"]).ok();
    sealed.orch(["task", "retry", &id]).ok();
    assert_eq!(models(&until(&sealed, &id, "done")), ["weak", "strong"]);
    sealed.finish();
}

#[test]
fn a_policy_that_does_not_read_is_reported_and_the_last_good_one_stays() {
    let mut sealed = home(None);
    sealed.serve();
    assert!(problem(&sealed).contains("no policy routes"), "{}", problem(&sealed));
    assert_eq!(route(&sealed, &[])["model"], "strong-usual");
    write(&sealed, "ladder: [bot/strong]\n");
    wait_until("the policy to be read", RUN, || route(&sealed, &[])["model"] == "strong");
    assert_eq!(problem(&sealed), "");
    let valid = sealed.orch(["config", "validate"]).ok().stdout;
    assert!(valid.contains("cheap.yml is valid"), "{valid}");
    for (broken, place) in [
        ("ladder: [bot/strong\n", "cheap.yml: line"),
        ("ladders: [bot/weak]\n", "cheap.yml: line 1, column 1"),
        ("ladder: ['bot /x']\n", "is not a rung"),
        ("ladder: [bot/a, bot/a]\n", "names the model `bot/a` twice"),
        ("stop: {max_tries: 0}\n", "stop.max_tries is 0"),
    ] {
        write(&sealed, broken);
        wait_until(&format!("{place} to be reported"), RUN, || problem(&sealed).contains(place));
        assert!(problem(&sealed).contains("the one that was read before stays in force"), "{}", problem(&sealed));
        assert_eq!(route(&sealed, &[])["model"], "strong");
        let invalid = sealed.orch(["config", "validate"]).code_is(2).stderr;
        assert!(invalid.contains(place) && invalid.contains("router.policy"), "{invalid}");
    }
    write(&sealed, "ladder: [bot/strong-two]\n");
    wait_until("the policy to be read", RUN, || route(&sealed, &[])["model"] == "strong-two");
    sealed.finish();
}

#[test]
fn the_run_that_just_ended_counts_as_money() {
    let mut sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    std::os::unix::fs::symlink(crate::kit::sealed_box::ORCH, &program).expect("a link in the box");
    sealed.config(&format!(
        "engine: {{tick_seconds: 1}}\nrouter: {{mode: round_robin, agents: [bot], fallback_executor: bot, policy: cheap.yml}}\n\
         workflow: {{review: 'off', max_attempts: 5}}\nagents: {{bot: {{kind: claude, command: '{}'}}}}\n",
        program.display()
    ));
    let policy = |most: &str| format!("ladder: [bot/haiku, bot/sonnet]\nstop: {{max_cost_usd: {most}}}\n");
    write(&sealed, &policy("0.0001"));
    sealed.orch_in(sealed.repo("shop").dir(), ["init"]).ok();
    sealed.serve();
    let in_vain = "```orch-script\nsay nothing was done\n```\n";
    let spent = until(&sealed, &add(&sealed, &["-b", in_vain]), "needs_review");
    assert_eq!(models(&spent), ["haiku"], "its money is spent after the first: {spent:#}");
    let question = text(&spent["question"]);
    assert!(question.contains("1 attempt failed, and its money is spent: $"), "{question}");
    assert!(question.contains("of $0.0001 (stop.max_cost_usd)") && !question.contains("-0 %"), "{question}");
    write(&sealed, &policy("100"));
    wait_until("the policy to be read", RUN, || problem(&sealed).is_empty());
    let tried = wait_some("a task to climb with more money", RUN, || {
        let task = until(&sealed, &add(&sealed, &["-b", in_vain]), "needs_review");
        (models(&task).len() == 2).then_some(task)
    });
    assert!(text(&tried["question"]).contains("2 attempts failed, and nobody else of its ladder is left"), "{tried:#}");
    sealed.finish();
}
