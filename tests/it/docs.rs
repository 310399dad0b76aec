//! Tests that the reference pages match the code: what can be generated is generated (`make docs`), and every stable
//! name that a user may meet is on its page. Wording is not compared.

mod api;
mod commands;
mod configuration;
mod exit_codes;
mod generated;
mod states;

use super::pages::page;
use orch_api::availability::{LeftAloneView, ProviderView, ProvidersView};
use orch_api::batches::{BatchRow, BatchView};
use orch_api::breakers::BreakerView;
use orch_api::budget::{AccountView, BudgetView, CapView, LimitView, RecordView};
use orch_api::channels::{ChannelState, ChannelView, DeadView, NoticeState, NoticeView};
use orch_api::cost::{CostRow, CostView};
use orch_api::dashboard::{DashboardView, EndedView, HeldView, ProjectView};
use orch_api::jobs::{FiringView, JobView, MadeView, UpcomingView};
use orch_api::last_worker::LastWorker;
use orch_api::messages::MessageView;
use orch_api::models::{ComparedView, ModelView, OwnRecordView, ResolutionView};
use orch_api::patterns::{
    NewSample, Outcome as Said, OutcomesView, PatternsView, Recommended, SampleSource, SampleView, SimilarView,
    StandingView,
};
use orch_api::route::{ForecastView, OutlookView, ResolvedView, RouteView, SharedTrait, TrackRecordView};
use orch_api::rulings::{DiffView, FileView};
use orch_api::settings::ReloadView;
use orch_api::status::{EngineMode, Overview, QuestionView, QueuedView, RunningView, SlotsView, SpendView, StatusView};
use orch_api::switches::{DepartureView, FateView, PauseKind, PauseView, PausesView, ShutdownView, UnderWayView};
use orch_api::types::{RunView, TaskContext, TaskDraft, TaskRow, TaskView, WhyView};
use orch_core::base::health::{Health, State as Fares};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::economics::budget::{Billing, Level, Unit};
use orch_core::economics::cost::By;
use orch_core::economics::track_record::{Sample, Source, Verdict as Judged};
use orch_core::models::availability::{State as Standing, Verdict};
use orch_core::models::catalog::Catalog;
use orch_core::models::provider_access::{ProviderAccess, Way};
use orch_core::models::resolve::{Needs, Records, Resolver, Selection, Tag};
use orch_core::notices::notice::NoticeKind;
use orch_core::operations::channel::ChannelKind;
use orch_core::operations::job::{CatchUp, CommandState, JobId, Overlap};
use orch_core::operations::service::{Cause, ServiceEntry, ServiceKind, ShutdownMode};
use orch_core::planning::batch::BatchState;
use orch_core::planning::breaker::{Breaker, Target};
use orch_core::planning::plan::Hold;
use orch_core::tasks::evidence::{Check, CheckState, Evidence, IntegrateMode, Integration, IntegrationState};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::message::{Message, MessageId};
use orch_core::tasks::outcome::{FailureClass, RunKind};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::route::{AgentProfile, Complexity, RouteResult};
use orch_core::tasks::task::{FileState, Phase, Run, Spec, Status, Task};
use orch_core::tasks::task_type::TaskType;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Asserts that the names are on the page as code.
fn must_name<'a>(page_path: &str, names: impl IntoIterator<Item = &'a str>) {
    let text = page(page_path);
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !text.contains(&format!("`{name}`")) && !is_in_sample(&text, name)).collect();
    assert!(missing.is_empty(), "{page_path} does not name {missing:?}");
}

/// Returns whether a name is a field, or the last part of one: `skills` is in `profile.skills`.
fn is_named(text: &str, name: &str) -> bool {
    text.contains(&format!("`{name}`")) || text.contains(&format!(".{name}`"))
}

/// A field in one of the page's JSON samples.
fn is_in_sample(text: &str, name: &str) -> bool {
    text.contains(&format!("\"{name}\":"))
}

