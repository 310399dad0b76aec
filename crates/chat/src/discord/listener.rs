//! Receives events and handles each once: an event is recorded before it is started, and recorded as handled. After a
//! disconnection, missed messages are fetched.

mod away;

use super::api::{Acknowledged, Asked};
use super::gateway::{Gateway, Heard as Event};
use super::inbox::{Did, File, From, Heard, commands, interaction, message};
use super::service::DiscordService;
use crate::attached;
use crate::chat::Refusal;
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::{Answer, Conversation, Said, Speaker, render};
use crate::handled::{Begun, Offset};
use crate::service::{Listening, OutboundQueue, now};
use crate::streams::stopped;
use jiff::Timestamp;
use orch_core::operations::channel::{ChannelKind, ChatMessage, Document};
use orch_engine::handle::EngineError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use twilight_model::channel::Message;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, RoleMarker};

/// Key of the ids of handled events.
const HANDLED: &str = "handled";
/// Key of the event in progress, because Discord does not repeat commands and presses.
const BEGUN: &str = "begun";
/// Prefix of the keys that store the last message that was read in a channel.
const LAST: &str = "last/";
/// First pause before the setup is retried; doubled each time.
const AGAIN: Duration = Duration::from_secs(60);
/// Longest such pause.
const LONGEST_AGAIN: Duration = Duration::from_secs(1800);
/// Interval at which reading missed messages is retried.
const RETRIES: Duration = Duration::from_secs(10);
/// Interval at which old entries are deleted.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);

/// The parts of receiving, each of which can have a problem.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Registration of the commands.
    Introduced,
    /// The gateway connection.
    Hears,
    /// Reading of missed messages.
    CatchesUp,
}

/// A received event that waits to be handled.
enum Item {
    /// The connection is up.
    There {
        /// Whether it is a new session, in which missed events are not delivered.
        anew: bool,
        /// Whether the content of messages can be read.
        reads: bool,
    },
    /// A command or a button press.
    Interaction {
        /// Its classification.
        heard: Box<Heard>,
        /// The task that acknowledges it to Discord.
        acknowledged: Option<JoinHandle<()>>,
        /// When it was received.
        at: Timestamp,
    },
    /// A message.
    Message(Box<Message>),
}

/// Receives and handles events.
pub struct Listener<'a> {
    listening: Listening<'a, DiscordService>,
    talk: Conversation,
    /// Problem of each [`Part`].
    troubles: Mutex<[Option<String>; 3]>,
    /// Whether missed messages are not completely read yet.
    is_behind: AtomicBool,
}

impl<'a> Listener<'a> {
    /// Creates a listener without connecting.
    pub fn new(listening: Listening<'a, DiscordService>) -> Self {
        let (talk, troubles) = (listening.conversation(None), Mutex::default());
        Self { listening, talk, troubles, is_behind: AtomicBool::new(false) }
    }

