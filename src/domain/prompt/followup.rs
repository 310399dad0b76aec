//! Prompts that follow a run: what went wrong, and what to do now. Each is written for the same conversation or, as a
//! part of the whole work prompt, for a fresh one.

use super::data::{code_span, cut, cut_middle, fence, one_line};
use super::template::Values;
use super::templates::{TemplateName, Templates};
use super::work::{WorkContext, work_prompt_after};
use crate::domain::outcome::FailureClass;

/// Limits in characters.
const MAX_OUTPUT: usize = 16_000;
const MAX_NOTES: usize = 32_000;
const MAX_DETAIL: usize = 4_000;
/// The most failed checks, open points or files that are listed.
const MAX_CHECKS: usize = 4;
const MAX_LISTED: usize = 100;

/// Whether the agent remembers the work so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversation {
    /// It does: the CLI resumes the conversation, and the prompt is only what is new.
    Same,
    /// It does not: the prompt is the whole work prompt, with what is new as a part of it.
    Fresh,
}

/// A check that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    /// The command, as in `workflow.checks`.
    pub command: String,
    /// How it ended: `exit code 1`, `timed out after 600 s`.
    pub ending: String,
    /// What it printed.
    pub output: String,
}

/// Why a run's work was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryReason {
    /// Commands of `workflow.checks` failed.
    ChecksFailed(Vec<FailedCheck>),
    /// No commit and no changed file.
    NoChange,
    /// The answer could not be read, even after the request to repair it.
    Malformed {
        /// What was wrong with it.
        reason: String,
    },
    /// The agent itself says that it is not finished.
    Incomplete {
        /// What it said.
        detail: String,
        /// Its open points.
        remaining: Vec<String>,
    },
    /// The reviewer asks for changes.
    ReviewRejected {
        /// The reviewer's words.
        notes: String,
    },
    /// Something outside of the worktree was changed.
    OutsideWorktree {
        /// What.
        detail: String,
    },
    /// The run ended before its work was done: time, silence, memory, a crash, a full context.
    Ended {
        /// The kind of failure.
        class: FailureClass,
        /// What is known.
        detail: String,
    },
}

/// The base branch moved on and does not merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The commit of the base branch to merge with.
    pub base_commit: String,
    /// Files in conflict.
    pub files: Vec<String>,
}

/// The prompt of another attempt after work that was not accepted.
pub fn retry_prompt(
    context: &WorkContext<'_>,
    reason: &RetryReason,
    conversation: Conversation,
    templates: &Templates,
) -> String {
    let own = [
        ("attempt", context.attempt.to_string()),
        ("max_attempts", context.max_attempts.to_string()),
        ("branch", code_span(context.branch)),
        ("problem", problem(reason)),
    ];
    follow_up(context, TemplateName::Retry, own.into(), conversation, templates)
}

/// The prompt after a process was killed; `detail` says what is known of it.
pub fn interrupted_prompt(
    context: &WorkContext<'_>,
    detail: &str,
    conversation: Conversation,
    templates: &Templates,
) -> String {
    let own = [
        ("worktree", code_span(context.worktree)),
        ("branch", code_span(context.branch)),
        ("detail", fence(&cut(detail, MAX_DETAIL))),
    ];
    follow_up(context, TemplateName::Interrupted, own.into(), conversation, templates)
}

/// The prompt after a merge conflict: merge the new base into the branch. The one prompt that allows a merge.
pub fn conflict_prompt(
    context: &WorkContext<'_>,
    conflict: &Conflict,
    conversation: Conversation,
    templates: &Templates,
) -> String {
    let own = [
        ("branch", code_span(context.branch)),
        ("base_branch", code_span(context.base_branch)),
        ("base_commit", code_span(&conflict.base_commit)),
        ("files", fence(&listed(&conflict.files))),
    ];
    follow_up(context, TemplateName::Conflict, own.into(), conversation, templates)
}

