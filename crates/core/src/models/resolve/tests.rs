//! The tables of model selection, each as a test.

mod ahead;
mod edges;

use super::*;
use crate::base::money::Usd;
use crate::models::catalog::{Additions, Capability, Facts};
use crate::models::provider_access::Way;
use proptest::prelude::*;

/// A resolver with all its inputs.
struct Fixture {
    catalog: Catalog,
    usability: ProviderAccess,
    selection: Selection,
    records: Records,
}

impl Fixture {
    fn with(providers: &[&str], additions: &Additions) -> Self {
        Self { catalog: Catalog::with(additions), ..Self::usable(providers) }
    }

    /// A resolver with only these models, which is quicker to create.
    fn bare(providers: &[&str], overrides: Vec<(ModelRef, Facts)>) -> Self {
        let additions = Additions { overrides, ..Additions::default() };
        Self { catalog: Catalog::without_built_in_models(&additions), ..Self::usable(providers) }
    }

    fn usable(providers: &[&str]) -> Self {
        let mut usability = ProviderAccess::default();
        providers.iter().for_each(|provider| usability.allow(provider, Way::Declared));
        let catalog = Catalog::without_built_in_models(&Additions::default());
        Self { catalog, usability, selection: Selection::default(), records: Records::default() }
    }

    fn new(providers: &[&str]) -> Self {
        Self::with(providers, &Additions::default())
    }

    fn aliases(aliases: &[(&str, &str)]) -> Self {
        let aliases = aliases.iter().map(|(name, target)| ((*name).to_owned(), (*target).to_owned())).collect();
        Self::with(&["anthropic"], &Additions { aliases, ..Additions::default() })
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver {
            catalog: &self.catalog,
            usability: &self.usability,
            selection: &self.selection,
            records: &self.records,
        }
    }

    fn ask(&self, reference: &str, needs: &Needs) -> Result<Resolution<'_>, ResolveError> {
        self.resolver().resolve(reference, needs)
    }

    #[track_caller]
    fn id(&self, reference: &str) -> String {
        match self.ask(reference, &Needs::default()) {
            Ok(found) => found.model.id.to_string(),
            Err(error) => panic!("{reference}: {error}"),
        }
    }

    fn error(&self, reference: &str) -> ResolveError {
        match self.ask(reference, &Needs::default()) {
            Ok(found) => panic!("{reference} is {}", found.model.id),
            Err(error) => error,
        }
    }
}

fn needs(capabilities: &[Capability]) -> Needs {
    Needs { capabilities: capabilities.iter().copied().collect(), ..Needs::default() }
}

fn model(tier: Option<Tier>, vision: Option<bool>, context: u64, dollars: Option<f64>) -> Facts {
    let dollars = dollars.and_then(Usd::from_dollars);
    let said = [(Capability::Vision, vision), (Capability::Tools, Some(true)), (Capability::Reasoning, Some(true))];
    Facts {
        tier,
        capabilities: said.into_iter().filter_map(|(what, value)| Some((what, value?))).collect(),
        context_window: Some(context),
        input_price: dollars,
        output_price: dollars,
        ..Facts::default()
    }
}

/// A few models that only one provider has.
fn small() -> Additions {
    let said = [
        ("local/eye", model(Some(Tier::Sonnet), Some(true), 128_000, Some(10.0))),
        ("local/blind", model(Some(Tier::Opus), Some(false), 128_000, Some(20.0))),
        ("local/tiny-mini", model(Some(Tier::Haiku), Some(false), 16_000, Some(1.0))),
        ("local/some-vision", Facts { context_window: Some(8_000), ..Facts::default() }),
        ("other/eye-2", model(Some(Tier::Sonnet), Some(true), 256_000, None)),
    ];
    let overrides = said.into_iter().map(|(id, facts)| (id.parse().expect("an id"), facts)).collect();
    Additions { overrides, ..Additions::default() }
}

