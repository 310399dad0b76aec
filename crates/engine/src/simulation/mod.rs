//! The engine's real turns in a made-up world, from a seed: months of tasks, failures, crashes and people in a moment,
//! and always the same for the same seed. `docs/explanation/simulation.md` says what is real here and how to repeat a seed.

mod batches;
mod course;
mod dice;
mod file;
mod hunt;
mod jobs;
mod money;
mod outside;
mod rules;
mod scenario;
mod shrink;
mod stored;
mod trace;
mod waits;

use crate::deps::Deps;
use crate::deps::ledger::Ledger;
use crate::deps::obstacle::Obstacles;
use crate::deps::repositories::Discovering;
use crate::settings::Sources;
use crate::tasks_file::missing_tasks::Verdict;
use course::{Course, Ground};
use hunt::{Records, describe};
use orch_config::home::Home;
use orch_config::raw::Adaptive;
use orch_core::operations::service::ShutdownMode;
use orch_store::journal::Journal;
use orch_sys::clock::Clock;
use orch_sys::tmux::Tmux;
use rules::Broken;
use scenario::{AGENTS, Act, Change, DAY, HOUR, MINUTE, Moment, SECOND, Scenario, Step, Worlds};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use trace::Trace;

/// Seeds of the normal test run.
const FIXED: Range<u64> = 0..80;
/// Seeds that are run twice.
const TWICE: Range<u64> = 1000..1010;

/// The adapters of which only the clock is used.
pub(crate) fn ground(dir: &std::path::Path) -> Ground {
    let home = Home::new(dir, None);
    let (journal, _) = Journal::open(&dir.join("orch.db")).expect("a journal that is never written");
    let mut sources = Sources::new(home.clone(), BTreeMap::new(), Vec::new());
    sources.is_there = |_| true;
    let mut settings = sources.load(&[], None);
    // The machine that this runs on is none of its business.
    let engine = &mut Arc::make_mut(&mut settings.config).engine;
    (engine.adaptive, engine.min_free_disk_mb) = (Adaptive::None, 0);
    settings.identity = "ada".to_owned();
    settings.installed = AGENTS.map(str::to_owned).to_vec();
    let deps = move |clock: Arc<dyn Clock>| Deps {
        home: home.clone(),
        clock,
        journal: journal.clone(),
        tmux: Tmux::new(PathBuf::new(), PathBuf::new(), Vec::new()),
        orch: PathBuf::new(),
        environment: BTreeMap::new(),
        wake_socket: PathBuf::new(),
        sources: sources.clone(),
        git: tokio::sync::OnceCell::new(),
        repositories: std::sync::Mutex::default(),
        discovering: Discovering::default(),
        ledger: Ledger::default(),
        obstacles: Obstacles::default(),
        damage: None,
    };
    Ground { deps: Arc::new(deps), settings }
}

/// What became of one course.
struct Ran {
    result: Result<(), Broken>,
    trace: Trace,
    days: f64,
}

fn run(scenario: &Scenario, ground: &Ground, trace: Trace) -> Ran {
    let mut course = Course::new(scenario, ground, trace);
    let result = guarded(|| course.run());
    let days = course.lasted() as f64 / DAY as f64;
    Ran { result, trace: course.trace, days }
}

/// A panic breaks a rule, like everything else that must not be: its seed is reported as well.
pub(crate) fn guarded(course: impl FnOnce() -> Result<(), Broken>) -> Result<(), Broken> {
    let words = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
    };
    catch_unwind(AssertUnwindSafe(course)).unwrap_or_else(|panic| Err(Broken(format!("a panic: {}", words(panic)))))
}

/// Fails with all that is needed to see why.
fn must_hold(seed: u64, ground: &Ground) -> Ran {
    let scenario = Scenario::from_seed(seed);
    let ran = run(&scenario, ground, Trace::default());
    if let Err(Broken(rule)) = &ran.result {
        panic!("{}", Records::usual().caught(&scenario, rule, || describe(&scenario, rule, ground)));
    }
    ran
}

#[test]
fn whatever_happens_nothing_is_lost_doubled_or_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    let days: f64 = FIXED.map(|seed| must_hold(seed, &ground).days).sum();
    assert!(days > 700.0, "only {days} days were simulated");
}

#[test]
fn years_with_little_to_do_go_by() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    for seed in 1..=2 {
        let scenario = Scenario::of_worlds(Worlds::Years, seed);
        let ran = run(&scenario, &ground, Trace::default());
        assert_eq!(ran.result, Ok(()), "{}", hunt::repeat(&scenario));
        assert!(ran.days > 200.0 && ran.trace.turns > 50, "{} days, {} turns", ran.days, ran.trace.turns);
    }
}

