//! R21: the process dies at each call of the file system during the migration of an older journal. Afterwards the
//! journal has one of the versions, with all of its content.

use crate::disk::{Calls, Fault, Layer};
use crate::kit::process::{Program, Ran};
use crate::kit::read_file;
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use ::orch_store::journal::SCHEMA;
use rusqlite::Connection;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Death on the way.
pub const DEATHS: Row = Row {
    id: "R21",
    code: file!(),
    fault: "`kill -9` at each write to the disk while a journal of each earlier version is brought to the present one",
    goal: "a journal of some version, whole, and the next command finds everything",
    run: Run::Trials { quick: 16, full: 5000, run: deaths },
};
/// Back by a version.
pub const NEWER: Row = Row {
    id: "R21",
    code: file!(),
    fault: "a journal of the next version is opened by this orch",
    goal: "refused with what to do, and not a byte changes",
    run: Run::Trials { quick: 4, full: 4, run: newer },
};

/// The versions of which there is a recorded journal.
pub const VERSIONS: RangeInclusive<usize> = 1..=SCHEMA;

/// A home with the journal of a version in it.
pub struct OldHome {
    dir: TempDir,
    home: PathBuf,
}

impl OldHome {
    /// As that orch left it.
    pub fn new(version: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("ob-").tempdir_in("/tmp").expect("a directory");
        let home = dir.path().join("orch");
        std::fs::create_dir_all(home.join(".orch")).expect("a directory");
        let journal = Connection::open(home.join(".orch/orch.db")).expect("a file");
        journal.pragma_update(None, "journal_mode", "WAL").expect("a log");
        journal.execute_batch(&recorded(version)).expect("it is recorded whole");
        crate::kit::write_file(&home.join("tasks.yml"), TASKS);
        Self { dir, home }
    }

