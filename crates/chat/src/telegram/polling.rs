//! Asks Telegram what happened, and has each update handled once: it is noted before it is begun with, and noted as
//! handled with the offset. When nothing can be heard, that is told, and asked again ever more rarely.

use super::client::BotError;
use super::inbox::{Heard, Pressed, UNREAD, With, Words, hear};
use super::meaning::{self, Meaning};
use super::threads::MESSAGE;
use super::wire::{ALLOWED_UPDATES, Chat, Fetchable, File, Update, User};
use super::{Telegram, conversation, now, trouble};
use crate::attached;
use crate::conversation::buttons::{CLAIMED, LIFETIME, MEMORY, OPEN, UNDER, USED};
use crate::conversation::parse::COMMANDS;
use crate::conversation::strangers::{self, Stranger, TOLD};
use crate::conversation::{Answer, Conversation, Said, Speaker, WANTED, render};
use crate::handled::{Begun, Offset};
use crate::streams::{Shown, stopped};
use jiff::SignedDuration;
use orch_api::client::Client;
use orch_core::channel::{ChannelKind, Document};
use orch_core::outbox::LISTENING;
use orch_engine::handle::EngineError;
use orch_sys::clock::zone;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Key of the offset.
const OFFSET: &str = "updates";
/// How long Telegram holds a question that it has no answer to, in seconds.
const HOLDS: u64 = 50;
/// How long one is waited for.
const WAITS: Duration = Duration::from_secs(HOLDS + 15);
/// The first pause after a failure, and the longest; each is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Where only a person can mend it, it is looked at again after that.
const LONG: Duration = Duration::from_secs(300);
/// Another one who polls may just be leaving.
const CONFLICT: (Duration, Duration) = (Duration::from_secs(5), LONG);
/// How long answers to a message are known to be about its task.
const THREADS: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How often what is too old is forgotten.
const TIDIES: SignedDuration = SignedDuration::from_hours(1);

/// Who asks.
pub struct Poller<'a> {
    pub telegram: &'a Telegram,
    pub client: &'a Client,
    pub tracker: &'a TaskTracker,
    pub cancel: &'a CancellationToken,
}

/// Why an update was not handled: the journal could not be read or written.
type Unhandled = EngineError;

