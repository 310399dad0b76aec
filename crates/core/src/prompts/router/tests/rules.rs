//! The order of the rules: label or field, round robin, LLM, fallback.

use super::*;

fn decide(input: &RouteInput, settings: &RouterSettings, installed: &[String], failed: u32) -> Decision {
    Routing { input, settings, installed }.decide(failed)
}

fn by_label(labels: &[&str]) -> RouteResult {
    resolved(decide(&task(1, "t", labels), &settings(), &all_three(), 0))
}

#[test]
fn a_label_decides_agent_and_complexity_and_the_map_the_model() {
    let result = by_label(&["bug", "agent:claude", "complexity:simple"]);
    assert_eq!((result.agent.as_str(), result.model.as_deref()), ("claude", Some("haiku")));
    assert_eq!(result.complexity, Complexity::Simple);
    assert_eq!(result.reason, "label agent:claude");
    assert_eq!(result.profile.tools, names(&["git", "rg", "jq"]));
    assert_eq!(result.selected_skills, names(&["gh", "git-worktree"]));
    assert_eq!(result.warning, None);
}

#[test]
fn an_agent_without_a_complexity_is_medium_and_an_unmapped_model_is_the_clis_own() {
    assert_eq!(by_label(&["agent:codex"]).complexity, Complexity::Medium);
    assert_eq!(by_label(&["agent:opencode"]).model, None);
    assert_eq!(by_label(&[" Agent : Codex "]).agent, "codex");
}

#[test]
fn a_declared_agent_outside_of_router_agents_is_reached_by_its_label_only() {
    let mut installed = all_three();
    installed.push("mybot".to_owned());
    let result = resolved(decide(&task(1, "t", &["agent:mybot"]), &settings(), &installed, 0));
    assert_eq!(result.agent, "mybot");
    let input = task(1, "t", &[]);
    let routing = Routing { input: &input, settings: &settings(), installed: &installed };
    assert_eq!(routing.candidates(), Ok(all_three()));
}

#[test]
fn an_agent_that_is_not_installed_is_refused_with_what_is() {
    let why = impossible(decide(&task(1, "t", &["agent:cluade"]), &settings(), &all_three(), 0));
    assert_eq!(why.reason, "the label agent names cluade, which is not installed");
    assert!(why.hint.starts_with("did you mean claude? installed: claude, codex, opencode; "), "{}", why.hint);
    let mut input = task(1, "t", &[]);
    input.agent = Some("kimi".to_owned());
    let why = impossible(decide(&input, &settings(), &all_three(), 0));
    assert_eq!(why.reason, "the task's agent names kimi, which is not installed");
}

#[test]
fn of_contradicting_labels_the_first_installed_agent_and_the_hardest_complexity_count_with_a_warning() {
    let result = by_label(&["agent:kimi", "agent:codex", "agent:claude", "complexity:simple", "complexity:complex"]);
    assert_eq!((result.agent.as_str(), result.complexity), ("codex", Complexity::Complex));
    let warning = result.warning.unwrap();
    assert!(warning.contains("several agents (kimi, codex, claude): took codex"), "{warning}");
    assert!(warning.contains("took complex, the hardest"), "{warning}");
}

#[test]
fn a_label_goes_before_the_tasks_own_field() {
    let mut input = task(1, "t", &["agent:claude", "complexity:simple"]);
    (input.agent, input.complexity) = (Some("codex".to_owned()), Some(Complexity::Complex));
    let result = resolved(decide(&input, &settings(), &all_three(), 0));
    assert_eq!((result.agent.as_str(), result.complexity), ("claude", Complexity::Simple));
    let warning = result.warning.unwrap();
    assert!(warning.contains("the task for codex") && warning.contains("the task for complex"), "{warning}");
}

#[test]
fn an_unknown_complexity_label_is_ignored_with_a_warning() {
    let result = by_label(&["agent:claude", "complexity:simpel"]);
    assert_eq!(result.complexity, Complexity::Medium);
    assert!(
        result.warning.unwrap().contains("complexity:simpel is not simple, medium or complex (did you mean simple?)")
    );
}

#[test]
fn a_model_asked_for_is_kept_and_may_name_agent_and_complexity() {
    let mut input = task(1, "t", &[]);
    input.model = Some("opus".to_owned());
    let result = resolved(decide(&input, &settings(), &all_three(), 0));
    assert_eq!((result.agent.as_str(), result.model.as_deref()), ("claude", Some("opus")));
    assert_eq!(result.complexity, Complexity::Complex);
    input.agent = Some("codex".to_owned());
    let result = resolved(decide(&input, &settings(), &all_three(), 0));
    assert_eq!((result.agent.as_str(), result.model.as_deref()), ("codex", Some("opus")));
    input = task(1, "t", &[]);
    input.model = Some("who-knows".to_owned());
    assert_eq!(decide(&input, &settings(), &all_three(), 0), Decision::AskLlm);
    for bad in ["--dangerous", "a b", "x\ny", &"x".repeat(201)] {
        input.model = Some(bad.to_owned());
        assert!(impossible(decide(&input, &settings(), &all_three(), 0)).reason.contains("not the name of a model"));
    }
}

