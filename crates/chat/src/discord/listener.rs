//! Hears what happens, and has each thing handled once: it is noted before it is begun with, and noted as handled. After
//! a time away, what was written meanwhile is asked for.

mod away;

use super::api::{Acknowledged, Asked, Place};
use super::gateway::{Gateway, Heard as Event};
use super::inbox::{Did, File, From, Heard, commands, interaction, message};
use super::threads::MESSAGE;
use super::{Discord, now};
use crate::attached;
use crate::chat::Refusal;
use crate::conversation::buttons::{CLAIMED, LIFETIME, MEMORY, OPEN, UNDER, USED};
use crate::conversation::strangers::{self, Stranger, TOLD};
use crate::conversation::{Answer, Conversation, Said, Speaker, WANTED, render};
use crate::handled::{Begun, Offset};
use crate::health::Way;
use crate::streams::{Shown, stopped};
use jiff::{SignedDuration, Timestamp};
use orch_api::client::Client;
use orch_core::channel::{ChannelKind, ChatMessage, Document};
use orch_core::ids::TaskId;
use orch_core::outbox::LISTENING;
use orch_engine::handle::EngineError;
use orch_sys::clock::zone;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use twilight_model::channel::Message;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, RoleMarker};

/// Key of what was handled.
const HANDLED: &str = "handled";
/// Key of what was begun with: Discord tells nobody anew of a command or a press.
const BEGUN: &str = "begun";
/// Keys: the last message of a channel that was read.
const LAST: &str = "last/";
/// The first pause before the setup is looked at again; doubled each time.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest of them.
const LONGEST_AGAIN: Duration = Duration::from_secs(1800);
/// How soon it is tried again to read what was written meanwhile.
const RETRIES: Duration = Duration::from_secs(10);
/// How long answers to a message are known to be about its task.
const THREADS: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How often what is too old is forgotten.
const TIDIES: Duration = Duration::from_secs(3600);

/// What there is to being listened to.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// The commands are known to Discord.
    Introduced,
    /// What happens is heard.
    Hears,
    /// What was written before is read.
    CatchesUp,
}

/// What was heard and is to be handled.
enum Item {
    /// The connection stands.
    There {
        /// It is a new session: what was written meanwhile is not told again.
        anew: bool,
        /// What is written can be read.
        reads: bool,
    },
    /// A command or a press.
    Interaction {
        /// What it comes to.
        heard: Box<Heard>,
        /// Discord is told that it was heard.
        acknowledged: Option<JoinHandle<()>>,
        /// When.
        at: Timestamp,
    },
    /// Something was written.
    Message(Box<Message>),
}

/// Who listens.
pub struct Listener<'a> {
    discord: &'a Discord,
    client: &'a Client,
    tracker: &'a TaskTracker,
    talk: Conversation,
    /// What is in the way of each [`Part`].
    troubles: Mutex<[Option<String>; 3]>,
    /// What was written while nobody listened is not read to its end yet.
    is_behind: AtomicBool,
}

impl<'a> Listener<'a> {
    /// Not connected yet.
    pub fn new(discord: &'a Discord, client: &'a Client, tracker: &'a TaskTracker) -> Self {
        let talk = Conversation::new(client.clone(), discord.0.store.clone(), None);
        let (troubles, is_behind) = (Mutex::default(), AtomicBool::new(false));
        Self { discord, client, tracker, talk, troubles, is_behind }
    }

    /// What is in the way of listening, for who asks of the channel, also after a restart.
    async fn trouble(&self, part: Part, trouble: Option<String>) {
        let told = {
            let mut all = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            all[part as usize] = trouble;
            let mut told: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
            // A token that is refused is refused everywhere.
            told.dedup();
            (!told.is_empty()).then(|| told.join("; "))
        };
        self.discord.0.health.set(Way::In, told.clone());
        if let Err(error) = self.discord.0.store.keep(LISTENING, told).await {
            tracing::warn!(%error, "how discord fares cannot be written down");
        }
    }

    /// Listens until it is told to end. What was heard then is handled to its end.
    pub async fn run(&self, cancel: &CancellationToken) {
        tokio::select! {
            () = self.listen(cancel) => {}
            // Whether the commands are registered or not: what is written and pressed is heard.
            () = async {
                self.introduce().await;
                std::future::pending().await
            } => {}
        }
    }

    /// The connection is read whatever is being answered; what was heard is handled in its order.
    async fn listen(&self, cancel: &CancellationToken) {
        let (heard, waiting) = mpsc::unbounded_channel();
        tokio::join!(self.read(heard, cancel), self.work(waiting));
    }

