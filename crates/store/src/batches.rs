//! The journal's table of batches: its rows, and nothing else. Knows no rules.

use orch_core::planning::batch::Batch;
use rusqlite::{Connection, params};

/// The step of the migrations that makes the table.
pub(super) const CREATE: &str = "
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, open INTEGER NOT NULL, data TEXT NOT NULL, sum INTEGER
    );
    CREATE INDEX batches_by_name ON batches (name, number);
    CREATE INDEX batches_open ON batches (number) WHERE open = 1;
";

/// The data of those that are open.
pub(super) const OPEN: &str = "SELECT data FROM batches WHERE open = 1 ORDER BY number";
/// The data of the newest that have ended, newest first.
pub(super) const ENDED: &str = "SELECT data FROM batches WHERE open = 0 ORDER BY number DESC LIMIT ?1";
/// The data of the newest of a name.
pub(super) const NAMED: &str = "SELECT data FROM batches WHERE name = ?1 ORDER BY number DESC LIMIT 1";
/// The highest number ever given out.
pub(super) const LAST: &str = "SELECT MAX(number) FROM batches";

/// How many batches that have ended are remembered.
const REMEMBERED: u32 = 500;

/// Inserts or replaces; the oldest of those that have ended go.
pub(super) fn put(connection: &Connection, batch: &Batch, data: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO batches (number, name, open, data, sum)
               VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?4))";
    let (name, is_open) = (batch.name.as_str(), batch.end.is_none());
    connection.prepare_cached(sql)?.execute(params![batch.number, name, is_open, data])?;
    let sql = "DELETE FROM batches WHERE open = 0 AND number <=
               (SELECT number FROM batches WHERE open = 0 ORDER BY number DESC LIMIT 1 OFFSET ?1)";
    connection.prepare_cached(sql)?.execute(params![REMEMBERED]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{from_json, to_json};
    use jiff::Timestamp;
    use orch_core::planning::batch::End;

    fn batch(number: u64, name: &str, is_over: bool) -> Batch {
        let at = Timestamp::UNIX_EPOCH;
        Batch {
            number,
            name: name.parse().expect("a name"),
            members: Vec::new(),
            concurrency: 1,
            budget: None,
            created_at: at,
            cancelled_at: None,
            end: is_over.then(|| End { at, rows: Vec::new() }),
        }
    }

    #[test]
    fn the_newest_of_a_name_counts_and_old_ones_go_but_never_one_that_is_open() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(CREATE).expect("a table");
        crate::sums::register(&connection).expect("sums");
        let store = |batch: &Batch| {
            put(&connection, batch, &to_json(batch).expect("plain data")).expect("a row");
        };
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0)).expect("a number");
        store(&batch(1, "night", false));
        for number in 2..600 {
            store(&batch(number, "night", true));
        }
        assert_eq!(count("SELECT COUNT(*) FROM batches WHERE open = 0"), REMEMBERED);
        assert_eq!(count("SELECT COUNT(*) FROM batches WHERE open = 1"), 1);
        assert_eq!(count(LAST), 599);
        let newest: String = connection.query_row(NAMED, ["night"], |row| row.get(0)).expect("there is one");
        assert_eq!(from_json::<Batch>(&newest).expect("it reads").number, 599);
    }
}
