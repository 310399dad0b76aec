//! What can still be read of a damaged journal, row by row. It works on a copy, changes nothing, and says of every row
//! that it had to leave: what a sum or a type contradicts is not taken for true.

use super::journal::{ENTRY, Entry, PROJECT, Project, entry_of_row, project_of_row};
use super::records::{Stored, from_json};
use super::{messages, sums, witness};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::economics::budget::Record;
use orch_core::economics::recorded::Recorded;
use orch_core::notices::outbox::{KeyValue, OutboxItem};
use orch_core::operations::job::{Firing, JobRecord};
use orch_core::operations::pause::Pause;
use orch_core::operations::service::ServiceEntry;
use orch_core::planning::batch::Batch;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::message::Message;
use orch_core::tasks::task::{Run, Task};
use rusqlite::{Connection, OpenFlags, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// After so many numbers without a row, where the highest one is not known, there are no more.
const GAP: i64 = 20_000;
/// No table of what is switched has a higher number than this: there is one row for each agent or project.
const FEW: i64 = 1_000;
/// Rows that cannot be read are named up to so many; the rest is counted.
const NAMED: usize = 100;

/// What was saved of a journal.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// The tasks, by their numbers.
    pub tasks: BTreeMap<TaskId, Task>,
    /// The runs, by their ids.
    pub runs: BTreeMap<RunId, Run>,
    /// The lines of the history.
    pub entries: Vec<Entry>,
    /// Messages to agents.
    pub messages: Vec<Message>,
    /// What is paused; `None`: that is not known any more.
    pub pauses: Option<Vec<Pause>>,
    /// Breakers that have seen failures, by their names.
    pub breakers: BTreeMap<String, Breaker>,
    /// Agents to leave alone.
    pub cooldowns: BTreeMap<String, Cooldown>,
    /// Starts and ends of the daemon, oldest first.
    pub service: Vec<ServiceEntry>,
    /// The recurring jobs.
    pub jobs: Vec<JobRecord>,
    /// The firings of jobs.
    pub firings: Vec<Firing>,
    /// Batches, open or not.
    pub batches: Vec<Batch>,
    /// What was spent beside orch's runs.
    pub spends: Vec<Record>,
    /// Samples that a person recorded.
    pub recorded: Vec<Recorded>,
    /// What channels keep.
    pub kept: Vec<KeyValue>,
    /// The messages of channels, sent or to be sent.
    pub outbox: Vec<OutboxItem>,
    /// Registered repositories, in the order of registration.
    pub projects: Vec<Project>,
    /// The highest number of a task that is known to have been given out.
    pub last_task_id: u64,
    /// The last place in the history that is known.
    pub last_seq: u64,
    /// What is known to have been there and could not be read, for a person.
    pub lost: Vec<String>,
    /// The file had transactions that are not in it any more.
    pub went_back: bool,
}

