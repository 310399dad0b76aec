//! Age and version, and what a model's runs say of it.

use super::*;
use crate::base::ids::{RunId, TaskId};
use crate::economics::track_record::{Source, Verdict};
use crate::tasks::task_type::TaskType;
use jiff::SignedDuration;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("a time")
}

fn sample(model: &str, version: Option<&str>, hours_ago: i64, is_good: bool) -> Sample {
    Sample {
        source: Source::Run { task: TaskId(1), run: RunId::new(TaskId(1), 1, 1), attempt: 1 },
        title: String::new(),
        task_type: TaskType::Fix,
        labels: Vec::new(),
        project: None,
        complexity: None,
        agent: "claude".to_owned(),
        model: Some(model.to_owned()),
        version: version.map(str::to_owned),
        ended_at: now() - SignedDuration::from_hours(hours_ago),
        took: None,
        cost: None,
        verdict: if is_good { Verdict::Accepted } else { Verdict::Failed(None) },
    }
}

/// Names are models of anthropic's, but for `own`, which nobody knows.
fn find(_: &str, name: &str) -> Option<(ModelRef, Option<Tier>)> {
    (name != "own").then(|| (ModelRef::new("anthropic", name), Some(Tier::Opus)))
}

#[test]
fn a_models_record_is_its_own_and_that_of_a_tier_is_made_of_several_models() {
    let of = |model: &str, good: usize, lost: usize| -> Vec<Sample> {
        let good = std::iter::repeat_with(|| sample(model, None, 1, true)).take(good);
        good.chain(std::iter::repeat_with(|| sample(model, None, 1, false)).take(lost)).collect()
    };
    let alone = records(&[of("a", 1, 3), of("own", 0, 9)].concat(), now(), find);
    let model = |name: &str| ModelRef::new("anthropic", name);
    assert_eq!(alone.models.get(&model("a")), Some(&Record::even(1, 4)));
    assert_eq!((alone.models.len(), alone.tiers.len()), (1, 0), "{alone:?}");
    let two = records(&[of("a", 1, 3), of("b", 4, 0)].concat(), now(), find);
    assert_eq!(two.tiers.get(&Tier::Opus), Some(&Record::even(5, 8)), "{two:?}");
    assert!(records(&[], now(), find).is_empty());
}

#[test]
fn a_record_fades_with_age_and_with_another_version() {
    let (day, half_life) = (24, 24 * 90);
    let of = |old: Option<&str>, hours| {
        let all = [sample("a", Some("a-2"), 0, true), sample("a", old, hours, false), sample("a", old, hours, false)];
        records(&all, now(), find).models.remove(&ModelRef::new("anthropic", "a")).expect("a record")
    };
    assert!(of(Some("a-2"), day).is_bad(), "one of three");
    assert_eq!(of(Some("a-2"), day).describe(), "1 of 3 good");
    assert!(!of(Some("a-1"), day).is_bad(), "of another version, half of it");
    assert!(!of(Some("a-2"), half_life).is_bad(), "a half-life ago");
    assert_eq!(of(Some("a-1"), half_life).describe(), "1 of 3 good, 67 % as they weigh");
}

proptest! {
    #[test]
    fn another_version_never_weighs_more_and_the_order_by_age_stays(
        ages in proptest::collection::vec(0i64..24 * 2000, 2..20),
        of_newest in proptest::collection::vec(proptest::option::of(proptest::bool::ANY), 2..20),
    ) {
        // The newest of all tells the version that answers now.
        let newest = sample("a", Some("a-2"), -1, true);
        let version = |is_newest: &Option<bool>| is_newest.map(|is_newest| if is_newest { "a-2" } else { "a-1" });
        let samples: Vec<Sample> =
            ages.iter().zip(&of_newest).map(|(age, of)| sample("a", version(of), *age, true)).collect();
        let weights = Weights::from_samples(samples.iter().chain([&newest]), now());
        for one in &samples {
            let same = Sample { version: newest.version.clone(), ..one.clone() };
            let (own, as_newest) = (weights.weight(one), weights.weight(&same));
            prop_assert!((0.0..=1.0).contains(&own));
            prop_assert!(own <= as_newest);
            if one.version.as_deref() == Some("a-1") {
                prop_assert_eq!(own, as_newest * OTHER_VERSION);
            }
            for other in &samples {
                if one.version == other.version && one.ended_at <= other.ended_at {
                    prop_assert!(weights.weight(one) <= weights.weight(other));
                }
            }
        }
        let mut turned: Vec<&Sample> = samples.iter().chain([&newest]).collect();
        turned.reverse();
        let again = Weights::from_samples(turned, now());
        prop_assert!(samples.iter().all(|one| weights.weight(one) == again.weight(one)));
    }
}
