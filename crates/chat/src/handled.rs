//! Which updates were handled. PURE. Telegram repeats what was not confirmed, may tell things out of order, and after a
//! quiet week begins to count anew somewhere; so what was handled is remembered by its number, beside the offset.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Numbers that are remembered: more than an answer can hold, several times over.
const REMEMBERED: usize = 500;

/// As it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offset {
    /// What is asked for next.
    pub next: Option<i64>,
    /// The last that were handled.
    handled: VecDeque<i64>,
    /// What was begun with, and when.
    #[serde(default)]
    begun: Option<(i64, Timestamp)>,
}

/// The mark of an update that was begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// A name that no other update of the channel has.
    pub key: String,
    /// When it was begun with for the first time.
    pub at: Timestamp,
}

impl Offset {
    /// Of what is kept.
    pub fn read(kept: Option<&str>) -> Self {
        kept.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// To be kept.
    pub fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Whether it was handled.
    pub fn knows(&self, update: i64) -> bool {
        self.handled.contains(&update)
    }

    /// Whether it was begun with, and nobody knows what came of it.
    pub fn is_begun(&self, update: i64) -> bool {
        self.begun.is_some_and(|(begun, _)| begun == update) && !self.knows(update)
    }

    /// It is begun with. Returns the same mark where it was begun with before and nobody knows what came of it.
    pub fn begin(&mut self, update: i64, now: Timestamp) -> Begun {
        let before = self.begun.filter(|(begun, _)| *begun == update).map(|(_, at)| at);
        let at = before.unwrap_or(now);
        self.begun = Some((update, at));
        // A count may come to the same number again.
        Begun { key: format!("{update}-{}", at.as_millisecond()), at }
    }

    /// It was handled.
    pub fn done(&mut self, update: i64) {
        self.begun = None;
        self.handled.push_back(update);
        while self.handled.len() > REMEMBERED {
            self.handled.pop_front();
        }
        self.next = Some(update.saturating_add(1));
    }

    /// An answer was handled to its end: what is asked for next is after all of it.
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
