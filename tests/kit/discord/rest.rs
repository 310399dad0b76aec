//! The REST API of the server.

use super::state::{Posted, Request, ServerState};
use super::{APPLICATION, Person, Shared, TOKEN};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let app = Router::new().fallback(answer).with_state(shared);
    axum::serve(listener, app).await.ok();
}

struct Reply {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self { status: 200, body, headers: Vec::new() }
    }

    fn refused(status: u16, code: u64) -> Self {
        Self { status, body: json!({ "code": code, "message": format!("error {code}") }), headers: Vec::new() }
    }

    fn later(seconds: f64, scope: &str) -> Self {
        let body =
            json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": scope == "global" });
        let headers = vec![
            ("retry-after", format!("{}", seconds.ceil())),
            ("x-ratelimit-scope", scope.to_owned()),
            ("x-ratelimit-bucket", "messages".to_owned()),
            ("x-ratelimit-limit", ServerState::rate().to_string()),
            ("x-ratelimit-remaining", "0".to_owned()),
            ("x-ratelimit-reset-after", format!("{seconds:.3}")),
        ];
        Self { status: 429, body, headers }
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if let Some(file) = shared.state().kept.get(uri.path()) {
        return Response::new(Body::from(file.clone()));
    }
    let path = uri.path().trim_start_matches("/api/v10").to_owned();
    let what = format!("{method} {path}");
    let (body, files) = read(&headers, &body);
    let text = {
        let mut state = shared.state();
        let text = match refusal_of_all(&state).or_else(|| fault(&mut state, &what)) {
            Some(text) => text,
            None if !is_authorized(&state, &path, &headers) => Reply::refused(401, 0),
            None => route(&mut state, &method, &path, uri.query().unwrap_or_default(), &body, files),
        };
        state.requests.push(Request { what, body, status: text.status });
        text
    };
    let mut response = Response::builder().status(text.status).header("content-type", "application/json");
    for (name, value) in text.headers {
        response = response.header(name, value);
    }
    let body = if text.status == 204 { Body::empty() } else { Body::from(text.body.to_string()) };
    response.body(body).expect("a response")
}

/// Returns the refusal of a global limit, which has no headers of a bucket.
fn refusal_of_all(state: &ServerState) -> Option<Reply> {
    let seconds = state.refuses_all?;
    let body = json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": false });
    Some(Reply { status: 429, body, headers: vec![("retry-after", seconds.to_string())] })
}

fn fault(state: &mut ServerState, what: &str) -> Option<Reply> {
    let fault = state.faults.iter_mut().find(|fault| fault.times > 0 && what.contains(&fault.to))?;
    fault.times -= 1;
    let (status, code) = (fault.status, fault.code);
    Some(match status {
        #[expect(clippy::cast_precision_loss, reason = "some seconds")]
        429 => Reply::later(code as f64, "user"),
        status => Reply::refused(status, code),
    })
}

/// Returns whether a request is authorized. One that belongs to an interaction needs only the interaction's token.
fn is_authorized(state: &ServerState, path: &str, headers: &HeaderMap) -> bool {
    let is_of_an_interaction = path.starts_with("/interactions/") || path.starts_with("/webhooks/");
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    is_of_an_interaction || (state.takes_token && sent == Some(&format!("Bot {TOKEN}")))
}

fn route(
    state: &mut ServerState,
    method: &Method,
    path: &str,
    query: &str,
    body: &Value,
    files: Vec<(String, String)>,
) -> Reply {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let id = |text: &str| text.parse::<u64>().unwrap_or_default();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["applications", "@me"] | ["oauth2", "applications", "@me"]) => Reply::ok(application()),
        ("GET", ["users", "@me"]) => Reply::ok(me()),
        ("GET", ["channels", channel]) => match state.channel_json(id(channel)) {
            Some(channel) => Reply::ok(channel),
            None => Reply::refused(404, 10_003),
        },
        ("GET", ["channels", channel, "messages"]) if state.has(id(channel)) => {
            let after = query.split('&').find_map(|pair| pair.strip_prefix("after=")).map_or(0, id);
            Reply::ok(Value::Array(state.after(id(channel), after)))
        }
        ("PUT", ["applications", _, "commands"] | ["applications", _, "guilds", _, "commands"]) => {
            register(state, body)
        }
        ("POST", ["channels", channel, "messages"]) => {
            paced(state, id(channel), |state| state.post(id(channel), body, files))
        }
        ("PATCH", ["channels", channel, "messages", message]) => {
            paced(state, id(channel), |state| state.edit(id(channel), id(message), body))
        }
        ("POST", ["channels", channel, "messages", message, "threads"]) => {
            let name = body["name"].as_str().unwrap_or_default();
            match state.begin_thread(id(channel), id(message), name) {
                Ok(thread) => Reply::ok(state.channel_json(thread).expect("a thread")),
                Err(code) => Reply::refused(400, code),
            }
        }
        ("PUT", ["channels", thread, "thread-members", user]) => match state.join(id(thread), id(user)) {
            Ok(()) => Reply { status: 204, body: Value::Null, headers: Vec::new() },
            Err(code) => Reply::refused(404, code),
        },
        ("POST", ["users", "@me", "channels"]) => {
            let channel = state.direct(body["recipient_id"].as_str().map(id).unwrap_or_default());
            Reply::ok(state.channel_json(channel).expect("a channel"))
        }
        ("GET", ["guilds", _, "threads", "active"]) => Reply::ok(json!({ "threads": state.active(), "members": [] })),
        ("GET", ["guilds", _, "members", user]) => match state.roles.get(&id(user)) {
            Some(roles) => Reply::ok(member(id(user), roles)),
            None => Reply::refused(404, 10_007),
        },
        ("POST", ["interactions", _, token, "callback"]) => match state.acknowledge(token, body) {
            Ok(()) => Reply { status: 204, body: Value::Null, headers: Vec::new() },
            Err(code) => Reply::refused(if code == 40_060 { 400 } else { 404 }, code),
        },
        ("PATCH", ["webhooks", _, token, "messages", "@original"]) => {
            message(state, |state| state.answer(token, body, files, true))
        }
        ("POST", ["webhooks", _, token]) => message(state, |state| state.answer(token, body, files, false)),
        _ => Reply::refused(404, 0),
    }
}

