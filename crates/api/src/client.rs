//! A client of the API: over the Unix socket of a daemon, or straight into the engine of this process. The same
//! requests either way.

use super::endpoint::{Events, Request, ToRequest, Wait};
use super::error::{ErrorBody, ErrorCode, ErrorView};
use super::problem::Problem;
use super::rulings::OnBehalf;
use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tower::ServiceExt;

/// How long a daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The header with the key of a request that may come twice.
pub const KEY_HEADER: &str = "idempotency-key";

/// Where requests go.
#[derive(Clone)]
pub enum Transport {
    /// To the daemon behind this socket.
    Socket(PathBuf),
    /// To the engine of this process.
    InProcess(axum::Router),
}

/// A client. Cheap to clone; each request has a connection of its own.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    on_behalf: Option<OnBehalf>,
    key: Option<String>,
}

/// Why there is no answer, or which error the answer is.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The engine answered with an error.
    #[error("{}", .0.message)]
    Answered(ErrorView),
    /// The daemon does not answer.
    #[error("no daemon answers at {socket}: {source}")]
    Unreachable {
        /// The path of the socket.
        socket: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to the daemon broke: {0}")]
    Broken(String),
    /// A process listens and does not answer.
    #[error("the daemon does not answer (waited {} s)", .0.as_secs())]
    Silent(Duration),
    /// The engine of this process does not come to an answer. No daemon is involved.
    #[error("this command did not get done within {} s: its files are too large, or the disk is too slow", .0.as_secs())]
    Slow(Duration),
    /// The answer is not what was expected.
    #[error("the daemon's answer is not understood ({0}); is it of another version?")]
    Unexpected(String),
}

impl ClientError {
    /// The engine that was asked is gone or on its way out: another one is to be asked. Not whether it heard of it.
    pub fn is_of_an_engine_that_left(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken(_) => true,
            // It was asked in its last moment.
            Self::Answered(view) => view.code == ErrorCode::ShuttingDown,
            Self::Silent(_) | Self::Slow(_) | Self::Unexpected(_) => false,
        }
    }
}

impl Client {
    /// Creates a client over this transport.
    pub fn new(transport: Transport) -> Self {
        Self { transport, on_behalf: None, key: None }
    }

    /// Returns a client whose requests are recorded as those of another person; only the engine of this process accepts
    /// that.
    #[must_use]
    pub fn on_behalf_of(&self, who: impl Into<String>) -> Self {
        Self { on_behalf: Some(OnBehalf(who.into())), ..self.clone() }
    }

    /// Returns a client whose change is made once, however often it is requested with this key.
    #[must_use]
    pub fn once(&self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// Sends a request and reads its answer.
    pub async fn call<R>(&self, request: &R) -> Result<R::Answer, ClientError>
    where
        R: ToRequest<Answer: DeserializeOwned>,
    {
        parse(&self.raw(request).await?)
    }

    /// Sends a request and returns the answer without parsing it.
    pub async fn raw<R: ToRequest>(&self, request: &R) -> Result<Bytes, ClientError> {
        let Request { method, target, body, wait, .. } = request.to_request()?;
        let patience = match wait {
            Wait::Usual => PATIENCE,
            Wait::Unlimited => Duration::MAX,
        };
        let answered = async {
            let response = self.send(method, &target, body.into()).await?;
            collect(accepted(response).await?).await
        };
        let silent = || match &self.transport {
            Transport::Socket(_) => ClientError::Silent(patience),
            Transport::InProcess(_) => ClientError::Slow(patience),
        };
        tokio::time::timeout(patience, answered).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Opens a streamed answer.
    pub async fn stream<R: ToRequest>(&self, request: &R) -> Result<Lines<R::Answer>, ClientError> {
        let Request { method, target, body, .. } = request.to_request()?;
        let response = self.send(method, &target, body.into()).await?;
        let body = accepted(response).await?;
        Ok(Lines { body, rest: Vec::new(), answer: PhantomData })
    }

    async fn send(&self, method: Method, target: &str, body: Body) -> Result<Response<Body>, ClientError> {
        let mut request = hyper::Request::builder()
            .method(&method)
            .uri(target)
            .header("host", "orch")
            .header("content-type", "application/json");
        if let Some(key) = self.key.as_ref().filter(|_| method != Method::GET) {
            request = request.header(KEY_HEADER, key);
        }
        let mut request = request.body(body).map_err(|e| ClientError::Unexpected(e.to_string()))?;
        match &self.transport {
            Transport::InProcess(router) => {
                if let Some(on_behalf) = &self.on_behalf {
                    request.extensions_mut().insert(on_behalf.clone());
                }
                router.clone().oneshot(request).await.map_err(|never| match never {})
            }
            Transport::Socket(socket) => {
                let unreachable = |source| ClientError::Unreachable { socket: socket.clone(), source };
                let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
                let broken = |e: hyper::Error| ClientError::Broken(e.to_string());
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
                // Ends with the connection; an error shows in the answer.
                tokio::spawn(connection);
                let response = sender.send_request(request).await.map_err(broken)?;
                Ok(response.map(Body::new))
            }
        }
    }
}

async fn collect(body: Body) -> Result<Bytes, ClientError> {
    let collected = body.collect().await.map_err(|e| ClientError::Broken(e.to_string()))?;
    Ok(collected.to_bytes())
}

async fn accepted(response: Response<Body>) -> Result<Body, ClientError> {
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let status = response.status();
    let body = collect(response.into_body()).await?;
    Err(ClientError::Answered(refusal(&body, status.is_client_error())))
}

/// Reads an error response: a problem, the error of an earlier version, or the text of another program.
fn refusal(body: &[u8], is_ours: bool) -> ErrorView {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return problem.into();
    }
    if let Ok(body) = serde_json::from_slice::<ErrorBody>(body) {
        return body.error;
    }
    let message = String::from_utf8_lossy(body).trim().to_owned();
    ErrorView { code: if is_ours { ErrorCode::Usage } else { ErrorCode::Failed }, message, hint: None }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|e| ClientError::Unexpected(e.to_string()))
}

/// A streamed answer, piece by piece or as server-sent events.
pub struct Lines<A> {
    body: Body,
    rest: Vec<u8>,
    answer: PhantomData<fn() -> A>,
}

impl<A> Lines<A> {
    /// The next piece of the body; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ClientError::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn data<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|w| w == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&block);
                let data: Vec<&str> =
                    text.lines().filter_map(|l| l.strip_prefix("data:")).map(str::trim_start).collect();
                if !data.is_empty() {
                    return parse(data.join("\n").as_bytes()).map(Some);
                }
                continue;
            }
            match self.piece().await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

impl<T: DeserializeOwned> Lines<Events<T>> {
    /// The data of the next server-sent event; `None` at the end.
    pub async fn event(&mut self) -> Result<Option<T>, ClientError> {
        self.data().await
    }

    /// The same as the document that came, with fields that this version does not know.
    pub async fn document(&mut self) -> Result<Option<Value>, ClientError> {
        self.data().await
    }
}
