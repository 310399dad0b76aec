//! A person's word on the work of a task: bound to what they saw, and brought into the task's state.

use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::{EngineError, unreadable};
use crate::job::Job;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, ReplySlot, answer};
use crate::verify::difference::{Difference, Moved};
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Once;
use orch_core::tasks::answer::AnswerStatus;
use orch_core::tasks::event::Event;
use orch_core::tasks::lifecycle::step;
use orch_core::tasks::outcome::{Failure, FailureClass, Outcome};
use orch_core::tasks::retry::{Bounds, Context};
use orch_core::tasks::review_decision::{BranchSnapshot, DecisionError, ReviewDecision};
use orch_core::tasks::task::{Phase, Status, Task};
use std::sync::Arc;

/// The longest reason, in characters.
const MAX_REASON: usize = 20_000;

impl Engine {
    /// Brings a person's word on the work of a task into its state.
    pub(crate) fn rule(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        ruling: ReviewDecision,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<Arc<Task>, EngineError> {
        if let ReviewDecision::Reject { reason } = &ruling {
            check_reason(reason, id)?;
        }
        let run = self.judged_run(id)?;
        let event = Event::Ruled { run, ruling, by };
        let task =
            self.apply(change_set, id, &event, now).map_err(|source| EngineError::Refused { task: id, source })?;
        if let Event::Ruled { ruling: ReviewDecision::Reject { reason }, .. } = event {
            self.rejected(change_set, id, reason);
        }
        Ok(task)
    }

    /// Returns whether a decision fits the task's state.
    fn rehearse(&mut self, id: TaskId, ruling: ReviewDecision, now: Timestamp) -> Result<Arc<Task>, EngineError> {
        let task = self.task(id)?;
        let bounds = Bounds { max_attempts: u32::MAX, max_review_rounds: u32::MAX, ..Bounds::default() };
        let context = Context {
            now,
            bounds: &bounds,
            alternatives: &[],
            candidates: &[],
            routed: &[],
            model_for: &|_, _| None,
            is_cooling: &|_, _| false,
            is_prepaid: &|_, _| false,
            cooling_until: &|_, _| None,
            policy: &|_| None,
        };
        let event = Event::Ruled { run: self.judged_run(id)?, ruling, by: None };
        let fits = step(&task, &event, &context);
        fits.map(|_| task).map_err(|source| EngineError::Refused { task: id, source })
    }

    /// Returns the run whose work is decided about.
    fn judged_run(&mut self, id: TaskId) -> Result<RunId, EngineError> {
        let task = self.task(id)?;
        let last = self.state.last_work_run(id).map_err(unreadable)?;
        Ok(last.map_or_else(|| RunId::new(id, task.runs.max(1), self.deps.random()), |run| run.id))
    }

    /// The record of the run whose work a person sent back says so: it is no success of its agent. One that asked has
    /// been answered, and failed at nothing.
    fn rejected(&mut self, change_set: &mut ChangeSet, id: TaskId, reason: String) {
        let Some(mut run) = self.last_run(id) else { return };
        let is_done = matches!(&run.outcome, Some(Outcome::Finished { answer }) if answer.status == AnswerStatus::Done);
        if is_done && run.phase == Phase::Ended {
            run.outcome = Some(Outcome::Failed(Failure::new(FailureClass::ReviewRejected, reason)));
            change_set.put_run(&mut self.state, run);
        }
    }

    pub(crate) fn compare(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        with_patch: bool,
        reply: Reply<Difference>,
    ) {
        match self.task(id) {
            Ok(task) => {
                let run = RunId::new(task.id, 0, self.deps.random());
                self.jobs.order(Job::Compare { task, run, with_patch, reply: ReplySlot::new(reply) });
            }
            Err(error) => answer(change_set, reply, Err(error)),
        }
    }
}

fn check_reason(reason: &str, id: TaskId) -> Result<(), EngineError> {
    let invalid = |message: String| {
        let hint = Some(format!("orch task reject {id} -m \"what is to be different\""));
        Err(EngineError::Invalid { message, hint })
    };
    if reason.trim().is_empty() {
        return invalid("the author needs a reason".to_owned());
    }
    if reason.chars().count() > MAX_REASON {
        return invalid(format!("the reason is longer than {MAX_REASON} characters"));
    }
    Ok(())
}

/// Which word is about the branch as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is accepted.
    Approve,
    /// It is to be merged now.
    Merge,
}