/// Reads what it can of the journal at `path` and of the log and the witness beside it. `highest` is a number that no
/// task is beyond, as far as others know.
pub fn salvage(path: &Path, highest: u64) -> Salvaged {
    let mut saved = Salvaged::default();
    let testimony = witness::read(path);
    if let Some(known) = testimony {
        (saved.last_task_id, saved.last_seq) = (known.last_task_id, known.last_seq);
    }
    let connection = match open(path) {
        Ok(connection) => connection,
        Err(error) => {
            saved.lost.push(format!("the whole journal: {error}"));
            return saved;
        }
    };
    let number = |key: &str| -> Option<u64> {
        let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1";
        connection.query_row(sql, [key], |row| row.get(0)).ok()
    };
    saved.last_task_id = saved.last_task_id.max(number("last_task_id").unwrap_or(0));
    saved.went_back = testimony.is_some_and(|known| known.commits > number("commits").unwrap_or(0));
    if saved.went_back {
        saved.lost.push("the newest changes: the journal is older than what its witness tells".to_owned());
    }
    let highest = i64::try_from(highest.max(saved.last_task_id)).unwrap_or(i64::MAX);
    let mut reading = Reading { connection: &connection, lost: Vec::new(), unnamed: 0 };
    let Salvaged { tasks, runs, entries, projects, messages, .. } = &mut saved;
    reading.table("tasks", "data", Some(highest), |row| {
        let task: Task = json(row, 0)?;
        tasks.insert(task.id, task);
        Ok(())
    });
    reading.table("runs", "data", None, |row| {
        let run: Run = json(row, 0)?;
        runs.insert(run.id.clone(), run);
        Ok(())
    });
    // A file that could not be brought to the present version has sentences in place of facts, and may lack actors.
    let has = |column: &str| connection.prepare(&format!("SELECT {column} FROM events LIMIT 0")).is_ok();
    let columns = match (has("v"), has("actor")) {
        (true, _) => ENTRY,
        (false, true) => "seq, at, task_id, run_id, kind, '{\"text\":' || json_quote(text) || '}', 0, actor",
        (false, false) => "seq, at, task_id, run_id, kind, '{\"text\":' || json_quote(text) || '}', 0, 'orch'",
    };
    reading.table("events", columns, None, |row| {
        entries.push(entry_of_row(row)?);
        Ok(())
    });
    reading.table("projects", PROJECT, None, |row| {
        projects.push(project_of_row(row)?);
        Ok(())
    });
    reading.table("messages", messages::COLUMNS, None, |row| {
        messages.push(messages::of_row(row)?);
        Ok(())
    });
    switched(&mut reading, &mut saved);
    saved.lost.append(&mut reading.lost);
    if reading.unnamed > 0 {
        saved.lost.push(format!("{} more rows", reading.unnamed));
    }
    saved.last_seq = saved.entries.iter().map(|entry| entry.seq).fold(saved.last_seq, u64::max);
    saved
}

/// Reads what a person or a failure has switched, the daemon's own history, and what channels keep.
fn switched(reading: &mut Reading<'_>, saved: &mut Salvaged) {
    reading.table("cooldowns", "agent, data", Some(FEW), |row| {
        saved.cooldowns.insert(row.get(0)?, json(row, 1)?);
        Ok(())
    });
    if reading.has("breakers", 6) {
        reading.table("breakers", "name, data", Some(FEW), |row| {
            saved.breakers.insert(row.get(0)?, json(row, 1)?);
            Ok(())
        });
    }
    (saved.service, _) = reading.list("service", 7, "id", None);
    (saved.jobs, _) = reading.list("jobs", 10, "id", None);
    (saved.firings, _) = reading.list("firings", 10, "job, due", None);
    (saved.batches, _) = reading.list("batches", 11, "number, name", None);
    (saved.spends, _) = reading.list("spends", 12, "id, at", None);
    (saved.recorded, _) = reading.list("recorded", 13, "number", None);
    if reading.has("outbox", 14) {
        reading.table("channel_state", "channel, key, value, updated_at", None, |row| {
            saved.kept.push(super::key_value::of_row(row)?);
            Ok(())
        });
    }
    (saved.outbox, _) = reading.list("outbox", 14, "id, channel", None);
    let (pauses, is_whole) = reading.list("pauses", 7, "scope", Some(FEW));
    // A journal that went back may lack a pause or hold one that was ended.
    saved.pauses = (is_whole && !saved.went_back).then_some(pauses);
}

fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    sums::register(&connection)?;
    // Cells that do not fit into their page are errors of the one row then, and not read as if they did.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// One file, being read.
struct Reading<'a> {
    connection: &'a Connection,
    lost: Vec<String>,
    unnamed: usize,
}

