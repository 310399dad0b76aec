//! The file of readable lines, which a full disk may refuse to take for a while: what is lost then is counted, and a
//! line tells of it as soon as there is room again. Only whole lines are ever in the file.

use super::own_lines::{Kind, Own, OwnLines};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Appends lines.
pub(super) struct LogFile {
    file: File,
    /// Where it is noted which lines are none of the agent's output.
    own: Option<OwnLines>,
    /// Lines that could not be written since the last one that could, and how many of them are of the agent's output.
    missing: u64,
    missing_output: u64,
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

/// What an earlier writer left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// How many lines of the agent's output it is through with.
    pub(super) known: u64,
    /// Whether it had said its last word.
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
        Ok(Self { own: Some(OwnLines::beside(path)), ..Self::new(file) })
    }

    /// Goes on where an earlier writer was interrupted. What it left unfinished is cut off: half a line, half a last
    /// word, and everything after a place from which on it did not read the whole output.
    pub(super) fn go_on(&mut self) -> io::Result<Left> {
        let Some(list) = &mut self.own else { return Ok(Left::default()) };
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
        let mut left = Left { known: lines, is_ended: false };
        let kept: BTreeMap<u64, Own> = listed.range(..end).map(|(offset, own)| (*offset, *own)).collect();
        for own in kept.values() {
            let there = there(own).unwrap_or_default();
            let stand_for = if there == own.lines { own.stand_for } else { 0 };
            left.known = (left.known + stand_for).saturating_sub(there);
            left.is_ended |= own.kind == Kind::End;
        }
        if kept != listed {
            list.save(&kept)?;
        }
        Ok(left)
    }

    /// The length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// Appends whole lines of the agent's output, or counts them as lost. `tell` words the line that marks a gap. Returns
    /// whether all of them are written.
    pub(super) fn write(&mut self, text: &str, tell: impl Fn(&Lost) -> String) -> bool {
        let written = if self.close_gap(tell) { self.append(text) } else { 0 };
        self.missing_output += self.lose(&text[written..]);
        written == text.len()
    }

    /// Appends lines that are none of the agent's output: all of them, or none, which counts as lost.
    pub(super) fn write_own(&mut self, kind: Kind, text: &str, tell: impl Fn(&Lost) -> String) -> bool {
        let is_written = self.close_gap(tell) && self.append_own(kind, text, 0);
        if !is_written {
            self.lose(text);
        }
        is_written
    }

    /// From here on not the whole output is read.
    pub(super) fn skip(&mut self) {
        self.append_own(Kind::Skip, "", 0);
    }

    /// Appends the line that marks a gap, when there is one. `false`: there is no room.
    pub(super) fn close_gap(&mut self, tell: impl Fn(&Lost) -> String) -> bool {
        if self.missing > 0 {
            let cause = self.cause.clone().unwrap_or_default();
            let gap = tell(&Lost { lines: self.missing, cause });
            if !self.append_own(Kind::Aside, &gap, self.missing_output) {
                return false;
            }
            (self.missing, self.missing_output) = (0, 0);
        }
        true
    }

    /// What is missing, when something is.
    pub(super) fn lost(&self) -> Option<Lost> {
        (self.lost > 0).then(|| Lost { lines: self.lost, cause: self.cause.clone().unwrap_or_default() })
    }

    /// As if the disk took nothing meanwhile.
    #[cfg(test)]
    pub(super) fn swap_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Returns how many lines that is.
    fn lose(&mut self, text: &str) -> u64 {
        let lines = feeds(text);
        self.missing += lines;
        self.lost += lines;
        lines
    }

    /// Appends all of it or nothing, and notes before that it is none of the agent's output.
    fn append_own(&mut self, kind: Kind, text: &str, stand_for: u64) -> bool {
        let offset = self.length();
        if let Some(own) = &mut self.own
            && let Err(error) = own.add(Own { offset, lines: feeds(text), stand_for, kind })
        {
            self.cause.get_or_insert_with(|| cause(&error));
            return false;
        }
        let is_whole = self.append(text) == text.len();
        if !is_whole {
            // Shrinking needs no room. A disk that refuses even that keeps the line cut; the gap is told behind it.
            let _ = self.file.set_len(offset);
        }
        is_whole
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

/// What is in a file of lines.
struct Counted {
    /// How many whole lines.
    lines: u64,
    /// Where the last of them ends.
    end: u64,
    /// How many lines there are before each place at which there are any after it.
    before: BTreeMap<u64, u64>,
}

fn count(file: &mut File, places: &BTreeMap<u64, Own>) -> io::Result<Counted> {
    let mut counted = Counted { lines: 0, end: 0, before: BTreeMap::new() };
    let mut places = places.keys().copied().peekable();
    let mut piece = vec![0; 64 << 10];
    let mut at = 0;
    file.seek(SeekFrom::Start(0))?;
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => return Ok(counted),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for feed in memchr::memchr_iter(b'\n', &piece[..count]) {
            counted.end = at + feed as u64 + 1;
            while let Some(place) = places.next_if(|place| *place < counted.end) {
                counted.before.insert(place, counted.lines);
            }
            counted.lines += 1;
        }
        at += count as u64;
    }
}

fn feeds(text: &str) -> u64 {
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
