//! The outbound queue of a chat: items in the order of [`rate_limit`], and the loop in which a [`Sender`] sends them one by
//! one. Temporarily refused items are retried; what cannot be sent is reported to the caller that waits for it. Knows no
//! service: each implements its own sender.
//!
//! [`rate_limit`]: super::rate_limit

use super::chat::Refusal;
use super::rate_limit::{Due, Queue, RateLimit, Urgency};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// First pause after a request with unknown result; each further one doubles it.
const BACKOFF: Duration = Duration::from_secs(1);
/// Longest such pause.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How often an item is tried that no caller would retry.
pub const TRIES: u32 = 5;

/// The result of sending: the id of the message, if it has one.
pub type SendResult<N> = Result<Option<N>, Refusal>;

/// An item that is sent once.
struct QueuedItem<W, N> {
    what: W,
    tries: u32,
    reply: Option<oneshot::Sender<SendResult<N>>>,
}

/// A [`RateLimit`] with a clock and back-off.
pub struct RateLimiter {
    limit: RateLimit,
    started: Instant,
    failures: u32,
}

impl RateLimiter {
    /// Creates the limiter of a chat without messages.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, started: Instant::now(), failures: 0 }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the next request is allowed.
    pub async fn ready(&self) {
        tokio::time::sleep_until(self.started + self.limit.free_at(0)).await;
    }

    /// Records the end of a request, whatever its result.
    pub fn record_request(&mut self) {
        let now = self.now();
        self.limit.record_request(now);
    }

    /// Blocks requests for this long, as the service asks.
    pub fn block_for(&mut self, pause: Duration) {
        let now = self.now();
        self.limit.block_for(now, pause);
    }

    /// Records a failed request: the next one waits as long as the service says, or else twice as long each time.
    /// Returns the number of consecutive failures.
    pub fn record_failure(&mut self, after: Option<Duration>) -> u32 {
        let doubled = BACKOFF.saturating_mul(1 << self.failures.min(10)).min(LONGEST_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.block_for(after.unwrap_or(doubled));
        self.failures
    }

    /// Records an answered request, which resets the back-off.
    pub fn record_success(&mut self) {
        self.failures = 0;
    }
}

/// Sends items to one service.
pub trait Sender: Send {
    /// An item that is sent once.
    type Item: Send + Sync;
    /// Id of a message.
    type Id: Clone + Send + Sync;
    /// A state of a live message.
    type Live: PartialEq + Send + Sync;

    /// Returns the rate limiter of the chat.
    fn rate_limiter(&self) -> &RateLimiter;

    /// Sends an item. `is_awaited` means that a caller waits for the result and retries itself.
    fn deliver(&mut self, what: &Self::Item, is_awaited: bool) -> impl Future<Output = SendResult<Self::Id>> + Send;

    /// Shows the state of a live message: edits the message, or sends a new one if there is none.
    fn show(
        &mut self,
        at: Option<&Self::Id>,
        state: &Self::Live,
    ) -> impl Future<Output = Result<Self::Id, Refusal>> + Send;

    /// Records the id of the live message with this key.
    fn live_created(&mut self, key: u64, name: &Self::Id) -> impl Future<Output = ()> + Send;

    /// Records that the live message with this key has its final state, or never will.
    fn live_ended(&mut self, key: u64) -> impl Future<Output = ()> + Send;
}

/// The queue of a sender.
type Waiting<C> = Queue<QueuedItem<<C as Sender>::Item, <C as Sender>::Id>, <C as Sender>::Live>;
/// Live messages by key: their ids, and the state that they show if it is known.
type LiveMessages<C> = BTreeMap<u64, (<C as Sender>::Id, Option<<C as Sender>::Live>)>;

/// The state of a queue.
struct Inner<C: Sender> {
    queue: Waiting<C>,
    live: LiveMessages<C>,
    /// Whether the queue is closed.
    is_closed: bool,
}

/// The outbound queue of a chat.
pub struct SendQueue<C: Sender> {
    inner: Mutex<Inner<C>>,
    wake: Notify,
}

impl<C: Sender> Default for SendQueue<C> {
    fn default() -> Self {
        let inner = Inner { queue: Queue::default(), live: BTreeMap::new(), is_closed: false };
        Self { inner: Mutex::new(inner), wake: Notify::new() }
    }
}

fn closed() -> Refusal {
    Refusal::later(None, "the channel was closed meanwhile")
}

impl<C: Sender> SendQueue<C> {
    fn lock(&self) -> MutexGuard<'_, Inner<C>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of waiting items.
    pub fn waiting(&self) -> usize {
        self.lock().queue.waiting()
    }

    /// Closes the queue: waiting callers get an error.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.queue = Queue::default();
    }

    fn put(
        &self,
        what: C::Item,
        urgency: Urgency,
        reply: Option<oneshot::Sender<SendResult<C::Id>>>,
    ) -> Result<(), Refusal> {
        let full = |_| Refusal::later(Some(LONGEST_BACKOFF), "too many messages wait to be sent there");
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(closed());
        }
        inner.queue.push(QueuedItem { what, tries: 0, reply }, urgency).map_err(full)?;
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// Queues an item without waiting for the result; `false`: the queue is full.
    pub fn push(&self, what: C::Item, urgency: Urgency) -> bool {
        self.put(what, urgency, None).is_ok()
    }

