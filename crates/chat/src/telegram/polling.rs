//! Polls Telegram for updates and handles each once: an update is recorded before it is started, and recorded as handled
//! with the offset. When polling fails, the problem is reported and polling is retried with growing pauses.

use super::client::BotError;
use super::inbox::{Heard, Pressed, UNREAD, With, Words, classify};
use super::meaning::{self, Meaning};
use super::service::TelegramService;
use super::wire::{ALLOWED_UPDATES, Chat, Fetchable, File, Update, User};
use crate::attached;
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::parse::COMMANDS;
use crate::conversation::{Conversation, Said, Speaker, render};
use crate::handled::{Begun, Offset};
use crate::health::Way;
use crate::service::{Listening, Service, now};
use jiff::SignedDuration;
use orch_core::operations::channel::{ChannelKind, Document};
use orch_engine::handle::EngineError;
use serde_json::{Value, json};
use std::time::Duration;

/// Key of the stored offset.
const OFFSET: &str = "updates";
/// Long-polling timeout: how long Telegram holds a request without updates, in seconds.
const LONG_POLL_SECONDS: u64 = 50;
/// Time limit of a polling request.
const POLL_TIMEOUT: Duration = Duration::from_secs(LONG_POLL_SECONDS + 15);
/// First and longest pause after a failure; each pause is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Pause after a problem that only a person can solve.
const LONG: Duration = Duration::from_secs(300);
/// First and longest pause after a conflict: another poller may just be stopping.
const CONFLICT: (Duration, Duration) = (Duration::from_secs(5), LONG);
/// Interval at which old entries are deleted.
const CLEANUP_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// Polls for updates.
pub struct Poller<'a> {
    pub listening: Listening<'a, TelegramService>,
}

