//! The budget tracker's table of tiers, and what keeps a dear model in its place.

use super::*;
use crate::models::agent_model::needs_of_labels;
use crate::models::agent_model::tests::CLAUDE;
use crate::models::catalog::{Additions, Capability, Catalog, Facts, ModelRef};
use crate::models::provider_access::{ProviderAccess, Way as Usable};
use crate::models::resolve::Records;
use std::collections::BTreeMap;

const CODEX: Reach<'_> = Reach { agent: "codex", provider: Some("openai"), ..CLAUDE };
const OPENCODE: Reach<'_> = Reach { agent: "opencode", provider: None, full_names: true, ..CLAUDE };
const NOBODY: [Option<&str>; 3] = [None; 3];

fn blind(id: &str, tier: Tier, dollars: f64) -> (ModelRef, Facts) {
    let capabilities = [(Capability::Vision, false), (Capability::Tools, true), (Capability::Reasoning, false)];
    let price = Usd::from_dollars(dollars);
    let facts = Facts {
        tier: Some(tier),
        capabilities: BTreeMap::from(capabilities),
        context_window: Some(8_000),
        input_price: price,
        output_price: price,
        ..Facts::default()
    };
    (id.parse().expect("provider/model"), facts)
}

fn way_in(catalog: &Catalog, reach: Reach<'_>, asked: &str, mapped: [Option<&str>; 3], labels: &[&str]) -> Replacement {
    let mut usability = ProviderAccess::default();
    ["openai", "anthropic", "google", "small"].into_iter().for_each(|id| usability.allow(id, Usable::Declared));
    let (selection, records) = (Selection::default(), Records::default());
    let resolver = Resolver { catalog, usability: &usability, selection: &selection, records: &records };
    let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
    ExpensiveModel { reach, resolver, needs: &needs_of_labels(&labels), asked, mapped }.replacement()
}

fn built_in() -> Catalog {
    let aliases = [("big", "opus"), ("thinker", "auto:reasoning"), ("round", "round")];
    let aliases = aliases.map(|(name, target)| (name.to_owned(), target.to_owned()));
    Catalog::with(&Additions { aliases: BTreeMap::from(aliases), ..Additions::default() })
}

fn tier_of(catalog: &Catalog, way: &Replacement) -> Option<Tier> {
    let Replacement::Cheaper { name, .. } = way else { return None };
    let all = catalog.models().iter();
    let mut found = all.filter(|model| model.id.model == *name || model.id.to_string() == *name);
    found.next().and_then(|model| model.facts().tier)
}

