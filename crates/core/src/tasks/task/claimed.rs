//! Who has claimed a task, by a command, in `tasks.yml`, or by starting it.

use super::Task;
use crate::tasks::claim::{STALE, is_same};
use jiff::Timestamp;

impl Task {
    /// Returns who has claimed the task, by a command or in `tasks.yml`; else whose orch started it.
    pub fn claimed_by(&self) -> Option<&str> {
        let named = self.spec.assignee.as_deref().map(str::trim).filter(|name| !name.is_empty());
        named.or_else(|| self.claim.as_ref().map(|claim| claim.by.as_str()))
    }

    /// Returns the time of the claim, as far as orch knows it.
    pub fn claimed_since(&self) -> Option<Timestamp> {
        let by = self.claimed_by()?;
        let known = self.claim.as_ref().filter(|claim| is_same(&claim.by, by)).map(|claim| claim.since);
        Some(known.unwrap_or(self.created_at))
    }

    /// Returns whether the claim is older than a day and the task has not changed since.
    pub fn is_claim_stale(&self, now: Timestamp) -> bool {
        self.claimed_since().is_some_and(|since| now.duration_since(since.max(self.updated_at)) >= STALE)
    }

    /// Returns the assignee that keeps the orch of `identity` from starting the task. A claim made by a run of this
    /// home keeps no one off, because the identity may change from one start to the next.
    pub fn assigned_to_other(&self, identity: &str) -> Option<&str> {
        let named = self.spec.assignee.as_deref().map(str::trim).filter(|name| !name.is_empty());
        named.filter(|name| !is_same(name, identity))
    }

    /// Returns the claimant, if it is not `name`.
    pub fn claimed_by_other(&self, name: &str) -> Option<&str> {
        self.claimed_by().filter(|by| !is_same(by, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use crate::tasks::claim::Claim;
    use crate::tasks::task::{FileState, Spec};
    use jiff::SignedDuration;

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
        assert_eq!(task(Some("@Ada"), None).assigned_to_other("ada"), None);
        assert_eq!(task(Some("ada"), None).assigned_to_other("bob"), Some("ada"));
        assert_eq!(task(Some(" "), None).assigned_to_other("bob"), None);
        let begun = task(None, Some(("ada@here", 1)));
        assert_eq!((begun.assigned_to_other("ada@there"), begun.claimed_by_other("bob")), (None, Some("ada@here")));
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
