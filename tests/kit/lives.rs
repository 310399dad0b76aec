//! Explores the sequences of events that a task can go through, over the pure state machine: all of them up to a depth, and
//! long random ones. Each must have no loop without a person, no attempt too many, and always a way to an end.

use super::dice::Dice;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_core::tasks::event::{Event, IntegrationProblem, LaunchProblem};
use orch_core::tasks::evidence::{Evidence, IntegrateMode, Integration, IntegrationState};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::judge::Verdict;
use orch_core::tasks::lifecycle::{Refused, step};
use orch_core::tasks::outcome::{Ending, Failure, FailureClass, Outcome};
use orch_core::tasks::retry::{Bounds, Context};
use orch_core::tasks::review::{Decision, Review, Reviewers};
use orch_core::tasks::review_decision::ReviewDecision;
use orch_core::tasks::route::{AgentProfile, Complexity, RouteResult};
use orch_core::tasks::task::{BlockedOn, FileState, Postponed, ReviewStage, Spec, State, Status, Task};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many runs may follow each other without a person's request.
pub const MOST_RUNS: u32 = 60;
/// The number of allowed attempts in the exhaustive search.
const MAX_ATTEMPTS: u32 = 2;

/// The cause of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The engine, or an agent.
    Itself,
    Person,
}

