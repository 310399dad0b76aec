//! What the journal knows of tasks that are settled: the few values by which they are listed, counted, compared with
//! `tasks.yml` and waited for stand in a narrow table, so that nobody reads ten thousand whole tasks for them.
//! Everything here blocks; for microseconds, where one task is asked for.

use super::{Journal, JournalError, json_rows};
use crate::domain::ids::TaskId;
use crate::domain::task::{FileState, Spec, Status, Task};
use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, params};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

/// A settled task in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledRow {
    /// Its number.
    pub id: TaskId,
    /// How it ended.
    pub status: Status,
    /// Who did it.
    pub agent: Option<String>,
    /// With which model.
    pub model: Option<String>,
    /// Its title.
    pub title: String,
    /// Born.
    pub created_at: Timestamp,
}

/// By what an entry of `tasks.yml` is recognized as that of a settled task, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The task.
    pub id: TaskId,
    /// The status that stands in the file.
    pub status: Status,
    /// orch's results stand there too.
    pub results: bool,
    wish: u64,
}

impl Mark {
    /// Whether this is what the person wanted of the task. An orch that reckons otherwise finds all of them changed,
    /// compares them in full, and stores them anew.
    pub fn is_of(&self, spec: &Spec) -> bool {
        self.wish == wish(spec)
    }
}

fn wish(spec: &Spec) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.hash(&mut hasher);
    hasher.finish()
}

impl Journal {
    /// One task, settled or not.
    pub fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError> {
        let rows = self.rows("task", "SELECT data FROM tasks WHERE id = ?1", params![id.0])?;
        Ok(rows.into_iter().next())
    }

    /// Tasks of every kind after `after`, in the order of their ids, at most `limit`.
    pub fn tasks_after(&self, after: TaskId, limit: u32) -> Result<Vec<Task>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT data FROM tasks WHERE id > ?1 ORDER BY id LIMIT ?2";
        json_rows(&reader, &self.path, "task", sql, params![after.0, limit])
    }

    /// How a task ended; `None` when it is not settled, or does not exist.
    pub fn settled_status(&self, id: TaskId) -> Result<Option<Status>, JournalError> {
        let found = self.select("SELECT status FROM settled WHERE id = ?1", params![id.0], |row| status(row, 0))?;
        Ok(found.into_iter().next())
    }

    /// How many tasks ended how.
    pub fn settled_counts(&self) -> Result<BTreeMap<Status, u64>, JournalError> {
        let sql = "SELECT status, COUNT(*) FROM settled GROUP BY status";
        Ok(self.select(sql, [], |row| Ok((status(row, 0)?, row.get(1)?)))?.into_iter().collect())
    }

    /// The newest settled tasks, at most `limit`, in the order of their ids.
    pub fn settled_rows(&self, limit: u64) -> Result<Vec<SettledRow>, JournalError> {
        let sql = "SELECT id, status, agent, model, title, created_at FROM settled ORDER BY id DESC LIMIT ?1";
        let mut rows = self.select(sql, params![i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok(SettledRow {
                id: TaskId(row.get(0)?),
                status: status(row, 1)?,
                agent: row.get(2)?,
                model: row.get(3)?,
                title: row.get(4)?,
                created_at: Timestamp::from_nanosecond(row.get::<_, i64>(5)?.into()).unwrap_or_default(),
            })
        })?;
        rows.reverse();
        Ok(rows)
    }

    /// Settled tasks as they stand in `tasks.yml`, in the order of their ids.
    pub fn marks(&self) -> Result<Vec<Mark>, JournalError> {
        let sql = "SELECT id, status, results, wish FROM settled WHERE wish IS NOT NULL ORDER BY id";
        self.select(sql, [], |row| {
            let wish = row.get::<_, i64>(3)?.cast_unsigned();
            Ok(Mark { id: TaskId(row.get(0)?), status: status(row, 1)?, results: row.get(2)?, wish })
        })
    }

    /// Settled parts of a task.
    pub fn settled_parts(&self, parent: TaskId) -> Result<Vec<TaskId>, JournalError> {
        let sql = "SELECT id FROM settled WHERE parent = ?1 ORDER BY id";
        self.select(sql, params![parent.0], |row| row.get(0).map(TaskId))
    }

    fn select<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let select = || -> rusqlite::Result<Vec<T>> {
            let mut statement = reader.prepare_cached(sql)?;
            statement.query_map(parameters, read)?.collect()
        };
        select().map_err(|source| self.sqlite(source))
    }
}

fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<Status> {
    let text = row.get_ref(column)?.as_str()?;
    let unknown = || rusqlite::Error::InvalidColumnType(column, text.to_owned(), rusqlite::types::Type::Text);
    Status::parse(text).ok_or_else(unknown)
}

/// Keeps the narrow row of a task that was just stored, or takes it away.
pub(super) fn put(connection: &Connection, task: &Task) -> rusqlite::Result<()> {
    if !task.is_settled() {
        return connection.prepare_cached("DELETE FROM settled WHERE id = ?1")?.execute(params![task.id.0]).map(drop);
    }
    let (wish, results) = match &task.file {
        FileState::Written { results, .. } => (Some(wish(&task.spec).cast_signed()), *results),
        FileState::Pending | FileState::Removed => (None, false),
    };
    let (agent, model) = task.route.as_ref().map_or((None, None), |route| (Some(&route.agent), route.model.as_ref()));
    let created_at = i64::try_from(task.created_at.as_nanosecond()).unwrap_or(i64::MAX);
    let (status, parent, title) = (task.status().as_str(), task.spec.parent.map(|id| id.0), &task.spec.title);
    let sql = "INSERT OR REPLACE INTO settled (id, status, results, wish, parent, created_at, agent, model, title)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let row = params![task.id.0, status, results, wish, parent, created_at, agent, model, title];
    connection.prepare_cached(sql)?.execute(row).map(drop)
}
