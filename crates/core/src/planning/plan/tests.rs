//! What is started, and why the rest waits.

use super::*;
use crate::base::ids::RunId;
use crate::base::money::Usd;
use crate::operations::pause::{Pause, PauseScope, Pauses};
use crate::planning::batch::{Batch, Member};
use crate::tasks::outcome::FailureClass;
use crate::tasks::question::QuestionKind;
use crate::tasks::route::{AgentProfile, Complexity, RouteResult};
use crate::tasks::task::{FileState, NextRun, Postponed, Spec};
use jiff::SignedDuration;
use proptest::prelude::*;
use std::sync::Arc;

pub(super) fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().expect("a time")
}

pub(super) fn task(id: u64) -> Task {
    let spec = Spec { title: format!("task {id}"), dir: Some("/repo".into()), ..Spec::default() };
    Task::new(TaskId(id), spec, FileState::Pending, now())
}

pub(super) fn routed(id: u64) -> Task {
    let route = RouteResult {
        agent: "claude".into(),
        model: None,
        complexity: Complexity::Simple,
        reason: String::new(),
        profile: AgentProfile::default(),
        selected_skills: vec![],
        warning: None,
    };
    let state = State::Routed { next: NextRun::Fresh, counts: true, not_before: None };
    Task { state, route: Some(Box::new(route)), ..task(id) }
}

pub(super) fn running(id: u64) -> Task {
    let run = RunId::new(TaskId(id), 1, 1);
    Task { state: State::InProgress { run, next: NextRun::Fresh, stopping: None }, ..task(id) }
}

pub(super) struct PlanInputs {
    pub(super) tasks: BTreeMap<TaskId, Arc<Task>>,
    pub(super) settled: BTreeMap<TaskId, Status>,
    pub(super) cooldowns: BTreeMap<String, Cooldown>,
    pub(super) invalid: BTreeMap<TaskId, String>,
    pub(super) projects: Vec<PathBuf>,
    pub(super) scope: Scope,
    pub(super) pauses: Pauses,
    pub(super) leaving: Option<ShutdownMode>,
    pub(super) batches: BTreeMap<u64, Arc<Batch>>,
}

impl PlanInputs {
    pub(super) fn with_tasks(tasks: impl IntoIterator<Item = Task>) -> Self {
        Self {
            tasks: tasks.into_iter().map(|t| (t.id, Arc::new(t))).collect(),
            settled: BTreeMap::new(),
            cooldowns: BTreeMap::new(),
            invalid: BTreeMap::new(),
            projects: vec!["/repo".into()],
            scope: Scope::All,
            pauses: Pauses::default(),
            leaving: None,
            batches: BTreeMap::new(),
        }
    }

    pub(super) fn status(&self, id: TaskId) -> Option<Status> {
        status_in(&self.tasks, &self.settled, id)
    }

    pub(super) fn plan(&self, max_parallel: usize) -> Plan {
        self.plan_in(&Capacity::with_slots(max_parallel))
    }

    pub(super) fn plan_in(&self, capacity: &Capacity) -> Plan {
        let snapshot = Snapshot {
            tasks: &self.tasks,
            settled: &self.settled,
            projects: &self.projects,
            capacity,
            cooldowns: &self.cooldowns,
            invalid: &self.invalid,
            scope: self.scope.clone(),
            pauses: &self.pauses,
            shutdown: self.leaving,
            batches: &self.batches,
            identity: "ada",
            dir_exists: &|dir| dir.starts_with("/there"),
            is_registered: &|dir| !dir.starts_with("/stranger"),
        };
        plan(&snapshot, now())
    }

    /// Puts tasks into an open batch of four at a time.
    pub(super) fn batch(&mut self, number: u64, tasks: &[u64], change: impl FnOnce(&mut Batch)) {
        let member = |task: &u64| Member { task: TaskId(*task), before: Usd::ZERO, spent: Usd::ZERO };
        let mut batch = Batch {
            number,
            name: format!("night-{number}").parse().expect("a name"),
            members: tasks.iter().map(member).collect(),
            concurrency: 4,
            budget: None,
            created_at: now(),
            cancelled_at: None,
            end: None,
        };
        change(&mut batch);
        self.batches.insert(number, Arc::new(batch));
    }