impl EngineHandle {
    /// Returns what the person who asks is called, where that is known.
    pub(crate) fn person_asking(&self) -> Option<String> {
        if let Actor::Person { through } = self.actor() { through.clone() } else { None }
    }

    /// Accepts the work of a task as it is. The word holds for the tip of its branch, which must be `wanted` where the
    /// person has named what they saw.
    pub async fn accept(
        &self,
        id: TaskId,
        acceptance: Acceptance,
        wanted: Option<&str>,
        once: Option<Once>,
    ) -> Result<(), EngineError> {
        if self.was_carried_out(once.as_ref()).await? {
            return Ok(());
        }
        let ruling = |acceptance, commit| match acceptance {
            Acceptance::Approve => ReviewDecision::Approve { commit },
            Acceptance::Merge => ReviewDecision::Merge { commit },
        };
        let rehearsed = ruling(acceptance, String::new());
        let task = self.change(move |engine, _, now| engine.rehearse(id, rehearsed, now)).await?;
        if task.status() == Status::Done && task.is_merged() {
            return Ok(());
        }
        // What the base has already needs no more than the person's word.
        let acceptance = if task.is_merged() { Acceptance::Approve } else { acceptance };
        let seen = self.compare(id, false).await?;
        let (branch, base, head) = (&*seen.branch, &*seen.base_branch, &*seen.head);
        // Of what is merged, the merge is what the word is about.
        let judged = if task.is_merged() { Some(head) } else { task.judged_commit() };
        // A branch that is merged already had commits of its own all the same.
        let commits = seen.commits.max(task.evidence.as_ref().map_or(0, |evidence| evidence.commits.len()));
        let bound = BranchSnapshot { branch, base, head, commits, judged, expected: wanted }.decided_commit();
        let commit = bound.map_err(|error| not_bound(id, &error, seen.moved.as_ref()))?;
        self.rule(id, ruling(acceptance, commit), once).await
    }

    /// Sends the work of a task back to its author. The word holds for the tip of its branch, which must be `wanted`
    /// where the person has named what they saw.
    pub async fn reject(
        &self,
        id: TaskId,
        reason: String,
        wanted: Option<&str>,
        once: Option<Once>,
    ) -> Result<(), EngineError> {
        if self.was_carried_out(once.as_ref()).await? {
            return Ok(());
        }
        if let Some(wanted) = wanted {
            let Difference { branch, head, .. } = self.compare(id, false).await?;
            if !head.starts_with(wanted) {
                let error = DecisionError::Moved { branch, head, expected: wanted.to_owned() };
                return Err(not_bound(id, &error, None));
            }
        }
        self.rule(id, ReviewDecision::Reject { reason }, once).await
    }
}

/// `moved`: how the branch differs from what was judged.
fn not_bound(id: TaskId, error: &DecisionError, moved: Option<&Moved>) -> EngineError {
    let difference = moved.map(|moved| format!("; {}", moved.describe())).unwrap_or_default();
    let message = format!("task {id}: {error}{difference}");
    match error {
        DecisionError::NoCommit(_) => {
            EngineError::Invalid { message, hint: Some(format!("orch task diff {id} tells it")) }
        }
        DecisionError::Moved { .. } => {
            EngineError::InTheWay { message, hint: format!("look at it again: orch task diff {id}") }
        }
        DecisionError::MovedSinceJudged { .. } => {
            let hint = format!(
                "orch task diff {id} shows it; orch task reject {id} -m \"…\" has its author go on from there, and orch \
                 judges the result"
            );
            EngineError::InTheWay { message, hint }
        }
        DecisionError::NotJudged { head, .. } => {
            let hint =
                format!("orch task diff {id} shows it; orch task approve {id} --commit {head} accepts just that");
            EngineError::InTheWay { message, hint }
        }
        DecisionError::NoCommits { .. } => EngineError::InTheWay {
            message,
            hint: format!("orch task reject {id} -m \"…\", or orch task retry {id}"),
        },
    }
}