    fn service(&self) -> &'a DiscordService {
        &self.listening.channel.0.service
    }

    fn store(&self) -> &'a ChannelStore {
        &self.listening.channel.0.store
    }

    fn queue(&self) -> &'a OutboundQueue<DiscordService> {
        &self.listening.channel.0.queue
    }

    /// Sets the problem of a part and stores all problems, so that `orch channel list` shows them.
    async fn trouble(&self, part: Part, trouble: Option<String>) {
        let problems = {
            let mut all = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            all[part as usize] = trouble;
            let mut texts: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
            // A refused token causes the same problem everywhere.
            texts.dedup();
            (!texts.is_empty()).then(|| texts.join("; "))
        };
        self.listening.set_trouble(problems.clone());
        self.listening.note(problems).await;
    }

    /// Receives events until it is cancelled. Received events are always handled.
    pub async fn run(&self) {
        tokio::select! {
            () = self.listen(self.listening.cancel) => {}
            // Messages and presses are received even if the commands are not registered.
            () = async {
                self.introduce().await;
                std::future::pending().await
            } => {}
        }
    }

    /// Reads the connection while earlier events are handled in their order.
    async fn listen(&self, cancel: &CancellationToken) {
        let (heard, waiting) = mpsc::unbounded_channel();
        tokio::join!(self.read(heard, cancel), self.work(waiting));
    }

    async fn read(&self, heard: UnboundedSender<Item>, cancel: &CancellationToken) {
        let setup = &self.service().setup;
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
                    (None, gateway.reconnect_pause())
                }
                Ok(Event::Interaction(event)) => {
                    let heard = Box::new(interaction(*event, &setup.listed));
                    let acknowledged = self.acknowledge(&heard);
                    (Some(Item::Interaction { heard, acknowledged, at: now() }), Duration::ZERO)
                }
                Ok(Event::Message(event)) => (Some(Item::Message(event)), Duration::ZERO),
                Err(ended) => {
                    self.trouble(Part::Hears, Some(ended.why)).await;
                    (None, if ended.with_fewer_intents { Duration::ZERO } else { gateway.pause() })
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

    /// Handles received events one after the other until the reader stops.
    async fn work(&self, mut waiting: UnboundedReceiver<Item>) {
        self.finish().await;
        let mut tidies = tokio::time::interval(CLEANUP_INTERVAL);
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
                    self.listening.clean_up().await;
                    continue;
                }
            };
            match item {
                None => return,
                Some(Item::There { anew, reads }) => {
                    self.connected(reads).await;
                    if anew {
                        self.is_behind.store(true, Ordering::Relaxed);
                        self.catch_up().await;
                    }
                }
                Some(Item::Interaction { heard, acknowledged, at }) => {
                    // Discord refuses answers before the acknowledgement.
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

    /// Records that the connection is up, with a problem if the content of messages cannot be read.
    async fn connected(&self, reads: bool) {
        let less = "the bot may not read messages: answers in threads reach no agent, commands and buttons work; switch on \
                    Message Content Intent in Discord's developer portal";
        self.trouble(Part::Hears, (!reads).then(|| less.to_owned())).await;
    }

    /// Registers the commands. Retries until it succeeds, with growing pauses after permanent failures.
    async fn introduce(&self) {
        let service = self.service();
        let mut long = AGAIN;
        loop {
            let done = match service.api.whereabouts(service.setup.listed.channel).await {
                Ok(at) => {
                    service.guild.get_or_init(|| at.guild);
                    service.api.register(&at, &commands()).await
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
        let service = self.service();
        let is_thread = event.channel_id != service.setup.listed.channel
            && service.threads.task_of(event.channel_id, None).await.is_some();
        let at = Timestamp::from_microsecond(event.timestamp.as_micros()).unwrap_or_else(|_| now());
        self.act(message(event, is_thread, roles, &service.setup.listed), at).await;
    }

    async fn act(&self, heard: Heard, at: Timestamp) {
        let done = match heard {
            Heard::Nothing => Ok(()),
            Heard::Stranger(stranger) => self.listening.report(vec![stranger], at).await,
            Heard::Done(number, from, did) => self.once(number, from, did).await,
        };
        if let Err(error) = done {
            self.trouble(Part::Hears, Some(format!("the journal cannot be used: {error}"))).await;
        }
    }

    /// Handles an event unless it was handled, and records that.
    async fn once(&self, number: u64, from: From, did: Did) -> Result<(), EngineError> {
        let store = self.store();
        // Ids are time-based and fit.
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut handled = Offset::read(store.get(HANDLED).await?.as_deref());
        if handled.knows(number) {
            return Ok(());
        }
        let begun = handled.begin(number, now());
        store.set(BEGUN, serde_json::to_string(&(number, &from, &did)).ok()).await?;
        store.set(HANDLED, handled.text()).await?;
        let is_written = matches!(did, Did::Wrote { .. });
        let channel = from.channel;
        self.handle(from, did, &begun).await;
        handled.done(number);
        store.set(HANDLED, handled.text()).await?;
        // Earlier messages may not be read yet.
        if is_written && !self.is_behind.load(Ordering::Relaxed) {
            store.set(&format!("{LAST}{channel}"), Some(number.to_string())).await?;
        }
        Ok(())
    }

    /// Completes the event that a crash interrupted.
    async fn finish(&self) {
        let store = self.store();
        let kept = store.get(BEGUN).await.ok().flatten();
        let Some((number, from, did)) = kept.and_then(|text| serde_json::from_str::<(i64, From, Did)>(&text).ok())
        else {
            return;
        };
        let handled = store.get(HANDLED).await.ok().flatten();
        let is_open = Offset::read(handled.as_deref()).is_begun(number) && self.may_still(&from);
        if let (true, Ok(number)) = (is_open, u64::try_from(number))
            && let Err(error) = self.once(number, from, did).await
        {
            tracing::warn!(%error, "an interrupted event cannot be completed");
        }
    }

    /// Returns whether the user may still act. Roles were checked when the event was received.
    fn may_still(&self, from: &From) -> bool {
        let listed = &self.service().setup.listed;
        listed.users.contains(&from.user) || !listed.roles.is_empty()
    }

    async fn handle(&self, from: From, did: Did, begun: &Begun) {
        let From { user, name, channel } = from;
        let speaker = Speaker { channel: ChannelKind::Discord, user, name };
        let threads = &self.service().threads;
        match did {
            Did::Wrote { text, answers, is_direct, file } => {
                let thread = threads.task_of(channel, answers).await;
                // A reply to another message is not for the bot.
                if thread.is_none() && !is_direct && !text.trim_start().starts_with('/') {
                    return;
                }
                let answer = match self.document(file).await {
                    Ok(document) => {
                        let said = Said::Words { text, thread, document };
                        self.talk.answer(&speaker, said, begun, now()).await
                    }
                    Err(why) => Answer::new(render::sentence(why)),
                };
                self.listening.say(channel, speaker.user, answer).await;
            }
            Did::Commanded { asked, order, file } => {
                let thread = threads.task_of(channel, None).await;
                let answer = match self.document(file).await {
                    Ok(document) => {
                        let said = Said::Words { text: order.text(thread.map(|task| task.0)), thread, document };
                        self.talk.answer(&speaker, said, begun, now()).await
                    }
                    Err(why) => Answer::new(render::sentence(why)),
                };
                self.reply(&asked, channel, speaker.user, answer, true).await;
            }
            Did::Pressed { asked, token, under } => {
                let said = Said::Pressed { token, message: under.to_string() };
                let answer = self.talk.answer(&speaker, said, begun, now()).await;
                if let (true, Some(toast)) = (answer.messages.is_empty(), &answer.toast) {
                    self.service().api.whisper(&asked, toast).await.ok();
                }
                if answer.is_spent {
                    self.queue().remove_buttons(under);
                }
                self.reply(&asked, channel, speaker.user, answer, false).await;
            }
        }
    }

    /// Downloads an attached text file.
    async fn document(&self, file: Option<File>) -> Result<Option<Document>, String> {
        let Some(File { name, url, size }) = file else { return Ok(None) };
        let files = &self.service().files;
        attached::read(&name, Some(size), files.fetch(&url)).await.map(Some)
    }

    /// Acknowledges an interaction in a separate task, because Discord requires that within three seconds.
    fn acknowledge(&self, heard: &Heard) -> Option<JoinHandle<()>> {
        let (asked, how) = match heard {
            Heard::Done(_, _, Did::Commanded { asked, .. }) => (asked.clone(), Acknowledged::Thinking),
            Heard::Done(_, _, Did::Pressed { asked, .. }) => (asked.clone(), Acknowledged::Pressed),
            Heard::Done(_, _, Did::Wrote { .. }) | Heard::Stranger(_) | Heard::Nothing => return None,
        };
        let api = self.service().api.clone();
        Some(self.listening.tracker.spawn(async move {
            // A late answer goes to the channel.
            if let Err(refusal) = api.acknowledge(&asked, how).await {
                tracing::debug!(%refusal, "an interaction cannot be acknowledged");
            }
        }))
    }

    /// Answers an interaction; if it has expired, the answer goes to the channel.
    async fn reply(&self, asked: &Asked, channel: Id<ChannelMarker>, to: String, answer: Answer, is_waited_for: bool) {
        let mut messages = answer.messages.clone();
        if is_waited_for && messages.is_empty() {
            let streams = |task| render::about(task, format!("The output of #{task} follows."));
            let ended = match answer.stop_stream {
                Some(stop) => {
                    Some(render::sentence(stopped(self.listening.channel.0.streams.stop(channel, stop).await)))
                }
                None => None,
            };
            messages.push(ended.or(answer.stream.map(streams)).unwrap_or_else(|| render::sentence("Done.")));
        }
        let mut is_first = is_waited_for;
        for content in &messages {
            match self.reply_with(asked, content, is_first).await {
                Ok(()) => is_first = false,
                Err(refusal) => {
                    tracing::debug!(%refusal, "an interaction cannot be answered");
                    self.queue().answer(channel, content.clone());
                }
            }
        }
        if let Some(task) = answer.stream {
            self.listening.stream(channel, task, to).await;
        }
    }

    async fn reply_with(&self, asked: &Asked, content: &ChatMessage, is_first: bool) -> Result<(), Refusal> {
        let minted = self.queue().mint(content).await?;
        let Some(place) = self.service().api.answer(asked, content, &minted, is_first).await? else { return Ok(()) };
        self.queue().bind(&minted, place).await?;
        self.service().record_sent(content, place).await;
        Ok(())
    }
}
