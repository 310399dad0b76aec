//! A home in one file, and back. The journal in it is a copy of one moment, also while a daemon writes; `tasks.yml` is
//! of the same moment. The file is read again, part by part, before it gets its name.

mod archive;
mod restore;
#[cfg(test)]
mod tests;

pub use restore::{Missing, RestoreError, RestoreWish, Restored, interrupted as interrupted_restore, restore};

use archive::Packing;
use jiff::Timestamp;
use orch_config::home::Home;
use orch_core::base::ids::{RunId, TaskId};
use orch_store::journal::{JournalError, SCHEMA, copy_to};
use orch_sys::crash::point;
use orch_sys::fs::{self, FsError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The kind of file that this orch writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// The last part of a backup.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The journal's place in a backup.
pub(crate) const JOURNAL: &str = ".orch/orch.db";
/// Files of the person's at the top of a home.
pub(crate) const FILES: [&str; 3] = ["tasks.yml", "config.yml", "jobs.yml"];
/// Directories of the person's at the top of a home.
pub(crate) const DIRECTORIES: [&str; 2] = ["prompts", "skills"];
/// How deep directories of the person's are followed.
const DEPTH: usize = 16;

/// One file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its path below the home.
    pub path: String,
    /// The size of the file in bytes.
    pub size: u64,
    /// The SHA-256 sum of the content.
    pub sha256: String,
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The kind of file.
    pub format: u32,
    /// Version of the orch that wrote it.
    pub version: String,
    /// Version of the journal in it.
    pub schema: usize,
    /// When the backup was made.
    pub created_at: Timestamp,
    /// The home that was backed up.
    pub home: PathBuf,
    /// The files in it.
    pub parts: Vec<Part>,
}

/// How a backup is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupWish {
    /// A file of that name may be replaced.
    pub force: bool,
    /// What agents said and did goes in as well.
    pub with_runs: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to be kept.
    #[error("{} is no home of orch: there is neither a journal nor a tasks.yml", .0.display())]
    NoHome(PathBuf),
    /// The name is taken.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// There is no such directory to write it into.
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf),
    /// A directory exists where the backup is to be.
    #[error("{} is a directory", .0.display())]
    Directory(PathBuf),
    /// The journal cannot be copied, or the copy is not whole.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// The backup itself cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file that cannot be written.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// What was written does not read back.
    #[error("the backup was written and does not read back, so it was thrown away: {0}")]
    Unverified(#[source] Box<RestoreError>),
}

/// Writes a backup, also beside a running daemon. Blocking; nothing is at `target` before all of it is.
///
/// # Errors
/// It could not be written and verified; nothing of it is left.
pub fn backup(home: &Home, target: &Path, wish: BackupWish, now: Timestamp) -> Result<Manifest, BackupError> {
    if !home.journal().exists() && !home.tasks_file().exists() {
        return Err(BackupError::NoHome(home.root().to_owned()));
    }
    check_target(target)?;
    if target.exists() && !wish.force {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let beside = |end: &str| {
        let mut name = target.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (part, copy) = (beside(".part"), beside(".part-db"));
    let of_sqlite = [".part-db-wal", ".part-db-shm"].map(beside);
    let done = write(home, &part, &copy, wish, now).and_then(|manifest| {
        point!("backup.written");
        archive::verify(&part).map_err(|error| BackupError::Unverified(Box::new(error)))?;
        std::fs::rename(&part, target).map_err(|source| BackupError::Write { path: target.to_owned(), source })?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::sync_dir(parent.unwrap_or(Path::new(".")))?;
        point!("backup.placed");
        Ok(manifest)
    });
    for leftover in of_sqlite.into_iter().chain([copy, part]) {
        // Of a backup that is done nothing is left there, of one that is not it is the rest.
        std::fs::remove_file(leftover).ok();
    }
    done
}

/// Whether a file can be made there, before anything is: what fails later says less.
fn check_target(target: &Path) -> Result<(), BackupError> {
    if target.is_dir() {
        return Err(BackupError::Directory(target.to_owned()));
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(BackupError::NoDirectory(parent.to_owned()));
    }
    rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|errno| BackupError::Write { path: target.to_owned(), source: errno.into() })
}

fn write(home: &Home, part: &Path, copy: &Path, wish: BackupWish, now: Timestamp) -> Result<Manifest, BackupError> {
    let tasks = snapshot(home, copy)?;
    point!("backup.copied");
    let mut failed = None;
    let mut manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: SCHEMA,
        created_at: now,
        home: home.root().to_owned(),
        parts: Vec::new(),
    };
    let written = fs::write_streamed(part, |file| {
        let mut packing = Packing::new(file, now)?;
        let packed = fill(home, &mut packing, tasks.as_deref(), copy, wish);
        if let Err(error) = packed {
            failed = Some(error);
            return Err(io::Error::other("given up"));
        }
        manifest.parts = packing.parts().to_vec();
        let document = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        packing.bytes(MANIFEST, &document)?;
        packing.finish()
    });
    match (failed, written) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => Ok(manifest),
    }
}

/// Copies the journal to `copy` and reads `tasks.yml`, while orch writes neither file nor, through it, the journal.
fn snapshot(home: &Home, copy: &Path) -> Result<Option<Vec<u8>>, BackupError> {
    std::fs::remove_file(copy).ok();
    if home.state().is_dir() {
        let _lock = fs::lock_briefly(&home.tasks_lock())?;
        let tasks = read_if_there(&home.tasks_file())?;
        if home.journal().exists() {
            copy_to(&home.journal(), copy)?;
        }
        return Ok(tasks);
    }
    Ok(read_if_there(&home.tasks_file())?)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    match fs::read_limited(path, 1 << 30) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn fill(
    home: &Home,
    packing: &mut Packing<'_>,
    tasks: Option<&[u8]>,
    copy: &Path,
    wish: BackupWish,
) -> Result<(), BackupError> {
    let whole = |source| BackupError::Write { path: home.root().to_owned(), source };
    if copy.exists() {
        packing.file(JOURNAL, copy)?;
    }
    if let Some(tasks) = tasks {
        packing.bytes(FILES[0], tasks).map_err(whole)?;
    }
    for name in &FILES[1..] {
        packing.file(name, &home.root().join(name))?;
    }
    for name in DIRECTORIES {
        packing.tree(name, &home.root().join(name), DEPTH)?;
    }
    for (name, path) in archive::entries_of(&home.state()) {
        if sidecar_of(&name).is_some() {
            packing.file(&format!(".orch/{name}"), &path)?;
        }
    }
    if wish.with_runs {
        for (name, path) in archive::entries_of(&home.runs()) {
            if name.parse::<RunId>().is_ok() {
                packing.tree(&format!(".orch/runs/{name}"), &path, DEPTH)?;
            }
        }
    }
    Ok(())
}

/// The task that a file of this name in the state directory is the sidecar of.
pub(crate) fn sidecar_of(name: &str) -> Option<TaskId> {
    name.strip_suffix(".json")?.parse().ok()
}
