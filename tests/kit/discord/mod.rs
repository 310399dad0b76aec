//! A Discord of one's own on loopback: its REST API and its gateway, as strict as the real ones. It numbers messages,
//! refuses what is too long, too fast or unknown, forgets nothing a session missed, and closes connections with any code.
//! Whoever speaks with it too fast is counted.

mod gateway;
mod rest;
mod state;

pub use state::{Posted, Request};

use serde_json::{Value, json};
use state::ServerState;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Notify, oneshot};

/// The token that is taken.
pub const TOKEN: &str = "MTIz.discord-token-of-the-tests.abcdefghijklmnop";
/// The bot's own application and user.
pub const APPLICATION: u64 = 900;
/// The server.
pub const GUILD: u64 = 800;
/// The channel that a person gave the bot.
pub const CHANNEL: u64 = 700;
/// A person who is listed.
pub const OWNER: u64 = 42;
/// One who is not.
pub const STRANGER: u64 = 666;

/// An answer that is given in place of the right one.
#[derive(Debug, Clone)]
pub struct Fault {
    /// To requests whose `METHOD path` has these words.
    pub to: String,
    /// So often.
    pub times: usize,
    /// The status.
    pub status: u16,
    /// Discord's own code of the error, or seconds to wait for a 429.
    pub code: u64,
}

/// Who speaks.
#[derive(Debug, Clone)]
pub struct Person {
    /// By id.
    pub id: u64,
    /// By the name that is shown.
    pub name: String,
    /// Roles.
    pub roles: Vec<u64>,
}

impl Person {
    /// Of this id, without roles.
    pub fn new(id: u64) -> Self {
        Self { id, name: format!("person{id}"), roles: Vec::new() }
    }
}

struct Shared {
    book: Mutex<ServerState>,
    /// Something happened that a connection may have to tell.
    news: Notify,
}

impl Shared {
    /// A test that panicked while it held the lock must not take the server with it.
    fn book(&self) -> MutexGuard<'_, ServerState> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.news.notify_waiters();
    }
}

/// A running server. It stops when it is dropped.
pub struct Discord {
    shared: Arc<Shared>,
    rest: SocketAddr,
    gateway: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Discord {
    /// Starts on free ports.
    pub fn start() -> Self {
        let free = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            listener.set_nonblocking(true).expect("a listener");
            listener
        };
        let (rest, gateway) = (free(), free());
        let (rest_at, gateway_at) = (rest.local_addr().expect("an address"), gateway.local_addr().expect("an address"));
        let shared =
            Arc::new(Shared { book: Mutex::new(ServerState::new(format!("ws://{gateway_at}"))), news: Notify::new() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let for_thread = Arc::clone(&shared);
        let serve = async move {
            tokio::select! {
                () = rest::serve(rest, Arc::clone(&for_thread)) => {}
                () = gateway::serve(gateway, for_thread) => {}
                _ = stopped => {}
            }
        };
        let thread = std::thread::Builder::new().name("discord".to_owned()).spawn(move || runtime.block_on(serve));
        Self { shared, rest: rest_at, gateway: gateway_at, stop: Some(stop), thread: Some(thread.expect("a thread")) }
    }

    /// Where the API is.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.rest)
    }

    /// Where the gateway is.
    pub fn gateway_url(&self) -> String {
        format!("ws://{}", self.gateway)
    }

    /// Every request until now.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.book().requests.clone()
    }

    /// All messages of a channel or thread, oldest first, as they stand now.
    pub fn messages(&self, channel: u64) -> Vec<Posted> {
        self.shared.book().messages(channel)
    }

    /// All messages that the bot wrote, wherever, oldest first.
    pub fn said(&self) -> Vec<Posted> {
        self.shared.book().of(APPLICATION)
    }

    /// The threads that were begun: id and name.
    pub fn threads(&self) -> Vec<(u64, String)> {
        self.shared.book().threads()
    }

    /// The names of the commands that are registered.
    pub fn commands(&self) -> Vec<Value> {
        self.shared.book().commands.clone()
    }

    /// How often somebody was too fast.
    pub fn too_fast(&self) -> usize {
        self.shared.book().too_fast
    }

    /// Sessions that were begun anew, and ones that were resumed.
    pub fn sessions(&self) -> (usize, usize) {
        let book = self.shared.book();
        (book.identified, book.resumed)
    }

    /// Connections to the gateway that are open.
    pub fn connections(&self) -> usize {
        self.shared.book().connections
    }

    /// The next answers are these.
    pub fn fail(&self, fault: Fault) {
        self.shared.book().faults.push(fault);
    }

    /// Every request is refused for so many seconds, as by the limit of the whole bot: without a word on buckets.
    pub fn refuse_all(&self, seconds: u64) {
        self.shared.book().refuses_all = Some(seconds);
    }

    /// No wrong answers any more.
    pub fn heal(&self) {
        self.shared.book().refuses_all = None;
        self.shared.book().faults.clear();
    }

    /// The bot may (not) read what is written.
    pub fn allow_reading(&self, allowed: bool) {
        self.shared.book().reading = allowed;
    }

    /// The token is (not) taken.
    pub fn take_token(&self, taken: bool) {
        self.shared.book().takes_token = taken;
    }

