//! The sandbox of the demo: a temporary directory with its own home, repository and daemon.

use super::agent_choice::AgentChoice;
use super::project::FILES;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::scripted_agent;
use crate::daemon::Setup;
use orch_api::client::Client;
use orch_api::types::NewProject;
use orch_config::home::Home;
use orch_engine::{SESSION_FILE, content_id};
use orch_sys::clock;
use orch_sys::fs::{self, Durability};
use orch_sys::git::Git;
use orch_sys::process::{self, Invocation, start_on_files};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the daemon may take to answer, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(5);
/// The base branch.
const BASE: &str = "main";
/// How many bytes of the daemon's output are shown if it does not start.
const LAST_WORDS: usize = 64 << 10;

/// The sandbox.
pub(super) struct Sandbox {
    root: PathBuf,
    setup: Setup,
    flags: Vec<String>,
    git: PathBuf,
    daemon: Option<Daemon>,
}

/// The daemon's process. Stopped on drop.
struct Daemon {
    pid: Pid,
    /// It was waited for: its number may belong to another process.
    gone: bool,
}

impl Sandbox {
    /// Creates the directory with everything in it. If a program is missing, creates nothing.
    pub(super) async fn set(choice: &AgentChoice, context: &Context) -> Result<Self, CliError> {
        let root = temporary()?;
        let home = root.join("orch");
        let orch = std::env::current_exe().map_err(CliError::system("cannot determine the path of orch"))?;
        let setup = Setup {
            home: Home::new(&home, None),
            environment: choice.environment(context, &root, &home),
            flags: Vec::new(),
            orch,
        };
        setup.tmux().check().await?;
        let git = Git::locate(&setup.environment, &setup.home.state().join("locks")).await?.program().to_owned();
        let sandbox = Self { root, setup, flags: choice.flags(), git, daemon: None };
        match sandbox.fill(choice).await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                sandbox.remove();
                Err(error)
            }
        }
    }

    async fn fill(&self, choice: &AgentChoice) -> Result<(), CliError> {
        let bin = self.root.join("bin");
        for dir in [&self.root, &self.root.join("home"), self.setup.home.root(), &bin, &self.repository()] {
            fs::create_dir_private(dir)?;
        }
        let link = bin.join(scripted_agent::NAME);
        std::os::unix::fs::symlink(&self.setup.orch, &link).map_err(CliError::system(format!("{}", link.display())))?;
        let config = choice.config(&bin);
        fs::write_private(&self.setup.home.config_file(), config.as_bytes(), Durability::Cached)?;
        for (name, text) in FILES {
            fs::write_private(&self.repository().join(name), text.as_bytes(), Durability::Cached)?;
        }
        let branch = format!("--initial-branch={BASE}");
        for args in [
            &["init", "--quiet", &branch][..],
            &["config", "user.name", "orch demo"],
            &["config", "user.email", "demo@example.invalid"],
            &["add", "--all"],
            &["commit", "--quiet", "--no-verify", "--message", "Begin"],
        ] {
            self.in_repository(args).await?;
        }
        Ok(())
    }

    /// Returns the directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the home.
    pub(super) fn home(&self) -> &Home {
        &self.setup.home
    }

    fn repository(&self) -> PathBuf {
        self.root.join("greet")
    }

    /// Returns the repository for registration; its `.orch.yml` was written here, so it is approved.
    pub(super) fn project(&self) -> Result<NewProject, CliError> {
        let file = fs::read_limited(&self.repository().join(".orch.yml"), LAST_WORDS)?;
        Ok(NewProject { dir: self.repository(), name: "greet".to_owned(), approved: Some(content_id(&file)) })
    }

    /// Returns the history of the base branch, as a graph.
    pub(super) async fn log(&self) -> Vec<String> {
        let log = self.in_repository(&["log", "--oneline", "--graph", "--no-decorate", BASE]).await;
        log.map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
    }

    async fn in_repository(&self, args: &[&str]) -> Result<String, CliError> {
        let program = &self.git;
        let call = Invocation::new(program, self.repository()).args(args).envs(&self.setup.environment);
        let output = process::run_async(&call).await?;
        if output.success() {
            return Ok(output.text());
        }
        Err(CliError::system(call.label())(io::Error::other(output.error_text())))
    }

    // ---- the daemon

    /// Starts `orch serve` as a separate process, and returns when it answers.
    pub(super) async fn start_daemon(&mut self) -> Result<Client, CliError> {
        let said = self.root.join("daemon.log");
        let to = || File::options().append(true).create(true).open(&said);
        let failed = |source| CliError::System { what: "cannot start `orch serve`".to_owned(), source };
        let call =
            Invocation::new(&self.setup.orch, &self.root).arg("serve").args(&self.flags).envs(&self.setup.environment);
        let (out, err) = (to().map_err(failed)?, to().map_err(failed)?);
        let pid = start_on_files(&call, None, out, err).map_err(failed)?;
        self.daemon = Some(Daemon { pid, gone: false });
        let deadline = clock::instant() + PATIENCE;
        while clock::instant() < deadline {
            if let Some(client) = self.setup.connect().await {
                return Ok(client);
            }
            self.check_daemon()?;
            tokio::time::sleep(LOOK).await;
        }
        Err(failed(io::Error::other(format!("it does not answer after {} s", PATIENCE.as_secs()))))
    }

    /// Fails with the daemon's last output if it has exited.
    pub(super) fn check_daemon(&mut self) -> Result<(), CliError> {
        if self.daemon.as_mut().is_none_or(|daemon| !daemon.is_gone()) {
            return Ok(());
        }
        self.daemon = None;
        let said = fs::read_text(&self.root.join("daemon.log"), LAST_WORDS).unwrap_or_default();
        let what = "the demo's daemon has ended".to_owned();
        Err(CliError::System { what, source: io::Error::other(said.trim().to_owned()) })
    }

    // ---- the end

    /// Stops everything that runs here, and removes the directory unless it is kept.
    pub(super) async fn strike(&mut self, keep: bool) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
        self.end_runs().await;
        if !keep {
            self.remove();
        }
    }

    /// Agents outlive a daemon; here they must not.
    async fn end_runs(&self) {
        let tmux = self.setup.tmux();
        for entry in std::fs::read_dir(self.setup.home.runs()).into_iter().flatten().flatten() {
            let run = entry.file_name().to_string_lossy().into_owned();
            // Reading the process table and waiting for killed processes block the thread.
            tokio::task::spawn_blocking(move || process::sweep(&run, Duration::ZERO)).await.ok();
            if let Ok(session) = fs::read_text(&entry.path().join(SESSION_FILE), LAST_WORDS) {
                // The session or the server may have ended by itself.
                tmux.kill_session(session.trim()).await.ok();
            }
        }
        let deadline = clock::instant() + PATIENCE;
        while self.is_tmux_there().await && clock::instant() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn is_tmux_there(&self) -> bool {
        tokio::net::UnixStream::connect(self.setup.tmux().socket()).await.is_ok()
    }

    fn remove(&self) {
        let sockets = self.setup.api_socket();
        let outside = sockets.parent().filter(|dir| !dir.starts_with(&self.root));
        for dir in outside.into_iter().chain([self.root.as_path()]) {
            // A process that is about to exit may write once more: then it is tried again.
            let removed = (0..20).find(|_| {
                let gone = std::fs::remove_dir_all(dir);
                gone.is_ok() || gone.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            });
            if removed.is_none() {
                tracing::warn!(dir = %dir.display(), "the demo's directory could not be removed");
            }
        }
    }
}

impl Daemon {
    fn is_gone(&mut self) -> bool {
        // An error means that there is no process to wait for.
        self.gone = self.gone || !matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None));
        self.gone
    }

    /// Asks it to stop, and kills it if it does not.
    async fn stop(mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let deadline = clock::instant() + PATIENCE;
            kill_process(self.pid, signal).ok();
            while clock::instant() < deadline {
                if self.is_gone() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.gone {
            kill_process(self.pid, Signal::TERM).ok();
        }
    }
}

/// Creates a temporary directory and returns its real path, by which sockets and worktrees are identified.
fn temporary() -> Result<PathBuf, CliError> {
    let parent = std::env::temp_dir();
    let failed = CliError::system(format!("cannot use the temporary directory {}", parent.display()));
    let parent = parent.canonicalize().map_err(failed)?;
    let salt = uuid::Uuid::new_v4().simple().to_string();
    Ok(parent.join(format!("orch-demo-{}", &salt[..8])))
}
