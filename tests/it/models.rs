//! `orch models` as a person types it, without a daemon and with nothing but settings and an environment.

use crate::kit::sealed_box::SealedBox;
use crate::kit::write_file;
use serde_json::Value;

fn resolved(sealed: &SealedBox, args: &[&str]) -> Value {
    sealed.orch([&["models", "resolve", "--json"], args].concat()).ok().json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn the_references_of_the_walk_lead_to_models_with_a_reason() {
    let mut sealed = SealedBox::new();
    sealed.set("ANTHROPIC_API_KEY", "sk-test-not-shown");
    for reference in ["auto:vision", "node:fast", "anthropic/claude-sonnet-4-6", "sonnet", "tier:pro", "auto"] {
        let found = resolved(&sealed, &[reference]);
        assert!(text(&found["resolved_model"]).starts_with("anthropic/"), "{found}");
        assert!(!text(&found["reason"]).is_empty() && found["policy"]["mode"] == "performance", "{found}");
        assert_eq!(found["metadata"]["model"]["id"], found["resolved_model"]);
        assert_eq!(found["metadata"]["model"]["why"], "ANTHROPIC_API_KEY is set");
        assert!(found["alternatives"].is_array());
    }
    let vision = resolved(&sealed, &["auto:vision", "--mode", "economical", "--require", "vision,tools"]);
    assert_eq!(vision["policy"]["required"], serde_json::json!(["vision", "tools"]));
    assert_eq!(vision["metadata"]["model"]["tier"], "haiku", "the cheapest");
    let shown = sealed.orch(["models", "resolve", "claude", "sonnet", "4.6"]).ok().stdout;
    assert!(shown.contains("anthropic/claude-sonnet-4-6") && !shown.contains("sk-test"), "{shown}");
    sealed.finish();
}

#[test]
fn what_cannot_be_is_reported_with_its_exit_code_and_what_to_do() {
    let mut sealed = SealedBox::new();
    let hint = |args: &[&str], code: i32, word: &str| {
        let ran = sealed.orch([&["models", "resolve", "--json"], args].concat()).code_is(code).json();
        assert_eq!(ran["error"]["code"], word, "{ran}");
        text(&ran["error"]["hint"]).to_owned()
    };
    assert!(hint(&["auto:visoin"], 3, "not_found").contains("auto:vision"));
    assert!(hint(&["claude-sonet-4-6"], 3, "not_found").contains("claude-sonnet-4-6"));
    assert!(hint(&["antropic/x"], 3, "not_found").contains("anthropic"));
    assert!(hint(&["nope/x"], 3, "not_found").starts_with("providers are "), "nothing is like it: all of them");
    let meant = sealed.orch(["models", "resolve", "antropic/x"]).code_is(3).stderr;
    assert!(meant.contains("did you mean anthropic?") && meant.contains("openai"), "{meant}");
    assert!(hint(&["tier:huge"], 3, "not_found").contains("tier:opus"));
    assert!(hint(&["auto:vision"], 7, "conflict").contains("orch doctor"), "nobody is usable in a sealed box");
    assert!(hint(&["deepseek", "--require", "vision"], 7, "conflict").contains("these would do"));
    sealed.orch(["models", "resolve", "opus", "--require", "visoin"]).code_is(2);
    sealed.orch(["models", "resolve"]).code_is(2);
    sealed.orch(["models", "compare", "opus"]).code_is(2);
    sealed.set("DEEPSEEK_API_KEY", "x");
    let ran =
        sealed.orch(["models", "resolve", "auto:docs", "--require", "vision", "--min-context", "2000000"]).code_is(7);
    assert!(ran.stderr.contains("no model of the usable providers (deepseek)"), "{}", ran.stderr);
    sealed.finish();
}

#[test]
fn a_provider_is_usable_by_declaration_key_stored_credential_or_a_logged_in_agent() {
    let mut sealed = SealedBox::new();
    let usable = |sealed: &SealedBox| -> Vec<String> {
        let models = sealed.orch(["models", "list", "--usable", "--json"]).ok().json();
        let mut providers: Vec<String> =
            models.as_array().unwrap().iter().map(|model| text(&model["provider"]).to_owned()).collect();
        providers.dedup();
        providers
    };
    assert_eq!(usable(&sealed), [""; 0]);
    assert!(sealed.orch(["models", "list", "--usable"]).ok().stdout.contains("no model is usable"));
    sealed.set("GEMINI_API_KEY", "x");
    assert_eq!(usable(&sealed), ["google"]);
    sealed.program("opencode", "#!/bin/sh\n");
    write_file(&sealed.home().join(".local/share/opencode/auth.json"), r#"{"zai": {"type": "api", "key": "secret"}}"#);
    assert_eq!(usable(&sealed), ["google", "zai"]);
    sealed.program("codex", "#!/bin/sh\n");
    assert_eq!(usable(&sealed), ["google", "zai"], "installed and not logged in");
    let models = sealed.orch(["models", "list", "--json"]).ok().json();
    let openai = models.as_array().unwrap().iter().find(|model| model["provider"] == "openai").unwrap();
    assert_eq!((&openai["usable"], text(&openai["why"]).is_empty()), (&Value::Bool(false), false));
    write_file(&sealed.home().join(".codex/auth.json"), "{}");
    assert_eq!(usable(&sealed), ["google", "openai", "zai"]);
    sealed.config(
        "providers:\n  local: {base_url: 'http://127.0.0.1:1/v1'}\n  far: {base_url: 'https://far.test', key_variable: FAR_KEY}\n\
         models:\n  local/tiny: {vision: true, tier: flash}\n  far/big: {vision: true}\n",
    );
    assert_eq!(usable(&sealed), ["google", "local", "openai", "zai"]);
    sealed.set("FAR_KEY", "x");
    assert_eq!(usable(&sealed), ["far", "google", "local", "openai", "zai"]);
    sealed.finish();
}

#[test]
fn the_persons_word_on_models_aliases_and_preference_counts() {
    let mut sealed = SealedBox::new();
    sealed.set("OPENAI_API_KEY", "x");
    sealed.config(
        "model_aliases: {work: house, house: openai/gpt-5.2, quick: 'auto:fast'}\n\
         model_selection: {small_model: local/tiny, preferredProviders: [local]}\n\
         models: {openai/gpt-5.2: {vision: false, input_usd_per_mtok: 9.5}, local/tiny: {context_window: 8000}}\n\
         providers: {local: {base_url: 'http://127.0.0.1:1/v1'}}\n",
    );
    let work = resolved(&sealed, &["work"]);
    assert_eq!(work["resolved_model"], "openai/gpt-5.2");
    assert!(text(&work["reason"]).contains("work → house → openai/gpt-5.2"), "{work}");
    let model = &work["metadata"]["model"];
    assert_eq!((&model["input_usd_per_mtok"], &model["capabilities"]["vision"]), (&9.5.into(), &Value::Bool(false)));
    assert_eq!((&model["sources"]["vision"], &model["sources"]["tier"]), (&"override".into(), &"catalog".into()));
    assert_eq!(model["sources"]["input_usd_per_mtok"], "override");
    let quick = resolved(&sealed, &["quick"]);
    assert_eq!((&quick["resolved_model"], &quick["policy"]["choice"]), (&"local/tiny".into(), &"small_model".into()));
    assert_eq!(quick["metadata"]["model"]["input_usd_per_mtok"], Value::Null, "a price that nobody knows is not 0");
    sealed.orch(["models", "resolve", "work", "--require", "vision"]).code_is(7);
    let both = sealed.orch(["models", "compare", "work", "opus", "local/tiny", "--json"]).ok().json();
    let ids: Vec<&str> = both.as_array().unwrap().iter().map(|model| text(&model["id"])).collect();
    assert_eq!((ids[0], ids[2]), ("openai/gpt-5.2", "local/tiny"));
    let side = sealed.orch(["models", "compare", "work", "opus"]).ok().stdout;
    assert!(side.contains("9.50") && side.contains("context"), "{side}");
    let vision = sealed.orch(["models", "list", "--tag", "vision", "--json"]).ok().json();
    let list = vision.as_array().unwrap();
    assert!(!list.is_empty() && list.iter().all(|model| model["capabilities"]["vision"] == true));
    sealed.config("model_aliases: {a: b, b: a}\n");
    let ran = sealed.orch(["models", "list"]).code_is(2);
    assert!(ran.stderr.contains("the alias leads back to itself: a → b → a"), "{}", ran.stderr);
    sealed.finish();
}

#[test]
fn what_a_name_alone_says_is_reported_with_what_would_make_it_sure() {
    let sealed = SealedBox::new();
    sealed.config(
        "providers: {local: {base_url: 'http://127.0.0.1:1/v1'}}\nmodels: {local/llava-vision: {tools: true}}\n",
    );
    let refused = sealed.orch(["models", "resolve", "auto:vision"]).code_is(7).stderr;
    assert!(refused.contains("models.local/llava-vision.vision: true"), "{refused}");
    let listed = sealed.orch(["models", "list", "--usable"]).ok().stdout;
    assert!(listed.contains("~vision") && listed.contains("\n~ guessed from its name"), "{listed}");
    sealed.config(
        "providers: {local: {base_url: 'http://127.0.0.1:1/v1'}}\nmodels: {local/llava-vision: {tools: true, vision: true}}\n",
    );
    sealed.orch(["models", "resolve", "auto:vision"]).ok();
    sealed.finish();
}

#[test]
fn references_in_the_settings_are_checked_and_each_problem_is_reported_once() {
    let sealed = SealedBox::new();
    let repo = sealed.repo("shop");
    write_file(&repo.dir().join(".orch.yml"), "workflow:\n  checks: ['true']\n");
    sealed.config("model_map: {medium: {claude: 'auto:bogus'}}\n");
    let ran = sealed.orch_in(repo.dir(), ["config", "validate"]).code_is(2);
    assert_eq!(ran.stderr.matches("auto:bogus").count(), 1, "{}", ran.stderr);
    sealed.config("model_map: {medium: {codex: nope/nope}}\nmodel_aliases: {x: nope/zzz}\n");
    let odd = sealed.orch_in(repo.dir(), ["config", "validate"]).ok();
    for key in ["model_map.medium.codex", "model_aliases.x"] {
        assert_eq!(odd.stderr.matches(key).count(), 1, "{}", odd.stderr);
    }
    sealed.config("");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    for args in [&["add", "Count", "--model", "auto:bogus"][..], &["add", "Count", "--model", "tier:huge"]] {
        assert!(sealed.orch_in(repo.dir(), args).code_is(2).stderr.contains("there is no"));
    }
    sealed.orch_in(repo.dir(), ["add", "Count", "--model", "auto:fast"]).ok();
    let edited = sealed.orch(["task", "edit", "1", "--model", "auto:fsat"]).code_is(2).stderr;
    assert!(edited.contains("did you mean auto:fast?"), "{edited}");
    assert_eq!(sealed.orch(["list", "--json"]).ok().json().as_array().map(Vec::len), Some(1));
    sealed.finish();
}
