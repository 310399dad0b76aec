//! Known values that span several chunks of a stream: the end of a line and the start of the next, or two deltas of one
//! text. A chunk that ends with a possible start of a value is held until the next ones decide, within limits; every
//! other chunk passes at once.

use super::Redactor;
use super::needles::Needle;
use super::visible::Visible;
use std::collections::{BTreeMap, VecDeque};

/// The most chunks that are held.
const MOST_HELD: usize = 64;
const MOST_BYTES: usize = 64 << 10;
/// How much of a text's end is searched, in bytes.
const TAIL: usize = 512;

/// A chunk of a stream.
pub trait Chunk {
    /// Passes every text of it to `visit`, always in the same order. Texts of several chunks that belong together have
    /// the same thread.
    fn texts(&mut self, visit: &mut dyn FnMut(Thread, &mut String));
}

/// Identifies the texts of a stream that continue each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread {
    /// Distinguishes it from others.
    pub id: u64,
    /// The least number of bytes of a value for which a chunk is held.
    pub least: usize,
}

/// Holds the undecided chunks of one stream.
#[derive(Debug)]
pub struct ChunkRedactor<P> {
    held: VecDeque<P>,
    bytes: usize,
    /// How many chunks without a text of the same thread an open value waits for.
    patience: usize,
    open: Vec<Open>,
}

/// A possible start of a value at the end of a text.
#[derive(Debug, Clone)]
struct Open {
    needle: u32,
    /// The number of its bytes seen so far.
    seen: usize,
    thread: u64,
    /// The texts that contain it: the number of the held chunk, and the offset in its text.
    parts: Vec<(usize, usize)>,
    /// The number of chunks since the last of them.
    waited: usize,
}

/// A change of a text of a held chunk.
struct Edit {
    piece: usize,
    thread: u64,
    from: usize,
    /// The end of the range; `None`: the end of the text.
    to: Option<usize>,
    needle: u32,
}

impl<P: Chunk> ChunkRedactor<P> {
    /// Creates an empty redactor.
    pub fn new(patience: usize) -> Self {
        Self { held: VecDeque::new(), bytes: 0, patience, open: Vec::new() }
    }

    /// Takes the next chunk and returns those that are decided, in order. A value that spans several chunks is masked
    /// in all of them; a value within one text is not touched.
    pub fn push(&mut self, redactor: &Redactor, mut piece: P) -> Vec<P> {
        let number = self.held.len();
        self.open.iter_mut().for_each(|open| open.waited += 1);
        let mut edits = Vec::new();
        let (open, bytes) = (&mut self.open, &mut self.bytes);
        if !redactor.needles.is_empty() {
            piece.texts(&mut |thread, text| {
                *bytes += text.len();
                follow(redactor, open, &mut edits, number, thread, text);
            });
        }
        self.held.push_back(piece);
        for edit in edits.into_iter().rev() {
            self.apply(redactor, &edit);
        }
        let patience = self.patience;
        self.open.retain(|open| open.waited <= patience);
        if self.open.is_empty() || self.held.len() > MOST_HELD || self.bytes > MOST_BYTES {
            self.finish()
        } else {
            Vec::new()
        }
    }

    /// Ends the stream and returns the held chunks.
    pub fn finish(&mut self) -> Vec<P> {
        self.open.clear();
        self.bytes = 0;
        self.held.drain(..).collect()
    }

    fn apply(&mut self, redactor: &Redactor, edit: &Edit) {
        let mask = format!("[REDACTED:{}]", redactor.needles.get(edit.needle).name);
        let Some(piece) = self.held.get_mut(edit.piece) else { return };
        let (mut done, mut replaced) = (false, 0..0);
        piece.texts(&mut |thread, text| {
            if thread.id == edit.thread && !done {
                let to = edit.to.unwrap_or(text.len()).min(text.len());
                if edit.from < to && text.is_char_boundary(edit.from) && text.is_char_boundary(to) {
                    replaced = edit.from..to;
                    text.replace_range(replaced.clone(), &mask);
                }
                done = true;
            }
        });
        if replaced.is_empty() {
            return;
        }
        // Values that start after the mask move; values that start within it now start right after it.
        let same = self.open.iter_mut().filter(|open| open.thread == edit.thread).flat_map(|open| &mut open.parts);
        for (_, from) in same.filter(|(piece, from)| *piece == edit.piece && *from > replaced.start) {
            *from = replaced.start + mask.len() + from.saturating_sub(replaced.end);
        }
    }
}

