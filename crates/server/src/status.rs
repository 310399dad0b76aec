//! Answers with the state of everything: in brief, as an overview, and as a feed of its changes.

use super::ApiState;
use super::batches;
use super::error::ApiError;
use super::read::Params;
use super::sse::sse;
use super::switches;
use super::tasks::occupancy;
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream, SelectAll, Stream, StreamExt};
use jiff::tz::TimeZone;
use orch_api::availability::LeftAloneView;
use orch_api::breakers::BreakerView;
use orch_api::health::HealthView;
use orch_api::queries::StatusQuery;
use orch_api::set_models::SetModelView;
use orch_api::status::{
    EngineMode, EngineState, Overview, QuestionView, QueuedView, RunningView, SlotsView, SpendView, StatusView,
};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::planning::plan::describe;
use orch_core::tasks::task::{Run, Status, Task};
use orch_core::text::output::{Part, last_line_of};
use orch_engine::Mode;
use orch_engine::handle::{Entry, View};
use orch_stream::{Delivery, Start, Subscription};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Sleep, sleep};

/// The longest list of an overview: more than a screen.
const MOST: usize = 100;
/// The shortest time between two overviews of a feed.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest time for which a change without an entry of the history (a problem, midnight) goes unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Which tasks are shown.
pub(super) enum Shown {
    /// All tasks are shown.
    All,
    /// Only these tasks are shown.
    Only(BTreeSet<TaskId>),
}

impl Shown {
    pub(super) fn has(&self, task: TaskId) -> bool {
        match self {
            Self::All => true,
            Self::Only(these) => these.contains(&task),
        }
    }
}

/// Returns the status of the daemon.
pub async fn status(State(state): State<ApiState>, Params(wanted): Params<StatusQuery>) -> Result<Response, ApiError> {
    let view = state.engine.snapshot().await?;
    if wanted.brief == Some(true) {
        return Ok(Json(brief(&state, &view).await?).into_response());
    }
    Ok(Json(overview(&state, &view, &Shown::All).await?).into_response())
}

async fn brief(state: &ApiState, view: &View) -> Result<StatusView, ApiError> {
    Ok(StatusView {
        version: state.process.version.clone(),
        pid: state.process.pid,
        mode: mode_view(state.process.mode),
        overrides: state.process.overrides.clone(),
        http: state.process.listening.url(),
        counts: counts(state, view)
            .await?
            .into_iter()
            .map(|(status, count)| (status.as_str().to_owned(), count))
            .collect(),
        idle: view.live_runs.is_empty() && view.plan.actions.is_empty(),
        slots: slots(view),
        breakers: view.breakers.iter().map(BreakerView::from).filter(BreakerView::holds).collect(),
        problems: problems(state, view),
        state: if view.leaving.is_some() { EngineState::ShuttingDown } else { EngineState::Serving },
        shutting_down: view.leaving.as_ref().map(switches::departure_view),
        paused: view.pauses.iter().map(switches::pause_view).collect(),
        set_models: view.set_models.iter().map(SetModelView::from).collect(),
        left_alone: view.active_cooldowns.iter().map(|(name, cooldown)| LeftAloneView::new(name, cooldown)).collect(),
        seq: view.last_seq,
    })
}

/// Returns the problems of the engine's files, of its address, and of its state that was removed.
fn problems(state: &ApiState, view: &View) -> Vec<String> {
    let process = &state.process;
    view.problems.iter().cloned().chain(process.listening.problem()).chain(process.displaced.clone()).collect()
}

fn slots(view: &View) -> SlotsView {
    let (busy, total, because) = occupancy(view).usage();
    SlotsView { busy, total, because }
}

/// Counts the tasks by status: those in memory, and those that only the journal has.
pub(super) async fn counts(state: &ApiState, view: &View) -> Result<BTreeMap<Status, u64>, ApiError> {
    let settled = state.engine.settled_counts().await?;
    let open = view.tasks.values().filter(|task| !task.is_settled()).map(|task| (task.status(), 1));
    let mut counts = BTreeMap::new();
    for (status, count) in settled.into_iter().chain(open) {
        *counts.entry(status).or_default() += count;
    }
    Ok(counts)
}

