//! Every hold that a plan can have is created here once, and its description checked.

use super::*;
use crate::base::money::Usd;
use crate::economics::budget::{self, Balances, Level, Stop};
use crate::operations::pause::{Pause, PauseScope};
use crate::operations::service::ShutdownMode;
use crate::planning::admission::{Pace, Sample, Shortage, Strain};
use crate::planning::batch::Batch;
use crate::planning::breaker::Target;
use crate::planning::overlap::Overlap;
use crate::planning::plan::capacity::tests::open;
use crate::planning::plan::tests::{PlanInputs, any_task, now, routed, running, task};
use crate::planning::plan::{Action, Capacity, Cooldown, OverlapRules, Plan, Scope};
use crate::tasks::outcome::{Failure, FailureClass};
use crate::tasks::task::{Postponed, ReviewStage, StopFor};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn later() -> Timestamp {
    now() + SignedDuration::from_secs(60)
}

fn blocked(on: BlockedOn) -> PlanInputs {
    PlanInputs::with_tasks([running(2), Task { state: State::Blocked(on), ..task(1) }])
}

fn without_its_directory() -> PlanInputs {
    let mut waiting = task(1);
    waiting.spec.dir = Some("/gone".into());
    waiting.state = State::Blocked(BlockedOn::MissingDir { dir: "/gone".into() });
    PlanInputs::with_tasks([waiting])
}

fn without_a_project() -> PlanInputs {
    let mut bare = task(1);
    bare.spec.dir = None;
    let mut inputs = PlanInputs::with_tasks([bare]);
    inputs.projects.clear();
    inputs
}

fn cooling(class: FailureClass) -> PlanInputs {
    let mut inputs = PlanInputs::with_tasks([routed(1)]);
    inputs.cooldowns.insert("claude".into(), Cooldown { since: None, until: later(), class, detail: "not now".into() });
    inputs
}

fn strained(strain: Strain) -> (PlanInputs, Capacity) {
    let sample = Sample { load: Some(0.9), available: Some(0.05), pressure: Some(30.0) };
    let pace = Pace { slots: 1, strain: Some(strain), sample };
    (PlanInputs::with_tasks([routed(1), running(2)]), Capacity { pace, ..Capacity::with_slots(4) })
}

fn two_on_one_file() -> (PlanInputs, Capacity) {
    let about = |task: Task| {
        let mut task = task;
        task.spec.labels.push("files:src/parser.rs".into());
        task
    };
    let overlap_rules = OverlapRules { usual: Overlap::Hold, ..OverlapRules::off() };
    (
        PlanInputs::with_tasks([about(routed(1)), about(running(2))]),
        Capacity { overlap_rules, ..Capacity::with_slots(4) },
    )
}

/// Two tasks of a batch, one of which runs.
fn batched(change: impl FnOnce(&mut Batch)) -> PlanInputs {
    let mut inputs = PlanInputs::with_tasks([routed(1), running(2)]);
    inputs.batch(1, &[1, 2], change);
    inputs
}

fn spend(batch: &mut Batch) {
    batch.budget = Some(Usd::from_micros(10));
    batch.record_cost(TaskId(1), Usd::from_micros(10));
}

fn paused() -> PlanInputs {
    let mut inputs = PlanInputs::with_tasks([routed(1)]);
    let pause = Pause { scope: PauseScope::All, since: later(), by: "ada".into() };
    inputs.pauses = [pause].into_iter().collect();
    inputs
}

fn spent_balances() -> Balances {
    let why = "$20.00 of $20.00 today are spent".to_owned();
    let (scope, raise) = (budget::Scope::Day, Some("orch config set budget.per_day 40".to_owned()));
    let stop = Stop { scope, level: Level::Exhausted, is_over: true, why, until: Some(later()), raise };
    Balances { stops: vec![stop], ..Balances::default() }
}

fn without_money() -> Capacity {
    Capacity { balances: spent_balances(), ..Capacity::with_slots(4) }
}

