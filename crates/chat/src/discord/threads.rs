//! Maps tasks to threads under the first message about the task; and back from a thread or a reply to the task. Storage
//! errors count as missing entries.

use super::api::{Place, id};
use crate::conversation::channel_store::ChannelStore;
use crate::service::MESSAGE;
use orch_core::base::ids::TaskId;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, MessageMarker};

/// Prefix of the keys that map tasks to threads.
const THREAD_OF: &str = "thread-of/";
/// Prefix of the keys that map threads to tasks.
const THREAD: &str = "thread/";

/// The threads of the channel.
#[derive(Clone)]
pub struct Threads {
    store: ChannelStore,
}

impl Threads {
    /// Creates the map over a store.
    pub fn new(store: ChannelStore) -> Self {
        Self { store }
    }

    async fn read(&self, key: &str) -> Option<String> {
        self.store.get(key).await.ok().flatten()
    }

    async fn write(&self, key: &str, value: Option<String>) {
        if let Err(error) = self.store.set(key, value).await {
            tracing::warn!(%error, key, "a thread cannot be stored");
        }
    }

    /// Returns the thread of a task.
    pub async fn thread_of(&self, task: TaskId) -> Option<Id<ChannelMarker>> {
        id(&self.read(&format!("{THREAD_OF}{task}")).await?)
    }

    /// Records the thread that was created for a task.
    pub async fn record_thread(&self, task: TaskId, thread: Id<ChannelMarker>) {
        self.write(&format!("{THREAD_OF}{task}"), Some(thread.to_string())).await;
        self.write(&format!("{THREAD}{thread}"), Some(task.to_string())).await;
    }

    /// Forgets the deleted thread of a task.
    pub async fn forget(&self, task: TaskId, thread: Id<ChannelMarker>) {
        self.write(&format!("{THREAD_OF}{task}"), None).await;
        self.write(&format!("{THREAD}{thread}"), None).await;
    }

    /// Records a message about a task.
    pub async fn record_message(&self, task: TaskId, place: Place) {
        self.write(&format!("{MESSAGE}{place}"), Some(task.to_string())).await;
    }

    /// Returns the task that a message in this channel, or a reply to this message, is about.
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
        assert_eq!(threads.thread_of(TaskId(7)).await, None);
        threads.record_thread(TaskId(7), thread).await;
        threads.record_message(TaskId(8), Place { channel, message: Id::new(100) }).await;
        assert_eq!(threads.thread_of(TaskId(7)).await, Some(thread));
        assert_eq!(threads.task_of(thread, None).await, Some(TaskId(7)));
        assert_eq!(threads.task_of(thread, Some(Id::new(1))).await, Some(TaskId(7)));
        assert_eq!(threads.task_of(channel, Some(Id::new(100))).await, Some(TaskId(8)));
        assert_eq!(threads.task_of(channel, Some(Id::new(101))).await, None);
        threads.forget(TaskId(7), thread).await;
        assert_eq!((threads.thread_of(TaskId(7)).await, threads.task_of(thread, None).await), (None, None));
    }
}
