//! A simulated Discord on loopback: its REST API and its gateway, as strict as the real ones. It numbers messages, refuses
//! what is too long, too fast or unknown, replays what a session missed, closes connections with any code, and counts
//! requests that exceed a limit.

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

/// The valid token.
pub const TOKEN: &str = "MTIz.discord-token-of-the-tests.abcdefghijklmnop";
/// The id of the bot's application and user.
pub const APPLICATION: u64 = 900;
/// The id of the guild.
pub const GUILD: u64 = 800;
/// The id of the bot's channel.
pub const CHANNEL: u64 = 700;
/// The id of a person who is listed.
pub const OWNER: u64 = 42;
/// The id of a person who is not listed.
pub const STRANGER: u64 = 666;

/// An error that is returned in place of the correct answer.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The text in `METHOD path` of the requests that get it.
    pub to: String,
    /// How often it is returned.
    pub times: usize,
    /// The HTTP status.
    pub status: u16,
    /// Discord's own code of the error, or seconds to wait for a 429.
    pub code: u64,
}

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user id.
    pub id: u64,
    /// The display name.
    pub name: String,
    /// The ids of the roles.
    pub roles: Vec<u64>,
}

impl Person {
    /// Creates a person with this id and without roles.
    pub fn new(id: u64) -> Self {
        Self { id, name: format!("person{id}"), roles: Vec::new() }
    }
}

struct Shared {
    state: Mutex<ServerState>,
    /// Wakes the connections, which may have an event to send.
    news: Notify,
}

impl Shared {
    /// Locks the state, also after a test panicked while it held the lock.
    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
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
    /// Starts a server on free ports.
    pub fn start() -> Self {
        let free = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            listener.set_nonblocking(true).expect("a listener");
            listener
        };
        let (rest, gateway) = (free(), free());
        let (rest_at, gateway_at) = (rest.local_addr().expect("an address"), gateway.local_addr().expect("an address"));
        let shared =
            Arc::new(Shared { state: Mutex::new(ServerState::new(format!("ws://{gateway_at}"))), news: Notify::new() });
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