#[test]
fn every_name_that_users_type_leads_to_its_model() {
    let fixture = Fixture::new(&[]);
    let table = include_str!("../../../../../tests/fixtures/models/names.tsv");
    let rows: Vec<_> = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t')).collect();
    assert!(rows.len() >= 300, "{}", rows.len());
    let mut failures = Vec::new();
    for (typed, meant) in rows.into_iter().flatten() {
        match fixture.ask(typed, &Needs::default()) {
            Ok(found) if found.model.id.to_string() == meant => {}
            Ok(found) => failures.push(format!("{typed}: {} instead of {meant}", found.model.id)),
            Err(error) => failures.push(format!("{typed}: {error} instead of {meant}")),
        }
    }
    assert_eq!(failures, [""; 0], "{}", failures.join("\n"));
}

/// The table of automatic tags: what each needs, and what it prefers.
#[test]
fn each_tag_has_its_criteria() {
    let table = [
        (Tag::Auto, &[][..], None),
        (Tag::Vision, &[Capability::Vision], None),
        (Tag::Fast, &[], None),
        (Tag::Docs, &[Capability::Reasoning], Some(64_000)),
        (Tag::Code, &[Capability::Tools], Some(16_000)),
        (Tag::Reasoning, &[Capability::Reasoning], None),
        (Tag::Cheap, &[], None),
    ];
    assert_eq!(table.map(|(tag, _, _)| tag), Tag::ALL);
    for (tag, capabilities, min_context) in table {
        assert_eq!(needs_of(Some(tag)), Needs { min_context, ..needs(capabilities) }, "{tag:?}");
    }
    let mut fixture = Fixture::with(&["local", "other"], &small());
    assert_eq!(fixture.id("auto"), "local/blind", "without a default: the best score, then the highest tier");
    fixture.selection.model = Some("local/eye".to_owned());
    assert_eq!(fixture.id("auto"), "local/eye", "the default");
    assert_eq!(fixture.id("node:vision"), fixture.id("auto:vision"));
    assert_eq!(fixture.id("auto:fast"), "local/tiny-mini", "small context, and mini in the name");
    assert_eq!(fixture.id("auto:docs"), "other/eye-2", "the larger context");
    assert_eq!(fixture.id("auto:cheap"), "local/tiny-mini", "the lowest price in every mode");
    assert_eq!(fixture.id("auto:reasoning"), "local/blind");
}

#[test]
fn documents_prefer_web_access_where_it_is_known() {
    let mut additions = small();
    let web = Facts { capabilities: [(Capability::Web, true)].into(), ..Facts::default() };
    additions.overrides.push(("local/eye".parse().expect("an id"), web));
    let fixture = Fixture::with(&["local", "other"], &additions);
    let found = fixture.ask("auto:docs", &Needs::default()).expect("there");
    assert_eq!((found.model.id.to_string(), found.score.describe()), ("local/eye".to_owned(), "7".to_owned()));
}

/// The examples of docs/explanation/which-model.md.
#[test]
fn scores_are_worked_out_like_this() {
    let catalog = Catalog::built_in();
    let worth = |id: &str, tag, mode, preferred: &[&str]| {
        let preferred_providers = preferred.iter().map(|&name| name.to_owned()).collect();
        let selection = Selection { mode, preferred_providers, ..Selection::default() };
        let model = catalog.model(&id.parse().expect("an id")).expect("there");
        score(model, tag, &selection, mode, &Records::default()).describe()
    };
    let (sonnet, haiku) = ("anthropic/claude-sonnet-4-6", "anthropic/claude-haiku-4-5");
    assert_eq!(worth(sonnet, Some(Tag::Code), Mode::Performance, &[]), "5");
    assert_eq!(worth(sonnet, Some(Tag::Code), Mode::Balanced, &[]), "4.64");
    assert_eq!(worth(sonnet, None, Mode::Balanced, &[]), "-0.36");
    assert_eq!(worth(sonnet, None, Mode::Economical, &[]), "-0.9");
    assert_eq!(worth(haiku, Some(Tag::Fast), Mode::Performance, &["openai", "anthropic"]), "19");
    assert_eq!(worth(sonnet, Some(Tag::Docs), Mode::Performance, &[]), "10");
    assert_eq!(worth("opencode/big-pickle", None, Mode::Balanced, &[]), "-5");
    assert_eq!(worth("opencode/big-pickle", None, Mode::Economical, &[]), "-20");
    assert_eq!(worth("opencode/big-pickle", Some(Tag::Cheap), Mode::Performance, &[]), "5");
    assert_eq!(worth("google/gemini-2.5-pro", Some(Tag::Fast), Mode::Performance, &[]), "-5", "gemini is no mini");
    assert_eq!(worth("openai/gpt-5.3-codex", Some(Tag::Code), Mode::Performance, &["openai"]), "25");
}

