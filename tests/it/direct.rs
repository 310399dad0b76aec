//! Tests `router.agent: api`: the routing request goes to a provider's API, in each of its protocols, and the task is
//! routed even if the provider refuses, is silent, or cannot be asked.

use crate::kit::nothing_holds;
use crate::kit::provider::{Answer, Provider, Seen};
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_some, wait_until};
use serde_json::{Value, json};

/// A key of a form that no rule of the redactor knows, so that it would be seen.
const KEY: &str = "orchtestkey-4712-do-not-show";

const GOOD: &str = "#!/bin/sh
cat > /dev/null
echo work > answer.txt && git add . && git commit -q -m work && echo finished
";

fn choice() -> Value {
    json!({
        "executor": "second", "complexity": "simple", "reason": "it is a small one", "selected_skills": [],
        "profile": {"role": "clerk", "skills": [], "tools": [], "constraints": []},
    })
}

fn chat(content: &Value) -> Answer {
    let answer = json!({
        "model": "router-1-0301", "choices": [{"finish_reason": "stop", "message": {"content": content.to_string()}}],
        "usage": {"prompt_tokens": 2_000_000, "completion_tokens": 1_000_000},
    });
    Answer::With(200, Vec::new(), answer.to_string())
}

/// A home whose router asks `model` of the provider, and whose first agent is not the one that it chooses.
fn boxed(provider: &Provider, model: &str, more: &str) -> SealedBox {
    let mut sealed = SealedBox::new();
    sealed.program("good", GOOD);
    sealed.set("LOCAL_KEY", KEY);
    sealed.config(&format!(
        "router: {{agent: api, model: {model}, agents: [first, second], fallback_executor: first, timeout_seconds: 3}}\n\
         workflow: {{review: 'off'}}\n\
         agents:\n  first: {{kind: command, command: good}}\n  second: {{kind: command, command: good}}\n\
         providers: {{local: {{base_url: '{url}', key_variable: LOCAL_KEY}}{more}}}\n\
         models: {{local/router-1: {{input_usd_per_mtok: 1, output_usd_per_mtok: 2}}}}\n",
        url = provider.url(),
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["add", "Find the answer"]).ok();
    sealed
}

fn show(sealed: &SealedBox) -> Value {
    sealed.orch(["task", "show", "1", "--json"]).ok().json()
}

fn done(sealed: &mut SealedBox) -> Value {
    sealed.serve();
    wait_until("the task to be done", RUN, || show(sealed)["status"] == "done");
    nothing_holds(KEY, &sealed.orch_home());
    show(sealed)
}

#[track_caller]
fn is_routed(task: &Value, model: &str) -> Value {
    assert_eq!((&task["route"]["agent"], &task["route"]["reason"]), (&json!("second"), &json!("it is a small one")));
    let runs = task["runs"].as_array().expect("runs");
    let asked = runs.iter().find(|run| run["kind"] == "route").expect("the question is a run").clone();
    assert_eq!((&asked["agent"], &asked["model"]), (&json!("api"), &json!(model)), "{asked:#}");
    asked
}

fn only(provider: &Provider) -> Seen {
    let seen = provider.seen();
    assert_eq!(seen.len(), 1, "asked once: {seen:?}");
    seen.into_iter().next().expect("one")
}

#[test]
fn a_server_of_ones_own_routes_with_one_request_and_its_price_is_counted() {
    let provider = Provider::start(chat(&choice()));
    let mut sealed = boxed(&provider, "local/router-1", "");
    let task = done(&mut sealed);
    let asked = is_routed(&task, "local/router-1");
    assert_eq!(asked["cost_usd"], 4.0, "two million tokens read for $1, one written for $2: {asked:#}");
    assert_eq!(task["cost_usd"], 4.0, "{task:#}");
    let seen = only(&provider);
    assert_eq!(seen.line, "POST /v1/chat/completions");
    assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {KEY}")));
    let body = seen.json();
    assert_eq!(body["model"], "router-1");
    assert!(body["messages"][0]["content"].as_str().expect("words").contains("Find the answer"), "{body:#}");
    let executors = &body["response_format"]["json_schema"]["schema"]["properties"]["executor"]["enum"];
    assert_eq!(*executors, json!(["first", "second"]));
    let spent = sealed.orch(["cost", "--by", "agent", "--json"]).ok().stdout;
    assert!(spent.contains("\"api\""), "{spent}");
    sealed.finish();
}

#[test]
fn anthropic_and_openai_are_asked_in_their_own_languages() {
    let messages = json!({
        "model": "claude-haiku-4-5-20251001", "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "name": "answer", "input": choice()}],
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
    });
    let provider = Provider::start(Answer::With(200, Vec::new(), messages.to_string()));
    let more = format!(", anthropic: {{base_url: '{}'}}", provider.url());
    let mut sealed = boxed(&provider, "haiku", &more);
    sealed.set("ANTHROPIC_API_KEY", KEY);
    let asked = is_routed(&done(&mut sealed), "anthropic/claude-haiku-4-5-20251001");
    assert!(asked["cost_usd"].as_f64().expect("known") > 0.0, "{asked:#}");
    let seen = only(&provider);
    assert_eq!((seen.line.as_str(), seen.header("x-api-key")), ("POST /v1/messages", Some(KEY)));
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(seen.json()["tool_choice"]["name"], "answer");
    sealed.finish();

    let responses = json!({
        "model": "gpt-5.2", "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": choice().to_string()}]}],
    });
    let provider = Provider::start(Answer::With(200, Vec::new(), responses.to_string()));
    let more = format!(", openai: {{base_url: '{}'}}", provider.url());
    let mut sealed = boxed(&provider, "openai/gpt-5.2", &more);
    sealed.set("OPENAI_API_KEY", KEY);
    let asked = is_routed(&done(&mut sealed), "openai/gpt-5.2");
    assert_eq!(asked["cost_usd"], Value::Null, "without counts the price is not known, and not 0: {asked:#}");
    let seen = only(&provider);
    assert_eq!(seen.line, "POST /v1/responses");
    assert_eq!(seen.json()["text"]["format"]["type"], "json_schema");
    sealed.finish();
}