fn obstructed(reason: HoldReason) -> (PlanInputs, Capacity) {
    let hold = Hold::until(reason, "git merge failed with signal 9", later());
    (
        PlanInputs::with_tasks([running(1)]),
        Capacity { obstacles: [(TaskId(1), hold)].into(), ..Capacity::with_slots(4) },
    )
}

fn unread() -> (PlanInputs, Capacity) {
    (
        PlanInputs::with_tasks([routed(1)]),
        Capacity { config_error: Some("config.yml:1:9: unclosed bracket".into()), ..Capacity::with_slots(4) },
    )
}

fn nobody() -> PlanInputs {
    let mut inputs = PlanInputs::with_tasks([routed(1)]);
    inputs.scope = Scope::Nothing;
    inputs
}

fn broken() -> (PlanInputs, Capacity) {
    (
        PlanInputs::with_tasks([routed(1)]),
        Capacity { breakers: vec![open(Target::agent("claude"))], ..Capacity::with_slots(4) },
    )
}

/// Returns a state in which task 1 is held for this reason. A reason without a state does not compile.
fn world_of(reason: HoldReason) -> (PlanInputs, Capacity) {
    let plain = |inputs: PlanInputs| (inputs, Capacity::with_slots(1));
    match reason {
        HoldReason::Slots => plain(PlanInputs::with_tasks([routed(1), running(2)])),
        HoldReason::Dependency => {
            let mut waiting = task(1);
            waiting.spec.depends_on = vec![TaskId(2)];
            waiting.state = State::Blocked(BlockedOn::Dependencies { tasks: vec![TaskId(2)] });
            plain(PlanInputs::with_tasks([waiting, running(2)]))
        }
        HoldReason::Children => plain(blocked(BlockedOn::Children { tasks: vec![TaskId(2)] })),
        HoldReason::MissingDir => plain(without_its_directory()),
        HoldReason::NoProject => plain(without_a_project()),
        HoldReason::Routing => {
            let state = State::New { routing: Some(crate::base::ids::RunId::new(TaskId(1), 1, 1)), not_before: None };
            plain(PlanInputs::with_tasks([Task { state, ..task(1) }]))
        }
        HoldReason::Backoff => {
            let mut pausing = routed(1);
            let State::Routed { not_before, .. } = &mut pausing.state else { panic!("it is routed") };
            *not_before = Some(later());
            pausing.last_failure = Some(Box::new(Failure::new(FailureClass::Crashed, "exit code 3")));
            plain(PlanInputs::with_tasks([pausing]))
        }
        HoldReason::RateLimited => plain(cooling(FailureClass::RateLimited)),
        HoldReason::Overloaded => plain(cooling(FailureClass::Overloaded)),
        HoldReason::Network => plain(cooling(FailureClass::Network)),
        HoldReason::Auth => plain(cooling(FailureClass::Auth)),
        HoldReason::Budget => plain(cooling(FailureClass::Budget)),
        HoldReason::Agent => plain(cooling(FailureClass::AgentMissing)),
        HoldReason::InvalidEntry => {
            let mut inputs = PlanInputs::with_tasks([task(1)]);
            inputs.invalid.insert(TaskId(1), "depends_on: not a list".into());
            plain(inputs)
        }
        HoldReason::BaseDirty | HoldReason::Setup => {
            let waiting = Some(Postponed { detail: "README.md has changes".into(), until: later(), reason });
            let run = crate::base::ids::RunId::new(TaskId(1), 1, 1);
            let state = State::InReview { run, review: ReviewStage::Integrating { waiting, order: None } };
            plain(PlanInputs::with_tasks([Task { state, ..task(1) }]))
        }
        HoldReason::Locked | HoldReason::System => obstructed(reason),
        HoldReason::NoDaemon => plain(nobody()),
        HoldReason::Stopping => {
            let mut asked = running(1);
            let State::InProgress { stopping, .. } = &mut asked.state else { panic!("it runs") };
            *stopping = Some(StopFor::Cancel);
            plain(PlanInputs::with_tasks([asked]))
        }
        HoldReason::AgentSlots => {
            let busy = Task { route: routed(2).route, ..running(2) };
            (
                PlanInputs::with_tasks([routed(1), busy]),
                Capacity { agents: [("claude".to_owned(), 1)].into(), ..Capacity::with_slots(4) },
            )
        }
        HoldReason::ProjectSlots => (
            PlanInputs::with_tasks([routed(1), running(2)]),
            Capacity { projects: [("/repo".into(), 1)].into(), ..Capacity::with_slots(4) },
        ),
        HoldReason::Load => strained(Strain::Load),
        HoldReason::Memory => strained(Strain::Memory),
        HoldReason::Disk => {
            let disk = Some(Shortage { dir: "/repo".into(), free_mb: 1, floor_mb: 2 });
            (PlanInputs::with_tasks([routed(1)]), Capacity { disk, ..Capacity::with_slots(4) })
        }
        HoldReason::Paused => plain(paused()),
        HoldReason::ShuttingDown => {
            let mut inputs = PlanInputs::with_tasks([routed(1)]);
            inputs.leaving = Some(ShutdownMode::Drain);
            plain(inputs)
        }
        HoldReason::Review => {
            let run = crate::base::ids::RunId::new(TaskId(1), 1, 1);
            let waiting = Some(Postponed {
                detail: "codex: the rate is limited".into(),
                until: later(),
                reason: HoldReason::Review,
            });
            let review = ReviewStage::Reviewing { review: None, then_person: false, waiting };
            plain(PlanInputs::with_tasks([Task { state: State::InReview { run, review }, ..task(1) }]))
        }
        HoldReason::Overlap => two_on_one_file(),
        HoldReason::Claimed => {
            let mut claimed = routed(1);
            claimed.spec.assignee = Some("bob".into());
            plain(PlanInputs::with_tasks([claimed]))
        }
        HoldReason::BatchSlots => (batched(|batch| batch.concurrency = 1), Capacity::with_slots(4)),
        HoldReason::BatchBudget => (batched(spend), Capacity::with_slots(4)),
        HoldReason::Config => unread(),
        HoldReason::NotApproved => {
            let unapproved_projects = [("/repo".into(), "1 check of .orch.yml not approved".into())].into();
            (PlanInputs::with_tasks([routed(1)]), Capacity { unapproved_projects, ..Capacity::with_slots(4) })
        }
        HoldReason::Spent => (PlanInputs::with_tasks([routed(1)]), without_money()),
        HoldReason::Breaker => broken(),
    }
}