#[test]
fn the_modes_weigh_price_as_their_names_say() {
    let mut fixture = Fixture::with(&["local"], &small());
    let ask = |fixture: &Fixture| fixture.id("auto:reasoning");
    assert_eq!(ask(&fixture), "local/blind", "performance: the highest tier");
    fixture.selection.mode = Mode::Balanced;
    assert_eq!(ask(&fixture), "local/tiny-mini", "balanced: less the price, nothing else differs");
    fixture.selection.preferred_providers = vec!["local".to_owned()];
    fixture.selection.mode = Mode::Economical;
    assert_eq!(ask(&fixture), "local/tiny-mini");
    let found = fixture.ask("tier:sonnet", &Needs::default()).expect("there");
    assert!(found.reason.contains("the lowest price"), "{}", found.reason);
}

#[test]
fn a_limit_on_price_excludes_what_is_dearer_and_what_is_not_known() {
    let mut fixture = Fixture::with(&["local", "other"], &small());
    fixture.selection.max_cost_per_1k_tokens = Usd::from_dollars(0.01);
    assert_eq!(fixture.id("auto:vision"), "local/eye", "other/eye-2 has no price, $10 a million are $0.01 a thousand");
    fixture.selection.max_cost_per_1k_tokens = Usd::from_dollars(0.009);
    let error = fixture.error("auto:vision");
    assert!(error.to_string().contains("at a known price of at most"), "{error}");
    let named = fixture.ask("local/blind", &Needs::default()).expect("a person's word goes before the limit");
    assert!(named.warnings.iter().any(|warning| warning.contains("max_cost_per_1k_tokens")), "{:?}", named.warnings);
    let unknown = fixture.ask("other/eye-2", &Needs::default()).expect("named");
    assert!(unknown.warnings[0].contains("not known"), "{:?}", unknown.warnings);
}

#[test]
fn fast_takes_the_small_model_first_and_scores_when_that_does_not_do() {
    let mut fixture = Fixture::with(&["local"], &small());
    fixture.selection.small_model = Some("local/eye".to_owned());
    let found = fixture.ask("auto:fast", &Needs::default()).expect("there");
    assert_eq!((found.model.id.to_string(), found.policy.choice), ("local/eye".to_owned(), Choice::SmallModel));
    assert!(found.reason.contains("model_selection.small_model"), "{}", found.reason);
    for (bad, why) in [("nonsense-9000", "no model is called"), ("other/eye-2", "can be used"), ("auto:fast", "itself")]
    {
        fixture.selection.small_model = Some(bad.to_owned());
        let found = fixture.ask("auto:fast", &Needs::default()).expect("by score");
        assert_eq!(
            (found.model.id.to_string().as_str(), found.policy.choice),
            ("local/tiny-mini", Choice::Tag),
            "{bad}"
        );
        assert!(found.warnings[0].contains(why), "{:?}", found.warnings);
    }
}

