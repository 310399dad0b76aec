//! What a model is worth for a tag. Thousandths of points, so that equal things are equal on every machine.
//!
//! The terms are those of the resolver that orch's model selection comes from: words of the name, context, the person's
//! preference, price. Words count whole: `gemini` is no `mini`.

use super::reference::Tag;
use super::{Mode, Needs, Record, Records, Selection};
use crate::catalog::{Capability, Model};
use serde::Serialize;
use std::borrow::Cow;

/// One point.
const POINT: i64 = 1000;
/// What the first of the preferred providers brings; each further one a point less.
const PREFERRED: i64 = 15;
/// What a provider brings that is paid in advance and has something left: less than the first of the preferred providers.
const PAID_AHEAD: i64 = 14;
/// What a deprecated model loses.
const DEPRECATED: i64 = 50;
/// What the person's own history brings or takes: more than any preference.
const HISTORY: i64 = 20;
/// What is said of a provider that is paid in advance.
const PAID_IN_ADVANCE: &str = "paid in advance";
/// Known web access, for documents.
const WEB: i64 = 5;

/// Context that `auto:fast` stays below where any model does.
pub const FAST_CONTEXT: u64 = 32_000;
/// Context that `auto:docs` needs.
pub const DOCS_CONTEXT: u64 = 64_000;
/// Context that `auto:code` needs.
pub const CODE_CONTEXT: u64 = 16_000;

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// What it is for.
    pub what: Cow<'static, str>,
    /// Thousandths of points.
    #[serde(rename = "points", serialize_with = "points")]
    pub milli: i64,
}

fn points<S: serde::Serializer>(milli: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*milli as f64 / POINT as f64)
}

/// A score and its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Score {
    /// Thousandths of points.
    #[serde(rename = "points", serialize_with = "points")]
    pub milli: i64,
    /// Its parts, those that are not 0.
    pub terms: Vec<Term>,
}

impl Score {
    fn add(&mut self, what: impl Into<Cow<'static, str>>, milli: i64) {
        if milli != 0 {
            self.milli += milli;
            self.terms.push(Term { what: what.into(), milli });
        }
    }

    /// `history: 9 of 10 good`, where that counts.
    pub fn history(&self) -> Option<&str> {
        self.terms.iter().map(|term| term.what.as_ref()).find(|what| what.starts_with("history"))
    }

    /// Whether it counts that its provider is paid in advance.
    pub fn is_paid_in_advance(&self) -> bool {
        self.terms.iter().any(|term| term.what == PAID_IN_ADVANCE)
    }

    /// `12.5`.
    pub fn told(&self) -> String {
        let (sign, milli) = (if self.milli < 0 { "-" } else { "" }, self.milli.unsigned_abs());
        let rest = format!("{:03}", milli % 1000);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{rest}", milli / 1000)
    }
}

/// What the tag needs of a model, whatever the task needs.
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

/// Points for words of the name.
fn bonus(tag: Tag) -> (&'static [&'static str], i64) {
    match tag {
        Tag::Vision => (&["vision", "multimodal", "image"], 8),
        Tag::Fast => (&["mini", "small", "flash", "fast", "haiku"], 10),
        Tag::Docs => (&["doc", "docs", "research", "long", "context"], 6),
        Tag::Code => (&["code", "coder", "codex", "instruct"], 5),
        Tag::Auto | Tag::Reasoning | Tag::Cheap => (&[], 0),
    }
}

/// Points for context: whole steps, capped.
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

/// The score of a model.
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

/// Per dollar that a thousand tokens cost on the average: −40 in balanced, −100 in economical mode.
fn price(model: &Model, mode: Mode, score: &mut Score) {
    let (per_dollar, unknown) = match mode {
        Mode::Performance => return,
        Mode::Balanced => (40, 5),
        Mode::Economical => (100, 20),
    };
    match model.average_price() {
        // Micro-dollars a million tokens are thousand-millionths of a dollar a thousand tokens.
        Some(price) => score.add("price", -(price.micros().saturating_mul(per_dollar) / 1_000_000)),
        None => score.add("price not known", -unknown * POINT),
    }
}

/// More than three of four runs that were good weigh heavily, once there are three; fewer than half as heavily against.
fn history(model: &Model, records: &Records, score: &mut Score) {
    let Some((record, whose)) = record_of(model, records) else { return };
    let told = || format!("history{whose}: {}", record.told());
    if record.is_good() {
        score.add(told(), HISTORY * POINT);
    } else if record.is_bad() {
        score.add(told(), -HISTORY * POINT);
    }
}

/// What history shows of a model: its own record, else that of its tier.
fn record_of(model: &Model, records: &Records) -> Option<(Record, &'static str)> {
    let of_tier = || records.tiers.get(&model.facts().tier?).map(|record| (*record, " of its tier"));
    let own = records.of(&model.id).map(|(record, at_others)| (record, if at_others { " at any speed" } else { "" }));
    own.or_else(of_tier)
}