/// All keys of a document, at any depth.
fn keys(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                found.insert(name.clone());
                found.append(&mut keys(inner));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| found.append(&mut keys(item))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found
}

fn must_name_keys_of(value: &impl serde::Serialize) {
    let value = serde_json::to_value(value).expect("plain data");
    let text = page("docs/reference/api.md") + &page("docs/reference/json.md");
    let missing: Vec<String> =
        keys(&value).into_iter().filter(|name| !is_named(&text, name) && !is_in_sample(&text, name)).collect();
    assert!(missing.is_empty(), "docs/reference/api.md and json.md do not name {missing:?}");
}

/// A task in which nothing is absent.
fn full_task(now: jiff::Timestamp) -> Task {
    let mut task = Task::new(TaskId(7), Spec::default(), FileState::Pending, now);
    task.route = Some(Box::new(RouteResult {
        agent: "claude".to_owned(),
        model: None,
        complexity: Complexity::Simple,
        reason: String::new(),
        profile: AgentProfile::default(),
        selected_skills: Vec::new(),
        warning: None,
    }));
    let check = Check {
        exit_code: Some(0),
        duration_ms: 1,
        output_tail: "x".to_owned(),
        flaky: true,
        on_base: Some(CheckState::Failed),
        by_base_rules: Some(CheckState::Failed),
        ..Check::new("true", CheckState::Passed)
    };
    task.evidence = Some(Box::new(Evidence { checks: vec![check], ..Evidence::default() }));
    let merged =
        Integration { mode: IntegrateMode::Merge, state: IntegrationState::Merged, commit: None, restored: None };
    task.integration = Some(Box::new(merged));
    task
}

fn a_run(now: jiff::Timestamp) -> Run {
    Run {
        phase: Phase::Running,
        outcome: Some(orch_core::tasks::outcome::Outcome::Cancelled { detail: String::new() }),
        health: Some(Health { state: Fares::Stale, since: now, output_bytes: 0, processes: 1, asked: 1 }),
        ..Run::new(RunId::new(TaskId(7), 1, 0), TaskId(7), RunKind::Work, "claude".to_owned(), now)
    }
}

#[test]
fn every_field_of_a_task_and_a_run_is_documented() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let (task, run) = (full_task(now), a_run(now));
    let hold = Hold { reason: HoldReason::Slots, detail: String::new(), until: None };
    let worked_by = Some(LastWorker { agent: String::new(), model: None });
    let context = TaskContext { hold: Some(&hold), worked_by, ..TaskContext::default() };
    let runs = vec![RunView::new(&run, "transcript.log".into(), now)];
    let message = Message::new(MessageId(1), TaskId(7), String::new(), now);
    let messages = vec![MessageView::new(message, "")];
    must_name_keys_of(&TaskView::new(&task, &context).with_details(&task, runs, messages, Vec::new()));
    must_name("docs/reference/json.md", ["queued", "delivered", "refused", "live", "prompt", "wait_seconds"]);
}

#[test]
fn every_field_of_the_smaller_documents_is_documented() {
    let status = Status::New;
    must_name_keys_of(&WhyView {
        id: TaskId(1),
        status,
        question_kind: None,
        hold: None,
        because: String::new(),
        next: String::new(),
        batch: None,
    });
    must_name_keys_of(&TaskRow {
        id: TaskId(1),
        status,
        agent: None,
        model: None,
        title: String::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        question_kind: None,
        why: None,
    });
    must_name_keys_of(&overview());
    let file = FileView { path: String::new(), insertions: 0, deletions: 0 };
    must_name_keys_of(&DiffView {
        task_id: TaskId(1),
        branch: String::new(),
        base_branch: String::new(),
        base: String::new(),
        head: String::new(),
        commits: 0,
        files: vec![file],
        insertions: 0,
        deletions: 0,
        patch: None,
        omitted: Vec::new(),
        judged: None,
        moved: None,
    });
}

