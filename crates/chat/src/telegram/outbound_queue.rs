//! The outbound queue of one Telegram chat: sends one request after the other, at the rate and in the order of
//! [`rate_limit`]. Temporarily refused messages are retried; other failures are reported to the waiting caller.
//!
//! [`rate_limit`]: crate::rate_limit

use super::client::{Bot, BotError};
use super::markup::{one_page, render};
use super::meaning::{self, Meaning};
use super::now;
use super::threads::{Place, Threads};
use crate::chat::Refusal;
use crate::conversation::buttons::{Minted, bind, mint};
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::live::Stage;
use crate::health::{Health, Way};
use crate::outbound_queue::{self, RateLimiter, SendQueue, SendResult};
use crate::rate_limit::{Limits, RateLimit, Urgency};
use crate::streams;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{ChatMessage, Document};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Buttons per row.
const IN_A_ROW: usize = 3;

/// A queued request.
pub enum Item {
    /// Sends a message, split into several if needed.
    Send(ChatMessage),
    /// Replaces the text of a message.
    Edit(i64, ChatMessage),
    /// Removes the buttons of a message.
    RemoveButtons(i64),
}

/// State shared by all handles of the queue.
struct Shared {
    bot: Bot,
    chat: i64,
    store: ChannelStore,
    users: BTreeSet<String>,
    limits: Limits,
    items: SendQueue<Sender>,
    threads: Threads,
    health: Health,
}

/// The queue of a chat. Cheap to clone; [`OutboundQueue::run`] sends.
#[derive(Clone)]
pub struct OutboundQueue(Arc<Shared>);

impl OutboundQueue {
    /// Creates the queue of a chat; `users` may press the buttons.
    pub fn new(
        bot: Bot,
        chat: i64,
        store: ChannelStore,
        users: BTreeSet<String>,
        health: Health,
        limits: Limits,
    ) -> Self {
        let threads = Threads::new(chat, store.clone());
        Self(Arc::new(Shared { bot, chat, store, users, limits, items: SendQueue::default(), threads, health }))
    }

    /// Returns the threads of the chat.
    pub fn threads(&self) -> &Threads {
        &self.0.threads
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.0.items.waiting()
    }

    /// Sends a message and waits until it is sent. Returns the id of the message.
    ///
    /// # Errors
    /// The message was not sent, or the result is unknown.
    pub async fn send(&self, content: &ChatMessage) -> SendResult<String> {
        let urgency = if content.is_urgent { Urgency::Now } else { Urgency::Usual };
        let sent = self.0.items.wait(Item::Send(content.clone()), urgency).await?;
        Ok(sent.map(|message| message.to_string()))
    }

    /// Replaces the content of a message and waits until that is done.
    ///
    /// # Errors
    /// The message was not edited, or the result is unknown.
    pub async fn edit(&self, message: i64, content: &ChatMessage) -> Result<(), Refusal> {
        self.0.items.wait(Item::Edit(message, content.clone()), Urgency::Usual).await.map(drop)
    }

    /// Queues an answer without waiting for it. If the queue is full, the answer is dropped and that is logged.
    pub fn answer(&self, content: ChatMessage) {
        if !self.0.items.push(Item::Send(content), Urgency::Now) {
            tracing::warn!(chat = self.0.chat, "an answer is dropped: the queue is full");
        }
    }

    /// Removes the buttons of a message. They have no effect anyway.
    pub fn remove_buttons(&self, message: i64) {
        self.0.items.push(Item::RemoveButtons(message), Urgency::Now);
    }

    /// Sets the newest state of a live message; `false`: there are too many live messages.
    pub fn show(&self, key: u64, content: ChatMessage, stage: Stage) -> bool {
        self.0.items.show(key, content, stage == Stage::Last)
    }

    /// Registers an existing message as a live message.
    pub fn adopt(&self, key: u64, message: i64) {
        self.0.items.adopt(key, message);
    }

    /// Sends what is queued; once `closing` is cancelled, sends the rest and returns.
    pub async fn run(&self, closing: &CancellationToken) {
        let rate_limiter = RateLimiter::new(RateLimit::new(self.0.chat < 0, self.0.limits));
        self.0.items.work(Sender { queue: self.clone(), rate_limiter, is_awaited: false }, closing).await;
    }

    /// Closes the queue.
    pub fn close(&self) {
        self.0.items.close();
    }
}

/// Converts a refusal of Telegram.
pub(super) fn refusal(meaning: Meaning) -> Refusal {
    match meaning {
        Meaning::Again(pause) => Refusal::later(Some(pause), format!("Telegram asks to wait {} s", pause.as_secs())),
        Meaning::Later(why) => Refusal::later(None, why),
        Meaning::Done => Refusal::later(None, "nothing changed"),
        Meaning::NoTopic => Refusal::later(None, "the topic is gone"),
        Meaning::Gone => Refusal::Gone,
        Meaning::NoMarkup => Refusal::Never("the text is rejected".to_owned()),
        Meaning::Never(why) => Refusal::Never(why),
        Meaning::Closed(why) => Refusal::Closed(why),
    }
}

