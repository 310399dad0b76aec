//! Scenarios of a task's life, and what must hold for every one of them.

mod conflicts;
mod parts;
mod resting;
mod steps;

use super::*;
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::tasks::answer::{Answer, AnswerStatus};
use crate::tasks::evidence::IntegrateMode;
use crate::tasks::hold::HoldReason;
use crate::tasks::outcome::FailureClass;
use crate::tasks::retry::{Bounds, MAX_OUTAGE_FAILURES};
use crate::tasks::review::Reviewers;
use crate::tasks::review_decision::ReviewDecision;
use crate::tasks::route::{AgentProfile, Complexity, RouteResult};
use crate::tasks::task::{Feedback, FileState, Postponed, Spec};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

mod second_look;

fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().expect("a time")
}

fn run_id(ordinal: u32) -> RunId {
    RunId::new(TaskId(1), ordinal, 7)
}

fn route(agent: &str, complexity: Complexity) -> RouteResult {
    RouteResult {
        agent: agent.into(),
        model: Some(format!("{agent}-{complexity}")),
        complexity,
        reason: "test".into(),
        profile: AgentProfile::default(),
        selected_skills: vec![],
        warning: None,
    }
}

fn finished() -> Outcome {
    Outcome::Finished {
        answer: Answer {
            status: AnswerStatus::Done,
            summary: "did it".into(),
            accomplished: vec![],
            remaining: vec![],
            files_changed: vec![],
            blockers: vec![],
            reason: String::new(),
            learnings: vec![],
            delegations: vec![],
            result: String::new(),
        },
    }
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(Failure::new(class, "why"))
}

/// A task and the settings it lives under.
struct Life {
    task: Task,
    alternatives: Vec<String>,
    candidates: Vec<String>,
    rests_until: Option<Timestamp>,
    bounds: Bounds,
    runs: u32,
}

impl Life {
    fn new() -> Self {
        let spec = Spec { title: "t".into(), ..Spec::default() };
        Self {
            task: Task::new(TaskId(1), spec, FileState::Pending, now()),
            alternatives: vec![],
            candidates: vec![],
            rests_until: None,
            bounds: Bounds::default(),
            runs: 0,
        }
    }

    fn try_event(&mut self, event: &Event) -> Result<(), Refused> {
        let model_for = |complexity: Complexity, agent: &str| Some(format!("{agent}-{complexity}"));
        let routed: Vec<String> = self.alternatives.iter().chain(&self.candidates).cloned().collect();
        let context = Context {
            now: now(),
            bounds: &self.bounds,
            alternatives: &self.alternatives,
            model_for: &model_for,
            candidates: &self.candidates,
            routed: &routed,
            is_cooling: &|_, _| false,
            is_prepaid: &|_, _| false,
            cooling_until: &|_, _| self.rests_until,
            policy: &|_| None,
        };
        self.task = step(&self.task, event, &context)?;
        Ok(())
    }

    #[track_caller]
    fn event(&mut self, event: Event) -> &mut Self {
        self.try_event(&event).expect("the event fits");
        self
    }

    fn routed() -> Self {
        let mut scenario = Self::new();
        scenario.event(Event::RouteChosen { route: route("claude", Complexity::Simple), failed: false });
        scenario
    }

    /// Begins the next run; it talks in one conversation.
    #[track_caller]
    fn launch(&mut self) -> RunId {
        self.runs += 1;
        let run = run_id(self.runs);
        self.event(Event::Launched { run: run.clone() });
        run
    }

    #[track_caller]
    fn run_ends(&mut self, outcome: Outcome) -> RunId {
        let run = self.launch();
        let ending = Box::new(Ending { session_id: Some("s".into()), ..Ending::default() });
        self.event(Event::RunEnded { run: run.clone(), agent: "claude".into(), model: None, ending, outcome });
        run
    }

    #[track_caller]
    fn judged(&mut self, verdict: Verdict) -> RunId {
        self.run_ends(finished());
        self.judged_by(verdict)
    }

