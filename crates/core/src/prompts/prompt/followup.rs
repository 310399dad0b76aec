//! Prompts that follow a run: what went wrong, and what to do now. Each is written for the same conversation or, as a
//! part of the whole work prompt, for a new one.

use super::data::{code_span, cut, cut_middle, fence};
use super::handover::handover;
use super::template::Values;
use super::templates::{TemplateName, Templates};
use super::work::{WorkContext, work_prompt_after};
use crate::base::ids::TaskId;
use crate::tasks::conflict::Conflict;
use crate::tasks::message::MAX_MESSAGE;
use crate::tasks::outcome::{FailureClass, Side};
use crate::tasks::task::Feedback;

/// Limits in characters.
const MAX_OUTPUT: usize = 16_000;
const MAX_NOTES: usize = 32_000;
const MAX_DETAIL: usize = 4_000;

/// Whether the agent remembers the work so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversation {
    /// The CLI resumes the conversation, and the prompt has only what is new.
    Same,
    /// The agent starts anew, and the prompt is the whole work prompt with what is new as a part of it.
    Fresh,
}

/// What the next run receives about the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again<'a> {
    /// The class of the failure.
    pub class: FailureClass,
    /// Its text, which is data: the command of a check with its ending and output, a reviewer's notes, open points, the
    /// files of a conflict, a reason.
    pub detail: &'a str,
    /// Of a conflict: what is at odds.
    pub conflict: Option<&'a Conflict>,
    /// Whether the agent still knows what it did.
    pub conversation: Conversation,
}

/// Returns the prompt of the run after a failure of `again.class`: one of the three below.
pub fn again_prompt(context: &WorkContext<'_>, again: &Again<'_>, templates: &Templates) -> String {
    match (again.class, again.class.side()) {
        (FailureClass::Conflict, _) => conflict_prompt(context, again, templates),
        (_, Side::Quality) => retry_prompt(context, again, templates),
        (_, Side::Provider | Side::Process) => interrupted_prompt(context, again, templates),
    }
}

/// Returns the prompt after work that was not accepted.
pub fn retry_prompt(context: &WorkContext<'_>, again: &Again<'_>, templates: &Templates) -> String {
    let own = [
        ("attempt", context.attempt.to_string()),
        ("max_attempts", context.max_attempts.to_string()),
        ("branch", code_span(context.branch)),
        ("problem", problem(again.class, again.detail)),
    ];
    follow_up(context, again, TemplateName::Retry, own.into(), templates)
}

/// Returns the prompt after a run that was cut off: killed, stalled, timed out, or without its provider.
pub fn interrupted_prompt(context: &WorkContext<'_>, again: &Again<'_>, templates: &Templates) -> String {
    let detail = format!("{}: {}", again.class, again.detail);
    let own = [
        ("worktree", code_span(context.worktree)),
        ("branch", code_span(context.branch)),
        ("detail", fence(&cut(&detail, MAX_DETAIL))),
    ];
    follow_up(context, again, TemplateName::Interrupted, own.into(), templates)
}

/// Returns the prompt of a run that continues where a shutdown of orch interrupted the last one. An agent that starts
/// anew also receives `before`, which the interrupted run received.
pub fn resumed_prompt(
    context: &WorkContext<'_>,
    before: Option<&Feedback>,
    conversation: Conversation,
    templates: &Templates,
) -> String {
    let mut detail =
        "orch was shut down while you worked, and interrupted you; nothing is wrong with your work".to_owned();
    if let Some(before) = before {
        detail.push_str(&format!(". Before that: {}: {}", before.class, before.detail));
        if let Some(conflict) = &before.conflict {
            detail.push_str(&format!("\n\n{}", conflict.sides));
        }
    }
    let again = Again { class: FailureClass::Killed, detail: &detail, conflict: None, conversation };
    interrupted_prompt(context, &again, templates)
}

/// Returns the prompt after a merge conflict: merge the current base into the branch. The only prompt that allows a
/// merge.
pub fn conflict_prompt(context: &WorkContext<'_>, again: &Again<'_>, templates: &Templates) -> String {
    // A conflict that an older orch stored has only its detail.
    let files = again.conflict.map_or_else(|| again.detail.to_owned(), Conflict::listed);
    let own = [
        ("branch", code_span(context.branch)),
        ("base_branch", code_span(context.base_branch)),
        ("base_commit", code_span(context.base_commit)),
        ("files", fence(&cut(&files, MAX_DETAIL))),
        ("sides", sides(again.conflict.map_or("", |conflict| &conflict.sides))),
    ];
    follow_up(context, again, TemplateName::Conflict, own.into(), templates)
}

/// Returns both sides of a conflict as data. Their number is fixed, because the text comes from a repository.
fn sides(text: &str) -> String {
    let text = if text.trim().is_empty() { "not known; `git diff` shows them once you merge" } else { text };
    fence(&cut_middle(text, MAX_OUTPUT))
}

