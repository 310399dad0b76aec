//! The journal: tasks, runs, events, projects in SQLite. One writer thread; a batch is one transaction, whole or not
//! at all, and is on disk before the caller goes on. Knows no rules.

mod compaction;
mod glance;
mod key_value;
mod opening;
mod recurring;
mod rows;
mod samples;
mod settled;
mod spend;
#[cfg(test)]
mod tests;
mod workers;
mod write;
mod writer;

pub use compaction::{Compacted, Compaction};
pub use glance::{Glance, glance};
pub use opening::{Care, SCHEMA, copy_to, last_task_id, reserve, whole};
pub(super) use rows::{ENTRY, PROJECT, entry_of_row, project_of_row};
pub use settled::{Mark, SettledRow};

use super::migrations::{MigrationError, check};
use super::records::{Stored, from_json};
use super::tasks_file::Agreed;
use super::{batches, breakers, jobs, messages, recorded, sums, switches};
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::{CONFLICTS, Fact};
use orch_core::base::external::{External, ExternalFailure, How};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::recorded::Recorded;
use orch_core::notices::outbox::{KeyValue, OutboxItem};
use orch_core::operations::job::{Firing, JobId, JobRecord};
use orch_core::operations::pause::{Pause, PauseScope};
use orch_core::operations::service::ServiceEntry;
use orch_core::planning::batch::Batch;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::message::Message;
use orch_core::tasks::task::{Run, Task};
use rows::{each_json_row, json_rows, projects};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// How many starts and ends of the daemon are kept in memory.
const LIVES: u32 = 100;

/// Why the journal cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite refused: disk full, damaged file, locked by another program.
    #[error("journal {path}: {source}")]
    Sqlite {
        /// The journal's file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// It could not be brought to the present version.
    #[error("journal {path}: {source}")]
    Migration {
        /// The journal's file.
        path: PathBuf,
        /// The error of the migration.
        source: MigrationError,
    },
    /// A stored row does not read back.
    #[error("journal {path}: a stored {what} does not read back: {source}")]
    Row {
        /// The journal's file.
        path: PathBuf,
        /// What the row holds.
        what: &'static str,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// A value has no stored form. The journal is not at fault, and nothing of the batch was stored.
    #[error("journal {path}: a {what} cannot be stored: {source}")]
    Unstorable {
        /// The journal's file.
        path: PathBuf,
        /// What the value is.
        what: &'static str,
        /// The error of the serializer.
        source: serde_json::Error,
    },
    /// It was examined, and is not what was stored.
    #[error("journal {path}: it is damaged: {}", findings.join("; "))]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// What was found, one line each.
        findings: Vec<String>,
    },
    /// Another engine took over; this one must write nothing any more.
    #[error("journal {path}: another orch has taken over this home")]
    Fenced {
        /// The journal's file.
        path: PathBuf,
    },
    /// The writer is gone.
    #[error("journal {path}: the writer has stopped")]
    Stopped {
        /// The journal's file.
        path: PathBuf,
    },
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the history, counted from 1. Old ones may be gone, the others keep theirs.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// The run that it is about.
    pub run_id: Option<RunId>,
    /// Who caused it.
    pub actor: Actor,
    /// The fact that happened.
    pub fact: Fact,
}

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The directory of its main checkout.
    pub dir: PathBuf,
    /// Its display name.
    pub name: String,
    /// SHA-1-like content id of the `.orch.yml` that the person approved.
    pub approved: Option<String>,
}

