//! What a job cannot do now and can do later without anybody's help: a disk that is full, or read-only for a while, or
//! gives an error once, too many open files. Nobody is asked about that: the job tries again, and what is in its way is told
//! among the problems of the status.

use super::apply::JobKey;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a job waits before it tries again.
const AGAIN: Duration = Duration::from_secs(2);

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

/// What is in the way of which job, at this moment.
#[derive(Debug, Default)]
pub struct Hindrances(Mutex<BTreeMap<String, String>>);

impl Hindrances {
    /// In words.
    pub fn told(&self) -> Vec<String> {
        self.locked().values().cloned().collect()
    }

    /// Those of one job, as long as it lasts.
    pub fn of(&self, key: &JobKey) -> Stay<'_> {
        Stay { all: self, job: format!("{key:?}") }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
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
        self.all.locked().insert(self.job.clone(), format!("{error}; tried again every {seconds} s until it goes"));
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
}