/// The settings of a task.
struct Terms {
    max_attempts: u32,
    alternatives: Vec<String>,
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn run_id(ordinal: u32) -> RunId {
    RunId::new(TaskId(1), ordinal, 7)
}

/// The run of every event; 99 is one that ended long ago.
fn current() -> RunId {
    run_id(1)
}

fn born() -> Task {
    let spec = Spec { title: "t".into(), ..Spec::default() };
    Task::new(TaskId(1), spec, FileState::Pending, now())
}

fn finished() -> Outcome {
    let none = Vec::new;
    let answer = Answer {
        status: AnswerStatus::Done,
        summary: "did it".into(),
        accomplished: none(),
        remaining: none(),
        files_changed: none(),
        blockers: none(),
        reason: String::new(),
        learnings: none(),
        delegations: Vec::new(),
        result: String::new(),
    };
    Outcome::Finished { answer }
}

fn failure(class: FailureClass) -> Failure {
    Failure::new(class, "why")
}

fn ended(run: RunId, outcome: Outcome, talks: bool) -> Event {
    let ending = Ending { session_id: talks.then(|| "s".to_owned()), ..Ending::default() };
    Event::RunEnded { run, agent: "claude".into(), model: None, ending: Box::new(ending), outcome }
}

fn judged(run: RunId, verdict: Verdict) -> Event {
    Event::Judged { run, verdict, evidence: Evidence::default(), reviewers: Reviewers::Nobody }
}

fn reviewed(decision: Decision) -> Event {
    let commit = Evidence::default().head;
    let (agent, notes) = (Some("codex".to_owned()), "notes".to_owned());
    let review =
        Review { decision, commit, agent, model: None, notes, test_results: String::new(), issues: Vec::new() };
    Event::Reviewed { run: current(), review }
}

fn with(state: IntegrationState) -> Integration {
    Integration { mode: IntegrateMode::Merge, state, commit: Some("2".into()), restored: None }
}

fn integrated(run: RunId) -> Event {
    Event::Integrated { run, integration: with(IntegrationState::Merged) }
}

/// The task is merged, and the base fails its checks all the same.
fn red() -> IntegrationProblem {
    let integration = with(IntegrationState::Merged);
    IntegrationProblem::Red { integration, failure: Box::new(failure(FailureClass::ChecksFailed)) }
}

fn ruled(ruling: ReviewDecision) -> Event {
    Event::Ruled { run: current(), ruling, by: None }
}

fn chosen() -> Event {
    let route = RouteResult {
        agent: "claude".into(),
        model: Some("claude-simple".into()),
        complexity: Complexity::Simple,
        reason: "test".into(),
        profile: AgentProfile::default(),
        selected_skills: Vec::new(),
        warning: None,
    };
    Event::RouteChosen { route, failed: false }
}

fn wait() -> IntegrationProblem {
    IntegrationProblem::Wait(Postponed { detail: "dirty".into(), until: now(), reason: HoldReason::BaseDirty })
}

/// Returns one event of each kind that the rules distinguish.
fn alphabet() -> Vec<(Cause, Event)> {
    use Cause::{Itself, Person};
    use FailureClass as C;
    let ends = |class, talks| ended(current(), Outcome::Failed(failure(class)), talks);
    let own = [
        Event::RouteAsked { run: current() },
        chosen(),
        Event::RouteImpossible { reason: "nobody".into() },
        Event::Launched { run: current() },
        Event::LaunchFailed { run: current(), problem: LaunchProblem::Ask("rebase".into()) },
        ended(current(), finished(), true),
        ends(C::RateLimited, false),
        ends(C::RateLimited, true),
        ends(C::Auth, false),
        ends(C::Malformed, true),
        ends(C::SessionLost, false),
        ends(C::SessionLost, true),
        judged(current(), Verdict::Accept),
        judged(current(), Verdict::Fail(failure(C::ChecksFailed))),
        Event::Judged {
            run: current(),
            verdict: Verdict::Accept,
            evidence: Evidence::default(),
            reviewers: Reviewers::Agent,
        },
        Event::ReviewAsked { run: current(), review: run_id(2) },
        reviewed(Decision::RequestChanges),
        Event::ReviewFailed { run: current(), agent: "codex".into(), failure: failure(C::Malformed), is_last: false },
        integrated(current()),
        Event::NotIntegrated { run: current(), problem: IntegrationProblem::Work(failure(C::Conflict)) },
        Event::NotIntegrated { run: current(), problem: wait() },
        Event::NotIntegrated { run: current(), problem: red() },
        Event::Integrated { run: current(), integration: with(IntegrationState::Reverted) },
        Event::IntegrationDue,
        Event::Blocked(BlockedOn::Dependencies { tasks: vec![TaskId(2)] }),
        Event::Unblocked,
    ];
    let asked = [
        Event::CancelAsked { reason: "no".into() },
        Event::InterruptAsked,
        Event::MessageWaits,
        Event::RetryAsked,
        Event::UnblockAsked,
        ruled(ReviewDecision::Approve { commit: "1".into() }),
        ruled(ReviewDecision::Merge { commit: "1".into() }),
        ruled(ReviewDecision::Revert),
        ruled(ReviewDecision::Reject { reason: "no".into() }),
        Event::RunAsked { past_pause: false },
        Event::RunAsked { past_pause: true },
    ];
    own.into_iter().map(|event| (Itself, event)).chain(asked.into_iter().map(|event| (Person, event))).collect()
}

fn step_it(task: &Task, event: &Event, terms: &Terms) -> Result<Task, Refused> {
    let model_for = |complexity: Complexity, agent: &str| Some(format!("{agent}-{complexity}"));
    let bounds = Bounds { max_attempts: terms.max_attempts, ..Bounds::default() };
    step(
        task,
        event,
        &Context {
            now: now(),
            bounds: &bounds,
            alternatives: &terms.alternatives,
            candidates: &terms.alternatives,
            routed: &terms.alternatives,
            model_for: &model_for,
            is_cooling: &|_, _| false,
            is_prepaid: &|_, _| false,
            cooling_until: &|_, _| None,
            policy: &|_| None,
        },
    )
}

/// Returns what distinguishes two tasks: everything except the number of runs, which only grows.
fn mark(task: &Task) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}{:?}{:?}", task.state, task.route, task.conversation.is_some()).hash(&mut hasher);
    let counts = (
        task.progress.attempts,
        task.progress.provider_failures,
        task.progress.conflicts,
        task.progress.tier_failures,
        task.progress.route_failures,
    );
    (task.progress.review_rounds, task.progress.failed_reviews.len()).hash(&mut hasher);
    (
        counts,
        task.progress.repaired,
        task.run_now,
        format!("{:?}", task.integration.as_ref().map(|integration| integration.state)),
    )
        .hash(&mut hasher);
    hasher.finish()
}

/// Returns the event that brings the task closest to its end.
fn good(task: &Task) -> Option<Event> {
    Some(match &task.state {
        State::New { .. } => chosen(),
        State::Routed { .. } => Event::Launched { run: current() },
        State::InProgress { run, .. } => ended(run.clone(), finished(), true),
        State::InReview { run, review: ReviewStage::Judging } => judged(run.clone(), Verdict::Accept),
        State::InReview { run, review: ReviewStage::Reviewing { review: None, .. } } => {
            Event::ReviewAsked { run: run.clone(), review: run_id(2) }
        }
        State::InReview { review: ReviewStage::Reviewing { review: Some(_), .. }, .. } => reviewed(Decision::Approve),
        State::InReview { run, review: ReviewStage::Integrating { .. } } => integrated(run.clone()),
        State::Blocked(_) => Event::Unblocked,
        State::NeedsReview { .. } => Event::UnblockAsked,
        State::Cancelled { .. } => Event::RetryAsked,
        State::Done => return None,
    })
}

