//! Stores everything that a program wrote to its terminal in a file of bounded size that only the user can read. The file
//! is never shown: it may hold secrets. When full, it begins anew with the sequences that draw the present screen.

use super::super::launch::RunDir;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Appends to the file.
pub(super) struct RawFile {
    file: File,
    length: u64,
    most: u64,
}

impl RawFile {
    /// Opens the raw file of a run.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn open(dir: &RunDir) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.screen())?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, most: MAX_BYTES })
    }

    /// Appends `bytes`; `drawn` draws the screen when the file begins anew. Bytes that a full disk refuses are missing here,
    /// and nowhere else.
    pub(super) fn write(&mut self, bytes: &[u8], drawn: &dyn Fn() -> String) {
        if self.length + bytes.len() as u64 > self.most && self.file.set_len(0).is_ok() {
            let drawn = drawn();
            self.length = drawn.len() as u64;
            // A failure is harmless: the file serves recovery only, and the lines are written in any case.
            let _ = self.file.write_all(drawn.as_bytes());
        }
        self.length += bytes.len() as u64;
        // As above.
        let _ = self.file.write_all(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::fs;

    #[test]
    fn a_file_that_is_full_begins_anew_with_the_screen() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = RunDir::new(home.path());
        let mut file = RawFile::open(&dir).expect("a file");
        file.most = 10;
        let drawn = || "[drawn]".to_owned();
        for bytes in ["12345", "67890", "next", "!"] {
            file.write(bytes.as_bytes(), &drawn);
        }
        let read = || fs::read_limited(&dir.screen(), 100).expect("readable");
        assert_eq!(read(), b"[drawn]!");
        drop(file);
        RawFile::open(&dir).expect("a file").write(b"?", &drawn);
        assert_eq!(read(), b"[drawn]!?");
    }
}
