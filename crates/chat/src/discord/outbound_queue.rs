//! What goes out: one request after the other, a person's answers first, then notices, then output that grows. The rates
//! of the service are kept below; here it is kept from being many requests at all. What was refused for now is said again.

use super::api::{Api, Armed, Place, id};
use super::now;
use super::threads::Threads;
use crate::chat::Refusal;
use crate::conversation::buttons::{Minted, bind, mint};
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::live::Stage;
use crate::health::{Health, Way};
use crate::outbound_queue::{self, Line, RateLimiter, SendResult};
use crate::rate_limit::{Limits, RateLimit, Urgency};
use crate::streams;
use orch_core::channel::ChatMessage;
use orch_core::ids::TaskId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, UserMarker};

/// A message or an edit a second: the five in five seconds that a channel takes.
const LIMITS: Limits =
    Limits { apart: Duration::from_secs(1), group_span: Duration::ZERO, margin: Duration::from_millis(20) };
/// So often in a row it is asked to come later before that is trouble.
const USUAL: u32 = 2;
/// So many people are told of what is said in a thread: the first of the list.
const INVITED: usize = 10;

/// Something that is said or changed once.
pub enum What {
    /// A notice: in its task's thread, or else in the channel.
    Tell(ChatMessage),
    /// A message, or several, there.
    Say(Id<ChannelMarker>, ChatMessage),
    /// Another text in the place of a message.
    Change(Place, ChatMessage),
    /// The buttons under this message go.
    Strip(Place),
}

/// The state of a message that grows, and where it stands.
type Growing = (Id<ChannelMarker>, ChatMessage);

struct Shared {
    api: Api,
    /// Where notices are said.
    channel: Id<ChannelMarker>,
    store: ChannelStore,
    users: BTreeSet<String>,
    line: Line<Sender>,
    threads: Threads,
    health: Health,
}

/// The way out. Cheap to clone; [`OutboundQueue::run`] does the work.
#[derive(Clone)]
pub struct OutboundQueue(Arc<Shared>);

impl OutboundQueue {
    /// For a channel; `users`: who may press the buttons.
    pub fn new(
        api: Api,
        channel: Id<ChannelMarker>,
        store: ChannelStore,
        users: BTreeSet<String>,
        health: Health,
    ) -> Self {
        let threads = Threads::new(store.clone());
        Self(Arc::new(Shared { api, channel, store, users, line: Line::default(), threads, health }))
    }

    /// Where tasks are spoken of.
    pub fn threads(&self) -> &Threads {
        &self.0.threads
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.0.line.waiting()
    }

    /// Says something in its task's thread or in the channel, and waits until it is said.
    ///
    /// # Errors
    /// It was not said, or that is not known.
    pub async fn say(&self, saying: &ChatMessage) -> SendResult<Place> {
        let urgency = if saying.is_urgent { Urgency::Now } else { Urgency::Usual };
        self.0.line.wait(What::Tell(saying.clone()), urgency).await
    }

    /// Says something there, and waits until it is said.
    ///
    /// # Errors
    /// It was not said, or that is not known.
    pub async fn say_in(&self, channel: Id<ChannelMarker>, saying: &ChatMessage) -> SendResult<Place> {
        self.0.line.wait(What::Say(channel, saying.clone()), Urgency::Usual).await
    }

    /// Puts something into the place of a message, and waits until that is done.
    ///
    /// # Errors
    /// It was not done, or that is not known.
    pub async fn change(&self, place: Place, saying: &ChatMessage) -> Result<(), Refusal> {
        self.0.line.wait(What::Change(place, saying.clone()), Urgency::Usual).await.map(drop)
    }

    /// Answers somebody, there; nobody waits for it. What is too much is dropped, and that is logged.
    pub fn answer(&self, channel: Id<ChannelMarker>, saying: ChatMessage) {
        if !self.0.line.push(What::Say(channel, saying), Urgency::Now) {
            tracing::warn!(%channel, "an answer is dropped: too much waits");
        }
    }

    /// Takes the buttons from a message. They are void anyway.
    pub fn strip(&self, place: Place) {
        self.0.line.push(What::Strip(place), Urgency::Now);
    }

    /// The newest state of a message that grows; `false`: there are too many of them.
    pub fn show(&self, key: u64, channel: Id<ChannelMarker>, saying: ChatMessage, stage: Stage) -> bool {
        self.0.line.show(key, (channel, saying), stage == Stage::Last)
    }

    /// The buttons of something that is about to be said.
    ///
    /// # Errors
    /// They cannot be kept; then it is not said.
    pub async fn arm(&self, saying: &ChatMessage) -> Result<(Vec<Minted>, Vec<Armed>), Refusal> {
        if self.0.users.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let minted = mint(&self.0.store, &saying.buttons, &self.0.users, now()).await;
        let minted = minted.map_err(|error| unkept(&error))?;
        let armed = Armed::all(&saying.buttons, &minted);
        Ok((minted, armed))
    }

    /// It stands there now: its buttons count under this message only, and answers to it are about its task.
    pub async fn stands(&self, saying: &ChatMessage, minted: &[Minted], place: Place) -> Result<(), Refusal> {
        if !minted.is_empty() {
            bind(&self.0.store, minted, &place.to_string()).await.map_err(|error| unkept(&error))?;
        }
        if let Some(task) = saying.task {
            self.0.threads.said(task, place).await;
        }
        Ok(())
    }

    /// A message that was there before grows on.
    pub fn adopt(&self, key: u64, place: Place) {
        self.0.line.adopt(key, place);
    }

