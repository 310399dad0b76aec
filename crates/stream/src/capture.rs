//! The task that follows the transcripts of all runs that are watched. It sleeps while nobody writes, and a run that
//! nobody watches is none of its business. It reads a little of files that were just written, which are in memory, on the
//! runtime's own threads: so a line is read and passed on without waking a second one.

mod follow;
mod watched;

pub(super) use self::follow::{Joined, Piece, read_piece};

use self::follow::Follow;
use self::watched::{Next, Watched};
use super::files::RunFiles;
use orch_core::output::OutputChunk;
use orch_sys::file_watch::{FileWatch, News};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The most that one piece holds, in bytes.
pub(super) const PIECE: usize = 32 << 10;
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
        if let Some(joined) = locked(&self.watched).join(&files.followed) {
            return Ok(Some(joined));
        }
        if files.is_over() {
            return Ok(None);
        }
        // Read before the runs are held: the task must not wait for that.
        let new = Follow::begin(files)?;
        let joined = locked(&self.watched).add(new);
        self.called.notify_one();
        Ok(Some(joined))
    }

    /// How many runs are followed.
    pub(super) fn count(&self) -> usize {
        locked(&self.watched).count()
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
                        locked(&watched).sweep();
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
