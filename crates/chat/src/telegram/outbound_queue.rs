//! What goes out to one chat: one request after the other, as often as the service allows, in the order of [`rate_limit`]. What
//! was refused for now is said again; what cannot be said is told to whoever waits for it.
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
use crate::outbound_queue::{self, Line, RateLimiter, SendResult};
use crate::rate_limit::{Limits, RateLimit, Urgency};
use crate::streams;
use orch_core::channel::{ChatMessage, Document};
use orch_core::ids::TaskId;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// So many buttons stand side by side.
const IN_A_ROW: usize = 3;

/// Something that is said or changed once.
pub enum What {
    /// A message, or several.
    Say(ChatMessage),
    /// Another text in the place of a message.
    Change(i64, ChatMessage),
    /// The buttons under this message go.
    Strip(i64),
}

/// What everybody who writes there shares.
struct Shared {
    bot: Bot,
    chat: i64,
    store: ChannelStore,
    users: BTreeSet<String>,
    limits: Limits,
    line: Line<Sender>,
    threads: Threads,
    health: Health,
}

/// A chat. Cheap to clone; [`OutboundQueue::run`] does the work.
#[derive(Clone)]
pub struct OutboundQueue(Arc<Shared>);

impl OutboundQueue {
    /// For a chat; `users`: who may press the buttons.
    pub fn new(
        bot: Bot,
        chat: i64,
        store: ChannelStore,
        users: BTreeSet<String>,
        health: Health,
        limits: Limits,
    ) -> Self {
        let threads = Threads::new(chat, store.clone());
        Self(Arc::new(Shared { bot, chat, store, users, limits, line: Line::default(), threads, health }))
    }

    /// Where things are said.
    pub fn threads(&self) -> &Threads {
        &self.0.threads
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.0.line.waiting()
    }

    /// Says something, and waits until it is said. Returns the name of the message.
    ///
    /// # Errors
    /// It was not said, or that is not known.
    pub async fn say(&self, saying: &ChatMessage) -> SendResult<String> {
        let urgency = if saying.is_urgent { Urgency::Now } else { Urgency::Usual };
        let told = self.0.line.wait(What::Say(saying.clone()), urgency).await?;
        Ok(told.map(|message| message.to_string()))
    }

    /// Puts something into the place of a message, and waits until that is done.
    ///
    /// # Errors
    /// It was not done, or that is not known.
    pub async fn change(&self, message: i64, saying: &ChatMessage) -> Result<(), Refusal> {
        self.0.line.wait(What::Change(message, saying.clone()), Urgency::Usual).await.map(drop)
    }

    /// Answers somebody; nobody waits for it. What is too much is dropped, and that is logged.
    pub fn answer(&self, saying: ChatMessage) {
        if !self.0.line.push(What::Say(saying), Urgency::Now) {
            tracing::warn!(chat = self.0.chat, "an answer is dropped: too much waits");
        }
    }

    /// Takes the buttons from a message. They are void anyway.
    pub fn strip(&self, message: i64) {
        self.0.line.push(What::Strip(message), Urgency::Now);
    }

    /// The newest state of a message that grows; `false`: there are too many of them.
    pub fn show(&self, key: u64, saying: ChatMessage, stage: Stage) -> bool {
        self.0.line.show(key, saying, stage == Stage::Last)
    }

    /// A message that was there before grows on.
    pub fn adopt(&self, key: u64, message: i64) {
        self.0.line.adopt(key, message);
    }

    /// Says what is to be said; once `closing` is cancelled, what is left of it.
    pub async fn run(&self, closing: &CancellationToken) {
        let rate_limiter = RateLimiter::new(RateLimit::new(self.0.chat < 0, self.0.limits));
        self.0.line.work(Sender { queue: self.clone(), rate_limiter, is_awaited: false }, closing).await;
    }

    /// Nothing is said here any more.
    pub fn close(&self) {
        self.0.line.close();
    }
}

