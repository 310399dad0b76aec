//! The score of a model for a tag, in thousandths of points, so that equal scores are equal on every machine.
//!
//! The terms are words in the name, context, the person's preference, and price. Words are matched as a whole: `gemini`
//! does not contain `mini`.

use super::reference::Tag;
use super::{Mode, Needs, Record, Records, Selection};
use crate::models::catalog::{Capability, Model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One point.
const POINT: i64 = 1000;
/// The bonus of the most preferred provider; each further one gets a point less.
const PREFERRED: i64 = 15;
/// The bonus of a prepaid provider with credit left: less than that of the most preferred provider.
const PAID_AHEAD: i64 = 14;
/// The penalty of a deprecated model.
const DEPRECATED: i64 = 50;
/// The bonus or penalty of the person's own history: larger than any preference.
const HISTORY: i64 = 20;
/// The description of a prepaid provider.
const PAID_IN_ADVANCE: &str = "paid in advance";
/// The bonus of known web access, for documents.
const WEB: i64 = 5;

/// The context below which `auto:fast` stays, if any model does.
pub const FAST_CONTEXT: u64 = 32_000;
/// The context that `auto:docs` needs.
pub const DOCS_CONTEXT: u64 = 64_000;
/// The context that `auto:code` needs.
pub const CODE_CONTEXT: u64 = 16_000;

/// A term of a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Term {
    /// The reason for the term.
    pub what: Cow<'static, str>,
    /// The value in thousandths of points.
    #[serde(rename = "points", serialize_with = "points", deserialize_with = "milli")]
    #[schemars(with = "f64")]
    pub milli: i64,
}

fn points<S: serde::Serializer>(milli: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*milli as f64 / POINT as f64)
}

fn milli<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok((f64::deserialize(deserializer)? * POINT as f64).round() as i64)
}

/// A score and its terms.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// The sum in thousandths of points.
    #[serde(rename = "points", serialize_with = "points", deserialize_with = "milli")]
    #[schemars(with = "f64")]
    pub milli: i64,
    /// The terms that are not 0.
    pub terms: Vec<Term>,
}

impl Score {
    fn add(&mut self, what: impl Into<Cow<'static, str>>, milli: i64) {
        if milli != 0 {
            self.milli += milli;
            self.terms.push(Term { what: what.into(), milli });
        }
    }

    /// Returns the term of history, such as `history: 9 of 10 good`, if it counts.
    pub fn history(&self) -> Option<&str> {
        self.terms.iter().map(|term| term.what.as_ref()).find(|what| what.starts_with("history"))
    }

    /// Whether the prepaid provider counts.
    pub fn is_paid_in_advance(&self) -> bool {
        self.terms.iter().any(|term| term.what == PAID_IN_ADVANCE)
    }

    /// Renders the score in points, such as `12.5`.
    pub fn describe(&self) -> String {
        let (sign, milli) = (if self.milli < 0 { "-" } else { "" }, self.milli.unsigned_abs());
        let rest = format!("{:03}", milli % 1000);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{rest}", milli / 1000)
    }
}

/// Returns the needs of a tag, apart from those of the task.
pub fn needs_of(tag: Option<Tag>) -> Needs {
    let of = |capability: Option<Capability>, context: u64| Needs {
        capabilities: capability.into_iter().collect(),
        min_context: (context > 0).then_some(context),
        changes_files: false,
        sees_images: false,
    };
    match tag {
        None | Some(Tag::Auto | Tag::Fast | Tag::Cheap) => Needs::default(),
        Some(Tag::Vision) => of(Some(Capability::Vision), 0),
        Some(Tag::Docs) => of(Some(Capability::Reasoning), DOCS_CONTEXT),
        Some(Tag::Code) => of(Some(Capability::Tools), CODE_CONTEXT),
        Some(Tag::Reasoning) => of(Some(Capability::Reasoning), 0),
    }
}

/// Returns the bonus for words in the name.
fn bonus(tag: Tag) -> (&'static [&'static str], i64) {
    match tag {
        Tag::Vision => (&["vision", "multimodal", "image"], 8),
        Tag::Fast => (&["mini", "small", "flash", "fast", "haiku"], 10),
        Tag::Docs => (&["doc", "docs", "research", "long", "context"], 6),
        Tag::Code => (&["code", "coder", "codex", "instruct"], 5),
        Tag::Auto | Tag::Reasoning | Tag::Cheap => (&[], 0),
    }
}

/// Returns the bonus for context, in capped steps.
fn context(tag: Tag, tokens: u64) -> i64 {
    let steps = |step: u64, most: i64| i64::try_from(tokens / step).unwrap_or(most).min(most);
    match tag {
        Tag::Fast => -steps(FAST_CONTEXT, 5),
        Tag::Docs => steps(64_000, 10),
        Tag::Code => steps(32_000, 5),
        Tag::Cheap => 5,
        Tag::Auto | Tag::Vision | Tag::Reasoning => 0,
    }
}

/// Computes the score of a model.
pub fn score(model: &Model, tag: Option<Tag>, selection: &Selection, mode: Mode, records: &Records) -> Score {
    let mut score = Score::default();
    if let Some(tag) = tag {
        let (bonus_words, points) = bonus(tag);
        if bonus_words.iter().any(|word| model.words().iter().any(|own| own == word)) {
            score.add("name", points * POINT);
        }
        let tokens = model.facts().context_window.unwrap_or_default();
        score.add("context", context(tag, tokens) * POINT);
        if tag == Tag::Docs && model.surely_can(Capability::Web) {
            score.add("web access", WEB * POINT);
        }
    }
    if model.is_deprecated() {
        score.add("deprecated", -DEPRECATED * POINT);
    }
    if let Some(at) = selection.preferred_providers.iter().position(|name| *name == model.id.provider) {
        let points = PREFERRED.saturating_sub_unsigned(at as u64).max(0);
        score.add("preferred provider", points * POINT);
    }
    if selection.paid_ahead.contains(&model.id.provider) {
        score.add(PAID_IN_ADVANCE, PAID_AHEAD * POINT);
    }
    price(model, mode, &mut score);
    history(model, records, &mut score);
    score
}

/// Adds the price term, per dollar of the average price of a thousand tokens: −40 in balanced, −100 in economical mode.
fn price(model: &Model, mode: Mode, score: &mut Score) {
    let (per_dollar, unknown) = match mode {
        Mode::Performance => return,
        Mode::Balanced => (40, 5),
        Mode::Economical => (100, 20),
    };
    match model.average_price() {
        // Micro-dollars per million tokens are billionths of a dollar per thousand tokens.
        Some(price) => score.add("price", -(price.micros().saturating_mul(per_dollar) / 1_000_000)),
        None => score.add("price not known", -unknown * POINT),
    }
}

/// Adds the history term: a bonus for more than three of four successful runs, a penalty for fewer than half, from
/// three runs on.
fn history(model: &Model, records: &Records, score: &mut Score) {
    let Some((record, whose)) = record_of(model, records) else { return };
    let text = || format!("history{whose}: {}", record.describe());
    if record.is_good() {
        score.add(text(), HISTORY * POINT);
    } else if record.is_bad() {
        score.add(text(), -HISTORY * POINT);
    }
}

/// Returns the record of a model, else that of its tier.
fn record_of(model: &Model, records: &Records) -> Option<(Record, &'static str)> {
    let of_tier = || records.tiers.get(&model.facts().tier?).map(|record| (*record, " of its tier"));
    let own =
        records.record(&model.id).map(|(record, at_others)| (record, if at_others { " at any speed" } else { "" }));
    own.or_else(of_tier)
}
