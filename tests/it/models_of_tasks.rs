//! Which model a run gets: names that are resolved when it begins, models that a person asks for with a message, and those that
//! are set while the daemon runs.

use crate::kit::clis::{self, Agent};
use crate::kit::process::Ran;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_some};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

const DO_IT: &str = "```orch-script\nwrite stars.txt many\ncommit Stars\n```\n";
const IN_VAIN: &str = "```orch-script\nsay nothing was done\n```\n";

/// A home with an agent of anthropic's, and a project.
fn home() -> SealedBox {
    let sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    symlink(ORCH, &program).expect("a link in the box");
    sealed.config(&format!(
        "router: {{mode: round_robin, agents: [scripted], fallback_executor: scripted}}\n\
         agents:\n  scripted: {{kind: claude, command: '{}'}}\nworkflow: {{review: 'off', max_attempts: 1}}\n\
         model_aliases: {{quick: 'tier:haiku'}}\n\
         model_map:\n  simple: {{scripted: haiku}}\n  medium: {{scripted: sonnet}}\n  complex: {{scripted: opus}}\n  review: {{scripted: small}}\n",
        program.display()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed
}

fn add(sealed: &SealedBox, args: &[&str]) -> String {
    let repo = sealed.base().join("shop");
    let added = sealed.orch_in(&repo, ["add", "Count the stars", "--json"].iter().chain(args)).ok().json();
    added["id"].to_string()
}

fn until(sealed: &SealedBox, id: &str, status: &str) -> Value {
    wait_some(&format!("task {id} to be {status}"), RUN, || {
        let shown = sealed.orch(["show", id, "--json"]).ok().json();
        (shown["status"] == status).then_some(shown)
    })
}

/// The last run of a task.
fn last(task: &Value) -> &Value {
    task["runs"].as_array().and_then(|runs| runs.last()).expect("a run")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn send(sealed: &SealedBox, args: &[&str]) -> Ran {
    sealed.orch(["task", "send", "--no-wait", "--json"].iter().chain(args))
}

#[test]
fn a_tag_a_tier_and_an_alias_become_a_model_of_the_agents_when_its_run_begins() {
    let mut sealed = home();
    sealed.serve();
    for reference in ["tier:haiku", "quick", "anthropic/claude-haiku-4-5"] {
        let id = add(&sealed, &["--agent", "scripted", "--model", reference, "-b", DO_IT]);
        let done = until(&sealed, &id, "done");
        assert_eq!(
            (text(&done["route"]["model"]), text(&last(&done)["model"])),
            (reference, "claude-haiku-4-5"),
            "{done:#}"
        );
        let is_named = reference.contains('/');
        assert_eq!(last(&done)["reason"].is_null(), is_named, "{done:#}");
    }
    let events = sealed.orch(["events", "--json"]).ok().json_lines();
    let answer = events.iter().find(|event| event["kind"] == "model_resolved").expect("it is told");
    assert!(
        text(&answer["text"]).starts_with("tier:haiku is claude-haiku-4-5: tier:haiku: the best score"),
        "{answer}"
    );
    // The name that its provider has for it is what the program gets.
    let old = add(&sealed, &["--agent", "scripted", "--model", "sonnet-4.5", "-b", DO_IT]);
    let done = until(&sealed, &old, "done");
    assert_eq!(text(&last(&done)["model"]), "claude-sonnet-4-5", "{done:#}");
    // An unknown model must be declared by the person.
    let refused = sealed.orch_in(&sealed.base().join("shop"), ["add", "x", "--model", "a-name-of-its-own"]).code_is(2);
    assert!(refused.stderr.contains("no model is called \"a-name-of-its-own\""), "{refused}");
    sealed.orch(["config", "set", "models.anthropic/a-name-of-its-own.tier", "sonnet"]).ok();
    let own = wait_some("the settings to be read", RUN, || {
        let repo = sealed.base().join("shop");
        let args = ["add", "x", "--agent", "scripted", "--model", "a-name-of-its-own", "-b", DO_IT, "--json"];
        let added = sealed.orch_in(&repo, args);
        (added.code == Some(0)).then(|| added.json()["id"].to_string())
    });
    let done = until(&sealed, &own, "done");
    assert_eq!(text(&last(&done)["model"]), "a-name-of-its-own");
    sealed.finish();
}

#[test]
fn a_model_that_the_agent_cannot_have_asks_a_person_and_says_what_to_do() {
    let mut sealed = home();
    sealed.serve();
    for (args, why, hint) in [
        (["--model", "gpt-5.2"].as_slice(), "and scripted has those of anthropic only", "orch models list"),
        (&["--model", "openai/gpt-5.2"], "and scripted has those of anthropic only", "another agent"),
        (&["--model", "small", "-l", "needs:vision"], "the task needs vision, and nothing is known", "auto:vision"),
    ] {
        let id = add(&sealed, &[["--agent", "scripted", "-b", DO_IT].as_slice(), args].concat());
        let asked = until(&sealed, &id, "needs_review");
        let question = text(&asked["question"]);
        assert!(question.contains(why) && question.contains(hint), "{question}");
        assert_eq!(asked["choices"][0], format!("orch task edit {id} --model MODEL"), "{asked:#}");
        assert_eq!((&asked["runs"], &asked["attempts"]), (&json!([]), &json!(0)), "nothing was begun: {asked:#}");
    }
    // A message that does not fix the problem gets the same answer, once.
    let sent = sealed.orch(["task", "send", "1", "go on", "--json"]);
    let sent: Value = sent.code_is(7).json();
    assert_eq!(text(&sent["state"]), "refused", "{sent}");
    assert!(text(&sent["detail"]).contains("no run begins: gpt-5.2: "), "{sent}");
    let id = add(&sealed, &["--agent", "scripted", "-l", "needs:vision", "-b", DO_IT]);
    assert_eq!(text(&last(&until(&sealed, &id, "done"))["model"]), "sonnet", "it has vision");
    let labels = ["-l", "needs:visoin", "-l", "model-policy:glue", "-l", "max-cost:0", "-l", "max-cost:2.50"];
    let odd = sealed.orch_in(&sealed.base().join("shop"), ["add", "x"].iter().chain(&labels)).ok();
    assert!(odd.stderr.contains("needs:visoin: means nothing, did you mean \"vision\"?"), "{odd}");
    assert!(odd.stderr.contains("expected dynamic or sticky"), "{odd}");
    let no_limit = "max-cost:0: \"0\" is no amount of dollars above 0, so that it limits nothing";
    assert!(odd.stderr.contains(no_limit) && !odd.stderr.contains("max-cost:2.50:"), "{odd}");
    let none = sealed.orch_in(&sealed.base().join("shop"), ["add", "x", "--model", "anthropic/"]).code_is(2);
    assert!(none.stderr.contains("\"anthropic/\" is not a reference to a model"), "{none}");
    sealed.finish();
}

#[test]
fn a_message_brings_a_model_for_the_next_run_and_only_for_that() {
    let mut sealed = home();
    sealed.serve();
    let id = add(&sealed, &["-b", IN_VAIN]);
    let before = until(&sealed, &id, "needs_review");
    let bad = send(&sealed, &[&id, "go on", "--model", "gpt-5.2"]).code_is(2).json();
    assert!(text(&bad["error"]["message"]).contains("has those of anthropic only"), "{bad}");
    send(&sealed, &[&id, "go on", "--model", "-x"]).code_is(2);
    let sent = send(&sealed, &[&id, IN_VAIN, "--model", "tier:opus"]).ok().json();
    assert!(text(&sent["detail"]).contains("has the model tier:opus"), "{sent}");
    let next = wait_some("the second run", RUN, || {
        let shown = sealed.orch(["show", &id, "--json"]).ok().json();
        (shown["runs"].as_array().is_some_and(|runs| runs.len() == 2) && shown["status"] == "needs_review")
            .then_some(shown)
    });
    assert!(text(&last(&next)["model"]).starts_with("claude-opus-"), "{next:#}");
    assert_eq!(text(&last(&next)["reason"]), "tier:opus was asked for with a message", "{next:#}");
    assert_eq!(last(&next)["session_id"], last(&before)["session_id"], "a dynamic task goes on in its conversation");
    send(&sealed, &[&id, "go on"]).ok();
    let third = wait_some("the third run", RUN, || {
        let shown = sealed.orch(["show", &id, "--json"]).ok().json();
        shown["runs"].as_array().is_some_and(|runs| runs.len() == 3).then_some(shown)
    });
    assert_eq!((text(&last(&third)["model"]), &last(&third)["reason"]), ("sonnet", &Value::Null), "{third:#}");

    let sticky = add(&sealed, &["-b", IN_VAIN, "--model-policy", "sticky"]);
    let before = until(&sealed, &sticky, "needs_review");
    assert_eq!(before["labels"], json!(["model-policy:sticky"]));
    send(&sealed, &[&sticky, "go on", "--model", "opus"]).ok();
    let next = wait_some("the second run of the sticky task", RUN, || {
        let shown = sealed.orch(["show", &sticky, "--json"]).ok().json();
        (shown["runs"].as_array().is_some_and(|runs| runs.len() == 2)).then_some(shown)
    });
    assert_eq!(text(&last(&next)["model"]), "opus");
    assert_ne!(last(&next)["session_id"], last(&before)["session_id"], "another model, another conversation");
    sealed.finish();
}

#[test]
fn a_model_is_set_for_an_agent_or_a_project_while_the_daemon_runs() {
    let mut sealed = home();
    let alone = sealed.orch(["models", "set", "opus", "--agent", "scripted"]).code_is(4);
    assert!(alone.stderr.contains("no daemon answers"), "{alone}");
    sealed.serve();
    let project = sealed.orch(["models", "set", "haiku", "--project", "shop", "--json"]).ok().json();
    assert_eq!((&project["changed"], &project["set"][0]["project"]), (&json!(true), &json!("shop")));
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/api.md")).expect("a file");
    let keys = project["set"][0].as_object().into_iter().chain(project.as_object()).flat_map(serde_json::Map::keys);
    for key in keys {
        assert!(documented.contains(&format!("`{key}`")), "docs/reference/api.md does not name {key}");
    }
    let route = ["route", "Anything", "-l", "agent:scripted", "-l", "complexity:complex", "--json"];
    let beforehand = sealed.orch_in(&sealed.base().join("shop"), route).ok().json();
    assert_eq!(text(&beforehand["resolver"]["given"]), "haiku", "{beforehand:#}");
    assert!(text(&beforehand["resolver"]["reason"]).starts_with("haiku is set for project shop by "), "{beforehand:#}");
    let id = add(&sealed, &["-b", DO_IT]);
    let done = until(&sealed, &id, "done");
    assert_eq!(text(&last(&done)["model"]), "haiku", "{done:#}");
    assert!(text(&last(&done)["reason"]).starts_with("haiku is set for project shop by "), "{done:#}");
    sealed.orch(["models", "set", "tier:opus", "--agent", "scripted"]).ok();
    let status = sealed.orch(["status"]).ok().stdout;
    assert!(status.contains("models: agent scripted: tier:opus, set by"), "{status}");
    let id = add(&sealed, &["-b", DO_IT]);
    assert!(text(&last(&until(&sealed, &id, "done"))["model"]).starts_with("claude-opus-"));
    let named = add(&sealed, &["--model", "sonnet", "-b", DO_IT]);
    assert_eq!(text(&last(&until(&sealed, &named, "done"))["model"]), "sonnet", "the task's own word goes before that");
    for (args, code, why) in [
        (["gpt-5.2", "--agent", "scripted"], 2, "has those of anthropic only"),
        (["auto:fsat", "--project", "shop"], 2, "did you mean auto:fast?"),
        (["opus", "--agent", "nobody"], 3, "there is no agent \"nobody\""),
        (["opus", "--project", "barn"], 3, "there is no project \"barn\""),
    ] {
        let ran = sealed.orch(["models", "set"].iter().chain(&args)).code_is(code);
        assert!(ran.stderr.contains(why), "{ran}");
    }
    sealed.orch(["models", "set", "opus"]).code_is(2);
    assert_eq!(sealed.orch(["models", "reset", "--agent", "scripted", "--json"]).ok().json()["changed"], true);
    assert_eq!(sealed.orch(["models", "reset", "--agent", "scripted", "--json"]).ok().json()["changed"], false);
    sealed.stop_daemon().ok();
    sealed.serve();
    assert_eq!(sealed.orch(["status", "--json"]).ok().json()["set_models"], json!([]), "it ends with the daemon");
    sealed.finish();
}

#[test]
fn a_run_can_begin_a_new_conversation() {
    let sealed = home();
    let id = add(&sealed, &["-b", IN_VAIN]);
    let run = |args: &[&str]| sealed.run_program_in(ORCH, &sealed.base().join("shop")).args(args).deadline(RUN).run();
    run(&["run", &id]).code_is(5);
    let session = || {
        let shown = sealed.orch(["show", &id, "--json"]).ok().json();
        text(&last(&shown)["session_id"]).to_owned()
    };
    let first = session();
    send(&sealed, &[&id, IN_VAIN]).ok();
    run(&["run", &id]).code_is(5);
    assert_eq!(session(), first, "a message goes on in the conversation");
    send(&sealed, &[&id, DO_IT]).ok();
    run(&["run", &id, "--force-new"]);
    let shown = sealed.orch(["show", &id, "--json"]).ok().json();
    assert_eq!((shown["runs"].as_array().map(Vec::len), session() == first), (Some(3), false), "{shown:#}");
    sealed.finish();
}

#[test]
fn a_model_that_means_nothing_is_reported_when_it_is_written_down_and_the_file_counts() {
    let mut sealed = home();
    sealed.serve();
    let repo = sealed.base().join("shop");
    let dir = repo.display();
    let problems = || sealed.orch(["status", "--json"]).ok().json()["problems"].to_string();
    // Held, so that nothing begins before it is mended.
    sealed.orch(["pause"]).ok();
    sealed.write_tasks(&format!(
        "tasks:\n  - {{title: Slip, dir: '{dir}', model: claude-sonet-4-6}}\n  - {{title: Tag, dir: '{dir}', model: 'auto:visoin'}}\n  \
         - {{title: Sound, dir: '{dir}', model: sonnet}}\n  - {{title: Of another, dir: '{dir}', agent: scripted, model: gpt-5.2}}\n"
    ));
    wait_some("the finding", RUN, || problems().contains("auto:visoin").then_some(()));
    let output = problems();
    for part in [
        "tasks.yml: task 1: model \\\"claude-sonet-4-6\\\": no model is called",
        "claude-sonnet-4-6",
        "tasks.yml: task 2: model \\\"auto:visoin\\\": there is no tag",
        "auto:vision",
        "tasks.yml: task 4: model \\\"gpt-5.2\\\": openai/gpt-5.2 is a model of openai",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("task 3"), "{output}");
    assert_eq!(sealed.orch(["list", "--json"]).ok().json().as_array().map(Vec::len), Some(4), "all of them count");
    for id in ["1", "2", "4"] {
        sealed.orch(["task", "edit", id, "--model", "haiku"]).ok();
    }
    wait_some("nothing to be reported", RUN, || (problems() == "[]").then_some(()));

    for slip in ["claude-sonet-4-6", "sonet", "anthropic/sonet-9"] {
        let refused = sealed.orch_in(&repo, ["add", "By hand", "--model", slip]).code_is(2);
        let why = format!("no model is called \"{}\"", slip.trim_start_matches("anthropic/"));
        assert!(refused.stderr.contains(&why), "{refused}");
    }
    let refused = sealed.orch_in(&repo, ["add", "By hand", "--model", "sonet"]).code_is(2);
    assert!(refused.stderr.contains("did you mean sonnet?"), "{refused}");
    let added = sealed.orch_in(&repo, ["add", "By hand", "--model", "sonnet"]).ok();
    assert!(!added.stderr.contains("model"), "{added}");
    let refused = sealed.orch_in(&repo, ["add", "By hand", "--model", "tier:best"]).code_is(2);
    assert!(refused.stderr.contains("tier:best"), "{refused}");
    let edited = sealed.orch(["task", "edit", "1", "--model", "antropic/claude-opus-5"]).code_is(2);
    assert!(edited.stderr.contains("did you mean anthropic"), "{edited}");
    // Written into the file, it is asked about on the task before anything runs.
    let written =
        wait_some("the file to have all", RUN, || Some(sealed.read_tasks()).filter(|it| it.contains("By hand")));
    sealed.write_tasks(&format!("{written}  - {{title: Typed, dir: '{dir}', agent: scripted, model: sonet}}\n"));
    sealed.orch(["resume", "--all"]).ok();
    let asked = wait_some("the task to ask", RUN, || {
        let all = sealed.orch(["list", "--json"]).ok().json();
        let open = |task: &&Value| task["title"] == "Typed" && task["status"] == "needs_review";
        all.as_array().and_then(|tasks| tasks.iter().find(open).cloned())
    });
    let shown = sealed.orch(["show", &asked["id"].to_string(), "--json"]).ok().json();
    assert!(text(&shown["question"]).contains("did you mean sonnet?") && shown["runs"] == json!([]), "{shown:#}");
    sealed.finish();
}

#[test]
fn a_route_shows_which_model_a_tier_is_now_and_a_task_with_an_image_needs_one_that_sees() {
    let sealed = home();
    sealed.orch(["config", "set", "model_map.complex.scripted", "tier:opus"]).ok();
    let repo = sealed.base().join("shop");
    let route = |more: &[&str]| {
        let all: Vec<&str> =
            ["route", "Count the stars", "-l", "complexity:complex"].iter().chain(more).copied().collect();
        sealed.orch_in(&repo, all)
    };
    let view = route(&["--json"]).ok().json();
    let (asked, given) = (text(&view["route"]["model"]), text(&view["resolver"]["given"]));
    assert!(asked == "tier:opus" && given.starts_with("claude-opus-"), "{view:#}");
    assert!(text(&view["resolver"]["reason"]).contains("tier:opus: the best score"), "{view:#}");
    let page = route(&[]).ok().stdout;
    assert!(page.contains(&format!("tier:opus, now {given}")), "{page}");

    sealed.orch(["config", "set", "models.anthropic/claude-sonnet-5.vision", "false"]).ok();
    sealed.orch(["config", "set", "model_map.complex.scripted", "claude-sonnet-5"]).ok();
    let reason = |body: &str| text(&route(&["--json", "-b", body]).ok().json()["resolver"]["reason"]).to_owned();
    assert!(!reason("nothing to see").contains("no run would begin"));
    let blind = reason("as in ![the error](shot.png)");
    assert!(
        blind.contains("no run would begin: anthropic/claude-sonnet-5 has no vision, and the task refers"),
        "{blind}"
    );
    sealed.finish();
}

/// A home in which codex works as it comes, with what a program in its place lists.
fn codex_listing(list: &str) -> SealedBox {
    let sealed = SealedBox::new();
    sealed.program("codex", &format!("#!/bin/sh\n[ \"$*\" = 'debug models --bundled' ] || exit 2\n{list}\n"));
    sealed.orch_in(sealed.repo("shop").dir(), ["init"]).ok();
    sealed
}

/// What codex would be given for a task of that complexity, and why.
fn given_to_codex(sealed: &SealedBox, complexity: &str) -> (Value, String) {
    let complexity = format!("complexity:{complexity}");
    let args = ["route", "Count the stars", "--json", "-l", "agent:codex", "-l", &complexity];
    let view = sealed.orch_in(&sealed.base().join("shop"), args).ok().json();
    (view["resolver"]["given"].clone(), text(&view["resolver"]["reason"]).to_owned())
}

#[test]
fn codex_is_given_models_that_its_program_lists_and_none_where_nothing_fits() {
    let listing = |names: &[&str]| {
        let models: Vec<Value> = names.iter().map(|name| json!({ "slug": name, "visibility": "list" })).collect();
        format!("echo '{}'", json!({ "models": models }))
    };
    let given = |list: &str| {
        let sealed = codex_listing(list);
        let all = ["simple", "medium", "complex"].map(|complexity| given_to_codex(&sealed, complexity));
        sealed.finish();
        all
    };
    let names = |list: &str| given(list).map(|(name, _)| text(&name).to_owned());
    assert_eq!(
        names(&listing(&["gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.6-sol"])),
        ["gpt-5.6-luna", "gpt-5.6-terra", "gpt-5.6-sol"]
    );
    let of_the_seed = ["gpt-5.1-codex-mini", "gpt-5.2", "gpt-5.3-codex"];
    assert_eq!(names(&listing(&[&of_the_seed[..], &["gpt-5.4"]].concat())), of_the_seed);

    let hidden = r#"echo '{"models": [{"slug": "gpt-5.6-luna", "visibility": "hide"}]}'"#;
    for (list, why) in [
        (listing(&["a-model-of-tomorrow"]).as_str(), "takes its own default, because codex lists no model"),
        (hidden, "takes its own default, because codex lists no model"),
        ("echo 'no such command'", "codex does not list the models it knows"),
        ("exit 2", "codex does not list the models it knows"),
    ] {
        for (name, reason) in given(list) {
            assert!(name.is_null() && reason.contains(why), "{name} {reason}");
        }
    }
}

#[test]
fn where_codex_may_speak_with_another_provider_its_own_settings_choose_and_a_person_always_does() {
    let list = r#"echo '{"models": [{"slug": "gpt-5.6-terra"}]}'"#;
    let sealed = codex_listing(list);
    sealed.orch(["config", "set", "model_map.medium.codex", "gpt-5.2"]).ok();
    let (name, reason) = given_to_codex(&sealed, "medium");
    assert!(name == "gpt-5.2" && reason.contains("codex does not list gpt-5.2"), "{name} {reason}");
    sealed.orch(["config", "set", "model_map.medium.codex", "tier:opus"]).ok();
    let (name, reason) = given_to_codex(&sealed, "medium");
    assert!(name == "gpt-5.6-terra", "the nearest that it lists: {name} {reason}");
    crate::kit::write_file(&sealed.home().join(".codex/config.toml"), "model_provider = \"own\"\nmodel = \"small\"\n");
    let (name, reason) = given_to_codex(&sealed, "medium");
    assert!(name.is_null() && reason.contains("its settings choose the model"), "{name} {reason}");
    sealed.finish();
}

#[test]
fn the_real_codex_is_given_a_model_that_it_lists_for_every_complexity() {
    let sealed = SealedBox::new();
    let program = clis::directory().join(Agent::Codex.name());
    symlink(&program, sealed.bin().join("codex")).expect("a link in the box");
    sealed.orch_in(sealed.repo("shop").dir(), ["init"]).ok();
    let listed = sealed.run_program("codex").args(["debug", "models", "--bundled"]).run().ok().json();
    let slugs: Vec<&Value> = listed["models"].as_array().expect("models").iter().map(|model| &model["slug"]).collect();
    for complexity in ["simple", "medium", "complex"] {
        let (name, reason) = given_to_codex(&sealed, complexity);
        assert!(slugs.contains(&&name), "{complexity}: {name} {reason}; {slugs:?}");
    }
    sealed.finish();
}
