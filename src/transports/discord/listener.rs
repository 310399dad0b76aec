//! Hears what happens, and has each thing handled once: it is noted before it is begun with, and noted as handled. After
//! a time away, what was written meanwhile is asked for.

use super::api::{Acknowledged, Asked, Place, id};
use super::gateway::{Gateway, Heard as Event};
use super::inbox::{Did, File, From, Heard, commands, interaction, message};
use super::threads::MESSAGE;
use super::{Discord, now};
use crate::adapters::clock::zone;
use crate::api::client::Client;
use crate::domain::channel::{ChannelKind, Document, Saying};
use crate::domain::outbox::LISTENING;
use crate::engine::handle::EngineError;
use crate::transports::attached;
use crate::transports::chat::Refusal;
use crate::transports::conversation::buttons::{CLAIMED, LIFETIME, MEMORY, OPEN, UNDER, USED};
use crate::transports::conversation::strangers::{self, Stranger, TOLD};
use crate::transports::conversation::{Answer, Conversation, Said, Speaker, told};
use crate::transports::handled::Offset;
use crate::transports::health::Way;
use crate::transports::streams::stopped;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use twilight_model::channel::Message;
use twilight_model::id::Id;
use twilight_model::id::marker::ChannelMarker;

/// Key of what was handled.
const HANDLED: &str = "handled";
/// Keys: the last message of a channel that was acted on.
const LAST: &str = "last/";
/// The pause before the setup is looked at again.
const AGAIN: Duration = Duration::from_secs(60);
/// Pages that are read of a channel after a time away.
const PAGES: usize = 10;
/// How long answers to a message are known to be about its task.
const THREADS: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How often what is too old is forgotten.
const TIDIES: Duration = Duration::from_secs(3600);

/// Who listens.
pub struct Listener<'a> {
    discord: &'a Discord,
    client: &'a Client,
    tracker: &'a TaskTracker,
    talk: Conversation,
}

impl<'a> Listener<'a> {
    /// Not connected yet.
    pub fn new(discord: &'a Discord, client: &'a Client, tracker: &'a TaskTracker) -> Self {
        let talk = Conversation::new(client.clone(), discord.0.shelf.clone(), None);
        Self { discord, client, tracker, talk }
    }

    /// What is in the way of listening, for who asks of the channel, also after a restart.
    async fn trouble(&self, trouble: Option<String>) {
        self.discord.0.health.set(Way::In, trouble.clone());
        if let Err(error) = self.discord.0.shelf.keep(LISTENING, trouble).await {
            tracing::warn!(%error, "how discord fares cannot be written down");
        }
    }

    /// Listens for ever.
    pub async fn run(&self) {
        let setup = &self.discord.0.setup;
        let mut gateway = Gateway::new(&setup.token, setup.gateway_url.as_deref());
        self.introduce().await;
        let mut tidies = tokio::time::interval(TIDIES);
        loop {
            let event = tokio::select! {
                event = gateway.next() => event,
                _ = tidies.tick() => {
                    self.tidy().await;
                    continue;
                }
            };
            match event {
                Ok(Event::Ready) => {
                    self.is_there(gateway.reads_messages()).await;
                    self.catch_up().await;
                }
                Ok(Event::Resumed) => self.is_there(gateway.reads_messages()).await,
                Ok(Event::Away(why)) => self.trouble(Some(why)).await,
                Ok(Event::Interaction(event)) => {
                    let heard = interaction(*event, &self.discord.0.setup.listed);
                    self.act(heard).await;
                }
                Ok(Event::Message(event)) => self.wrote(*event).await,
                Err(ended) => {
                    self.trouble(Some(ended.why)).await;
                    if !ended.with_less {
                        tokio::time::sleep(gateway.pause()).await;
                    }
                }
            }
        }
    }

    /// The connection stands. That words cannot be read is told all the same: somebody waits for it to work.
    async fn is_there(&self, reads: bool) {
        let less = "the bot may not read messages: answers in threads reach no agent, commands and buttons work; switch on \
                    Message Content Intent in Discord's developer portal";
        self.trouble((!reads).then(|| less.to_owned())).await;
    }

