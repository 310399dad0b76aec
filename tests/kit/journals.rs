//! Journals of every version that any orch wrote (`tests/fixtures/journals`), and checks that the present code reads all
//! of their content.

use super::dice::Dice;
use super::read_file;
use orch_core::economics::track_record::{Sample, Source};
use orch_store::journal::{Journal, SCHEMA, Write};
use orch_store::records::{Stored, to_json};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns all versions.
pub fn versions() -> std::ops::RangeInclusive<usize> {
    1..=SCHEMA
}

/// Returns the SQL that creates the journal of a version.
pub fn fixture(version: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/journals/v{version}.sql"))
}

/// Creates the recorded journal of a version at `path`.
pub fn make(version: usize, path: &Path) {
    make_of(version, path, &read_file(&fixture(version)));
}

/// Creates the journal of commit f0d32d9 at `path`: runs that are being started, under way and asking for a route, a
/// question, an open batch and a job.
pub fn make_with_runs(path: &Path) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journals/f0d32d9.sql");
    make_of(14, path, &read_file(&file));
}

/// Creates a journal that the same version may have written, with a random part of the recorded content.
pub fn make_some(version: usize, path: &Path, dice: &mut Dice) {
    let may_lack =
        ["messages", "cooldowns", "breakers", "pauses", "projects", "jobs", "firings", "batches", "spends", "recorded"];
    let mut history_ends = false;
    let mut keep = |line: &&str| {
        let Some(table) = line.strip_prefix("INSERT INTO ").and_then(|rest| rest.split(' ').next()) else {
            return true;
        };
        match table {
            // The history is cut at its end only; nothing is missing in its middle.
            "events" => {
                history_ends |= dice.below(4) == 0;
                !history_ends
            }
            other => !may_lack.contains(&other) || dice.below(2) == 0,
        }
    };
    let text = read_file(&fixture(version));
    let some: Vec<&str> = text.lines().filter(|line| keep(line)).collect();
    make_of(version, path, &some.join("\n"));
}

fn make_of(version: usize, path: &Path, text: &str) {
    let connection = Connection::open(path).expect("a file");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
    connection.execute_batch(text).expect("it is recorded whole");
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    assert_eq!(found, version);
}

/// Reads the rows of a journal as they were written, without any code of orch.
#[derive(Debug, Default)]
struct Said {
    tasks: Vec<Value>,
    runs: Vec<Value>,
    events: Vec<Value>,
    messages: Vec<Value>,
    cooldowns: Vec<Value>,
    breakers: Vec<Value>,
    pauses: Vec<Value>,
    service: Vec<Value>,
    jobs: Vec<Value>,
    firings: Vec<Value>,
    batches: Vec<Value>,
    recorded: Vec<Value>,
}

impl Said {
    fn at(path: &Path) -> Self {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a journal");
        let rows = |sql: &str| -> Vec<Value> {
            // A table that this version did not have has no rows.
            let Ok(mut statement) = connection.prepare(sql) else { return Vec::new() };
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
            rows.map(|row| serde_json::from_str(&row.expect("a row")).expect("a document")).collect()
        };
        Self {
            tasks: rows("SELECT data FROM tasks ORDER BY id"),
            runs: rows("SELECT data FROM runs ORDER BY id"),
            events: {
                let columns = "'seq', seq, 'at', at, 'task_id', task_id, 'run_id', run_id, 'kind', kind";
                let of = |said: &str| rows(&format!("SELECT json_object({columns}, {said}) FROM events ORDER BY seq"));
                // Sentences until version 15, facts since.
                let (sentences, facts) = (of("'text', text"), of("'data', json(data)"));
                if facts.is_empty() { sentences } else { facts }
            },
            messages: rows(
                "SELECT json_object('id', id, 'task', task, 'run', run, 'text', text, 'state', state, 'sent_at', sent_at)
                 FROM messages ORDER BY id",
            ),
            cooldowns: rows("SELECT json_object('agent', agent, 'data', json(data)) FROM cooldowns ORDER BY agent"),
            breakers: rows("SELECT data FROM breakers ORDER BY name"),
            pauses: rows("SELECT data FROM pauses ORDER BY scope"),
            service: rows("SELECT data FROM service ORDER BY id"),
            jobs: rows("SELECT data FROM jobs ORDER BY id"),
            firings: rows("SELECT data FROM firings ORDER BY at DESC"),
            batches: rows("SELECT data FROM batches ORDER BY number"),
            recorded: rows(RECORDED),
        }
    }
}

