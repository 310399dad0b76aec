//! Waits until something may have changed: the agent's output, a stop request, a signal, or a time. It does not say what
//! changed; the caller checks everything afterwards.

use super::launch::{Launch, RunDir, RunFileError};
use super::signals::Signals;
use orch_sys::clock::instant;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often to check where the kernel does not report changes of files.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The same while the run is being prepared, which usually takes a few milliseconds.
const LAUNCH_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long a runner waits for its run to be prepared. If a checkout takes longer, the runner is started again.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Sleeps until something may have changed. A runner has only one: the kernel takes tens of milliseconds to close one.
pub(super) struct Watch {
    /// `None` where there is no inotify, or its limit for this user is reached.
    files: Option<OwnedFd>,
    /// Whether the launch is still awaited.
    waiting: Arc<AtomicBool>,
}

impl Watch {
    /// Watches the run's directory. Until the launch is read, the signals of a closing terminal end the process.
    pub(super) fn new(dir: &RunDir) -> Self {
        let waiting = Arc::new(AtomicBool::new(true));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // If that fails, the wait ends by its timeout.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&waiting));
        }
        Self { files: watch_directory(dir), waiting }
    }

    /// Watches the run's output as well; the file must exist.
    pub(super) fn follow_output(&mut self, dir: &RunDir) {
        if self.files.as_ref().is_some_and(|files| !watch_output(files, dir)) {
            // Output that cannot be watched must be polled.
            self.files = None;
        }
    }

    /// Reads the launch as soon as it exists: the session is opened before the run is prepared. A hangup of the terminal or
    /// a request to end stops the process during the wait, even if tmux was started with these signals ignored; nothing has
    /// begun by then.
    ///
    /// # Errors
    /// The launch is damaged, or still missing after [`LAUNCH_TIMEOUT`].
    pub(super) fn await_launch(&self, dir: &RunDir) -> Result<Launch, RunFileError> {
        let until = instant() + LAUNCH_TIMEOUT;
        let launch = self.read_when_there(dir, until);
        self.waiting.store(false, Ordering::SeqCst);
        launch
    }

    fn read_when_there(&self, dir: &RunDir, until: Instant) -> Result<Launch, RunFileError> {
        loop {
            match dir.read_launch() {
                Err(RunFileError::File(error)) if error.is_not_found() && instant() < until => {}
                result => return result,
            }
            let limit = if self.files.is_some() { LAUNCH_TIMEOUT } else { LAUNCH_POLL_INTERVAL };
            let mut fds: Vec<_> = self.files.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            let _ = poll(&mut fds, Timespec::try_from(limit).ok().as_ref());
            self.drain();
        }
    }

    /// Returns at the first change, when `writable` is ready, or after `limit`.
    pub(super) fn wait(&self, signals: &Signals, limit: Duration, writable: Option<PollFd<'_>>) {
        let limit = if self.files.is_some() { limit } else { limit.min(POLL_INTERVAL) };
        let mut fds = vec![PollFd::new(&signals.wake, PollFlags::IN)];
        fds.extend(self.files.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(writable);
        // An interruption by a signal counts as a change.
        let _ = poll(&mut fds, Timespec::try_from(limit).ok().as_ref());
        signals.drain();
        self.drain();
    }

    fn drain(&self) {
        let Some(files) = &self.files else { return };
        let mut bytes = [0; 4096];
        // One event is at most a few hundred bytes, so a read that leaves much room has taken all.
        while matches!(rustix::io::read(files, &mut bytes), Ok(count) if count > bytes.len() / 2) {}
    }
}

#[cfg(target_os = "linux")]
fn watch_directory(dir: &RunDir) -> Option<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let files = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
    add_watch(&files, dir.path(), WatchFlags::CREATE | WatchFlags::MOVED_TO).ok()?;
    Some(files)
}

#[cfg(target_os = "linux")]
fn watch_output(files: &OwnedFd, dir: &RunDir) -> bool {
    use rustix::fs::inotify::{WatchFlags, add_watch};
    add_watch(files, dir.events(), WatchFlags::MODIFY).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn watch_directory(_dir: &RunDir) -> Option<OwnedFd> {
    None
}

#[cfg(not(target_os = "linux"))]
fn watch_output(_files: &OwnedFd, _dir: &RunDir) -> bool {
    false
}
