//! What finished runs take on the disk, and the three things that can be done about it: pack a transcript, drop the
//! agent's raw output, drop a transcript. Each may be done twice and be killed at any point. When is not decided here.

use super::chunks::Pieces;
use super::files::RunFiles;
use super::packed;
use super::text::Text;
use jiff::Timestamp;
use orch_core::ids::RunId;
use orch_core::output::{self, Part};
use orch_sys::crash::point;
use orch_sys::fs::{self, FsError};
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
    /// Bytes of the transcript and its times, and of the events, packed or not.
    pub text: u64,
    /// Something of it can be packed.
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

/// What is read of a run, in three parts.
const PARTS: [Part; 3] = [Part::Output, Part::Events, Part::Raw];

fn look(files: RunFiles) -> Kept {
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

/// What the agent printed, as it was and masked.
fn raw(files: &RunFiles) -> Vec<PathBuf> {
    let RunFiles { followed, packed, .. } = files.part(Part::Raw);
    let unmasked = [output::EVENTS, output::STDERR, output::SCREEN].map(|name| files.dir.join(name));
    unmasked.into_iter().chain([followed, packed]).collect()
}

/// What it said and did.
fn text(files: &RunFiles) -> Vec<PathBuf> {
    let [output, events] = [Part::Output, Part::Events].map(|part| files.part(part));
    let paths = [output.followed, output.packed, events.followed, events.packed];
    paths.into_iter().chain(output.timeline).chain([output.styles]).collect()
}

impl RunFiles {
    /// The files of the run whose directory this is. `None`: it is no run's.
    pub fn at(dir: PathBuf) -> Option<Self> {
        let run: RunId = dir.file_name()?.to_str()?.parse().ok()?;
        Some(Self::of(run.task()?, run, dir, Part::Output))
    }

    fn part(&self, part: Part) -> Self {
        Self::of(self.task, self.run.clone(), self.dir.clone(), part)
    }
}

/// Packs what is read of a run that is over, part by part. The plain form of a part goes last, when the packed one was
/// read back and is the same; an open reader keeps it.
///
/// # Errors
/// A file cannot be read or written. Every part is whole in any case.
pub fn pack(files: &RunFiles) -> Result<(), FsError> {
    PARTS.iter().try_for_each(|part| pack_one(&files.part(*part)))
}

fn pack_one(files: &RunFiles) -> Result<(), FsError> {
    let failed = |source| FsError::io("pack", &files.followed, source);
    let Some(plain) = Text::plain(&files.followed).map_err(failed)? else { return Ok(()) };
    // Somebody may have been killed before the last step.
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

/// Drops the transcript of a run and what else tells of its work, in every form.
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
