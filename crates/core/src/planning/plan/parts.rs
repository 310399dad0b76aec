//! Makes a task wait for its subtasks: it starts when all are over, and asks a person where a required one failed.

use super::{Action, BlockedOn, Planner, blocked_hold};
use crate::base::ids::TaskId;
use crate::tasks::task::{State, Status, Task};
use std::collections::BTreeSet;

impl Planner<'_> {
    /// Whether the subtask is not over yet.
    pub(super) fn is_open(&self, part: TaskId) -> bool {
        self.snapshot.status(part).is_some_and(|status| !status.is_final())
    }

    /// Returns the first failed subtask: one that failed and asks a person, or one that was delegated by an agent and
    /// cancelled by a person.
    pub(super) fn failed(&self, task: &Task, parts: &[TaskId]) -> Option<TaskId> {
        let is_lost = |part: &&TaskId| {
            let status = self.snapshot.status(**part);
            let has_failed = || self.snapshot.tasks.get(part).is_some_and(|part| part.last_failure.is_some());
            (status == Some(Status::Cancelled) && task.delegated().contains(part))
                || (status == Some(Status::NeedsReview) && has_failed())
        };
        parts.iter().find(is_lost).copied()
    }

    /// Lets a task that asked about a subtask wait again once the subtask continues.
    pub(super) fn plan_asking(&mut self, task: &Task) {
        let awaited = task.awaited();
        let open: Vec<TaskId> = awaited.iter().filter(|part| self.is_open(**part)).copied().collect();
        if !open.is_empty() && self.failed(task, awaited).is_none() {
            self.block(task.id, open);
        }
    }

    /// Blocks the tasks that could start but have open subtasks.
    pub(super) fn wait_for_subtasks(&mut self) {
        let snapshot = self.snapshot;
        let waits = |task: &Task| matches!(&task.state, State::New { routing: None, .. } | State::Routed { .. });
        let is_blocked = |action: &Action| if let Action::Block(id, _) = action { Some(*id) } else { None };
        let blocked: BTreeSet<TaskId> = self.plan.actions.iter().filter_map(is_blocked).collect();
        let parents = self
            .parts
            .iter()
            .filter(|(id, _)| !blocked.contains(id) && snapshot.tasks.get(id).is_some_and(|task| waits(task)));
        let parents: Vec<(TaskId, Vec<TaskId>)> = parents.map(|(id, parts)| (*id, parts.clone())).collect();
        if parents.is_empty() {
            return;
        }
        let ids: BTreeSet<TaskId> = parents.iter().map(|(id, _)| *id).collect();
        self.plan.actions.retain(|action| !matches!(action, Action::Route(id) if ids.contains(id)));
        self.plan.holds.retain(|(id, _)| !ids.contains(id));
        self.runnable.retain(|(.., task)| !ids.contains(&task.id));
        for (id, parts) in parents {
            self.block(id, parts);
        }
    }

    fn block(&mut self, id: TaskId, parts: Vec<TaskId>) {
        let on = BlockedOn::Children { tasks: parts };
        self.hold(id, blocked_hold(&on));
        self.plan.actions.push(Action::Block(id, on));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PlanInputs, routed, running, task};
    use super::*;
    use crate::planning::plan::Plan;
    use crate::tasks::hold::HoldReason;
    use crate::tasks::outcome::{Failure, FailureClass};
    use crate::tasks::question::QuestionKind;
    use crate::tasks::task::Parts;

    fn part(of: u64, task: Task) -> Task {
        let mut task = task;
        task.spec.parent = Some(TaskId(of));
        task
    }

    /// Task 1, which waits for these parts that it has handed on.
    fn parent(parts: &[u64]) -> Task {
        let parts: Vec<TaskId> = parts.iter().copied().map(TaskId).collect();
        let state = State::Blocked(BlockedOn::Children { tasks: parts.clone() });
        Task { state, parts: Some(Box::new(Parts { delegated: parts.clone(), awaited: parts })), ..routed(1) }
    }

    fn asks(id: u64) -> Task {
        let state = State::NeedsReview {
            kind: QuestionKind::Question,
            question: "what now?".into(),
            choices: vec!["orch task retry".into()],
        };
        Task { state, ..task(id) }
    }

    fn failed(id: u64) -> Task {
        Task { last_failure: Some(Box::new(Failure::new(FailureClass::ChecksFailed, "red"))), ..asks(id) }
    }

    fn block(plan: &Plan, id: u64) -> Option<Vec<u64>> {
        plan.actions.iter().find_map(|action| {
            let Action::Block(TaskId(of), BlockedOn::Children { tasks }) = action else { return None };
            (*of == id).then(|| tasks.iter().map(|task| task.0).collect())
        })
    }

    #[test]
    fn a_task_does_not_begin_before_its_open_parts_are_over() {
        for whole in [task(1), routed(1)] {
            let plan = PlanInputs::with_tasks([whole, part(1, running(2)), part(1, routed(3))]).plan(4);
            assert_eq!(block(&plan, 1), Some(vec![2, 3]));
            assert_eq!(plan.hold(TaskId(1)).map(|hold| hold.reason), Some(HoldReason::Children));
            let begins = |action: &Action| matches!(action, Action::Route(id) | Action::Launch(id) if id.0 == 1);
            assert!(!plan.actions.iter().any(begins), "{plan:?}");
        }
        let over = Task { state: State::Done, ..task(2) };
        let plan = PlanInputs::with_tasks([routed(1), part(1, over)]).plan(4);
        assert!(plan.actions.contains(&Action::Launch(TaskId(1))), "{plan:?}");
    }

    #[test]
    fn a_part_that_came_to_nothing_asks_at_the_whole_and_one_that_only_asks_does_not() {
        let given_up = Task { state: State::Cancelled { reason: "no".into() }, ..task(2) };
        for lost in [failed(2), given_up] {
            let plan = PlanInputs::with_tasks([parent(&[2, 3]), part(1, lost), part(1, running(3))]).plan(4);
            assert_eq!(plan.actions, [Action::AskAboutSubtask(TaskId(1), TaskId(2))]);
        }
        let plan = PlanInputs::with_tasks([parent(&[2]), part(1, asks(2))]).plan(4);
        assert_eq!(plan.actions, []);
    }

    #[test]
    fn a_task_that_asked_about_a_part_waits_again_when_the_part_is_taken_up() {
        let asking = || Task { state: asks(1).state, ..parent(&[2]) };
        let plan = PlanInputs::with_tasks([asking(), part(1, running(2))]).plan(4);
        assert_eq!(block(&plan, 1), Some(vec![2]));
        assert_eq!(PlanInputs::with_tasks([asking(), part(1, failed(2))]).plan(4).actions, []);
        let over = Task { state: State::Done, ..task(2) };
        assert_eq!(
            PlanInputs::with_tasks([asking(), part(1, over)]).plan(4).actions,
            [],
            "the person's word is awaited"
        );
    }

    #[test]
    fn when_all_parts_are_over_the_whole_goes_on() {
        let over = |id| Task { state: State::Done, ..task(id) };
        let plan = PlanInputs::with_tasks([parent(&[2, 3]), part(1, over(2)), part(1, over(3))]).plan(4);
        assert_eq!(plan.actions, [Action::Unblock(TaskId(1))]);
    }
}
