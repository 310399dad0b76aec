//! Which tasks start when there is capacity for some.

use super::*;
use crate::planning::admission::Sample;
use crate::planning::breaker::{Change, Rule};
use crate::planning::plan::tests::{PlanInputs, any_task, now, reason, routed, running};
use crate::planning::plan::{Action, Plan};
use jiff::SignedDuration;
use proptest::prelude::*;

/// One failure stops starts, for a minute.
const RULE: Rule = Rule {
    failures: 1,
    window: SignedDuration::from_secs(600),
    cool_down: SignedDuration::from_secs(60),
    longest: SignedDuration::from_secs(60),
};

/// A task of this agent in this directory.
fn assigned(mut task: Task, agent: &str, dir: &str) -> Task {
    let route = routed(1).route.map(|mut route| {
        route.agent = agent.to_owned();
        route
    });
    task.route = route;
    task.spec.dir = Some(dir.into());
    task
}

pub(in crate::planning::plan) fn open(target: Target) -> Breaker {
    let (breaker, change) = Breaker::new(target).failed(TaskId(99), "boom", &RULE, now());
    assert_eq!(change, Some(Change::Opened));
    breaker
}

fn half_open(target: Target) -> Breaker {
    let later = now() + SignedDuration::from_secs(60);
    open(target).advance(&RULE, later).0.expect("it is kept")
}

fn strained(slots: usize, strain: Strain) -> Capacity {
    let sample = Sample { load: Some(0.9), available: Some(0.05), pressure: None };
    Capacity { pace: Pace { slots, strain: Some(strain), sample }, ..Capacity::with_slots(4) }
}

fn launched(plan: &Plan) -> Vec<u64> {
    let begun =
        plan.actions.iter().filter_map(|action| if let Action::Launch(id) = action { Some(id.0) } else { None });
    begun.collect()
}

#[test]
fn a_full_agent_or_project_holds_up_nobody_behind_it() {
    let inputs = PlanInputs::with_tasks([
        assigned(running(1), "slow", "/a"),
        assigned(routed(2), "slow", "/b"),
        assigned(routed(3), "quick", "/a"),
        assigned(routed(4), "quick", "/b"),
        assigned(routed(5), "quick", "/b"),
    ]);
    let capacity = Capacity {
        agents: [("slow".to_owned(), 1)].into(),
        projects: [("/a".into(), 1), ("/b".into(), 1)].into(),
        ..Capacity::with_slots(4)
    };
    let plan = inputs.plan_in(&capacity);
    assert_eq!(launched(&plan), [4]);
    assert_eq!(reason(&plan, 2), Some(HoldReason::AgentSlots));
    assert_eq!((reason(&plan, 3), reason(&plan, 5)), (Some(HoldReason::ProjectSlots), Some(HoldReason::ProjectSlots)));
    let words = |id: u64| inputs.describe(plan.hold(TaskId(id)).expect("held"), id, &capacity).detail;
    assert_eq!(words(2), "1 of 1 slot of agent slow is busy (task 1)");
    assert_eq!(words(3), "1 of 1 slot of project /a is busy (task 1)");
}

#[test]
fn all_slots_are_named_with_those_who_hold_them() {
    let inputs = PlanInputs::with_tasks([running(2), running(3), running(5), running(6), routed(7)]);
    let plan = inputs.plan(4);
    let held = inputs.describe(plan.hold(TaskId(7)).expect("held"), 7, &Capacity::with_slots(4));
    assert_eq!(held.detail, "4 of 4 slots are busy (tasks 2 3 5 6)");
}

#[test]
fn strain_leaves_fewer_and_says_which_it_is() {
    let inputs = PlanInputs::with_tasks([running(1), running(2), routed(3)]);
    let capacity = strained(2, Strain::Load);
    let plan = inputs.plan_in(&capacity);
    assert_eq!((launched(&plan), reason(&plan, 3)), (vec![], Some(HoldReason::Load)));
    let held = inputs.describe(plan.hold(TaskId(3)).expect("held"), 3, &capacity);
    assert_eq!(
        held.detail,
        "2 of 2 slots are busy (tasks 1 2); 2 of 4 are used, because the load is 90 % of the processors"
    );
    let capacity = strained(1, Strain::Memory);
    assert_eq!(reason(&inputs.plan_in(&capacity), 3), Some(HoldReason::Memory));
    let full = PlanInputs::with_tasks([running(1), running(2), running(3), running(4), routed(5)]);
    assert_eq!(reason(&full.plan_in(&capacity), 5), Some(HoldReason::Slots), "it would wait in any case");
}

