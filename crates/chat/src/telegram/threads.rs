//! Maps tasks to places in a chat: to a topic if the chat has topics, else to replies to the first message about the task;
//! and back from a reply or topic to the task.

use crate::conversation::channel_store::ChannelStore;
use crate::service::MESSAGE;
use orch_core::base::ids::TaskId;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A place of a message in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Id of the topic.
    pub topic: Option<i64>,
    /// Id of the message to reply to.
    pub answers: Option<i64>,
}

impl Place {
    /// Adds the place to the parameters of a method.
    pub fn put(&self, takes: &mut Value) {
        if let Some(topic) = self.topic {
            takes["message_thread_id"] = json!(topic);
        }
        if let Some(answers) = self.answers {
            // The message may have been deleted.
            takes["reply_parameters"] = json!({"message_id": answers, "allow_sending_without_reply": true});
        }
    }
}

/// The threads of one chat. Storage errors count as missing entries: a message then goes outside its thread, but is not
/// lost.
#[derive(Clone)]
pub struct Threads {
    chat: i64,
    store: ChannelStore,
    is_forum: Arc<AtomicBool>,
}

impl Threads {
    /// Creates the threads of a chat.
    pub fn new(chat: i64, store: ChannelStore) -> Self {
        Self { chat, store, is_forum: Arc::default() }
    }

    /// Sets whether the chat has topics.
    pub fn set_forum(&self, is_forum: bool) {
        self.is_forum.store(is_forum, Ordering::Relaxed);
    }

    /// Returns whether the chat has topics.
    pub fn is_forum(&self) -> bool {
        self.is_forum.load(Ordering::Relaxed)
    }

    fn key(&self, task: TaskId) -> String {
        let kind = if self.is_forum() { "topic-of" } else { "thread-of" };
        format!("{kind}/{}/{task}", self.chat)
    }

    async fn read(&self, key: &str) -> Option<i64> {
        self.store.get(key).await.ok().flatten()?.parse().ok()
    }

    async fn write(&self, key: &str, value: Option<String>) {
        if let Err(error) = self.store.set(key, value).await {
            tracing::warn!(%error, key, "a thread cannot be stored");
        }
    }

    /// Returns the place of a task; empty if there is none yet.
    pub async fn place(&self, task: TaskId) -> Place {
        let known = self.read(&self.key(task)).await;
        if self.is_forum() { Place { topic: known, answers: None } } else { Place { topic: None, answers: known } }
    }

    /// Records the topic that was created for a task.
    pub async fn record_topic(&self, task: TaskId, topic: Option<i64>) -> Place {
        if let Some(topic) = topic {
            self.write(&self.key(task), Some(topic.to_string())).await;
            self.write(&format!("topic/{}/{topic}", self.chat), Some(task.to_string())).await;
        }
        Place { topic, answers: None }
    }

    /// Forgets the deleted topic of a task.
    pub async fn forget(&self, task: Option<TaskId>) {
        if let Some(task) = task {
            self.write(&self.key(task), None).await;
        }
    }

    /// Records a message about a task. Later messages reply to the first one.
    pub async fn record_message(&self, task: TaskId, message: i64) {
        self.write(&format!("{MESSAGE}{}/{message}", self.chat), Some(task.to_string())).await;
        if !self.is_forum() && self.place(task).await == Place::default() {
            self.write(&self.key(task), Some(message.to_string())).await;
        }
    }

    /// Returns the task that a reply to this message, or a message in this topic, is about.
    pub async fn task_of(&self, answers: Option<i64>, topic: Option<i64>) -> Option<TaskId> {
        if let Some(message) = answers
            && let Some(task) = self.read(&format!("{MESSAGE}{}/{message}", self.chat)).await
        {
            return u64::try_from(task).ok().map(TaskId);
        }
        let task = self.read(&format!("topic/{}/{}", self.chat, topic?)).await?;
        u64::try_from(task).ok().map(TaskId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_has_one_thread_and_answers_there_are_about_it() {
        let threads = Threads::new(-5, ChannelStore::in_memory());
        assert_eq!(threads.place(TaskId(7)).await, Place::default());
        threads.record_message(TaskId(7), 100).await;
        threads.record_message(TaskId(7), 101).await;
        assert_eq!(threads.place(TaskId(7)).await, Place { topic: None, answers: Some(100) });
        assert_eq!(threads.task_of(Some(101), None).await, Some(TaskId(7)));
        assert_eq!(threads.task_of(Some(999), Some(3)).await, None);
        threads.set_forum(true);
        assert_eq!(threads.record_topic(TaskId(7), Some(3)).await, Place { topic: Some(3), answers: None });
        assert_eq!(threads.task_of(Some(999), Some(3)).await, Some(TaskId(7)));
        threads.forget(Some(TaskId(7))).await;
        assert_eq!(threads.place(TaskId(7)).await, Place::default());
        let other = Threads::new(-6, threads.store.clone());
        assert_eq!(other.task_of(Some(100), None).await, None, "message ids are per chat");
    }
}
