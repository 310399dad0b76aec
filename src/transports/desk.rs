//! The desk of a chat: what waits to be said there, in the order of [`pace`], and the loop that has a clerk say it, one
//! request after the other. What was refused for now is said again; what cannot be said is told to whoever waits for it.
//! Knows no service: each has a clerk of its own.
//!
//! [`pace`]: super::pace

use super::chat::Refusal;
use super::pace::{Due, Pace, Queue, Urgency};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// The first pause after a request whose fate is not known; doubled with each that follows.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How often something is said again that nobody else would say again.
const TRIES: u32 = 5;

/// What became of something that was to be said: the name of the message, where it has one.
pub type Told<N> = Result<Option<N>, Refusal>;

/// Something that is said or changed once.
struct Parcel<W, N> {
    what: W,
    tries: u32,
    reply: Option<oneshot::Sender<Told<N>>>,
}

/// When a chat was written to, and when it may be again.
pub struct Rhythm {
    pace: Pace,
    begun: Instant,
    failures: u32,
}

impl Rhythm {
    /// Of a chat to which nothing was written yet.
    pub fn new(pace: Pace) -> Self {
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
pub trait Clerk: Send {
    /// What is said or changed once.
    type What: Send + Sync;
    /// How a message is named.
    type Name: Clone + Send + Sync;
    /// A state of a message that grows.
    type Growing: PartialEq + Send + Sync;

    /// When it may be said.
    fn rhythm(&self) -> &Rhythm;

    /// Says or changes something. `is_awaited`: somebody waits who says it again.
    fn carry_out(&mut self, what: &Self::What, is_awaited: bool) -> impl Future<Output = Told<Self::Name>> + Send;

    /// Shows the state of a message that grows: in its place, or in a new one where it has none.
    fn show(
        &mut self,
        at: Option<&Self::Name>,
        state: &Self::Growing,
    ) -> impl Future<Output = Result<Self::Name, Refusal>> + Send;
}

/// What a clerk's queue holds.
type Waiting<C> = Queue<Parcel<<C as Clerk>::What, <C as Clerk>::Name>, <C as Clerk>::Growing>;

/// What waits to be said in a chat.
pub struct Line<C: Clerk> {
    queue: Mutex<Waiting<C>>,
    wake: Notify,
}

impl<C: Clerk> Default for Line<C> {
    fn default() -> Self {
        Self { queue: Mutex::default(), wake: Notify::new() }
    }
}

impl<C: Clerk> Line<C> {
    fn queue(&self) -> MutexGuard<'_, Waiting<C>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    fn put(
        &self,
        what: C::What,
        urgency: Urgency,
        reply: Option<oneshot::Sender<Told<C::Name>>>,
    ) -> Result<(), Refusal> {
        let full = |_| Refusal::later(Some(LONGEST_BACKOFF), "too much waits to be said there");
        self.queue().push(Parcel { what, tries: 0, reply }, urgency).map_err(full)?;
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
    pub async fn wait(&self, what: C::What, urgency: Urgency) -> Told<C::Name> {
        let (reply, told) = oneshot::channel();
        self.put(what, urgency, Some(reply))?;
        // Nobody works here any more.
        told.await.unwrap_or_else(|_| Err(Refusal::later(None, "the channel was closed meanwhile")))
    }

    /// The newest state of a message that grows; `false`: there are too many of them.
    pub fn show(&self, key: u64, state: C::Growing, is_last: bool) -> bool {
        let is_taken = self.queue().show(key, state, is_last);
        self.wake.notify_one();
        is_taken
    }

    /// Has what waits said, for ever.
    pub async fn work(&self, mut clerk: C) {
        let mut live: BTreeMap<u64, (C::Name, C::Growing)> = BTreeMap::new();
        loop {
            // Made before the look, so that nothing that comes meanwhile is slept through.
            let woken = self.wake.notified();
            let due = self.queue().next(&clerk.rhythm().pace, clerk.rhythm().now());
            match due {
                Due::Queued(parcel) => self.deliver(&mut clerk, parcel).await,
                Due::Live { key, state, is_last } => self.grow(&mut clerk, &mut live, (key, state, is_last)).await,
                Due::At(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(clerk.rhythm().begun + at) => {}
                        () = woken => {}
                    }
                }
                Due::Nothing => woken.await,
            }
        }
    }

    async fn deliver(&self, clerk: &mut C, mut parcel: Parcel<C::What, C::Name>) {
        // Who has stopped waiting will say it again.
        if parcel.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return;
        }
        let done = clerk.carry_out(&parcel.what, parcel.reply.is_some()).await;
        parcel.tries += 1;
        match (parcel.reply.take(), done) {
            // Who waits decides.
            (Some(reply), done) => drop(reply.send(done)),
            (None, Err(Refusal::Later { .. })) if parcel.tries < TRIES => self.queue().push_back(parcel),
            (None, Err(refusal)) => tracing::warn!(%refusal, "an answer could not be said"),
            (None, Ok(_)) => {}
        }
    }

