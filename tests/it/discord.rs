//! Tests Discord with a server that behaves like the real one: permissions, rendering, rate limits, and failures of
//! Discord, the connection or a message.

mod away;
mod connection;
mod live;

use crate::kit::discord::{CHANNEL, Discord as Server, Fault, OWNER, Person, Posted, STRANGER, TOKEN};
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_some, wait_until};
use axum::Router;
use axum::http::StatusCode;
use orch::daemon::{Running, Setup as Daemon};
use orch_api::client::{Client, Transport};
use orch_chat::chat::Refusal;
use orch_chat::conversation::channel_store::{ANNOUNCED, ChannelStore};
use orch_chat::conversation::parse::COMMANDS;
use orch_chat::discord::{Discord, Setup};
use orch_chat::{Channel, TwoWay};
use orch_config::resolved_channels::Discord as Settings;
use orch_config::{Home, Secret};
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{Block, Button, ChannelKind, ChatMessage, Document, Press};
use orch_engine::Mode;
use orch_engine::handle::Project;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A role whose members may speak.
const ROLE: u64 = 77;

/// A channel that runs.
struct Fixture {
    server: Server,
    discord: Discord,
    cancel: CancellationToken,
    running: JoinHandle<()>,
    /// Sessions, and reads of the owner's direct messages, before the channel started.
    before: (usize, usize),
}

/// Returns how often the owner's direct messages were read. They are the last that are read after an interruption.
fn looks(server: &Server) -> usize {
    let what = format!("GET /channels/{}/messages", server.direct(OWNER));
    server.requests().iter().filter(|request| request.what == what).count()
}

fn setup(server: &Server, token: &str) -> Setup {
    let settings = Settings {
        channel_id: Some(CHANNEL.to_string()),
        allowed_users: [OWNER.to_string()].into(),
        allowed_roles: [ROLE.to_string()].into(),
        api_url: server.api_url(),
        gateway_url: Some(server.gateway_url()),
        ..Settings::default()
    };
    Setup::from_settings(&settings, Secret::new(token)).expect("a sound setup")
}

impl Fixture {
    fn open(server: Server, store: ChannelStore, client: Client) -> Self {
        let discord = Discord::new(setup(&server, TOKEN), store);
        let before = (server.sessions().0, looks(&server));
        let cancel = CancellationToken::new();
        let (running, of_task) = (discord.clone(), cancel.clone());
        let running = tokio::spawn(async move { running.run(client, of_task).await });
        Self { server, discord, cancel, running, before }
    }

    /// Until it listens.
    fn listening(self) -> Self {
        let is_begun = || !self.server.commands().is_empty() && self.server.sessions().0 > self.before.0;
        wait_until("a session", RUN, is_begun);
        self
    }

    /// Until it has read what was written before.
    fn caught_up(self) -> Self {
        wait_until("a look at everything", RUN, || looks(&self.server) > self.before.1);
        self.listening()
    }

    async fn close(self) -> Server {
        self.cancel.cancel();
        self.running.await.expect("it ends");
        self.server
    }

    fn until_said(&self, words: &str) -> Posted {
        let said = || self.server.said().into_iter().rev().find(|message| message.text.contains(words));
        wait_some(&format!("{words:?} in {:?}", self.server.said()), RUN, said)
    }

