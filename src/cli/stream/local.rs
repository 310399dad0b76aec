//! Streams without a daemon: the runner continues by itself, and its files are enough.

use super::{Ended, Place, Watch};
use crate::cli::error::CliError;
use crate::cli::task::settle::started;
use orch_api::endpoint;
use orch_api::rest::rest;
use orch_api::stream::{Cursor, RunNote, StreamEvent};
use orch_api::types::{RunView, TaskView};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::task::Status;
use orch_stream::{Delivery, Hub, RunFiles, Start};
use std::path::{Path, PathBuf};

/// Follows the newest run to its end.
pub async fn follow(watch: &mut Watch<'_>, id: TaskId) -> Result<Ended, CliError> {
    if let Some(run) = watch.cursor.as_ref().map(|cursor| cursor.run.clone()) {
        // The end was shown. Watchers that look for a judge in engines of their own would keep the next daemon out.
        if watch.over.contains(&run) {
            return Ok(Ended::Unjudged);
        }
        let dir = watch.context.setup()?.home.run(&run);
        // The run is known already: no engine is needed, and many watchers would keep the next daemon from its lock.
        if dir.is_dir() && !files(watch, id, &run, dir.clone()).is_over() {
            output(watch, id, &run, dir).await?;
            return Ok(Ended::Unjudged);
        }
    }
    let mut link = watch.context.link().await?;
    let task = link.call(&endpoint::TaskShow { id }).await?;
    // The files need no engine, and a daemon may want to start.
    link.close().await?;
    let run = match &watch.cursor {
        Some(cursor) => started(&task).find(|run| run.run_id == cursor.run).or_else(|| started(&task).last()),
        None => started(&task).last(),
    };
    let Some(run) = run.cloned() else {
        if matches!(task.status, Status::Done | Status::NeedsReview | Status::Cancelled) {
            return Ok(Ended::Settled(Box::new(task)));
        }
        let because = task.hold.as_ref().map_or_else(|| "nothing runs".to_owned(), |hold| hold.detail.clone());
        watch.take(StreamEvent::Waiting { task_id: id, because }).await?;
        return Ok(Ended::Waiting);
    };
    let dir = run.transcript.parent().unwrap_or(&run.transcript).to_owned();
    if watch.cursor.is_none() {
        let begins = files(watch, id, &run.run_id, dir.clone()).place(start(watch, &run.run_id));
        let offset = begins.map_err(|source| unreadable(&dir, source))?;
        watch.take(StreamEvent::Run(note(&task, &run, offset))).await?;
    }
    output(watch, id, &run.run_id, dir).await?;
    Ok(match rest(&task, watch.context.now().at) {
        Some(_) if run.outcome.is_some() => Ended::Settled(Box::new(task)),
        Some(_) | None => Ended::Unjudged,
    })
}

fn note(task: &TaskView, run: &RunView, offset: u64) -> RunNote {
    RunNote {
        task_id: task.id,
        title: task.title.clone(),
        run_id: run.run_id.clone(),
        attempt: run.attempt,
        agent: run.agent.clone(),
        model: run.model.clone(),
        offset,
    }
}

fn files(watch: &Watch<'_>, id: TaskId, run: &RunId, dir: PathBuf) -> RunFiles {
    RunFiles::new(id, run.clone(), dir, watch.part)
}

fn start(watch: &Watch<'_>, run: &RunId) -> Start {
    match (&watch.cursor, watch.place) {
        (Some(Cursor { run: seen, offset }), _) if seen == run => Start::Offset(*offset),
        (Some(_), _) => Start::Offset(0),
        (None, Place::Offset(offset)) => Start::Offset(offset),
        (None, Place::Tail(lines)) => Start::Tail(lines),
        (None, Place::Since(at)) => Start::Since(at),
    }
}

fn unreadable(dir: &Path, source: std::io::Error) -> CliError {
    CliError::System { what: format!("cannot read {}", dir.display()), source }
}

async fn output(watch: &mut Watch<'_>, id: TaskId, run: &RunId, dir: PathBuf) -> Result<(), CliError> {
    let failed = |source| unreadable(&dir, source);
    let (files, start) = (files(watch, id, run, dir.clone()), start(watch, run));
    watch.was_live |= !files.is_over();
    let mut watched = Hub::default().subscribe(&files, start).map_err(failed)?;
    while let Some(delivery) = watched.next().await.map_err(failed)? {
        let run_id = run.clone();
        let event = match delivery {
            Delivery::Output(chunk) => StreamEvent::Output((&*chunk).into()),
            Delivery::Lagged { from, to } => StreamEvent::Lagged { run_id, from, to },
            Delivery::Cut { offset } => StreamEvent::Cut { run_id, offset },
        };
        watch.take(event).await?;
    }
    Ok(())
}
