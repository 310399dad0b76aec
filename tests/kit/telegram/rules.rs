//! The rules and the state of the Bot API.

use super::html::shown;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The limits of a chat.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time for one message or edit.
    pub apart: Duration,
    /// The time for twenty of them in a group.
    pub group_span: Duration,
}

impl Limits {
    /// Telegram's limits.
    pub const TELEGRAM: Self = Self { apart: Duration::from_secs(1), group_span: Duration::from_secs(60) };

    /// Scales the limits to a clock that runs `times` as fast.
    pub fn faster(self, times: u32) -> Self {
        Self { apart: self.apart / times, group_span: self.group_span / times }
    }
}

/// The kind of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A chat of one person with the bot.
    Private,
    /// A group.
    Group,
    /// A group with topics.
    Forum,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group | Self::Forum => "supergroup",
        }
    }
}

/// The result of a call.
pub enum Outcome {
    Done(Value),
    Refused(u16, String, Value),
}

fn refused(description: &str) -> Outcome {
    Outcome::Refused(400, format!("Bad Request: {description}"), Value::Null)
}

/// A message as it is displayed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The id of the message.
    pub id: i64,
    /// Whether the bot wrote it.
    pub by_bot: bool,
    /// The text, without markup.
    pub text: String,
    /// The labels and the data of its buttons.
    pub buttons: Vec<(String, String)>,
    /// The id of its topic.
    pub topic: Option<i64>,
    /// The id of the message that it replies to.
    pub answers: Option<i64>,
    /// The number of edits.
    pub edits: usize,
    /// The name and the content of its file.
    pub document: Option<(String, String)>,
    html: String,
}

impl Seen {
    /// Renders the message as a person sees it.
    pub fn render(&self) -> String {
        let who = if self.by_bot { "orch" } else { "Ada" };
        let place = self.topic.map(|topic| format!(" (topic {topic})")).unwrap_or_default();
        let mut lines: Vec<String> = self.text.lines().map(|line| format!("  {line}").trim_end().to_owned()).collect();
        lines.extend(self.document.as_ref().map(|(name, text)| format!("  📎 {name} ({} bytes)", text.len())));
        let buttons: Vec<String> = self.buttons.iter().map(|(label, _)| format!("[{label}]")).collect();
        lines.extend((!buttons.is_empty()).then(|| format!("  {}", buttons.join(" "))));
        format!("{who}{place}:\n{}\n", lines.join("\n"))
    }
}

struct Chat {
    kind: Kind,
    messages: Vec<Seen>,
    times: Vec<Instant>,
    topics: i64,
}

