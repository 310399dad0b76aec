//! The composition root: the only file that wires everything. Opens an engine on a home, puts the API in front of it,
//! and lets events from outside wake it.

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

/// Name of the socket on which runners wake the engine.
const WAKE_SOCKET: &str = "wake.sock";
/// Connections to the socket may be one for so many of the descriptors, because one that does not read takes two; the
/// engine needs the rest.
const SHARE: u64 = 3;
/// How long requests that are under way may take when the engine leaves.
const DRAIN: std::time::Duration = std::time::Duration::from_millis(500);
/// How long what works beside the engine may take to end: answers that wait for the pace of a chat are said meanwhile.
/// With nothing to say it ends at once, so that nobody waits for the next daemon.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);
/// How long a command waits for an engine that is just starting or leaving.
const HANDOVER: std::time::Duration = std::time::Duration::from_secs(10);

/// Where and with what to work.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Paths.
    pub home: Home,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// Dotted settings from the command line.
    pub flags: Vec<(String, String)>,
    /// This program.
    pub orch: PathBuf,
}

/// Why no engine could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process runs the engine of this home.
    #[error("another orch{} runs on {} already", holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default(), home.display())]
    Busy {
        /// The home.
        home: PathBuf,
        /// The process, where it can be told.
        holder: Option<Holder>,
    },
    /// A directory or file cannot be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// A socket cannot be opened.
    #[error("cannot open the socket {}: {source}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal is damaged, and this is not the one to mend it.
    #[error("{cause}")]
    Damaged {
        /// What was found.
        cause: String,
    },
    /// The journal is damaged again, a short time after it was rebuilt: one more rebuild would not be the last one.
    #[error("the journal was rebuilt at {at} and is damaged again: {cause}")]
    DamagedAgain {
        /// When it was rebuilt.
        at: Timestamp,
        /// What was found now.
        cause: String,
    },
    /// A restore was cut short, and the home is of two times.
    #[error("restoring {file} was cut short")]
    Restoring {
        /// The backup.
        file: String,
    },
    /// A backup could not be brought back.
    #[error(transparent)]
    Restore(RestoreError),
    /// A damaged journal could not be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
}

/// A running engine with its API.
pub struct Running {
    /// The engine.
    pub handle: EngineHandle,
    /// Requests without a socket.
    pub client: Client,
    /// What wakes and stops it.
    pub signals: Signals,
    /// What became of a journal that was found damaged on the way.
    pub rebuilt: Option<Box<Damage>>,
    journal: Journal,
    home: Home,
    engine: JoinHandle<EngineExit>,
    server: JoinHandle<()>,
    services: Vec<JoinHandle<()>>,
    closing: CancellationToken,
    parting: CancellationToken,
    sockets: Sockets,
    _watcher: Option<notify::RecommendedWatcher>,
    _lock: Arc<Held>,
}

impl Setup {
    /// Where sockets go when the home's own path is too long for one. Whoever opens the home first writes it down, so
    /// that a caller without `XDG_RUNTIME_DIR` (cron) finds the same place.
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

    /// The API's socket.
    pub fn api_socket(&self) -> PathBuf {
        self.socket(API_SOCKET)
    }

    /// Where an engine of this home is reached: by the API, and by runners that wake it.
    pub fn sockets(&self) -> [PathBuf; 2] {
        [self.api_socket(), self.socket(WAKE_SOCKET)]
    }

    /// tmux, as this home uses it: a server of its own that knows nothing but how to find programs.
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

    /// Another process has this home.
    pub fn busy(&self) -> OpenError {
        OpenError::Busy { home: self.home.root().to_owned(), holder: self.holder() }
    }

    /// Makes the home and its private places.
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

    /// Whether this orch could open the home's journal. Blocking, and short.
    pub fn check_journal(&self) -> Result<(), OpenError> {
        Ok(Journal::check(&self.home.journal())?)
    }

    /// A client of the daemon, when one answers.
    pub async fn connect(&self) -> Option<Client> {
        let socket = self.api_socket();
        UnixStream::connect(&socket).await.ok()?;
        Some(Client::new(Transport::Socket(socket)))
    }

