//! A simulated Bot API on loopback, until it is dropped: it supports long polling, repeats unconfirmed updates, enforces the
//! limits of chats (a request too many gets 429 and is counted), and uses Telegram's error texts. The test plays the
//! people in its chats.

mod html;
mod rules;

pub use rules::{Kind, Limits, Seen};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rules::{Outcome, ServerState};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// The valid token.
pub const TOKEN: &str = "123456789:AAF-the_secret_of_the_bot";

struct Shared {
    state: Mutex<ServerState>,
    news: Notify,
}

/// The server.
pub struct BotApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BotApi {
    /// Starts a server with Telegram's limits.
    pub fn start() -> Self {
        Self::with(Limits::TELEGRAM)
    }

    /// Starts a server with other limits.
    pub fn with(limits: Limits) -> Self {
        let shared = Arc::new(Shared { state: Mutex::new(ServerState::new(limits)), news: Notify::new() });
        let (stop, stopped) = oneshot::channel();
        let (text, address) = std::sync::mpsc::channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(of_thread, stopped, &text));
        let address = address.recv().expect("the server starts");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Returns the address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a chat.
    pub fn chat(&self, chat: i64, kind: Kind) {
        self.state().chat(chat, kind);
    }

    /// Adds an update, which is given without its number. Returns the number.
    pub fn happens(&self, update: Value) -> i64 {
        let id = self.state().happens(update);
        self.shared.news.notify_waiters();
        id
    }

    /// Writes a message as a person.
    pub fn writes(&self, user: i64, chat: i64, text: &str) -> i64 {
        let message = self.state().message(user, chat, text);
        self.happens(json!({"message": message}))
    }

    /// Writes a message as a person, with further fields.
    pub fn writes_with(&self, user: i64, chat: i64, text: &str, more: &Value) -> i64 {
        let mut message = self.state().message(user, chat, text);
        for (key, value) in more.as_object().into_iter().flatten() {
            message[key] = value.clone();
        }
        self.happens(json!({"message": message}))
    }

    /// Replies to a message as a person.
    pub fn answers(&self, user: i64, chat: i64, message: i64, text: &str) -> i64 {
        let answered = json!({"message_id": message, "chat": {"id": chat, "type": "group"}});
        self.writes_with(user, chat, text, &json!({"reply_to_message": answered}))
    }

    /// Presses the button with this label under the newest message that has one, as a person.
    pub fn presses(&self, user: i64, chat: i64, label: &str) -> i64 {
        let (message, token) = self.button(chat, label).unwrap_or_else(|| panic!("no button {label}"));
        self.presses_token(user, chat, message, &token)
    }

    /// Presses the button with this data as a person.
    pub fn presses_token(&self, user: i64, chat: i64, message: i64, token: &str) -> i64 {
        let update = self.state().press(user, chat, message, token);
        self.happens(update)
    }

    /// Returns the message and the data of the newest button with this label.
    pub fn button(&self, chat: i64, label: &str) -> Option<(i64, String)> {
        self.state().button(chat, label)
    }

    /// Returns the present messages of a chat, oldest first.
    pub fn messages(&self, chat: i64) -> Vec<Seen> {
        self.state().messages(chat)
    }

    /// Returns the texts of the bot's messages in a chat.
    pub fn texts(&self, chat: i64) -> Vec<String> {
        self.messages(chat).into_iter().filter(|seen| seen.by_bot).map(|seen| seen.text).collect()
    }

    /// Renders a chat as a person sees it.
    pub fn transcript(&self, chat: i64) -> String {
        self.messages(chat).iter().map(Seen::render).collect()
    }

    /// Deletes a message.
    pub fn deletes(&self, chat: i64, message: i64) {
        self.state().delete(chat, message);
    }

    /// Sets the response to the next call of this method.
    pub fn next_answers(&self, method: &str, status: u16, description: &str, parameters: Value) {
        self.state().force(method, status, description, parameters);
    }

    /// Sets the response to every call, until it is reset with `None`.
    pub fn all_answer(&self, outcome: Option<(u16, &str)>) {
        self.state().force_all(outcome);
        self.shared.news.notify_waiters();
    }

    /// Gives only correct responses from now on.
    pub fn heal(&self) {
        let mut state = self.state();
        state.force_all(None);
        state.forget_forced();
    }

    /// Makes each response to getUpdates repeat the one before, in another order.
    pub fn repeats_and_shuffles(&self) {
        self.state().is_unruly = true;
    }