    async fn grow(
        &self,
        clerk: &mut C,
        live: &mut BTreeMap<u64, (C::Name, C::Growing)>,
        (key, state, is_last): (u64, C::Growing, bool),
    ) {
        let done = match live.get(&key) {
            Some((name, shown)) if *shown == state => Ok(name.clone()),
            Some((name, _)) => clerk.show(Some(name), &state).await,
            None => clerk.show(None, &state).await,
        };
        match done {
            Ok(_) if is_last => drop(live.remove(&key)),
            Ok(name) => drop(live.insert(key, (name, state))),
            Err(Refusal::Gone) => {
                // Somebody has deleted it: the next state is a message of its own.
                live.remove(&key);
                self.queue().show_again(key, state, is_last);
            }
            Err(Refusal::Later { .. }) => self.queue().show_again(key, state, is_last),
            // The trouble is told; the next state is tried again.
            Err(Refusal::Never(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::pace::Limits;
    use std::collections::VecDeque;
    use std::sync::Arc;

    /// One whose service answers as it is told, and then well.
    struct Told {
        rhythm: Rhythm,
        answers: VecDeque<Refusal>,
        done: Arc<Mutex<Vec<String>>>,
    }

    impl Told {
        fn says(&mut self, words: String) -> Result<u64, Refusal> {
            self.done.lock().expect("alone").push(words);
            self.answers.pop_front().map_or(Ok(7), Err)
        }
    }

    impl Clerk for Told {
        type What = &'static str;
        type Name = u64;
        type Growing = &'static str;

        fn rhythm(&self) -> &Rhythm {
            &self.rhythm
        }

        async fn carry_out(&mut self, what: &&'static str, _: bool) -> super::Told<u64> {
            self.says((*what).to_owned()).map(Some)
        }

        async fn show(&mut self, at: Option<&u64>, state: &&'static str) -> Result<u64, Refusal> {
            self.says(format!("{at:?} {state}"))
        }
    }

    fn begun(answers: Vec<Refusal>) -> (Arc<Line<Told>>, Arc<Mutex<Vec<String>>>) {
        let (line, done) = (Arc::new(Line::default()), Arc::default());
        let limits = Limits { apart: Duration::ZERO, group_span: Duration::ZERO, margin: Duration::ZERO };
        let rhythm = Rhythm::new(Pace::new(false, limits));
        let clerk = Told { rhythm, answers: answers.into(), done: Arc::clone(&done) };
        let works: Arc<Line<Told>> = Arc::clone(&line);
        tokio::spawn(async move { works.work(clerk).await });
        (line, done)
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
        until(&done, 1).await;
        line.show(1, "one", false);
        line.show(1, "two", true);
        assert_eq!(until(&done, 2).await, ["None one", "Some(7) two"]);
        let (line, done) = begun(vec![Refusal::later(None, "down")]);
        line.show(1, "one", false);
        assert_eq!(until(&done, 2).await, ["None one", "None one"], "shown in the end");
    }
}