/// Continues open values in a text, and opens new ones at its end.
fn follow(redactor: &Redactor, open: &mut Vec<Open>, edits: &mut Vec<Edit>, piece: usize, thread: Thread, text: &str) {
    let visible = Visible::new(text);
    let seen: &str = &visible.text;
    let start = seen.len() - seen.trim_start().len();
    let body = seen.trim();
    let mut closed: Vec<(Open, usize)> = Vec::new();
    let mut kept = Vec::new();
    for mut one in std::mem::take(open) {
        if one.thread != thread.id || body.is_empty() {
            kept.push(one);
            continue;
        }
        let value = redactor.needles.get(one.needle).text.as_bytes();
        // A space of the value at the cut was trimmed.
        let rest = value[one.seen..].trim_ascii_start();
        if body.as_bytes().starts_with(rest) {
            let end = visible.real(&(start..start + rest.len())).end;
            closed.push((one, end));
        } else if rest.starts_with(body.as_bytes()) {
            one.seen = value.len() - rest.len() + body.len();
            one.parts.push((piece, 0));
            one.waited = 0;
            kept.push(one);
        }
    }
    *open = kept;
    edits.extend(edits_of(&closed, piece, thread));
    let new = redactor.needles.beginnings(redactor, body, thread.least).into_iter().map(|(needle, seen)| {
        let begin = start + body.len() - seen;
        let from = visible.real(&(begin..start + body.len())).start;
        Open { needle, seen, thread: thread.id, parts: vec![(piece, from)], waited: 0 }
    });
    open.extend(new);
}

/// Masks all values that end in this chunk as one: to the end in their earlier texts, and from the start in this one.
fn edits_of(closed: &[(Open, usize)], piece: usize, thread: Thread) -> Vec<Edit> {
    let Some(end) = closed.iter().map(|(_, end)| *end).max() else { return Vec::new() };
    let needle = closed[0].0.needle;
    let mut begins = BTreeMap::new();
    for &(piece, from) in closed.iter().flat_map(|(one, _)| &one.parts) {
        let begin = begins.entry(piece).or_insert(from);
        *begin = from.min(*begin);
    }
    let edit = |piece, from, to| Edit { piece, thread: thread.id, from, to, needle };
    let before = begins.into_iter().map(|(piece, from)| edit(piece, from, None));
    before.chain([edit(piece, 0, Some(end))]).collect()
}

