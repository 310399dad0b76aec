//! The journal's table of messages to be sent to channels: its rows, and nothing else. Knows no rules.

use rusqlite::{Connection, params};

/// The data of one channel's, in the order of their numbers.
pub(super) const OF_CHANNEL: &str = "SELECT data FROM outbox WHERE channel = ?1 ORDER BY id";
/// Inserts, replaces or removes: channel, state, data.
pub(super) fn put(connection: &Connection, id: u64, row: Option<(&str, &str, &str)>) -> rusqlite::Result<()> {
    let Some((channel, state, data)) = row else {
        return connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute(params![id]).map(drop);
    };
    let sql = "INSERT OR REPLACE INTO outbox (id, channel, state, data, sum)
               VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?4))";
    connection.prepare_cached(sql)?.execute(params![id, channel, state, data]).map(drop)
}
