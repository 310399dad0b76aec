//! One watch for any number of files: a task sleeps in it until a file that it follows grew, or a directory that it
//! follows got a new name. Straight on inotify and the runtime's own poll, because a line that an agent writes must not
//! take the way over another thread first: each switch costs more than all the reading.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often to look where the kernel does not announce changes.
const LOOK: Duration = Duration::from_millis(50);

/// A file or a directory that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(i32);

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// These changed, perhaps.
    Changed(BTreeSet<WatchId>),
    /// Everything may have changed: there was more than could be told, or nothing is announced here.
    Anything,
}

/// The watch. Belongs to one task.
#[derive(Debug)]
pub struct FileWatch {
    /// `None` where there is no inotify, or no more of it for this user.
    files: Option<kernel::Files>,
}

impl FileWatch {
    /// Follows nothing yet. Called within a runtime that has its I/O switched on.
    ///
    /// # Errors
    /// The process has no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { files: kernel::open()? })
    }

    /// Follows a file's content. `None`: nothing will be told of it, look now and then.
    pub fn follow_file(&self, path: &Path) -> Option<WatchId> {
        kernel::follow_file(self.files.as_ref()?, path)
    }

    /// Follows the names in a directory. `None`: as above.
    pub fn follow_directory(&self, path: &Path) -> Option<WatchId> {
        kernel::follow_directory(self.files.as_ref()?, path)
    }

    /// Follows which names go from a directory. `None`: as above.
    pub fn follow_removals(&self, path: &Path) -> Option<WatchId> {
        kernel::follow_removals(self.files.as_ref()?, path)
    }

    /// Lets go of it.
    pub fn forget(&self, id: WatchId) {
        if let Some(files) = &self.files {
            kernel::forget(files, id);
        }
    }

    /// Waits for news. Nothing is lost when the waiting is given up.
    pub async fn news(&mut self) -> News {
        let Some(files) = &mut self.files else {
            tokio::time::sleep(LOOK).await;
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

    /// Bytes of events that are read at once; more come from a flood, which must not keep the reader from its work.
    const ROOM: usize = 16 << 10;
    /// So many events fit into the room, however long their names: there were no more.
    const SURELY_ALL: usize = ROOM / (16 + 256);

    /// What is followed.
    #[derive(Debug)]
    pub(super) struct Files {
        inotify: AsyncFd<Inotify>,
        buffer: Vec<u8>,
        descriptors: RefCell<HashMap<WatchId, WatchDescriptor>>,
    }

    /// `None`: there is no more of it for this user.
    pub(super) fn open() -> io::Result<Option<Files>> {
        let Ok(inotify) = Inotify::init() else { return Ok(None) };
        let inotify = registered(inotify, Interest::READABLE)?;
        Ok(Some(Files { inotify, buffer: vec![0; ROOM], descriptors: RefCell::default() }))
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
            // What is gone is forgotten already.
            files.inotify.get_ref().watches().remove(descriptor).ok();
        }
    }

    /// The first event, and what there is beside it. Nothing is awaited between reading and telling.
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
            // Asking once more only to hear that there is nothing costs as much as a line.
            if count < SURELY_ALL {
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

    /// Nothing is announced here.
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
