//! Tests Telegram with an engine: commands in the chat change real tasks, and the chat shows them. The whole chat is in
//! `fixtures/rendered/telegram-chat.txt`; `ORCH_BLESS=1` updates it.

use super::{ADA, BOB, Fixture, GROUP, quick};
use crate::kit::golden;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_some, wait_until};
use jiff::Timestamp;
use orch::daemon::{Running, Setup as Daemon};
use orch_api::endpoint;
use orch_api::queries::SeenQuery;
use orch_api::rulings::{Accept, Reject};
use orch_chat::conversation::buttons::redeem;
use orch_chat::conversation::channel_store::ChannelStore;
use orch_config::Home;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::ChannelKind;
use orch_core::tasks::task::Spec;
use orch_engine::Mode;
use orch_engine::handle::Project;
use orch_sys::clock::{Clock, SystemClock};
use serde_json::json;
use std::path::PathBuf;

/// Adds a file and commits it.
const WORK: &str =
    "#!/bin/sh\ncat > /dev/null\necho hello > hello.txt\ngit add hello.txt\ngit commit -q -m 'Add hello'\n";

/// A home with an engine in this process, and the channel on it.
struct EngineFixture {
    sealed: SealedBox,
    engine: Running,
    fixture: Fixture,
}

impl EngineFixture {
    async fn open() -> Self {
        let sealed = SealedBox::new();
        let repo = sealed.repo("shop");
        sealed.program("bot", WORK);
        sealed.program("live", &format!("#!/bin/sh\nexec '{ORCH}' __scripted-agent \"$@\"\n"));
        // What never passes its check asks a person.
        sealed.config(
            "agents:\n  bot: {kind: command, command: bot}\n  live: {kind: claude, command: live}\n\
             router: {mode: round_robin, agents: [bot]}\n\
             workflow: {integrate: branch, checks: ['false'], max_attempts: 1}\n",
        );
        let variables = sealed.env().into_iter();
        let environment =
            variables.map(|(n, v)| (n.into_string().expect("text"), v.into_string().expect("text"))).collect();
        let home = Home::new(sealed.orch_home(), None);
        let daemon = Daemon { home, environment, flags: Vec::new(), orch: PathBuf::from(ORCH) };
        let engine = daemon.open(Mode::Serve).await.expect("opens");
        let project = Project { dir: repo.dir().to_owned(), name: "shop".into(), approved: None };
        engine.handle.register(project).await.expect("registers");
        let store = ChannelStore::Journal(engine.handle.clone(), ChannelKind::Telegram);
        let fixture = Fixture::open(quick(), store, engine.client.clone(), &[ADA, BOB]);
        Self { sealed, engine, fixture }
    }

    /// A task for an agent.
    async fn add(&self, title: &str, agent: &str, body: &str) {
        let labels = vec![format!("agent:{agent}")];
        let spec = Spec { title: title.to_owned(), body: body.to_owned(), labels, ..Spec::default() };
        self.engine.handle.add(spec).await.expect("added");
    }

    async fn history(&self, kind: &str) -> Vec<String> {
        let entries = self.engine.handle.entries(0, None, 1_000).await.expect("read");
        entries.into_iter().filter(|entry| entry.fact.kind() == kind).map(|entry| entry.fact.text()).collect()
    }

    async fn status(&self, id: u64) -> String {
        let task = self.engine.handle.task(TaskId(id)).await;
        task.map_or_else(|_| "not there".to_owned(), |task| task.status().as_str().to_owned())
    }