#[test]
fn vision_is_never_lost_on_any_path() {
    let mut fixture = Fixture::with(&["local"], &small());
    let vision = needs(&[Capability::Vision]);
    fixture.selection.model = Some("local/blind".to_owned());
    fixture.selection.small_model = Some("local/blind".to_owned());
    for reference in
        ["auto", "auto:fast", "auto:vision", "auto:code", "auto:cheap", "tier:opus", "tier:haiku", "local/eye"]
    {
        assert_eq!(fixture.ask(reference, &vision).expect(reference).model.id.to_string(), "local/eye", "{reference}");
    }
    for reference in ["local/blind", "blind", "local/some-vision"] {
        let error = fixture.ask(reference, &vision).expect_err(reference);
        assert_eq!(error.trouble(), Trouble::Refused);
        assert_eq!(error.suggestions()[0], "local/eye", "{error}");
    }
    let guessed = fixture.ask("local/some-vision", &vision).expect_err("only a name");
    assert!(guessed.to_string().contains("by its name only"), "{guessed}");
    let blind = Fixture::with(&["deepseek"], &Additions::default());
    let error = blind.ask("auto:docs", &needs(&[Capability::Vision, Capability::Pdf])).expect_err("none");
    assert!(error.to_string().contains("no model of the usable providers (deepseek) has vision"), "{error}");
    assert!(!error.suggestions().is_empty() && error.suggestions().len() <= 20);
    assert!(error.suggestions().iter().all(|id| !id.starts_with("deepseek/")));
}

#[test]
fn tags_and_tiers_choose_among_usable_providers_and_names_among_all() {
    let fixture = Fixture::new(&["anthropic"]);
    for tag in Tag::ALL {
        assert!(fixture.id(tag.as_str()).starts_with("anthropic/"), "{tag:?}");
    }
    let named = fixture.ask("gpt-5.2", &Needs::default()).expect("named");
    assert_eq!(named.policy.providers, "all");
    assert!(named.warnings[0].contains("openai cannot be used"), "{:?}", named.warnings);
    let nobody = Fixture::new(&[]);
    assert_eq!(nobody.error("auto:code"), ResolveError::NobodyUsable { what: "auto:code".to_owned() });
    let mut failing = Fixture::new(&["anthropic"]);
    failing.usability.suspend("anthropic", "anthropic limits requests".to_owned());
    assert!(failing.error("auto:code").to_string().ends_with("now: anthropic limits requests"));
    assert_eq!(nobody.error("tier:pro").trouble(), Trouble::Refused);
    assert_eq!(nobody.id("opus"), "anthropic/claude-opus-4-8");
}

#[test]
fn a_tier_that_nobody_has_gives_way_downwards_first_and_says_so() {
    let fixture = Fixture::new(&["anthropic"]);
    let found = fixture.ask("tier:pro", &Needs::default()).expect("there");
    assert_eq!(found.model.facts().tier, Some(Tier::Sonnet), "{}", found.model.id);
    assert_eq!(found.warnings, ["no usable model of tier pro does; this is one of tier sonnet"]);
    assert_eq!(Fixture::new(&["google"]).id("tier:pro"), "google/gemini-3.1-pro-preview");
    assert_eq!(Fixture::new(&["google"]).id("pro"), "google/gemini-3.1-pro-preview", "the ladder's words are aliases");
    assert_eq!(Fixture::with(&["local"], &small()).id("tier:flash"), "local/tiny-mini");
}

#[test]
fn the_aliases_of_the_configuration_lead_where_they_say() {
    let fixture = Fixture::aliases(&[
        ("sonnet", "anthropic/claude-sonnet-4-6"),
        ("gpt4", "openai/gpt-4o"),
        ("gemini", "google/gemini-2.5-flash"),
        ("Work Horse", "mine"),
        ("mine", "sonnet"),
        ("quick", "auto:fast"),
    ]);
    assert_eq!(fixture.id("sonnet"), "anthropic/claude-sonnet-4-6", "the person's alias goes before the built-in one");
    assert_eq!(fixture.id("GPT-4"), "openai/gpt-4o", "in any case and spelling");
    assert_eq!(fixture.id("gemini"), "google/gemini-2.5-flash");
    assert_eq!(fixture.id("workhorse"), "anthropic/claude-sonnet-4-6", "over two others");
    let found = fixture.ask("work-horse", &Needs::default()).expect("there");
    assert!(
        found.reason.starts_with("alias of yours: work-horse → mine → sonnet → anthropic/claude"),
        "{}",
        found.reason
    );
    let quick = fixture.ask("quick", &Needs::default()).expect("there");
    assert_eq!((quick.policy.choice, quick.model.id.provider.as_str()), (Choice::Tag, "anthropic"));
}

