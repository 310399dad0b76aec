//! One change, written into the tables it belongs to. Inside the writer's transaction; knows no rules.

use super::{Entry, Project, Write, settled};
use crate::records::{Stored, to_json};
use crate::{batches, breakers, jobs, key_value, messages, outbox, recorded, spends, switches};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::KEPT;
use orch_core::notices::outbox::KeyValue;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::task::{Phase, Run, Task};
use rusqlite::{Connection, params};

/// Why a change could not be written.
pub(super) enum PutError {
    Sqlite(rusqlite::Error),
    /// It has no stored form; what it is.
    Json(&'static str, serde_json::Error),
}

impl From<rusqlite::Error> for PutError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

pub(super) fn put(connection: &Connection, write: &Write) -> Result<(), PutError> {
    match write {
        Write::Task(task) => put_task(connection, task),
        Write::Run(run) => put_run(connection, run),
        Write::Entry(entry) => put_entry(connection, entry),
        Write::Project(project) => Ok(put_project(connection, project)?),
        Write::Unregister(dir) => {
            let mut statement = connection.prepare_cached("DELETE FROM projects WHERE dir = ?1")?;
            statement.execute(params![dir.to_string_lossy()])?;
            Ok(())
        }
        Write::Cooldown(agent, cooldown) => put_cooldown(connection, agent, cooldown.as_ref()),
        Write::Breaker(name, breaker) => {
            let data = breaker.as_ref().map(|breaker| json("breaker", breaker)).transpose()?;
            Ok(breakers::put(connection, name, data.as_deref())?)
        }
        Write::Message(message) => Ok(messages::put(connection, message)?),
        Write::Pause(scope, pause) => {
            let data = pause.as_ref().map(|pause| json("pause", pause)).transpose()?;
            Ok(switches::put_pause(connection, scope, data.as_deref())?)
        }
        Write::Service(entry) => Ok(switches::put_service(connection, &json("start or end", entry)?)?),
        Write::Job(id, record) => {
            let data = record.as_ref().map(|record| json("job", &**record)).transpose()?;
            Ok(jobs::put(connection, id, data.as_deref())?)
        }
        Write::Firing(firing) => Ok(jobs::put_firing(connection, firing, &json("firing", firing)?)?),
        Write::Batch(batch) => Ok(batches::put(connection, batch, &json("batch", &**batch)?)?),
        Write::Spend(record) => Ok(spends::put(connection, record, &json("spending", record)?)?),
        Write::Recorded(sample) => Ok(recorded::put(connection, sample, &json("recorded sample", &**sample)?)?),
        Write::Kept(kept) => Ok(put_kept(connection, kept)?),
        Write::OutboxItem(id, item) => {
            let data = item.as_ref().map(|item| json("notice", &**item)).transpose()?;
            let row = item.as_ref().zip(data.as_deref());
            let row = row.map(|(item, data)| (item.channel.as_str(), item.state.as_str(), data));
            Ok(outbox::put(connection, *id, row)?)
        }
        Write::Answered(key, answered) => {
            let before = answered.at.saturating_sub(KEPT).unwrap_or(answered.at);
            connection
                .prepare_cached("DELETE FROM meta WHERE key LIKE 'request/%' AND json_extract(value, '$.at') < ?1")?
                .execute(params![before.to_string()])?;
            put_meta(connection, &format!("request/{key}"), "answer to a request", Some(&**answered))
        }
        Write::Agreed(agreed) => put_meta(connection, "agreed", "content of tasks.yml", agreed.as_ref()),
        Write::Missing(missing) => {
            let missing = Some(missing).filter(|missing| !missing.is_empty());
            put_meta(connection, "lacking", "tasks that tasks.yml lacks", missing)
        }
    }
}

fn json<T: Stored>(what: &'static str, value: &T) -> Result<String, PutError> {
    to_json(value).map_err(|error| PutError::Json(what, error))
}

fn put_task(connection: &Connection, task: &Task) -> Result<(), PutError> {
    let data = json("task", task)?;
    connection
        .prepare_cached(
            "INSERT INTO tasks (id, data, settled, sum) VALUES (?1, ?2, ?3, row_sum(?1, ?2))
             ON CONFLICT (id) DO UPDATE SET data = excluded.data, settled = excluded.settled, sum = excluded.sum",
        )?
        .execute(params![task.id.0, data, task.is_settled()])?;
    settled::put(connection, task)?;
    connection
        .prepare_cached(
            "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE key = 'last_task_id' AND CAST(value AS INTEGER) < ?1",
        )?
        .execute(params![task.id.0])?;
    Ok(())
}

fn put_run(connection: &Connection, run: &Run) -> Result<(), PutError> {
    let data = json("run", run)?;
    let ordinal: u32 = run.id.as_str().split('-').nth(1).and_then(|t| t.parse().ok()).unwrap_or(0);
    connection
        .prepare_cached(
            "INSERT INTO runs (id, task_id, ordinal, live, data, sum) VALUES (?1, ?2, ?3, ?4, ?5, row_sum(?1, ?2, ?3, ?5))
             ON CONFLICT (id) DO UPDATE SET live = excluded.live, data = excluded.data, sum = excluded.sum",
        )?
        .execute(params![run.id.as_str(), run.task.0, ordinal, run.phase != Phase::Ended, data])?;
    Ok(())
}

fn put_entry(connection: &Connection, entry: &Entry) -> Result<(), PutError> {
    let what = "line of the history";
    let data = json(what, &entry.fact.data().map_err(|error| PutError::Json(what, error))?)?;
    connection
        .prepare_cached(
            "INSERT INTO events (seq, at, task_id, run_id, kind, data, v, actor, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8))",
        )?
        .execute(params![
            entry.seq,
            entry.at.as_millisecond(),
            entry.task_id.map(|TaskId(id)| id),
            entry.run_id.as_ref().map(RunId::as_str),
            entry.fact.kind(),
            data,
            entry.fact.version(),
            entry.actor.to_string()
        ])?;
    Ok(())
}

fn put_project(connection: &Connection, project: &Project) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO projects (dir, name, approved, created_at, sum)
             VALUES (?1, ?2, ?3, (SELECT COUNT(*) FROM projects), row_sum(?1, ?2, ?3))
             ON CONFLICT (dir) DO UPDATE SET name = excluded.name, approved = excluded.approved, sum = excluded.sum",
        )?
        .execute(params![project.dir.to_string_lossy(), project.name, project.approved])?;
    Ok(())
}

