//! What finished runs take on the disk, and the three things that can be done about it: pack a transcript, drop the
//! agent's raw output, drop a transcript. Each may be done twice and be killed at any point. When is not decided here.

use super::files::RunFiles;
use super::packed;
use super::pieces::Pieces;
use super::text::Text;
use crate::adapters::fs::{self, FsError};
use crate::domain::ids::RunId;
use crate::domain::output;
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};

/// What is read at once when two texts are compared.
const PIECE: usize = 1 << 20;

/// What one run keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its files.
    pub files: RunFiles,
    /// When it ended; `None`: it has not.
    pub ended: Option<Timestamp>,
    /// Bytes of raw output.
    pub raw: u64,
    /// Bytes of the transcript, packed or not, and of the list of its times.
    pub text: u64,
    /// There is a transcript that is not packed.
    pub is_plain: bool,
}

/// All runs that have a directory here, in no order. What is no run's is left alone.
///
/// # Errors
/// The directory cannot be listed.
pub fn kept(runs: &Path) -> Result<Vec<Kept>, FsError> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FsError::io("list", runs, error)),
    };
    Ok(entries.flatten().filter_map(|entry| RunFiles::at(entry.path())).map(look).collect())
}

fn look(files: RunFiles) -> Kept {
    let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
    let ended = files.outcome.metadata().and_then(|found| found.modified()).ok();
    let [events, stderr] = raw(&files);
    let plain = files.transcript.metadata().ok().map(|found| found.len());
    Kept {
        ended: ended.and_then(|at| Timestamp::try_from(at).ok()),
        raw: size(&events) + size(&stderr),
        text: plain.unwrap_or(0) + size(&files.packed) + size(&files.timeline),
        is_plain: plain.is_some(),
        files,
    }
}

fn raw(files: &RunFiles) -> [PathBuf; 2] {
    [output::EVENTS, output::STDERR].map(|name| files.dir.join(name))
}

impl RunFiles {
    /// The files of the run whose directory this is. `None`: it is no run's.
    pub fn at(dir: PathBuf) -> Option<Self> {
        let run: RunId = dir.file_name()?.to_str()?.parse().ok()?;
        Some(Self::of(run.task()?, run, dir))
    }
}

/// Packs the transcript of a run that is over. The plain form goes last, when the packed one was read back and is the
/// same; an open reader keeps it.
///
/// # Errors
/// A file cannot be read or written. The transcript is whole in any case.
pub fn pack(files: &RunFiles) -> Result<(), FsError> {
    let failed = |source| FsError::io("pack", &files.transcript, source);
    let Some(plain) = Text::plain(&files.transcript).map_err(failed)? else { return Ok(()) };
    // Somebody may have been killed before the last step.
    if !is_packed(&plain, &files.packed) {
        fs::write_streamed(&files.packed, |to| packed::pack(&plain, to))?;
        if !is_packed(&plain, &files.packed) {
            remove(&files.packed)?;
            return Err(failed(io::Error::other("what was written does not read back")));
        }
    }
    remove(&files.transcript)
}

/// Whether a packed form is there and holds exactly this text.
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

/// Drops the raw output of a run.
///
/// # Errors
/// It cannot be removed.
pub fn drop_raw(files: &RunFiles) -> Result<(), FsError> {
    raw(files).iter().try_for_each(|path| remove(path))
}

/// Drops the transcript of a run, in every form.
///
/// # Errors
/// It cannot be removed.
pub fn drop_text(files: &RunFiles) -> Result<(), FsError> {
    [&files.transcript, &files.packed, &files.timeline].into_iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), FsError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FsError::io("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
