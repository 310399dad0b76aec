//! What channels keep in the journal.

use super::{Journal, JournalError, writer};
use crate::{key_value, outbox};
use jiff::Timestamp;
use orch_core::notices::outbox::OutboxItem;
use orch_core::operations::channel::ChannelKind;
use rusqlite::params;
use std::sync::PoisonError;
use tokio::sync::oneshot;

impl Journal {
    /// Removes what is kept under this key, and hands it over: of several who ask, one gets it. It is gone on the disk when
    /// this returns.
    pub async fn take_kept(&self, channel: ChannelKind, key: String) -> Result<Option<String>, JournalError> {
        let stopped = || JournalError::Stopped { path: self.path.to_path_buf() };
        let (done, answer) = oneshot::channel();
        self.jobs.send(writer::Job::Take { channel, key, done }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Returns the messages of a channel, sent or to be sent, the oldest first. Blocking.
    pub fn outbox(&self, channel: ChannelKind) -> Result<Vec<OutboxItem>, JournalError> {
        self.rows("notice", outbox::OF_CHANNEL, params![channel.as_str()])
    }

    /// What is kept under this key. Blocking.
    pub fn kept(&self, channel: ChannelKind, key: &str) -> Result<Option<String>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        key_value::one(&reader, channel.as_str(), key).map_err(|source| self.sqlite(source))
    }

    /// All whose keys begin so: key, value, and when it was written. Blocking.
    pub fn kept_below(
        &self,
        channel: ChannelKind,
        prefix: &str,
    ) -> Result<Vec<(String, String, Timestamp)>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        key_value::below(&reader, channel.as_str(), prefix).map_err(|source| self.sqlite(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Write;
    use orch_core::notices::outbox::KeyValue;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn write(channel: ChannelKind, key: &str, value: Option<&str>, second: i64) -> Write {
        let (key, value) = (key.to_owned(), value.map(str::to_owned));
        Write::Kept(Box::new(KeyValue::Value { channel, key, value, at: at(second) }))
    }

    #[tokio::test]
    async fn what_a_channel_keeps_is_its_own_and_is_taken_once() {
        use ChannelKind::{Discord, Telegram};
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        let (journal, _) = Journal::open(&path).expect("a journal");
        let writes = vec![
            write(Telegram, "press:a", Some("1"), 100),
            write(Telegram, "press:b", Some("2"), 200),
            write(Telegram, "offset", Some("7"), 100),
            write(Discord, "press:a", Some("3"), 100),
        ];
        journal.commit(writes).await.expect("written");
        let taken = futures::future::join_all((0..8).map(|_| journal.take_kept(Telegram, "press:a".to_owned()))).await;
        let taken: Vec<String> = taken.into_iter().filter_map(|one| one.expect("an answer")).collect();
        assert_eq!(taken, ["1"], "eight asked, one got it");
        assert_eq!(journal.kept(Discord, "press:a").expect("read").as_deref(), Some("3"));
        journal.leave().await;
        drop(journal);
        let (journal, _) = Journal::open(&path).expect("it opens again");
        let below = journal.kept_below(Telegram, "press:").expect("read");
        assert_eq!(below, [("press:b".to_owned(), "2".to_owned(), at(200))]);
        let (prefix, before) = ("press:".to_owned(), Some(at(200)));
        let forget = |prefix, before| Write::Kept(Box::new(KeyValue::Forget { channel: Telegram, prefix, before }));
        journal.commit(vec![forget(prefix.clone(), before)]).await.expect("written");
        assert_eq!(journal.kept_below(Telegram, "press:").expect("read").len(), 1, "it is not older than that");
        let gone = vec![forget(prefix, Some(at(201))), write(Telegram, "offset", None, 300)];
        journal.commit(gone).await.expect("written");
        assert_eq!(journal.kept_below(Telegram, "").expect("read"), []);
        assert_eq!(journal.kept_below(Discord, "").expect("read").len(), 1);
    }
}
