//! The file of readable lines, which a full disk may refuse to take for a while: what is lost then is counted, and a
//! line tells of it as soon as there is room again. Only whole lines are ever in the file.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

/// Appends lines.
pub(super) struct LogFile {
    file: File,
    /// Lines that could not be written since the last one that could.
    missing: u64,
    /// All that are missing, and why the first of them is.
    lost: u64,
    cause: Option<String>,
}

/// What is missing in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// How many lines.
    pub(super) lines: u64,
    /// Why, in words.
    pub(super) cause: String,
}

impl LogFile {
    /// Appends to `file`, which must be open for appending.
    pub(super) fn new(file: File) -> Self {
        Self { file, missing: 0, lost: 0, cause: None }
    }

    /// The length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// Appends whole lines, or counts them as lost. `tell` words the line that marks a gap.
    pub(super) fn write(&mut self, text: &str, tell: impl Fn(&Lost) -> String) {
        if self.missing > 0 {
            let cause = self.cause.clone().unwrap_or_default();
            let gap = tell(&Lost { lines: self.missing, cause });
            if self.append(&gap) < gap.len() {
                return self.lose(text);
            }
            self.missing = 0;
        }
        let written = self.append(text);
        if written < text.len() {
            self.lose(&text[written..]);
        }
    }

    /// What is missing, when something is.
    pub(super) fn lost(&self) -> Option<Lost> {
        (self.lost > 0).then(|| Lost { lines: self.lost, cause: self.cause.clone().unwrap_or_default() })
    }

    fn lose(&mut self, text: &str) {
        let lines = text.matches('\n').count() as u64;
        self.missing += lines;
        self.lost += lines;
    }

    /// Writes as many whole lines as go in. Returns their bytes.
    fn append(&mut self, text: &str) -> usize {
        let start = self.length();
        let mut written = 0;
        let error = loop {
            if written == text.len() {
                return written;
            }
            match self.file.write(&text.as_bytes()[written..]) {
                Ok(0) => break io::Error::from(ErrorKind::WriteZero),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        self.cause.get_or_insert_with(|| cause(&error));
        let whole = text.as_bytes()[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
        if whole < written && self.file.set_len(start + whole as u64).is_err() {
            // It stays where it is, and the line that tells of the gap begins after it.
            let _ = self.file.write(b"\n");
        }
        whole
    }
}

fn cause(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::StorageFull {
        "the disk was full".to_owned()
    } else if kind == ErrorKind::QuotaExceeded {
        "the disk quota was used up".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::path::Path;

    #[test]
    fn what_cannot_be_written_is_counted_and_told_when_there_is_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let open = || OpenOptions::new().append(true).create(true).open(&path).expect("a file");
        let mut log = LogFile::new(open());
        let tell = |lost: &Lost| format!("— {} lines: {}\n", lost.lines, lost.cause);
        log.write("one\n", tell);
        assert_eq!((log.length(), log.lost()), (4, None));
        // A device that is always full stands for the disk.
        let full = Path::new("/dev/full");
        if full.exists() {
            log.file = OpenOptions::new().write(true).open(full).expect("the full device");
            log.write("two\nthree\n", tell);
            log.write("four\n", tell);
            log.file = open();
            log.write("five\n", tell);
            log.write("six\n", tell);
            assert_eq!(log.lost(), Some(Lost { lines: 3, cause: "the disk was full".to_owned() }));
            let text = std::fs::read_to_string(&path).expect("readable");
            assert_eq!(text, "one\n— 3 lines: the disk was full\nfive\nsix\n");
        }
    }
}
