//! Appends lines to a file on a disk that may be full for a while: lost lines are counted, and a line reports the gap as
//! soon as there is room again. The file only ever holds whole lines.

use super::own_lines::{Kind, Own, OwnLines};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Appends lines.
pub(super) struct LogFile {
    file: File,
    /// The list of lines that are not from the agent's output.
    own: Option<OwnLines>,
    /// How many lines were lost since the last one that was written, and how many of them are from the agent's output.
    missing: u64,
    missing_output: u64,
    /// How many lines were lost in all, and why the first one was.
    lost: u64,
    cause: Option<String>,
}

/// Lines that are missing in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// The number of lines.
    pub(super) lines: u64,
    /// The cause, for a person.
    pub(super) cause: String,
}

/// The state in which an earlier writer left the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resumed {
    /// How many lines of the agent's output it has processed.
    pub(super) known: u64,
    /// Whether it had written its last line.
    pub(super) is_ended: bool,
}

impl LogFile {
    /// Appends to `file`, which must be open for appending.
    pub(super) fn new(file: File) -> Self {
        Self { file, own: None, missing: 0, missing_output: 0, lost: 0, cause: None }
    }

    /// Appends to the file at `path`, and keeps a list of the lines that are none of the agent's output.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { own: Some(OwnLines::for_file(path)), ..Self::new(file) })
    }

    /// Continues where an earlier writer was interrupted. What it left unfinished is cut off: a partial line, a partial
    /// ending, and everything after a place where it skipped output.
    pub(super) fn resume(&mut self) -> io::Result<Resumed> {
        let Some(list) = &mut self.own else { return Ok(Resumed::default()) };
        let listed = list.load()?;
        let Counted { lines, end, before } = count(&mut self.file, &listed)?;
        let there = |own: &Own| before.get(&own.offset).map(|before| (lines - before).min(own.lines));
        let is_cut = |own: &&Own| match own.kind {
            Kind::Aside => false,
            Kind::Skip => there(own).is_some(),
            Kind::End => there(own).is_some_and(|there| there < own.lines),
        };
        let cut = listed.values().find(is_cut).map(|own| own.offset);
        let (end, lines) = cut.map_or((end, lines), |cut| (cut, before[&cut]));
        self.file.set_len(end)?;
        let mut resumed = Resumed { known: lines, is_ended: false };
        let kept: BTreeMap<u64, Own> = listed.range(..end).map(|(offset, own)| (*offset, *own)).collect();
        for own in kept.values() {
            let there = there(own).unwrap_or_default();
            let stand_for = if there == own.lines { own.stand_for } else { 0 };
            resumed.known = (resumed.known + stand_for).saturating_sub(there);
            resumed.is_ended |= own.kind == Kind::End;
        }
        if kept != listed {
            list.save(&kept)?;
        }
        Ok(resumed)
    }

    /// Returns the length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// Appends whole lines of the agent's output, or counts them as lost. `gap_line` renders the line that marks a gap.
    /// Returns whether all of them are written.
    pub(super) fn write(&mut self, text: &str, gap_line: impl Fn(&Lost) -> String) -> bool {
        let written = if self.close_gap(gap_line) { self.append(text) } else { 0 };
        self.missing_output += self.count_lost(&text[written..]);
        written == text.len()
    }

    /// Appends lines that are not from the agent's output: all of them, or none, which counts as lost.
    pub(super) fn write_own(&mut self, kind: Kind, text: &str, gap_line: impl Fn(&Lost) -> String) -> bool {
        let is_written = self.close_gap(gap_line) && self.append_own(kind, text, 0);
        if !is_written {
            self.count_lost(text);
        }
        is_written
    }

    /// Marks that a part of the output is skipped here.
    pub(super) fn skip(&mut self) {
        self.append_own(Kind::Skip, "", 0);
    }

    /// Appends the line that marks a gap, if there is one. Returns `false` when it could not be written.
    pub(super) fn close_gap(&mut self, gap_line: impl Fn(&Lost) -> String) -> bool {
        if self.missing > 0 {
            let cause = self.cause.clone().unwrap_or_default();
            let gap = gap_line(&Lost { lines: self.missing, cause });
            if !self.append_own(Kind::Aside, &gap, self.missing_output) {
                return false;
            }
            (self.missing, self.missing_output) = (0, 0);
        }
        true
    }

    /// Returns what is missing, if anything is.
    pub(super) fn lost(&self) -> Option<Lost> {
        (self.lost > 0).then(|| Lost { lines: self.lost, cause: self.cause.clone().unwrap_or_default() })
    }

    /// Swaps the file, to simulate a disk that accepts nothing.
    #[cfg(test)]
    pub(super) fn swap_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Counts the lines of `text` as lost, and returns their number.
    fn count_lost(&mut self, text: &str) -> u64 {
        let lines = line_count(text);
        self.missing += lines;
        self.lost += lines;
        lines
    }

    /// Appends all of the text or nothing, after recording that it is not from the agent's output.
    fn append_own(&mut self, kind: Kind, text: &str, stand_for: u64) -> bool {
        let offset = self.length();
        if let Some(own) = &mut self.own
            && let Err(error) = own.add(Own { offset, lines: line_count(text), stand_for, kind })
        {
            self.cause.get_or_insert_with(|| cause(&error));
            return false;
        }
        let is_whole = self.append(text) == text.len();
        if !is_whole {
            // Shrinking needs no room. A disk that refuses even that keeps the partial line; the gap is reported behind it.
            let _ = self.file.set_len(offset);
        }
        is_whole
    }

    /// Writes as many whole lines as possible. Returns their length in bytes.
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
            // The partial line stays, and the line that reports the gap begins after it.
            let _ = self.file.write(b"\n");
        }
        whole
    }
}

