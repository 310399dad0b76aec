//! One run that is followed: what is new in its file, in pieces, until the run is over.

use super::Message;
use crate::files::{RunFiles, last_line_end};
use crate::text::Text;
use orch_core::output::{OutputChunk, piece_length};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::file_watch::{FileWatch, WatchId};
use std::io;
use std::sync::Arc;
use tokio::sync::broadcast;

/// How many pieces wait for a slow subscriber; then it reads the file.
const QUEUE: usize = 64;
/// What is watched of one run: its file, its directory, and the directory of all.
const PLACES: usize = 3;

/// One that is followed.
pub(super) struct Follow {
    files: RunFiles,
    text: Option<Text>,
    /// Everything before it was told.
    offset: u64,
    followers: broadcast::Sender<Message>,
    of_file: Option<WatchId>,
    of_directory: Option<WatchId>,
    /// The directory of all runs. That one of them is removed is said there at once, and in the removed one only when
    /// nobody has a file of it open.
    of_parent: Option<WatchId>,
    /// The run may have ended.
    perhaps_over: bool,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The next look waits for news.
    All,
    /// There may be more to read.
    More,
    /// The run is over, and everything was told.
    End,
}

/// What a new follower gets.
pub(crate) struct Joined {
    /// What comes from now on.
    pub(crate) live: broadcast::Receiver<Message>,
    /// Where that begins.
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

    /// The file that is followed.
    pub(super) fn file(&self) -> &std::path::Path {
        &self.files.followed
    }

    /// What is watched for it.
    pub(super) fn places(&self) -> impl Iterator<Item = WatchId> + use<> {
        [self.of_file, self.of_directory, self.of_parent].into_iter().flatten()
    }

    /// Not everything of it is announced: it must be looked at now and then.
    pub(super) fn is_unannounced(&self) -> bool {
        self.places().count() < PLACES
    }

    pub(super) fn has_followers(&self) -> bool {
        self.followers.receiver_count() > 0
    }

    /// There is news of this place.
    pub(super) fn note(&mut self, place: WatchId) {
        self.perhaps_over |= [self.of_directory, self.of_parent].contains(&Some(place));
    }

    /// Nobody knows what happened.
    pub(super) fn doubt(&mut self) {
        self.perhaps_over = true;
    }

    /// Not everything that can be watched is watched by now.
    pub(super) fn lacks_attention(&self) -> bool {
        self.of_directory.is_none() || self.of_file.is_none()
    }

    /// Asks for news of what is there by now.
    pub(super) fn attend(&mut self, watch: &FileWatch) {
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

    /// Tells the next piece, or the end.
    pub(super) fn tell(&mut self, buffer: &mut [u8]) -> Found {
        // Only a new name in the directory, or the sweep, can mean the end. Looked at before reading: what is written
        // before the outcome is then surely read.
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
        // Nobody listening is fine.
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

/// What there is behind what was told.
enum Read {
    Piece(Piece),
    Nothing,
    /// Somebody cut the file.
    Cut,
}

/// A piece of a file as text, and how many bytes it takes there.
pub(crate) struct Piece {
    pub(crate) content: String,
    pub(crate) length: u64,
    /// The buffer was full: there may be more behind it, however little of it was handed out.
    pub(crate) has_more: bool,
}

/// The next piece from `offset` on that fits into `buffer`. `None`: there is none, or its line is still being written.
pub(crate) fn read_piece(text: &Text, offset: u64, buffer: &mut [u8], is_all: bool) -> io::Result<Option<Piece>> {
    let mut filled = 0;
    while filled < buffer.len() {
        match text.read_some(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        // What is written while this is read is the next piece.
        if buffer[filled - 1] == b'\n' {
            break;
        }
    }
    let length = piece_length(&buffer[..filled], buffer.len(), is_all);
    if length == 0 {
        return Ok(None);
    }
    let content = String::from_utf8_lossy(&buffer[..length]).into_owned();
    Ok(Some(Piece { content, length: length as u64, has_more: filled == buffer.len() }))
}
