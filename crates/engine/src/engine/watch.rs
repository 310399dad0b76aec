//! What this engine knows of runs beside the stored state: what it asked of them, what they reported, and which of them are over
//! and still to be packed and indexed. Nothing of it is stored: after a start everything is checked.

use crate::state::reply::Reply;
use crate::upkeep::gc::Collected;
use crate::verify::ending::Seen;
use orch_core::audit::history::Fact;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::message::MessageId;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

/// The time between two checks of what is kept.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How long runs that ended are gathered before they are indexed: a burst has better things to do.
const GATHER: Duration = Duration::from_secs(2);

/// The runs of this engine.
#[derive(Default)]
pub(crate) struct RunWatch {
    /// Runs that were asked to stop.
    asked_to_stop: HashSet<RunId>,
    /// Runs that could not be asked: they are asked again at the next tick.
    unasked: Vec<RunId>,
    /// Messages that were handed to a run.
    handed: HashSet<(RunId, MessageId)>,
    /// When what is known of the runs' health was written down.
    seen: Seen,
    /// What holds accepted work up, as the history records it.
    recorded_holds: HashMap<TaskId, Fact>,
    /// When what is kept is checked next.
    next_pass: Option<Instant>,
    /// All runs must be compared with the index.
    catch_up: bool,
    /// Runs that ended, and the first of them when.
    ended: BTreeSet<RunId>,
    gathering_since: Option<Instant>,
    /// The callers that wait for the list of removed worktrees.
    collecting_for: Option<Reply<Collected>>,
}

impl RunWatch {
    /// Returns whether a run is still to be asked to stop; then it counts as asked.
    pub(crate) fn asks_to_stop(&mut self, run: &RunId) -> bool {
        self.asked_to_stop.insert(run.clone())
    }

    /// A run could not be asked.
    pub(crate) fn could_not_ask(&mut self, run: RunId) {
        self.unasked.push(run);
    }

    /// Asks the runs again that could not be asked.
    pub(crate) fn ask_again(&mut self) {
        for run in std::mem::take(&mut self.unasked) {
            self.asked_to_stop.remove(&run);
        }
    }

    /// Returns whether a message is still to be handed to a run; then it counts as handed.
    pub(crate) fn hands(&mut self, run: &RunId, message: MessageId) -> bool {
        self.handed.insert((run.clone(), message))
    }

    /// Returns when what is known of the runs' health was written down.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How a run fares was read as it was written down then.
    pub(crate) fn saw(&mut self, run: RunId, written: SystemTime) {
        self.seen.insert(run, written);
    }

    /// Returns whether the history has another hold of the task; from now on it has this one.
    pub(crate) fn is_other_hold(&mut self, task: TaskId, hold: &Fact) -> bool {
        self.recorded_holds.insert(task, hold.clone()).is_none_or(|before| before != *hold)
    }

    /// Records that nothing holds up the task's work any more.
    pub(crate) fn forget_hold(&mut self, task: TaskId) {
        self.recorded_holds.remove(&task);
    }

    /// A run ended: its output is complete.
    pub(crate) fn ended(&mut self, run: &RunId, at: Instant) {
        self.seen.remove(run);
        self.ended.insert(run.clone());
        self.gathering_since.get_or_insert(at);
    }

    /// Records that what is kept was checked; some of it may be gone.
    pub(crate) fn outputs_changed(&mut self) {
        self.catch_up = true;
    }

    /// Returns whether the check of what is kept is forced; `None`: it is not due yet.
    pub(crate) fn take_retention(&mut self, now: Instant, at_start: bool) -> Option<bool> {
        if self.next_pass.is_some_and(|at| now < at) {
            return None;
        }
        let is_due = at_start || self.next_pass.is_some();
        self.next_pass = Some(now + INTERVAL);
        Some(is_due)
    }

    /// Returns whether there are runs to index now.
    pub(crate) fn is_index_due(&self, now: Instant, gathers: bool) -> bool {
        self.catch_up || self.gathering_since.is_some_and(|since| !gathers || now >= since + GATHER)
    }

    /// Returns the runs to index; `None`: all that are not in the index.
    pub(crate) fn take_for_index(&mut self) -> Option<Vec<RunId>> {
        let ended = std::mem::take(&mut self.ended).into_iter().collect();
        self.gathering_since = None;
        if std::mem::take(&mut self.catch_up) { None } else { Some(ended) }
    }

    /// Records that a caller waits to hear which worktrees went.
    pub(crate) fn collect_for(&mut self, reply: Reply<Collected>) {
        self.collecting_for = Some(reply);
    }

    /// Returns the callers that wait for the list of removed worktrees.
    pub(crate) fn take_collecting_for(&mut self) -> Option<Reply<Collected>> {
        self.collecting_for.take()
    }
}