/// The state of the server.
pub struct ServerState {
    limits: Limits,
    chats: BTreeMap<i64, Chat>,
    updates: VecDeque<Value>,
    before: Vec<Value>,
    last_update: i64,
    last_message: i64,
    forced: Vec<(String, Outcome)>,
    forced_all: Option<(u16, String)>,
    pub is_unruly: bool,
    pub calls: Vec<(String, Value)>,
    pub provoked: usize,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl ServerState {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chats: BTreeMap::new(),
            updates: VecDeque::new(),
            before: Vec::new(),
            last_update: 700,
            last_message: 0,
            forced: Vec::new(),
            forced_all: None,
            is_unruly: false,
            calls: Vec::new(),
            provoked: 0,
            files: BTreeMap::new(),
        }
    }

    pub fn chat(&mut self, chat: i64, kind: Kind) {
        self.chats.insert(chat, Chat { kind, messages: Vec::new(), times: Vec::new(), topics: 0 });
    }

    pub fn happens(&mut self, mut update: Value) -> i64 {
        self.last_update += 1;
        update["update_id"] = json!(self.last_update);
        self.updates.push_back(update);
        self.last_update
    }

    fn number(&mut self) -> i64 {
        self.last_message += 1;
        self.last_message
    }

    /// Adds a person's message to the chat.
    pub fn message(&mut self, user: i64, chat: i64, text: &str) -> Value {
        let id = self.number();
        let kind = self.chats.get(&chat).map_or("group", |chat| chat.kind.word());
        if let Some(chat) = self.chats.get_mut(&chat) {
            chat.messages.push(Seen {
                id,
                by_bot: false,
                text: text.to_owned(),
                buttons: Vec::new(),
                topic: None,
                answers: None,
                edits: 0,
                document: None,
                html: String::new(),
            });
        }
        json!({"message_id": id, "from": {"id": user, "first_name": "Ada", "username": "ada"}, "chat": {"id": chat, "type": kind}, "text": text})
    }

    pub fn press(&mut self, user: i64, chat: i64, message: i64, token: &str) -> Value {
        let kind = self.chats.get(&chat).map_or("group", |chat| chat.kind.word());
        let message =
            json!({"message_id": message, "chat": {"id": chat, "type": kind}, "from": {"id": 1, "is_bot": true}});
        json!({"callback_query": {"id": format!("q{}", self.last_update + 1), "from": {"id": user, "first_name": "Ada"}, "data": token, "message": message}})
    }

    pub fn button(&self, chat: i64, label: &str) -> Option<(i64, String)> {
        let messages = self.chats.get(&chat)?.messages.iter().rev();
        messages
            .flat_map(|seen| seen.buttons.iter().map(move |(known, token)| (seen.id, known, token)))
            .find(|(_, known, _)| *known == label)
            .map(|(id, _, token)| (id, token.clone()))
    }

    pub fn messages(&self, chat: i64) -> Vec<Seen> {
        self.chats.get(&chat).map(|chat| chat.messages.clone()).unwrap_or_default()
    }

    pub fn delete(&mut self, chat: i64, message: i64) {
        if let Some(chat) = self.chats.get_mut(&chat) {
            chat.messages.retain(|seen| seen.id != message);
        }
    }

    pub fn force(&mut self, method: &str, status: u16, description: &str, parameters: Value) {
        self.forced.push((method.to_owned(), Outcome::Refused(status, description.to_owned(), parameters)));
    }

    pub fn force_all(&mut self, outcome: Option<(u16, &str)>) {
        self.forced_all = outcome.map(|(status, description)| (status, description.to_owned()));
    }

    pub fn forget_forced(&mut self) {
        self.forced.clear();
    }

    pub fn forced(&mut self, method: &str) -> Option<Outcome> {
        if let Some((status, description)) = &self.forced_all {
            return Some(Outcome::Refused(*status, description.clone(), Value::Null));
        }
        let at = self.forced.iter().position(|(known, _)| known == method)?;
        Some(self.forced.remove(at).1)
    }

    /// Confirms the updates before the offset.
    pub fn confirm(&mut self, offset: Option<i64>) {
        if let Some(offset) = offset {
            self.updates.retain(|update| update["update_id"].as_i64().is_some_and(|id| id >= offset));
        }
    }

    pub fn is_heard(&self) -> bool {
        self.updates.is_empty()
    }

    pub fn pending(&mut self) -> Option<Outcome> {
        if self.updates.is_empty() {
            return None;
        }
        let mut answer: Vec<Value> = self.updates.iter().take(100).cloned().collect();
        let fresh = answer.clone();
        if self.is_unruly {
            answer.append(&mut self.before);
            answer.reverse();
            answer.extend(fresh.first().cloned());
        }
        self.before = fresh;
        Some(Outcome::Done(Value::Array(answer)))
    }

    pub fn carry_out(&mut self, method: &str, takes: &Value) -> Outcome {
        match method {
            "getMe" => Outcome::Done(json!({"id": 1, "is_bot": true, "first_name": "orch", "username": "orch_bot"})),
            "setMyCommands" | "answerCallbackQuery" => Outcome::Done(json!(true)),
            "getChat" => self.get_chat(takes),
            "getFile" => self.file(takes),
            "sendMessage" | "sendDocument" | "editMessageText" | "editMessageReplyMarkup" | "createForumTopic" => {
                self.write(method, takes)
            }
            _ => Outcome::Refused(404, "Not Found".to_owned(), Value::Null),
        }
    }

    fn get_chat(&self, takes: &Value) -> Outcome {
        match takes["chat_id"].as_i64().and_then(|id| Some((id, self.chats.get(&id)?))) {
            Some((id, chat)) => Outcome::Done(
                json!({"id": id, "type": chat.kind.word(), "title": "shop", "is_forum": chat.kind == Kind::Forum}),
            ),
            None => refused("chat not found"),
        }
    }

    fn file(&self, takes: &Value) -> Outcome {
        let id = takes["file_id"].as_str().unwrap_or_default();
        match self.files.contains_key(id) {
            true => Outcome::Done(json!({"file_id": id, "file_path": id})),
            false => refused("invalid file_id"),
        }
    }

    /// Counts a call against the limits of a chat. A call beyond them is refused.
    #[expect(clippy::disallowed_methods, reason = "the server has a clock of its own")]
    fn write(&mut self, method: &str, takes: &Value) -> Outcome {
        let Some(id) = takes["chat_id"].as_i64() else { return refused("chat_id is empty") };
        let (limits, now) = (self.limits, Instant::now());
        let Some(chat) = self.chats.get_mut(&id) else { return refused("chat not found") };
        let since = |at: &Instant| now.duration_since(*at);
        let too_soon = chat.times.last().filter(|at| since(at) < limits.apart).map(|at| limits.apart - since(at));
        let group = (id < 0).then(|| chat.times.len().checked_sub(20).map(|at| chat.times[at])).flatten();
        let too_many = group.filter(|at| since(at) < limits.group_span).map(|at| limits.group_span - since(&at));
        if let Some(wait) = too_soon.max(too_many) {
            self.provoked += 1;
            let retry_after = wait.as_secs() + 1;
            let text = format!("Too Many Requests: retry after {retry_after}");
            return Outcome::Refused(429, text, json!({"retry_after": retry_after}));
        }
        chat.times.push(now);
        match method {
            "createForumTopic" => {
                chat.topics += 1;
                let topic = 1_000 + chat.topics;
                Outcome::Done(json!({"message_thread_id": topic, "name": takes["name"]}))
            }
            "editMessageText" | "editMessageReplyMarkup" => edit(chat, method, takes),
            _ => self.send(id, takes),
        }
    }

    fn send(&mut self, id: i64, takes: &Value) -> Outcome {
        let document = takes["file_name"]
            .as_str()
            .map(|name| (name.to_owned(), takes["document"].as_str().unwrap_or_default().to_owned()));
        let html = takes["text"].as_str().unwrap_or_default().to_owned();
        let text = match visible(&html, takes) {
            Ok(text) => text,
            Err(why) => return Outcome::Refused(400, why, Value::Null),
        };
        if document.is_none() && text.trim().is_empty() {
            return refused("message text is empty");
        }
        let number = self.number();
        let Some(chat) = self.chats.get_mut(&id) else { return refused("chat not found") };
        let topic = takes["message_thread_id"].as_i64();
        if topic.is_some_and(|topic| topic > 1_000 + chat.topics) {
            return refused("message thread not found");
        }
        let answers = takes["reply_parameters"]["message_id"].as_i64();
        let (by_bot, buttons, edits) = (true, buttons(takes), 0);
        chat.messages.push(Seen { id: number, by_bot, text, buttons, topic, answers, edits, document, html });
        Outcome::Done(json!({"message_id": number, "chat": {"id": id, "type": chat.kind.word()}}))
    }
}

