//! The one writer of a journal, on a thread of its own. What it answers is on disk.

use super::compaction::{self, Compacted, Compaction};
use super::opening::{keep_log_at_close, save};
use super::{Journal, JournalError, Write, write};
use crate::key_value;
use crate::witness::{Testimony, Witness};
use orch_core::operations::channel::ChannelKind;
use orch_sys::crash::point;
use orch_sys::fs::Digest;
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// What it is asked.
pub(super) enum Job {
    /// Stores a batch of writes as one transaction.
    Write { writes: Vec<Write>, done: oneshot::Sender<Result<(), JournalError>> },
    /// Hands over what a channel keeps, and keeps it no more.
    Take { channel: ChannelKind, key: String, done: oneshot::Sender<Result<Option<String>, JournalError>> },
    /// Lets go of what is old and of space that is not used.
    Compact { wish: Compaction, done: oneshot::Sender<Result<Compacted, JournalError>> },
    /// Writes all of it to another file.
    Save { target: PathBuf, done: oneshot::Sender<Result<(), JournalError>> },
    /// Ends the writer, and leaves every file as it is.
    Abandon { done: oneshot::Sender<()> },
    /// Ends the writer, with everything in its place.
    Leave { done: oneshot::Sender<()> },
}

/// Owns the writing connection.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) epoch: i64,
    pub(super) path: PathBuf,
    pub(super) witness: Option<Witness>,
    pub(super) known: Testimony,
    /// Up to how many bytes the file is taken a digest of when it is left.
    pub(super) digested: u64,
    /// All of it was examined, or it is as one left it who had examined all of it.
    pub(super) is_whole: Arc<AtomicBool>,
}

impl Journal {
    /// Writes everything that is stored to `target`, where no file is, also when the journal's own files were removed: the
    /// writer still has them open.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub async fn save_to(&self, target: &Path) -> Result<(), JournalError> {
        let (done, saved) = oneshot::channel();
        let stopped = || JournalError::Stopped { path: self.path.to_path_buf() };
        let job = Job::Save { target: target.to_owned(), done };
        self.jobs.send(job).await.map_err(|_| stopped())?;
        saved.await.map_err(|_| stopped())?
    }
}

