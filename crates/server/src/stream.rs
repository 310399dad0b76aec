//! The output of one task, run after run, as server-sent events: what there is already, then what comes, until the task
//! is at rest. And that of all running tasks at once. The events are those of [`orch_api::stream`].

use super::ApiState;
use super::error::ApiError;
use super::read::{Params, Segment};
use super::sse::sse;
use super::tasks::snapshot;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::stream::{self, BoxStream, SelectAll, Stream, StreamExt};
use orch_api::error::ErrorCode;
use orch_api::queries::StreamQuery;
use orch_api::rest::rest;
use orch_api::stream::{Cursor, RunNote, StreamEvent};
use orch_api::types::TaskView;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Run, Status};
use orch_core::text::output::Part;
use orch_engine::handle::Entry;
use orch_stream::{Delivery, Start, Subscription};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// The longest time for which a change without an entry of the history goes unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The number of consecutive attempts to read output before the rest of it is given up.
const TRIES: u32 = 5;

fn start(wanted: &StreamQuery) -> Start {
    match (wanted.from, wanted.tail, wanted.since) {
        (Some(offset), _, _) => Start::Offset(offset),
        (None, Some(lines), _) => Start::Tail(lines),
        (None, None, Some(since)) => Start::Since(since),
        (None, None, None) => Start::Offset(0),
    }
}

/// A stream of one task.
struct TaskStream {
    state: ApiState,
    task: TaskId,
    part: Part,
    feed: broadcast::Receiver<Entry>,
    /// The start in the first run; later runs are sent from their beginning.
    first: Option<Start>,
    /// The run to resume with, or the only one wanted.
    wanted: Option<RunId>,
    /// Nothing but `wanted`.
    single: bool,
    /// The runs that were sent, or are older than the requested start.
    past: BTreeSet<RunId>,
    sent_any: bool,
    sent_waiting: bool,
    current: Option<Subscription>,
    /// The run whose output could not be read on, and how often that failed since something was read.
    again: Option<RunId>,
    failed: u32,
    ended: bool,
}

/// Follows one task. `Last-Event-ID` wins over what the address says.
pub async fn follow(
    State(state): State<ApiState>,
    Segment(task): Segment<TaskId>,
    Params(wanted): Params<StreamQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let usage = |message: String| ApiError::new(ErrorCode::Usage, message, None);
    let run = wanted.run.as_deref().map(str::parse::<RunId>).transpose().map_err(|e| usage(e.to_string()))?;
    let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or(wanted.cursor.as_deref());
    let resumed = resumed.filter(|text| !text.is_empty());
    let resumed = resumed.map(str::parse::<Cursor>).transpose().map_err(usage)?;
    // Subscribed before anything is read, so that nothing is missed.
    let feed = state.engine.follow();
    let (view, _) = snapshot(&state, task).await?;
    if let Some(run) = &run
        && !view.runs.iter().flatten().any(|known| known.run_id == *run)
    {
        return Err(ApiError::new(ErrorCode::NotFound, format!("task {task} has no run {run}"), None));
    }
    let first = Some(resumed.as_ref().map_or_else(|| start(&wanted), |cursor| Start::Offset(cursor.offset)));
    let stream = TaskStream {
        state: state.clone(),
        task,
        part: wanted.part.unwrap_or_default(),
        feed,
        first,
        single: run.is_some(),
        wanted: run.or(resumed.map(|cursor| cursor.run)),
        past: BTreeSet::new(),
        sent_any: false,
        sent_waiting: wanted.first == Some(true),
        current: None,
        again: None,
        failed: 0,
        ended: false,
    };
    let events = stream::unfold(stream, |mut stream| async move { Some((on_the_wire(&stream.next().await?), stream)) });
    Ok(sse(&state, "task", events))
}

fn on_the_wire(event: &StreamEvent) -> Event {
    let (name, run, offset) = match event {
        StreamEvent::Run(note) => ("run", Some(&note.run_id), 0),
        StreamEvent::Output(chunk) => ("output", Some(&chunk.run_id), chunk.end),
        StreamEvent::Lagged { run_id, from, .. } => ("lagged", Some(run_id), *from),
        StreamEvent::Cut { run_id, offset } => ("cut", Some(run_id), *offset),
        StreamEvent::Waiting { .. } => ("waiting", None, 0),
        StreamEvent::Settled { .. } => ("settled", None, 0),
    };
    // An event is plain data; it always serializes.
    let wire = Event::default().event(name).json_data(event).unwrap_or_default();
    match (event, run) {
        // Only the pieces of a run say where it is resumed.
        (StreamEvent::Output(_) | StreamEvent::Cut { .. }, Some(run)) => {
            wire.id(Cursor { run: run.clone(), offset }.to_string())
        }
        (_, Some(_) | None) => wire,
    }
}

