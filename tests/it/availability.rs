//! `orch models check` and what follows from it, against providers on loopback that answer well, badly or never. None of
//! them, no output and no file ever gets a key that is not its own.

use crate::kit::process::Ran;
use crate::kit::provider::{AUTHORITY, Answer, Provider};
use crate::kit::sealed_box::SealedBox;
use crate::kit::{nothing_holds, write_file};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;

/// A key of a form that no rule of the redactor knows, so that it would be seen.
const KEY: &str = "orchtestkey-4711-do-not-show";

fn boxed(provider: &Provider) -> SealedBox {
    let mut sealed = SealedBox::new();
    sealed.set("LOCAL_KEY", KEY);
    sealed.config(&format!("providers: {{local: {{base_url: '{}', key_variable: LOCAL_KEY}}}}\n", provider.url()));
    sealed
}

/// Checks providers without the cache, and that no output shows the key.
fn check(sealed: &SealedBox, args: &[&str]) -> Ran {
    let ran = sealed.orch([&["models", "check"], args].concat());
    assert!(!ran.stdout.contains(KEY) && !ran.stderr.contains(KEY), "{ran}");
    nothing_holds(KEY, &sealed.orch_home());
    ran
}

fn only(ran: &Ran) -> Value {
    ran.json()["providers"][0].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn every_answer_of_a_provider_has_its_exit_code() {
    let provider = Provider::start(Answer::models(&["good-model", "other"]));
    let sealed = boxed(&provider);
    let with = |status: u16, name: &'static str, value: &str| {
        Answer::With(status, vec![(name, value.to_owned())], "{}".to_owned())
    };
    let echo =
        Answer::With(401, Vec::new(), format!("{{\"error\":{{\"message\":\"bad key {KEY}\",\"code\":\"{KEY}\"}}}}"));
    for (answer, code, state, word) in [
        (Answer::models(&["good-model", "other"]), 0, "available", "2 models"),
        (Answer::models(&[]), 0, "available", "0 models"),
        (Answer::status(401), 3, "invalid_key", "refuses the key (401)"),
        (echo, 3, "invalid_key", "refuses the key (401)"),
        (Answer::status(403), 3, "invalid_key", "(403)"),
        (with(429, "retry-after", "20"), 2, "rate_limited", "limits requests"),
        (with(429, "retry-after", "soon"), 2, "rate_limited", "limits requests"),
        (Answer::status(404), 1, "unavailable", "no list of models there (404)"),
        (Answer::status(500), 1, "unavailable", "(500)"),
        (Answer::status(529), 1, "unavailable", "(529)"),
        (Answer::With(200, Vec::new(), "<html>Sign in</html>".to_owned()), 1, "unavailable", "base_url right"),
        (Answer::With(200, Vec::new(), "[1,2".to_owned()), 1, "unavailable", "base_url right"),
        (Answer::With(200, Vec::new(), String::new()), 1, "unavailable", "base_url right"),
        (Answer::Bytes(b"\x16\x03\x01 no http\r\n\r\n".to_vec()), 1, "unavailable", "cut off, or no HTTP"),
        (Answer::Bytes(Vec::new()), 1, "unavailable", "cut off, or no HTTP"),
        (Answer::Half, 1, "unavailable", "cut off, or no HTTP"),
        (Answer::Endless, 1, "unavailable", "larger than any of such a server"),
        (Answer::HalfThenNothing, 1, "unavailable", "in time"),
        (Answer::Trickle, 1, "unavailable", "in time"),
        (Answer::Never, 1, "unavailable", "in time"),
    ] {
        provider.answers(answer.clone());
        let ran = check(&sealed, &["local", "--refresh", "--json"]).code_is(code);
        let view = only(&ran);
        assert_eq!((&view["state"], &view["code"], &ran.json()["code"]), (&state.into(), &code.into(), &code.into()));
        assert!(text(&view["why"]).contains(word), "{answer:?}: {view}");
        assert_eq!((&view["provider"], &view["cached"]), (&"local".into(), &false.into()));
        let until = view["until"].is_string();
        assert_eq!(until, matches!(&answer, Answer::With(429, headers, _) if headers[0].1 == "20"), "{view}");
    }
    let asked = provider.seen();
    assert!(asked.iter().all(|seen| seen.line == "GET /v1/models"), "{asked:?}");
    assert!(asked.iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {KEY}"))));
    sealed.finish();
}

#[test]
fn a_missing_provider_or_one_without_tls_is_unavailable() {
    let provider = Provider::start(Answer::status(200));
    let mut sealed = SealedBox::new();
    sealed.set("LOCAL_KEY", KEY);
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for (url, word) in [
        (format!("http://{nobody}/v1"), "nothing listens there"),
        (provider.url().replace("http://", "https://"), "no safe connection"),
        ("https://provider.invalid/v1".to_owned(), "unavailable"),
    ] {
        sealed.config(&format!("providers: {{local: {{base_url: '{url}', key_variable: LOCAL_KEY}}}}\n"));
        let ran = check(&sealed, &["local", "--refresh"]).code_is(1);
        assert!(ran.stdout.contains(word), "{url}: {ran}");
    }
    assert!(provider.seen().iter().all(|seen| seen.headers.is_empty()), "no key before there is TLS");
    sealed.finish();
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_is_sent_over_tls_only_to_a_trusted_server() {
    let provider = Provider::start_safe(Answer::models(&["a", "b"]));
    let mut sealed = boxed(&provider);
    let ran = check(&sealed, &["local", "--refresh"]).code_is(1);
    assert!(ran.stdout.contains("no safe connection"), "{ran}");
    assert_eq!(provider.seen().len(), 0, "nothing was asked");
    sealed.set("SSL_CERT_FILE", AUTHORITY);
    let ran = check(&sealed, &["local", "--refresh"]).ok();
    assert!(ran.stdout.contains("2 models"), "{ran}");
    assert_eq!(provider.seen()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let elsewhere = provider.url().replace("127.0.0.1", "127.0.0.2");
    sealed.config(&format!("providers: {{local: {{base_url: '{elsewhere}', key_variable: LOCAL_KEY}}}}\n"));
    check(&sealed, &["local", "--refresh"]).code_is(1);
    assert_eq!(provider.seen().len(), 1, "no certificate for that name, or nobody there");
    sealed.finish();
}

#[test]
fn a_proxy_of_the_environment_is_asked_for_what_is_not_on_this_machine() {
    let proxy = Provider::start(Answer::models(&["far"]));
    let mut sealed = SealedBox::new();
    sealed.set("http_proxy", proxy.url());
    sealed.config("providers: {far: {base_url: 'http://provider.invalid/v1'}}\n");
    check(&sealed, &["far", "--refresh"]).ok();
    assert_eq!(proxy.seen()[0].line, "GET http://provider.invalid/v1/models");
    sealed.set("no_proxy", "provider.invalid");
    check(&sealed, &["far", "--refresh"]).code_is(1);
    assert_eq!(proxy.seen().len(), 1);
    sealed.finish();
}

#[test]
fn a_key_goes_nowhere_else_not_to_a_redirect_a_proxy_or_in_the_clear() {
    let thief = Provider::start(Answer::models(&["stolen"]));
    let host = thief.url().replace("http://127.0.0.1", "http://localhost");
    let provider = Provider::start(Answer::status(500));
    let mut sealed = boxed(&provider);
    for status in [301, 302, 303, 307, 308] {
        provider.answers(Answer::With(status, vec![("location", format!("{host}/models?key={KEY}"))], String::new()));
        let ran = check(&sealed, &["local", "--refresh"]).code_is(1);
        assert!(ran.stdout.contains("points elsewhere") && ran.stdout.contains("localhost"), "{ran}");
    }
    provider.answers(Answer::models(&["a"]));
    sealed.set("HTTP_PROXY", thief.url());
    sealed.set("ALL_PROXY", thief.url());
    check(&sealed, &["local", "--refresh"]).code_is(0);
    for url in ["http://192.0.2.1/v1", "http://provider.invalid/v1", "http://127.0.0.1.provider.invalid"] {
        sealed.config(&format!("providers: {{local: {{base_url: '{url}', key_variable: LOCAL_KEY}}}}\n"));
        let ran = check(&sealed, &["local", "--refresh"]).code_is(1);
        assert!(ran.stdout.contains("providers.local.base_url: the key would go there unencrypted"), "{ran}");
        assert!(ran.stdout.contains("use https://"), "{ran}");
    }
    assert!(thief.seen().is_empty(), "{:?}", thief.seen());
    sealed.set("ANTHROPIC_API_KEY", KEY);
    sealed.set("ANTHROPIC_BASE_URL", "http://gateway.invalid");
    let ran = check(&sealed, &["anthropic"]).code_is(1);
    assert!(ran.stdout.contains("ANTHROPIC_BASE_URL: the key would go there unencrypted"), "{ran}");
    sealed.set("ANTHROPIC_API_KEY", "two\nlines");
    sealed.set("ANTHROPIC_BASE_URL", provider.url());
    let ran = check(&sealed, &["anthropic"]).code_is(1);
    assert!(ran.stdout.contains("holds a line break"), "{ran}");
    sealed.finish();
}

#[test]
fn an_answer_is_good_for_a_while_and_a_key_or_an_address_of_its_own() {
    let provider = Provider::start(Answer::models(&["a"]));
    let mut sealed = boxed(&provider);
    let cached = |sealed: &SealedBox, args: &[&str]| {
        let ran = check(sealed, &[&["local", "--json"], args].concat());
        only(&ran)["cached"] == true
    };
    assert!(!cached(&sealed, &[]) && cached(&sealed, &[]) && cached(&sealed, &[]));
    assert_eq!(provider.seen().len(), 1);
    let shown = check(&sealed, &["local"]).ok().stdout;
    assert!(shown.contains("s ago") && shown.contains("LOCAL_KEY is set"), "{shown}");
    assert!(!cached(&sealed, &["--refresh"]) && provider.seen().len() == 2);
    sealed.set("LOCAL_KEY", "another");
    assert!(!cached(&sealed, &[]), "another key is another question");
    provider.answers(Answer::With(429, vec![("retry-after", "600".to_owned())], "{}".to_owned()));
    assert!(!cached(&sealed, &["--refresh"]) && cached(&sealed, &[]));
    check(&sealed, &["local"]).code_is(2);
    let file = sealed.orch_home().join(".orch/providers.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let whole = fs::read_to_string(&file).expect("a file");
    assert!(!whole.contains("another") && !whole.contains("127.0.0.1"), "{whole}");
    for damaged in ["", "{", "null", &whole[..whole.len() / 2], &whole.replace("\"form\":1", "\"form\":99")] {
        write_file(&file, damaged);
        assert!(!cached(&sealed, &[]), "what is damaged is asked for again: {damaged:?}");
        assert!(cached(&sealed, &[]));
    }
    // Answers of a clock that was set back since are not believed.
    let ahead = whole.replace("\"at\":\"20", "\"at\":\"21");
    write_file(&file, &ahead);
    assert!(!cached(&sealed, &[]));
    sealed.finish();
}

#[test]
fn the_list_of_a_provider_joins_the_catalog_below_what_the_person_says() {
    let list = r#"{"data":[{"id":"tiny-vision","context_length":4096,"supports_image_in":true},
        {"id":"plain-flash","context_length":8192},{"id":"text-embedding-9"}]}"#;
    let provider = Provider::start(Answer::With(200, Vec::new(), list.to_owned()));
    let sealed = SealedBox::new();
    let config = format!(
        "providers: {{local: {{base_url: '{}'}}}}\nmodels: {{local/tiny-vision: {{context_window: 9000}}}}\n",
        provider.url()
    );
    sealed.config(&config);
    let models = |sealed: &SealedBox| -> Vec<Value> {
        let all = sealed.orch(["models", "list", "--json"]).ok().json();
        all.as_array().expect("a list").iter().filter(|model| model["provider"] == "local").cloned().collect()
    };
    assert_eq!(models(&sealed).len(), 1, "nobody was asked yet");
    let ran = check(&sealed, &["--json"]).ok();
    assert_eq!(
        (&only(&ran)["models"], &only(&ran)["by"]),
        (&2.into(), &"declared under providers, without a key".into())
    );
    assert_eq!(provider.seen()[0].header("authorization"), None, "without a key nobody gets one");
    let listed = models(&sealed);
    let ids: Vec<&str> = listed.iter().map(|model| text(&model["model"])).collect();
    assert_eq!(ids, ["plain-flash", "tiny-vision"], "what one cannot talk with is left out");
    assert_eq!(
        (&listed[0]["context_window"], &listed[0]["sources"]["context_window"]),
        (&8192.into(), &"provider_api".into())
    );
    assert_eq!((&listed[0]["tier"], &listed[0]["sources"]["tier"]), (&"flash".into(), &"inferred".into()));
    assert_eq!(
        (&listed[1]["context_window"], &listed[1]["sources"]["context_window"]),
        (&9000.into(), &"override".into())
    );
    assert_eq!(
        (&listed[1]["capabilities"]["vision"], &listed[1]["sources"]["vision"]),
        (&true.into(), &"provider_api".into())
    );
    let found = sealed.orch(["models", "resolve", "auto:vision", "--json"]).ok().json();
    assert_eq!(found["resolved_model"], "local/tiny-vision", "what the provider says of itself meets a need");
    // It fails: its list stays, and it is passed over with the reason.
    provider.answers(Answer::status(503));
    check(&sealed, &["local", "--refresh"]).code_is(1);
    let listed = models(&sealed);
    assert_eq!((listed.len(), &listed[0]["usable"]), (2, &false.into()));
    assert!(text(&listed[0]["why"]).contains("local has trouble of its own (503), asked"), "{}", listed[0]);
    let ran = sealed.orch(["models", "resolve", "auto:vision"]).code_is(7);
    assert!(ran.stderr.contains("no provider can be used now: local has trouble of its own (503), asked"), "{ran}");
    assert!(ran.stderr.contains("orch models check --refresh"), "{ran}");
    let named = sealed.orch(["models", "resolve", "local/plain-flash", "--json"]).ok().json();
    assert!(named["warnings"].to_string().contains("503"), "{named}");
    provider.answers(Answer::status(404));
    check(&sealed, &["local", "--refresh"]).code_is(1);
    assert_eq!(models(&sealed)[0]["usable"], true, "a server without a list may serve all the same");
    provider.answers(Answer::models(&["new"]));
    check(&sealed, &["local", "--refresh"]).ok();
    let ids: Vec<String> = models(&sealed).iter().map(|model| text(&model["model"]).to_owned()).collect();
    assert_eq!(ids, ["new", "tiny-vision"], "a newer list takes the place of the older one");
    sealed.config("providers: {local: {base_url: 'http://127.0.0.1:1/v1'}}\n");
    assert_eq!(models(&sealed).len(), 0, "the list of another address");
    sealed.finish();
}

#[test]
fn a_login_counts_without_a_key_and_without_a_question() {
    let mut sealed = SealedBox::new();
    let ran = check(&sealed, &["claude"]).code_is(3);
    assert!(ran.stdout.contains("has no key") && ran.stdout.contains("orch doctor"), "{ran}");
    let ran = check(&sealed, &[]).code_is(3);
    assert!(ran.stdout.contains("no provider has a key or a login"), "{ran}");
    sealed.program("codex", "#!/bin/sh\n");
    write_file(&sealed.home().join(".codex/auth.json"), &format!("{{\"OPENAI_API_KEY\": \"{KEY}\"}}"));
    sealed.program("opencode", "#!/bin/sh\n");
    let stored = format!("{{\"zai\": {{\"type\": \"api\", \"key\": \"{KEY}\"}}}}");
    write_file(&sealed.home().join(".local/share/opencode/auth.json"), &stored);
    sealed.set("ANTHROPIC_API_KEY", " ");
    let ran = check(&sealed, &["claude"]).code_is(3);
    assert!(ran.stdout.contains("ANTHROPIC_API_KEY is blank"), "{ran}");
    sealed.unset("ANTHROPIC_API_KEY");
    sealed.set("CLAUDE_CODE_OAUTH_TOKEN", KEY);
    let ran = check(&sealed, &["--json"]).ok();
    let all = ran.json();
    let views = all["providers"].as_array().expect("a list");
    let names: Vec<&str> = views.iter().map(|view| text(&view["provider"])).collect();
    assert_eq!(names, ["anthropic", "openai", "zai"]);
    assert!(views.iter().all(|view| view["state"] == "available" && view["checked_at"].is_null()), "{all}");
    assert!(!sealed.orch_home().join(".orch/providers.json").exists(), "nobody was asked");
    sealed.finish();
}

#[test]
fn of_all_providers_the_highest_code_counts_and_one_that_hangs_delays_none() {
    let (good, limited, hanging) =
        (Provider::start(Answer::models(&["a"])), Provider::start(Answer::status(429)), Provider::start(Answer::Never));
    let sealed = SealedBox::new();
    sealed.config(&format!(
        "providers:\n  good: {{base_url: '{}'}}\n  limited: {{base_url: '{}'}}\n  hanging: {{base_url: '{}'}}\n",
        good.url(),
        limited.url(),
        hanging.url()
    ));
    let ran = check(&sealed, &["--json"]).code_is(2);
    let states: Vec<(String, u64)> = ran.json()["providers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|view| (text(&view["state"]).to_owned(), view["took_ms"].as_u64().expect("a number")))
        .collect();
    let words: Vec<&str> = states.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(words, ["available", "unavailable", "rate_limited"]);
    assert!(states[1].1 >= 2_500 && states[0].1 < 2_500, "{states:?}");
    assert!(sealed.orch(["models", "list", "--usable", "--json"]).ok().stdout.contains("good/a"));
    sealed.finish();
}

#[test]
fn the_environment_of_the_daemon_decides_where_one_runs() {
    let provider = Provider::start(Answer::models(&["a"]));
    let mut sealed = boxed(&provider);
    sealed.serve();
    sealed.unset("LOCAL_KEY");
    check(&sealed, &["local", "--refresh"]).ok();
    sealed.set("LOCAL_KEY", "of the terminal");
    check(&sealed, &["local", "--refresh"]).ok();
    assert!(provider.seen().iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {KEY}"))));
    sealed.stop_daemon().ok();
    sealed.unset("LOCAL_KEY");
    let ran = check(&sealed, &["local", "--refresh"]).code_is(3);
    assert!(ran.stdout.contains("LOCAL_KEY is not set"), "without a daemon the engine is of this command: {ran}");
    sealed.finish();
}

#[test]
fn what_is_no_answer_has_a_code_of_its_own() {
    let sealed = SealedBox::new();
    let ran = sealed.orch(["models", "check", "antropic"]).code_is(64);
    assert!(ran.stderr.contains("did you mean anthropic?"), "{ran}");
    let ran = sealed.orch(["models", "check", "antropic", "--json"]).code_is(64);
    assert_eq!(ran.json()["error"]["code"], "not_found");
    sealed.orch(["models", "check", "--bogus"]).code_is(64);
    sealed.orch(["models", "check", "--bogus", "--json"]).code_is(64);
    sealed.orch(["models", "check", "a", "b"]).code_is(64);
    sealed.orch(["models", "check", "--help"]).ok();
    sealed.config("nonsense: true\n");
    sealed.orch(["models", "check"]).code_is(64);
    sealed.finish();
}
