//! What the journal knows of tasks that are settled: the few values by which they are listed, counted, compared with
//! `tasks.yml` and waited for stand in a narrow table, so that ten thousand whole tasks need not be read for them.
//! Everything here blocks; for microseconds, where one task is asked for.

use super::{Journal, JournalError, json_rows};
use crate::records::from_json;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::once::Answered;
use orch_core::tasks::task::{FileState, Spec, Status, Task};
use rusqlite::{Connection, Params, Row, params};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

/// A settled task in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledRow {
    /// The task's number.
    pub id: TaskId,
    /// How the task ended.
    pub status: Status,
    /// The agent of its route.
    pub agent: Option<String>,
    /// The model of its route.
    pub model: Option<String>,
    /// The task's title.
    pub title: String,
    /// When the task was created.
    pub created_at: Timestamp,
}

/// The mark by which an entry of `tasks.yml` is recognized as that of a settled task, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The task's number.
    pub id: TaskId,
    /// The status in the file.
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

    /// What the request with this key was answered, if one came before.
    pub fn answered(&self, key: &str) -> Result<Option<Answered>, JournalError> {
        let sql = "SELECT value FROM meta WHERE key = 'request/' || ?1";
        let found = self.select(sql, params![key], |row| row.get::<_, String>(0))?;
        let read = |text: String| {
            let unreadable =
                |source| JournalError::Row { path: self.path.to_path_buf(), what: "answer to a request", source };
            from_json(&text).map_err(unreadable)
        };
        found.into_iter().next().map(read).transpose()
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

    /// The settled parts of all tasks that have some.
    pub fn settled_families(&self) -> Result<BTreeMap<TaskId, Vec<TaskId>>, JournalError> {
        let sql = "SELECT parent, id FROM settled WHERE parent IS NOT NULL ORDER BY id";
        let mut families: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
        for (parent, id) in self.select(sql, [], |row| Ok((TaskId(row.get(0)?), TaskId(row.get(1)?))))? {
            families.entry(parent).or_default().push(id);
        }
        Ok(families)
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
        FileState::Pending | FileState::PutBack | FileState::Removed { .. } => (None, false),
    };
    let (agent, model) = task.route.as_ref().map_or((None, None), |route| (Some(&route.agent), route.model.as_ref()));
    let created_at = i64::try_from(task.created_at.as_nanosecond()).unwrap_or(i64::MAX);
    let (status, parent, title) = (task.status().as_str(), task.spec.parent.map(|id| id.0), &task.spec.title);
    let sql = "INSERT OR REPLACE INTO settled (id, status, results, wish, parent, created_at, agent, model, title)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let row = params![task.id.0, status, results, wish, parent, created_at, agent, model, title];
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Write;
    use orch_core::tasks::task::{Seen, State};
    use std::sync::Arc;

    fn task(id: u64, state: State, status: Status) -> Task {
        let spec = Spec { title: format!("task {id}"), parent: (id == 2).then_some(TaskId(1)), ..Spec::default() };
        let file = FileState::Written { status: Some(status), since: Vec::new(), results: false, seen: Seen::Yes };
        Task { state, ..Task::new(TaskId(id), spec, file, Timestamp::UNIX_EPOCH) }
    }

    fn write(tasks: &[&Task]) -> Vec<Write> {
        tasks.iter().map(|task| Write::Task(Arc::new(Task::clone(task)))).collect()
    }

    #[tokio::test]
    async fn settled_tasks_are_not_loaded_and_still_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        let (journal, _) = Journal::open(&path).expect("opens");
        let (open, done) = (task(1, State::NEW, Status::New), task(2, State::Done, Status::Done));
        let unwritten = task(3, State::Done, Status::InReview);
        journal.commit(write(&[&open, &done, &unwritten])).await.expect("stored");
        drop(journal);

        let (journal, loaded) = Journal::open(&path).expect("opens");
        assert_eq!(loaded.tasks.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(loaded.last_task_id, 3);
        assert_eq!(journal.task(TaskId(2)).expect("reads"), Some(done.clone()));
        assert_eq!(journal.settled_status(TaskId(2)).expect("reads"), Some(Status::Done));
        assert_eq!(journal.settled_status(TaskId(1)).expect("reads"), None);
        assert_eq!(journal.settled_counts().expect("reads"), BTreeMap::from([(Status::Done, 1)]));
        assert_eq!(journal.settled_parts(TaskId(1)).expect("reads"), [TaskId(2)]);
        let [mark] = journal.marks().expect("reads")[..] else { panic!("one mark") };
        assert!(mark.is_of(&done.spec) && !mark.is_of(&open.spec));
        let rows = journal.settled_rows(9).expect("reads");
        assert_eq!((rows.len(), rows[0].title.as_str(), rows[0].created_at), (1, "task 2", Timestamp::UNIX_EPOCH));

        let again = Task { state: State::NEW, ..done };
        journal.commit(write(&[&again])).await.expect("stored");
        assert_eq!(journal.settled_rows(9).expect("reads"), []);
        drop(journal);
        let (_, loaded) = Journal::open(&path).expect("opens");
        assert_eq!(loaded.tasks.len(), 3);
    }

    #[tokio::test]
    async fn what_an_older_orch_stored_is_loaded_until_it_is_stored_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        let (journal, _) = Journal::open(&path).expect("opens");
        let done = task(2, State::Done, Status::Done);
        journal.commit(write(&[&done])).await.expect("stored");
        drop(journal);
        let older = Connection::open(&path).expect("opens");
        older.execute_batch("UPDATE tasks SET settled = 0; DELETE FROM settled;").expect("changed");
        let (journal, loaded) = Journal::open(&path).expect("opens");
        assert_eq!(loaded.tasks.len(), 1);
        journal.commit(write(&[&done])).await.expect("stored");
        assert_eq!(Journal::open(&path).expect("opens").1.tasks.len(), 0);
    }
}
