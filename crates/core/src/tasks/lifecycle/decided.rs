//! A person's decision on a task's work: approve, reject, merge, revert. An order that cannot be carried out is
//! reported to the person; no agent starts by itself.

use super::{Refused, ask_with, refused};
use crate::base::ids::RunId;
use crate::tasks::conflict::Conflict;
use crate::tasks::evidence::{IntegrateMode, Integration, IntegrationState};
use crate::tasks::outcome::{Failure, FailureClass};
use crate::tasks::question::{QuestionKind, choices};
use crate::tasks::review_decision::{ReviewDecision, short};
use crate::tasks::task::{Feedback, NextRun, Order, OrderKind, ReviewStage, State, Task};
use jiff::Timestamp;

pub(super) fn on_decided(task: &mut Task, run: &RunId, ruling: &ReviewDecision, now: Timestamp) -> Result<(), Refused> {
    match ruling {
        ReviewDecision::Approve { commit } => on_approved(task, run, commit, now),
        ReviewDecision::Merge { commit } => on_merge(task, run, commit, now),
        ReviewDecision::Revert => on_revert(task, run, now),
        ReviewDecision::Reject { reason } => on_rejected(task, reason),
    }
}

fn order(task: &mut Task, run: &RunId, kind: OrderKind, commit: &str, now: Timestamp) {
    let order = Some(Box::new(Order { kind, commit: commit.to_owned(), at: now }));
    task.state = State::InReview { run: run.clone(), review: ReviewStage::Integrating { waiting: None, order } };
}

fn refuse_without_work(task: &Task) -> Refused {
    refused(task, "no agent has worked on it yet; `orch task unblock` sends it on")
}

fn on_approved(task: &mut Task, run: &RunId, commit: &str, now: Timestamp) -> Result<(), Refused> {
    match &task.state {
        State::NeedsReview { .. } if task.route.is_none() => Err(refuse_without_work(task)),
        State::NeedsReview { .. } => {
            order(task, run, OrderKind::Approve, commit, now);
            Ok(())
        }
        State::Done => Err(refused(task, "it is accepted already; `orch task merge` merges a branch that was kept")),
        State::InReview { .. } => Err(refused(task, "its result is being checked; that ends by itself")),
        State::InProgress { .. } => Err(refused(task, "its agent is at work; wait, or `orch task interrupt` it")),
        State::New { .. } | State::Routed { .. } | State::Blocked(_) => Err(refused(task, "there is no result yet")),
        State::Cancelled { .. } => Err(refused(task, "it was given up; `orch task retry` takes it up again")),
    }
}

fn on_merge(task: &mut Task, run: &RunId, commit: &str, now: Timestamp) -> Result<(), Refused> {
    let was_merged = task.is_merged();
    match &task.state {
        State::Done if was_merged => Ok(()),
        State::NeedsReview { .. } if task.route.is_none() => Err(refuse_without_work(task)),
        State::Done | State::NeedsReview { .. } => {
            order(task, run, OrderKind::Merge, commit, now);
            Ok(())
        }
        State::InReview { run: current, review: ReviewStage::Integrating { .. } } => {
            let current = current.clone();
            order(task, &current, OrderKind::Merge, commit, now);
            Ok(())
        }
        State::InReview { review: ReviewStage::Judging | ReviewStage::Reviewing { .. }, .. } => {
            Err(refused(task, "its result is being judged; merge it when that is over"))
        }
        State::InProgress { .. } => Err(refused(task, "its agent is at work; wait, or `orch task interrupt` it")),
        State::New { .. } | State::Routed { .. } | State::Blocked(_) => Err(refused(task, "there is no result yet")),
        State::Cancelled { .. } => Err(refused(task, "it was given up; `orch task retry` takes it up again")),
    }
}

fn on_revert(task: &mut Task, run: &RunId, now: Timestamp) -> Result<(), Refused> {
    let merged = task.integration.as_ref().filter(|integration| integration.state == IntegrationState::Merged);
    let commit = merged.and_then(|integration| integration.commit.clone());
    if !matches!(task.state, State::Done | State::NeedsReview { .. }) {
        return Err(refused(task, "only what a finished task has merged is taken back"));
    }
    let Some(commit) = commit else {
        return Err(refused(task, "nothing of it was merged that could be taken back"));
    };
    order(task, run, OrderKind::Revert, &commit, now);
    Ok(())
}