/// One task, written down in `tasks.yml`, and what else happens.
fn with_a_file(more: Option<Step>) -> Scenario {
    let add = Act::Add { wish: 0, priority: 0, after: Vec::new(), agent: None, no_project: false };
    let mut steps = vec![Step { at: DAY, act: add }];
    steps.extend(more);
    steps.sort_by_key(|step| step.at);
    Scenario {
        seed: 0,
        worlds: Worlds::All,
        max_parallel: 1,
        faults: BTreeSet::new(),
        with_file: true,
        jobs: Vec::new(),
        steps,
        lasts: 2 * DAY,
    }
}

#[test]
fn a_write_of_the_file_that_breaks_is_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = with_a_file(Some(Step { at: 0, act: Act::WriteBreaks }));
    assert_eq!(run(&scenario, &ground(dir.path()), Trace::default()).result, Ok(()));
}

#[test]
fn the_engine_waits_for_the_file_to_be_read_and_does_not_spin_meanwhile() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = run(&with_a_file(None), &ground(dir.path()), Trace::default());
    assert_eq!(ran.result, Ok(()));
    assert!(ran.trace.looks < 100, "{} turns for one task", ran.trace.looks);
}

#[test]
fn what_looks_like_an_accident_gives_nothing_up_before_the_word() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |wish| Act::Add { wish, priority: 0, after: Vec::new(), agent: None, no_project: true };
    let mut steps: Vec<Step> = (0..6).map(|wish| Step { at: DAY, act: open(wish) }).collect();
    // Somebody saves the file as it is: who has seen an entry and leaves it out may mean it.
    steps.push(Step { at: DAY + HOUR, act: Act::Edit(0, Change::Priority(3)) });
    steps.push(Step { at: 2 * DAY, act: Act::Lose(HOUR, Some(Verdict::List)) });
    let scenario = Scenario { steps, lasts: 3 * DAY, ..with_a_file(None) };
    let ran = run(&scenario, &ground(dir.path()), Trace::in_words());
    assert_eq!(ran.result, Ok(()));
    let position = |what: &str| ran.trace.lines().iter().position(|line| line.contains(what));
    let peace = position("the faults are over").expect("peace");
    assert!(position("lacks 4 of 6 tasks").is_some_and(|at| at < peace), "{:?}", ran.trace.lines());
    assert!(position("task_removed").is_none_or(|at| at > peace), "{:?}", ran.trace.lines());
}

#[test]
fn an_entry_that_comes_back_to_a_circle_does_not_close_it_unseen() {
    let dir = tempfile::tempdir().expect("a directory");
    let after = |wish: usize| (0..wish).rev().take(1).collect();
    let add = |wish| Act::Add { wish, priority: 0, after: after(wish), agent: None, no_project: true };
    let mut steps: Vec<Step> = (0..3).map(|wish| Step { at: DAY + wish as u64 * MINUTE, act: add(wish) }).collect();
    // 1 waits for 3, which waits for 2, which waits for 1: the file tells of it. Then the entry of 2 goes, and orch, which
    // wrote it and takes that for an old copy, puts it back.
    steps.push(Step { at: DAY + HOUR, act: Act::Edit(0, Change::After(vec![2])) });
    steps.push(Step { at: DAY + 2 * HOUR, act: Act::Edit(1, Change::Delete) });
    let scenario = Scenario { steps, lasts: 3 * DAY, ..with_a_file(None) };
    let ran = run(&scenario, &ground(dir.path()), Trace::in_words());
    assert_eq!(ran.result, Ok(()));
    let position = |what: &str| ran.trace.lines().iter().position(|line| line.contains(what));
    let refused = position("edit_refused: waits for itself: 1 → 3 → 2 → 1").expect("the circle is named");
    assert!(position("put_back").is_some_and(|at| at > refused), "{:?}", ran.trace.lines());
    assert_eq!(position("task 1 run  blocked"), None, "it waits for nobody: {:?}", ran.trace.lines());
}

#[test]
fn an_old_copy_of_the_file_does_not_have_finished_work_done_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = Step { at: DAY + SECOND, act: Act::OldCopy(9 * HOUR) };
    let ran = run(&with_a_file(Some(copy)), &ground(dir.path()), Trace::in_words());
    assert_eq!(ran.result, Ok(()));
    let has_line = |what: &str| ran.trace.lines().iter().any(|line| line.contains(what));
    assert!(has_line("status new in tasks.yml comes from an old copy"), "{:?}", ran.trace.lines());
}