impl TaskStream {
    async fn next(&mut self) -> Option<StreamEvent> {
        while !self.ended {
            if let Some(current) = &mut self.current {
                let run_id = current.files().run.clone();
                match current.next().await {
                    Ok(Some(delivery)) => {
                        self.failed = 0;
                        return Some(stream_event(delivery, run_id));
                    }
                    Ok(None) => {}
                    // What is not sent now would never be sent: the run counts as sent once it is left.
                    Err(error) if self.failed < TRIES => {
                        tracing::warn!(run = %run_id, %error, "a stream is held up");
                        self.first = Some(Start::Offset(current.cursor()));
                        (self.current, self.again, self.failed) = (None, Some(run_id), self.failed + 1);
                        self.wait().await;
                        continue;
                    }
                    Err(error) => tracing::warn!(run = %run_id, %error, "a stream breaks off"),
                }
                self.current = None;
                self.past.insert(run_id);
                self.ended = self.single;
                continue;
            }
            match self.next_run().await {
                Ok(Some(event)) => return Some(event),
                Ok(None) => self.wait().await,
                // The engine is leaving, or the task is gone: the watcher finds out when it asks again.
                Err(_) => return None,
            }
        }
        None
    }

    /// Returns the start of the next run, or the end of the stream.
    async fn next_run(&mut self) -> Result<Option<StreamEvent>, ApiError> {
        let (view, now) = snapshot(&self.state, self.task).await?;
        let runs: Vec<Run> = self.state.engine.runs_of(self.task).await?;
        if let Some(run) = self.choose(&runs) {
            return self.begin(run.clone(), &view).await.map(Some);
        }
        let rests = match rest(&view, now) {
            Some(_) if self.sent_any => true,
            Some(_) => matches!(view.status, Status::Done | Status::NeedsReview | Status::Cancelled),
            None => false,
        };
        if rests {
            self.ended = true;
            return Ok(Some(StreamEvent::Settled { task: Box::new(view) }));
        }
        if self.sent_any || self.sent_waiting {
            return Ok(None);
        }
        self.sent_waiting = true;
        let because = view.hold.map_or_else(|| format!("it is {}", view.status.as_str()), |hold| hold.detail);
        Ok(Some(StreamEvent::Waiting { task_id: self.task, because }))
    }

    /// First the wanted or the newest run, then those that come after it.
    fn choose<'a>(&mut self, runs: &'a [Run]) -> Option<&'a Run> {
        let started = |run: &&Run| run.started_at.is_some();
        let is_work = |run: &&Run| run.kind == RunKind::Work;
        if let Some(again) = self.again.take() {
            return runs.iter().find(|run| run.id == again);
        }
        if self.sent_any {
            return runs.iter().filter(is_work).filter(started).find(|run| !self.past.contains(&run.id));
        }
        let is_known = |wanted: &&RunId| self.single || runs.iter().any(|run| run.id == **wanted);
        if self.wanted.as_ref().is_some_and(|wanted| !is_known(&wanted)) {
            // Of an engine that knew more than this one, as before a backup was brought back.
            (self.wanted, self.first) = (None, None);
        }
        let chosen = match &self.wanted {
            Some(wanted) => runs.iter().filter(started).find(|run| run.id == *wanted),
            // A client that waited for the task sees all that came, however quick it was.
            None if self.sent_waiting => runs.iter().filter(is_work).find(started),
            None => runs.iter().filter(is_work).rfind(started),
        }?;
        self.past.extend(runs.iter().take_while(|run| run.id != chosen.id).map(|run| run.id.clone()));
        Some(chosen)
    }

    async fn begin(&mut self, run: Run, view: &TaskView) -> Result<StreamEvent, ApiError> {
        let start = self.first.take().unwrap_or(Start::Offset(0));
        let failed =
            |e: std::io::Error| ApiError::new(ErrorCode::Failed, format!("output of run {}: {e}", run.id), None);
        let watched = self.state.engine.watch(&run, self.part, start).await.map_err(failed)?;
        let began = note(&run, &view.title, watched.cursor());
        self.current = Some(watched);
        self.sent_any = true;
        Ok(StreamEvent::Run(began))
    }

    /// Until something of this task is in the history.
    async fn wait(&mut self) {
        let changed = async {
            loop {
                match self.feed.recv().await {
                    Ok(entry) if entry.task_id == Some(self.task) => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => return self.ended = true,
                }
            }
        };
        // Elapsing is the second look.
        tokio::time::timeout(LOOK_AGAIN, changed).await.ok();
    }
}

