//! The process that holds a home: it writes its identity into the lock file, so that a daemon can be found and ended even
//! while its socket does not answer.

use super::Setup;
use orch_engine::Mode;
use orch_sys::fs::{self, FileLock};
use orch_sys::process::Identity;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The largest lock file that is read, in bytes.
const MAX_NOTE: usize = 4096;

/// The process that holds a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The identity of the process.
    pub process: Identity,
    /// The mode of its engine.
    pub mode: String,
}

impl Holder {
    /// Returns whether the process is a daemon, and neither a short command nor `orch task run`.
    pub fn is_daemon(&self) -> bool {
        [Mode::Serve, Mode::Once, Mode::UntilIdle].iter().any(|mode| mode.as_str() == self.mode)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "pid {}, {}", self.process.pid, self.mode)
    }
}

/// The lock of a home, with the note on its holder.
pub(super) struct Held(FileLock);

impl Held {
    /// Writes this process into the lock file. Without that, others only see that the home is locked.
    pub(super) fn new(lock: FileLock, mode: Mode) -> Self {
        let holder = Holder { process: Identity::current(), mode: mode.as_str().to_owned() };
        let noted = serde_json::to_string(&holder).map_err(std::io::Error::other).and_then(|text| lock.note(&text));
        if let Err(error) = noted {
            tracing::warn!(%error, "the holder of the home cannot be written into its lock");
        }
        Self(lock)
    }

    /// Returns whether the lock file is still at this path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.0.is_at(path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A note that stays names a process that is about to end.
        self.0.note("").ok();
    }
}

impl Setup {
    /// Returns the live process that holds this home, if it is known.
    pub fn holder(&self) -> Option<Holder> {
        let text = fs::read_text(&self.home.lock(), MAX_NOTE).ok()?;
        serde_json::from_str::<Holder>(&text).ok().filter(|holder| holder.process.is_alive())
    }
}
