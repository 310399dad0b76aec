//! Telegram with an engine behind it: what a person does from the chat happens to real tasks, and what they see of it.
//! The chat as a whole is `fixtures/rendered/telegram-chat.txt`; `ORCH_BLESS=1` writes it anew.

use super::{ADA, BOB, GROUP, Room, quick};
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
use orch_core::channel::ChannelKind;
use orch_core::ids::TaskId;
use orch_core::task::Spec;
use orch_engine::Mode;
use orch_engine::handle::Project;
use orch_sys::clock::{Clock, SystemClock};
use serde_json::json;
use std::path::PathBuf;

/// Adds a file and commits it.
const WORK: &str =
    "#!/bin/sh\ncat > /dev/null\necho hello > hello.txt\ngit add hello.txt\ngit commit -q -m 'Add hello'\n";

/// A home with an engine in this process, and the channel on it.
struct House {
    sealed: SealedBox,
    engine: Running,
    room: Room,
}

impl House {
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
        let room = Room::open(quick(), store, engine.client.clone(), &[ADA, BOB]);
        Self { sealed, engine, room }
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

    /// orch died over what Telegram tells with the number that `done` returns, with which it began at the time that `done` is
    /// given: `done` is what it got done of it. It is back.
    async fn dies_over(self, done: impl AsyncFnOnce(&Self, &ChannelStore, Timestamp) -> i64) -> Self {
        self.room.until_heard();
        self.room.cancel.cancel();
        wait_until("it to end", RUN, || self.room.running.is_finished());
        let store = ChannelStore::Journal(self.engine.handle.clone(), ChannelKind::Telegram);
        let begun = SystemClock.now();
        let update = done(&self, &store, begun).await;
        let offset = json!({"next": update, "handled": [], "begun": [update, begun]});
        store.set("updates", Some(offset.to_string())).await.expect("written");
        let Self { sealed, engine, room } = self;
        let api = room.close().await;
        let room = Room::open(api, store, engine.client.clone(), &[ADA, BOB]);
        Self { sealed, engine, room }
    }

    async fn close(self) {
        self.room.close().await;
        self.engine.signals.shutdown.cancel();
        self.engine.serve().await;
        self.sealed.finish();
    }
}

