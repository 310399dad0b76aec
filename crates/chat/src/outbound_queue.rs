//! The outbound queue of a chat: what waits to be sent there, in the order of [`rate_limit`], and the loop that has a [`Sender`]
//! send it, one request after the other. What the service refuses for now is sent again; what cannot be sent is reported to the
//! caller that waits for it. Knows no service: each has a sender of its own.
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

/// The first pause after a request whose fate is not known; doubled with each that follows.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How often something is said again that nobody else would say again.
const TRIES: u32 = 5;

/// What became of something that was to be said: the name of the message, where it has one.
pub type SendResult<N> = Result<Option<N>, Refusal>;

/// Something that is said or changed once.
struct QueuedItem<W, N> {
    what: W,
    tries: u32,
    reply: Option<oneshot::Sender<SendResult<N>>>,
}

/// When a chat was written to, and when it may be again.
pub struct RateLimiter {
    pace: RateLimit,
    begun: Instant,
    failures: u32,
}

impl RateLimiter {
    /// Of a chat to which nothing was written yet.
    pub fn new(pace: RateLimit) -> Self {
        Self { pace, begun: Instant::now(), failures: 0 }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits until the chat may be written to.
    pub async fn free(&self) {
        tokio::time::sleep_until(self.begun + self.pace.free_at(0)).await;
    }

    /// A request is over, whatever became of it.
    pub fn asked(&mut self) {
        let now = self.now();
        self.pace.asked(now);
    }

    /// The service wants to be left alone for so long.
    pub fn put_off(&mut self, pause: Duration) {
        let now = self.now();
        self.pace.put_off(now, pause);
    }

    /// A request came to nothing: the next one waits as long as the service says, or else each time twice as long.
    /// Returns how often that was so without a request that was answered in between.
    pub fn failed(&mut self, after: Option<Duration>) -> u32 {
        let doubled = BACKOFF.saturating_mul(1 << self.failures.min(10)).min(LONGEST_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.put_off(after.unwrap_or(doubled));
        self.failures
    }

    /// A request was answered.
    pub fn is_well(&mut self) {
        self.failures = 0;
    }
}

/// Who says it, in the way of one service.
pub trait Sender: Send {
    /// What is said or changed once.
    type What: Send + Sync;
    /// How a message is named.
    type Name: Clone + Send + Sync;
    /// A state of a message that grows.
    type Growing: PartialEq + Send + Sync;

    /// When it may be said.
    fn rhythm(&self) -> &RateLimiter;

    /// Says or changes something. `is_awaited`: somebody waits who says it again.
    fn carry_out(&mut self, what: &Self::What, is_awaited: bool)
    -> impl Future<Output = SendResult<Self::Name>> + Send;

    /// Shows the state of a message that grows: in its place, or in a new one where it has none.
    fn show(
        &mut self,
        at: Option<&Self::Name>,
        state: &Self::Growing,
    ) -> impl Future<Output = Result<Self::Name, Refusal>> + Send;

    /// The message that grows under this key is this one from now on.
    fn stands(&mut self, key: u64, name: &Self::Name) -> impl Future<Output = ()> + Send;

    /// The message under this key shows its last state, or never will.
    fn over(&mut self, key: u64) -> impl Future<Output = ()> + Send;
}

/// What the queue of a sender holds.
type Waiting<C> = Queue<QueuedItem<<C as Sender>::What, <C as Sender>::Name>, <C as Sender>::Growing>;
/// The messages that grow: their names, and what they show where that is known.
type Live<C> = BTreeMap<u64, (<C as Sender>::Name, Option<<C as Sender>::Growing>)>;

/// The state of a queue.
struct Held<C: Sender> {
    queue: Waiting<C>,
    live: Live<C>,
    /// Nobody works here any more.
    is_closed: bool,
}

/// What waits to be said in a chat.
pub struct Line<C: Sender> {
    held: Mutex<Held<C>>,
    wake: Notify,
}

impl<C: Sender> Default for Line<C> {
    fn default() -> Self {
        let held = Held { queue: Queue::default(), live: BTreeMap::new(), is_closed: false };
        Self { held: Mutex::new(held), wake: Notify::new() }
    }
}

fn closed() -> Refusal {
    Refusal::later(None, "the channel was closed meanwhile")
}

impl<C: Sender> Line<C> {
    fn held(&self) -> MutexGuard<'_, Held<C>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.held().queue.waiting()
    }

    /// Nothing is said here any more: whoever waits is told so.
    pub fn close(&self) {
        let mut held = self.held();
        held.is_closed = true;
        held.queue = Queue::default();
    }

    fn put(
        &self,
        what: C::What,
        urgency: Urgency,
        reply: Option<oneshot::Sender<SendResult<C::Name>>>,
    ) -> Result<(), Refusal> {
        let full = |_| Refusal::later(Some(LONGEST_BACKOFF), "too much waits to be said there");
        let mut held = self.held();
        if held.is_closed {
            return Err(closed());
        }
        held.queue.push(QueuedItem { what, tries: 0, reply }, urgency).map_err(full)?;
        drop(held);
        self.wake.notify_one();
        Ok(())
    }

    /// Something for which nobody waits; `false`: too much waits already.
    pub fn push(&self, what: C::What, urgency: Urgency) -> bool {
        self.put(what, urgency, None).is_ok()
    }

    /// Has something said, and waits until it is.
    ///
    /// # Errors
    /// It was not said, or that is not known.
    pub async fn wait(&self, what: C::What, urgency: Urgency) -> SendResult<C::Name> {
        let (reply, told) = oneshot::channel();
        self.put(what, urgency, Some(reply))?;
        // Nobody works here any more.
        told.await.unwrap_or_else(|_| Err(closed()))
    }

    /// A message that is there already grows on under this key.
    pub fn adopt(&self, key: u64, name: C::Name) {
        self.held().live.insert(key, (name, None));
    }

    /// The newest state of a message that grows; `false`: there are too many of them.
    pub fn show(&self, key: u64, state: C::Growing, is_last: bool) -> bool {
        let is_taken = self.held().queue.show(key, state, is_last);
        self.wake.notify_one();
        is_taken
    }

    /// Has what waits said. Once `closing` is cancelled, until nothing is to be said any more: of messages that grow, only
    /// their last states are waited for.
    pub async fn work(&self, mut sender: C, closing: &CancellationToken) {
        loop {
            // Made before the look, so that nothing that comes meanwhile is slept through.
            let woken = self.wake.notified();
            let closes = closing.is_cancelled();
            let due = {
                let mut held = self.held();
                if closes {
                    held.queue.leave_growing();
                }
                held.queue.next(&sender.rhythm().pace, sender.rhythm().now())
            };
            match due {
                Due::Queued(item) => self.deliver(&mut sender, item).await,
                Due::Live { key, state, is_last } => self.grow(&mut sender, key, (state, is_last)).await,
                Due::At(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(sender.rhythm().begun + at) => {}
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

    async fn deliver(&self, sender: &mut C, mut item: QueuedItem<C::What, C::Name>) {
        // Who has stopped waiting will say it again.
        if item.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return;
        }
        let done = sender.carry_out(&item.what, item.reply.is_some()).await;
        item.tries += 1;
        match (item.reply.take(), done) {
            // Who waits decides.
            (Some(reply), done) => drop(reply.send(done)),
            (None, Err(Refusal::Later { .. })) if item.tries < TRIES => self.held().queue.push_back(item),
            (None, Err(refusal)) => tracing::warn!(%refusal, "an answer could not be said"),
            (None, Ok(_)) => {}
        }
    }

    async fn grow(&self, sender: &mut C, key: u64, (state, is_last): (C::Growing, bool)) {
        let known = self.held().live.get(&key).map(|(name, shown)| (name.clone(), shown.as_ref() == Some(&state)));
        let done = match &known {
            Some((name, true)) => Ok(name.clone()),
            Some((name, false)) => sender.show(Some(name), &state).await,
            None => sender.show(None, &state).await,
        };
        match done {
            Ok(_) if is_last => self.end(sender, key).await,
            Ok(name) => {
                if known.is_none() {
                    sender.stands(key, &name).await;
                }
                self.held().live.insert(key, (name, Some(state)));
            }
            Err(Refusal::Gone) => {
                // Somebody has deleted it: the next state is a message of its own.
                let mut held = self.held();
                held.live.remove(&key);
                held.queue.show_again(key, state, is_last);
            }
            Err(Refusal::Later { .. }) => self.held().queue.show_again(key, state, is_last),
            Err(Refusal::Never(_) | Refusal::Closed(_)) if is_last => self.end(sender, key).await,
            // The trouble is told; the next state is tried again.
            Err(Refusal::Never(_) | Refusal::Closed(_)) => {}
        }
    }

    async fn end(&self, sender: &mut C, key: u64) {
        self.held().live.remove(&key);
        sender.over(key).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Limits;
    use std::collections::VecDeque;
    use std::sync::Arc;

    /// One whose service answers as it is told, and then well.
    struct SendResult {
        rate_limiter: RateLimiter,
        answers: VecDeque<Refusal>,
        done: Arc<Mutex<Vec<String>>>,
    }

    impl SendResult {
        fn says(&mut self, words: String) -> Result<u64, Refusal> {
            self.done.lock().expect("alone").push(words);
            self.answers.pop_front().map_or(Ok(7), Err)
        }
    }

    impl Sender for SendResult {
        type What = &'static str;
        type Name = u64;
        type Growing = &'static str;

        fn rhythm(&self) -> &RateLimiter {
            &self.rate_limiter
        }

        async fn carry_out(&mut self, what: &&'static str, _: bool) -> super::SendResult<u64> {
            self.says((*what).to_owned()).map(Some)
        }

        async fn show(&mut self, at: Option<&u64>, state: &&'static str) -> Result<u64, Refusal> {
            self.says(format!("{at:?} {state}"))
        }

        async fn stands(&mut self, key: u64, name: &u64) {
            self.done.lock().expect("alone").push(format!("{key} is {name}"));
        }

        async fn over(&mut self, key: u64) {
            self.done.lock().expect("alone").push(format!("{key} is over"));
        }
    }

    fn begun(answers: Vec<Refusal>) -> (Arc<Line<SendResult>>, Arc<Mutex<Vec<String>>>) {
        let line = Arc::new(Line::default());
        let (done, _, _) = at_work(&line, answers);
        (line, done)
    }

    type Works = (Arc<Mutex<Vec<String>>>, CancellationToken, tokio::task::JoinHandle<()>);

    fn at_work(line: &Arc<Line<SendResult>>, answers: Vec<Refusal>) -> Works {
        let done = Arc::default();
        let limits = Limits { apart: Duration::ZERO, group_span: Duration::ZERO, margin: Duration::ZERO };
        let rate_limiter = RateLimiter::new(RateLimit::new(false, limits));
        let sender = SendResult { rate_limiter, answers: answers.into(), done: Arc::clone(&done) };
        let (works, closing) = (Arc::clone(line), CancellationToken::new());
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
        let (line, done) = begun(vec![down(), down()]);
        assert_eq!(line.wait("a notice", Urgency::Usual).await, Err(down()));
        assert!(line.push("an answer", Urgency::Now));
        assert_eq!(until(&done, 3).await, ["a notice", "an answer", "an answer"]);
        assert_eq!(line.wait("a notice", Urgency::Usual).await, Ok(Some(7)));
        let (line, done) = begun(vec![down(); 100]);
        line.push("an answer", Urgency::Now);
        assert!(line.wait("a notice", Urgency::Usual).await.is_err());
        until(&done, 1 + TRIES as usize).await;
        assert_eq!(line.waiting(), 0, "given up in the end");
    }

    #[tokio::test]
    async fn a_message_that_grows_keeps_its_place_until_somebody_deletes_it() {
        let (line, done) = begun(Vec::new());
        assert!(line.show(1, "one", false));
        until(&done, 2).await;
        line.show(1, "one", false);
        line.show(1, "two", true);
        assert_eq!(until(&done, 4).await, ["None one", "1 is 7", "Some(7) two", "1 is over"]);
        let (line, done) = begun(vec![Refusal::later(None, "down")]);
        line.show(1, "one", false);
        assert_eq!(until(&done, 3).await, ["None one", "None one", "1 is 7"], "shown in the end");
        let (line, done) = begun(vec![Refusal::Gone]);
        line.adopt(1, 5);
        line.show(1, "one", false);
        assert_eq!(until(&done, 3).await, ["Some(5) one", "None one", "1 is 7"]);
    }

    #[tokio::test]
    async fn a_message_of_before_grows_on_and_one_that_can_never_be_shown_is_over() {
        let never = || Refusal::Never("no rights".to_owned());
        let (line, done) = begun(vec![never(), never()]);
        line.adopt(3, 5);
        line.show(3, "one", false);
        until(&done, 1).await;
        line.show(3, "two", true);
        assert_eq!(until(&done, 3).await, ["Some(5) one", "Some(5) two", "3 is over"]);
    }

    #[tokio::test]
    async fn what_waits_is_said_before_the_end_and_after_it_everybody_is_told_so() {
        let line: Arc<Line<SendResult>> = Arc::new(Line::default());
        for (key, is_last) in [(1, false), (2, true)] {
            line.show(key, "a state", is_last);
        }
        assert!(line.push("an answer", Urgency::Now));
        let notice = tokio::spawn({
            let line = Arc::clone(&line);
            async move { line.wait("a notice", Urgency::Usual).await }
        });
        while line.waiting() < 4 {
            tokio::task::yield_now().await;
        }
        let (done, closing, working) = at_work(&line, Vec::new());
        closing.cancel();
        working.await.expect("it ends");
        let said = done.lock().expect("alone").clone();
        assert_eq!(said, ["an answer", "a notice", "None a state", "2 is over"], "what grows on is shown later");
        assert_eq!(notice.await.expect("it ends"), Ok(Some(7)));
        let late = tokio::spawn({
            let line = Arc::clone(&line);
            async move { line.wait("a notice", Urgency::Usual).await }
        });
        while line.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        line.close();
        assert_eq!(late.await.expect("it ends"), Err(closed()));
        assert_eq!(
            (line.wait("a notice", Urgency::Usual).await, line.push("an answer", Urgency::Now)),
            (Err(closed()), false)
        );
    }
}
