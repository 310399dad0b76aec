//! Tests providers of tasks' models: those that the daemon probes, and those that a run found limited. Only tasks whose
//! model no provider serves wait, with the reason.

use crate::kit::process::Ran;
use crate::kit::provider::{Answer, Provider};
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_some, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents/opencode");
const KEY: &str = "orchtestkey-4711-do-not-show";
const GOOD: &str = "#!/bin/sh
cat > /dev/null
echo work > answer.txt && git add . && git commit -q -m work && echo finished
";

fn project(sealed: &SealedBox) {
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
}

fn add(sealed: &SealedBox, args: &[&str]) -> String {
    let repo = sealed.base().join("shop");
    let added = sealed.orch_in(&repo, ["add", "Find the answer", "--json"].iter().chain(args)).ok().json();
    added["id"].to_string()
}

fn show(sealed: &SealedBox, id: &str) -> Value {
    sealed.orch(["task", "show", id, "--json"]).ok().json()
}

fn done(sealed: &SealedBox, id: &str) -> Value {
    wait_some(&format!("task {id} to be done"), RUN, || Some(show(sealed, id)).filter(|task| task["status"] == "done"))
}

/// Waits until the task is held for that reason.
fn held(sealed: &SealedBox, id: &str, reason: &str) -> Value {
    wait_some(&format!("task {id} to wait: {reason}"), RUN, || {
        let task = show(sealed, id);
        (task["hold"]["reason"] == reason).then(|| task["hold"].clone())
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What orch has written down of a provider.
fn known(sealed: &SealedBox, provider: &str) -> Value {
    let file = fs::read(sealed.orch_home().join(".orch/providers.json")).unwrap_or_default();
    serde_json::from_slice::<Value>(&file).unwrap_or_default()["providers"][provider].clone()
}

/// A home with an agent that has models of several providers, and one provider on loopback.
fn home(provider: &Provider) -> SealedBox {
    let mut sealed = SealedBox::new();
    sealed.program("good", GOOD);
    sealed.set("LOCAL_KEY", KEY);
    sealed.config(&format!(
        "router: {{mode: round_robin, agents: [bot], fallback_executor: bot}}\nworkflow: {{review: 'off'}}\n\
         agents: {{bot: {{kind: command, command: good}}}}\nmodel_map: {{medium: {{bot: local/good-model}}}}\n\
         providers: {{local: {{base_url: '{}', key_variable: LOCAL_KEY}}}}\n",
        provider.url()
    ));
    project(&sealed);
    sealed
}

#[test]
fn a_provider_that_refuses_the_key_holds_only_tasks_with_its_model() {
    let provider = Provider::start(Answer::status(401));
    let mut sealed = home(&provider);
    sealed.serve();
    wait_until("the provider to be asked", RUN, || known(&sealed, "local")["state"] == "invalid_key");
    let id = add(&sealed, &[]);
    let hold = held(&sealed, &id, "auth");
    let detail = text(&hold["detail"]);
    assert!(detail.contains("local refuses the key (401)") && detail.contains("orch models check local"), "{detail}");
    assert!(hold["until"].is_string(), "{hold}");
    let task = show(&sealed, &id);
    assert_eq!((&task["runs"], &task["attempts"]), (&json!([]), &json!(0)), "nothing was begun: {task:#}");
    let why = sealed.orch(["why", &id]).ok().stdout;
    assert!(why.contains("local refuses the key (401)") && !why.contains(KEY), "{why}");
    let other = add(&sealed, &["--agent", "bot", "--model", "openai/gpt-5.2"]);
    assert_eq!(done(&sealed, &other)["attempts"], 1, "nothing is known against openai");
    // A run that a person requests starts regardless of the provider's state.
    let ran = sealed.run_program_in(ORCH, &sealed.base().join("shop")).args(["run", &id]).deadline(RUN).run();
    assert!(ran.ok().stdout.contains("finished"));
    assert_eq!(show(&sealed, &id)["status"], "done");
    assert!(provider.seen().iter().all(|seen| seen.line == "GET /v1/models"), "{:?}", provider.seen());
    sealed.finish();
}

#[test]
fn a_wait_for_a_provider_ends_by_itself() {
    let provider = Provider::start(Answer::With(429, vec![("retry-after", "15".to_owned())], "{}".to_owned()));
    let mut sealed = home(&provider);
    sealed.serve();
    wait_until("the provider to be asked", RUN, || known(&sealed, "local")["state"] == "rate_limited");
    let id = add(&sealed, &[]);
    let hold = held(&sealed, &id, "rate_limited");
    assert!(text(&hold["detail"]).contains("limits requests (429)"), "{hold}");
    provider.answers(Answer::models(&["good-model"]));
    assert_eq!(done(&sealed, &id)["attempts"], 1);
    sealed.finish();
}

#[test]
fn a_provider_without_an_answer_delays_no_other_and_an_unused_one_is_not_asked() {
    let (silent, unused) = (Provider::start(Answer::Never), Provider::start(Answer::models(&["x"])));
    let mut sealed = home(&silent);
    let config = sealed.orch_home().join("config.yml");
    let text = fs::read_to_string(&config).expect("a file");
    let more = format!("  unused: {{base_url: '{}'}}\n", unused.url());
    let text = text.replace("providers: {local: {", "providers:\n  local: {").replace("LOCAL_KEY}}", "LOCAL_KEY}");
    sealed.config(&format!("{text}{more}"));
    sealed.orch(["config", "validate"]).ok();
    sealed.serve();
    let id = add(&sealed, &[]);
    assert_eq!(done(&sealed, &id)["attempts"], 1);
    wait_until("the provider to be asked", RUN, || !silent.seen().is_empty());
    assert_eq!(unused.seen().len(), 0);
    sealed.finish();
}

#[test]
fn no_provider_is_asked_if_probes_are_off() {
    let provider = Provider::start(Answer::status(401));
    let mut sealed = home(&provider);
    sealed.orch(["config", "set", "router.probes", "false"]).ok();
    sealed.serve();
    assert_eq!(done(&sealed, &add(&sealed, &[]))["attempts"], 1);
    assert_eq!(provider.seen().len(), 0);
    sealed.finish();
}

#[test]
fn one_provider_of_an_agent_is_left_alone_and_the_chain_goes_on_with_another() {
    let mut sealed = SealedBox::new();
    let program = format!(
        "#!/bin/sh\ncat > /dev/null\ncase \"$*\" in *google/*) cat '{FIXTURES}/auth-401.jsonl'; exit 1;; esac\n\
         echo work > answer.txt && git add . && git commit -q -m work\ncat '{FIXTURES}/final-json.jsonl'\n"
    );
    sealed.program("many", &program);
    sealed.config(
        "router: {mode: round_robin, agents: [many], fallback_executor: many, probes: false}\n\
         workflow: {review: 'off'}\nagents: {many: {kind: opencode, command: many, live: false}}\n\
         model_map: {medium: {many: google/gemini-2.5-pro}}\n\
         fallback: {medium: [many/google/gemini-2.5-pro, many/openai/gpt-5.2]}\n",
    );
    project(&sealed);
    sealed.serve();
    let task = done(&sealed, &add(&sealed, &[]));
    let models: Vec<&Value> = task["runs"].as_array().expect("runs").iter().map(|run| &run["model"]).collect();
    assert_eq!(models, ["google/gemini-2.5-pro", "openai/gpt-5.2"], "{task:#}");
    assert_eq!((text(&task["route"]["reason"]), &task["attempts"]), ("moved from many: auth", &json!(1)), "{task:#}");
    let status = sealed.orch(["status", "--json"]).ok().json();
    let alone = &status["left_alone"][0];
    assert_eq!(
        (&alone["agent"], &alone["provider"], &alone["class"]),
        (&json!("many"), &json!("google"), &json!("auth"))
    );
    for (command, output) in
        [(&["status"][..], "cooldown: many/google until"), (&["models", "list"], "cooldown: many/google until")]
    {
        let shown = sealed.orch(command).ok().stdout;
        assert!(shown.contains(output), "{shown}");
    }
    assert_eq!(sealed.orch(["breaker", "list", "--json"]).ok().json(), json!([]), "the agent is not to blame");
    let named = add(&sealed, &["--agent", "many", "--model", "google/gemini-2.5-flash"]);
    let hold = held(&sealed, &named, "auth");
    assert!(text(&hold["detail"]).starts_with("many/google: ") && hold["until"].is_string(), "{hold}");
    let other = add(&sealed, &["--agent", "many", "--model", "openai/gpt-5.2"]);
    assert_eq!(done(&sealed, &other)["attempts"], 1, "openai's models are not left alone");
    // It is kept over a restart.
    sealed.stop_daemon().ok();
    sealed.serve();
    assert_eq!(sealed.orch(["status", "--json"]).ok().json()["left_alone"][0]["provider"], "google");
    held(&sealed, &named, "auth");
    // A person who has fixed it does not wait, and resets both holds: the agent's and the provider's.
    let reset = sealed.orch(["breaker", "reset", "agent:many", "--json"]).ok().json();
    assert_eq!(reset, json!(["agent:many/google"]));
    wait_until("it to be tried again", RUN, || {
        show(&sealed, &named)["runs"].as_array().is_some_and(|runs| runs.len() == 1)
    });
    let nobody = sealed.orch(["breaker", "reset", "agent:few"]).code_is(3);
    assert!(nobody.stderr.contains("agent:few"), "{}", nobody.stderr);
    sealed.finish();
}

/// A home whose agent is of anthropic's.
fn scripted() -> SealedBox {
    let sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    symlink(ORCH, &program).expect("a link in the box");
    sealed.config(&format!(
        "router: {{mode: round_robin, agents: [scripted], fallback_executor: scripted}}\n\
         agents:\n  scripted: {{kind: claude, command: '{}'}}\nworkflow: {{review: 'off', max_attempts: 1}}\n\
         model_map:\n  simple: {{scripted: 'tier:haiku'}}\n  medium: {{scripted: sonnet}}\n  complex: {{scripted: gpt-5.2}}\n",
        program.display()
    ));
    project(&sealed);
    sealed
}

fn route(sealed: &SealedBox, complexity: &str) -> Ran {
    let label = format!("complexity:{complexity}");
    sealed.orch_in(&sealed.base().join("shop"), ["route", "Count the stars", "--json", "-l", &label]).ok()
}

#[test]
fn a_route_says_what_the_agent_would_be_given() {
    let sealed = scripted();
    let resolver = |complexity: &str| route(&sealed, complexity).json()["resolver"].clone();
    let by_tier = resolver("simple");
    assert_eq!(by_tier["model"], "anthropic/claude-haiku-4-5", "{by_tier:#}");
    assert!(text(&by_tier["reason"]).ends_with("; scripted is given claude-haiku-4-5"), "{by_tier:#}");
    let by_name = resolver("medium");
    assert!(text(&by_name["model"]).starts_with("anthropic/claude-sonnet-"), "{by_name:#}");
    assert!(!text(&by_name["reason"]).contains("is given"), "it is given the name as it is: {by_name:#}");
    let refused = resolver("complex");
    assert_eq!(refused["model"], Value::Null);
    assert!(
        text(&refused["reason"]).contains("no run would begin: ")
            && text(&refused["reason"]).contains("has those of anthropic only"),
        "{refused:#}"
    );
    sealed.finish();
}

#[test]
fn the_list_of_models_says_which_are_set() {
    let mut sealed = scripted();
    let set_for = |sealed: &SealedBox| {
        let list = sealed.orch(["models", "list", "--json"]).ok().json();
        let set = list.as_array().expect("a list").iter().filter(|model| model["set_for"] != json!([]));
        set.map(|model| (text(&model["id"]).to_owned(), model["set_for"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(set_for(&sealed), []);
    sealed.serve();
    sealed.orch(["models", "set", "tier:haiku", "--agent", "scripted"]).ok();
    assert_eq!(set_for(&sealed), [("anthropic/claude-haiku-4-5".to_owned(), json!(["agent scripted"]))]);
    let shown = sealed.orch(["models", "list"]).ok().stdout;
    assert!(shown.contains("set while the daemon runs: agent scripted: tier:haiku, set by"), "{shown}");
    sealed.orch(["models", "reset", "--agent", "scripted"]).ok();
    assert_eq!(set_for(&sealed), []);
    sealed.finish();
}

/// A limit of a plan, whose end is only in the text.
const LIMITED: &str = "#!/bin/sh
read -r _
id=11111111-1111-4111-8111-111111111111
echo '{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"'$id'\",\"model\":\"haiku\"}'
echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":429,\"num_turns\":1,\"session_id\":\"'$id'\",\
\"result\":\"You have hit your session limit · resets 3pm (Europe/Berlin)\"}'
exit 1
";

#[test]
fn a_task_waits_for_the_time_that_the_words_of_a_limit_name_and_its_slot_is_free_meanwhile() {
    let mut sealed = SealedBox::new();
    sealed.program("limited", LIMITED);
    sealed.program("good", GOOD);
    sealed.config(
        "agents: {limited: {kind: claude, command: limited}, good: {kind: command, command: good}}\n\
         router: {mode: round_robin, agents: [limited]}\nengine: {max_parallel: 1}\nworkflow: {review: 'off'}\n",
    );
    project(&sealed);
    sealed.serve();
    let limited = add(&sealed, &["-l", "agent:limited"]);
    let hold = held(&sealed, &limited, "rate_limited");
    let until: jiff::Timestamp = text(&hold["until"]).parse().expect("a time");
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
    let output = until.to_zoned(berlin);
    assert_eq!((output.hour(), output.minute(), output.second()), (15, 0, 0), "{hold:#}");
    let other = add(&sealed, &["-l", "agent:good"]);
    done(&sealed, &other);
    assert_eq!(show(&sealed, &limited)["hold"]["until"], hold["until"], "it still waits");
    sealed.finish();
}
