//! The thread that follows the transcripts of all runs that are watched. It sleeps while nobody writes, and a run that
//! nobody watches is none of its business.

use super::files::{RunFiles, last_line_end};
use super::text::Text;
use crate::adapters::clock::{Clock, SystemClock};
use crate::adapters::file_watch::{Caller, FileWatch, News, WatchId};
use crate::domain::ids::RunId;
use crate::domain::output::{OutputChunk, piece_length};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use tokio::sync::broadcast;

/// The most that one piece holds, in bytes.
pub(super) const PIECE: usize = 32 << 10;
/// How many pieces wait for a slow subscriber; then it reads the file.
const QUEUE: usize = 64;
/// How long a missed file event can delay a line.
const SWEEP: Duration = Duration::from_secs(2);

/// What the followers of a run are told.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// The next piece.
    Piece(Arc<OutputChunk>),
    /// Somebody cut the transcript: it goes on at this offset.
    Cut(u64),
}

/// The runs that are watched.
#[derive(Default)]
pub(super) struct Watched {
    runs: BTreeMap<RunId, Follow>,
}

/// One run.
struct Follow {
    files: RunFiles,
    text: Option<Text>,
    /// Everything before it was told.
    offset: u64,
    followers: broadcast::Sender<Message>,
    of_file: Option<WatchId>,
    of_directory: Option<WatchId>,
    /// There may be more to read.
    due: bool,
}

/// What a new follower gets.
pub(super) struct Joined {
    /// What comes from now on.
    pub(super) live: broadcast::Receiver<Message>,
    /// Where that begins.
    pub(super) offset: u64,
}

/// The thread, as the hub sees it. Dropped, the thread ends.
pub(super) struct Capture {
    watched: Arc<Mutex<Watched>>,
    caller: Caller,
}

impl Drop for Capture {
    fn drop(&mut self) {
        // The thread finds that nobody holds the runs any more.
        self.watched = Arc::default();
        self.caller.call();
    }
}

impl Capture {
    /// Starts the thread.
    ///
    /// # Errors
    /// The process has no more threads or descriptors.
    pub(super) fn start() -> io::Result<Self> {
        let watched = Arc::new(Mutex::new(Watched::default()));
        let watch = FileWatch::new()?;
        let caller = watch.caller();
        let shared = Arc::downgrade(&watched);
        thread::Builder::new()
            .name("capture".into())
            .stack_size(256 << 10)
            .spawn(move || follow_all(&shared, watch))?;
        Ok(Self { watched, caller })
    }

    /// Follows a run from now on. `None`: it is over.
    ///
    /// # Errors
    /// Its transcript cannot be read.
    pub(super) fn join(&self, files: &RunFiles) -> io::Result<Option<Joined>> {
        let mut watched = locked(&self.watched);
        if let Some(follow) = watched.runs.get(&files.run) {
            return Ok(Some(follow.joined()));
        }
        if files.is_over() {
            return Ok(None);
        }
        let follow = Follow::begin(files)?;
        let joined = follow.joined();
        watched.runs.insert(files.run.clone(), follow);
        drop(watched);
        self.caller.call();
        Ok(Some(joined))
    }

    /// How many runs are followed.
    pub(super) fn count(&self) -> usize {
        locked(&self.watched).runs.len()
    }
}

fn locked(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow_all(shared: &Weak<Mutex<Watched>>, mut watch: FileWatch) {
    loop {
        let Some(watched) = shared.upgrade() else { return };
        let limit = step(&mut locked(&watched), &watch);
        // Held no longer than a step: who lets go of the hub ends this thread.
        drop(watched);
        let news = watch.wait(limit);
        let Some(watched) = shared.upgrade() else { return };
        for follow in locked(&watched).runs.values_mut() {
            follow.due |= match &news {
                News::Anything => true,
                News::Called => false,
                News::Changed(ids) => {
                    [follow.of_file, follow.of_directory].into_iter().flatten().any(|id| ids.contains(&id))
                }
            };
        }
    }
}

/// One piece of each run that has news. Returns how long to wait for more.
fn step(watched: &mut Watched, watch: &FileWatch) -> Option<Duration> {
    let mut at_once = false;
    watched.runs.retain(|_, follow| {
        if follow.followers.receiver_count() == 0 {
            follow.forget(watch);
            return false;
        }
        if !follow.due {
            return true;
        }
        follow.attend(watch);
        let goes_on = follow.tell();
        at_once |= goes_on && follow.due;
        if !goes_on {
            follow.forget(watch);
        }
        goes_on
    });
    match (at_once, watched.runs.is_empty()) {
        (true, _) => Some(Duration::ZERO),
        (false, true) => None,
        (false, false) => Some(SWEEP),
    }
}

impl Follow {
    fn begin(files: &RunFiles) -> io::Result<Self> {
        let text = Text::open(files)?;
        let offset = match &text {
            Some(text) => last_line_end(text, text.length()?)?,
            None => 0,
        };
        let (followers, _) = broadcast::channel(QUEUE);
        let (of_file, of_directory) = (None, None);
        Ok(Self { files: files.clone(), text, offset, followers, of_file, of_directory, due: true })
    }

    fn joined(&self) -> Joined {
        Joined { live: self.followers.subscribe(), offset: self.offset }
    }

    /// Asks for news of what is there by now.
    fn attend(&mut self, watch: &FileWatch) {
        if self.of_directory.is_none() {
            self.of_directory = watch.follow_directory(&self.files.dir);
        }
        if self.text.is_none() {
            self.text = Text::open(&self.files).ok().flatten();
        }
        if self.of_file.is_none() && self.text.is_some() {
            self.of_file = watch.follow_file(&self.files.transcript);
        }
    }

    fn forget(&self, watch: &FileWatch) {
        [self.of_file, self.of_directory].into_iter().flatten().for_each(|id| watch.forget(id));
    }

    /// Tells the next piece, or the end. Returns whether the run goes on.
    fn tell(&mut self) -> bool {
        // Looked at before reading: what is written before the outcome is then surely read.
        let over = self.files.is_over() || !self.files.dir.is_dir();
        self.due = false;
        match self.read(over) {
            Ok(Some(piece)) => {
                self.due = true;
                self.send(piece, false);
                true
            }
            Ok(None) if over => {
                self.send(Piece { content: String::new(), length: 0 }, true);
                false
            }
            Ok(None) => true,
            Err(error) => {
                tracing::warn!(run = %self.files.run, %error, "a transcript cannot be read");
                true
            }
        }
    }

    fn read(&mut self, over: bool) -> io::Result<Option<Piece>> {
        let Some(text) = &self.text else { return Ok(None) };
        let length = text.length()?;
        if length < self.offset {
            self.offset = length;
            // Nobody listening is fine.
            self.followers.send(Message::Cut(length)).ok();
        }
        read_piece(text, self.offset, PIECE, over)
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

/// A piece of a file as text, and how many bytes it takes there.
pub(super) struct Piece {
    pub(super) content: String,
    pub(super) length: u64,
}

/// The next piece from `offset` on, at most `most` bytes. `None`: there is none, or its line is still being written.
pub(super) fn read_piece(text: &Text, offset: u64, most: usize, is_all: bool) -> io::Result<Option<Piece>> {
    let mut bytes = vec![0; most];
    let filled = text.read_at(&mut bytes, offset)?;
    bytes.truncate(filled);
    let length = piece_length(&bytes, most, is_all);
    bytes.truncate(length);
    if length == 0 {
        return Ok(None);
    }
    let content = String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    Ok(Some(Piece { content, length: length as u64 }))
}
