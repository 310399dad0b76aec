//! The state of the server: channels, messages, sessions, rates. Every rule that a client can break is here.

use super::{APPLICATION, CHANNEL, Fault, GUILD, Person, Session};
use orch_sys::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// The limit of messages and edits in one channel: the number, and the time.
const RATE: (usize, Duration) = (5, Duration::from_secs(5));
/// The longest message, in characters.
const LONGEST: usize = 2000;
/// The epoch of ids, which hold the milliseconds since then and 22 further bits.
const BEGIN: i64 = 1_420_070_400_000;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The id of the message.
    pub id: u64,
    /// The id of its channel or thread.
    pub channel: u64,
    /// The id of the author.
    pub author: u64,
    /// The present text.
    pub text: String,
    /// The labels and ids of its buttons.
    pub buttons: Vec<(String, String)>,
    /// The names and contents of its files.
    pub files: Vec<(String, String)>,
    /// The number of edits.
    pub edits: usize,
    /// The flags of the message.
    pub flags: u64,
    /// The id of the message that it answers.
    pub reply_to: Option<u64>,
    /// The command that it answers.
    pub command: Option<String>,
    /// The files that a person sent with it, in Discord's JSON.
    pub attached: Vec<Value>,
}

/// A request to the API.
#[derive(Debug, Clone)]
pub struct Request {
    /// `METHOD /path`, without the version.
    pub what: String,
    /// The body of the request.
    pub body: Value,
    /// The status of the answer.
    pub status: u16,
}

#[derive(Default)]
struct Channel {
    name: String,
    parent: Option<u64>,
    /// The person of a direct channel.
    direct: Option<u64>,
    /// The members of a thread.
    members: BTreeSet<u64>,
    is_locked: bool,
    messages: Vec<Posted>,
    recent: VecDeque<Instant>,
    nonces: BTreeMap<String, u64>,
}

struct Interaction {
    channel: u64,
    command: Option<String>,
    acknowledged: bool,
    messages: Vec<u64>,
}

pub(super) struct ServerState {
    pub gateway_url: String,
    pub requests: Vec<Request>,
    pub commands: Vec<Value>,
    pub faults: Vec<Fault>,
    /// Every request is refused for this many seconds.
    pub refuses_all: Option<u64>,
    pub too_fast: usize,
    pub reading: bool,
    pub takes_token: bool,
    pub sessions: BTreeMap<String, Session>,
    pub identified: usize,
    pub resumed: usize,
    pub connections: usize,
    pub closing: Option<u16>,
    pub epoch: usize,
    /// The message that every connection gets now, in place of a close.
    pub order: Option<Value>,
    /// Connections with a lower number are unresponsive.
    pub deaf: usize,
    /// The code with which identify is refused.
    pub refuses: Option<u16>,
    /// The sessions with wrong sequence numbers.
    pub spoiled: BTreeSet<String>,
    /// The number of identify attempts.
    pub attempts: usize,
    /// The heartbeat interval, in milliseconds.
    pub heartbeat: u64,
    /// The roles of each person.
    pub roles: BTreeMap<u64, Vec<u64>>,
    /// The files that people sent, by their paths.
    pub kept: BTreeMap<String, Vec<u8>>,
    channels: BTreeMap<u64, Channel>,
    interactions: BTreeMap<String, Interaction>,
    last: u64,
}

impl ServerState {
    pub fn new(gateway_url: String) -> Self {
        let channel = Channel { name: "tasks".to_owned(), ..Channel::default() };
        Self {
            gateway_url,
            requests: Vec::new(),
            commands: Vec::new(),
            faults: Vec::new(),
            refuses_all: None,
            too_fast: 0,
            reading: true,
            takes_token: true,
            sessions: BTreeMap::new(),
            identified: 0,
            resumed: 0,
            connections: 0,
            closing: None,
            epoch: 0,
            order: None,
            deaf: 0,
            refuses: None,
            spoiled: BTreeSet::new(),
            attempts: 0,
            heartbeat: 41_250,
            roles: BTreeMap::new(),
            kept: BTreeMap::new(),
            channels: BTreeMap::from([(CHANNEL, channel)]),
            interactions: BTreeMap::new(),
            last: 10_000,
        }
    }

