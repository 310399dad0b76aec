//! Limits how often a chat is written to, and orders what waits. PURE: the time since the start of the chat is an
//! argument.
//!
//! A pause counts from the end of the previous request: whenever that reached the service, the next one is later.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Maximum number of messages and edits in a group within [`Limits::group_span`].
pub const IN_GROUP: usize = 20;

/// Limits of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Minimum time between two messages or edits.
    pub apart: Duration,
    /// Span in which a group accepts at most [`IN_GROUP`] messages and edits.
    pub group_span: Duration,
    /// Added to every pause, for differences between the clocks.
    pub margin: Duration,
}

impl Limits {
    /// Limits of Telegram.
    pub const TELEGRAM: Self =
        Self { apart: Duration::from_secs(1), group_span: Duration::from_secs(60), margin: Duration::from_millis(50) };

    /// Returns limits with all times divided by `times`, for tests.
    #[must_use]
    pub fn faster(self, times: u32) -> Self {
        let Self { apart, group_span, margin } = self;
        Self { apart: apart / times, group_span: group_span / times, margin: margin / times }
    }
}

/// Requests of a group that are reserved for answers to people.
const RESERVED: usize = 4;
/// Longest queue; more items are refused for now.
pub const LONGEST_QUEUE: usize = 500;
/// Maximum number of live messages.
pub const MOST_LIVE: usize = 200;
/// Longest pause that is accepted from a service.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Computes when a chat may be written to.
#[derive(Debug, Clone)]
pub struct RateLimit {
    limits: Limits,
    is_group: bool,
    ends: VecDeque<Duration>,
    blocked_until: Duration,
}

impl RateLimit {
    /// Creates the limit of a chat without messages.
    pub fn new(is_group: bool, limits: Limits) -> Self {
        Self { limits, is_group, ends: VecDeque::new(), blocked_until: Duration::ZERO }
    }

    /// Returns when the next request is allowed if `kept_back` requests of a group stay reserved.
    pub fn free_at(&self, kept_back: usize) -> Duration {
        let last = self.ends.back().map_or(Duration::ZERO, |end| *end + self.limits.apart + self.limits.margin);
        let count = IN_GROUP - kept_back;
        let of_group = match self.ends.len().checked_sub(count) {
            Some(at) if self.is_group => self.ends[at] + self.limits.group_span + self.limits.margin,
            Some(_) | None => Duration::ZERO,
        };
        last.max(of_group).max(self.blocked_until)
    }

    /// Records the end of a request, whatever its result.
    pub fn record_request(&mut self, now: Duration) {
        self.ends.push_back(now);
        while self.ends.len() > IN_GROUP {
            self.ends.pop_front();
        }
    }

    /// Blocks requests for this long, as the service asks.
    pub fn block_for(&mut self, now: Duration, pause: Duration) {
        self.blocked_until = self.blocked_until.max(now + pause.min(LONGEST_PAUSE) + self.limits.margin);
    }
}

/// Order of queued items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An answer, or something that cannot wait.
    Now,
    /// Everything else.
    Usual,
}

/// A live message: its content is replaced by newer states.
#[derive(Debug, Clone)]
struct Growing<L> {
    wanted: Option<L>,
    is_last: bool,
    /// When it was shown last, as a position in the order of all.
    shown: u64,
}

/// The next step.
#[derive(Debug, PartialEq, Eq)]
pub enum Due<Q, L> {
    /// A queued item is due.
    Queued(Q),
    /// The newest state of a live message is due.
    Live {
        /// Key of the live message.
        key: u64,
        /// State to show.
        state: L,
        /// Whether this is the final state.
        is_last: bool,
    },
    /// Nothing is due before this time.
    At(Duration),
    /// The queue is empty.
    Nothing,
}

/// What waits for a chat. `Q` is an item that is sent once, `L` the state of a live message, of which only the newest
/// counts.
#[derive(Debug)]
pub struct Queue<Q, L> {
    now: VecDeque<Q>,
    usual: VecDeque<Q>,
    live: BTreeMap<u64, Growing<L>>,
    shown: u64,
}