/// Sends the requests of a queue.
struct Sender {
    queue: OutboundQueue,
    rate_limiter: RateLimiter,
    /// Whether a caller waits that retries itself, and nothing was sent yet: a pause is then reported instead of waited for.
    is_awaited: bool,
}

impl outbound_queue::Sender for Sender {
    type Item = Item;
    type Id = i64;
    type Live = ChatMessage;

    fn rate_limiter(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    async fn deliver(&mut self, what: &Item, is_awaited: bool) -> SendResult<i64> {
        self.is_awaited = is_awaited;
        let done = match what {
            Item::Send(content) => self.send_message(content).await,
            Item::Edit(message, content) => self.edit_message(*message, content).await,
            Item::RemoveButtons(message) => {
                let takes = json!({"chat_id": self.shared().chat, "message_id": message});
                self.ask("editMessageReplyMarkup", takes, None).await.map(|_| None)
            }
        };
        self.is_awaited = false;
        match done {
            Err(Meaning::Done) => Ok(None),
            done => done.map_err(refusal),
        }
    }

    async fn show(&mut self, at: Option<&i64>, content: &ChatMessage) -> Result<i64, Refusal> {
        let html = one_page(content);
        let done = match at {
            Some(message) => self.edit(*message, &html, &[]).await.map(|()| *message),
            None => {
                let mut place = self.place(content.task, &content.plain_text()).await;
                self.send(&html, &[], &mut place, content).await
            }
        };
        done.map_err(refusal)
    }

    async fn live_created(&mut self, key: u64, message: &i64) {
        streams::store_message::<i64>(&self.shared().store, key, message.to_string()).await;
    }

    async fn live_ended(&mut self, key: u64) {
        streams::remove(&self.shared().store, key).await;
    }
}

impl Sender {
    fn shared(&self) -> &Shared {
        &self.queue.0
    }

    /// Calls a method when the rate limit allows it. Calls that were refused for rate reasons are repeated.
    async fn ask(&mut self, method: &str, takes: Value, document: Option<&Document>) -> Result<Value, Meaning> {
        loop {
            self.rate_limiter.ready().await;
            let bot = &self.queue.0.bot;
            let done = match document {
                None => bot.call::<Value>(method, &takes).await,
                Some(document) => {
                    let fields: Vec<(&str, String)> = takes.as_object().into_iter().flatten().map(field).collect();
                    bot.send_file(&fields, &document.name, &document.text).await
                }
            };
            self.rate_limiter.record_request();
            match done.map_err(|error| (meaning::classify(&error), error)) {
                Ok(result) => {
                    self.is_awaited = false;
                    self.rate_limiter.record_success();
                    self.shared().health.set(Way::Out, None);
                    return Ok(result);
                }
                Err((Meaning::Again(pause), _)) => {
                    self.rate_limiter.block_for(pause);
                    if self.is_awaited {
                        return Err(Meaning::Again(pause));
                    }
                }
                Err((meaning, error)) => {
                    self.record_error(&meaning, &error);
                    return Err(meaning);
                }
            }
        }
    }

    fn record_error(&mut self, meaning: &Meaning, error: &BotError) {
        match meaning {
            Meaning::Later(_) => {
                self.rate_limiter.record_failure(None);
                self.shared().health.set(Way::Out, Some(error.to_string()));
            }
            Meaning::Closed(why) => self.shared().health.set(Way::Out, Some(why.clone())),
            Meaning::Never(_)
            | Meaning::Done
            | Meaning::Again(_)
            | Meaning::Gone
            | Meaning::NoTopic
            | Meaning::NoMarkup => {}
        }
    }

    /// Sends all Telegram messages of one [`ChatMessage`], and the file. The buttons stand under the last message.
    async fn send_message(&mut self, content: &ChatMessage) -> Result<Option<i64>, Meaning> {
        let rendered = render(content);
        let minted = self.mint(content).await?;
        let mut place = self.place(content.task, &content.plain_text()).await;
        let mut first = None;
        let count = rendered.pages.len();
        for (index, page) in rendered.pages.iter().enumerate() {
            let buttons: &[Minted] = if index + 1 == count { &minted } else { &[] };
            let message = self.send(page, buttons, &mut place, content).await?;
            first.get_or_insert(message);
            if index + 1 == count && !minted.is_empty() {
                let bound = bind(&self.shared().store, &minted, &message_key(self.shared().chat, message)).await;
                bound.map_err(|error| storage_failed(&error))?;
            }
        }
        if let Some(document) = &rendered.document {
            let mut takes = json!({"chat_id": self.shared().chat, "disable_notification": true});
            place.put(&mut takes);
            let sent = self.ask("sendDocument", takes, Some(document)).await?;
            let message = sent["message_id"].as_i64().unwrap_or_default();
            self.remember(message, content.task).await;
            first.get_or_insert(message);
        }
        Ok(first)
    }

