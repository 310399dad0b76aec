//! What goes out: one request after the other, a person's answers first, then notices, then output that grows. The rates
//! of the service are kept below; here it is kept from being many requests at all. What was refused for now is said again.

use super::api::{Api, Armed, Place};
use super::now;
use super::threads::Threads;
use crate::domain::channel::Saying;
use crate::domain::ids::TaskId;
use crate::transports::chat::Refusal;
use crate::transports::conversation::buttons::{Minted, bind, mint};
use crate::transports::conversation::live::Stage;
use crate::transports::conversation::shelf::Shelf;
use crate::transports::health::{Health, Way};
use crate::transports::pace::{Due, Limits, Pace, Queue, Urgency};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use twilight_model::id::Id;
use twilight_model::id::marker::ChannelMarker;

/// The first pause after a request whose fate is not known; doubled with each that follows.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How often an answer is said again that nobody else would say again.
const TRIES: u32 = 5;
/// A message or an edit a second: the five in five seconds that a channel takes.
const LIMITS: Limits =
    Limits { apart: Duration::from_secs(1), group_span: Duration::ZERO, margin: Duration::from_millis(20) };

type Told = Result<Option<Place>, Refusal>;

struct Parcel {
    what: What,
    tries: u32,
    reply: Option<oneshot::Sender<Told>>,
}

enum What {
    Say(Id<ChannelMarker>, Saying),
    Change(Place, Saying),
    /// The buttons under this message go.
    Strip(Place),
}

/// The state of a message that grows, and where it stands.
type Growing = (Id<ChannelMarker>, Saying);

struct Shared {
    api: Api,
    /// Where notices are said.
    channel: Id<ChannelMarker>,
    shelf: Shelf,
    users: BTreeSet<String>,
    queue: Mutex<Queue<Parcel, Growing>>,
    wake: Notify,
    threads: Threads,
    health: Health,
}

/// The way out. Cheap to clone; [`Desk::run`] does the work.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

impl Desk {
    /// For a channel; `users`: who may press the buttons.
    pub fn new(api: Api, channel: Id<ChannelMarker>, shelf: Shelf, users: BTreeSet<String>, health: Health) -> Self {
        let (threads, queue, wake) = (Threads::new(shelf.clone()), Mutex::default(), Notify::new());
        Self(Arc::new(Shared { api, channel, shelf, users, queue, wake, threads, health }))
    }

    /// Where tasks are spoken of.
    pub fn threads(&self) -> &Threads {
        &self.0.threads
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Parcel, Growing>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    fn push(&self, what: What, urgency: Urgency, reply: Option<oneshot::Sender<Told>>) -> Result<(), Refusal> {
        let full = |_| Refusal::Later { after: Some(LONGEST_BACKOFF) };
        self.queue().push(Parcel { what, tries: 0, reply }, urgency).map_err(full)?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// Says something in the channel, and waits until it is said.
    ///
    /// # Errors
    /// It was not said, or that is not known.
    pub async fn say(&self, saying: &Saying) -> Told {
        let urgency = if saying.is_urgent { Urgency::Now } else { Urgency::Usual };
        self.wait(What::Say(self.0.channel, saying.clone()), urgency).await
    }

    /// Puts something into the place of a message, and waits until that is done.
    ///
    /// # Errors
    /// It was not done, or that is not known.
    pub async fn change(&self, place: Place, saying: &Saying) -> Result<(), Refusal> {
        self.wait(What::Change(place, saying.clone()), Urgency::Usual).await.map(drop)
    }

    async fn wait(&self, what: What, urgency: Urgency) -> Told {
        let (reply, told) = oneshot::channel();
        self.push(what, urgency, Some(reply))?;
        // Nobody works here any more.
        told.await.unwrap_or(Err(Refusal::Later { after: None }))
    }

    /// Answers somebody, there; nobody waits for it. What is too much is dropped, and that is logged.
    pub fn answer(&self, channel: Id<ChannelMarker>, saying: Saying) {
        if self.push(What::Say(channel, saying), Urgency::Now, None).is_err() {
            tracing::warn!(%channel, "an answer is dropped: too much waits");
        }
    }

    /// Says something in the channel for which nobody waits.
    pub fn tell(&self, saying: Saying) {
        self.answer(self.0.channel, saying);
    }

    /// Takes the buttons from a message.
    pub fn strip(&self, place: Place) {
        // They are void anyway.
        self.push(What::Strip(place), Urgency::Now, None).ok();
    }

    /// The newest state of a message that grows; `false`: there are too many of them.
    pub fn show(&self, key: u64, channel: Id<ChannelMarker>, saying: Saying, stage: Stage) -> bool {
        let is_taken = self.queue().show(key, (channel, saying), stage == Stage::Last);
        self.0.wake.notify_one();
        is_taken
    }

    /// The buttons of something that is about to be said.
    ///
    /// # Errors
    /// They cannot be kept; then it is not said.
    pub async fn arm(&self, saying: &Saying) -> Result<(Vec<Minted>, Vec<Armed>), Refusal> {
        if self.0.users.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let minted = mint(&self.0.shelf, &saying.buttons, &self.0.users, now()).await;
        let minted = minted.map_err(|error| unkept(&error))?;
        let armed = Armed::all(&saying.buttons, &minted);
        Ok((minted, armed))
    }

    /// It stands there now: its buttons count under this message only, and answers to it are about its task.
    pub async fn stands(&self, saying: &Saying, minted: &[Minted], place: Place) -> Result<(), Refusal> {
        if !minted.is_empty() {
            bind(&self.0.shelf, minted, &place.to_string()).await.map_err(|error| unkept(&error))?;
        }
        if let Some(task) = saying.task {
            self.0.threads.said(task, place).await;
        }
        Ok(())
    }

    /// Says what is to be said, for ever.
    pub async fn run(&self) {
        let mut clerk = Clerk {
            desk: self,
            pace: Pace::new(false, LIMITS),
            begun: Instant::now(),
            failures: 0,
            live: BTreeMap::new(),
        };
        loop {
            // Made before the look, so that nothing that comes meanwhile is slept through.
            let woken = self.0.wake.notified();
            let due = self.queue().next(&clerk.pace, clerk.now());
            match due {
                Due::Queued(parcel) => clerk.deliver(parcel).await,
                Due::Live { key, state, is_last } => clerk.grow(key, state, is_last).await,
                Due::At(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(clerk.begun + at) => {}
                        () = woken => {}
                    }
                }
                Due::Nothing => woken.await,
            }
        }
    }
}

fn unkept(error: &crate::engine::handle::EngineError) -> Refusal {
    tracing::warn!(%error, "what is said cannot be kept");
    Refusal::Later { after: None }
}

/// Who does it.
struct Clerk<'a> {
    desk: &'a Desk,
    pace: Pace,
    begun: Instant,
    failures: u32,
    /// Where messages that grow stand, and what they show.
    live: BTreeMap<u64, (Place, Saying)>,
}

