//! The task that follows the transcripts of all watched runs. It sleeps while nothing is written and ignores runs
//! without a watcher. It does small reads of files just written, which are in the page cache, on the runtime's own
//! threads, so that a line is passed on without waking a second one.

mod follow;
mod watched;

pub(super) use self::follow::{Joined, Piece, read_piece};

use self::follow::Follow;
use self::watched::{Next, Watched};
use super::files::RunFiles;
use orch_core::text::output::OutputChunk;
use orch_sys::file_watch::{FileWatch, News};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The largest chunk, in bytes.
pub(super) const PIECE: usize = 32 << 10;
/// How long a line can be delayed when the kernel does not announce some files of a run.
const SWEEP: Duration = Duration::from_secs(5);
/// Every nth sweep covers all runs, in case an announcement was lost.
const ALL: u32 = 6;

/// What the followers of a run receive.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// The next chunk of output.
    Piece(Arc<OutputChunk>),
    /// The transcript was truncated: it continues at this offset.
    Cut(u64),
}

/// The hub's handle of the task, which ends when the handle is dropped.
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
    /// Starts the task on the current runtime.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub(super) fn start() -> io::Result<Self> {
        let (watched, called) = (Arc::<Mutex<Watched>>::default(), Arc::<Notify>::default());
        let task = tokio::spawn(follow_all(Arc::clone(&watched), Arc::clone(&called), FileWatch::new()?));
        Ok(Self { watched, called, task: task.abort_handle() })
    }

    /// Follows a run from now on; `None` when it is over. Reads a little of its files.
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
        // Read before the lock is taken: the task must not wait for that.
        let new = Follow::begin(files)?;
        let joined = locked(&self.watched).add(new);
        self.called.notify_one();
        Ok(Some(joined))
    }

    /// Returns the number of followed runs.
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
