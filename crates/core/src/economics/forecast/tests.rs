//! Forecasts on made-up samples, and their error on recorded ones.

use super::*;
use crate::economics::policy::outcomes::parse_outcomes;
use crate::economics::track_record::{Source, Verdict};
use crate::tasks::outcome::FailureClass;
use jiff::Timestamp;
use proptest::prelude::*;

const PAST: &[u8] = include_bytes!("../../../../../tests/fixtures/bench/swe_bench_verified_outcomes.csv");

fn sample(model: &str, project: &str, task_type: TaskType, complexity: Complexity, micros: Option<i64>) -> Sample {
    Sample {
        source: Source::Person { number: 1, by: String::new(), note: String::new() },
        title: String::new(),
        task_type,
        labels: Vec::new(),
        project: Some(PathBuf::from(project)),
        complexity: Some(complexity),
        agent: "claude".to_owned(),
        model: Some(model.to_owned()),
        version: None,
        ended_at: Timestamp::UNIX_EPOCH,
        took: None,
        cost: micros.map(Usd::from_micros),
        verdict: Verdict::Accepted,
    }
}

fn kind(model: &str, project: &str) -> Kind {
    Kind {
        project: Some(PathBuf::from(project)),
        task_type: TaskType::Fix,
        complexity: Complexity::Simple,
        worker: Worker { agent: "claude".to_owned(), model: Some(model.to_owned()) },
    }
}

fn text(outlook: &Outlook) -> (Option<(i64, usize, usize)>, usize) {
    let forecast = outlook.forecast.as_ref();
    (forecast.map(|found| (found.median.micros(), found.samples, found.group.len())), outlook.unpriced)
}

#[test]
fn the_narrowest_group_with_enough_priced_runs_speaks_and_says_which_it_is() {
    let fix = |project: &str, micros| sample("small", project, TaskType::Fix, Complexity::Simple, micros);
    let mut samples: Vec<Sample> = (1..=4).map(|at| fix("/shop", Some(at * 100))).collect();
    assert_eq!(text(&outlook(&kind("small", "/shop"), &samples)), (Some((250, 4, 0)), 0), "few, but all there are");
    samples.push(fix("/barn", Some(900)));
    assert_eq!(text(&outlook(&kind("small", "/shop"), &samples)), (Some((300, 5, 2)), 0), "of any project");
    samples.push(fix("/shop", Some(500)));
    let found = outlook(&kind("small", "/shop"), &samples);
    assert_eq!(text(&found), (Some((300, 5, 3)), 0));
    let forecast = found.forecast.expect("there is one");
    assert_eq!((forecast.low.micros(), forecast.high.micros()), (200, 400));
    assert_eq!(forecast.group.iter().map(|one| one.as_str()).collect::<Vec<_>>(), ["project", "type", "complexity"]);
    samples.extend((0..5).map(|_| sample("small", "/x", TaskType::Docs, Complexity::Complex, Some(7))));
    let elsewhere = Kind { complexity: Complexity::Complex, ..kind("small", "/shop") };
    assert_eq!(text(&outlook(&elsewhere, &samples)), (Some((7, 5, 1)), 0), "the same complexity");
}

#[test]
fn what_is_not_known_is_no_price_of_zero_and_another_model_says_nothing() {
    let dear = |micros| sample("big", "/shop", TaskType::Fix, Complexity::Simple, micros);
    let samples: Vec<Sample> = (0..9).map(|_| dear(Some(5))).chain([dear(None), dear(None)]).collect();
    assert_eq!(text(&outlook(&kind("small", "/shop"), &samples)), (None, 0));
    assert_eq!(text(&outlook(&kind("big", "/shop"), &samples)), (Some((5, 9, 3)), 2));
    assert_eq!(text(&outlook(&kind("big", "/shop"), &[dear(None)])), (None, 1));
    let free = outlook(&kind("big", "/shop"), &[dear(Some(0))]);
    assert_eq!(text(&free), (Some((0, 1, 0)), 0), "a price of zero that was told is one");
    let nowhere = Kind { project: None, ..kind("big", "/shop") };
    let homeless: Vec<Sample> = (0..9).map(|_| Sample { project: None, ..dear(Some(5)) }).collect();
    assert_eq!(text(&outlook(&nowhere, &homeless)).0.map(|(_, _, shared)| shared), Some(2), "no project is none");
}

