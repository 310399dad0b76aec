//! Opening a journal: it is brought to the present version, and checked against its sums, before anybody
//! believes a word of it. A small one, or one that was not closed, costs little; one as it was left costs one reading.

use super::writer::{Writer, commits, current_epoch, is_log_empty, take_over};
use super::{Journal, JournalError, Loaded, load};
use crate::migrations::{self, migrate};
use crate::sums;
use crate::witness::{self, Testimony, Witness};
use orch_sys::crash::point;
use orch_sys::fs::Digest;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// The version of the journals that this orch writes.
pub const SCHEMA: usize = migrations::VERSION;

/// How many pages the log ahead of the file may hold (SQLite's own default is four times as many).
const LOG_PAGES: i64 = 250;
/// Up to this size a journal is examined before it is used: a tenth of a second.
const EXAMINED_AT_ONCE: u64 = 16 << 20;
/// Up to this size the engine of a single command reads the whole file.
const READ_BY_COMMANDS: u64 = 4 << 20;

/// How much of a journal is checked when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// A daemon: whatever it takes, and later what takes too long now.
    All,
    /// One short command: what costs no time.
    Some,
}

impl Journal {
    /// Opens (or makes) the journal, takes it over from any earlier engine, and loads its state.
    ///
    /// # Errors
    /// It cannot be used; [`JournalError::is_damage`] says whether that is for good.
    pub fn open(path: &Path) -> Result<(Self, Loaded), JournalError> {
        Self::open_with(path, Care::All)
    }

    /// The same, with as much care as the caller has time for.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, care: Care) -> Result<(Self, Loaded), JournalError> {
        let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
        let system = |source: std::io::Error| sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(source)));
        make_private(path).map_err(system)?;
        let size = path.metadata().map_err(system)?.len();
        let testimony = witness::read(path);
        let is_as_left = is_as_left(path, size, testimony, care);
        let refused = |source| refused(path, source);
        let mut connection = connect(path).map_err(refused)?;
        migrate(&mut connection).map_err(|source| JournalError::Migration { path: path.to_owned(), source })?;
        let is_due = !is_as_left && (care == Care::All || size <= READ_BY_COMMANDS);
        let is_now = is_due && size <= EXAMINED_AT_ONCE;
        let mut findings = if is_now { sums::examine(&connection).map_err(refused)? } else { Vec::new() };
        let known = testimony.unwrap_or_default();
        findings.extend(behind(&known, &connection, SCHEMA).map_err(refused)?);
        if !findings.is_empty() {
            return Err(JournalError::Damaged { path: path.to_owned(), findings });
        }
        let there = commits(&connection).map_err(refused)?;
        let witness =
            Witness::open(path).inspect_err(|error| tracing::warn!(%error, "the journal has no witness")).ok();
        let known = Testimony { commits: there, left: None, ..known };
        witness.iter().for_each(|witness| witness.note(&known));
        let epoch = match take_over(&mut connection) {
            // A reader needs no space: no other process has the home, and what is to be stored is refused with this
            // reason.
            Err(error) if care == Care::Some && is_full(&error) => current_epoch(&connection).map_err(refused)?,
            taken => taken.map_err(refused)?,
        };
        point!("journal.opened");
        let loaded = Loaded { unexamined: is_due && !is_now, ..load(&connection, path).map_err(doubted)? };
        let known = Testimony { last_task_id: loaded.last_task_id, last_seq: loaded.last_seq, ..known };
        let reader = read_only(path).map_err(sqlite)?;
        keep_log_at_close(&reader, true).map_err(sqlite)?;
        reader.pragma_update(None, "cache_size", -512).map_err(sqlite)?;
        keep_log_at_close(&connection, false).map_err(sqlite)?;
        let (jobs, queue) = mpsc::channel(64);
        let digested = if care == Care::All { u64::MAX } else { READ_BY_COMMANDS };
        let is_whole = Arc::new(AtomicBool::new(is_as_left || is_now));
        let whole = Arc::clone(&is_whole);
        let writer = Writer { connection, epoch, path: path.to_owned(), witness, known, digested, is_whole: whole };
        std::thread::Builder::new().name("journal".into()).spawn(move || writer.serve(queue)).map_err(system)?;
        Ok((Self { path: Arc::new(path.to_owned()), jobs, reader: Arc::new(Mutex::new(reader)), is_whole }, loaded))
    }
}

/// What SQLite says of a journal that is just being opened: where nothing else is in the way, it is the content's
/// fault.
fn refused(path: &Path, source: rusqlite::Error) -> JournalError {
    if sums::is_circumstance(&source) {
        return JournalError::Sqlite { path: path.to_owned(), source };
    }
    JournalError::Damaged { path: path.to_owned(), findings: vec![source.to_string()] }
}

fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(cause, _) if cause.code == ErrorCode::DiskFull)
}

fn doubted(error: JournalError) -> JournalError {
    if let JournalError::Sqlite { path, source } = error { refused(&path, source) } else { error }
}

