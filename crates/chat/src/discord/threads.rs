//! Where a task is spoken of: in a thread under the first message about it. And the way back: which task somebody speaks
//! of who writes there, or answers a message about it. What cannot be read or written is as if it were not there.

use super::api::{Place, id};
use crate::conversation::channel_store::ChannelStore;
use orch_core::ids::TaskId;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, MessageMarker};

/// Keys: the tasks of messages, which are forgotten after a while.
pub const MESSAGE: &str = "message/";
/// Keys: the threads of tasks.
const THREAD_OF: &str = "thread-of/";
/// Keys: the tasks of threads.
const THREAD: &str = "thread/";

/// The threads of the channel.
#[derive(Clone)]
pub struct Threads {
    store: ChannelStore,
}

impl Threads {
    /// Of what is kept.
    pub fn new(store: ChannelStore) -> Self {
        Self { store }
    }

    async fn read(&self, key: &str) -> Option<String> {
        self.store.kept(key).await.ok().flatten()
    }

    async fn write(&self, key: &str, value: Option<String>) {
        if let Err(error) = self.store.keep(key, value).await {
            tracing::warn!(%error, key, "a thread cannot be kept");
        }
    }

    /// The thread of a task.
    pub async fn of(&self, task: TaskId) -> Option<Id<ChannelMarker>> {
        id(&self.read(&format!("{THREAD_OF}{task}")).await?)
    }

    /// A thread was begun for a task.
    pub async fn begun(&self, task: TaskId, thread: Id<ChannelMarker>) {
        self.write(&format!("{THREAD_OF}{task}"), Some(thread.to_string())).await;
        self.write(&format!("{THREAD}{thread}"), Some(task.to_string())).await;
    }

    /// The thread of a task is no more.
    pub async fn forget(&self, task: TaskId, thread: Id<ChannelMarker>) {
        self.write(&format!("{THREAD_OF}{task}"), None).await;
        self.write(&format!("{THREAD}{thread}"), None).await;
    }

    /// A message speaks of a task.
    pub async fn said(&self, task: TaskId, place: Place) {
        self.write(&format!("{MESSAGE}{place}"), Some(task.to_string())).await;
    }

    /// The task that somebody speaks of who writes in this channel, or answers this message of it.
    pub async fn task_of(&self, channel: Id<ChannelMarker>, answers: Option<Id<MessageMarker>>) -> Option<TaskId> {
        let mut found = None;
        if let Some(message) = answers {
            found = self.read(&format!("{MESSAGE}{}", Place { channel, message })).await;
        }
        let found = match found {
            Some(found) => found,
            None => self.read(&format!("{THREAD}{channel}")).await?,
        };
        found.parse().ok().map(TaskId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_has_one_thread_and_answers_are_about_it() {
        let threads = Threads::new(ChannelStore::in_memory());
        let (channel, thread) = (Id::new(5), Id::new(6));
        assert_eq!(threads.of(TaskId(7)).await, None);
        threads.begun(TaskId(7), thread).await;
        threads.said(TaskId(8), Place { channel, message: Id::new(100) }).await;
        assert_eq!(threads.of(TaskId(7)).await, Some(thread));
        assert_eq!(threads.task_of(thread, None).await, Some(TaskId(7)));
        assert_eq!(threads.task_of(thread, Some(Id::new(1))).await, Some(TaskId(7)));
        assert_eq!(threads.task_of(channel, Some(Id::new(100))).await, Some(TaskId(8)));
        assert_eq!(threads.task_of(channel, Some(Id::new(101))).await, None);
        threads.forget(TaskId(7), thread).await;
        assert_eq!((threads.of(TaskId(7)).await, threads.task_of(thread, None).await), (None, None));
    }
}
