//! Raw HTTP requests over a Unix socket or TCP, including malformed ones that no client would send.

use super::wait::{RUN, SOON};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection of either kind.
pub trait Connection: Read + Write + Send {
    /// Sets how long a read may take.
    fn patience(&self, limit: Duration);
}

impl Connection for UnixStream {
    fn patience(&self, limit: Duration) {
        self.set_read_timeout(Some(limit)).expect("a timeout");
    }
}

impl Connection for TcpStream {
    fn patience(&self, limit: Duration) {
        self.set_read_timeout(Some(limit)).expect("a timeout");
    }
}

/// An HTTP response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with its chunks joined.
    pub body: String,
}

impl Answer {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Parses the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// Sends a request over a Unix socket, with the headers that every client sends.
pub fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Answer {
    let head = [("host", "orch"), ("content-type", "application/json")];
    request(UnixStream::connect(socket).expect("a daemon"), method, path, &head, body)
}

/// Sends a GET request over a Unix socket.
pub fn get(socket: &Path, path: &str) -> Answer {
    ask(socket, "GET", path, "")
}

/// Sends exactly this request, and reads the response to its end.
pub fn request(
    mut connection: impl Connection,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    connection.patience(SOON);
    send(&mut connection, method, path, headers, body);
    let mut reader = BufReader::new(connection);
    let (status, headers) = head(&mut reader);
    let mut body = Vec::new();
    // A connection that breaks after the response counts as closed.
    drop(reader.read_to_end(&mut body));
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { joined(&body) } else { body };
    Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

fn send(connection: &mut impl Write, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let text =
        format!("{method} {path} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    // The server may refuse the request before it has read all of it.
    drop(connection.write_all(text.as_bytes()));
}

fn head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    };
    let status = line().split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let headers = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()));
    let headers = headers.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    (status, headers.collect())
}

fn joined(mut chunked: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunked.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&chunked[..end]).ok().and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok());
        let (Some(size), rest) = (size, &chunked[end + 2..]) else { break };
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        chunked = rest.get(size + 2..).unwrap_or_default();
    }
    body
}

/// An open stream of server-sent events.
pub struct Events {
    lines: BufReader<UnixStream>,
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub struct Event {
    /// The id of the event.
    pub id: Option<String>,
    /// The name of the event.
    pub name: String,
    /// The data of the event.
    pub data: Value,
}

impl Events {
    /// Opens a stream.
    pub fn open(socket: &Path, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = UnixStream::connect(socket).expect("a daemon");
        stream.patience(RUN);
        send(&mut stream, "GET", path, &[&[("host", "orch")], headers].concat(), "");
        let mut lines = BufReader::new(stream);
        let (status, _) = head(&mut lines);
        assert_eq!(status, 200, "{path}");
        Self { lines }
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Returns the next event; chunk headers and keep-alive comments are skipped.
    fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, String::new(), None);
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("an event") == 0 {
                return None;
            }
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => data = serde_json::from_str(value).ok(),
                Some(_) | None => {}
            }
            if line.is_empty()
                && let Some(data) = data.take()
            {
                return Some(Event { id, name, data });
            }
        }
    }
}
