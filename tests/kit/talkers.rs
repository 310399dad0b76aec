//! Measures a chat with many tasks that stream output at once, from a simulated API.

use super::telegram::{BotApi, Kind, Limits as Rules, TOKEN};
use super::wait::{RUN, wait_until};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use futures::stream;
use orch_api::client::{Client, Transport};
use orch_chat::TwoWay;
use orch_chat::conversation::channel_store::ChannelStore;
use orch_chat::telegram::{Limits, Setup, Telegram};
use orch_config::Secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The id of the chat group.
const GROUP: i64 = -1_001;
/// The id of the person who asks for the streams.
const ADA: i64 = 42;

/// The measurements.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// The number of requests that wrote a message.
    pub requests: usize,
    /// The number of requests that exceeded a limit.
    pub provoked: usize,
    /// The number of messages that showed their task's last state at the end.
    pub last_states: usize,
    /// The number of messages of the tasks.
    pub messages: usize,
    /// The largest number of waiting messages.
    pub most_waiting: usize,
}

fn task(id: u64, status: &str) -> Value {
    json!({
        "id": id, "title": format!("Task {id}"), "body": "", "labels": [], "status": status, "choices": [], "priority": 0,
        "depends_on": [], "children": [], "attempts": 1, "summary": format!("the last word of {id}"),
        "created_at": "2026-03-01T00:00:00Z", "updated_at": "2026-03-01T00:00:00Z",
    })
}

/// Renders an event of the stream; the last one is the end of the task.
fn event(id: u64, line: u64, lines: u64) -> Result<String, Infallible> {
    let event = if line < lines {
        json!({
            "type": "output", "task_id": id, "run_id": format!("{id}-1-00000000"), "offset": line, "end": line + 1,
            "timestamp": "2026-03-01T00:00:00Z", "content": format!("line {line} of task {id} <b>&\n"), "is_final": false,
        })
    } else {
        json!({"type": "settled", "task": task(id, "done")})
    };
    Ok(format!("data: {event}\n\n"))
}

/// Creates an API with tasks that each print `lines` lines, one per `pause`, and are done.
fn talkers(lines: u64, pause: Duration) -> Client {
    let show = |Path(id): Path<u64>| async move { task(id, "in_progress").to_string() };
    let talk = move |Path(id): Path<u64>| async move {
        let ticks = tokio::time::interval(pause);
        let events = stream::unfold((0, ticks), move |(line, mut ticks)| async move {
            if line > lines {
                return None;
            }
            ticks.tick().await;
            Some((event(id, line, lines), (line + 1, ticks)))
        });
        Body::from_stream(events)
    };
    let routes = Router::new().route("/v1/tasks/{id}", get(show)).route("/v1/tasks/{id}/stream", get(talk));
    Client::new(Transport::InProcess(routes))
}

/// Streams `tasks` tasks into one group for the time `lasts` of Telegram's clock; the test's clock runs `faster` times as fast.
pub async fn crowd(tasks: u64, lasts: Duration, faster: u32) -> Figures {
    let api = BotApi::with(Rules::TELEGRAM.faster(faster));
    api.chat(GROUP, Kind::Group);
    let (users, limits) = (BTreeSet::from([ADA]), Limits::TELEGRAM.faster(faster));
    let setup = Setup { token: Secret::new(TOKEN), chat: GROUP, users, api_url: api.url(), limits };
    let telegram = Telegram::new(setup, ChannelStore::in_memory()).expect("a sound setup");
    // Each prints a line twice a second.
    let pause = Duration::from_millis(500) / faster;
    let lines = lasts.as_millis() as u64 / 500;
    let cancel = CancellationToken::new();
    let (running, of_task) = (telegram.clone(), cancel.clone());
    let running = tokio::spawn(async move { running.run(talkers(lines, pause), of_task).await });
    for id in 1..=tasks {
        api.writes(ADA, GROUP, &format!("/stream {id}"));
    }
    let mut most_waiting = 0;
    let last = |id: u64| format!("■ done: the last word of {id}");
    wait_until("all last states", RUN * 3, || {
        most_waiting = most_waiting.max(telegram.waiting());
        let texts = api.texts(GROUP);
        texts.iter().filter(|text| text.contains("■ done")).count() as u64 >= tasks
    });
    let texts = api.texts(GROUP);
    let last_states = (1..=tasks).filter(|id| texts.iter().any(|text| text.ends_with(&last(*id)))).count();
    let requests = ["sendMessage", "editMessageText"].map(|method| api.calls(method)).iter().sum();
    let figures = Figures { requests, provoked: api.provoked(), last_states, messages: texts.len(), most_waiting };
    cancel.cancel();
    running.await.expect("it ends");
    figures
}