impl Reading<'_> {
    /// Whether the journal has, or should have, this table: it came with version `since`. One whose version is unknown
    /// is taken for one that should.
    fn has(&self, table: &str, since: usize) -> bool {
        let sql = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let count: Option<u64> = self.connection.query_row(sql, [table], |row| row.get(0)).ok();
        let version: Option<usize> = self.connection.pragma_query_value(None, "user_version", |row| row.get(0)).ok();
        count != Some(0) || version.is_none_or(|version| version >= since)
    }

    /// Returns the values of every readable row of a table that came with version `since`, and whether that was all of it.
    /// `columns` precede the column of the values.
    fn list<T: Stored>(&mut self, table: &str, since: usize, columns: &str, highest: Option<i64>) -> (Vec<T>, bool) {
        let mut values = Vec::new();
        let is_whole = !self.has(table, since)
            || self.table(table, &format!("{columns}, data"), highest, |row| {
                values.push(json(row, columns.split(',').count())?);
                Ok(())
            });
        (values, is_whole)
    }

    /// Takes every row of a table that can be read, and returns whether that was all of it. `highest`: no row has a
    /// higher number.
    fn table(
        &mut self,
        table: &str,
        columns: &str,
        highest: Option<i64>,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> bool {
        let is_summed = self.connection.prepare(&format!("SELECT sum FROM {table}")).is_ok();
        let all = sums::SUMMED.iter().chain(&sums::SUMMED_BEFORE);
        let is_there =
            |summed: &&str| self.connection.prepare(&format!("SELECT {summed} FROM {table} LIMIT 0")).is_ok();
        let summed = all.filter(|(name, _)| *name == table).map(|(_, summed)| *summed).find(is_there);
        let summed = summed.unwrap_or(columns);
        let sound = if is_summed { format!("sum IS NULL OR sum = row_sum({summed})") } else { "1".to_owned() };
        let select = format!("SELECT {columns}, rowid, {sound} FROM {table} NOT INDEXED WHERE rowid");
        let width = columns.split(',').count();
        let mut seen = BTreeSet::new();
        let mut lost = BTreeSet::new();
        let mut each = |row: &Row<'_>| -> Option<i64> {
            let id: i64 = row.get(width).ok()?;
            let is_sound = row.get(width + 1).unwrap_or(false);
            if is_sound && take(row).is_ok() {
                seen.insert(id)
            } else {
                lost.insert(id)
            };
            Some(id)
        };
        let (mut last, broke) = self.scan(&format!("{select} > ?1 ORDER BY rowid"), i64::MIN, &mut each);
        let is_reached = broke.is_none();
        if let Some(error) = broke {
            // Behind the break, every number is asked for by itself: a row whose way through the tree is whole is
            // found.
            let known: Option<i64> = self
                .connection
                .query_row(&format!("SELECT MAX(rowid) FROM {table}"), [], |row| row.get(0))
                .ok()
                .flatten();
            let end = highest.or(known);
            let mut at = last.unwrap_or(0).max(0);
            while end.map_or(at - last.unwrap_or(0) < GAP, |end| at < end) {
                at += 1;
                if let (Some(found), _) = self.scan(&format!("{select} = ?1"), at, &mut each) {
                    last = Some(found);
                }
            }
            self.lose(format!("{table}: rows that cannot be reached ({error})"));
        }
        let mut is_whole = is_reached;
        for id in lost.difference(&seen) {
            is_whole = false;
            self.lose(format!("{table}: row {id} is not what was stored"));
        }
        is_whole
    }

    fn lose(&mut self, what: String) {
        if self.lost.len() < NAMED { self.lost.push(what) } else { self.unnamed += 1 }
    }

    /// The last number that was reached, and why it went no further.
    fn scan(
        &self,
        sql: &str,
        from: i64,
        each: &mut dyn FnMut(&Row<'_>) -> Option<i64>,
    ) -> (Option<i64>, Option<rusqlite::Error>) {
        let mut last = None;
        let mut walk = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([from])?;
            while let Some(row) = rows.next()? {
                last = each(row).or(last);
            }
            Ok(())
        };
        let broke = walk().err();
        (last, broke)
    }
}

fn json<T: Stored>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    from_json(text).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
