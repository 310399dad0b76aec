//! The journal's table of what a person says was spent beside orch's runs: its rows, and nothing else. Knows no rules.

use orch_core::economics::budget::Record;
use rusqlite::{Connection, params};

/// The step of the migrations that makes the table.
pub(super) const CREATE: &str = "
    CREATE TABLE spends (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, data TEXT NOT NULL, sum INTEGER);
    CREATE INDEX spends_by_time ON spends (at);
";

/// The data of those of a time (in milliseconds) or later.
pub(super) const SINCE: &str = "SELECT data FROM spends WHERE at >= ?1 ORDER BY at, id";

/// Appends a record of what was spent.
pub(super) fn put(connection: &Connection, record: &Record, data: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO spends (id, at, data, sum)
               SELECT next.id, ?1, ?2, row_sum(next.id, ?1, ?2) FROM (SELECT COALESCE(MAX(id), 0) + 1 AS id FROM spends) AS next";
    connection.prepare_cached(sql)?.execute(params![record.at.as_millisecond(), data]).map(drop)
}
