//! Tiers that only a name tells, what a limit on price leaves of the suggestions, and references without a model.

use super::*;

fn ids(found: &Resolution<'_>) -> Vec<String> {
    found.alternatives.iter().map(|other| other.model.to_string()).collect()
}

#[test]
fn a_tier_that_only_a_name_tells_comes_after_those_that_somebody_knows() {
    let fixture = Fixture::new(&["openai"]);
    let luna = fixture.catalog.model(&"openai/gpt-6-luna-pro".parse().expect("an id")).expect("there");
    assert!(luna.facts().tier == Some(Tier::Pro) && luna.is_tier_guessed(), "a small model with pro in its name");
    for mode in Mode::ALL {
        let selection = Selection { mode, ..Selection::default() };
        let found = Resolver { selection: &selection, ..fixture.resolver() };
        let found = found.resolve("tier:pro", &Needs::default()).expect("there");
        assert!(!found.model.is_tier_guessed(), "{mode:?}: {}", found.reason);
        assert!(found.warnings.is_empty(), "{mode:?}: {:?}", found.warnings);
    }
}

#[test]
fn a_tier_that_only_a_name_tells_is_taken_where_no_other_does_and_that_is_told() {
    let said = |tier, dollars| model(tier, None, 64_000, Some(dollars));
    let own = vec![
        ("local/a-pro".parse().expect("an id"), said(None, 1.0)),
        ("local/b-pro".parse().expect("an id"), said(None, 2.0)),
        ("local/known".parse().expect("an id"), said(Some(Tier::Pro), 30.0)),
        ("local/known-2".parse().expect("an id"), said(Some(Tier::Pro), 40.0)),
    ];
    let mut fixture = Fixture::bare(&["local"], own.clone());
    fixture.selection.mode = Mode::Economical;
    let found = fixture.ask("tier:pro", &Needs::default()).expect("there");
    assert_eq!(found.model.id.to_string(), "local/known");
    assert!(found.reason.contains("the lowest price of 2 usable models"), "{}", found.reason);
    assert_eq!(ids(&found), ["local/known-2", "local/a-pro", "local/b-pro"]);
    let named = fixture.ask("local/known-2", &Needs::default()).expect("there");
    assert_eq!(ids(&named), ["local/known", "local/a-pro", "local/b-pro"]);
    fixture.records.models.insert("local/known".parse().expect("an id"), Record::even(3, 3));
    let found = fixture.ask("tier:pro", &Needs::default()).expect("there");
    assert!(!found.reason.contains("without history"), "{}", found.reason);
    let mut fixture = Fixture::bare(&["local"], own.into_iter().take(2).collect());
    fixture.selection.mode = Mode::Economical;
    let found = fixture.ask("tier:pro", &Needs::default()).expect("there");
    assert_eq!(found.model.id.to_string(), "local/a-pro");
    let text = "local/a-pro is of tier pro by its name only; models.local/a-pro.tier in config.yml says it";
    assert_eq!(found.warnings, [text]);
}

#[test]
fn a_limit_on_price_suggests_nothing_that_it_forbids() {
    let mut fixture = Fixture::with(&["local"], &small());
    fixture.selection.max_cost_per_1k_tokens = Usd::from_dollars(0.000_03);
    let error = fixture.error("auto:vision");
    assert!(error.to_string().ends_with("at a known price of at most $0.00003 per 1,000 tokens"), "{error}");
    for id in error.suggestions() {
        let model = fixture.catalog.model(&id.parse().expect("an id")).expect("there");
        assert_eq!(model.is_dearer_than(Usd::from_micros(30)), Some(false), "{id}");
    }
    let hint = error.hint();
    assert!(hint.contains("a higher model_selection.max_cost_per_1k_tokens"), "{hint}");
    fixture.selection.max_cost_per_1k_tokens = Usd::from_dollars(0.002);
    let error = fixture.error("auto:vision");
    assert!(!error.suggestions().is_empty(), "{error}");
    for id in error.suggestions() {
        let model = fixture.catalog.model(&id.parse().expect("an id")).expect("there");
        assert_eq!(model.is_dearer_than(Usd::from_micros(2000)), Some(false), "{id}");
    }
    assert!(error.hint().contains("once their provider can be used"), "{}", error.hint());
    let named = fixture.ask("local/blind", &needs(&[Capability::Vision])).expect_err("it has none");
    assert_eq!(named.suggestions()[0], "local/eye", "a person may name a dear one");
}

#[test]
fn a_provider_without_a_model_is_no_reference_though_an_alias_is_called_like_it() {
    let fixture = Fixture::new(&["anthropic"]);
    assert!(fixture.ask("anthropic", &Needs::default()).is_ok(), "the alias");
    let error = fixture.error("anthropic/");
    assert_eq!(error.to_string(), "\"anthropic/\" is not a reference to a model");
    assert_eq!(error.trouble(), Trouble::Usage);
}