#[test]
fn an_alias_that_leads_back_to_itself_is_an_error() {
    for (aliases, start, text) in [
        (&[("a", "a")][..], "a", "a → a"),
        (&[("a", "b"), ("b", "c"), ("c", "A")], "b", "b → c → A → b"),
        (&[("x", "loop-1"), ("loop-1", "loop_1")], "x", "x → loop-1 → loop_1"),
    ] {
        let fixture = Fixture::aliases(aliases);
        let error = fixture.error(start);
        assert_eq!(error.to_string(), format!("the alias leads back to itself: {text}"));
        assert_eq!(error.trouble(), Trouble::Usage);
        let map = aliases.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect();
        assert!(!alias_cycles(&map).is_empty(), "{aliases:?}");
    }
    assert!(alias_cycles(&[("a".to_owned(), "b".to_owned())].into()).is_empty());
    let error = Fixture::aliases(&[("fast one", "no-such-thing")]).error("fast-one");
    assert!(error.to_string().starts_with("fast-one → no-such-thing: no model is called"), "{error}");
    assert_eq!(error.trouble(), Trouble::NotFound);
}

#[test]
fn what_nobody_has_is_told_with_what_is_near() {
    let fixture = Fixture::new(&["anthropic"]);
    let error = fixture.error("claude-sonet-4-6");
    assert!(error.suggestions()[0].ends_with("claude-sonnet-4-6"), "{:?}", error.suggestions());
    assert!(error.suggestions().len() <= 20);
    assert_eq!(error.trouble(), Trouble::NotFound);
    let error = fixture.error("antropic/claude-sonnet-4-6");
    assert_eq!(error.to_string(), "there is no provider \"antropic\", did you mean anthropic?");
    assert_eq!(error.suggestions()[0], "anthropic");
    assert!(error.hint().contains("openai"), "the others are told as well");
    let error = fixture.error("nope/x");
    assert_eq!(error.to_string(), "there is no provider \"nope\"");
    assert!(error.hint().starts_with("providers are ") && error.hint().contains("anthropic"), "{}", error.hint());
    let error = fixture.error("anthropic/claude-sonnet-9");
    assert_eq!(error.to_string(), "no model is called \"claude-sonnet-9\" at anthropic");
    assert!(error.suggestions().iter().all(|id| id.starts_with("anthropic/")), "{:?}", error.suggestions());
    let error = fixture.error("auto:visoin");
    assert_eq!(error.to_string(), "there is no tag \"auto:visoin\", did you mean auto:vision?");
    assert_eq!(error.suggestions().len(), Tag::ALL.len());
    assert!(matches!(fixture.error("tier:mega"), ResolveError::UnknownTier { .. }));
    assert!(matches!(fixture.error("opus 9"), ResolveError::UnknownModel { .. }), "no other version is taken");
}

#[test]
fn one_name_at_several_providers_goes_to_a_usable_then_a_preferred_then_the_first() {
    assert_eq!(Fixture::new(&[]).id("claude-sonnet-4-6"), "anthropic/claude-sonnet-4-6");
    assert_eq!(Fixture::new(&["opencode"]).id("claude-sonnet-4-6"), "opencode/claude-sonnet-4-6");
    let mut fixture = Fixture::new(&["opencode", "anthropic"]);
    assert_eq!(fixture.id("claude-sonnet-4-6"), "anthropic/claude-sonnet-4-6");
    fixture.selection.preferred_providers = vec!["opencode".to_owned()];
    assert_eq!(fixture.id("claude-sonnet-4-6"), "opencode/claude-sonnet-4-6");
}