fn note(run: &Run, title: &str, offset: u64) -> RunNote {
    RunNote {
        task_id: run.task,
        title: title.to_owned(),
        run_id: run.id.clone(),
        attempt: run.attempt,
        agent: run.agent.clone(),
        model: run.model.clone(),
        offset,
    }
}

fn stream_event(delivery: Delivery, run_id: RunId) -> StreamEvent {
    match delivery {
        Delivery::Output(chunk) => StreamEvent::Output((&*chunk).into()),
        Delivery::Lagged { from, to } => StreamEvent::Lagged { run_id, from, to },
        Delivery::Cut { offset } => StreamEvent::Cut { run_id, offset },
    }
}

/// All running tasks, from their last lines on.
struct Everything {
    state: ApiState,
    feed: broadcast::Receiver<Entry>,
    part: Part,
    first: Start,
    known: BTreeSet<RunId>,
    running: SelectAll<BoxStream<'static, StreamEvent>>,
    due: bool,
}

/// Follows all running tasks, and those that start later. Ends with the engine.
pub async fn follow_all(
    State(state): State<ApiState>,
    Params(wanted): Params<StreamQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let usage = |message: String| ApiError::new(ErrorCode::Usage, message, None);
    let resumed = wanted.cursor.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty());
    let resumed = resumed.map(str::parse::<Cursor>).collect::<Result<Vec<_>, _>>().map_err(usage)?;
    let mut everything = Everything {
        feed: state.engine.follow(),
        state: state.clone(),
        part: wanted.part.unwrap_or_default(),
        first: start(&wanted),
        known: BTreeSet::new(),
        running: SelectAll::new(),
        due: true,
    };
    for cursor in resumed {
        everything.resume(cursor).await?;
    }
    let events = stream::unfold(everything, |mut everything| async move {
        Some((on_the_wire(&everything.next().await?), everything))
    });
    Ok(sse(&state, "all", events))
}

impl Everything {
    async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if self.due {
                self.due = false;
                self.watch_new_runs().await.ok()?;
                // Those that come later are seen from their beginning.
                self.first = Start::Offset(0);
            }
            tokio::select! {
                Some(event) = self.running.next(), if !self.running.is_empty() => return Some(event),
                entry = self.feed.recv() => match entry {
                    Ok(entry) => self.due = entry.run_id.is_some_and(|run| !self.known.contains(&run)),
                    Err(RecvError::Lagged(_)) => self.due = true,
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Continues with a run that was followed before, which may have ended.
    async fn resume(&mut self, cursor: Cursor) -> Result<(), ApiError> {
        let runs = match cursor.run.task() {
            Some(task) => self.state.engine.runs_of(task).await?,
            None => Vec::new(),
        };
        if let Some(run) = runs.iter().find(|run| run.id == cursor.run) {
            self.known.insert(run.id.clone());
            self.add(run, None, Start::Offset(cursor.offset)).await;
        }
        Ok(())
    }

    async fn watch_new_runs(&mut self) -> Result<(), ApiError> {
        let view = self.state.engine.snapshot().await?;
        for run in view.live_runs.iter().filter(|run| run.kind == RunKind::Work && run.started_at.is_some()) {
            if self.known.insert(run.id.clone()) {
                let title = view.tasks.get(&run.task).map_or("", |task| task.spec.title.as_str());
                self.add(run, Some(title), self.first).await;
            }
        }
        Ok(())
    }

    async fn add(&mut self, run: &Run, began: Option<&str>, start: Start) {
        match self.state.engine.watch(run, self.part, start).await {
            Ok(watched) => {
                let began = began.map(|title| note(run, title, watched.cursor()));
                let pieces = stream::unfold(watched, |mut watched| async move {
                    let delivery = watched.next().await.ok().flatten()?;
                    Some((stream_event(delivery, watched.files().run.clone()), watched))
                });
                self.running.push(stream::iter(began.map(StreamEvent::Run)).chain(pieces).boxed());
            }
            Err(error) => tracing::warn!(run = %run.id, %error, "a run cannot be followed"),
        }
    }
}