/// The request, in the same conversation, to say an unreadable answer again.
pub fn repair_prompt(reason: &str, answer_format: &str, templates: &Templates) -> String {
    let values = Values::from([
        ("reason", fence(&cut(reason, MAX_DETAIL))),
        ("answer_format", answer_format.trim().to_owned()),
    ]);
    templates.render(TemplateName::Repair, &values)
}

fn follow_up(
    context: &WorkContext<'_>,
    name: TemplateName,
    mut values: Values,
    conversation: Conversation,
    templates: &Templates,
) -> String {
    values.insert("task_id", context.task_id.to_string());
    match conversation {
        Conversation::Same => {
            values.insert("answer_format", context.answer_format.trim().to_owned());
            templates.render(name, &values)
        }
        Conversation::Fresh => {
            // The work prompt around it ends with the format.
            values.insert("answer_format", String::new());
            work_prompt_after(context, templates.render(name, &values), templates)
        }
    }
}

fn problem(reason: &RetryReason) -> String {
    match reason {
        RetryReason::ChecksFailed(checks) => failed_checks(checks),
        RetryReason::NoChange => "You left no commit and no changed file. If the task really needs no change, say so \
             with the status `needs_review` and the reason; otherwise make the change and commit it."
            .to_owned(),
        RetryReason::Malformed { reason } => format!(
            "Your final answer could not be read, so the work could not be accepted:\n\n{}\n\nLook at what is there, \
             finish what is missing, and end with an answer in the format.",
            fence(&cut(reason, MAX_DETAIL))
        ),
        RetryReason::Incomplete { detail, remaining } => incomplete(detail, remaining),
        RetryReason::ReviewRejected { notes } => format!(
            "A reviewer read your commits and asks for changes:\n\n{}\n\nDeal with every point: change the code, or say \
             in the summary why the point does not hold.",
            fence(&cut(notes, MAX_NOTES))
        ),
        RetryReason::OutsideWorktree { detail } => format!(
            "Something outside of your worktree was changed during your run:\n\n{}\n\nWork only inside the worktree. \
             Do not try to repair what is outside; say in the summary what you did there.",
            fence(&cut(detail, MAX_DETAIL))
        ),
        RetryReason::Ended { class, detail } => format!(
            "The run ended before the work was done ({class}):\n\n{}\n\nLook at what is already committed and go on \
             from there. Keep commands short and their output small.",
            fence(&cut(detail, MAX_DETAIL))
        ),
    }
}

fn failed_checks(checks: &[FailedCheck]) -> String {
    let block = |check: &FailedCheck| {
        let output = fence(&cut_middle(check.output.trim_end(), MAX_OUTPUT));
        format!("{} ended with {}:\n\n{output}", code_span(&check.command), one_line(&check.ending, 200))
    };
    let mut blocks = vec!["These checks failed when orch ran them on your commits:".to_owned()];
    blocks.extend(checks.iter().take(MAX_CHECKS).map(block));
    if checks.len() > MAX_CHECKS {
        blocks.push(format!("{} more checks failed.", checks.len() - MAX_CHECKS));
    }
    blocks.push(
        "Find the cause and mend the code. Do not weaken, skip or delete a check or a test to make it pass. Run the \
         commands yourself before you finish."
            .to_owned(),
    );
    blocks.join("\n\n")
}

fn incomplete(detail: &str, remaining: &[String]) -> String {
    let mut said = vec![cut(detail, MAX_DETAIL)];
    if !remaining.is_empty() {
        said.push(format!("Open points:\n{}", listed(remaining)));
    }
    format!(
        "The work is not finished. What was said of it:\n\n{}\n\nGo on with what is open.",
        fence(&said.join("\n\n"))
    )
}

fn listed(entries: &[String]) -> String {
    let mut lines: Vec<String> =
        entries.iter().take(MAX_LISTED).map(|entry| format!("- {}", one_line(entry, 300))).collect();
    if entries.len() > MAX_LISTED {
        lines.push(format!("- … and {} more", entries.len() - MAX_LISTED));
    }
    lines.join("\n")
}
