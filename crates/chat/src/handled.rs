//! Tracks which updates were handled. PURE. Telegram repeats unconfirmed updates, may send them out of order, and after a
//! quiet week restarts its numbering; so the numbers of handled updates are remembered in addition to the offset.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many handled numbers are remembered: several times the size of one response.
const REMEMBERED: usize = 500;

/// The stored state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offset {
    /// Number of the next update to request.
    pub next: Option<i64>,
    /// Numbers of the last handled updates.
    handled: VecDeque<i64>,
    /// The update in progress and when it was first started.
    begun: Option<(i64, Timestamp)>,
}

/// The key of an update whose handling was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Unique key of the update within the channel.
    pub key: String,
    /// When its handling was first started.
    pub at: Timestamp,
}

impl Offset {
    /// Parses the stored state; invalid or missing state is the default.
    pub fn read(kept: Option<&str>) -> Self {
        kept.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Serializes the state.
    pub fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Returns whether the update was handled.
    pub fn knows(&self, update: i64) -> bool {
        self.handled.contains(&update)
    }

    /// Returns whether the update was started and its result is unknown.
    pub fn is_begun(&self, update: i64) -> bool {
        self.begun.is_some_and(|(begun, _)| begun == update) && !self.knows(update)
    }

    /// Records that the update is started. Returns the same key if it was started before and its result is unknown.
    pub fn begin(&mut self, update: i64, now: Timestamp) -> Begun {
        let before = self.begun.filter(|(begun, _)| *begun == update).map(|(_, at)| at);
        let at = before.unwrap_or(now);
        self.begun = Some((update, at));
        // Numbers may repeat, hence the time.
        Begun { key: format!("{update}-{}", at.as_millisecond()), at }
    }

    /// Records that the update was handled.
    pub fn done(&mut self, update: i64) {
        self.begun = None;
        self.handled.push_back(update);
        while self.handled.len() > REMEMBERED {
            self.handled.pop_front();
        }
        self.next = Some(update.saturating_add(1));
    }

    /// Records that a whole response was handled: the next request starts after it.
    pub fn confirm(&mut self, updates: &[i64]) {
        if let Some(last) = updates.iter().max() {
            self.next = Some(last.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_was_begun_before_a_crash_is_known_to_have_been() {
        let first = Timestamp::UNIX_EPOCH;
        let later = Timestamp::from_second(60).expect("a time");
        let mut offset = Offset::default();
        let begun = offset.begin(7, first);
        let mut offset = Offset::read(offset.text().as_deref());
        assert_eq!(offset.begin(7, later), begun);
        assert!(offset.is_begun(7) && !offset.is_begun(8));
        offset.done(7);
        assert!(!offset.is_begun(7) && offset.knows(7) && offset.next == Some(8));
        let next = offset.begin(8, later);
        assert!(next.key != begun.key && next.at == later, "{next:?}");
        assert_eq!(Offset::read(Some("nonsense")), Offset::default());
    }

    #[test]
    fn a_count_that_begins_anew_somewhere_is_followed() {
        let mut offset = Offset::default();
        offset.done(900_000);
        assert!(!offset.knows(17));
        offset.done(17);
        offset.confirm(&[17]);
        assert_eq!(offset.next, Some(18));
    }

    proptest! {
        #[test]
        fn each_is_handled_once_in_whatever_order_and_however_often_it_comes(
            updates in prop::collection::vec(1_i64..120, 0..400),
            crashes in prop::collection::vec(any::<bool>(), 400),
        ) {
            let mut offset = Offset::default();
            let mut handled: BTreeMap<i64, u32> = BTreeMap::new();
            for (update, crash) in updates.iter().zip(crashes) {
                if crash {
                    offset = Offset::read(offset.text().as_deref());
                }
                if !offset.knows(*update) {
                    *handled.entry(*update).or_default() += 1;
                    offset.done(*update);
                }
            }
            prop_assert!(handled.values().all(|times| *times == 1));
            prop_assert!(updates.iter().all(|update| handled.contains_key(update)));
        }
    }
}