fn reaches_its_end(mut task: Task, terms: &Terms) -> bool {
    for _ in 0..12 {
        let Some(event) = good(&task) else { return true };
        task = match step_it(&task, &event, terms) {
            Ok(next) => next,
            Err(_) => return false,
        };
    }
    false
}

/// The result of the exhaustive search.
#[derive(Debug, Default)]
pub struct Walked {
    /// The number of distinct states.
    pub states: usize,
    /// The longest chain of runs without a person; more than [`MOST_RUNS`] may be endless.
    pub most_runs: u32,
    /// The violations that were found.
    pub wrong: Vec<String>,
}

/// Explores every sequence of `depth` events; `alternatives` are the agents that could take over the task.
pub fn every_life(depth: usize, alternatives: &[&str]) -> Walked {
    let terms = Terms {
        max_attempts: MAX_ATTEMPTS,
        alternatives: alternatives.iter().map(|agent| (*agent).to_owned()).collect(),
    };
    let alphabet = alphabet();
    let mut wrong = Vec::new();
    let mut known = HashMap::from([(mark(&born()), 0_usize)]);
    let mut tasks = vec![born()];
    // (from, to, begins a run), for events without a person.
    let mut edges: Vec<(usize, usize, u32)> = Vec::new();
    let mut level = 0..1;
    for _ in 0..depth {
        for at in level.clone() {
            let before = tasks[at].clone();
            for (cause, event) in &alphabet {
                let Ok(next) = step_it(&before, event, &terms) else { continue };
                if next.progress.attempts > MAX_ATTEMPTS {
                    wrong.push(format!("{event:?} makes {} attempts of {before:?}", next.progress.attempts));
                }
                let seen = known.len();
                let to = *known.entry(mark(&next)).or_insert(seen);
                if to == tasks.len() {
                    tasks.push(next);
                }
                if *cause == Cause::Itself && to != at {
                    edges.push((at, to, u32::from(matches!(event, Event::Launched { .. }))));
                }
            }
        }
        level = level.end..tasks.len();
    }
    let endless = tasks.iter().filter(|task| !reaches_its_end(Task::clone(task), &terms));
    wrong.extend(endless.map(|task| format!("never ends: {task:?}")));
    Walked { states: tasks.len(), most_runs: most_runs(tasks.len(), &edges), wrong }
}

/// Returns the transitions between states, each with its events and whether a person causes them.
pub fn moves() -> BTreeMap<(&'static str, &'static str), BTreeSet<String>> {
    let terms = Terms { max_attempts: MAX_ATTEMPTS, alternatives: vec!["codex".to_owned()] };
    let alphabet = alphabet();
    let mut known = HashSet::from([mark(&born())]);
    let mut open = vec![born()];
    let mut found: BTreeMap<(&'static str, &'static str), BTreeSet<String>> = BTreeMap::new();
    for _ in 0..12 {
        for before in std::mem::take(&mut open) {
            for (cause, event) in &alphabet {
                let Ok(next) = step_it(&before, event, &terms) else { continue };
                let (from, to) = (before.status().as_str(), next.status().as_str());
                if from != to {
                    let who = if *cause == Cause::Person { " (a person)" } else { "" };
                    found.entry((from, to)).or_default().insert(format!("{}{who}", name_of(event)));
                }
                if known.insert(mark(&next)) {
                    open.push(next);
                }
            }
        }
    }
    found
}

/// `RunEnded` is "run ended".
fn name_of(event: &Event) -> String {
    let debug = format!("{event:?}");
    let name: String = debug.chars().take_while(char::is_ascii_alphanumeric).collect();
    let words =
        name.chars().flat_map(|c| c.is_ascii_uppercase().then_some(' ').into_iter().chain([c.to_ascii_lowercase()]));
    words.collect::<String>().trim_start().to_owned()
}

