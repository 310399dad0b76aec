//! The known values in all their forms, and the search for them: whole, wrapped over lines, or cut off at the end.

use super::index::Index;
use super::{SHORTEST, encodings};
use std::collections::BTreeMap;
use std::ops::Range;

/// The most line wraps within a value.
const MOST_WRAPS: usize = 64;
/// The most spaces of indentation in a wrapped line.
const INDENT: usize = 32;

/// A text to search for, and the name that replaces it.
pub(super) struct Needle {
    pub(super) text: String,
    pub(super) name: String,
}

/// All needles; longer ones are tried first.
pub(super) struct Needles {
    all: Vec<Needle>,
    pub(super) index: Index<u32>,
}

impl Needles {
    /// Creates needles from names and values. Of a value with several lines each line is a needle.
    pub(super) fn new<N: AsRef<str>, V: AsRef<str>>(secrets: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut forms: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in secrets {
            let parts = value.as_ref().lines().map(str::trim).filter(|part| part.len() >= SHORTEST);
            for form in parts.flat_map(encodings::forms).filter(|form| form.len() >= SHORTEST) {
                forms.entry(form).or_insert_with(|| name.as_ref().to_owned());
            }
        }
        let mut all: Vec<Needle> = forms.into_iter().map(|(text, name)| Needle { text, name }).collect();
        all.sort_by_key(|needle| std::cmp::Reverse(needle.text.len()));
        let numbered = (0_u32..).zip(&all);
        let index = Index::new(numbered.flat_map(|(number, needle)| needle.leads().map(move |lead| (lead, number))));
        Self { all, index }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn get(&self, number: u32) -> &Needle {
        &self.all[number as usize]
    }

    /// Returns the value with whose end a text starts, and the length of that end.
    pub(super) fn rest_at_start(&self, text: &str) -> Option<(&Needle, usize)> {
        let longest = |needle: &Needle| {
            let ends = (1..needle.text.len().saturating_sub(SHORTEST - 1)).filter_map(|from| needle.text.get(from..));
            ends.filter(|end| text.starts_with(end)).map(str::len).max()
        };
        self.all.iter().filter_map(|needle| Some((needle, longest(needle)?))).max_by_key(|(_, count)| *count)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Needle)> {
        (0..).zip(&self.all)
    }
}

impl Needle {
    /// Returns the three bytes with which it may start, also where it is wrapped there.
    fn leads(&self) -> impl Iterator<Item = [u8; 3]> + use<> {
        let bytes = self.text.as_bytes();
        let (a, b, c) = (bytes[0], bytes[1], bytes[2]);
        [
            [a, b, c],
            [a, b, b'\n'],
            [a, b, b'\r'],
            [a, b, b'\\'],
            [a, b'\n', b],
            [a, b'\n', b' '],
            [a, b'\r', b'\n'],
            [a, b'\\', b'n'],
        ]
        .into_iter()
    }

    /// Returns its range in a text when it starts at `at`.
    pub(super) fn find(&self, text: &str, at: usize) -> Option<Range<usize>> {
        let (rest, mine) = (&text.as_bytes()[at..], self.text.as_bytes());
        let (mut seen, mut wraps) = (0, 0);
        let mut left = mine;
        loop {
            let same = rest[seen..].iter().zip(left).take_while(|(a, b)| a == b).count();
            (seen, left) = (seen + same, &left[same..]);
            if left.is_empty() {
                return Some(at..at + seen);
            }
            let gap = wrap(&rest[seen..]);
            wraps += 1;
            if seen == 0 || gap == 0 || wraps > MOST_WRAPS {
                return None;
            }
            seen += gap;
        }
    }

    /// Returns the length of its end at the start of a text that was cut there.
    pub(super) fn cut_at(&self, text: &str) -> Option<usize> {
        let same = self.shared(text);
        let rest = text.get(same..).filter(|_| same >= SHORTEST)?;
        (rest.is_empty() || rest.starts_with('…')).then_some(same)
    }

    /// Returns how many of its bytes are at the start of a text.
    pub(super) fn shared(&self, text: &str) -> usize {
        text.bytes().zip(self.text.bytes()).take_while(|(a, b)| a == b).count()
    }
}

/// Returns the length of a line end, real or escaped, and the following indentation.
fn wrap(rest: &[u8]) -> usize {
    let end = match rest {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] | [b'\\', b'n', ..] => 2,
        [b'\\', b'r', b'\\', b'n', ..] => 4,
        _ => return 0,
    };
    end + rest[end..].iter().take(INDENT).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
