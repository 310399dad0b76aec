//! Output that is being shown in chats, by chat and task: one stream of a task in a chat at a time. From its beginning to its
//! last word each is kept in the channel store, with its message: one that ends without a last word, by a restart, a change of
//! the settings or a crash, goes on in the same message.

use super::conversation::Stop;
use super::conversation::channel_store::ChannelStore;
use super::conversation::live::{Stage, follow};
use super::conversation::render;
use jiff::Timestamp;
use orch_api::client::{Client, ClientError};
use orch_api::error::ErrorCode;
use orch_core::channel::ChatMessage;
use orch_core::ids::TaskId;
use orch_sys::clock::{Clock, SystemClock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Keys of the streams that are open.
pub const STREAMS: &str = "stream/";

/// A stream as it is kept. `C` names a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown<C> {
    /// Where.
    pub chat: C,
    /// Where notices were said when it was begun: elsewhere from now on, nothing of before goes on.
    pub home: C,
    /// Of which task.
    pub task: TaskId,
    /// Who wanted it, by id.
    pub by: String,
    /// The message, where there is one already.
    #[serde(default)]
    message: Option<String>,
    /// Nobody wants more of it, and its last word is to be said.
    #[serde(default)]
    is_stopped: bool,
}

impl<C> Shown<C> {
    /// One that is to begin.
    pub fn new(chat: C, home: C, task: TaskId, by: String) -> Self {
        Self { chat, home, task, by, message: None, is_stopped: false }
    }

    /// The name of its message, where there is one already.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

fn name(key: u64) -> String {
    // In the order in which they were begun.
    format!("{STREAMS}{key:020}")
}

async fn keep<C: Serialize>(store: &ChannelStore, key: u64, shown: Option<&Shown<C>>) {
    let text = shown.and_then(|shown| serde_json::to_string(shown).ok());
    if let Err(error) = store.keep(&name(key), text).await {
        tracing::warn!(%error, "a stream cannot be kept: after a restart it does not go on as it should");
    }
}

async fn kept<C: DeserializeOwned>(store: &ChannelStore, key: u64) -> Option<Shown<C>> {
    let text = store.kept(&name(key)).await.ok().flatten()?;
    serde_json::from_str(&text).ok()
}

/// The message of a stream is there, under this name.
pub async fn stands<C: Serialize + DeserializeOwned>(store: &ChannelStore, key: u64, message: String) {
    if let Some(shown) = kept::<C>(store, key).await {
        keep(store, key, Some(&Shown { message: Some(message), ..shown })).await;
    }
}

/// A stream has shown its last word, or never will.
pub async fn over(store: &ChannelStore, key: u64) {
    keep::<()>(store, key, None).await;
}

/// The task of a stream is not there, and will not be.
fn is_lost(error: &ClientError) -> bool {
    matches!(error, ClientError::Answered(view) if view.code == ErrorCode::NotFound)
}

/// The streams that are open. `C` names a chat.
pub struct Streams<C> {
    store: ChannelStore,
    open: Mutex<BTreeMap<(C, TaskId), (u64, CancellationToken)>>,
    last: AtomicU64,
    leaving: CancellationToken,
}

impl<C: Ord + Copy + Serialize + DeserializeOwned> Streams<C> {
    /// None, yet; they are kept there.
    pub fn new(store: ChannelStore) -> Self {
        Self { store, open: Mutex::default(), last: AtomicU64::new(0), leaving: CancellationToken::new() }
    }

    /// Another number than all before, also those of other processes.
    fn number(&self, now: Timestamp) -> u64 {
        let now = u64::try_from(now.as_microsecond()).unwrap_or_default();
        let next = |last: u64| Some(now.max(last.saturating_add(1)));
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        now.max(before.saturating_add(1))
    }

    /// Opens one; another one of the task that is open there ends.
    fn open(&self, chat: C, task: TaskId, key: u64) -> CancellationToken {
        let stop = CancellationToken::new();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = open.insert((chat, task), (key, stop.clone())) {
            before.cancel();
        }
        stop
    }

    /// One begins. Returns its number and what ends it.
    pub async fn begin(&self, shown: &Shown<C>, now: Timestamp) -> (u64, CancellationToken) {
        let key = self.number(now);
        keep(&self.store, key, Some(shown)).await;
        (key, self.open(shown.chat, shown.task, key))
    }