fn register(state: &mut ServerState, body: &Value) -> Reply {
    let commands = body.as_array().cloned().unwrap_or_default();
    let is_named = |command: &Value| {
        let name = command["name"].as_str().unwrap_or_default();
        let description = command["description"].as_str().unwrap_or_default();
        let is_name =
            (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || "-_".contains(c));
        is_name && (1..=100).contains(&description.chars().count())
    };
    if commands.len() > 100 || !commands.iter().all(is_named) {
        return Reply::refused(400, 50_035);
    }
    state.commands.clone_from(&commands);
    Reply::ok(Value::Array(Vec::new()))
}

fn paced(state: &mut ServerState, channel: u64, act: impl FnOnce(&mut ServerState) -> Result<Posted, u64>) -> Reply {
    match state.pace(channel) {
        Err(wait) => Reply::later(wait, "user"),
        Ok((remaining, reset)) => {
            let mut text = message(state, act);
            text.headers = vec![
                ("x-ratelimit-bucket", "messages".to_owned()),
                ("x-ratelimit-limit", ServerState::rate().to_string()),
                ("x-ratelimit-remaining", remaining.to_string()),
                ("x-ratelimit-reset-after", format!("{reset:.3}")),
                ("x-ratelimit-scope", "user".to_owned()),
            ];
            text
        }
    }
}

fn message(state: &mut ServerState, act: impl FnOnce(&mut ServerState) -> Result<Posted, u64>) -> Reply {
    match act(state) {
        Ok(message) => Reply::ok(state.message_json(&message, &Person::new(APPLICATION), None, true)),
        Err(code @ (10_003 | 10_008 | 10_015)) => Reply::refused(404, code),
        Err(code) => Reply::refused(400, code),
    }
}

fn member(user: u64, roles: &[u64]) -> Value {
    let roles: Vec<String> = roles.iter().map(u64::to_string).collect();
    let name = format!("person{user}");
    json!({
        "user": { "id": user.to_string(), "username": name, "discriminator": "0", "avatar": null, "bot": false },
        "roles": roles, "deaf": false, "mute": false, "joined_at": "2026-01-01T00:00:00.000000+00:00", "flags": 0,
        "nick": null, "avatar": null, "pending": false, "premium_since": null, "communication_disabled_until": null,
    })
}

fn application() -> Value {
    json!({
        "id": APPLICATION.to_string(), "name": "orch", "icon": null, "description": "", "bot_public": false,
        "bot_require_code_grant": false, "verify_key": "", "team": null, "rpc_origins": [], "flags": 0,
        "redirect_uris": [], "tags": [],
    })
}

fn me() -> Value {
    json!({ "id": APPLICATION.to_string(), "username": "orch", "discriminator": "0", "avatar": null, "bot": true })
}

/// Parses the JSON of a request, and the files of a multipart one.
fn read(headers: &HeaderMap, body: &[u8]) -> (Value, Vec<(String, String)>) {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(boundary) = kind.split("boundary=").nth(1) else {
        return (serde_json::from_slice(body).unwrap_or(Value::Null), Vec::new());
    };
    let text = String::from_utf8_lossy(body);
    let (mut json, mut files) = (Value::Null, Vec::new());
    for part in text.split(&format!("--{boundary}")) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else { continue };
        let content = content.trim_end_matches("\r\n");
        if head.contains("payload_json") {
            json = serde_json::from_str(content).unwrap_or(Value::Null);
        } else if let Some(name) = head.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            files.push((name.to_owned(), content.to_owned()));
        }
    }
    (json, files)
}
