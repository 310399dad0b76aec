//! One followed run: reads what is new in its file, in chunks, until the run is over.

use super::Message;
use crate::files::{RunFiles, last_line_end};
use crate::text::Text;
use orch_core::text::output::{OutputChunk, chunk_length};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::file_watch::{FileWatch, WatchId};
use std::io;
use std::sync::Arc;
use tokio::sync::broadcast;

/// How many chunks wait for a slow subscriber; then it reads the file.
const QUEUE: usize = 64;
/// What is watched of one run: its file, its directory, and the directory of all runs.
const PLACES: usize = 3;

/// A followed run.
pub(super) struct Follow {
    files: RunFiles,
    text: Option<Text>,
    /// The offset before which everything was sent.
    offset: u64,
    followers: broadcast::Sender<Message>,
    of_file: Option<WatchId>,
    of_directory: Option<WatchId>,
    /// The directory of all runs. It announces the removal of a run at once; the removed directory only when no
    /// file of it is open.
    of_parent: Option<WatchId>,
    /// Whether the run may have ended.
    perhaps_over: bool,
}

/// The result of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing new: the next poll waits for an announcement.
    All,
    /// Something was sent, and there may be more to read.
    More,
    /// The run is over, and everything was sent.
    End,
}

/// What a new follower receives.
pub(crate) struct Joined {
    /// The receiver of everything new.
    pub(crate) live: broadcast::Receiver<Message>,
    /// The offset at which that begins.
    pub(crate) offset: u64,
}

impl Follow {
    pub(super) fn begin(files: &RunFiles) -> io::Result<Self> {
        let text = Text::open(files)?;
        let offset = match &text {
            Some(text) => last_line_end(text, text.length()?)?,
            None => 0,
        };
        let (followers, _) = broadcast::channel(QUEUE);
        let (of_file, of_directory, of_parent) = (None, None, None);
        Ok(Self { files: files.clone(), text, offset, followers, of_file, of_directory, of_parent, perhaps_over: true })
    }

    pub(super) fn joined(&self) -> Joined {
        Joined { live: self.followers.subscribe(), offset: self.offset }
    }

    /// Returns the path of the followed file.
    pub(super) fn file(&self) -> &std::path::Path {
        &self.files.followed
    }

    /// Returns the watches of this run.
    pub(super) fn places(&self) -> impl Iterator<Item = WatchId> + use<> {
        [self.of_file, self.of_directory, self.of_parent].into_iter().flatten()
    }

    /// Returns whether some of it is not announced, so that it must be polled.
    pub(super) fn is_unannounced(&self) -> bool {
        self.places().count() < PLACES
    }

    pub(super) fn has_followers(&self) -> bool {
        self.followers.receiver_count() > 0
    }

    /// Records an announcement.
    pub(super) fn note(&mut self, place: WatchId) {
        self.perhaps_over |= [self.of_directory, self.of_parent].contains(&Some(place));
    }

    /// Records that anything may have changed.
    pub(super) fn assume_changed(&mut self) {
        self.perhaps_over = true;
    }

    /// Returns whether some files or directories are not watched yet.
    pub(super) fn has_missing_watches(&self) -> bool {
        self.of_directory.is_none() || self.of_file.is_none()
    }

    /// Watches the files and directories that exist by now.
    pub(super) fn add_watches(&mut self, watch: &FileWatch) {
        if self.of_directory.is_none() {
            self.of_directory = watch.follow_directory(&self.files.dir);
            self.of_parent = self.files.dir.parent().and_then(|parent| watch.follow_removals(parent));
        }
        if self.text.is_none() {
            self.text = Text::open(&self.files).ok().flatten();
        }
        if self.of_file.is_none() && self.text.is_some() {
            self.of_file = watch.follow_file(&self.files.followed);
        }
    }

    /// Sends the next chunk, or the end.
    pub(super) fn poll(&mut self, buffer: &mut [u8]) -> Found {
        // Only a new name in the directory, or the sweep, can mean the end. Checked before reading, so that everything
        // written before the outcome is surely read.
        let over = self.perhaps_over && (self.files.is_over() || !self.files.dir.is_dir());
        self.perhaps_over = over;
        match self.read(buffer, over) {
            Ok(Read::Piece(piece)) => {
                let has_more = over || piece.has_more;
                self.send(piece, false);
                if has_more { Found::More } else { Found::All }
            }
            Ok(Read::Nothing) if over => {
                self.send(Piece { content: String::new(), length: 0, has_more: false }, true);
                Found::End
            }
            Ok(Read::Nothing) => Found::All,
            Ok(Read::Cut) => Found::More,
            Err(error) => {
                tracing::warn!(run = %self.files.run, %error, "a transcript cannot be read");
                if over { Found::More } else { Found::All }
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8], over: bool) -> io::Result<Read> {
        let Some(text) = &self.text else { return Ok(Read::Nothing) };
        if let Some(piece) = read_piece(text, self.offset, buffer, over)? {
            return Ok(Read::Piece(piece));
        }
        let length = text.length()?;
        if length >= self.offset {
            return Ok(Read::Nothing);
        }
        self.offset = length;
        // No receiver is fine.
        self.followers.send(Message::Cut(length)).ok();
        Ok(Read::Cut)
    }

    fn send(&mut self, piece: Piece, is_final: bool) {
        let chunk = OutputChunk {
            task_id: self.files.task,
            run_id: self.files.run.clone(),
            offset: self.offset,
            end: self.offset + piece.length,
            timestamp: SystemClock.now(),
            content: piece.content,
            is_final,
        };
        self.offset = chunk.end;
        self.followers.send(Message::Piece(Arc::new(chunk))).ok();
    }
}

/// What follows the sent output in the file.
enum Read {
    Piece(Piece),
    Nothing,
    /// The file was truncated.
    Cut,
}

/// A chunk of a file as text, and its length in the file in bytes.
pub(crate) struct Piece {
    pub(crate) content: String,
    pub(crate) length: u64,
    /// Whether the buffer was full: there may be more behind it, however little of it was returned.
    pub(crate) has_more: bool,
}

/// Reads the next chunk from `offset` on that fits into `buffer`; `None` when there is none, or its line is incomplete.
pub(crate) fn read_piece(text: &Text, offset: u64, buffer: &mut [u8], is_all: bool) -> io::Result<Option<Piece>> {
    let mut filled = 0;
    while filled < buffer.len() {
        match text.read_some(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        // Output written during this read belongs to the next chunk.
        if buffer[filled - 1] == b'\n' {
            break;
        }
    }
    let length = chunk_length(&buffer[..filled], buffer.len(), is_all);
    if length == 0 {
        return Ok(None);
    }
    let content = String::from_utf8_lossy(&buffer[..length]).into_owned();
    Ok(Some(Piece { content, length: length as u64, has_more: filled == buffer.len() }))
}
