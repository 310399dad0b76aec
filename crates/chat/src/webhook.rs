//! Notices as signed requests to a server of the person's own. Each is one JSON document; whoever gets it can tell who
//! sent it, when, and whether it had it before.

use super::Channel;
use super::chat::Refusal;
use orch_config::Secret;
use orch_core::channel::ChatMessage;
use orch_core::notice::Notice;
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::outgoing;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use ring::hmac;
use serde_json::{Value, json};
use std::time::Duration;

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 over `SECONDS.BODY`.
pub const SIGNATURE: &str = "orch-signature";
/// The same when the same notice is sent again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a connection may take, and everything.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(20);
/// The longest time that a server is believed to mean when it says when to come again.
const LONGEST_WAIT: u64 = 3600;

/// A server.
pub struct Webhook {
    client: Client,
    url: Url,
    key: Option<hmac::Key>,
}

impl Webhook {
    /// Sends to `url`, signed with `secret`.
    ///
    /// # Errors
    /// The URL is none to which something may be sent; in words, without the URL.
    pub fn new(url: &Secret, secret: Option<&Secret>) -> Result<Self, String> {
        let url: Url = url.expose().parse().map_err(|_| "the URL of the webhook is no URL".to_owned())?;
        let is_local = match url.host_str() {
            Some("localhost" | "[::1]") => true,
            Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
            None => false,
        };
        let is_encrypted = url.scheme() == "https";
        if !(is_encrypted || (url.scheme() == "http" && is_local)) {
            return Err("the URL of the webhook must begin with https://, or be an http:// of this machine".to_owned());
        }
        let client =
            outgoing::client(is_encrypted, is_local, CONNECT).map_err(|error| error.without_url().to_string())?;
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        Ok(Self { client, url, key })
    }

    async fn send(&self, key: &str, document: &Value) -> Result<(), Refusal> {
        let mut document = document.clone();
        if let Some(fields) = document.as_object_mut() {
            // The header of the same words is not signed: whoever took a request down could send it again under another key.
            fields.insert("id".to_owned(), key.into());
        }
        let body = document.to_string();
        let mut request = self.client.post(self.url.clone()).timeout(WHOLE).header(CONTENT_TYPE, "application/json");
        request = request.header(IDEMPOTENCY_KEY, key);
        if let Some(key) = &self.key {
            request = request.header(SIGNATURE, signature(key, SystemClock.now().as_second(), &body));
        }
        let answer = match request.body(body).send().await {
            Ok(answer) => answer,
            Err(error) => return Err(Refusal::later(None, words(&error))),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let is_later = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        if is_later {
            return Err(Refusal::later(wait(answer.headers()), format!("it answers {status}")));
        }
        // Whatever is sent there is refused so: a login, an address that is no more or leads elsewhere.
        let is_closed = status.is_redirection()
            || matches!(
                status,
                StatusCode::UNAUTHORIZED
                    | StatusCode::PAYMENT_REQUIRED
                    | StatusCode::FORBIDDEN
                    | StatusCode::NOT_FOUND
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                    | StatusCode::GONE
            );
        let why = format!("it answers {status}");
        Err(if is_closed { Refusal::Closed(why) } else { Refusal::Never(why) })
    }
}

/// Never the URL, which may be a secret.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "it does not answer in time".to_owned()
    } else if error.is_connect() {
        "it cannot be reached".to_owned()
    } else {
        "the connection broke".to_owned()
    }
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// The value of the header that says who sent a body, and when.
pub fn signature(key: &hmac::Key, second: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{second}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={second},v1={hex}")
}

/// The document: the line of the history as `/v1/events` has it, and the notice.
fn document(notice: &Notice, saying: &ChatMessage) -> Value {
    let about = notice.about.as_ref();
    json!({
        "seq": notice.seq,
        "at": notice.at,
        "task_id": notice.task(),
        "kind": notice.event,
        "text": notice.text,
        "notice": {
            "kind": notice.kind,
            "cause": notice.cause,
            "critical": notice.is_critical,
            "title": about.map(|about| &about.title),
            "project": about.and_then(|about| about.project.as_ref()),
            "labels": about.map(|about| about.labels.clone()).unwrap_or_default(),
            "message": saying.plain_text(),
        },
    })
}

impl Channel for Webhook {
    async fn say(&self, saying: &ChatMessage) -> Result<Option<String>, Refusal> {
        let key = format!("orch-{}", uuid::Uuid::new_v4());
        self.send(&key, &json!({ "text": saying.plain_text() })).await.map(|()| None)
    }

    async fn tell(&self, key: &str, notices: &[Notice], saying: &ChatMessage) -> Result<Option<String>, Refusal> {
        let Some(notice) = notices.first() else { return self.say(saying).await };
        self.send(key, &document(notice, saying)).await.map(|()| None)
    }

    async fn change(&self, _message: &str, saying: &ChatMessage) -> Result<(), Refusal> {
        self.say(saying).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1790000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let told = signature(&key, 1_790_000_000, "{\"a\":1}");
        assert_eq!(told, "t=1790000000,v1=da8fe498621aaab99d5b11c51346b13d1a2bf2914b865b8d3edd3531cab25a3e");
    }

    #[test]
    fn nothing_goes_out_unencrypted_but_to_this_machine_and_no_error_repeats_the_address() {
        for url in ["http://example.test/k3y", "ftp://127.0.0.1/k3y", "k3y", "http://127.0.0.1.example.test/k3y"] {
            let told = Webhook::new(&Secret::new(url), None).err().expect(url);
            assert!(!told.contains("k3y"), "{told}");
        }
        for url in ["http://127.0.0.1:9/h", "http://localhost/h", "http://[::1]:9/h"] {
            assert!(Webhook::new(&Secret::new(url), None).is_ok(), "{url}");
        }
    }
}
