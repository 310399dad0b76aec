//! A model server on loopback that follows a script: it speaks the providers' protocols to real agent CLIs, records
//! every request, and can hold an answer until the test lets it go. It never reaches beyond 127.0.0.1.

pub mod choose;
pub mod request;
pub mod script;
mod serve;
mod wire;

#[allow(unused_imports, reason = "the names that tests use; the server as a program uses few of them")]
pub use self::{
    request::{Asked, Protocol},
    script::{Action, Fail, FailKind, Rule, Script},
};

use choose::Counters;
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A recorded request. It is recorded on arrival, before anything holds its answer.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The ordinal, from 1.
    pub number: u64,
    /// The parsed request.
    pub asked: Arc<Asked>,
    /// The rule that answered, if any matched.
    pub rule: Option<String>,
    /// The step of the rule: the number of tool results after the newest user message.
    pub step: usize,
    /// Whether the request had a key or token.
    pub authorized: bool,
}

impl Seen {
    /// Returns whether `rule` answered.
    pub fn is(&self, rule: &str) -> bool {
        self.rule.as_deref() == Some(rule)
    }
}

/// The state that the server's threads share.
struct Shared {
    state: Mutex<ServerState>,
    changed: Condvar,
    open: watch::Sender<BTreeSet<String>>,
}

/// The mutable state.
#[derive(Default)]
struct ServerState {
    script: Script,
    counters: Counters,
    seen: Vec<Seen>,
    strays: Vec<String>,
}

impl Shared {
    /// Locks the state, also after a test panicked while it held the lock.
    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. Dropping it stops it at once.
pub struct ModelServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// Starts a server on a free port.
    pub fn start(script: Script) -> Self {
        Self::start_on(0, script).expect("a free port of the loopback interface can be had")
    }

    /// Starts a server on a given port, for instance that of an earlier server.
    pub fn start_on(port: u16, script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let state = Mutex::new(ServerState { script, ..ServerState::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), open: watch::Sender::default() });
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("model-server".to_owned())
            .spawn(move || runtime.block_on(serve::serve(listener, for_thread, stopped)))?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns `http://127.0.0.1:<port>`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns every request so far, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Returns method and path of every request of an unknown protocol.
    pub fn strays(&self) -> Vec<String> {
        self.shared.state().strays.clone()
    }

    /// Waits until `ready` holds for the requests, and returns them. Panics at the deadline with the requests so far.
    pub fn wait_for(&self, what: &str, deadline: Duration, ready: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let state = self.shared.state();
        let waited = self.shared.changed.wait_timeout_while(state, deadline, |state| !ready(&state.seen));
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        if result.timed_out() {
            let seen: Vec<String> = state.seen.iter().map(one_line).collect();
            let strays = state.strays.clone();
            drop(state);
            panic!("model server: no {what} within {deadline:?}; seen: {seen:#?}, strays: {strays:?}");
        }
        state.seen.clone()
    }

    /// Waits until `rule` has answered, and returns the first such request.
    pub fn wait_for_rule(&self, rule: &str, deadline: Duration) -> Seen {
        let seen = self.wait_for(&format!("request for {rule:?}"), deadline, |all| all.iter().any(|one| one.is(rule)));
        seen.into_iter().find(|one| one.is(rule)).expect("wait_for returned because there is one")
    }

    /// Opens a gate: answers that it holds are sent, and later ones pass.
    pub fn open(&self, gate: &str) {
        self.shared.open.send_modify(|open| {
            open.insert(gate.to_owned());
        });
    }

    /// Closes a gate for later answers.
    pub fn close(&self, gate: &str) {
        self.shared.open.send_modify(|open| {
            open.remove(gate);
        });
    }

    /// Replaces the script; the recorded requests are kept.
    pub fn follow(&self, script: Script) {
        let mut state = self.shared.state();
        state.script = script;
        state.counters.clear();
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn one_line(seen: &Seen) -> String {
    let newest: String = seen.asked.newest().chars().take(80).collect();
    format!("#{} {:?} rule {:?} step {}: {newest:?}", seen.number, seen.asked.protocol, seen.rule, seen.step)
}