    fn number(&mut self) -> u64 {
        let now =
            u64::try_from(SystemClock.now().as_millisecond() - BEGIN).expect("a time after Discord's beginning") << 22;
        self.last = now.max(self.last + 1);
        self.last
    }

    pub fn has(&self, channel: u64) -> bool {
        self.channels.contains_key(&channel)
    }

    pub fn messages(&self, channel: u64) -> Vec<Posted> {
        self.channels.get(&channel).map(|channel| channel.messages.clone()).unwrap_or_default()
    }

    pub fn by_author(&self, author: u64) -> Vec<Posted> {
        let all = self.channels.values().flat_map(|channel| channel.messages.iter());
        let mut found: Vec<Posted> = all.filter(|message| message.author == author).cloned().collect();
        found.sort_by_key(|message| message.id);
        found
    }

    pub fn threads(&self) -> Vec<(u64, String)> {
        let threads = self.channels.iter().filter(|(_, channel)| channel.parent.is_some());
        threads.map(|(id, channel)| (*id, channel.name.clone())).collect()
    }

    pub fn delete(&mut self, channel: u64, message: u64) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.messages.retain(|known| known.id != message);
        }
    }

    /// Counts a message against the channel's limit. Returns how many are left, and the seconds to the reset; the error is
    /// the wait in seconds.
    pub fn pace(&mut self, channel: u64) -> Result<(usize, f64), f64> {
        let now = Instant::now();
        let Some(known) = self.channels.get_mut(&channel) else { return Ok((RATE.0, 0.0)) };
        while known.recent.front().is_some_and(|at| now.duration_since(*at) >= RATE.1) {
            known.recent.pop_front();
        }
        let reset = |known: &Channel| {
            known.recent.front().map_or(0.0, |at| (RATE.1.saturating_sub(now.duration_since(*at))).as_secs_f64())
        };
        if known.recent.len() >= RATE.0 {
            let wait = reset(known);
            self.too_fast += 1;
            return Err(wait);
        }
        known.recent.push_back(now);
        Ok((RATE.0 - known.recent.len(), reset(known)))
    }

    /// Returns the number of messages that a channel allows at once.
    pub fn rate() -> usize {
        RATE.0
    }

    /// Adds a message of the bot. The error is Discord's code.
    pub fn post(&mut self, channel: u64, body: &Value, files: Vec<(String, String)>) -> Result<Posted, u64> {
        let text = body["content"].as_str().unwrap_or_default().to_owned();
        if text.chars().count() > LONGEST {
            return Err(50_035);
        }
        if text.is_empty() && files.is_empty() {
            return Err(50_006);
        }
        let nonce = body["nonce"].as_u64().map(|nonce| nonce.to_string()).or(body["nonce"].as_str().map(str::to_owned));
        let known = self.channels.get(&channel).ok_or(10_003_u64)?;
        if known.is_locked {
            return Err(50_083);
        }
        if let Some(found) = nonce.as_ref().and_then(|nonce| known.nonces.get(nonce)) {
            // A repeated message is stored once.
            let found = *found;
            return known.messages.iter().find(|message| message.id == found).cloned().ok_or(10_008);
        }
        let id = self.number();
        let message = Posted {
            id,
            channel,
            author: APPLICATION,
            text,
            buttons: buttons(&body["components"]),
            files,
            edits: 0,
            flags: body["flags"].as_u64().unwrap_or_default(),
            reply_to: None,
            command: None,
            attached: Vec::new(),
        };
        let known = self.channels.get_mut(&channel).ok_or(10_003_u64)?;
        known.messages.push(message.clone());
        if let Some(nonce) = nonce {
            known.nonces.insert(nonce, id);
        }
        Ok(message)
    }

    pub fn edit(&mut self, channel: u64, message: u64, body: &Value) -> Result<Posted, u64> {
        let known = self.channels.get_mut(&channel).ok_or(10_003_u64)?;
        let found = known.messages.iter_mut().find(|known| known.id == message).ok_or(10_008_u64)?;
        if let Some(text) = body["content"].as_str() {
            if text.chars().count() > LONGEST {
                return Err(50_035);
            }
            found.text = text.to_owned();
        }
        if body.get("components").is_some() {
            found.buttons = buttons(&body["components"]);
        }
        found.edits += 1;
        Ok(found.clone())
    }

    pub fn begin_thread(&mut self, channel: u64, message: u64, name: &str) -> Result<u64, u64> {
        let known = self.channels.get(&channel).ok_or(10_003_u64)?;
        if !known.messages.iter().any(|known| known.id == message) {
            return Err(10_008);
        }
        // A thread has the id of the message under which it was created, and there is at most one.
        if self.channels.contains_key(&message) {
            return Err(160_004);
        }
        let thread = Channel { name: name.to_owned(), parent: Some(channel), ..Channel::default() };
        self.channels.insert(message, thread);
        Ok(message)
    }

    /// Adds a member to a thread.
    pub fn join(&mut self, thread: u64, user: u64) -> Result<(), u64> {
        let known = self.channels.get_mut(&thread).filter(|channel| channel.parent.is_some()).ok_or(10_003_u64)?;
        known.members.insert(user);
        Ok(())
    }

    pub fn members(&self, thread: u64) -> Vec<u64> {
        self.channels.get(&thread).map(|channel| channel.members.iter().copied().collect()).unwrap_or_default()
    }

    /// Deletes a channel or a thread.
    pub fn remove(&mut self, channel: u64) {
        self.channels.remove(&channel);
    }

    /// Locks a thread.
    pub fn lock(&mut self, thread: u64) {
        if let Some(known) = self.channels.get_mut(&thread) {
            known.is_locked = true;
        }
    }

    /// Returns a person's direct channel with the bot.
    pub fn direct(&mut self, user: u64) -> u64 {
        let there = self.channels.iter().find(|(_, channel)| channel.direct == Some(user)).map(|(id, _)| *id);
        there.unwrap_or_else(|| {
            let id = self.number();
            let name = format!("person{user}");
            self.channels.insert(id, Channel { name, direct: Some(user), ..Channel::default() });
            id
        })
    }

    /// Returns the threads that are not archived.
    pub fn active(&self) -> Vec<Value> {
        let threads = self.channels.iter().filter(|(_, channel)| channel.parent.is_some());
        threads.filter_map(|(id, _)| self.channel_json(*id)).collect()
    }

    pub fn channel_json(&self, id: u64) -> Option<Value> {
        let channel = self.channels.get(&id)?;
        let mut value = json!({ "id": id.to_string(), "type": 0, "guild_id": GUILD.to_string(), "name": channel.name });
        if let Some(parent) = channel.parent {
            value["type"] = json!(11);
            value["parent_id"] = json!(parent.to_string());
        }
        if channel.direct.is_some() {
            value = json!({ "id": id.to_string(), "type": 1, "recipients": [] });
        }
        value["last_message_id"] = json!(channel.messages.last().map(|message| message.id.to_string()));
        Some(value)
    }

    pub fn after(&self, channel: u64, message: u64) -> Vec<Value> {
        let later = self.messages(channel).into_iter().filter(|known| known.id > message);
        // Newest first, as in the real API.
        let mut page: Vec<_> = later.take(100).collect();
        page.reverse();
        let text = |known: &Posted| self.message_json(known, &Person::new(known.author), known.reply_to, self.reading);
        page.iter().map(text).collect()
    }

    /// Renders a message as Discord's JSON.
    pub fn message_json(&self, message: &Posted, who: &Person, reply_to: Option<u64>, reads: bool) -> Value {
        let content = if reads || message.author == APPLICATION { message.text.as_str() } else { "" };
        let mut value = json!({
            "id": message.id.to_string(), "channel_id": message.channel.to_string(), "type": 0,
            "author": user(who, message.author == APPLICATION), "content": content, "timestamp": time_of(message.id),
            "edited_timestamp": null, "tts": false, "mention_everyone": false, "mentions": [], "mention_roles": [],
            "attachments": message.attached, "embeds": [], "pinned": false, "components": [], "flags": message.flags,
        });
        if let Some(reply_to) = reply_to {
            value["type"] = json!(19);
            value["message_reference"] = json!({
                "type": 0, "message_id": reply_to.to_string(), "channel_id": message.channel.to_string(),
            });
        }
        value
    }

    /// Stores a file that a person sends. Returns its JSON in the message, without the host.
    pub fn keep(&mut self, name: &str, bytes: &[u8]) -> Value {
        let id = self.number();
        let path = format!("/files/{id}/{name}");
        self.kept.insert(path.clone(), bytes.to_vec());
        json!({ "id": id.to_string(), "filename": name, "size": bytes.len(), "url": path, "proxy_url": path })
    }

    /// Adds a person's message with files.
    pub fn write(&mut self, who: &Person, channel: u64, text: &str, reply_to: Option<u64>, files: &[Value]) -> u64 {
        let id = self.number();
        let message = Posted {
            id,
            channel,
            author: who.id,
            text: text.to_owned(),
            buttons: Vec::new(),
            files: Vec::new(),
            edits: 0,
            flags: 0,
            reply_to,
            command: None,
            attached: files.to_vec(),
        };
        self.roles.insert(who.id, who.roles.clone());
        let is_direct = self.channels.get(&channel).is_some_and(|channel| channel.direct.is_some());
        if let Some(known) = self.channels.get_mut(&channel) {
            known.messages.push(message.clone());
        }
        let mut data = self.message_json(&message, who, reply_to, true);
        if !is_direct {
            data["guild_id"] = json!(GUILD.to_string());
            data["member"] = member(who);
        }
        self.happen("MESSAGE_CREATE", &data);
        id
    }

    /// Adds a person's command or pressed button.
    pub fn interact(&mut self, who: &Person, channel: u64, kind: u64, data: Value, message: Option<u64>) -> String {
        let id = self.number();
        let token = format!("token-{id}");
        let mut value = json!({
            "id": id.to_string(), "application_id": APPLICATION.to_string(), "type": kind, "token": token, "version": 1,
            "data": data, "guild_id": GUILD.to_string(), "channel": self.channel_json(channel), "channel_id": channel.to_string(),
            "member": member_with_user(who), "entitlements": [], "authorizing_integration_owners": {}, "context": 0,
            "attachment_size_limit": 524_288, "app_permissions": "0", "locale": "en-GB", "guild_locale": "en-GB",
        });
        if let Some(message) = message {
            let known = self.messages(channel).into_iter().find(|known| known.id == message);
            if let Some(known) = known {
                value["message"] = self.message_json(&known, &Person::new(APPLICATION), None, true);
            }
        }
        let command = (kind == 2).then(|| render(&value["data"]));
        let interaction = Interaction { channel, command, acknowledged: false, messages: Vec::new() };
        self.interactions.insert(token.clone(), interaction);
        self.happen("INTERACTION_CREATE", &value);
        token
    }

    fn happen(&mut self, name: &str, data: &Value) {
        for session in self.sessions.values_mut() {
            let mut data = data.clone();
            // Without the intent the content is left out.
            if name == "MESSAGE_CREATE" && session.intents & (1 << 15) == 0 {
                data["content"] = json!("");
            }
            session.events.push_back(json!({ "op": 0, "t": name, "d": data }));
        }
    }

    pub fn repeat(&mut self) {
        for session in self.sessions.values_mut() {
            if let Some(last) = session.events.back().cloned() {
                session.events.push_back(last);
            }
        }
    }

    pub fn acknowledge(&mut self, token: &str, body: &Value) -> Result<(), u64> {
        let known = self.interactions.get_mut(token).ok_or(10_062_u64)?;
        // The interaction was acknowledged before.
        if known.acknowledged {
            return Err(40_060);
        }
        known.acknowledged = true;
        let channel = known.channel;
        if body["type"] == 4 {
            let message = self.post(channel, &body["data"], Vec::new())?;
            self.note_answer(token, message.id);
        }
        Ok(())
    }

    fn note_answer(&mut self, token: &str, message: u64) {
        if let Some(known) = self.interactions.get_mut(token) {
            known.messages.push(message);
        }
    }

    /// Adds the first answer to an interaction, or a further one.
    pub fn answer(
        &mut self,
        token: &str,
        body: &Value,
        files: Vec<(String, String)>,
        first: bool,
    ) -> Result<Posted, u64> {
        let known = self.interactions.get(token).ok_or(10_015_u64)?;
        if !known.acknowledged {
            return Err(10_015);
        }
        let (channel, had) = (known.channel, known.messages.first().copied());
        let command = known.command.clone().filter(|_| had.is_none());
        match (first, had) {
            (true, Some(message)) => self.edit(channel, message, body),
            (true, None) | (false, _) => {
                let message = self.post(channel, body, files)?;
                self.note_answer(token, message.id);
                let all = self.channels.values_mut().flat_map(|channel| channel.messages.iter_mut());
                all.filter(|posted| posted.id == message.id).for_each(|posted| posted.command.clone_from(&command));
                Ok(message)
            }
        }
    }

    /// Renders all messages as a person sees them.
    pub fn transcript(&self) -> String {
        let mut all: Vec<(&Channel, &Posted)> =
            self.channels.values().flat_map(|channel| channel.messages.iter().map(move |one| (channel, one))).collect();
        all.sort_by_key(|(_, message)| message.id);
        all.into_iter().map(|(channel, message)| seen(channel, message)).collect()
    }

    pub fn answered(&self, token: &str) -> (bool, Vec<Posted>) {
        let Some(known) = self.interactions.get(token) else { return (false, Vec::new()) };
        let all = self.messages(known.channel);
        let messages = all.into_iter().filter(|message| known.messages.contains(&message.id)).collect();
        (known.acknowledged, messages)
    }
}

