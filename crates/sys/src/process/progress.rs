//! Detects programs that make no progress. Progress is processor time, bytes read or written, a change in the number of
//! children, or a wait for a disk.

use super::table;
use crate::clock;
use std::time::Duration;
use tokio::time::{Instant, interval_at};

/// How often a program is sampled.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How a program is watched for progress.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// It is killed after this time without progress.
    pub limit: Duration,
    /// Called for each sample with the process number and the time without progress.
    pub on_sample: &'a (dyn Fn(u32, Duration) + Send + Sync),
}

/// What a program and its children have used so far.
#[derive(PartialEq, Eq)]
struct Activity {
    cpu: Duration,
    bytes: u64,
    children: usize,
    /// Whether one of them runs or waits for a disk.
    is_busy: bool,
}

fn activity(pid: u32) -> Option<Activity> {
    let mut entries = table::below(pid).unwrap_or_default();
    entries.push(table::entry(pid)?);
    Some(Activity {
        cpu: entries.iter().map(|entry| entry.cpu).sum(),
        bytes: entries.iter().map(|entry| table::bytes(entry.pid)).sum(),
        children: entries.len(),
        is_busy: entries.iter().any(table::is_busy),
    })
}

/// Waits until the process has made no progress for the limit; returns how long that was.
pub(super) async fn stuck(pid: u32, watch: Watch<'_>) -> Duration {
    let mut ticks = interval_at(Instant::now() + POLL_INTERVAL, POLL_INTERVAL);
    let (mut last, mut since) = (None, clock::instant());
    loop {
        ticks.tick().await;
        let now = activity(pid);
        if now.is_none() || now != last || now.as_ref().is_some_and(|activity| activity.is_busy) {
            since = clock::instant();
        }
        last = now;
        let quiet = since.elapsed();
        (watch.on_sample)(pid, quiet);
        if quiet >= watch.limit {
            return quiet;
        }
    }
}