    fn until_quiet(&self) {
        wait_until("all to be said", RUN, || self.discord.waiting() == 0);
    }
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

fn fixture() -> (Fixture, Arc<AtomicUsize>) {
    let (client, asked) = counting();
    (Fixture::open(Server::start(), ChannelStore::in_memory(), client), asked)
}

fn saying(text: &str) -> ChatMessage {
    ChatMessage { blocks: vec![Block::plain(text)], ..ChatMessage::default() }
}

fn owner() -> Person {
    Person::new(OWNER)
}

/// Row S10, as Discord has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_nothing_are_answered_nothing_and_the_owner_hears_of_each_once() {
    let (client, asked) = counting();
    let store = ChannelStore::in_memory();
    let fixture = Fixture::open(Server::start(), store.clone(), client).listening();
    let server = &fixture.server;
    let notice = ChatMessage {
        buttons: vec![Button { label: "Retry".to_owned(), press: Press::Retry { task: TaskId(7), since: None } }],
        ..saying("#7 has failed")
    };
    let place = fixture.discord.send(&notice).await.expect("said").expect("a name");
    let shown = server.said().into_iter().find(|message| place.ends_with(&message.id.to_string())).expect("there");
    let token = shown.buttons[0].1.clone();
    let mut interactions = Vec::new();
    // Users with the owner's name, or with a role without permissions, in all combinations.
    for n in 0..200 {
        let who = Person { id: STRANGER + n % 20, name: format!("person{OWNER}"), roles: vec![78] };
        match n % 4 {
            0 => drop(server.write(&who, CHANNEL, "/cancel 7", None)),
            1 => interactions.push(server.command(&who, CHANNEL, "cancel", &[("task", "7")])),
            2 => interactions.push(server.press(&who, &shown, &token)),
            // Messages between people are private: the owner is not notified.
            _ => drop(server.write(&Person::new(5_000 + n), CHANNEL, "hello there", None)),
        }
    }
    // Once this is answered, all of that was heard.
    let last = server.command(&owner(), CHANNEL, "help", &[]);
    wait_until("help", RUN, || !server.answered(&last).1.is_empty());
    fixture.until_quiet();
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nothing was asked of the engine");
    assert!(interactions.iter().all(|token| server.answered(token) == (false, Vec::new())));
    let messages: Vec<String> =
        store.with_prefix(ANNOUNCED).await.expect("memory").into_iter().map(|(_, text)| text).collect();
    let all = messages.concat();
    for n in 0..20 {
        let times = messages.iter().filter(|line| line.starts_with(&format!("{} ", STRANGER + n))).count();
        // Twenty strangers, each in one of the three ways that count, or in none.
        assert!(times <= 1, "{n}: {times} in {messages:?}");
    }
    assert!(messages.len() >= 10, "{messages:?}");
    assert!(!all.contains("5003"), "{messages:?}");
    assert!(server.messages(CHANNEL).iter().all(|message| !message.text.contains("calls itself")), "they read nothing");
    // The button is not spent by it.
    let pressed = server.press(&owner(), &shown, &token);
    wait_until("the press", RUN, || server.answered(&pressed).0 && asked.load(Ordering::SeqCst) > 0);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_members_of_a_listed_role_may_give_orders_and_press_buttons() {
    let (fixture, asked) = fixture();
    let fixture = fixture.listening();
    let member = Person { roles: vec![ROLE], ..Person::new(4_000) };
    let answered = fixture.server.command(&member, CHANNEL, "show", &[("task", "7")]);
    wait_until("an answer", RUN, || {
        fixture.server.answered(&answered).1.iter().any(|m| m.text.contains("there is no task 7"))
    });
    let before = asked.load(Ordering::SeqCst);
    let notice = ChatMessage {
        buttons: vec![Button { label: "Retry".to_owned(), press: Press::Retry { task: TaskId(7), since: None } }],
        ..saying("#7 has failed")
    };
    fixture.discord.send(&notice).await.expect("said");
    let shown = fixture.until_said("has failed");
    fixture.server.press(&member, &shown, &shown.buttons[0].1);
    wait_until("the press", RUN, || asked.load(Ordering::SeqCst) > before);
    // A second press is reported only to the person who pressed.
    let again = fixture.server.press(&member, &shown, &shown.buttons[0].1);
    wait_until("a word", RUN, || fixture.server.answered(&again).1.iter().any(|m| m.text.contains("already pressed")));
    let whispered = fixture.server.answered(&again).1;
    assert!(whispered.iter().all(|message| message.flags & 64 != 0), "{whispered:?}");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_registered_and_an_unknown_one_is_answered() {
    let (fixture, _) = fixture();
    let fixture = fixture.listening();
    let names: Vec<String> = fixture
        .server
        .commands()
        .iter()
        .map(|command| command["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(names, COMMANDS.iter().map(|known| known.name).collect::<Vec<_>>());
    fixture.server.write(&owner(), CHANNEL, "/shwo 7", None);
    fixture.until_said("did you mean `/show`?");
    assert_eq!(fixture.discord.check().await, Ok("#tasks".to_owned()));
    let server = fixture.close().await;
    assert_eq!(server.too_fast(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_handled_once_however_often_it_is_reported_and_whatever_becomes_of_the_connection() {
    let (client, asked) = counting();
    let store = ChannelStore::in_memory();
    let fixture = Fixture::open(Server::start(), store.clone(), client.clone()).caught_up();
    let server = &fixture.server;
    server.write(&owner(), CHANNEL, "/run 7", None);
    wait_until("the first", RUN, || asked.load(Ordering::SeqCst) == 1);
    server.repeat_last_event();
    // A resumed session delivers missed events; codes of all kinds end the connection.
    for (n, code) in [1000, 1006, 4000, 4001, 4002, 4005, 4008].into_iter().enumerate() {
        let (begun, resumed) = server.sessions();
        server.close(code, true);
        server.write(&owner(), CHANNEL, "/run 7", None);
        wait_until(&format!("the order after {code}"), RUN, || asked.load(Ordering::SeqCst) >= n + 2);
        let now = server.sessions();
        assert!(now.0 > begun || now.1 > resumed, "{code}: {now:?}");
    }
    // One that is not: what was written meanwhile is asked for.
    server.close(4009, false);
    server.write(&owner(), CHANNEL, "/run 7", None);
    wait_until("the order after a lost session", RUN, || asked.load(Ordering::SeqCst) >= 9);
    let again = server.command(&owner(), CHANNEL, "help", &[]);
    wait_until("help", RUN, || !server.answered(&again).1.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 9, "each once");
    // orch is away, and comes back.
    let server = fixture.close().await;
    server.write(&owner(), CHANNEL, "/run 7", None);
    let fixture = Fixture::open(server, store, client);
    wait_until("what was written meanwhile", RUN, || asked.load(Ordering::SeqCst) == 10);
    let last = fixture.server.command(&owner(), CHANNEL, "help", &[]);
    wait_until("help", RUN, || !fixture.server.answered(&last).1.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 10);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_read_commands_work_and_the_lack_is_reported() {
    let server = Server::start();
    server.allow_reading(false);
    let (client, asked) = counting();
    let fixture = Fixture::open(server, ChannelStore::in_memory(), client).listening();
    wait_until("the lack to be reported", RUN, || {
        fixture.discord.trouble().is_some_and(|why| why.contains("Message Content Intent"))
    });
    let answered = fixture.server.command(&owner(), CHANNEL, "run", &[("task", "7")]);
    wait_until("an answer", RUN, || !fixture.server.answered(&answered).1.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_taken_is_reported_and_not_tried_at_full_speed() {
    let server = Server::start();
    server.take_token(false);
    let (client, _) = counting();
    let fixture = Fixture::open(server, ChannelStore::in_memory(), client);
    wait_until("the trouble", RUN, || fixture.discord.trouble().is_some_and(|why| why.contains("token")));
    let refused = fixture.discord.send(&saying("hello")).await;
    assert!(
        matches!(&refused, Err(Refusal::Closed(why)) if why.contains("token") && !why.contains(TOKEN)),
        "{refused:?}"
    );
    let server = fixture.close().await;
    assert!(server.requests().len() < 10, "{}", server.requests().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_shown_as_that() {
    let nowhere = Settings {
        channel_id: Some(CHANNEL.to_string()),
        allowed_users: [OWNER.to_string()].into(),
        api_url: "http://127.0.0.1:1".to_owned(),
        gateway_url: Some("ws://127.0.0.1:1".to_owned()),
        ..Settings::default()
    };
    let setup = Setup::from_settings(&nowhere, Secret::new(TOKEN)).expect("a sound setup");
    let (discord, cancel) = (Discord::new(setup, ChannelStore::in_memory()), CancellationToken::new());
    let (running, of_task, (client, _)) = (discord.clone(), cancel.clone(), counting());
    let running = tokio::spawn(async move { running.run(client, of_task).await });
    let refused = discord.send(&saying("hello")).await.expect_err("nobody is there").to_string();
    assert!(refused.contains("Discord cannot be reached"), "{refused}");
    wait_until("the trouble", RUN, || discord.trouble().is_some_and(|why| why.contains("cannot be reached")));
    assert_eq!(Channel::trouble(&discord).as_deref(), Some(refused.as_str()), "what goes out is told with the notices");
    cancel.cancel();
    running.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_said_in_its_order_whole_and_never_too_fast() {
    let (fixture, _) = fixture();
    let fixture = fixture.listening();
    // Failures of all kinds in between.
    fixture.server.fail(Fault { to: "POST /channels".to_owned(), times: 1, status: 429, code: 1 });
    fixture.server.fail(Fault { to: "POST /channels".to_owned(), times: 1, status: 502, code: 0 });
    let first = fixture.discord.send(&saying("first")).await;
    let first = match first {
        Err(Refusal::Later { .. }) => fixture.discord.send(&saying("first")).await,
        said => said,
    };
    assert!(first.is_ok(), "{first:?}");
    let texts: Vec<String> = (0..7).map(|n| format!("notice {n}")).collect();
    let all: Vec<ChatMessage> = texts.iter().map(|text| saying(text)).collect();
    futures::future::join_all(all.iter().map(|one| fixture.discord.send(one))).await.into_iter().for_each(|said| {
        said.expect("said");
    });
    let long = ChatMessage {
        blocks: vec![Block::plain("@everyone"), Block::Block("x".repeat(99).add_lines(60))],
        document: Some(Document { name: "7.diff".to_owned(), text: "+hello\n".to_owned() }),
        ..ChatMessage::default()
    };
    fixture.discord.send(&long).await.expect("said");
    let said = fixture.server.messages(CHANNEL);
    let notices: Vec<&str> =
        said.iter().map(|message| message.text.as_str()).filter(|text| text.starts_with("notice")).collect();
    assert_eq!(notices, texts);
    assert!(said.iter().all(|message| message.text.chars().count() <= 2_000));
    assert!(said.iter().all(|message| !message.text.contains("@everyone")));
    let (name, text) = said.iter().flat_map(|message| message.files.iter()).next().expect("a file");
    assert_eq!((name.as_str(), text.as_str()), ("7.diff", "+hello\n"));
    let server = fixture.close().await;
    assert_eq!(server.too_fast(), 0);
}

/// Discord bans an address that continues to send while it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_a_rate_limit_of_discord_no_request_is_sent() {
    let (fixture, _) = fixture();
    let fixture = fixture.listening();
    fixture.until_quiet();
    let refused = || fixture.server.requests().iter().filter(|request| request.status == 429).count();
    fixture.server.refuse_all(60);
    let answered = fixture.server.command(&owner(), CHANNEL, "help", &[]);
    let texts: Vec<ChatMessage> = (0..20).map(|n| saying(&format!("notice {n}"))).collect();
    let api = fixture.discord.send(&texts[0]).await;
    assert!(matches!(&api, Err(Refusal::Later { after: Some(_), .. })), "{api:?}");
    let (discord, soon) = (&fixture.discord, std::time::Duration::from_secs(3));
    let say = |one| async move { tokio::time::timeout(soon, discord.send(one)).await.ok() };
    let said = futures::future::join_all(texts.iter().map(say));
    assert!(said.await.into_iter().flatten().all(|said| said.is_err()), "nothing is said");
    assert!((1..=3).contains(&refused()), "{} requests were made", refused());
    assert!(!fixture.server.answered(&answered).0);
    fixture.close().await;
}

/// Discord allows three seconds for a first response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_acknowledged_while_another_is_still_being_answered() {
    let begun = Arc::new(AtomicUsize::new(0));
    let gate = CancellationToken::new();
    let (counts, opens) = (Arc::clone(&begun), gate.clone());
    let answer = move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let opens = opens.clone();
        async move {
            opens.cancelled().await;
            (StatusCode::NOT_FOUND, r#"{"error":{"code":"not_found","message":"there is no task 7","hint":null}}"#)
        }
    };
    let client = Client::new(Transport::InProcess(Router::new().fallback(answer)));
    let fixture = Fixture::open(Server::start(), ChannelStore::in_memory(), client).caught_up();
    let slow = fixture.server.command(&owner(), CHANNEL, "show", &[("task", "7")]);
    wait_until("the engine to be asked", RUN, || begun.load(Ordering::SeqCst) == 1);
    let next = fixture.server.command(&owner(), CHANNEL, "help", &[]);
    wait_until("it to be acknowledged", RUN, || fixture.server.answered(&next).0);
    assert!(fixture.server.answered(&slow).1.is_empty() && fixture.server.answered(&next).1.is_empty());
    gate.cancel();
    wait_until("both answers", RUN, || {
        [&slow, &next].iter().all(|command| !fixture.server.answered(command).1.is_empty())
    });
    fixture.close().await;
}

/// Lines instead of one long one.
trait AddLines {
    fn add_lines(self, lines: usize) -> String;
}

impl AddLines for String {
    fn add_lines(self, lines: usize) -> String {
        format!("{self}\n").repeat(lines)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_is_changed_in_its_place_and_a_deleted_message_is_reported() {
    let (fixture, _) = fixture();
    let fixture = fixture.listening();
    let about = |text: &str| ChatMessage { task: Some(TaskId(7)), ..saying(text) };
    let place = fixture.discord.send(&about("#7 Mend it: works")).await.expect("said").expect("a name");
    let id: u64 = place.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
    fixture.discord.edit(&place, &about("#7 Mend it: done")).await.expect("changed");
    let shown: Vec<String> = fixture.server.messages(CHANNEL).into_iter().map(|message| message.text).collect();
    assert_eq!(shown, ["\\#7 Mend it: done"]);
    let threads = fixture.server.threads();
    assert_eq!(threads, [(id, "#7 Mend it: works".to_owned())]);
    // The same task has one thread.
    fixture.discord.send(&about("#7 again")).await.expect("said");
    assert_eq!(fixture.server.threads().len(), 1);
    fixture.server.delete(CHANNEL, id);
    assert_eq!(fixture.discord.edit(&place, &about("#7")).await, Err(Refusal::Gone));
    assert_eq!(fixture.discord.edit("garbage", &about("#7")).await, Err(Refusal::Gone));
    fixture.close().await;
}

/// An engine with a repository, and the channel.
struct EngineFixture {
    sealed: SealedBox,
    engine: Running,
    fixture: Fixture,
}

impl EngineFixture {
    async fn open() -> Self {
        let sealed = SealedBox::new();
        let repo = sealed.repo("shop");
        let work = "#!/bin/sh\ncat > /dev/null\necho at work\necho hello > hello.txt\ngit add hello.txt\ngit commit -q -m 'Add hello'\n";
        sealed.program("bot", work);
        // What never passes its check asks a person.
        sealed.config(
            "agents:\n  bot: {kind: command, command: bot}\nrouter: {mode: round_robin, agents: [bot]}\n\
             workflow: {integrate: branch, checks: ['false'], max_attempts: 1}\n",
        );
        let variables = sealed.env().into_iter();
        let environment =
            variables.map(|(n, v)| (n.into_string().expect("text"), v.into_string().expect("text"))).collect();
        let home = Home::new(sealed.orch_home(), None);
        let daemon = Daemon { home, environment, flags: Vec::new(), orch: PathBuf::from(env!("CARGO_BIN_EXE_orch")) };
        let engine = daemon.open(Mode::Serve).await.expect("opens");
        let project = Project { dir: repo.dir().to_owned(), name: "shop".into(), approved: None };
        engine.handle.register(project).await.expect("registers");
        let store = ChannelStore::Journal(engine.handle.clone(), ChannelKind::Discord);
        let fixture = Fixture::open(Server::start(), store, engine.client.clone()).listening();
        Self { sealed, engine, fixture }
    }

    async fn status(&self, id: u64) -> String {
        self.engine.handle.task(TaskId(id)).await.expect("there").status().as_str().to_owned()
    }

    async fn until(&self, id: u64, status: &str) {
        let mut feed = self.engine.handle.follow();
        let waited = async {
            while self.status(id).await != status {
                feed.recv().await.ok();
            }
        };
        tokio::time::timeout(RUN, waited).await.unwrap_or_else(|_| panic!("task {id} never is {status}"));
    }

    async fn history(&self, kind: &str) -> Vec<String> {
        let entries = self.engine.handle.entries(0, None, 1_000).await.expect("read");
        entries.into_iter().filter(|entry| entry.fact.kind() == kind).map(|entry| entry.fact.text()).collect()
    }

    async fn close(self) {
        self.fixture.close().await;
        self.engine.signals.shutdown.cancel();
        self.engine.serve().await;
        self.sealed.finish();
    }
}

fn button(message: &Posted, label: &str) -> Option<String> {
    message.buttons.iter().find(|(known, _)| known == label).map(|(_, token)| token.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_adds_looks_streams_and_approves_by_commands_and_buttons_and_the_history_says_who() {
    let system = EngineFixture::open().await;
    let (fixture, server) = (&system.fixture, &system.fixture.server);
    let added = server.command(&owner(), CHANNEL, "add", &[("title", "Say hello"), ("text", "in a file")]);
    wait_until("the task", RUN, || server.answered(&added).1.iter().any(|m| m.text.contains("is added")));
    system.until(1, "needs_review").await;
    assert_eq!(system.engine.handle.task(TaskId(1)).await.expect("there").spec.body, "in a file");
    let streamed = server.command(&owner(), CHANNEL, "stream", &[("task", "1")]);
    wait_until("a word", RUN, || server.answered(&streamed).1.iter().any(|m| m.text.contains("follows")));
    fixture.until_said("at work");
    let shown = server.command(&owner(), CHANNEL, "show", &[("task", "#1")]);
    let message = wait_some("buttons", RUN, || {
        server.answered(&shown).1.into_iter().find(|message| button(message, "Approve").is_some())
    });
    let diff = server.press(&owner(), &message, &button(&message, "Show diff").expect("a button"));
    wait_until("the difference", RUN, || server.answered(&diff).1.iter().any(|m| m.text.contains("+hello")));
    server.press(&owner(), &message, &button(&message, "Approve").expect("a button"));
    system.until(1, "done").await;
    let approved = system.history("approved").await;
    assert_eq!(approved.len(), 1);
    assert!(approved[0].contains(&format!("discord user {OWNER}")), "{approved:?}");
    wait_until("the buttons to go", RUN, || {
        server.messages(CHANNEL).iter().any(|seen| seen.id == message.id && seen.buttons.is_empty())
    });
    // A button of before does nothing any more.
    let late = server.press(&owner(), &message, &button(&message, "Approve").expect("a button"));
    wait_until("a word", RUN, || server.answered(&late).1.iter().any(|m| m.text.contains("already pressed")));
    fixture.until_quiet();
    assert_eq!(server.too_fast(), 0);
    system.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_in_a_tasks_thread_is_about_that_task() {
    let system = EngineFixture::open().await;
    let (fixture, server) = (&system.fixture, &system.fixture.server);
    server.write(&owner(), CHANNEL, "/add Say hello", None);
    fixture.until_said("is added");
    system.until(1, "needs_review").await;
    let notice = ChatMessage { task: Some(TaskId(1)), ..saying("#1 Say hello: asks you") };
    fixture.discord.send(&notice).await.expect("said");
    let (thread, _) = wait_some("a thread", RUN, || server.threads().into_iter().next());
    server.write(&owner(), thread, "/why", None);
    wait_until("an answer in the thread", RUN, || server.messages(thread).iter().any(|m| m.author != OWNER));
    // A message that no agent can receive now gets a receipt, or the reason.
    let before = server.messages(thread).len();
    server.write(&owner(), thread, "use a capital H", None);
    wait_until("a receipt", RUN, || server.messages(thread).len() > before + 1);
    // A message that mentions no one is ignored.
    server.write(&owner(), CHANNEL, "lunch?", None);
    let command = server.command(&owner(), thread, "show", &[]);
    wait_until("the task of the thread", RUN, || {
        server.answered(&command).1.iter().any(|m| m.text.contains("Say hello"))
    });
    assert!(!server.said().iter().any(|message| message.text.contains("lunch")));
    system.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attached_text_file_becomes_a_part_of_the_task_and_another_file_does_not() {
    let system = EngineFixture::open().await;
    let (fixture, server) = (&system.fixture, &system.fixture.server);
    let notes = ("notes.txt", "first\nsecond 🙂\n".as_bytes());
    server.write_with(&owner(), CHANNEL, "/add Read the notes", notes);
    fixture.until_said("#1 is added: Read the notes");
    let body = async |id| system.engine.handle.task(TaskId(id)).await.expect("there").spec.body.clone();
    assert_eq!(body(1).await, "first\nsecond 🙂\n");
    let added = server.add_with(&owner(), CHANNEL, "Read them again", notes);
    wait_until("the task", RUN, || server.answered(&added).1.iter().any(|m| m.text.contains("#2 is added")));
    assert_eq!(body(2).await, "first\nsecond 🙂\n");
    server.write_with(&owner(), CHANNEL, "/add Look at it", ("cat.png", &[0, 159, 146, 150]));
    fixture.until_said("cat.png is no text");
    server.write_with(&owner(), CHANNEL, "/add Read all", ("all.txt", &[b'x'; 300 << 10]));
    fixture.until_said("all.txt is too large: at most 256 kB");
    server.write_with(&owner(), CHANNEL, "/cancel 1", notes);
    fixture.until_said("a file can only become a part of a new task");
    assert_eq!(system.engine.handle.tasks_after(TaskId(0)).await.expect("read").0.len(), 2);
    system.until(1, "needs_review").await;
    system.close().await;
}
