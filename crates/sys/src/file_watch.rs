//! Watches any number of files for growth and directories for new names, within one task. Uses inotify and the
//! runtime's poll directly, because a hop over another thread would cost more than reading an agent's line.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often to poll where the kernel does not announce changes.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Identifies a file or a directory that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(i32);

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// These files or directories may have changed.
    Changed(BTreeSet<WatchId>),
    /// Everything may have changed: events were lost, or the kernel announces none.
    Anything,
}

/// A set of watched files and directories. Belongs to one task.
#[derive(Debug)]
pub struct FileWatch {
    /// `None` where there is no inotify, or this user's limit of instances is reached.
    files: Option<kernel::Files>,
}

impl FileWatch {
    /// Creates an empty watch. Must be called within a runtime that has its I/O driver enabled.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { files: kernel::open()? })
    }

    /// Watches a file's content. `None` means that its changes are not announced and the caller must poll.
    pub fn follow_file(&self, path: &Path) -> Option<WatchId> {
        kernel::follow_file(self.files.as_ref()?, path)
    }

    /// Watches for new names in a directory. `None` as for [`Self::follow_file`].
    pub fn follow_directory(&self, path: &Path) -> Option<WatchId> {
        kernel::follow_directory(self.files.as_ref()?, path)
    }

    /// Watches for names removed from a directory. `None` as for [`Self::follow_file`].
    pub fn follow_removals(&self, path: &Path) -> Option<WatchId> {
        kernel::follow_removals(self.files.as_ref()?, path)
    }

    /// Stops watching.
    pub fn forget(&self, id: WatchId) {
        if let Some(files) = &self.files {
            kernel::forget(files, id);
        }
    }

    /// Waits for changes. Cancel-safe.
    pub async fn news(&mut self) -> News {
        let Some(files) = &mut self.files else {
            tokio::time::sleep(POLL_INTERVAL).await;
            return News::Anything;
        };
        kernel::news(files).await
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use super::{News, WatchId};
    use crate::registered::registered;
    use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
    use std::cell::RefCell;
    use std::collections::{BTreeSet, HashMap};
    use std::io;
    use std::path::Path;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Bytes of events read at once; the rest of a flood waits, so that the reader can work.
    const BUFFER_SIZE: usize = 16 << 10;
    /// This many events always fit into the buffer, however long their names: with fewer, there were no more.
    const SURELY_FIT: usize = BUFFER_SIZE / (16 + 256);

    /// The watched files and their descriptors.
    #[derive(Debug)]
    pub(super) struct Files {
        inotify: AsyncFd<Inotify>,
        buffer: Vec<u8>,
        descriptors: RefCell<HashMap<WatchId, WatchDescriptor>>,
    }

    /// Opens inotify; `None` when this user's limit is reached.
    pub(super) fn open() -> io::Result<Option<Files>> {
        let Ok(inotify) = Inotify::init() else { return Ok(None) };
        let inotify = registered(inotify, Interest::READABLE)?;
        Ok(Some(Files { inotify, buffer: vec![0; BUFFER_SIZE], descriptors: RefCell::default() }))
    }

    pub(super) fn follow_file(files: &Files, path: &Path) -> Option<WatchId> {
        files.follow(path, WatchMask::MODIFY)
    }

    pub(super) fn follow_directory(files: &Files, path: &Path) -> Option<WatchId> {
        files.follow(path, WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR)
    }

    pub(super) fn follow_removals(files: &Files, path: &Path) -> Option<WatchId> {
        files.follow(path, WatchMask::DELETE | WatchMask::MOVED_FROM | WatchMask::ONLYDIR)
    }

    pub(super) fn forget(files: &Files, id: WatchId) {
        if let Some(descriptor) = files.descriptors.borrow_mut().remove(&id) {
            // The kernel has dropped a removed file already.
            files.inotify.get_ref().watches().remove(descriptor).ok();
        }
    }

    /// Returns the first event with all that are available. Nothing is awaited between reading and returning.
    pub(super) async fn news(files: &mut Files) -> News {
        loop {
            let Ok(mut ready) = files.inotify.readable_mut().await else { return News::Anything };
            let (mut changed, mut count) = (BTreeSet::new(), 0);
            match ready.get_inner_mut().read_events(&mut files.buffer) {
                Ok(events) => {
                    for event in events {
                        if event.mask.contains(EventMask::Q_OVERFLOW) {
                            return News::Anything;
                        }
                        changed.insert(id(&event.wd));
                        count += 1;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    continue;
                }
                Err(_) => return News::Anything,
            }
            // A second read that only reports that nothing is left would cost as much as a line.
            if count < SURELY_FIT {
                ready.clear_ready();
            }
            return News::Changed(changed);
        }
    }

    fn id(descriptor: &WatchDescriptor) -> WatchId {
        WatchId(descriptor.get_watch_descriptor_id())
    }

    impl Files {
        fn follow(&self, path: &Path, what: WatchMask) -> Option<WatchId> {
            let descriptor = self.inotify.get_ref().watches().add(path, what).ok()?;
            let id = id(&descriptor);
            self.descriptors.borrow_mut().insert(id, descriptor);
            Some(id)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::{News, WatchId};
    use std::io;
    use std::path::Path;

    /// Uninhabited: the kernel announces nothing here.
    #[derive(Debug)]
    pub(super) enum Files {}

    pub(super) fn open() -> io::Result<Option<Files>> {
        Ok(None)
    }

    pub(super) fn follow_file(files: &Files, _path: &Path) -> Option<WatchId> {
        match *files {}
    }

    pub(super) fn follow_directory(files: &Files, _path: &Path) -> Option<WatchId> {
        match *files {}
    }

    pub(super) fn follow_removals(files: &Files, _path: &Path) -> Option<WatchId> {
        match *files {}
    }

    pub(super) fn forget(files: &Files, _id: WatchId) {
        match *files {}
    }

    pub(super) async fn news(files: &mut Files) -> News {
        match *files {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tokio::time::timeout;

    #[tokio::test]
    async fn growth_and_new_names_are_news_and_silence_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut watch = FileWatch::new().expect("a watch");
        let (of_file, of_dir) = (watch.follow_file(&path), watch.follow_directory(dir.path()));
        if of_file.is_none() {
            return; // No inotify here: everything is looked at.
        }
        let changed = |id: Option<WatchId>| News::Changed(id.into_iter().collect());
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(1), watch.news()).await.is_err());
            file.write_all(b"x").expect("writable");
            assert_eq!(watch.news().await, changed(of_file));
        }
        std::fs::rename(&path, dir.path().join("other")).expect("renamed");
        assert_eq!(watch.news().await, changed(of_dir));
        std::fs::create_dir(dir.path().join("run")).expect("made");
        assert_eq!(watch.news().await, changed(of_dir));
        let of_run = watch.follow_removals(&dir.path().join("run"));
        let inside = std::fs::File::create(dir.path().join("run/open")).expect("a file");
        std::fs::remove_file(dir.path().join("run/open")).expect("removed");
        assert_eq!(watch.news().await, changed(of_run), "although it is open");
        drop(inside);
        for _ in 0..3000 {
            file.write_all(b"x").expect("writable");
            std::fs::File::create(dir.path().join("other names")).expect("writable");
        }
        assert_ne!(watch.news().await, changed(None));
    }
}