    /// Waits for news of the engine until `is_so`.
    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let mut feed = self.engine.handle.follow();
        let waited = async {
            while !is_so().await {
                feed.recv().await.ok();
            }
        };
        tokio::time::timeout(RUN, waited).await.unwrap_or_else(|_| panic!("it never comes to {what}"));
    }

    async fn until_it_is(&self, id: u64, status: &str) {
        self.until(&format!("task {id} being {status}"), async || self.status(id).await == status).await;
    }

    /// orch died during the update whose number `done` returns, which it started to handle at the given time; `done` is
    /// the part that it completed. It is restarted.
    async fn dies_over(self, done: impl AsyncFnOnce(&Self, &ChannelStore, Timestamp) -> i64) -> Self {
        self.fixture.until_heard();
        self.fixture.cancel.cancel();
        wait_until("it to end", RUN, || self.fixture.running.is_finished());
        let store = ChannelStore::Journal(self.engine.handle.clone(), ChannelKind::Telegram);
        let begun = SystemClock.now();
        let update = done(&self, &store, begun).await;
        let offset = json!({"next": update, "handled": [], "begun": [update, begun]});
        store.set("updates", Some(offset.to_string())).await.expect("written");
        let Self { sealed, engine, fixture } = self;
        let api = fixture.close().await;
        let fixture = Fixture::open(api, store, engine.client.clone(), &[ADA, BOB]);
        Self { sealed, engine, fixture }
    }

    async fn close(self) {
        self.fixture.close().await;
        self.engine.signals.shutdown.cancel();
        self.engine.serve().await;
        self.sealed.finish();
    }
}

