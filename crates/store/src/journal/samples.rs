//! The runs that were judged, as samples of how agents and models do; and tasks that are like a text.

use super::{Journal, JournalError};
use crate::recorded;
use crate::records::from_json;
use jiff::Timestamp;
use orch_core::audit::history::{ACCEPTED, REVERTED};
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::economics::recorded::Recorded;
use orch_core::economics::track_record::{Sample, Source, Verdict};
use orch_core::tasks::outcome::FailureClass;
use orch_core::tasks::task::Spec;
use orch_core::tasks::task_type::TaskType;
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::PoisonError;

/// Runs of work that have ended and were judged. An agent that asks or goes on later has not been judged, and neither
/// has the one whose work is reviewed now, waits for a person's word, was given up, or was taken back. Accepted is what
/// its task was done with: the last work of a task that is done, or what the history says so of.
fn samples_sql() -> String {
    format!(
        "SELECT runs.id, runs.task_id, json_extract(tasks.data, '$.spec.title'),
        json_extract(tasks.data, '$.spec.type'), json_extract(tasks.data, '$.spec.labels'),
        json_extract(tasks.data, '$.spec.dir'),
        coalesce(json_extract(runs.data, '$.complexity'), json_extract(tasks.data, '$.route.complexity')),
        json_extract(runs.data, '$.agent'), json_extract(runs.data, '$.model'), json_extract(runs.data, '$.attempt'),
        json_extract(runs.data, '$.started_at'), json_extract(runs.data, '$.ended_at'),
        json_extract(runs.data, '$.cost'), json_extract(runs.data, '$.outcome.class'),
        json_extract(runs.data, '$.answered_by')
    FROM runs JOIN tasks ON tasks.id = runs.task_id
    WHERE json_extract(runs.data, '$.kind') = 'work' AND json_extract(runs.data, '$.ended_at') IS NOT NULL
        AND (json_extract(runs.data, '$.outcome.state') = 'failed'
            OR json_extract(runs.data, '$.outcome.answer.status') = 'done'
                AND (json_extract(tasks.data, '$.state.status') = 'done'
                    AND NOT EXISTS (SELECT 1 FROM runs AS later WHERE later.task_id = runs.task_id
                        AND later.ordinal > runs.ordinal AND json_extract(later.data, '$.kind') = 'work')
                OR EXISTS (SELECT 1 FROM events WHERE events.task_id = runs.task_id AND events.run_id = runs.id
                        AND events.kind = '{ACCEPTED}')
                    AND NOT EXISTS (SELECT 1 FROM events WHERE events.task_id = runs.task_id
                        AND events.run_id = runs.id AND events.kind = '{REVERTED}')))
        AND NOT (json_extract(tasks.data, '$.state.status') = 'in_review'
            AND json_extract(tasks.data, '$.state.run') = runs.id)
    ORDER BY json_extract(runs.data, '$.ended_at'), runs.task_id, runs.ordinal"
    )
}

