//! Tests `orch eval routing`: its output, its plot, and its messages about wrong files.

use crate::kit::process::Ran;
use crate::kit::sealed_box::SealedBox;
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::{IntegrationFact, Landing};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::tasks::answer::Answer;
use orch_core::tasks::outcome::{Failure, FailureClass, Outcome, RunKind};
use orch_core::tasks::task::{FileState, Phase, Run, Spec, State, Task};
use orch_store::journal::{Entry, Journal, Write};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

const HEADER: &str = "task_id,model,resolved,cost_usd,api_calls\n";

/// Twelve tasks, a cheap model that solves half of them and a dear one that solves most.
fn outcomes() -> String {
    let row = |task: usize| {
        let (cheap, dear) = (u8::from(task.is_multiple_of(2)), u8::from(!task.is_multiple_of(5)));
        format!("r{}__{task},cheap,{cheap},0.01,{}\nr{}__{task},<dear>,{dear},1.5,9\n", task % 3, 5 + task, task % 3)
    };
    format!("{HEADER}{}", (0..12).map(row).collect::<String>())
}

fn evaluated(sealed: &SealedBox, csv: &str, more: &[&str]) -> Ran {
    let file = sealed.base().join("outcomes.csv");
    fs::write(&file, csv).expect("a file");
    let file = file.to_string_lossy().into_owned();
    sealed.orch(["eval", "routing", "--outcomes", &file, "--folds", "4", "--seeds", "2"].iter().chain(more))
}

#[test]
fn a_replay_is_shown_as_json_and_as_a_table_and_drawn() {
    let sealed = SealedBox::new();
    let plot = sealed.base().join("plot.svg");
    let plot_arg = plot.to_string_lossy().into_owned();
    let ran = evaluated(&sealed, &outcomes(), &["--gate", "fa=0,fr=0", "--plot", &plot_arg, "--json"]).ok();
    let view: Value = ran.json();
    assert_eq!(view["tasks"], 12);
    for key in ["resolved", "cost_usd", "calls"] {
        for part in ["policy", "best_single", "best_cascade", "oracle"] {
            assert!(view[part][key].is_number(), "{part}.{key}: {view}");
        }
    }
    assert_eq!(view["best_single"]["model"], "<dear>");
    assert!((view["best_single"]["cost_usd"].as_f64().expect("dollars") - 18.0).abs() < 1e-9, "{view}");
    assert!(view["policy"]["by_model"]["cheap"]["tries"].as_f64().expect("tries") > 0.0, "{view}");
    for key in ["resolved", "cost_usd"] {
        let within = view["policy"]["ci95"][key].as_array().expect("an interval");
        let at = view["policy"][key].as_f64().expect("a figure");
        assert!(within[0].as_f64() <= Some(at) && Some(at) <= within[1].as_f64(), "{key}: {view}");
    }
    assert!(view["frontier"].as_array().expect("points").len() > 4, "{view}");
    let drawn = fs::read_to_string(&plot).expect("the plot");
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
    assert!(drawn.contains("&lt;dear&gt;") && !drawn.contains("<dear>"));
    let again: Value = evaluated(&sealed, &outcomes(), &["--gate", "fa=0,fr=0", "--json"]).ok().json();
    assert_eq!(again, view, "same seed, same figures");
    let text = evaluated(&sealed, &outcomes(), &[]).ok().stdout;
    assert!(text.contains("best single") && text.contains("oracle"), "{text}");
    sealed.finish();
}

#[test]
fn what_is_wrong_with_a_file_or_an_option_is_reported_with_its_place() {
    let sealed = SealedBox::new();
    let bad_csv = evaluated(&sealed, &format!("{HEADER}a,x,1,NaN,3\n"), &[]);
    assert!(bad_csv.code_is(2).stderr.contains("row 2, column cost_usd"));
    let bad_csv = evaluated(&sealed, &format!("{HEADER}a,m,1,1,1\r\nb,m,1,x,1\r\n"), &[]);
    assert!(bad_csv.code_is(2).stderr.contains("row 3, column cost_usd"));
    let policy = sealed.base().join("policy.yml");
    let policy_arg = policy.to_string_lossy().into_owned();
    for (document, part) in [
        ("ladder: [nobody]\n", "ladder names the model `nobody`"),
        ("stop:\n  worht: 3\n", "line 2"),
        ("stop: {max_tries: 0}\n", "stop.max_tries is 0"),
    ] {
        fs::write(&policy, document).expect("a file");
        let ran = evaluated(&sealed, &outcomes(), &["--policy", &policy_arg]);
        assert!(ran.stderr.contains(part), "{document}: {}", ran.stderr);
        ran.code_is(2);
    }
    fs::write(&policy, "groups: {r11: [cheap], r2: [cheap]}\ngate: {false_accept: 0.3}\n").expect("a file");
    let ran = evaluated(&sealed, &outcomes(), &["--policy", &policy_arg]).ok();
    assert!(ran.stderr.contains("groups.r11 is a ladder for no task") && !ran.stderr.contains("groups.r2 "), "{ran}");
    for (gate, part) in
        [("fa=2,fr=0", "not between 0 and 1"), ("0.2,0.1", "expected fa=SHARE"), ("fa=0.6,fr=0.5", "add up to")]
    {
        let ran = evaluated(&sealed, &outcomes(), &["--gate", gate]);
        assert!(ran.stderr.contains(part), "{gate}: {}", ran.stderr);
        ran.code_is(2);
    }
    let folds = evaluated(&sealed, &format!("{HEADER}a,x,1,1,3\nb,x,1,1,3\n"), &[]);
    assert!(folds.code_is(2).stderr.contains("4 folds of 2 tasks"));
    sealed.finish();
}

