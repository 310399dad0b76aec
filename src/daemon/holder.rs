//! Who has a home: the holder of its lock writes into the lock file which process it is. So a daemon is found and can be
//! ended also while nothing answers at its socket.

use super::Setup;
use orch_engine::Mode;
use orch_sys::fs::{self, FileLock};
use orch_sys::process::Identity;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The largest note that is read, in bytes.
const LARGEST: usize = 4096;

/// The process that has a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub process: Identity,
    /// What its engine was started for.
    pub mode: String,
}

impl Holder {
    /// It stays until it is told to leave: no short command, and nobody's `orch task run`.
    pub fn is_daemon(&self) -> bool {
        [Mode::Serve, Mode::Once, Mode::UntilIdle].iter().any(|mode| mode.as_str() == self.mode)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "pid {}, {}", self.process.pid, self.mode)
    }
}

/// The lock of a home, with the note of who holds it.
pub(super) struct Held(FileLock);

impl Held {
    /// Notes that this process holds it. Without the note, others only know that somebody does.
    pub(super) fn by_this_process(lock: FileLock, mode: Mode) -> Self {
        let holder = Holder { process: Identity::current(), mode: mode.as_str().to_owned() };
        let noted = serde_json::to_string(&holder).map_err(std::io::Error::other).and_then(|text| lock.note(&text));
        if let Err(error) = noted {
            tracing::warn!(%error, "which process holds the home is not written into its lock");
        }
        Self(lock)
    }

    /// Whether the lock file still stands there.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.0.is_at(path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A note that stays names a process that ends soon.
        self.0.note("").ok();
    }
}

impl Setup {
    /// The living process that has this home, where it can be told.
    pub fn holder(&self) -> Option<Holder> {
        let text = fs::read_text(&self.home.lock(), LARGEST).ok()?;
        serde_json::from_str::<Holder>(&text).ok().filter(|holder| holder.process.is_alive())
    }
}
