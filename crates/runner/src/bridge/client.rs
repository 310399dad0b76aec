//! The HTTP client of the server. Each request has a connection of its own, because the response to a message comes only
//! when its turn is over.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The connection could not be made.
    #[error("cannot reach the server at {address}: {source}")]
    Unreachable {
        /// The server's address.
        address: SocketAddr,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The request could not be built.
    #[error("the request is invalid: {0}")]
    Invalid(#[from] hyper::http::Error),
    /// The server refused the request.
    #[error("the server answered {0}")]
    Refused(StatusCode),
}

/// The address of the server, and its credentials.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// The user name for the password.
    pub(super) user: &'static str,
    pub(super) password: String,
}

impl Client {
    /// Masks the password in a text: the agent's commands see it in their environment.
    pub(super) fn masked(&self, text: &str) -> String {
        text.replace(&self.password, "[REDACTED:OPENCODE_SERVER_PASSWORD]")
    }

    /// Sends a request and waits for the whole response. Returns its status, and its body if that is JSON.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ClientError> {
        let response = self.send(method, path, body, true).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Returns whether the server refuses requests without the password.
    pub(super) async fn is_guarded(&self) -> Result<bool, ClientError> {
        Ok(self.send("GET", "/session/status", None, false).await?.status() == StatusCode::UNAUTHORIZED)
    }

    /// Subscribes to the server's events.
    pub(super) async fn events(&self) -> Result<Events, ClientError> {
        let response = self.send("GET", "/event", None, true).await?;
        if !response.status().is_success() {
            return Err(ClientError::Refused(response.status()));
        }
        Ok(Events { body: response.into_body(), rest: Vec::new(), searched: 0 })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        authorize: bool,
    ) -> Result<Response<Incoming>, ClientError> {
        let address = self.address;
        let stream =
            TcpStream::connect(address).await.map_err(|source| ClientError::Unreachable { address, source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; an error shows in the answer.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, address.to_string());
        if authorize {
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
    /// How many bytes of `rest` were searched for the end of an event.
    searched: usize,
}

impl Events {
    /// Returns the next event; `None` at the end of the stream. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.rest[self.searched..], b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..self.searched + at + 2).collect();
                self.searched = 0;
                match data(&block) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            self.searched = self.rest.len().saturating_sub(1);
            if let Ok(chunk) = self.body.frame().await?.ok()?.into_data() {
                self.rest.extend_from_slice(&chunk);
            }
        }
    }
}

/// Parses the JSON of one event.
fn data(block: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(block).ok()?;
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    serde_json::from_str(&lines.join("\n")).ok()
}

/// Encodes a text for basic authentication.
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
    fn a_password_is_encoded_for_basic_authentication() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("a?>~", "YT8+fg==")] {
            assert_eq!(base64(plain), coded);
        }
    }
}