pub(super) async fn overview(state: &ApiState, view: &View, shown: &Shown) -> Result<Overview, ApiError> {
    let midnight = view.now.to_zoned(TimeZone::system()).start_of_day().map_or(view.now, |day| day.timestamp());
    let today = SpendView::new(state.engine.spent_since(midnight).await?, midnight);
    let running = running(state, view, shown).await;
    let status = brief(state, view).await?;
    let batches = batches::open(view);
    Ok(Overview { status, running, needs_you: questions(view, shown), queued: queued(view, shown), today, batches })
}

async fn running(state: &ApiState, view: &View, shown: &Shown) -> Vec<RunningView> {
    let since = |run: &Run| run.started_at.unwrap_or(run.created_at);
    let mut runs: Vec<Run> = view.live_runs.iter().filter(|run| shown.has(run.task)).cloned().collect();
    runs.sort_by_key(|run| (since(run), run.id.clone()));
    runs.truncate(MOST);
    let last_lines = state.engine.last_lines(&runs).await;
    let shown = runs.into_iter().zip(last_lines).map(|(run, last_line)| RunningView {
        task_id: run.task,
        health: HealthView::from_run(&run, view.now),
        cost_usd: view.tasks.get(&run.task).and_then(|task| task.cost),
        title: view.tasks.get(&run.task).map(|task| task.spec.title.clone()).unwrap_or_default(),
        since: since(&run),
        run_id: run.id,
        kind: run.kind,
        attempt: run.attempt,
        agent: run.agent,
        model: run.model,
        last_line,
    });
    shown.collect()
}

fn questions(view: &View, shown: &Shown) -> Vec<QuestionView> {
    let asked = view.tasks.values().filter(|task| shown.has(task.id)).filter_map(|task| {
        let ((question, choices), kind) = (task.question()?, task.question_kind()?);
        let (id, title) = (task.id, task.spec.title.clone());
        Some(QuestionView { id, title, kind, question: question.to_owned(), choices: choices.to_vec() })
    });
    asked.take(MOST).collect()
}

fn queued(view: &View, shown: &Shown) -> Vec<QueuedView> {
    let waits = |task: &&Task| match task.status() {
        Status::New | Status::Routed | Status::Blocked | Status::InReview => true,
        Status::InProgress | Status::NeedsReview | Status::Done | Status::Cancelled => false,
    };
    let here = view.tasks.values().map(AsRef::as_ref).filter(|task| shown.has(task.id));
    let mut waiting: Vec<&Task> = here.filter(waits).collect();
    waiting.sort_by_key(|task| (Reverse(task.spec.priority), task.id));
    let slots = occupancy(view);
    let shown = waiting.into_iter().take(MOST).map(|task| QueuedView {
        id: task.id,
        title: task.spec.title.clone(),
        status: task.status(),
        agent: task.route.as_ref().map(|route| route.agent.clone()),
        model: task.route.as_ref().and_then(|route| route.model.clone()),
        hold: view.plan.hold(task.id).map(|hold| (&describe(hold, task, &|id| view.waited(id), &slots)).into()),
    });
    shown.collect()
}

/// The age of the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    /// Nothing has happened since.
    No,
    /// Agents have spoken.
    Lines,
    /// Tasks have changed.
    Tasks,
}

/// A follower of the overview. While nothing happens, it only waits for news.
struct Follower {
    state: ApiState,
    feed: broadcast::Receiver<Entry>,
    /// The last lines of runs as they come.
    speaking: SelectAll<BoxStream<'static, (RunId, Option<String>)>>,
    /// The followed runs, each with its last output.
    said: BTreeMap<RunId, Option<String>>,
    sent: Option<Overview>,
    stale: Stale,
    /// Nothing is sent before it is over.
    pause: Option<Pin<Box<Sleep>>>,
    /// When everything is read again, whatever was sent.
    look_again: Pin<Box<Sleep>>,
}

