//! What policies promise, on small made-up tables and on the recorded outcomes.

use super::decide::{Attempt, Decision, Situation, decide};
use super::frontier::{best_single, mixed_at, oracle, singles};
use super::learned::Learned;
use super::outcomes::{Cell, Outcomes, TaskOutcomes, parse_outcomes};
use super::replay::{Contender, Pass, ReplayError, Setting, replay};
use super::report::{Figures, figures};
use super::*;
use proptest::prelude::*;

const SETTING: Setting = Setting { gate: Gate::ASSUMED, seed: 1, seeds: 1, folds: 4 };

/// Every eighth task of the recorded outcomes, and five models: what an unoptimized build replays in a second.
fn a_few() -> Outcomes {
    let bytes = include_bytes!("../../../../../tests/fixtures/bench/swe_bench_verified_outcomes.csv");
    let all = parse_outcomes(bytes).expect("the recorded outcomes");
    assert_eq!((all.tasks.len(), all.models.len()), (246, 24));
    let kept: Vec<usize> = ["deepseek", "gpt-5-mini", "glm-4.6", "gemini-3", "claude-opus-4-5"]
        .iter()
        .map(|name| all.models.iter().position(|model| model.starts_with(name)).expect("a model"))
        .collect();
    let of =
        |task: &TaskOutcomes| TaskOutcomes { cells: kept.iter().map(|at| task.cells[*at]).collect(), ..task.clone() };
    Outcomes {
        models: kept.iter().map(|at| all.models[*at].clone()).collect(),
        tasks: all.tasks.iter().step_by(8).map(of).collect(),
    }
}

fn table() -> impl Strategy<Value = Outcomes> {
    let cell = (any::<bool>(), 0..3_000_000i64, 1..80u32);
    let cell = cell.prop_map(|(resolved, cost, calls)| Cell { resolved, cost: Usd::from_micros(cost), calls });
    (1..5usize)
        .prop_flat_map(move |width| prop::collection::vec(prop::collection::vec(cell.clone(), width), 4..14))
        .prop_map(|rows| {
            let task = |(at, cells): (usize, Vec<Cell>)| TaskOutcomes {
                id: format!("g{}__{at}", at % 2),
                group: format!("g{}", at % 2),
                cells,
            };
            let models = (0..rows[0].len()).map(|at| format!("m{at}")).collect();
            Outcomes { models, tasks: rows.into_iter().enumerate().map(task).collect() }
        })
}

fn gates() -> impl Strategy<Value = Gate> {
    (0.0..0.5f64, 0.0..0.4f64).prop_map(|(fa, fr)| Gate::new(fa, fr).expect("a gate"))
}

fn one(outcomes: &Outcomes, policy: &Policy, setting: &Setting) -> Vec<Pass> {
    replay(outcomes, &[Contender::Given(policy.clone())], setting).expect("a replay").remove(0)
}

