//! What each layer may say, and which one wins.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn global(text: &str) -> Layer {
    Layer::Global { path: "config.yml".into(), text: text.to_owned() }
}

fn project(text: &str, trusted: bool) -> Layer {
    Layer::Project { path: ".orch.yml".into(), text: text.to_owned(), trusted }
}

fn environment(pairs: &[(&str, &str)]) -> Layer {
    Layer::Environment(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn flags(pairs: &[(&str, &str)]) -> Layer {
    Layer::Flags(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[track_caller]
fn problems(layers: &[Layer]) -> String {
    load(layers).expect_err("must be refused").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn without_a_word_the_defaults_hold() {
    for text in ["", "# nothing\n", "router:\nagents: {}\nworkflow: {}\n"] {
        let loaded = load(&[global(text), project("", false), environment(&[])]).unwrap();
        assert_eq!((loaded.config, loaded.warnings), (Config::default(), vec![]), "{text}");
        assert_eq!(loaded.origins.iter().count(), 0, "{text}");
    }
}

#[test]
fn a_later_layer_wins_and_its_place_is_known() {
    let all = [
        flags(&[("workflow.max_attempts", "7")]),
        environment(&[("ORCH_WORKFLOW_MAX_ATTEMPTS", "6"), ("ORCH_WORKFLOW_SILENCE_SECONDS", "6")]),
        project("workflow:\n  max_attempts: 5\n  silence_seconds: 5\n  timeout_seconds: 5\n", false),
        global("workflow: {max_attempts: 4, silence_seconds: 4, timeout_seconds: 4, check_timeout_seconds: 4}\n"),
    ];
    let loaded = load(&all).unwrap();
    let workflow = &loaded.config.workflow;
    let seconds = |limit: Option<std::time::Duration>| limit.map(|limit| limit.as_secs());
    assert_eq!(workflow.max_attempts, 7);
    assert_eq!((seconds(workflow.silence), seconds(workflow.timeout)), (Some(6), Some(5)));
    assert_eq!(workflow.check_timeout.as_secs(), 4);
    for (key, origin) in [
        ("workflow.max_attempts", "flag workflow.max_attempts"),
        ("workflow.silence_seconds", "environment variable ORCH_WORKFLOW_SILENCE_SECONDS"),
        ("workflow.timeout_seconds", ".orch.yml:4:20"),
        ("workflow.check_timeout_seconds", "config.yml:1:92"),
        ("workflow.integrate", "default"),
    ] {
        assert_eq!(loaded.origins.get(key).to_string(), origin);
    }
}

#[test]
fn mappings_are_merged_and_lists_are_replaced() {
    let loaded = load(&[
        global(
            "model_map: {simple: {claude: a, opencode: b}}\nagents: {claude: {env: {A: '1', B: '2'}, args: [x, y]}}\n",
        ),
        project("model_map: {simple: {opencode: c}}\n", false),
        environment(&[("ORCH_AGENTS_CLAUDE_ARGS", "z")]),
        flags(&[("agents.claude.env.B", "null")]),
    ])
    .unwrap();
    assert_eq!(
        serde_json::to_value(&loaded.config.model_map.simple).unwrap(),
        json!({"claude": "a", "codex": "tier:haiku", "opencode": "c"})
    );
    let claude = loaded.config.agent("claude").unwrap();
    assert_eq!((claude.args.join(" ").as_str(), claude.env.keys().collect::<Vec<_>>()), ("z", vec![&"A".to_owned()]));
}

#[test]
fn null_sends_a_key_back_to_its_default() {
    let loaded = load(&[
        global("workflow: {base_branch: main, max_attempts: 9}\n"),
        project("workflow:\n  base_branch: null\n  max_attempts:\n", false),
    ])
    .unwrap();
    assert_eq!((loaded.config.workflow.base_branch, loaded.config.workflow.max_attempts), (None, 3));
}

#[test]
fn commands_of_a_project_are_used_only_when_they_were_approved() {
    let text = "workflow:\n  max_attempts: 5\n  checks:\n    - make test\n";
    let approved = load(&[global("workflow: {checks: [lint]}"), project(text, true)]).unwrap();
    assert_eq!((approved.config.workflow.checks, approved.warnings), (vec!["make test".to_owned()], vec![]));

    let loaded = load(&[global("workflow: {checks: [lint]}"), project(text, false)]).unwrap();
    assert_eq!((loaded.config.workflow.checks.join(" "), loaded.config.workflow.max_attempts), ("lint".to_owned(), 5));
    assert_eq!(
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [".orch.yml:4:5: the commands of workflow.checks are not approved and will not run\n  - make test\n  \
          hint: read them, then approve this version of the file with `orch init`"]
    );
}

#[test]
fn a_project_that_nobody_approved_can_neither_drop_checks_nor_merge_without_them() {
    for text in ["workflow: {checks: []}", "workflow: {checks: }"] {
        let loaded = load(&[global("workflow: {checks: [lint], integrate: merge}"), project(text, false)]).unwrap();
        assert_eq!(
            (loaded.config.workflow.checks.as_slice(), loaded.config.workflow.integrate),
            (&["lint".to_owned()][..], Integrate::Merge)
        );
    }
    let merging = project("workflow:\n  integrate: merge\n  checks: [make]\n", false);
    let loaded = load(&[global(""), merging, flags(&[("workflow.integrate", "merge")])]).unwrap();
    assert_eq!(loaded.config.workflow.integrate, Integrate::Branch);
    assert_eq!(loaded.origins.get("workflow.integrate").to_string(), ".orch.yml:3:11");

    let merging = project("workflow:\n  integrate: merge\n  checks: [make]\n", false);
    let mine = environment(&[("ORCH_WORKFLOW_CHECKS", "mine")]);
    let loaded = load(&[merging, mine.clone()]).unwrap();
    assert_eq!(
        (loaded.config.workflow.integrate, loaded.config.workflow.checks.concat().as_str()),
        (Integrate::Branch, "mine"),
        "only the person may turn merging on"
    );
    let loaded = load(&[global("workflow: {integrate: merge}"), project("", false), mine]).unwrap();
    assert_eq!(loaded.config.workflow.integrate, Integrate::Merge);
}

#[test]
fn a_project_may_speak_of_agents_that_are_not_here() {
    let loaded = load(&[global(""), project("model_map: {simple: {theirs: x}}", true)]).unwrap();
    assert_eq!(
        loaded.warnings[0].to_string(),
        ".orch.yml:1:30: model_map.simple.theirs: no agent is called \"theirs\""
    );
    assert_eq!(
        problems(&[global("model_map: {simple: {theirs: x}}")]),
        "config.yml:1:30: model_map.simple.theirs: no agent is called \"theirs\""
    );
}

#[test]
fn the_problems_of_all_layers_are_reported_at_once() {
    assert_eq!(
        problems(&[
            flags(&[("engine.max_paralel", "3"), ("agents.claude.env", "x"), ("workflow.sandbox", "nope")]),
            environment(&[("ORCH_ENGINE_TICK_SECONDS", "-1")]),
            global("engine: {tick: 1}\nengine: {}\n"),
            project("workflows: {}\n", false),
        ]),
        "config.yml:2:1: the key `engine` is already set above\n\
         .orch.yml:1:1: unknown key \"workflows\", did you mean \"workflow\"?\n\
         environment variable ORCH_ENGINE_TICK_SECONDS: expected a whole number from 1 to 3600, found -1\n\
         flag engine.max_paralel: no setting is called \"engine.max_paralel\", did you mean \"engine.max_parallel\"?\n\
         flag agents.claude.env: a mapping cannot be given as one text; set its keys one by one\n\
         flag workflow.sandbox: expected true or false, found the text \"nope\""
    );
}

#[test]
fn broken_yaml_is_reported_with_its_place_and_without_its_text() {
    assert_eq!(
        problems(&[global("agents:\n  claude:\n    env: {KEY: 'sk-secret\n")]),
        "config.yml:3:16: unclosed quote"
    );
    let large = "x".repeat(17 * 1024 * 1024);
    assert_eq!(problems(&[global(&large)]), "config.yml: 17825792 bytes are more than the 16777216 that are read");
}

#[test]
fn printing_a_layer_shows_no_value() {
    let layers = [
        global("agents: {claude: {env: {KEY: sk-secret}}}"),
        project("name: sk-secret", true),
        environment(&[("KEY", "sk-secret")]),
        flags(&[("agents.claude.env.KEY", "sk-secret")]),
    ];
    let printed = format!("{layers:?}");
    assert!(!printed.contains("sk-secret") && printed.contains("config.yml"), "{printed}");
}

#[test]
fn merge_keys_and_aliases_are_understood() {
    let text = "agents:\n  claude: &c\n    args: [x]\n  kimi:\n    <<: *c\n    trust_repository: true\n";
    let loaded = load(&[global(text)]).unwrap();
    assert_eq!(loaded.config.agent("kimi").unwrap().args, ["x"]);
}

/// Lines that look like a configuration: keys in and out of place, values of every kind.
fn lines() -> impl Strategy<Value = String> {
    let keys =
        ["router", "agents", "claude", "workflow", "checks", "mode", "env", "model_map", "simple", "kind", "<<", "x"];
    let values =
        ["", " 1", " -1", " yes", " [a, [b]]", " {a: b}", " 'q'", " *a", " &a", " command", " null", " |", " 1e99"];
    let line = (0usize..4, proptest::sample::select(keys.to_vec()), proptest::sample::select(values.to_vec()))
        .prop_map(|(depth, key, value)| format!("{}{key}:{value}\n", "  ".repeat(depth)));
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn whatever_is_written_there_is_an_answer(
        written in lines(), wild in any::<String>(), key in "[a-z_.]{0,20}", variable in "ORCH_[A-Z_]{0,20}",
    ) {
        for text in [&written, &wild] {
            let answer = load(&[
                global(text),
                project(text, false),
                environment(&[(&variable, &wild)]),
                flags(&[(&key, &wild)]),
            ]);
            if let Err(problems) = answer {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| problem.origin != Origin::Default), "{problems:?}");
            }
        }
    }
}

#[test]
fn a_file_that_is_nested_too_deep_is_refused_and_ends_no_thread() {
    for depth in [10, 31, 63, 5000] {
        let text = format!("engine: {}{}\n", "{a: ".repeat(depth), "}".repeat(depth));
        // What the threads of the daemon have.
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let layer = Layer::Global { path: "config.yml".into(), text };
        let read = thread.spawn(move || load(&[layer]).is_err()).expect("a thread");
        assert!(read.join().expect("it ends by itself"), "{depth} levels are no configuration");
    }
}

#[test]
fn the_program_of_an_agent_is_found_beside_the_file_that_names_it() {
    let program = |command: &str| {
        let text = format!("agents: {{bot: {{kind: command, command: {command}}}}}");
        let layer = Layer::Global { path: "/home/me/.orch/config.yml".into(), text };
        load(&[layer]).expect("good settings").config.agent("bot").expect("it is declared").command.clone()
    };
    assert_eq!(program("./bot.sh"), "/home/me/.orch/bot.sh");
    assert_eq!(program("bin/bot"), "/home/me/.orch/bin/bot");
    assert_eq!((program("bot"), program("/opt/bot")), ("bot".to_owned(), "/opt/bot".to_owned()));
}
