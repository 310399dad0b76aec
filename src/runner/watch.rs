//! Waits until something may have changed: the agent's output, a request to stop, a signal, or a time. It says
//! nothing of what changed; everything is looked up afterwards.

use super::launch::RunDir;
use super::signals::Signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How often to look where the kernel does not announce changes of files.
const LOOK: Duration = Duration::from_millis(100);

/// Sleeps until there may be news.
pub(super) struct Watch {
    /// `None` where there is no inotify, or no more of it for this user.
    files: Option<OwnedFd>,
}

impl Watch {
    /// Watches the run's output and its directory. The output file must exist.
    pub(super) fn new(dir: &RunDir) -> Self {
        Self { files: watch_files(dir) }
    }

    /// Returns at the first news, or after `limit`.
    pub(super) fn wait(&self, signals: &Signals, limit: Duration) {
        let limit = if self.files.is_some() { limit } else { limit.min(LOOK) };
        let mut fds = vec![PollFd::new(&signals.wake, PollFlags::IN)];
        fds.extend(self.files.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
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
fn watch_files(dir: &RunDir) -> Option<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let files = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
    add_watch(&files, dir.events(), WatchFlags::MODIFY).ok()?;
    add_watch(&files, dir.path(), WatchFlags::CREATE | WatchFlags::MOVED_TO).ok()?;
    Some(files)
}

#[cfg(not(target_os = "linux"))]
fn watch_files(_dir: &RunDir) -> Option<OwnedFd> {
    None
}