fn sum(outcomes: &Outcomes, policy: &Policy, setting: &Setting) -> Figures {
    figures(outcomes, &one(outcomes, policy, setting), setting.seed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nobody_resolves_more_than_the_oracle_and_every_task_ends(outcomes in table(), gate in gates(), second in any::<bool>()) {
        let policy = Policy { gate, second_opinion: second, ..Policy::default() };
        for pass in one(&outcomes, &policy, &Setting { gate, ..SETTING }) {
            prop_assert_eq!(pass.len(), outcomes.tasks.len());
            for (played, task) in pass.iter().zip(&outcomes.tasks) {
                prop_assert!(!played.resolved || task.cells.iter().any(|cell| cell.resolved));
                prop_assert!(played.cost >= Usd::ZERO);
                prop_assert!(played.delivered.is_none_or(|model| played.tried.contains(&model)));
                prop_assert_eq!(played.tried.iter().map(|model| task.cells[*model].cost).sum::<Usd>(), played.cost);
                let mut tried = played.tried.clone();
                tried.sort_unstable();
                tried.dedup();
                prop_assert_eq!(tried.len(), played.tried.len(), "no model is tried twice");
            }
        }
    }

    #[test]
    fn a_worse_gate_never_resolves_more_with_the_same_ladder(outcomes in table(), gate in gates()) {
        let ladder = outcomes.models.clone();
        let resolved = |gate| sum(&outcomes, &Policy::cascade(ladder.clone(), gate), &Setting { gate, seeds: 3, ..SETTING }).resolved;
        prop_assert!(resolved(Gate::PERFECT) >= resolved(gate));
    }

    #[test]
    fn same_seed_same_result(outcomes in table(), gate in gates(), seed in any::<u64>()) {
        let setting = Setting { gate, seed, seeds: 2, ..SETTING };
        let policy = Policy { gate, explore: 0.5, ..Policy::default() };
        prop_assert_eq!(one(&outcomes, &policy, &setting), one(&outcomes, &policy, &setting));
    }

    #[test]
    fn what_a_task_is_tested_on_is_not_learned(outcomes in table(), at in 0..4usize) {
        // With one fold per task, the outcomes of this task cannot change the first decision about it.
        let folds = outcomes.tasks.len();
        let setting = Setting { folds, ..SETTING };
        let mut other = outcomes.clone();
        for cell in &mut other.tasks[at].cells {
            cell.resolved = !cell.resolved;
            cell.calls += 40;
        }
        let first = |outcomes: &Outcomes| one(outcomes, &Policy::default(), &setting)[0][at].tried.first().copied();
        prop_assert_eq!(first(&outcomes), first(&other));
    }

    #[test]
    fn a_worth_between_two_points_lies_between_them(a in 0.1..50.0f64, b in 0.1..50.0f64, fa in 0.0..0.6f64) {
        let worth = Worth::new(vec![(0.4, b), (0.1, a)]).expect("a worth");
        let at = worth.under(Gate { false_accept: fa, false_reject: 0.0 });
        prop_assert!(at >= a.min(b) - 1e-9 && at <= a.max(b) + 1e-9);
    }
}

#[test]
fn rows_in_another_order_give_the_same_figures() {
    let rows: Vec<String> = (0..24)
        .map(|at| format!("g__{},m{},{},{}.5,{}\n", at / 3, at % 3, u8::from(at % 5 < 2 + at % 3), at % 3, 3 + at))
        .collect();
    let of = |rows: Vec<&str>| {
        let text = format!("task_id,model,resolved,cost_usd,api_calls\n{}", rows.concat());
        let outcomes = parse_outcomes(text.as_bytes()).expect("a table");
        sum(&outcomes, &Policy::default(), &SETTING)
    };
    assert_eq!(of(rows.iter().map(String::as_str).collect()), of(rows.iter().rev().map(String::as_str).collect()));
}

#[test]
fn a_cascade_stops_at_the_first_result_that_is_accepted() {
    let outcomes = a_few();
    let all: Vec<&TaskOutcomes> = outcomes.tasks.iter().collect();
    let policy = Policy::cascade(outcomes.models.clone(), Gate::PERFECT);
    let learned = Learned::from_tasks(&all, &outcomes.models, policy.learning);
    let attempt = |model, accepted| Attempt { model, cost: None, calls: None, accepted };
    let next = |attempts: &[Attempt]| decide(&policy, &learned, &Situation { group: "django", attempts, draw: 0.0 });
    assert!(matches!(next(&[]), Decision::Try { model: 0, .. }));
    assert!(matches!(next(&[attempt(0, false)]), Decision::Try { model: 1, .. }));
    assert!(matches!(next(&[attempt(0, false), attempt(1, true)]), Decision::Accept { attempt: 1, .. }));
}

#[test]
fn a_cheap_model_comes_first_and_a_hopeless_task_is_given_up() {
    let outcomes = a_few();
    let all: Vec<&TaskOutcomes> = outcomes.tasks.iter().collect();
    let policy = Policy { gate: Gate::PERFECT, confidence: 0.5, ..Policy::default() };
    let learned = Learned::from_tasks(&all, &outcomes.models, policy.learning);
    let situation = |attempts| Situation { group: "django", attempts, draw: 0.0 };
    let Decision::Try { model, prospect } = decide(&policy, &learned, &situation(&[])) else {
        panic!("nothing is tried")
    };
    assert!(outcomes.models[model].starts_with("deepseek"), "{}", outcomes.models[model]);
    assert!(prospect.gain > 0.3 && prospect.price < 0.1, "{prospect:?}");
    let failed = |model| Attempt { model, cost: None, calls: Some(90), accepted: false };
    let end = decide(&Policy { max_tries: 4, ..policy }, &learned, &situation(&[0, 1, 2, 3].map(failed)));
    assert!(matches!(end, Decision::Ask { confidence } if confidence < 0.05), "{end:?}");
}

#[test]
fn a_budget_is_never_planned_to_be_broken() {
    let outcomes = a_few();
    let all: Vec<&TaskOutcomes> = outcomes.tasks.iter().collect();
    let policy = Policy { budget: Some(Usd::from_micros(50_000)), worth: None, ..Policy::default() };
    let learned = Learned::from_tasks(&all, &outcomes.models, policy.learning);
    let spent = [Attempt { model: 0, cost: Some(Usd::from_micros(49_999)), calls: None, accepted: false }];
    let end = decide(&policy, &learned, &Situation { group: "x", attempts: &spent, draw: 0.0 });
    assert!(matches!(end, Decision::Accept { attempt: 0, .. }), "{end:?}");
}

#[test]
fn exploring_spreads_first_attempts() {
    let outcomes = a_few();
    let firsts = |explore| {
        let policy = Policy { explore, ..Policy::default() };
        let pass = one(&outcomes, &policy, &SETTING).remove(0);
        pass.iter().filter_map(|played| played.tried.first().copied()).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert!(firsts(1.0) > firsts(0.0));
}

#[test]
fn a_setting_that_does_not_fit_is_refused() {
    let outcomes = a_few();
    let given = [Contender::Given(Policy::default())];
    let tasks = outcomes.tasks.len();
    for folds in [0, 1, tasks + 1] {
        assert_eq!(replay(&outcomes, &given, &Setting { folds, ..SETTING }), Err(ReplayError::Folds { folds, tasks }));
    }
    assert_eq!(replay(&outcomes, &given, &Setting { seeds: 0, ..SETTING }), Err(ReplayError::Seeds));
    let stranger = [Contender::Given(Policy { ladder: vec!["nobody".to_owned()], ..Policy::default() })];
    let said = replay(&outcomes, &stranger, &SETTING).expect_err("nobody is recorded").to_string();
    assert!(said.starts_with("ladder names the model `nobody`, of which nothing is recorded"), "{said}");
}

#[test]
fn chance_between_two_models_lies_on_the_line_between_them() {
    let point =
        |resolved, dollars: i64| frontier::Point { resolved, cost: Usd::from_micros(dollars * 1_000_000), calls: 0.0 };
    let singles = [point(0.4, 10), point(0.8, 30), point(0.5, 20), point(0.3, 40)];
    assert_eq!(best_single(&singles), Some(1));
    assert_eq!(mixed_at(&singles, Usd::from_micros(5_000_000)), None);
    assert!((mixed_at(&singles, Usd::from_micros(20_000_000)).expect("between") - 0.6).abs() < 1e-12);
    assert_eq!(mixed_at(&singles, Usd::from_micros(90_000_000)), Some(0.8));
}

/// docs/reference/routing-economics.md has these figures for the whole file and one seed.
#[test]
fn the_page_says_what_the_code_gives() {
    let page = include_str!("../../../../../docs/reference/routing-economics.md");
    let bytes = include_bytes!("../../../../../tests/fixtures/bench/swe_bench_verified_outcomes.csv");
    let outcomes = parse_outcomes(bytes).expect("the recorded outcomes");
    let singles = singles(&outcomes);
    let best = best_single(&singles).expect("a model");
    let row = |point: frontier::Point| format!("{:.1} % | {}", point.resolved * 100.0, point.cost);
    for expected in [
        format!("| best single (`{}`) | {} |", outcomes.models[best], row(singles[best])),
        format!("| oracle | {} |", row(oracle(&outcomes))),
    ] {
        assert!(page.contains(&expected), "the page lacks: {expected}");
    }
    let few = a_few();
    let figures = sum(&few, &Policy::default(), &SETTING);
    let expected = format!("{:.1} % of {} tasks for {}", figures.resolved * 100.0, few.tasks.len(), figures.cost);
    assert!(page.contains(&expected), "the page lacks: {expected}");
}
