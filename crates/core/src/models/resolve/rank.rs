//! The order among models that all do, and the order among names that were perhaps meant. The same models give the same
//! order, however they are listed.

use super::score::score;
use super::{ALTERNATIVES, Alternative, Mode, Resolver, SUGGESTIONS, Score, Tag, released};
use crate::models::catalog::{Model, squash};
use std::cmp::Ordering;

/// How models are compared.
pub(super) struct Ranking<'r, 'a> {
    pub resolver: &'r Resolver<'a>,
    pub tag: Option<Tag>,
    /// Whether a tier was requested: models of a known tier come before those of a guessed one.
    pub of_tier: bool,
}

impl Ranking<'_, '_> {
    /// Whether the price comes before the score, because it was requested.
    pub fn by_price(&self) -> bool {
        self.tag == Some(Tag::Cheap) || self.resolver.selection.mode == Mode::Economical
    }

    /// Returns the score of a model.
    pub fn score(&self, model: &Model) -> Score {
        let Resolver { selection, records, .. } = self.resolver;
        score(model, self.tag, selection, selection.mode, records)
    }

    /// Sorts models, the best first.
    pub fn sorted<'m>(&self, models: Vec<&'m Model>) -> Vec<&'m Model> {
        let mut scored: Vec<(i64, &Model)> = models.into_iter().map(|model| (self.score(model).milli, model)).collect();
        scored.sort_unstable_by(|(a_score, a), (b_score, b)| {
            let by_score = b_score.cmp(a_score);
            let first = if self.by_price() { self.dear(a, b).then(by_score) } else { by_score };
            self.is_guess(a).cmp(&self.is_guess(b)).then(first).then_with(|| self.evenly(a, b))
        });
        scored.into_iter().map(|(_, model)| model).collect()
    }

    /// Whether a tier was requested that the model has only by a guess from its name.
    pub fn is_guess(&self, model: &Model) -> bool {
        self.of_tier && model.is_tier_guessed()
    }

    /// Compares prices, the cheaper first; a prepaid model costs nothing more.
    fn dear(&self, a: &Model, b: &Model) -> Ordering {
        let ahead = &self.resolver.selection.paid_ahead;
        let is_to_pay = |model: &Model| !ahead.contains(&model.id.provider);
        is_to_pay(a).cmp(&is_to_pay(b)).then_with(|| dear(a, b))
    }

    /// Orders models of equal score: for quick answers, and where price counts, the cheaper first, else the higher
    /// tier.
    fn evenly(&self, a: &Model, b: &Model) -> Ordering {
        let tier = || b.facts().tier.cmp(&a.facts().tier);
        let first = match (self.tag, self.resolver.selection.mode) {
            (Some(Tag::Fast), _) | (_, Mode::Balanced | Mode::Economical) => dear(a, b),
            (_, Mode::Performance) => tier(),
        };
        let rank = |model: &Model| self.resolver.catalog.rank(&model.id.provider);
        first
            .then_with(|| released(b).cmp(released(a)))
            .then_with(|| dear(a, b))
            .then_with(|| rank(a).cmp(&rank(b)))
            .then_with(|| a.id.cmp(&b.id))
    }

    /// Returns the first few models with their scores.
    pub fn alternatives(&self, sorted: &[&Model]) -> Vec<Alternative> {
        let alternative = |model: &&Model| Alternative { model: model.id.clone(), score: self.score(model) };
        sorted.iter().take(ALTERNATIVES).map(alternative).collect()
    }
}

/// Compares prices, the cheaper first; models without a price are last.
fn dear(a: &Model, b: &Model) -> Ordering {
    let key = |model: &Model| model.average_price().map_or((true, 0), |price| (false, price.micros()));
    key(a).cmp(&key(b))
}

/// Returns the names nearest to `name` by edit distance, at most 20, without very different ones.
pub(super) fn nearest_names<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Vec<String> {
    let wanted: String = squash(name).chars().take(100).collect();
    let mut measured: Vec<(usize, &str)> = known
        .map(|candidate| {
            let own = candidate.split_once('/').map_or(candidate, |(_, own)| own);
            let distance =
                strsim::osa_distance(&wanted, &squash(own)).min(strsim::osa_distance(&wanted, &squash(candidate)));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= (wanted.chars().count() / 2).max(2))
        .collect();
    measured.sort_unstable();
    measured.dedup();
    measured.into_iter().take(SUGGESTIONS).map(|(_, candidate)| candidate.to_owned()).collect()
}