    /// A client of the daemon, or of an engine opened in this process for one command.
    pub async fn connect_or_open(&self, mode: Mode) -> Result<(Client, Option<Running>), OpenError> {
        // A deadline, so that a process that holds the lock and never answers is named.
        let patience = tokio::time::sleep(HANDOVER);
        tokio::pin!(patience);
        loop {
            if let Some(client) = self.connect().await {
                return Ok((client, None));
            }
            match self.open(mode).await {
                Ok(running) => return Ok((running.client.clone(), Some(running))),
                Err(busy @ OpenError::Busy { .. }) => {
                    tokio::select! {
                        () = &mut patience => return Err(busy),
                        () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the settings of this home are read from.
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
        let lock = Arc::new(Held::by_this_process(lock, mode));
        let (journal, loaded, rebuilt) = self.open_journal(mode).await?;
        let signals = Signals::default();
        if loaded.unexamined {
            journal::examine_beside(&self.home, &signals, &journal);
        }
        let [_, wake_socket] = self.sockets();
        let state = State::of(&lock, self.home.lock(), self.home.journal());
        let (sockets, face) = Sockets::open(self, state, &signals)?;
        let [settings_changed, channels_changed, providers_changed] = [(); 3].map(|()| Arc::new(Notify::new()));
        // One command reads the files once; who stays hears of changes.
        let watcher = match mode {
            Mode::Command => None,
            Mode::Serve | Mode::Once | Mode::UntilIdle | Mode::Task(_) => {
                let all = [&settings_changed, &channels_changed, &providers_changed];
                watch_or_look(self.home.root(), &signals, all.map(Arc::clone))
            }
        };
        let deps = Arc::new(self.deps(journal.clone(), wake_socket.clone()));
        let (engine, handle) = orch_engine::start(deps, loaded, mode, signals.clone());
        let listening = Arc::new(Listening::default());
        let process = ProcessInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mode: mode.as_str().to_owned(),
            overrides: overrides(&self.environment, &self.flags),
            started: SystemClock.now(),
            listening: Arc::clone(&listening),
            memory: resident_memory,
            run_of: unix::run_of,
            displaced: self.displaced(),
        };
        let (engine_of, parting) = (handle.clone(), CancellationToken::new());
        let (process, readers) = (Arc::new(process), Readers::default());
        let (registry, asked) = ChannelRegistry::new();
        let routes = router(ApiState { engine: engine_of, process, registry, readers, parting: parting.clone() });
        let closing = signals.shutdown.child_token();
        let listener = Bounded::new(face, SHARE, usize::MAX);
        let server = tokio::spawn(serve(listener, routes.clone(), closing.clone()));
        let mut services = Vec::new();
        if matches!(mode, Mode::Serve | Mode::UntilIdle) {
            self.keep_tcp(routes.clone(), listening, settings_changed, closing.clone());
            let client = Client::new(Transport::InProcess(routes.clone()));
            services.push(self.keep_channels(handle.clone(), client, (channels_changed, asked), closing.clone()));
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
            parting,
            sockets,
            _watcher: watcher,
            _lock: lock,
        })
    }
}

impl Running {
    /// Lets go of the engine: it finishes what its mode demands, and leaves.
    pub async fn finish(self) -> EngineExit {
        // Nobody new comes in; who is in is answered. The server holds a handle too: without it the engine sees that
        // nobody can ask any more.
        drop(self.sockets);
        self.closing.cancel();
        self.parting.cancel();
        drop((self.handle, self.client));
        tokio::join!(drain(self.server), drain_all(self.services));
        let exit = self.engine.await.unwrap_or_default();
        part(&self.home, &self.journal, exit, &self.signals).await
    }

    /// Serves until the engine leaves by itself or is told to.
    pub async fn serve(self) -> EngineExit {
        let exit = self.engine.await.unwrap_or_default();
        drop(self.sockets);
        self.closing.cancel();
        self.parting.cancel();
        drop((self.handle, self.client));
        tokio::join!(drain(self.server), drain_all(self.services));
        part(&self.home, &self.journal, exit, &self.signals).await
    }
}

/// The journal is left in order, while the lock is still held; one that is damaged is left as it is.
async fn part(home: &Home, journal: &Journal, exit: EngineExit, signals: &Signals) -> EngineExit {
    if let Some(missing) = signals.displaced.get() {
        return journal::write_anew(home, journal, exit, missing).await;
    }
    match &exit.damage {
        Some(cause) => {
            journal::distrust(home, cause);
            // Who comes next copies the files, which nobody may change meanwhile.
            journal.abandon().await;
        }
        None => journal.leave().await,
    }
    exit
}

/// Lets requests that are under way be answered.
async fn drain(server: JoinHandle<()>) {
    end_by(tokio::time::Instant::now() + DRAIN, server).await;
}

/// Lets what works beside the engine say its last words, all at the same time.
async fn drain_all(services: Vec<JoinHandle<()>>) {
    let deadline = tokio::time::Instant::now() + LAST_WORDS;
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

/// Editors replace files by renaming, so the directory is watched and not the files.
/// The watcher of the home. The kernel has so many for each person, and other programs may have taken them all: then files
/// are looked at with every tick, and nothing else is worse.
fn watch_or_look(root: &Path, signals: &Signals, settings: [Arc<Notify>; 3]) -> Option<notify::RecommendedWatcher> {
    let watched = watch(root, signals, settings);
    let told = |error: &notify::Error| {
        tracing::warn!(%error, dir = %root.display(), "the home cannot be watched; its files are looked at now and then");
    };
    watched.inspect_err(told).ok()
}

fn watch(root: &Path, signals: &Signals, settings: [Arc<Notify>; 3]) -> notify::Result<notify::RecommendedWatcher> {
    let files = Arc::clone(&signals.files);
    let target = linked(root);
    let seen = target.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error means that events were missed: look.
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
        // It is looked at now and then all the same.
        tracing::warn!(%error, dir = %dir.display(), "the file that tasks.yml is a link to cannot be watched");
    }
    Ok(watcher)
}

fn is_watched(path: &Path) -> bool {
    is_settings(path) || path.file_name().is_some_and(|name| name == "tasks.yml" || name == "jobs.yml")
}

/// The file that `tasks.yml` is a link to, when it is one.
fn linked(root: &Path) -> Option<PathBuf> {
    let file = root.join("tasks.yml");
    file.is_symlink().then(|| file.canonicalize().ok()).flatten()
}

fn is_settings(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "config.yml")
}