    /// The last run is judged.
    #[track_caller]
    fn judged_by(&mut self, verdict: Verdict) -> RunId {
        let run = run_id(self.runs);
        self.event(Event::Judged {
            run: run.clone(),
            verdict,
            evidence: Evidence::default(),
            reviewers: Reviewers::Nobody,
        });
        run
    }

    fn next(&self) -> (&NextRun, bool, Option<Timestamp>) {
        let State::Routed { next, counts, not_before } = &self.task.state else {
            panic!("not routed but {:?}", self.task.state)
        };
        (next, *counts, *not_before)
    }
}

#[test]
fn a_task_goes_from_new_to_done() {
    let mut scenario = Life::routed();
    let run = scenario.judged(Verdict::Accept);
    assert_eq!(scenario.task.status(), Status::InReview);
    scenario.event(Event::Integrated { run, integration: with(IntegrationState::Merged) });
    assert_eq!((scenario.task.status(), scenario.task.attempts), (Status::Done, 1));
}

#[test]
fn failed_work_is_repeated_in_its_conversation_then_moves_up_then_asks() {
    let mut scenario = Life::routed();
    let fail = || Verdict::Fail(Failure::new(FailureClass::ChecksFailed, "red"));
    scenario.judged(fail());
    assert!(matches!(scenario.next(), (NextRun::Again { resume: true, .. }, true, None)));
    scenario.judged(fail());
    assert!(matches!(scenario.next(), (NextRun::Again { resume: false, .. }, true, None)));
    assert_eq!(scenario.task.route.as_ref().map(|r| r.complexity), Some(Complexity::Medium));
    scenario.judged(fail());
    assert_eq!((scenario.task.status(), scenario.task.attempts), (Status::NeedsReview, 3));
}

#[test]
fn a_failure_of_the_provider_moves_sideways_and_counts_no_attempt() {
    let mut scenario = Life::routed();
    scenario.alternatives = vec!["codex".into()];
    scenario.run_ends(failed(FailureClass::RateLimited));
    assert_eq!(scenario.task.route.as_ref().map(|r| r.agent.as_str()), Some("codex"));
    assert!(matches!(scenario.next(), (_, false, None)));
    scenario.run_ends(finished());
    assert_eq!(scenario.task.attempts, 1);
}

#[test]
fn without_another_agent_a_rate_limit_waits_and_refused_credentials_ask() {
    let mut waiting = Life::routed();
    waiting.run_ends(failed(FailureClass::RateLimited));
    assert_eq!(waiting.next().2, Some(now() + SignedDuration::from_secs(60)));
    let mut asking = Life::routed();
    asking.run_ends(failed(FailureClass::Auth));
    assert_eq!(asking.task.status(), Status::NeedsReview);
}

#[test]
fn an_outage_of_a_day_asks_nobody_and_is_tried_less_and_less_often() {
    let mut scenario = Life::routed();
    let mut pauses = Vec::new();
    for _ in 1..MAX_OUTAGE_FAILURES {
        scenario.run_ends(failed(FailureClass::Network));
        pauses.push(scenario.next().2.expect("a time").duration_since(now()).as_secs());
    }
    assert_eq!(pauses[..6], [30, 61, 123, 247, 495, 928]);
    assert!(pauses.iter().sum::<i64>() >= 24 * 3600 && pauses.is_sorted() && scenario.task.attempts == 1);
    scenario.run_ends(failed(FailureClass::Network));
    assert_eq!(scenario.task.status(), Status::NeedsReview, "nobody calls that an outage any more");
}

#[test]
fn tasks_that_an_outage_hit_together_do_not_come_back_together() {
    let second_try = |id| {
        let mut scenario = Life::routed();
        scenario.task.id = TaskId(id);
        (0..2).for_each(|_| drop(scenario.run_ends(failed(FailureClass::Overloaded))));
        scenario.next().2
    };
    let all: std::collections::BTreeSet<_> = (1..=8).map(second_try).collect();
    assert_eq!(all.len(), 8);
}