impl Writer {
    pub(super) fn serve(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            match job {
                Job::Write { writes, done } => {
                    let answer = self.transact(&writes);
                    // A caller that went away does not need the answer.
                    done.send(answer).ok();
                }
                Job::Take { channel, key, done } => {
                    let answer = self.take(channel, &key);
                    done.send(answer).ok();
                }
                Job::Compact { wish, done } => {
                    let answer = self.compact(&wish);
                    done.send(answer).ok();
                }
                Job::Save { target, done } => {
                    let path = self.path.clone();
                    let saved = save(&self.connection, &target).map_err(|source| JournalError::Sqlite { path, source });
                    done.send(saved).ok();
                }
                Job::Abandon { done } => {
                    self.abandon();
                    done.send(()).ok();
                    return;
                }
                Job::Leave { done } => {
                    self.leave();
                    done.send(()).ok();
                    return;
                }
            }
        }
    }

    fn transact(&mut self, writes: &[Write]) -> Result<(), JournalError> {
        let path = self.path.clone();
        let sqlite = |source| JournalError::Sqlite { path: path.clone(), source };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        if current_epoch(&transaction).map_err(sqlite)? != self.epoch {
            return Err(JournalError::Fenced { path: path.clone() });
        }
        let mut known = Testimony { commits: self.known.commits + 1, ..self.known };
        for write in writes {
            write::put(&transaction, write).map_err(|error| match error {
                write::PutError::Sqlite(source) => JournalError::Sqlite { path: path.clone(), source },
                write::PutError::Json(what, source) => JournalError::Unstorable { path: path.clone(), what, source },
            })?;
            match write {
                Write::Task(task) => known.last_task_id = known.last_task_id.max(task.id.0),
                Write::Entry(entry) => known.last_seq = known.last_seq.max(entry.seq),
                Write::Run(_)
                | Write::Project(_)
                | Write::Unregister(_)
                | Write::Cooldown(..)
                | Write::Breaker(..)
                | Write::Pause(..)
                | Write::Service(_)
                | Write::Message(_)
                | Write::Job(..)
                | Write::Firing(_)
                | Write::Batch(_)
                | Write::Spend(_)
                | Write::Recorded(_)
                | Write::Kept(_)
                | Write::Answered(..)
                | Write::OutboxItem(..)
                | Write::Agreed(_)
                | Write::Missing(_) => {}
            }
        }
        count(&transaction, known.commits).map_err(sqlite)?;
        point!("journal.commit.before");
        transaction.commit().map_err(sqlite)?;
        point!("journal.commit.after");
        self.known = known;
        if let Some(witness) = &self.witness {
            witness.note(&known);
        }
        Ok(())
    }

    fn take(&mut self, channel: ChannelKind, key: &str) -> Result<Option<String>, JournalError> {
        let sqlite = |source| JournalError::Sqlite { path: self.path.clone(), source };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        if current_epoch(&transaction).map_err(sqlite)? != self.epoch {
            return Err(JournalError::Fenced { path: self.path.clone() });
        }
        let known = Testimony { commits: self.known.commits + 1, ..self.known };
        let taken = key_value::take(&transaction, channel.as_str(), key).map_err(sqlite)?;
        count(&transaction, known.commits).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.known = known;
        if let Some(witness) = &self.witness {
            witness.note(&known);
        }
        Ok(taken)
    }

    fn compact(&mut self, wish: &Compaction) -> Result<Compacted, JournalError> {
        let sqlite = |source| JournalError::Sqlite { path: self.path.clone(), source };
        if current_epoch(&self.connection).map_err(sqlite)? != self.epoch {
            return Err(JournalError::Fenced { path: self.path.clone() });
        }
        compaction::compact(&self.connection, wish).map_err(sqlite)
    }

    /// SQLite would put the log into the file and remove it, while a backup copies both already.
    fn abandon(self) {
        if let Err(error) = keep_log_at_close(&self.connection, true) {
            tracing::warn!(%error, "the journal's log cannot be kept as it is");
        }
    }

    /// A reader may hold the log; then the next who opens the journal examines it.
    fn leave(self) {
        let Self { connection, path, witness, known, digested, is_whole, .. } = self;
        let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        let is_emptied = emptied.is_ok_and(|busy| busy == 0);
        drop(connection);
        let is_small = path.metadata().is_ok_and(|found| found.len() <= digested);
        // The next reader that finds it as it was left does not check it again.
        let is_whole = is_whole.load(Ordering::Relaxed);
        if let Some(witness) = witness.filter(|_| is_whole && is_emptied && is_small && is_log_empty(&path))
            && let Ok(digest) = Digest::of_file(&path)
        {
            witness.note(&Testimony { left: Some(digest), ..known });
        }
    }
}

/// Nothing waits in the log beside the journal.
pub(super) fn is_log_empty(journal: &Path) -> bool {
    let mut name = journal.as_os_str().to_owned();
    name.push("-wal");
    Path::new(&name).metadata().map_or(true, |found| found.len() == 0)
}

/// Raises the epoch, which fences writers of an older one off.
pub(super) fn take_over(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'epoch'", [])?;
    let version = "INSERT OR REPLACE INTO meta (key, value) VALUES ('orch_version', ?1)";
    transaction.execute(version, [env!("CARGO_PKG_VERSION")])?;
    let epoch = current_epoch(&transaction)?;
    transaction.commit()?;
    Ok(epoch)
}

/// Returns the epoch of the writer that took the journal over last.
pub(super) fn current_epoch(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch'")?
        .query_row([], |row| row.get(0))
}

fn count(connection: &Connection, commits: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ('commits', CAST(?1 AS TEXT))
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute([commits]).map(drop)
}

/// How many transactions the journal holds.
pub(super) fn commits(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'commits'), 0)";
    connection.query_row(sql, [], |row| row.get(0))
}
