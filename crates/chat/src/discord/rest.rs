//! The one way to Discord's REST API: every request passes the gate, waits for its route's own limit, and is sent once. What
//! is refused for now is told with the time that Discord names; nothing here is repeated without that time.

use super::gate::Gate;
use orch_config::secret::Secret;
use orch_sys::clock::instant;
use orch_sys::outgoing;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use twilight_http::API_VERSION;
use twilight_http::request::{Request, TryIntoRequest};
use twilight_http_ratelimiting::{Endpoint, RateLimitHeaders, RateLimiter};

/// How long a request may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest pause that is waited for here; whoever asks is told of longer ones.
const SHORT: Duration = Duration::from_secs(3);
/// How often a request is sent that Discord refused for no longer than that.
const TRIES: u32 = 3;
/// The pause after a refusal that names none.
const PAUSE: Duration = Duration::from_secs(5);
/// Requests a second that Discord allows a bot.
const A_SECOND: u16 = 50;
/// The largest answer that is read.
const LARGEST: usize = 8 << 20;

/// Why there is no answer that was hoped for.
#[derive(Debug)]
pub(super) enum Fault {
    /// Discord refuses it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Discord's own code; 0: none.
        code: u64,
    },
    /// Not before that time has passed.
    Wait(Duration),
    /// The token is not taken.
    Token,
    /// Nobody answered, in words.
    Silent(&'static str),
    /// The answer makes no sense.
    Unread,
    /// The request cannot be made.
    Unmade,
}

/// The way there.
#[derive(Debug)]
pub(super) struct RestClient {
    client: Option<reqwest::Client>,
    base: String,
    token: Secret,
    routes: RateLimiter,
    gate: Mutex<Gate>,
    begun: Instant,
    /// The token was refused: it is not sent again.
    token_refused: AtomicBool,
}

impl RestClient {
    /// To `base`, which has no path.
    pub(super) fn new(token: &Secret, base: String) -> Self {
        let is_encrypted = base.starts_with("https://");
        let host = base.split_once("://").map_or("", |(_, host)| host);
        let is_here = ["127.0.0.1", "localhost", "[::1]"].iter().any(|here| host.starts_with(here));
        let client = outgoing::client(is_encrypted, is_here, CONNECT);
        if let Err(error) = &client {
            tracing::error!(%error, "no request to Discord can be made");
        }
        Self {
            client: client.ok(),
            base,
            token: token.clone(),
            routes: RateLimiter::new(A_SECOND),
            gate: Mutex::default(),
            begun: Instant::now(),
            token_refused: AtomicBool::new(false),
        }
    }

