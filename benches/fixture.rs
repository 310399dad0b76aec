//! The fixture of the benchmarks: a sealed box with a daemon, a repository, and the events of its history with their
//! arrival times.

use crate::agent;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use crate::measure::now_ns;
use orch_api::client::{Client, Transport};
use orch_api::endpoint::{self, Endpoint};
use orch_api::queries::{EventsQuery, StatusQuery};
use orch_api::types::{EventView, NewProject, NewTask, TaskDraft, TaskView};
use orch_core::base::ids::TaskId;
use orch_sys::process::Invocation;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A box with a daemon.
pub struct Fixture {
    sealed: SealedBox,
    runtime: Runtime,
    client: Option<Client>,
    stamps: PathBuf,
    worktrees: TempDir,
}

/// An entry of the history, and when it arrived here.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// The entry.
    pub entry: EventView,
}

impl Fixture {
    /// A box without a daemon. Its agent `bot` is [`agent::work`]; `config` is the rest of `config.yml`.
    pub fn new(config: &str) -> Self {
        Self::with("", config)
    }

    /// Opens a fixture with more agents: lines of `agents:`, in which `STAMPS` is replaced by the directory of the
    /// stamps.
    pub fn with(agents: &str, config: &str) -> Self {
        let mut sealed = SealedBox::new();
        let worktrees = memory();
        sealed.set("ORCH_WORKTREES", worktrees.path());
        let stamps = sealed.root().join("stamps");
        std::fs::create_dir_all(&stamps).expect("a directory in the box");
        let program = json!(this_program());
        let agents = agents.replace("STAMPS", &json!(stamps).to_string());
        let args = json!([agent::FLAG, stamps, "{task_id}"]);
        sealed
            .config(&format!("agents:\n  bot: {{kind: command, command: {program}, args: {args}}}\n{agents}{config}"));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { sealed, runtime, client: None, stamps, worktrees }
    }

    /// Starts the daemon.
    pub fn serve(&mut self) {
        self.sealed.serve();
        let socket = self.sealed.socket().expect("the daemon's socket answers");
        self.client = Some(Client::new(Transport::Socket(socket)));
    }

    /// Ends the daemon.
    pub fn stop(&mut self) {
        self.client = None;
        self.sealed.stop_daemon();
    }

    /// Kills the daemon, as a crash would.
    pub fn kill(&mut self) {
        self.client = None;
        self.sealed.kill_daemon();
    }

    /// Ends everything.
    pub fn finish(self) {
        self.sealed.finish();
    }

    /// The daemon's process.
    pub fn daemon_pid(&mut self) -> i32 {
        self.sealed.daemon().pid().as_raw_nonzero().get()
    }

    /// The box.
    pub fn sealed(&self) -> &SealedBox {
        &self.sealed
    }

    /// A program to be run in `dir`, in the box's environment.
    pub fn program(&self, program: impl Into<PathBuf>, dir: &Path) -> Invocation {
        Invocation::new(program, dir).envs(self.sealed.env())
    }