fn a_pause() -> PauseView {
    PauseView {
        scope: PauseKind::All,
        name: None,
        dir: None,
        since: jiff::Timestamp::UNIX_EPOCH,
        by: String::new(),
        description: String::new(),
        told: String::new(),
    }
}

#[test]
fn every_field_of_the_switches_is_documented() {
    must_name_keys_of(&ReloadView { problems: vec![] });
    must_name_keys_of(&PausesView { changed: true, paused: vec![a_pause()] });
    let work = UnderWayView {
        task_id: TaskId(1),
        run_id: RunId::new(TaskId(1), 1, 0),
        agent: String::new(),
        fate: FateView::GoesOn,
    };
    let (version, pid) = (String::new(), 1);
    must_name_keys_of(&ShutdownView { how: ShutdownMode::Now, dry_run: true, version, pid, under_way: vec![work] });
    must_name_keys_of(&ServiceEntry {
        at: jiff::Timestamp::UNIX_EPOCH,
        kind: ServiceKind::Start,
        cause: Cause::Command,
        version: String::new(),
        pid: 1,
        why: String::new(),
        lasted_seconds: None,
        memory_bytes: None,
    });
    must_name(
        "docs/reference/json.md",
        ["goes_on", "finished", "interrupted", "later", "respawn", "lost", "memory", "signal"],
    );
}

/// An overview in which nothing is absent.
fn overview() -> Overview {
    let (id, title, since) = (TaskId(1), String::new(), jiff::Timestamp::UNIX_EPOCH);
    let hold = Hold { reason: HoldReason::Slots, detail: String::new(), until: None };
    Overview {
        status: StatusView {
            set_models: Vec::new(),
            left_alone: vec![LeftAloneView {
                agent: "opencode".to_owned(),
                provider: Some("google".to_owned()),
                class: FailureClass::RateLimited,
                detail: String::new(),
                until: jiff::Timestamp::UNIX_EPOCH,
            }],
            version: String::new(),
            pid: 1,
            mode: EngineMode::Serve,
            overrides: std::collections::BTreeMap::new(),
            http: None,
            counts: std::collections::BTreeMap::new(),
            idle: false,
            problems: Vec::new(),
            slots: SlotsView { busy: 1, total: 2, because: Some(String::new()) },
            breakers: vec![BreakerView::from(&Breaker::new(Target::agent("bot")))],
            state: Default::default(),
            shutting_down: Some(DepartureView { how: ShutdownMode::Now, why: String::new() }),
            paused: vec![a_pause()],
            seq: 0,
        },
        running: vec![RunningView {
            task_id: id,
            title: title.clone(),
            run_id: RunId::new(id, 1, 0),
            kind: RunKind::Work,
            attempt: 1,
            agent: String::new(),
            model: None,
            since,
            cost_usd: None,
            last_line: None,
            health: None,
        }],
        needs_you: vec![QuestionView {
            id,
            title: title.clone(),
            kind: QuestionKind::Question,
            question: String::new(),
            choices: Vec::new(),
        }],
        queued: vec![QueuedView {
            id,
            title,
            status: Status::New,
            agent: None,
            model: None,
            hold: Some((&hold).into()),
        }],
        today: SpendView { since, cost_usd: None, runs: 0, unpriced: 0 },
        batches: vec![a_batch()],
    }
}

#[test]
fn every_field_of_the_account_is_documented() {
    let row = || CostRow {
        key: None,
        title: None,
        cost_usd: None,
        runs: 0,
        unpriced: 0,
        computed: 0,
        tasks: 0,
        merged: 0,
        per_merged_usd: None,
        overhead_per_merged_usd: None,
        per_merged_unpriced: 0,
    };
    must_name_keys_of(&CostView { by: By::Agent, since: None, rows: vec![row()], total: row() });
}

