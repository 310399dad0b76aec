//! A sum in every row, by which a value that changed on the disk is distinguished from one that orch wrote: SQLite has
//! none, and a flipped bit inside a text is no fault of the file's structure. It only reports; what follows is decided
//! elsewhere.

use orch_core::base::names::fingerprint;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// The step of the migrations that makes room for the sums. Rows that an older orch stored have none until they are
/// stored anew.
pub(super) const CREATE: &str = "
    ALTER TABLE tasks ADD COLUMN sum INTEGER;
    ALTER TABLE runs ADD COLUMN sum INTEGER;
    ALTER TABLE events ADD COLUMN sum INTEGER;
    ALTER TABLE messages ADD COLUMN sum INTEGER;
    ALTER TABLE projects ADD COLUMN sum INTEGER;
    ALTER TABLE cooldowns ADD COLUMN sum INTEGER;
";

/// The step that makes room for the sums of tables that came later.
pub(super) const CREATE_LATER: &str = "
    ALTER TABLE breakers ADD COLUMN sum INTEGER;
    ALTER TABLE pauses ADD COLUMN sum INTEGER;
    ALTER TABLE service ADD COLUMN sum INTEGER;
";

/// The tables with sums: the columns that are summed, the first of which names a row.
pub(super) const SUMMED: [(&str, &str); 16] = [
    ("tasks", "id, data"),
    ("runs", "id, task_id, ordinal, data"),
    ("events", "seq, at, task_id, run_id, kind, data, v, actor"),
    ("messages", "id, task, run, via, text, sent_at, state, detail, settled_at"),
    ("projects", "dir, name, approved"),
    ("cooldowns", "agent, data"),
    ("breakers", "name, data"),
    ("pauses", "scope, data"),
    ("service", "id, data"),
    ("jobs", "id, data"),
    ("firings", "job, due, data"),
    ("batches", "number, name, data"),
    ("spends", "id, at, data"),
    ("recorded", "number, data"),
    ("channel_state", "channel, key, value"),
    ("outbox", "id, channel, data"),
];

/// Columns that were summed in earlier versions, the newest first, for a journal that could not be brought to this one.
pub(super) const SUMMED_BEFORE: [(&str, &str); 2] =
    [("events", "seq, at, task_id, run_id, kind, text, actor"), ("events", "seq, at, task_id, run_id, kind, text")];

/// The most findings that are reported of one file: beyond, it is clear what it is worth.
const MOST: usize = 20;
/// SQLite's `SQLITE_READONLY` without a reason beside it.
const READ_ONLY: i32 = 8;

/// Makes `row_sum(…)` known to a connection that writes or checks.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("row_sum", -1, flags, row_sum)
}

fn row_sum(row: &Context<'_>) -> rusqlite::Result<i64> {
    let mut bytes = Vec::new();
    for index in 0..row.len() {
        let (kind, value): (u8, &[u8]) = match row.get_raw(index) {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => (1, &number.to_le_bytes()),
            ValueRef::Real(number) => (2, &number.to_le_bytes()),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        bytes.push(kind);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value);
    }
    Ok(fingerprint(&bytes).cast_signed())
}

/// Everything that is wrong with a journal of the present version, one line each; nothing when it is whole. The sums come
/// first: SQLite looks into the rows while it examines the file, and gives up at one whose content is none.
///
/// # Errors
/// It cannot be read now; that is not the journal's fault.
pub(super) fn examine(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (table, columns) in SUMMED {
        findings.extend(found(changed(connection, table, columns))?);
    }
    findings.extend(structure(connection)?);
    if findings.is_empty() {
        findings.extend(found(unlike(connection))?);
    }
    Ok(findings)
}

/// The system or another program is in the way: it says nothing of what the journal holds.
pub(super) fn is_circumstance(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let Some(failure) = error.sqlite_error() else {
        return matches!(error, rusqlite::Error::ToSqlConversionFailure(_));
    };
    // A plain refusal to write: the file says so itself. Otherwise there is no place beside it.
    let is_beside = failure.code == ReadOnly && failure.extended_code != READ_ONLY;
    is_beside
        || matches!(
            failure.code,
            DatabaseBusy | DatabaseLocked | SystemIoFailure | DiskFull | CannotOpen | OutOfMemory | PermissionDenied
        )
}

/// What was found on the way; an error that the content itself makes is a finding like others.
fn found(looked: rusqlite::Result<Vec<String>>) -> rusqlite::Result<Vec<String>> {
    match looked {
        Err(error) if !is_circumstance(&error) => Ok(vec![error.to_string()]),
        looked => looked,
    }
}

fn changed(connection: &Connection, table: &str, columns: &str) -> rusqlite::Result<Vec<String>> {
    let key = columns.split(',').next().unwrap_or(columns);
    let sql = format!(
        "SELECT CAST({key} AS TEXT) FROM {table} NOT INDEXED
         WHERE sum IS NOT NULL AND sum <> row_sum({columns}) LIMIT {MOST}"
    );
    let mut statement = connection.prepare(&sql)?;
    // A key that is no text any more is one that changed.
    let keys = statement.query_map([], |row| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned()))?;
    let changed: Vec<String> = keys.collect::<Result<_, _>>()?;
    Ok(changed.into_iter().map(|key| format!("{table} {key}: its content is not what was stored")).collect())
}

/// What is wrong with the file, whatever it holds.
///
/// # Errors
/// It cannot be read now; that is not the journal's fault.
pub(super) fn structure(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    found(checked(connection))
}

fn checked(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MOST})"))?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Returns where two places disagree about the same thing.
fn unlike(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let queries = [
        (
            "SELECT CAST(settled.id AS TEXT) FROM settled LEFT JOIN tasks ON tasks.id = settled.id
             WHERE tasks.id IS NULL OR settled.status <> json_extract(tasks.data, '$.state.status') LIMIT 20",
            "is listed as settled otherwise than it is stored",
        ),
        (
            "SELECT CAST(id AS TEXT) FROM tasks
             WHERE settled = 1 AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.id = tasks.id) LIMIT 20",
            "is settled and not listed so",
        ),
        (
            "SELECT CAST(MAX(tasks.id) AS TEXT) FROM tasks, meta
             WHERE key = 'last_task_id' GROUP BY value HAVING MAX(tasks.id) > CAST(value AS INTEGER)",
            "has a number that was never given out",
        ),
    ];
    let mut findings = Vec::new();
    for (sql, what) in queries {
        let mut statement = connection.prepare(sql)?;
        let ids: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        findings.extend(ids.into_iter().map(|id| format!("task {id} {what}")));
    }
    Ok(findings)
}
