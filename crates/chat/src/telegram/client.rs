//! Client of the Bot API over HTTPS: calls a method with parameters and returns its result. The token is part of the URL,
//! so errors never contain a URL, and no `Debug` output contains the token.

use super::wire::{Parameters, Reply};
use orch_config::secret::Secret;
use orch_sys::outgoing;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// Time limit of connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// Time limit of an ordinary request.
const WHOLE: Duration = Duration::from_secs(30);
/// Largest response that is read, in bytes: a hundred updates of the longest messages are a tenth of that.
const LARGEST: usize = 16 << 20;
/// Longest error description that is shown, in characters.
const LONGEST: usize = 200;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BotError {
    /// Too many requests; retry after this time.
    #[error("too many requests; not before {} s", .0.as_secs())]
    Flood(Duration),
    /// The token is invalid or was revoked.
    #[error("the token is refused")]
    Unauthorized,
    /// Somebody else polls with the same token, or a webhook is set.
    #[error("{0}")]
    Conflict(String),
    /// The bot lacks permission.
    #[error("{0}")]
    Forbidden(String),
    /// The request is invalid, or its object does not exist.
    #[error("{0}")]
    Refused(String),
    /// The group became a supergroup with this id.
    #[error("the group has a new id: {0}")]
    Moved(i64),
    /// The server failed with this HTTP status.
    #[error("the server answers {0}")]
    Server(u16),
    /// The server was not reached or did not answer; whether it got the request is unknown.
    #[error("{0}")]
    Network(&'static str),
    /// The answer is not what was expected.
    #[error("the answer is not understood")]
    Garbled,
}

/// Why a bot cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// It does not look like a token.
    #[error("the bot token is not one of Telegram's: they look like 123456789:AAF…; @BotFather shows it")]
    Token,
    /// The URL is invalid or not secure.
    #[error("channels.telegram.api_url is no address of a Bot API server: https://HOST, or http:// to this machine")]
    Address,
    /// The id of a user or chat is not a number.
    #[error("{0:?} is not a number: channels.telegram.chat_id and allowed_users are numeric ids of Telegram, no names")]
    Number(String),
    /// No chat is configured.
    #[error("channels.telegram.chat_id is missing: the id of the chat that receives the notifications")]
    NoChat,
    /// This machine has no trusted certificates.
    #[error("no trusted certificates on this machine; install ca-certificates")]
    Certificates,
}

/// A client with the token of one bot. Cheap to clone.
#[derive(Clone)]
pub struct Bot {
    http: reqwest::Client,
    base: Url,
    token: Secret,
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Bot {
    /// Creates a client for this server and token.
    ///
    /// # Errors
    /// The token or the URL is invalid.
    pub fn new(api_url: &str, token: Secret) -> Result<Self, SetupError> {
        let text = token.expose();
        let parts = text.split_once(':').filter(|(id, secret)| {
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            is_id
                && secret.len() >= 8
                && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        });
        parts.ok_or(SetupError::Token)?;
        let mut base = Url::parse(api_url.trim()).map_err(|_| SetupError::Address)?;
        let is_here = base.host_str().is_some_and(outgoing::is_here);
        let is_safe = base.scheme() == "https" || (base.scheme() == "http" && is_here);
        if !is_safe || !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(SetupError::Address);
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http =
            outgoing::client(base.scheme() == "https", is_here, CONNECT).map_err(|_| SetupError::Certificates)?;
        Ok(Self { http, base, token })
    }

    /// Calls a method. `takes` is an object with its parameters, empty if it has none: servers accept no other form.
    ///
    /// # Errors
    /// The call failed, or its result is unknown.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, takes: &Value) -> Result<T, BotError> {
        self.call_within(WHOLE, method, takes).await
    }

    /// Calls a method with this time limit.
    ///
    /// # Errors
    /// The call failed, or its result is unknown.
    pub async fn call_within<T: DeserializeOwned>(
        &self,
        longest: Duration,
        method: &str,
        takes: &Value,
    ) -> Result<T, BotError> {
        self.send(longest, method, "application/json", takes.to_string().into_bytes()).await
    }

