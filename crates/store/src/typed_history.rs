//! The history as facts: since version 16 a line has data in place of a sentence. Here, and nowhere else, sentences of
//! before are read: what reads back as the same sentence becomes a fact. The rest stays a sentence ([`Fact::Untyped`]):
//! lines that mix an agent's words with orch's (`run_ended`, `judged`, `reviewed`), and those whose numbers and names cannot be
//! told from the words around them (edits, messages, money, batches, jobs, breakers, removed worktrees).

use orch_core::audit::history::{Beginning, Fact, IntegrationFact, Landing, RouteFact, RunFact, Standing, TaskFact};
use orch_core::tasks::task::Status;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

/// The step of the migrations that makes facts of sentences. The sum of a line covers its data from now on; a line that was
/// not whole before keeps a sum that does not fit.
pub(super) const CREATE: &str = "
    ALTER TABLE events ADD COLUMN v INTEGER NOT NULL DEFAULT 0;
    UPDATE events SET v = fact_version(kind, text), text = fact_data(kind, text), sum = CASE
        WHEN sum = row_sum(seq, at, task_id, run_id, kind, text, actor)
        THEN row_sum(seq, at, task_id, run_id, kind, fact_data(kind, text), fact_version(kind, text), actor)
        ELSE sum END;
    ALTER TABLE events RENAME COLUMN text TO data;
";

/// Makes `fact_data(kind, text)` and `fact_version(kind, text)` known to a connection that migrates.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("fact_data", 2, flags, |row| {
        let data = fact_of(row)?.data().map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
        Ok(data.to_string())
    })?;
    connection.create_scalar_function("fact_version", 2, flags, |row| Ok(fact_of(row)?.version()))
}

fn fact_of(row: &Context<'_>) -> rusqlite::Result<Fact> {
    let word = |at: usize| row.get_raw(at).as_bytes().map(String::from_utf8_lossy);
    let (kind, text) = (word(0)?, word(1)?);
    let typed = from_sentence(&kind, &text).filter(|fact| fact.kind() == kind && fact.text() == text);
    Ok(typed.unwrap_or_else(|| Fact::Untyped { kind: kind.into_owned(), text: text.into_owned() }))
}

/// Reads the fact out of an old sentence. The caller compares: a fact that makes another sentence is none.
fn from_sentence(kind: &str, text: &str) -> Option<Fact> {
    let own = || text.to_owned();
    let then = || standing(text);
    Some(match kind {
        "task_added" => added(text).into(),
        "task_made" => TaskFact::Made { title: own(), part_of: None }.into(),
        "task_removed" => TaskFact::Removed.into(),
        "conversation_left" => TaskFact::ConversationLeft.into(),
        "cancel_asked" => TaskFact::CancelAsked { reason: own() }.into(),
        "run_asked" => TaskFact::RunAsked { past_pause: text.ends_with("paused or not") }.into(),
        "interrupt_asked" => TaskFact::InterruptAsked.into(),
        "shutdown_asked" => TaskFact::ShutdownAsked.into(),
        "unblocked" => TaskFact::Unblocked.into(),
        "journal_doubt" => TaskFact::JournalDoubt { question: own() }.into(),
        "route_asked" => RouteFact::Asked.into(),
        "route_impossible" => RouteFact::Impossible { reason: own() }.into(),
        "model_refused" => RouteFact::ModelRefused { reason: own() }.into(),
        "run_launched" => launched(text)?.into(),
        "launch_failed" => RunFact::LaunchFailed { then: then()? }.into(),
        "not_judged" => RunFact::NotJudged { then: then()? }.into(),
        "run_warning" => RunFact::Warned { warning: own() }.into(),
        "done" => done(text)?.into(),
        _ => return None,
    })
}

fn added(text: &str) -> TaskFact {
    let over = [Status::Done, Status::Cancelled].into_iter().find_map(|status| {
        let end = format!(" (it was written as {}: it is not run)", status.as_str());
        Some((text.strip_suffix(&end)?, status))
    });
    match over {
        Some((title, status)) => TaskFact::Added { title: title.to_owned(), over: Some(status) },
        None => TaskFact::Added { title: text.to_owned(), over: None },
    }
}

fn launched(text: &str) -> Option<RunFact> {
    let (attempt, rest) = text.strip_prefix("attempt ")?.split_once(' ')?;
    let from = match rest {
        "begins" => Beginning::Prompt,
        "goes on with what became of its parts" => Beginning::Parts,
        _ => Beginning::Shutdown,
    };
    Some(RunFact::Launched { attempt: attempt.parse().ok()?, from })
}

fn done(text: &str) -> Option<IntegrationFact> {
    let commit = |word: &str| Some(word.to_owned()).filter(|word| word != "nothing");
    if let Some(kept) = text.strip_suffix(" is kept on its branch") {
        return Some(IntegrationFact::Done(Landing::Kept { commit: commit(kept) }));
    }
    let (base, merged) = text.strip_prefix("merged")?.rsplit_once(" as ")?;
    let base = base.strip_prefix(" into ").map(str::to_owned);
    Some(IntegrationFact::Done(Landing::Merged { commit: commit(merged), base }))
}

fn standing(text: &str) -> Option<Standing> {
    if let Some(question) = text.strip_prefix("needs_review: ") {
        return Some(Standing::Asks { question: question.to_owned() });
    }
    if let Some(reason) = text.strip_prefix("cancelled: ") {
        return Some(Standing::Cancelled { reason: reason.to_owned() });
    }
    Status::ALL.into_iter().find(|status| status.as_str() == text).map(|status| Standing::Is { status })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(kind: &str, text: &str) -> Option<Fact> {
        from_sentence(kind, text).filter(|fact| fact.kind() == kind && fact.text() == text)
    }

    #[test]
    fn a_sentence_that_reads_back_becomes_a_fact_and_another_stays_as_it_is() {
        for (kind, text) in [
            ("task_added", "Fix the parser"),
            ("task_added", "Fix it (it was written as done: it is not run)"),
            ("run_launched", "attempt 2 begins"),
            ("run_launched", "attempt 2 goes on where the shutdown of orch interrupted it"),
            ("done", "0123456789 is kept on its branch"),
            ("done", "merged into main as 0123456789"),
            ("launch_failed", "needs_review: Which way?"),
            ("not_judged", "in_review"),
            ("cancel_asked", "cancelled by a person"),
        ] {
            assert!(typed(kind, text).is_some(), "{kind} {text}");
        }
        for (kind, text) in
            [("done", "made it"), ("run_launched", "attempt x"), ("run_ended", "finished"), ("odd", "x")]
        {
            assert_eq!(typed(kind, text), None, "{kind} {text}");
        }
        let question = typed("launch_failed", "needs_review: Which way?").expect("a fact");
        assert_eq!(question.question(), Some("Which way?"));
    }
}