impl Poller<'_> {
    /// Listens for ever.
    pub async fn run(&mut self) {
        if self.telegram.0.listed.users.is_empty() {
            tracing::info!("nobody is listed for telegram: nothing is listened to");
            return;
        }
        let Some(us) = self.introduce().await else { return };
        let talk = conversation(self.telegram, self.client, us.username);
        let mut tidied = now();
        let mut failures = 0;
        while !self.cancel.is_cancelled() {
            // After a failure the first answer comes at once, so that it is soon known that it works again.
            let pause = match self.listen(&talk, if failures == 0 { HOLDS } else { 0 }).await {
                Ok(()) => {
                    if failures > 0 {
                        self.note(None).await;
                    }
                    failures = 0;
                    trouble(self.telegram, None);
                    Duration::ZERO
                }
                Err(error) => {
                    failures += 1;
                    let pause = self.told(&error, failures);
                    self.note(self.telegram.0.health.of(super::Way::In)).await;
                    pause
                }
            };
            if now().duration_since(tidied) > TIDIES {
                tidied = now();
                self.tidy().await;
            }
            self.rest(pause).await;
        }
    }

    /// For whoever asks how the channel fares.
    async fn note(&self, trouble: Option<String>) {
        if let Err(error) = self.telegram.0.store.keep(LISTENING, trouble).await {
            tracing::warn!(%error, "how telegram fares cannot be written down");
        }
    }

    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.cancel.cancelled() => {}
        }
    }

    /// Finds out who we are, registers the commands, and looks at the chat. Tried until it is done; `None`: it is to end.
    async fn introduce(&self) -> Option<User> {
        let bot = &self.telegram.0.bot;
        let mut failures = 0;
        let me: User = loop {
            match bot.call("getMe", &json!({})).await {
                Ok(me) => break me,
                Err(error) => {
                    failures += 1;
                    let pause = self.told(&Failure::Bot(error), failures);
                    self.note(self.telegram.0.health.of(super::Way::In)).await;
                    self.rest(pause).await;
                    if self.cancel.is_cancelled() {
                        return None;
                    }
                }
            }
        };
        trouble(self.telegram, None);
        self.note(None).await;
        let commands: Vec<Value> = COMMANDS
            .iter()
            .map(|known| json!({"command": known.name, "description": described(known.takes, known.does)}))
            .collect();
        if let Err(error) = bot.call::<Value>("setMyCommands", &json!({"commands": commands})).await {
            // They can be written all the same.
            tracing::warn!(%error, "the commands cannot be registered");
        }
        match bot.call::<Chat>("getChat", &json!({"chat_id": self.telegram.0.listed.chat})).await {
            Ok(chat) => self.telegram.0.queue.threads().set_forum(chat.is_forum),
            Err(error) => tracing::warn!(%error, "the chat cannot be looked at"),
        }
        Some(me)
    }

    /// Tells what is wrong, and how long to leave it.
    fn told(&self, failure: &Failure, failures: u32) -> Duration {
        let doubled = |(first, longest): (Duration, Duration)| {
            first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest)
        };
        let (why, pause) = match failure {
            Failure::Bot(error @ BotError::Conflict(_)) => {
                let why = format!("another program asks with the same token, or a webhook is set ({error}): end it");
                (why, doubled(CONFLICT))
            }
            Failure::Bot(error) => match meaning::of(error) {
                Meaning::Again(pause) => (error.to_string(), pause),
                Meaning::Never(why) | Meaning::Closed(why) => (why, LONG),
                Meaning::Later(_) | Meaning::Done | Meaning::Gone | Meaning::NoTopic | Meaning::NoMarkup => {
                    (error.to_string(), doubled(PAUSES))
                }
            },
            Failure::Journal(error) => (format!("the journal cannot be used: {error}"), doubled(PAUSES)),
        };
        trouble(self.telegram, Some(why));
        pause
    }

    /// One question to Telegram, and everything that it answers.
    async fn listen(&mut self, talk: &Conversation, holds: u64) -> Result<(), Failure> {
        let kept = self.telegram.0.store.kept(OFFSET).await?;
        let mut offset = Offset::read(kept.as_deref());
        let mut takes = json!({"timeout": holds, "limit": 100, "allowed_updates": ALLOWED_UPDATES});
        if let Some(next) = offset.next {
            takes["offset"] = json!(next);
        }
        let asked = self.telegram.0.bot.call_within(WAITS, "getUpdates", &takes);
        // What was heard is handled to its end; only the waiting is broken off.
        let mut updates: Vec<Value> = tokio::select! {
            told = asked => told.map_err(Failure::Bot)?,
            () = self.cancel.cancelled() => return Ok(()),
        };
        // They may come out of order.
        updates.sort_by_key(|update| update["update_id"].as_i64());
        let ids: Vec<i64> = updates.iter().filter_map(|update| update["update_id"].as_i64()).collect();
        let mut strangers = Vec::new();
        for update in updates {
            let Some(id) = update["update_id"].as_i64() else { continue };
            if offset.knows(id) {
                continue;
            }
            // One of a form that is not known here is nothing to us.
            let heard = serde_json::from_value::<Update>(update).map(|update| hear(update, &self.telegram.0.listed));
            let heard = heard.unwrap_or(Heard::Nothing);
            if let Heard::Stranger(stranger) = heard {
                strangers.push(stranger);
                offset.done(id);
            } else {
                self.handle(talk, (id, heard), &mut offset).await?;
            }
        }
        self.report(strangers).await?;
        if !ids.is_empty() {
            offset.confirm(&ids);
            self.telegram.0.store.keep(OFFSET, offset.text()).await?;
        }
        Ok(())
    }

    /// Handles one, and notes that.
    async fn handle(
        &self,
        talk: &Conversation,
        (id, heard): (i64, Heard),
        offset: &mut Offset,
    ) -> Result<(), Unhandled> {
        let store = &self.telegram.0.store;
        let acts = matches!(heard, Heard::Words(_) | Heard::Pressed(_));
        let begun = offset.begin(id, now());
        if acts {
            store.keep(OFFSET, offset.text()).await?;
        }
        match heard {
            Heard::Words(words) => self.words(talk, words, &begun).await,
            Heard::Pressed(pressed) => self.pressed(talk, pressed, &begun).await,
            Heard::Told(chat, what) => self.telegram.desk_of(chat).answer(render::sentence(what)),
            Heard::Member(status) => self.member(&status),
            Heard::Moved(chat) => {
                let Meaning::Closed(why) = meaning::of(&BotError::Moved(chat)) else { return Ok(()) };
                self.telegram.0.health.set(super::Way::Out, Some(why));
            }
            Heard::Stranger(_) | Heard::Nothing => {}
        }
        offset.done(id);
        if acts {
            store.keep(OFFSET, offset.text()).await?;
        }
        Ok(())
    }

    async fn words(&self, talk: &Conversation, words: Words, begun: &Begun) {
        let Words { user, name, chat, text, answers, topic, with } = words;
        let queue = self.telegram.desk_of(chat);
        let thread = queue.threads().task_of(answers, topic).await;
        if chat < 0 && thread.is_none() && !text.trim_start().starts_with('/') {
            // Two people talk.
            return;
        }
        let document = match with {
            With::Nothing => None,
            With::Other => return queue.answer(render::sentence(UNREAD)),
            With::File(file) => match self.fetch(&file).await {
                Ok(document) => Some(document),
                Err(why) => return queue.answer(render::sentence(why)),
            },
        };
        let speaker = Speaker { channel: ChannelKind::Telegram, user, name };
        let said = Said::Words { text, thread, document };
        let answer = talk.answer(&speaker, said, begun, now()).await;
        self.say(chat, speaker.user, answer).await;
    }

    async fn say(&self, chat: i64, to: String, answer: Answer) {
        let queue = self.telegram.desk_of(chat);
        answer.sayings.into_iter().for_each(|saying| queue.answer(saying));
        if let Some(task) = answer.stream {
            let shown = Shown::new(chat, self.telegram.0.listed.chat, task, to);
            self.telegram.stream(shown, (self.client, self.tracker)).await;
        }
        if let Some(stop) = answer.stop_stream {
            let said = stopped(self.telegram.0.streams.stop(chat, stop).await);
            queue.answer(render::sentence(said));
        }
    }

    async fn pressed(&self, talk: &Conversation, pressed: Pressed, begun: &Begun) {
        let Pressed { user, name, chat, message, token, query } = pressed;
        let speaker = Speaker { channel: ChannelKind::Telegram, user, name };
        let said = Said::Pressed { token, message: super::outbound_queue::name(chat, message) };
        let answer = talk.answer(&speaker, said, begun, now()).await;
        let mut takes = json!({"callback_query_id": query});
        if let Some(toast) = &answer.toast {
            takes["text"] = Value::String(render::cut(toast, 190));
        }
        // It is too late for it now and then; the answer in the chat says the same.
        self.telegram.0.bot.call::<Value>("answerCallbackQuery", &takes).await.ok();
        if answer.is_spent {
            self.telegram.desk_of(chat).strip(message);
        }
        self.say(chat, speaker.user, answer).await;
    }

    /// A text file that came with a message.
    async fn fetch(&self, file: &File) -> Result<Document, String> {
        let bot = &self.telegram.0.bot;
        let fetched = async {
            let place: Fetchable = bot.call("getFile", &json!({"file_id": file.file_id})).await?;
            bot.fetch(&place.file_path.unwrap_or_default(), attached::LARGEST).await
        };
        let fetched = async { fetched.await.map_err(|error: BotError| error.to_string()) };
        attached::read(file.file_name.as_deref().unwrap_or("file.txt"), file.file_size, fetched).await
    }

    fn member(&self, status: &str) {
        let trouble = match status {
            "left" | "kicked" => Some(format!("the bot was removed from the chat ({status}): add it again")),
            "restricted" => Some("the bot may not write in the chat any more: give it its rights back".to_owned()),
            _ => None,
        };
        self.telegram.0.health.set(super::Way::Out, trouble);
    }

    /// The owner hears of strangers, of each once a day.
    async fn report(&self, strangers: Vec<Stranger>) -> Result<(), Unhandled> {
        if strangers.is_empty() {
            return Ok(());
        }
        let today = match zone(None) {
            Ok(zone) => now().to_zoned(zone).date(),
            Err(_) => now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        };
        strangers::announce(&self.telegram.0.store, ChannelKind::Telegram, strangers, today).await
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
            let before = now().saturating_sub(age).unwrap_or(jiff::Timestamp::MIN);
            if let Err(error) = self.telegram.0.store.forget(prefix, before).await {
                tracing::warn!(%error, prefix, "what is too old cannot be forgotten");
            }
        }
    }
}

fn described(takes: &str, does: &str) -> String {
    if takes.is_empty() { does.to_owned() } else { format!("{takes}: {does}") }
}

/// Why nothing could be heard.
enum Failure {
    Bot(BotError),
    Journal(EngineError),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Journal(error)
    }
}