impl<Q, L> Default for Queue<Q, L> {
    fn default() -> Self {
        Self { now: VecDeque::new(), usual: VecDeque::new(), live: BTreeMap::new(), shown: 0 }
    }
}

impl<Q, L> Queue<Q, L> {
    /// Returns the number of waiting items.
    pub fn waiting(&self) -> usize {
        self.now.len() + self.usual.len() + self.live.values().filter(|live| live.wanted.is_some()).count()
    }

    /// Queues an item.
    ///
    /// # Errors
    /// The queue is full; returns the item.
    pub fn push(&mut self, item: Q, urgency: Urgency) -> Result<(), Q> {
        if self.now.len() + self.usual.len() >= LONGEST_QUEUE {
            return Err(item);
        }
        match urgency {
            Urgency::Now => self.now.push_back(item),
            Urgency::Usual => self.usual.push_back(item),
        }
        Ok(())
    }

    /// Returns an item that could not be sent to the front of the queue.
    pub fn push_back(&mut self, item: Q) {
        self.now.push_front(item);
    }

    /// Sets the newest state of a live message; `false`: there are more of them than a person can read.
    pub fn show(&mut self, key: u64, state: L, is_last: bool) -> bool {
        if !self.live.contains_key(&key) && self.live.len() >= MOST_LIVE {
            return false;
        }
        let live = self.live.entry(key).or_insert(Growing { wanted: None, is_last: false, shown: 0 });
        // Nothing follows the final state.
        if !live.is_last {
            (live.wanted, live.is_last) = (Some(state), is_last);
        }
        true
    }

    /// Queues a state that could not be shown again, unless there is a newer one.
    pub fn show_again(&mut self, key: u64, state: L, is_last: bool) {
        if let Some(live) = self.live.get_mut(&key) {
            if live.wanted.is_none() {
                (live.wanted, live.is_last) = (Some(state), is_last);
            }
        } else {
            self.live.insert(key, Growing { wanted: Some(state), is_last, shown: self.shown });
        }
    }

    /// Drops live messages without a final state.
    pub fn drop_growing(&mut self) {
        self.live.retain(|_, live| live.is_last);
    }

