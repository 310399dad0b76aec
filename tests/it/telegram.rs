//! Tests Telegram with a Bot API that behaves like the real one: permissions, rendering, rate limits, and failures of
//! Telegram, the chat or orch. `telegram/engine.rs` tests it with an engine.

mod daemon;
mod engine;
mod live;

use crate::kit::talkers::crowd;
use crate::kit::telegram::{BotApi, Kind, Limits as Rules, TOKEN};
use crate::kit::wait::{RUN, SOON, wait_until};
use axum::Router;
use axum::http::StatusCode;
use orch_api::client::{Client, Transport};
use orch_chat::conversation::channel_store::{ANNOUNCED, ChannelStore};
use orch_chat::conversation::parse::COMMANDS;
use orch_chat::telegram::{Limits, Setup, Telegram};
use orch_chat::{Channel, TwoWay};
use orch_config::Secret;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{Block, Button, ChatMessage, Press};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The group that orch speaks in.
const GROUP: i64 = -1_001;
/// Who is on the list.
const ADA: i64 = 42;
/// Who is, too.
const BOB: i64 = 43;
/// Time runs so much faster than Telegram's.
const FASTER: u32 = 50;

/// A channel that runs.
struct Fixture {
    api: BotApi,
    telegram: Telegram,
    cancel: CancellationToken,
    running: JoinHandle<()>,
}

fn setup(api: &BotApi, users: &[i64], limits: Limits) -> Setup {
    let users: BTreeSet<i64> = users.iter().copied().collect();
    Setup { token: Secret::new(TOKEN), chat: GROUP, users, api_url: api.url(), limits }
}

impl Fixture {
    fn open(api: BotApi, store: ChannelStore, client: Client, users: &[i64]) -> Self {
        let limits = Limits::TELEGRAM.faster(FASTER);
        let telegram = Telegram::new(setup(&api, users, limits), store).expect("a sound setup");
        let cancel = CancellationToken::new();
        let (running, of_task) = (telegram.clone(), cancel.clone());
        let running = tokio::spawn(async move { running.run(client, of_task).await });
        Self { api, telegram, cancel, running }
    }

    async fn close(self) -> BotApi {
        self.cancel.cancel();
        self.running.await.expect("it ends");
        self.api
    }

    fn until_said(&self, words: &str) {
        self.until_said_in(GROUP, words);
    }

    fn until_said_in(&self, chat: i64, words: &str) {
        let is_said = || self.api.texts(chat).iter().any(|text| text.contains(words));
        let said = crate::kit::wait::poll(RUN, || is_said().then_some(()));
        assert!(said.is_some(), "waited in vain for {words:?} in {:#?}", self.api.texts(chat));
    }

    fn until_heard(&self) {
        wait_until("everything to be heard", RUN, || self.api.is_heard());
    }
}

fn quick() -> BotApi {
    let api = BotApi::with(Rules::TELEGRAM.faster(FASTER));
    api.chat(GROUP, Kind::Group);
    api.chat(ADA, Kind::Private);
    api
}

/// An engine that counts what it is asked, and has no tasks.
fn counting() -> (Client, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            (StatusCode::NOT_FOUND, r#"{"error":{"code":"not_found","message":"there is no task 7","hint":null}}"#)
        }
    };
    (Client::new(Transport::InProcess(Router::new().fallback(answer))), asked)
}

fn saying(text: &str) -> ChatMessage {
    ChatMessage { blocks: vec![Block::plain(text)], ..ChatMessage::default() }
}

/// What the stranger `n` does: something else each time.
fn strange(api: &BotApi, n: i64) {
    let from = json!({"id": 10_000 + n, "first_name": "Ada", "username": "ada"});
    let in_group = json!({"id": GROUP, "type": "supergroup"});
    let message = json!({"message_id": 90_000 + n, "from": from, "chat": in_group, "text": "/cancel 7"});
    let with = |key: &str, value: Value| {
        let mut message = message.clone();
        message[key] = value;
        message
    };
    let hidden = json!({"id": -(20_000 + n), "type": "supergroup", "title": "shop"});
    let own = json!({"id": 10_000 + n, "type": "private"});
    api.happens(match n % 8 {
        0 => json!({"message": message}),
        1 => json!({"message": with("forward_origin", json!({"type": "user", "sender_user": {"id": ADA}}))}),
        2 => json!({"edited_message": message}),
        3 => json!({"callback_query": {"id": "q", "from": from, "data": "a".repeat(32), "message": message}}),
        4 => json!({"message": with("sender_chat", hidden)}),
        5 => json!({"channel_post": with("chat", json!({"id": -(30_000 + n), "type": "channel", "title": "shop"}))}),
        6 => json!({"message": with("chat", own)}),
        _ => json!({"my_chat_member": {"chat": {"id": -(40_000 + n), "type": "group"}, "from": from, "new_chat_member": {"status": "member"}}}),
    });
}

