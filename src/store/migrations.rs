//! The steps from an empty database to the present one. Append only: a released step is never edited.

use super::messages;
use rusqlite::Connection;

/// One step; its position is the version it leads to.
const STEPS: &[&str] = &[BEGINNING, messages::CREATE, SETTLED, RUNS_BY_END];

const BEGINNING: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, data TEXT NOT NULL);
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, task_id INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        live INTEGER NOT NULL, data TEXT NOT NULL
    );
    CREATE INDEX runs_by_task ON runs (task_id, ordinal);
    CREATE INDEX runs_live ON runs (live) WHERE live = 1;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, task_id INTEGER, run_id TEXT,
        kind TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE INDEX events_by_task ON events (task_id, seq);
    CREATE TABLE projects (dir TEXT PRIMARY KEY, name TEXT NOT NULL, approved TEXT, created_at INTEGER NOT NULL);
    CREATE TABLE cooldowns (agent TEXT PRIMARY KEY, data TEXT NOT NULL);
    INSERT INTO meta (key, value) VALUES ('epoch', '0'), ('last_task_id', '0');
";

const SETTLED: &str = "
    ALTER TABLE tasks ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX tasks_open ON tasks (id) WHERE settled = 0;
    CREATE TABLE settled (
        id INTEGER PRIMARY KEY, status TEXT NOT NULL, results INTEGER NOT NULL, wish INTEGER, parent INTEGER,
        created_at INTEGER NOT NULL, agent TEXT, model TEXT, title TEXT NOT NULL
    );
    CREATE INDEX settled_by_status ON settled (status);
    CREATE INDEX settled_by_parent ON settled (parent) WHERE parent IS NOT NULL;
";

/// What was spent since a time is asked often, and the runs of years stand here.
const RUNS_BY_END: &str = "CREATE INDEX runs_by_end ON runs (json_extract(data, '$.ended_at'));";

/// Why a database cannot be brought to the present version.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A newer orch wrote it.
    #[error("the journal has version {found}, this orch knows up to {known}: use the newer orch that wrote it")]
    Newer {
        /// Version of the file.
        found: usize,
        /// The newest version known here.
        known: usize,
    },
}

/// Brings the database to the present version, each step whole or not at all.
pub fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > STEPS.len() {
        return Err(MigrationError::Newer { found, known: STEPS.len() });
    }
    for (index, step) in STEPS.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_journal_gets_what_it_lacks_and_keeps_what_it_has() {
        let mut connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(BEGINNING).expect("the first step");
        connection.execute("INSERT INTO tasks (id, data) VALUES (7, '{}')", []).expect("a row");
        connection.pragma_update(None, "user_version", 1).expect("pragma");
        migrate(&mut connection).expect("the rest");
        assert_eq!(messages::queued(&connection).expect("a table"), []);
        let tasks: u64 = connection.query_row("SELECT COUNT(*) FROM tasks", [], |row| row.get(0)).expect("a count");
        assert_eq!(tasks, 1);
    }

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_journal_is_refused() {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection).expect("first");
        migrate(&mut connection).expect("second");
        connection.pragma_update(None, "user_version", STEPS.len() + 1).expect("pragma");
        assert!(matches!(migrate(&mut connection), Err(MigrationError::Newer { .. })));
    }
}