    /// Closes every connection to the gateway. `resumable`: the sessions are kept.
    pub fn close(&self, code: u16, resumable: bool) {
        let mut book = self.shared.book();
        if !resumable {
            book.sessions.clear();
        }
        if code == 4007 {
            // Whoever goes on with the number that was wrong is told the same again.
            book.spoiled = book.sessions.keys().cloned().collect();
        }
        (book.closing, book.order) = (Some(code), None);
        book.epoch += 1;
        drop(book);
        self.shared.tell();
    }

    fn order(&self, order: Value) {
        let mut book = self.shared.book();
        book.order = Some(order);
        book.epoch += 1;
        drop(book);
        self.shared.tell();
    }

    /// Asks every connection to be opened anew.
    pub fn ask_to_reconnect(&self) {
        self.order(json!({ "op": 7, "d": null }));
    }

    /// Tells every connection that its session is none any more. `resumable`: it may be tried.
    pub fn invalidate(&self, resumable: bool) {
        if !resumable {
            self.shared.book().sessions.clear();
        }
        self.order(json!({ "op": 9, "d": resumable }));
    }

    /// The connections that are open hear nothing and say nothing from now on, and stay open.
    pub fn deafen(&self) {
        self.shared.book().deaf += 1;
    }

    /// How often a client has to tell that it is there, in milliseconds; of connections from now on.
    pub fn beats(&self, millis: u64) {
        self.shared.book().heartbeat = millis;
    }

    /// Nobody who identifies is taken: they are answered with this code.
    pub fn refuse(&self, code: Option<u16>) {
        self.shared.book().refuses = code;
    }

    /// How often somebody tried to identify.
    pub fn attempts(&self) -> usize {
        self.shared.book().attempts
    }

    /// Somebody has these roles from now on.
    pub fn has_roles(&self, who: &Person) {
        self.shared.book().roles.insert(who.id, who.roles.clone());
    }

    /// The channel in which somebody speaks with the bot alone.
    pub fn direct(&self, user: u64) -> u64 {
        self.shared.book().direct(user)
    }

    /// Who is told of what is said in a thread.
    pub fn members(&self, thread: u64) -> Vec<u64> {
        self.shared.book().members(thread)
    }

    /// Somebody deletes a channel or a thread.
    pub fn remove(&self, channel: u64) {
        self.shared.book().remove(channel);
    }

    /// Somebody locks a thread.
    pub fn lock(&self, thread: u64) {
        self.shared.book().lock(thread);
    }

    /// Everything that was said, as a person sees it.
    pub fn transcript(&self) -> String {
        self.shared.book().transcript()
    }

    /// A message is deleted by somebody.
    pub fn delete(&self, channel: u64, message: u64) {
        self.shared.book().delete(channel, message);
    }

    /// Somebody writes. Returns the message's id.
    pub fn write(&self, who: &Person, channel: u64, text: &str, reply_to: Option<u64>) -> u64 {
        let id = self.shared.book().write(who, channel, text, reply_to, &[]);
        self.shared.tell();
        id
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Value {
        let mut kept = self.shared.book().keep(name, bytes);
        kept["url"] = json!(format!("{}{}", self.api_url(), kept["url"].as_str().unwrap_or_default()));
        kept
    }

    /// Somebody writes, with a file.
    pub fn write_with(&self, who: &Person, channel: u64, text: &str, (name, bytes): (&str, &[u8])) -> u64 {
        let kept = self.keep(name, bytes);
        let id = self.shared.book().write(who, channel, text, None, &[kept]);
        self.shared.tell();
        id
    }

    /// Somebody adds a task by a command, with a file. Returns the interaction's token.
    pub fn add_with(&self, who: &Person, channel: u64, title: &str, (name, bytes): (&str, &[u8])) -> String {
        let kept = self.keep(name, bytes);
        let id = kept["id"].as_str().unwrap_or_default().to_owned();
        let options = json!([
            { "name": "title", "type": 3, "value": title }, { "name": "file", "type": 11, "value": id },
        ]);
        let resolved = json!({ "attachments": { id: kept } });
        let data = json!({ "id": "1", "name": "add", "type": 1, "options": options, "resolved": resolved });
        let token = self.shared.book().interact(who, channel, 2, data, None);
        self.shared.tell();
        token
    }

    /// The same event once more, as after a resume that went wrong.
    pub fn repeat_last_event(&self) {
        self.shared.book().repeat();
        self.shared.tell();
    }

    /// Somebody gives a command. Returns the interaction's token.
    pub fn command(&self, who: &Person, channel: u64, name: &str, options: &[(&str, &str)]) -> String {
        let options: Vec<Value> =
            options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
        let data = json!({ "id": "1", "name": name, "type": 1, "options": options });
        let token = self.shared.book().interact(who, channel, 2, data, None);
        self.shared.tell();
        token
    }

    /// Somebody presses a button under a message. Returns the interaction's token.
    pub fn press(&self, who: &Person, message: &Posted, custom_id: &str) -> String {
        let data = json!({ "custom_id": custom_id, "component_type": 2 });
        let token = self.shared.book().interact(who, message.channel, 3, data, Some(message.id));
        self.shared.tell();
        token
    }

    /// What an interaction was answered with: whether it was acknowledged, and the messages.
    pub fn answered(&self, token: &str) -> (bool, Vec<Posted>) {
        self.shared.book().answered(token)
    }
}

impl Drop for Discord {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The events of one session.
#[derive(Debug, Default)]
struct Session {
    events: VecDeque<Value>,
    intents: u64,
}
