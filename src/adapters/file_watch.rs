//! One watch for any number of files: a thread sleeps in it until a file that it follows grew, a directory that it
//! follows got a new name, somebody wakes it, or a time is over. Straight on inotify, because a line that an agent
//! writes must not take the way over another thread first.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often to look where the kernel does not announce changes.
const LOOK: Duration = Duration::from_millis(50);

/// A file or a directory that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(i32);

/// What woke the thread.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// These changed, perhaps.
    Changed(BTreeSet<WatchId>),
    /// Everything may have changed: the time is over, or there was more than could be told.
    Anything,
    /// Somebody called.
    Called,
}

/// The watch. Belongs to one thread.
#[derive(Debug)]
pub struct FileWatch {
    /// `None` where there is no inotify, or no more of it for this user.
    files: Option<OwnedFd>,
    calls: UnixStream,
    /// The other end of `calls`.
    caller: Caller,
}

/// Wakes the thread that waits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<UnixStream>);

impl Caller {
    /// Wakes it. A call is never lost; several may count as one.
    pub fn call(&self) {
        // A full buffer holds a call already.
        let _ = (&*self.0).write(&[1]);
    }
}

impl FileWatch {
    /// Follows nothing yet.
    ///
    /// # Errors
    /// The process has no more descriptors.
    pub fn new() -> io::Result<Self> {
        let (calls, caller) = UnixStream::pair()?;
        calls.set_nonblocking(true)?;
        caller.set_nonblocking(true)?;
        Ok(Self { files: inotify::open(), calls, caller: Caller(Arc::new(caller)) })
    }

    /// Who wakes it.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Follows a file's content. `None`: nothing will be told of it, look now and then.
    pub fn follow_file(&self, path: &Path) -> Option<WatchId> {
        inotify::follow_file(self.files.as_ref()?, path)
    }

    /// Follows the names in a directory. `None`: as above.
    pub fn follow_directory(&self, path: &Path) -> Option<WatchId> {
        inotify::follow_directory(self.files.as_ref()?, path)
    }

    /// Lets go of it.
    pub fn forget(&self, id: WatchId) {
        if let Some(files) = &self.files {
            inotify::forget(files, id);
        }
    }

    /// Waits for news, at most for `limit`; without one, for ever.
    pub fn wait(&mut self, limit: Option<Duration>) -> News {
        let limit = match (&self.files, limit) {
            (None, Some(limit)) => Some(limit.min(LOOK)),
            (None | Some(_), limit) => limit,
        };
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut fds = vec![PollFd::new(&self.calls, PollFlags::IN)];
        fds.extend(self.files.iter().map(|files| PollFd::new(files, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return News::Anything,
            Ok(_) => {}
            Err(Errno::INTR) => return News::Called,
            Err(_) => return News::Anything,
        }
        if !fds[0].revents().is_empty() {
            let mut bytes = [0; 64];
            while matches!((&self.calls).read(&mut bytes), Ok(count) if count == bytes.len()) {}
            return News::Called;
        }
        self.files.as_ref().map_or(News::Anything, inotify::read)
    }
}

#[cfg(target_os = "linux")]
mod inotify {
    use super::{News, WatchId};
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
    use rustix::io::Errno;
    use std::collections::BTreeSet;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    pub(super) fn open() -> Option<OwnedFd> {
        init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()
    }

    pub(super) fn follow_file(files: &OwnedFd, path: &Path) -> Option<WatchId> {
        add_watch(files, path, WatchFlags::MODIFY).ok().map(WatchId)
    }

    pub(super) fn follow_directory(files: &OwnedFd, path: &Path) -> Option<WatchId> {
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::ONLYDIR;
        add_watch(files, path, flags).ok().map(WatchId)
    }

    pub(super) fn forget(files: &OwnedFd, id: WatchId) {
        // What is gone is forgotten already.
        let _ = remove_watch(files, id.0);
    }

    pub(super) fn read(files: &OwnedFd) -> News {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(files, &mut buffer);
        let mut changed = BTreeSet::new();
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => return News::Anything,
                Ok(event) => {
                    changed.insert(WatchId(event.wd()));
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
            // What comes later is news for the next time.
            if reader.is_buffer_empty() {
                break;
            }
        }
        News::Changed(changed)
    }
}

#[cfg(not(target_os = "linux"))]
mod inotify {
    use super::{News, WatchId};
    use std::os::fd::OwnedFd;
    use std::path::Path;

    pub(super) fn open() -> Option<OwnedFd> {
        None
    }

    pub(super) fn follow_file(_files: &OwnedFd, _path: &Path) -> Option<WatchId> {
        None
    }

    pub(super) fn follow_directory(_files: &OwnedFd, _path: &Path) -> Option<WatchId> {
        None
    }

    pub(super) fn forget(_files: &OwnedFd, _id: WatchId) {}

    pub(super) fn read(_files: &OwnedFd) -> News {
        News::Anything
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_new_names_and_calls_wake_and_silence_does_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut watch = FileWatch::new().expect("a watch");
        let (of_file, of_dir) = (watch.follow_file(&path), watch.follow_directory(dir.path()));
        if of_file.is_none() {
            return; // No inotify here: everything is looked at.
        }
        assert_eq!(watch.wait(Some(Duration::from_millis(1))), News::Anything);
        file.write_all(b"x").expect("writable");
        assert_eq!(watch.wait(None), News::Changed(of_file.into_iter().collect()));
        std::fs::rename(&path, dir.path().join("other")).expect("renamed");
        assert_eq!(watch.wait(None), News::Changed(of_dir.into_iter().collect()));
        let caller = watch.caller();
        std::thread::spawn(move || caller.call()).join().expect("it called");
        assert_eq!(watch.wait(None), News::Called);
    }
}