    /// Sends a text file with `fields` as further parameters.
    ///
    /// # Errors
    /// The call failed, or its result is unknown.
    pub async fn send_file<T: DeserializeOwned>(
        &self,
        fields: &[(&str, String)],
        name: &str,
        text: &str,
    ) -> Result<T, BotError> {
        // Random, so that no text can contain it.
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut body = String::new();
        for (field, value) in fields {
            body.push_str(&format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            ));
        }
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
        body.push_str(&format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"document\"; filename=\"{name}\"\r\n\
             content-type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--{boundary}--\r\n"
        ));
        let kind = format!("multipart/form-data; boundary={boundary}");
        self.send(WHOLE * 4, "sendDocument", &kind, body.into_bytes()).await
    }

    /// Downloads a file that a person sent, at most `largest` bytes.
    ///
    /// # Errors
    /// The file cannot be downloaded, or is larger.
    pub async fn fetch(&self, path: &str, largest: usize) -> Result<Vec<u8>, BotError> {
        let is_plain = !path.contains("..") && !path.contains(['?', '#', '\\', ':']) && !path.starts_with('/');
        let url = is_plain.then(|| self.base.join(&format!("./file/bot{}/{path}", self.token.expose())).ok()).flatten();
        let url = url.ok_or(BotError::Garbled)?;
        let response = self.http.get(url).timeout(WHOLE).send().await.map_err(|error| network(&error))?;
        match response.status().as_u16() {
            200 => body(response, largest).await,
            other => Err(BotError::Server(other)),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        longest: Duration,
        method: &str,
        kind: &str,
        body_of: Vec<u8>,
    ) -> Result<T, BotError> {
        let url = self.base.join(&format!("./bot{}/{method}", self.token.expose())).map_err(|_| BotError::Garbled)?;
        let request = self.http.post(url).timeout(longest).header("content-type", kind).body(body_of);
        let response = request.send().await.map_err(|error| network(&error))?;
        let status = response.status().as_u16();
        let body = body(response, LARGEST).await?;
        let Ok(reply) = serde_json::from_slice::<Reply>(&body) else {
            return Err(if (200..300).contains(&status) { BotError::Garbled } else { BotError::Server(status) });
        };
        if reply.ok {
            return serde_json::from_value(reply.result).map_err(|_| BotError::Garbled);
        }
        Err(self.error(reply, status))
    }

    fn error(&self, reply: Reply, status: u16) -> BotError {
        let parameters = reply.parameters.unwrap_or_default();
        let description = reply.description.unwrap_or_default().replace(self.token.expose(), "***");
        let description: String = description.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        error_of_code(reply.error_code.unwrap_or(status), description, &parameters)
    }
}

fn error_of_code(code: u16, description: String, parameters: &Parameters) -> BotError {
    if let Some(chat) = parameters.migrate_to_chat_id {
        return BotError::Moved(chat);
    }
    match code {
        429 => BotError::Flood(Duration::from_secs(parameters.retry_after.unwrap_or(5))),
        // Telegram answers 404 to a malformed token.
        401 | 404 => BotError::Unauthorized,
        409 => BotError::Conflict(description),
        403 => BotError::Forbidden(description),
        code if code >= 500 => BotError::Server(code),
        _ => BotError::Refused(description),
    }
}

async fn body(response: reqwest::Response, largest: usize) -> Result<Vec<u8>, BotError> {
    outgoing::body(response, largest).await.map_err(|error| network(&error))?.ok_or(BotError::Garbled)
}

/// Describes an error without the URL, which contains the token.
fn network(error: &reqwest::Error) -> BotError {
    BotError::Network(outgoing::describe_failure(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456789:AAF-secret_secret";

    #[test]
    fn a_token_of_another_service_and_an_unsafe_address_are_refused_before_anything_is_sent() {
        let made = |url: &str, token: &str| Bot::new(url, Secret::new(token)).map(|_| ());
        for token in ["", "abc", "xoxb-1-2", "MTA1.discord.token", "123456789:", "123:short", "1:has a blank in it"] {
            assert_eq!(made("https://api.telegram.org", token), Err(SetupError::Token), "{token}");
        }
        for url in ["http://example.test", "ftp://127.0.0.1", "nonsense", "https://a:b@x.test", "https://x.test/?a=1"] {
            assert_eq!(made(url, TOKEN), Err(SetupError::Address), "{url}");
        }
        assert_eq!(made("http://127.0.0.1:8081", TOKEN), Ok(()));
    }

    #[test]
    fn nothing_that_can_be_printed_holds_the_token() {
        let bot = Bot::new("http://127.0.0.1:1", Secret::new(TOKEN)).expect("a bot");
        assert!(!format!("{bot:?}").contains("secret"), "{bot:?}");
        let description = Some(format!("no method bot{TOKEN}/getMee\u{7}"));
        let reply = Reply { ok: false, result: Value::Null, error_code: Some(400), description, parameters: None };
        assert_eq!(bot.error(reply, 400), BotError::Refused("no method bot***/getMee".to_owned()));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_without_its_address() {
        let bot = Bot::new("http://127.0.0.1:1", Secret::new(TOKEN)).expect("a bot");
        let error = bot.call::<Value>("getMe", &serde_json::json!({})).await.expect_err("nobody is there");
        assert_eq!(error, BotError::Network("the server cannot be reached"));
        assert_eq!(bot.fetch("../../etc/passwd", 10).await, Err(BotError::Garbled));
    }

    #[test]
    fn each_code_has_its_meaning() {
        let of = |code, parameters| error_of_code(code, "why".to_owned(), &parameters);
        let wait = Parameters { retry_after: Some(7), migrate_to_chat_id: None };
        assert_eq!(of(429, wait), BotError::Flood(Duration::from_secs(7)));
        let moved = Parameters { retry_after: None, migrate_to_chat_id: Some(-100) };
        assert_eq!(of(400, moved), BotError::Moved(-100));
        assert_eq!(of(401, Parameters::default()), BotError::Unauthorized);
        assert_eq!(of(409, Parameters::default()), BotError::Conflict("why".to_owned()));
        assert_eq!(of(502, Parameters::default()), BotError::Server(502));
    }
}
