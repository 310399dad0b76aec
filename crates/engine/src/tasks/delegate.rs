//! Work that agents delegate: it becomes tasks together with the verdict on the run, in one turn, so that they are made
//! once whatever dies in between.

use crate::engine::Engine;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::TaskFact;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::planning::plan::directory;
use orch_core::tasks::answer::Delegation;
use orch_core::tasks::delegation::{DelegationContext, spec_of};
use orch_core::tasks::event::Event;
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::judge::Verdict;
use orch_core::tasks::review::Reviewers;
use orch_core::tasks::task::{FileState, ReviewStage, State, Task};
use std::path::Path;
use std::sync::Arc;

impl Engine {
    /// Returns the limits within which an agent that works on `task` may delegate.
    pub(crate) fn delegation_context(&self, task: &Task) -> DelegationContext {
        let workflow = &self.settings.for_task(task, &self.state.projects).workflow;
        DelegationContext {
            ancestry: self.state.line_of(task),
            delegated: task.delegated().len(),
            done: task.delegated().iter().filter(|part| self.state.is_done(**part)).copied().collect(),
            max_delegations: workflow.max_delegations,
            max_depth: workflow.max_delegation_depth,
        }
    }

    /// Applies a verdict. Delegations become tasks; accepted work with open subtasks waits for them.
    pub(crate) fn on_judged(
        &mut self,
        change_set: &mut ChangeSet,
        run: &RunId,
        verdict: Verdict,
        evidence: Evidence,
        reviewers: Reviewers,
        now: Timestamp,
    ) {
        let Some(task) = run.task().and_then(|id| self.state.tasks.get(&id)).cloned() else { return };
        let is_judged = matches!(&task.state, State::InReview { run: of, review: ReviewStage::Judging } if of == run);
        let (mut made, mut open) = (Vec::new(), Vec::new());
        if is_judged && matches!(verdict, Verdict::Accept | Verdict::HandOn { .. }) {
            open = self.open_parts(task.id);
        }
        if let Verdict::HandOn { delegations } = &verdict
            && is_judged
        {
            made = self.make_parts(change_set, &task, delegations, now);
        }
        if made.is_empty() && open.is_empty() {
            return self.for_task_of(change_set, run, now, |run| Event::Judged { run, verdict, evidence, reviewers });
        }
        let awaited = open.into_iter().chain(made.iter().copied()).collect();
        self.for_task_of(change_set, run, now, |run| Event::HandedOn { run, evidence, made, awaited });
    }

    fn open_parts(&self, of: TaskId) -> Vec<TaskId> {
        let open = |task: &&Arc<Task>| task.spec.parent == Some(of) && !task.status().is_final();
        self.state.tasks.values().filter(open).map(|task| task.id).collect()
    }

    fn make_parts(
        &mut self,
        change_set: &mut ChangeSet,
        whole: &Task,
        pieces: &[Delegation],
        now: Timestamp,
    ) -> Vec<TaskId> {
        let dir = directory(whole, &self.state.project_dirs).ok().map(Path::to_owned);
        let mut made = Vec::new();
        for piece in pieces {
            let id = self.state.next_task_id();
            let spec = spec_of(piece, whole, dir.clone());
            let fact = TaskFact::Made { title: spec.title.clone(), part_of: Some(whole.id) };
            let base_branch = whole.place.as_ref().map(|place| place.base_branch.clone());
            change_set.put_task(&mut self.state, Task { base_branch, ..Task::new(id, spec, FileState::Pending, now) });
            change_set.note(&mut self.state, now, Some(id), None, fact);
            made.push(id);
        }
        self.join_batch(change_set, whole.id, &made);
        made
    }

    /// Has a task ask, because a subtask that it waits for failed.
    pub(crate) fn ask_about_part(&mut self, change_set: &mut ChangeSet, id: TaskId, part: TaskId, now: Timestamp) {
        let found = self.look_up(part);
        let is_given_up = found.as_ref().is_none_or(|part| part.status().is_final());
        let why = found.as_deref().and_then(|part| part.state.explanation()).unwrap_or("nothing more is known of it");
        let title = found.as_ref().map(|part| format!("\"{}\": ", part.spec.title)).unwrap_or_default();
        self.expect(change_set, id, &Event::PartFailed { part, why: format!("{title}{why}"), is_given_up }, now);
    }
}
