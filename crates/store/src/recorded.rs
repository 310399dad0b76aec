//! The journal's table of samples that a person recorded: its rows, and nothing else. Knows no rules.

use orch_core::economics::recorded::Recorded;
use rusqlite::{Connection, params};

/// The step of the migrations that makes the table.
pub(super) const CREATE: &str = "
    CREATE TABLE recorded (number INTEGER PRIMARY KEY, data TEXT NOT NULL, sum INTEGER);
";

/// The data of all, in the order of their numbers.
pub(super) const ALL: &str = "SELECT data FROM recorded ORDER BY number";
/// The highest number ever given out.
pub(super) const LAST: &str = "SELECT MAX(number) FROM recorded";

/// Inserts or replaces.
pub(super) fn put(connection: &Connection, recorded: &Recorded, data: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO recorded (number, data, sum) VALUES (?1, ?2, row_sum(?1, ?2))";
    connection.prepare_cached(sql)?.execute(params![recorded.number, data]).map(drop)
}