impl<'a> Poller<'a> {
    fn service(&self) -> &'a TelegramService {
        &self.listening.channel.0.service
    }

    fn store(&self) -> &'a ChannelStore {
        &self.listening.channel.0.store
    }

    /// Polls until it is cancelled.
    pub async fn run(&mut self) {
        let Some(us) = self.introduce().await else { return };
        let talk = self.listening.conversation(us.username);
        let mut cleaned_up = now();
        let mut failures = 0;
        while !self.listening.cancel.is_cancelled() {
            // After a failure the first request returns at once, so that a recovery is soon visible.
            let pause = match self.listen(&talk, if failures == 0 { LONG_POLL_SECONDS } else { 0 }).await {
                Ok(()) => {
                    if failures > 0 {
                        self.listening.note(None).await;
                    }
                    failures = 0;
                    self.listening.set_trouble(None);
                    Duration::ZERO
                }
                Err(error) => {
                    failures += 1;
                    let pause = self.report_failure(&error, failures);
                    self.note_failure().await;
                    pause
                }
            };
            if now().duration_since(cleaned_up) > CLEANUP_INTERVAL {
                cleaned_up = now();
                self.listening.clean_up().await;
            }
            self.sleep(pause).await;
        }
    }

    /// Stores the problem that was reported last.
    async fn note_failure(&self) {
        self.listening.note(self.listening.channel.0.health.get(Way::In)).await;
    }

    async fn sleep(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.listening.cancel.cancelled() => {}
        }
    }

    /// Gets the bot's name, registers the commands, and reads whether the chat has topics. Retries until it succeeds; `None`:
    /// cancelled.
    async fn introduce(&self) -> Option<User> {
        let bot = &self.service().bot;
        let mut failures = 0;
        let me: User = loop {
            match bot.call("getMe", &json!({})).await {
                Ok(me) => break me,
                Err(error) => {
                    failures += 1;
                    let pause = self.report_failure(&Failure::Bot(error), failures);
                    self.note_failure().await;
                    self.sleep(pause).await;
                    if self.listening.cancel.is_cancelled() {
                        return None;
                    }
                }
            }
        };
        self.listening.set_trouble(None);
        self.listening.note(None).await;
        let commands: Vec<Value> = COMMANDS
            .iter()
            .map(|known| json!({"command": known.name, "description": described(known.takes, known.does)}))
            .collect();
        if let Err(error) = bot.call::<Value>("setMyCommands", &json!({"commands": commands})).await {
            // People can type the commands anyway.
            tracing::warn!(%error, "the commands cannot be registered");
        }
        match bot.call::<Chat>("getChat", &json!({"chat_id": self.service().listed.chat})).await {
            Ok(chat) => self.service().threads.set_forum(chat.is_forum),
            Err(error) => tracing::warn!(%error, "the chat cannot be read"),
        }
        Some(me)
    }

    /// Reports a problem and returns the pause before the next try.
    fn report_failure(&self, failure: &Failure, failures: u32) -> Duration {
        let doubled = |(first, longest): (Duration, Duration)| {
            first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest)
        };
        let (why, pause) = match failure {
            Failure::Bot(error @ BotError::Conflict(_)) => {
                let why = format!("another program asks with the same token, or a webhook is set ({error}): end it");
                (why, doubled(CONFLICT))
            }
            Failure::Bot(error) => match meaning::classify(error) {
                Meaning::Again(pause) => (error.to_string(), pause),
                Meaning::Never(why) | Meaning::Closed(why) => (why, LONG),
                Meaning::Later(_) | Meaning::Done | Meaning::Gone | Meaning::NoTopic | Meaning::NoMarkup => {
                    (error.to_string(), doubled(PAUSES))
                }
            },
            Failure::Journal(error) => (format!("the journal cannot be used: {error}"), doubled(PAUSES)),
        };
        self.listening.set_trouble(Some(why));
        pause
    }

    /// Performs one polling request and handles all its updates.
    async fn listen(&mut self, talk: &Conversation, holds: u64) -> Result<(), Failure> {
        let kept = self.store().get(OFFSET).await?;
        let mut offset = Offset::read(kept.as_deref());
        let mut takes = json!({"timeout": holds, "limit": 100, "allowed_updates": ALLOWED_UPDATES});
        if let Some(next) = offset.next {
            takes["offset"] = json!(next);
        }
        let asked = self.service().bot.call_within(POLL_TIMEOUT, "getUpdates", &takes);
        // Only the waiting is cancelled; received updates are always handled.
        let mut updates: Vec<Value> = tokio::select! {
            received = asked => received.map_err(Failure::Bot)?,
            () = self.listening.cancel.cancelled() => return Ok(()),
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
            // Updates of unknown form are ignored.
            let heard = serde_json::from_value::<Update>(update).map(|update| classify(update, &self.service().listed));
            let heard = heard.unwrap_or(Heard::Nothing);
            if let Heard::Stranger(stranger) = heard {
                strangers.push(stranger);
                offset.done(id);
            } else {
                self.handle(talk, (id, heard), &mut offset).await?;
            }
        }
        self.listening.report(strangers, now()).await?;
        if !ids.is_empty() {
            offset.confirm(&ids);
            self.store().set(OFFSET, offset.text()).await?;
        }
        Ok(())
    }

    /// Handles one update and records that.
    async fn handle(
        &self,
        talk: &Conversation,
        (id, heard): (i64, Heard),
        offset: &mut Offset,
    ) -> Result<(), EngineError> {
        let store = self.store();
        let acts = matches!(heard, Heard::Words(_) | Heard::Pressed(_));
        let begun = offset.begin(id, now());
        if acts {
            store.set(OFFSET, offset.text()).await?;
        }
        match heard {
            Heard::Words(words) => self.handle_message(talk, words, &begun).await,
            Heard::Pressed(pressed) => self.pressed(talk, pressed, &begun).await,
            Heard::Unsupported(chat, what) => self.answer(chat, what),
            Heard::Member(status) => self.member(&status),
            Heard::Moved(chat) => {
                let Meaning::Closed(why) = meaning::classify(&BotError::Moved(chat)) else { return Ok(()) };
                self.listening.channel.0.health.set(Way::Out, Some(why));
            }
            Heard::Stranger(_) | Heard::Nothing => {}
        }
        offset.done(id);
        if acts {
            store.set(OFFSET, offset.text()).await?;
        }
        Ok(())
    }

    async fn handle_message(&self, talk: &Conversation, words: Words, begun: &Begun) {
        let Words { user, name, chat, text, answers, topic, with } = words;
        let thread = self.service().threads(chat).task_of(answers, topic).await;
        if chat < 0 && thread.is_none() && !text.trim_start().starts_with('/') {
            // People talk with each other.
            return;
        }
        let document = match with {
            With::Nothing => None,
            With::Other => return self.answer(chat, UNREAD),
            With::File(file) => match self.fetch(&file).await {
                Ok(document) => Some(document),
                Err(why) => return self.answer(chat, why),
            },
        };
        let speaker = Speaker { channel: ChannelKind::Telegram, user, name };
        let said = Said::Words { text, thread, document };
        let answer = talk.answer(&speaker, said, begun, now()).await;
        self.listening.say(chat, speaker.user, answer).await;
    }

    fn answer(&self, chat: i64, text: impl Into<String>) {
        self.listening.channel.queue_of(chat).answer(chat, render::sentence(text));
    }

    async fn pressed(&self, talk: &Conversation, pressed: Pressed, begun: &Begun) {
        let Pressed { user, name, chat, message, token, query } = pressed;
        let speaker = Speaker { channel: ChannelKind::Telegram, user, name };
        let said = Said::Pressed { token, message: TelegramService::button_key(chat, message) };
        let answer = talk.answer(&speaker, said, begun, now()).await;
        let mut takes = json!({"callback_query_id": query});
        if let Some(toast) = &answer.toast {
            takes["text"] = Value::String(render::cut(toast, 190));
        }
        // This may come too late; the answer in the chat says the same.
        self.service().bot.call::<Value>("answerCallbackQuery", &takes).await.ok();
        if answer.is_spent {
            self.listening.channel.queue_of(chat).remove_buttons(message);
        }
        self.listening.say(chat, speaker.user, answer).await;
    }

    /// Downloads a text file that was attached to a message.
    async fn fetch(&self, file: &File) -> Result<Document, String> {
        let bot = &self.service().bot;
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
        self.listening.channel.0.health.set(Way::Out, trouble);
    }
}

fn described(takes: &str, does: &str) -> String {
    if takes.is_empty() { does.to_owned() } else { format!("{takes}: {does}") }
}

/// Why polling failed.
enum Failure {
    Bot(BotError),
    Journal(EngineError),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Journal(error)
    }
}
