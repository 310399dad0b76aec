//! Every fact, stored and read back, in words.

use super::*;
use crate::base::ids::{RunId, TaskId};
use crate::base::money::Usd;
use crate::economics::budget::Scope;
use crate::operations::channel::ChannelKind;
use crate::operations::job::{CatchUp, Cause, CommandState, JobId};
use crate::operations::pause::{Pause, PauseScope};
use crate::operations::service::ShutdownMode;
use crate::planning::batch::{BatchName, Row};
use crate::planning::breaker::Target;
use crate::tasks::hold::HoldReason;
use crate::tasks::message::{MessageId, Via};
use crate::tasks::outcome::FailureClass;
use crate::tasks::review::Decision;
use crate::tasks::route::Complexity;
use crate::tasks::task::{BlockedOn, Status};
use jiff::Timestamp;
use std::collections::BTreeSet;

fn s(text: &str) -> String {
    text.to_owned()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn asks() -> Standing {
    Standing::Asks { question: s("Which way?") }
}

fn is(status: Status) -> Standing {
    Standing::Is { status }
}

fn task_facts() -> Vec<Fact> {
    let change = |field: &str| FieldChange { field: s(field), before: s("a"), after: s("b") };
    let (field, file, command) = (s("title"), s("a"), s("b"));
    let facts = [
        TaskFact::Added { title: s("Fix it"), over: None },
        TaskFact::Added { title: s("Fix it"), over: Some(Status::Done) },
        TaskFact::Made { title: s("Part"), part_of: Some(TaskId(1)) },
        TaskFact::Made { title: s("Nightly"), part_of: None },
        TaskFact::Edited { source: EditSource::Command, changes: vec![change("title"), change("body")] },
        TaskFact::Edited { source: EditSource::File, changes: vec![change("title")] },
        TaskFact::Removed,
        TaskFact::Returned { stays: None },
        TaskFact::Returned { stays: Some(Stays { task: TaskId(7), written: None, status: Status::Done }) },
        TaskFact::PutBack { why: PutBack::OldCopy },
        TaskFact::PutBack { why: PutBack::Asked },
        TaskFact::EditConflict(EditConflict::Status { task: TaskId(7), written: Status::New, status: Status::Done }),
        TaskFact::EditConflict(EditConflict::Field {
            field: field.clone(),
            file: file.clone(),
            command: command.clone(),
        }),
        TaskFact::EditConflict(EditConflict::Echo { field, file, command }),
        TaskFact::EditConflict(EditConflict::Cycle { cycle: s("2 → 4 → 2") }),
        TaskFact::EditRefused { cycle: s("2 → 4 → 2") },
        TaskFact::StatusRefused { status: Status::Done, reason: None },
        TaskFact::StatusRefused { status: Status::Done, reason: Some(s("it is orch's to set")) },
        TaskFact::Claimed { by: s("ada"), before: None },
        TaskFact::Unclaimed { by: s("ada"), before: Some(s("bob")) },
        TaskFact::ConversationLeft,
        TaskFact::Overlap { other: TaskId(3), file: s("src/a.rs") },
        TaskFact::CancelAsked { reason: s("cancelled by a person") },
        TaskFact::RetryAsked { before: Status::Done, then: is(Status::New) },
        TaskFact::UnblockAsked { before: Status::Blocked, then: is(Status::Routed) },
        TaskFact::GoesOn { before: Status::InReview, then: is(Status::Routed) },
        TaskFact::RunAsked { past_pause: true },
        TaskFact::InterruptAsked,
        TaskFact::ShutdownAsked,
        TaskFact::Blocked(BlockedOn::Dependencies { tasks: vec![TaskId(3), TaskId(4)] }),
        TaskFact::Blocked(BlockedOn::Children { tasks: vec![TaskId(3)] }),
        TaskFact::Blocked(BlockedOn::MissingDir { dir: "/work/shop".into() }),
        TaskFact::Unblocked,
        TaskFact::WaitsForItself { cycle: vec![TaskId(1), TaskId(2)], then: asks() },
        TaskFact::JournalDoubt { question: s("Was it merged?") },
    ];
    facts.into_iter().map(Fact::from).collect()
}

fn other_facts_of_tasks() -> Vec<Fact> {
    let (model, short) = (s("opus"), s("anthropic: $9.00 of $10.00 are spent"));
    let of = || PauseScope::Agent { name: s("claude") };
    let models = [
        ModelFact::Asked { model: model.clone() },
        ModelFact::Resolved { asked: s("sonnet"), model: None, reason: s("no tier") },
        ModelFact::Set { of: of(), model: model.clone(), by: s("ada") },
        ModelFact::Reset { of: of(), by: s("ada") },
        ModelFact::Kept { model: model.clone(), reason: s("the task names it"), short: short.clone() },
        ModelFact::Degraded { model: s("haiku"), choice: s("haiku instead of opus"), short },
    ];
    let messages = [
        MessageFact::Sent { text: s("go on") },
        MessageFact::Refused { message: MessageId(4), detail: s("not heard: the task is over") },
        MessageFact::Delivered { message: MessageId(4), via: Via::Live },
        MessageFact::Delivered { message: MessageId(4), via: Via::Prompt },
    ];
    models.into_iter().map(Fact::from).chain(messages.into_iter().map(Fact::from)).collect()
}

fn facts_of_work() -> Vec<Fact> {
    let choice = || Choice {
        agent: s("claude"),
        model: Some(s("opus")),
        complexity: Complexity::Simple,
        reason: s("a label"),
        warning: Some(s("odd")),
    };
    let (agent, model) = (s("claude"), Some(s("opus")));
    let again = Standing::Again { class: FailureClass::Network, detail: s("down") };
    let left = LeftBehind { at: at(0), version: s("0.1.0"), pid: 7, why: s("SIGTERM") };
    let routes = [
        RouteFact::Asked,
        RouteFact::Started { agent: agent.clone(), model: model.clone() },
        RouteFact::Chosen(choice()),
        RouteFact::Impossible { reason: s("no agent is installed") },
        RouteFact::Postponed { until: at(60) },
        RouteFact::ModelRefused { reason: s("no such model") },
        RouteFact::Rerouted { class: FailureClass::Auth, choice: Some(choice()) },
        RouteFact::Rerouted { class: FailureClass::Auth, choice: None },
    ];
    let runs = [
        RunFact::Launched { attempt: 1, from: Beginning::Prompt },
        RunFact::Launched { attempt: 2, from: Beginning::Shutdown },
        RunFact::Launched { attempt: 2, from: Beginning::Parts },
        RunFact::Placed { branch: s("orch/1-fix"), worktree: "/w/1".into() },
        RunFact::Started { agent: agent.clone(), model: None },
        RunFact::LaunchFailed { then: asks() },
        RunFact::Ended { end: RunEnd::Finished { summary: s("done") }, then: is(Status::InReview) },
        RunFact::Ended { end: RunEnd::Failed { class: FailureClass::Network, detail: s("down") }, then: again },
        RunFact::Ended { end: RunEnd::Cancelled { detail: s("by a person") }, then: Standing::Resumes },
        RunFact::Warned { warning: s("its log was cut") },
        RunFact::Adopted { agent: agent.clone(), left: Some(left) },
        RunFact::Adopted { agent: agent.clone(), left: None },
        RunFact::Judged {
            accepted: Some(s("checks pass")),
            commits: 1,
            files: 2,
            insertions: 3,
            deletions: 4,
            then: asks(),
        },
        RunFact::Judged { accepted: None, commits: 2, files: 1, insertions: 3, deletions: 4, then: asks() },
        RunFact::NotJudged { then: is(Status::InReview) },
        RunFact::HandedOn { made: vec![TaskId(2)], awaited: vec![TaskId(2), TaskId(3)] },
        RunFact::HandedOn { made: Vec::new(), awaited: vec![TaskId(3)] },
        RunFact::PartFailed { part: TaskId(2), then: asks() },
        RunFact::Recovered { silent_seconds: 130 },
        RunFact::Silent { seconds: 600 },
        RunFact::Died(Death::Gone { seconds: 5 }),
        RunFact::Died(Death::Reported { why: s("its pane is gone") }),
        RunFact::AskedAgent { text: s("are you still at work?") },
    ];
    let reviews = [
        ReviewFact::Asked { review: RunId::new(TaskId(1), 2, 7) },
        ReviewFact::Started { agent: agent.clone(), model },
        ReviewFact::Postponed { detail: s("nobody is free"), until: at(60) },
        ReviewFact::Made { reviewer: s("codex/gpt"), decision: Decision::RequestChanges, issues: 2, then: asks() },
        ReviewFact::Failed { agent, class: FailureClass::Malformed, detail: s("no JSON"), then: is(Status::InReview) },
    ];
    let (commit, by) = (s("0123456789abcdef"), Some(s("telegram user 42")));
    let landed = Some(commit.clone());
    let integrations = [
        IntegrationFact::Done(Landing::Kept { commit: landed.clone() }),
        IntegrationFact::Done(Landing::Merged { commit: landed.clone(), base: Some(s("main")) }),
        IntegrationFact::Reverted { commit: landed },
        IntegrationFact::Failed(NotIntegrated::Waits { reason: HoldReason::BaseDirty, detail: s("main is dirty") }),
        IntegrationFact::Failed(NotIntegrated::Stopped { then: Standing::Cancelled { reason: s("no") } }),
        IntegrationFact::Due,
        IntegrationFact::Approved { commit: commit.clone(), by: by.clone() },
        IntegrationFact::MergeAsked { commit, by: None },
        IntegrationFact::RevertAsked { by: by.clone() },
        IntegrationFact::Rejected { reason: s("not so"), by },
    ];
    let all = routes.into_iter().map(Fact::from).chain(runs.into_iter().map(Fact::from));
    all.chain(reviews.into_iter().map(Fact::from)).chain(integrations.into_iter().map(Fact::from)).collect()
}

fn facts_of_money_and_jobs() -> Vec<Fact> {
    let name = || "night".parse::<BatchName>().expect("a name");
    let job = || "nightly".parse::<JobId>().expect("a name");
    let due = |seconds| Due { at: at(seconds), local: s("2026-01-01 03:00 CET") };
    let (raise, cents) = (Some(s("orch budget configure")), Usd::from_micros(410_000));
    let row = Row { task: TaskId(1), title: s("Fix it"), status: Status::Done, spent: cents };
    let of = || Scope::Account(s("anthropic"));
    let run = |state| CommandRun { job: job(), state, exit_code: Some(3), duration_ms: 1500, last_line: Some(s("x")) };
    let money = [
        Spending::Short { of: Scope::Day, why: s("$9.00 of $10.00"), raise: None },
        Spending::Exhausted { of: of(), why: s("$10.00 of $10.00"), raise: raise.clone() },
        Spending::Exhausted { of: Scope::Project("/w".into()), why: s("$10.00"), raise: raise.clone() },
        Spending::Recorded { account: s("anthropic"), cost: None, note: Some(s("by hand")) },
        Spending::SampleRecorded {
            by: s("ada"),
            accepted: true,
            task_type: s("fix"),
            agent: s("claude"),
            model: s("opus"),
        },
    ];
    let budget = Some(cents);
    let batches = [
        BatchFact::Created { name: name(), tasks: vec![TaskId(1)], concurrency: 2, budget: None },
        BatchFact::Changed { name: name(), concurrency: 2, budget },
        BatchFact::Cancelled { name: name(), by: s("ada"), given_up: 1, tasks: 2 },
        BatchFact::Spent { name: name(), spent: cents, budget, raise },
        BatchFact::Ended(BatchEnd {
            name: name(),
            cancelled: false,
            rows: vec![row],
            spent: cents,
            budget,
            seconds: 90,
        }),
    ];
    let jobs = [
        JobFact::Added { job: job(), schedule: s("@daily"), enabled: false },
        JobFact::Changed { job: job(), schedule: s("@daily"), enabled: true },
        JobFact::Removed { job: job() },
        JobFact::Fired { job: job(), due: due(0), cause: Cause::Schedule, makes: Fired::Command },
        JobFact::Fired { job: job(), due: due(0), cause: Cause::Person, makes: Fired::Task },
        JobFact::Queued { job: job(), due: due(0) },
        JobFact::Skipped { job: job(), due: due(0), why: s("the one before is under way") },
        JobFact::Missed { job: job(), first: due(0), last: due(60), count: 2, more: false, catch_up: CatchUp::Once },
        JobFact::Ran(run(CommandState::Passed)),
        JobFact::Failed(JobFailure::Command(run(CommandState::Failed))),
        JobFact::Failed(JobFailure::Task { job: job(), due: due(0), why: s("no title") }),
    ];
    let all = money.into_iter().map(Fact::from).chain(batches.into_iter().map(Fact::from));
    all.chain(jobs.into_iter().map(Fact::from)).collect()
}

fn facts_of_the_daemon() -> Vec<Fact> {
    let target = || Target::agent("codex");
    let service = [
        ServiceFact::Lost { version: s("0.1.0"), pid: 7, why: s("no word of it") },
        ServiceFact::Respawns { used_mb: 700, limit_mb: 500 },
        ServiceFact::ShutsDown { mode: ShutdownMode::Drain, why: s("SIGTERM") },
        ServiceFact::Paused(Pause { scope: PauseScope::All, since: at(0), by: s("ada") }),
        ServiceFact::Resumed { of: PauseScope::Project { dir: "/w".into(), name: s("shop") }, by: s("ada") },
        ServiceFact::Hindered(Hindrance::Storage { since: at(0), error: s("the disk is full") }),
        ServiceFact::Hindered(Hindrance::Outside { detail: s("git is locked") }),
        ServiceFact::JournalRebuilt { cause: s("x"), tasks: 3, asked: 1, runs: 4, lost: 0, report: "/r".into() },
        ServiceFact::BreakerOpened { target: target(), until: Some(at(60)), failures: 5, detail: s("exit code 3") },
        ServiceFact::BreakerHalfOpen { target: target() },
        ServiceFact::BreakerClosed(BreakerClosed::Recovered { target: target() }),
        ServiceFact::BreakerClosed(BreakerClosed::ByHand { target: target() }),
        ServiceFact::BreakerClosed(BreakerClosed::CooldownEnded { name: s("codex") }),
    ];
    let (name, dir) = (s("shop"), std::path::PathBuf::from("/work/shop"));
    let rest = [
        FileFact::ConfigProblem { problems: vec![s("c:1:1: unknown key")] }.into(),
        FileFact::Problem(FileProblem::Read { problems: vec![s("a"), s("b")] }).into(),
        FileFact::Problem(FileProblem::NotWritten { refused: vec![s("task 3: it is no mapping")] }).into(),
        ProjectFact::Registered { name: name.clone(), dir: dir.clone() }.into(),
        ProjectFact::Removed { name, dir: dir.clone() }.into(),
        GcFact::Removed { worktree: dir.clone(), bytes: 10, with_branch: true }.into(),
        GcFact::Settled { worktree: dir, detail: s("it was put back") }.into(),
        ChannelFact::note(None, s("hello")).into(),
        ChannelFact::Stranger { text: s("telegram user 42: hello") }.into(),
    ];
    let notes = ChannelKind::ALL.map(|channel| ChannelFact::note(Some(channel), s("hello")).into());
    service.into_iter().map(Fact::from).chain(rest).chain(notes).collect()
}

fn every_fact() -> Vec<Fact> {
    [task_facts(), other_facts_of_tasks(), facts_of_work(), facts_of_money_and_jobs(), facts_of_the_daemon()].concat()
}

#[test]
fn every_kind_has_a_fact_here_and_stands_once() {
    let here: BTreeSet<String> = every_fact().iter().map(|fact| fact.kind().to_owned()).collect();
    let all: Vec<&str> = KINDS.concat();
    let missing: Vec<&&str> = all.iter().filter(|kind| !here.contains(**kind)).collect();
    assert!(missing.is_empty(), "no fact of {missing:?} is tried");
    assert_eq!(all.len(), here.len(), "each kind stands once");
    let lists = CONFLICTS.iter().chain(&OF_ATTEMPTS).chain([&ACCEPTED, &REVERTED]);
    assert!(lists.clone().all(|kind| all.contains(kind)), "{:?}", lists.collect::<Vec<_>>());
}

#[test]
fn every_fact_reads_back_from_its_data_and_makes_a_sentence() {
    for fact in every_fact() {
        let data = fact.data().expect("it can be stored");
        assert!(data.is_object(), "{}: {data}", fact.kind());
        let stored = serde_json::from_str(&data.to_string()).expect("JSON");
        assert_eq!(Fact::read(fact.kind(), fact.version(), &stored), fact, "{data}");
        assert!(!fact.text().trim().is_empty(), "{fact:?}");
    }
}

/// Rows of the history are never written anew: a fact whose stored form changes is a fact of another version.
#[test]
fn every_fact_is_stored_as_it_was_recorded() {
    let line = |fact: Fact| format!("{} {} {}\n", fact.kind(), fact.version(), fact.data().expect("it can be stored"));
    let stored: String = every_fact().into_iter().map(line).collect();
    assert_eq!(stored, include_str!("../../../../../tests/fixtures/facts.txt"));
}

#[test]
fn what_is_not_known_stays_as_it_is() {
    let old = Fact::Untyped { kind: s("run_ended"), text: s("finished") };
    assert_eq!(Fact::read("run_ended", old.version(), &old.data().expect("data")), old);
    assert_eq!((old.text(), old.is_of_an_attempt(), old.question()), (s("finished"), true, None));
    let newer = Fact::read("task_added", VERSION + 1, &serde_json::json!({ "name": "x" }));
    assert_eq!(newer, Fact::Untyped { kind: s("task_added"), text: s("{\"name\":\"x\"}") });
    let unknown = Fact::read("teleported", VERSION, &serde_json::json!({}));
    assert_eq!(unknown.kind(), "teleported");
}

#[test]
fn sentences_say_what_happened() {
    let rendered: Vec<(String, String)> =
        every_fact().iter().map(|fact| (fact.kind().to_owned(), fact.text())).collect();
    for (kind, text) in [
        ("task_edited", "by a command: title: a → b; body: a → b"),
        ("run_ended", "network: down; again after network: down"),
        ("judged", "2 commits, +3 −4 in 1 file; needs_review: Which way?"),
        ("reviewed", "review by codex/gpt: request_changes (2 notes); needs_review: Which way?"),
        ("done", "merged into main as 0123456789"),
        ("not_integrated", "waits: main is dirty"),
        ("approved", "a person (telegram user 42) accepts it as it is at 0123456789"),
        ("blocked", "waits for #3, #4"),
        ("job_failed", "nightly: its command failed, exit code 3, 1.5 s: x"),
        (
            "budget_exhausted",
            "anthropic: $10.00 of $10.00; nothing more begins of it; to let more begin: orch budget configure",
        ),
        (
            "batch_spent",
            "night: $0.41 of $0.41 are spent, so nothing more of it begins; to let more begin: orch budget configure",
        ),
        ("worker:stale", "quiet for 10 min: no output, no processor time"),
    ] {
        assert!(rendered.contains(&(s(kind), s(text))), "{kind}: {text}\n{rendered:#?}");
    }
}
