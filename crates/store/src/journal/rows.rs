//! Reading rows: a line of the history from its columns, and what is stored as JSON.

use super::{Entry, JournalError, Project};
use crate::records::{Stored, from_json};
use jiff::Timestamp;
use orch_core::audit::history::Fact;
use orch_core::base::ids::TaskId;
use rusqlite::Connection;
use rusqlite::types::Type;
use std::path::{Path, PathBuf};

/// The columns of a line of the history.
pub(crate) const ENTRY: &str = "seq, at, task_id, run_id, kind, data, v, actor";

/// A line of the history, from its columns.
pub(crate) fn entry_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    let run: Option<String> = row.get(3)?;
    let data = from_json(row.get_ref(5)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(5, Type::Text, Box::new(error)))?;
    Ok(Entry {
        seq: row.get(0)?,
        at: Timestamp::from_millisecond(row.get(1)?).unwrap_or_default(),
        task_id: row.get::<_, Option<u64>>(2)?.map(TaskId),
        run_id: run.and_then(|text| text.parse().ok()),
        fact: Fact::read(row.get_ref(4)?.as_str()?, row.get(6)?, &data),
        actor: row.get_ref(7)?.as_str().unwrap_or_default().parse().unwrap_or_default(),
    })
}

/// The columns of a project.
pub(crate) const PROJECT: &str = "dir, name, approved";

/// Returns the project of a row with the columns [`PROJECT`].
pub(crate) fn project_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project { dir: PathBuf::from(row.get::<_, String>(0)?), name: row.get(1)?, approved: row.get(2)? })
}

/// Returns the registered projects in the order of these columns.
pub(super) fn projects(connection: &Connection, order: &str) -> rusqlite::Result<Vec<Project>> {
    let mut statement = connection.prepare(&format!("SELECT {PROJECT} FROM projects ORDER BY {order}"))?;
    let rows = statement.query_map([], project_of_row)?;
    rows.collect()
}

pub(super) fn json_rows<T: Stored>(
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

/// Hands each row on as soon as it is read, so that ten thousand are never in memory together.
pub(super) fn each_json_row<T: Stored>(
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
        let value = from_json(text).map_err(|source| JournalError::Row { path: path.to_owned(), what, source })?;
        take(value);
    }
    Ok(())
}
