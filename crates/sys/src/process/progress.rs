//! Whether a program makes progress: it uses processor time, reads, writes, or waits for a disk. One that sleeps and does
//! nothing of that hangs.

use super::table;
use crate::clock;
use std::time::Duration;
use tokio::time::{Instant, interval_at};

/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What is done about a program that makes no progress.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// It is ended after so long.
    pub limit: Duration,
    /// Is told the process, and for how long it has made no progress.
    pub seen: &'a (dyn Fn(u32, Duration) + Send + Sync),
}

/// What a program and its children have done so far.
#[derive(PartialEq, Eq)]
struct Signs {
    cpu: Duration,
    bytes: u64,
    children: usize,
    /// One of them runs, or waits for a disk.
    is_busy: bool,
}

fn signs(pid: u32) -> Option<Signs> {
    let mut entries = table::below(pid).unwrap_or_default();
    entries.push(table::entry(pid)?);
    Some(Signs {
        cpu: entries.iter().map(|entry| entry.cpu).sum(),
        bytes: entries.iter().map(|entry| table::bytes(entry.pid)).sum(),
        children: entries.len(),
        is_busy: entries.iter().any(table::is_busy),
    })
}

/// Returns when the process has made no progress for the limit, with how long that was.
pub(super) async fn stuck(pid: u32, watch: Watch<'_>) -> Duration {
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    let (mut last, mut since) = (None, clock::instant());
    loop {
        look.tick().await;
        let now = signs(pid);
        if now.is_none() || now != last || now.as_ref().is_some_and(|signs| signs.is_busy) {
            since = clock::instant();
        }
        last = now;
        let quiet = since.elapsed();
        (watch.seen)(pid, quiet);
        if quiet >= watch.limit {
            return quiet;
        }
    }
}
