//! HTTP to the server, each request over a connection of its own: a message is answered only when its turn is over.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Why the server cannot be spoken with.
#[derive(Debug, thiserror::Error)]
pub(super) enum TalkError {
    /// No connection.
    #[error("cannot reach the server at {address}: {source}")]
    Unreachable {
        /// Where it should be.
        address: SocketAddr,
        /// The kernel's word.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the server broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// A request that cannot be said.
    #[error("no request: {0}")]
    Unspeakable(#[from] hyper::http::Error),
    /// It refused.
    #[error("the server answered {0}")]
    Refused(StatusCode),
}

/// The server, and what lets us in.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// What goes before the password.
    pub(super) user: &'static str,
    pub(super) password: String,
}

impl Client {
    /// A text without the password: the commands of the agent see it in their environment.
    pub(super) fn masked(&self, text: &str) -> String {
        text.replace(&self.password, "[REDACTED:OPENCODE_SERVER_PASSWORD]")
    }

    /// Asks, and waits for the whole answer: its status, and its body where that is JSON.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value), TalkError> {
        let response = self.send(method, path, body, true).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Whether the server turns those away who do not know the password.
    pub(super) async fn is_guarded(&self) -> Result<bool, TalkError> {
        Ok(self.send("GET", "/session/status", None, false).await?.status() == StatusCode::UNAUTHORIZED)
    }

    /// The server's events, from now on.
    pub(super) async fn events(&self) -> Result<Events, TalkError> {
        let response = self.send("GET", "/event", None, true).await?;
        if !response.status().is_success() {
            return Err(TalkError::Refused(response.status()));
        }
        Ok(Events { body: response.into_body(), rest: Vec::new(), looked: 0 })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        known: bool,
    ) -> Result<Response<Incoming>, TalkError> {
        let address = self.address;
        let stream = TcpStream::connect(address).await.map_err(|source| TalkError::Unreachable { address, source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; an error shows in the answer.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, address.to_string());
        if known {
            let pass = base64(&format!("{}:{}", self.user, self.password));
            request = request.header(AUTHORIZATION, format!("Basic {pass}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        Ok(sender.send_request(request.body(Full::new(bytes))?).await?)
    }
}

/// The stream of server-sent events.
pub(super) struct Events {
    body: Incoming,
    rest: Vec<u8>,
    /// How much of `rest` holds no end of an event.
    looked: usize,
}

impl Events {
    /// The next event; `None`: there will be no other. Cancelled, it loses nothing.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.rest[self.looked..], b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..self.looked + at + 2).collect();
                self.looked = 0;
                match data(&block) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            self.looked = self.rest.len().saturating_sub(1);
            if let Ok(piece) = self.body.frame().await?.ok()?.into_data() {
                self.rest.extend_from_slice(&piece);
            }
        }
    }
}

/// The JSON of one event.
fn data(block: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(block).ok()?;
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    serde_json::from_str(&lines.join("\n")).ok()
}

/// As basic authentication wants it.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| char::from(LETTERS[(bits & 63) as usize]);
    let mut coded = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        coded.push(letter(bits >> 18));
        coded.push(letter(bits >> 12));
        coded.push(if three.len() > 1 { letter(bits >> 6) } else { '=' });
        coded.push(if three.len() > 2 { letter(bits) } else { '=' });
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_json_of_its_data_lines_and_anything_else_is_none() {
        assert_eq!(data(b"id: 1\ndata: {\"a\":\ndata: 1}\n\n"), Some(serde_json::json!({ "a": 1 })));
        assert_eq!(data(b": heartbeat\n\n"), None);
        assert_eq!(data(b"data: \xff\n\n"), None);
    }

    #[test]
    fn a_password_is_coded_as_http_wants_it() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("a?>~", "YT8+fg==")] {
            assert_eq!(base64(plain), coded);
        }
    }
}
