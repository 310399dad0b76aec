//! Failures of external calls that are in the way of jobs now. A job whose failure passes tries again with growing pauses;
//! meanwhile its task is held with the reason, and a person is asked only after minutes. Nothing here reads a text to find
//! out what it means: that is `core::base::external`.

use crate::deps::job_key::JobKey;
use jiff::Timestamp;
use orch_core::base::external::{ExternalFailure, How, StepProblem};
use orch_core::base::ids::TaskId;
use orch_core::planning::plan::Hold;
use orch_core::tasks::hold::HoldReason;
use orch_sys::clock::{Clock, instant};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The pauses between tries, in milliseconds; the last one is repeated.
const PAUSES: [u64; 6] = [250, 500, 1_000, 2_000, 4_000, 8_000];
/// How long a failure that passes may last before a person is asked.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How long it takes until an answer that would ask a person is verified.
const CONFIRM: Duration = Duration::from_millis(500);
/// What is in the way for so long is worth a line of the history.
const LASTS: Duration = Duration::from_secs(10);

/// What is in the way of one job.
#[derive(Debug)]
struct Obstacle {
    task: Option<TaskId>,
    failure: ExternalFailure,
    since: Instant,
    /// When it is tried again.
    again: Timestamp,
    /// Whether the history has it, or an equal one.
    is_noted: bool,
}

impl Obstacle {
    fn words(&self) -> String {
        format!("{}; tried again until it passes", self.failure)
    }

    fn hold(&self) -> Hold {
        let reason = if let How::Locked { .. } = self.failure.how { HoldReason::Locked } else { HoldReason::System };
        Hold { reason, detail: self.failure.to_string(), until: Some(self.again) }
    }
}

/// What is in the way of which job, at this moment.
#[derive(Debug, Default)]
pub struct Obstacles {
    all: Mutex<BTreeMap<String, Obstacle>>,
    changed: Notify,
}