    /// Those that had no last word yet when whoever showed them ended, the oldest first, with their numbers.
    pub async fn unfinished(&self) -> Vec<(u64, Shown<C>)> {
        let all = match self.store.below(STREAMS).await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(%error, "the streams of before cannot be read");
                return Vec::new();
            }
        };
        let read = |(key, text): (String, String)| {
            let key = key.strip_prefix(STREAMS)?.parse().ok()?;
            Some((key, serde_json::from_str(&text).ok()?))
        };
        all.into_iter().filter_map(read).collect()
    }

    /// One of those goes on. Returns what ends it.
    pub fn go_on(&self, key: u64, shown: &Shown<C>) -> CancellationToken {
        self.last.fetch_max(key, Ordering::Relaxed);
        let stop = self.open(shown.chat, shown.task, key);
        if shown.is_stopped {
            stop.cancel();
        }
        stop
    }

    /// It is over.
    pub async fn over(&self, key: u64) {
        over(&self.store, key).await;
    }

    /// Shows the output of a task until its last word, or until nobody shows streams here any more. `show` says whether
    /// there is room for it.
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
            |saying, stage| {
                is_taken = show(saying, stage);
                if !is_taken && stage == Stage::Grows {
                    stop.cancel();
                    answer(render::about(task, "Too many streams are open: /stop ends them."));
                }
            },
        );
        let done = tokio::select! {
            biased;
            // It goes on where this was left.
            () = self.left() => return,
            done = followed => done,
        };
        let is_lost = done.as_ref().is_err_and(is_lost);
        if let Some(error) = done.err().filter(|error| !error.is_of_an_engine_that_left()) {
            answer(render::refused(&error, None));
        }
        if is_lost || !is_taken {
            self.over(key).await;
        }
        self.ended(chat, task, key);
    }

    /// It has ended.
    fn ended(&self, chat: C, task: TaskId, key: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&(chat, task)).is_some_and(|(known, _)| *known == key) {
            open.remove(&(chat, task));
        }
    }

    /// Nobody shows them any more, and they have no last word.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// Until that is so.
    async fn left(&self) {
        self.leaving.cancelled().await;
    }

    /// Ends those of a chat that are meant, and tells how many these are.
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
            // Whoever dies before its last word says that only.
            if let Some(shown) = kept::<C>(&self.store, *key).await {
                keep(&self.store, *key, Some(&Shown { is_stopped: true, ..shown })).await;
            }
            stop.cancel();
        }
        ending.len()
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

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn of(chat: i64, task: u64) -> Shown<i64> {
        Shown::new(chat, 1, TaskId(task), "42".to_owned())
    }

    async fn begin(streams: &Streams<i64>, chat: i64, task: u64) -> (u64, CancellationToken) {
        streams.begin(&of(chat, task), NOW).await
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
        stands::<i64>(&store, seen, "100".to_owned()).await;
        let (new, _) = begin(&before, 1, 8).await;
        let (done, _) = begin(&before, 1, 9).await;
        over(&store, done).await;
        // Its message comes too late to be one.
        stands::<i64>(&store, done, "101".to_owned()).await;
        let (stopped, _) = begin(&before, 2, 7).await;
        assert_eq!(before.stop(2, Stop::All).await, 1);
        store.keep("stream/garbage", Some("{}".to_owned())).await.expect("memory");
        let after: Streams<i64> = Streams::new(store.clone());
        let found = after.unfinished().await;
        let told: Vec<_> = found.iter().map(|(key, shown)| (*key, shown.chat, shown.task.0, shown.message())).collect();
        assert_eq!(told, [(seen, 1, 7, Some("100")), (new, 1, 8, None), (stopped, 2, 7, None)]);
        let ends: Vec<bool> = found.iter().map(|(key, shown)| after.go_on(*key, shown).is_cancelled()).collect();
        assert_eq!(ends, [false, false, true]);
        // The clock went back: numbers do not.
        assert!(begin(&after, 1, 10).await.0 > stopped);
        after.over(seen).await;
        assert_eq!(after.unfinished().await.len(), 3);
    }
}