    /// `ORCH_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// For files beside it.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// orch is asked.
    pub fn orch(&self, args: &[&str], env: &[(&'static str, String)]) -> Ran {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let own = [
            ("ORCH_HOME", path(&self.home)),
            ("HOME", path(self.root())),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        Program::new(crate::orch(), self.root()).args(args).envs(own).envs(env.iter().cloned()).run()
    }

    /// The tasks are asked for: the journal is opened, and with it brought to the present version.
    pub fn list(&self, env: &[(&'static str, String)]) -> Ran {
        self.orch(&["task", "list", "--json"], env)
    }

    fn journal(&self) -> PathBuf {
        self.home.join(".orch/orch.db")
    }

    /// Checks that the tables are those of the recorded version.
    pub fn is_old_or_new(&self) -> Findings {
        let look = || -> rusqlite::Result<(usize, String, String)> {
            let copy = tempfile::tempdir().expect("a directory");
            for end in ["", "-wal"] {
                let from = format!("{}{end}", self.journal().display());
                if Path::new(&from).exists() {
                    std::fs::copy(from, copy.path().join(format!("orch.db{end}"))).expect("a copy");
                }
            }
            let journal = Connection::open(copy.path().join("orch.db"))?;
            let version = journal.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let whole = journal.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            Ok((version, whole, tables(&journal)?))
        };
        match look() {
            Err(error) => vec![finding(Broken::Lost, format!("the journal cannot be read: {error}"))],
            Ok((_, whole, _)) if whole != "ok" => vec![finding(Broken::Lost, format!("it is damaged: {whole}"))],
            Ok((version, _, tables)) if !VERSIONS.contains(&version) || tables != expected()[version - 1] => {
                vec![finding(Broken::Lost, format!("it says that it is of version {version}, and is not: {tables}"))]
            }
            Ok(_) => Vec::new(),
        }
    }

    /// The next command finds everything that was ever stored.
    pub fn tells_all(&self) -> Findings {
        let ran = self.list(&[]);
        if ran.code != Some(0) {
            return vec![finding(Broken::Stuck, format!("it cannot be opened: {ran}"))];
        }
        let messages: Vec<String> = ran
            .json()
            .as_array()
            .into_iter()
            .flatten()
            .map(|task| format!("{} {} {}", task["id"], task["status"], task["title"]))
            .collect();
        if messages
            == ["1 \"done\" \"Make a file\"", "2 \"needs_review\" \"Wait for a person\"", "3 \"new\" \"New one\""]
        {
            return Vec::new();
        }
        vec![finding(Broken::Lost, format!("it tells {messages:?}: {ran}"))]
    }
}

const TASKS: &str = "tasks:\n  - id: 1\n    title: Make a file\n    status: done\n  - id: 2\n    title: Wait for a person\n    \
                     status: needs_review\n  - id: 3\n    title: New one\n    labels: [agent:good]\n    status: new\n";

fn recorded(version: usize) -> String {
    read_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/journals/v{version}.sql")))
}

/// Tables and indexes, however they were typed.
fn tables(journal: &Connection) -> rusqlite::Result<String> {
    let mut statement = journal.prepare("SELECT name, COALESCE(sql, '') FROM sqlite_schema ORDER BY type, name")?;
    let rows =
        statement.query_map([], |row| Ok(format!("{}:{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let rows: Vec<String> = rows.collect::<Result<_, _>>()?;
    Ok(rows.join(";").split_whitespace().collect())
}

/// Those of each version.
fn expected() -> &'static [String] {
    static EXPECTED: OnceLock<Vec<String>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let of = |version| {
            let journal = Connection::open_in_memory().expect("memory");
            journal.execute_batch(&recorded(version)).expect("it is recorded whole");
            tables(&journal).expect("tables")
        };
        VERSIONS.map(of).collect()
    })
}

fn deaths(times: usize, _: Size) -> Tally {
    let mut all: Vec<(usize, u64)> = Vec::new();
    for version in VERSIONS {
        let fixture = OldHome::new(version);
        let layer = Layer::over(&[fixture.home()], fixture.root());
        layer.fail(Fault::Death, Calls::Changes, (0, 0));
        fixture.list(&layer.env()).ok();
        all.extend((1..=layer.counted()).map(|n| (version, n)));
    }
    let mut dice = Dice::new(21);
    while all.len() > times {
        let gone = dice.below(all.len() as u64);
        all.swap_remove(usize::try_from(gone).expect("small"));
    }
    let mut tally = trials(all.len(), 3, |number| {
        let (version, n) = all[number];
        let fixture = OldHome::new(version);
        let layer = Layer::over(&[fixture.home()], fixture.root());
        layer.fail(Fault::Death, Calls::Changes, (n, n));
        let ran = fixture.list(&layer.env());
        let mut found = Vec::new();
        if ran.signal != Some(9) && layer.struck() > 0 {
            found.push(finding(Broken::Stuck, format!("it did not die: {ran}")));
        }
        found.extend(fixture.is_old_or_new());
        found.extend(fixture.tells_all());
        let at = layer.first();
        found
            .into_iter()
            .map(|one| finding(one.broken, format!("version {version}, dead before {at}: {}", one.text)))
            .collect()
    });
    tally.note = format!("versions {} to {}", VERSIONS.start(), VERSIONS.end());
    tally
}

fn newer(times: usize, _: Size) -> Tally {
    const COMMANDS: [&[&str]; 4] =
        [&["task", "list"], &["serve", "--once"], &["doctor", "--fix"], &["task", "add", "Late"]];
    trials(times, 2, |number| {
        let fixture = OldHome::new(SCHEMA);
        let journal = Connection::open(fixture.journal()).expect("a file");
        journal.pragma_update(None, "user_version", SCHEMA + 1).expect("changed");
        drop(journal);
        let before = std::fs::read(fixture.journal()).expect("a file");
        let ran = fixture.orch(COMMANDS[number % COMMANDS.len()], &[]);
        let mut found = Vec::new();
        if ran.code != Some(1) || !format!("{ran}").contains("use that orch, or a newer one") {
            found.push(finding(Broken::Stuck, format!("it is not told what to do: {ran}")));
        }
        if std::fs::read(fixture.journal()).ok() != Some(before) {
            found.push(finding(Broken::Lost, "it was changed"));
        }
        found
    })
}
