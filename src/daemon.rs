//! The composition root: the only module that wires everything together. Opens an engine on a home, serves the API in
//! front of it, and wakes it on outside events. It holds no rules.

mod bounded;
mod channels;
mod connections;
mod holder;
mod journal;
mod providers;
mod sockets;
mod tcp;
mod trial;
mod unix;

pub use self::holder::Holder;
pub use self::trial::Trial;

use self::bounded::Bounded;
use self::connections::serve;
use self::holder::Held;
use self::sockets::{Sockets, State};
use jiff::Timestamp;
use notify::{RecursiveMode, Watcher};
use orch_api::client::{Client, Transport};
use orch_config::environment::overrides;
use orch_config::home::{API_SOCKET, Home, TMUX_SOCKET};
use orch_engine::handle::EngineHandle;
use orch_engine::{Damage, Deps, EngineExit, Mode, RebuildError, RestoreError, Signals, Sources};
use orch_server::{ApiState, ChannelRegistry, Listening, ProcessInfo, Readers, router};
use orch_store::journal::{Journal, JournalError};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::crash;
use orch_sys::fs::{self, FsError};
use orch_sys::process::{resident_memory, which};
use orch_sys::tmux::Tmux;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The name of the socket on which runners wake the engine.
const WAKE_SOCKET: &str = "wake.sock";
/// Connections to the socket may use one of this many descriptors, because one that does not read takes two; the engine
/// needs the rest.
const DESCRIPTOR_SHARE: u64 = 3;
/// How long open requests may take at shutdown.
const DRAIN_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(500);
/// How long services beside the engine may take to end at shutdown, in which they send messages that a chat's rate limit
/// holds back. With nothing to send they end at once, so that the next daemon need not wait.
const SERVICES_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
/// How long a command waits for an engine that is starting or shutting down.
const HANDOVER: std::time::Duration = std::time::Duration::from_secs(10);

/// The home and the settings of an engine.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The paths of the home.
    pub home: Home,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// Dotted settings from the command line.
    pub flags: Vec<(String, String)>,
    /// The path of this program.
    pub orch: PathBuf,
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process runs the engine of this home.
    #[error("another orch{} already runs on {}", holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default(), home.display())]
    Busy {
        /// The root of the home.
        home: PathBuf,
        /// The process, if it is known.
        holder: Option<Holder>,
    },
    /// A directory or file cannot be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// A socket cannot be opened.
    #[error("cannot open the socket {}: {source}", path.display())]
    Socket {
        /// The path of the socket.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal is damaged, and this command does not repair it.
    #[error("{cause}")]
    Damaged {
        /// The damage that was found.
        cause: String,
    },
    /// The journal is damaged again shortly after it was rebuilt, so another rebuild would not help.
    #[error("the journal was rebuilt at {at} and is damaged again: {cause}")]
    DamagedAgain {
        /// The time of the last rebuild.
        at: Timestamp,
        /// The damage that was found now.
        cause: String,
    },
    /// A restore was interrupted, and the home is inconsistent.
    #[error("restoring {file} was cut short")]
    Restoring {
        /// The file of the backup.
        file: String,
    },
    /// A backup could not be restored.
    #[error(transparent)]
    Restore(RestoreError),
    /// A damaged journal could not be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
}

/// A running engine with its API.
pub struct Running {
    /// The handle of the engine.
    pub handle: EngineHandle,
    /// A client that calls the API without a socket.
    pub client: Client,
    /// The signals that wake and stop the engine.
    pub signals: Signals,
    /// The report on a damaged journal that was rebuilt while opening.
    pub rebuilt: Option<Box<Damage>>,
    journal: Journal,
    home: Home,
    engine: JoinHandle<EngineExit>,
    server: JoinHandle<()>,
    services: Vec<JoinHandle<()>>,
    closing: CancellationToken,
    shutting_down: CancellationToken,
    sockets: Sockets,
    _watcher: Option<notify::RecommendedWatcher>,
    _lock: Arc<Held>,
}

