//! Claims: who has taken a task for themselves, and what others may do about it. PURE.

use super::task::Task;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// After so long a claim is called stale. It is shown as that, and not taken.
pub const STALE: SignedDuration = SignedDuration::from_hours(24);
/// The longest name of somebody, in characters.
pub const MAX_NAME: usize = 200;

/// Who has a task, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// Whether two names are of the same person: `@Ada` is `ada`.
pub fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim().trim_start_matches('@').to_lowercase();
    plain(one) == plain(other)
}

impl Task {
    /// Who has claimed it: by a command or in `tasks.yml`, else whose orch began to work on it.
    pub fn claimed_by(&self) -> Option<&str> {
        let named = self.spec.assignee.as_deref().map(str::trim).filter(|name| !name.is_empty());
        named.or_else(|| self.claim.as_ref().map(|claim| claim.by.as_str()))
    }

    /// Since when, as far as orch has seen it.
    pub fn claimed_since(&self) -> Option<Timestamp> {
        let by = self.claimed_by()?;
        let known = self.claim.as_ref().filter(|claim| is_same(&claim.by, by)).map(|claim| claim.since);
        Some(known.unwrap_or(self.created_at))
    }

    /// Its claim is older than a day, and nobody has begun anything since.
    pub fn is_claim_stale(&self, now: Timestamp) -> bool {
        self.claimed_since().is_some_and(|since| now.duration_since(since.max(self.updated_at)) >= STALE)
    }

    /// Who keeps the orch of `identity` from beginning it. What an orch of this home has begun by itself keeps nobody off:
    /// whoever runs it may be called otherwise tomorrow.
    pub fn is_kept_from(&self, identity: &str) -> Option<&str> {
        let named = self.spec.assignee.as_deref().map(str::trim).filter(|name| !name.is_empty());
        named.filter(|name| !is_same(name, identity))
    }

    /// Who else has claimed it, for somebody who wants it.
    pub fn is_anothers(&self, name: &str) -> Option<&str> {
        self.claimed_by().filter(|by| !is_same(by, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TaskId;
    use crate::task::{FileState, Spec};

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    fn task(assignee: Option<&str>, claim: Option<(&str, i64)>) -> Task {
        let spec = Spec { assignee: assignee.map(str::to_owned), ..Spec::default() };
        let mut task = Task::new(TaskId(1), spec, FileState::Pending, at(0));
        task.claim = claim.map(|(by, since)| Box::new(Claim { by: by.to_owned(), since: at(since) }));
        task
    }

    #[test]
    fn a_name_in_the_file_keeps_others_off_and_what_orch_began_does_not() {
        assert_eq!(task(Some("@Ada"), None).is_kept_from("ada"), None);
        assert_eq!(task(Some("ada"), None).is_kept_from("bob"), Some("ada"));
        assert_eq!(task(Some(" "), None).is_kept_from("bob"), None);
        let begun = task(None, Some(("ada@here", 1)));
        assert_eq!((begun.is_kept_from("ada@there"), begun.is_anothers("bob")), (None, Some("ada@here")));
        assert_eq!(task(None, None).claimed_by(), None);
    }

    #[test]
    fn a_claim_is_stale_after_a_day_in_which_nothing_happened() {
        let mut claimed = task(Some("ada"), Some(("ada", 2)));
        assert_eq!(claimed.claimed_since(), Some(at(2)));
        assert!(!claimed.is_claim_stale(at(25)) && claimed.is_claim_stale(at(26)));
        claimed.updated_at = at(20);
        assert!(!claimed.is_claim_stale(at(26)));
        assert_eq!(task(Some("bob"), Some(("ada", 2))).claimed_since(), Some(at(0)), "another's claim tells nothing");
        assert!(!task(None, None).is_claim_stale(at(99)));
    }
}