impl super::Needles {
    /// Returns the values that start at the end of `text` without ending there, with the number of their bytes in it.
    fn beginnings(&self, redactor: &Redactor, text: &str, least: usize) -> Vec<(u32, usize)> {
        let bytes = text.as_bytes();
        let mut found = Vec::new();
        let mut from = bytes.len().saturating_sub(TAIL);
        let is_open = |needle: &Needle, at: usize| {
            let end = &bytes[at..];
            needle.text.len() > end.len() && needle.text.as_bytes().starts_with(end)
        };
        while let Some(spot) = redactor.filter.next(bytes, from) {
            let numbers = self.index.at(spot).filter(|&number| is_open(self.get(number), spot.at));
            found.extend(numbers.map(|number| (number, bytes.len() - spot.at)));
            from = spot.at + 1;
        }
        // The index has no entries below three bytes.
        for count in least..3.min(bytes.len() + 1) {
            let at = bytes.len() - count;
            found.extend(self.iter().filter(|(_, needle)| is_open(needle, at)).map(|(number, _)| (number, count)));
        }
        found.retain(|(_, seen)| *seen >= least);
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Chunk for String {
        fn texts(&mut self, visit: &mut dyn FnMut(Thread, &mut String)) {
            visit(Thread { id: 0, least: 4 }, self);
        }
    }

    /// A text split into chunks of any length.
    struct Delta(String);

    impl Chunk for Delta {
        fn texts(&mut self, visit: &mut dyn FnMut(Thread, &mut String)) {
            visit(Thread { id: 0, least: 1 }, &mut self.0);
        }
    }

    fn joined(redactor: &Redactor, pieces: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut seam = ChunkRedactor::new(8);
        let mut out: Vec<Delta> = pieces.into_iter().flat_map(|piece| seam.push(redactor, Delta(piece))).collect();
        out.extend(seam.finish());
        out.into_iter().map(|Delta(text)| text).collect()
    }

    fn through(lines: &[&str]) -> Vec<String> {
        let redactor = Redactor::new([("API_KEY", "canary-value-1")]);
        let mut seam = ChunkRedactor::new(0);
        let mut out: Vec<String> = lines.iter().flat_map(|line| seam.push(&redactor, (*line).to_owned())).collect();
        out.extend(seam.finish());
        out
    }

    #[test]
    fn a_value_is_masked_in_all_the_pieces_it_goes_over() {
        let mask = "[REDACTED:API_KEY]";
        assert_eq!(through(&["x canary-", "value-1 y"]), [format!("x {mask}"), format!("{mask} y")]);
        assert_eq!(through(&["x cana", "ry-va", "  lue-1"]), [format!("x {mask}"), mask.to_owned(), mask.to_owned()]);
        assert_eq!(through(&["ca\u{1b}[1mnary\u{0}-", "\u{1b}[0mvalue-1 y"]), [mask.to_owned(), format!("{mask} y")]);
        assert_eq!(through(&["canarcana", "ry-value-1"]), [format!("canar{mask}"), mask.to_owned()]);
    }

    #[test]
    fn a_piece_that_ends_one_value_and_begins_another_loses_nothing_else() {
        let mask = "[REDACTED:API_KEY]";
        let masked = [format!("x {mask}"), format!("{mask} y {mask}"), mask.to_owned()];
        assert_eq!(through(&["x canary-", "value-1 y canary-", "value-1"]), masked);
        let long = "canary-value-that-is-very-much-longer-than-its-mask";
        let redactor = Redactor::new([("API_KEY", long)]);
        let pieces = [format!("x {}", &long[..6]), format!("{} y {}", &long[6..], &long[..6]), long[6..].to_owned()];
        assert_eq!(joined(&redactor, pieces), masked);
        let redactor = Redactor::new([("A_KEY", "abcdefgh"), ("B_KEY", "abcdefghijkl")]);
        let both = joined(&redactor, ["abcd".to_owned(), "efgh".to_owned(), "ijkl x".to_owned()]);
        assert!(both.iter().all(|piece| piece.starts_with("[REDACTED:B_KEY]")), "{both:?}");
    }

    proptest! {
        #[test]
        fn a_value_that_is_cut_anywhere_is_masked_and_nothing_else_is(
            value in "[a-z0-9][a-z0-9/+ -]{7,60}[a-z0-9]",
            others in prop::collection::vec("[A-Z]{0,9}( [A-Z]{1,9})?", 2..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text = others.join(&value);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            cuts.dedup();
            let redactor = Redactor::new([("API_KEY", &value)]);
            let pieces = cuts.windows(2).map(|cut| text[cut[0]..cut[1]].to_owned());
            let masked: String = joined(&redactor, pieces).iter().map(|piece| redactor.text(piece).into_owned()).collect();
            let plain = |text: &str| text.replace("[REDACTED:API_KEY]", "").replace(' ', "");
            prop_assert_eq!(plain(&masked), plain(&others.concat()), "{:?}", cuts);
        }
    }

    #[test]
    fn what_only_looks_like_a_beginning_passes_unchanged_and_in_order() {
        for lines in [&["x canary-", "bird"][..], &["cana", "", "x"], &["canary-", "value-"], &["a", "b", "c"]] {
            assert_eq!(through(lines), lines);
        }
    }

    #[test]
    fn ordinary_pieces_are_not_held_and_others_not_for_ever() {
        let redactor = Redactor::new([("API_KEY", "canary-value-1")]);
        let mut seam = ChunkRedactor::new(usize::MAX);
        assert_eq!(seam.push(&redactor, "an ordinary line".to_owned()).len(), 1);
        assert_eq!(seam.push(&redactor, "it ends with canary".to_owned()).len(), 0);
        let released = (0..100).find_map(|_| Some(seam.push(&redactor, String::new())).filter(|out| !out.is_empty()));
        assert_eq!(released.map(|out| out[0].clone()), Some("it ends with canary".to_owned()));
    }
}