    /// Says what is to be said; once `closing` is cancelled, what is left of it.
    pub async fn run(&self, closing: &CancellationToken) {
        let rate_limiter = RateLimiter::new(RateLimit::new(false, LIMITS));
        self.0.line.work(Sender { queue: self.clone(), rate_limiter }, closing).await;
    }

    /// Nothing is said here any more.
    pub fn close(&self) {
        self.0.line.close();
    }
}

fn unkept(error: &orch_engine::handle::EngineError) -> Refusal {
    tracing::warn!(%error, "what is said cannot be kept");
    Refusal::later(None, format!("what is said cannot be kept: {error}"))
}

/// Who does it.
struct Sender {
    queue: OutboundQueue,
    rate_limiter: RateLimiter,
}

impl outbound_queue::Sender for Sender {
    type What = What;
    type Name = Place;
    type Growing = Growing;

    fn rhythm(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    async fn carry_out(&mut self, what: &What, _: bool) -> SendResult<Place> {
        let done = match what {
            What::Tell(saying) => self.tell(saying).await.map(Some),
            What::Say(channel, saying) => self.say(*channel, saying).await.map(Some),
            What::Change(place, saying) => self.change(*place, saying).await.map(|()| Some(*place)),
            What::Strip(place) => self.queue.0.api.strip(*place).await.map(|()| None),
        };
        self.heed(done.as_ref().err());
        done
    }

    async fn show(&mut self, at: Option<&Place>, (channel, saying): &Growing) -> Result<Place, Refusal> {
        let api = &self.queue.0.api;
        let done = match at {
            Some(place) => api.change(*place, saying, &[]).await.map(|()| *place),
            None => api.say(*channel, saying, &[]).await,
        };
        self.heed(done.as_ref().err());
        if let (Ok(place), Some(task)) = (&done, saying.task) {
            self.queue.0.threads.said(task, *place).await;
        }
        done
    }

    async fn stands(&mut self, key: u64, place: &Place) {
        streams::stands::<Id<ChannelMarker>>(&self.queue.0.store, key, place.to_string()).await;
    }

    async fn over(&mut self, key: u64) {
        streams::over(&self.queue.0.store, key).await;
    }
}

impl Sender {
    /// What became of a request: it is told, and the next one waits where that is asked for.
    fn heed(&mut self, refusal: Option<&Refusal>) {
        self.rate_limiter.asked();
        let health = &self.queue.0.health;
        match refusal {
            None | Some(Refusal::Gone | Refusal::Never(_)) => {
                self.rate_limiter.is_well();
                health.set(Way::Out, None);
            }
            Some(Refusal::Later { after, why }) => {
                let in_a_row = self.rate_limiter.failed(*after);
                if after.is_none() || in_a_row > USUAL {
                    health.set(Way::Out, Some(why.clone()));
                }
            }
            Some(Refusal::Closed(why)) => health.set(Way::Out, Some(why.clone())),
        }
    }

    /// In the task's thread where there is one.
    async fn tell(&self, saying: &ChatMessage) -> Result<Place, Refusal> {
        let shared = &self.queue.0;
        if let Some(task) = saying.task
            && let Some(thread) = shared.threads.of(task).await
        {
            match self.say(thread, saying).await {
                Err(Refusal::Gone) => {}
                Err(Refusal::Never(_) | Refusal::Closed(_)) if shared.api.is_gone(thread).await => {}
                done => return done,
            }
            // Somebody has deleted or locked it.
            shared.threads.forget(task, thread).await;
        }
        self.say(shared.channel, saying).await
    }

    async fn say(&self, channel: Id<ChannelMarker>, saying: &ChatMessage) -> Result<Place, Refusal> {
        let shared = &self.queue.0;
        let (minted, armed) = self.queue.arm(saying).await?;
        let place = shared.api.say(channel, saying, &armed).await?;
        self.queue.stands(saying, &minted, place).await?;
        if let Some(task) = saying.task
            && channel == shared.channel
        {
            self.begin_thread(task, place, saying).await;
        }
        Ok(place)
    }

    /// A thread under the first message about a task, so that there is a place for words to its agent.
    async fn begin_thread(&self, task: TaskId, under: Place, saying: &ChatMessage) {
        let shared = &self.queue.0;
        if shared.threads.of(task).await.is_some() {
            return;
        }
        let line = saying.plain_text().lines().next().unwrap_or_default().trim().to_owned();
        let name = if line.contains(&format!("#{task}")) { line } else { format!("#{task} {line}") };
        match shared.api.begin_thread(under, &name).await {
            Ok(thread) => {
                shared.threads.begun(task, thread).await;
                self.invite(thread).await;
            }
            // Answers to the message do as well.
            Err(refusal) => tracing::debug!(%refusal, %task, "a thread cannot be begun"),
        }
    }

    /// Who is not in a thread does not hear of what is said there.
    async fn invite(&self, thread: Id<ChannelMarker>) {
        let people = self.queue.0.users.iter().filter_map(|user| id::<UserMarker>(user)).take(INVITED);
        for person in people {
            if let Err(refusal) = self.queue.0.api.join(thread, person).await {
                tracing::debug!(%refusal, "somebody cannot be brought into a thread");
            }
        }
    }

    async fn change(&self, place: Place, saying: &ChatMessage) -> Result<(), Refusal> {
        let (minted, armed) = self.queue.arm(saying).await?;
        self.queue.0.api.change(place, saying, &armed).await?;
        self.queue.stands(saying, &minted, place).await
    }
}
