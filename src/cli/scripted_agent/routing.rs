//! The scripted router: follows the task's script, or else a heuristic over the words of the task.

use super::conversation::Conversation;
use super::events::{Answered, Stream};
use super::flags::Flags;
use super::prompt::{Prompt, Task};
use super::script::Script;
use super::work::{self, Leaves};
use orch_core::tasks::route::Complexity;
use serde_json::json;
use std::io::{self, Write};

/// Words of difficult and of easy tasks; both at once count as difficult.
const HARD: [&str; 8] =
    ["architecture", "redesign", "rewrite", "migration", "migrate", "concurrency", "security", "refactor"];
const EASY: [&str; 9] =
    ["readme", "documentation", "docs", "guide", "changelog", "typo", "comment", "configuration", "rename"];

/// Answers a routing request.
pub(super) fn answer(
    script: &Script,
    prompt: &Prompt,
    conversation: &Conversation,
    flags: &Flags,
    stream: &mut Stream<impl Write>,
) -> io::Result<Leaves> {
    let hint = &script.route;
    if hint.hang {
        work::hang();
    }
    if let Some(text) = &hint.answer {
        stream.end(Answered::Text(text.clone()))?;
        return Ok(Leaves::Well);
    }
    let (guessed, because) = conversation.task.as_ref().map_or((Complexity::Medium, String::new()), judge);
    let executor = hint.executor.clone().or_else(|| first_agent(prompt, flags)).unwrap_or_default();
    let complexity = hint.complexity.clone().unwrap_or_else(|| guessed.as_str().to_owned());
    let (role, skill) = match guessed {
        Complexity::Simple => ("technical writer", "documentation"),
        Complexity::Medium => ("software engineer", "programming"),
        Complexity::Complex => ("software architect", "architecture"),
    };
    stream.end(Answered::Structured(json!({
        "executor": executor,
        "complexity": complexity,
        "reason": hint.reason.clone().unwrap_or(because),
        "profile": { "role": role, "skills": [skill], "tools": [], "constraints": [] },
        "selected_skills": [],
    })))?;
    Ok(Leaves::Well)
}

/// Returns the first agent of the prompt's list, or of the schema's if a user's template has no list.
fn first_agent(prompt: &Prompt, flags: &Flags) -> Option<String> {
    let listed = prompt.agents().first().map(|&name| name.to_owned());
    let offered = || flags.schema.as_ref()?.pointer("/properties/executor/enum/0")?.as_str().map(str::to_owned);
    listed.or_else(offered)
}

/// Returns the complexity of a task, and the reason.
fn judge(task: &Task) -> (Complexity, String) {
    let words = task.body.split("```").next().unwrap_or_default();
    let text = format!("{} {words}", task.title).to_lowercase();
    let found = |list: &[&'static str]| list.iter().copied().find(|word| text.contains(word));
    match (found(&HARD), found(&EASY)) {
        (Some(word), _) => (Complexity::Complex, format!("it speaks of {word}")),
        (None, Some(word)) => (Complexity::Simple, format!("it speaks of a {word}")),
        (None, None) => (Complexity::Medium, "a change of behaviour, as far as its words tell".to_owned()),
    }
}
