//! The built-in table: `models.json`, made by `scripts/catalog-from-opencode`, and `names.json`, written by hand. Both
//! tell their source and day.

use super::model::{Capability, Facts, ModelRef, Tier};
use super::{Alias, AliasOrigin, Provider, Retired};
use crate::money::Usd;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// All that is built in.
#[derive(Debug)]
pub(super) struct BuiltIn {
    /// What the table of models is taken from, and when.
    pub about: String,
    pub models: Vec<(ModelRef, Facts)>,
    /// In the order in which one is preferred to another where nothing else decides.
    pub providers: Vec<Provider>,
    pub aliases: Vec<Alias>,
    pub retired: Vec<Retired>,
}

/// Read once; that it can be read is tested.
pub(super) static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| {
    let models = serde_json::from_str(include_str!("models.json")).expect("models.json fits its type, by a test");
    let names = serde_json::from_str(include_str!("names.json")).expect("names.json fits its type, by a test");
    put_together(models, names)
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelsFile {
    source: String,
    date: String,
    models: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    provider: String,
    id: String,
    name: String,
    released: String,
    context: u64,
    output: Option<u64>,
    yes: Vec<Word>,
    no: Vec<Word>,
    input_usd: Option<Usd>,
    output_usd: Option<Usd>,
    cached_usd: Option<Usd>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Word {
    Vision,
    Tools,
    Reasoning,
    Pdf,
}

impl From<Word> for Capability {
    fn from(word: Word) -> Self {
        match word {
            Word::Vision => Self::Vision,
            Word::Tools => Self::Tools,
            Word::Reasoning => Self::Reasoning,
            Word::Pdf => Self::Pdf,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesFile {
    #[serde(rename = "date")]
    _date: String,
    providers: Vec<ProviderEntry>,
    tiers: TiersEntry,
    aliases: Vec<Group>,
    retired: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderEntry {
    id: String,
    name: String,
    env: Vec<String>,
    base_url: String,
    also: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TiersEntry {
    #[serde(rename = "source")]
    _source: String,
    haiku: Vec<String>,
    flash: Vec<String>,
    sonnet: Vec<String>,
    pro: Vec<String>,
    opus: Vec<String>,
}

/// Names with one source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    source: String,
    date: String,
    names: BTreeMap<String, String>,
}

fn put_together(file: ModelsFile, names: NamesFile) -> BuiltIn {
    let tiers = &names.tiers;
    let tiers = [
        (Tier::Haiku, &tiers.haiku),
        (Tier::Flash, &tiers.flash),
        (Tier::Sonnet, &tiers.sonnet),
        (Tier::Pro, &tiers.pro),
        (Tier::Opus, &tiers.opus),
    ];
    let tier = |id: &str| {
        let id = id.to_lowercase();
        tiers.iter().find(|(_, patterns)| patterns.iter().any(|pattern| fits(&id, pattern))).map(|(tier, _)| *tier)
    };
    let models = file.models.into_iter().map(|entry| {
        let tier = tier(&entry.id);
        (ModelRef::new(entry.provider.clone(), entry.id.clone()), facts(entry, tier))
    });
    let provider = |entry: ProviderEntry| Provider {
        id: entry.id,
        name: Some(entry.name),
        key_variables: entry.env,
        base_url: Some(entry.base_url),
        also: entry.also,
        declared: false,
    };
    let alias =
        |(name, target, about): (String, String, String)| Alias { name, target, origin: AliasOrigin::BuiltIn(about) };
    let retired = |(name, successor, about): (String, String, String)| Retired { name, successor, about };
    BuiltIn {
        about: format!("{}, {}", file.source, file.date),
        models: models.collect(),
        providers: names.providers.into_iter().map(provider).collect(),
        aliases: names.aliases.into_iter().flat_map(with_source).map(alias).collect(),
        retired: names.retired.into_iter().flat_map(with_source).map(retired).collect(),
    }
}

fn with_source(group: Group) -> impl Iterator<Item = (String, String, String)> {
    let about = format!("{}, {}", group.source, group.date);
    group.names.into_iter().map(move |(name, target)| (name, target, about.clone()))
}

fn facts(entry: Entry, tier: Option<Tier>) -> Facts {
    let said = |words: Vec<Word>, value: bool| words.into_iter().map(move |word| (word.into(), value));
    Facts {
        name: Some(entry.name),
        released: Some(entry.released),
        tier,
        capabilities: said(entry.yes, true).chain(said(entry.no, false)).collect(),
        context_window: Some(entry.context),
        max_output_tokens: entry.output,
        input_price: entry.input_usd,
        cached_price: entry.cached_usd,
        output_price: entry.output_usd,
        ..Facts::default()
    }
}

/// A pattern with at most one `*`.
fn fits(id: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => id == pattern,
        Some((front, end)) => id.len() >= front.len() + end.len() && id.starts_with(front) && id.ends_with(end),
    }
}
