//! What tells one content of a file from another without keeping either: its length and 64 bits of hash. Quick enough
//! to be taken whenever a file passes by. Not a defence against somebody who seeks a collision.

use super::{FsError, open_regular};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// Bytes that are hashed at once: four words, each in a lane of its own, because one multiplication waits for the last.
const BLOCK: usize = 32;
/// Bytes of a file that are in memory at once.
pub(super) const CHUNK: usize = 128 * 1024;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// The digest of a content. The same in every version of orch, because it is stored and stands in names of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Bytes.
    length: u64,
    hash: u64,
}

impl Digest {
    /// Of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::new();
        digester.update(bytes);
        digester.finish()
    }

    /// Of a regular file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(path: &Path) -> Result<Self, FsError> {
        let mut digester = Digester::new();
        pass(path, |chunk| {
            digester.update(chunk);
            Ok(())
        })?;
        Ok(digester.finish())
    }

    /// Bytes of the content.
    pub fn length(self) -> u64 {
        self.length
    }

    /// Sixteen hex digits for the name of a file.
    pub(super) fn hash(self) -> u64 {
        self.hash
    }
}

/// Hands a regular file on, piece by piece.
pub(super) fn pass(path: &Path, mut take: impl FnMut(&[u8]) -> Result<(), FsError>) -> Result<(), FsError> {
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

/// Takes a digest of what comes in pieces.
#[derive(Debug, Clone)]
pub(super) struct Digester {
    lanes: [u64; 4],
    /// What does not fill a block yet.
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

    /// Bytes in `rest`.
    fn held(&self) -> usize {
        usize::try_from(self.length % BLOCK as u64).unwrap_or(0)
    }

    /// Each step can be undone, so that a difference is never lost again.
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