/// One change of the stored state.
#[derive(Debug, Clone)]
pub enum Write {
    /// Inserts or replaces a task.
    Task(Arc<Task>),
    /// Inserts or replaces a run.
    Run(Box<Run>),
    /// Appends a line to the history.
    Entry(Entry),
    /// Inserts or replaces a project.
    Project(Project),
    /// Removes the project of this directory.
    Unregister(PathBuf),
    /// Inserts, replaces or removes the cooldown of an agent.
    Cooldown(String, Option<Cooldown>),
    /// Inserts, replaces or removes the breaker of this name.
    Breaker(String, Option<Breaker>),
    /// Inserts or replaces a message.
    Message(Message),
    /// Inserts, replaces or removes the pause of a scope.
    Pause(PauseScope, Option<Pause>),
    /// Appends a start or stop of the daemon.
    Service(ServiceEntry),
    /// Inserts, replaces or removes a job.
    Job(JobId, Option<Arc<JobRecord>>),
    /// Inserts or replaces a firing.
    Firing(Firing),
    /// Inserts or replaces a batch.
    Batch(Arc<Batch>),
    /// Appends spending that a person has recorded.
    Spend(Record),
    /// Appends a sample that a person has recorded.
    Recorded(Box<Recorded>),
    /// Changes the stored values of a channel.
    Kept(Box<KeyValue>),
    /// Inserts, replaces or removes the item of the outbox with this id.
    OutboxItem(u64, Option<Box<OutboxItem>>),
    /// Stores the answer to the request with this key, and removes old answers.
    Answered(String, Box<Answered>),
    /// The content of `tasks.yml` from which nothing is to be learned any more, while there is one.
    Agreed(Option<Agreed>),
    /// What `tasks.yml` lacks while it is not believed; else nothing.
    Missing(Vec<TaskId>),
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
    /// Breakers that have seen failures.
    pub breakers: Vec<Breaker>,
    /// Messages that wait.
    pub messages: Vec<Message>,
    /// The highest number of a message ever given out.
    pub last_message_id: u64,
    /// What is paused.
    pub pauses: Vec<Pause>,
    /// The newest starts and ends of the daemon, oldest first.
    pub service: Vec<ServiceEntry>,
    /// What is known of each job.
    pub jobs: Vec<JobRecord>,
    /// Firings whose commands are under way.
    pub firings: Vec<Firing>,
    /// Batches that are open.
    pub batches: Vec<Batch>,
    /// The highest number of a batch ever given out.
    pub last_batch: u64,
    /// The highest number of a sample of a person's ever given out.
    pub last_recorded: u64,
    /// The content of `tasks.yml` from which nothing is to be learned.
    pub agreed: Option<Agreed>,
    /// Tasks that `tasks.yml` lacked when it was not believed last.
    pub missing: Vec<TaskId>,
    /// The last place in the history.
    pub last_seq: u64,
    /// The highest task id ever given out.
    pub last_task_id: u64,
    /// It is too large to be examined before anybody is served: that is still to be done, by [`whole`].
    pub unexamined: bool,
}

impl External for JournalError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::Sqlite { source, .. } if sums::is_circumstance(source) => {
                Some(ExternalFailure::new(How::Resources, self))
            }
            Self::Sqlite { .. }
            | Self::Migration { .. }
            | Self::Row { .. }
            | Self::Unstorable { .. }
            | Self::Damaged { .. }
            | Self::Fenced { .. }
            | Self::Stopped { .. } => None,
        }
    }
}

impl JournalError {
    /// A newer orch wrote it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Migration { source: MigrationError::Newer { .. }, .. })
    }

    /// The file is no journal any more: trying again does not help.
    pub fn is_damage(&self) -> bool {
        match self {
            // While it is written, a refusal may be the fault of what is written; opening it shows more.
            Self::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            // A table that a step is to make is there already, or one that it needs is not.
            Self::Migration { source: MigrationError::Sqlite(source), .. } => !sums::is_circumstance(source),
            Self::Row { .. } | Self::Damaged { .. } => true,
            Self::Migration { source: MigrationError::Newer { .. }, .. }
            | Self::Unstorable { .. }
            | Self::Fenced { .. }
            | Self::Stopped { .. } => false,
        }
    }
}

/// The journal of one home. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    path: Arc<PathBuf>,
    jobs: mpsc::Sender<writer::Job>,
    reader: Arc<Mutex<Connection>>,
    is_whole: Arc<AtomicBool>,
}

impl Journal {
    /// Whether this orch could open the journal, so that it is known before anybody makes room for it. Blocking.
    pub fn check(path: &Path) -> Result<(), JournalError> {
        let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
        if !path.exists() {
            return Ok(());
        }
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
        let known = check(&connection).map(drop);
        known.map_err(|source| JournalError::Migration { path: path.to_owned(), source })
    }

    /// Writes a batch as one transaction; returns when it is on disk.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        let stopped = || JournalError::Stopped { path: self.path.to_path_buf() };
        let (done, answer) = oneshot::channel();
        self.jobs.send(writer::Job::Write { writes, done }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Lets go of what is old, a little at a time, and of room that is not used. Blocking: not for the engine's thread.
    ///
    /// # Errors
    /// The file cannot be written; nothing is lost by that.
    pub fn compact(&self, wish: Compaction) -> Result<Compacted, JournalError> {
        let mut all = Compacted::default();
        loop {
            let stopped = || JournalError::Stopped { path: self.path.to_path_buf() };
            let (done, answer) = oneshot::channel();
            self.jobs.blocking_send(writer::Job::Compact { wish, done }).map_err(|_| stopped())?;
            let Compacted { entries, bytes, is_done } = answer.blocking_recv().map_err(|_| stopped())??;
            all = Compacted { entries: all.entries + entries, bytes: all.bytes + bytes, is_done };
            if is_done {
                return Ok(all);
            }
        }
    }

    /// What is to be called when [`whole`] has found nothing in a journal that was [unexamined](Loaded::unexamined).
    /// Before that, it is not left as one that need not be examined.
    pub fn trust(&self) -> impl FnOnce() + Send + use<> {
        let is_whole = Arc::clone(&self.is_whole);
        move || is_whole.store(true, Ordering::Relaxed)
    }

    /// Puts everything into the file itself and writes down how it was left. Nothing can be stored afterwards.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        // A writer that is gone has left already, in its own way.
        if self.jobs.send(writer::Job::Leave { done }).await.is_ok() {
            left.await.ok();
        }
    }

