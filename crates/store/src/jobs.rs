//! The journal's tables of jobs and of their firings: their rows, and nothing else. Knows no rules.

use super::records::from_json;
use orch_core::operations::job::{Firing, FiringKey, JobId};
use rusqlite::{Connection, params};

/// The step of the migrations that makes the tables.
pub(super) const CREATE: &str = "
    CREATE TABLE jobs (id TEXT PRIMARY KEY, data TEXT NOT NULL, sum INTEGER);
    CREATE TABLE firings (
        job TEXT NOT NULL, due INTEGER NOT NULL, at INTEGER NOT NULL, open INTEGER NOT NULL, data TEXT NOT NULL,
        sum INTEGER, PRIMARY KEY (job, due)
    );
    CREATE INDEX firings_open ON firings (job) WHERE open = 1;
";

/// Selects the data of every job.
pub(super) const ALL: &str = "SELECT data FROM jobs ORDER BY id";
/// The data of firings whose commands are under way.
pub(super) const OPEN: &str = "SELECT data FROM firings WHERE open = 1 ORDER BY job, due";

/// The data of the last firing of each job.
pub(super) const LAST: &str =
    "SELECT data FROM (SELECT data, ROW_NUMBER() OVER (PARTITION BY job ORDER BY at DESC, due DESC)
                               AS place FROM firings) WHERE place = 1";

/// How many firings of a job are remembered.
const REMEMBERED: u32 = 200;

/// Inserts or replaces, or removes where there is no data; then its firings go too, but for those under way.
pub(super) fn put(connection: &Connection, id: &JobId, data: Option<&str>) -> rusqlite::Result<()> {
    let id = id.as_str();
    let Some(data) = data else {
        connection.prepare_cached("DELETE FROM jobs WHERE id = ?1")?.execute(params![id])?;
        let sql = "DELETE FROM firings WHERE job = ?1 AND open = 0";
        return connection.prepare_cached(sql)?.execute(params![id]).map(drop);
    };
    let sql = "INSERT OR REPLACE INTO jobs (id, data, sum) VALUES (?1, ?2, row_sum(?1, ?2))";
    connection.prepare_cached(sql)?.execute(params![id, data]).map(drop)
}

/// Inserts or replaces; the oldest go.
pub(super) fn put_firing(connection: &Connection, firing: &Firing, data: &str) -> rusqlite::Result<()> {
    let FiringKey { job, due } = firing.key();
    let (job, due) = (job.as_str(), due.as_millisecond());
    let sql = "INSERT OR REPLACE INTO firings (job, due, at, open, data, sum)
               VALUES (?1, ?2, ?3, ?4, ?5, row_sum(?1, ?2, ?5))";
    connection.prepare_cached(sql)?.execute(params![job, due, firing.at.as_millisecond(), firing.is_open(), data])?;
    let sql = "DELETE FROM firings WHERE job = ?1 AND open = 0 AND due NOT IN
               (SELECT due FROM firings WHERE job = ?1 ORDER BY at DESC, due DESC LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![job, REMEMBERED]).map(drop)
}

/// The newest firings of a job, or of all, newest first.
pub(super) fn newest(connection: &Connection, job: Option<&JobId>, limit: u32) -> rusqlite::Result<Vec<Firing>> {
    let sql = "SELECT data FROM firings WHERE ?1 IS NULL OR job = ?1 ORDER BY at DESC, due DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![job.map(JobId::as_str), limit])?;
    let mut firings = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        firings.extend(from_json::<Firing>(&text).ok());
    }
    Ok(firings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::to_json;
    use jiff::Timestamp;
    use orch_core::operations::job::{Cause, Made};

    fn firing(job: &str, second: i64, made: Made) -> Firing {
        let due = Timestamp::from_second(second).expect("a time");
        Firing { job: JobId::of_title(job), due, at: due, cause: Cause::Schedule, made }
    }

    fn store(connection: &Connection, firing: &Firing) {
        put_firing(connection, firing, &to_json(firing).expect("plain data")).expect("a row");
    }

    #[test]
    fn the_newest_firings_of_a_job_read_back_and_old_ones_go_but_never_one_that_is_under_way() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(CREATE).expect("tables");
        crate::sums::register(&connection).expect("sums");
        let open = firing("a", 1, Made::Command { run: "true".to_owned(), dir: None, timeout_seconds: 5, end: None });
        store(&connection, &open);
        let other = firing("b", 1, Made::Nothing { why: "so".to_owned() });
        store(&connection, &other);
        for second in 2..i64::from(REMEMBERED) + 10 {
            store(&connection, &firing("a", second, Made::Nothing { why: "so".to_owned() }));
        }
        let all = newest(&connection, Some(&open.job), 1000).expect("rows");
        assert_eq!(all.len(), REMEMBERED as usize + 1);
        assert_eq!(all.last(), Some(&open));
        assert_eq!(newest(&connection, Some(&other.job), 5).expect("rows"), std::slice::from_ref(&other));
        put(&connection, &open.job, None).expect("removed");
        assert_eq!(newest(&connection, None, 1000).expect("rows"), [open, other]);
    }
}