#[test]
fn a_time_that_the_provider_names_is_believed_until_it_has_been_wrong_six_times() {
    let mut scenario = Life::routed();
    let soon = now() + SignedDuration::from_secs(2);
    let text = || Outcome::Failed(Failure { retry_at: Some(soon), ..Failure::new(FailureClass::RateLimited, "why") });
    for _ in 0..6 {
        scenario.run_ends(text());
        assert_eq!(scenario.next().2, Some(soon));
    }
    scenario.run_ends(text());
    assert!(scenario.next().2.is_some_and(|at| at > now() + SignedDuration::from_secs(600)));
}

#[test]
fn a_pinned_agent_is_never_exchanged() {
    let mut scenario = Life::routed();
    scenario.task.spec.labels = vec!["agent:claude".into()];
    scenario.alternatives = vec!["codex".into()];
    scenario.run_ends(failed(FailureClass::Overloaded));
    assert_eq!(scenario.task.route.as_ref().map(|r| r.agent.as_str()), Some("claude"));
    assert!(scenario.next().2.is_some());
}

#[test]
fn a_malformed_answer_is_asked_for_once_more_and_then_fails() {
    let mut scenario = Life::routed();
    scenario.run_ends(failed(FailureClass::Malformed));
    assert!(matches!(scenario.next(), (NextRun::Again { resume: true, .. }, false, None)));
    scenario.run_ends(failed(FailureClass::Malformed));
    assert!(matches!(scenario.next(), (_, true, None)), "the second time it is a failed attempt");
    assert_eq!(scenario.task.attempts, 1);
}

#[test]
fn a_limit_is_waited_for_as_long_as_the_provider_says_unless_that_is_beyond_belief() {
    for (hours, waits) in [(7 * 24, SignedDuration::from_hours(7 * 24)), (365 * 24, SignedDuration::from_secs(60))] {
        let mut scenario = Life::routed();
        let text = Some(now() + SignedDuration::from_hours(hours));
        scenario
            .run_ends(Outcome::Failed(Failure { retry_at: text, ..Failure::new(FailureClass::RateLimited, "wait") }));
        assert_eq!(scenario.next().2, Some(now() + waits));
    }
}

#[test]
fn a_conversation_that_is_lost_every_time_ends_with_a_person() {
    for between in [None, Some(FailureClass::RateLimited)] {
        let mut scenario = Life::routed();
        let mut runs = 0;
        // An outage beside it has its own patience, and no more than that.
        let most = between.map_or(60, |_| MAX_OUTAGE_FAILURES);
        while scenario.task.status() == Status::Routed && runs < most {
            // Its CLI names a conversation each time, and finds none.
            scenario.run_ends(failed(FailureClass::SessionLost));
            if let Some(between) = between.filter(|_| scenario.task.status() == Status::Routed) {
                scenario.run_ends(failed(between));
            }
            runs += 1;
        }
        assert_eq!(scenario.task.status(), Status::NeedsReview, "after {runs} runs, {between:?} between them");
    }
}

#[test]
fn a_conflict_is_retried_once_and_then_asks() {
    let mut scenario = Life::routed();
    let conflict = || IntegrationProblem::Work(Failure::new(FailureClass::Conflict, "a.txt"));
    let run = scenario.judged(Verdict::Accept);
    scenario.event(Event::NotIntegrated { run, problem: conflict() });
    assert!(matches!(scenario.next(), (NextRun::Again { .. }, false, None)));
    let run = scenario.judged(Verdict::Accept);
    scenario.event(Event::NotIntegrated { run, problem: conflict() });
    assert_eq!(scenario.task.status(), Status::NeedsReview);
}

#[test]
fn a_run_that_is_cancelled_ends_cancelled_whatever_it_reports() {
    let mut scenario = Life::routed();
    let run = scenario.launch();
    scenario.event(Event::CancelAsked { reason: "no".into() });
    assert_eq!(scenario.task.status(), Status::InProgress, "until the agent is gone");
    let ending = Box::new(Ending::default());
    scenario.event(Event::RunEnded { run, agent: "claude".into(), model: None, ending, outcome: finished() });
    assert_eq!(scenario.task.status(), Status::Cancelled);
}

