//! The engine opened in this process: what commands do without a daemon, seen from inside.

use crate::kit::sealed_box::SealedBox;
use orch::config::Home;
use orch::daemon::Setup;
use orch::domain::task::{Spec, Status};
use orch::engine::Mode;
use orch::engine::handle::Project;
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
            if feed.recv().await.expect("the feed goes on").kind == "done" {
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
