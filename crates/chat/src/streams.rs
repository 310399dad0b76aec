//! The streams of output in chats, by chat and task: a chat has at most one stream of a task. Each is kept in the channel
//! store with its message until its final state is shown: a stream that was interrupted by a restart, a change of the
//! settings or a crash continues in the same message.

use super::conversation::Stop;
use super::conversation::channel_store::ChannelStore;
use super::conversation::live::{Stage, follow};
use super::conversation::render;
use jiff::Timestamp;
use orch_api::client::{Client, ClientError};
use orch_api::error::ErrorCode;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::ChatMessage;
use orch_sys::clock::{Clock, SystemClock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Prefix of the keys of open streams.
pub const STREAMS: &str = "stream/";

/// A stored stream. `C` is the id of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown<C> {
    /// The chat that shows the stream.
    pub chat: C,
    /// The configured chat when the stream started; after a change of it the stream does not continue.
    pub home: C,
    /// The task whose output is shown.
    pub task: TaskId,
    /// Id of the user who requested it.
    pub by: String,
    /// Id of the message, once it exists.
    message: Option<String>,
    /// Whether it was stopped and only its final state is still to be shown.
    #[serde(default)]
    is_stopped: bool,
}

impl<C> Shown<C> {
    /// Creates a stream without a message.
    pub fn new(chat: C, home: C, task: TaskId, by: String) -> Self {
        Self { chat, home, task, by, message: None, is_stopped: false }
    }

    /// Returns the id of its message, once it exists.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

fn name(key: u64) -> String {
    // Sorts in the order of the starts.
    format!("{STREAMS}{key:020}")
}

async fn keep<C: Serialize>(store: &ChannelStore, key: u64, shown: Option<&Shown<C>>) {
    let text = shown.and_then(|shown| serde_json::to_string(shown).ok());
    if let Err(error) = store.set(&name(key), text).await {
        tracing::warn!(%error, "a stream cannot be stored: it will not continue correctly after a restart");
    }
}

async fn kept<C: DeserializeOwned>(store: &ChannelStore, key: u64) -> Option<Shown<C>> {
    let text = store.get(&name(key)).await.ok().flatten()?;
    serde_json::from_str(&text).ok()
}

/// Stores the id of a stream's message.
pub async fn store_message<C: Serialize + DeserializeOwned>(store: &ChannelStore, key: u64, message: String) {
    if let Some(shown) = kept::<C>(store, key).await {
        keep(store, key, Some(&Shown { message: Some(message), ..shown })).await;
    }
}

/// Removes a stream that has shown its final state, or never will.
pub async fn remove(store: &ChannelStore, key: u64) {
    keep::<()>(store, key, None).await;
}

/// Returns whether the task of a stream does not exist.
fn is_lost(error: &ClientError) -> bool {
    matches!(error, ClientError::Answered(view) if view.code == ErrorCode::NotFound)
}

/// All open streams. `C` is the id of a chat.
pub struct Streams<C> {
    store: ChannelStore,
    open: Mutex<BTreeMap<(C, TaskId), (u64, CancellationToken)>>,
    last: AtomicU64,
    suspended: CancellationToken,
}

impl<C: Ord + Copy + Serialize + DeserializeOwned> Streams<C> {
    /// Creates an empty set that is stored in `store`.
    pub fn new(store: ChannelStore) -> Self {
        Self { store, open: Mutex::default(), last: AtomicU64::new(0), suspended: CancellationToken::new() }
    }

    /// Returns a number that is larger than all before, including those of other processes.
    fn number(&self, now: Timestamp) -> u64 {
        let now = u64::try_from(now.as_microsecond()).unwrap_or_default();
        let next = |last: u64| Some(now.max(last.saturating_add(1)));
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        now.max(before.saturating_add(1))
    }

    /// Registers a stream and stops an open one of the same task in the same chat.
    fn open(&self, chat: C, task: TaskId, key: u64) -> CancellationToken {
        let stop = CancellationToken::new();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = open.insert((chat, task), (key, stop.clone())) {
            before.cancel();
        }
        stop
    }

    /// Starts and stores a stream. Returns its number and the token that stops it.
    pub async fn begin(&self, shown: &Shown<C>, now: Timestamp) -> (u64, CancellationToken) {
        let key = self.number(now);
        keep(&self.store, key, Some(shown)).await;
        (key, self.open(shown.chat, shown.task, key))
    }