fn sample(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Sample>> {
    let time =
        |at: usize| row.get::<_, Option<String>>(at).map(|text| text.and_then(|text| text.parse::<Timestamp>().ok()));
    // What this orch cannot read was written by another one: it is no sample here.
    let (Ok(run), Some(ended_at)) = (row.get::<_, String>(0)?.parse(), time(11)?) else { return Ok(None) };
    let class: Option<String> = row.get(13)?;
    let failure = class.as_deref().map(|name| FailureClass::ALL.iter().copied().find(|class| class.as_str() == name));
    let failure = match failure {
        Some(None) => return Ok(None),
        Some(Some(class)) if !Sample::is_informative(class) => return Ok(None),
        Some(known) => known,
        None => None,
    };
    let labels: Option<String> = row.get(4)?;
    let labels: Vec<String> = labels.and_then(|text| from_json(&text).ok()).unwrap_or_default();
    let spec = Spec { kind: row.get(3)?, labels, ..Spec::default() };
    Ok(Some(Sample {
        source: Source::Run { task: TaskId(row.get(1)?), run, attempt: row.get::<_, Option<u32>>(9)?.unwrap_or(1) },
        title: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        task_type: TaskType::from_spec(&spec),
        labels: spec.labels,
        project: row.get::<_, Option<String>>(5)?.map(PathBuf::from),
        complexity: row.get::<_, Option<String>>(6)?.and_then(|word| word.parse().ok()),
        agent: row.get(7)?,
        model: row.get(8)?,
        version: row.get(14)?,
        took: time(10)?.map(|started| ended_at.duration_since(started)),
        ended_at,
        cost: row.get::<_, Option<f64>>(12)?.and_then(Usd::from_dollars),
        verdict: failure.map_or(Verdict::Accepted, |class| Verdict::Failed(Some(class))),
    }))
}

/// The length of the beginning of a task's text, in characters, which says what the task is about.
const GIST: u32 = 1000;
/// The most words of a text that are searched for.
const WORDS: usize = 40;
/// Shorter ones stand everywhere.
const SHORTEST: usize = 3;

const INDEX: &str = "CREATE VIRTUAL TABLE past USING fts5(title, body, content='', tokenize='porter unicode61')";
const GISTS: &str = "SELECT id, json_extract(data, '$.spec.title'), substr(json_extract(data, '$.spec.body'), 1, ?1)
    FROM tasks";
const ADD: &str = "INSERT INTO past (rowid, title, body) VALUES (?1, ?2, ?3)";
/// A word of the title says more than one of the text.
const LIKE: &str = "SELECT rowid FROM past WHERE past MATCH ?1 ORDER BY bm25(past, 4.0, 1.0), rowid DESC LIMIT ?2";

/// The query: any of the words, none of which is an operator of the index.
fn any_of(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= SHORTEST);
    let words: BTreeSet<String> = words.take(WORDS).map(|word| format!("\"{}\"", word.to_lowercase())).collect();
    (!words.is_empty()).then(|| words.into_iter().collect::<Vec<_>>().join(" OR "))
}

impl Journal {
    /// The tasks whose title and text are most like `text`, the likest first. The index is made anew each time: it is
    /// asked for by hand, and nothing can go out of step. Blocking.
    pub fn tasks_like(&self, text: &str, limit: u32) -> Result<Vec<TaskId>, JournalError> {
        let Some(wanted) = any_of(text) else { return Ok(Vec::new()) };
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let index = Connection::open_in_memory()?;
            index.execute_batch(INDEX)?;
            let mut gists = reader.prepare_cached(GISTS)?;
            let mut gists = gists.query(params![GIST])?;
            let mut add = index.prepare(ADD)?;
            while let Some(row) = gists.next()? {
                let (title, body): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
                add.execute(params![row.get::<_, i64>(0)?, title, body])?;
            }
            let mut found = index.prepare(LIKE)?;
            let found = found.query_map(params![wanted, limit], |row| row.get(0).map(TaskId))?;
            found.collect::<rusqlite::Result<Vec<TaskId>>>()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// All samples, those that a person recorded among them, in the order in which the work ended. Blocking.
    pub fn samples(&self) -> Result<Vec<Sample>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        all(&reader).map_err(|source| self.sqlite(source))
    }
}

