//! What an agent that starts anew receives about the task's earlier runs.

use super::data::{code_span, cut_middle, fence, one_line};
use super::template::Values;
use super::templates::{TemplateName, Templates};
use super::work::WorkContext;

/// Limits in characters: of one line of the history, and of the whole text.
const MAX_LINE: usize = 400;
const MAX_TRIED: usize = 12_000;

/// An earlier run of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The agent as `agent` or `agent/model`.
    pub by: String,
    /// What happened in the run, as the history has it, oldest first.
    pub outcomes: Vec<String>,
}

/// Describes the earlier runs; empty where there are none.
pub(super) fn handover(context: &WorkContext<'_>, templates: &Templates) -> String {
    if context.tried.is_empty() {
        return String::new();
    }
    let runs = context.tried.iter().enumerate().map(|(at, run)| {
        let text = run.outcomes.iter().map(|text| format!("\n   - {}", one_line(text, MAX_LINE)));
        format!("{}. {}:{}", at + 1, one_line(&run.by, MAX_LINE), text.collect::<String>())
    });
    let tried = runs.collect::<Vec<_>>().join("\n");
    let values = Values::from([
        ("task_id", context.task_id.to_string()),
        ("tried", fence(&cut_middle(&tried, MAX_TRIED))),
        ("branch", code_span(context.branch)),
        ("base_branch", code_span(context.base_branch)),
    ]);
    templates.render(TemplateName::Handover, &values)
}