/// A home in which so many tasks were tried by a cheap model, and then by a dear one.
fn with_history(tasks: u64) -> SealedBox {
    let sealed = SealedBox::new();
    let home = sealed.orch_home().join(".orch");
    fs::create_dir_all(&home).expect("made");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    runtime.block_on(async {
        let (journal, _) = Journal::open(&home.join("orch.db")).expect("a journal");
        let mut writes = Vec::new();
        for id in 1..=tasks {
            let spec = Spec { title: format!("Task {id}"), ..Spec::default() };
            let task = Task::new(TaskId(id), spec, FileState::Pending, Timestamp::UNIX_EPOCH);
            writes.push(Write::Task(Arc::new(Task { state: State::Done, runs: 2, ..task })));
            for (ordinal, model, accepted, dollars) in [(1, "small", id % 2 == 0, 0.01), (2, "big", id % 5 != 0, 1.5)] {
                let run = run(id, ordinal, model, accepted, dollars);
                let seq = id * 2 + u64::from(ordinal);
                let (at, task_id, run_id) = (Timestamp::UNIX_EPOCH, Some(run.task), Some(run.id.clone()));
                let fact = IntegrationFact::Done(Landing::Kept { commit: None }).into();
                writes.push(Write::Run(Box::new(run)));
                // The first result was also accepted, before a retry was requested.
                writes.extend(accepted.then_some(Write::Entry(Entry {
                    seq,
                    at,
                    task_id,
                    run_id,
                    actor: Actor::Orch,
                    fact,
                })));
            }
        }
        journal.commit(writes).await.expect("written");
        journal.leave().await;
    });
    sealed
}

fn run(task: u64, ordinal: u32, model: &str, accepted: bool, dollars: f64) -> Run {
    let answer = Answer::parse(None, Some(r#"{"status": "done", "summary": "so"}"#)).expect("an answer");
    let failed = Outcome::Failed(Failure::new(FailureClass::ChecksFailed, "red"));
    let id = RunId::new(TaskId(task), ordinal, u32::try_from(task).expect("small"));
    Run {
        phase: Phase::Ended,
        model: Some(model.to_owned()),
        ended_at: Some(Timestamp::from_second(i64::from(ordinal) * 100).expect("a time")),
        outcome: Some(if accepted { Outcome::Finished { answer } } else { failed }),
        cost: Usd::from_dollars(dollars),
        ..Run::new(id, TaskId(task), RunKind::Work, "claude".to_owned(), Timestamp::UNIX_EPOCH)
    }
}

#[test]
fn a_home_is_replayed_on_its_own_runs_if_there_are_enough_and_else_the_missing_ones_are_named() {
    let sealed = with_history(24);
    let args = ["eval", "routing", "--history", "--folds", "4", "--seeds", "2"];
    let view: Value = sealed.orch(args.iter().chain(&["--json"])).ok().json();
    assert_eq!((&view["tasks"], &view["models"], &view["history"]["runs"]), (&24.into(), &2.into(), &48.into()));
    assert_eq!(view["gate"]["false_accept"], 0.0, "the verdicts are the judge's own: {view}");
    assert_eq!(view["best_single"]["model"], "claude/big");
    assert!((view["best_single"]["cost_usd"].as_f64().expect("dollars") - 36.0).abs() < 1e-6, "{view}");
    assert!((view["best_single"]["resolved"].as_f64().expect("a share") - 20.0 / 24.0).abs() < 1e-6, "{view}");
    let text = sealed.orch(args).ok().stdout;
    assert!(text.contains("of 48 judged runs of this home") && text.contains("claude/small"), "{text}");
    sealed.orch(["eval", "routing", "--history", "--outcomes", "x.csv"]).code_is(2);
    let neither = sealed.orch(["eval", "routing"]).code_is(2);
    assert!(neither.stderr.contains("--outcomes") && neither.stderr.contains("--history"), "{}", neither.stderr);
    let missing = sealed.orch(["eval", "routing", "--outcomes", "no-such.csv"]).code_is(2);
    assert!(missing.stderr.contains("no-such.csv"), "{}", missing.stderr);
    sealed.orch(["eval", "routing", "--history", "--policy", "no-such.yml"]).code_is(2);
    sealed.finish();

    let small = with_history(19);
    let ran = small.orch(args).code_is(7);
    assert!(ran.stdout.is_empty(), "no figures: {ran}");
    for part in ["too small for a replay", "20 tasks", "there are 19", "claude/big on 19, claude/small on 19"] {
        assert!(ran.stderr.contains(part), "{part}: {ran}");
    }
    small.finish();
    let empty = SealedBox::new();
    assert!(
        empty.orch(args).code_is(7).stderr.contains("2 models with judged and priced runs are needed, there are 0")
    );
    empty.finish();
}