/// Returns the request to repeat an unreadable answer, in the same conversation.
pub fn repair_prompt(reason: &str, answer_format: &str, templates: &Templates) -> String {
    let values =
        Values::from([("reason", fence(&cut(reason, MAX_DETAIL))), ("answer_format", answer_format.trim().to_owned())]);
    templates.render(TemplateName::Repair, &values)
}

/// Returns the person's messages, oldest first, for a conversation that continues. `answer_format` is empty where the
/// same prompt describes it already.
pub fn message_prompt(messages: &[&str], answer_format: &str, templates: &Templates) -> String {
    let said: Vec<String> = messages.iter().map(|text| fence(&cut(text, MAX_MESSAGE))).collect();
    let values = Values::from([("messages", said.join("\n\n")), ("answer_format", answer_format.trim().to_owned())]);
    templates.render(TemplateName::Message, &values)
}

/// Returns orch's question to an agent without activity.
pub fn nudge_prompt(task: TaskId, question: &str, templates: &Templates) -> String {
    let values = Values::from([("task_id", task.to_string()), ("question", question.to_owned())]);
    templates.render(TemplateName::Nudge, &values)
}

/// Appends the person's messages to a prompt.
pub fn with_messages(prompt: String, messages: &[&str], templates: &Templates) -> String {
    if messages.is_empty() {
        return prompt;
    }
    format!("{}\n\n{}", prompt.trim_end(), message_prompt(messages, "", templates))
}

fn follow_up(
    context: &WorkContext<'_>,
    again: &Again<'_>,
    name: TemplateName,
    mut values: Values,
    templates: &Templates,
) -> String {
    values.insert("task_id", context.task_id.to_string());
    match again.conversation {
        Conversation::Same => {
            values.insert("answer_format", context.answer_format.trim().to_owned());
            templates.render(name, &values)
        }
        Conversation::Fresh => {
            // The surrounding work prompt ends with the format.
            values.insert("answer_format", String::new());
            let (before, last) = (handover(context, templates), templates.render(name, &values));
            let gap = if before.is_empty() { "" } else { "\n\n" };
            work_prompt_after(context, format!("{}{gap}{last}", before.trim_end()), templates)
        }
    }
}

/// Describes the failure: what it is, its details as data, and what to do about it.
fn problem(class: FailureClass, detail: &str) -> String {
    let detail = detail.trim();
    let (what, data, then) = match class {
        FailureClass::ChecksFailed => (
            "A check failed when orch ran it on your commits:",
            cut_middle(detail, MAX_OUTPUT),
            "Find the cause and mend the code. Do not weaken, skip or delete a check or a test to make it pass. Run the \
             command yourself before you finish.",
        ),
        FailureClass::NoChange => (
            "You left no change:",
            cut(detail, MAX_DETAIL),
            "Make the change and commit it. If the task really needs none, say so with the status `needs_review` and \
             the reason.",
        ),
        FailureClass::Malformed => (
            "Your final answer could not be read:",
            cut(detail, MAX_DETAIL),
            "Look at what is there, finish what is missing, and end with an answer in the agreed form.",
        ),
        FailureClass::Incomplete => {
            ("The work is not finished. What is open:", cut(detail, MAX_NOTES), "Go on with what is open.")
        }
        FailureClass::Unacceptable => (
            "Your change holds what is not accepted:",
            cut(detail, MAX_NOTES),
            "Deal with every point. You may rewrite your own commits for that, and none below where the branch begins.",
        ),
        FailureClass::ReviewRejected => (
            "A reviewer read your commits and asks for changes:",
            cut(detail, MAX_NOTES),
            "Deal with every point: change the code, or say in the summary why the point does not hold.",
        ),
        FailureClass::ContextTooLong => (
            "The conversation grew longer than the model can hold:",
            cut(detail, MAX_DETAIL),
            "See what is already committed and go on from there. Read only the parts of files that you need, and keep \
             the output of commands small.",
        ),
        FailureClass::SandboxViolation => (
            "Something outside of your worktree was changed during your run:",
            cut(detail, MAX_DETAIL),
            "Work only inside the worktree. Do not try to repair what is outside; say in the summary what you did there.",
        ),
        FailureClass::Conflict
        | FailureClass::Auth
        | FailureClass::RateLimited
        | FailureClass::Overloaded
        | FailureClass::Network
        | FailureClass::ModelNotFound
        | FailureClass::Budget
        | FailureClass::AgentMissing
        | FailureClass::Timeout
        | FailureClass::Stalled
        | FailureClass::Killed
        | FailureClass::Crashed
        | FailureClass::Memory
        | FailureClass::SessionLost => (
            "The run ended before the work was done:",
            cut(&format!("{class}: {detail}"), MAX_DETAIL),
            "See what is already committed and go on from there.",
        ),
    };
    format!("{what}\n\n{}\n\n{then}", fence(&data))
}
