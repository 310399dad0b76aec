//! Watches the files of a running engine: its sockets, its lock, its journal. Other programs may remove them (a cleaner of
//! the runtime directory, `rm -rf`). A missing socket is bound again; without the lock or the journal the engine shuts
//! down, so that nothing starts twice, and restarts with the journal written again.

use super::holder::Held;
use super::unix::ApiListener;
use super::{OpenError, Setup, WAKE_SOCKET};
use orch_config::home::API_SOCKET;
use orch_engine::Signals;
use orch_sys::fs::{create_dir_private, file_id};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::net::{UnixDatagram, UnixListener};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// How often the files are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The sockets of an engine. Dropping this removes them, which must happen while the lock is held, so that they cannot be
/// another engine's.
pub(super) struct Sockets {
    open: Arc<Mutex<Open>>,
    registry: JoinHandle<()>,
}

/// The files that must stay while an engine runs.
pub(super) struct State {
    /// The lock and its path. Weak, because the owner of the engine releases it.
    lock: (Weak<Held>, PathBuf),
    journal: ((u64, u64), PathBuf),
}

struct Open {
    api: Bound,
    wake: Bound,
    /// Sends the new listener after the socket was removed.
    listeners: mpsc::Sender<UnixListener>,
    waker: JoinHandle<()>,
    is_over: bool,
}

/// A socket and the identity of its file.
struct Bound {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Bound {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: file_id(path) }
    }

    fn is_there(&self) -> bool {
        self.file.is_some() && file_id(&self.path) == self.file
    }
}

impl State {
    /// Records the present files; `None` if there is no journal at its path.
    pub(super) fn new(lock: &Arc<Held>, lock_path: PathBuf, journal: PathBuf) -> Option<Self> {
        Some(Self { lock: (Arc::downgrade(lock), lock_path), journal: (file_id(&journal)?, journal) })
    }

    /// Describes a file that was removed or replaced by another program, if any was.
    fn missing(&self) -> Option<String> {
        let gone = |path: &Path| format!("{} was removed while orch ran", path.display());
        let (lock, path) = &self.lock;
        if lock.upgrade().is_some_and(|lock| !lock.is_at(path)) {
            return Some(gone(path));
        }
        let (journal, path) = &self.journal;
        (file_id(path) != Some(*journal)).then(|| gone(path))
    }
}

impl Sockets {
    /// Binds both sockets, and starts watching them and the state.
    pub(super) fn open(
        setup: &Setup,
        state: Option<State>,
        signals: &Signals,
    ) -> Result<(Self, ApiListener), OpenError> {
        let [api, wake] = setup.sockets();
        let listener = listen(&api)?;
        let waker = spawn_waker(&wake, &signals.wake)?;
        let (listeners, replaced) = mpsc::channel(1);
        let open = Open { api: Bound::new(&api), wake: Bound::new(&wake), listeners, waker, is_over: false };
        let open = Arc::new(Mutex::new(open));
        let registry = tokio::spawn(watch(Arc::clone(&open), state, setup.clone(), signals.clone()));
        Ok((Self { open, registry }, ApiListener::new(listener, replaced)))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.registry.abort();
        let mut open = locked(&self.open);
        open.is_over = true;
        open.waker.abort();
        for socket in [&open.api, &open.wake] {
            if socket.is_there() {
                // The file may be gone already.
                std::fs::remove_file(&socket.path).ok();
            }
        }
    }
}

async fn watch(open: Arc<Mutex<Open>>, state: Option<State>, setup: Setup, signals: Signals) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if let Some(missing) = state.as_ref().and_then(State::missing) {
            tracing::error!(missing, "orch's own state was removed; the journal is written again, and orch restarts");
            signals.displace(missing);
            return;
        }
        if let Err(error) = locked(&open).ensure(&setup, &signals) {
            tracing::warn!(%error, "a socket was removed and cannot be created again");
        }
    }
}

impl Open {
    fn ensure(&mut self, setup: &Setup, signals: &Signals) -> Result<(), OpenError> {
        if self.is_over || (self.api.is_there() && self.wake.is_there()) {
            return Ok(());
        }
        for name in [API_SOCKET, WAKE_SOCKET] {
            if let Some(parent) = setup.socket(name).parent() {
                create_dir_private(parent)?;
            }
        }
        if !self.api.is_there()
            && let Ok(place) = self.listeners.clone().try_reserve_owned()
        {
            place.send(listen(&self.api.path)?);
            self.api = Bound::new(&self.api.path);
            tracing::warn!(socket = %self.api.path.display(), "the socket was removed and is created again");
        }
        if !self.wake.is_there() {
            let waker = spawn_waker(&self.wake.path, &signals.wake)?;
            std::mem::replace(&mut self.waker, waker).abort();
            self.wake = Bound::new(&self.wake.path);
        }
        Ok(())
    }
}

fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Binds the API's socket. A file that an earlier engine left is removed: the lock says that none is running.
fn listen(path: &Path) -> Result<UnixListener, OpenError> {
    let failed = |source| OpenError::Socket { path: path.to_owned(), source };
    std::fs::remove_file(path).ok();
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

fn spawn_waker(path: &Path, wake: &Arc<Notify>) -> Result<JoinHandle<()>, OpenError> {
    let failed = |source| OpenError::Socket { path: path.to_owned(), source };
    std::fs::remove_file(path).ok();
    let socket = UnixDatagram::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let wake = Arc::clone(wake);
    Ok(tokio::spawn(async move {
        let mut nothing = [0; 16];
        // Any datagram is a wake-up; its content does not matter.
        while socket.recv(&mut nothing).await.is_ok() {
            wake.notify_one();
        }
    }))
}
