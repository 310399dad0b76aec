//! The runner, as a program of its own, with real small programs as agents.

use crate::kit::process::{Program, Running};
use crate::kit::wait::{RUN, SOON, wait_some, wait_until};
use crate::kit::write_file;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agents::{DialectKind, LaunchSpec, Stdin};
use orch_core::tasks::outcome::{Exit, FailureClass, Outcome, RunKind};
use orch_runner::{Launch, Limits, RunDir, RunReport, RunState, Stop, finish_lost, inspect};
use orch_sys::process::{marked, sweep};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mod again;
mod endings;
mod full_disk;
mod hostile;
mod lost;
mod output;
mod screen;
mod steering;
mod stopping;
mod waiting;

const CLAUDE_INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","model":"sonnet"}"#;
const CLAUDE_DONE: &str = r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s-1","result":"{\"status\":\"done\",\"summary\":\"made it\"}","total_cost_usd":0.25,"usage":{"input_tokens":1,"output_tokens":2}}"#;

/// The program under test, and its arguments before the run directory.
fn runner_command() -> (PathBuf, Vec<String>) {
    (PathBuf::from(env!("CARGO_BIN_EXE_orch")), vec!["__run".to_owned()])
}

/// One run with a shell script as agent. Dropped, it ends what is left of it.
struct Fixture {
    home: tempfile::TempDir,
    launch: Launch,
    env: BTreeMap<String, String>,
    prompt: String,
}

impl Fixture {
    fn new(script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let salt = std::process::id() << 10 | NEXT.fetch_add(1, Ordering::Relaxed);
        let home = tempfile::tempdir().expect("a directory");
        let work = home.path().join("work");
        std::fs::create_dir(&work).expect("a directory");
        let spec = LaunchSpec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: work,
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            stdin: Stdin::Prompt,
            files: BTreeMap::new(),
            opening: serde_json::Value::Null,
        };
        let launch = Launch {
            run_id: RunId::new(TaskId(7), 1, salt),
            task_id: TaskId(7),
            kind: RunKind::Work,
            agent: "mybot".into(),
            model: Some("small".into()),
            dialect: DialectKind::Command,
            spec,
            limits: Limits { grace_ms: 300, ..Limits::default() },
            redact: Vec::new(),
            messages: Vec::new(),
            wake_socket: None,
        };
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
        Self { home, launch, env, prompt: "do it".into() }
    }

    /// An agent that prints events as Claude Code does.
    fn claude(script: &str) -> Self {
        let mut fixture = Self::new(script);
        fixture.launch.dialect = DialectKind::Claude;
        fixture.env.insert("INIT".into(), CLAUDE_INIT.into());
        fixture.env.insert("DONE".into(), CLAUDE_DONE.into());
        fixture
    }

    fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.launch.limits);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    fn dir(&self) -> RunDir {
        RunDir::new(self.home.path().join("run"))
    }

    fn work(&self, name: &str) -> PathBuf {
        self.launch.spec.cwd.join(name)
    }

    fn prepare(&self) -> RunDir {
        self.dir().prepare(&self.launch, &self.env, &self.prompt).expect("writable");
        self.dir()
    }

    /// The runner as a program, not yet started.
    fn runner(&self) -> Program {
        let (program, mut args) = runner_command();
        args.push(self.dir().path().to_str().expect("text").to_owned());
        Program::new(program, self.home.path()).args(args).envs([("LEAKED", "from the runner"), ("TMUX", "/tmp/x")])
    }

    fn start(&self) -> Running {
        self.prepare();
        self.runner().start()
    }

    /// From the start to the report.
    fn run(&self) -> RunReport {
        let ran = self.start().finish(RUN);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(self.marked(), 0, "processes are left behind");
        self.report()
    }

    fn report(&self) -> RunReport {
        match inspect(&self.dir()).expect("readable") {
            RunState::Ended(report) => *report,
            other @ (RunState::NotStarted | RunState::Running { .. } | RunState::Lost { .. }) => {
                panic!("the run has not ended: {other:?}")
            }
        }
    }

    fn transcript(&self) -> String {
        std::fs::read_to_string(self.dir().transcript()).expect("readable")
    }

    fn marked(&self) -> usize {
        marked(self.launch.run_id.as_str()).len()
    }

    /// Waits until the agent has made a file in its working directory.
    fn wait_for(&self, name: &str) {
        wait_until(name, SOON, || self.work(name).exists());
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        sweep(self.launch.run_id.as_str(), Duration::ZERO);
    }
}

fn class(report: &RunReport) -> FailureClass {
    match report.outcome() {
        Outcome::Failed(failure) => failure.class,
        other @ (Outcome::Finished { .. } | Outcome::Cancelled { .. }) => panic!("not a failure: {other:?}"),
    }
}

fn summary(report: &RunReport) -> String {
    match report.outcome() {
        Outcome::Finished { answer } => answer.summary,
        other @ (Outcome::Failed(_) | Outcome::Cancelled { .. }) => panic!("not finished: {other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("exists").permissions().mode() & 0o777
}
