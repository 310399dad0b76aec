//! Asks a person about one task of each dependency cycle, however the cycle arose.

use super::{Action, BlockedOn, Planner};
use crate::base::ids::TaskId;
use crate::tasks::cycle::cycles;
use crate::tasks::task::State;
use std::collections::BTreeSet;

impl Planner<'_> {
    /// Asks about cycles. Only a task that starts to wait, or waits for something else, can close one: the search
    /// starts there.
    pub(super) fn ask_about_cycles(&mut self) {
        let starts: BTreeSet<TaskId> = self.plan.actions.iter().filter_map(begins_to_wait).collect();
        if starts.is_empty() {
            return;
        }
        let mut asked: BTreeSet<TaskId> = BTreeSet::new();
        loop {
            let found =
                cycles(starts.iter().copied(), &|id| if asked.contains(&id) { vec![] } else { self.waits_for(id) });
            if found.is_empty() {
                break;
            }
            for cycle in found {
                let Some(id) = cycle.first().copied() else { continue };
                asked.insert(id);
                self.plan.actions.push(Action::Ask(id, cycle));
            }
        }
        self.plan.actions.retain(|action| !begins_to_wait(action).is_some_and(|id| asked.contains(&id)));
        self.plan.holds.retain(|(id, _)| !asked.contains(id));
    }

    /// Returns what a task waits for. A task that runs, asks a person, or is cancelled waits for none, whatever it
    /// depends on.
    fn waits_for(&self, id: TaskId) -> Vec<TaskId> {
        let Some(task) = self.snapshot.tasks.get(&id) else { return Vec::new() };
        if let State::Blocked(BlockedOn::Children { tasks }) = &task.state {
            return tasks.clone();
        }
        let may_wait = matches!(
            task.state,
            State::New { routing: None, .. } | State::Routed { .. } | State::Blocked(BlockedOn::Dependencies { .. })
        );
        match self.unmet(task).filter(|_| may_wait) {
            Some(BlockedOn::Dependencies { tasks } | BlockedOn::Children { tasks }) => tasks,
            Some(BlockedOn::MissingDir { .. }) => Vec::new(),
            None => self.parts.get(&id).filter(|_| may_wait).cloned().unwrap_or_default(),
        }
    }
}

fn begins_to_wait(action: &Action) -> Option<TaskId> {
    if let Action::Block(id, _) = action { Some(*id) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::super::tests::{PlanInputs, routed, running, task};
    use super::*;
    use crate::tasks::question::QuestionKind;
    use crate::tasks::task::Task;

    fn waiting(id: u64, on: &[u64]) -> Task {
        let mut task = task(id);
        task.spec.depends_on = on.iter().copied().map(TaskId).collect();
        task
    }

    fn blocked(id: u64, on: &[u64]) -> Task {
        let task = waiting(id, on);
        let tasks = task.spec.depends_on.clone();
        Task { state: State::Blocked(BlockedOn::Dependencies { tasks }), ..task }
    }

    fn asked(plan: &Plan) -> Vec<Vec<u64>> {
        let asks = plan
            .actions
            .iter()
            .filter_map(|action| if let Action::Ask(id, cycle) = action { Some((id, cycle)) } else { None });
        asks.map(|(id, cycle)| {
            assert_eq!((Some(id), plan.hold(*id)), (cycle.first(), None), "it asks, and nothing else");
            cycle.iter().map(|id| id.0).collect()
        })
        .collect()
    }

    #[test]
    fn of_tasks_that_wait_for_each_other_one_asks_a_person() {
        let plan =
            PlanInputs::with_tasks([waiting(2, &[4]), waiting(3, &[2]), waiting(4, &[3]), waiting(5, &[2])]).plan(4);
        assert_eq!(asked(&plan), [[2, 4, 3]]);
        let blocks = plan.actions.iter().filter_map(begins_to_wait).collect::<Vec<_>>();
        assert_eq!(blocks, [3, 4, 5].map(TaskId), "the others wait for it");
        let plan = PlanInputs::with_tasks([blocked(2, &[4]), blocked(3, &[2]), waiting(4, &[3])]).plan(4);
        assert_eq!(asked(&plan), [[4, 3, 2]], "the last one closed it");
        let plan =
            PlanInputs::with_tasks([waiting(1, &[1]), waiting(2, &[3]), waiting(3, &[2, 4]), waiting(4, &[3])]).plan(4);
        assert_eq!(asked(&plan), [vec![1], vec![2, 3], vec![3, 4]], "each circle, also where two meet");
    }

    #[test]
    fn whoever_runs_or_asks_a_person_closes_no_circle() {
        let mut under_way = running(2);
        under_way.spec.depends_on = vec![TaskId(3)];
        assert_eq!(asked(&PlanInputs::with_tasks([under_way, waiting(3, &[2])]).plan(4)), [[0; 0]; 0]);
        let question = State::NeedsReview {
            kind: QuestionKind::Question,
            question: "what now".into(),
            choices: vec!["orch task retry 2".into()],
        };
        let asks = Task { state: question, ..waiting(2, &[3]) };
        assert_eq!(asked(&PlanInputs::with_tasks([asks, waiting(3, &[2])]).plan(4)), [[0; 0]; 0]);
        let mut ready = routed(2);
        ready.spec.depends_on = vec![TaskId(3)];
        assert_eq!(asked(&PlanInputs::with_tasks([ready, blocked(3, &[2])]).plan(4)), [[2, 3]]);
    }
}
