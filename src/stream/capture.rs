//! The task that follows the transcripts of all runs that are watched. It sleeps while nobody writes, and a run that
//! nobody watches is none of its business. It reads a little of files that were just written, which are in memory, on the
//! runtime's own threads: so a line is read and passed on without waking a second one.

use super::files::{RunFiles, last_line_end};
use super::text::Text;
use crate::adapters::clock::{Clock, SystemClock};
use crate::adapters::file_watch::{FileWatch, News, WatchId};
use crate::domain::output::{OutputChunk, piece_length};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The most that one piece holds, in bytes.
pub(super) const PIECE: usize = 32 << 10;
/// How many pieces wait for a slow subscriber; then it reads the file.
const QUEUE: usize = 64;
/// How long it can delay a line that the kernel does not announce something of a run.
const SWEEP: Duration = Duration::from_secs(5);
/// Of so many sweeps one is for all runs: an announcement that is missing should not be.
const ALL: u32 = 6;

/// What the followers of a run are told.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// The next piece.
    Piece(Arc<OutputChunk>),
    /// Somebody cut the transcript: it goes on at this offset.
    Cut(u64),
}

/// What is watched, by its file.
#[derive(Default)]
pub(super) struct Watched {
    runs: BTreeMap<PathBuf, Follow>,
    /// What is read from a watched file, and what in a watched directory.
    places: Places,
}

/// What is watched of one run: its file, its directory, and the directory of all.
const PLACES: usize = 3;

type Places = BTreeMap<WatchId, BTreeSet<PathBuf>>;

/// One of them.
struct Follow {
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
    /// There may be more to read.
    due: bool,
    /// The run may have ended.
    perhaps_over: bool,
}

/// What a new follower gets.
pub(super) struct Joined {
    /// What comes from now on.
    pub(super) live: broadcast::Receiver<Message>,
    /// Where that begins.
    pub(super) offset: u64,
}

