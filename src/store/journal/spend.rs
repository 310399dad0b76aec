//! What runs cost, summed where they are stored.

use super::{Journal, JournalError};
use crate::domain::money::{Spend, Usd};
use jiff::Timestamp;
use rusqlite::params;
use std::sync::PoisonError;

/// Prices are stored as dollars; each is rounded to whole micro-dollars before they are added, so that the sum is exact.
const SUM: &str = "SELECT COUNT(*), COUNT(*) - COUNT(json_extract(data, '$.cost')),
        COALESCE(SUM(CAST(ROUND(json_extract(data, '$.cost') * 1000000) AS INTEGER)), 0)
    FROM runs WHERE json_extract(data, '$.ended_at') >= ?1";

impl Journal {
    /// What the runs that ended at `since` (to the second) or later cost. Blocking.
    pub fn spent_since(&self, since: Timestamp) -> Result<Spend, JournalError> {
        // Times are stored as text, with as many decimals as they need: without the zone's letter the text of a second
        // stands before that of every time in it.
        let since = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
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
    use crate::domain::ids::{RunId, TaskId};
    use crate::domain::outcome::{RunKind, Usage};
    use crate::domain::task::{Phase, Run};
    use crate::store::journal::Write;

    fn run(ordinal: u32, ended_at: Option<&str>, dollars: Option<f64>) -> Write {
        Write::Run(Box::new(Run {
            id: RunId::new(TaskId(1), ordinal, ordinal),
            task: TaskId(1),
            kind: RunKind::Work,
            attempt: 1,
            agent: "claude".to_owned(),
            model: None,
            phase: Phase::Ended,
            session_id: None,
            created_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            ended_at: ended_at.map(|at| at.parse().expect("a time")),
            outcome: None,
            cost: dollars.and_then(Usd::from_dollars),
            usage: Usage::default(),
            live: false,
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
        let later = journal.spent_since("2026-08-03T00:00:00Z".parse().expect("a time")).expect("a sum");
        assert_eq!(later, Spend::default());
    }
}
