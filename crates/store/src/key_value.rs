//! The journal's table of what channels keep for themselves (offsets, tokens of buttons, names of threads): its rows, and
//! nothing else. Knows no rules.

use jiff::Timestamp;
use orch_core::notices::outbox::KeyValue;
use orch_core::operations::channel::ChannelKind;
use rusqlite::{Connection, OptionalExtension, params};

/// The step of the migrations that makes the tables of channels.
pub(super) const CREATE: &str = "
    CREATE TABLE channel_state (
        channel TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, updated_at INTEGER NOT NULL, sum INTEGER,
        PRIMARY KEY (channel, key)
    );
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, channel TEXT NOT NULL, state TEXT NOT NULL, data TEXT NOT NULL, sum INTEGER
    );
    CREATE INDEX outbox_by_channel ON outbox (channel, id);
";

/// Inserts, replaces or removes.
pub(super) fn put(
    connection: &Connection,
    channel: &str,
    key: &str,
    value: Option<&str>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let Some(value) = value else {
        let sql = "DELETE FROM channel_state WHERE channel = ?1 AND key = ?2";
        return connection.prepare_cached(sql)?.execute(params![channel, key]).map(drop);
    };
    let sql = "INSERT OR REPLACE INTO channel_state (channel, key, value, updated_at, sum)
               VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?3))";
    connection.prepare_cached(sql)?.execute(params![channel, key, value, at.as_millisecond()]).map(drop)
}

/// Removes one, and hands it over.
pub(super) fn take(connection: &Connection, channel: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let sql = "DELETE FROM channel_state WHERE channel = ?1 AND key = ?2 RETURNING value";
    connection.prepare_cached(sql)?.query_row(params![channel, key], |row| row.get(0)).optional()
}

/// Removes those under a prefix that were written before a time.
pub(super) fn forget(
    connection: &Connection,
    channel: &str,
    prefix: &str,
    before: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM channel_state
               WHERE channel = ?1 AND substr(key, 1, length(?2)) = ?2 AND (?3 IS NULL OR updated_at < ?3)";
    connection.prepare_cached(sql)?.execute(params![channel, prefix, before.map(Timestamp::as_millisecond)]).map(drop)
}

/// Returns the value of a key.
pub(super) fn one(connection: &Connection, channel: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM channel_state WHERE channel = ?1 AND key = ?2";
    connection.prepare_cached(sql)?.query_row(params![channel, key], |row| row.get(0)).optional()
}

/// Those under a prefix, by their keys.
pub(super) fn below(
    connection: &Connection,
    channel: &str,
    prefix: &str,
) -> rusqlite::Result<Vec<(String, String, Timestamp)>> {
    let sql = "SELECT key, value, updated_at FROM channel_state
               WHERE channel = ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![channel, prefix], |row| {
        Ok((row.get(0)?, row.get(1)?, Timestamp::from_millisecond(row.get(2)?).unwrap_or_default()))
    })?;
    rows.collect()
}

/// A row, from the columns channel, key, value, time.
pub(super) fn of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<KeyValue> {
    let named: String = row.get(0)?;
    let channel = ChannelKind::ALL.into_iter().find(|kind| kind.as_str() == named);
    let channel = channel.ok_or_else(|| rusqlite::Error::InvalidColumnName(named))?;
    let at = Timestamp::from_millisecond(row.get(3)?).unwrap_or_default();
    Ok(KeyValue::Value { channel, key: row.get(1)?, value: Some(row.get(2)?), at })
}