/// What a refusal of Telegram's is to whoever wanted it.
pub(super) fn refusal(meaning: Meaning) -> Refusal {
    match meaning {
        Meaning::Again(pause) => Refusal::later(Some(pause), format!("Telegram asks to wait {} s", pause.as_secs())),
        Meaning::Later(why) => Refusal::later(None, why),
        Meaning::Done => Refusal::later(None, "it was so already"),
        Meaning::NoTopic => Refusal::later(None, "the topic is gone"),
        Meaning::Gone => Refusal::Gone,
        Meaning::NoMarkup => Refusal::Never("the text is not taken".to_owned()),
        Meaning::Never(why) => Refusal::Never(why),
        Meaning::Closed(why) => Refusal::Closed(why),
    }
}

/// Who does it.
struct Sender {
    queue: OutboundQueue,
    rate_limiter: RateLimiter,
    /// Somebody waits who says it again, and nothing of it is said yet: a pause is told instead of waited out.
    is_awaited: bool,
}

impl outbound_queue::Sender for Sender {
    type What = What;
    type Name = i64;
    type Growing = ChatMessage;

    fn rhythm(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    async fn carry_out(&mut self, what: &What, is_awaited: bool) -> SendResult<i64> {
        self.is_awaited = is_awaited;
        let done = match what {
            What::Say(saying) => self.say(saying).await,
            What::Change(message, saying) => self.change(*message, saying).await,
            What::Strip(message) => {
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

    async fn show(&mut self, at: Option<&i64>, saying: &ChatMessage) -> Result<i64, Refusal> {
        let html = one_page(saying);
        let done = match at {
            Some(message) => self.edit(*message, &html, &[]).await.map(|()| *message),
            None => {
                let mut place = self.place(saying.task, &saying.plain_text()).await;
                self.send(&html, &[], &mut place, saying).await
            }
        };
        done.map_err(refusal)
    }

    async fn stands(&mut self, key: u64, message: &i64) {
        streams::stands::<i64>(&self.shared().store, key, message.to_string()).await;
    }

    async fn over(&mut self, key: u64) {
        streams::over(&self.shared().store, key).await;
    }
}

impl Sender {
    fn shared(&self) -> &Shared {
        &self.queue.0
    }

    /// Waits until the chat may be written to, and asks. What the service puts off is asked again: it was not done.
    async fn ask(&mut self, method: &str, takes: Value, document: Option<&Document>) -> Result<Value, Meaning> {
        loop {
            self.rate_limiter.free().await;
            let bot = &self.queue.0.bot;
            let done = match document {
                None => bot.call::<Value>(method, &takes).await,
                Some(document) => {
                    let fields: Vec<(&str, String)> = takes.as_object().into_iter().flatten().map(field).collect();
                    bot.send_file(&fields, (&document.name, &document.text)).await
                }
            };
            self.rate_limiter.asked();
            match done.map_err(|error| (meaning::of(&error), error)) {
                Ok(result) => {
                    self.is_awaited = false;
                    self.rate_limiter.is_well();
                    self.shared().health.set(Way::Out, None);
                    return Ok(result);
                }
                Err((Meaning::Again(pause), _)) => {
                    self.rate_limiter.put_off(pause);
                    if self.is_awaited {
                        return Err(Meaning::Again(pause));
                    }
                }
                Err((meaning, error)) => {
                    self.heed(&meaning, &error);
                    return Err(meaning);
                }
            }
        }
    }

    fn heed(&mut self, meaning: &Meaning, error: &BotError) {
        match meaning {
            Meaning::Later(_) => {
                self.rate_limiter.failed(None);
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
    async fn say(&mut self, saying: &ChatMessage) -> Result<Option<i64>, Meaning> {
        let rendered = render(saying);
        let minted = self.mint(saying).await?;
        let mut place = self.place(saying.task, &saying.plain_text()).await;
        let mut first = None;
        let count = rendered.pages.len();
        for (index, page) in rendered.pages.iter().enumerate() {
            let buttons: &[Minted] = if index + 1 == count { &minted } else { &[] };
            let message = self.send(page, buttons, &mut place, saying).await?;
            first.get_or_insert(message);
            if index + 1 == count && !minted.is_empty() {
                let bound = bind(&self.shared().store, &minted, &name(self.shared().chat, message)).await;
                bound.map_err(|error| unkept(&error))?;
            }
        }
        if let Some(document) = &rendered.document {
            let mut takes = json!({"chat_id": self.shared().chat, "disable_notification": true});
            place.put(&mut takes);
            let sent = self.ask("sendDocument", takes, Some(document)).await?;
            let message = sent["message_id"].as_i64().unwrap_or_default();
            self.remember(message, saying.task).await;
            first.get_or_insert(message);
        }
        Ok(first)
    }

    async fn mint(&self, saying: &ChatMessage) -> Result<Vec<Minted>, Meaning> {
        let shared = self.shared();
        // Nobody may press them, and nobody would answer.
        if shared.users.is_empty() {
            return Ok(Vec::new());
        }
        let minted = mint(&shared.store, &saying.buttons, &shared.users, now()).await;
        minted.map_err(|error| unkept(&error))
    }

    /// The place of a task in the chat; a topic is made where there is none yet.
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
            Ok(made) => threads.made(task, made["message_thread_id"].as_i64()).await,
            // It is said beside the topics then.
            Err(_) => Place::default(),
        }
    }

    async fn send(
        &mut self,
        html: &str,
        buttons: &[Minted],
        place: &mut Place,
        saying: &ChatMessage,
    ) -> Result<i64, Meaning> {
        let mut takes = json!({
            "chat_id": self.shared().chat, "text": html, "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true}, "disable_notification": !saying.is_urgent,
        });
        if !buttons.is_empty() {
            takes["reply_markup"] = keyboard(buttons);
        }
        place.put(&mut takes);
        let sent = match self.ask("sendMessage", takes.clone(), None).await {
            Err(Meaning::NoTopic) => {
                self.shared().threads.forget(saying.task).await;
                *place = Place::default();
                if let Some(takes) = takes.as_object_mut() {
                    takes.remove("message_thread_id");
                }
                self.ask("sendMessage", takes, None).await?
            }
            Err(Meaning::NoMarkup) => {
                let text: String = saying.plain_text().chars().take(2_000).collect();
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
        self.remember(message, saying.task).await;
        Ok(message)
    }

    /// An answer to it is one to the task.
    async fn remember(&self, message: i64, task: Option<TaskId>) {
        if let Some(task) = task {
            self.shared().threads.said(task, message).await;
        }
    }

    async fn change(&mut self, message: i64, saying: &ChatMessage) -> Result<Option<i64>, Meaning> {
        let minted = self.mint(saying).await?;
        self.edit(message, &one_page(saying), &minted).await?;
        if !minted.is_empty() {
            let bound = bind(&self.shared().store, &minted, &name(self.shared().chat, message)).await;
            bound.map_err(|error| unkept(&error))?;
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

fn unkept(error: &orch_engine::handle::EngineError) -> Meaning {
    tracing::warn!(%error, "buttons cannot be kept");
    Meaning::Later(format!("its buttons cannot be kept: {error}"))
}

fn field<'a>((name, value): (&'a String, &'a Value)) -> (&'a str, String) {
    (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// How a message is named where several chats are.
pub fn name(chat: i64, message: i64) -> String {
    format!("{chat}/{message}")
}

fn keyboard(buttons: &[Minted]) -> Value {
    let button = |minted: &Minted| json!({"text": minted.label, "callback_data": minted.token});
    let rows: Vec<Value> = buttons.chunks(IN_A_ROW).map(|row| row.iter().map(button).collect()).collect();
    json!({"inline_keyboard": rows})
}