    /// Returns the address of the API.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.rest)
    }

    /// Returns the address of the gateway.
    pub fn gateway_url(&self) -> String {
        format!("ws://{}", self.gateway)
    }

    /// Returns every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Returns the present messages of a channel or thread, oldest first.
    pub fn messages(&self, channel: u64) -> Vec<Posted> {
        self.shared.state().messages(channel)
    }

    /// Returns all messages of the bot in all channels, oldest first.
    pub fn said(&self) -> Vec<Posted> {
        self.shared.state().by_author(APPLICATION)
    }

    /// Returns the ids and names of the threads.
    pub fn threads(&self) -> Vec<(u64, String)> {
        self.shared.state().threads()
    }

    /// Returns the names of the registered commands.
    pub fn commands(&self) -> Vec<Value> {
        self.shared.state().commands.clone()
    }

    /// Returns how many requests exceeded a rate limit.
    pub fn too_fast(&self) -> usize {
        self.shared.state().too_fast
    }

    /// Returns the numbers of new and of resumed sessions.
    pub fn sessions(&self) -> (usize, usize) {
        let state = self.shared.state();
        (state.identified, state.resumed)
    }

    /// Returns the number of open connections to the gateway.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Adds errors for the next requests.
    pub fn fail(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// Refuses every request for this many seconds, as by the bot's global limit, without headers of a bucket.
    pub fn refuse_all(&self, seconds: u64) {
        self.shared.state().refuses_all = Some(seconds);
    }

    /// Gives only correct answers from now on.
    pub fn heal(&self) {
        self.shared.state().refuses_all = None;
        self.shared.state().faults.clear();
    }

    /// Sets whether the bot may read the content of messages.
    pub fn allow_reading(&self, allowed: bool) {
        self.shared.state().reading = allowed;
    }

    /// Sets whether the token is valid.
    pub fn take_token(&self, taken: bool) {
        self.shared.state().takes_token = taken;
    }

    /// Closes every connection to the gateway. The sessions are kept if `resumable`.
    pub fn close(&self, code: u16, resumable: bool) {
        let mut state = self.shared.state();
        if !resumable {
            state.sessions.clear();
        }
        if code == 4007 {
            // A client that resumes with the wrong number gets the same events again.
            state.spoiled = state.sessions.keys().cloned().collect();
        }
        (state.closing, state.order) = (Some(code), None);
        state.epoch += 1;
        drop(state);
        self.shared.notify();
    }

    fn order(&self, order: Value) {
        let mut state = self.shared.state();
        state.order = Some(order);
        state.epoch += 1;
        drop(state);
        self.shared.notify();
    }

    /// Asks every client to reconnect.
    pub fn ask_to_reconnect(&self) {
        self.order(json!({ "op": 7, "d": null }));
    }

    /// Tells every client that its session is invalid. With `resumable` it may try to resume.
    pub fn invalidate(&self, resumable: bool) {
        if !resumable {
            self.shared.state().sessions.clear();
        }
        self.order(json!({ "op": 9, "d": resumable }));
    }

    /// Makes the open connections unresponsive without closing them.
    pub fn deafen(&self) {
        self.shared.state().deaf += 1;
    }

    /// Sets the heartbeat interval of new connections, in milliseconds.
    pub fn beats(&self, millis: u64) {
        self.shared.state().heartbeat = millis;
    }

    /// Refuses every identify with this code.
    pub fn refuse(&self, code: Option<u16>) {
        self.shared.state().refuses = code;
    }

    /// Returns how often a client tried to identify.
    pub fn attempts(&self) -> usize {
        self.shared.state().attempts
    }

    /// Sets a person's roles.
    pub fn has_roles(&self, who: &Person) {
        self.shared.state().roles.insert(who.id, who.roles.clone());
    }

    /// Returns a person's direct channel with the bot.
    pub fn direct(&self, user: u64) -> u64 {
        self.shared.state().direct(user)
    }

    /// Returns the members of a thread.
    pub fn members(&self, thread: u64) -> Vec<u64> {
        self.shared.state().members(thread)
    }

    /// Deletes a channel or a thread.
    pub fn remove(&self, channel: u64) {
        self.shared.state().remove(channel);
    }

    /// Locks a thread.
    pub fn lock(&self, thread: u64) {
        self.shared.state().lock(thread);
    }

    /// Renders all messages as a person sees them.
    pub fn transcript(&self) -> String {
        self.shared.state().transcript()
    }

    /// Deletes a message.
    pub fn delete(&self, channel: u64, message: u64) {
        self.shared.state().delete(channel, message);
    }

    /// Writes a message as a person. Returns its id.
    pub fn write(&self, who: &Person, channel: u64, text: &str, reply_to: Option<u64>) -> u64 {
        let id = self.shared.state().write(who, channel, text, reply_to, &[]);
        self.shared.notify();
        id
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Value {
        let mut kept = self.shared.state().keep(name, bytes);
        kept["url"] = json!(format!("{}{}", self.api_url(), kept["url"].as_str().unwrap_or_default()));
        kept
    }

    /// Writes a message with a file as a person.
    pub fn write_with(&self, who: &Person, channel: u64, text: &str, (name, bytes): (&str, &[u8])) -> u64 {
        let kept = self.keep(name, bytes);
        let id = self.shared.state().write(who, channel, text, None, &[kept]);
        self.shared.notify();
        id
    }

    /// Adds a task by a command with a file. Returns the interaction's token.
    pub fn add_with(&self, who: &Person, channel: u64, title: &str, (name, bytes): (&str, &[u8])) -> String {
        let kept = self.keep(name, bytes);
        let id = kept["id"].as_str().unwrap_or_default().to_owned();
        let options = json!([
            { "name": "title", "type": 3, "value": title }, { "name": "file", "type": 11, "value": id },
        ]);
        let resolved = json!({ "attachments": { id: kept } });
        let data = json!({ "id": "1", "name": "add", "type": 1, "options": options, "resolved": resolved });
        let token = self.shared.state().interact(who, channel, 2, data, None);
        self.shared.notify();
        token
    }

    /// Sends the last event again, as after a wrong resume.
    pub fn repeat_last_event(&self) {
        self.shared.state().repeat();
        self.shared.notify();
    }

    /// Sends a command as a person. Returns the interaction's token.
    pub fn command(&self, who: &Person, channel: u64, name: &str, options: &[(&str, &str)]) -> String {
        let options: Vec<Value> =
            options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
        let data = json!({ "id": "1", "name": name, "type": 1, "options": options });
        let token = self.shared.state().interact(who, channel, 2, data, None);
        self.shared.notify();
        token
    }

    /// Presses a button under a message as a person. Returns the interaction's token.
    pub fn press(&self, who: &Person, message: &Posted, custom_id: &str) -> String {
        let data = json!({ "custom_id": custom_id, "component_type": 2 });
        let token = self.shared.state().interact(who, message.channel, 3, data, Some(message.id));
        self.shared.notify();
        token
    }

    /// Returns the answer to an interaction: whether it was acknowledged, and the messages.
    pub fn answered(&self, token: &str) -> (bool, Vec<Posted>) {
        self.shared.state().answered(token)
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