    /// Removes and returns what is due.
    pub fn next(&mut self, limit: &RateLimit, now: Duration) -> Due<Q, L> {
        let free = limit.free_at(0);
        let is_urgent = !self.now.is_empty() || !self.usual.is_empty();
        if is_urgent {
            if free > now {
                return Due::At(free);
            }
            return match self.now.pop_front().or_else(|| self.usual.pop_front()) {
                Some(item) => Due::Queued(item),
                None => Due::Nothing,
            };
        }
        // Final states come first; then the state of the message that was shown longest ago.
        let waits = self.live.iter().filter(|(_, live)| live.wanted.is_some());
        let first =
            waits.min_by_key(|(key, live)| (!live.is_last, live.shown, **key)).map(|(key, live)| (*key, live.is_last));
        let Some((key, is_last)) = first else { return Due::Nothing };
        let free = if is_last { free } else { limit.free_at(RESERVED) };
        if free > now {
            return Due::At(free);
        }
        self.shown += 1;
        let shown = self.shown;
        let state = self.live.get_mut(&key).and_then(|live| {
            live.shown = shown;
            live.wanted.take()
        });
        if is_last {
            self.live.remove(&key);
        }
        match state {
            Some(state) => Due::Live { key, state, is_last },
            None => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_chat_gets_one_a_second_and_a_group_twenty_a_minute() {
        let mut limit = RateLimit::new(false, Limits::TELEGRAM);
        limit.record_request(at(400));
        assert_eq!(limit.free_at(0), at(1_450));
        let mut limit = RateLimit::new(true, Limits::TELEGRAM);
        (0..20).for_each(|n| limit.record_request(SECOND * n * 2));
        assert_eq!(limit.free_at(0), at(60_050));
        // Four are kept for a person.
        assert_eq!(limit.free_at(4), at(68_050));
        limit.block_for(SECOND * 50, SECOND * 30);
        assert_eq!(limit.free_at(0), at(80_050));
        limit.block_for(SECOND * 50, Duration::MAX);
        assert_eq!(limit.free_at(0), at(3_650_050), "no service silences a chat for ever");
    }

    #[test]
    fn a_person_comes_first_then_notices_then_last_words_then_who_waited_longest() {
        let mut queue: Queue<&str, &str> = Queue::default();
        let limit = RateLimit::new(false, Limits::TELEGRAM);
        assert!(queue.show(1, "one", false) && queue.show(2, "two", false) && queue.show(3, "three", true));
        assert!(queue.show(1, "one, newer", false) && queue.show(3, "after the end", false));
        queue.push("notice", Urgency::Usual).expect("room");
        queue.push("answer", Urgency::Now).expect("room");
        assert_eq!(queue.waiting(), 5);
        let live = |key, state, is_last| Due::Live { key, state, is_last };
        assert_eq!(queue.next(&limit, SECOND), Due::Queued("answer"));
        assert_eq!(queue.next(&limit, SECOND), Due::Queued("notice"));
        assert_eq!(queue.next(&limit, SECOND), live(3, "three", true));
        assert_eq!(queue.next(&limit, SECOND), live(1, "one, newer", false));
        queue.show(1, "one again", false);
        assert_eq!(queue.next(&limit, SECOND), live(2, "two", false));
        assert_eq!(queue.next(&limit, SECOND), live(1, "one again", false));
        assert_eq!(queue.next(&limit, SECOND), Due::Nothing);
    }

    #[test]
    fn a_queue_is_bounded() {
        let mut queue: Queue<usize, usize> = Queue::default();
        let taken = (0..10_000).filter(|n| queue.push(*n, Urgency::Usual).is_ok()).count();
        let shown = (0..10_000).filter(|n| queue.show(*n, 0, false)).count();
        assert_eq!((taken, shown), (LONGEST_QUEUE, MOST_LIVE));
        assert_eq!(queue.waiting(), LONGEST_QUEUE + MOST_LIVE);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_service_sees_no_more_than_it_allows_and_every_last_state(
            states in prop::collection::vec((0_u64..12, 0_u64..900), 1..150),
            latency in 1_u64..700,
        ) {
            let (mut queue, mut limit): (Queue<u64, usize>, RateLimit) = (Queue::default(), RateLimit::new(true, Limits::TELEGRAM));
            let (mut now, mut seen, mut shown) = (Duration::ZERO, Vec::new(), BTreeMap::new());
            let mut run = |queue: &mut Queue<u64, usize>, until: Duration, now: &mut Duration| loop {
                match queue.next(&limit, *now) {
                    Due::At(at) if at <= until => *now = at,
                    Due::At(_) | Due::Nothing => return *now = (*now).max(until),
                    Due::Queued(_) => unreachable!("nothing was queued"),
                    Due::Live { key, state, .. } => {
                        // It reaches the service at some moment of its way.
                        seen.push(*now + at(latency * (state as u64 % 3) / 2));
                        shown.insert(key, state);
                        *now += at(latency);
                        limit.record_request(*now);
                    }
                }
            };
            for (n, (key, pause)) in states.iter().enumerate() {
                queue.show(*key, n, false);
                let until = now + at(*pause);
                run(&mut queue, until, &mut now);
            }
            run(&mut queue, Duration::from_secs(100_000), &mut now);
            for (n, (key, _)) in states.iter().enumerate() {
                prop_assert!(shown[key] >= n || states[shown[key]].0 == *key);
            }
            let last: BTreeMap<u64, usize> = states.iter().enumerate().map(|(n, (key, _))| (*key, n)).collect();
            prop_assert_eq!(&shown, &last);
            for pair in seen.windows(2) {
                prop_assert!(pair[1] - pair[0] >= Limits::TELEGRAM.apart);
            }
            for many in seen.windows(IN_GROUP + 1) {
                prop_assert!(many[IN_GROUP] - many[0] >= Limits::TELEGRAM.group_span);
            }
        }
    }
}