    /// Describes a hold.
    pub(super) fn describe(&self, hold: &Hold, id: u64, room: &Capacity) -> Hold {
        let batches: Vec<Arc<Batch>> = self.batches.values().cloned().collect();
        let occupancy = Occupancy::new(&self.tasks, self.projects.clone(), room, &batches);
        describe(hold, &self.tasks[&TaskId(id)], &|id| self.status(id).map(DependencyState::Status), &occupancy)
    }
}

pub(super) fn reason(plan: &Plan, id: u64) -> Option<HoldReason> {
    plan.hold(TaskId(id)).map(|h| h.reason)
}

#[test]
fn slots_go_to_the_asked_for_then_by_priority_then_by_id() {
    let mut urgent = routed(3);
    urgent.spec.priority = 5;
    let mut asked = routed(4);
    asked.run_now = true;
    let plan = PlanInputs::with_tasks([routed(1), routed(2), urgent, asked, running(9)]).plan(3);
    assert_eq!(plan.actions, [Action::Launch(TaskId(4)), Action::Launch(TaskId(3))]);
    assert_eq!((reason(&plan, 1), reason(&plan, 2)), (Some(HoldReason::Slots), Some(HoldReason::Slots)));
}

#[test]
fn a_dependency_blocks_until_it_is_done() {
    let mut waiting = task(2);
    waiting.spec.depends_on = vec![TaskId(1)];
    let on = BlockedOn::Dependencies { tasks: vec![TaskId(1)] };
    let mut inputs = PlanInputs::with_tasks([running(1), waiting.clone()]);
    assert_eq!(inputs.plan(4).actions, [Action::Block(TaskId(2), on.clone())]);
    waiting.state = State::Blocked(on);
    inputs.tasks.insert(TaskId(2), Arc::new(waiting));
    assert_eq!(inputs.plan(4).actions, []);
    let waits = inputs.plan(4).hold(TaskId(2)).map(|h| inputs.describe(h, 2, &Capacity::with_slots(4)).detail);
    assert_eq!(waits.as_deref(), Some("waits for #1 (in_progress)"));
    inputs.tasks.insert(TaskId(1), Arc::new(Task { state: State::Done, ..task(1) }));
    assert_eq!(inputs.plan(4).actions, [Action::Unblock(TaskId(2))]);
    inputs.tasks.remove(&TaskId(1));
    assert_eq!(inputs.plan(4).actions, [], "it is not known to be done");
    inputs.settled.insert(TaskId(1), Status::Done);
    assert_eq!(inputs.plan(4).actions, [Action::Unblock(TaskId(2))], "it is done and put away");
}

#[test]
fn a_task_without_a_directory_needs_exactly_one_project() {
    let mut bare = task(1);
    bare.spec.dir = None;
    let mut inputs = PlanInputs::with_tasks([bare]);
    assert_eq!(inputs.plan(1).actions, [Action::Route(TaskId(1))]);
    inputs.projects.push("/other".into());
    assert_eq!(reason(&inputs.plan(1), 1), Some(HoldReason::NoProject));
    inputs.projects.clear();
    assert_eq!(reason(&inputs.plan(1), 1), Some(HoldReason::NoProject));
}

#[test]
fn nothing_begins_in_a_repository_that_nobody_has_registered() {
    let (mut new, mut chosen) = (task(1), routed(2));
    new.spec.dir = Some("/stranger/repo".into());
    chosen.spec.dir = Some("/stranger/repo".into());
    let plan = PlanInputs::with_tasks([new, chosen]).plan(2);
    assert_eq!(plan.actions, []);
    for id in [1, 2] {
        let hold = plan.hold(TaskId(id)).expect("held");
        assert_eq!(hold.reason, HoldReason::NoProject);
        assert!(hold.detail.contains("/stranger/repo") && hold.detail.contains("`orch init`"), "{}", hold.detail);
    }
}