/// Reads the same with the present code.
fn says(journal: &Journal, loaded: &orch_store::journal::Loaded) -> Said {
    let tasks = journal.tasks_after(orch_core::base::ids::TaskId(0), 1000).expect("tasks");
    let of_tasks = || tasks.iter().map(|task| task.id);
    let mut runs: Vec<Value> =
        of_tasks().flat_map(|id| journal.runs_of(id).expect("runs")).map(|run| json_of(&run)).collect();
    runs.sort_by_key(|run| run["id"].to_string());
    let events = journal.entries(0, None, 10_000).expect("the history").into_iter().map(|entry| {
        json!({ "seq": entry.seq, "at": entry.at.as_millisecond(), "task_id": entry.task_id, "run_id": entry.run_id,
                "kind": entry.fact.kind(), "text": entry.fact.text(), "data": entry.fact.data().expect("data") })
    });
    let messages = of_tasks().flat_map(|id| journal.messages_of(id).expect("messages")).map(|message| {
        json!({ "id": message.id, "task": message.task, "run": message.run, "text": message.text,
                "state": message.state.as_str(), "sent_at": message.sent_at.as_millisecond() })
    });
    let cooldowns =
        loaded.cooldowns.iter().map(|(agent, cooldown)| json!({ "agent": agent, "data": json_of(cooldown) }));
    Said {
        events: events.collect(),
        messages: messages.collect(),
        cooldowns: cooldowns.collect(),
        breakers: loaded.breakers.iter().map(json_of).collect(),
        pauses: loaded.pauses.iter().map(json_of).collect(),
        service: journal.service_history(10_000).expect("its lives").iter().map(json_of).collect(),
        jobs: loaded.jobs.iter().map(json_of).collect(),
        firings: journal.firings(None, 1000).expect("firings").iter().map(json_of).collect(),
        batches: {
            let mut batches = journal.ended_batches(1000).expect("batches");
            batches.extend(loaded.batches.iter().cloned());
            batches.sort_by_key(|batch| batch.number);
            batches.iter().map(json_of).collect()
        },
        recorded: journal.samples().expect("samples").into_iter().filter_map(in_words_of_then).collect(),
        tasks: tasks.iter().map(json_of).collect(),
        runs,
    }
}

/// Returns the content of a recorded sample.
const RECORDED: &str =
    "SELECT json_object('type', json_extract(data, '$.task_type'), 'agent', json_extract(data, '$.agent'),
        'model', json_extract(data, '$.model'), 'cost', json_extract(data, '$.cost'),
        'ended_at', json_extract(data, '$.ended_at'), 'by', json_extract(data, '$.by'))
    FROM recorded ORDER BY json_extract(data, '$.ended_at')";

fn in_words_of_then(sample: Sample) -> Option<Value> {
    let Source::Person { by, .. } = sample.source else { return None };
    Some(
        json!({ "type": sample.task_type.to_string(), "agent": sample.agent, "model": sample.model, "cost": sample.cost,
                 "ended_at": sample.ended_at, "by": by }),
    )
}

fn json_of(thing: &impl Stored) -> Value {
    serde_json::from_str(&to_json(thing).expect("it can be written")).expect("JSON")
}

/// Returns whether the new content includes all of the old, unchanged. Additions are allowed; a missing value equals null.
fn lacks(place: &str, then: &Value, now: &Value, found: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(then), Value::Object(_)) => {
            for (key, value) in then {
                lacks(&format!("{place}.{key}"), value, &now[key.as_str()], found);
            }
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            for (at, (then, now)) in then.iter().zip(now).enumerate() {
                lacks(&format!("{place}[{at}]"), then, now, found);
            }
        }
        (Value::Array(then), Value::Null) if then.is_empty() => {}
        (then, now) if then == now => {}
        (then, now) => found.push(format!("{place} was {then} and is {now}")),
    }
}

fn compare(what: &str, then: &Said, now: &Said) -> Vec<String> {
    let mut found = Vec::new();
    let kinds: [(&str, &[Value], &[Value]); 12] = [
        ("tasks", &then.tasks, &now.tasks),
        ("runs", &then.runs, &now.runs),
        ("events", &then.events, &now.events),
        ("messages", &then.messages, &now.messages),
        ("cooldowns", &then.cooldowns, &now.cooldowns),
        ("breakers", &then.breakers, &now.breakers),
        ("pauses", &then.pauses, &now.pauses),
        ("service", &then.service, &now.service),
        ("jobs", &then.jobs, &now.jobs),
        ("firings", &then.firings, &now.firings),
        ("batches", &then.batches, &now.batches),
        ("recorded", &then.recorded, &now.recorded),
    ];
    for (kind, then, now) in kinds {
        lacks(&format!("{what}: {kind}"), &Value::from(then), &Value::from(now), &mut found);
    }
    found
}

/// Opens a journal with the present code twice, and stores every task and run again. Returns what that loses or changes.
pub async fn replay(path: &Path) -> Vec<String> {
    let then = Said::at(path);
    let (journal, loaded) = Journal::open(path).expect("it opens");
    let mut found = compare("opened", &then, &says(&journal, &loaded));
    let tasks = journal.tasks_after(orch_core::base::ids::TaskId(0), 1000).expect("tasks");
    let mut writes = Vec::new();
    for task in tasks {
        let runs = journal.runs_of(task.id).expect("runs");
        writes.extend(runs.into_iter().map(|run| Write::Run(Box::new(run))));
        writes.push(Write::Task(Arc::new(task)));
    }
    journal.commit(writes).await.expect("it can be written");
    found.extend(compare("stored again", &then, &says(&journal, &loaded)));
    journal.leave().await;
    drop(journal);
    let (journal, loaded) = Journal::open(path).expect("it opens again");
    found.extend(compare("opened again", &then, &says(&journal, &loaded)));
    journal.leave().await;
    found
}
