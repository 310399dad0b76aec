//! Finds the new lines of a screen. PURE. Compares each snapshot with the one before, and emits each line once: when the
//! cursor has left it, or when it has not changed for a while.
//!
//! A line that is rewritten while the cursor is on it (a progress bar) is one line, emitted in its last state. One that
//! is overwritten after the cursor left it (several bars, a full screen) is emitted once it settles. What is drawn again
//! after it was erased is not emitted again. A full-screen program paints the same lines over and over at different
//! places (paging back, a closed panel): each text of those is emitted once.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// How long a line that may still change must stay the same before it is emitted.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(1200);

/// How long after it was erased an equal line counts as the old one drawn again. Later it is a new line.
const REDRAW_TIME: Duration = Duration::from_secs(10);

/// The most erased lines that are remembered.
const MAX_ERASED: usize = 1000;

/// The most lines of full-screen programs that are remembered.
const MAX_PAINTED: usize = 20_000;

/// A line of the last snapshot.
#[derive(Debug, Clone)]
struct Row {
    text: String,
    emitted: bool,
    /// Whether the cursor was elsewhere since it appeared.
    left: bool,
    /// When it got its present text.
    since: Instant,
}

/// What the screen shows now.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// The lines that scrolled off since the last snapshot, in order; they cannot change any more.
    pub(super) gone: Vec<String>,
    /// The lines on the screen.
    pub(super) rows: Vec<String>,
    /// The index of the row with the cursor.
    pub(super) cursor: Option<usize>,
}

/// Whether a snapshot is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The screen may go on changing.
    Passing,
    /// The screen is about to disappear: everything must be emitted.
    Last,
}

/// The lines of the last snapshot, and what was emitted.
#[derive(Debug, Default)]
pub(super) struct Frame {
    rows: Vec<Row>,
    /// Emitted lines that were erased and may be drawn again.
    erased: Vec<String>,
    /// Until when an equal line counts as drawn again.
    redraw_until: Option<Instant>,
    /// Whether anything was emitted since the screen was cleared.
    news: bool,
    /// Whether anything was erased since the last snapshot.
    erasing: bool,
    /// On the screen of full-screen programs: the texts that were emitted.
    painted: Option<Painted>,
}

/// The hashes of emitted texts, oldest first.
#[derive(Debug, Default)]
struct Painted {
    order: VecDeque<u64>,
    known: HashSet<u64>,
}

impl Frame {
    /// Creates a frame for full-screen programs, which emits each text once.
    pub(super) fn painted() -> Self {
        Self { painted: Some(Painted::default()), ..Self::default() }
    }

    /// Compares the snapshot with the last one, and returns the lines to emit.
    pub(super) fn update(&mut self, snapshot: Snapshot, moment: Moment, now: Instant) -> Vec<String> {
        let gone = snapshot.gone.len();
        let cursor = snapshot.cursor.map(|row| gone + row);
        let texts: Vec<String> = snapshot.gone.into_iter().chain(snapshot.rows).collect();
        let mut rows = self.carry_over(texts, now);
        let mut new = Vec::new();
        for (index, row) in rows.iter_mut().enumerate() {
            let on_it = cursor == Some(index);
            let settled = now.saturating_duration_since(row.since) >= SETTLE_TIME;
            let due = moment == Moment::Last || index < gone || settled || !(on_it || row.left);
            row.left |= !on_it;
            if due && !row.emitted {
                row.emitted = true;
                new.push(row.text.clone());
            }
        }
        self.rows = rows.split_off(gone);
        if self.redraw_until.is_some_and(|until| now > until) {
            self.erased.clear();
        }
        let mut new = self.without_known(new);
        if let Some(painted) = &mut self.painted {
            new.retain(|text| painted.is_new(text));
        }
        self.news |= !new.is_empty();
        new
    }

    /// Handles that the whole screen is about to be erased, right after a snapshot. Lines that were drawn again only in part
    /// before this are remembered as a whole.
    pub(super) fn clear(&mut self, now: Instant) {
        if std::mem::take(&mut self.news) {
            self.erased.clear();
        }
        self.erased.splice(..0, self.rows.drain(..).map(|row| row.text));
        self.redraw_until = Some(now + REDRAW_TIME);
    }

    /// Handles that a part of the screen is erased: lines that are missing in the next snapshot may be drawn again.
    pub(super) fn erase(&mut self) {
        self.erasing = true;
    }

    /// Returns when the next pending line settles; `None` when everything is emitted.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.rows.iter().filter(|row| !row.emitted).map(|row| row.since + SETTLE_TIME).min()
    }

    /// Returns the new rows, with the state of those that were in the last snapshot.
    fn carry_over(&mut self, texts: Vec<String>, now: Instant) -> Vec<Row> {
        let old = std::mem::take(&mut self.rows);
        let erasing = std::mem::take(&mut self.erasing);
        // The common beginning is matched first, because a diff could match equal lines in another way.
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
                    vanished.extend(old[same..][old_index..old_index + old_len].iter().filter(|row| row.emitted));
                }
                DiffOp::Insert { new_len, .. } => states.extend(std::iter::repeat_n(None, new_len)),
                DiffOp::Replace { old_index, old_len, new_len, .. } => {
                    let replaced = &old[same..][old_index..old_index + old_len];
                    let rewritten = replaced.iter().map(|row| Some((false, row.left, now)));
                    states.extend(rewritten.chain(std::iter::repeat(None)).take(new_len));
                    vanished.extend(replaced.iter().filter(|row| row.emitted));
                }
            }
        }
        if erasing {
            self.erased.extend(vanished.into_iter().map(|row| row.text.clone()));
            self.redraw_until = Some(now + REDRAW_TIME);
        }
        let rows = texts.into_iter().zip(states).map(|(text, state)| {
            let (emitted, left, since) = state.unwrap_or((false, false, now));
            Row { text, emitted, left, since }
        });
        rows.collect()
    }

    /// Removes lines that were emitted before they were erased. The matched lines and all before them are forgotten: the next
    /// equal line is a new one.
    fn without_known(&mut self, new: Vec<String>) -> Vec<String> {
        if self.erased.is_empty() || new.is_empty() {
            return new;
        }
        let mut passed = 0;
        let mut emitted = Vec::new();
        for op in capture_diff_slices(Algorithm::Myers, &self.erased, &new) {
            match op {
                DiffOp::Equal { old_index, len, .. } => passed = old_index + len,
                DiffOp::Delete { .. } => {}
                DiffOp::Insert { new_index, new_len, .. } | DiffOp::Replace { new_index, new_len, .. } => {
                    emitted.extend_from_slice(&new[new_index..new_index + new_len]);
                }
            }
        }
        self.erased.drain(..passed.max(self.erased.len().saturating_sub(MAX_ERASED)));
        emitted
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
        if self.order.len() > MAX_PAINTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        is_new
    }
}

impl Row {
    fn state(&self) -> (bool, bool, Instant) {
        (self.emitted, self.left, self.since)
    }
}