#[test]
fn a_run_that_a_shutdown_interrupts_goes_on_in_the_next_life_as_the_same_attempt() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    let mut interrupted = 0;
    for seconds in [20, 60, 90, 120] {
        let leave = Step { at: DAY + seconds * SECOND, act: Act::Leave(ShutdownMode::Now, MINUTE) };
        let ran = run(&with_a_file(Some(leave)), &ground, Trace::in_words());
        assert_eq!(ran.result, Ok(()));
        let count = |what: &str| ran.trace.lines().iter().filter(|line| line.contains(what)).count();
        let resumed = count("attempt 1 goes on where the shutdown of orch interrupted it");
        assert_eq!((resumed, count("attempt 2")), (count("goes on when orch is back"), 0), "{:?}", ran.trace.lines());
        interrupted += resumed;
    }
    assert!(interrupted > 0, "no shutdown met a run");
}

#[test]
fn the_same_seed_takes_the_same_course() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    let mut hashes = BTreeSet::new();
    for seed in TWICE {
        let [once, again] = [(); 2].map(|()| must_hold(seed, &ground).trace);
        assert_eq!(once.hash(), again.hash(), "seed {seed} went two ways");
        assert!(once.looks > 0);
        hashes.insert(once.hash());
    }
    assert_eq!(hashes.len(), TWICE.count(), "other seeds take other courses");
}

#[test]
fn batches_end_and_are_given_up_and_run_into_their_budgets_and_their_concurrency() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    let mut missing: BTreeSet<&str> =
        ["batch_spent:", "is complete: ", "was given up: ", "batch_changed:", "handed on by task"].into();
    for seed in FIXED {
        let scenario = Scenario::from_seed(seed);
        if missing.is_empty() || !scenario.steps.iter().any(|step| matches!(step.act, Act::Batch { .. })) {
            continue;
        }
        let ran = run(&scenario, &ground, Trace::in_words());
        assert_eq!(ran.result, Ok(()), "seed {seed}");
        missing.retain(|what| !ran.trace.lines().iter().any(|line| line.contains(what)));
    }
    assert!(missing.is_empty(), "no seed has {missing:?}");
}

#[test]
fn a_batch_ends_once_though_the_daemon_dies_just_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    let batch = Act::Batch { batch: 1, of: vec![0], concurrency: 1, budget: None };
    let scenario = with_a_file(Some(Step { at: DAY + SECOND, act: batch }));
    let count = |ran: &Ran, what: &str| ran.trace.lines().iter().filter(|line| line.contains(what)).count();
    let calm = run(&scenario, &ground, Trace::in_words());
    let end = calm.trace.lines().iter().find(|line| line.contains("batch_ended")).map(|line| time_of(line));
    let end = end.expect("it ends");
    for (moment, at) in [(Moment::BeforeCommit, end - 1), (Moment::AfterCommit, end - 1), (Moment::Waiting, end + 1)] {
        let mut scenario = scenario.clone();
        scenario.steps.push(Step { at, act: Act::Crash(moment, SECOND) });
        let ran = run(&scenario, &ground, Trace::in_words());
        assert_eq!(ran.result, Ok(()));
        let counts = (count(&ran, "the daemon dies"), count(&ran, "batch_ended: batch batch-1 is complete: 1 done"));
        assert_eq!(counts, (1, 1), "{moment:?}: {:?}", ran.trace.lines());
    }
}

/// When a line of a trace happened.
fn time_of(line: &str) -> scenario::Millis {
    let numbers: Vec<u64> = line.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    numbers[0] * DAY + numbers[1] * HOUR + numbers[2] * MINUTE + numbers[3] * SECOND + numbers[4]
}

#[test]
fn what_can_be_left_out_of_a_failing_scenario_is_left_out() {
    let scenario = Scenario::from_seed(3);
    let adds = |scenario: &Scenario| scenario.steps.iter().filter(|step| matches!(step.act, Act::Add { .. })).count();
    let most = adds(&scenario);
    assert!(most > 1 && scenario.steps.len() > most, "{scenario}");
    let small = shrink::shrink(&scenario, &mut |smaller| adds(smaller) == most);
    assert_eq!((adds(&small), small.steps.len(), small.faults.len()), (most, most, 0));
}
