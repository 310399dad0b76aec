//! The routing question.

use super::data::fence;
use super::template::Values;
use super::templates::{TemplateName, Templates};
use super::work::task_block;
use crate::prompts::router::{Routing, agent_line, complexity_guide, format_text};
use crate::prompts::skills::Catalogue;

/// Limits in characters: a routing question is asked of a small model.
const MAX_TITLE: usize = 1_000;
const MAX_BODY: usize = 8_000;
/// The most skills in the question.
const MAX_SKILLS: usize = 100;

/// Returns the question for the router's LLM: agents, skills, the task, and the answer's format. The agents are
/// [`Routing::candidates`].
pub fn route_prompt(routing: &Routing<'_>, skills: &Catalogue, templates: &Templates) -> String {
    let input = routing.input;
    let agents = routing.candidates().unwrap_or_default();
    let line = |name: &String| agent_line(name, routing.settings.descriptions.get(name));
    let schema = routing.schema(skills);
    let values = Values::from([
        ("task_id", input.task_id.to_string()),
        ("agents", agents.iter().map(line).collect::<Vec<_>>().join("\n")),
        ("record", routing.settings.proven.clone().unwrap_or_default()),
        ("skills", catalogue(skills)),
        ("complexity_guide", complexity_guide()),
        ("task", task_block(input.task_id, [&input.title, &input.body], &input.labels, [MAX_TITLE, MAX_BODY])),
        ("answer_format", format_text(&schema)),
    ]);
    templates.render(TemplateName::Route, &values)
}

/// Lists names and descriptions of skills. They are data, because a repository may have written them.
fn catalogue(skills: &Catalogue) -> String {
    let lines: Vec<String> =
        skills.iter().take(MAX_SKILLS).map(|skill| format!("{}: {}", skill.name, skill.description)).collect();
    if lines.is_empty() { String::new() } else { fence(&lines.join("\n")) }
}
