//! The sets of bytes that tokens consist of, and the entropy of a token.

/// A set of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alphabet([u64; 4]);

impl Alphabet {
    /// Creates a set from one letter per kind: `a` small, `A` capital, `0` digits, `x` hexadecimal digits of either
    /// case; every other byte stands for itself.
    const fn new(kinds: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        let mut index = 0;
        while index < kinds.len() {
            set = match kinds[index] {
                b'a' => set.with(b'a', b'z'),
                b'A' => set.with(b'A', b'Z'),
                b'0' => set.with(b'0', b'9'),
                b'x' => set.with(b'0', b'9').with(b'a', b'f').with(b'A', b'F'),
                byte => set.with(byte, byte),
            };
            index += 1;
        }
        set
    }

    const fn with(mut self, first: u8, last: u8) -> Self {
        let mut byte = first;
        loop {
            self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
            if byte == last {
                return self;
            }
            byte += 1;
        }
    }

    pub(super) const fn has(self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    /// Returns how many leading bytes are in the set.
    pub(super) fn run(self, bytes: &[u8]) -> usize {
        bytes.iter().position(|&byte| !self.has(byte)).unwrap_or(bytes.len())
    }
}

/// The alphabets of the notation, by name.
pub(super) const NAMED: [(&str, Alphabet); 17] = [
    ("an", Alphabet::new(b"aA0")),
    ("up", Alphabet::new(b"A0")),
    ("d", Alphabet::new(b"0")),
    ("hex", Alphabet::new(b"x")),
    ("ah", Alphabet::new(b"xgGhH")),
    ("w", Alphabet::new(b"aA0_-")),
    ("wd", Alphabet::new(b"aA0_-=")),
    ("wdot", Alphabet::new(b"aA0_-=.")),
    ("us", Alphabet::new(b"_-")),
    ("az", Alphabet::new(b"aA0_~.-")),
    ("b64", Alphabet::new(b"aA0+/=")),
    ("b64d", Alphabet::new(b"aA0+/=_-")),
    ("b64u", Alphabet::new(b"aA0+/=_-")),
    ("pct", Alphabet::new(b"aA0%")),
    ("tok", TOKEN),
    ("url", Alphabet::new(b"aA0_-./@")),
    ("any", ANY),
];

/// The bytes that may occur between quotes.
pub(super) const ANY: Alphabet = Alphabet([0; 4]).with(b'!', b'!').with(b'#', b'&').with(b'(', b'~');

/// The bytes of opaque tokens.
pub(super) const TOKEN: Alphabet = Alphabet::new(b"aA0_-./+=~");

/// Returns Shannon's entropy of the bytes, in bits per byte.
pub(super) fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for &byte in bytes {
        counts[usize::from(byte)] = counts[usize::from(byte)].saturating_add(1);
    }
    let total = bytes.len() as f32;
    let share = |count: u16| f32::from(count) / total;
    counts.iter().filter(|&&count| count > 0).map(|&count| -share(count) * share(count).log2()).sum()
}

/// Counts the digits.
pub(super) fn digits(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| byte.is_ascii_digit()).count()
}