fn put_cooldown(connection: &Connection, agent: &str, cooldown: Option<&Cooldown>) -> Result<(), PutError> {
    let Some(cooldown) = cooldown else {
        connection.prepare_cached("DELETE FROM cooldowns WHERE agent = ?1")?.execute(params![agent])?;
        return Ok(());
    };
    let data = json("cooldown", cooldown)?;
    connection
        .prepare_cached(
            "INSERT INTO cooldowns (agent, data, sum) VALUES (?1, ?2, row_sum(?1, ?2))
             ON CONFLICT (agent) DO UPDATE SET data = excluded.data, sum = excluded.sum",
        )?
        .execute(params![agent, data])?;
    Ok(())
}

fn put_kept(connection: &Connection, change: &KeyValue) -> rusqlite::Result<()> {
    match change {
        KeyValue::Value { channel, key, value, at } => {
            key_value::put(connection, channel.as_str(), key, value.as_deref(), *at)
        }
        KeyValue::Forget { channel, prefix, before } => {
            key_value::forget(connection, channel.as_str(), prefix, *before)
        }
    }
}

/// `what`: what the value is, for the message that it cannot be stored.
fn put_meta<T: Stored>(
    connection: &Connection,
    key: &str,
    what: &'static str,
    value: Option<&T>,
) -> Result<(), PutError> {
    let Some(value) = value else {
        connection.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute(params![key])?;
        return Ok(());
    };
    let data = json(what, value)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, data])?;
    Ok(())
}