    async fn read(&self, heard: UnboundedSender<Item>, cancel: &CancellationToken) {
        let setup = &self.discord.0.setup;
        let mut gateway = Gateway::new(&setup.token, setup.gateway_url.as_deref());
        loop {
            let event = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                event = gateway.next() => event,
            };
            let (item, pause) = match event {
                Ok(Event::Ready) => (Some(Item::There { anew: true, reads: gateway.reads_messages() }), Duration::ZERO),
                Ok(Event::Resumed) => {
                    (Some(Item::There { anew: false, reads: gateway.reads_messages() }), Duration::ZERO)
                }
                Ok(Event::Away(why)) => {
                    self.trouble(Part::Hears, Some(why)).await;
                    (None, gateway.breath())
                }
                Ok(Event::Interaction(event)) => {
                    let heard = Box::new(interaction(*event, &setup.listed));
                    let acknowledged = self.acknowledge(&heard);
                    (Some(Item::Interaction { heard, acknowledged, at: now() }), Duration::ZERO)
                }
                Ok(Event::Message(event)) => (Some(Item::Message(event)), Duration::ZERO),
                Err(ended) => {
                    self.trouble(Part::Hears, Some(ended.why)).await;
                    (None, if ended.with_less { Duration::ZERO } else { gateway.pause() })
                }
            };
            if let Some(item) = item
                && heard.send(item).is_err()
            {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause), if !pause.is_zero() => {}
                () = cancel.cancelled(), if !pause.is_zero() => return,
                else => {}
            }
        }
    }

    /// Handles what was heard, one after the other, until nothing more is heard and all of it is handled.
    async fn work(&self, mut waiting: UnboundedReceiver<Item>) {
        self.finish().await;
        let mut tidies = tokio::time::interval(TIDIES);
        let mut retries = tokio::time::interval(RETRIES);
        loop {
            let item = tokio::select! {
                biased;
                item = waiting.recv() => item,
                _ = retries.tick(), if self.is_behind.load(Ordering::Relaxed) => {
                    self.catch_up().await;
                    continue;
                }
                _ = tidies.tick() => {
                    self.tidy().await;
                    continue;
                }
            };
            match item {
                None => return,
                Some(Item::There { anew, reads }) => {
                    self.is_there(reads).await;
                    if anew {
                        self.is_behind.store(true, Ordering::Relaxed);
                        self.catch_up().await;
                    }
                }
                Some(Item::Interaction { heard, acknowledged, at }) => {
                    // An answer before it would be refused.
                    if let Some(acknowledged) = acknowledged {
                        acknowledged.await.ok();
                    }
                    self.act(*heard, at).await;
                }
                Some(Item::Message(event)) => {
                    let roles = event.member.as_ref().map(|member| member.roles.clone()).unwrap_or_default();
                    self.wrote(*event, &roles).await;
                }
            }
        }
    }

    /// The connection stands. That words cannot be read is told all the same: somebody waits for it to work.
    async fn is_there(&self, reads: bool) {
        let less = "the bot may not read messages: answers in threads reach no agent, commands and buttons work; switch on \
                    Message Content Intent in Discord's developer portal";
        self.trouble(Part::Hears, (!reads).then(|| less.to_owned())).await;
    }

    /// Registers the commands. Tried until it is done, ever more rarely where waiting does not mend it.
    async fn introduce(&self) {
        let parts = &self.discord.0;
        let mut long = AGAIN;
        loop {
            let done = match parts.api.whereabouts(parts.setup.listed.channel).await {
                Ok(at) => {
                    parts.guild.get_or_init(|| at.guild);
                    parts.api.register(&at, &commands()).await
                }
                Err(refusal) => Err(refusal),
            };
            let (why, pause) = match done {
                Ok(()) => return self.trouble(Part::Introduced, None).await,
                Err(Refusal::Later { after, why }) => (why, after.unwrap_or(AGAIN / 10)),
                Err(Refusal::Gone) => ("the commands cannot be registered".to_owned(), long),
                Err(Refusal::Never(why) | Refusal::Closed(why)) => (why, long),
            };
            self.trouble(Part::Introduced, Some(why)).await;
            tokio::time::sleep(pause).await;
            if pause == long {
                long = long.saturating_mul(2).min(LONGEST_AGAIN);
            }
        }
    }

    async fn wrote(&self, event: Message, roles: &[Id<RoleMarker>]) {
        let parts = &self.discord.0;
        let is_thread = event.channel_id != parts.setup.listed.channel
            && parts.queue.threads().task_of(event.channel_id, None).await.is_some();
        let at = Timestamp::from_microsecond(event.timestamp.as_micros()).unwrap_or_else(|_| now());
        self.act(message(event, is_thread, roles, &parts.setup.listed), at).await;
    }

    async fn act(&self, heard: Heard, at: Timestamp) {
        let done = match heard {
            Heard::Nothing => Ok(()),
            Heard::Stranger(stranger) => self.report(stranger, at).await,
            Heard::Done(number, from, did) => self.once(number, from, did).await,
        };
        if let Err(error) = done {
            self.trouble(Part::Hears, Some(format!("the journal cannot be used: {error}"))).await;
        }
    }

    /// Handles one thing, if it was not, and notes that.
    async fn once(&self, number: u64, from: From, did: Did) -> Result<(), EngineError> {
        let store = &self.discord.0.store;
        // Numbers are times of a kind and fit.
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut handled = Offset::read(store.kept(HANDLED).await?.as_deref());
        if handled.knows(number) {
            return Ok(());
        }
        let begun = handled.begin(number, now());
        store.keep(BEGUN, serde_json::to_string(&(number, &from, &did)).ok()).await?;
        store.keep(HANDLED, handled.text()).await?;
        let is_written = matches!(did, Did::Wrote { .. });
        let channel = from.channel;
        self.handle(from, did, &begun).await;
        handled.done(number);
        store.keep(HANDLED, handled.text()).await?;
        // What was written before it may not be read yet.
        if is_written && !self.is_behind.load(Ordering::Relaxed) {
            store.keep(&format!("{LAST}{channel}"), Some(number.to_string())).await?;
        }
        Ok(())
    }

    /// What orch died over is done to its end; what of it is done already is looked for.
    async fn finish(&self) {
        let store = &self.discord.0.store;
        let kept = store.kept(BEGUN).await.ok().flatten();
        let Some((number, from, did)) = kept.and_then(|text| serde_json::from_str::<(i64, From, Did)>(&text).ok())
        else {
            return;
        };
        let handled = store.kept(HANDLED).await.ok().flatten();
        let is_open = Offset::read(handled.as_deref()).is_begun(number) && self.may_still(&from);
        if let (true, Ok(number)) = (is_open, u64::try_from(number))
            && let Err(error) = self.once(number, from, did).await
        {
            tracing::warn!(%error, "what was begun is not finished");
        }
    }

    /// Who was listed by their id and is not any more, wants nothing any more. Roles were looked at when it was begun.
    fn may_still(&self, from: &From) -> bool {
        let listed = &self.discord.0.setup.listed;
        listed.users.contains(&from.user) || !listed.roles.is_empty()
    }

    async fn handle(&self, from: From, did: Did, begun: &Begun) {
        let From { user, name, channel } = from;
        let speaker = Speaker { channel: ChannelKind::Discord, user, name };
        let threads = self.discord.0.queue.threads();
        match did {
            Did::Wrote { text, answers, is_direct, file } => {
                let thread = threads.task_of(channel, answers).await;
                // An answer to something else is said to somebody else.
                if thread.is_none() && !is_direct && !text.trim_start().starts_with('/') {
                    return;
                }
                let answer = match self.document(file).await {
                    Ok(document) => {
                        let said = Said::Words { text, thread, document };
                        self.talk.answer(&speaker, said, begun, now()).await
                    }
                    Err(why) => Answer::of(render::sentence(why)),
                };
                self.say(channel, speaker.user, answer).await;
            }
            Did::Commanded { asked, order, file } => {
                let thread = threads.task_of(channel, None).await;
                let answer = match self.document(file).await {
                    Ok(document) => {
                        let said = Said::Words { text: order.text(thread.map(|task| task.0)), thread, document };
                        self.talk.answer(&speaker, said, begun, now()).await
                    }
                    Err(why) => Answer::of(render::sentence(why)),
                };
                self.reply(&asked, (channel, speaker.user), answer, true).await;
            }
            Did::Pressed { asked, token, under } => {
                let said = Said::Pressed { token, message: under.to_string() };
                let answer = self.talk.answer(&speaker, said, begun, now()).await;
                if let (true, Some(toast)) = (answer.sayings.is_empty(), &answer.toast) {
                    self.discord.0.api.whisper(&asked, toast).await.ok();
                }
                if answer.is_spent {
                    self.discord.0.queue.strip(under);
                }
                self.reply(&asked, (channel, speaker.user), answer, false).await;
            }
        }
    }

    /// The text of a file that came with something.
    async fn document(&self, file: Option<File>) -> Result<Option<Document>, String> {
        let Some(File { name, url, size }) = file else { return Ok(None) };
        let files = &self.discord.0.files;
        attached::read(&name, Some(size), files.fetch(&url)).await.map(Some)
    }

    /// Tells Discord that an interaction was heard, in a task of its own: three seconds are given for that, whatever else is
    /// being answered.
    fn acknowledge(&self, heard: &Heard) -> Option<JoinHandle<()>> {
        let (asked, how) = match heard {
            Heard::Done(_, _, Did::Commanded { asked, .. }) => (asked.clone(), Acknowledged::Thinking),
            Heard::Done(_, _, Did::Pressed { asked, .. }) => (asked.clone(), Acknowledged::Pressed),
            Heard::Done(_, _, Did::Wrote { .. }) | Heard::Stranger(_) | Heard::Nothing => return None,
        };
        let api = self.discord.0.api.clone();
        Some(self.tracker.spawn(async move {
            // One that is late is answered in the channel.
            if let Err(refusal) = api.acknowledge(&asked, how).await {
                tracing::debug!(%refusal, "an interaction cannot be acknowledged");
            }
        }))
    }

    /// Answers whoever waits for it; where that is not to be had any more, in the channel.
    async fn reply(
        &self,
        asked: &Asked,
        (channel, to): (Id<ChannelMarker>, String),
        answer: Answer,
        is_waited_for: bool,
    ) {
        let mut sayings = answer.sayings.clone();
        if is_waited_for && sayings.is_empty() {
            let streams = |task| render::about(task, format!("The output of #{task} follows."));
            let ended = match answer.stop_stream {
                Some(stop) => Some(render::sentence(stopped(self.discord.0.streams.stop(channel, stop).await))),
                None => None,
            };
            sayings.push(ended.or(answer.stream.map(streams)).unwrap_or_else(|| render::sentence("Done.")));
        }
        let mut is_first = is_waited_for;
        for saying in &sayings {
            match self.reply_with(asked, saying, is_first).await {
                Ok(()) => is_first = false,
                Err(refusal) => {
                    tracing::debug!(%refusal, "an interaction cannot be answered");
                    self.discord.0.queue.answer(channel, saying.clone());
                }
            }
        }
        if let Some(task) = answer.stream {
            self.stream(channel, task, to).await;
        }
    }

    async fn stream(&self, channel: Id<ChannelMarker>, task: TaskId, by: String) {
        let shown = Shown::new(channel, self.discord.0.setup.listed.channel, task, by);
        self.discord.stream(shown, (self.client, self.tracker)).await;
    }

    async fn reply_with(&self, asked: &Asked, saying: &ChatMessage, is_first: bool) -> Result<(), Refusal> {
        let parts = &self.discord.0;
        let (minted, armed) = parts.queue.arm(saying).await?;
        let place: Option<Place> = parts.api.answer(asked, saying, &armed, is_first).await?;
        match place {
            Some(place) => parts.queue.stands(saying, &minted, place).await,
            None => Ok(()),
        }
    }

    async fn say(&self, channel: Id<ChannelMarker>, to: String, answer: Answer) {
        let queue = &self.discord.0.queue;
        answer.sayings.into_iter().for_each(|saying| queue.answer(channel, saying));
        if let Some(task) = answer.stream {
            self.stream(channel, task, to).await;
        }
        if let Some(stop) = answer.stop_stream {
            let count = self.discord.0.streams.stop(channel, stop).await;
            queue.answer(channel, render::sentence(stopped(count)));
        }
    }

    /// The owner hears of a stranger once for each day on which they did something.
    async fn report(&self, stranger: Stranger, at: Timestamp) -> Result<(), EngineError> {
        let today = at.to_zoned(zone(None).unwrap_or(jiff::tz::TimeZone::UTC)).date();
        strangers::announce(&self.discord.0.store, ChannelKind::Discord, vec![stranger], today).await
    }

    async fn tidy(&self) {
        let days = SignedDuration::from_hours(48);
        let ages = [
            (OPEN, LIFETIME),
            (UNDER, LIFETIME),
            (USED, MEMORY),
            (CLAIMED, MEMORY),
            (WANTED, days),
            (TOLD, days),
            (MESSAGE, THREADS),
        ];
        for (prefix, age) in ages {
            let before = now().saturating_sub(age).unwrap_or(Timestamp::MIN);
            if let Err(error) = self.discord.0.store.forget(prefix, before).await {
                tracing::warn!(%error, prefix, "what is too old cannot be forgotten");
            }
        }
    }
}
