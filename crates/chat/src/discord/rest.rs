//! Sends all requests to Discord's REST API: each passes the gate and waits for the limit of its route. Rate-limited
//! requests are reported with the pause that Discord names, and only short pauses are waited for here.

use super::gate::Gate;
use orch_config::secret::Secret;
use orch_sys::clock::instant;
use orch_sys::outgoing;
use reqwest::Url;
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

/// Time limit of a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Time limit of connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest pause that is waited for here; longer ones are reported to the caller.
const SHORT: Duration = Duration::from_secs(3);
/// Maximum number of attempts for a request with such short pauses.
const TRIES: u32 = 3;
/// Pause after a refusal that names none.
const PAUSE: Duration = Duration::from_secs(5);
/// Requests per second that Discord allows a bot.
const A_SECOND: u16 = 50;
/// Largest response that is read, in bytes.
const LARGEST: usize = 8 << 20;

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Discord refused the request.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Discord's own code; 0: none.
        code: u64,
    },
    /// The request may be repeated after this time.
    Wait(Duration),
    /// The token was refused.
    Token,
    /// There was no answer, for this reason.
    Silent(&'static str),
    /// The response is invalid.
    Unread,
    /// The request cannot be built.
    Unmade,
}

/// The client of the REST API.
#[derive(Debug)]
pub(super) struct RestClient {
    client: Option<reqwest::Client>,
    base: String,
    token: Secret,
    routes: RateLimiter,
    gate: Mutex<Gate>,
    started: Instant,
    /// Whether the token was refused; it is not sent again then.
    token_refused: AtomicBool,
}

impl RestClient {
    /// Creates a client for `base`, a URL without a path.
    pub(super) fn new(token: &Secret, base: String) -> Self {
        let is_encrypted = base.starts_with("https://");
        let is_here = Url::parse(&base).is_ok_and(|url| url.host_str().is_some_and(outgoing::is_here));
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
            started: Instant::now(),
            token_refused: AtomicBool::new(false),
        }
    }

    /// Sends a request and parses the response.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, request: impl TryIntoRequest) -> Result<T, Fault> {
        let answer = self.send(request).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            tracing::debug!(%error, "an answer of Discord's is not understood");
            Fault::Unread
        })
    }

    /// Sends a request and returns the body of the response.
    pub(super) async fn send(&self, request: impl TryIntoRequest) -> Result<Vec<u8>, Fault> {
        let request = request.try_into_request().map_err(|error| {
            tracing::debug!(%error, "a request to Discord cannot be made");
            Fault::Unmade
        })?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.send_once(&request).await {
                Err(Fault::Wait(pause)) if pause <= SHORT && tries < TRIES => tokio::time::sleep(pause).await,
                done => return done,
            }
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_once(&self, request: &Request) -> Result<Vec<u8>, Fault> {
        let with_token = request.use_authorization_token();
        if with_token && self.token_refused.load(Ordering::Relaxed) {
            return Err(Fault::Token);
        }
        let path = request.path().split('?').next().unwrap_or_default().to_owned();
        let permit = self.routes.acquire(Endpoint { method: request.method(), path }).await;
        // Checked last, because refusals during the wait for the route also block this request.
        let wait = self.gate().wait(self.started.elapsed());
        if !wait.is_zero() {
            return Err(Fault::Wait(wait));
        }
        let sent = self.build(request, with_token)?.send().await;
        let answer = sent.map_err(|error| silence(&error))?;
        permit.complete(of_route(answer.headers()));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = outgoing::body(answer, LARGEST).await.map_err(|error| silence(&error))?.ok_or(Fault::Unread)?;
        match status {
            200..=299 => Ok(body),
            429 => Err(Fault::Wait(self.rate_limited(&headers, &body))),
            401 | 403 => {
                self.gate().refused(self.started.elapsed());
                if status == 401 && with_token {
                    self.token_refused.store(true, Ordering::Relaxed);
                    return Err(Fault::Token);
                }
                Err(refused(status, &body))
            }
            _ => Err(refused(status, &body)),
        }
    }

    fn build(&self, request: &Request, with_token: bool) -> Result<reqwest::RequestBuilder, Fault> {
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

    /// Returns the pause of a rate-limit response. A limit that is not of a single route blocks every request.
    fn rate_limited(&self, headers: &HeaderMap, body: &[u8]) -> Duration {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let by_header = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
        let by_body = serde_json::from_slice(body).ok().and_then(|body: Value| body.get("retry_after")?.as_f64());
        let pause = by_body.or(by_header).and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
        let pause = pause.filter(|pause| !pause.is_zero()).unwrap_or(PAUSE);
        let is_of_route =
            text(RateLimitHeaders::BUCKET).is_some() && text(RateLimitHeaders::SCOPE).is_some_and(|of| of != "global");
        let now = self.started.elapsed();
        let mut gate = self.gate();
        gate.refused(now);
        if !is_of_route {
            tracing::warn!(seconds = pause.as_secs_f64(), "Discord asks for a pause of all requests");
            gate.close(now, pause);
        }
        pause
    }
}

fn refused(status: u16, body: &[u8]) -> Fault {
    match serde_json::from_slice::<Value>(body) {
        Ok(body) => Fault::Refused { status, code: body.get("code").and_then(Value::as_u64).unwrap_or(0) },
        // A body that is not JSON comes from a proxy.
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

/// Returns the limit of the route from the headers of a response.
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