/// The lines of a file.
struct Counted {
    /// The number of whole lines.
    lines: u64,
    /// The byte offset at which the last of them ends.
    end: u64,
    /// The number of lines before each given offset that has lines after it.
    before: BTreeMap<u64, u64>,
}

fn count(file: &mut File, places: &BTreeMap<u64, Own>) -> io::Result<Counted> {
    let mut counted = Counted { lines: 0, end: 0, before: BTreeMap::new() };
    let mut places = places.keys().copied().peekable();
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    file.seek(SeekFrom::Start(0))?;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(counted),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for feed in memchr::memchr_iter(b'\n', &buffer[..count]) {
            counted.end = at + feed as u64 + 1;
            while let Some(place) = places.next_if(|place| *place < counted.end) {
                counted.before.insert(place, counted.lines);
            }
            counted.lines += 1;
        }
        at += count as u64;
    }
}

fn line_count(text: &str) -> u64 {
    text.matches('\n').count() as u64
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
    fn what_cannot_be_written_is_counted_and_reported_when_there_is_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let open = || OpenOptions::new().append(true).create(true).open(&path).expect("a file");
        let mut log = LogFile::new(open());
        let gap_line = |lost: &Lost| format!("— {} lines: {}\n", lost.lines, lost.cause);
        log.write("one\n", gap_line);
        assert_eq!((log.length(), log.lost()), (4, None));
        // A device that is always full takes the place of the disk.
        let full = Path::new("/dev/full");
        if full.exists() {
            log.file = OpenOptions::new().write(true).open(full).expect("the full device");
            log.write("two\nthree\n", gap_line);
            log.write("four\n", gap_line);
            log.file = open();
            log.write("five\n", gap_line);
            log.write("six\n", gap_line);
            assert_eq!(log.lost(), Some(Lost { lines: 3, cause: "the disk was full".to_owned() }));
            let text = std::fs::read_to_string(&path).expect("readable");
            assert_eq!(text, "one\n— 3 lines: the disk was full\nfive\nsix\n");
        }
    }
}