impl Obstacles {
    /// Returns the obstacles in words, each once.
    pub fn words(&self) -> Vec<String> {
        let mut all: Vec<String> = self.locked().values().map(Obstacle::words).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Returns the holds of tasks whose jobs are kept from going on.
    pub fn holds(&self) -> BTreeMap<TaskId, Hold> {
        self.locked().values().filter_map(|one| Some((one.task?, one.hold()))).collect()
    }

    /// Waits until what is in the way changes.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What has been in the way for a while and was not handed out before, in words; the same of many jobs once.
    pub fn lasting(&self, now: Instant) -> Vec<String> {
        let mut all = self.locked();
        let known: Vec<String> = all.values().filter(|one| one.is_noted).map(Obstacle::words).collect();
        let mut new = Vec::new();
        for one in all.values_mut().filter(|one| !one.is_noted && now.duration_since(one.since) >= LASTS) {
            one.is_noted = true;
            let words = one.words();
            if !known.contains(&words) && !new.contains(&words) {
                new.push(words);
            }
        }
        new
    }

    /// Returns the patience of one job of a task.
    pub fn patience<'a>(&'a self, clock: &'a dyn Clock, key: &JobKey, task: Option<TaskId>) -> Patience<'a> {
        Patience { all: self, clock, job: format!("{key:?}"), task, tries: 0, since: None, is_confirmed: false }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Obstacle>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a job waits. Dropped, also where the job is aborted, nothing is in its way any more.
pub struct Patience<'a> {
    all: &'a Obstacles,
    clock: &'a dyn Clock,
    job: String,
    task: Option<TaskId>,
    tries: usize,
    since: Option<tokio::time::Instant>,
    is_confirmed: bool,
}

impl Patience<'_> {
    /// Waits, and says whether to try the step again. `false`: a person is to be asked.
    pub async fn is_again(&mut self, problem: &StepProblem) -> bool {
        match problem {
            StepProblem::External(failure) => self.outlasts(failure, PATIENCE).await,
            // An answer that would ask a person is requested twice: one command whose answer was lost must not do that.
            StepProblem::Ask(_) if self.is_confirmed => false,
            StepProblem::Ask(_) => {
                self.is_confirmed = true;
                tokio::time::sleep(CONFIRM).await;
                true
            }
        }
    }

    /// Waits for a failure to pass, for so long altogether. `false`: it has lasted longer, or does not pass.
    pub async fn outlasts(&mut self, failure: &ExternalFailure, most: Duration) -> bool {
        let since = *self.since.get_or_insert_with(tokio::time::Instant::now);
        if !failure.is_transient() || since.elapsed() >= most {
            return false;
        }
        self.is_confirmed = false;
        let pause = Duration::from_millis(PAUSES[self.tries.min(PAUSES.len() - 1)]);
        self.tries += 1;
        // The hold reports it to the user, with the task.
        tracing::info!(job = self.job, error = %failure, ?pause, "an external call failed; it is tried again");
        let now = self.clock.now();
        let again = now.checked_add(pause).unwrap_or(now);
        {
            let mut all = self.all.locked();
            let begun = all.get(&self.job).map(|one| (one.since, one.is_noted));
            let (since, is_noted) = begun.unwrap_or((instant(), false));
            let one = Obstacle { task: self.task, failure: failure.clone(), since, again, is_noted };
            all.insert(self.job.clone(), one);
        }
        self.all.changed.notify_one();
        tokio::time::sleep(pause).await;
        true
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if self.all.locked().remove(&self.job).is_some() {
            self.all.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::clock::SystemClock;

    fn full() -> ExternalFailure {
        ExternalFailure::new(How::Resources, "cannot write /x: No space left on device")
    }

    #[tokio::test]
    async fn a_failure_that_passes_is_a_hold_for_minutes_and_then_a_question() {
        let obstacles = Obstacles::default();
        let mut patience = obstacles.patience(&SystemClock, &JobKey::Poll, Some(TaskId(7)));
        assert!(patience.is_again(&StepProblem::External(full())).await);
        let holds = obstacles.holds();
        assert_eq!(holds[&TaskId(7)].reason, HoldReason::System);
        assert!(holds[&TaskId(7)].detail.contains("No space left") && holds[&TaskId(7)].until.is_some());
        assert!(patience.outlasts(&full(), PATIENCE).await, "it is tried again for minutes");
        assert!(!patience.outlasts(&full(), Duration::from_millis(1)).await, "and not for ever");
        let refused = ExternalFailure::new(How::Refused, "permission denied");
        assert!(!patience.outlasts(&refused, PATIENCE).await, "what does not pass is not waited for");
        drop(patience);
        assert!(obstacles.holds().is_empty() && obstacles.words().is_empty());
    }

    #[tokio::test]
    async fn a_question_is_believed_when_it_comes_twice_whatever_it_quotes() {
        let obstacles = Obstacles::default();
        let mut patience = obstacles.patience(&SystemClock, &JobKey::Poll, Some(TaskId(7)));
        let question = StepProblem::Ask("the agent asks: No space left on device, what now?".to_owned());
        assert!(patience.is_again(&question).await, "it is looked for once more");
        assert!(!patience.is_again(&question).await, "and then it reaches the person");
        assert!(obstacles.holds().is_empty(), "nothing is in the way");
    }

    #[test]
    fn a_lock_names_its_holder_in_the_hold() {
        let how = How::Locked { lock: "/r/.git/index.lock".into(), holder: Some("code (pid 12)".to_owned()) };
        let failure = ExternalFailure::new(how, "git's lock /r/.git/index.lock exists; code (pid 12) holds it");
        let now = Timestamp::UNIX_EPOCH;
        let one = Obstacle { task: None, failure, since: instant(), again: now, is_noted: false };
        assert_eq!(one.hold().reason, HoldReason::Locked);
        assert!(one.hold().detail.contains("pid 12"));
    }

    #[test]
    fn what_lasts_is_handed_out_once_for_however_many_jobs() {
        let (obstacles, now) = (Obstacles::default(), instant());
        let one = |since| {
            let again = Timestamp::UNIX_EPOCH;
            Obstacle { task: None, failure: full(), since, again, is_noted: false }
        };
        obstacles.locked().insert("one".to_owned(), one(now));
        obstacles.locked().insert("two".to_owned(), one(now));
        assert!(obstacles.lasting(now + LASTS / 2).is_empty(), "it may be over in a moment");
        assert_eq!(obstacles.lasting(now + LASTS).len(), 1);
        obstacles.locked().insert("three".to_owned(), one(now));
        assert!(obstacles.lasting(now + LASTS * 2).is_empty(), "the same for another job");
        obstacles.locked().clear();
        obstacles.locked().insert("one".to_owned(), one(now));
        assert_eq!(obstacles.lasting(now + LASTS).len(), 1, "it went, and came again");
    }
}
