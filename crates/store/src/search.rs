//! The index of all transcripts: which parts of which runs can hold a text. It says where a match can be and nothing
//! more; what it holds can be made again from the transcripts, so whatever is wrong with it, it is thrown away.

use orch_core::base::ids::RunId;
use orch_core::economics::pattern::{Need, fold};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of everything below; another one is thrown away.
const VERSION: u32 = 1;
/// Every three characters of a block are a term; where in the block they stand is not kept, for it is read anyway.
const TABLES: &str = "
    CREATE TABLE runs (id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, length INTEGER NOT NULL);
    CREATE TABLE blocks (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, begin INTEGER NOT NULL, end INTEGER NOT NULL,
        lines INTEGER NOT NULL
    );
    CREATE INDEX blocks_by_run ON blocks (run);
    CREATE VIRTUAL TABLE terms USING fts5(
        text, content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1'
    );";
/// The most terms of one text that are asked for: each costs, and a few are enough.
const TERMS: usize = 24;
/// How long a reader waits for the writer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the index cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite refused: the file is damaged, the disk is full.
    #[error("search index {}: {source}", path.display())]
    Sqlite {
        /// The file of the index.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// It cannot be removed to be made anew.
    #[error("search index {}: cannot remove it: {source}", path.display())]
    Remove {
        /// The file of the index.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The text to be indexed cannot be read.
    #[error("search index {}: cannot read what is to be indexed: {source}", path.display())]
    Text {
        /// The file of the index.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// A part of a transcript: whole lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The offset of its first byte.
    pub begin: u64,
    /// After its last byte.
    pub end: u64,
    /// How many lines are before it.
    pub lines: u64,
}

/// The index, open.
#[derive(Debug)]
pub struct SearchIndex {
    connection: Connection,
    path: PathBuf,
}

impl SearchIndex {
    /// Opens the index for its one writer. One that is damaged, or of another version, is thrown away.
    ///
    /// # Errors
    /// It cannot be made either.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        match Self::open_or_make(path) {
            Err(IndexError::Sqlite { source, .. }) if is_damage(&source) => Self::anew(path),
            Ok(None) => Self::anew(path),
            Ok(Some(index)) => Ok(index),
            Err(error) => Err(error),
        }
    }

    /// Throws the index away and makes an empty one.
    ///
    /// # Errors
    /// It cannot be removed or made.
    pub fn anew(path: &Path) -> Result<Self, IndexError> {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut file = path.as_os_str().to_owned();
            file.push(end);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(IndexError::Remove { path: file.into(), source: error });
                }
                Ok(()) | Err(_) => {}
            }
        }
        let index = Self::open_or_make(path)?;
        index.ok_or_else(|| IndexError::Sqlite { path: path.to_owned(), source: rusqlite::Error::InvalidQuery })
    }

    /// `None`: it has another version.
    fn open_or_make(path: &Path) -> Result<Option<Self>, IndexError> {
        let failed = |source| IndexError::Sqlite { path: path.to_owned(), source };
        // What agents have said is for its owner; its log and the rest take the mode of the file. One that cannot be
        // made is told of by the next line.
        std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok();
        let connection = Connection::open(path).map_err(failed)?;
        let make = || -> rusqlite::Result<bool> {
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables == 0 {
                let version = format!("PRAGMA user_version = {VERSION};");
                connection.execute_batch(&["BEGIN;", TABLES, &version, "COMMIT;"].concat())?;
                return Ok(true);
            }
            Ok(found == VERSION)
        };
        let usable = make().map_err(failed)?;
        Ok(usable.then(|| Self { connection, path: path.to_owned() }))
    }

    /// Opens an existing index for reading. `None`: there is none, or this version does not understand it.
    ///
    /// # Errors
    /// It is damaged.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, IndexError> {
        if !path.exists() {
            return Ok(None);
        }
        let failed = |source| IndexError::Sqlite { path: path.to_owned(), source };
        // Not read-only: without its writer, the log beside it must be opened for writing to be read.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        Ok((found == VERSION).then(|| Self { connection, path: path.to_owned() }))
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> IndexError + use<> {
        let path = self.path.clone();
        move |source| IndexError::Sqlite { path: path.clone(), source }
    }

    /// The runs that are in it, with the length of their transcripts.
    ///
    /// # Errors
    /// It is damaged.
    pub fn runs(&self) -> Result<BTreeMap<RunId, u64>, IndexError> {
        let read = || -> rusqlite::Result<BTreeMap<RunId, u64>> {
            let mut rows = self.connection.prepare("SELECT run, length FROM runs")?;
            let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows.into_iter().filter_map(|(run, length)| Some((run.parse().ok()?, length))).collect())
        };
        read().map_err(self.failed())
    }

    /// Puts a run in, whole or not at all, in place of what was there of it. `next` gives block after block with its
    /// text.
    ///
    /// # Errors
    /// The text cannot be read, or the index cannot be written.
    pub fn put(
        &mut self,
        run: &RunId,
        next: &mut dyn FnMut(&mut String) -> io::Result<Option<Block>>,
    ) -> Result<(), IndexError> {
        let failed = self.failed();
        let transaction = self.connection.transaction().map_err(&failed)?;
        remove(&transaction, run).map_err(&failed)?;
        transaction.execute("INSERT INTO runs (run, length) VALUES (?1, 0)", [run.as_str()]).map_err(&failed)?;
        let id = transaction.last_insert_rowid();
        let (mut text, mut length) = (String::new(), 0);
        loop {
            text.clear();
            let block = next(&mut text).map_err(|source| IndexError::Text { path: self.path.clone(), source })?;
            let Some(block) = block else { break };
            insert(&transaction, id, block, &text).map_err(&failed)?;
            length = block.end;
        }
        transaction.execute("UPDATE runs SET length = ?2 WHERE id = ?1", params![id, length]).map_err(&failed)?;
        transaction.commit().map_err(failed)
    }

    /// Takes a run out.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn forget(&mut self, run: &RunId) -> Result<(), IndexError> {
        let failed = self.failed();
        let transaction = self.connection.transaction().map_err(&failed)?;
        remove(&transaction, run).map_err(&failed)?;
        transaction.commit().map_err(failed)
    }

    /// Where a match can be, in the order of the text. `None`: anywhere.
    ///
    /// # Errors
    /// It is damaged.
    pub fn places(&self, need: &Need) -> Result<Option<BTreeMap<RunId, Vec<Block>>>, IndexError> {
        let Some(query) = query(need) else { return Ok(None) };
        let read = || -> rusqlite::Result<BTreeMap<RunId, Vec<Block>>> {
            let mut rows = self.connection.prepare(
                "SELECT runs.run, begin, end, lines FROM terms JOIN blocks ON blocks.id = terms.rowid
                 JOIN runs ON runs.id = blocks.run WHERE terms MATCH ?1",
            )?;
            let mut found: BTreeMap<RunId, BTreeSet<Block>> = BTreeMap::new();
            let mut rows = rows.query([query])?;
            while let Some(row) = rows.next()? {
                let block = Block { begin: row.get(1)?, end: row.get(2)?, lines: row.get(3)? };
                if let Ok(run) = row.get::<_, String>(0)?.parse() {
                    found.entry(run).or_default().insert(block);
                }
            }
            Ok(found.into_iter().map(|(run, blocks)| (run, blocks.into_iter().collect())).collect())
        };
        read().map(Some).map_err(self.failed())
    }

    /// Puts what was written into the file itself.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn settle(&self) -> Result<(), IndexError> {
        let done = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).optional();
        done.map(drop).map_err(self.failed())
    }
}

