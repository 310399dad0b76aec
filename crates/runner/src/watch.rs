//! Waits until something may have changed: the agent's output, a request to stop, a signal, or a time. It says
//! nothing of what changed; everything is looked up afterwards.

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

/// How often to look where the kernel does not announce changes of files.
const LOOK: Duration = Duration::from_millis(100);

/// The same while a run is not prepared yet, which takes a few milliseconds as a rule.
const LOOK_FOR_LAUNCH: Duration = Duration::from_millis(5);
/// How long a runner waits for its run to be prepared. A checkout may take longer: then it is started again.
const PREPARING: Duration = Duration::from_secs(60);

/// Sleeps until there may be news. One for the life of a runner: the kernel takes tens of milliseconds to close one.
pub(super) struct Watch {
    /// `None` where there is no inotify, or no more of it for this user.
    files: Option<OwnedFd>,
    /// The launch was not read yet.
    waiting: Arc<AtomicBool>,
}

impl Watch {
    /// Watches the run's directory. Until the launch was read, the signals that end a terminal end the process.
    pub(super) fn new(dir: &RunDir) -> Self {
        let waiting = Arc::new(AtomicBool::new(true));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // Where that is not possible, the wait ends by itself.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&waiting));
        }
        Self { files: watch_directory(dir), waiting }
    }

    /// Watches the run's output as well, which must exist.
    pub(super) fn follow_output(&mut self, dir: &RunDir) {
        if self.files.as_ref().is_some_and(|files| !watch_output(files, dir)) {
            // Without news of the output, it must be looked at.
            self.files = None;
        }
    }

    /// Reads the launch as soon as it is there: the session is opened before the run is prepared. The end of the
    /// terminal, or a request to end, ends the wait and the process with it, also where whoever started tmux had these
    /// signals ignored; nothing was begun.
    ///
    /// # Errors
    /// When it is damaged, or still missing after a minute.
    pub(super) fn await_launch(&self, dir: &RunDir) -> Result<Launch, RunFileError> {
        let until = instant() + PREPARING;
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
            let limit = if self.files.is_some() { PREPARING } else { LOOK_FOR_LAUNCH };
            let mut fds: Vec<_> = self.files.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            let _ = poll(&mut fds, Timespec::try_from(limit).ok().as_ref());
            self.drain();
        }
    }

    /// Returns at the first news, when `capacity` is there, or after `limit`.
    pub(super) fn wait(&self, signals: &Signals, limit: Duration, room: Option<PollFd<'_>>) {
        let limit = if self.files.is_some() { limit } else { limit.min(LOOK) };
        let mut fds = vec![PollFd::new(&signals.wake, PollFlags::IN)];
        fds.extend(self.files.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(room);
        // An interruption by a signal is news as well.
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