#[test]
fn a_full_disk_holds_everything_also_what_was_asked_for() {
    let mut asked = routed(2);
    asked.run_now = true;
    let inputs = PlanInputs::with_tasks([crate::planning::plan::tests::task(1), asked, running(3)]);
    let disk = Some(Shortage { dir: "/home".into(), free_mb: 20, floor_mb: 500 });
    let capacity = Capacity { disk, ..Capacity::with_slots(4) };
    let plan = inputs.plan_in(&capacity);
    assert_eq!((plan.actions.len(), plan.needs_capacity), (0, true));
    assert_eq!(
        (reason(&plan, 1), reason(&plan, 2), reason(&plan, 3)),
        (Some(HoldReason::Disk), Some(HoldReason::Disk), None)
    );
    let held = inputs.describe(plan.hold(TaskId(1)).expect("held"), 1, &capacity);
    assert_eq!(held.detail, "/home has 20 MB free, less than engine.min_free_disk_mb (500 MB)");
}

#[test]
fn what_was_asked_for_waits_for_no_cap_no_strain_and_no_breaker() {
    let mut asked = assigned(routed(3), "bot", "/a");
    asked.run_now = true;
    let inputs = PlanInputs::with_tasks([assigned(running(1), "bot", "/a"), asked]);
    let caps = || Capacity {
        agents: [("bot".to_owned(), 1)].into(),
        projects: [("/a".into(), 1)].into(),
        ..Capacity::with_slots(1)
    };
    let rooms = [
        caps(),
        Capacity { pace: strained(1, Strain::Memory).pace, ..caps() },
        Capacity { breakers: vec![open(Target::agent("bot"))], ..caps() },
        Capacity { breakers: vec![half_open(Target::Project { dir: "/a".into() })], ..caps() },
    ];
    for room in rooms {
        assert_eq!(launched(&inputs.plan_in(&room)), [3], "{room:?}");
    }
}

#[test]
fn an_open_breaker_holds_its_own_until_its_time() {
    let tasks =
        [assigned(routed(1), "bot", "/a"), assigned(routed(2), "other", "/a"), assigned(routed(3), "other", "/b")];
    let inputs = PlanInputs::with_tasks(tasks);
    let held = |target: Target| {
        let capacity = Capacity { breakers: vec![open(target)], ..Capacity::with_slots(9) };
        let plan = inputs.plan_in(&capacity);
        assert_eq!(plan.wake_at, Some(now() + SignedDuration::from_secs(60)));
        plan.holds.iter().map(|(id, hold)| (id.0, inputs.describe(hold, id.0, &capacity).detail)).collect::<Vec<_>>()
    };
    let open = |name: &str| format!("breaker {name} is open after 1 in a row failed; the last: boom");
    assert_eq!(held(Target::agent("bot")), [(1, open("agent:bot"))]);
    assert_eq!(held(Target::Project { dir: "/b".into() }), [(3, open("project:/b"))]);
    let check = Target::Check { dir: "/a".into(), command: "make test".into() };
    assert_eq!(held(check), [(1, open("check:/a:make test")), (2, open("check:/a:make test"))]);
}

#[test]
fn a_half_open_breaker_lets_one_try() {
    let capacity = Capacity { breakers: vec![half_open(Target::agent("bot"))], ..Capacity::with_slots(9) };
    let inputs = PlanInputs::with_tasks([
        assigned(routed(1), "bot", "/a"),
        assigned(routed(2), "bot", "/a"),
        assigned(routed(3), "other", "/a"),
    ]);
    let plan = inputs.plan_in(&capacity);
    assert_eq!((launched(&plan), reason(&plan, 2)), (vec![1, 3], Some(HoldReason::Breaker)));
    let inputs = PlanInputs::with_tasks([assigned(running(1), "bot", "/a"), assigned(routed(2), "bot", "/a")]);
    let plan = inputs.plan_in(&capacity);
    let held = inputs.describe(plan.hold(TaskId(2)).expect("held"), 2, &capacity);
    assert_eq!(held.detail, "breaker agent:bot is half-open: one task at a time tries, now task 1");
}

