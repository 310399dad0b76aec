//! The journal's table of circuit breakers: its rows, and nothing else. Knows no rules.

use rusqlite::{Connection, params};

/// The step of the migrations that makes the table.
pub(super) const CREATE: &str = "CREATE TABLE breakers (name TEXT PRIMARY KEY, data TEXT NOT NULL);";

/// Every row's data.
pub(super) const ALL: &str = "SELECT data FROM breakers ORDER BY name";

/// Inserts or replaces, or removes where there is no data.
pub(super) fn put(connection: &Connection, name: &str, data: Option<&str>) -> rusqlite::Result<()> {
    let done = match data {
        Some(data) => connection
            .prepare_cached("INSERT OR REPLACE INTO breakers (name, data, sum) VALUES (?1, ?2, row_sum(?1, ?2))")?
            .execute(params![name, data]),
        None => connection.prepare_cached("DELETE FROM breakers WHERE name = ?1")?.execute(params![name]),
    };
    done.map(drop)
}