    /// Registers the commands. Tried until it is done.
    async fn introduce(&self) {
        let parts = &self.discord.0;
        loop {
            let done = match parts.api.whereabouts(parts.setup.listed.channel).await {
                Ok(at) => parts.api.register(&at, &commands()).await,
                Err(refusal) => Err(refusal),
            };
            let pause = match done {
                Ok(()) => return self.trouble(None).await,
                Err(Refusal::Later { after, why }) => {
                    self.trouble(Some(why)).await;
                    after.unwrap_or(AGAIN / 10)
                }
                Err(Refusal::Gone) => AGAIN,
                Err(Refusal::Never(why)) => {
                    self.trouble(Some(why)).await;
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// What was written while nobody listened.
    async fn catch_up(&self) {
        let parts = &self.discord.0;
        let mut channels = vec![parts.setup.listed.channel];
        channels.extend(parts.desk.threads().all().await);
        for channel in channels {
            let last = parts.shelf.kept(&format!("{LAST}{channel}")).await.ok().flatten();
            let Some(mut last) = last.as_deref().and_then(id) else { continue };
            for _ in 0..PAGES {
                let Ok(messages) = parts.api.after(channel, last).await else { break };
                let Some(newest) = messages.last().map(|message| message.id) else { break };
                last = newest;
                for mut message in messages {
                    // Only what comes by the gateway tells the server.
                    message.guild_id = message.guild_id.or(Some(Id::new(1)));
                    self.wrote(message).await;
                }
            }
        }
    }

    async fn wrote(&self, event: Message) {
        let parts = &self.discord.0;
        let is_thread = event.channel_id != parts.setup.listed.channel
            && parts.desk.threads().task_of(event.channel_id, None).await.is_some();
        self.act(message(event, is_thread, &parts.setup.listed)).await;
    }

    async fn act(&self, heard: Heard) {
        let done = match heard {
            Heard::Nothing => Ok(()),
            Heard::Stranger(stranger) => self.report(stranger).await,
            Heard::Done(number, from, did) => self.once(number, from, did).await,
        };
        if let Err(error) = done {
            self.trouble(Some(format!("the journal cannot be used: {error}"))).await;
        }
    }

    /// Handles one thing, if it was not, and notes that.
    async fn once(&self, number: u64, from: From, did: Did) -> Result<(), EngineError> {
        let shelf = &self.discord.0.shelf;
        // Numbers are times of a kind and fit.
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut handled = Offset::read(shelf.kept(HANDLED).await?.as_deref());
        if handled.knows(number) {
            return Ok(());
        }
        let begun = handled.begin(number, now());
        shelf.keep(HANDLED, handled.text()).await?;
        let is_written = matches!(did, Did::Wrote { .. });
        let channel = from.channel;
        self.handle(from, did, begun).await;
        handled.done(number);
        shelf.keep(HANDLED, handled.text()).await?;
        if is_written {
            shelf.keep(&format!("{LAST}{channel}"), Some(number.to_string())).await?;
        }
        Ok(())
    }

    async fn handle(&self, from: From, did: Did, begun: Option<Timestamp>) {
        let From { user, name, channel } = from;
        let speaker = Speaker { channel: ChannelKind::Discord, user, name };
        let threads = self.discord.0.desk.threads();
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
                        self.talk.answer_again(&speaker, said, now(), begun).await
                    }
                    Err(why) => Answer::of(told::sentence(why)),
                };
                self.say(channel, answer);
            }
            Did::Commanded { asked, order, file } => {
                // Three seconds are given for a first word.
                self.acknowledge(&asked, Acknowledged::Thinking).await;
                let thread = threads.task_of(channel, None).await;
                let answer = match self.document(file).await {
                    Ok(document) => {
                        let said = Said::Words { text: order.text(thread.map(|task| task.0)), thread, document };
                        self.talk.answer_again(&speaker, said, now(), begun).await
                    }
                    Err(why) => Answer::of(told::sentence(why)),
                };
                self.reply(&asked, channel, answer, true).await;
            }
            Did::Pressed { asked, token, under } => {
                self.acknowledge(&asked, Acknowledged::Pressed).await;
                let said = Said::Pressed { token, message: under.to_string() };
                let answer = self.talk.answer_again(&speaker, said, now(), begun).await;
                if let (true, Some(toast)) = (answer.sayings.is_empty(), &answer.toast) {
                    self.discord.0.api.whisper(&asked, toast).await.ok();
                }
                if answer.is_spent {
                    self.discord.0.desk.strip(under);
                }
                self.reply(&asked, channel, answer, false).await;
            }
        }
    }

