//! The journal: tasks, runs, events, projects in SQLite. One writer thread; a batch is one transaction, whole or not
//! at all, and is on disk before the caller goes on. Knows no rules.

mod settled;
mod spend;
mod write;

pub use settled::{Mark, SettledRow};

use super::messages;
use super::migrations::{MigrationError, migrate};
use super::tasks_file::Agreed;
use crate::domain::ids::{RunId, TaskId};
use crate::domain::message::Message;
use crate::domain::plan::Cooldown;
use crate::domain::task::{Run, Task};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// How many pages the log ahead of the file may hold (SQLite's own default is four times as many).
const LOG_PAGES: i64 = 250;

/// Why the journal cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite refused: disk full, damaged file, locked by another program.
    #[error("journal {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's word.
        source: rusqlite::Error,
    },
    /// It could not be brought to the present version.
    #[error("journal {path}: {source}")]
    Migration {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MigrationError,
    },
    /// A stored row does not read back.
    #[error("journal {path}: a stored {what} does not read back: {source}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Which table.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Another engine took over; this one must write nothing any more.
    #[error("journal {path}: another orch has taken over this home")]
    Fenced {
        /// The file.
        path: PathBuf,
    },
    /// The writer is gone.
    #[error("journal {path}: the writer has stopped")]
    Stopped {
        /// The file.
        path: PathBuf,
    },
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the history, counted from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Of which task.
    pub task_id: Option<TaskId>,
    /// Of which run.
    pub run_id: Option<RunId>,
    /// What kind: a stable word.
    pub kind: String,
    /// For a person.
    pub text: String,
}

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its main checkout.
    pub dir: PathBuf,
    /// How it is called.
    pub name: String,
    /// SHA-1-like content id of the `.orch.yml` that the person approved.
    pub approved: Option<String>,
}

/// One change of the stored state.
#[derive(Debug, Clone)]
pub enum Write {
    /// Insert or replace.
    Task(Arc<Task>),
    /// Insert or replace.
    Run(Box<Run>),
    /// Append.
    Entry(Entry),
    /// Insert or replace.
    Project(Project),
    /// Insert, replace or remove.
    Cooldown(String, Option<Cooldown>),
    /// Insert or replace.
    Message(Message),
    /// The content of `tasks.yml` from which nothing is to be learned any more, while there is one.
    Agreed(Option<Agreed>),
}

/// Everything that is loaded at the start.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All tasks but settled ones; of these only such as have a run that has not ended.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// Runs that have not ended.
    pub live_runs: Vec<Run>,
    /// Registered repositories, in the order of registration.
    pub projects: Vec<Project>,
    /// Agents to leave alone.
    pub cooldowns: BTreeMap<String, Cooldown>,
    /// Messages that wait.
    pub messages: Vec<Message>,
    /// The highest number of a message ever given out.
    pub last_message_id: u64,
    /// The content of `tasks.yml` from which nothing is to be learned.
    pub agreed: Option<Agreed>,
    /// The last place in the history.
    pub last_seq: u64,
    /// The highest task id ever given out.
    pub last_task_id: u64,
}

impl JournalError {
    /// The file is no journal any more: trying again does not help.
    pub fn is_damage(&self) -> bool {
        let source = match self {
            Self::Sqlite { source, .. } => source,
            Self::Migration { source: MigrationError::Sqlite(source), .. } => source,
            Self::Row { .. } => return true,
            Self::Migration { source: MigrationError::Newer { .. }, .. }
            | Self::Fenced { .. }
            | Self::Stopped { .. } => {
                return false;
            }
        };
        let code = source.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

struct Job {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), JournalError>>,
}

/// The journal of one home. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    path: Arc<PathBuf>,
    jobs: mpsc::Sender<Job>,
    reader: Arc<Mutex<Connection>>,
}

impl Journal {
    /// Opens (or makes) the journal, takes it over from any earlier engine, and loads its state.
    pub fn open(path: &Path) -> Result<(Self, Loaded), JournalError> {
        let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
        make_private(path).map_err(|source| sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(source))))?;
        let mut connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(sqlite)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
        // Whoever opens the journal next reads the log's pages first: every command, where no daemon runs.
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).map_err(sqlite)?;
        connection.pragma_update(None, "cache_size", -1024).map_err(sqlite)?;
        migrate(&mut connection).map_err(|source| JournalError::Migration { path: path.to_owned(), source })?;
        let epoch = take_over(&mut connection).map_err(sqlite)?;
        let loaded = load(&connection, path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        reader.pragma_update(None, "cache_size", -512).map_err(sqlite)?;
        let (jobs, queue) = mpsc::channel(64);
        let writer = Writer { connection, epoch, path: path.to_owned() };
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.serve(queue))
            .map_err(|e| sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(e))))?;
        Ok((Self { path: Arc::new(path.to_owned()), jobs, reader: Arc::new(Mutex::new(reader)) }, loaded))
    }

    /// Writes a batch as one transaction; returns when it is on disk.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        let stopped = || JournalError::Stopped { path: self.path.to_path_buf() };
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job { writes, done }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// All runs of a task, in the order they were begun. Blocking.
    pub fn runs_of(&self, task: TaskId) -> Result<Vec<Run>, JournalError> {
        self.rows("run", "SELECT data FROM runs WHERE task_id = ?1 ORDER BY ordinal", params![task.0])
    }

    /// One run. Blocking.
    pub fn run(&self, id: &RunId) -> Result<Option<Run>, JournalError> {
        let rows = self.rows("run", "SELECT data FROM runs WHERE id = ?1", params![id.as_str()])?;
        Ok(rows.into_iter().next())
    }

    /// The history after `seq`, of one task or of all, at most `limit` entries. Blocking.
    pub fn entries(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Entry>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT seq, at, task_id, run_id, kind, text FROM events
                   WHERE seq > ?1 AND (?2 IS NULL OR task_id = ?2) ORDER BY seq LIMIT ?3";
        let read = || {
            let mut statement = reader.prepare_cached(sql)?;
            let rows = statement.query_map(params![after, task.map(|t| t.0), limit], entry_of_row)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// All messages to a task, oldest first. Blocking.
    pub fn messages_of(&self, task: TaskId) -> Result<Vec<Message>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        messages::of_task(&reader, task).map_err(|source| self.sqlite(source))
    }

    fn sqlite(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Sqlite { path: self.path.to_path_buf(), source }
    }

    fn rows<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<T>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        json_rows(&reader, &self.path, what, sql, parameters)
    }
}

