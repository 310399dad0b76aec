//! What goes out to one chat: one request after the other, as often as the service allows, in the order of [`pace`]. What
//! was refused for now is said again; what cannot be said is told to whoever waits for it.
//!
//! [`pace`]: crate::transports::pace

use super::client::{Bot, BotError};
use super::markup::{one_page, render};
use super::meaning::{self, Meaning};
use super::now;
use super::threads::{Place, Threads};
use crate::domain::channel::{Document, Saying};
use crate::domain::ids::TaskId;
use crate::transports::chat::Refusal;
use crate::transports::conversation::buttons::{Minted, bind, mint};
use crate::transports::conversation::live::Stage;
use crate::transports::conversation::shelf::Shelf;
use crate::transports::health::{Health, Way};
use crate::transports::pace::{Due, Limits, Pace, Queue, Urgency};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// The first pause after a request whose fate is not known; doubled with each that follows.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How often something is said again that nobody else would say again.
const TRIES: u32 = 5;
/// So many buttons stand side by side.
const IN_A_ROW: usize = 3;

type Told = Result<Option<String>, Refusal>;

/// Something that is said or changed once.
struct Parcel {
    what: What,
    tries: u32,
    reply: Option<oneshot::Sender<Told>>,
}

enum What {
    Say(Saying),
    Change(i64, Saying),
    /// The buttons under this message go.
    Strip(i64),
}

/// A message that grows, as it is shown now.
struct Shown {
    message: i64,
    html: String,
}

/// What everybody who writes there shares.
struct Shared {
    bot: Bot,
    chat: i64,
    shelf: Shelf,
    users: BTreeSet<String>,
    limits: Limits,
    queue: Mutex<Queue<Parcel, Saying>>,
    wake: Notify,
    threads: Threads,
    health: Health,
}

/// A chat. Cheap to clone; [`Desk::run`] does the work.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

