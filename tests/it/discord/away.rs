//! Tests Discord after an interruption: which messages are read, and what is reported where.

use super::{Fixture, ROLE, counting, fixture, owner, saying};
use crate::kit::discord::{CHANNEL, Discord as Server, Fault, OWNER, Person, STRANGER};
use crate::kit::wait::{RUN, wait_until};
use axum::Router;
use jiff::Timestamp;
use orch_api::client::{Client, Transport};
use orch_chat::Channel;
use orch_chat::conversation::channel_store::{ANNOUNCED, ChannelStore};
use orch_core::base::ids::TaskId;
use orch_core::notices::notice::{Notice, NoticeKind};
use orch_core::operations::channel::ChatMessage;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn about(text: &str) -> ChatMessage {
    ChatMessage { task: Some(TaskId(7)), ..saying(text) }
}

/// Everything that happened until now was heard.
fn until_heard(fixture: &Fixture) {
    let help = fixture.server.command(&owner(), CHANNEL, "help", &[]);
    wait_until("help", RUN, || !fixture.server.answered(&help).1.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_meanwhile_in_a_thread_alone_with_the_bot_and_by_roles_is_done_once() {
    let (store, (client, asked)) = (ChannelStore::in_memory(), counting());
    let fixture = Fixture::open(Server::start(), store.clone(), client.clone()).listening();
    fixture.discord.send(&about("#7 Mend it asks")).await.expect("said");
    until_heard(&fixture);
    let (thread, _) = fixture.server.threads().pop().expect("a thread");
    let server = fixture.close().await;
    let direct = server.direct(OWNER);
    let member = Person { roles: vec![ROLE], ..Person::new(4_000) };
    let left = Person { roles: vec![ROLE], ..Person::new(4_001) };
    server.write(&owner(), CHANNEL, "lunch?", None);
    // The first messages in the thread, and in the direct channel.
    server.write(&owner(), thread, "/run 7", None);
    server.write(&owner(), direct, "/run 7", None);
    server.write(&member, CHANNEL, "/run 7", None);
    server.write(&member, thread, "/run 7", None);
    server.write(&left, CHANNEL, "/run 7", None);
    server.write(&Person::new(STRANGER), thread, "/run 7", None);
    server.has_roles(&Person::new(left.id));
    let fixture = Fixture::open(server, store.clone(), client.clone());
    wait_until("the orders", RUN, || asked.load(Ordering::SeqCst) == 4);
    for (place, answers) in [(thread, 2), (direct, 1)] {
        let said =
            || fixture.server.messages(place).iter().filter(|one| one.text.contains("there is no task 7")).count();
        wait_until("an answer where it was asked", RUN, || said() == answers);
    }
    until_heard(&fixture);
    let messages: Vec<String> =
        store.with_prefix(ANNOUNCED).await.expect("memory").into_iter().map(|(_, text)| text).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for id in [left.id, STRANGER] {
        assert!(messages.iter().any(|line| line.starts_with(&format!("{id} "))), "{messages:?}");
    }
    // And once more, after which nothing is done again.
    let server = fixture.close().await;
    let fixture = Fixture::open(server, store.clone(), client).listening();
    until_heard(&fixture);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    assert_eq!(store.with_prefix(ANNOUNCED).await.expect("memory").len(), 2);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_at_once_is_read_later_whatever_is_said_in_between() {
    let (store, (client, asked)) = (ChannelStore::in_memory(), counting());
    let fixture = Fixture::open(Server::start(), store.clone(), client.clone()).listening();
    until_heard(&fixture);
    let server = fixture.close().await;
    server.write(&owner(), CHANNEL, "/run 7", None);
    server.fail(Fault { to: format!("GET /channels/{CHANNEL}/messages"), times: usize::MAX, status: 503, code: 0 });
    let fixture = Fixture::open(server, store.clone(), client.clone()).listening();
    wait_until("it to be reported", RUN, || fixture.discord.trouble().is_some_and(|why| why.contains("not read yet")));
    fixture.server.write(&owner(), CHANNEL, "/run 7", None);
    wait_until("what is written now", RUN, || asked.load(Ordering::SeqCst) == 1);
    fixture.server.heal();
    wait_until("what was written before", RUN, || asked.load(Ordering::SeqCst) == 2);
    wait_until("all to be well", RUN, || fixture.discord.trouble().is_none());
    // Without the permission, the remedy is reported, and everything else works.
    let server = fixture.close().await;
    server.fail(Fault {
        to: format!("GET /channels/{CHANNEL}/messages"),
        times: usize::MAX,
        status: 403,
        code: 50_013,
    });
    let fixture = Fixture::open(server, store, client).listening();
    wait_until("it to be reported", RUN, || {
        fixture.discord.trouble().is_some_and(|why| why.contains("Read Message History"))
    });
    until_heard(&fixture);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_cannot_be_registered_keep_nobody_from_being_heard() {
    let server = Server::start();
    server.fail(Fault { to: "/commands".to_owned(), times: usize::MAX, status: 403, code: 50_001 });
    let (client, asked) = counting();
    let fixture = Fixture::open(server, ChannelStore::in_memory(), client);
    wait_until("a session", RUN, || fixture.server.sessions().0 > 0);
    fixture.server.write(&owner(), CHANNEL, "/run 7", None);
    wait_until("the order", RUN, || asked.load(Ordering::SeqCst) == 1);
    wait_until("it to be reported", RUN, || fixture.discord.trouble().is_some());
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_about_a_task_are_in_its_thread_and_mention_the_listed_people() {
    let (fixture, _) = fixture();
    let fixture = fixture.listening();
    let texts = |place: u64| fixture.server.messages(place).into_iter().map(|one| one.text).collect::<Vec<_>>();
    fixture.discord.send(&about("one")).await.expect("said");
    let (thread, _) = fixture.server.threads().pop().expect("a thread");
    assert_eq!(fixture.server.members(thread), [OWNER]);
    fixture.discord.send(&about("two")).await.expect("said");
    fixture.discord.send(&saying("of no task")).await.expect("said");
    assert_eq!(
        (texts(CHANNEL), texts(thread)),
        (vec!["one".to_owned(), "of no task".to_owned()], vec!["two".to_owned()])
    );
    // One thread is deleted, and the next one is locked.
    fixture.server.remove(thread);
    fixture.discord.send(&about("three")).await.expect("said");
    let (next, _) = fixture.server.threads().pop().expect("another thread");
    fixture.server.lock(next);
    fixture.discord.send(&about("four")).await.expect("said");
    assert_eq!(texts(CHANNEL), ["one", "of no task", "three", "four"]);
    assert_eq!(texts(next), Vec::<String>::new());
    fixture.close().await;
}

fn of_a_stranger() -> Notice {
    Notice {
        seq: 1,
        at: Timestamp::UNIX_EPOCH,
        kind: NoticeKind::Stranger,
        event: "stranger".to_owned(),
        about: None,
        cause: "stranger".to_owned(),
        text: "666 wrote".to_owned(),
        buttons: Vec::new(),
        is_critical: false,
        went_wrong: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_stranger_the_owner_hears_alone() {
    let (fixture, _) = fixture();
    let fixture = fixture.listening();
    let direct = fixture.server.direct(OWNER);
    fixture.discord.send_notices("k", &[of_a_stranger()], &saying("666 wrote")).await.expect("said");
    assert_eq!((fixture.server.messages(direct).len(), fixture.server.messages(CHANNEL).len()), (1, 0));
    // Not now is not never.
    fixture.server.fail(Fault { to: format!("POST /channels/{direct}"), times: 1, status: 503, code: 0 });
    assert!(fixture.discord.send_notices("k", &[of_a_stranger()], &saying("666 wrote")).await.is_err());
    assert_eq!(fixture.server.messages(CHANNEL).len(), 0);
    // A person who accepts no direct messages would not be notified.
    fixture.server.fail(Fault { to: format!("POST /channels/{direct}"), times: 1, status: 403, code: 50_007 });
    fixture.discord.send_notices("k", &[of_a_stranger()], &saying("666 wrote")).await.expect("said");
    assert_eq!(fixture.server.messages(CHANNEL).len(), 1);
    fixture.close().await;
}

/// An engine that never answers, and counts.
fn stuck() -> (Client, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<String>()
    };
    (Client::new(Transport::InProcess(Router::new().fallback(answer))), asked)
}

/// Discord does not repeat a command or a press that was received.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_orch_died_over_is_carried_out_when_it_is_back_and_answered_in_the_channel() {
    let (store, (hangs, begun)) = (ChannelStore::in_memory(), stuck());
    let fixture = Fixture::open(Server::start(), store.clone(), hangs).listening();
    fixture.server.command(&owner(), CHANNEL, "run", &[("task", "7")]);
    wait_until("it to be begun", RUN, || begun.load(Ordering::SeqCst) == 1);
    fixture.running.abort();
    let server = fixture.server;
    let (client, asked) = counting();
    let fixture = Fixture::open(server, store.clone(), client.clone()).listening();
    wait_until("the order", RUN, || asked.load(Ordering::SeqCst) > 0);
    fixture.until_said("there is no task 7");
    let server = fixture.close().await;
    let before = asked.load(Ordering::SeqCst);
    let fixture = Fixture::open(server, store, client).listening();
    until_heard(&fixture);
    assert_eq!(asked.load(Ordering::SeqCst), before, "once");
    fixture.close().await;
}
