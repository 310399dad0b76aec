//! Where in a text a rule may hold: at three bytes with which one of its leads begins. Nearly every place is passed with
//! one look at a small table, so that many rules cost hardly more than a few.

use super::notation::{How, Rule, rules};
use super::special::Special;
use std::sync::LazyLock;

/// What begins with three given bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead<T> {
    three: u32,
    pub(super) what: T,
}

/// Leads by their first three bytes, ignoring case.
#[derive(Debug)]
pub(super) struct Index<T>(Vec<Lead<T>>);

impl<T: Copy> Index<T> {
    /// Of leads with three bytes at least. What comes first is tried first.
    pub(super) fn new(leads: impl Iterator<Item = ([u8; 3], T)>) -> Self {
        let mut all: Vec<Lead<T>> = leads.map(|(bytes, what)| Lead { three: three(bytes), what }).collect();
        all.sort_by_key(|lead| lead.three);
        Self(all)
    }

    /// What may begin where these three bytes are.
    pub(super) fn at(&self, three: u32) -> impl Iterator<Item = T> {
        let first = self.0.partition_point(|lead| lead.three < three);
        self.0[first..].iter().take_while(move |lead| lead.three == three).map(|lead| lead.what)
    }

    /// Marks every beginning in `filter`.
    pub(super) fn mark(&self, filter: &mut Filter) {
        for lead in &self.0 {
            let slot = slot(lead.three);
            filter.0[slot >> 6] |= 1 << (slot & 63);
        }
    }
}

/// Three bytes as one number, ignoring the case of letters.
const fn three(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0] | 0x20, bytes[1] | 0x20, bytes[2] | 0x20])
}

const fn slot(three: u32) -> usize {
    (three.wrapping_mul(0x9E37_79B1) >> 17) as usize
}

/// One bit for each value that three bytes can be mixed to.
#[derive(Clone)]
pub(super) struct Filter(Box<[u64; 512]>);

impl Filter {
    pub(super) fn new() -> Self {
        Self(Box::new([0; 512]))
    }

    /// The next place from `from` on where something may begin, and its three bytes.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<(usize, u32)> {
        let mut window = three([0, *bytes.get(from)?, *bytes.get(from + 1)?]);
        for (index, &byte) in bytes[from + 2..].iter().enumerate() {
            window = (window << 8 | u32::from(byte | 0x20)) & 0x00FF_FFFF;
            let slot = slot(window);
            if self.0[slot >> 6] & (1 << (slot & 63)) != 0 {
                return Some((from + index, window));
            }
        }
        None
    }
}

/// A rule of orch's own, as the index holds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    /// Rule of the file by number, and which of its leads.
    Rule(u16, &'static str),
    /// One that the notation cannot say.
    Special(Special),
}

/// The rules that every redactor has, made once when the first of them is needed.
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index<Known>,
    /// Marked with all of them.
    pub(super) filter: Filter,
}

pub(super) static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let rules = rules();
    let special = Special::ALL.iter().flat_map(|&special| leads_of(special.lead(), Known::Special(special), &|_| true));
    let of_file = rules.iter().enumerate().flat_map(|(number, rule)| {
        let number = u16::try_from(number).expect("the file has fewer rules than that");
        leads(rule)
            .into_iter()
            .flat_map(move |lead| leads_of(lead, Known::Rule(number, lead), &|byte| follows(rule, byte)))
    });
    let index = Index::new(special.chain(of_file));
    let mut filter = Filter::new();
    index.mark(&mut filter);
    Rules { rules, index, filter }
});

/// The texts that a rule is looked for by.
fn leads(rule: &Rule) -> Vec<&'static str> {
    match &rule.how {
        How::Token(form) | How::After(form) => vec![form.lead()],
        How::Near(words, _) | How::Random(words, _) | How::Password(words) => words.clone(),
    }
}

fn follows(rule: &Rule, byte: u8) -> bool {
    match &rule.how {
        How::Token(form) => form.follows().has(byte),
        How::Near(..) | How::Random(..) | How::Password(_) | How::After(_) => true,
    }
}

/// The first three bytes of a lead; of one with two, each third byte that may follow.
fn leads_of(lead: &str, what: Known, follows: &dyn Fn(u8) -> bool) -> Vec<([u8; 3], Known)> {
    match *lead.as_bytes() {
        [a, b, c, ..] => vec![([a, b, c], what)],
        [a, b] => (0..128).filter(|&c| follows(c)).map(|c| ([a, b, c], what)).collect(),
        _ => Vec::new(),
    }
}
