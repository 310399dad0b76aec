//! The HTTP side of the model server: receives a request, chooses the answer, and sends it event by event.

use super::choose::{Chosen, Cut, Hold, Reply, Speech, choose};
use super::request::{Asked, Protocol};
use super::script::{Fail, Garbage};
use super::wire::{self, Envelope, refusal};
use super::{Seen, Shared};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Serves until `stopped` ends. Requests in the middle of an answer are dropped with the runtime.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a bound listener in non-blocking mode");
    let app = Router::new()
        .route("/", get(|| async { "model server" }))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/responses", post(responses))
        .route("/v1/chat/completions", post(chat))
        .fallback(stray)
        .layer(DefaultBodyLimit::disable())
        .with_state(shared);
    tokio::select! {
        served = axum::serve(listener, app).into_future() => served.expect("axum serves until it is dropped"),
        _ = stopped => {}
    }
}

async fn messages(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&shared, Protocol::Messages, &headers, &body).await
}

async fn responses(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&shared, Protocol::Responses, &headers, &body).await
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&shared, Protocol::Chat, &headers, &body).await
}

async fn count_tokens(body: Bytes) -> Response {
    axum::Json(json!({"input_tokens": body.len() / 4})).into_response()
}

async fn stray(State(shared): State<Arc<Shared>>, method: Method, uri: Uri) -> Response {
    shared.state().strays.push(format!("{method} {uri}"));
    shared.changed.notify_all();
    (StatusCode::NOT_FOUND, axum::Json(json!({"error": {"message": format!("no {uri} here")}}))).into_response()
}

async fn answer(shared: &Shared, protocol: Protocol, headers: &HeaderMap, body: &[u8]) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return (StatusCode::BAD_REQUEST, "the body is not JSON").into_response();
    };
    let asked = Arc::new(Asked::read(protocol, body));
    let (number, chosen) = note(shared, &asked, headers);
    for hold in &chosen.holds {
        wait_at(shared, hold).await;
    }
    match chosen.reply {
        Reply::Speak(speech) => spoken(&asked, &speech, number),
        Reply::Fail(fail) => refused(&asked, &fail),
        Reply::Silent => std::future::pending().await,
        Reply::Garbage(Garbage::Html) => {
            let page = "<!doctype html><html><body><h1>Sign in to the network</h1></body></html>";
            ([(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        Reply::Garbage(Garbage::Json) => axum::Json(json!({"hello": "world"})).into_response(),
    }
}

/// Chooses the answer and records the request.
fn note(shared: &Shared, asked: &Arc<Asked>, headers: &HeaderMap) -> (u64, Chosen) {
    let mut state = shared.state();
    let state = &mut *state;
    let chosen = choose(&state.script, asked, &mut state.counters);
    let number = state.seen.len() as u64 + 1;
    let authorized = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
    let (rule, step) = (chosen.rule.clone(), chosen.step);
    state.seen.push(Seen { number, asked: Arc::clone(asked), rule, step, authorized });
    shared.changed.notify_all();
    (number, chosen)
}

async fn wait_at(shared: &Shared, hold: &Hold) {
    match hold {
        Hold::Delay(time) => tokio::time::sleep(*time).await,
        Hold::Gate(name) => {
            let mut open = shared.open.subscribe();
            // It fails only when the sender is gone, and with it the server.
            let _ = open.wait_for(|open| open.contains(name)).await;
        }
    }
}

fn spoken(asked: &Asked, speech: &Speech, number: u64) -> Response {
    let envelope = Envelope::new(number, asked, speech);
    let protocol = asked.protocol;
    let mut response = match speech.cut {
        Some(Cut::Break { kind, .. }) if !asked.stream => return refused(asked, &Fail::new(kind)),
        cut if asked.stream => {
            let body = stream_body(wire::events(protocol, speech, &envelope), cut);
            ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
        }
        None => axum::Json(wire::document(protocol, speech, &envelope)).into_response(),
        // One document cannot be cut after some events: its first half is sent.
        cut => {
            let mut half = wire::document(protocol, speech, &envelope).to_string();
            half.truncate(half.floor_char_boundary(half.len() / 2));
            ([(header::CONTENT_TYPE, "application/json")], stream_body(vec![half], cut)).into_response()
        }
    };
    extend_headers(response.headers_mut(), &speech.headers);
    response
}

/// Streams the events, and then breaks off as `cut` says. Yields between events, so that each is sent by itself.
fn stream_body(events: Vec<String>, cut: Option<Cut>) -> Body {
    let events = stream::iter(events).then(|event| async move {
        tokio::task::yield_now().await;
        Ok(Bytes::from(event))
    });
    match cut {
        None | Some(Cut::Break { .. }) => Body::from_stream(events),
        Some(Cut::Hang { .. }) => Body::from_stream(events.chain(stream::pending::<io::Result<Bytes>>())),
        Some(Cut::Drop { .. }) => {
            let broken = stream::once(async { Err(io::Error::from(io::ErrorKind::ConnectionReset)) });
            Body::from_stream(events.chain(broken))
        }
    }
}

fn refused(asked: &Asked, fail: &Fail) -> Response {
    let refusal = refusal::refusal(asked.protocol, fail, &asked.model, unix_now());
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(refusal.body)).into_response();
    extend_headers(response.headers_mut(), &refusal.headers.into_iter().collect());
    response
}

fn extend_headers(headers: &mut HeaderMap, more: &BTreeMap<String, String>) {
    for (name, value) in more {
        let name = name.parse::<HeaderName>().expect("a script names headers rightly");
        headers.insert(name, value.parse::<HeaderValue>().expect("a script's header values are printable"));
    }
}

#[expect(clippy::disallowed_methods, reason = "the server stands in for a provider, whose clock is not orch's")]
fn unix_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
