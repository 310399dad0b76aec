//! Digests of file contents: length and 64 bits of hash, to tell two contents apart without keeping either. Fast, and
//! no defence against deliberate collisions.

use super::{FsError, open_regular};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// Bytes that are hashed at once: four words, each in its own lane, because multiplications in one lane depend on each
/// other.
const BLOCK: usize = 32;
/// Bytes of a file that are in memory at once.
pub(super) const CHUNK: usize = 128 * 1024;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// The digest of a content. Stored and used in file names, so the algorithm is the same in every version of orch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The length of the content, in bytes.
    length: u64,
    hash: u64,
}

impl Digest {
    /// Computes the digest of bytes in memory.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut digester = Digester::new();
        digester.update(bytes);
        digester.finish()
    }

    /// Computes the digest of a regular file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(path: &Path) -> Result<Self, FsError> {
        let mut digester = Digester::new();
        for_each_chunk(path, |chunk| {
            digester.update(chunk);
            Ok(())
        })?;
        Ok(digester.finish())
    }

    /// Returns the length of the content, in bytes.
    pub fn length(self) -> u64 {
        self.length
    }

    /// Returns the hash, which is part of the names of displaced files.
    pub(super) fn hash(self) -> u64 {
        self.hash
    }
}

/// Calls `take` with each chunk of a regular file.
pub(super) fn for_each_chunk(path: &Path, mut take: impl FnMut(&[u8]) -> Result<(), FsError>) -> Result<(), FsError> {
    let mut file = open_regular(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => take(&chunk[..read])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FsError::io("read", path, source)),
        }
    }
}

/// Computes a digest incrementally.
#[derive(Debug, Clone)]
pub(super) struct Digester {
    lanes: [u64; 4],
    /// Bytes that do not fill a block yet.
    rest: [u8; BLOCK],
    length: u64,
}

impl Digester {
    pub(super) fn new() -> Self {
        Self { lanes: [1, 2, 3, 4].map(|lane: u64| lane.wrapping_mul(PRIME)), rest: [0; BLOCK], length: 0 }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        let held = self.held();
        self.length += bytes.len() as u64;
        if held > 0 {
            let (taken, left) = bytes.split_at(bytes.len().min(BLOCK - held));
            self.rest[held..held + taken.len()].copy_from_slice(taken);
            bytes = left;
            if held + taken.len() < BLOCK {
                return;
            }
            let block = self.rest;
            self.mix(&block);
        }
        let (blocks, left) = bytes.as_chunks::<BLOCK>();
        blocks.iter().for_each(|block| self.mix(block));
        self.rest[..left.len()].copy_from_slice(left);
    }

    /// Returns the number of bytes in `rest`.
    fn held(&self) -> usize {
        usize::try_from(self.length % BLOCK as u64).unwrap_or(0)
    }

    /// Mixes in a block. Each step is invertible, so a difference is never lost again.
    fn mix(&mut self, block: &[u8; BLOCK]) {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in self.lanes.iter_mut().zip(words) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(29);
        }
    }

    pub(super) fn finish(&self) -> Digest {
        let mut last = self.clone();
        let held = last.held();
        last.rest[held..].fill(0);
        let block = last.rest;
        last.mix(&block);
        let fold = |hash: u64, lane: &u64| (hash ^ lane ^ (lane >> 32)).wrapping_mul(PRIME).rotate_left(31);
        Digest { length: self.length, hash: last.lanes.iter().fold(self.length, fold) }
    }
}
