//! The steps from an empty database to the present one. Append only: a released step is never edited.

use super::{actors, batches, breakers, jobs, key_value, messages, recorded, spends, sums, switches, typed_history};
use rusqlite::Connection;

/// One step; its position is the version it leads to.
const STEPS: &[&str] = &[
    BEGINNING,
    messages::CREATE,
    SETTLED,
    RUNS_BY_END,
    sums::CREATE,
    breakers::CREATE,
    switches::CREATE,
    messages::AUTHORS,
    sums::CREATE_LATER,
    jobs::CREATE,
    batches::CREATE,
    spends::CREATE,
    recorded::CREATE,
    key_value::CREATE,
    actors::CREATE,
    typed_history::CREATE,
];

/// The version of the journals that this orch writes.
pub const VERSION: usize = STEPS.len();

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
    /// SQLite returned an error.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A newer orch wrote it.
    #[error(
        "{} wrote it in form {found}, and this orch {} knows forms up to {known} only",
        writer.as_deref().map_or_else(|| "a newer orch".to_owned(), |version| format!("orch {version}")),
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The version of the orch that wrote it, where it says so.
        writer: Option<String>,
        /// Version of the file.
        found: usize,
        /// The newest version known here.
        known: usize,
    },
}

/// Tells whether this orch knows the form of the database.
pub fn check(connection: &Connection) -> Result<usize, MigrationError> {
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > STEPS.len() {
        let sql = "SELECT value FROM meta WHERE key = 'orch_version'";
        let writer = connection.query_row(sql, [], |row| row.get(0)).ok();
        return Err(MigrationError::Newer { writer, found, known: STEPS.len() });
    }
    Ok(found)
}

/// Brings the database to the present version, each step whole or not at all.
pub fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    check(connection)?;
    Ok(steps(connection, STEPS)?)
}

/// Makes known what steps call: they sum rows anew, and make facts of sentences.
fn register(connection: &Connection) -> rusqlite::Result<()> {
    sums::register(connection)?;
    typed_history::register(connection)
}

/// Makes those of these steps that are still to be made.
fn steps(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let version = |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let found: usize = version(connection)?;
    register(connection)?;
    for (index, step) in steps.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Another process may have made it while this one waited.
        let found: usize = version(&transaction)?;
        if found > index {
            continue;
        }
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

    /// Returns everything that distinguishes one database from another.
    fn lines_of(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT COALESCE(sql, name) FROM sqlite_schema ORDER BY type, name").expect("a schema");
        let mut lines: Vec<String> =
            statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("text");
        let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        lines.push(version.to_string());
        lines
    }

    /// Opens what is on the disk at this moment as the next process would: the files are copied while they are open.
    fn after_a_crash(path: &std::path::Path, dir: &std::path::Path) -> Connection {
        let copy = dir.join("crashed.db");
        for end in ["", "-wal"] {
            let (from, to) = (format!("{}{end}", path.display()), format!("{}{end}", copy.display()));
            std::fs::remove_file(&to).ok();
            std::fs::copy(from, to).ok();
        }
        Connection::open(copy).expect("it opens")
    }

    #[test]
    fn a_crash_at_any_statement_of_any_step_leaves_the_version_before_it() {
        for cut in 0..STEPS.len() {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("orch.db");
            let mut connection = Connection::open(&path).expect("a file");
            register(&connection).expect("functions");
            connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
            // So that what is not committed is on the disk as well.
            connection.pragma_update(None, "cache_spill", 1).expect("pragma");
            connection.pragma_update(None, "cache_size", 1).expect("pragma");
            steps(&mut connection, &STEPS[..cut]).expect("so far");
            let before = lines_of(&connection);
            let statements: Vec<&str> = STEPS[cut].split(';').filter(|part| !part.trim().is_empty()).collect();
            for done in 0..=statements.len() {
                let half = connection.transaction().expect("a transaction");
                half.execute_batch(&statements[..done].join(";")).expect("half a step");
                if done == statements.len() {
                    half.pragma_update(None, "user_version", cut + 1).expect("pragma");
                }
                let mut crashed = after_a_crash(&path, dir.path());
                assert_eq!(lines_of(&crashed), before, "step {}, {done} statements", cut + 1);
                migrate(&mut crashed).expect("it is done again");
                drop((crashed, half));
            }
            steps(&mut connection, &STEPS[..=cut]).expect("the step");
            assert_ne!(lines_of(&after_a_crash(&path, dir.path())), before, "what is committed is there");
        }
    }

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_journal_is_refused() {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection).expect("first");
        migrate(&mut connection).expect("second");
        connection.pragma_update(None, "user_version", STEPS.len() + 1).expect("pragma");
        assert!(matches!(migrate(&mut connection), Err(MigrationError::Newer { .. })));
    }

    #[test]
    fn two_that_bring_a_journal_up_at_the_same_time_do_it_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        Connection::open(&path).expect("a file").pragma_update(None, "journal_mode", "WAL").expect("a log");
        std::thread::scope(|scope| {
            let one = || {
                let mut connection = Connection::open(&path).expect("a file");
                connection.busy_timeout(std::time::Duration::from_secs(30)).expect("patience");
                migrate(&mut connection).map(|()| check(&connection).expect("a version"))
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            for one in all {
                assert_eq!(one.join().expect("no panic").expect("migrated"), STEPS.len());
            }
        });
    }
}
