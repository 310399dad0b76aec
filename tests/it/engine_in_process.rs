//! The engine opened in this process: what commands do without a daemon, seen from inside.

use crate::kit;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::RUN;
use orch::daemon::{OpenError, Running, Setup};
use orch_api::endpoint;
use orch_api::queries::{EventsQuery, OutputQuery, StreamQuery};
use orch_config::Home;
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{Spec, Status};
use orch_engine::Mode;
use orch_engine::handle::Project;
use std::path::PathBuf;
use std::time::Duration;

fn setup(sealed: &SealedBox) -> Setup {
    Setup {
        home: Home::new(sealed.orch_home(), None),
        environment: sealed
            .env()
            .into_iter()
            .map(|(n, v)| (n.into_string().expect("text"), v.into_string().expect("text")))
            .collect(),
        flags: Vec::new(),
        orch: PathBuf::from(env!("CARGO_BIN_EXE_orch")),
    }
}

/// Opens the engine when its home's lock is released. A program that another test of this process is starting holds the
/// lock's file as well, until it has replaced its image.
async fn opened(setup: &Setup, mode: Mode) -> Running {
    let free = async {
        loop {
            match setup.open(mode).await {
                Err(OpenError::Busy { .. }) => tokio::task::yield_now().await,
                opened => return opened,
            }
        }
    };
    tokio::time::timeout(RUN, free).await.expect("the lock is let go of").expect("opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_for_a_command_agent_is_done_with_evidence() {
    let sealed = SealedBox::new();
    let repo = sealed.repo("shop");
    sealed.program(
        "bot",
        "#!/bin/sh\ncat > /dev/null\necho hello > hello.txt\ngit add hello.txt\ngit commit -q -m 'Add hello'\n",
    );
    sealed.config(
        "agents:\n  bot: {kind: command, command: bot}\nworkflow: {integrate: merge, checks: [test -f hello.txt]}\n",
    );
    let running = setup(&sealed).open(Mode::Serve).await.expect("opens");
    let engine = running.handle.clone();
    let project = Project { dir: repo.dir().to_owned(), name: "shop".into(), approved: None };
    engine.register(project).await.expect("registers");
    let spec = Spec { title: "Say hello".into(), labels: vec!["agent:bot".into()], ..Spec::default() };
    let id = engine.add(spec).await.expect("adds").id;
    let mut feed = engine.follow();
    let done = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if feed.recv().await.expect("the feed goes on").fact.kind() == "done" {
                break;
            }
        }
    });
    done.await.expect("in time");
    assert_eq!(engine.task(id).await.expect("there").status(), Status::Done);
    assert_eq!(repo.read("hello.txt"), "hello\n");
    running.signals.shutdown.cancel();
    running.serve().await;
    sealed.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commands_engine_ends_although_others_follow_its_events() {
    let sealed = SealedBox::new();
    let repo = sealed.repo("shop");
    let go = sealed.base().join("go");
    sealed
        .program("bot", &format!("#!/bin/sh\necho at work\nwhile [ ! -e '{}' ]; do sleep 0.01; done\n", go.display()));
    sealed.config("agents: {bot: {kind: command, command: bot}}\n");
    let setup = setup(&sealed);
    let daemon = setup.open(Mode::Serve).await.expect("opens");
    let project = Project { dir: repo.dir().to_owned(), name: "shop".into(), approved: None };
    daemon.handle.register(project).await.expect("registers");
    let spec = Spec { title: "Work on".into(), labels: vec!["agent:bot".into()], ..Spec::default() };
    let mut feed = daemon.handle.follow();
    daemon.handle.add(spec).await.expect("adds");
    let started = async { while feed.recv().await.expect("the feed goes on").fact.kind() != "run_started" {} };
    tokio::time::timeout(RUN, started).await.expect("in time");
    daemon.signals.shutdown.cancel();
    daemon.serve().await;

    let command = opened(&setup, Mode::Command).await;
    let stranger = setup.connect().await.expect("its socket answers");
    let (id, query) = (TaskId(1), StreamQuery::default());
    let followed = (
        stranger.stream(&endpoint::EventStream { query: EventsQuery::default() }).await.expect("the history"),
        stranger.stream(&endpoint::StreamAll { query: query.clone() }).await.expect("all output"),
        stranger.stream(&endpoint::TaskStream { id, query }).await.expect("the output of a task"),
        stranger.stream(&endpoint::TaskOutput { id, query: OutputQuery::default() }).await.expect("a transcript"),
        stranger.stream(&endpoint::StatusStream).await.expect("the status"),
    );
    tokio::time::timeout(RUN, command.finish()).await.expect("it leaves while they follow");
    drop(followed);
    let next = opened(&setup, Mode::Serve).await;
    kit::write_file(&go, "");
    next.signals.shutdown.cancel();
    next.serve().await;
    sealed.finish();
}