/// Sends the work back to its author. It continues the last attempt, because the person is present.
fn on_rejected(task: &mut Task, reason: &str) -> Result<(), Refused> {
    match &task.state {
        State::NeedsReview { .. } if task.route.is_none() => Err(refuse_without_work(task)),
        State::NeedsReview { .. } => {
            let feedback = feedback(task, reason);
            task.progress.provider_failures = 0;
            task.progress.conflicts = 0;
            task.progress.conflict_base = None;
            task.progress.review_rounds = 0;
            let next = NextRun::Again { feedback, resume: task.conversation.is_some() };
            task.state = State::Routed { next, counts: false, not_before: None };
            Ok(())
        }
        State::Done => Err(refused(task, "it is accepted already; `orch task retry` does it again")),
        State::InReview { .. } => Err(refused(task, "its result is being checked; that ends by itself")),
        State::InProgress { .. } => Err(refused(task, "its agent is at work; `orch task send` tells it")),
        State::New { .. } | State::Routed { .. } | State::Blocked(_) => Err(refused(task, "there is no result yet")),
        State::Cancelled { .. } => Err(refused(task, "it was given up; `orch task retry` takes it up again")),
    }
}

/// Returns the feedback for the author. After a conflict it allows to merge the base, which no other prompt does.
fn feedback(task: &Task, reason: &str) -> Feedback {
    match task.last_failure.as_deref().filter(|failure| failure.class == FailureClass::Conflict) {
        Some(failure) => {
            let Conflict { files, sides } = failure.conflict.as_deref().cloned().unwrap_or_else(|| {
                // An older orch stored files and sides in one text.
                Conflict { files: Vec::new(), sides: failure.detail.clone() }
            });
            let sides = format!("The person says: {reason}\n\n{sides}").trim_end().to_owned();
            let conflict = Some(Box::new(Conflict { files, sides }));
            Feedback { class: FailureClass::Conflict, detail: failure.detail.clone(), conflict }
        }
        None => Feedback { class: FailureClass::ReviewRejected, detail: reason.to_owned(), conflict: None },
    }
}

/// Asks the person what to do after the merge was reverted.
pub(super) fn ask_after_revert(task: &mut Task, integration: &Integration) {
    let (id, commit) = (task.id, integration.commit.as_deref().map_or("a new commit", short));
    let question = format!("its merge was taken back by {commit}; what it did is on its branch still");
    let mut offered = choices(task.id, QuestionKind::Ready, task.has_judged_work());
    // The work was approved before, so a merge brings it back.
    let approve = format!("orch task approve {id}");
    offered
        .iter_mut()
        .filter(|choice| **choice == approve)
        .for_each(|choice| *choice = format!("orch task merge {id}"));
    ask_with(task, QuestionKind::Ready, question, offered);
}

/// Reports an order that cannot be carried out. No agent starts by itself: the person decides.
pub(super) fn ask_about_failed_order(task: &mut Task, kind: OrderKind, failure: &Failure) {
    let (id, what) = (task.id, describe(failure));
    task.last_failure = Some(Box::new(failure.clone()));
    let commands = |verbs: &[&str]| verbs.iter().map(|verb| format!("orch task {verb} {id}")).collect::<Vec<_>>();
    match kind {
        OrderKind::Revert => {
            let question = format!("it cannot be taken back as things are: {what}");
            ask_with(task, QuestionKind::Failed, question, commands(&["revert", "approve", "retry"]));
        }
        OrderKind::Approve | OrderKind::Merge => {
            let reject = format!("orch task reject {id} -m \"merge the base and mend it\"");
            let question = format!("it does not go into its base as it is: {what}");
            let offered = [reject].into_iter().chain(commands(&["diff", "merge", "cancel"])).collect();
            ask_with(task, QuestionKind::Failed, question, offered);
        }
    }
}

fn describe(failure: &Failure) -> String {
    if failure.class == FailureClass::Conflict {
        return format!("conflicts in {}", failure.detail);
    }
    failure.detail.clone()
}

/// Reports a base that fails its checks after the merge, whatever the cause; the person can revert at once.
pub(super) fn ask_about_red_base(task: &mut Task, integration: &Integration, failure: &Failure) {
    let id = task.id;
    let commit = integration.commit.as_deref().map_or("its merge", short);
    task.integration = Some(Box::new(integration.clone()));
    task.last_failure = Some(Box::new(failure.clone()));
    let question = match integration.mode {
        IntegrateMode::Merge => format!("the base fails its checks since {commit} was merged: {}", failure.detail),
        IntegrateMode::Branch => format!("the base fails its checks: {}", failure.detail),
    };
    let revert = format!("orch task revert {id}");
    let reject = format!("orch task reject {id} -m \"mend it\"");
    let choices = vec![revert, reject, format!("orch task approve {id}")];
    ask_with(task, QuestionKind::Failed, question, choices);
}