#[test]
fn who_is_asked_by_an_agent_is_offered_to_answer_it() {
    for (kind, first) in [(QuestionKind::Question, "send 1 \"…\""), (QuestionKind::Failed, "retry 1")] {
        let mut scenario = Life::routed();
        scenario.judged(Verdict::Ask { question: "which?".into(), kind });
        assert_eq!(scenario.task.question().expect("it asks").1[0], format!("orch task {first}"));
    }
}

#[test]
fn an_interrupted_task_waits_for_the_persons_word_and_goes_on_in_its_conversation() {
    let mut scenario = Life::routed();
    let run = scenario.launch();
    scenario.event(Event::InterruptAsked);
    scenario.event(Event::InterruptAsked);
    assert!(scenario.try_event(&Event::MessageWaits).is_err(), "the agent is still there");
    let ending = Box::new(Ending { session_id: Some("s".into()), ..Ending::default() });
    scenario.event(Event::RunEnded { run, agent: "claude".into(), model: None, ending, outcome: finished() });
    let State::NeedsReview { question, choices, .. } = &scenario.task.state else {
        panic!("{:?}", scenario.task.state)
    };
    assert!(question.starts_with("interrupted by you; `orch task send 1 "), "{question}");
    assert!(choices[0].starts_with("orch task send 1 "), "{choices:?}");
    scenario.event(Event::MessageWaits);
    assert_eq!(scenario.next(), (&NextRun::Said, false, None));
    assert_eq!(scenario.task.conversation.as_ref().map(|talk| talk.session_id.as_str()), Some("s"));
    scenario.run_ends(finished());
    assert_eq!(scenario.task.attempts, 1, "it is the same attempt");
}

#[test]
fn what_a_shutdown_interrupts_goes_on_in_its_conversation_and_counts_no_attempt() {
    let mut scenario = Life::routed();
    for _ in 0..5 {
        let run = scenario.launch();
        scenario.event(Event::ShutdownAsked);
        let ending = Box::new(Ending { session_id: Some("s".into()), ..Ending::default() });
        let outcome = Outcome::Cancelled { detail: "stopped".into() };
        scenario.event(Event::RunEnded { run, agent: "claude".into(), model: None, ending, outcome });
        assert_eq!(scenario.next(), (&NextRun::Resumed { before: None }, false, None));
        assert_eq!(scenario.task.conversation.as_ref().map(|talk| talk.session_id.as_str()), Some("s"));
    }
    scenario.judged(Verdict::Accept);
    assert_eq!((scenario.task.attempts, scenario.task.tier_failures), (1, 0));
}

#[test]
fn what_ends_before_it_hears_of_a_shutdown_counts_as_what_it_is() {
    let ends = |outcome| {
        let mut scenario = Life::routed();
        let run = scenario.launch();
        scenario.event(Event::ShutdownAsked);
        let event = Event::RunEnded { run, agent: "claude".into(), model: None, ending: Box::default(), outcome };
        scenario.event(event);
        scenario
    };
    assert_eq!(ends(finished()).task.status(), Status::InReview);
    let mut failing = ends(failed(FailureClass::ChecksFailed));
    assert_eq!(failing.task.tier_failures, 1);
    // Interrupted once more, a new agent still hears what went wrong before.
    let run = failing.launch();
    failing.event(Event::ShutdownAsked);
    failing.event(Event::LaunchFailed { run, problem: LaunchProblem::Ask("?".into()) });
    let NextRun::Resumed { before: Some(before) } = failing.next().0 else { panic!("{:?}", failing.task.state) };
    assert_eq!(before.class, FailureClass::ChecksFailed);
    assert_eq!(ends(failed(FailureClass::Killed)).next().0, &NextRun::Resumed { before: None });
}

#[test]
fn a_persons_word_outweighs_a_shutdown() {
    for (event, status) in [
        (Event::CancelAsked { reason: "no".into() }, Status::Cancelled),
        (Event::RetryAsked, Status::New),
        (Event::InterruptAsked, Status::NeedsReview),
    ] {
        for person_first in [true, false] {
            let mut scenario = Life::routed();
            let run = scenario.launch();
            let both = [event.clone(), Event::ShutdownAsked];
            let both = if person_first { both } else { [Event::ShutdownAsked, event.clone()] };
            for event in both {
                scenario.event(event);
            }
            let outcome = Outcome::Cancelled { detail: "stopped".into() };
            let ending = Box::default();
            scenario.event(Event::RunEnded { run, agent: "claude".into(), model: None, ending, outcome });
            assert_eq!(scenario.task.status(), status);
        }
    }
}