    async fn mint(&self, content: &ChatMessage) -> Result<Vec<Minted>, Meaning> {
        let shared = self.shared();
        // Nobody may press them.
        if shared.users.is_empty() {
            return Ok(Vec::new());
        }
        let minted = mint(&shared.store, &content.buttons, &shared.users, now()).await;
        minted.map_err(|error| storage_failed(&error))
    }

    /// Returns the place of a task in the chat; creates a topic if the chat has topics and the task has none.
    async fn place(&mut self, task: Option<TaskId>, title: &str) -> Place {
        let Some(task) = task else { return Place::default() };
        let threads = self.shared().threads.clone();
        let known = threads.place(task).await;
        if known != Place::default() || !threads.is_forum() {
            return known;
        }
        let name: String = title.lines().next().unwrap_or_default().chars().take(100).collect();
        let name = if name.trim().is_empty() { format!("#{task}") } else { name };
        let takes = json!({"chat_id": self.shared().chat, "name": name});
        match self.ask("createForumTopic", takes, None).await {
            Ok(made) => threads.record_topic(task, made["message_thread_id"].as_i64()).await,
            // The message then goes to the chat itself.
            Err(_) => Place::default(),
        }
    }

    async fn send(
        &mut self,
        html: &str,
        buttons: &[Minted],
        place: &mut Place,
        content: &ChatMessage,
    ) -> Result<i64, Meaning> {
        let mut takes = json!({
            "chat_id": self.shared().chat, "text": html, "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true}, "disable_notification": !content.is_urgent,
        });
        if !buttons.is_empty() {
            takes["reply_markup"] = keyboard(buttons);
        }
        place.put(&mut takes);
        let sent = match self.ask("sendMessage", takes.clone(), None).await {
            Err(Meaning::NoTopic) => {
                self.shared().threads.forget(content.task).await;
                *place = Place::default();
                if let Some(takes) = takes.as_object_mut() {
                    takes.remove("message_thread_id");
                }
                self.ask("sendMessage", takes, None).await?
            }
            Err(Meaning::NoMarkup) => {
                let text: String = content.plain_text().chars().take(2_000).collect();
                takes["text"] = Value::String(text);
                if let Some(takes) = takes.as_object_mut() {
                    takes.remove("parse_mode");
                }
                self.ask("sendMessage", takes, None).await?
            }
            Ok(sent) => sent,
            Err(meaning) => return Err(meaning),
        };
        let message =
            sent["message_id"].as_i64().ok_or_else(|| Meaning::Later("the answer is not understood".to_owned()))?;
        self.remember(message, content.task).await;
        Ok(message)
    }

    /// Records that replies to the message concern the task.
    async fn remember(&self, message: i64, task: Option<TaskId>) {
        if let Some(task) = task {
            self.shared().threads.record_message(task, message).await;
        }
    }

    async fn edit_message(&mut self, message: i64, content: &ChatMessage) -> Result<Option<i64>, Meaning> {
        let minted = self.mint(content).await?;
        self.edit(message, &one_page(content), &minted).await?;
        if !minted.is_empty() {
            let bound = bind(&self.shared().store, &minted, &message_key(self.shared().chat, message)).await;
            bound.map_err(|error| storage_failed(&error))?;
        }
        Ok(Some(message))
    }

    async fn edit(&mut self, message: i64, html: &str, buttons: &[Minted]) -> Result<(), Meaning> {
        let mut takes = json!({
            "chat_id": self.shared().chat, "message_id": message, "text": html, "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        if !buttons.is_empty() {
            takes["reply_markup"] = keyboard(buttons);
        }
        match self.ask("editMessageText", takes, None).await {
            Ok(_) | Err(Meaning::Done) => Ok(()),
            Err(meaning) => Err(meaning),
        }
    }
}

fn storage_failed(error: &orch_engine::handle::EngineError) -> Meaning {
    tracing::warn!(%error, "buttons cannot be stored");
    Meaning::Later(format!("its buttons cannot be stored: {error}"))
}

fn field<'a>((name, value): (&'a String, &'a Value)) -> (&'a str, String) {
    (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Returns the id of a message that is unique among all chats.
pub fn message_key(chat: i64, message: i64) -> String {
    format!("{chat}/{message}")
}

fn keyboard(buttons: &[Minted]) -> Value {
    let button = |minted: &Minted| json!({"text": minted.label, "callback_data": minted.token});
    let rows: Vec<Value> = buttons.chunks(IN_A_ROW).map(|row| row.iter().map(button).collect()).collect();
    json!({"inline_keyboard": rows})
}
