//! The gateway of the server: hello, identify or resume, heartbeats, events in their order.

use super::{APPLICATION, Session, Shared, TOKEN};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_websockets::{CloseCode, Message, ServerBuilder, WebSocketStream};

/// The intent to read the content of messages.
const READING: u64 = 1 << 15;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        open.spawn(async move {
            if let Ok((_, socket)) = ServerBuilder::new().accept(stream).await {
                shared.state().connections += 1;
                converse(socket, &shared).await;
                shared.state().connections -= 1;
            }
        });
    }
}

struct Connection {
    session: Option<String>,
    /// The number of events that were sent.
    sent: usize,
    epoch: usize,
    /// See `ServerState::deaf`.
    born: usize,
}

async fn converse(mut socket: WebSocketStream<TcpStream>, shared: &Shared) {
    let hello = json!({ "op": 10, "d": { "heartbeat_interval": shared.state().heartbeat } });
    if send(&mut socket, &hello).await.is_err() {
        return;
    }
    let mut connection = {
        let state = shared.state();
        Connection { session: None, sent: 0, epoch: state.epoch, born: state.deaf }
    };
    loop {
        let news = shared.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let is_deaf = shared.state().deaf != connection.born;
        match ordered(&mut connection, shared) {
            Some(Ordered::Close(code)) => {
                close(&mut socket, code).await;
                return;
            }
            Some(Ordered::Tell(order)) if send(&mut socket, &order).await.is_err() => return,
            Some(Ordered::Tell(_)) | None => {}
        }
        if !is_deaf && send_event(&mut socket, &mut connection, shared).await.is_err() {
            return;
        }
        tokio::select! {
            () = news => {}
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                let Some(text) = message.as_text() else { return };
                let said: Value = serde_json::from_str(text).unwrap_or(Value::Null);
                if is_deaf {
                    continue;
                }
                match hear(&said, &mut connection, shared) {
                    Ok(answers) => {
                        for answer in answers {
                            if send(&mut socket, &answer).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(code) => {
                        close(&mut socket, code).await;
                        return;
                    }
                }
            }
        }
    }
}

/// A test's request to the open connections.
enum Ordered {
    Close(u16),
    Tell(Value),
}

fn ordered(connection: &mut Connection, shared: &Shared) -> Option<Ordered> {
    let state = shared.state();
    if state.epoch == connection.epoch {
        return None;
    }
    connection.epoch = state.epoch;
    match &state.order {
        Some(order) => Some(Ordered::Tell(order.clone())),
        None => state.closing.map(Ordered::Close),
    }
}

/// Handles a message of the client. The error is the code with which the connection is closed.
fn hear(said: &Value, connection: &mut Connection, shared: &Shared) -> Result<Vec<Value>, u16> {
    let mut state = shared.state();
    let data = &said["d"];
    let is_token = state.takes_token && data["token"] == format!("Bot {TOKEN}");
    match said["op"].as_u64() {
        Some(1) => Ok(vec![json!({ "op": 11 })]),
        Some(2 | 6) if !is_token => Err(4004),
        Some(2) => {
            state.attempts += 1;
            if let Some(code) = state.refuses {
                return Err(code);
            }
            let intents = data["intents"].as_u64().unwrap_or_default();
            if intents & READING != 0 && !state.reading {
                return Err(4014);
            }
            state.identified += 1;
            let session = format!("session-{}", state.identified);
            state.sessions.insert(session.clone(), Session { intents, ..Session::default() });
            let ready = json!({
                "op": 0, "t": "READY", "s": 1, "d": {
                    "v": 10, "guilds": [], "session_id": session, "resume_gateway_url": state.gateway_url, "shard": [0, 1],
                    "user": { "id": APPLICATION.to_string(), "username": "orch", "discriminator": "0", "avatar": null,
                              "bot": true, "email": null, "flags": 0, "mfa_enabled": false, "verified": true },
                    "application": { "id": APPLICATION.to_string(), "flags": 0 },
                },
            });
            connection.session = Some(session);
            connection.sent = 0;
            Ok(vec![ready])
        }
        Some(6) => {
            let name = data["session_id"].as_str().unwrap_or_default().to_owned();
            if state.spoiled.contains(&name) {
                return Err(4007);
            }
            if !state.sessions.contains_key(&name) {
                return Ok(vec![json!({ "op": 9, "d": false })]);
            }
            state.resumed += 1;
            // The first event has the number 2: READY had 1.
            connection.sent = data["seq"].as_u64().map_or(0, |seq| usize::try_from(seq.saturating_sub(1)).unwrap_or(0));
            connection.session = Some(name);
            let seq = connection.sent + 1;
            Ok(vec![json!({ "op": 0, "t": "RESUMED", "s": seq, "d": {} })])
        }
        _ => Ok(Vec::new()),
    }
}

async fn send_event(
    socket: &mut WebSocketStream<TcpStream>,
    connection: &mut Connection,
    shared: &Shared,
) -> Result<(), tokio_websockets::Error> {
    loop {
        let next = {
            let state = shared.state();
            let session = connection.session.as_ref().and_then(|name| state.sessions.get(name));
            session.and_then(|session| session.events.get(connection.sent)).cloned()
        };
        let Some(mut event) = next else { return Ok(()) };
        event["s"] = json!(connection.sent + 2);
        send(socket, &event).await?;
        connection.sent += 1;
    }
}

async fn send(socket: &mut WebSocketStream<TcpStream>, value: &Value) -> Result<(), tokio_websockets::Error> {
    socket.send(Message::text(value.to_string())).await
}

async fn close(socket: &mut WebSocketStream<TcpStream>, code: u16) {
    let code = CloseCode::try_from(code).unwrap_or(CloseCode::NORMAL_CLOSURE);
    socket.send(Message::close(Some(code), "")).await.ok();
    socket.close().await.ok();
}