    /// Returns how often a method was called.
    pub fn calls(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|(called, _)| called == method).count()
    }

    /// Returns the parameters of the calls of a method.
    pub fn takes(&self, method: &str) -> Vec<Value> {
        self.state().calls.iter().filter(|(called, _)| called == method).map(|(_, takes)| takes.clone()).collect()
    }

    /// Returns how many requests exceeded a limit.
    pub fn provoked(&self) -> usize {
        self.state().provoked
    }

    /// Returns whether all updates were confirmed.
    pub fn is_heard(&self) -> bool {
        self.state().is_heard()
    }

    /// Adds a file that can be fetched.
    pub fn file(&self, id: &str, bytes: &[u8]) {
        self.state().files.insert(id.to_owned(), bytes.to_vec());
    }
}

impl Drop for BotApi {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.shared.news.notify_waiters();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(shared: Arc<Shared>, stopped: oneshot::Receiver<()>, text: &std::sync::mpsc::Sender<SocketAddr>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        text.send(listener.local_addr().expect("an address")).expect("somebody waits for it");
        let routes = Router::new()
            .route("/{token}/{method}", any(answer))
            .route("/file/{token}/{*path}", any(fetch))
            .with_state(shared);
        // Open long polls end with the server.
        tokio::select! {
            served = async { axum::serve(listener, routes).await } => served.expect("it serves"),
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

async fn fetch(State(shared): State<Arc<Shared>>, Path((_, path)): Path<(String, String)>) -> Response {
    let found = locked(&shared).files.get(&path).cloned();
    match found {
        Some(bytes) => bytes.into_response(),
        None => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

fn locked(shared: &Shared) -> MutexGuard<'_, ServerState> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((token, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // This is checked first, as Telegram does.
    let Some(takes) = takes(&headers, &body) else {
        return respond(Outcome::Refused(400, "Bad Request: JSON object expected".to_owned(), Value::Null));
    };
    if token != format!("bot{TOKEN}") {
        return respond(Outcome::Refused(401, "Unauthorized".to_owned(), Value::Null));
    }
    locked(&shared).calls.push((method.clone(), takes.clone()));
    if let Some(forced) = locked(&shared).forced(&method) {
        return respond(forced);
    }
    if method == "getUpdates" {
        return respond(updates(&shared, &takes).await);
    }
    let outcome = locked(&shared).carry_out(&method, &takes);
    respond(outcome)
}

/// Answers a long poll when there is an update, or after its timeout.
async fn updates(shared: &Shared, takes: &Value) -> Outcome {
    locked(shared).confirm(takes["offset"].as_i64());
    let timeout = Duration::from_secs(takes["timeout"].as_u64().unwrap_or_default());
    let held = async {
        loop {
            let news = shared.news.notified();
            let outcome = {
                let mut state = locked(shared);
                state.forced("getUpdates").or_else(|| state.pending())
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
            news.await;
        }
    };
    tokio::time::timeout(timeout, held).await.unwrap_or_else(|_| Outcome::Done(json!([])))
}

fn respond(outcome: Outcome) -> Response {
    let (status, body) = match outcome {
        Outcome::Done(result) => (200, json!({"ok": true, "result": result})),
        Outcome::Refused(status, description, parameters) => {
            let mut body = json!({"ok": false, "error_code": status, "description": description});
            if !parameters.is_null() {
                body["parameters"] = parameters;
            }
            (status, body)
        }
    };
    let status = axum::http::StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

/// Parses the parameters of a method, from JSON or a form with a file; an empty body counts as an empty object. `None` for
/// JSON that is no object.
fn takes(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((_, boundary)) = kind.split_once("boundary=") else {
        if body.is_empty() {
            return Some(json!({}));
        }
        return serde_json::from_slice(body).ok().filter(Value::is_object);
    };
    let text = String::from_utf8_lossy(body);
    let mut takes = json!({});
    for part in text.split(&format!("--{boundary}")) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else { continue };
        let Some((_, name)) = head.split_once("name=\"") else { continue };
        let name = name.split('"').next().unwrap_or_default();
        let content = content.strip_suffix("\r\n").unwrap_or(content);
        takes[name] =
            serde_json::from_str::<Value>(content).ok().filter(Value::is_number).unwrap_or_else(|| json!(content));
        if let Some((_, file)) = head.split_once("filename=\"") {
            takes["file_name"] = json!(file.split('"').next().unwrap_or_default());
        }
    }
    Some(takes)
}