impl Setup {
    /// Returns the directory of sockets for a home whose own path is too long for one. The first process that opens the home
    /// records it, so that a caller without `XDG_RUNTIME_DIR` (cron) finds the same one.
    fn runtime_dir(&self) -> Option<PathBuf> {
        let recorded = fs::read_text(&self.runtime_file(), 4096).ok().map(PathBuf::from).filter(|dir| dir.is_dir());
        recorded.or_else(|| self.environment.get("XDG_RUNTIME_DIR").map(PathBuf::from))
    }

    fn runtime_file(&self) -> PathBuf {
        self.home.state().join("runtime-dir")
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.home.socket_path(name, self.runtime_dir().as_deref(), rustix::process::getuid().as_raw())
    }

    /// Returns the path of the API's socket.
    pub fn api_socket(&self) -> PathBuf {
        self.socket(API_SOCKET)
    }

    /// Returns the paths of an engine's sockets: the API's, and the one on which runners wake it.
    pub fn sockets(&self) -> [PathBuf; 2] {
        [self.api_socket(), self.socket(WAKE_SOCKET)]
    }

    /// Returns this home's own tmux server, which gets only the variables that are needed to find programs.
    pub fn tmux(&self) -> Tmux {
        let path = self.environment.get("PATH").map_or("", String::as_str);
        let program = which("tmux", path).unwrap_or_else(|| PathBuf::from("tmux"));
        let kept = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TMPDIR"];
        let mut env: Vec<(OsString, OsString)> = kept
            .iter()
            .filter_map(|name| Some((OsString::from(name), OsString::from(self.environment.get(*name)?))))
            .collect();
        env.push(("TERM".into(), "xterm-256color".into()));
        if !kept.iter().any(|name| name.starts_with('L') && self.environment.contains_key(*name)) {
            env.push(("LANG".into(), "C.UTF-8".into()));
        }
        env.extend(crash::inherited_variables());
        Tmux::new(program, self.socket(TMUX_SOCKET), env)
    }

    /// Returns the error that another process has this home.
    pub fn busy(&self) -> OpenError {
        OpenError::Busy { home: self.home.root().to_owned(), holder: self.holder() }
    }

    /// Creates the home and its private directories.
    pub fn prepare(&self) -> Result<(), FsError> {
        fs::create_dir_private(self.home.root())?;
        fs::create_dir_private(&self.home.state())?;
        fs::create_dir_private(&self.home.runs())?;
        let recorded = fs::read_text(&self.runtime_file(), 4096).ok();
        if let Some(dir) = self.runtime_dir().and_then(|dir| dir.to_str().map(str::to_owned))
            && recorded.as_ref() != Some(&dir)
        {
            fs::write_private(&self.runtime_file(), dir.as_bytes(), fs::Durability::Cached)?;
        }
        for name in [API_SOCKET, TMUX_SOCKET, WAKE_SOCKET] {
            if let Some(parent) = self.socket(name).parent() {
                fs::create_dir_private(parent)?;
            }
        }
        Ok(())
    }

    /// Checks whether this version of orch can open the home's journal. Blocks briefly.
    pub fn check_journal(&self) -> Result<(), OpenError> {
        Ok(Journal::check(&self.home.journal())?)
    }

    /// Returns a client of the daemon, if one answers.
    pub async fn connect(&self) -> Option<Client> {
        let socket = self.api_socket();
        UnixStream::connect(&socket).await.ok()?;
        Some(Client::new(Transport::Socket(socket)))
    }

