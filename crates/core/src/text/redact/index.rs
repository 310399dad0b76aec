//! Finds the places in a text where a rule may match, by the first three bytes of its leads. Nearly every place needs
//! only one lookup in a small table, so that many rules cost hardly more than a few.

use super::notation::{How, Rule, rules};
use super::special::Special;
use std::sync::LazyLock;

/// The number of hash groups for leads: more than there are leads, so that most are empty.
const GROUPS: usize = 2048;

/// A text by which a rule is found.
#[derive(Debug, Clone, Copy)]
struct Lead<T> {
    three: u32,
    /// The fourth byte, ignoring case; 0: any.
    fourth: u8,
    what: T,
}

/// Leads by their first three bytes, ignoring case.
#[derive(Debug)]
pub(super) struct Index<T> {
    leads: Vec<Lead<T>>,
    /// The start of each group in `leads`.
    groups: Box<[u32]>,
}

/// A place in a text where a match may start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: usize,
    three: u32,
    fourth: u8,
}

impl<T: Copy> Index<T> {
    /// Creates an index of the first bytes of leads, three at least. Earlier leads are tried first.
    pub(super) fn new<B: AsRef<[u8]>>(leads: impl Iterator<Item = (B, T)>) -> Self {
        let lead = |bytes: &[u8], what| Lead {
            three: three([bytes[0], bytes[1], bytes[2]]),
            fourth: bytes.get(3).map_or(0, |byte| byte | 0x20),
            what,
        };
        let mut leads: Vec<Lead<T>> = leads.map(|(bytes, what)| lead(bytes.as_ref(), what)).collect();
        leads.sort_by_key(|lead| group(lead.three));
        let begin = |group: usize| leads.partition_point(|lead| self::group(lead.three) < group);
        let groups = (0..=GROUPS).map(|group| u32::try_from(begin(group)).expect("memory holds fewer")).collect();
        Self { leads, groups }
    }

    /// Returns the rules that may match at this place.
    pub(super) fn at(&self, spot: Spot) -> impl Iterator<Item = T> {
        let group = group(spot.three);
        let leads = &self.leads[self.groups[group] as usize..self.groups[group + 1] as usize];
        let fits = move |lead: &&Lead<T>| lead.three == spot.three && (lead.fourth == 0 || lead.fourth == spot.fourth);
        leads.iter().filter(fits).map(|lead| lead.what)
    }

    /// Marks the starts of all leads in `filter`.
    pub(super) fn mark(&self, filter: &mut Filter) {
        for lead in &self.leads {
            let slot = slot(lead.three);
            filter.0[slot >> 6] |= 1 << (slot & 63);
        }
    }
}

/// Converts three bytes to one number, ignoring the case of letters.
const fn three(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0] | 0x20, bytes[1] | 0x20, bytes[2] | 0x20])
}

const fn mixed(three: u32) -> u32 {
    three.wrapping_mul(0x9E37_79B1)
}

const fn slot(three: u32) -> usize {
    (mixed(three) >> 16) as usize
}

const fn group(three: u32) -> usize {
    mixed(three) as usize >> 21
}

/// A bit for each hash of three bytes.
#[derive(Clone)]
pub(super) struct Filter(Box<[u64; 1024]>);

impl Filter {
    pub(super) fn new() -> Self {
        Self(Box::new([0; 1024]))
    }

    /// Returns the next place from `from` on where a match may start.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<Spot> {
        let mut window = three([0, *bytes.get(from)?, *bytes.get(from + 1)?]);
        for (index, &byte) in bytes[from + 2..].iter().enumerate() {
            window = (window << 8 | u32::from(byte | 0x20)) & 0x00FF_FFFF;
            let slot = slot(window);
            if self.0[slot >> 6] & (1 << (slot & 63)) != 0 {
                let fourth = bytes.get(from + index + 3).map_or(0, |byte| byte | 0x20);
                return Some(Spot { at: from + index, three: window, fourth });
            }
        }
        None
    }
}

/// A built-in rule in the index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    /// The number of a rule of the file, and one of its leads.
    Rule(u16, &'static str),
    /// A rule that the notation cannot express.
    Special(Special),
}

/// The built-in rules of all redactors, created on first use.
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index<Known>,
    /// A filter marked with all rules.
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

/// Returns the texts by which a rule is found.
fn leads(rule: &Rule) -> Vec<&'static str> {
    match &rule.how {
        How::Token(form) | How::After(form) => vec![form.lead()],
        How::Near(words, _) | How::Random(words, _) | How::Password(words) => words.clone(),
    }
}

fn follows(rule: &Rule, byte: u8) -> bool {
    if let How::Token(form) = &rule.how { form.follows().has(byte) } else { true }
}

/// Returns the first bytes of a lead; a lead of two bytes is extended by each possible third byte.
fn leads_of(lead: &'static str, what: Known, follows: &dyn Fn(u8) -> bool) -> Vec<(Vec<u8>, Known)> {
    match *lead.as_bytes() {
        [_, _, _, ..] => vec![(lead.as_bytes().to_vec(), what)],
        [a, b] => (0..128).filter(|&c| follows(c)).map(|c| (vec![a, b, c], what)).collect(),
        _ => Vec::new(),
    }
}