fn edit(chat: &mut Chat, method: &str, takes: &Value) -> Outcome {
    let id = takes["message_id"].as_i64().unwrap_or_default();
    let Some(seen) = chat.messages.iter_mut().find(|seen| seen.id == id && seen.by_bot) else {
        return refused("message to edit not found");
    };
    let buttons = buttons(takes);
    if method == "editMessageReplyMarkup" {
        if seen.buttons == buttons {
            return refused("message is not modified");
        }
        seen.buttons = buttons;
        return Outcome::Done(json!({"message_id": id}));
    }
    let html = takes["text"].as_str().unwrap_or_default();
    let text = match visible(html, takes) {
        Ok(text) if text.trim().is_empty() => return refused("message text is empty"),
        Ok(text) => text,
        Err(why) => return Outcome::Refused(400, why, Value::Null),
    };
    if seen.html == html && seen.buttons == buttons {
        return refused("message is not modified: specified new message content is exactly the same");
    }
    (seen.html, seen.text, seen.buttons) = (html.to_owned(), text, buttons);
    seen.edits += 1;
    Outcome::Done(json!({"message_id": id}))
}

/// Returns the displayed text; refuses one that is longer than a message.
fn visible(html: &str, takes: &Value) -> Result<String, String> {
    let text = if takes["parse_mode"] == "HTML" { shown(html)? } else { html.to_owned() };
    let units = text.encode_utf16().count();
    if units > 4096 { Err("Bad Request: message is too long".to_owned()) } else { Ok(text) }
}

fn buttons(takes: &Value) -> Vec<(String, String)> {
    let rows = takes["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten();
    let all = rows.flat_map(|row| row.as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.map(|button| {
        let data = text(&button["callback_data"]);
        assert!((1..=64).contains(&data.len()), "a button bears 1 to 64 bytes: {data:?}");
        (text(&button["text"]), data)
    })
    .collect()
}