    /// A command of orch.
    pub fn orch<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        self.program(ORCH, self.sealed.base()).args(args)
    }

    /// Where the worktrees are made, orch's and those of the baseline.
    pub fn worktrees(&self) -> &Path {
        self.worktrees.path()
    }

    // ---- the API

    fn client(&self) -> &Client {
        self.client.as_ref().expect("this ground has a daemon")
    }

    fn call<E: Endpoint<Answer: DeserializeOwned>>(&self, request: &E) -> E::Answer {
        let path = E::DESCRIPTION.path;
        self.runtime.block_on(self.client().call(request)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A task with its runs.
    pub fn task(&self, id: u64) -> TaskView {
        self.call(&endpoint::TaskShow { id: TaskId(id) })
    }

    /// Registers a repository.
    pub fn register(&self, repo: &Repo) {
        let body = NewProject { dir: repo.dir().to_owned(), name: "shop".to_owned(), approved: None };
        self.call(&endpoint::ProjectRegister { body });
    }

    /// Adds a task for the agent of the benchmarks; its id.
    pub fn add(&self, title: &str) -> u64 {
        self.add_for(title, "bot")
    }

    /// Adds a task for an agent; its id.
    pub fn add_for(&self, title: &str, agent: &str) -> u64 {
        self.call(&endpoint::TaskAdd { body: new_task(title, agent) }).id.0
    }

    /// Adds tasks at the same moment.
    pub fn add_all(&self, titles: &[String]) {
        let client = self.client();
        let all = titles.iter().map(|title| {
            let request = endpoint::TaskAdd { body: new_task(title, "bot") };
            async move { client.call(&request).await.expect("the daemon takes it") }
        });
        self.runtime.block_on(futures::future::join_all(all));
    }

    /// How many tasks have a status.
    pub fn count(&self, status: &str) -> u64 {
        let overview = self.call(&endpoint::Status { query: StatusQuery::default() });
        overview.status.counts.get(status).copied().unwrap_or(0)
    }

    /// Follows the history from now on.
    pub fn feed(&self) -> Feed {
        Feed::open(self.client().clone())
    }

    // ---- the agent

    /// The directory of the agents' stamps.
    pub fn stamps(&self) -> &Path {
        &self.stamps
    }

    /// Waits for a stamp of the agent of that name.
    pub fn await_stamp(&self, name: &str, which: &str) -> u64 {
        wait::wait_some(&format!("the {which} of agent {name}"), RUN, || agent::stamped(&self.stamps, name, which))
    }
}

/// A directory in memory, where the machine has such a thing: how long a disk takes to make five thousand files differs
/// by a factor of ten from one minute to the next, and would drown what is measured. Everything else stays on the disk.
fn memory() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    let parent = if in_memory.is_dir() { in_memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("ob-").tempdir_in(parent).expect("a temporary directory")
}

fn new_task(title: &str, agent: &str) -> NewTask {
    NewTask {
        task: TaskDraft { title: title.to_owned(), labels: vec![format!("agent:{agent}")], ..TaskDraft::default() },
        ..NewTask::default()
    }
}

/// The benchmarks themselves, which are their own agent.
pub fn this_program() -> PathBuf {
    std::env::current_exe().expect("a running program has a path")
}

/// A repository with that many files of about a kilobyte, fifty to a directory.
pub fn repository(sealed: &SealedBox, files: usize) -> Repo {
    let repo = sealed.repo("shop");
    let text = "fn a_line_of_some_length() -> usize { 1 + 2 + 3 }\n".repeat(20);
    for number in 0..files {
        repo.write(&format!("src/part{}/file{number}.rs", number / 50), &format!("// {number}\n{text}"));
    }
    repo.commit("Add the files");
    repo.git(["repack", "-a", "-d", "--quiet"]);
    repo
}

/// The history as it arrives.
pub struct Feed(Receiver<Seen>);

impl Feed {
    fn open(client: Client) -> Self {
        let (sender, entries) = channel();
        let (ready, opened) = channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut lines = client
                    .stream(&endpoint::EventStream { query: EventsQuery::default() })
                    .await
                    .expect("the daemon tells its history");
                // It ends when the daemon stops, or nobody listens here any more.
                ready.send(()).ok();
                while let Ok(Some(entry)) = lines.event().await {
                    if sender.send(Seen { at: now_ns(), entry }).is_err() {
                        break;
                    }
                }
            });
        });
        opened.recv_timeout(SOON).expect("the feed opens");
        Self(entries)
    }

    /// All entries up to the first that fits.
    pub fn until(&self, what: &str, fits: impl Fn(&EventView) -> bool) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            let seen = self.0.recv_timeout(RUN).unwrap_or_else(|error| panic!("no {what} ({error}) after {all:#?}"));
            assert!(!seen.entry.text.contains("needs_review"), "a task needs a person: {seen:?} after {all:#?}");
            let found = fits(&seen.entry);
            all.push(seen);
            if found {
                return all;
            }
        }
    }
}
