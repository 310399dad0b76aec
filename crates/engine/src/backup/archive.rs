//! The file of a backup: a tar inside zstd, whose last part lists what must be in it. Knows nothing of what the parts
//! mean, and lets nothing out of the directory that they are taken to.

use crate::backup::restore::RestoreError;
use crate::backup::{FORMAT, MANIFEST, Manifest, Part};
use jiff::Timestamp;
use orch_core::base::ids::RunId;
use orch_sys::fs::{self, FsError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

/// How hard the content is pressed: more takes longer and gains little.
const LEVEL: i32 = 6;
/// The largest manifest that is read.
const LARGEST: u64 = 256 << 20;

/// An archive that is being written.
pub(super) struct Packing<'a> {
    tar: tar::Builder<zstd::Encoder<'a, &'a mut File>>,
    parts: Vec<Part>,
    mtime: u64,
}

impl<'a> Packing<'a> {
    pub(super) fn new(file: &'a mut File, now: Timestamp) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(file, LEVEL)?;
        encoder.include_checksum(true)?;
        let mtime = u64::try_from(now.as_second()).unwrap_or(0);
        Ok(Self { tar: tar::Builder::new(encoder), parts: Vec::new(), mtime })
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.content(path, bytes.len() as u64, bytes)
    }

    /// A file, as long as it was when it was opened: one that grows meanwhile is whole up to there. One that is gone is
    /// left out.
    pub(super) fn file(&mut self, path: &str, from: &Path) -> Result<(), FsError> {
        let failed = |source| FsError::Io { action: "read", path: from.to_owned(), source };
        let file = match File::open(from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let found = file.metadata().map_err(failed)?;
        if found.is_file() {
            self.content(path, found.len(), file.take(found.len())).map_err(failed)?;
        }
        Ok(())
    }

    /// The regular files below a directory.
    pub(super) fn tree(&mut self, path: &str, from: &Path, depth: usize) -> Result<(), FsError> {
        for (name, inner) in entries_of(from) {
            let below = format!("{path}/{name}");
            match inner.metadata() {
                Ok(found) if found.is_dir() && depth > 0 => self.tree(&below, &inner, depth - 1)?,
                Ok(found) if found.is_file() => self.file(&below, &inner)?,
                // Sockets and pipes hold nothing, and what is gone is gone.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn content(&mut self, path: &str, size: u64, from: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.mtime);
        let mut summed = Summed { inner: from, hasher: Sha256::new(), size: 0 };
        self.tar.append_data(&mut header, path, &mut summed)?;
        if summed.size != size {
            return Err(io::Error::other(format!("{path} became shorter while it was read")));
        }
        if path != MANIFEST {
            self.parts.push(Part { path: path.to_owned(), size, sha256: hex(&summed.hasher) });
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.tar.into_inner()?.finish().map(drop)
    }
}

/// What is read passes by and is summed.
struct Summed<R> {
    inner: R,
    hasher: Sha256,
    size: u64,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

fn hex(hasher: &Sha256) -> String {
    hasher.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the whole file and compares every part with the manifest.
pub(super) fn verify(file: &Path) -> Result<Manifest, RestoreError> {
    walk(file, |_, content| io::copy(content, &mut io::sink()).map(drop))
}

/// Takes every part to its place below `into`, and compares it on the way.
pub(super) fn extract(file: &Path, into: &Path) -> Result<Manifest, RestoreError> {
    walk(file, |path, content| {
        let target = into.join(path);
        let made = target.parent().map_or(Ok(()), fs::create_dir_private);
        made.map_err(io::Error::other)?;
        fs::write_streamed(&target, |file| {
            io::copy(content, file)?;
            file.flush()
        })
        .map_err(io::Error::other)
    })
}

fn walk(file: &Path, mut take: impl FnMut(&Path, &mut dyn Read) -> io::Result<()>) -> Result<Manifest, RestoreError> {
    let damaged = |source: io::Error| RestoreError::Damaged { path: file.to_owned(), why: source.to_string() };
    let wrong = |why: String| RestoreError::Damaged { path: file.to_owned(), why };
    let opened = File::open(file).map_err(|source| FsError::Io { action: "read", path: file.to_owned(), source })?;
    let decoder = zstd::Decoder::new(BufReader::new(opened)).map_err(damaged)?;
    let mut tar = tar::Archive::new(decoder);
    let mut found: BTreeMap<String, Part> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    for entry in tar.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        if !entry.header().entry_type().is_file() || !is_ours(&path) {
            return Err(wrong(format!("{} does not belong into a backup", path.display())));
        }
        let name = path.to_string_lossy().into_owned();
        if name == MANIFEST {
            let mut text = Vec::new();
            entry.take(LARGEST).read_to_end(&mut text).map_err(damaged)?;
            manifest = Some(serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?);
            continue;
        }
        let mut summed = Summed { inner: entry, hasher: Sha256::new(), size: 0 };
        take(&path, &mut summed).map_err(damaged)?;
        let part = Part { path: name.clone(), size: summed.size, sha256: hex(&summed.hasher) };
        if found.insert(name.clone(), part).is_some() {
            return Err(wrong(format!("{name} is in it twice")));
        }
    }
    // What comes after the last entry is read as well: the sum over all of it is at the end.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
    let manifest = manifest.ok_or_else(|| wrong("it ends before its manifest".to_owned()))?;
    if manifest.format != FORMAT {
        return Err(RestoreError::Newer { what: format!("a backup of format {}", manifest.format) });
    }
    for part in &manifest.parts {
        if found.remove(&part.path).as_ref() != Some(part) {
            return Err(wrong(format!("{} is not what was put into it", part.path)));
        }
    }
    match found.into_keys().next() {
        Some(name) => Err(wrong(format!("{name} is in it, and the manifest does not know it"))),
        None => Ok(manifest),
    }
}

/// Only what a backup may hold, and nothing that leads out of the home.
fn is_ours(path: &Path) -> bool {
    let parts: Option<Vec<&str>> =
        path.components().map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect();
    match parts.as_deref() {
        Some([file]) => *file == MANIFEST || super::FILES.contains(file),
        Some([".orch", file]) => *file == "orch.db" || super::sidecar_of(file).is_some(),
        Some([".orch", "runs", run, _, ..]) => run.parse::<RunId>().is_ok(),
        Some([first, _, ..]) => super::DIRECTORIES.contains(first),
        Some([]) | None => false,
    }
}

/// Returns the entries of a directory whose names are text, in their order.
pub(super) fn entries_of(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect();
    found.sort();
    found
}