impl Clerk<'_> {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What became of a request: it is told, and the next one waits where that is asked for.
    fn told<T>(&mut self, done: &Result<T, Refusal>) {
        let now = self.now();
        self.pace.asked(now);
        let health = &self.desk.0.health;
        match done {
            Ok(_) | Err(Refusal::Gone) => {
                self.failures = 0;
                health.set(Way::Out, None);
            }
            Err(Refusal::Later { after }) => {
                let doubled = BACKOFF.saturating_mul(1 << self.failures.min(10)).min(LONGEST_BACKOFF);
                self.failures = self.failures.saturating_add(1);
                self.pace.put_off(now, after.unwrap_or(doubled));
                if self.failures > 2 {
                    health.set(Way::Out, Some("Discord does not answer; it is tried again".to_owned()));
                }
            }
            Err(Refusal::Never(why)) => health.set(Way::Out, Some(why.clone())),
        }
    }

    async fn deliver(&mut self, mut parcel: Parcel) {
        let done = match &parcel.what {
            What::Say(channel, saying) => self.say(*channel, saying).await.map(Some),
            What::Change(place, saying) => self.change(*place, saying).await.map(|()| Some(*place)),
            What::Strip(place) => self.desk.0.api.strip(*place).await.map(|()| None),
        };
        self.told(&done);
        parcel.tries += 1;
        match (parcel.reply.take(), done) {
            // Who waits decides.
            (Some(reply), done) => drop(reply.send(done)),
            (None, Err(Refusal::Later { .. })) if parcel.tries < TRIES => self.desk.queue().push_back(parcel),
            (None, Err(refusal)) => tracing::warn!(%refusal, "an answer could not be said"),
            (None, Ok(_)) => {}
        }
    }

    async fn say(&self, channel: Id<ChannelMarker>, saying: &Saying) -> Result<Place, Refusal> {
        let shared = &self.desk.0;
        let (minted, armed) = self.desk.arm(saying).await?;
        let place = shared.api.say(channel, saying, &armed).await?;
        self.desk.stands(saying, &minted, place).await?;
        if let Some(task) = saying.task
            && channel == shared.channel
        {
            self.begin_thread(task, place, saying).await;
        }
        Ok(place)
    }

    /// A thread under the first message about a task, so that there is a place for words to its agent.
    async fn begin_thread(&self, task: TaskId, under: Place, saying: &Saying) {
        let shared = &self.desk.0;
        if shared.threads.of(task).await.is_some() {
            return;
        }
        let line = saying.plain_text().lines().next().unwrap_or_default().trim().to_owned();
        let name = if line.contains(&format!("#{task}")) { line } else { format!("#{task} {line}") };
        match shared.api.begin_thread(under, &name).await {
            Ok(thread) => shared.threads.begun(task, thread).await,
            // Answers to the message do as well.
            Err(refusal) => tracing::debug!(%refusal, %task, "a thread cannot be begun"),
        }
    }

    async fn change(&self, place: Place, saying: &Saying) -> Result<(), Refusal> {
        let (minted, armed) = self.desk.arm(saying).await?;
        self.desk.0.api.change(place, saying, &armed).await?;
        self.desk.stands(saying, &minted, place).await
    }

    /// The newest state of a message that grows.
    async fn grow(&mut self, key: u64, (channel, saying): Growing, is_last: bool) {
        let api = &self.desk.0.api;
        let done = match self.live.get(&key) {
            Some((place, shown)) if *shown == saying => Ok(*place),
            Some((place, _)) => api.change(*place, &saying, &[]).await.map(|()| *place),
            None => api.say(channel, &saying, &[]).await,
        };
        self.told(&done);
        match done {
            Ok(place) => {
                if let Some(task) = saying.task {
                    self.desk.0.threads.said(task, place).await;
                }
                self.live.insert(key, (place, saying));
                if is_last {
                    self.live.remove(&key);
                }
            }
            Err(Refusal::Gone) => {
                // Somebody has deleted it: the next state is a message of its own.
                self.live.remove(&key);
                self.desk.queue().show_again(key, (channel, saying), is_last);
            }
            Err(Refusal::Later { .. }) => self.desk.queue().show_again(key, (channel, saying), is_last),
            // The trouble is told; the next state is tried again.
            Err(Refusal::Never(_)) => {}
        }
    }
}