/// Makes an empty file that only its owner reads; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

fn entry_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    let run: Option<String> = row.get(3)?;
    Ok(Entry {
        seq: row.get(0)?,
        at: Timestamp::from_millisecond(row.get(1)?).unwrap_or_default(),
        task_id: row.get::<_, Option<u64>>(2)?.map(TaskId),
        run_id: run.and_then(|text| text.parse().ok()),
        kind: row.get(4)?,
        text: row.get(5)?,
    })
}

fn json_rows<T: for<'de> Deserialize<'de>>(
    connection: &Connection,
    path: &Path,
    what: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<T>, JournalError> {
    let mut read = Vec::new();
    each_json_row(connection, path, what, sql, parameters, |value| read.push(value))?;
    Ok(read)
}

/// Hands each row on as soon as it is read: ten thousand need not stand beside each other first.
fn each_json_row<T: for<'de> Deserialize<'de>>(
    connection: &Connection,
    path: &Path,
    what: &'static str,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut take: impl FnMut(T),
) -> Result<(), JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let mut rows = statement.query(parameters).map_err(sqlite)?;
    while let Some(row) = rows.next().map_err(sqlite)? {
        let text = row.get_ref(0).and_then(|v| v.as_str().map_err(rusqlite::Error::from)).map_err(sqlite)?;
        let value =
            serde_json::from_str(text).map_err(|source| JournalError::Row { path: path.to_owned(), what, source })?;
        take(value);
    }
    Ok(())
}

/// Raises the epoch: whoever wrote under an older one is fenced off from now on.
fn take_over(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'epoch'", [])?;
    let epoch = current_epoch(&transaction)?;
    transaction.commit()?;
    Ok(epoch)
}

fn current_epoch(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch'")?
        .query_row([], |row| row.get(0))
}

fn load(connection: &Connection, path: &Path) -> Result<Loaded, JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    let mut tasks = BTreeMap::new();
    let open = "SELECT data FROM tasks WHERE settled = 0 UNION ALL
                SELECT data FROM tasks WHERE settled = 1 AND id IN (SELECT task_id FROM runs WHERE live = 1)";
    each_json_row(connection, path, "task", open, [], |task: Task| {
        tasks.insert(task.id, Arc::new(task));
    })?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<u64>>(0)).map_err(sqlite);
    let mut loaded = Loaded {
        tasks,
        live_runs: json_rows(connection, path, "run", "SELECT data FROM runs WHERE live = 1", [])?,
        messages: messages::queued(connection).map_err(sqlite)?,
        last_message_id: messages::last_id(connection).map_err(sqlite)?,
        last_seq: number("SELECT MAX(seq) FROM events")?.unwrap_or(0),
        last_task_id: number("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_task_id'")?.unwrap_or(0),
        ..Loaded::default()
    };
    let read_projects = || {
        let mut statement = connection.prepare("SELECT dir, name, approved FROM projects ORDER BY created_at, dir")?;
        let rows = statement.query_map([], |row| {
            Ok(Project { dir: PathBuf::from(row.get::<_, String>(0)?), name: row.get(1)?, approved: row.get(2)? })
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    loaded.projects = read_projects().map_err(sqlite)?;
    let agreed = json_rows(connection, path, "content of tasks.yml", "SELECT value FROM meta WHERE key = 'agreed'", []);
    // Whatever it is, without it the file is read.
    loaded.agreed = agreed.ok().and_then(|rows| rows.into_iter().next());
    let mut statement = connection.prepare("SELECT agent, data FROM cooldowns").map_err(sqlite)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sqlite)?;
    for row in rows {
        let (agent, data): (String, String) = row.map_err(sqlite)?;
        let cooldown = serde_json::from_str(&data).map_err(|source| JournalError::Row {
            path: path.to_owned(),
            what: "cooldown",
            source,
        })?;
        loaded.cooldowns.insert(agent, cooldown);
    }
    Ok(loaded)
}

/// Owns the writing connection, on a thread of its own.
struct Writer {
    connection: Connection,
    epoch: i64,
    path: PathBuf,
}

impl Writer {
    fn serve(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let answer = self.transact(&first.writes);
            // A caller that went away does not need the answer.
            first.done.send(answer).ok();
        }
    }

    fn transact(&mut self, writes: &[Write]) -> Result<(), JournalError> {
        let path = self.path.clone();
        let sqlite = |source| JournalError::Sqlite { path: path.clone(), source };
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(sqlite)?;
        if current_epoch(&transaction).map_err(sqlite)? != self.epoch {
            return Err(JournalError::Fenced { path: path.clone() });
        }
        for write in writes {
            write::put(&transaction, write).map_err(|error| match error {
                write::PutError::Sqlite(source) => JournalError::Sqlite { path: path.clone(), source },
                write::PutError::Json(what, source) => JournalError::Row { path: path.clone(), what, source },
            })?;
        }
        transaction.commit().map_err(sqlite)
    }
}
