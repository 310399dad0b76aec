//! Sentences of tasks, models and messages.

use super::{named, standing};
use crate::audit::history::{EditConflict, EditSource, FieldChange, MessageFact, ModelFact, PutBack, Stays, TaskFact};
use crate::planning::plan::FileOverlap;
use crate::tasks::cycle;
use crate::tasks::message::Via;
use crate::tasks::task::{BlockedOn, Status};

pub(super) fn task(fact: &TaskFact) -> String {
    match fact {
        TaskFact::Added { title, over: None } => title.clone(),
        TaskFact::Added { title, over: Some(status) } => {
            format!("{title} (it was written as {}: it is not run)", status.as_str())
        }
        TaskFact::Made { title, part_of: None } => title.clone(),
        TaskFact::Made { title, part_of: Some(whole) } => format!("{title}, handed on by task {whole}"),
        TaskFact::Edited { source: EditSource::Command, changes } => format!("by a command: {}", edits(changes)),
        TaskFact::Edited { source: EditSource::File, changes } => edits(changes),
        TaskFact::Removed => "taken out of tasks.yml by hand".to_owned(),
        TaskFact::Returned { stays } => returned(stays.as_ref()),
        TaskFact::PutBack { why: PutBack::OldCopy } => {
            "tasks.yml was saved from a copy that is older than this task; it is written there again (take it out once \
             more, or cancel it, if that was meant)"
                .to_owned()
        }
        TaskFact::PutBack { why: PutBack::Asked } => "a person wants it written into tasks.yml again".to_owned(),
        TaskFact::EditConflict(conflict) => conflicting(conflict),
        TaskFact::EditRefused { cycle } => circle(cycle),
        TaskFact::StatusRefused { status, reason: None } => {
            format!("status {} in tasks.yml comes from an old copy of the file", status.as_str())
        }
        TaskFact::StatusRefused { status, reason: Some(reason) } => {
            format!("status {} in tasks.yml is refused: {reason}", status.as_str())
        }
        TaskFact::Claimed { by, before } => format!("{by} has it{}", whose(before.as_deref())),
        TaskFact::Unclaimed { by, before } => format!("{by} lets go of it{}", whose(before.as_deref())),
        TaskFact::ConversationLeft => "a person wants a new one".to_owned(),
        TaskFact::Overlap { other, file } => FileOverlap { other: *other, file: file.clone() }.to_string(),
        TaskFact::CancelAsked { reason } => reason.clone(),
        TaskFact::RetryAsked { before, then } | TaskFact::UnblockAsked { before, then } => {
            format!("{} → {}", before.as_str(), standing(then))
        }
        TaskFact::GoesOn { before, then } => format!("{} → {}, with a message", before.as_str(), standing(then)),
        TaskFact::RunAsked { past_pause: false } => "a person wants it to run now".to_owned(),
        TaskFact::RunAsked { past_pause: true } => "a person wants it to run now, paused or not".to_owned(),
        TaskFact::InterruptAsked => "a person interrupts the agent".to_owned(),
        TaskFact::ShutdownAsked => "orch shuts down: the agent is interrupted".to_owned(),
        TaskFact::Blocked(on) => blocked(on),
        TaskFact::Unblocked => "what it waited for is there".to_owned(),
        TaskFact::WaitsForItself { cycle: _, then } => standing(then),
        TaskFact::JournalDoubt { question } => question.clone(),
    }
}

fn edits(changes: &[FieldChange]) -> String {
    let text = changes.iter().map(|FieldChange { field, before, after }| format!("{field}: {before} → {after}"));
    text.collect::<Vec<_>>().join("; ")
}

fn returned(stays: Option<&Stays>) -> String {
    let Some(Stays { task, written, status }) = stays else { return "it is in tasks.yml again".to_owned() };
    let (written, status) = (written.map_or("nothing", Status::as_str), status.as_str());
    format!(
        "its entry is in tasks.yml again and says {written}; it is {status} and stays so (`orch task retry {task}` does it again)"
    )
}

fn conflicting(conflict: &EditConflict) -> String {
    match conflict {
        EditConflict::Status { task, written, status } => {
            let (written, status) = (written.as_str(), status.as_str());
            format!(
                "status: tasks.yml says {written}, typed before it became {status}; {status} counts (`orch task retry {task}` does it again)"
            )
        }
        EditConflict::Field { field, file, command } => {
            format!("{field}: tasks.yml says {file}, a command said {command}; tasks.yml counts")
        }
        EditConflict::Echo { field, file, command } => format!(
            "{field}: tasks.yml says {file} as it did before; a command said {command} since, which is written there again (change it once more if {file} is meant)"
        ),
        EditConflict::Cycle { cycle } => format!("{} and written over", circle(cycle)),
    }
}

fn circle(cycle: &str) -> String {
    cycle::not_taken_over(cycle)
}

fn whose(before: Option<&str>) -> String {
    before.map(|other| format!(", which {other} had")).unwrap_or_default()
}

fn blocked(on: &BlockedOn) -> String {
    match on {
        BlockedOn::Dependencies { tasks } => format!("waits for {}", named(tasks)),
        BlockedOn::Children { tasks } => format!("waits for its parts {}", named(tasks)),
        BlockedOn::MissingDir { dir } => format!("waits for the directory {}", dir.display()),
    }
}

pub(super) fn model(fact: &ModelFact) -> String {
    match fact {
        ModelFact::Asked { model } => format!("the next run has {model}"),
        ModelFact::Resolved { asked, model, reason } => {
            format!("{asked} is {}: {reason}", model.as_deref().unwrap_or("the agent's own default"))
        }
        ModelFact::Set { of, model, by } => format!("{model} is set for {} by {by}", of.describe()),
        ModelFact::Reset { of, by } => format!("no model is set for {} any more: {by}", of.describe()),
        ModelFact::Kept { model, reason, short } => format!("{model} is kept, {reason}: {short}"),
        ModelFact::Degraded { model: _, choice, short } => format!("{choice}: {short}"),
    }
}

pub(super) fn message(fact: &MessageFact) -> String {
    match fact {
        MessageFact::Sent { text } => text.clone(),
        MessageFact::Refused { message, detail } => format!("message {message} was {detail}"),
        MessageFact::Delivered { message, via: Via::Live } => {
            format!("message {message} reached the agent while it works")
        }
        MessageFact::Delivered { message, via: Via::Prompt } => {
            format!("message {message} reached the agent with its prompt")
        }
    }
}
