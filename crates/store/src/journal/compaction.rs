//! Making a journal smaller: lines of the history that are older than anybody asked to keep go, and room that is free is
//! given back. Nothing of a task that is open goes, and no number is ever given out again for it.

use jiff::Timestamp;
use rusqlite::{Connection, params};

/// How many lines go at once: others want to write meanwhile.
const AT_ONCE: u32 = 2000;
/// Free room that is worth the work, in bytes, and which part of the file it must be.
const WORTH: u64 = 16 << 20;
const SHARE: u64 = 4;

/// What a compaction may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Lines of the history older than this; `None`: none of them.
    pub before: Option<Timestamp>,
    /// Whether no caller waits: the file may be written anew, which takes a second for a quarter of a gigabyte.
    pub is_idle: bool,
}

/// What a compaction removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Lines of the history.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// There is no more to be done.
    pub is_done: bool,
}

pub(super) fn compact(connection: &Connection, wish: &Compaction) -> rusqlite::Result<Compacted> {
    let entries = match wish.before {
        Some(before) => forget(connection, before)?,
        None => 0,
    };
    if entries == u64::from(AT_ONCE) {
        return Ok(Compacted { entries, bytes: 0, is_done: false });
    }
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let (free, all, page) = (number("freelist_count")?, number("page_count")?, number("page_size")?);
    let is_worth_it = wish.is_idle && free * page >= WORTH && free >= all / SHARE;
    if is_worth_it {
        connection.execute_batch("VACUUM")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(Compacted { entries, bytes: if is_worth_it { free * page } else { 0 }, is_done: true })
}

/// The last line stays whatever its age: the next one is counted from it.
fn forget(connection: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM events WHERE seq IN (
                   SELECT seq FROM events
                   WHERE at < ?1 AND seq < (SELECT MAX(seq) FROM events)
                       AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = events.task_id AND tasks.settled = 0)
                   ORDER BY seq LIMIT ?2)";
    let gone = connection.execute(sql, params![before.as_millisecond(), AT_ONCE])?;
    Ok(u64::try_from(gone).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Entry, Journal, Write};
    use orch_core::audit::actor::Actor;
    use orch_core::audit::history::Fact;
    use orch_core::base::ids::TaskId;
    use orch_core::tasks::task::{FileState, Seen, Spec, State, Status, Task};
    use std::sync::Arc;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn entry(seq: u64, task: Option<u64>) -> Write {
        let second = i64::try_from(seq).expect("small");
        let fact = Fact::Untyped { kind: "kind".to_owned(), text: "x".repeat(200) };
        Write::Entry(Entry { seq, at: at(second), task_id: task.map(TaskId), run_id: None, actor: Actor::Orch, fact })
    }

    fn task(id: u64, state: State) -> Write {
        let file =
            FileState::Written { status: Some(state.status()), since: Vec::new(), results: false, seen: Seen::Yes };
        Write::Task(Arc::new(Task { state, ..Task::new(TaskId(id), Spec::default(), file, at(0)) }))
    }

    #[test]
    fn what_is_old_goes_but_what_open_tasks_did_and_the_last_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        let (journal, _) = Journal::open(&path).expect("opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut writes = vec![task(1, State::NEW), task(2, State::Done)];
        writes.extend((1..=5000).map(|seq| entry(seq, [None, Some(1), Some(2)][seq as usize % 3])));
        runtime.block_on(journal.commit(writes)).expect("stored");
        let wish = |before| Compaction { before, is_idle: true };
        let kept = |journal: &Journal| journal.entries(0, None, 9000).expect("reads").len();
        assert_eq!(journal.compact(wish(None)).expect("done"), Compacted { is_done: true, ..Compacted::default() });
        let of_others = (1..=4000).filter(|seq| seq % 3 != 1).count();
        let gone = journal.compact(wish(Some(at(4001)))).expect("done").entries;
        assert_eq!(usize::try_from(gone).expect("small"), of_others, "two of three of the first 4000");
        assert_eq!(kept(&journal), 5000 - of_others);
        assert_eq!(journal.entries(0, Some(TaskId(1)), 9000).expect("reads").len(), 1667, "nothing of the open one");
        journal.compact(wish(Some(at(9000)))).expect("done");
        drop(journal);
        let (journal, loaded) = Journal::open(&path).expect("opens");
        assert_eq!((loaded.last_seq, kept(&journal)), (5000, 1668), "the open task's, and the last");
        assert_eq!(loaded.last_task_id, 2);
        assert_eq!(loaded.tasks.values().map(|task| task.status()).collect::<Vec<_>>(), [Status::New]);
    }
}