    /// Returns a client of the daemon, or of an engine that is opened in this process for one command.
    pub async fn connect_or_open(&self, mode: Mode) -> Result<(Client, Option<Running>), OpenError> {
        // After the deadline, a process that holds the lock and never answers is reported.
        let deadline = tokio::time::sleep(HANDOVER);
        tokio::pin!(deadline);
        loop {
            if let Some(client) = self.connect().await {
                return Ok((client, None));
            }
            match self.open(mode).await {
                Ok(running) => return Ok((running.client.clone(), Some(running))),
                Err(busy @ OpenError::Busy { .. }) => {
                    tokio::select! {
                        () = &mut deadline => return Err(busy),
                        () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the sources of this home's settings.
    pub fn sources(&self) -> Sources {
        Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone())
    }

    fn deps(&self, journal: Journal, wake_socket: PathBuf) -> Deps {
        Deps {
            home: self.home.clone(),
            clock: Arc::new(SystemClock),
            journal,
            damage: orch_engine::last_damage(&self.home),
            tmux: self.tmux(),
            orch: self.orch.clone(),
            environment: self.environment.clone(),
            wake_socket,
            sources: self.sources(),
            git: tokio::sync::OnceCell::new(),
            repositories: std::sync::Mutex::default(),
            discovering: orch_engine::Discovering::default(),
            ledger: orch_engine::Ledger::default(),
            obstacles: orch_engine::Obstacles::default(),
        }
    }

    /// Opens the engine of this home in this process.
    pub async fn open(&self, mode: Mode) -> Result<Running, OpenError> {
        self.prepare()?;
        let lock = fs::lock_exclusive(&self.home.lock())?.ok_or_else(|| self.busy())?;
        let lock = Arc::new(Held::new(lock, mode));
        let (journal, loaded, rebuilt) = self.open_journal(mode).await?;
        let signals = Signals::default();
        if loaded.unexamined {
            journal::examine_in_background(&self.home, &signals, &journal);
        }
        let [_, wake_socket] = self.sockets();
        let state = State::new(&lock, self.home.lock(), self.home.journal());
        let (sockets, listener) = Sockets::open(self, state, &signals)?;
        let [settings_changed, channels_changed, providers_changed] = [(); 3].map(|()| Arc::new(Notify::new()));
        // A short command reads the files once; every other mode follows changes.
        let watcher = if let Mode::Command = mode {
            None
        } else {
            let all = [&settings_changed, &channels_changed, &providers_changed];
            watch_or_poll(self.home.root(), &signals, all.map(Arc::clone))
        };
        let deps = Arc::new(self.deps(journal.clone(), wake_socket.clone()));
        let (engine, handle) = orch_engine::start(deps, loaded, mode, signals.clone());
        let listening = Arc::new(Listening::default());
        let process = ProcessInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mode,
            overrides: overrides(&self.environment, &self.flags),
            started: SystemClock.now(),
            listening: Arc::clone(&listening),
            memory: resident_memory,
            run_of: unix::run_of,
            displaced: self.displaced(),
        };
        let (engine_of, shutting_down) = (handle.clone(), CancellationToken::new());
        let (process, readers) = (Arc::new(process), Readers::default());
        let (registry, asked) = ChannelRegistry::new();
        let routes = router(ApiState { engine: engine_of, process, registry, readers, parting: shutting_down.clone() });
        let closing = signals.shutdown.child_token();
        let listener = Bounded::new(listener, DESCRIPTOR_SHARE, usize::MAX);
        let server = tokio::spawn(serve(listener, routes.clone(), closing.clone()));
        let mut services = Vec::new();
        if matches!(mode, Mode::Serve | Mode::UntilIdle) {
            self.keep_tcp(routes.clone(), listening, settings_changed, closing.clone());
            let client = Client::new(Transport::InProcess(routes.clone()));
            services.push(self.keep_channels(handle.clone(), client, channels_changed, asked, closing.clone()));
            services.push(self.watch_providers(handle.clone(), providers_changed, closing.clone()));
        }
        Ok(Running {
            handle,
            client: Client::new(Transport::InProcess(routes)),
            signals,
            rebuilt: rebuilt.map(Box::new),
            journal,
            home: self.home.clone(),
            engine: tokio::spawn(engine.run()),
            server,
            services,
            closing,
            shutting_down,
            sockets,
            _watcher: watcher,
            _lock: lock,
        })
    }
}

impl Running {
    /// Waits until the engine has finished what its mode demands, and shuts down.
    pub async fn finish(self) -> EngineExit {
        // New connections are refused, open requests are answered. The server holds a handle too: once all handles are
        // dropped, the engine knows that no more commands can come.
        drop(self.sockets);
        self.closing.cancel();
        self.shutting_down.cancel();
        drop((self.handle, self.client));
        tokio::join!(drain(self.server), drain_all(self.services));
        let exit = self.engine.await.unwrap_or_default();
        close_journal(&self.home, &self.journal, exit, &self.signals).await
    }

    /// Serves until the engine ends by itself or on request.
    pub async fn serve(self) -> EngineExit {
        let exit = self.engine.await.unwrap_or_default();
        drop(self.sockets);
        self.closing.cancel();
        self.shutting_down.cancel();
        drop((self.handle, self.client));
        tokio::join!(drain(self.server), drain_all(self.services));
        close_journal(&self.home, &self.journal, exit, &self.signals).await
    }
}

/// Closes the journal while the lock is still held. A damaged one is left unchanged.
async fn close_journal(home: &Home, journal: &Journal, exit: EngineExit, signals: &Signals) -> EngineExit {
    if let Some(missing) = signals.displaced.get() {
        return journal::rewrite(home, journal, exit, missing).await;
    }
    match &exit.damage {
        Some(cause) => {
            journal::mark_damaged(home, cause);
            // The next process copies the files, which must not change meanwhile.
            journal.abandon().await;
        }
        None => journal.leave().await,
    }
    exit
}

/// Waits for open requests, at most [`DRAIN_TIMEOUT`].
async fn drain(server: JoinHandle<()>) {
    end_by(tokio::time::Instant::now() + DRAIN_TIMEOUT, server).await;
}

/// Waits for the services beside the engine, at most [`SERVICES_TIMEOUT`] for all of them.
async fn drain_all(services: Vec<JoinHandle<()>>) {
    let deadline = tokio::time::Instant::now() + SERVICES_TIMEOUT;
    for service in services {
        end_by(deadline, service).await;
    }
}

async fn end_by(deadline: tokio::time::Instant, work: JoinHandle<()>) {
    let abort = work.abort_handle();
    if tokio::time::timeout_at(deadline, work).await.is_err() {
        abort.abort();
    }
}

/// Watches the home's directory, not its files, because editors replace files by renaming. The kernel limits watches per
/// user; when other programs use them all, the files are polled instead.
fn watch_or_poll(root: &Path, signals: &Signals, settings: [Arc<Notify>; 3]) -> Option<notify::RecommendedWatcher> {
    let watched = watch(root, signals, settings);
    let warn = |error: &notify::Error| {
        tracing::warn!(%error, dir = %root.display(), "the home cannot be watched; its files are polled");
    };
    watched.inspect_err(warn).ok()
}

fn watch(root: &Path, signals: &Signals, settings: [Arc<Notify>; 3]) -> notify::Result<notify::RecommendedWatcher> {
    let files = Arc::clone(&signals.files);
    // The watcher does not check whether its thread starts, and panics twice where it does not. The stack of a thread that
    // has ended is used again by the next.
    let probe = std::thread::Builder::new().spawn(|| ()).map_err(notify::Error::io)?;
    probe.join().ok();
    let target = linked(root);
    let seen = target.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error means that events were missed: assume a change.
        let concerns = |is_it: &dyn Fn(&Path) -> bool| {
            let seen = |event: &notify::Event| !event.kind.is_access() && event.paths.iter().any(|path| is_it(path));
            event.as_ref().map_or(true, seen)
        };
        if concerns(&|path| is_watched(path) || Some(path) == seen.as_deref()) {
            files.notify_one();
        }
        if concerns(&is_settings) {
            settings.iter().for_each(|changed| changed.notify_one());
        }
    })?;
    watcher.watch(root, RecursiveMode::NonRecursive)?;
    if let Some(dir) = target.as_deref().and_then(Path::parent)
        && let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive)
    {
        // The file is polled all the same.
        tracing::warn!(%error, dir = %dir.display(), "the file that tasks.yml is a link to cannot be watched");
    }
    Ok(watcher)
}

fn is_watched(path: &Path) -> bool {
    is_settings(path) || path.file_name().is_some_and(|name| name == "tasks.yml" || name == "jobs.yml")
}

/// Returns the target of `tasks.yml`, if that is a symbolic link.
fn linked(root: &Path) -> Option<PathBuf> {
    let file = root.join("tasks.yml");
    file.is_symlink().then(|| file.canonicalize().ok()).flatten()
}

fn is_settings(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "config.yml")
}
