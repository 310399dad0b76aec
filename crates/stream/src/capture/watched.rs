//! All followed runs. The cost of a line depends on its own run only, however many others there are.

use super::follow::{Follow, Found, Joined};
use orch_sys::file_watch::{FileWatch, News, WatchId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Identifies a followed run; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

/// The followed runs.
#[derive(Default)]
pub(super) struct Watched {
    runs: BTreeMap<Key, Follow>,
    keys: HashMap<PathBuf, Key>,
    last: u64,
    /// The runs that an announcement of a watch concerns.
    places: HashMap<WatchId, BTreeSet<Key>>,
    /// The runs that may have something to read.
    due: BTreeSet<Key>,
}

/// What the task does next.
pub(super) enum Next {
    /// Continue: there is more to read.
    More,
    /// Wait for an announcement.
    News,
    /// Wait for a watcher.
    Call,
}

impl Watched {
    /// Returns the number of followed runs.
    pub(super) fn count(&self) -> usize {
        self.runs.len()
    }

    /// Adds a follower to a run that is followed already.
    pub(super) fn join(&self, file: &Path) -> Option<Joined> {
        Some(self.runs.get(self.keys.get(file)?)?.joined())
    }

    /// Follows a run, unless another caller was quicker.
    pub(super) fn add(&mut self, new: Follow) -> Joined {
        if let Some(joined) = self.join(new.file()) {
            return joined;
        }
        self.last += 1;
        let (key, joined) = (Key(self.last), new.joined());
        self.keys.insert(new.file().to_owned(), key);
        self.runs.insert(key, new);
        self.due.insert(key);
        joined
    }

    /// Records announcements, which the next step handles.
    pub(super) fn note(&mut self, news: &News) {
        match news {
            News::Anything => {
                self.runs.values_mut().for_each(Follow::assume_changed);
                self.due.extend(self.runs.keys());
            }
            News::Changed(places) => {
                for place in places {
                    let Some(keys) = self.places.get(place) else { continue };
                    for key in keys {
                        if let Some(follow) = self.runs.get_mut(key) {
                            follow.note(*place);
                            self.due.insert(*key);
                        }
                    }
                }
            }
        }
    }

    /// Schedules the runs of which not everything is announced, and removes those without followers.
    pub(super) fn sweep(&mut self) {
        for (key, follow) in &mut self.runs {
            if follow.is_unannounced() {
                follow.assume_changed();
                self.due.insert(*key);
            } else if !follow.has_followers() {
                self.due.insert(*key);
            }
        }
    }

    /// Reads one chunk of each scheduled run.
    pub(super) fn step(&mut self, watch: &FileWatch, buffer: &mut [u8]) -> Next {
        for key in std::mem::take(&mut self.due) {
            let Some(follow) = self.runs.get_mut(&key) else { continue };
            if !follow.has_followers() {
                self.forget(key, watch);
                continue;
            }
            if follow.has_missing_watches() {
                follow.add_watches(watch);
                for place in follow.places() {
                    self.places.entry(place).or_default().insert(key);
                }
            }
            match follow.poll(buffer) {
                Found::All => {}
                Found::More => drop(self.due.insert(key)),
                Found::End => self.forget(key, watch),
            }
        }
        match (self.due.is_empty(), self.runs.is_empty()) {
            (false, _) => Next::More,
            (true, true) => Next::Call,
            (true, false) => Next::News,
        }
    }

    fn forget(&mut self, key: Key, watch: &FileWatch) {
        let Some(follow) = self.runs.remove(&key) else { return };
        self.keys.remove(follow.file());
        for place in follow.places() {
            let others = self.places.get_mut(&place);
            if others.is_none_or(|others| others.remove(&key) && others.is_empty()) {
                watch.forget(place);
                self.places.remove(&place);
            }
        }
    }
}
