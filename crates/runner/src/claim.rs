//! Claims a run, so that it starts at most once however often a start is retried: the lock says that its runner is alive,
//! the file that there was one.

use super::carry_out::RunError;
use super::launch::{RunDir, RunFileError};
use jiff::Timestamp;
use orch_sys::crash::point;
use orch_sys::fs::{self, FileLock, FsError};
use orch_sys::process::Identity;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

/// The runner of a run, and its start. Stored as `started.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The runner's process.
    pub runner: Identity,
    /// When it claimed the run.
    pub at: Timestamp,
}

/// Voids a run: no runner can claim it any more. Returns `false` if one has claimed it already.
///
/// # Errors
/// The run's directory cannot be used.
pub fn void(dir: &RunDir) -> Result<bool, RunFileError> {
    if dir.started().exists() || !dir.launch().exists() {
        // Without a launch there is nothing to claim.
        return Ok(!dir.started().exists());
    }
    let Some(_lock) = fs::lock_exclusive(&dir.lock())? else { return Ok(false) };
    match mark(dir) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(FsError::Io { action: "create", path: dir.started(), source }.into()),
    }
}

/// Creates the mark of the claim; fails if it exists.
fn mark(dir: &RunDir) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.started())
}

/// The right to carry out a run, held until the end of the process.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) started: Started,
    _lock: FileLock,
}

impl Claim {
    /// Claims the run. Of any number of runners, at any time, one succeeds.
    ///
    /// The mark is not flushed to the disk: a power cut that loses it ends the run's processes as well.
    pub(super) fn take(dir: &RunDir, at: Timestamp) -> Result<Self, RunError> {
        let Some(lock) = fs::lock_exclusive(&dir.lock()).map_err(RunFileError::from)? else {
            return Err(RunError::Taken);
        };
        point!("claim.locked");
        let path = dir.started();
        let failed = |source| RunFileError::from(FsError::Io { action: "create", path: path.clone(), source });
        let mut file = match mark(dir) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(RunError::Taken),
            Err(error) => return Err(failed(error).into()),
        };
        point!("claim.made");
        let started = Started { runner: Identity::current(), at };
        let text =
            serde_json::to_vec(&started).map_err(|source| RunFileError::Damaged { path: path.clone(), source })?;
        file.write_all(&text).map_err(failed)?;
        point!("claim.written");
        Ok(Self { started, _lock: lock })
    }
}
