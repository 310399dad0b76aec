//! The prompt of a run that reviews the work of another one.

use super::data::{code_span, cut, cut_middle, fence, one_line};
use super::template::Values;
use super::templates::{TemplateName, Templates};
use super::work::task_block;
use crate::base::ids::TaskId;
use crate::tasks::evidence::Evidence;
use crate::tasks::review::ReviewAnswer;

/// Limits in characters. Their sum keeps a prompt below [`super::MAX_PROMPT`].
const MAX_TITLE: usize = 10_000;
const MAX_BODY: usize = 100_000;
const MAX_SUMMARY: usize = 8_000;
const MAX_DIFF: usize = 400_000;
const MAX_NAMES: usize = 40;
const MAX_LINE: usize = 300;

/// What a reviewer receives.
#[derive(Debug, Clone, Copy)]
pub struct ReviewContext<'a> {
    /// The task's id.
    pub task_id: TaskId,
    /// The task's title.
    pub title: &'a str,
    /// The task's body.
    pub body: &'a str,
    /// The task's labels.
    pub labels: &'a [String],
    /// The directory in which the commit is checked out.
    pub checkout: &'a str,
    /// The author's summary.
    pub summary: &'a str,
    /// The evidence that orch has.
    pub evidence: &'a Evidence,
    /// The change, without secrets.
    pub diff: &'a str,
    /// Files that are left out because the change would be too long.
    pub omitted: &'a [String],
}

/// Returns the prompt of a review.
pub fn review_prompt(context: &ReviewContext<'_>, templates: &Templates) -> String {
    let c = context;
    let omitted: Vec<String> = c.omitted.iter().take(MAX_NAMES).map(|name| code_span(name)).collect();
    let summary = c.summary.trim();
    let values = Values::from([
        ("task_id", c.task_id.to_string()),
        ("commit", code_span(&c.evidence.head)),
        ("checkout", code_span(c.checkout)),
        ("task", task_block(c.task_id, [c.title, c.body], c.labels, [MAX_TITLE, MAX_BODY])),
        ("evidence", fence(&seen(c.evidence))),
        ("summary", if summary.is_empty() { String::new() } else { fence(&cut(summary, MAX_SUMMARY)) }),
        ("omitted", omitted.join(", ")),
        ("diff", fence(&cut_middle(c.diff, MAX_DIFF))),
        ("answer_format", ReviewAnswer::prompt_text()),
    ]);
    templates.render(TemplateName::Review, &values)
}

/// Describes the evidence, one fact per line.
fn seen(evidence: &Evidence) -> String {
    let mut lines = vec![format!(
        "{} commit(s) after {}, +{} -{} lines in {} file(s)",
        evidence.commits.len(),
        evidence.base,
        evidence.insertions,
        evidence.deletions,
        evidence.files
    )];
    let checks = evidence.checks.iter();
    lines.extend(
        checks.map(|check| format!("check: {}: {}", one_line(&check.command, MAX_LINE), check.describe_result())),
    );
    if evidence.checks.is_empty() {
        lines.push("no check is configured".to_owned());
    }
    lines.extend(evidence.findings.iter().map(|finding| format!("seen: {}", one_line(&finding.to_string(), MAX_LINE))));
    lines.join("\n")
}