/// The key of what Telegram tells with this number, when orch began with it at that time.
fn key(update: i64, begun: Timestamp) -> String {
    format!("telegram-{update}-{}", begun.as_millisecond())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_adds_looks_and_approves_from_the_chat_and_the_history_says_who() {
    let house = House::open().await;
    let (room, api) = (&house.room, &house.room.api);
    api.writes(ADA, GROUP, "/ADD@orch_bot Say hello\nin a file\nof its own");
    room.until_said("#1 is added: Say hello");
    house.until_it_is(1, "needs_review").await;
    api.writes(ADA, GROUP, "/show #1");
    wait_until("buttons", RUN, || api.button(GROUP, "Approve").is_some());
    api.presses(ADA, GROUP, "Show diff");
    room.until_said("+hello");
    room.until_heard();
    let (message, token) = api.button(GROUP, "Approve").expect("a button");
    // Two press the same button, and one of them twice.
    api.presses_token(BOB, GROUP, message, &token);
    api.presses_token(ADA, GROUP, message, &token);
    api.presses_token(BOB, GROUP, message, &token);
    house.until_it_is(1, "done").await;
    room.until_said("#1 is approved at ");
    room.until_heard();
    wait_until("a word to each of them", RUN, || api.calls("answerCallbackQuery") == 4);
    let pressed = api.takes("answerCallbackQuery");
    let toasts: Vec<&str> = pressed[1..].iter().map(|takes| takes["text"].as_str().unwrap_or_default()).collect();
    let told = ["approving; the answer follows", "it was already pressed, by 43", "it was already pressed"];
    assert_eq!(toasts, told);
    let approved = house.history("approved").await;
    assert_eq!(approved.len(), 1);
    assert!(approved[0].contains("(telegram user 43)"), "{approved:?}");
    let bears = |message: i64| api.messages(GROUP).iter().any(|seen| seen.id == message && !seen.buttons.is_empty());
    wait_until("the buttons to go", RUN, || !bears(message));
    for (order, answer) in [
        ("/tasks", "no open tasks"),
        ("/shwo 1", "shwo; did you mean"),
        ("/show 99", "there is no task 99"),
        ("/frobnicate", "frobnicate; "),
    ] {
        api.writes(ADA, GROUP, order);
        room.until_said(answer);
    }
    let seen = golden::steady(&api.transcript(GROUP), house.sealed.root());
    // The engine may or may not have come further by the time of the answer.
    let seen = seen.replace("it is in_review now", "it is done now");
    golden::assert_is("telegram-chat.txt", &seen);
    assert_eq!(api.provoked(), 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_is_void_when_the_branch_has_moved() {
    let house = House::open().await;
    let (room, api) = (&house.room, &house.room.api);
    house.add("Say hello", "bot", "").await;
    house.until_it_is(1, "needs_review").await;
    api.writes(ADA, GROUP, "/show 1");
    wait_until("buttons", RUN, || api.button(GROUP, "Approve").is_some());
    let task = house.engine.handle.task(TaskId(1)).await.expect("there");
    let worktree = task.place.as_ref().expect("a place").worktree.clone();
    let args = ["-C", worktree.to_str().expect("text"), "commit", "-q", "--allow-empty", "-m", "later"];
    house.sealed.run_program("git").args(args).run().ok();
    api.presses(ADA, GROUP, "Approve");
    room.until_said(" now, not at ");
    assert_eq!((house.status(1).await.as_str(), house.history("approved").await.len()), ("needs_review", 0));
    // What is shown now can be ruled on.
    let before = api.messages(GROUP).len();
    api.writes(ADA, GROUP, "/diff 1");
    let new = || {
        api.button(GROUP, "Request changes").filter(|(id, _)| api.messages(GROUP)[before..].iter().any(|m| m.id == *id))
    };
    let (shown, _) = wait_some("new buttons", RUN, new);
    // What nobody has judged can be sent back, and not be approved.
    let approvable = api.button(GROUP, "Approve");
    assert!(approvable.is_none_or(|(message, _)| message != shown), "{:?}", api.messages(GROUP));
    api.presses(ADA, GROUP, "Request changes");
    room.until_said("What should change in #1?");
    let asked = api.messages(GROUP).into_iter().find(|seen| seen.text.starts_with("What should change")).expect("said");
    room.until_heard();
    wait_until("all to be said", RUN, || room.telegram.waiting() == 0);
    let key = format!("message/{GROUP}/{}", asked.id);
    let is_known = async || house.engine.handle.kept(ChannelKind::Telegram, &key).await.expect("read").is_some();
    let known = async {
        while !is_known().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(RUN, known).await.expect("the thread of that message is known");
    api.answers(ADA, GROUP, asked.id, "say it louder");
    room.until_said("#1 goes back to its author");
    let rejected = house.history("rejected").await;
    assert!(rejected[0].contains("(telegram user 42)") && rejected[0].contains("say it louder"), "{rejected:?}");
    house.until("a second run", async || house.history("run_ended").await.len() >= 2).await;
    house.close().await;
}

/// Rows of what a process that dies leaves behind: the press is taken, or the work sent back, and nothing else is noted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_and_a_reason_that_orch_died_over_are_carried_out_once_when_it_is_back() {
    let mut house = House::open().await;
    house.add("Say hello", "bot", "").await;
    house.until_it_is(1, "needs_review").await;
    house.room.api.writes(ADA, GROUP, "/show 1");
    wait_until("buttons", RUN, || house.room.api.button(GROUP, "Request changes").is_some());
    let (wish, token) = house.room.api.button(GROUP, "Request changes").expect("a button");
    house = house
        .dies_over(async |house: &House, store: &ChannelStore, begun| {
            let update = house.room.api.presses_token(ADA, GROUP, wish, &token);
            let under = format!("{GROUP}/{wish}");
            let taken = redeem(store, &token, (&ADA.to_string(), &under), (&key(update, begun), begun)).await;
            assert!(taken.expect("read").is_ok());
            update
        })
        .await;
    house.room.until_said("What should change in #1?");
    house = house
        .dies_over(async |house: &House, _: &ChannelStore, begun| {
            let update = house.room.api.writes(ADA, GROUP, "/send 1 say it louder");
            let client = house.engine.client.on_behalf_of(format!("telegram user {ADA}")).once(key(update, begun));
            let seen = client.call(&endpoint::TaskShow { id: TaskId(1) }).await.expect("read");
            let commit = seen.evidence.flatten().map(|evidence| evidence.head);
            let body = Reject { reason: "say it louder".to_owned(), commit };
            client.call(&endpoint::TaskReject { id: TaskId(1), body }).await.expect("sent back");
            update
        })
        .await;
    house.room.until_said("#1 goes back to its author");
    house.room.until_heard();
    assert_eq!((house.history("rejected").await.len(), house.history("message_sent").await.len()), (1, 0));
    house.until("a second run", async || house.history("run_ended").await.len() >= 2).await;
    house.until_it_is(1, "needs_review").await;
    // What the engine does to a task meanwhile is no answer to an order.
    house = house
        .dies_over(async |house: &House, _: &ChannelStore, _| {
            let retry = endpoint::TaskRetry { id: TaskId(1), query: SeenQuery::default() };
            house.engine.client.call(&retry).await.expect("moved on");
            house.until("a third run", async || house.history("run_ended").await.len() >= 3).await;
            house.until_it_is(1, "needs_review").await;
            house.room.api.writes(ADA, GROUP, "/cancel 1")
        })
        .await;
    house.until_it_is(1, "cancelled").await;
    house.close().await;
}

/// The two moments of `press.taken` and `press.done`, which the table of `make torture` plays with a process that dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_by_a_button_that_orch_died_over_counts_once_whether_it_was_carried_out_or_not() {
    for was_carried_out in [false, true] {
        let mut house = House::open().await;
        house.add("Say hello", "bot", "").await;
        house.until_it_is(1, "needs_review").await;
        house.room.api.writes(ADA, GROUP, "/show 1");
        wait_until("buttons", RUN, || house.room.api.button(GROUP, "Approve").is_some());
        let (message, token) = house.room.api.button(GROUP, "Approve").expect("a button");
        house = house
            .dies_over(async |house: &House, store: &ChannelStore, begun| {
                let update = house.room.api.presses_token(ADA, GROUP, message, &token);
                let under = format!("{GROUP}/{message}");
                let key = key(update, begun);
                let taken = redeem(store, &token, (&ADA.to_string(), &under), (&key, begun)).await;
                assert!(taken.expect("read").is_ok());
                if was_carried_out {
                    let client = house.engine.client.on_behalf_of(format!("telegram user {ADA}")).once(key);
                    let seen = client.call(&endpoint::TaskShow { id: TaskId(1) }).await.expect("read");
                    let body = Accept { commit: seen.evidence.flatten().map(|evidence| evidence.head) };
                    client.call(&endpoint::TaskApprove { id: TaskId(1), body }).await.expect("approved");
                }
                update
            })
            .await;
        house.room.until_said("#1 is approved at ");
        house.room.until_heard();
        house.until_it_is(1, "done").await;
        assert_eq!(house.history("approved").await.len(), 1, "carried out before: {was_carried_out}");
        // Somebody else's press of the same button is not that one.
        house.room.api.presses_token(BOB, GROUP, message, &token);
        let told = || {
            let takes = house.room.api.takes("answerCallbackQuery");
            takes.iter().any(|takes| takes["text"] == "it was already pressed, by 42")
        };
        wait_until("a word to the other", RUN, told);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_of_a_question_that_was_answered_elsewhere_does_nothing() {
    let house = House::open().await;
    let (room, api) = (&house.room, &house.room.api);
    let go = house.sealed.root().join("go");
    house.sealed.program("bot", "#!/bin/sh\ncat > /dev/null\necho nothing\n");
    house.add("Do nothing", "bot", "").await;
    house.until_it_is(1, "needs_review").await;
    api.writes(ADA, GROUP, "/show 1");
    wait_until("buttons", RUN, || api.button(GROUP, "Cancel").is_some());
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done", go.display());
    house.sealed.program("bot", &format!("#!/bin/sh\necho at work\n{wait}\n"));
    let retry = endpoint::TaskRetry { id: TaskId(1), query: SeenQuery::default() };
    house.engine.client.call(&retry).await.expect("at the terminal");
    house.until_it_is(1, "in_progress").await;
    api.presses(ADA, GROUP, "Cancel");
    room.until_said("Nothing was done: #1 has changed since");
    assert_eq!((house.status(1).await.as_str(), house.history("cancel_asked").await.len()), ("in_progress", 0));
    crate::kit::write_file(&go, "");
    house.until_it_is(1, "needs_review").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attached_text_file_becomes_a_part_of_the_task_and_another_file_does_not() {
    let house = House::open().await;
    let (room, api) = (&house.room, &house.room.api);
    house.engine.handle.switch(orch_core::pause::PauseSelector::All, true, "the test".into()).await.expect("paused");
    api.file("notes", "first\nsecond 🙂\n".as_bytes());
    api.file("picture", &[0, 159, 146, 150]);
    let with = |caption: &str, file: &str, size: u64| json!({"text": null, "caption": caption, "document": {"file_id": file, "file_name": "n.txt", "file_size": size}});
    api.writes_with(ADA, ADA, "", &with("/add Read the notes", "notes", 20));
    room.until_said_in(ADA, "#1 is added: Read the notes");
    let task = house.engine.handle.task(TaskId(1)).await.expect("there");
    assert_eq!(task.spec.body, "first\nsecond 🙂\n");
    api.writes_with(ADA, ADA, "", &with("/add Look at it", "picture", 4));
    room.until_said_in(ADA, "n.txt is no text");
    api.writes_with(ADA, ADA, "", &with("/add Read all", "notes", 10 << 20));
    room.until_said_in(ADA, "n.txt is too large: at most 256 kB");
    api.writes_with(ADA, ADA, "", &with("/cancel 1", "notes", 20));
    room.until_said_in(ADA, "a file can only become a part of a new task");
    for kind in ["photo", "voice", "video"] {
        let before = api.texts(ADA).len();
        api.writes_with(ADA, ADA, "", &json!({"text": null, "caption": "/add Look at it", kind: {"file_id": "f"}}));
        wait_until("that to be told", RUN, || api.texts(ADA).len() > before);
        room.until_said_in(ADA, "only text files are read");
    }
    assert_eq!(house.engine.handle.tasks_after(TaskId(0)).await.expect("read").0.len(), 1);
    api.writes(ADA, ADA, "/resume");
    room.until_said_in(ADA, "Starts are resumed.");
    house.until_it_is(1, "needs_review").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_one_message_that_ends_with_the_verdict() {
    let house = House::open().await;
    let (room, api) = (&house.room, &house.room.api);
    let go = house.sealed.root().join("go");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done", go.display());
    house.sealed.program("bot", &format!("#!/bin/sh\necho at work\n{wait}\necho over\n"));
    house.add("Work", "bot", "").await;
    house.until_it_is(1, "in_progress").await;
    api.writes(ADA, GROUP, "/stream 1");
    room.until_said("at work");
    api.writes(ADA, GROUP, "/stop");
    room.until_said("■ the stream was ended");
    room.until_said("The stream ends.");
    api.writes(ADA, GROUP, "/stream 1");
    let shown = || api.texts(GROUP).iter().filter(|text| text.contains("at work")).count();
    wait_until("another message", RUN, || shown() == 2);
    crate::kit::write_file(&go, "");
    room.until_said("■ needs_review");
    let streams: Vec<_> = api.messages(GROUP).into_iter().filter(|seen| seen.text.starts_with("#1 Work\n")).collect();
    assert_eq!(streams.len(), 2, "{streams:#?}");
    assert!(streams[1].edits > 0 && streams[1].text.contains("over"), "{}", streams[1].text);
    assert!(streams[1].text.contains("bot"), "{}", streams[1].text);
    assert_eq!(api.provoked(), 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_tasks_message_reaches_the_agent_at_work_and_is_answered_with_the_receipt() {
    let house = House::open().await;
    let (room, api) = (&house.room, &house.room.api);
    // It looks up between two steps.
    let steps = "say at work\n".to_owned() + &"wait 100ms\n".repeat(80);
    house.add("Work", "live", &format!("```orch-script\n{steps}```")).await;
    house.until_it_is(1, "in_progress").await;
    api.writes(ADA, GROUP, "/stream 1");
    room.until_said("at work");
    let shown = api.messages(GROUP).into_iter().find(|seen| seen.text.contains("at work")).expect("a message");
    api.answers(ADA, GROUP, shown.id, "use the new API");
    room.until_said("It is on its way: handed to the agent");
    house.until("the agent taking it up", async || !house.history("message_delivered").await.is_empty()).await;
    let said = house.history("message_sent").await;
    assert!(said.len() == 1 && said[0].contains("use the new API"), "{said:?}");
    room.until_said("message from you: use the new API");
    api.writes(ADA, GROUP, "/cancel 1");
    house.until_it_is(1, "cancelled").await;
    house.close().await;
}