/// Row S10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_strangers_do_nothing_are_answered_nothing_and_the_owner_hears_of_each_once() {
    let api = quick();
    (0..1_000).for_each(|n| strange(&api, n));
    let (client, asked) = counting();
    let store = ChannelStore::in_memory();
    let fixture = Fixture::open(api, store.clone(), client, &[ADA]);
    fixture.until_heard();
    // Again on the same day.
    (0..1_000).for_each(|n| strange(&fixture.api, n));
    fixture.until_heard();
    fixture.api.writes(ADA, GROUP, "/help");
    fixture.until_said("/status");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "executed");
    let messages: Vec<String> =
        store.with_prefix(ANNOUNCED).await.expect("memory").into_iter().map(|(_, text)| text).collect();
    let ids: BTreeSet<&str> =
        messages.iter().filter_map(|line| line.split(' ').next()).filter(|id| id.parse::<i64>().is_ok()).collect();
    assert_eq!((messages.len(), ids.len()), (1_000, 1_000), "of each once");
    assert_eq!(fixture.api.texts(GROUP).len(), 1, "they read nothing of it");
    assert_eq!(fixture.api.calls("answerCallbackQuery"), 0, "nobody is answered");
    let elsewhere = fixture.api.takes("sendMessage").iter().filter(|takes| takes["chat_id"] != json!(GROUP)).count();
    assert_eq!((elsewhere, fixture.api.provoked()), (0, 0));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_list_things_are_said_and_nothing_is_heard() {
    let (client, asked) = counting();
    let fixture = Fixture::open(quick(), ChannelStore::in_memory(), client, &[]);
    fixture.api.writes(ADA, GROUP, "/status");
    let button = Button { label: "Retry".to_owned(), press: Press::Retry { task: TaskId(7), since: None } };
    let notice = ChatMessage { buttons: vec![button], ..saying("a notice") };
    fixture.telegram.send(&notice).await.expect("said");
    fixture.until_said("a notice");
    assert!(fixture.api.button(GROUP, "Retry").is_none(), "nobody may press it, and nobody would answer");
    assert_eq!((fixture.api.calls("getUpdates"), asked.load(Ordering::SeqCst)), (0, 0));
    fixture.close().await;
}