#[test]
fn round_robin_takes_the_installed_agents_in_the_configured_order() {
    let mut settings = settings();
    settings.mode = RouterMode::RoundRobin;
    let installed = names(&["opencode", "claude", "stranger"]);
    let agent = |id| resolved(decide(&task(id, "t", &[]), &settings, &installed, 0)).agent;
    assert_eq!([1, 2, 3, 4].map(agent), ["claude", "opencode", "claude", "opencode"]);
    let result = resolved(decide(&task(2, "t", &["complexity:complex"]), &settings, &installed, 0));
    assert_eq!((result.reason.as_str(), result.complexity), ("round robin: turn 2 of 2", Complexity::Complex));
    assert_eq!(result.warning, None);
}

#[test]
fn without_wishes_the_llm_is_asked_until_it_failed_too_often() {
    let input = task(5, "t", &[]);
    for failed in 0..3 {
        assert_eq!(decide(&input, &settings(), &all_three(), failed), Decision::AskLlm);
    }
    let result = resolved(decide(&input, &settings(), &all_three(), 3));
    assert_eq!(result.agent, "codex");
    assert!(result.warning.unwrap().contains("the router failed 3 times (max_route_attempts 3)"));
}

#[test]
fn with_no_agent_to_choose_the_reason_says_what_to_install_or_to_name() {
    let input = task(1, "t", &[]);
    let why = impossible(decide(&input, &settings(), &[], 0));
    assert_eq!(why.reason, "no agent is installed (looked for claude, codex, opencode, kimi, minimax)");
    assert!(why.hint.contains("npm install -g @anthropic-ai/claude-code") && why.hint.contains("kind: command"));
    let why = impossible(decide(&input, &settings(), &names(&["mybot"]), 0));
    assert!(why.hint.starts_with("installed: mybot; name one of them in router.agents"), "{}", why.hint);
}

#[test]
fn a_failure_leads_to_the_fallback_executor_and_at_last_to_round_robin() {
    let input = task(1, "t", &["complexity:simple"]);
    let mut settings = settings();
    let installed = all_three();
    let route = |settings: &RouterSettings, failed| {
        Routing { input: &input, settings, installed: &installed }.after_failure(failed, "no\n answer").unwrap()
    };
    let result = route(&settings, 1);
    assert_eq!((result.agent.as_str(), result.model.as_deref()), ("codex", Some("gpt-5.1-codex-mini")));
    assert_eq!(result.warning.as_deref(), Some("the router failed: no answer"));
    let last = route(&settings, 3);
    assert_eq!(last.reason, "round robin: turn 1 of 3");
    assert!(last.warning.unwrap().contains("last: no answer"));
    settings.fallback_executor = "minimax".to_owned();
    let result = route(&settings, 1);
    assert_eq!(result.agent, "claude");
    assert!(result.warning.unwrap().ends_with("fallback_executor minimax is not installed"));
    settings.fallback_executor = "round_robin".to_owned();
    assert_eq!(route(&settings, 1).reason, "round robin: turn 1 of 3");
}

#[test]
fn nothing_outside_the_list_runs_unless_a_task_names_it() {
    let installed = names(&["bot", "claude", "codex", "opencode"]);
    let list = |agents: &[&str]| RouterSettings { agents: names(agents), ..settings() };
    let (plain, named) = (task(1, "t", &[]), task(1, "t", &["agent:codex"]));
    // A list of one needs no question.
    let only = resolved(decide(&plain, &list(&["bot", "bot"]), &installed, 0));
    assert_eq!((only.agent.as_str(), only.complexity), ("bot", Complexity::Medium));
    assert!(only.reason.contains("the only agent of router.agents"), "{}", only.reason);
    let one_is_paused = RouterSettings { left_out: 1, ..list(&["bot"]) };
    assert_eq!(decide(&plain, &one_is_paused, &installed, 0), Decision::AskLlm, "the list has two");
    let two = list(&["bot", "opencode"]);
    assert_eq!(decide(&plain, &two, &installed, 0), Decision::AskLlm);
    let failed = Routing { input: &plain, settings: &two, installed: &installed }.fallback("no answer").unwrap();
    assert_eq!(failed.agent, "bot", "codex, the fallback executor, is not in the list");
    assert!(failed.warning.unwrap().ends_with("fallback_executor codex is not in router.agents"));
    let suggested = task(1, "t", &[&format!("{}:codex", crate::tasks::delegation::SUGGESTED)]);
    assert_eq!(decide(&suggested, &two, &installed, 0), Decision::AskLlm);
    assert_eq!(resolved(decide(&named, &two, &installed, 0)).agent, "codex");
}

#[test]
fn a_fallback_without_any_agent_is_impossible_and_a_wish_survives_a_failure() {
    let settings = settings();
    let input = task(1, "t", &[]);
    let nobody = Routing { input: &input, settings: &settings, installed: &[] };
    assert!(nobody.fallback("x").is_err() && nobody.after_failure(9, "x").is_err());
    let input = task(1, "t", &["agent:opencode"]);
    let installed = all_three();
    let routing = Routing { input: &input, settings: &settings, installed: &installed };
    assert_eq!(routing.fallback("x").unwrap().agent, "opencode");
    assert_eq!(routing.after_failure(9, "x").unwrap().agent, "opencode");
}