    /// Queues an item and waits until it is sent.
    ///
    /// # Errors
    /// The item was not sent, or the result is unknown.
    pub async fn wait(&self, what: C::Item, urgency: Urgency) -> SendResult<C::Id> {
        let (reply, result) = oneshot::channel();
        self.put(what, urgency, Some(reply))?;
        // A dropped sender means that the queue was closed.
        result.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Registers an existing message as the live message with this key.
    pub fn adopt(&self, key: u64, name: C::Id) {
        self.lock().live.insert(key, (name, None));
    }

    /// Sets the newest state of a live message; `false`: there are too many live messages.
    pub fn show(&self, key: u64, state: C::Live, is_last: bool) -> bool {
        let is_taken = self.lock().queue.show(key, state, is_last);
        self.wake.notify_one();
        is_taken
    }

    /// Sends what is queued. Once `closing` is cancelled, sends the rest and returns; of live messages only final states are
    /// still shown.
    pub async fn work(&self, mut sender: C, closing: &CancellationToken) {
        loop {
            // Created before the queue is read, so that no wake-up in between is missed.
            let woken = self.wake.notified();
            let closes = closing.is_cancelled();
            let due = {
                let mut inner = self.lock();
                if closes {
                    inner.queue.drop_growing();
                }
                inner.queue.next(&sender.rate_limiter().limit, sender.rate_limiter().now())
            };
            match due {
                Due::Queued(item) => self.deliver(&mut sender, item).await,
                Due::Live { key, state, is_last } => self.grow(&mut sender, key, state, is_last).await,
                Due::At(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(sender.rate_limiter().started + at) => {}
                        () = woken => {}
                        () = closing.cancelled(), if !closes => {}
                    }
                }
                Due::Nothing if closes => return,
                Due::Nothing => {
                    tokio::select! {
                        () = woken => {}
                        () = closing.cancelled() => {}
                    }
                }
            }
        }
    }

