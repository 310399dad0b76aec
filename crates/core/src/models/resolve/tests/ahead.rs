//! What is paid in advance, and one model at two speeds.

use super::*;

const OPUS: &str = "anthropic/claude-opus-5-5";
const QUICK: &str = "anthropic/claude-opus-5-5-fast";

fn record(fixture: &mut Fixture, id: &str, good: u64, samples: u64) {
    fixture.records.models.insert(id.parse().expect("an id"), Record::even(good, samples));
}

#[test]
fn a_provider_that_is_paid_in_advance_goes_before_equals_and_after_the_first_of_the_persons_own() {
    let mut fixture = Fixture::with(&["local", "other"], &small());
    let ask = |fixture: &Fixture| {
        fixture.ask("tier:sonnet", &Needs::default()).map(|found| (found.model.id.to_string(), found.reason))
    };
    let (before, reason) = ask(&fixture).expect("there");
    assert_eq!(before, "local/eye");
    assert!(!reason.contains("paid"), "{reason}");
    fixture.selection.paid_ahead = ["other".to_owned()].into();
    let (taken, reason) = ask(&fixture).expect("there");
    assert_eq!(taken, "other/eye-2");
    assert!(reason.contains("score 14 (performance); other is paid in advance and has something left"), "{reason}");
    fixture.selection.preferred_providers = vec!["local".to_owned()];
    assert_eq!(ask(&fixture).expect("there").0, "local/eye", "the person's first word");
    fixture.selection.preferred_providers = vec!["nobody".to_owned(), "elsewhere".to_owned(), "local".to_owned()];
    assert_eq!(ask(&fixture).expect("there").0, "other/eye-2", "their third one is worth less");
    // Where price goes first, it costs nothing more, though nobody knows its price.
    fixture.selection.mode = Mode::Economical;
    assert_eq!(ask(&fixture).expect("there").0, "other/eye-2");
    fixture.selection.paid_ahead.clear();
    assert_eq!(ask(&fixture).expect("there").0, "local/eye");
    // What is needed is asked of it all the same.
    fixture.selection.paid_ahead = ["local".to_owned()].into();
    assert_eq!(fixture.id("auto:docs"), "local/eye", "of those that are paid the cheaper one");
    let found = fixture.ask("auto:reasoning", &needs(&[Capability::Vision])).expect("there");
    assert!(found.model.surely_can(Capability::Vision), "{}", found.model.id);
}

#[test]
fn the_same_model_at_a_higher_price_is_not_taken_because_of_failures_of_the_cheaper_one() {
    for (own, quick) in
        [(Some((0, 3)), None), (Some((0, 4)), Some((1, 1))), (None, Some((3, 3))), (Some((1, 4)), Some((3, 3)))]
    {
        let mut fixture = Fixture::new(&["anthropic"]);
        own.into_iter().for_each(|(good, samples)| record(&mut fixture, OPUS, good, samples));
        quick.into_iter().for_each(|(good, samples)| record(&mut fixture, QUICK, good, samples));
        let found = fixture.ask("tier:opus", &Needs::default()).expect("there");
        assert!(!found.model.id.model.ends_with("-fast"), "{own:?} {quick:?}: {} {}", found.model.id, found.reason);
    }
    let mut fixture = Fixture::new(&["anthropic"]);
    record(&mut fixture, QUICK, 3, 3);
    let found = fixture.ask("tier:opus", &Needs::default()).expect("there");
    assert_eq!(found.model.id.to_string(), OPUS);
    assert!(found.reason.contains("history at any speed: 3 of 3 good"), "{}", found.reason);
}

#[test]
fn records_of_one_model_are_put_together_and_those_of_others_are_not() {
    let mut records = Records::default();
    let of =
        |records: &Records, id: &str| records.record(&id.parse().expect("an id")).map(|(record, _)| record.describe());
    for (id, good) in [("a/m", 1), ("a/m-fast", 2), ("a/m-highspeed", 3), ("a/m-pro", 0), ("b/m-fast", 0)] {
        records.models.insert(id.parse().expect("an id"), Record::even(good, 4));
    }
    for id in ["a/m", "a/m-fast", "a/m-highspeed"] {
        assert_eq!(of(&records, id).as_deref(), Some("6 of 12 good"), "{id}");
    }
    assert_eq!(of(&records, "a/m-pro").as_deref(), Some("0 of 4 good"));
    assert_eq!(of(&records, "b/m").as_deref(), Some("0 of 4 good"));
    assert_eq!(of(&records, "c/m"), None);
}

#[test]
fn where_an_image_is_to_be_seen_a_choice_surely_can_and_a_named_model_is_not_known_to_be_blind() {
    let fixture = Fixture::with(&["local", "other"], &small());
    let sees = Needs { sees_images: true, ..Needs::default() };
    assert_eq!(fixture.ask("auto:reasoning", &sees).expect("there").model.id.to_string(), "local/eye");
    assert_eq!(fixture.ask("tier:opus", &sees).expect("of another tier").model.id.model, "eye");
    let error = fixture.ask("local/blind", &sees).expect_err("it is blind");
    assert!(error.to_string().contains("local/blind has no vision, and the task refers to an image"), "{error}");
    assert!(fixture.ask("local/some-vision", &sees).is_ok(), "its name says so, and nobody says otherwise");
    let tiny = Fixture::with(&["nowhere"], &small());
    let error = tiny.ask("auto:reasoning", &sees).expect_err("nobody is there");
    assert!(error.to_string().contains("has vision and reasoning"), "{error}");
}
