//! Where in a chat a task is spoken of: in its topic where the chat has topics, else in answer to the first message about
//! it. And the way back: which task somebody speaks of who answers there.

use crate::conversation::channel_store::ChannelStore;
use orch_core::ids::TaskId;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keys: of the tasks of messages, which are forgotten after a while.
pub const MESSAGE: &str = "message/";

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The topic.
    pub topic: Option<i64>,
    /// The message that is answered.
    pub answers: Option<i64>,
}

impl Place {
    /// Into what a method takes.
    pub fn put(&self, takes: &mut Value) {
        if let Some(topic) = self.topic {
            takes["message_thread_id"] = json!(topic);
        }
        if let Some(answers) = self.answers {
            // Somebody may have deleted it.
            takes["reply_parameters"] = json!({"message_id": answers, "allow_sending_without_reply": true});
        }
    }
}

/// The threads of one chat. What cannot be read or written is as if it were not there: then something is said beside its
/// thread, and nothing is lost.
#[derive(Clone)]
pub struct Threads {
    chat: i64,
    store: ChannelStore,
    is_forum: Arc<AtomicBool>,
}

impl Threads {
    /// Of a chat.
    pub fn new(chat: i64, store: ChannelStore) -> Self {
        Self { chat, store, is_forum: Arc::default() }
    }

    /// The chat has topics, or has not.
    pub fn set_forum(&self, is_forum: bool) {
        self.is_forum.store(is_forum, Ordering::Relaxed);
    }

    /// Whether the chat has topics.
    pub fn is_forum(&self) -> bool {
        self.is_forum.load(Ordering::Relaxed)
    }

    fn key(&self, task: TaskId) -> String {
        let kind = if self.is_forum() { "topic-of" } else { "thread-of" };
        format!("{kind}/{}/{task}", self.chat)
    }

    async fn read(&self, key: &str) -> Option<i64> {
        self.store.kept(key).await.ok().flatten()?.parse().ok()
    }

    async fn write(&self, key: &str, value: Option<String>) {
        if let Err(error) = self.store.keep(key, value).await {
            tracing::warn!(%error, key, "a thread cannot be kept");
        }
    }

    /// The place of a task; the empty one where there is none yet.
    pub async fn place(&self, task: TaskId) -> Place {
        let known = self.read(&self.key(task)).await;
        if self.is_forum() { Place { topic: known, answers: None } } else { Place { topic: None, answers: known } }
    }

    /// A topic was made for a task.
    pub async fn made(&self, task: TaskId, topic: Option<i64>) -> Place {
        if let Some(topic) = topic {
            self.write(&self.key(task), Some(topic.to_string())).await;
            self.write(&format!("topic/{}/{topic}", self.chat), Some(task.to_string())).await;
        }
        Place { topic, answers: None }
    }

    /// The topic of a task is no more.
    pub async fn forget(&self, task: Option<TaskId>) {
        if let Some(task) = task {
            self.write(&self.key(task), None).await;
        }
    }

    /// A message speaks of a task. The first one is what those after it answer.
    pub async fn said(&self, task: TaskId, message: i64) {
        self.write(&format!("{MESSAGE}{}/{message}", self.chat), Some(task.to_string())).await;
        if !self.is_forum() && self.place(task).await == Place::default() {
            self.write(&self.key(task), Some(message.to_string())).await;
        }
    }

    /// The task that somebody speaks of who answers this message, or writes in this topic.
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
        threads.said(TaskId(7), 100).await;
        threads.said(TaskId(7), 101).await;
        assert_eq!(threads.place(TaskId(7)).await, Place { topic: None, answers: Some(100) });
        assert_eq!(threads.task_of(Some(101), None).await, Some(TaskId(7)));
        assert_eq!(threads.task_of(Some(999), Some(3)).await, None);
        threads.set_forum(true);
        assert_eq!(threads.made(TaskId(7), Some(3)).await, Place { topic: Some(3), answers: None });
        assert_eq!(threads.task_of(Some(999), Some(3)).await, Some(TaskId(7)));
        threads.forget(Some(TaskId(7))).await;
        assert_eq!(threads.place(TaskId(7)).await, Place::default());
        let other = Threads::new(-6, threads.store.clone());
        assert_eq!(other.task_of(Some(100), None).await, None, "numbers of messages are a chat's own");
    }
}