#[test]
fn a_message_takes_up_a_task_that_asks_or_is_accepted_and_waits_for_every_other() {
    let mut asking = Life::routed();
    asking.judged(Verdict::Ask { question: "which database?".into(), kind: QuestionKind::Question });
    asking.event(Event::MessageWaits);
    assert_eq!(asking.next().0, &NextRun::Said);
    let mut unrouted = Life::new();
    unrouted.event(Event::RouteImpossible { reason: "no agent".into() });
    unrouted.event(Event::MessageWaits);
    assert_eq!(unrouted.task.status(), Status::New);
    let mut accepted = Life::routed();
    accepted.run_ends(finished());
    assert!(accepted.try_event(&Event::MessageWaits).is_err(), "what the run left is not judged yet");
    accepted.judged_by(Verdict::Accept);
    accepted.event(Event::MessageWaits);
    assert_eq!(accepted.next().0, &NextRun::Said);
    for mut scenario in [Life::new(), Life::routed()] {
        assert!(scenario.try_event(&Event::MessageWaits).is_err());
        assert!(scenario.try_event(&Event::InterruptAsked).is_err(), "nobody works");
    }
}

#[test]
fn reports_of_another_run_are_refused() {
    let mut scenario = Life::routed();
    scenario.launch();
    let late = Event::Judged {
        run: run_id(99),
        verdict: Verdict::Accept,
        evidence: Evidence::default(),
        reviewers: Reviewers::Nobody,
    };
    assert!(matches!(scenario.try_event(&late), Err(Refused::Stale { .. })));
}

#[test]
fn a_run_that_could_not_start_gives_its_attempt_back() {
    let mut scenario = Life::routed();
    let run = scenario.launch();
    scenario.event(Event::LaunchFailed { run, problem: LaunchProblem::MissingDir("/gone".into()) });
    assert_eq!((scenario.task.status(), scenario.task.attempts), (Status::Blocked, 0));
}

#[test]
fn an_attempt_that_is_blocked_before_it_goes_on_is_counted_once() {
    let mut scenario = Life::routed();
    for _ in 0..2 {
        scenario.run_ends(failed(FailureClass::ChecksFailed));
    }
    scenario.run_ends(failed(FailureClass::RateLimited));
    assert_eq!(
        (scenario.next().1, scenario.task.attempts),
        (false, 3),
        "the provider failed: the third attempt goes on"
    );
    scenario.event(Event::Blocked(BlockedOn::Dependencies { tasks: vec![TaskId(2)] }));
    scenario.event(Event::Unblocked);
    scenario.event(Event::RouteChosen { route: route("claude", Complexity::Simple), failed: false });
    scenario.launch();
    assert_eq!(scenario.task.attempts, 3, "it is still the third");
}

#[test]
fn a_task_that_waits_for_itself_asks_and_names_the_circle() {
    let mut scenario = Life::routed();
    let id = scenario.task.id;
    scenario.event(Event::WaitsForItself(vec![TaskId(8), id, TaskId(9)]));
    let (question, choices) = scenario.task.question().expect("it asks a person");
    assert!(question.starts_with(&format!("waits for itself: {id} → 9 → 8 → {id};")), "{question}");
    assert!(choices.contains(&format!("orch task unblock {id}")));
    scenario.event(Event::UnblockAsked);
    assert_eq!(scenario.task.status(), Status::New, "it is looked at again");
}

