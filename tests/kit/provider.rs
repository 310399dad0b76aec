//! A provider of models that answers each request (for its list of models, or to a model) as a test wants: correctly,
//! wrongly, or never.

use super::wait::poll;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The beginning of the head of a good answer.
const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
/// The first byte of a TLS handshake.
const TLS_GREETING: u8 = 22;

/// How the provider answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status, headers and a body.
    With(u16, Vec<(&'static str, String)>, String),
    /// These raw bytes.
    Bytes(Vec<u8>),
    /// The head of a good answer, and then an endless body.
    Endless,
    /// The head of a good answer and the beginning of its body; the connection stays open.
    HalfThenNothing,
    /// The same, and then the connection is closed.
    Half,
    /// The head of a good answer, and then its body at one byte a second.
    Trickle,
    /// No answer.
    Never,
}

impl Answer {
    /// Answers with a list of these models.
    pub fn models(ids: &[&str]) -> Self {
        let models: Vec<_> = ids.iter().map(|id| serde_json::json!({"id": id, "object": "model"})).collect();
        Self::With(200, Vec::new(), serde_json::json!({"object": "list", "data": models}).to_string())
    }

    /// Answers with a status and no body.
    pub fn status(status: u16) -> Self {
        Self::With(status, Vec::new(), r#"{"error":{"message":"no"}}"#.to_owned())
    }
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method and path, such as `GET /v1/models`.
    pub line: String,
    /// The headers in the order of arrival, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Seen {
    /// Parses the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a document")
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The authority that signed the certificate of [`Provider::start_safe`].
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/authority.pem");

#[derive(Debug)]
struct Shared {
    /// Answers that come before the regular one, each once.
    first: Mutex<VecDeque<Answer>>,
    answer: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    stopped: AtomicBool,
}

/// A provider on loopback, until it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// Starts a provider.
    pub fn start(answer: Answer) -> Self {
        Self::with(answer, None)
    }

    /// Starts a provider with TLS, and a certificate for `localhost` and `127.0.0.1` that [`AUTHORITY`] signed.
    pub fn start_safe(answer: Answer) -> Self {
        let certificate = include_bytes!("../fixtures/tls/server.der").to_vec().into();
        let key = PrivateKeyDer::try_from(include_bytes!("../fixtures/tls/server.key.der").to_vec()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("ring has them").with_no_client_auth().with_single_cert(vec![certificate], key);
        Self::with(answer, Some(Arc::new(config.expect("the key of the certificate"))))
    }

    fn with(answer: Answer, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (answer, seen) = (Mutex::new(answer), Mutex::default());
        let shared = Arc::new(Shared { first: Mutex::default(), answer, seen, stopped: AtomicBool::new(false) });
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&listener, tls.as_ref(), &of_thread));
        Self { address, scheme, shared, thread: Some(thread) }
    }

    /// Returns the address of its API.
    pub fn url(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// Sets the answer from now on.
    pub fn answers(&self, answer: Answer) {
        *locked(&self.shared.answer) = answer;
    }

    /// Adds an answer that is given once before the regular one.
    pub fn answers_first(&self, answer: Answer) {
        locked(&self.shared.first).push_back(answer);
    }

    /// Returns the requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.shared.seen).clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // A connection ends its wait in `accept`.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, shared: &Arc<Shared>) {
    // Connections without an answer stay open as long as the provider runs.
    let mut open: Vec<Box<dyn Connection>> = Vec::new();
    for connection in listener.incoming().filter_map(Result::ok) {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let connection: Option<Box<dyn Connection>> = match tls {
            Some(config) => safe(connection, config),
            None => plain(connection),
        };
        let Some(mut connection) = connection else { continue };
        if let Some(seen) = read(&mut connection) {
            locked(&shared.seen).push(seen);
        }
        let first = locked(&shared.first).pop_front();
        let answer = first.unwrap_or_else(|| locked(&shared.answer).clone());
        if matches!(answer, Answer::Trickle) {
            let shared = Arc::clone(shared);
            drop(thread::spawn(move || trickle(connection, &shared)));
            continue;
        }
        open.extend(speak(connection, &answer));
    }
}

trait Connection: Read + Write + Send {}
impl<T: Read + Write + Send> Connection for T {}

fn safe(connection: TcpStream, config: &Arc<ServerConfig>) -> Option<Box<dyn Connection>> {
    let server = ServerConnection::new(Arc::clone(config)).ok()?;
    Some(Box::new(StreamOwned::new(server, connection)))
}

/// Answers a TLS handshake as a server without TLS does.
fn plain(mut connection: TcpStream) -> Option<Box<dyn Connection>> {
    let mut first = [0; 8_192];
    if connection.peek(&mut first).is_ok_and(|length| length > 0) && first[0] == TLS_GREETING {
        drop(connection.read(&mut first));
        drop(connection.write_all(b"HTTP/1.1 400 Told\r\ncontent-length: 0\r\n\r\n"));
        return None;
    }
    Some(Box::new(connection))
}

fn read(connection: &mut impl Read) -> Option<Seen> {
    let mut reader = BufReader::new(connection);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let line = lines.next()?;
    let line = line.rsplit_once(' ').map_or(line.clone(), |(line, _)| line.to_owned());
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    let mut seen = Seen { line, headers: headers.collect(), body: String::new() };
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut seen.body).ok()?;
    Some(seen)
}

/// Sends the answer. Returns the connection if it must stay open.
fn speak(mut connection: Box<dyn Connection>, answer: &Answer) -> Option<Box<dyn Connection>> {
    // The client may have closed the connection.
    let mut say = |bytes: &[u8]| connection.write_all(bytes).and_then(|()| connection.flush());
    match answer {
        Answer::With(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} Told\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n");
            drop(say(format!("{head}{body}").as_bytes()));
            None
        }
        Answer::Bytes(bytes) => {
            drop(say(bytes));
            None
        }
        Answer::Endless => {
            drop(say(format!("{GOOD}\r\n{{\"data\":[").as_bytes()));
            while say(&[b' '; 65_536]).is_ok() {}
            None
        }
        Answer::HalfThenNothing => {
            say(format!("{GOOD}content-length: 999\r\n\r\n{{\"data\"").as_bytes()).is_ok().then_some(connection)
        }
        Answer::Half => {
            drop(say(format!("{GOOD}content-length: 999\r\n\r\n{{\"data\"").as_bytes()));
            None
        }
        Answer::Never | Answer::Trickle => Some(connection),
    }
}

/// Sends a byte per second until the client closes the connection.
fn trickle(mut connection: Box<dyn Connection>, shared: &Shared) {
    let head = format!("{GOOD}content-length: 9999\r\n\r\n");
    if connection.write_all(head.as_bytes()).is_err() {
        return;
    }
    loop {
        let is_over = poll(Duration::from_secs(1), || shared.stopped.load(Ordering::SeqCst).then_some(())).is_some();
        if is_over || connection.write_all(b" ").and_then(|()| connection.flush()).is_err() {
            return;
        }
    }
}