/// Returns the longest chain of runs without a person. A loop is cut off beyond [`MOST_RUNS`].
fn most_runs(states: usize, edges: &[(usize, usize, u32)]) -> u32 {
    let mut longest = vec![0; states];
    loop {
        let mut changed = false;
        for (from, to, run) in edges {
            let along = longest[*from] + run;
            if along > longest[*to] {
                longest[*to] = along;
                changed = true;
            }
        }
        let most = longest.iter().copied().max().unwrap_or_default();
        if !changed || most > MOST_RUNS {
            return most;
        }
    }
}

/// Returns a random event of the current run or of an old one.
fn any_event(dice: &mut Dice, alphabet: &[(Cause, Event)]) -> (Cause, Event) {
    let class = dice.pick(FailureClass::ALL);
    let late = run_id(99);
    match dice.below(20) {
        0..12 => alphabet[dice.at(alphabet.len())].clone(),
        12..16 => (Cause::Itself, ended(current(), Outcome::Failed(failure(class)), dice.below(2) == 0)),
        16..18 => (Cause::Itself, judged(current(), Verdict::Fail(failure(class)))),
        18 => (Cause::Person, Event::ShutdownAsked),
        _ => {
            let event = match dice.below(5) {
                0 => Event::Launched { run: late },
                1 => Event::LaunchFailed { run: late, problem: LaunchProblem::MissingDir("/gone".into()) },
                2 => judged(late, Verdict::Accept),
                3 => ended(late, finished(), false),
                _ => Event::RoutePostponed { until: now() },
            };
            (Cause::Itself, event)
        }
    }
}

/// Runs a long random sequence from a seed. Returns a violation, with the shortest sequence that shows it.
pub fn random_life(seed: u64) -> Option<String> {
    let mut dice = Dice::new(seed);
    let alphabet = alphabet();
    let others = [&[][..], &["codex"], &["codex", "opencode"]];
    let terms = Terms {
        max_attempts: u32::try_from(1 + dice.below(4)).expect("small"),
        alternatives: dice.pick(&others).iter().map(|agent| (*agent).to_owned()).collect(),
    };
    let mut task = born();
    task.spec.agent = (dice.below(4) == 0).then(|| "claude".to_owned());
    task.spec.model = (dice.below(4) == 0).then(|| "claude-simple".to_owned());
    let length = 1 + dice.at(60);
    let mut events: Vec<(Cause, Event)> = Vec::new();
    let mut at = task.clone();
    while events.len() < length {
        // Half of the events lead towards the end; otherwise few sequences get far.
        let event = match good(&at).filter(|_| dice.below(2) == 0) {
            Some(event @ (Event::UnblockAsked | Event::RetryAsked)) => (Cause::Person, event),
            Some(event) => (Cause::Itself, event),
            None => any_event(&mut dice, &alphabet),
        };
        at = step_it(&at, &event.1, &terms).unwrap_or(at);
        events.push(event);
    }
    let wrong = live(&task, &events, &terms).err()?;
    let mut at = 0;
    while at < events.len() {
        let mut fewer = events.clone();
        fewer.remove(at);
        if live(&task, &fewer, &terms).is_err() { events = fewer } else { at += 1 }
    }
    let messages: Vec<&Event> = events.iter().map(|(_, event)| event).collect();
    Some(format!("seed {seed}, {} attempts allowed: {wrong}, after {messages:?}", terms.max_attempts))
}

fn live(born: &Task, events: &[(Cause, Event)], terms: &Terms) -> Result<(), String> {
    let mut task = born.clone();
    let mut runs = 0;
    for (cause, event) in events {
        let before = task.clone();
        match step_it(&task, event, terms) {
            Ok(next) => task = next,
            Err(_) => continue,
        }
        runs = if *cause == Cause::Person { 0 } else { runs + (task.runs - before.runs.min(task.runs)) };
        let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what} ({event:?})")) };
        must(task.runs >= before.runs, "runs are forgotten")?;
        must(task.progress.attempts <= terms.max_attempts, "an attempt too many")?;
        must(runs <= MOST_RUNS, "runs follow each other, and nobody is asked")?;
        must(
            !matches!(task.state, State::InProgress { .. }) || task.progress.attempts >= 1,
            "it runs without an attempt",
        )?;
        must(task.status() != Status::Done || task.integration.is_some(), "it is done and not integrated")?;
    }
    if reaches_its_end(task.clone(), terms) { Ok(()) } else { Err(format!("it never ends: {task:?}")) }
}
