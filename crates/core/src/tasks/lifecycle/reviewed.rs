//! The review of work whose evidence is good. Only a reviewer's approval lets it pass: a failed review decides nothing.

use super::{Refused, ask, fail, refused, reviewed_run};
use crate::base::count;
use crate::base::ids::RunId;
use crate::tasks::outcome::{Failure, FailureClass, Side};
use crate::tasks::question::QuestionKind;
use crate::tasks::retry::Context;
use crate::tasks::review::{Decision, Review, Reviewers};
use crate::tasks::task::{Postponed, ReviewStage, State, Task};

/// Failed reviews of the same work after which a person is asked.
pub const MAX_FAILED_REVIEWS: usize = 6;

/// Passes good work to its reviewers.
pub(super) fn start_review(task: &mut Task, run: &RunId, reviewers: Reviewers) {
    forget_failures(task);
    match reviewers {
        Reviewers::Nobody => integrate(task, run),
        Reviewers::Person => ask_person(task),
        Reviewers::Agent => begin(task, run, false),
        Reviewers::AgentThenPerson => begin(task, run, true),
    }
}

fn begin(task: &mut Task, run: &RunId, then_person: bool) {
    let review = ReviewStage::Reviewing { review: None, then_person, waiting: None };
    task.state = State::InReview { run: run.clone(), review };
}

fn integrate(task: &mut Task, run: &RunId) {
    task.state = State::InReview { run: run.clone(), review: ReviewStage::Integrating { waiting: None, order: None } };
}

fn ask_person(task: &mut Task) {
    let id = task.id;
    let shown = task.evidence.as_ref().and_then(|evidence| evidence.accepted.clone()).unwrap_or_default();
    ask(task, QuestionKind::Ready, format!("the work waits for your review: {shown}; `orch task diff {id}` shows it"));
}

pub(super) fn on_asked(task: &mut Task, run: &RunId, review: &RunId) -> Result<(), Refused> {
    let ReviewStage::Reviewing { review: None, then_person, .. } = reviewed_run(task, run)? else {
        return Err(refused(task, "its work is not waiting for a review"));
    };
    task.runs += 1;
    let review = ReviewStage::Reviewing { review: Some(review.clone()), then_person, waiting: None };
    task.state = State::InReview { run: run.clone(), review };
    Ok(())
}

pub(super) fn on_postponed(task: &mut Task, run: &RunId, wait: &Postponed) -> Result<(), Refused> {
    let ReviewStage::Reviewing { then_person, .. } = reviewed_run(task, run)? else {
        return Err(refused(task, "its work is not waiting for a review"));
    };
    let review = ReviewStage::Reviewing { review: None, then_person, waiting: Some(wait.clone()) };
    task.state = State::InReview { run: run.clone(), review };
    Ok(())
}

pub(super) fn on_reviewed(task: &mut Task, run: &RunId, review: &Review, context: &Context<'_>) -> Result<(), Refused> {
    let ReviewStage::Reviewing { then_person, .. } = reviewed_run(task, run)? else {
        return Err(Refused::Stale { run: run.clone() });
    };
    let judged = task.evidence.as_ref().map(|evidence| evidence.head.clone());
    if judged.as_deref() != Some(review.commit.as_str()) {
        return Err(Refused::Stale { run: run.clone() });
    }
    if let Some(evidence) = &mut task.evidence {
        evidence.review = Some(review.clone());
    }
    forget_failures(task);
    match review.decision {
        Decision::Approve if then_person => ask_person(task),
        Decision::Approve => integrate(task, run),
        Decision::RequestChanges => {
            fail(task, &Failure::new(FailureClass::ReviewRejected, review.feedback()), context);
        }
    }
    Ok(())
}

/// `is_last`: no other reviewer can be asked for this work.
pub(super) fn on_failed(
    task: &mut Task,
    run: &RunId,
    agent: &str,
    failure: &Failure,
    is_last: bool,
) -> Result<(), Refused> {
    let ReviewStage::Reviewing { then_person, .. } = reviewed_run(task, run)? else {
        return Err(Refused::Stale { run: run.clone() });
    };
    task.failed_reviews.push(agent.to_owned());
    if failure.class.side() != Side::Provider {
        task.unread_reviews.push(agent.to_owned());
    }
    if is_last || task.failed_reviews.len() >= MAX_FAILED_REVIEWS {
        let question = format!(
            "the work could not be reviewed, {} in a row; the last time {agent} failed ({}): {}",
            count::plural(task.failed_reviews.len(), "time"),
            failure.class,
            failure.detail
        );
        ask(task, QuestionKind::Ready, question);
    } else {
        begin(task, run, then_person);
    }
    Ok(())
}

fn forget_failures(task: &mut Task) {
    task.failed_reviews.clear();
    task.unread_reviews.clear();
}

impl Task {
    /// Returns why the task's review was postponed, if it was.
    pub fn postponed_review(&self) -> Option<&Postponed> {
        let State::InReview { review: ReviewStage::Reviewing { waiting, .. }, .. } = &self.state else { return None };
        waiting.as_ref()
    }
}