#[test]
fn history_counts_from_three_runs_on_and_above_three_quarters() {
    let mut fixture = Fixture::with(&["local"], &small());
    let points = |fixture: &Fixture, good, samples| {
        let mut records = Records::default();
        records.tiers.insert(Tier::Haiku, Record::even(good, samples));
        let model = fixture.catalog.model(&"local/tiny-mini".parse().expect("an id")).expect("there");
        score(model, None, &fixture.selection, Mode::Performance, &records).describe()
    };
    for (good, samples, expected) in [
        (2, 2, "0"),
        (3, 3, "20"),
        (3, 4, "0"),
        (4, 5, "20"),
        (76, 100, "20"),
        (75, 100, "0"),
        (1, 3, "-20"),
        (2, 4, "0"),
    ] {
        assert_eq!(points(&fixture, good, samples), expected, "{good} of {samples}");
    }
    assert_eq!(fixture.id("auto:reasoning"), "local/blind");
    fixture.records.models.insert("local/tiny-mini".parse().expect("an id"), Record::even(9, 10));
    let found = fixture.ask("auto:reasoning", &Needs::default()).expect("there");
    assert_eq!(found.model.id.to_string(), "local/tiny-mini");
    assert_eq!(found.score.terms[0].what, "history: 9 of 10 good");
}

#[test]
fn history_says_in_the_reason_whom_it_has_passed_over() {
    let mut fixture = Fixture::new(&["anthropic"]);
    let usual = fixture.ask("tier:opus", &Needs::default()).expect("there");
    assert!(!usual.reason.contains("history"), "{}", usual.reason);
    let usual = usual.model.id.clone();
    fixture.records.models.insert(usual.clone(), Record::even(0, 3));
    let found = fixture.ask("tier:opus", &Needs::default()).expect("there");
    assert_ne!(found.model.id, usual);
    assert_eq!(found.model.facts().tier, Some(Tier::Opus));
    let text = format!("; without history {usual} would be first (history: 0 of 3 good)");
    assert!(found.reason.ends_with(&text), "{}", found.reason);
    fixture.records.models.insert(usual.clone(), Record::even(3, 3));
    let again = fixture.ask("tier:opus", &Needs::default()).expect("there");
    assert_eq!(again.model.id, usual);
    assert!(again.reason.ends_with("; history: 3 of 3 good"), "{}", again.reason);
    fixture.records.models.clear();
    fixture.records.tiers.insert(Tier::Opus, Record::even(9, 9));
    let of_tier = fixture.ask("tier:opus", &Needs::default()).expect("there");
    assert!(of_tier.reason.ends_with("; history of its tier: 9 of 9 good"), "{}", of_tier.reason);
}

/// The table of supported models that orch's strategies come from: what may be given to whom. Its "no tools" and
/// "disabled by default" are settings of whoever has such models: `tools: false`, and no key.
#[test]
fn who_has_no_tools_gets_research_only_and_who_is_off_gets_nothing() {
    let without_tools = || Facts { capabilities: [(Capability::Tools, false)].into(), ..Facts::default() };
    let id = |text: &str| text.parse::<ModelRef>().expect("an id");
    let overrides = ["moonshotai/kimi-k3", "zai/glm-5.3"].map(|model| (id(model), without_tools())).to_vec();
    let additions = Additions { overrides, ..Additions::default() };
    let fixture = Fixture::with(&["anthropic", "deepseek", "minimax", "moonshotai", "zai"], &additions);
    let work = Needs { changes_files: true, ..Needs::default() };
    for (model, use_of_it, changes_files, answers, is_on) in [
        ("haiku", "fast, cheap, simple tasks", true, true, true),
        ("sonnet", "balanced, coding, debugging", true, true, true),
        ("opus", "complex, architecture, security", true, true, true),
        ("deepseek", "coding, debugging (tool calling)", true, true, true),
        ("minimax", "general purpose (tool calling)", true, true, true),
        ("kimi", "research only (no tools)", false, true, true),
        ("glm", "analysis only (no tools)", false, true, true),
        ("gemini", "research (disabled by default)", true, true, false),
    ] {
        let text = |needs: &Needs| fixture.ask(model, needs).map(|found| found.warnings.join("; "));
        assert_eq!(text(&work).is_ok(), changes_files, "{model}: {use_of_it}: {:?}", text(&work));
        assert_eq!(text(&Needs::default()).is_ok(), answers, "{model}: {use_of_it}");
        let is_usable = !text(&Needs::default()).unwrap_or_default().contains("cannot be used as things are");
        assert_eq!(is_usable, is_on, "{model}: {use_of_it}");
    }
    let why = fixture.ask("kimi", &work).expect_err("no tools").to_string();
    assert!(why.contains("has no tools, and the work changes files"), "{why}");
    for tag in ["auto", "auto:fast", "auto:cheap", "auto:reasoning", "tier:sonnet", "tier:pro"] {
        let found = fixture.ask(tag, &work).unwrap_or_else(|error| panic!("{tag}: {error}"));
        assert_ne!(found.model.id.provider, "google", "{tag}");
        assert!(!["kimi-k3", "glm-5.3"].contains(&found.model.id.model.as_str()), "{tag}: {}", found.model.id);
    }
}