/// The key of the update with this number, if orch started to handle it at that time.
fn key(update: i64, begun: Timestamp) -> String {
    format!("telegram-{update}-{}", begun.as_millisecond())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_adds_looks_and_approves_from_the_chat_and_the_history_says_who() {
    let system = EngineFixture::open().await;
    let (fixture, api) = (&system.fixture, &system.fixture.api);
    api.writes(ADA, GROUP, "/ADD@orch_bot Say hello\nin a file\nof its own");
    fixture.until_said("#1 is added: Say hello");
    system.until_it_is(1, "needs_review").await;
    api.writes(ADA, GROUP, "/show #1");
    wait_until("buttons", RUN, || api.button(GROUP, "Approve").is_some());
    api.presses(ADA, GROUP, "Show diff");
    fixture.until_said("+hello");
    fixture.until_heard();
    let (message, token) = api.button(GROUP, "Approve").expect("a button");
    // Two press the same button, and one of them twice.
    api.presses_token(BOB, GROUP, message, &token);
    api.presses_token(ADA, GROUP, message, &token);
    api.presses_token(BOB, GROUP, message, &token);
    system.until_it_is(1, "done").await;
    fixture.until_said("#1 is approved at ");
    fixture.until_heard();
    wait_until("a word to each of them", RUN, || api.calls("answerCallbackQuery") == 4);
    let pressed = api.takes("answerCallbackQuery");
    let toasts: Vec<&str> = pressed[1..].iter().map(|takes| takes["text"].as_str().unwrap_or_default()).collect();
    let text = ["approving; the answer follows", "it was already pressed, by 43", "it was already pressed"];
    assert_eq!(toasts, text);
    let approved = system.history("approved").await;
    assert_eq!(approved.len(), 1);
    assert!(approved[0].contains("(telegram user 43)"), "{approved:?}");
    let has_buttons =
        |message: i64| api.messages(GROUP).iter().any(|seen| seen.id == message && !seen.buttons.is_empty());
    wait_until("the buttons to go", RUN, || !has_buttons(message));
    for (order, answer) in [
        ("/tasks", "no open tasks"),
        ("/shwo 1", "shwo; did you mean"),
        ("/show 99", "there is no task 99"),
        ("/frobnicate", "frobnicate; "),
    ] {
        api.writes(ADA, GROUP, order);
        fixture.until_said(answer);
    }
    let seen = golden::steady(&api.transcript(GROUP), system.sealed.root());
    // The engine may or may not have come further by the time of the answer.
    let seen = seen.replace("it is in_review now", "it is done now");
    golden::assert_is("telegram-chat.txt", &seen);
    assert_eq!(api.provoked(), 0);
    system.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_is_void_when_the_branch_has_moved() {
    let system = EngineFixture::open().await;
    let (fixture, api) = (&system.fixture, &system.fixture.api);
    system.add("Say hello", "bot", "").await;
    system.until_it_is(1, "needs_review").await;
    api.writes(ADA, GROUP, "/show 1");
    wait_until("buttons", RUN, || api.button(GROUP, "Approve").is_some());
    let task = system.engine.handle.task(TaskId(1)).await.expect("there");
    let worktree = task.place.as_ref().expect("a place").worktree.clone();
    let args = ["-C", worktree.to_str().expect("text"), "commit", "-q", "--allow-empty", "-m", "later"];
    system.sealed.run_program("git").args(args).run().ok();
    api.presses(ADA, GROUP, "Approve");
    fixture.until_said(" now, not at ");
    assert_eq!((system.status(1).await.as_str(), system.history("approved").await.len()), ("needs_review", 0));
    // What is shown now can be ruled on.
    let before = api.messages(GROUP).len();
    api.writes(ADA, GROUP, "/diff 1");
    let new = || {
        api.button(GROUP, "Request changes").filter(|(id, _)| api.messages(GROUP)[before..].iter().any(|m| m.id == *id))
    };
    let (shown, _) = wait_some("new buttons", RUN, new);
    // Unjudged work can be rejected, but not approved.
    let approvable = api.button(GROUP, "Approve");
    assert!(approvable.is_none_or(|(message, _)| message != shown), "{:?}", api.messages(GROUP));
    api.presses(ADA, GROUP, "Request changes");
    fixture.until_said("What should change in #1?");
    let asked = api.messages(GROUP).into_iter().find(|seen| seen.text.starts_with("What should change")).expect("said");
    fixture.until_heard();
    wait_until("all to be said", RUN, || fixture.telegram.waiting() == 0);
    let key = format!("message/{GROUP}/{}", asked.id);
    let is_known = async || system.engine.handle.kept(ChannelKind::Telegram, &key).await.expect("read").is_some();
    let known = async {
        while !is_known().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(RUN, known).await.expect("the thread of that message is known");
    api.answers(ADA, GROUP, asked.id, "say it louder");
    fixture.until_said("#1 goes back to its author");
    let rejected = system.history("rejected").await;
    assert!(rejected[0].contains("(telegram user 42)") && rejected[0].contains("say it louder"), "{rejected:?}");
    system.until("a second run", async || system.history("run_ended").await.len() >= 2).await;
    system.close().await;
}

/// Rows of what a process that dies leaves behind: the press is taken, or the work sent back, and nothing else is noted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_and_a_reason_that_orch_died_over_are_carried_out_once_when_it_is_back() {
    let mut system = EngineFixture::open().await;
    system.add("Say hello", "bot", "").await;
    system.until_it_is(1, "needs_review").await;
    system.fixture.api.writes(ADA, GROUP, "/show 1");
    wait_until("buttons", RUN, || system.fixture.api.button(GROUP, "Request changes").is_some());
    let (wish, token) = system.fixture.api.button(GROUP, "Request changes").expect("a button");
    system = system
        .dies_over(async |system: &EngineFixture, store: &ChannelStore, begun| {
            let update = system.fixture.api.presses_token(ADA, GROUP, wish, &token);
            let under = format!("{GROUP}/{wish}");
            let taken = redeem(store, &token, &ADA.to_string(), &under, &key(update, begun), begun).await;
            assert!(taken.expect("read").is_ok());
            update
        })
        .await;
    system.fixture.until_said("What should change in #1?");
    system = system
        .dies_over(async |system: &EngineFixture, _: &ChannelStore, begun| {
            let update = system.fixture.api.writes(ADA, GROUP, "/send 1 say it louder");
            let client = system.engine.client.on_behalf_of(format!("telegram user {ADA}")).once(key(update, begun));
            let seen = client.call(&endpoint::TaskShow { id: TaskId(1) }).await.expect("read");
            let commit = seen.evidence.flatten().map(|evidence| evidence.head);
            let body = Reject { reason: "say it louder".to_owned(), commit };
            client.call(&endpoint::TaskReject { id: TaskId(1), body }).await.expect("sent back");
            update
        })
        .await;
    system.fixture.until_said("#1 goes back to its author");
    system.fixture.until_heard();
    assert_eq!((system.history("rejected").await.len(), system.history("message_sent").await.len()), (1, 0));
    system.until("a second run", async || system.history("run_ended").await.len() >= 2).await;
    system.until_it_is(1, "needs_review").await;
    // What the engine does to a task meanwhile is no answer to an order.
    system = system
        .dies_over(async |system: &EngineFixture, _: &ChannelStore, _| {
            let retry = endpoint::TaskRetry { id: TaskId(1), query: SeenQuery::default() };
            system.engine.client.call(&retry).await.expect("moved on");
            system.until("a third run", async || system.history("run_ended").await.len() >= 3).await;
            system.until_it_is(1, "needs_review").await;
            system.fixture.api.writes(ADA, GROUP, "/cancel 1")
        })
        .await;
    system.until_it_is(1, "cancelled").await;
    system.close().await;
}

/// The two moments of `press.taken` and `press.done`, which the table of `make torture` plays with a process that dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_by_a_button_that_orch_died_over_counts_once_whether_it_was_carried_out_or_not() {
    for was_carried_out in [false, true] {
        let mut system = EngineFixture::open().await;
        system.add("Say hello", "bot", "").await;
        system.until_it_is(1, "needs_review").await;
        system.fixture.api.writes(ADA, GROUP, "/show 1");
        wait_until("buttons", RUN, || system.fixture.api.button(GROUP, "Approve").is_some());
        let (message, token) = system.fixture.api.button(GROUP, "Approve").expect("a button");
        system = system
            .dies_over(async |system: &EngineFixture, store: &ChannelStore, begun| {
                let update = system.fixture.api.presses_token(ADA, GROUP, message, &token);
                let under = format!("{GROUP}/{message}");
                let key = key(update, begun);
                let taken = redeem(store, &token, &ADA.to_string(), &under, &key, begun).await;
                assert!(taken.expect("read").is_ok());
                if was_carried_out {
                    let client = system.engine.client.on_behalf_of(format!("telegram user {ADA}")).once(key);
                    let seen = client.call(&endpoint::TaskShow { id: TaskId(1) }).await.expect("read");
                    let body = Accept { commit: seen.evidence.flatten().map(|evidence| evidence.head) };
                    client.call(&endpoint::TaskApprove { id: TaskId(1), body }).await.expect("approved");
                }
                update
            })
            .await;
        system.fixture.until_said("#1 is approved at ");
        system.fixture.until_heard();
        system.until_it_is(1, "done").await;
        assert_eq!(system.history("approved").await.len(), 1, "carried out before: {was_carried_out}");
        // Somebody else's press of the same button is not that one.
        system.fixture.api.presses_token(BOB, GROUP, message, &token);
        let text = || {
            let takes = system.fixture.api.takes("answerCallbackQuery");
            takes.iter().any(|takes| takes["text"] == "it was already pressed, by 42")
        };
        wait_until("a word to the other", RUN, text);
        system.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_of_a_question_that_was_answered_elsewhere_does_nothing() {
    let system = EngineFixture::open().await;
    let (fixture, api) = (&system.fixture, &system.fixture.api);
    let go = system.sealed.root().join("go");
    system.sealed.program("bot", "#!/bin/sh\ncat > /dev/null\necho nothing\n");
    system.add("Do nothing", "bot", "").await;
    system.until_it_is(1, "needs_review").await;
    api.writes(ADA, GROUP, "/show 1");
    wait_until("buttons", RUN, || api.button(GROUP, "Cancel").is_some());
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done", go.display());
    system.sealed.program("bot", &format!("#!/bin/sh\necho at work\n{wait}\n"));
    let retry = endpoint::TaskRetry { id: TaskId(1), query: SeenQuery::default() };
    system.engine.client.call(&retry).await.expect("at the terminal");
    system.until_it_is(1, "in_progress").await;
    api.presses(ADA, GROUP, "Cancel");
    fixture.until_said("Nothing was done: #1 has changed since");
    assert_eq!((system.status(1).await.as_str(), system.history("cancel_asked").await.len()), ("in_progress", 0));
    crate::kit::write_file(&go, "");
    system.until_it_is(1, "needs_review").await;
    system.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attached_text_file_becomes_a_part_of_the_task_and_another_file_does_not() {
    let system = EngineFixture::open().await;
    let (fixture, api) = (&system.fixture, &system.fixture.api);
    system
        .engine
        .handle
        .switch(orch_core::operations::pause::PauseSelector::All, true, "the test".into())
        .await
        .expect("paused");
    api.file("notes", "first\nsecond 🙂\n".as_bytes());
    api.file("picture", &[0, 159, 146, 150]);
    let with = |caption: &str, file: &str, size: u64| json!({"text": null, "caption": caption, "document": {"file_id": file, "file_name": "n.txt", "file_size": size}});
    api.writes_with(ADA, ADA, "", &with("/add Read the notes", "notes", 20));
    fixture.until_said_in(ADA, "#1 is added: Read the notes");
    let task = system.engine.handle.task(TaskId(1)).await.expect("there");
    assert_eq!(task.spec.body, "first\nsecond 🙂\n");
    api.writes_with(ADA, ADA, "", &with("/add Look at it", "picture", 4));
    fixture.until_said_in(ADA, "n.txt is no text");
    api.writes_with(ADA, ADA, "", &with("/add Read all", "notes", 10 << 20));
    fixture.until_said_in(ADA, "n.txt is too large: at most 256 kB");
    api.writes_with(ADA, ADA, "", &with("/cancel 1", "notes", 20));
    fixture.until_said_in(ADA, "a file can only become a part of a new task");
    for kind in ["photo", "voice", "video"] {
        let before = api.texts(ADA).len();
        api.writes_with(ADA, ADA, "", &json!({"text": null, "caption": "/add Look at it", kind: {"file_id": "f"}}));
        wait_until("that to be reported", RUN, || api.texts(ADA).len() > before);
        fixture.until_said_in(ADA, "only text files are read");
    }
    assert_eq!(system.engine.handle.tasks_after(TaskId(0)).await.expect("read").0.len(), 1);
    api.writes(ADA, ADA, "/resume");
    fixture.until_said_in(ADA, "Starts are resumed.");
    system.until_it_is(1, "needs_review").await;
    system.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_one_message_that_ends_with_the_verdict() {
    let system = EngineFixture::open().await;
    let (fixture, api) = (&system.fixture, &system.fixture.api);
    let go = system.sealed.root().join("go");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done", go.display());
    system.sealed.program("bot", &format!("#!/bin/sh\necho at work\n{wait}\necho over\n"));
    system.add("Work", "bot", "").await;
    system.until_it_is(1, "in_progress").await;
    api.writes(ADA, GROUP, "/stream 1");
    fixture.until_said("at work");
    api.writes(ADA, GROUP, "/stop");
    fixture.until_said("■ the stream was ended");
    fixture.until_said("The stream ends.");
    api.writes(ADA, GROUP, "/stream 1");
    let shown = || api.texts(GROUP).iter().filter(|text| text.contains("at work")).count();
    wait_until("another message", RUN, || shown() == 2);
    crate::kit::write_file(&go, "");
    fixture.until_said("■ needs_review");
    let streams: Vec<_> = api.messages(GROUP).into_iter().filter(|seen| seen.text.starts_with("#1 Work\n")).collect();
    assert_eq!(streams.len(), 2, "{streams:#?}");
    assert!(streams[1].edits > 0 && streams[1].text.contains("over"), "{}", streams[1].text);
    assert!(streams[1].text.contains("bot"), "{}", streams[1].text);
    assert_eq!(api.provoked(), 0);
    system.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_tasks_message_reaches_the_agent_at_work_and_is_answered_with_the_receipt() {
    let system = EngineFixture::open().await;
    let (fixture, api) = (&system.fixture, &system.fixture.api);
    // It reads messages between two steps.
    let steps = "say at work\n".to_owned() + &"wait 100ms\n".repeat(80);
    system.add("Work", "live", &format!("```orch-script\n{steps}```")).await;
    system.until_it_is(1, "in_progress").await;
    api.writes(ADA, GROUP, "/stream 1");
    fixture.until_said("at work");
    let shown = api.messages(GROUP).into_iter().find(|seen| seen.text.contains("at work")).expect("a message");
    api.answers(ADA, GROUP, shown.id, "use the new API");
    fixture.until_said("It is on its way: handed to the agent");
    system.until("the agent taking it up", async || !system.history("message_delivered").await.is_empty()).await;
    let said = system.history("message_sent").await;
    assert!(said.len() == 1 && said[0].contains("use the new API"), "{said:?}");
    fixture.until_said("message from you: use the new API");
    api.writes(ADA, GROUP, "/cancel 1");
    system.until_it_is(1, "cancelled").await;
    system.close().await;
}
