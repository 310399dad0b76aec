//! Measures the resolution of model references: ten thousand references of every kind over a catalog of two thousand
//! models, each timed separately.

use crate::Scale;
use crate::measure::{Samples, figure, timed};
use crate::table::{Row, Table};
use orch_core::base::money::Usd;
use orch_core::models::catalog::{Additions, Capability, Catalog, Facts, ModelRef, Tier};
use orch_core::models::provider_access::{ProviderAccess, Way};
use orch_core::models::resolve::{Mode, Needs, Records, Resolver, Selection};
use std::hint::black_box;

const MODELS: usize = 2_000;
/// Milliseconds for one.
const EACH: f64 = 1.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let additions = Additions { api: models(), ..Additions::default() };
    let (built, catalog) = timed(|| Catalog::with(&additions));
    assert!(catalog.models().len() >= MODELS, "{} models", catalog.models().len());
    let mut usability = ProviderAccess::default();
    for provider in ["anthropic", "openai", "maker-0", "maker-3", "maker-7"] {
        usability.allow(provider, Way::Declared);
    }
    let selection =
        Selection { mode: Mode::Balanced, preferred_providers: vec!["maker-3".to_owned()], ..Selection::default() };
    let records = Records::default();
    let resolver = Resolver { catalog: &catalog, usability: &usability, selection: &selection, records: &records };
    let names: Vec<&str> = include_str!("../tests/fixtures/models/names.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('\t')?.0))
        .collect();
    let rules =
        ["auto", "auto:vision", "auto:fast", "auto:docs", "auto:code", "auto:reasoning", "auto:cheap", "tier:pro"];
    let count = scale.pick(10_000, 2_000);
    let (mut named, mut ruled) = (Samples::default(), Samples::default());
    let mut failed = 0;
    for round in 0..count {
        let by_rule = round % 2 == 0;
        let reference = if by_rule { rules[round / 2 % rules.len()] } else { names[round / 2 % names.len()] };
        let (ms, found) = timed(|| black_box(resolver.resolve(reference, &Needs::default())));
        failed += usize::from(found.is_err());
        if by_rule { ruled.add(ms) } else { named.add(ms) }
    }
    let total = catalog.models().len();
    table.limit(format!("a name that users type → its model, {total} models"), None, &named, EACH);
    table.limit(format!("a tag or tier → the best of the usable ones, {total} models"), None, &ruled, EACH);
    table.add(Row {
        name: "  · of them without an answer".to_owned(),
        orch: format!("{failed} of {count}"),
        goal: "0".to_owned(),
        reached: Some(failed == 0),
        ..Row::default()
    });
    table.add(Row {
        name: "  · the catalog, once".to_owned(),
        orch: format!("{} ms", figure(built)),
        ..Row::default()
    });
}

/// Models of ten makers, of all tiers and prices.
fn models() -> Vec<(ModelRef, Facts)> {
    let one = |number: usize| {
        let kind = ["mini", "code", "vision", "large", "flash"][number % 5];
        let id = ModelRef::new(format!("maker-{}", number % 10), format!("family{}-{kind}-{number}", number % 37));
        let has = |what, every: usize| (what, !number.is_multiple_of(every));
        let facts = Facts {
            tier: Some(Tier::ALL[number % 5]),
            capabilities: [has(Capability::Vision, 2), has(Capability::Tools, 7), has(Capability::Reasoning, 3)].into(),
            context_window: Some(16_000 << (number % 7)),
            input_price: (!number.is_multiple_of(11)).then(|| Usd::from_micros(100_000 * (number % 11) as i64)),
            output_price: (!number.is_multiple_of(11)).then(|| Usd::from_micros(400_000 * (number % 13) as i64)),
            ..Facts::default()
        };
        (id, facts)
    };
    (0..MODELS).map(one).collect()
}
