//! Where in a text a rule may hold: at three bytes with which one of its leads begins. Nearly every place is passed with
//! one look at a small table, so that many rules cost hardly more than a few.

use super::notation::{How, Rule, rules};
use super::special::Special;
use std::sync::LazyLock;

/// How many groups the leads are kept in: more than there are leads, so that most are empty.
const GROUPS: usize = 2048;

/// What a rule is looked for by.
#[derive(Debug, Clone, Copy)]
struct Lead<T> {
    three: u32,
    /// The byte behind them, ignoring case; 0: any.
    fourth: u8,
    what: T,
}

/// Leads by their first three bytes, ignoring case.
#[derive(Debug)]
pub(super) struct Index<T> {
    leads: Vec<Lead<T>>,
    /// Where in `leads` each group begins.
    groups: Box<[u32]>,
}

/// A place in a text where something may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: usize,
    three: u32,
    fourth: u8,
}

impl<T: Copy> Index<T> {
    /// Of the first bytes of leads, three at least. What comes first is tried first.
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

    /// What may begin at this place.
    pub(super) fn at(&self, spot: Spot) -> impl Iterator<Item = T> {
        let group = group(spot.three);
        let leads = &self.leads[self.groups[group] as usize..self.groups[group + 1] as usize];
        let fits = move |lead: &&Lead<T>| lead.three == spot.three && (lead.fourth == 0 || lead.fourth == spot.fourth);
        leads.iter().filter(fits).map(|lead| lead.what)
    }

    /// Marks every beginning in `filter`.
    pub(super) fn mark(&self, filter: &mut Filter) {
        for lead in &self.leads {
            let slot = slot(lead.three);
            filter.0[slot >> 6] |= 1 << (slot & 63);
        }
    }
}

/// Three bytes as one number, ignoring the case of letters.
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

/// One bit for each value that three bytes can be mixed to.
#[derive(Clone)]
pub(super) struct Filter(Box<[u64; 1024]>);

impl Filter {
    pub(super) fn new() -> Self {
        Self(Box::new([0; 1024]))
    }

    /// The next place from `from` on where something may begin.
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

/// The first bytes of a lead; of one with two, with each third byte that may follow.
fn leads_of(lead: &'static str, what: Known, follows: &dyn Fn(u8) -> bool) -> Vec<(Vec<u8>, Known)> {
    match *lead.as_bytes() {
        [_, _, _, ..] => vec![(lead.as_bytes().to_vec(), what)],
        [a, b] => (0..128).filter(|&c| follows(c)).map(|c| (vec![a, b, c], what)).collect(),
        _ => Vec::new(),
    }
}
