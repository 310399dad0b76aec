//! The guarantees of every prompt, whatever the data.

use super::*;
use crate::base::ids::TaskId;
use crate::prompts::router::{RouteInput, RouterSettings, Routing};
use crate::prompts::skills::{Catalogue, Selection, Skill, SkillSource};
use crate::tasks::change::{Finding, FindingKind};
use crate::tasks::evidence::{Check, CheckState, Evidence};
use crate::tasks::outcome::FailureClass;
use crate::tasks::route::AgentProfile;
use proptest::prelude::*;

/// A work context whose data are all `text`.
fn with_context<T>(text: &str, run: impl FnOnce(&WorkContext<'_>) -> T) -> T {
    let many = vec![text.to_owned(); 60];
    let profile =
        AgentProfile { role: text.to_owned(), skills: many.clone(), tools: many.clone(), constraints: many.clone() };
    let skill = Skill {
        name: "s".to_owned(),
        description: text.to_owned(),
        text: text.chars().take(32_000).collect(),
        source: SkillSource::Repository,
    };
    let selection = Selection { skills: vec![&skill; 20], missing: Vec::new(), advice: many.clone() };
    let files = [ProjectFile { path: text, text }; 5];
    run(&WorkContext {
        task_id: TaskId(7),
        title: text,
        body: text,
        labels: &many,
        attempt: 1,
        max_attempts: 3,
        written: None,
        worktree: text,
        main_dir: Some(text),
        branch: text,
        base_branch: text,
        base_commit: text,
        checks: &many,
        profile: &profile,
        skills: &selection,
        instructions: &files,
        tried: &[],
        answer_format: "THE FORMAT",
    })
}

/// Every kind of prompt, with `text` for all data.
fn every_prompt(text: &str) -> Vec<String> {
    let templates = Templates::embedded();
    let mut prompts = with_context(text, |context| {
        let mut prompts = vec![work_prompt(context, &templates)];
        for class in
            [FailureClass::ChecksFailed, FailureClass::ReviewRejected, FailureClass::Killed, FailureClass::Conflict]
        {
            for conversation in [Conversation::Same, Conversation::Fresh] {
                prompts.push(again_prompt(
                    context,
                    &Again { class, detail: text, conflict: None, conversation },
                    &templates,
                ));
            }
        }
        prompts
    });
    prompts.push(repair_prompt(text, "THE FORMAT", &templates));
    prompts.push(message_prompt(&[text, text], "THE FORMAT", &templates));
    prompts.push(nudge_prompt(TaskId(7), "Are you still at work?", &templates));
    prompts.push(routing_question(text));
    prompts.push(a_review(text));
    prompts
}

fn a_review(text: &str) -> String {
    let commits = vec!["1".repeat(40)];
    let check = Check::new(text, CheckState::Passed);
    let findings = vec![Finding::new(FindingKind::CiChanged, text, text)];
    let evidence = Evidence { head: "1".repeat(40), commits, checks: vec![check], findings, ..Evidence::default() };
    let context = ReviewContext {
        task_id: TaskId(7),
        title: text,
        body: text,
        labels: &[text.to_owned()],
        checkout: text,
        summary: text,
        evidence: &evidence,
        diff: text,
        omitted: &[text.to_owned()],
    };
    review_prompt(&context, &Templates::embedded())
}

fn routing_question(text: &str) -> String {
    let input = RouteInput {
        task_id: TaskId(7),
        title: text.to_owned(),
        body: text.to_owned(),
        labels: vec![text.to_owned(); 3],
        agent: None,
        model: None,
        complexity: None,
    };
    let agents = vec!["claude".to_owned(), "mybot".to_owned()];
    let settings = RouterSettings { agents: agents.clone(), ..RouterSettings::default() };
    let source = SkillSource::Repository;
    let skill = Skill { name: "sql".to_owned(), description: "Tune queries".to_owned(), text: text.to_owned(), source };
    let routing = Routing { input: &input, settings: &settings, installed: &agents };
    route_prompt(&routing, &Catalogue::new([skill]), &Templates::embedded())
}

/// Returns the lines outside fences.
fn own_lines(prompt: &str) -> Vec<&str> {
    let mut mark: Option<&str> = None;
    let mut own = Vec::new();
    for line in prompt.lines() {
        match mark {
            Some(open) if line == open => mark = None,
            Some(_) => {}
            None if line.starts_with("```") => mark = line.strip_suffix("text").or(line.strip_suffix("json")),
            None => own.push(line),
        }
    }
    assert_eq!(mark, None, "a fence stays open:\n{prompt}");
    own
}

#[test]
fn each_kind_of_failure_gets_the_prompt_that_fits_it() {
    let templates = Templates::embedded();
    let first_line = |class| {
        let again = Again { class, detail: "d", conflict: None, conversation: Conversation::Same };
        with_context("x", |context| again_prompt(context, &again, &templates)).lines().next().map(str::to_owned)
    };
    for class in FailureClass::ALL {
        let line = first_line(*class).unwrap();
        let expected = match class.as_str() {
            "conflict" => "does not merge any more",
            "no_change" | "checks_failed" | "review_rejected" | "malformed" | "incomplete" | "context_too_long"
            | "sandbox_violation" | "unacceptable" => "was not accepted",
            _ => "was interrupted",
        };
        assert!(line.contains(expected), "{class}: {line}");
    }
}

#[test]
fn a_follow_up_in_a_fresh_conversation_is_the_whole_prompt_and_says_the_format_once() {
    let templates = Templates::embedded();
    let again = |conversation| Again {
        class: FailureClass::ChecksFailed,
        detail: "check `make` failed",
        conflict: None,
        conversation,
    };
    let (same, fresh) = with_context("x", |context| {
        let prompt = |conversation| retry_prompt(context, &again(conversation), &templates);
        (prompt(Conversation::Same), prompt(Conversation::Fresh))
    });
    for part in ["## Rules", "## The task", "## What happened before", "was not accepted", "check `make` failed"] {
        assert!(fresh.contains(part), "{part} is missing");
    }
    assert!(!same.contains("## Rules") && same.contains("check `make` failed"));
    assert_eq!((fresh.matches("THE FORMAT").count(), same.matches("THE FORMAT").count()), (1, 1));
    assert!(fresh.trim_end().ends_with("THE FORMAT") && same.trim_end().ends_with("THE FORMAT"));
}

#[test]
fn data_of_any_size_leaves_a_prompt_that_every_cli_takes() {
    for text in ["x".repeat(1_000_000), "`".repeat(1_000_000), "`x".repeat(500_000), "a\n".repeat(500_000)] {
        for prompt in every_prompt(&text) {
            assert!(prompt.chars().count() <= MAX_PROMPT, "{}", prompt.chars().count());
        }
    }
}

#[test]
fn the_router_sees_no_more_than_the_beginning_of_a_long_body() {
    let question = routing_question(&"word ".repeat(100_000));
    assert!(question.chars().count() < 20_000, "{}", question.chars().count());
    assert!(question.contains("[cut here: 492000 more characters]"));
    assert!(question.contains("- `mybot`: a program the user declared"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_data_escapes_its_fence_or_becomes_the_first_line(
        text in "(`{1,6}|```text\n|\n|/clear|--help|\\{\\{task\\}\\}|## Rules|\u{202e}|~~~|é| |\r){1,12}"
    ) {
        let harmless = every_prompt("x");
        // Blank data leave out whole sections; these are not blank.
        for (prompt, plain) in every_prompt(&format!("{text}.")).iter().zip(&harmless) {
            prop_assert!(prompt.starts_with(|c: char| c.is_ascii_alphabetic() || c == '#'));
            let (own, plain) = (own_lines(prompt), own_lines(plain));
            prop_assert_eq!(own.len(), plain.len(), "{}", prompt);
            let headings = |lines: &[&str]| lines.iter().filter(|line| line.starts_with("## ")).count();
            prop_assert_eq!(headings(&own), headings(&plain));
        }
    }
}
