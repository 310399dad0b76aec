//! Sends notifications as signed requests to the person's own server. Each is one JSON document; the receiver can verify
//! the sender and the time, and recognize duplicates.

use super::Channel;
use super::chat::Refusal;
use orch_config::Secret;
use orch_core::notices::notice::Notice;
use orch_core::operations::channel::ChatMessage;
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::outgoing;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use ring::hmac;
use serde_json::{Value, json};
use std::time::Duration;

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 over `SECONDS.BODY`.
pub const SIGNATURE: &str = "orch-signature";
/// Header that stays the same when the same notification is sent again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Time limits of connecting, and of the whole request.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(20);
/// Longest `Retry-After` that is accepted from a server, in seconds.
const LONGEST_WAIT: u64 = 3600;

/// A webhook.
pub struct Webhook {
    client: Client,
    url: Url,
    key: Option<hmac::Key>,
}

impl Webhook {
    /// Creates a webhook that sends to `url`, signed with `secret`.
    ///
    /// # Errors
    /// The URL is invalid or not secure; the message does not contain the URL.
    pub fn new(url: &Secret, secret: Option<&Secret>) -> Result<Self, String> {
        let url: Url = url.expose().parse().map_err(|_| "the URL of the webhook is no URL".to_owned())?;
        let is_local = url.host_str().is_some_and(outgoing::is_here);
        let is_encrypted = url.scheme() == "https";
        if !(is_encrypted || (url.scheme() == "http" && is_local)) {
            return Err("the URL of the webhook must begin with https://, or be an http:// of this machine".to_owned());
        }
        let client =
            outgoing::client(is_encrypted, is_local, CONNECT).map_err(|error| error.without_url().to_string())?;
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        Ok(Self { client, url, key })
    }

    async fn post(&self, key: &str, document: &Value) -> Result<(), Refusal> {
        let mut document = document.clone();
        if let Some(fields) = document.as_object_mut() {
            // The header is not signed: an attacker who recorded a request could replay it under another key.
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
            Err(error) => return Err(Refusal::later(None, outgoing::describe_failure(&error))),
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
        // These statuses concern the address, not the message: every request would be refused.
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

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// Returns the value of the signature header for a body sent at `second` (Unix time).
pub fn signature(key: &hmac::Key, second: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{second}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={second},v1={hex}")
}

/// Returns the document: the history entry in the form of `/v1/events`, and the notice.
fn document(notice: &Notice, message: &ChatMessage) -> Value {
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
            "message": message.plain_text(),
        },
    })
}

impl Channel for Webhook {
    async fn send(&self, message: &ChatMessage) -> Result<Option<String>, Refusal> {
        let key = format!("orch-{}", uuid::Uuid::new_v4());
        self.post(&key, &json!({ "text": message.plain_text() })).await.map(|()| None)
    }

    async fn send_notices(
        &self,
        key: &str,
        notices: &[Notice],
        message: &ChatMessage,
    ) -> Result<Option<String>, Refusal> {
        let Some(notice) = notices.first() else { return self.send(message).await };
        self.post(key, &document(notice, message)).await.map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1790000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let header = signature(&key, 1_790_000_000, "{\"a\":1}");
        assert_eq!(header, "t=1790000000,v1=da8fe498621aaab99d5b11c51346b13d1a2bf2914b865b8d3edd3531cab25a3e");
    }

    #[test]
    fn nothing_goes_out_unencrypted_but_to_this_machine_and_no_error_repeats_the_address() {
        for url in ["http://example.test/k3y", "ftp://127.0.0.1/k3y", "k3y", "http://127.0.0.1.example.test/k3y"] {
            let error = Webhook::new(&Secret::new(url), None).err().expect(url);
            assert!(!error.contains("k3y"), "{error}");
        }
        for url in ["http://127.0.0.1:9/h", "http://localhost/h", "http://[::1]:9/h"] {
            assert!(Webhook::new(&Secret::new(url), None).is_ok(), "{url}");
        }
    }
}