/// Follows the overview: sends it now, and again after each change, at most five times a second.
pub async fn follow(State(state): State<ApiState>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let follower = Follower {
        feed: state.engine.follow(),
        state: state.clone(),
        speaking: SelectAll::new(),
        said: BTreeMap::new(),
        sent: None,
        stale: Stale::Tasks,
        pause: None,
        look_again: Box::pin(sleep(LOOK_AGAIN)),
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let overview = follower.next().await?;
        // An overview is plain data; it always serializes.
        Some((Event::default().event("status").json_data(&overview).unwrap_or_default(), follower))
    });
    sse(&state, "status", events)
}

impl Follower {
    /// The next overview that differs from the last one; `None`: the engine leaves.
    async fn next(&mut self) -> Option<Overview> {
        loop {
            if self.pause.is_none() && self.stale > Stale::No {
                let present = self.snapshot().await?;
                self.stale = Stale::No;
                if self.sent.as_ref() != Some(&present) {
                    // Compared whole: the same words again are no news.
                    self.sent = Some(present.clone());
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                    return Some(present);
                }
            }
            let is_paused = self.pause.is_some();
            let pause = self.pause.as_mut().unwrap_or(&mut self.look_again);
            tokio::select! {
                entry = self.feed.recv() => match entry {
                    Ok(_) | Err(RecvError::Lagged(_)) => self.stale = Stale::Tasks,
                    Err(RecvError::Closed) => return None,
                },
                Some((run, line)) = self.speaking.next(), if !self.speaking.is_empty() => {
                    if line.is_some() {
                        self.said.insert(run, line);
                        self.stale = self.stale.max(Stale::Lines);
                    }
                }
                () = pause.as_mut() => match is_paused {
                    true => self.pause = None,
                    false => self.stale = Stale::Tasks,
                },
            }
        }
    }

    async fn snapshot(&mut self) -> Option<Overview> {
        let known = self.sent.clone().filter(|_| self.stale == Stale::Lines);
        let mut present = match known {
            Some(known) => known,
            None => {
                self.look_again.set(sleep(LOOK_AGAIN));
                let view = self.state.engine.snapshot().await.ok()?;
                self.listen(&view).await;
                overview(&self.state, &view, &Shown::All).await.ok()?
            }
        };
        for run in &mut present.running {
            if let Some(Some(line)) = self.said.get(&run.run_id) {
                run.last_line = Some(line.clone());
            }
        }
        Some(present)
    }

    /// Follows new runs, and forgets ended ones.
    async fn listen(&mut self, view: &View) {
        self.said.retain(|run, _| view.live_runs.iter().any(|live| live.id == *run));
        for run in view.live_runs.iter().filter(|run| run.started_at.is_some()) {
            if self.said.contains_key(&run.id) {
                continue;
            }
            match self.state.engine.watch(run, Part::Output, Start::Tail(0)).await {
                Ok(watched) => {
                    self.said.insert(run.id.clone(), None);
                    self.speaking.push(stream::unfold(watched, last_words).boxed());
                }
                Err(error) => tracing::warn!(run = %run.id, %error, "a run cannot be followed"),
            }
        }
    }
}

async fn last_words(mut watched: Subscription) -> Option<((RunId, Option<String>), Subscription)> {
    let line = match watched.next().await.ok()?? {
        Delivery::Output(chunk) => last_line_of(&chunk.content).map(str::to_owned),
        Delivery::Lagged { .. } | Delivery::Cut { .. } => None,
    };
    Some(((watched.files().run.clone(), line), watched))
}

fn mode_view(mode: Mode) -> EngineMode {
    match mode {
        Mode::Serve => EngineMode::Serve,
        Mode::Once => EngineMode::Once,
        Mode::UntilIdle => EngineMode::UntilIdle,
        Mode::Command => EngineMode::Command,
        Mode::Task(_) => EngineMode::Task,
    }
}