#[test]
fn all_reasons_are_listed() {
    let schema = serde_json::to_value(schemars::schema_for!(HoldReason)).expect("a schema");
    let mut known = BTreeSet::new();
    names(&schema, &mut known);
    let listed: BTreeSet<String> = HoldReason::ALL.iter().map(word).collect();
    assert_eq!(listed, known);
}

fn word(reason: &HoldReason) -> String {
    serde_json::to_value(reason).expect("a word").as_str().expect("a word").to_owned()
}

/// Every `const` and every item of an `enum` in a schema.
fn names(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    for key in ["oneOf", "enum"] {
        for item in schema[key].as_array().into_iter().flatten() {
            found.extend(item.as_str().map(str::to_owned));
            found.extend(item["const"].as_str().map(str::to_owned));
            names(item, found);
        }
    }
}

#[test]
fn every_reason_that_a_plan_can_return_has_words_and_an_end() {
    let mut said = BTreeSet::new();
    for reason in HoldReason::ALL {
        let (inputs, room) = world_of(reason);
        let plan = inputs.plan_in(&room);
        let hold = plan.hold(TaskId(1)).unwrap_or_else(|| panic!("{reason:?} holds nothing: {plan:?}"));
        assert_eq!(hold.reason, reason);
        let text = inputs.describe(hold, 1, &room);
        assert!(text.detail.len() > 5 && text.detail != format!("{reason:?}").to_lowercase(), "{text:?}");
        let end = describe_end(&text, TaskId(1), None);
        assert!(end.len() > 10, "{reason:?}: {end}");
        if let Some(until) = text.until {
            assert!(end.contains(&until.to_string()), "{reason:?} has an end at {until}, and says: {end}");
        }
        said.insert(text.detail);
    }
    assert!(said.len() > 15, "reasons share their words: {said:#?}");
}