/// Row R22.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_update_acts_once_though_telegram_repeats_and_shuffles_and_each_saying_is_shown_once() {
    let api = quick();
    api.repeats_and_shuffles();
    let (client, asked) = counting();
    let store = ChannelStore::in_memory();
    let mut fixture = Fixture::open(api, store.clone(), client.clone(), &[ADA]);
    for n in 0..60 {
        fixture.api.writes(ADA, ADA, &format!("/cancel {}", n + 1));
        if n % 20 == 10 {
            // orch goes and comes back.
            let api = fixture.close().await;
            fixture = Fixture::open(api, store.clone(), client.clone(), &[ADA]);
        }
    }
    fixture.until_heard();
    assert_eq!(asked.load(Ordering::SeqCst), 60, "each once");
    let telegram = fixture.telegram.clone();
    let said = (0..30).map(|n| {
        let telegram = telegram.clone();
        async move { telegram.send(&saying(&format!("event {n}."))).await }
    });
    let said = futures::future::join_all(said).await;
    assert!(said.iter().all(Result::is_ok), "{said:?}");
    let texts = fixture.api.texts(GROUP);
    for n in 0..30 {
        assert_eq!(texts.iter().filter(|text| text.contains(&format!("event {n}."))).count(), 1);
    }
    assert_eq!(fixture.api.provoked(), 0, "no 429 of our making");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_anybody_can_read_is_refused_and_not_kept() {
    let (client, _) = counting();
    let api = quick();
    api.all_answer(Some((502, "Bad Gateway")));
    let fixture = Fixture::open(api, ChannelStore::in_memory(), client, &[ADA]);
    let telegram = fixture.telegram.clone();
    let waiting = (0..2_000).map(|n| {
        let telegram = telegram.clone();
        tokio::spawn(async move { telegram.send(&saying(&n.to_string())).await })
    });
    let waiting: Vec<_> = waiting.collect();
    let refused = || waiting.iter().filter(|one| one.is_finished()).count();
    wait_until("most to be refused", RUN, || refused() >= 1_400);
    assert!(fixture.telegram.waiting() <= 500, "{}", fixture.telegram.waiting());
    wait_until("the trouble to be reported", SOON, || {
        fixture.telegram.trouble().is_some_and(|text| text.contains("502"))
    });
    fixture.api.all_answer(None);
    wait_until("it to be over", RUN, || fixture.telegram.trouble().is_none());
    waiting.iter().for_each(JoinHandle::abort);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_is_gone_and_a_token_that_is_revoked_are_reported_and_not_asked_again_and_again() {
    for (method, status, description, text) in [
        ("sendMessage", 403, "Forbidden: bot was kicked from the supergroup chat", "add it to the chat again"),
        ("sendMessage", 400, "Bad Request: chat not found", "channels.telegram.chat_id"),
        ("sendMessage", 400, "Bad Request: not enough rights to send text messages to the chat", "too few rights"),
        ("getUpdates", 401, "Unauthorized", "revoked"),
        ("getUpdates", 409, "Conflict: terminated by other getUpdates request", "another program"),
    ] {
        let (client, _) = counting();
        let fixture = Fixture::open(quick(), ChannelStore::in_memory(), client, &[ADA]);
        wait_until("it to listen", RUN, || fixture.api.calls("getUpdates") > 0);
        fixture.api.next_answers(method, status, description, Value::Null);
        if method == "sendMessage" {
            let refused = fixture.telegram.send(&saying("a notice")).await.expect_err("refused");
            assert!(refused.to_string().contains(text), "{refused}");
        } else {
            // The question that is held open is answered so.
            fixture.api.writes(ADA, GROUP, "lunch?");
            wait_until("a second question", RUN, || fixture.telegram.trouble().is_some());
        }
        let trouble = fixture.telegram.trouble().expect("told");
        assert!(trouble.contains(text) && !trouble.contains("AAF"), "{trouble}");
        let before = fixture.api.calls(method);
        assert!(before <= 3, "{before} calls of {method}");
        fixture.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_changed_or_is_gone_is_no_failure() {
    let (client, _) = counting();
    let fixture = Fixture::open(quick(), ChannelStore::in_memory(), client, &[ADA]);
    let name = fixture.telegram.send(&saying("one")).await.expect("said").expect("a name");
    fixture.telegram.edit(&name, &saying("one")).await.expect("it is so already");
    fixture.telegram.edit(&name, &saying("two")).await.expect("changed");
    assert_eq!(fixture.api.texts(GROUP), ["two"]);
    fixture.api.deletes(GROUP, name.parse().expect("a number"));
    let refused = fixture.telegram.edit(&name, &saying("three")).await.expect_err("gone");
    assert_eq!(refused.to_string(), "the message is gone");
    assert_eq!(fixture.telegram.trouble(), None);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forum_has_a_topic_for_each_task_and_another_where_that_was_deleted() {
    let api = quick();
    api.chat(GROUP, Kind::Forum);
    let (client, _) = counting();
    let fixture = Fixture::open(api, ChannelStore::in_memory(), client, &[ADA]);
    wait_until("it to listen", RUN, || fixture.api.calls("getUpdates") > 0);
    let about = |task: u64, text: &str| ChatMessage { task: Some(TaskId(task)), ..saying(text) };
    for (task, text) in [(7, "#7 begins"), (8, "#8 begins"), (7, "#7 ends")] {
        fixture.telegram.send(&about(task, text)).await.expect("said");
    }
    let topics: Vec<_> = fixture.api.messages(GROUP).iter().map(|seen| seen.topic).collect();
    assert_eq!(topics, [Some(1_001), Some(1_002), Some(1_001)]);
    fixture.api.next_answers("sendMessage", 400, "Bad Request: message thread not found", Value::Null);
    fixture.telegram.send(&about(7, "#7 again")).await.expect("said beside it");
    fixture.telegram.send(&about(7, "#7 once more")).await.expect("said in a new one");
    let topics: Vec<_> = fixture.api.messages(GROUP).iter().skip(3).map(|seen| seen.topic).collect();
    assert_eq!(topics, [None, Some(1_003)]);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_are_registered_and_a_hundred_thousand_characters_go_as_a_file() {
    let (client, _) = counting();
    let fixture = Fixture::open(quick(), ChannelStore::in_memory(), client, &[ADA]);
    wait_until("it to listen", RUN, || fixture.api.calls("getUpdates") > 0);
    let registered = fixture.api.takes("setMyCommands");
    let registered = registered[0]["commands"].as_array().expect("a list");
    assert_eq!(registered.len(), COMMANDS.len());
    for command in registered {
        let (name, does) = (command["command"].as_str().expect("text"), command["description"].as_str().expect("text"));
        assert!(name.bytes().all(|b| b.is_ascii_lowercase()) && (3..=256).contains(&does.chars().count()), "{command}");
    }
    fixture.telegram.send(&saying(&"日本🙂 <b>@everyone</b> ".repeat(5_000))).await.expect("said");
    let messages = fixture.api.messages(GROUP);
    assert_eq!(messages.len(), 2);
    assert!(messages[1].document.as_ref().is_some_and(|(name, text)| name == "orch.txt" && text.len() > 100_000));
    assert!(!messages[0].text.contains("@everyone"), "nobody is called by it");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_tasks_stream_into_one_group_without_a_429_and_each_ends_with_its_last_word() {
    let figures = crowd(30, Duration::from_secs(60), 60).await;
    assert_eq!((figures.provoked, figures.last_states, figures.messages), (0, 30, 30), "{figures:?}");
    assert!(figures.most_waiting <= 60, "{figures:?}");
}