/// It is byte for byte what the last engine left.
fn is_as_left(path: &Path, size: u64, testimony: Option<Testimony>, care: Care) -> bool {
    let Some(left) = testimony.and_then(|known| known.left) else { return false };
    let is_read = care == Care::All || size <= READ_BY_COMMANDS;
    is_read && left.length() == size && is_log_empty(path) && Digest::of_file(path).is_ok_and(|found| found == left)
}

/// Checks a journal that others may be writing. Takes its time.
///
/// # Errors
/// It is damaged, or cannot be read.
pub fn whole(path: &Path) -> Result<(), JournalError> {
    // Before the journal is checked: a writer takes it further than this meanwhile.
    let known = witness::read(path).unwrap_or_default();
    let refused = |source| refused(path, source);
    let connection = read_only(path).map_err(refused)?;
    sums::register(&connection).map_err(refused)?;
    let version =
        migrations::check(&connection).map_err(|source| JournalError::Migration { path: path.to_owned(), source })?;
    let mut findings = if version == SCHEMA {
        sums::examine(&connection).map_err(refused)?
    } else {
        sums::structure(&connection).map_err(refused)?
    };
    findings.extend(sealed(path));
    findings.extend(behind(&known, &connection, version).map_err(refused)?);
    match findings.is_empty() {
        true => Ok(()),
        false => Err(JournalError::Damaged { path: path.to_owned(), findings }),
    }
}

/// The file's head says that no present program may write it, which no orch ever wrote. A mere reader does not learn
/// that.
fn sealed(path: &Path) -> Option<String> {
    let mut form = [0; 2];
    // One that is too short for a head is another finding.
    File::open(path).ok()?.read_exact_at(&mut form, 18).ok()?;
    form.iter().any(|form| *form > 2).then(|| "its head forbids to write it".to_owned())
}

/// The journal lacks what its witness knows of.
fn behind(known: &Testimony, connection: &Connection, version: usize) -> rusqlite::Result<Option<String>> {
    let there = if version == 0 { 0 } else { commits(connection)? };
    let lacks = known.commits.saturating_sub(there);
    Ok((lacks > 0).then(|| format!("{lacks} stored changes are not in it any more")))
}

/// Copies a journal as it is at this moment, also while others write it, and checks that the copy is whole. `target`
/// does not exist, and is readable by its owner alone.
///
/// # Errors
/// It is damaged, or the copy cannot be written.
pub fn copy_to(path: &Path, target: &Path) -> Result<(), JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    make_private(target).map_err(|source| sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(source))))?;
    let copy = || -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // Of a damaged one everything is needed as it is.
        keep_log_at_close(&connection, true)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute("VACUUM INTO ?1", [target.to_string_lossy()]).map(drop)
    };
    copy().map_err(sqlite)?;
    let connection = read_only(target).map_err(sqlite)?;
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    drop(connection);
    // One of an older version has nothing yet by which a row could be shown to be whole.
    if version == SCHEMA { whole(target) } else { Ok(()) }
}

/// Writes all that a connection sees into a new file that only its owner reads.
pub(super) fn save(connection: &Connection, target: &Path) -> rusqlite::Result<()> {
    make_private(target).map_err(|source| rusqlite::Error::ToSqlConversionFailure(Box::new(source)))?;
    connection.execute("VACUUM INTO ?1", [target.to_string_lossy()]).map(drop)
}

/// Makes sure that no number of a task up to `highest` is ever given out by this journal, which no process has open. It is
/// brought to the present version.
///
/// # Errors
/// It cannot be used.
pub fn reserve(path: &Path, highest: u64) -> Result<(), JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    make_private(path).map_err(|source| sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(source))))?;
    let mut connection = connect(path).map_err(sqlite)?;
    migrate(&mut connection).map_err(|source| JournalError::Migration { path: path.to_owned(), source })?;
    let sql = "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE key = 'last_task_id' AND CAST(value AS INTEGER) < ?1";
    connection.execute(sql, [highest]).map_err(sqlite)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(sqlite)
}

/// The highest number of a task that was given out, as a journal says that no process has open; 0 where there is none,
/// or where what it says is not to be believed.
pub fn last_task_id(path: &Path) -> u64 {
    let read = || -> rusqlite::Result<u64> {
        let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_task_id'";
        read_only(path)?.query_row(sql, [], |row| row.get(0))
    };
    if path.exists() && whole(path).is_ok() { read().unwrap_or(0) } else { 0 }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // What turns out to be damaged is kept as it was found.
    keep_log_at_close(&connection, true)?;
    sums::register(&connection)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The next process that opens the journal reads the log's pages first: every command, where no daemon runs.
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.pragma_update(None, "cache_size", -1024)?;
    Ok(connection)
}

pub(super) fn keep_log_at_close(connection: &Connection, keeps: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps).map(drop)
}

pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Makes an empty file that only its owner reads; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}
