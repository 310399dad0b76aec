//! Creates subscriptions: any number of watchers, each with its own position in the output of a run.

use super::capture::Capture;
use super::files::{RunFiles, Start};
use super::subscription::Subscription;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Creates subscriptions. Cheap to clone; its task ends when the hub and all watchers are dropped.
#[derive(Clone, Default)]
pub struct Hub {
    /// The task, started for the first watcher.
    capture: Arc<Mutex<Option<Arc<Capture>>>>,
}

impl Hub {
    /// Follows the output of one run from a position to its end. Must be called within a runtime. Reads a little of its
    /// files: not for a thread that must never wait for a disk.
    ///
    /// # Errors
    /// Its files cannot be read, or the process has no more descriptors.
    pub fn subscribe(&self, files: &RunFiles, start: Start) -> io::Result<Subscription> {
        let offset = files.place(start)?;
        let capture = self.capture()?;
        let joined = capture.join(files)?;
        Ok(Subscription::new(files.clone(), offset, joined.map(|joined| (joined, capture))))
    }

    /// Returns the number of runs that are followed now.
    pub fn followed(&self) -> usize {
        let capture = self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        capture.as_ref().map_or(0, |capture| capture.count())
    }

    fn capture(&self) -> io::Result<Arc<Capture>> {
        let mut capture = self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        match &*capture {
            Some(capture) => Ok(Arc::clone(capture)),
            None => Ok(Arc::clone(capture.insert(Arc::new(Capture::start()?)))),
        }
    }
}