#[test]
fn a_task_without_a_directory_waits_no_longer_for_that_of_a_project_that_is_gone() {
    let mut bare = task(1);
    bare.spec.dir = None;
    bare.state = State::Blocked(BlockedOn::MissingDir { dir: "/deleted".into() });
    let mut inputs = PlanInputs::with_tasks([bare]);
    inputs.projects = vec!["/deleted".into()];
    assert_eq!((inputs.plan(1).actions, reason(&inputs.plan(1), 1)), (vec![], Some(HoldReason::MissingDir)));
    inputs.projects = vec!["/repo".into()];
    assert_eq!(inputs.plan(1).actions, [Action::Unblock(TaskId(1))]);
}

#[test]
fn a_cooling_agent_holds_its_tasks_until_then_and_wakes_the_loop() {
    let until = now() + SignedDuration::from_secs(60);
    let mut inputs = PlanInputs::with_tasks([routed(1)]);
    let cooldown = Cooldown { since: None, until, class: FailureClass::RateLimited, detail: "slow down".into() };
    inputs.cooldowns.insert("claude".into(), cooldown);
    let plan = inputs.plan(1);
    assert_eq!((plan.actions.len(), reason(&plan, 1)), (0, Some(HoldReason::RateLimited)));
    assert_eq!(plan.wake_at, Some(until));
}

#[test]
fn what_could_begin_but_for_its_agent_is_told_as_far_as_there_is_room() {
    let until = now() + SignedDuration::from_secs(60);
    let (mut urgent, mut asked_for, mut late) = (routed(4), routed(2), routed(5));
    urgent.spec.priority = 9;
    asked_for.run_now = true;
    let State::Routed { not_before, .. } = &mut late.state else { panic!("it waits") };
    *not_before = Some(until);
    let mut inputs = PlanInputs::with_tasks([routed(1), asked_for, routed(3), urgent, late]);
    let cooldown = Cooldown { since: None, until, class: FailureClass::RateLimited, detail: "slow down".into() };
    inputs.cooldowns.insert("claude".into(), cooldown);
    let stalled = |slots| inputs.plan(slots).stalled.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
    assert_eq!(stalled(9), [4, 1, 3]);
    assert_eq!(stalled(3), [4, 1], "one has what is left");
    assert_eq!(stalled(1), [] as [u64; 0]);
    assert_eq!(inputs.plan(9).stalled[0].1, FailureClass::RateLimited);
}

#[test]
fn a_model_that_nobody_serves_holds_its_task_alone_until_then_and_not_whom_a_person_asks_for() {
    let until = now() + SignedDuration::from_secs(60);
    let mut asked_for = routed(2);
    asked_for.run_now = true;
    let inputs = PlanInputs::with_tasks([routed(1), asked_for, routed(3)]);
    let model_cooldowns = |until| {
        let detail = "openai refuses the key (401)".to_owned();
        let cooldown = Cooldown { since: Some(now()), until, class: FailureClass::Auth, detail };
        Capacity { model_cooldowns: [1, 2].map(|id| (TaskId(id), cooldown.clone())).into(), ..Capacity::with_slots(3) }
    };
    let plan = inputs.plan_in(&model_cooldowns(until));
    assert_eq!(plan.actions, [Action::Launch(TaskId(2)), Action::Launch(TaskId(3))]);
    let hold = plan.hold(TaskId(1)).expect("held");
    assert_eq!((hold.reason, hold.detail.as_str()), (HoldReason::Auth, "openai refuses the key (401)"));
    assert_eq!((hold.until, plan.wake_at), (Some(until), Some(until)));
    assert_eq!(inputs.plan_in(&model_cooldowns(now())).actions.len(), 3, "it is over");
}

#[test]
fn of_two_waits_the_longer_one_is_told() {
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    let rests = |seconds, detail: &str| Cooldown {
        since: Some(now()),
        until: at(seconds),
        class: FailureClass::RateLimited,
        detail: detail.into(),
    };
    for (of_agent, of_model, longer) in [(30, 60, "of the model"), (60, 30, "claude: of the agent")] {
        let mut inputs = PlanInputs::with_tasks([routed(1)]);
        inputs.cooldowns.insert("claude".into(), rests(of_agent, "of the agent"));
        let capacity = Capacity {
            model_cooldowns: [(TaskId(1), rests(of_model, "of the model"))].into(),
            ..Capacity::with_slots(1)
        };
        let plan = inputs.plan_in(&capacity);
        let hold = plan.hold(TaskId(1)).expect("held");
        assert_eq!((hold.detail.as_str(), hold.until), (longer, Some(at(60))));
    }
}

