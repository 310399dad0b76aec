//! What the built-in table promises, and who overrules whom.

use super::*;
use crate::base::money::Usd;
use std::collections::BTreeSet;

fn id(text: &str) -> ModelRef {
    text.parse().expect("provider/model")
}

fn facts(vision: Option<bool>, input: Option<i64>) -> Facts {
    Facts {
        capabilities: vision.map(|value| (Capability::Vision, value)).into_iter().collect(),
        input_price: input.map(Usd::from_micros),
        ..Facts::default()
    }
}

#[test]
fn the_built_in_table_is_sound_and_dated() {
    let catalog = Catalog::built_in();
    assert!(catalog.models().len() > 200 && catalog.about().contains("2026-"), "{}", catalog.about());
    for model in catalog.models() {
        let known = model.facts();
        assert!(catalog.provider(&model.id.provider).is_some(), "{}", model.id);
        assert!(known.context_window.is_some_and(|tokens| tokens > 0), "{}", model.id);
        for price in [known.input_price, known.output_price].into_iter().flatten() {
            assert!(price > Usd::ZERO && price < Usd::from_micros(1_000_000_000), "{}: {price}", model.id);
        }
        assert!(known.released.as_deref().is_some_and(|day| day.len() == 10 && day < "2027"), "{}", model.id);
    }
    let own = BUILT_IN.providers.iter().map(|provider| &provider.id).collect::<BTreeSet<_>>();
    assert_eq!(own.len(), BUILT_IN.providers.len(), "each provider once");
}

#[test]
fn every_built_in_alias_and_successor_leads_to_a_model() {
    let catalog = Catalog::built_in();
    for alias in catalog.aliases() {
        assert_eq!(catalog.alias(&alias.name), Some(alias), "{}: two aliases have one spelling", alias.name);
        let mut target = alias.target.as_str();
        for _ in 0..5 {
            target = catalog.alias(target).map_or(target, |next| next.target.as_str());
        }
        let is_tier = target.starts_with("tier:");
        let is_model = || target.parse().is_ok_and(|id| catalog.model(&id).is_some());
        let is_name = || !catalog.spelled(target, None).is_empty();
        assert!(is_tier || is_model() || is_name(), "{} → {target}", alias.name);
        assert!(matches!(&alias.origin, AliasOrigin::BuiltIn(about) if about.contains("2026-")));
    }
    for retired in &BUILT_IN.retired {
        assert!(catalog.model(&id(&retired.successor)).is_some(), "{} → {}", retired.name, retired.successor);
        assert!(catalog.model(&id(&retired.name)).is_none(), "{} is in the table", retired.name);
        assert!(retired.about.contains("2026-"), "{}", retired.about);
    }
}

/// One model of each tier that it is known for, and what has its place at other providers.
#[test]
fn the_tiers_hold_what_they_are_known_for() {
    let catalog = Catalog::built_in();
    for (tier, models) in [
        (Tier::Haiku, &["anthropic/claude-haiku-4-5"][..]),
        (Tier::Flash, &["google/gemini-2.5-flash", "openai/gpt-4.1-mini", "opencode/gemini-3-flash"]),
        (Tier::Sonnet, &["anthropic/claude-sonnet-4-6", "opencode/claude-sonnet-4", "openai/gpt-4.1"]),
        (Tier::Pro, &["google/gemini-2.5-pro", "opencode/gemini-3.1-pro"]),
        (Tier::Opus, &["anthropic/claude-opus-4-6", "opencode/claude-opus-4-6", "openai/o3"]),
    ] {
        for model in models {
            assert_eq!(catalog.model(&id(model)).and_then(|m| m.facts().tier), Some(tier), "{model}");
        }
    }
    assert_eq!(Tier::Pro.neighbours().collect::<Vec<_>>(), [Tier::Sonnet, Tier::Flash, Tier::Haiku, Tier::Opus]);
    assert_eq!(Tier::Haiku.neighbours().next(), Some(Tier::Flash));
}

#[test]
fn override_goes_before_provider_before_catalog_before_inference_for_each_fact() {
    let model = id("openai/gpt-5.2");
    let additions = Additions {
        api: vec![(model.clone(), facts(Some(false), Some(7)))],
        overrides: vec![(model.clone(), facts(None, Some(9)))],
        ..Additions::default()
    };
    let catalog = Catalog::with(&additions);
    let found = catalog.model(&model).expect("there");
    assert_eq!(found.facts().input_price, Some(Usd::from_micros(9)));
    assert_eq!(found.can(Capability::Vision), Some(false));
    assert_eq!(found.facts().context_window, Some(400_000));
    let of = |name| found.sources().get(name).copied();
    assert_eq!(of("input_usd_per_mtok"), Some(Source::Override));
    assert_eq!(of("vision"), Some(Source::ProviderApi));
    assert_eq!(of("context_window"), Some(Source::Catalog));
    assert_eq!(of("web"), None);
    let own = Additions { overrides: vec![(id("local/llava-vision"), Facts::default())], ..Additions::default() };
    let catalog = Catalog::with(&own);
    let guessed = catalog.model(&id("local/llava-vision")).expect("added");
    assert_eq!(guessed.sources().get("vision"), Some(&Source::Inferred));
    assert!(guessed.can(Capability::Vision) == Some(true) && !guessed.surely_can(Capability::Vision));
    let said =
        Additions { overrides: vec![(id("local/llava-vision"), facts(Some(true), None))], ..Additions::default() };
    assert!(Catalog::with(&said).model(&id("local/llava-vision")).is_some_and(|m| m.surely_can(Capability::Vision)));
}

/// Capabilities of the schema that this table follows, each by the name that orch has for it.
#[test]
fn every_capability_of_the_schema_can_be_said() {
    let names = Capability::ALL.map(Capability::as_str);
    assert_eq!(names, ["vision", "tools", "streaming", "reasoning", "web", "pdf", "code_execution"]);
    let mut model = Model::unknown(id("a/b"));
    assert_eq!(model.can(Capability::Streaming), Some(true), "every model streams unless somebody says otherwise");
    assert_eq!(model.can(Capability::Tools), None);
    let said = Facts {
        capabilities: Capability::ALL.map(|what| (what, false)).into(),
        context_window: Some(1),
        max_output_tokens: Some(2),
        input_price: Some(Usd::from_micros(3)),
        output_price: Some(Usd::from_micros(5)),
        average_latency_ms: Some(6),
        throughput_tokens_per_second: Some(7),
        ..Facts::default()
    };
    model.learn(&said, Source::Override);
    assert!(Capability::ALL.into_iter().all(|what| model.can(what) == Some(false)));
    assert_eq!(model.facts().average_latency_ms, Some(6));
    assert_eq!(model.average_price(), Some(Usd::from_micros(4)));
    assert_eq!(model.sources().len(), 13);
}

#[test]
fn prices_are_for_a_million_tokens_and_the_limit_for_a_thousand() {
    let catalog = Catalog::built_in();
    let haiku = catalog.model(&id("anthropic/claude-haiku-4-5")).expect("there");
    assert_eq!(haiku.average_price(), Usd::from_dollars(3.0), "1 in, 5 out");
    let limit = |dollars| Usd::from_dollars(dollars).expect("in range");
    assert_eq!(haiku.is_dearer_than(limit(0.003)), Some(false), "$3 a million are $0.003 a thousand");
    assert_eq!(haiku.is_dearer_than(limit(0.002_999)), Some(true));
    let free = catalog.model(&id("opencode/big-pickle")).expect("there");
    assert_eq!((free.average_price(), free.is_dearer_than(limit(1.0))), (None, None), "not known is not 0");
}