    /// Lets go of the files and leaves them as they are: they are damaged. Nothing can be stored afterwards, and no task
    /// writes to them any more when this returns.
    pub async fn abandon(&self) {
        let (done, left) = oneshot::channel();
        if self.jobs.send(writer::Job::Abandon { done }).await.is_ok() {
            left.await.ok();
        }
    }

    /// Returns all runs of a task, in the order they were started. Blocking.
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
        let sql = &format!(
            "SELECT {ENTRY} FROM events
                   WHERE seq > ?1 AND (?2 IS NULL OR task_id = ?2) ORDER BY seq LIMIT ?3"
        );
        let read = || {
            let mut statement = reader.prepare_cached(sql)?;
            let rows = statement.query_map(params![after, task.map(|t| t.0), limit], entry_of_row)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// The place after which the history is not older than `time`. Blocking.
    pub fn place_at(&self, time: Timestamp) -> Result<u64, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // By the first line that is young enough, not by the last that is too old: a clock that was put back hides nothing.
        let sql = "SELECT coalesce((SELECT min(seq) - 1 FROM events WHERE at >= ?1), (SELECT max(seq) FROM events), 0)";
        let found = reader.query_row(sql, params![time.as_millisecond()], |row| row.get(0));
        found.map_err(|source| self.sqlite(source))
    }

    /// What was found at odds about a task between the file, commands and orch: the newest twenty, oldest first. Blocking.
    pub fn conflicts_of(&self, task: TaskId) -> Result<Vec<Entry>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = &format!(
            "SELECT {ENTRY} FROM events WHERE task_id = ?1
                   AND kind IN ('{}') ORDER BY seq DESC LIMIT 20",
            CONFLICTS.join("', '")
        );
        let read = || {
            let mut statement = reader.prepare_cached(sql)?;
            let rows = statement.query_map(params![task.0], entry_of_row)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let mut found = read().map_err(|source| self.sqlite(source))?;
        found.reverse();
        Ok(found)
    }

    /// All messages to a task, oldest first. Blocking.
    pub fn messages_of(&self, task: TaskId) -> Result<Vec<Message>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        messages::of_task(&reader, task).map_err(|source| self.sqlite(source))
    }

    /// The newest starts and ends of the daemon, oldest first. Blocking.
    pub fn service_history(&self, limit: u32) -> Result<Vec<ServiceEntry>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        switches::service(&reader, limit).map_err(|source| self.sqlite(source))
    }

    fn sqlite(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Sqlite { path: self.path.to_path_buf(), source }
    }

    fn rows<T: Stored>(
        &self,
        what: &'static str,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<T>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        json_rows(&reader, &self.path, what, sql, parameters)
    }
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
        breakers: json_rows(connection, path, "breaker", breakers::ALL, [])?,
        messages: messages::queued(connection).map_err(sqlite)?,
        last_message_id: messages::last_id(connection).map_err(sqlite)?,
        pauses: switches::pauses(connection).map_err(sqlite)?,
        service: switches::service(connection, LIVES).map_err(sqlite)?,
        jobs: json_rows(connection, path, "job", jobs::ALL, [])?,
        firings: json_rows(connection, path, "firing", jobs::OPEN, [])?,
        batches: json_rows(connection, path, "batch", batches::OPEN, [])?,
        projects: projects(connection, "created_at, dir").map_err(sqlite)?,
        last_batch: number(batches::LAST)?.unwrap_or(0),
        last_recorded: number(recorded::LAST)?.unwrap_or(0),
        last_seq: number("SELECT MAX(seq) FROM events")?.unwrap_or(0),
        last_task_id: number("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_task_id'")?.unwrap_or(0),
        ..Loaded::default()
    };
    let agreed = json_rows(connection, path, "content of tasks.yml", "SELECT value FROM meta WHERE key = 'agreed'", []);
    // Whatever it is, without it the file is read.
    loaded.agreed = agreed.ok().and_then(|rows| rows.into_iter().next());
    let missing =
        json_rows(connection, path, "tasks that tasks.yml lacks", "SELECT value FROM meta WHERE key = 'lacking'", []);
    // Without it the file is judged anew.
    loaded.missing = missing.ok().and_then(|rows| rows.into_iter().next()).unwrap_or_default();
    let mut statement = connection.prepare("SELECT agent, data FROM cooldowns").map_err(sqlite)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sqlite)?;
    for row in rows {
        let (agent, data): (String, String) = row.map_err(sqlite)?;
        let cooldown =
            from_json(&data).map_err(|source| JournalError::Row { path: path.to_owned(), what: "cooldown", source })?;
        loaded.cooldowns.insert(agent, cooldown);
    }
    Ok(loaded)
}