#[test]
fn what_nobody_says_of_tools_is_no_reason_against_a_model() {
    let of = |tools: Option<bool>| {
        let capabilities = tools.map(|has| (Capability::Tools, has)).into_iter().collect();
        let facts = Facts { capabilities, ..Facts::default() };
        let fixture = Fixture::bare(&["local"], vec![("local/own".parse().expect("an id"), facts)]);
        fixture.ask("local/own", &Needs { changes_files: true, ..Needs::default() }).is_ok()
    };
    assert_eq!([None, Some(true), Some(false)].map(of), [true, true, false]);
}

#[test]
fn the_models_that_people_speak_of_are_known_by_their_short_names() {
    let fixture = Fixture::new(&[]);
    for name in ["haiku", "sonnet", "opus", "deepseek", "minimax", "kimi", "glm", "gemini"] {
        assert!(fixture.ask(name, &Needs::default()).is_ok(), "{name}");
    }
    for (tier, model) in [("haiku", Tier::Haiku), ("sonnet", Tier::Sonnet), ("opus", Tier::Opus)] {
        let found = fixture.ask(tier, &Needs::default()).expect("there");
        assert_eq!(found.model.facts().tier, Some(model));
    }
}

#[test]
fn every_result_has_a_reason_and_an_old_name_is_told() {
    let fixture = Fixture::new(&["anthropic", "openai", "google"]);
    for reference in ["auto", "tier:opus", "sonnet", "anthropic/claude-opus-5", "gpt5.2", "claude-3-opus", "flash"] {
        let found = fixture.ask(reference, &Needs::default()).expect(reference);
        assert!(!found.reason.is_empty() && found.alternatives.len() <= 5);
        assert!(found.alternatives.iter().all(|other| other.model != found.model.id));
    }
    let old = fixture.ask("claude-3-opus", &Needs::default()).expect("there");
    assert_eq!(old.policy.choice, Choice::Retired);
    assert!(old.warnings[0].contains("is an old name"), "{:?}", old.warnings);
}

fn any_model() -> impl Strategy<Value = (String, Facts)> {
    let name = prop::sample::select(vec!["mini", "vision", "code", "large", "r1"]);
    let provider = prop::sample::select(vec!["aa", "bb", "cc"]);
    let tier = prop::option::of(prop::sample::select(Tier::ALL.to_vec()));
    (
        provider,
        name,
        0u8..40,
        tier,
        any::<[Option<bool>; 3]>(),
        prop::option::of(1u64..300_000),
        prop::option::of(0i64..90),
    )
        .prop_map(|(provider, name, number, tier, [vision, tools, reasoning], context_window, dollars)| {
            let said = [(Capability::Vision, vision), (Capability::Tools, tools), (Capability::Reasoning, reasoning)];
            let facts = Facts {
                tier,
                capabilities: said.into_iter().filter_map(|(what, value)| Some((what, value?))).collect(),
                context_window,
                input_price: dollars.map(|dollars| Usd::from_micros(dollars * 1_000_000)),
                ..Facts::default()
            };
            (format!("{provider}/{name}-{number}"), facts)
        })
}

