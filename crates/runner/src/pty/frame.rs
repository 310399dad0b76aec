//! What is new on a screen. PURE. Compares the lines that are there now with those of the look before, and tells each
//! line once: when the cursor has left it, or when it has stood still for a while.
//!
//! A line that is written anew while the cursor is still on it (a progress bar) is one line, told in its last state. One
//! that is written over after it was left (a display of several bars, a full screen) is told once it rests. What is
//! drawn again after it was erased was told before. A full-screen program paints the same lines over and over, wherever
//! they are by then (paging back, a panel that was closed): of those each text is told once.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// How long a line that may still change stands still before it is told.
pub(super) const SETTLED: Duration = Duration::from_millis(1200);

/// How long after it was erased the same line is the old one drawn again. Later it is a new line that reads the same.
const AGAIN: Duration = Duration::from_secs(10);

/// Most lines that are remembered of what was erased.
const ERASED: usize = 1000;

/// How many lines of full-screen programs are remembered.
const PAINTED: usize = 20_000;

/// A line of the last look.
#[derive(Debug, Clone)]
struct Row {
    text: String,
    told: bool,
    /// The cursor was elsewhere since it appeared.
    left: bool,
    /// Since when it reads so.
    since: Instant,
}

/// What can be seen now.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Lines that left the screen since the last look, in order; they cannot change any more.
    pub(super) gone: Vec<String>,
    /// Lines on the screen.
    pub(super) rows: Vec<String>,
    /// Which of them the cursor is on.
    pub(super) cursor: Option<usize>,
}

/// How final what is seen is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// It may go on changing.
    Passing,
    /// It is about to disappear: nothing may be left untold.
    Last,
}

/// What was seen and told so far.
#[derive(Debug, Default)]
pub(super) struct Frame {
    rows: Vec<Row>,
    /// Told lines that were erased, and may be drawn again.
    erased: Vec<String>,
    /// Until when they may.
    again_until: Option<Instant>,
    /// Something was told since everything was erased.
    news: bool,
    /// Something was erased since the last look.
    erasing: bool,
    /// Where each text is told once: what was told, by its hash.
    painted: Option<Painted>,
}

/// Texts that were told, oldest first.
#[derive(Debug, Default)]
struct Painted {
    order: VecDeque<u64>,
    known: HashSet<u64>,
}

impl Frame {
    /// For the screen of full-screen programs.
    pub(super) fn painted() -> Self {
        Self { painted: Some(Painted::default()), ..Self::default() }
    }

    /// Compares, and returns what is to be told.
    pub(super) fn look(&mut self, sight: Sight, moment: Moment, now: Instant) -> Vec<String> {
        let gone = sight.gone.len();
        let cursor = sight.cursor.map(|row| gone + row);
        let texts: Vec<String> = sight.gone.into_iter().chain(sight.rows).collect();
        let mut rows = self.carried(texts, now);
        let mut new = Vec::new();
        for (index, row) in rows.iter_mut().enumerate() {
            let on_it = cursor == Some(index);
            let rests = now.saturating_duration_since(row.since) >= SETTLED;
            let due = moment == Moment::Last || index < gone || rests || !(on_it || row.left);
            row.left |= !on_it;
            if due && !row.told {
                row.told = true;
                new.push(row.text.clone());
            }
        }
        self.rows = rows.split_off(gone);
        if self.again_until.is_some_and(|until| now > until) {
            self.erased.clear();
        }
        let mut new = self.without_known(new);
        if let Some(painted) = &mut self.painted {
            new.retain(|text| painted.is_new(text));
        }
        self.news |= !new.is_empty();
        new
    }

    /// All of the screen is about to be erased; the last look was just now. What was drawn again in part only, before it
    /// was erased once more, stands for the whole.
    pub(super) fn clear(&mut self, now: Instant) {
        if std::mem::take(&mut self.news) {
            self.erased.clear();
        }
        self.erased.splice(..0, self.rows.drain(..).map(|row| row.text));
        self.again_until = Some(now + AGAIN);
    }

    /// A part of the screen is erased: what is missing at the next look may be drawn again.
    pub(super) fn erase(&mut self) {
        self.erasing = true;
    }

    /// When a line that has not been told will have rested; `None`: everything is told.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.rows.iter().filter(|row| !row.told).map(|row| row.since + SETTLED).min()
    }

    /// The lines of now with what is known of them from the look before.
    fn carried(&mut self, texts: Vec<String>, now: Instant) -> Vec<Row> {
        let old = std::mem::take(&mut self.rows);
        let erasing = std::mem::take(&mut self.erasing);
        // What only grew at its end must not be compared in another way: equal lines could change places.
        let same = old.iter().zip(&texts).take_while(|(row, text)| row.text == **text).count();
        let before: Vec<&str> = old[same..].iter().map(|row| row.text.as_str()).collect();
        let after: Vec<&str> = texts[same..].iter().map(String::as_str).collect();
        let mut vanished = Vec::new();
        let mut states: Vec<Option<(bool, bool, Instant)>> = old[..same].iter().map(Row::state).map(Some).collect();
        for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
            match op {
                DiffOp::Equal { old_index, len, .. } => {
                    states.extend(old[same..][old_index..old_index + len].iter().map(Row::state).map(Some));
                }
                DiffOp::Delete { old_index, old_len, .. } => {
                    vanished.extend(old[same..][old_index..old_index + old_len].iter().filter(|row| row.told));
                }
                DiffOp::Insert { new_len, .. } => states.extend(std::iter::repeat_n(None, new_len)),
                DiffOp::Replace { old_index, old_len, new_len, .. } => {
                    let replaced = &old[same..][old_index..old_index + old_len];
                    let rewritten = replaced.iter().map(|row| Some((false, row.left, now)));
                    states.extend(rewritten.chain(std::iter::repeat(None)).take(new_len));
                    vanished.extend(replaced.iter().filter(|row| row.told));
                }
            }
        }
        if erasing {
            self.erased.extend(vanished.into_iter().map(|row| row.text.clone()));
            self.again_until = Some(now + AGAIN);
        }
        let rows = texts.into_iter().zip(states).map(|(text, state)| {
            let (told, left, since) = state.unwrap_or((false, false, now));
            Row { text, told, left, since }
        });
        rows.collect()
    }

    /// Leaves out what was told before it was erased. What it matches, and all before it, is forgotten: a line that comes
    /// yet again is a new one.
    fn without_known(&mut self, new: Vec<String>) -> Vec<String> {
        if self.erased.is_empty() || new.is_empty() {
            return new;
        }
        let mut passed = 0;
        let mut told = Vec::new();
        for op in capture_diff_slices(Algorithm::Myers, &self.erased, &new) {
            match op {
                DiffOp::Equal { old_index, len, .. } => passed = old_index + len,
                DiffOp::Delete { .. } => {}
                DiffOp::Insert { new_index, new_len, .. } | DiffOp::Replace { new_index, new_len, .. } => {
                    told.extend_from_slice(&new[new_index..new_index + new_len]);
                }
            }
        }
        self.erased.drain(..passed.max(self.erased.len().saturating_sub(ERASED)));
        told
    }
}

impl Painted {
    fn is_new(&mut self, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        let is_new = self.known.insert(hash);
        if is_new {
            self.order.push_back(hash);
        }
        if self.order.len() > PAINTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        is_new
    }
}

impl Row {
    fn state(&self) -> (bool, bool, Instant) {
        (self.told, self.left, self.since)
    }
}