/// Leave-one-out: the median of how far the forecast is off, in parts of the true cost, and in how many cases the true cost
/// is within the middle half.
fn error_on_record(with_project: bool) -> (f64, f64) {
    let outcomes = parse_outcomes(PAST).expect("the file is sound");
    let (mut errors, mut within, mut all) = (Vec::new(), 0.0, 0.0);
    for (column, model) in outcomes.models.iter().enumerate() {
        let of = |group: &str| if with_project { group.to_owned() } else { "/".to_owned() };
        let mut samples: Vec<Sample> = outcomes
            .tasks
            .iter()
            .map(|task| {
                let micros = Some(task.cells[column].cost.micros());
                sample(model, &of(&task.group), TaskType::Fix, Complexity::Simple, micros)
            })
            .collect();
        for (at, task) in outcomes.tasks.iter().enumerate() {
            let own = samples.swap_remove(at);
            let found = outlook(&kind(model, &of(&task.group)), &samples).forecast.expect("the others have prices");
            samples.push(own);
            let last = samples.len() - 1;
            samples.swap(at, last);
            let truth = task.cells[column].cost;
            all += 1.0;
            within += if (found.low..=found.high).contains(&truth) { 1.0 } else { 0.0 };
            if truth > Usd::ZERO {
                errors.push((found.median.dollars() - truth.dollars()).abs() / truth.dollars());
            }
        }
    }
    errors.sort_by(f64::total_cmp);
    (errors[errors.len() / 2], within / all)
}

/// The figures of docs/reference/routing-economics.md.
#[test]
fn on_record_the_median_error_is_what_the_page_says_and_the_middle_half_holds_nearly_half() {
    let (alone, _) = error_on_record(false);
    let (error, within) = error_on_record(true);
    assert!((alone - 0.526).abs() < 0.002, "by the model alone: {alone}");
    assert!((error - 0.521).abs() < 0.002, "with the repository: {error}");
    assert!((within - 0.472).abs() < 0.002, "within the middle half: {within}");
    let page = include_str!("../../../../../docs/reference/routing-economics.md");
    for text in ["52.6 %", "52.1 %", "47.2 %"] {
        assert!(page.contains(text), "docs/reference/routing-economics.md does not say {text}");
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let (types, tiers) = ([TaskType::Fix, TaskType::Docs], Complexity::ALL);
    let cost = proptest::option::of(0i64..2_000_000_000_000);
    (0..2usize, 0..3usize, "[ab]", "/[xy]", cost, any::<bool>()).prop_map(
        move |(kind, tier, model, project, cost, good)| Sample {
            verdict: if good { Verdict::Accepted } else { Verdict::Failed(Some(FailureClass::NoChange)) },
            ..sample(&model, &project, types[kind].clone(), tiers[tier], cost)
        },
    )
}

proptest! {
    #[test]
    fn a_forecast_lies_among_what_was_paid_whatever_the_order(
        samples in proptest::collection::vec(any_sample(), 0..40),
        model in "[abc]",
        project in "/[xyz]",
    ) {
        let kind = kind(&model, &project);
        let found = outlook(&kind, &samples);
        let of_model = |sample: &&Sample| sample.model.as_deref() == Some(model.as_str());
        let paid: Vec<Usd> = samples.iter().filter(of_model).filter_map(|sample| sample.cost).collect();
        prop_assert_eq!(paid.len() + found.unpriced, samples.iter().filter(of_model).count());
        prop_assert_eq!(found.forecast.is_some(), !paid.is_empty());
        if let Some(forecast) = &found.forecast {
            let (least, most) = (paid.iter().min().copied(), paid.iter().max().copied());
            prop_assert!(least <= Some(forecast.low) && Some(forecast.high) <= most);
            prop_assert!(forecast.low <= forecast.median && forecast.median <= forecast.high);
            prop_assert!(forecast.samples >= ENOUGH || (forecast.group.is_empty() && forecast.samples == paid.len()));
        }
        let mut turned = samples;
        turned.reverse();
        prop_assert_eq!(found, outlook(&kind, &turned));
    }

    #[test]
    fn narrower_groups_hold_no_more_than_wider_ones(samples in proptest::collection::vec(any_sample(), 0..40)) {
        let kind = kind("a", "/x");
        let count = |group: &[Trait]| {
            samples.iter().filter(|sample| group.iter().all(|one| one.is_shared(&kind, sample))).count()
        };
        prop_assert!(GROUPS.windows(2).all(|two| count(two[0]) <= count(two[1])));
    }
}
