//! Server-sent events: one shape for all feeds, each of them counted while a client reads it.

use super::ApiState;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{Stream, StreamExt};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

/// The number of readers of each feed.
#[derive(Debug, Clone, Default)]
pub struct Readers(Arc<Mutex<BTreeMap<&'static str, u64>>>);

/// One reader, as long as it reads.
struct Reading {
    readers: Readers,
    feed: &'static str,
}

impl Readers {
    /// The number of readers of each feed. A feed that has had a reader stays, with 0.
    pub fn count(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin(&self, feed: &'static str) -> Reading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(feed).or_default() += 1;
        Reading { readers: self.clone(), feed }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut readers = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = readers.get_mut(self.feed) {
            *count -= 1;
        }
    }
}

/// A feed as an answer, and a sign of life every few seconds while it is silent. It ends when the engine is let go of:
/// another process that follows it must not hold a command's engine, and with it the lock of the home.
pub fn sse<E: Stream<Item = Event> + Send + 'static>(
    state: &ApiState,
    feed: &'static str,
    events: E,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send + use<E>> {
    let reading = state.readers.begin(feed);
    let events = events.map(move |event| {
        let _ = &reading;
        Ok(event)
    });
    Sse::new(events.take_until(state.parting.clone().cancelled_owned())).keep_alive(KeepAlive::default())
}