/// Whether the file is no good, rather than the disk or the moment.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(code) => matches!(code, DatabaseCorrupt | NotADatabase),
        None => true,
    }
}

impl IndexError {
    /// Making it anew helps.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => is_damage(source),
            Self::Remove { .. } | Self::Text { .. } => false,
        }
    }
}

fn remove(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    let id: Option<i64> =
        connection.query_row("SELECT id FROM runs WHERE run = ?1", [run.as_str()], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(()) };
    connection.execute("DELETE FROM terms WHERE rowid IN (SELECT id FROM blocks WHERE run = ?1)", [id])?;
    connection.execute("DELETE FROM blocks WHERE run = ?1", [id])?;
    connection.execute("DELETE FROM runs WHERE id = ?1", [id]).map(drop)
}

fn insert(connection: &Connection, run: i64, block: Block, text: &str) -> rusqlite::Result<()> {
    let Block { begin, end, lines } = block;
    let mut insert =
        connection.prepare_cached("INSERT INTO blocks (run, begin, end, lines) VALUES (?1, ?2, ?3, ?4)")?;
    insert.execute(params![run, begin, end, lines])?;
    let id = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached("INSERT INTO terms (rowid, text) VALUES (?1, ?2)")?;
    insert.execute(params![id, text.chars().map(fold).collect::<String>()]).map(drop)
}