impl Desk {
    /// For a chat; `users`: who may press the buttons.
    pub fn new(bot: Bot, chat: i64, shelf: Shelf, users: BTreeSet<String>, health: Health, limits: Limits) -> Self {
        let threads = Threads::new(chat, shelf.clone());
        let (queue, wake) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { bot, chat, shelf, users, limits, queue, wake, threads, health }))
    }

    /// Where things are said.
    pub fn threads(&self) -> &Threads {
        &self.0.threads
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Parcel, Saying>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, what: What, urgency: Urgency, reply: Option<oneshot::Sender<Told>>) -> Result<(), Refusal> {
        let full = |_| Refusal::Later { after: Some(LONGEST_BACKOFF) };
        self.queue().push(Parcel { what, tries: 0, reply }, urgency).map_err(full)?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    /// Says something, and waits until it is said. Returns the name of the message.
    ///
    /// # Errors
    /// It was not said, or that is not known.
    pub async fn say(&self, saying: &Saying) -> Told {
        let urgency = if saying.is_urgent { Urgency::Now } else { Urgency::Usual };
        self.wait(What::Say(saying.clone()), urgency).await
    }

    /// Puts something into the place of a message, and waits until that is done.
    ///
    /// # Errors
    /// It was not done, or that is not known.
    pub async fn change(&self, message: i64, saying: &Saying) -> Result<(), Refusal> {
        self.wait(What::Change(message, saying.clone()), Urgency::Usual).await.map(drop)
    }

    async fn wait(&self, what: What, urgency: Urgency) -> Told {
        let (reply, told) = oneshot::channel();
        self.push(what, urgency, Some(reply))?;
        // Nobody works here any more.
        told.await.unwrap_or(Err(Refusal::Later { after: None }))
    }

    /// Answers somebody; nobody waits for it. What is too much is dropped, and that is logged.
    pub fn answer(&self, saying: Saying) {
        if self.push(What::Say(saying), Urgency::Now, None).is_err() {
            tracing::warn!(chat = self.0.chat, "an answer is dropped: too much waits");
        }
    }

    /// Takes the buttons from a message.
    pub fn strip(&self, message: i64) {
        // They are void anyway.
        self.push(What::Strip(message), Urgency::Now, None).ok();
    }

    /// The newest state of a message that grows; `false`: there are too many of them.
    pub fn show(&self, key: u64, saying: Saying, stage: Stage) -> bool {
        let is_taken = self.queue().show(key, saying, stage == Stage::Last);
        self.0.wake.notify_one();
        is_taken
    }

    /// Says what is to be said, for ever.
    pub async fn run(&self) {
        let is_group = self.0.chat < 0;
        let mut clerk = Clerk {
            desk: self,
            pace: Pace::new(is_group, self.0.limits),
            begun: Instant::now(),
            failures: 0,
            is_awaited: false,
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

/// Who does it.
struct Clerk<'a> {
    desk: &'a Desk,
    pace: Pace,
    begun: Instant,
    failures: u32,
    /// Somebody waits who says it again, and nothing of it is said yet: a pause is told instead of waited out.
    is_awaited: bool,
    live: BTreeMap<u64, Shown>,
}

impl Clerk<'_> {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn shared(&self) -> &Shared {
        &self.desk.0
    }

    /// Waits until the chat may be written to, and asks. What the service puts off is asked again: it was not done.
    async fn ask(&mut self, method: &str, takes: Value, document: Option<&Document>) -> Result<Value, Meaning> {
        loop {
            let free = self.pace.free_at(0);
            tokio::time::sleep_until(self.begun + free).await;
            let bot = &self.desk.0.bot;
            let done = match document {
                None => bot.call::<Value>(method, &takes).await,
                Some(document) => {
                    let fields: Vec<(&str, String)> = takes.as_object().into_iter().flatten().map(field).collect();
                    bot.send_file(&fields, (&document.name, &document.text)).await
                }
            };
            let now = self.now();
            self.pace.asked(now);
            match done.map_err(|error| (meaning::of(&error), error)) {
                Ok(result) => {
                    (self.failures, self.is_awaited) = (0, false);
                    self.shared().health.set(Way::Out, None);
                    return Ok(result);
                }
                Err((Meaning::Again(pause), _)) => {
                    self.pace.put_off(now, pause);
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
            Meaning::Later => {
                let pause = BACKOFF.saturating_mul(1 << self.failures.min(10)).min(LONGEST_BACKOFF);
                self.failures += 1;
                let now = self.now();
                self.pace.put_off(now, pause);
                self.shared().health.set(Way::Out, Some(error.to_string()));
            }
            Meaning::Never(why) => self.shared().health.set(Way::Out, Some(why.clone())),
            Meaning::Done | Meaning::Again(_) | Meaning::Gone | Meaning::NoTopic | Meaning::NoMarkup => {}
        }
    }

    async fn deliver(&mut self, mut parcel: Parcel) {
        // Who has stopped waiting will say it again.
        if parcel.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return;
        }
        self.is_awaited = parcel.reply.is_some();
        let done = match &parcel.what {
            What::Say(saying) => self.say(saying).await,
            What::Change(message, saying) => self.change(*message, saying).await,
            What::Strip(message) => {
                let takes = json!({"chat_id": self.shared().chat, "message_id": message});
                self.ask("editMessageReplyMarkup", takes, None).await.map(|_| None)
            }
        };
        self.is_awaited = false;
        parcel.tries += 1;
        let refusal = match done {
            Ok(told) => return parcel.reply.into_iter().for_each(|reply| drop(reply.send(Ok(told.clone())))),
            Err(Meaning::Later) if parcel.reply.is_none() && parcel.tries < TRIES => {
                return self.desk.queue().push_back(parcel);
            }
            Err(Meaning::Again(pause)) => Refusal::Later { after: Some(pause) },
            Err(Meaning::Later) => Refusal::Later { after: None },
            Err(Meaning::Gone) => Refusal::Gone,
            Err(Meaning::Done) => return parcel.reply.into_iter().for_each(|reply| drop(reply.send(Ok(None)))),
            Err(Meaning::NoTopic) => Refusal::Later { after: None },
            Err(Meaning::NoMarkup) => Refusal::Never("the text is not taken".to_owned()),
            Err(Meaning::Never(why)) => Refusal::Never(why),
        };
        parcel.reply.into_iter().for_each(|reply| drop(reply.send(Err(refusal.clone()))));
    }

    /// All messages of a saying, and the file. The buttons stand under the last message.
    async fn say(&mut self, saying: &Saying) -> Result<Option<String>, Meaning> {
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
                let bound = bind(&self.shared().shelf, &minted, &name(self.shared().chat, message)).await;
                bound.map_err(|_| Meaning::Later)?;
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
        Ok(first.map(|message| message.to_string()))
    }

    async fn mint(&self, saying: &Saying) -> Result<Vec<Minted>, Meaning> {
        let shared = self.shared();
        let minted = mint(&shared.shelf, &saying.buttons, &shared.users, now()).await;
        minted.map_err(|error| {
            tracing::warn!(%error, "buttons cannot be kept");
            Meaning::Later
        })
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
        saying: &Saying,
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
        let message = sent["message_id"].as_i64().ok_or(Meaning::Later)?;
        self.remember(message, saying.task).await;
        Ok(message)
    }

    /// An answer to it is one to the task.
    async fn remember(&self, message: i64, task: Option<TaskId>) {
        if let Some(task) = task {
            self.shared().threads.said(task, message).await;
        }
    }

    async fn change(&mut self, message: i64, saying: &Saying) -> Result<Option<String>, Meaning> {
        let minted = self.mint(saying).await?;
        self.edit(message, &one_page(saying), &minted).await?;
        if !minted.is_empty() {
            let bound = bind(&self.shared().shelf, &minted, &name(self.shared().chat, message)).await;
            bound.map_err(|_| Meaning::Later)?;
        }
        Ok(Some(message.to_string()))
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

    /// The newest state of a message that grows.
    async fn grow(&mut self, key: u64, saying: Saying, is_last: bool) {
        let html = one_page(&saying);
        let shown = self.live.get(&key).map(|shown| (shown.message, shown.html == html));
        let done = match shown {
            Some((message, true)) => Ok(message),
            Some((message, false)) => self.edit(message, &html, &[]).await.map(|()| message),
            None => {
                let mut place = self.place(saying.task, &saying.plain_text()).await;
                self.send(&html, &[], &mut place, &saying).await
            }
        };
        match done {
            Ok(_) if is_last => drop(self.live.remove(&key)),
            Ok(message) => drop(self.live.insert(key, Shown { message, html })),
            Err(Meaning::Gone) => {
                // Somebody has deleted it: the next state is a message of its own.
                self.live.remove(&key);
                self.desk.queue().show_again(key, saying, is_last);
            }
            Err(Meaning::Later | Meaning::Again(_) | Meaning::NoTopic | Meaning::Done) => {
                self.desk.queue().show_again(key, saying, is_last);
            }
            // The trouble is told; the next state is tried again.
            Err(Meaning::Never(_) | Meaning::NoMarkup) => {}
        }
    }
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