#[test]
fn a_task_that_is_cancelled_while_it_runs_is_not_past_the_pause_when_it_is_taken_up_again() {
    let mut scenario = Life::routed();
    scenario.event(Event::RunAsked { past_pause: true });
    let run = scenario.launch();
    scenario.event(Event::CancelAsked { reason: "no".into() });
    let (ending, outcome) = (Box::default(), Outcome::Cancelled { detail: "stopped".into() });
    scenario.event(Event::RunEnded { run, agent: "claude".into(), model: None, ending, outcome });
    assert_eq!(scenario.task.status(), Status::Cancelled);
    scenario.event(Event::RetryAsked);
    assert_eq!((scenario.task.status(), scenario.task.run_now, scenario.task.past_pause), (Status::New, false, false));
}

fn ruled(ruling: ReviewDecision) -> Event {
    Event::Ruled { run: run_id(1), ruling, by: None }
}

fn with(state: IntegrationState) -> Integration {
    Integration { mode: IntegrateMode::Merge, state, commit: Some("0123456789ab".into()), restored: None }
}

/// A task whose agent asks a person.
fn asking() -> Life {
    let mut scenario = Life::routed();
    scenario.judged(Verdict::Ask { question: "which?".into(), kind: QuestionKind::Question });
    let place = Workplace { branch: "b".into(), worktree: "/w".into(), ..Workplace::default() };
    scenario.event(Event::Placed { place });
    scenario
}

#[test]
fn a_person_accepts_what_an_agent_asks_about_at_the_commit_that_they_saw() {
    let mut scenario = asking();
    scenario.event(ruled(ReviewDecision::Approve { commit: "abc".into() }));
    let order = scenario.task.order().expect("it is ordered");
    assert_eq!((order.kind, order.commit.as_str(), order.at), (OrderKind::Approve, "abc", now()));
    // Uncommitted changes of the person's change nothing about that.
    let wait =
        IntegrationProblem::Wait(Postponed { detail: "dirty".into(), until: now(), reason: HoldReason::BaseDirty });
    scenario.event(Event::NotIntegrated { run: run_id(1), problem: wait });
    assert_eq!(scenario.task.order().map(|order| order.kind), Some(OrderKind::Approve));
    scenario.event(Event::Integrated { run: run_id(1), integration: with(IntegrationState::Merged) });
    assert_eq!(scenario.task.state, State::Done);
    for ruling in [ReviewDecision::Approve { commit: "abc".into() }, ReviewDecision::Reject { reason: "no".into() }] {
        assert!(matches!(scenario.try_event(&ruled(ruling)), Err(Refused::State { status: Status::Done, .. })));
    }
}

#[test]
fn what_a_person_rejects_goes_back_to_its_conversation_and_counts_no_attempt() {
    let mut scenario = asking();
    let before = scenario.task.attempts;
    scenario.event(ruled(ReviewDecision::Reject { reason: "keep the name".into() }));
    let feedback = Feedback { class: FailureClass::ReviewRejected, detail: "keep the name".into(), conflict: None };
    assert_eq!(scenario.next(), (&NextRun::Again { feedback, resume: true }, false, None));
    scenario.launch();
    assert_eq!(scenario.task.attempts, before);
    assert!(scenario.try_event(&ruled(ReviewDecision::Reject { reason: "no".into() })).is_err());
}

#[test]
fn a_merge_is_taken_back_once_and_the_person_says_what_then() {
    let mut scenario = asking();
    assert!(scenario.try_event(&ruled(ReviewDecision::Revert)).is_err(), "nothing is merged");
    scenario.event(ruled(ReviewDecision::Merge { commit: "abc".into() }));
    let failure = Failure::new(FailureClass::ChecksFailed, "check `make` failed");
    let red = IntegrationProblem::Red { integration: with(IntegrationState::Merged), failure: Box::new(failure) };
    scenario.event(Event::NotIntegrated { run: run_id(1), problem: red });
    let (question, choices) = scenario.task.question().expect("it asks");
    assert!(question.contains("since 0123456789 was merged: check `make` failed"), "{question}");
    assert_eq!(choices[0], "orch task revert 1");
    scenario.event(ruled(ReviewDecision::Revert));
    assert_eq!(scenario.task.order().map(|order| order.commit.as_str()), Some("0123456789ab"));
    scenario.event(Event::Integrated { run: run_id(1), integration: with(IntegrationState::Reverted) });
    assert!(scenario.task.question().is_some_and(|(question, _)| question.contains("taken back")));
    assert!(scenario.try_event(&ruled(ReviewDecision::Revert)).is_err(), "it is taken back already");
}

