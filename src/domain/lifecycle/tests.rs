//! Scenarios of a task's life, and what must hold for every one of them.

use super::*;
use crate::domain::answer::{Answer, AnswerStatus};
use crate::domain::evidence::{IntegrateMode, IntegrationState};
use crate::domain::ids::TaskId;
use crate::domain::outcome::FailureClass;
use crate::domain::route::{AgentProfile, Complexity};
use crate::domain::task::{FileState, Spec};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

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
    runs: u32,
}

impl Life {
    fn new() -> Self {
        let spec = Spec { title: "t".into(), ..Spec::default() };
        Self { task: Task::new(TaskId(1), spec, FileState::Pending, now()), alternatives: vec![], runs: 0 }
    }

    fn try_event(&mut self, event: &Event) -> Result<(), Refused> {
        let model_for = |complexity: Complexity, agent: &str| Some(format!("{agent}-{complexity}"));
        let context = Context { now: now(), max_attempts: 3, alternatives: &self.alternatives, model_for: &model_for };
        self.task = step(&self.task, event, &context)?;
        Ok(())
    }

    #[track_caller]
    fn event(&mut self, event: Event) -> &mut Self {
        self.try_event(&event).expect("the event fits");
        self
    }

    fn routed() -> Self {
        let mut life = Self::new();
        life.event(Event::RouteChosen { route: route("claude", Complexity::Simple), failed: false });
        life
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
        self.event(Event::RunEnded { run: run.clone(), agent: "claude".into(), ending, outcome });
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
        self.event(Event::Judged { run: run.clone(), verdict, evidence: Evidence::default() });
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
    let mut life = Life::routed();
    let run = life.judged(Verdict::Accept);
    assert_eq!(life.task.status(), Status::InReview);
    let integration =
        Integration { mode: IntegrateMode::Merge, state: IntegrationState::Merged, commit: Some("c".into()) };
    life.event(Event::Integrated { run, integration });
    assert_eq!((life.task.status(), life.task.attempts), (Status::Done, 1));
}

#[test]
fn failed_work_is_repeated_in_its_conversation_then_moves_up_then_asks() {
    let mut life = Life::routed();
    let fail = || Verdict::Fail(Failure::new(FailureClass::ChecksFailed, "red"));
    life.judged(fail());
    assert!(matches!(life.next(), (NextRun::Again { resume: true, .. }, true, None)));
    life.judged(fail());
    assert!(matches!(life.next(), (NextRun::Again { resume: false, .. }, true, None)));
    assert_eq!(life.task.route.as_ref().map(|r| r.complexity), Some(Complexity::Medium));
    life.judged(fail());
    assert_eq!((life.task.status(), life.task.attempts), (Status::NeedsReview, 3));
}

#[test]
fn a_failure_of_the_provider_moves_sideways_and_counts_no_attempt() {
    let mut life = Life::routed();
    life.alternatives = vec!["codex".into()];
    life.run_ends(failed(FailureClass::RateLimited));
    assert_eq!(life.task.route.as_ref().map(|r| r.agent.as_str()), Some("codex"));
    assert!(matches!(life.next(), (_, false, None)));
    life.run_ends(finished());
    assert_eq!(life.task.attempts, 1);
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
fn a_pinned_agent_is_never_exchanged() {
    let mut life = Life::routed();
    life.task.spec.labels = vec!["agent:claude".into()];
    life.alternatives = vec!["codex".into()];
    life.run_ends(failed(FailureClass::Overloaded));
    assert_eq!(life.task.route.as_ref().map(|r| r.agent.as_str()), Some("claude"));
    assert!(life.next().2.is_some());
}

#[test]
fn a_malformed_answer_is_asked_for_once_more_and_then_fails() {
    let mut life = Life::routed();
    life.run_ends(failed(FailureClass::Malformed));
    assert!(matches!(life.next(), (NextRun::Again { resume: true, .. }, false, None)));
    life.run_ends(failed(FailureClass::Malformed));
    assert!(matches!(life.next(), (_, true, None)), "the second time it is a failed attempt");
    assert_eq!(life.task.attempts, 1);
}

#[test]
fn a_conflict_is_retried_once_and_then_asks() {
    let mut life = Life::routed();
    let conflict = || IntegrationProblem::Work(Failure::new(FailureClass::Conflict, "a.txt"));
    let run = life.judged(Verdict::Accept);
    life.event(Event::NotIntegrated { run, problem: conflict() });
    assert!(matches!(life.next(), (NextRun::Again { .. }, false, None)));
    let run = life.judged(Verdict::Accept);
    life.event(Event::NotIntegrated { run, problem: conflict() });
    assert_eq!(life.task.status(), Status::NeedsReview);
}

#[test]
fn a_run_that_is_cancelled_ends_cancelled_whatever_it_reports() {
    let mut life = Life::routed();
    let run = life.launch();
    life.event(Event::CancelAsked { reason: "no".into() });
    assert_eq!(life.task.status(), Status::InProgress, "until the agent is gone");
    let ending = Box::new(Ending::default());
    life.event(Event::RunEnded { run, agent: "claude".into(), ending, outcome: finished() });
    assert_eq!(life.task.status(), Status::Cancelled);
}

#[test]
fn an_interrupted_task_waits_for_the_persons_word_and_goes_on_in_its_conversation() {
    let mut life = Life::routed();
    let run = life.launch();
    life.event(Event::InterruptAsked);
    life.event(Event::InterruptAsked);
    assert!(life.try_event(&Event::MessageWaits).is_err(), "the agent is still there");
    let ending = Box::new(Ending { session_id: Some("s".into()), ..Ending::default() });
    life.event(Event::RunEnded { run, agent: "claude".into(), ending, outcome: finished() });
    let State::NeedsReview { question, choices } = &life.task.state else { panic!("{:?}", life.task.state) };
    assert!(question.starts_with("interrupted by you; `orch task send 1 "), "{question}");
    assert!(choices[0].starts_with("orch task send 1 "), "{choices:?}");
    life.event(Event::MessageWaits);
    assert_eq!(life.next(), (&NextRun::Said, false, None));
    assert_eq!(life.task.conversation.as_ref().map(|talk| talk.session_id.as_str()), Some("s"));
    life.run_ends(finished());
    assert_eq!(life.task.attempts, 1, "it is the same attempt");
}

#[test]
fn a_message_takes_up_a_task_that_asks_or_is_accepted_and_waits_for_every_other() {
    let mut asking = Life::routed();
    asking.judged(Verdict::Ask { question: "which database?".into() });
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
    for mut life in [Life::new(), Life::routed()] {
        assert!(life.try_event(&Event::MessageWaits).is_err());
        assert!(life.try_event(&Event::InterruptAsked).is_err(), "nobody works");
    }
}

#[test]
fn reports_of_another_run_are_refused() {
    let mut life = Life::routed();
    life.launch();
    let late = Event::Judged { run: run_id(99), verdict: Verdict::Accept, evidence: Evidence::default() };
    assert!(matches!(life.try_event(&late), Err(Refused::Stale { .. })));
}

#[test]
fn a_run_that_could_not_start_gives_its_attempt_back() {
    let mut life = Life::routed();
    let run = life.launch();
    life.event(Event::LaunchFailed { run, problem: LaunchProblem::MissingDir("/gone".into()) });
    assert_eq!((life.task.status(), life.task.attempts), (Status::Blocked, 0));
}

fn any_class() -> impl Strategy<Value = FailureClass> {
    prop::sample::select(FailureClass::ALL.to_vec())
}

proptest! {
    /// Whatever fails, however often: attempts stay within the limit, and the task ends with a person.
    #[test]
    fn failures_end_after_a_bounded_number_of_runs(classes in prop::collection::vec(any_class(), 80)) {
        let mut life = Life::routed();
        let mut runs = 0;
        for class in classes {
            if life.task.status() != Status::Routed {
                break;
            }
            life.run_ends(failed(class));
            runs += 1;
            prop_assert!(life.task.attempts <= 3);
        }
        prop_assert_eq!(life.task.status(), Status::NeedsReview);
        prop_assert!(runs <= 40, "{} runs", runs);
    }

    /// No event leaves a final state but those of a person.
    #[test]
    fn final_states_are_left_only_by_a_person(class in any_class()) {
        for state in [State::Done, State::Cancelled { reason: "x".into() }] {
            let mut life = Life::routed();
            life.task.state = state.clone();
            let own = [
                Event::RouteAsked { run: run_id(1) },
                Event::RouteChosen { route: route("codex", Complexity::Simple), failed: false },
                Event::Launched { run: run_id(1) },
                Event::RunEnded { run: run_id(1), agent: "a".into(), ending: Box::default(), outcome: failed(class) },
                Event::Judged { run: run_id(1), verdict: Verdict::Accept, evidence: Evidence::default() },
                Event::IntegrationDue,
                Event::MessageWaits,
                Event::Unblocked,
                Event::Blocked(BlockedOn::Dependencies { tasks: vec![] }),
            ];
            for event in &own {
                prop_assert!(life.try_event(event).is_err());
                prop_assert_eq!(&life.task.state, &state);
            }
            life.event(Event::RetryAsked);
            prop_assert_eq!(life.task.status(), Status::New);
        }
    }
}
