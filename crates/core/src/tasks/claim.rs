//! Claims: who has taken a task, and what others may do about it. PURE.

use jiff::{SignedDuration, Timestamp};

/// Age at which a claim is shown as stale. A stale claim is not taken over.
pub const STALE: SignedDuration = SignedDuration::from_hours(24);
/// The longest name of a claimant, in characters.
pub const MAX_NAME: usize = 200;

/// Who has claimed a task, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The claimant's name.
    pub by: String,
    /// The time of the claim.
    pub since: Timestamp,
}

/// Returns whether two names mean the same person: `@Ada` is `ada`.
pub fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim().trim_start_matches('@').to_lowercase();
    plain(one) == plain(other)
}