/// The text of every reason names an event or an action, even where no time is known.
#[test]
fn every_reason_says_what_ends_it_without_a_time_too() {
    for reason in HoldReason::ALL {
        let end = describe_end(&Hold { reason, detail: String::new(), until: None }, TaskId(7), None);
        let names = ["when", "after", "mend", "make room", "`", "commit", "log in", "add credit", "with the answer"];
        assert!(names.iter().any(|name| end.contains(name)), "{reason:?}: {end}");
    }
}

#[test]
fn a_task_that_is_being_cancelled_is_not_said_to_go_on() {
    let said = |why: StopFor| {
        let mut asked = running(1);
        let State::InProgress { stopping, .. } = &mut asked.state else { panic!("it runs") };
        *stopping = Some(why);
        let (inputs, room) = (PlanInputs::with_tasks([asked]), Capacity::with_slots(1));
        let text = inputs.describe(inputs.plan_in(&room).hold(TaskId(1)).expect("it is held"), 1, &room);
        format!("{}: {}", text.detail, describe_end(&text, TaskId(1), None))
    };
    assert_eq!(
        said(StopFor::Cancel),
        "its run is being stopped, and then it is cancelled: that comes when the agent has ended"
    );
    for (why, then) in
        [(StopFor::Retry, "begins again"), (StopFor::Interrupt, "your word"), (StopFor::Shutdown, "goes on")]
    {
        let said = said(why);
        assert!(said.contains(then) && !said.contains("cancelled"), "{said}");
    }
}

fn begun(plan: &Plan, id: TaskId) -> bool {
    plan.actions.iter().any(|action| match action {
        Action::Route(of) | Action::Launch(of) | Action::Unblock(of) | Action::Integrate(of) | Action::Review(of) => {
            *of == id
        }
        Action::Block(of, _) | Action::Ask(of, _) | Action::AskAboutSubtask(of, _) => *of == id,
    })
}

proptest! {
    /// Every open task that neither runs nor starts has exactly one hold, with a description and an end.
    #[test]
    fn a_wait_has_one_name(
        tasks in (1u64..14).prop_map(|n| (1..=n).map(any_task).collect::<Vec<_>>()).prop_flat_map(|t| t),
        max_parallel in 1usize..5, slots in 1usize..8, agent in proptest::option::of(1usize..3),
        project in proptest::option::of(1usize..3), full in prop::bool::weighted(0.2), broken in prop::bool::weighted(0.2),
    ) {
        let strain = (slots < max_parallel).then_some(Strain::Load);
        let capacity = Capacity {
            pace: Pace { slots, strain, sample: Sample::default() },
            disk: full.then(|| Shortage { dir: "/repo".into(), free_mb: 1, floor_mb: 2 }),
            agents: agent.map(|most| ("claude".to_owned(), most)).into_iter().collect(),
            projects: project.map(|most| ("/repo".into(), most)).into_iter().collect(),
            breakers: broken.then(|| open(Target::agent("claude"))).into_iter().collect(),
            ..Capacity::with_slots(max_parallel)
        };
        let inputs = PlanInputs::with_tasks(tasks);
        let plan = inputs.plan_in(&capacity);
        for task in inputs.tasks.values() {
            let holds: Vec<&Hold> = plan.holds.iter().filter(|(id, _)| *id == task.id).map(|(_, hold)| hold).collect();
            prop_assert!(holds.len() <= 1, "{:?}", holds);
            let waits = matches!(task.status(), Status::New | Status::Routed | Status::Blocked);
            prop_assert!(!waits || begun(&plan, task.id) || holds.len() == 1, "task {} has no reason", task.id);
            for hold in holds {
                let text = inputs.describe(hold, task.id.0, &capacity);
                prop_assert!(!text.detail.is_empty() && !describe_end(&text, task.id, None).is_empty());
            }
        }
    }
}
