//! The order, the capacity, and the budget of a batch.

use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::planning::plan::tests::{PlanInputs, any_task, reason, routed, running};
use crate::planning::plan::{Action, Capacity, Plan, describe_end};
use crate::tasks::hold::HoldReason;
use crate::tasks::task::Task;
use proptest::prelude::*;

fn launched(plan: &Plan) -> Vec<u64> {
    let launch = |action: &Action| if let Action::Launch(id) = action { Some(id.0) } else { None };
    plan.actions.iter().filter_map(launch).collect()
}

fn in_dir(id: u64, dir: &str) -> Task {
    let mut task = routed(id);
    task.spec.dir = Some(dir.into());
    task
}

#[test]
fn a_batch_runs_as_many_at_a_time_as_it_may_and_the_others_run_beside_it() {
    let mut inputs = PlanInputs::with_tasks([routed(1), routed(2), routed(3), running(4), routed(5)]);
    inputs.batch(1, &[3, 4, 1, 2], |batch| batch.concurrency = 2);
    let plan = inputs.plan(9);
    assert_eq!(launched(&plan), [3, 5], "the first of the batch's order, and who is in none");
    assert_eq!((reason(&plan, 1), reason(&plan, 2)), (Some(HoldReason::BatchSlots), Some(HoldReason::BatchSlots)));
    let text = inputs.describe(plan.hold(TaskId(1)).expect("it waits"), 1, &Capacity::with_slots(9));
    assert_eq!(text.detail, "1 of 2 slots of batch night-1 are busy (task 4)");
}

#[test]
fn within_a_batch_retries_come_first_then_the_order_of_the_names_whatever_the_priority() {
    let mut urgent = routed(1);
    urgent.spec.priority = 9;
    let mut again = routed(3);
    again.progress.attempts = 1;
    let mut inputs = PlanInputs::with_tasks([urgent, routed(2), again, routed(4)]);
    inputs.batch(1, &[4, 2, 3, 1], |batch| batch.concurrency = 4);
    assert_eq!(launched(&inputs.plan(9)), [3, 4, 2, 1]);
}

#[test]
fn the_places_of_a_batch_among_all_tasks_are_those_of_its_tasks() {
    let mut urgent = routed(5);
    urgent.spec.priority = 9;
    let mut inputs = PlanInputs::with_tasks([routed(1), routed(2), routed(3), urgent]);
    inputs.batch(1, &[3, 1], |_| {});
    assert_eq!(launched(&inputs.plan(9)), [5, 3, 2, 1]);
}

#[test]
fn each_repository_of_a_batch_gets_a_slot_before_another_gets_its_second() {
    let tasks = [in_dir(1, "/a"), in_dir(2, "/a"), in_dir(3, "/a"), in_dir(4, "/b"), in_dir(5, "/c")];
    let mut inputs = PlanInputs::with_tasks(tasks);
    inputs.batch(1, &[1, 2, 3, 4, 5], |batch| batch.concurrency = 3);
    assert_eq!(launched(&inputs.plan(9)), [1, 4, 5]);
    let busy = Task { spec: in_dir(1, "/a").spec, ..running(1) };
    inputs.tasks.insert(TaskId(1), std::sync::Arc::new(busy));
    assert_eq!(launched(&inputs.plan(9)), [4, 5], "what is busy already counts");
}

#[test]
fn a_batch_that_has_spent_its_budget_begins_nothing_more_but_what_a_person_asks_for() {
    let asked = Task { run_now: true, ..routed(2) };
    let mut inputs = PlanInputs::with_tasks([routed(1), asked, crate::planning::plan::tests::task(3), routed(4)]);
    inputs.batch(1, &[1, 2, 3], |batch| {
        batch.budget = Some(Usd::from_micros(100));
        batch.record_cost(TaskId(1), Usd::from_micros(99));
    });
    assert_eq!(launched(&inputs.plan(9)), [2, 1, 4]);
    inputs.batch(1, &[1, 2, 3], |batch| {
        batch.budget = Some(Usd::from_micros(100_000));
        batch.record_cost(TaskId(1), Usd::from_micros(100_000));
    });
    let plan = inputs.plan(9);
    assert_eq!(launched(&plan), [2, 4]);
    assert_eq!(reason(&plan, 3), Some(HoldReason::BatchBudget), "it is not even routed");
    let text = inputs.describe(plan.hold(TaskId(1)).expect("it waits"), 1, &Capacity::with_slots(9));
    assert!(text.detail.contains("batch night-1 has spent $0.10 of $0.10"), "{text:?}");
    let end = describe_end(&text, TaskId(1), Some("night-1"));
    assert!(end.contains("`orch batch set night-1 --budget USD` raises it"), "{end}");
}

proptest! {
    /// No plan makes more tasks of a batch busy than are allowed, except those that a person asked for.
    #[test]
    fn no_plan_makes_more_of_a_batch_busy_than_may_be(
        tasks in (1u64..14).prop_map(|n| (1..=n).map(any_task).collect::<Vec<_>>()).prop_flat_map(|t| t),
        concurrency in 1u32..4, slots in 1usize..9, split in 0u64..14,
    ) {
        let mut inputs = PlanInputs::with_tasks(tasks);
        let (one, other): (Vec<u64>, Vec<u64>) = inputs.tasks.keys().map(|id| id.0).partition(|id| *id <= split);
        inputs.batch(1, &one, |batch| batch.concurrency = concurrency);
        inputs.batch(2, &other, |batch| batch.concurrency = concurrency + 1);
        let plan = inputs.plan(slots);
        for batch in inputs.batches.values() {
            let busy = inputs.tasks.values().filter(|task| super::super::takes_slot(task) && batch.contains(task.id)).count();
            let begun = plan.actions.iter().filter_map(|action| if let Action::Launch(id) | Action::Review(id) = action { Some(*id) } else { None });
            let begun: Vec<_> = begun.filter(|id| batch.contains(*id)).collect();
            let by_itself = begun.iter().filter(|id| !inputs.tasks[id].run_now).count();
            prop_assert!(by_itself == 0 || busy + begun.len() <= batch.concurrency as usize + (begun.len() - by_itself));
        }
        // Each task is started or held exactly once, even where batches change the order.
        let mut launched = launched(&plan);
        let all = launched.len();
        launched.sort_unstable();
        launched.dedup();
        prop_assert_eq!(all, launched.len());
    }
}
