//! What a job cannot do now and can do later without anybody's help: a disk that is full, or read-only for a while, or
//! gives an error once, too many open files. Nobody is asked about that: the job tries again, and what is in its way is told
//! among the problems of the status.

use super::apply::JobKey;
use crate::adapters::clock::instant;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a job waits before it tries again.
const AGAIN: Duration = Duration::from_secs(2);
/// What is in the way for so long is worth a line of the history.
const LASTS: Duration = Duration::from_secs(10);

/// The system's words for what goes away: its own, in which git tells it too (it runs in the C locale), and SQLite's. There is
/// no other way to tell from git's answer why it failed, and one list for all is one place to look at.
const WORDS: [&str; 10] = [
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Too many open files",
    "Input/output error",
    "Interrupted system call",
    "Cannot allocate memory",
    "Resource temporarily unavailable",
    "disk I/O error",
    "database or disk is full",
];

/// Whether an error tells of something that goes away by itself.
pub fn passes(error: &str) -> bool {
    WORDS.iter().any(|words| error.contains(words))
}

/// What is in the way of one job.
#[derive(Debug)]
struct Hindrance {
    words: String,
    since: Instant,
    /// It stands in the history, or what is the same does.
    is_noted: bool,
}

/// What is in the way of which job, at this moment.
#[derive(Debug, Default)]
pub struct Hindrances(Mutex<BTreeMap<String, Hindrance>>);

impl Hindrances {
    /// In words.
    pub fn told(&self) -> Vec<String> {
        self.locked().values().map(|one| one.words.clone()).collect()
    }

    /// What has been in the way for a while and was not handed out before, in words; the same of many jobs once.
    pub fn lasting(&self, now: Instant) -> Vec<String> {
        let mut all = self.locked();
        let known: Vec<String> = all.values().filter(|one| one.is_noted).map(|one| one.words.clone()).collect();
        let mut new = Vec::new();
        for one in all.values_mut().filter(|one| !one.is_noted && now.duration_since(one.since) >= LASTS) {
            one.is_noted = true;
            if !known.contains(&one.words) && !new.contains(&one.words) {
                new.push(one.words.clone());
            }
        }
        new
    }

    /// Those of one job, as long as it lasts.
    pub fn of(&self, key: &JobKey) -> Stay<'_> {
        Stay { all: self, job: format!("{key:?}") }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Hindrance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that tries until nothing that goes away is in its way. Dropped, also where the job is aborted, nothing is.
pub struct Stay<'a> {
    all: &'a Hindrances,
    job: String,
}

impl Stay<'_> {
    /// Whether to try again, because of what was in the way: when that goes away by itself, after a while. Until then it is
    /// told.
    pub async fn is_again(&self, error: Option<String>) -> bool {
        let Some(error) = error.filter(|error| passes(error)) else { return false };
        tracing::warn!(job = self.job, error, "the system is in the way; it is tried again");
        let seconds = AGAIN.as_secs();
        let words = format!("{error}; tried again every {seconds} s until it goes");
        let new = Hindrance { words: words.clone(), since: instant(), is_noted: false };
        self.all.locked().entry(self.job.clone()).or_insert(new).words = words;
        tokio::time::sleep(AGAIN).await;
        true
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.all.locked().remove(&self.job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_away_is_told_by_the_systems_own_words() {
        for code in [5, 4, 12, 24, 28, 30] {
            let error = std::io::Error::from_raw_os_error(code);
            assert!(passes(&format!("cannot write /x: {error}")), "{error}");
        }
        for code in [2, 13, 17, 20] {
            assert!(!passes(&std::io::Error::from_raw_os_error(code).to_string()), "{code}");
        }
        assert!(passes("git worktree failed with code 128: fatal: cannot create /x: No space left on device"));
        assert!(!passes("branch main does not exist"));
    }

    #[tokio::test]
    async fn a_full_disk_is_outlasted_and_told_as_long_as_it_is_full() {
        let hindrances = Hindrances::default();
        let full = || Some("cannot write /x: No space left on device".to_owned());
        let stay = hindrances.of(&JobKey::Look);
        let again = stay.is_again(full());
        // It is told while it waits.
        let told = async {
            while hindrances.told().is_empty() {
                tokio::task::yield_now().await
            }
        };
        assert!(tokio::join!(again, told).0);
        assert!(!stay.is_again(Some("no such branch".to_owned())).await && !stay.is_again(None).await);
        assert!(hindrances.told()[0].contains("No space left"), "until the job is over");
        drop(stay);
        assert!(hindrances.told().is_empty());
    }

    #[test]
    fn what_lasts_is_handed_out_once_for_however_many_jobs() {
        let (hindrances, now) = (Hindrances::default(), instant());
        let full = |since| Hindrance { words: "No space left on device".to_owned(), since, is_noted: false };
        hindrances.locked().insert("one".to_owned(), full(now));
        hindrances.locked().insert("two".to_owned(), full(now));
        assert!(hindrances.lasting(now + LASTS / 2).is_empty(), "it may be over in a moment");
        assert_eq!(hindrances.lasting(now + LASTS), ["No space left on device"]);
        hindrances.locked().insert("three".to_owned(), full(now));
        assert!(hindrances.lasting(now + LASTS * 2).is_empty(), "the same for another job");
        hindrances.locked().clear();
        hindrances.locked().insert("one".to_owned(), full(now));
        assert_eq!(hindrances.lasting(now + LASTS).len(), 1, "it went, and came again");
    }
}