    /// Returns the stored streams without a final state, oldest first, with their numbers.
    pub async fn unfinished(&self) -> Vec<(u64, Shown<C>)> {
        let all = match self.store.with_prefix(STREAMS).await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(%error, "the stored streams cannot be read");
                return Vec::new();
            }
        };
        let read = |(key, text): (String, String)| {
            let key = key.strip_prefix(STREAMS)?.parse().ok()?;
            Some((key, serde_json::from_str(&text).ok()?))
        };
        all.into_iter().filter_map(read).collect()
    }

    /// Resumes a stored stream. Returns the token that stops it.
    pub fn resume(&self, key: u64, shown: &Shown<C>) -> CancellationToken {
        self.last.fetch_max(key, Ordering::Relaxed);
        let stop = self.open(shown.chat, shown.task, key);
        if shown.is_stopped {
            stop.cancel();
        }
        stop
    }

    /// Removes a stream that is over.
    pub async fn remove(&self, key: u64) {
        remove(&self.store, key).await;
    }

    /// Shows the output of a task until its final state or until streams are suspended. `show` returns whether the message
    /// was accepted.
    pub async fn run(
        &self,
        (key, stop): (u64, CancellationToken),
        (chat, task): (C, TaskId),
        client: &Client,
        mut show: impl FnMut(ChatMessage, Stage) -> bool,
        answer: impl Fn(ChatMessage),
    ) {
        let mut is_taken = true;
        let followed = follow(
            client,
            task,
            &stop,
            || SystemClock.now(),
            |content, stage| {
                is_taken = show(content, stage);
                if !is_taken && stage == Stage::Grows {
                    stop.cancel();
                    answer(render::about(task, "Too many streams are open: /stop ends them."));
                }
            },
        );
        let done = tokio::select! {
            biased;
            // The stream resumes from here.
            () = self.suspended.cancelled() => return,
            done = followed => done,
        };
        let is_lost = done.as_ref().is_err_and(is_lost);
        if let Some(error) = done.err().filter(|error| !error.is_of_an_engine_that_left()) {
            answer(render::refused(&error, None));
        }
        if is_lost || !is_taken {
            self.remove(key).await;
        }
        self.ended(chat, task, key);
    }

    /// Unregisters a stream that has ended.
    fn ended(&self, chat: C, task: TaskId, key: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&(chat, task)).is_some_and(|(known, _)| *known == key) {
            open.remove(&(chat, task));
        }
    }

    /// Suspends all streams without a final state.
    pub fn suspend(&self) {
        self.suspended.cancel();
    }

    /// Stops the matching streams of a chat and returns their number.
    pub async fn stop(&self, chat: C, which: Stop) -> usize {
        let mut ending = Vec::new();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(there, task), (key, stop)| {
            let is_meant = match which {
                Stop::All => *there == chat,
                Stop::Task(wanted) => *there == chat && *task == wanted,
            };
            if is_meant {
                ending.push((*key, stop.clone()));
            }
            !is_meant
        });
        for (key, stop) in &ending {
            // After a crash before the final state, only that is shown.
            if let Some(shown) = kept::<C>(&self.store, *key).await {
                keep(&self.store, *key, Some(&Shown { is_stopped: true, ..shown })).await;
            }
            stop.cancel();
        }
        ending.len()
    }
}

/// Returns the answer to a request to stop streams.
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

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn shown(chat: i64, task: u64) -> Shown<i64> {
        Shown::new(chat, 1, TaskId(task), "42".to_owned())
    }

    async fn begin(streams: &Streams<i64>, chat: i64, task: u64) -> (u64, CancellationToken) {
        streams.begin(&shown(chat, task), NOW).await
    }

    #[tokio::test]
    async fn a_chat_has_one_stream_of_a_task_and_ends_its_own() {
        let streams: Streams<i64> = Streams::new(ChannelStore::in_memory());
        let (first, stop) = begin(&streams, 1, 7).await;
        let (second, other) = begin(&streams, 1, 7).await;
        assert!(first < second && stop.is_cancelled() && !other.is_cancelled());
        // The first one's end is not the second one's.
        streams.ended(1, TaskId(7), first);
        let (_, elsewhere) = begin(&streams, 2, 7).await;
        assert_eq!(streams.stop(1, Stop::Task(TaskId(8))).await, 0);
        assert_eq!(streams.stop(1, Stop::All).await, 1);
        assert!(other.is_cancelled() && !elsewhere.is_cancelled());
        streams.ended(1, TaskId(7), second);
        begin(&streams, 2, 8).await;
        assert_eq!(streams.stop(2, Stop::Task(TaskId(7))).await, 1);
        assert_eq!((streams.stop(2, Stop::All).await, streams.stop(2, Stop::All).await), (1, 0));
        assert_eq!(stopped(2), "2 streams end.");
    }

    #[tokio::test]
    async fn what_had_no_last_word_goes_on_in_its_message_whoever_shows_it_then() {
        let store = ChannelStore::in_memory();
        let before: Streams<i64> = Streams::new(store.clone());
        let (seen, _) = begin(&before, 1, 7).await;
        store_message::<i64>(&store, seen, "100".to_owned()).await;
        let (new, _) = begin(&before, 1, 8).await;
        let (done, _) = begin(&before, 1, 9).await;
        remove(&store, done).await;
        // Its message comes too late to be one.
        store_message::<i64>(&store, done, "101".to_owned()).await;
        let (stopped, _) = begin(&before, 2, 7).await;
        assert_eq!(before.stop(2, Stop::All).await, 1);
        store.set("stream/garbage", Some("{}".to_owned())).await.expect("memory");
        let after: Streams<i64> = Streams::new(store.clone());
        let found = after.unfinished().await;
        let stored: Vec<_> =
            found.iter().map(|(key, shown)| (*key, shown.chat, shown.task.0, shown.message())).collect();
        assert_eq!(stored, [(seen, 1, 7, Some("100")), (new, 1, 8, None), (stopped, 2, 7, None)]);
        let ends: Vec<bool> = found.iter().map(|(key, shown)| after.resume(*key, shown).is_cancelled()).collect();
        assert_eq!(ends, [false, false, true]);
        // The clock went back: numbers do not.
        assert!(begin(&after, 1, 10).await.0 > stopped);
        after.remove(seen).await;
        assert_eq!(after.unfinished().await.len(), 3);
    }
}