#[test]
fn a_clock_that_is_set_back_makes_no_wait_longer() {
    let a_year = SignedDuration::from_hours(365 * 24);
    let wrong = now() + a_year;
    let until = wrong + SignedDuration::from_secs(60);
    let mut pausing = routed(1);
    pausing.updated_at = wrong;
    pausing.state = State::Routed { next: NextRun::Fresh, counts: true, not_before: Some(until) };
    assert_eq!(PlanInputs::with_tasks([pausing.clone()]).plan(1).actions, [Action::Launch(TaskId(1))]);
    pausing.updated_at = now();
    assert_eq!(PlanInputs::with_tasks([pausing]).plan(1).actions, [], "it was decided by the clock that holds");
    let mut inputs = PlanInputs::with_tasks([routed(1)]);
    let cooldown = Cooldown { since: Some(wrong), until, class: FailureClass::Auth, detail: "no".into() };
    inputs.cooldowns.insert("claude".into(), cooldown);
    assert_eq!(inputs.plan(1).actions, [Action::Launch(TaskId(1))]);
}

#[test]
fn a_missing_directory_blocks_until_it_is_back() {
    let blocked = |dir: &str| {
        let mut waiting = task(1);
        waiting.spec.dir = Some(dir.into());
        waiting.state = State::Blocked(BlockedOn::MissingDir { dir: dir.into() });
        waiting
    };
    assert_eq!(reason(&PlanInputs::with_tasks([blocked("/gone")]).plan(1), 1), Some(HoldReason::MissingDir));
    assert_eq!(PlanInputs::with_tasks([blocked("/there/x")]).plan(1).actions, [Action::Unblock(TaskId(1))]);
}

#[test]
fn outside_its_scope_nothing_begins() {
    let mut inputs = PlanInputs::with_tasks([task(1), routed(2)]);
    inputs.scope = Scope::Nothing;
    assert_eq!(inputs.plan(4).actions, []);
    inputs.scope = Scope::Only(TaskId(2));
    assert_eq!(inputs.plan(4).actions, [Action::Launch(TaskId(2))]);
    assert_eq!(reason(&inputs.plan(4), 1), Some(HoldReason::NoDaemon));
}

fn paused(scope: PauseScope) -> Pauses {
    [Pause { scope, since: now(), by: "ada".into() }].into_iter().collect()
}

#[test]
fn where_it_is_paused_nothing_is_routed_or_started_and_everything_else_is() {
    let mut wanted = routed(3);
    (wanted.run_now, wanted.past_pause) = (true, true);
    let mut impatient = routed(4);
    impatient.run_now = true;
    let mut inputs = PlanInputs::with_tasks([task(1), routed(2), wanted, impatient, running(5)]);
    inputs.pauses = paused(PauseScope::All);
    let plan = inputs.plan(9);
    assert_eq!(plan.actions, [Action::Launch(TaskId(3))]);
    for id in [1, 2, 4] {
        assert_eq!(reason(&plan, id), Some(HoldReason::Paused), "task {id}");
    }
    assert_eq!(plan.hold(TaskId(1)).map(|hold| hold.detail.contains("by ada; `orch resume`")), Some(true));
    inputs.pauses = paused(PauseScope::Agent { name: "claude".into() });
    assert_eq!(inputs.plan(9).actions, [Action::Route(TaskId(1)), Action::Launch(TaskId(3))]);
    inputs.pauses = paused(PauseScope::Project { dir: "/other".into(), name: "other".into() });
    assert_eq!(inputs.plan(9).actions.len(), 4);
    inputs.pauses = paused(PauseScope::Project { dir: "/repo".into(), name: "repo".into() });
    assert_eq!(inputs.plan(9).actions, [Action::Launch(TaskId(3))]);
}