#[test]
fn every_field_of_the_channels_and_every_kind_of_notice_is_documented() {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let dead = DeadView { seq: 0, kind: String::new(), text: String::new(), at, why: String::new() };
    must_name_keys_of(&ChannelView {
        name: ChannelKind::Desktop,
        state: ChannelState::On,
        trouble: None,
        allowed: None,
        pending: 0,
        dropped: 0,
        last_sent_at: None,
        dead: vec![dead],
    });
    let (channel, state, error) = (ChannelKind::Desktop, NoticeState::Sent, None);
    must_name_keys_of(&NoticeView { seq: 0, channel, state, attempts: 0, error });
    must_name("docs/how-to/channels.md", NoticeKind::ALL.into_iter().map(NoticeKind::as_str));
    must_name(
        "docs/how-to/channels.md",
        ["notifications.level", "notifications.quiet_hours", "notifications.daily_summary"],
    );
}

#[test]
fn every_field_of_the_budgets_is_documented() {
    let standing = || LimitView {
        level: Level::Ok,
        why: String::new(),
        unit: Unit::Usd,
        used: None,
        reserved: 0.0,
        limit: None,
        runs: 0,
        unpriced: 0,
        until: None,
    };
    let account = AccountView {
        name: String::new(),
        billing_type: Billing::Token,
        priority: 0,
        state: standing(),
        per_hour: None,
        hours_left: None,
        per_day: None,
        forecast: None,
    };
    let caps = vec![CapView { scope: "day".to_owned(), state: standing() }];
    must_name_keys_of(&BudgetView { accounts: vec![account], caps, recommended: None });
    let at = jiff::Timestamp::UNIX_EPOCH;
    must_name_keys_of(&RecordView { account: String::new(), at, cost_usd: None, model: None, note: None });
}

#[test]
fn every_field_of_the_patterns_is_documented() {
    let task = TaskId(1);
    let row = || StandingView {
        agent: String::new(),
        model: None,
        outcomes: OutcomesView {
            samples: 0,
            successes: 0,
            by_hand: 0,
            rate: 0.0,
            ci95: [0.0, 1.0],
            cost_usd: None,
            unpriced: 0,
            per_success_usd: None,
            mean_seconds: None,
        },
        failures: std::collections::BTreeMap::new(),
    };
    must_name_keys_of(&PatternsView {
        task_type: None,
        project: None,
        label: None,
        samples: 0,
        total: 0,
        recommended: Some(Recommended { agent: String::new(), model: None, reason: String::new() }),
        rows: vec![row()],
        by_type: std::collections::BTreeMap::new(),
    });
    must_name_keys_of(&SimilarView {
        task_id: task,
        title: String::new(),
        status: Status::Done,
        agent: None,
        model: None,
        runs: 0,
        accepted: None,
        cost_usd: None,
    });
    must_name_keys_of(&SampleView {
        source: SampleSource::Run,
        task_id: Some(task),
        run_id: Some(RunId::new(task, 1, 0)),
        title: String::new(),
        task_type: String::new(),
        labels: Vec::new(),
        project: None,
        complexity: None,
        agent: String::new(),
        model: None,
        answered_by: None,
        attempt: Some(1),
        ended_at: jiff::Timestamp::UNIX_EPOCH,
        seconds: None,
        cost_usd: None,
        accepted: true,
        failure: None,
        by: None,
        note: None,
    });
}

#[test]
fn every_field_of_a_sample_by_hand_is_documented() {
    must_name_keys_of(&NewSample {
        task_type: String::new(),
        model: String::new(),
        outcome: Said::Success,
        agent: None,
        complexity: None,
        project: None,
        cost_usd: None,
        seconds: None,
        ended_at: None,
        note: String::new(),
        by: None,
    });
    must_name("docs/reference/json.md", ["success", "failure"]);
}