    /// Asks, and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: impl TryIntoRequest) -> Result<T, Fault> {
        let answer = self.tell(request).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            tracing::debug!(%error, "an answer of Discord's is not understood");
            Fault::Unread
        })
    }

    /// Asks; returns the answer as it came.
    pub(super) async fn tell(&self, request: impl TryIntoRequest) -> Result<Vec<u8>, Fault> {
        let request = request.try_into_request().map_err(|error| {
            tracing::debug!(%error, "a request to Discord cannot be made");
            Fault::Unmade
        })?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.send(&request).await {
                Err(Fault::Wait(pause)) if pause <= SHORT && tries < TRIES => tokio::time::sleep(pause).await,
                done => return done,
            }
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &Request) -> Result<Vec<u8>, Fault> {
        let with_token = request.use_authorization_token();
        if with_token && self.token_refused.load(Ordering::Relaxed) {
            return Err(Fault::Token);
        }
        let path = request.path().split('?').next().unwrap_or_default().to_owned();
        let permit = self.routes.acquire(Endpoint { method: request.method(), path }).await;
        // Looked at last: what was refused while this one waited for its route closes it too.
        let wait = self.gate().wait(self.begun.elapsed());
        if !wait.is_zero() {
            return Err(Fault::Wait(wait));
        }
        let sent = self.made(request, with_token)?.send().await;
        let answer = sent.map_err(|error| silence(&error))?;
        permit.complete(of_route(answer.headers()));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = outgoing::body(answer, LARGEST).await.map_err(|error| silence(&error))?.ok_or(Fault::Unread)?;
        match status {
            200..=299 => Ok(body),
            429 => Err(Fault::Wait(self.refused_for_now(&headers, &body))),
            401 | 403 => {
                self.gate().refused(self.begun.elapsed());
                if status == 401 && with_token {
                    self.token_refused.store(true, Ordering::Relaxed);
                    return Err(Fault::Token);
                }
                Err(refused(status, &body))
            }
            _ => Err(refused(status, &body)),
        }
    }

    fn made(&self, request: &Request, with_token: bool) -> Result<reqwest::RequestBuilder, Fault> {
        let client = self.client.as_ref().ok_or(Fault::Unmade)?;
        let method = reqwest::Method::from_bytes(request.method().name().as_bytes()).map_err(|_| Fault::Unmade)?;
        let url = format!("{}/api/v{API_VERSION}/{}", self.base, request.path());
        let mut made = client.request(method, url).timeout(PATIENCE);
        if with_token {
            made = made.header(AUTHORIZATION, format!("Bot {}", self.token.expose()));
        }
        if let Some(form) = request.form() {
            made = made.header(CONTENT_TYPE, form.content_type()).body(form.clone().build());
        } else {
            let body = request.body().unwrap_or_default();
            made = made.body(body.to_vec());
            if !body.is_empty() {
                made = made.header(CONTENT_TYPE, "application/json");
            }
        }
        for (name, value) in request.headers().into_iter().flatten() {
            made = made.header(name.as_str(), value.as_bytes());
        }
        Ok(made)
    }

    /// How long Discord wants to be left alone. A limit that is no route's own holds for every request.
    fn refused_for_now(&self, headers: &HeaderMap, body: &[u8]) -> Duration {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let by_header = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
        let by_body = serde_json::from_slice(body).ok().and_then(|body: Value| body.get("retry_after")?.as_f64());
        let pause = by_body.or(by_header).and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
        let pause = pause.filter(|pause| !pause.is_zero()).unwrap_or(PAUSE);
        let is_of_route =
            text(RateLimitHeaders::BUCKET).is_some() && text(RateLimitHeaders::SCOPE).is_some_and(|of| of != "global");
        let now = self.begun.elapsed();
        let mut gate = self.gate();
        gate.refused(now);
        if !is_of_route {
            tracing::warn!(seconds = pause.as_secs_f64(), "Discord wants to be left alone");
            gate.close(now, pause);
        }
        pause
    }
}

fn refused(status: u16, body: &[u8]) -> Fault {
    match serde_json::from_slice::<Value>(body) {
        Ok(body) => Fault::Refused { status, code: body.get("code").and_then(Value::as_u64).unwrap_or(0) },
        // What is no JSON comes from something between here and Discord.
        Err(_) if status < 500 => Fault::Unread,
        Err(_) => Fault::Refused { status, code: 0 },
    }
}

fn silence(error: &reqwest::Error) -> Fault {
    Fault::Silent(if error.is_timeout() {
        "Discord does not answer in time"
    } else if error.is_connect() {
        "Discord cannot be reached: look at the network and its proxy"
    } else {
        "the connection to Discord broke"
    })
}

/// What an answer says of its route's limit.
fn of_route(headers: &HeaderMap) -> Option<RateLimitHeaders> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if text(RateLimitHeaders::SCOPE) == Some("global") {
        return None;
    }
    let reset: f32 = text(RateLimitHeaders::RESET_AFTER)?.parse().ok()?;
    Some(RateLimitHeaders {
        bucket: headers.get(RateLimitHeaders::BUCKET)?.as_bytes().to_vec(),
        limit: text(RateLimitHeaders::LIMIT)?.parse().ok()?,
        remaining: text(RateLimitHeaders::REMAINING)?.parse().ok()?,
        reset_at: instant() + Duration::try_from_secs_f32(reset).ok()?,
    })
}