fn all(reader: &Connection) -> rusqlite::Result<Vec<Sample>> {
    let mut statement = reader.prepare_cached(&samples_sql())?;
    let rows = statement.query_map([], sample)?;
    let mut samples = rows.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<Sample>>>()?;
    let mut statement = reader.prepare_cached(recorded::ALL)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    for data in rows {
        // The same as above: what does not read is no sample here.
        samples.extend(from_json::<Recorded>(&data?).map(Sample::from));
    }
    // As texts, times within a second stand in another order.
    samples.sort_by_key(|sample| sample.ended_at);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Entry, Write};
    use orch_core::audit::actor::Actor;
    use orch_core::audit::history::{IntegrationFact, Landing};
    use orch_core::base::ids::RunId;
    use orch_core::tasks::answer::{Answer, AnswerStatus};
    use orch_core::tasks::outcome::{Failure, Outcome, RunKind};
    use orch_core::tasks::question::QuestionKind;
    use orch_core::tasks::route::{AgentProfile, Complexity, RouteResult};
    use orch_core::tasks::task::{FileState, Phase, ReviewStage, Run, State, Task};
    use std::sync::Arc;

    fn task(id: u64, title: &str, body: &str, state: State) -> Write {
        let spec = Spec {
            title: title.to_owned(),
            body: body.to_owned(),
            labels: vec!["type:docs".to_owned(), "api".to_owned()],
            ..Spec::default()
        };
        let task = Task::new(TaskId(id), spec, FileState::default(), Timestamp::UNIX_EPOCH);
        Write::Task(Arc::new(Task { state, ..task }))
    }

    fn run(task: u64, ordinal: u32, kind: RunKind, outcome: Outcome) -> Run {
        Run {
            phase: Phase::Ended,
            started_at: Some(Timestamp::from_second(100).expect("a time")),
            ended_at: Some(Timestamp::from_second(100 + i64::from(ordinal)).expect("a time")),
            outcome: Some(outcome),
            ..Run::new(
                RunId::new(TaskId(task), ordinal, ordinal),
                TaskId(task),
                kind,
                "claude".to_owned(),
                Timestamp::UNIX_EPOCH,
            )
        }
    }

    fn said(status: AnswerStatus) -> Outcome {
        let text = serde_json::json!({ "status": status, "summary": "so" }).to_string();
        Outcome::Finished { answer: Answer::parse(None, Some(&text)).expect("an answer") }
    }

    fn failed(class: FailureClass) -> Outcome {
        Outcome::Failed(Failure::new(class, "so"))
    }

    fn ordinal_of(sample: &Sample) -> Option<u32> {
        match &sample.source {
            Source::Run { run, .. } => run.ordinal(),
            Source::Person { .. } => None,
        }
    }

    #[tokio::test]
    async fn a_sample_is_a_run_of_work_that_was_judged() {
        let dir = tempfile::tempdir().expect("a directory");
        let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
        let runs = vec![
            run(1, 1, RunKind::Route, said(AnswerStatus::Done)),
            run(1, 2, RunKind::Work, failed(FailureClass::RateLimited)),
            run(1, 3, RunKind::Work, failed(FailureClass::ChecksFailed)),
            run(1, 4, RunKind::Work, said(AnswerStatus::Blocked)),
            run(1, 5, RunKind::Work, Outcome::Cancelled { detail: "stopped".to_owned() }),
            run(1, 6, RunKind::Work, said(AnswerStatus::Done)),
            run(2, 7, RunKind::Work, said(AnswerStatus::Done)),
        ];
        let looked_at = State::InReview { run: runs[6].id.clone(), review: ReviewStage::Judging };
        let tasks = [task(1, "One", "", State::Done), task(2, "Two", "", looked_at)];
        let writes = tasks.into_iter().chain(runs.into_iter().map(|run| Write::Run(Box::new(run))));
        journal.commit(writes.collect()).await.expect("written");
        let samples = journal.samples().expect("samples");
        let failures: Vec<_> = samples.iter().map(|sample| (ordinal_of(sample), sample.failure())).collect();
        assert_eq!(
            failures,
            [(Some(3), Some(FailureClass::ChecksFailed)), (Some(6), None)],
            "the second task's is judged now"
        );
        let first = &samples[0];
        assert_eq!((first.title.as_str(), first.task_type.clone()), ("One", TaskType::Docs));
        assert_eq!(first.labels, ["type:docs", "api"]);
        assert_eq!(first.took.map(|took| took.as_secs()), Some(3));
    }

    #[tokio::test]
    async fn what_nobody_has_accepted_yet_is_no_sample() {
        let dir = tempfile::tempdir().expect("a directory");
        let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
        let asks =
            State::NeedsReview { kind: QuestionKind::Question, question: "Good?".to_owned(), choices: Vec::new() };
        let given_up = || State::Cancelled { reason: "no".to_owned() };
        let tasks = [
            task(1, "It waits for a yes", "", asks.clone()),
            task(2, "It was given up", "", given_up()),
            task(3, "It was accepted and is done again", "", given_up()),
            task(4, "The first go waited for a person, the second was accepted", "", State::Done),
            task(5, "It was merged and taken back", "", asks),
        ];
        let runs = [(1, 1), (2, 2), (3, 3), (4, 4), (4, 5), (5, 6)];
        let runs = runs.map(|(task, ordinal)| run(task, ordinal, RunKind::Work, said(AnswerStatus::Done)));
        let note = |seq: u64, of: &Run, fact: IntegrationFact| {
            let (at, task_id, run_id) = (Timestamp::UNIX_EPOCH, Some(of.task), Some(of.id.clone()));
            Write::Entry(Entry { seq, at, task_id, run_id, actor: Actor::Orch, fact: fact.into() })
        };
        let done = || IntegrationFact::Done(Landing::Kept { commit: None });
        let history = vec![
            note(1, &runs[2], done()),
            note(2, &runs[4], done()),
            note(3, &runs[5], done()),
            note(4, &runs[5], IntegrationFact::Reverted { commit: None }),
        ];
        let writes = tasks.into_iter().chain(runs.map(|run| Write::Run(Box::new(run)))).chain(history);
        journal.commit(writes.collect()).await.expect("written");
        let samples = journal.samples().expect("samples");
        let verdicts: Vec<_> = samples.iter().map(|sample| (ordinal_of(sample), sample.verdict)).collect();
        assert_eq!(verdicts, [(Some(3), Verdict::Accepted), (Some(5), Verdict::Accepted)]);
    }

    #[tokio::test]
    async fn a_run_stays_as_hard_as_it_was_when_its_task_is_routed_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
        let route = RouteResult {
            agent: "claude".to_owned(),
            model: None,
            complexity: Complexity::Complex,
            reason: String::new(),
            profile: AgentProfile::default(),
            selected_skills: Vec::new(),
            warning: None,
        };
        let routed = |id: u64| {
            let Write::Task(task) = task(id, "One", "", State::Done) else { panic!("a task") };
            Write::Task(Arc::new(Task { route: Some(Box::new(route.clone())), ..Task::clone(&task) }))
        };
        let old = run(1, 1, RunKind::Work, said(AnswerStatus::Done));
        let own = Run { complexity: Some(Complexity::Simple), ..run(2, 2, RunKind::Work, said(AnswerStatus::Done)) };
        let runs = [old, own].map(|run| Write::Run(Box::new(run)));
        journal.commit([routed(1), routed(2)].into_iter().chain(runs).collect()).await.expect("written");
        let complexities: Vec<_> =
            journal.samples().expect("samples").into_iter().map(|sample| sample.complexity).collect();
        assert_eq!(
            complexities,
            [Some(Complexity::Complex), Some(Complexity::Simple)],
            "a run of before goes by its task"
        );
    }

    #[tokio::test]
    async fn what_a_person_recorded_is_a_sample_among_the_others_by_its_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        let (journal, _) = Journal::open(&path).expect("a journal");
        let recorded = |number: u64, second: i64| Recorded {
            number,
            task_type: "fix".to_owned(),
            agent: "claude".to_owned(),
            model: "sonnet".to_owned(),
            accepted: number == 1,
            complexity: None,
            project: None,
            cost: Usd::from_dollars(0.25),
            seconds: None,
            ended_at: Timestamp::from_second(second).expect("a time"),
            recorded_at: Timestamp::from_second(500).expect("a time"),
            by: "ada".to_owned(),
            note: String::new(),
        };
        let done = run(1, 1, RunKind::Work, said(AnswerStatus::Done));
        let mut writes = vec![task(1, "One", "", State::Done), Write::Run(Box::new(done))];
        writes.extend([recorded(1, 50), recorded(2, 200)].map(|one| Write::Recorded(Box::new(one))));
        journal.commit(writes).await.expect("written");
        let read = |journal: &Journal| -> Vec<_> {
            let samples = journal.samples().expect("samples");
            samples.iter().map(|sample| (sample.source.as_str(), sample.is_accepted())).collect()
        };
        let expected = [("person", true), ("run", true), ("person", false)];
        assert_eq!(read(&journal), expected);
        journal.leave().await;
        drop(journal);
        let (journal, loaded) = Journal::open(&path).expect("it opens again");
        assert_eq!((read(&journal).as_slice(), loaded.last_recorded), (expected.as_slice(), 2));
    }

    #[tokio::test]
    async fn the_likest_task_comes_first_and_no_word_is_an_order_to_the_index() {
        let dir = tempfile::tempdir().expect("a directory");
        let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
        let tasks = vec![
            task(1, "Rename the config module", "", State::Done),
            task(2, "Add a flag", "It renames modules when asked", State::Done),
            task(3, "Write the changelog", "", State::NEW),
        ];
        journal.commit(tasks).await.expect("written");
        let like = |text: &str| {
            let found = journal.tasks_like(text, 10).expect("an answer");
            found.into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(like("renaming of modules"), [1, 2]);
        assert_eq!(like("changelog"), [3]);
        for odd in ["", "a b c", "NEAR(\"x\" *) AND title:", "\"\"\"", "*", "💥"] {
            assert!(like(odd).len() <= 1, "{odd:?}");
        }
        assert_eq!(journal.tasks_like("rename module", 1).expect("an answer").len(), 1);
    }
}