#[test]
fn on_the_way_out_nothing_begins_whoever_wants_it() {
    let mut wanted = routed(2);
    (wanted.run_now, wanted.past_pause) = (true, true);
    let mut inputs = PlanInputs::with_tasks([task(1), wanted, running(3)]);
    for leave in [ShutdownMode::Stop, ShutdownMode::Drain, ShutdownMode::Now, ShutdownMode::Respawn] {
        inputs.leaving = Some(leave);
        let plan = inputs.plan(9);
        assert_eq!(plan.actions, []);
        assert_eq!(reason(&plan, 1).zip(reason(&plan, 2)), Some((HoldReason::ShuttingDown, HoldReason::ShuttingDown)));
    }
}

#[test]
fn a_daemon_that_leaves_without_waiting_does_not_wake_for_a_checkout_again_and_again() {
    let run = RunId::new(TaskId(1), 1, 7);
    let waiting =
        Some(Postponed { detail: "uncommitted changes".to_owned(), until: now(), reason: HoldReason::BaseDirty });
    let state = State::InReview { run, review: ReviewStage::Integrating { waiting, order: None } };
    let mut inputs = PlanInputs::with_tasks([Task { state, ..task(1) }]);
    for leave in [ShutdownMode::Stop, ShutdownMode::Now, ShutdownMode::Respawn] {
        inputs.leaving = Some(leave);
        let plan = inputs.plan(9);
        assert_eq!((reason(&plan, 1), plan.wake_at), (Some(HoldReason::ShuttingDown), None));
    }
    inputs.leaving = Some(ShutdownMode::Drain);
    assert_eq!(inputs.plan(9).actions, [Action::Integrate(TaskId(1))]);
}

pub(super) fn any_task(id: u64) -> impl Strategy<Value = Task> {
    let kinds = prop::sample::select(vec![0u8, 1, 2, 3, 4, 5]);
    (kinds, 0i64..3, prop::collection::vec(1u64..12, 0..3), any::<bool>()).prop_map(
        move |(kind, priority, depends, run_now)| {
            let mut made = match kind {
                0 => task(id),
                1 => routed(id),
                2 => running(id),
                3 => Task { state: State::Done, ..task(id) },
                4 => Task {
                    state: State::NeedsReview { kind: QuestionKind::Question, question: "?".into(), choices: vec![] },
                    ..task(id)
                },
                _ => Task { state: State::Blocked(BlockedOn::Dependencies { tasks: vec![] }), ..task(id) },
            };
            made.spec.priority = priority;
            made.spec.depends_on = depends.into_iter().filter(|d| *d != id).map(TaskId).collect();
            made.run_now = run_now;
            made
        },
    )
}

proptest! {
    /// Every open task that is not under way either starts or has a named hold; never neither.
    #[test]
    fn every_wait_has_a_name(
        tasks in (1u64..12).prop_map(|n| (1..=n).map(any_task).collect::<Vec<_>>()).prop_flat_map(|t| t),
        max_parallel in 1usize..5,
    ) {
        let inputs = PlanInputs::with_tasks(tasks);
        let plan = inputs.plan(max_parallel);
        for task in inputs.tasks.values() {
            let begun = plan.actions.iter().any(|action| match action {
                Action::Route(id) | Action::Launch(id) | Action::Unblock(id) | Action::Integrate(id) | Action::Review(id) => *id == task.id,
                Action::Block(id, _) | Action::Ask(id, _) | Action::AskAboutSubtask(id, _) => *id == task.id,
            });
            let waits = matches!(task.status(), Status::New | Status::Routed | Status::Blocked);
            prop_assert!(!waits || begun || plan.hold(task.id).is_some(), "task {:?} has no reason", task.id);
        }
    }

    /// Only tasks that a person asked for exceed the slots.
    #[test]
    fn slots_are_never_exceeded_unasked(
        tasks in (1u64..12).prop_map(|n| (1..=n).map(any_task).collect::<Vec<_>>()).prop_flat_map(|t| t),
        max_parallel in 1usize..5,
    ) {
        let inputs = PlanInputs::with_tasks(tasks);
        let busy = inputs.tasks.values().filter(|task| takes_slot(task)).count();
        let launched: Vec<TaskId> = inputs.plan(max_parallel).actions.iter().filter_map(|action| if let Action::Launch(id) = action { Some(*id) } else { None }).collect();
        let asked = launched.iter().filter(|id| inputs.tasks[id].run_now).count();
        prop_assert!(launched.len() - asked <= max_parallel.saturating_sub(busy));
    }
}