#[test]
fn a_server_that_knows_no_shapes_is_asked_again_without_one() {
    let provider = Provider::start(chat(&choice()));
    let no = json!({"error": {"message": "response_format: json_schema is not supported"}}).to_string();
    provider.answers_first(Answer::With(400, Vec::new(), no));
    let mut sealed = boxed(&provider, "local/router-1", "");
    is_routed(&done(&mut sealed), "local/router-1");
    let seen = provider.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(
        (&seen[0].json()["response_format"]["type"], &seen[1].json()["response_format"]),
        (&json!("json_schema"), &Value::Null)
    );
    sealed.finish();
}

#[test]
fn where_there_is_no_answer_the_fallback_takes_the_task_and_says_why() {
    let limited =
        Answer::With(429, vec![("retry-after", "600".to_owned())], r#"{"error":{"message":"slow down"}}"#.to_owned());
    let echo = Answer::With(401, Vec::new(), json!({"error": {"message": format!("bad key {KEY}")}}).to_string());
    let cut = json!({"choices": [{"finish_reason": "length", "message": {"content": "{\"executor\":"}}]}).to_string();
    for (answer, why) in [
        (limited, "slow down"),
        (echo, "bad key ***"),
        (Answer::status(500), "HTTP 500"),
        (Answer::With(307, vec![("location", "http://127.0.0.1:1/".to_owned())], String::new()), "HTTP 307"),
        (Answer::With(200, Vec::new(), "<html>Sign in</html>".to_owned()), "base_url right"),
        (Answer::With(200, Vec::new(), cut), "broke off: length"),
        (chat(&json!({"executor": "nobody"})), "nobody"),
        (Answer::Half, "cut off"),
        (Answer::Never, "3 s"),
    ] {
        let provider = Provider::start(answer.clone());
        let mut sealed = boxed(&provider, "local/router-1", "");
        let task = done(&mut sealed);
        assert_eq!(task["route"]["agent"], "first", "{answer:?}: {task:#}");
        let warning = task["route"]["warning"].as_str().unwrap_or_default();
        assert!(warning.contains(why), "{answer:?}: {task:#}");
        assert_eq!(task["attempts"], 1, "{task:#}");
        sealed.finish();
    }
}

#[test]
fn what_cannot_be_asked_is_said_before_it_matters_and_costs_nothing() {
    let provider = Provider::start(chat(&choice()));
    for (model, why) in
        [("haiku", "ANTHROPIC_API_KEY"), ("nowhere/model", "nowhere"), ("local-words-only", "local-words-only")]
    {
        let mut sealed = boxed(&provider, model, "");
        let doctor = sealed.orch(["doctor", "--json"]).stdout;
        let doctor: Value = serde_json::from_str(&doctor).expect("a document");
        let finding = wait_some("the finding", RUN, || {
            let all = doctor["findings"].as_array()?.clone();
            all.into_iter().find(|finding| finding["name"] == "router")
        });
        assert!(finding.to_string().contains(why), "{finding:#}");
        let task = done(&mut sealed);
        assert_eq!(task["route"]["agent"], "first", "{task:#}");
        assert!(task["route"]["warning"].as_str().unwrap_or_default().contains(why), "{task:#}");
        sealed.finish();
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn a_key_does_not_leave_the_machine_unencrypted_and_no_agent_is_called_api() {
    let provider = Provider::start(chat(&choice()));
    let sealed = boxed(&provider, "local/router-1", "");
    for (config, why) in [
        ("agents: {api: {kind: command, command: good}}\n", "this name is reserved"),
        ("router: {agents: [api]}\n", "routing question only"),
    ] {
        sealed.config(config);
        let check = sealed.orch(["config", "validate"]);
        assert!(check.code != Some(0) && format!("{check}").contains(why), "{check}");
    }
    let mut sealed =
        boxed(&provider, "far/router-1", ", far: {base_url: 'http://far.test/v1', key_variable: LOCAL_KEY}");
    let task = done(&mut sealed);
    assert!(task["route"]["warning"].as_str().unwrap_or_default().contains("unencrypted"), "{task:#}");
    sealed.finish();
}

#[test]
fn what_a_task_would_get_is_asked_in_the_same_way_and_leaves_nothing() {
    let provider = Provider::start(chat(&choice()));
    let mut sealed = boxed(&provider, "local/router-1", "");
    sealed.orch(["pause", "--all"]);
    sealed.serve();
    let answer = sealed.orch(["route", "Rename the module", "--json"]).ok().json();
    assert_eq!(answer["route"]["agent"], "second", "{answer:#}");
    assert!(only(&provider).json()["messages"][0]["content"].as_str().expect("words").contains("Rename the module"));
    sealed.finish();
}
