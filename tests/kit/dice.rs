//! A reproducible random number generator: the same seed gives the same numbers.

/// The generator (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Creates a generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number of `0..end`; `end` is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns an index into a list of this length; 0 for an empty one.
    pub fn at(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).expect("a place in a list")
    }

    /// Returns one of the items.
    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.at(among.len())]
    }
}
