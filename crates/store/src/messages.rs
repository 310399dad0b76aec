//! The journal's table of messages: its rows, and nothing else. Knows no rules.

use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::message::{Author, Message, MessageId, MessageState, Via};
use rusqlite::{Connection, Params, Row, params};

/// The step of the migrations that makes the table.
pub(super) const CREATE: &str = "
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY, task INTEGER NOT NULL, run TEXT, via TEXT, text TEXT NOT NULL, sent_at INTEGER NOT NULL,
        state TEXT NOT NULL, detail TEXT NOT NULL, settled_at INTEGER
    );
    CREATE INDEX messages_by_task ON messages (task, id);
    CREATE INDEX messages_queued ON messages (id) WHERE state = 'queued';
";

/// The step of the migrations that records whose a message is: before it, all were the person's.
pub(super) const AUTHORS: &str = "ALTER TABLE messages ADD COLUMN author TEXT NOT NULL DEFAULT 'person';";

pub(super) const COLUMNS: &str = "id, task, run, via, text, sent_at, state, detail, settled_at, author";
/// What a row's sum is made of: all that was there before its author was.
const SUMMED: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9";

/// Inserts or replaces.
pub(super) fn put(connection: &Connection, message: &Message) -> rusqlite::Result<()> {
    let sql = format!("INSERT OR REPLACE INTO messages ({COLUMNS}, sum) VALUES ({SUMMED}, ?10, row_sum({SUMMED}))");
    let row = params![
        message.id.0,
        message.task.0,
        message.run.as_ref().map(RunId::as_str),
        message.via.map(Via::as_str),
        message.text,
        message.sent_at.as_millisecond(),
        message.state.as_str(),
        message.detail,
        message.settled_at.map(Timestamp::as_millisecond),
        message.from.as_str(),
    ];
    connection.prepare_cached(&sql)?.execute(row).map(drop)
}

/// Those that wait, oldest first.
pub(super) fn queued(connection: &Connection) -> rusqlite::Result<Vec<Message>> {
    select(connection, "WHERE state = 'queued' ORDER BY id", [])
}

/// All of a task, oldest first.
pub(super) fn of_task(connection: &Connection, task: TaskId) -> rusqlite::Result<Vec<Message>> {
    select(connection, "WHERE task = ?1 ORDER BY id", params![task.0])
}

/// The highest number ever given out.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT COALESCE(MAX(id), 0) FROM messages", [], |row| row.get(0))
}

fn select(connection: &Connection, rest: &str, parameters: impl Params) -> rusqlite::Result<Vec<Message>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM messages {rest}"))?;
    statement.query_map(parameters, of_row)?.collect()
}

pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let time = |millis| Timestamp::from_millisecond(millis).unwrap_or_default();
    let (run, via): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    let (state, author): (String, String) = (row.get(6)?, row.get(9)?);
    Ok(Message {
        id: MessageId(row.get(0)?),
        task: TaskId(row.get(1)?),
        from: Author::parse(&author).unwrap_or_default(),
        run: run.and_then(|text| text.parse().ok()),
        via: via.as_deref().and_then(Via::parse),
        text: row.get(4)?,
        sent_at: time(row.get(5)?),
        // A word of a newer orch: nothing this one could do for it.
        state: MessageState::parse(&state).unwrap_or(MessageState::Refused),
        detail: row.get(7)?,
        settled_at: row.get::<_, Option<i64>>(8)?.map(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_as_it_was_put_and_only_waiting_ones_are_loaded() {
        let mut connection = Connection::open_in_memory().expect("memory");
        crate::migrations::migrate(&mut connection).expect("tables");
        crate::sums::register(&connection).expect("a function");
        let now: Timestamp = "2026-08-01T12:00:00.123Z".parse().expect("a time");
        let first = Message::new(MessageId(1), TaskId(7), "go\non ü".to_owned(), now);
        let run = RunId::new(TaskId(8), 1, 9);
        let second = Message::of_orch(MessageId(2), TaskId(8), run, "other".to_owned(), now);
        for message in [&first, &second] {
            put(&connection, message).expect("a row");
        }
        assert_eq!(queued(&connection).expect("rows"), [first.clone(), second.clone()]);
        let first = first.delivered(RunId::new(TaskId(7), 1, 9), Via::Live, now);
        let second = second.refused("the task was done", now);
        for message in [&first, &second] {
            put(&connection, message).expect("a row");
        }
        assert_eq!(queued(&connection).expect("rows"), []);
        assert_eq!(of_task(&connection, TaskId(7)).expect("rows"), [first]);
        assert_eq!(of_task(&connection, TaskId(8)).expect("rows"), [second]);
        assert_eq!(last_id(&connection).expect("a number"), 2);
    }
}
