//! What runs cost, summed where they are stored.

use super::{Journal, JournalError};
use crate::records::from_value;
use crate::spends;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::money::{Spend, Usd};
use orch_core::economics::budget::Record;
use orch_core::economics::cost::Charge;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::Run;
use rusqlite::params;
use std::path::PathBuf;
use std::sync::PoisonError;

/// Prices are stored as dollars; each is rounded to whole micro-dollars before they are added, so that the sum is exact.
const SUM: &str = "SELECT COUNT(*), COUNT(*) - COUNT(json_extract(data, '$.cost')),
        COALESCE(SUM(CAST(ROUND(json_extract(data, '$.cost') * 1000000) AS INTEGER)), 0)
    FROM runs WHERE json_extract(data, '$.ended_at') >= ?1";

/// Over the same index. Times within a second may stand in another order.
const LAST: &str = "SELECT data FROM runs WHERE json_extract(data, '$.ended_at') IS NOT NULL
    ORDER BY json_extract(data, '$.ended_at') DESC LIMIT ?1";

/// Runs with their tasks, as they ended.
const CHARGES: &str = "SELECT runs.task_id, json_extract(tasks.data, '$.spec.title'),
        json_extract(tasks.data, '$.spec.dir'), json_extract(tasks.data, '$.integration.state') = 'merged',
        json_extract(runs.data, '$.agent'), json_extract(runs.data, '$.model'),
        json_extract(runs.data, '$.ended_at'), json_extract(runs.data, '$.cost'),
        json_extract(runs.data, '$.cost_computed'), json_extract(runs.data, '$.kind')
    FROM runs LEFT JOIN tasks ON tasks.id = runs.task_id
    WHERE json_extract(runs.data, '$.ended_at') >= ?1 ORDER BY json_extract(runs.data, '$.ended_at'), runs.task_id, runs.ordinal";

/// Times are stored as text, with as many decimals as they need: without the zone's letter the text of a second
/// precedes that of every time in it.
fn text_of(since: Timestamp) -> String {
    since.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn charge(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Charge>> {
    let ended_at: String = row.get(6)?;
    // What is no time was not written by this program: it is no end.
    let Ok(ended_at) = ended_at.parse() else { return Ok(None) };
    // A kind that this version does not know is no work.
    let kind = from_value(row.get::<_, Option<String>>(9)?.into()).unwrap_or(RunKind::Review);
    Ok(Some(Charge {
        kind,
        task: TaskId(row.get(0)?),
        title: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        project: row.get::<_, Option<String>>(2)?.map(PathBuf::from),
        merged: row.get::<_, Option<bool>>(3)?.unwrap_or(false),
        agent: row.get(4)?,
        model: row.get(5)?,
        ended_at,
        cost: row.get::<_, Option<f64>>(7)?.and_then(Usd::from_dollars),
        computed: row.get::<_, Option<bool>>(8)?.unwrap_or(false),
    }))
}

impl Journal {
    /// What the runs cost that ended at `since` (to the second) or later, in the order of their ends; `None`: all that
    /// ever ended. Blocking.
    pub fn charges_since(&self, since: Option<Timestamp>) -> Result<Vec<Charge>, JournalError> {
        let since = since.map(text_of).unwrap_or_default();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let mut statement = reader.prepare_cached(CHARGES)?;
            let rows = statement.query_map(params![since], charge)?;
            rows.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<Charge>>>()
        };
        let mut charges = read().map_err(|source| self.sqlite(source))?;
        // As texts, times within a second stand in another order.
        charges.sort_by_key(|charge| charge.ended_at);
        Ok(charges)
    }

    /// What a person says was spent beside orch's runs, at `since` or later, in the order of its times. Blocking.
    pub fn spends_since(&self, since: Timestamp) -> Result<Vec<Record>, JournalError> {
        self.rows("spending", spends::SINCE, params![since.as_millisecond()])
    }

    /// The runs that ended last, newest first. Blocking.
    pub fn last_ended(&self, limit: u32) -> Result<Vec<Run>, JournalError> {
        self.rows("run", LAST, params![limit])
    }

    /// What the runs that ended at `since` (to the second) or later cost. Blocking.
    pub fn spent_since(&self, since: Timestamp) -> Result<Spend, JournalError> {
        let since = text_of(since);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Spend { runs: row.get(0)?, unpriced: row.get(1)?, known: Usd::from_micros(row.get(2)?) })
            };
            reader.prepare_cached(SUM)?.query_row(params![since], row)
        };
        read().map_err(|source| self.sqlite(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Write;
    use orch_core::base::ids::{RunId, TaskId};
    use orch_core::tasks::outcome::RunKind;
    use orch_core::tasks::task::Phase;

    fn run(ordinal: u32, ended_at: Option<&str>, dollars: Option<f64>) -> Write {
        let id = RunId::new(TaskId(1), ordinal, ordinal);
        Write::Run(Box::new(Run {
            phase: Phase::Ended,
            ended_at: ended_at.map(|at| at.parse().expect("a time")),
            cost: dollars.and_then(Usd::from_dollars),
            ..Run::new(id, TaskId(1), RunKind::Work, "claude".to_owned(), Timestamp::UNIX_EPOCH)
        }))
    }

    #[tokio::test]
    async fn the_spend_of_a_day_is_exact_and_names_what_has_no_price() {
        let dir = tempfile::tempdir().expect("a directory");
        let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
        let ends = [
            ("2026-08-01T21:59:59.999Z", Some(5.0)),
            ("2026-08-01T22:00:00Z", Some(0.1)),
            ("2026-08-01T22:00:00.5Z", Some(0.2)),
            ("2026-08-02T10:00:00Z", None),
            ("2026-08-02T21:00:00Z", Some(0.000_001)),
        ];
        let mut writes: Vec<Write> =
            ends.iter().zip(1..).map(|((at, cost), ordinal)| run(ordinal, Some(at), *cost)).collect();
        writes.push(run(9, None, None));
        journal.commit(writes).await.expect("written");
        let spend = journal.spent_since("2026-08-01T22:00:00Z".parse().expect("a time")).expect("a sum");
        assert_eq!(spend, Spend { known: Usd::from_micros(300_001), runs: 4, unpriced: 1 });
        let last = journal.last_ended(2).expect("runs");
        assert_eq!(last.iter().filter_map(|run| run.id.ordinal()).collect::<Vec<_>>(), [5, 4]);
        let charges = |since: Option<&str>| {
            let since = since.map(|at| at.parse().expect("a time"));
            journal.charges_since(since).expect("charges").iter().map(|charge| charge.cost).collect::<Vec<_>>()
        };
        let micros = |micros| Some(Usd::from_micros(micros));
        assert_eq!(charges(None), [micros(5_000_000), micros(100_000), micros(200_000), None, micros(1)]);
        assert_eq!(charges(Some("2026-08-02T00:00:00Z")), [None, micros(1)]);
        let later = journal.spent_since("2026-08-03T00:00:00Z".parse().expect("a time")).expect("a sum");
        assert_eq!(later, Spend::default());
    }
}
