//! The packed form of a transcript: independent `zstd` frames, each about half a megabyte of whole lines, followed by
//! the seek table of zstd's seekable format. Any zstd reads it as one file, and offsets are those of the unpacked text.
//! Damage is an error, never a wrong byte.

use super::chunks::Pieces;
use super::text::Text;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// The size of a frame's text, in bytes, unless a line is longer.
const FRAME: usize = 512 << 10;
/// The most text in a frame, in bytes: a longer line is split.
const LARGEST: usize = 4 << 20;
/// The compression level: fast, and the result is at most a fifth of the text.
const LEVEL: i32 = 3;
/// The magic number of the table's frame, which every zstd skips.
const TABLE: u32 = 0x184D_2A5E;
/// The magic number at the end of the table.
const SEEKABLE: u32 = 0x8F92_EAB1;
// Sizes in bytes of the table's header, of one entry, and of its footer.
const HEAD: usize = 8;
const ENTRY: usize = 8;
const FOOT: usize = 9;

/// An open packed text with random access.
pub(super) struct Packed {
    file: File,
    frames: Vec<Frame>,
    length: u64,
    last: Mutex<Last>,
}

/// The position of a frame in the file and in the text.
#[derive(Debug, Clone, Copy)]
struct Frame {
    place: u64,
    packed: usize,
    offset: u64,
    length: usize,
}

/// The frame that was decompressed last.
struct Last {
    index: usize,
    text: Vec<u8>,
    unpack: Decompressor<'static>,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the packed transcript is damaged: {what}"))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

impl Packed {
    /// Opens a packed text.
    ///
    /// # Errors
    /// It cannot be read, or its table is incomplete.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let frames = frames(&file)?;
        let length = frames.last().map_or(0, |frame| frame.offset + frame.length as u64);
        let last = Last { index: usize::MAX, text: Vec::new(), unpack: Decompressor::new()? };
        Ok(Self { file, frames, length, last: Mutex::new(last) })
    }

    /// Returns the length of the text, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads from one frame. Returns 0 at the end.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let index = self.frames.partition_point(|frame| frame.offset + frame.length as u64 <= offset);
        let Some(frame) = self.frames.get(index) else { return Ok(0) };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.index != index {
            last.index = usize::MAX;
            let mut packed = vec![0; frame.packed];
            self.file.read_exact_at(&mut packed, frame.place)?;
            last.text = last.unpack.decompress(&packed, frame.length).map_err(|error| damaged(&error.to_string()))?;
            if last.text.len() != frame.length {
                return Err(damaged("a frame has another length than the table tells"));
            }
            last.index = index;
        }
        let from = usize::try_from(offset - frame.offset).map_err(io::Error::other)?;
        let count = bytes.len().min(frame.length - from);
        bytes[..count].copy_from_slice(&last.text[from..from + count]);
        Ok(count)
    }
}

/// Reads the positions of all frames, checked against the file's length.
fn frames(file: &File) -> io::Result<Vec<Frame>> {
    let whole = file.metadata()?.len();
    let foot_at = whole.checked_sub((HEAD + FOOT) as u64).ok_or_else(|| damaged("it is too short"))? + HEAD as u64;
    let mut foot = [0; FOOT];
    file.read_exact_at(&mut foot, foot_at)?;
    if number(&foot[5..]) != SEEKABLE || foot[4] != 0 {
        return Err(damaged("it does not end with a table"));
    }
    let entries = u64::from(number(&foot[..4])) * ENTRY as u64;
    let table_at = foot_at.checked_sub(entries + HEAD as u64).ok_or_else(|| damaged("its table is cut off"))?;
    let mut table = vec![0; usize::try_from(entries).map_err(io::Error::other)? + HEAD];
    file.read_exact_at(&mut table, table_at)?;
    if number(&table[..4]) != TABLE || u64::from(number(&table[4..HEAD])) != entries + FOOT as u64 {
        return Err(damaged("its table has another length than it tells"));
    }
    let (mut place, mut offset) = (0, 0);
    let mut frames = Vec::new();
    for entry in table[HEAD..].chunks_exact(ENTRY) {
        let (packed, length) = (number(&entry[..4]) as usize, number(&entry[4..]) as usize);
        if length > LARGEST || packed > 2 * LARGEST {
            return Err(damaged("a frame is larger than any that was written"));
        }
        frames.push(Frame { place, packed, offset, length });
        place += packed as u64;
        offset += length as u64;
    }
    if place == table_at { Ok(frames) } else { Err(damaged("its frames and its table do not fit together")) }
}

/// Writes the packed form of a text.
///
/// # Errors
/// It cannot be read or written.
pub(super) fn pack(text: &Text, to: &mut impl Write) -> io::Result<()> {
    let mut compress = Compressor::new(LEVEL)?;
    compress.set_parameter(CParameter::ChecksumFlag(true))?;
    let mut pieces = Pieces::new(text, 0, u64::MAX, FRAME).longest(LARGEST);
    let mut entries = Vec::new();
    let mut count: u32 = 0;
    while let Some(piece) = pieces.read()? {
        let packed = compress.compress(piece.bytes)?;
        to.write_all(&packed)?;
        for length in [packed.len(), piece.bytes.len()] {
            entries.extend(u32::try_from(length).map_err(io::Error::other)?.to_le_bytes());
        }
        count += 1;
    }
    let length = u32::try_from(entries.len() + FOOT).map_err(io::Error::other)?;
    let head = [TABLE.to_le_bytes(), length.to_le_bytes()].concat();
    let foot = [&count.to_le_bytes()[..], &[0], &SEEKABLE.to_le_bytes()].concat();
    to.write_all(&[head, entries, foot].concat())
}
