//! The wire part of Telegram: sends each message of a chat as one or several Telegram messages, at the rate that Telegram
//! allows.

use super::client::{Bot, BotError};
use super::inbox::Listed;
use super::markup::{one_page, render};
use super::meaning::{self, Meaning};
use super::polling::Poller;
use super::threads::{Place, Threads};
use crate::chat::Refusal;
use crate::conversation::buttons::Minted;
use crate::health::Way;
use crate::outbound_queue::SendResult;
use crate::rate_limit::{Limits, RateLimit};
use crate::service::{self, Listening, Service};
use crate::streams::Shown;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{ChannelKind, ChatMessage, Document};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Buttons per row.
const IN_A_ROW: usize = 3;

/// Telegram as a service.
pub struct TelegramService {
    pub(super) bot: Bot,
    pub(super) listed: Listed,
    pub(super) limits: Limits,
    /// The threads of the configured chat.
    pub(super) threads: Threads,
    /// The threads of the private chats of listed users.
    pub(super) private: BTreeMap<i64, Threads>,
}

impl TelegramService {
    /// Returns the threads of a chat.
    pub(super) fn threads(&self, chat: i64) -> &Threads {
        self.private.get(&chat).unwrap_or(&self.threads)
    }
}

/// Sends the requests of a chat's queue.
type Sender = service::Sender<TelegramService>;

impl Service for TelegramService {
    const KIND: ChannelKind = ChannelKind::Telegram;
    type Chat = i64;
    type Message = i64;

    fn parse_message(text: &str) -> Option<i64> {
        text.parse().ok()
    }

    fn button_key(chat: i64, message: i64) -> String {
        format!("{chat}/{message}")
    }

    fn rate_limit(&self, chat: i64) -> RateLimit {
        RateLimit::new(chat < 0, self.limits)
    }

    /// Sends all Telegram messages of one [`ChatMessage`], and the file. The buttons are under the last message.
    async fn send(sender: &mut Sender, _: Option<i64>, content: &ChatMessage) -> SendResult<i64> {
        let rendered = render(content);
        let minted = sender.queue.mint(content).await?;
        let mut place = sender.place(content.task, &content.plain_text()).await;
        let mut first = None;
        let count = rendered.pages.len();
        for (index, page) in rendered.pages.iter().enumerate() {
            let buttons: &[Minted] = if index + 1 == count { &minted } else { &[] };
            let message = sender.send(page, buttons, &mut place, content).await.map_err(refusal)?;
            first.get_or_insert(message);
            sender.queue.bind(buttons, message).await?;
        }
        if let Some(document) = &rendered.document {
            let mut takes = json!({"chat_id": sender.chat(), "disable_notification": true});
            place.put(&mut takes);
            let sent = sender.ask("sendDocument", takes, Some(document)).await.map_err(refusal)?;
            let message = sent["message_id"].as_i64().unwrap_or_default();
            sender.remember(message, content.task).await;
            first.get_or_insert(message);
        }
        Ok(first)
    }

    async fn send_live(sender: &mut Sender, _: i64, content: &ChatMessage) -> Result<i64, Refusal> {
        let mut place = sender.place(content.task, &content.plain_text()).await;
        sender.send(&one_page(content), &[], &mut place, content).await.map_err(refusal)
    }

    async fn edit(sender: &mut Sender, message: i64, content: &ChatMessage, buttons: &[Minted]) -> Result<(), Refusal> {
        let mut takes = json!({
            "chat_id": sender.chat(), "message_id": message, "text": one_page(content), "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        if !buttons.is_empty() {
            takes["reply_markup"] = keyboard(buttons);
        }
        sender.change("editMessageText", takes).await
    }

    async fn remove_buttons(sender: &mut Sender, message: i64) -> Result<(), Refusal> {
        let takes = json!({"chat_id": sender.chat(), "message_id": message});
        sender.change("editMessageReplyMarkup", takes).await
    }

    fn owners(&self) -> Vec<String> {
        // Only a group has strangers.
        let chats = self.private.keys().filter(|_| self.listed.chat < 0);
        chats.map(i64::to_string).collect()
    }

    async fn private_chat(&self, user: &str) -> Result<i64, Refusal> {
        user.parse().map_err(|_| Refusal::Gone)
    }

    fn only_sends(&self) -> bool {
        self.listed.users.is_empty()
    }

    async fn is_seen(&self, shown: &Shown<i64>) -> bool {
        shown.chat == self.listed.chat || self.private.contains_key(&shown.chat)
    }

    async fn listen(listening: Listening<'_, Self>) {
        Poller { listening }.run().await;
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

impl Sender {
    fn threads(&self) -> &Threads {
        self.service().threads(self.chat())
    }

    /// Calls a method when the rate limit allows it. Calls that were refused for rate reasons are repeated.
    async fn ask(&mut self, method: &str, takes: Value, document: Option<&Document>) -> Result<Value, Meaning> {
        loop {
            self.rate_limiter.ready().await;
            let bot = &self.service().bot;
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
                    self.health().set(Way::Out, None);
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
                self.health().set(Way::Out, Some(error.to_string()));
            }
            Meaning::Closed(why) => self.health().set(Way::Out, Some(why.clone())),
            Meaning::Never(_)
            | Meaning::Done
            | Meaning::Again(_)
            | Meaning::Gone
            | Meaning::NoTopic
            | Meaning::NoMarkup => {}
        }
    }

    /// Returns the place of a task in the chat; creates a topic if the chat has topics and the task has none.
    async fn place(&mut self, task: Option<TaskId>, title: &str) -> Place {
        let Some(task) = task else { return Place::default() };
        let threads = self.threads().clone();
        let known = threads.place(task).await;
        if known != Place::default() || !threads.is_forum() {
            return known;
        }
        let name: String = title.lines().next().unwrap_or_default().chars().take(100).collect();
        let name = if name.trim().is_empty() { format!("#{task}") } else { name };
        let takes = json!({"chat_id": self.chat(), "name": name});
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
            "chat_id": self.chat(), "text": html, "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true}, "disable_notification": !content.is_urgent,
        });
        if !buttons.is_empty() {
            takes["reply_markup"] = keyboard(buttons);
        }
        place.put(&mut takes);
        let sent = match self.ask("sendMessage", takes.clone(), None).await {
            Err(Meaning::NoTopic) => {
                self.threads().forget(content.task).await;
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
            self.threads().record_message(task, message).await;
        }
    }

    /// Changes a sent message; it may already be as requested.
    async fn change(&mut self, method: &str, takes: Value) -> Result<(), Refusal> {
        match self.ask(method, takes, None).await {
            Ok(_) | Err(Meaning::Done) => Ok(()),
            Err(meaning) => Err(refusal(meaning)),
        }
    }
}

fn field<'a>((name, value): (&'a String, &'a Value)) -> (&'a str, String) {
    (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn keyboard(buttons: &[Minted]) -> Value {
    let button = |minted: &Minted| json!({"text": minted.label, "callback_data": minted.token});
    let rows: Vec<Value> = buttons.chunks(IN_A_ROW).map(|row| row.iter().map(button).collect()).collect();
    json!({"inline_keyboard": rows})
}