    async fn deliver(&self, sender: &mut C, mut item: QueuedItem<C::Item, C::Id>) {
        // A caller that no longer waits will send it again.
        if item.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return;
        }
        let done = sender.deliver(&item.what, item.reply.is_some()).await;
        item.tries += 1;
        match (item.reply.take(), done) {
            // The waiting caller decides.
            (Some(reply), done) => drop(reply.send(done)),
            (None, Err(Refusal::Later { .. })) if item.tries < TRIES => self.lock().queue.push_back(item),
            (None, Err(refusal)) => tracing::warn!(%refusal, "an answer could not be sent"),
            (None, Ok(_)) => {}
        }
    }

    async fn grow(&self, sender: &mut C, key: u64, state: C::Live, is_last: bool) {
        let known = self.lock().live.get(&key).map(|(name, shown)| (name.clone(), shown.as_ref() == Some(&state)));
        let done = match &known {
            Some((name, true)) => Ok(name.clone()),
            Some((name, false)) => sender.show(Some(name), &state).await,
            None => sender.show(None, &state).await,
        };
        match done {
            Ok(_) if is_last => self.end(sender, key).await,
            Ok(name) => {
                if known.is_none() {
                    sender.live_created(key, &name).await;
                }
                self.lock().live.insert(key, (name, Some(state)));
            }
            Err(Refusal::Gone) => {
                // The message was deleted: the next state becomes a new message.
                let mut inner = self.lock();
                inner.live.remove(&key);
                inner.queue.show_again(key, state, is_last);
            }
            Err(Refusal::Later { .. }) => self.lock().queue.show_again(key, state, is_last),
            Err(Refusal::Never(_) | Refusal::Closed(_)) if is_last => self.end(sender, key).await,
            // The problem is reported; the next state is tried.
            Err(Refusal::Never(_) | Refusal::Closed(_)) => {}
        }
    }

    async fn end(&self, sender: &mut C, key: u64) {
        self.lock().live.remove(&key);
        sender.live_ended(key).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Limits;
    use std::collections::VecDeque;
    use std::sync::Arc;

    /// A sender whose service gives the scripted refusals and then succeeds.
    struct Scripted {
        rate_limiter: RateLimiter,
        answers: VecDeque<Refusal>,
        done: Arc<Mutex<Vec<String>>>,
    }

    impl Scripted {
        fn record(&mut self, request: String) -> Result<u64, Refusal> {
            self.done.lock().expect("alone").push(request);
            self.answers.pop_front().map_or(Ok(7), Err)
        }
    }

    impl Sender for Scripted {
        type Item = &'static str;
        type Id = u64;
        type Live = &'static str;

        fn rate_limiter(&self) -> &RateLimiter {
            &self.rate_limiter
        }

        async fn deliver(&mut self, what: &&'static str, _: bool) -> super::SendResult<u64> {
            self.record((*what).to_owned()).map(Some)
        }

        async fn show(&mut self, at: Option<&u64>, state: &&'static str) -> Result<u64, Refusal> {
            self.record(format!("{at:?} {state}"))
        }

        async fn live_created(&mut self, key: u64, name: &u64) {
            self.done.lock().expect("alone").push(format!("{key} is {name}"));
        }

        async fn live_ended(&mut self, key: u64) {
            self.done.lock().expect("alone").push(format!("{key} is over"));
        }
    }

    fn start(answers: Vec<Refusal>) -> (Arc<SendQueue<Scripted>>, Arc<Mutex<Vec<String>>>) {
        let queue = Arc::new(SendQueue::default());
        let (done, _, _) = at_work(&queue, answers);
        (queue, done)
    }

    type Works = (Arc<Mutex<Vec<String>>>, CancellationToken, tokio::task::JoinHandle<()>);

    fn at_work(queue: &Arc<SendQueue<Scripted>>, answers: Vec<Refusal>) -> Works {
        let done = Arc::default();
        let limits = Limits { apart: Duration::ZERO, group_span: Duration::ZERO, margin: Duration::ZERO };
        let rate_limiter = RateLimiter::new(RateLimit::new(false, limits));
        let sender = Scripted { rate_limiter, answers: answers.into(), done: Arc::clone(&done) };
        let (works, closing) = (Arc::clone(queue), CancellationToken::new());
        let closes = closing.clone();
        let working = tokio::spawn(async move { works.work(sender, &closes).await });
        (done, closing, working)
    }

    async fn until(done: &Mutex<Vec<String>>, count: usize) -> Vec<String> {
        while done.lock().expect("alone").len() < count {
            tokio::task::yield_now().await;
        }
        done.lock().expect("alone").clone()
    }

    #[tokio::test]
    async fn what_somebody_waits_for_is_theirs_to_say_again_and_the_rest_is_said_again_here() {
        let down = || Refusal::later(None, "down");
        let (queue, done) = start(vec![down(), down()]);
        assert_eq!(queue.wait("a notice", Urgency::Usual).await, Err(down()));
        assert!(queue.push("an answer", Urgency::Now));
        assert_eq!(until(&done, 3).await, ["a notice", "an answer", "an answer"]);
        assert_eq!(queue.wait("a notice", Urgency::Usual).await, Ok(Some(7)));
        let (queue, done) = start(vec![down(); 100]);
        queue.push("an answer", Urgency::Now);
        assert!(queue.wait("a notice", Urgency::Usual).await.is_err());
        until(&done, 1 + TRIES as usize).await;
        assert_eq!(queue.waiting(), 0, "given up in the end");
    }

    #[tokio::test]
    async fn a_message_that_grows_keeps_its_place_until_somebody_deletes_it() {
        let (queue, done) = start(Vec::new());
        assert!(queue.show(1, "one", false));
        until(&done, 2).await;
        queue.show(1, "one", false);
        queue.show(1, "two", true);
        assert_eq!(until(&done, 4).await, ["None one", "1 is 7", "Some(7) two", "1 is over"]);
        let (queue, done) = start(vec![Refusal::later(None, "down")]);
        queue.show(1, "one", false);
        assert_eq!(until(&done, 3).await, ["None one", "None one", "1 is 7"], "shown in the end");
        let (queue, done) = start(vec![Refusal::Gone]);
        queue.adopt(1, 5);
        queue.show(1, "one", false);
        assert_eq!(until(&done, 3).await, ["Some(5) one", "None one", "1 is 7"]);
    }

    #[tokio::test]
    async fn a_message_of_before_grows_on_and_one_that_can_never_be_shown_is_over() {
        let never = || Refusal::Never("no rights".to_owned());
        let (queue, done) = start(vec![never(), never()]);
        queue.adopt(3, 5);
        queue.show(3, "one", false);
        until(&done, 1).await;
        queue.show(3, "two", true);
        assert_eq!(until(&done, 3).await, ["Some(5) one", "Some(5) two", "3 is over"]);
    }

    #[tokio::test]
    async fn what_waits_is_said_before_the_end_and_after_it_everybody_is_told_so() {
        let queue: Arc<SendQueue<Scripted>> = Arc::new(SendQueue::default());
        for (key, is_last) in [(1, false), (2, true)] {
            queue.show(key, "a state", is_last);
        }
        assert!(queue.push("an answer", Urgency::Now));
        let notice = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.wait("a notice", Urgency::Usual).await }
        });
        while queue.waiting() < 4 {
            tokio::task::yield_now().await;
        }
        let (done, closing, working) = at_work(&queue, Vec::new());
        closing.cancel();
        working.await.expect("it ends");
        let said = done.lock().expect("alone").clone();
        assert_eq!(said, ["an answer", "a notice", "None a state", "2 is over"], "what grows on is shown later");
        assert_eq!(notice.await.expect("it ends"), Ok(Some(7)));
        let late = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.wait("a notice", Urgency::Usual).await }
        });
        while queue.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        queue.close();
        assert_eq!(late.await.expect("it ends"), Err(closed()));
        assert_eq!(
            (queue.wait("a notice", Urgency::Usual).await, queue.push("an answer", Urgency::Now)),
            (Err(closed()), false)
        );
    }
}