#[test]
fn the_two_highest_rungs_go_down_to_the_middle_one_whatever_the_settings_call_them() {
    let catalog = built_in();
    let rows: [(Reach<'_>, &str, bool); 12] = [
        (CLAUDE, "opus", true),
        (CLAUDE, "tier:opus", true),
        (CLAUDE, "big", true),
        (CLAUDE, "claude-opus-4-8", true),
        (CLAUDE, "anthropic/claude-opus-5", true),
        (OPENCODE, "anthropic/claude-opus-5", true),
        (CLAUDE, "sonnet", false),
        (CLAUDE, "tier:sonnet", false),
        (CLAUDE, "haiku", false),
        (CLAUDE, "tier:haiku", false),
        (CLAUDE, "a-name-of-its-own", false),
        (CLAUDE, "round", false),
    ];
    for (reach, asked, goes_down) in rows {
        let way = way_in(&catalog, reach, asked, NOBODY, &[]);
        assert_eq!(tier_of(&catalog, &way), goes_down.then_some(Tier::Sonnet), "{asked}: {way:?}");
        assert!(goes_down || way == Replacement::Same, "{asked}: {way:?}");
    }
}

#[test]
fn the_settings_own_name_for_the_middle_rung_goes_before_the_best_of_it() {
    let catalog = built_in();
    for (mapped, name) in [
        ([Some("opus"), Some("sonnet"), Some("haiku")], "sonnet"),
        ([Some("opus"), Some("opus"), Some("claude-sonnet-4-5")], "claude-sonnet-4-5"),
    ] {
        let way = way_in(&catalog, CLAUDE, "opus", mapped, &[]);
        assert!(matches!(&way, Replacement::Cheaper { name: found, .. } if found == name), "{way:?}");
    }
    // A cheaper model than the middle rung is not what the rule says.
    let way = way_in(&catalog, CLAUDE, "opus", [Some("opus"), Some("haiku"), Some("haiku")], &[]);
    assert_eq!(tier_of(&catalog, &way), Some(Tier::Sonnet), "{way:?}");
    // Nothing of the settings names the model of the task; it is dear all the same.
    let way = way_in(&catalog, CLAUDE, "opus", [Some("sonnet"), Some("haiku"), Some("haiku")], &[]);
    let Replacement::Cheaper { description, .. } = &way else { panic!("{way:?}") };
    assert!(description.contains("(tier sonnet) instead of opus (anthropic/claude-opus-"), "{description}");
}

#[test]
fn other_providers_have_their_rungs_and_what_is_on_none_goes_by_the_settings() {
    let catalog = built_in();
    let way = way_in(&catalog, CODEX, "gpt-5.2-pro", [Some("gpt-5.2-pro"), Some("gpt-5.2"), None], &[]);
    assert!(matches!(&way, Replacement::Cheaper { name, .. } if name == "gpt-5.2"), "{way:?}");
    let way = way_in(&catalog, CODEX, "gpt-5.2-pro", NOBODY, &[]);
    assert_eq!(tier_of(&catalog, &way), Some(Tier::Sonnet), "{way:?}");
    // On no rung: the person's own words for complex and medium tasks say which is the cheaper one.
    let mapped = [Some("large"), Some("small-one"), None];
    let way = way_in(&catalog, CLAUDE, "large", mapped, &[]);
    assert_eq!(
        way,
        Replacement::Cheaper { name: "small-one".to_owned(), description: "small-one instead of large".to_owned() }
    );
    assert_eq!(way_in(&catalog, CLAUDE, "other", mapped, &[]), Replacement::Same);
    assert_eq!(way_in(&catalog, CLAUDE, "large", [Some("large"), Some("large"), None], &[]), Replacement::Same);
}

#[test]
fn what_a_task_needs_is_never_given_up() {
    let overrides = vec![
        blind("small/old", Tier::Sonnet, 1.0),
        {
            let (id, mut facts) = blind("small/big", Tier::Opus, 9.0);
            facts.context_window = Some(1_000_000);
            facts.capabilities = Capability::ALL.into_iter().map(|what| (what, true)).collect();
            (id, facts)
        },
        blind("small/dearer", Tier::Sonnet, 9.0),
    ];
    let aliases = BTreeMap::from([("thinker".to_owned(), "auto:reasoning".to_owned())]);
    let catalog = Catalog::without_built_in_models(&Additions { overrides, aliases, ..Additions::default() });
    let small = Reach { agent: "small", provider: Some("small"), ..CLAUDE };
    let way = |asked: &str, labels: &[&str]| way_in(&catalog, small, asked, NOBODY, labels);
    assert_eq!(way("big", &["needs:vision"]), Replacement::Kept("old has no vision".to_owned()));
    assert_eq!(way("big", &["needs:reasoning"]), Replacement::Kept("old has no reasoning".to_owned()));
    assert_eq!(way("auto:reasoning", &[]), Replacement::Kept("old has no reasoning".to_owned()));
    assert_eq!(way("thinker", &[]), Replacement::Kept("old has no reasoning".to_owned()), "behind an alias as well");
    let Replacement::Kept(why) = way("auto:docs", &[]) else { panic!("a context of 8000 is too small") };
    assert!(why.contains("has a context of 8000 tokens"), "{why}");
    let description = "old (tier sonnet) instead of big (small/big, tier opus)".to_owned();
    assert_eq!(way("big", &["needs:tools"]), Replacement::Cheaper { name: "old".to_owned(), description });
}

#[test]
fn nothing_is_taken_that_costs_as_much() {
    let overrides = vec![blind("small/big", Tier::Pro, 9.0), blind("small/dearer", Tier::Sonnet, 9.0)];
    let catalog = Catalog::without_built_in_models(&Additions { overrides, ..Additions::default() });
    let small = Reach { agent: "small", provider: Some("small"), ..CLAUDE };
    let way = way_in(&catalog, small, "big", [Some("big"), Some("dearer"), None], &[]);
    assert_eq!(way, Replacement::Kept("small has no cheaper model of tier sonnet".to_owned()));
    // Without one of the middle rung, the settings' own cheaper name does.
    let overrides = vec![blind("small/big", Tier::Pro, 9.0), blind("small/little", Tier::Haiku, 1.0)];
    let catalog = Catalog::without_built_in_models(&Additions { overrides, ..Additions::default() });
    let way = way_in(&catalog, small, "big", [Some("big"), Some("little"), None], &[]);
    assert!(matches!(&way, Replacement::Cheaper { name, .. } if name == "little"), "{way:?}");
    assert!(matches!(way_in(&catalog, small, "big", NOBODY, &[]), Replacement::Kept(_)), "nobody named it");
    let elsewhere = Reach { is_elsewhere: true, ..CLAUDE };
    let way = way_in(&built_in(), elsewhere, "opus", NOBODY, &[]);
    assert!(matches!(&way, Replacement::Kept(_)), "names of another server are the person's to say: {way:?}");
    let way = way_in(&built_in(), elsewhere, "opus", [Some("opus"), Some("sonnet"), None], &[]);
    assert!(matches!(&way, Replacement::Cheaper { name, .. } if name == "sonnet"), "{way:?}");
}