#[test]
fn only_what_wants_to_begin_asks_for_a_look_at_the_machine() {
    assert!(!PlanInputs::with_tasks([running(1)]).plan(1).needs_capacity);
    assert!(PlanInputs::with_tasks([running(1), routed(2)]).plan(1).needs_capacity);
    let mut inputs = PlanInputs::with_tasks([routed(2)]);
    inputs.scope = crate::planning::plan::Scope::Nothing;
    assert!(!inputs.plan(1).needs_capacity);
}

fn any_placed(id: u64) -> impl Strategy<Value = Task> {
    (any_task(id), 0usize..3, 0usize..3).prop_map(|(task, agent, dir)| {
        let has_route = task.route.is_some() || takes_slot(&task);
        let placed = assigned(task.clone(), ["a", "b", "c"][agent], ["/a", "/b", "/c"][dir]);
        if has_route { placed } else { Task { route: None, ..placed } }
    })
}

fn caps() -> impl Strategy<Value = (Vec<Option<usize>>, Vec<Option<usize>>, usize)> {
    let three = || prop::collection::vec(proptest::option::of(1usize..4), 3);
    (three(), three(), 1usize..6)
}

proptest! {
    /// No limit is exceeded unasked, and a task that is held by a limit could not have started.
    #[test]
    fn caps_hold_and_hold_no_more_than_they_must(
        tasks in (1u64..16).prop_map(|n| (1..=n).map(any_placed).collect::<Vec<_>>()).prop_flat_map(|t| t),
        (agents, projects, most) in caps(),
    ) {
        let named = |caps: &[Option<usize>], names: [&str; 3]| -> Vec<(String, usize)> {
            names.iter().zip(caps).filter_map(|(name, cap)| Some(((*name).to_owned(), (*cap)?))).collect()
        };
        let capacity = Capacity {
            agents: named(&agents, ["a", "b", "c"]).into_iter().collect(),
            projects: named(&projects, ["/a", "/b", "/c"]).into_iter().map(|(dir, most)| (dir.into(), most)).collect(),
            ..Capacity::with_slots(most)
        };
        let inputs = PlanInputs::with_tasks(tasks);
        let plan = inputs.plan_in(&capacity);
        let begun = launched(&plan);
        let active = |task: &&Arc<Task>| takes_slot(task) || begun.contains(&task.id.0);
        let count = |of: &dyn Fn(&Task) -> bool| inputs.tasks.values().filter(active).filter(|task| of(task)).count();
        let before = |of: &dyn Fn(&Task) -> bool| {
            inputs.tasks.values().filter(|task| takes_slot(task) || task.run_now).filter(|task| of(task)).count()
        };
        for (agent, cap) in &capacity.agents {
            let of = |task: &Task| agent_of(task) == Some(agent);
            prop_assert!(count(&of) <= (*cap).max(before(&of)), "agent {}", agent);
        }
        for (dir, cap) in &capacity.projects {
            let of = |task: &Task| task.spec.dir.as_ref() == Some(dir);
            prop_assert!(count(&of) <= (*cap).max(before(&of)), "project {:?}", dir);
        }
        for (id, hold) in &plan.holds {
            let task = &inputs.tasks[id];
            let agent = agent_of(task).unwrap_or_default();
            let full = if hold.reason == HoldReason::AgentSlots {
                count(&|other| agent_of(other) == Some(agent)) >= capacity.agents[agent]
            } else if hold.reason == HoldReason::ProjectSlots {
                let dir = task.spec.dir.clone().unwrap_or_default();
                count(&|other| other.spec.dir.as_ref() == Some(&dir)) >= capacity.projects[&dir]
            } else {
                hold.reason != HoldReason::Slots || count(&|_| true) >= most
            };
            prop_assert!(full, "task {} is held by {:?} with room to spare", id, hold.reason);
        }
    }
}
