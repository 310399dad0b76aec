//! The history as server-sent events: what was missed first, then what happens, without loss and without doubles.

use super::ApiState;
use super::error::ApiError;
use super::read::Params;
use super::sse::sse;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::stream::{self, Stream};
use orch_api::error::ErrorCode;
use orch_api::queries::EventsQuery;
use orch_api::types::EventView;
use orch_core::base::ids::TaskId;
use orch_engine::handle::{EngineHandle, Entry};
use std::collections::VecDeque;
use std::convert::Infallible;
use tokio::sync::broadcast;

/// Entries that are read from the journal at once.
const PAGE: u32 = 500;

struct Follower {
    engine: EngineHandle,
    live: broadcast::Receiver<Entry>,
    task: Option<TaskId>,
    last: u64,
    ready: VecDeque<Entry>,
    /// The journal holds more than was read.
    behind: bool,
    /// Goes on when everything that there is was sent.
    follow: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.last = entry.seq;
                return Some(entry);
            }
            if self.behind {
                let page = self.engine.entries(self.last, self.task, PAGE).await.ok()?;
                self.behind = page.len() == PAGE as usize;
                self.ready.extend(page);
                continue;
            }
            if !self.follow {
                return None;
            }
            match self.live.recv().await {
                Ok(entry) if entry.seq > self.last && (self.task.is_none() || entry.task_id == self.task) => {
                    self.ready.push_back(entry);
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Follows the history. `Last-Event-ID` wins over `after`, and that over `since`.
pub async fn follow(
    State(state): State<ApiState>,
    Params(wanted): Params<EventsQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok()).filter(|text| !text.is_empty());
    let wrong = |_| {
        let message = "Last-Event-ID is not a place in the history: expected a number".to_owned();
        ApiError::new(ErrorCode::Usage, message, None)
    };
    let resumed = resumed.map(|text| text.parse().map_err(wrong)).transpose()?;
    if let Some(id) = wanted.task.map(TaskId) {
        let view = state.engine.snapshot().await?;
        super::tasks::task_in(&view, &state, id).await?;
    }
    let after = match (resumed.or(wanted.after), wanted.since) {
        (Some(after), _) => Some(after),
        (None, Some(time)) => Some(state.engine.place_at(time).await?),
        (None, None) => None,
    };
    let follower = Follower {
        live: state.engine.follow(),
        engine: state.engine.clone(),
        task: wanted.task.map(TaskId),
        last: after.unwrap_or(0),
        ready: VecDeque::new(),
        behind: after.is_some() || wanted.follow == Some(false),
        follow: wanted.follow != Some(false),
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let entry = follower.next().await?;
        let event = Event::default().id(entry.seq.to_string()).event(entry.fact.kind());
        // An entry is plain data; it always serializes.
        Some((event.json_data(on_the_wire(entry)).unwrap_or_default(), follower))
    });
    Ok(sse(&state, "events", events))
}

pub(super) fn on_the_wire(entry: Entry) -> EventView {
    let Entry { seq, at, task_id, run_id, actor, fact } = entry;
    let who = actor.parts().1.map(str::to_owned);
    // What was stored as a sentence has no fields.
    let data = fact.data().ok().filter(|_| fact.version() > 0);
    let (kind, text) = (fact.kind().to_owned(), fact.text());
    EventView { seq, at, task_id, run_id, by: (&actor).into(), who, kind, text, data }
}
