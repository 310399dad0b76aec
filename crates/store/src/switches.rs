//! The journal's tables of pauses and of the daemon's starts and ends: their rows, and nothing else. Knows no rules.

use super::records::{Stored, from_json};
use orch_core::operations::pause::{Pause, PauseScope};
use orch_core::operations::service::ServiceEntry;
use rusqlite::{Connection, params};

/// The step of the migrations that makes the tables.
pub(super) const CREATE: &str = "
    CREATE TABLE pauses (scope TEXT PRIMARY KEY, data TEXT NOT NULL);
    CREATE TABLE service (id INTEGER PRIMARY KEY, data TEXT NOT NULL);
";

/// How many starts and ends are remembered.
const REMEMBERED: u32 = 1000;

/// Inserts, replaces or removes the pause of a scope.
pub(super) fn put_pause(connection: &Connection, scope: &PauseScope, pause: Option<&str>) -> rusqlite::Result<()> {
    let Some(data) = pause else {
        return connection
            .prepare_cached("DELETE FROM pauses WHERE scope = ?1")?
            .execute(params![scope.key()])
            .map(drop);
    };
    let sql = "INSERT OR REPLACE INTO pauses (scope, data, sum) VALUES (?1, ?2, row_sum(?1, ?2))";
    connection.prepare_cached(sql)?.execute(params![scope.key(), data]).map(drop)
}

/// Appends a start or stop of the daemon, and removes the oldest ones.
pub(super) fn put_service(connection: &Connection, data: &str) -> rusqlite::Result<()> {
    let number: u64 =
        connection.prepare_cached("SELECT COALESCE(MAX(id), 0) + 1 FROM service")?.query_row([], |row| row.get(0))?;
    let sql = "INSERT INTO service (id, data, sum) VALUES (?1, ?2, row_sum(?1, ?2))";
    connection.prepare_cached(sql)?.execute(params![number, data])?;
    let sql = "DELETE FROM service WHERE id <= (SELECT MAX(id) FROM service) - ?1";
    connection.prepare_cached(sql)?.execute(params![REMEMBERED]).map(drop)
}

/// What is paused. What does not read back is a newer orch's, and holds nothing up here.
pub(super) fn pauses(connection: &Connection) -> rusqlite::Result<Vec<Pause>> {
    documents(connection, "SELECT data FROM pauses ORDER BY scope", u32::MAX)
}

/// The newest starts and ends, oldest first.
pub(super) fn service(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<ServiceEntry>> {
    let mut entries = documents(connection, "SELECT data FROM service ORDER BY id DESC LIMIT ?1", limit)?;
    entries.reverse();
    Ok(entries)
}

fn documents<T: Stored>(connection: &Connection, sql: &str, limit: u32) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let limited = statement.parameter_count() > 0;
    let mut rows = if limited { statement.query(params![limit])? } else { statement.query([])? };
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        read.extend(from_json(&text).ok());
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::to_json;
    use jiff::Timestamp;
    use orch_core::operations::service::{Cause, ServiceKind};

    fn start(pid: u32) -> ServiceEntry {
        ServiceEntry {
            at: Timestamp::UNIX_EPOCH,
            kind: ServiceKind::Start,
            cause: Cause::Command,
            version: "1".to_owned(),
            pid,
            why: String::new(),
            lasted_seconds: None,
            memory_bytes: Some(1),
        }
    }

    #[test]
    fn pauses_and_the_newest_starts_read_back_and_old_starts_go() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(CREATE).expect("tables");
        connection.execute_batch("ALTER TABLE pauses ADD sum; ALTER TABLE service ADD sum").expect("later ones");
        crate::sums::register(&connection).expect("sums");
        let pause = Pause { scope: PauseScope::All, since: Timestamp::UNIX_EPOCH, by: "ada".to_owned() };
        let data = to_json(&pause).expect("plain data");
        put_pause(&connection, &pause.scope, Some(&data)).expect("a row");
        assert_eq!(pauses(&connection).expect("rows"), [pause]);
        put_pause(&connection, &PauseScope::All, None).expect("removed");
        assert_eq!(pauses(&connection).expect("rows"), []);
        for pid in 0..REMEMBERED + 5 {
            put_service(&connection, &to_json(&start(pid)).expect("plain data")).expect("a row");
        }
        assert_eq!(service(&connection, 2).expect("rows"), [start(REMEMBERED + 3), start(REMEMBERED + 4)]);
        assert_eq!(service(&connection, u32::MAX).expect("rows").len(), REMEMBERED as usize);
    }
}