/// The task, as the hub sees it. Dropped, the task ends.
pub(super) struct Capture {
    watched: Arc<Mutex<Watched>>,
    called: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Capture {
    /// Starts the task, on the runtime that this is called in.
    ///
    /// # Errors
    /// The process has no more descriptors.
    pub(super) fn start() -> io::Result<Self> {
        let (watched, called) = (Arc::<Mutex<Watched>>::default(), Arc::<Notify>::default());
        let task = tokio::spawn(follow_all(Arc::clone(&watched), Arc::clone(&called), FileWatch::new()?));
        Ok(Self { watched, called, task: task.abort_handle() })
    }

    /// Follows a run from now on. `None`: it is over. Reads a little of its files.
    ///
    /// # Errors
    /// Its transcript cannot be read.
    pub(super) fn join(&self, files: &RunFiles) -> io::Result<Option<Joined>> {
        if let Some(follow) = locked(&self.watched).runs.get(&files.followed) {
            return Ok(Some(follow.joined()));
        }
        if files.is_over() {
            return Ok(None);
        }
        // Read before the runs are held: the task must not wait for that.
        let new = Follow::begin(files)?;
        let joined = locked(&self.watched).runs.entry(files.followed.clone()).or_insert(new).joined();
        self.called.notify_one();
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

async fn follow_all(watched: Arc<Mutex<Watched>>, called: Arc<Notify>, mut watch: FileWatch) {
    let mut buffer = vec![0; PIECE];
    let mut sweep = interval_at(Instant::now() + SWEEP, SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweeps = 0;
    loop {
        let next = locked(&watched).step(&watch, &mut buffer);
        let news = match next {
            Next::More => tokio::select! {
                biased;
                news = watch.news() => Some(news),
                () = yield_now() => None,
            },
            Next::News => tokio::select! {
                biased;
                news = watch.news() => Some(news),
                () = called.notified() => None,
                _ = sweep.tick() => {
                    sweeps = (sweeps + 1) % ALL;
                    if sweeps > 0 {
                        locked(&watched).look_at_the_unannounced();
                    }
                    (sweeps == 0).then_some(News::Anything)
                }
            },
            Next::Call => {
                called.notified().await;
                None
            }
        };
        if let Some(news) = news {
            locked(&watched).note(&news);
        }
    }
}

/// What to wait for.
enum Next {
    /// Nothing: there is more to read.
    More,
    /// That somebody writes.
    News,
    /// That somebody watches.
    Call,
}

impl Watched {
    /// Takes news down; they are looked at in the next step.
    fn note(&mut self, news: &News) {
        match news {
            News::Anything => {
                self.runs.values_mut().for_each(|follow| (follow.due, follow.perhaps_over) = (true, true))
            }
            News::Changed(ids) => {
                for (id, path) in
                    ids.iter().flat_map(|id| self.places.get(id).into_iter().flatten().map(move |p| (id, p)))
                {
                    let Some(follow) = self.runs.get_mut(path) else { continue };
                    follow.due = true;
                    follow.perhaps_over |= [follow.of_directory, follow.of_parent].contains(&Some(*id));
                }
            }
        }
    }

    /// Has those looked at of which not everything is announced.
    fn look_at_the_unannounced(&mut self) {
        for follow in self.runs.values_mut().filter(|follow| follow.places().count() < PLACES) {
            (follow.due, follow.perhaps_over) = (true, true);
        }
    }

    /// One piece of each run that has news.
    fn step(&mut self, watch: &FileWatch, buffer: &mut [u8]) -> Next {
        let (mut at_once, places) = (false, &mut self.places);
        self.runs.retain(|path, follow| {
            let goes_on = follow.followers.receiver_count() > 0 && (!follow.due || follow.look(watch, places, buffer));
            if !goes_on {
                for id in follow.places() {
                    let others = places.get_mut(&id);
                    if others.is_none_or(|others| others.remove(path) && others.is_empty()) {
                        watch.forget(id);
                        places.remove(&id);
                    }
                }
            }
            at_once |= goes_on && follow.due;
            goes_on
        });
        match (at_once, self.runs.is_empty()) {
            (true, _) => Next::More,
            (false, true) => Next::Call,
            (false, false) => Next::News,
        }
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
        let (of_file, of_directory, of_parent) = (None, None, None);
        let (files, due, perhaps_over) = (files.clone(), true, true);
        Ok(Self { files, text, offset, followers, of_file, of_directory, of_parent, due, perhaps_over })
    }

    fn places(&self) -> impl Iterator<Item = WatchId> + use<> {
        [self.of_file, self.of_directory, self.of_parent].into_iter().flatten()
    }

    fn joined(&self) -> Joined {
        Joined { live: self.followers.subscribe(), offset: self.offset }
    }

    fn look(&mut self, watch: &FileWatch, places: &mut Places, buffer: &mut [u8]) -> bool {
        if self.of_directory.is_none() || self.of_file.is_none() {
            self.attend(watch);
            for id in self.places() {
                places.entry(id).or_default().insert(self.files.followed.clone());
            }
        }
        self.tell(buffer)
    }

    /// Asks for news of what is there by now.
    fn attend(&mut self, watch: &FileWatch) {
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

    /// Tells the next piece, or the end. Returns whether the run goes on.
    fn tell(&mut self, buffer: &mut [u8]) -> bool {
        // Only a new name in the directory, or the sweep, can mean the end. Looked at before reading: what is written
        // before the outcome is then surely read.
        let over = self.perhaps_over && (self.files.is_over() || !self.files.dir.is_dir());
        self.perhaps_over = over;
        self.due = over;
        match self.read(buffer, over) {
            Ok(Some(piece)) => {
                self.due |= piece.has_more;
                self.send(piece, false);
                true
            }
            Ok(None) if over => {
                self.send(Piece { content: String::new(), length: 0, has_more: false }, true);
                false
            }
            Ok(None) => true,
            Err(error) => {
                tracing::warn!(run = %self.files.run, %error, "a transcript cannot be read");
                true
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8], over: bool) -> io::Result<Option<Piece>> {
        let Some(text) = &self.text else { return Ok(None) };
        let piece = read_piece(text, self.offset, buffer, over)?;
        if piece.is_none() {
            let length = text.length()?;
            if length < self.offset {
                self.offset = length;
                self.due = true;
                // Nobody listening is fine.
                self.followers.send(Message::Cut(length)).ok();
            }
        }
        Ok(piece)
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
    /// The buffer was full: there may be more behind it, however little of it was handed out.
    pub(super) has_more: bool,
}

/// The next piece from `offset` on that fits into `buffer`. `None`: there is none, or its line is still being written.
pub(super) fn read_piece(text: &Text, offset: u64, buffer: &mut [u8], is_all: bool) -> io::Result<Option<Piece>> {
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
