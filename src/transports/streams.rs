//! Output that is being shown in chats, by chat and task: one stream of a task in a chat at a time.

use super::conversation::Stop;
use crate::domain::ids::TaskId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The streams that are open. `C` names a chat.
pub struct Streams<C> {
    open: Mutex<BTreeMap<(C, TaskId), (u64, CancellationToken)>>,
    last: AtomicU64,
}

impl<C> Default for Streams<C> {
    fn default() -> Self {
        Self { open: Mutex::default(), last: AtomicU64::new(0) }
    }
}

impl<C: Ord + Copy> Streams<C> {
    /// One for this task; another one that is open there ends. Returns its number and what ends it.
    pub fn begin(&self, chat: C, task: TaskId) -> (u64, CancellationToken) {
        let (key, stop) = (self.last.fetch_add(1, Ordering::Relaxed), CancellationToken::new());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = open.insert((chat, task), (key, stop.clone())) {
            before.cancel();
        }
        (key, stop)
    }

    /// It has ended.
    pub fn ended(&self, chat: C, task: TaskId, key: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&(chat, task)).is_some_and(|(known, _)| *known == key) {
            open.remove(&(chat, task));
        }
    }

    /// Ends those that are meant (`None`: all), and tells how many these are.
    pub fn stop(&self, which: Option<(C, Stop)>) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |chat: C, task: TaskId| match which {
            None => true,
            Some((there, Stop::All)) => chat == there,
            Some((there, Stop::Task(wanted))) => chat == there && task == wanted,
        };
        let before = open.len();
        open.retain(|(chat, task), (_, stop)| {
            let ends = is_meant(*chat, *task);
            if ends {
                stop.cancel();
            }
            !ends
        });
        before - open.len()
    }
}

/// What whoever wanted streams to end is told.
pub fn stopped(count: usize) -> String {
    match count {
        0 => "No stream was open here.".to_owned(),
        1 => "The stream ends.".to_owned(),
        some => format!("{some} streams end."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_has_one_stream_of_a_task_and_ends_its_own() {
        let streams: Streams<i64> = Streams::default();
        let (first, stop) = streams.begin(1, TaskId(7));
        let (second, other) = streams.begin(1, TaskId(7));
        assert!(stop.is_cancelled() && !other.is_cancelled());
        // The first one's end is not the second one's.
        streams.ended(1, TaskId(7), first);
        let (_, elsewhere) = streams.begin(2, TaskId(7));
        assert_eq!(streams.stop(Some((1, Stop::Task(TaskId(8))))), 0);
        assert_eq!(streams.stop(Some((1, Stop::All))), 1);
        assert!(other.is_cancelled() && !elsewhere.is_cancelled());
        streams.ended(1, TaskId(7), second);
        assert_eq!(streams.stop(None), 1);
        assert_eq!(stopped(2), "2 streams end.");
    }

    #[test]
    fn another_stream_of_a_task_takes_the_place_of_the_first() {
        let streams: Streams<i64> = Streams::default();
        let (first, ends) = streams.begin(1, TaskId(7));
        let (_, goes_on) = streams.begin(1, TaskId(7));
        assert!(ends.is_cancelled() && !goes_on.is_cancelled());
        streams.ended(1, TaskId(7), first);
        streams.begin(1, TaskId(8));
        streams.begin(2, TaskId(7));
        assert_eq!(streams.stop(Some((1, Stop::Task(TaskId(7))))), 1);
        assert!(goes_on.is_cancelled());
        assert_eq!((streams.stop(Some((1, Stop::All))), streams.stop(None), streams.stop(None)), (1, 1, 0));
    }
}
