//! The disk usage of finished runs, and the three ways to reduce it: pack a transcript, delete the agent's raw output,
//! delete a transcript. Each is idempotent and can be interrupted at any point. The caller decides when.

use super::chunks::Pieces;
use super::files::RunFiles;
use super::packed;
use super::text::Text;
use jiff::Timestamp;
use orch_core::base::ids::RunId;
use orch_core::text::output::{self, Part};
use orch_sys::crash::point;
use orch_sys::fs::{self, FsError};
use std::io;
use std::path::{Path, PathBuf};

/// How much is read at once when two texts are compared, in bytes.
const PIECE: usize = 1 << 20;

/// The disk usage of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The paths of its files.
    pub files: RunFiles,
    /// When it ended; `None` while it goes on.
    pub ended: Option<Timestamp>,
    /// The size of its raw output, in bytes.
    pub raw: u64,
    /// The size of transcript, times and events, packed or not, in bytes.
    pub text: u64,
    /// Whether some of it is not packed yet.
    pub is_plain: bool,
}

/// Returns all runs that have a directory in `runs`, in no particular order. Other entries are ignored.
///
/// # Errors
/// The directory cannot be listed.
pub fn kept(runs: &Path) -> Result<Vec<Kept>, FsError> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FsError::io("list", runs, error)),
    };
    Ok(entries.flatten().filter_map(|entry| RunFiles::at(entry.path())).map(measure).collect())
}

/// The parts of a run that watchers read.
const PARTS: [Part; 3] = [Part::Output, Part::Events, Part::Raw];

fn measure(files: RunFiles) -> Kept {
    let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
    let ended = files.outcome.metadata().and_then(|found| found.modified()).ok();
    Kept {
        ended: ended.and_then(|at| Timestamp::try_from(at).ok()),
        raw: raw(&files).iter().map(|path| size(path)).sum(),
        text: text(&files).iter().map(|path| size(path)).sum(),
        is_plain: PARTS.iter().any(|part| files.part(*part).followed.exists()),
        files,
    }
}

/// Returns the files with the agent's output, raw and masked.
fn raw(files: &RunFiles) -> Vec<PathBuf> {
    let RunFiles { followed, packed, .. } = files.part(Part::Raw);
    let unmasked = [output::EVENTS, output::STDERR, output::SCREEN].map(|name| files.dir.join(name));
    unmasked.into_iter().chain([followed, packed]).collect()
}

/// Returns the files that show what the agent said and did.
fn text(files: &RunFiles) -> Vec<PathBuf> {
    let [output, events] = [Part::Output, Part::Events].map(|part| files.part(part));
    let paths = [output.followed, output.packed, events.followed, events.packed];
    paths.into_iter().chain(output.timeline).chain([output.styles]).collect()
}

impl RunFiles {
    /// Returns the files of the run with this directory; `None` when it is no run's.
    pub fn at(dir: PathBuf) -> Option<Self> {
        let run: RunId = dir.file_name()?.to_str()?.parse().ok()?;
        Some(Self::new(run.task()?, run, dir, Part::Output))
    }

    fn part(&self, part: Part) -> Self {
        Self::new(self.task, self.run.clone(), self.dir.clone(), part)
    }
}

/// Packs the watched files of a finished run one by one. The plain form of a file is deleted last, after the packed one
/// was read back and compared; an open reader keeps it.
///
/// # Errors
/// A file cannot be read or written. Every part is complete in any case.
pub fn pack(files: &RunFiles) -> Result<(), FsError> {
    PARTS.iter().try_for_each(|part| pack_one(&files.part(*part)))
}

fn pack_one(files: &RunFiles) -> Result<(), FsError> {
    let failed = |source| FsError::io("pack", &files.followed, source);
    let Some(plain) = Text::plain(&files.followed).map_err(failed)? else { return Ok(()) };
    // An earlier call may have been killed before its last step.
    if !is_packed(&plain, &files.packed) {
        point!("pack.before");
        fs::write_streamed(&files.packed, |to| packed::pack(&plain, to))?;
        point!("pack.written");
        if !is_packed(&plain, &files.packed) {
            remove(&files.packed)?;
            return Err(failed(io::Error::other("what was written does not read back")));
        }
    }
    remove(&files.followed)?;
    point!("pack.after");
    Ok(())
}

/// Returns whether a packed form exists and holds exactly this text.
fn is_packed(plain: &Text, path: &Path) -> bool {
    let Ok(Some(packed)) = Text::packed(path) else { return false };
    let same = || -> io::Result<bool> {
        let mut pieces = [Pieces::new(plain, 0, u64::MAX, PIECE), Pieces::new(&packed, 0, u64::MAX, PIECE)];
        loop {
            let [one, other] = &mut pieces;
            match (one.read()?, other.read()?) {
                (None, None) => return Ok(true),
                (Some(one), Some(other)) if one.bytes == other.bytes => {}
                (Some(_), _) | (None, Some(_)) => return Ok(false),
            }
        }
    };
    same().unwrap_or(false)
}

/// Deletes the raw output of a run.
///
/// # Errors
/// It cannot be removed.
pub fn drop_raw(files: &RunFiles) -> Result<(), FsError> {
    raw(files).iter().try_for_each(|path| remove(path))
}

/// Deletes the transcript of a run and its other records, in every form.
///
/// # Errors
/// It cannot be removed.
pub fn drop_text(files: &RunFiles) -> Result<(), FsError> {
    text(files).iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), FsError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FsError::io("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
