//! Sanity checks of an LLM's choice: results that are allowed but unusual. They warn and never change the choice.

use super::RouteInput;
use crate::tasks::route::{Complexity, RouteResult};

const DOCUMENTATION: &[&str] = &["docs", "documentation", "writing"];
const DOCUMENTATION_TITLE: &[&str] = &["docs", "documentation", "readme", "changelog", "typo", "typos"];
const BACKEND: &[&str] = &["backend", "api", "database", "db"];
const LARGE: &[&str] = &["architecture", "migration", "migrate", "rewrite"];

/// Returns what is unusual about `result`.
pub(super) fn warnings(input: &RouteInput, result: &RouteResult) -> Vec<String> {
    let label = |known: &'static [&'static str]| input.labels.iter().find_map(|label| word(label, known));
    let title = |known: &'static [&'static str]| word(&input.title, known);
    let documentation = label(DOCUMENTATION).or_else(|| title(DOCUMENTATION_TITLE));
    let large = label(LARGE).or_else(|| title(LARGE));
    let model = result.model.as_deref().unwrap_or_default();
    let mut warnings = Vec::new();
    if let Some(word) = label(BACKEND).filter(|_| result.agent == "claude") {
        warnings.push(format!("a {word} task went to claude, codex is usually the better choice"));
    }
    if let Some(word) = label(DOCUMENTATION).filter(|_| result.agent == "codex") {
        warnings.push(format!("a {word} task went to codex, claude is usually the better choice"));
    }
    if let Some(word) = documentation.filter(|_| large.is_none()) {
        if result.complexity == Complexity::Complex {
            warnings.push(format!("a task about {word} is rated complex"));
        } else if model.to_ascii_lowercase().contains("opus") {
            warnings.push(format!("a task about {word} goes to {model}, a dear model"));
        }
    }
    if let Some(word) = large.filter(|_| documentation.is_none() && result.complexity == Complexity::Simple) {
        warnings.push(format!("a task about {word} is rated simple"));
    }
    if result.profile.skills.is_empty() {
        warnings.push("the profile has no skills".to_owned());
    }
    warnings
}

/// Returns the first of `known` that `text` contains as a whole word.
fn word(text: &str, known: &'static [&'static str]) -> Option<&'static str> {
    let words: Vec<String> = text
        .chars()
        .take(2_000)
        .collect::<String>()
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .collect();
    known.iter().find(|candidate| words.iter().any(|word| word == *candidate)).copied()
}
