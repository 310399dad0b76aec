//! Random access to a transcript in either form, plain or packed. An offset means the same in both.

use super::files::RunFiles;
use super::packed::Packed;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An open transcript. It stays readable when it is packed or removed meanwhile.
pub struct Text(Form);

enum Form {
    Plain(File),
    Packed(Packed),
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Text {
    /// Opens the watched text of a run; `None` when it does not exist yet or any more.
    ///
    /// # Errors
    /// It cannot be read, or its packed form is damaged.
    pub fn open(files: &RunFiles) -> io::Result<Option<Self>> {
        // In this order: the plain form is removed only when the packed one exists.
        if let Some(text) = Self::plain(&files.followed)? {
            return Ok(Some(text));
        }
        Self::packed(&files.packed)
    }

    pub(super) fn plain(path: &Path) -> io::Result<Option<Self>> {
        Ok(open(path)?.map(|file| Self(Form::Plain(file))))
    }

    pub(super) fn packed(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = open(path)? else { return Ok(None) };
        Ok(Some(Self(Form::Packed(Packed::open(file)?))))
    }

    /// Returns the current length, in bytes.
    ///
    /// # Errors
    /// The system cannot report it.
    pub fn length(&self) -> io::Result<u64> {
        match &self.0 {
            Form::Plain(file) => Ok(file.metadata()?.len()),
            Form::Packed(packed) => Ok(packed.length()),
        }
    }

    /// Fills `bytes` from `offset` on. Returns the number of bytes read: fewer only at the end.
    ///
    /// # Errors
    /// It cannot be read, or is damaged there.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_some(&mut bytes[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Reads once. Returns 0 at the end.
    pub(super) fn read_some(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.0 {
            Form::Plain(file) => file.read_at(bytes, offset),
            Form::Packed(packed) => packed.read_at(bytes, offset),
        }
    }

    /// Reads the bytes from `begin` to `end`, or to the end of the text.
    ///
    /// # Errors
    /// As for [`Self::read_at`].
    pub(super) fn range(&self, begin: u64, end: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(begin)).map_err(io::Error::other)?];
        let filled = self.read_at(&mut bytes, begin)?;
        bytes.truncate(filled);
        Ok(bytes)
    }
}
