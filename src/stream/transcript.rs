//! Follows the transcript of one run: an append-only file, so an offset is a cursor and nothing is lost or doubled.

use notify::{RecursiveMode, Watcher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio::sync::Notify;

/// The most that one piece holds, in bytes.
const PIECE: usize = 64 << 10;
/// How long a missed file event can delay a line.
const SWEEP: Duration = Duration::from_secs(2);

/// A reader of one transcript, from an offset to the end of the run.
pub struct Follower {
    transcript: PathBuf,
    /// Is there when everything is written.
    outcome: PathBuf,
    file: Option<File>,
    offset: u64,
    changed: Arc<Notify>,
    _watcher: notify::RecommendedWatcher,
}

impl Follower {
    /// Follows `transcript` in `run_dir` from byte `offset`; the run is over when `outcome` is there.
    pub fn new(run_dir: &Path, transcript: PathBuf, outcome: PathBuf, offset: u64) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let wake = Arc::clone(&changed);
        let mut watcher = notify::recommended_watcher(move |_| wake.notify_one())?;
        watcher.watch(run_dir, RecursiveMode::NonRecursive)?;
        Ok(Self { transcript, outcome, file: None, offset, changed, _watcher: watcher })
    }

    /// Where the next piece begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece, as soon as there is one; `None` at the end of the run.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            // Looked at before reading: what is written before the outcome is then surely read.
            let over = self.outcome.exists();
            let piece = self.read().await?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
            if over {
                return Ok(None);
            }
            // Elapsing is not an error: it is the sweep for a file event that was missed.
            tokio::time::timeout(SWEEP, self.changed.notified()).await.ok();
        }
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&self.transcript).await {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.offset)).await?;
                    self.file.insert(file)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            },
        };
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        self.offset += length as u64;
        Ok(piece)
    }
}
