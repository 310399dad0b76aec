//! Measurements of a trial besides its invariants: time without service, memory and descriptors of a process, zombies.

use crate::fixture::Fixture;
use crate::row::pause;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the daemon is asked whether it serves.
const EVERY: Duration = Duration::from_millis(5);
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends an observer, also when the trial panics.
pub struct AtEnd<'a>(pub &'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends requests to the daemon until `over`. Returns each time without an answer, from the last answer to the next.
pub fn silences(fixture: &Fixture, over: &AtomicBool) -> Vec<Duration> {
    let socket = fixture.state().join("orch.sock");
    let (mut last, mut missed, mut found) = (None, false, Vec::new());
    while !over.load(Ordering::SeqCst) {
        let asked = Instant::now();
        if serves(&socket) {
            if let Some(last) = last.filter(|_| missed) {
                found.push(asked.duration_since(last));
            }
            (last, missed) = (Some(Instant::now()), false);
        } else {
            missed = true;
        }
        pause(EVERY);
    }
    found
}

/// Whether a daemon answers that it serves.
pub fn serves(socket: &Path) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: orch\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// The process that answers: a daemon, or a command that does without one.
pub fn who_serves(socket: &Path) -> Option<i32> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /v1/status?brief=true HTTP/1.1\r\nhost: orch\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body = &answer[answer.find('{')?..=answer.rfind('}')?];
    let status: serde_json::Value = serde_json::from_str(body).ok()?;
    status["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
}

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Memory of its own that is in use, in kilobytes: without the pages of its program.
    pub own_kb: u64,
    /// The most memory that it ever had in use, in kilobytes, with its program.
    pub peak_kb: u64,
    /// Open descriptors.
    pub files: usize,
    /// Children that have ended and that it has not looked at.
    pub zombies: usize,
}

/// What the process uses now; `None` when it is gone.
pub fn usage(pid: i32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let zombies = children(pid).into_iter().filter(|child| is_zombie(*child)).count();
    Some(Usage { own_kb: figure("RssAnon")?, peak_kb: figure("VmHWM")?, files, zombies })
}

fn children(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let text = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    text.flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

/// Describes the median and the maximum of some times.
pub fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    match (times.get(times.len() / 2), times.last()) {
        (Some(middle), Some(longest)) => format!("{} ms, {} ms at most", middle.as_millis(), longest.as_millis()),
        (None, _) | (_, None) => "not noticed".to_owned(),
    }
}