#[test]
fn every_field_of_a_route_that_was_asked_for_beforehand_is_documented() {
    let (zero, group) = (Usd::ZERO, vec![SharedTrait::Type]);
    let forecast = ForecastView { low_usd: zero, median_usd: zero, high_usd: zero, samples: 1, group };
    must_name_keys_of(&RouteView {
        title: String::new(),
        task_type: String::new(),
        project: None,
        route: full_task(jiff::Timestamp::UNIX_EPOCH).route.as_deref().expect("it has one").into(),
        resolver: ResolvedView::none("so"),
        record: TrackRecordView { samples: 0, chosen: None, recommended: None },
        similar: Vec::new(),
        cost: OutlookView { forecast: Some(forecast), unpriced: 0 },
        warnings: Vec::new(),
    });
    must_name("docs/reference/json.md", ["project", "type", "complexity"]);
}

#[test]
fn every_field_of_the_dashboard_is_documented() {
    let (task, at) = (TaskId(1), jiff::Timestamp::UNIX_EPOCH);
    let (reason, counts) = (HoldReason::Slots, std::collections::BTreeMap::new());
    must_name_keys_of(&DashboardView {
        overview: overview(),
        projects: vec![ProjectView { name: None, dir: None, counts }],
        held: vec![HeldView { reason, count: 1, tasks: vec![task], detail: String::new(), until: None }],
        ended: vec![EndedView {
            task_id: task,
            title: String::new(),
            status: Status::Done,
            run_id: RunId::new(task, 1, 0),
            agent: String::new(),
            model: None,
            ended_at: at,
            cost_usd: None,
        }],
        upcoming: vec![UpcomingView {
            job: JobId::of_title("x"),
            due: at,
            at,
            local: String::new(),
            what: String::new(),
        }],
        batch: Some(a_batch()),
    });
}

fn a_batch() -> BatchView {
    BatchView {
        name: "night".parse().expect("a name"),
        state: BatchState::Open,
        tasks: vec![TaskId(1)],
        counts: std::collections::BTreeMap::new(),
        busy: 0,
        concurrency: 1,
        budget_usd: None,
        spent_usd: Usd::ZERO,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        cancelled_at: None,
        ended_at: None,
        rows: Some(vec![BatchRow {
            id: TaskId(1),
            title: String::new(),
            status: Status::New,
            spent_usd: None,
            why: None,
        }]),
    }
}

#[test]
fn every_field_of_the_models_is_documented() {
    let (catalog, mut usability) = (Catalog::built_in(), ProviderAccess::default());
    usability.allow("openai", Way::Declared);
    let (selection, records) = (Selection::default(), Records::default());
    let resolver = Resolver { catalog: &catalog, usability: &usability, selection: &selection, records: &records };
    let found = resolver.resolve("auto:code", &Needs::default()).expect("openai has some");
    assert!(!found.score.terms.is_empty() && !found.alternatives.is_empty());
    must_name_keys_of(&ResolutionView::new("auto:code", &found, &catalog, &usability));
    let sample = Sample {
        source: Source::Person { number: 1, by: String::new(), note: String::new() },
        title: String::new(),
        task_type: TaskType::parse("fix"),
        labels: Vec::new(),
        project: None,
        complexity: None,
        agent: String::new(),
        model: None,
        version: Some("claude-haiku-4-5".to_owned()),
        ended_at: jiff::Timestamp::UNIX_EPOCH,
        took: None,
        cost: None,
        verdict: Judged::Accepted,
    };
    let record = OwnRecordView::from_samples(&[SampleView::from(sample)], jiff::Timestamp::UNIX_EPOCH);
    assert!(record.is_some());
    let about = ModelView::new(found.model, &usability);
    must_name_keys_of(&ComparedView { about, record });
    let tags = page("docs/explanation/which-model.md");
    let missing: Vec<&str> =
        Tag::ALL.map(Tag::as_str).into_iter().filter(|tag| !tags.contains(&format!("| `{tag}` |"))).collect();
    assert!(missing.is_empty(), "docs/explanation/which-model.md has no row for {missing:?}");
}