    /// The text of a file that came with something.
    async fn document(&self, file: Option<File>) -> Result<Option<Document>, String> {
        let Some(File { name, url, size }) = file else { return Ok(None) };
        let files = &self.discord.0.files;
        attached::read(&name, Some(size), files.fetch(&url)).await.map(Some)
    }

    async fn acknowledge(&self, asked: &Asked, how: Acknowledged) {
        // One that is repeated was acknowledged before; one that is late is answered in the channel.
        if let Err(refusal) = self.discord.0.api.acknowledge(asked, how).await {
            tracing::debug!(%refusal, "an interaction cannot be acknowledged");
        }
    }

    /// Answers whoever waits for it; where that is not to be had any more, in the channel.
    async fn reply(&self, asked: &Asked, channel: Id<ChannelMarker>, answer: Answer, is_waited_for: bool) {
        let mut sayings = answer.sayings.clone();
        if is_waited_for && sayings.is_empty() {
            let streams = |task| told::about(task, format!("The output of #{task} follows."));
            let stop = answer.stop_stream.map(|stop| self.discord.0.streams.stop(Some((channel, stop))));
            let ended = stop.map(|count| told::sentence(stopped(count)));
            sayings.push(ended.or(answer.stream.map(streams)).unwrap_or_else(|| told::sentence("Done.")));
        }
        let mut is_first = is_waited_for;
        for saying in &sayings {
            match self.reply_with(asked, saying, is_first).await {
                Ok(()) => is_first = false,
                Err(refusal) => {
                    tracing::debug!(%refusal, "an interaction cannot be answered");
                    self.discord.0.desk.answer(channel, saying.clone());
                }
            }
        }
        if let Some(task) = answer.stream {
            self.discord.stream(channel, task, self.client, self.tracker);
        }
    }

    async fn reply_with(&self, asked: &Asked, saying: &Saying, is_first: bool) -> Result<(), Refusal> {
        let parts = &self.discord.0;
        let (minted, armed) = parts.desk.arm(saying).await?;
        let place: Option<Place> = parts.api.answer(asked, saying, &armed, is_first).await?;
        match place {
            Some(place) => parts.desk.stands(saying, &minted, place).await,
            None => Ok(()),
        }
    }

    fn say(&self, channel: Id<ChannelMarker>, answer: Answer) {
        let desk = &self.discord.0.desk;
        answer.sayings.into_iter().for_each(|saying| desk.answer(channel, saying));
        if let Some(task) = answer.stream {
            self.discord.stream(channel, task, self.client, self.tracker);
        }
        if let Some(stop) = answer.stop_stream {
            let count = self.discord.0.streams.stop(Some((channel, stop)));
            desk.answer(channel, told::sentence(stopped(count)));
        }
    }

    /// The owner hears of a stranger once a day.
    async fn report(&self, stranger: Stranger) -> Result<(), EngineError> {
        let today = now().to_zoned(zone(None).unwrap_or(jiff::tz::TimeZone::UTC)).date();
        strangers::announce(&self.discord.0.shelf, ChannelKind::Discord, vec![stranger], today).await
    }

    async fn tidy(&self) {
        let days = SignedDuration::from_hours(48);
        let ages =
            [(OPEN, LIFETIME), (UNDER, LIFETIME), (USED, MEMORY), (CLAIMED, MEMORY), (TOLD, days), (MESSAGE, THREADS)];
        for (prefix, age) in ages {
            let before = now().saturating_sub(age).unwrap_or(Timestamp::MIN);
            if let Err(error) = self.discord.0.shelf.forget(prefix, before).await {
                tracing::warn!(%error, prefix, "what is too old cannot be forgotten");
            }
        }
    }
}
