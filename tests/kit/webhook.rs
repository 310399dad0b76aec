//! A server for webhooks that behaves as real ones do: it accepts, is busy, fails, is slow, breaks off, and goes down and
//! up again at the same address.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How the server answers one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The request is accepted.
    Good,
    /// A status; with 429 and 503, the value of `retry-after` in seconds.
    Status(u16, Option<u64>),
    /// The request is accepted, and the connection closed without a response.
    Cut,
    /// The request is accepted, and not answered until the server stops.
    Never,
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The headers.
    pub headers: HeaderMap,
    /// The raw body.
    pub body: String,
    /// The answer to it.
    pub answer: Answer,
}

impl Taken {
    /// Returns the text of a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Parses the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a document")
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// The next answers; all later ones are good.
    answers: Mutex<VecDeque<Answer>>,
    taken: Mutex<Vec<Taken>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server on loopback, until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts a server.
    pub fn start() -> Self {
        let mut new = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            shared: Arc::default(),
            stop: CancellationToken::new(),
            thread: None,
        };
        new.up();
        new
    }

    /// Returns the address.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Adds the next answers, in this order.
    pub fn answers(&self, answers: &[Answer]) {
        locked(&self.shared.answers).extend(answers);
    }

    /// Gives only good answers from now on.
    pub fn heal(&self) {
        locked(&self.shared.answers).clear();
    }

    /// Returns all requests.
    pub fn taken(&self) -> Vec<Taken> {
        locked(&self.shared.taken).clone()
    }

    /// Returns the texts of the requests with a good answer.
    pub fn messages(&self) -> Vec<String> {
        let good = self.taken().into_iter().filter(|taken| taken.answer == Answer::Good);
        good.map(|taken| taken.json()["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Stops listening.
    pub fn down(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends well");
        }
    }

    /// Listens at the same address again.
    pub fn up(&mut self) {
        self.stop = CancellationToken::new();
        let (stop, shared, wanted) = (self.stop.clone(), Arc::clone(&self.shared), self.address);
        let (text, address) = std::sync::mpsc::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind(wanted).await.expect("the address is free");
                text.send(listener.local_addr().expect("an address")).expect("somebody waits");
                let routes = Router::new().route("/hook", post(take)).with_state((shared, stop.clone()));
                tokio::select! {
                    () = stop.cancelled() => {}
                    ended = async { axum::serve(listener, routes).await } => ended.expect("it serves"),
                }
            });
        };
        self.thread = Some(std::thread::spawn(serve));
        self.address = address.recv().expect("it listens");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(
    State((shared, stop)): State<(Arc<Shared>, CancellationToken)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = locked(&shared.answers).pop_front().unwrap_or(Answer::Good);
    let body = String::from_utf8(body.to_vec()).expect("text");
    locked(&shared.taken).push(Taken { headers, body, answer });
    match answer {
        Answer::Good => StatusCode::NO_CONTENT.into_response(),
        Answer::Status(status, after) => {
            let status = StatusCode::from_u16(status).expect("a status");
            match after {
                Some(seconds) => (status, [("retry-after", seconds.to_string())]).into_response(),
                None => status.into_response(),
            }
        }
        Answer::Cut => panic!("the connection is cut off"),
        Answer::Never => {
            stop.cancelled().await;
            StatusCode::OK.into_response()
        }
    }
}