fn any_class() -> impl Strategy<Value = FailureClass> {
    prop::sample::select(FailureClass::ALL.to_vec())
}

proptest! {
    /// Whatever fails, however often: attempts stay within the limit, and the task ends with a person.
    #[test]
    fn failures_end_after_a_bounded_number_of_runs(classes in prop::collection::vec(any_class(), 80)) {
        let mut scenario = Life::routed();
        let mut runs = 0;
        for class in classes {
            if scenario.task.status() != Status::Routed {
                break;
            }
            scenario.run_ends(failed(class));
            runs += 1;
            prop_assert!(scenario.task.attempts <= 3);
        }
        prop_assert_eq!(scenario.task.status(), Status::NeedsReview);
        prop_assert!(runs <= 40, "{} runs", runs);
    }

    /// No event leaves a final state but those of a person.
    #[test]
    fn final_states_are_left_only_by_a_person(class in any_class()) {
        for state in [State::Done, State::Cancelled { reason: "x".into() }] {
            let mut scenario = Life::routed();
            scenario.task.state = state.clone();
            let own = [
                Event::RouteAsked { run: run_id(1) },
                Event::RouteChosen { route: route("codex", Complexity::Simple), failed: false },
                Event::Launched { run: run_id(1) },
                Event::RunEnded { run: run_id(1), agent: "a".into(), model: None, ending: Box::default(), outcome: failed(class) },
                Event::Judged { run: run_id(1), verdict: Verdict::Accept, evidence: Evidence::default(), reviewers: Reviewers::Nobody },
                Event::IntegrationDue,
                Event::MessageWaits,
                Event::ShutdownAsked,
                Event::Unblocked,
                Event::Blocked(BlockedOn::Dependencies { tasks: vec![] }),
                Event::WaitsForItself(vec![TaskId(1)]),
            ];
            for event in &own {
                prop_assert!(scenario.try_event(event).is_err());
                prop_assert_eq!(&scenario.task.state, &state);
            }
            scenario.event(Event::RetryAsked);
            prop_assert_eq!(scenario.task.status(), Status::New);
        }
    }
}

#[test]
fn what_has_cost_as_much_as_it_may_is_not_tried_again_without_a_word() {
    let mut scenario = Life::routed();
    scenario.bounds.max_cost = Usd::from_dollars(2.0);
    scenario.task.cost = Usd::from_dollars(1.5);
    scenario.run_ends(failed(FailureClass::ChecksFailed));
    assert_eq!(scenario.task.status(), Status::Routed, "there is something left");
    scenario.task.cost = Usd::from_dollars(2.5);
    scenario.run_ends(failed(FailureClass::ChecksFailed));
    let State::NeedsReview { question, .. } = &scenario.task.state else { panic!("{:?}", scenario.task.state) };
    assert!(question.starts_with("it has cost $2.50, of $2.00 at most"), "{question}");
    assert!(question.contains(&format!("orch task edit {} --add-label max-cost:4", scenario.task.id)), "{question}");
}

#[test]
fn work_that_fails_twice_goes_up_and_climbs_no_higher_than_it_may() {
    let mut scenario = Life::routed();
    scenario.bounds.max_attempts = 9;
    scenario.bounds.escalation.ladder =
        ["claude/haiku", "claude/sonnet", "claude/opus"].map(|rung| rung.parse().expect("a rung")).into();
    scenario.bounds.escalation.max_steps = 1;
    let mut models = Vec::new();
    for _ in 0..4 {
        scenario.run_ends(failed(FailureClass::ChecksFailed));
        models.extend(scenario.task.route.as_ref().and_then(|route| route.model.clone()));
    }
    assert_eq!(models, ["claude-simple", "sonnet", "sonnet", "sonnet"], "on no rung, it begins at the second");
    assert_eq!((scenario.task.steps_up, scenario.task.tier_failures), (1, 2));
}
