//! Who worked on tasks last: the agent and the model of the last run of work, which may differ from what the route says when a
//! budget runs low, a model is set for a while, or another agent takes over. Everything here blocks.

use super::{Journal, JournalError};
use orch_core::base::ids::TaskId;
use orch_core::economics::track_record::Worker;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::PoisonError;

const LAST: &str = "SELECT json_extract(data, '$.agent'), json_extract(data, '$.model') FROM runs
    WHERE task_id = ?1 AND json_extract(data, '$.kind') = 'work' ORDER BY ordinal DESC LIMIT 1";

impl Journal {
    /// Returns the last workers of those of these tasks that were worked on.
    pub fn last_workers(&self, tasks: &[TaskId]) -> Result<BTreeMap<TaskId, Worker>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let mut statement = reader.prepare_cached(LAST)?;
            let mut found = BTreeMap::new();
            for task in tasks {
                let worker = |row: &rusqlite::Row<'_>| Ok(Worker { agent: row.get(0)?, model: row.get(1)? });
                if let Some(worker) = statement.query_row(params![task.0], worker).optional()? {
                    found.insert(*task, worker);
                }
            }
            Ok(found)
        };
        read().map_err(|source| self.sqlite(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Write;
    use jiff::Timestamp;
    use orch_core::base::ids::RunId;
    use orch_core::tasks::outcome::RunKind;
    use orch_core::tasks::task::Run;

    fn run(task: u64, ordinal: u32, kind: RunKind, model: Option<&str>) -> Write {
        let id = RunId::new(TaskId(task), ordinal, ordinal);
        let run = Run::new(id, TaskId(task), kind, "claude".to_owned(), Timestamp::UNIX_EPOCH);
        Write::Run(Box::new(Run { model: model.map(str::to_owned), ..run }))
    }

    #[tokio::test]
    async fn the_last_run_of_work_tells_and_no_review_or_route_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
        let runs = vec![
            run(1, 1, RunKind::Work, Some("opus")),
            run(1, 2, RunKind::Work, Some("sonnet")),
            run(1, 10, RunKind::Review, Some("haiku")),
            run(2, 3, RunKind::Route, Some("haiku")),
            run(3, 4, RunKind::Work, None),
        ];
        journal.commit(runs).await.expect("written");
        let found = journal.last_workers(&[1, 2, 3, 4].map(TaskId)).expect("reads");
        let worker = |model: Option<&str>| Worker { agent: "claude".to_owned(), model: model.map(str::to_owned) };
        assert_eq!(found, BTreeMap::from([(TaskId(1), worker(Some("sonnet"))), (TaskId(3), worker(None))]));
    }
}