/// What is needed as FTS5 asks for it. `None`: nothing in particular.
fn query(need: &Need) -> Option<String> {
    let joined = |needs: &[Need], word: &str| {
        let parts: Vec<String> = needs.iter().filter_map(query).collect();
        format!("({})", parts.join(word))
    };
    match need {
        Need::Nothing => None,
        Need::Text(text) => Some(format!("({})", terms(text).join(" AND "))),
        Need::All(needs) => Some(joined(needs, " AND ")),
        Need::OneOf(needs) => Some(joined(needs, " OR ")),
    }
}

/// The three-character terms of a text, quoted; of a long text some, from all over it.
fn terms(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let all: BTreeSet<String> = chars.windows(3).map(|three| three.iter().collect()).collect();
    let step = all.len().div_ceil(TERMS).max(1);
    all.iter().step_by(step).map(|term| format!("\"{}\"", term.replace('"', "\"\""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::ids::TaskId;
    use orch_core::economics::pattern::{Options, Pattern};

    fn run(number: u32) -> RunId {
        RunId::new(TaskId(7), number, 0xab)
    }

    fn put(index: &mut SearchIndex, number: u32, texts: &[&str]) {
        let (mut left, mut at) = (texts.iter(), 0);
        let put = index.put(&run(number), &mut |text| {
            Ok(left.next().map(|next| {
                text.push_str(next);
                at += next.len() as u64;
                Block { begin: at - next.len() as u64, end: at, lines: at }
            }))
        });
        put.expect("writable");
    }

    fn places(index: &SearchIndex, source: &str) -> Vec<(RunId, u64)> {
        let pattern = Pattern::new(source, Options { is_regex: true, ignore_case: true }).expect("a pattern");
        let found = index.places(pattern.need()).expect("readable").expect("it narrows");
        found.into_iter().flat_map(|(run, blocks)| blocks.into_iter().map(move |b| (run.clone(), b.begin))).collect()
    }

    #[test]
    fn only_blocks_that_can_match_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("search.db");
        assert!(SearchIndex::open_existing(&path).expect("no index is fine").is_none());
        let mut index = SearchIndex::open(&path).expect("an index");
        put(&mut index, 1, &["one Panic in\n", "a \"quoted\" \0 word 日本語\n", "nothing\n"]);
        put(&mut index, 2, &["panic\n"]);
        assert_eq!(places(&index, "panic"), [(run(1), 0), (run(2), 0)]);
        assert_eq!(places(&index, "panic in"), [(run(1), 0)]);
        assert_eq!(places(&index, "\"quoted\" \0 word 日本"), [(run(1), 13)]);
        assert_eq!(places(&index, "nothing|panic$"), [(run(1), 0), (run(1), 13 + 28), (run(2), 0)]);
        put(&mut index, 1, &["other\n"]);
        assert_eq!(places(&index, "panic"), [(run(2), 0)]);
        index.forget(&run(2)).expect("writable");
        assert_eq!(places(&index, "panic"), []);
        assert_eq!(index.runs().expect("readable"), BTreeMap::from([(run(1), 6)]));
        let reader = SearchIndex::open_existing(&path).expect("readable").expect("an index");
        assert_eq!(places(&reader, "other"), [(run(1), 0)]);
    }

    #[test]
    fn nobody_else_reads_what_agents_said() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let mut index = SearchIndex::open(&dir.path().join("search.db")).expect("an index");
        put(&mut index, 1, &["one\n"]);
        let mut seen = 0;
        for entry in std::fs::read_dir(dir.path()).expect("readable") {
            let entry = entry.expect("readable");
            assert_eq!(entry.metadata().expect("there").permissions().mode() & 0o077, 0, "{:?}", entry.path());
            seen += 1;
        }
        assert!(seen > 1, "the log is there as well");
    }

    #[test]
    fn a_damaged_index_and_one_of_another_version_are_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("search.db");
        orch_sys::fs::write_private(&path, &[b'x'; 9000], orch_sys::fs::Durability::Cached).expect("written");
        assert!(SearchIndex::open_existing(&path).expect_err("garbage").is_damage());
        let mut index = SearchIndex::open(&path).expect("a new one");
        put(&mut index, 1, &["panic\n"]);
        index.connection.pragma_update(None, "user_version", VERSION + 1).expect("pragma");
        drop(index);
        assert!(SearchIndex::open_existing(&path).expect("readable").is_none());
        assert_eq!(SearchIndex::open(&path).expect("a new one").runs().expect("readable"), BTreeMap::new());
    }
}