/// Returns the time in an id.
fn time_of(id: u64) -> String {
    let millis = i64::try_from(id >> 22).expect("some milliseconds") + BEGIN;
    let at = jiff::Timestamp::from_millisecond(millis).expect("a time");
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// Renders a command as other people see it.
fn render(data: &Value) -> String {
    let options = data["options"].as_array().into_iter().flatten();
    let options = options.map(|one| {
        format!(" {}:{}", one["name"].as_str().unwrap_or_default(), one["value"].as_str().unwrap_or_default())
    });
    format!("/{}{}", data["name"].as_str().unwrap_or_default(), options.collect::<String>())
}

fn seen(channel: &Channel, message: &Posted) -> String {
    let who = if message.author == APPLICATION { "orch" } else { "Ada" };
    let thread = channel.parent.map(|_| format!(" (thread {})", channel.name)).unwrap_or_default();
    let command = message.command.as_ref().map(|command| format!("Ada used {command}\n")).unwrap_or_default();
    let mut lines: Vec<String> =
        shown(&message.text).lines().map(|line| format!("  {line}").trim_end().to_owned()).collect();
    lines.extend(message.files.iter().map(|(name, text)| format!("  📎 {name} ({} bytes)", text.len())));
    let buttons: Vec<String> = message.buttons.iter().map(|(label, _)| format!("[{label}]")).collect();
    lines.extend((!buttons.is_empty()).then(|| format!("  {}", buttons.join(" "))));
    format!("{command}{who}{thread}:\n{}\n", lines.join("\n"))
}

/// Removes escapes of punctuation and invisible characters.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut chars = text.chars().filter(|c| *c != '\u{200b}').peekable();
    let mut is_block = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if !is_block && chars.peek().is_some_and(char::is_ascii_punctuation) => shown.extend(chars.next()),
            c => shown.push(c),
        }
        if shown.ends_with("```") {
            is_block = !is_block;
        }
    }
    shown
}

fn buttons(components: &Value) -> Vec<(String, String)> {
    let rows = components.as_array().cloned().unwrap_or_default();
    let buttons = rows.iter().flat_map(|row| row["components"].as_array().cloned().unwrap_or_default());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    buttons.map(|button| (text(&button["label"]), text(&button["custom_id"]))).collect()
}

fn user(who: &Person, is_bot: bool) -> Value {
    json!({
        "id": who.id.to_string(), "username": who.name, "discriminator": "0", "avatar": null, "bot": is_bot,
        "global_name": who.name,
    })
}

fn member(who: &Person) -> Value {
    let roles: Vec<String> = who.roles.iter().map(u64::to_string).collect();
    json!({
        "roles": roles, "deaf": false, "mute": false, "joined_at": "2026-01-01T00:00:00.000000+00:00", "flags": 0,
        "nick": null, "avatar": null, "pending": false,
    })
}

fn member_with_user(who: &Person) -> Value {
    let mut value = member(who);
    value["user"] = user(who, false);
    value["permissions"] = json!("0");
    value
}