#[test]
fn every_field_and_state_of_a_check_of_providers_is_documented() {
    let verdict = Verdict::new(Standing::Available, String::new());
    let provider = ProviderView::unasked("x", verdict, None);
    must_name_keys_of(&ProvidersView { code: 0, providers: vec![provider] });
    must_name("docs/reference/json.md", Standing::ALL.map(Standing::as_str));
    let text = page("docs/reference/exit-codes.md");
    let row = Standing::ALL.map(|state| format!("{} {}", state.code(), state.as_str().replace('_', " ")));
    let row = format!("`orch models check`: {}", row.join(", "));
    assert!(text.contains(&row), "docs/reference/exit-codes.md does not say {row:?}");
}

#[test]
fn every_field_of_a_batch_is_documented() {
    must_name_keys_of(&a_batch());
    let states = [BatchState::Open, BatchState::Cancelling, BatchState::Completed, BatchState::Cancelled];
    must_name("docs/how-to/batches.md", states.map(BatchState::as_str));
    must_name(
        "docs/how-to/batches.md",
        ["batch_created", "batch_changed", "batch_spent", "batch_cancelled", "batch_ended"],
    );
}

#[test]
fn every_field_of_a_job_is_documented() {
    let job = JobView {
        id: JobId::of_title("x"),
        schedule: String::new(),
        tz: None,
        enabled: true,
        task: TaskDraft::default(),
        depends_on: Vec::new(),
        assignee: None,
        run: None,
        timeout_seconds: None,
        catch_up: CatchUp::Once,
        overlap: Overlap::Skip,
        jitter_seconds: 0,
        next_at: None,
        busy: false,
        waiting: 0,
        last_task: None,
        firings: vec![FiringView {
            job: JobId::of_title("x"),
            due: jiff::Timestamp::UNIX_EPOCH,
            at: jiff::Timestamp::UNIX_EPOCH,
            cause: orch_core::operations::job::Cause::Person,
            made: MadeView::Nothing,
            task_id: None,
            state: None,
            exit_code: None,
            duration_ms: None,
            output_tail: None,
            output: None,
            why: None,
        }],
    };
    must_name_keys_of(&job);
    let states = [CommandState::Passed, CommandState::Failed, CommandState::TimedOut, CommandState::NotStarted];
    must_name("docs/reference/json.md", states.map(CommandState::as_str));
    for (words, key) in
        [(CatchUp::ALL.map(|(word, _)| word), "catch_up"), (Overlap::ALL.map(|(word, _)| word), "overlap")]
    {
        must_name("docs/how-to/jobs.md", words.into_iter().chain([key]));
    }
    must_name("docs/how-to/jobs.md", ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"]);
}

#[test]
fn every_status_and_failure_class_is_documented() {
    must_name("docs/reference/json.md", Status::ALL.map(Status::as_str));
    must_name("docs/reference/json.md", FailureClass::ALL.iter().map(|class| class.as_str()));
}

#[test]
fn every_reason_to_keep_a_worktree_is_documented() {
    must_name(
        "docs/reference/gc.md",
        orch_core::operations::gc::Reason::ALL.map(orch_core::operations::gc::Reason::as_str),
    );
}

#[test]
fn every_hold_reason_is_documented_and_no_other() {
    let text = page("docs/reference/holds.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<String> = rows.skip_while(|name| *name == "reason").map(str::to_owned).collect();
    let reasons: BTreeSet<String> =
        HoldReason::ALL.iter().map(|reason| json!(reason).as_str().expect("a word").to_owned()).collect();
    assert_eq!(documented, reasons);
}

#[test]
fn every_error_code_is_documented_with_an_exit_code() {
    let text = page("docs/reference/exit-codes.md");
    for code in ["failed", "usage", "not_found", "no_daemon", "conflict", "timed_out", "denied"] {
        let known = serde_json::from_value::<orch_api::error::ErrorCode>(json!(code));
        assert!(known.is_ok() && text.contains(&format!("| `{code}` | ")), "{code}");
    }
}