fn any_reference() -> impl Strategy<Value = String> {
    let tags = Tag::ALL.map(|tag| tag.as_str().to_owned()).to_vec();
    let tiers = Tier::ALL.map(|tier| format!("tier:{tier}")).to_vec();
    prop_oneof![prop::sample::select(tags), prop::sample::select(tiers), any_model().prop_map(|(id, _)| id), ".{0,12}"]
}

fn any_needs() -> impl Strategy<Value = Needs> {
    let capability = prop::sample::select(vec![Capability::Vision, Capability::Tools, Capability::Reasoning]);
    (prop::collection::btree_set(capability, 0..3), prop::option::of(1u64..300_000)).prop_map(
        |(capabilities, min_context)| Needs { capabilities, min_context, changes_files: false, sees_images: false },
    )
}

proptest! {
    #[test]
    fn a_model_never_lacks_what_is_needed_and_an_unusable_provider_never_wins_by_tag(
        models in prop::collection::vec(any_model(), 0..40),
        reference in any_reference(),
        needs in any_needs(),
        mode in prop::sample::select(Mode::ALL.to_vec()),
        usable in prop::sample::subsequence(vec!["aa", "bb", "cc"], 0..=3),
        small in prop::option::of(any_reference()),
    ) {
        let overrides: Vec<_> = models.iter().map(|(id, facts)| (id.parse().expect("an id"), facts.clone())).collect();
        let mut fixture = Fixture::bare(&usable, overrides);
        fixture.selection = Selection { mode, small_model: small.clone(), model: small, ..Selection::default() };
        let found = fixture.ask(&reference, &needs);
        if let Ok(found) = &found {
            prop_assert!(needs.met_by(found.model), "{reference}: {} lacks something", found.model.id);
            prop_assert!(!found.reason.is_empty());
            let by_rule = !matches!(found.policy.choice, Choice::Explicit | Choice::Name | Choice::Retired);
            prop_assert!(!by_rule || usable.contains(&found.model.id.provider.as_str()), "{reference}: {}", found.model.id);
            prop_assert!(found.alternatives.iter().all(|other| usable.contains(&other.model.provider.as_str())));
        } else if let Err(error) = &found {
            prop_assert!(error.suggestions().len() <= 20 && !error.hint().is_empty());
        }
    }

    #[test]
    fn the_order_in_which_models_are_listed_changes_nothing(
        models in prop::collection::btree_map(any_model().prop_map(|(id, _)| id), any_model().prop_map(|(_, facts)| facts), 0..30),
        reference in any_reference(),
        mode in prop::sample::select(Mode::ALL.to_vec()),
    ) {
        let listed: Vec<(ModelRef, Facts)> =
            models.into_iter().map(|(id, facts)| (id.parse().expect("an id"), facts)).collect();
        let answer = |overrides: Vec<(ModelRef, Facts)>| {
            let mut fixture = Fixture::bare(&["aa", "bb"], overrides);
            fixture.selection.mode = mode;
            let found = fixture.ask(&reference, &Needs::default());
            found.map(|found| (found.model.clone(), found.reason, found.alternatives)).map_err(|error| error.to_string())
        };
        let backwards = listed.iter().rev().cloned().collect();
        prop_assert_eq!(answer(listed), answer(backwards));
    }

    #[test]
    fn every_tangle_of_aliases_comes_to_an_end(
        aliases in prop::collection::btree_map("[a-e]", "[a-g]", 0..8),
        start in "[a-e]",
    ) {
        let mut fixture = Fixture::usable(&["anthropic"]);
        let additions = Additions { aliases: aliases.clone(), ..Additions::default() };
        fixture.catalog = Catalog::without_built_in_models(&additions);
        let found = fixture.ask(&start, &Needs::default());
        let cycles = alias_cycles(&aliases);
        let in_circle = cycles.iter().any(|(name, _)| *name == start);
        prop_assert_eq!(in_circle, matches!(found, Err(ResolveError::AliasCycle(_))));
    }
}
