//! When worktrees of tasks at rest are examined, and what became of them: the loop's side of `gc`.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::job::Job;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, answer};
use crate::upkeep::gc::{Collected, Outcome, Wish};
use jiff::Timestamp;
use orch_core::audit::history::GcFact;
use orch_core::operations::gc::Branch;

impl Engine {
    /// The daemon's own examination, as often as at what is kept of runs.
    pub(crate) fn collect_by_itself(&mut self) {
        if self.settings.config.gc.enabled && !self.jobs.is_under_way(&JobKey::Collect) {
            self.jobs.order(Job::Collect { wish: Wish::ByItself });
        }
    }

    pub(crate) fn collect_by_hand(&mut self, change_set: &mut ChangeSet, dry_run: bool, reply: Reply<Collected>) {
        if self.jobs.is_under_way(&JobKey::Collect) {
            let message = "worktrees are being looked through just now".to_owned();
            let hint = "orch gc again in a moment".to_owned();
            return answer(change_set, reply, Err(EngineError::InTheWay { message, hint }));
        }
        self.watch.collect_for(reply);
        self.jobs.order(Job::Collect { wish: if dry_run { Wish::DryRun } else { Wish::ByHand } });
    }

    /// What was removed is written into the history; the caller gets all of it.
    pub(crate) fn on_collected(&mut self, change_set: &mut ChangeSet, collected: Collected, now: Timestamp) {
        for item in &collected.items {
            let Outcome::Removed(branch) = &item.outcome else { continue };
            let fact = GcFact::Removed {
                worktree: item.path.clone(),
                bytes: item.bytes,
                with_branch: *branch == Branch::Goes,
            };
            change_set.note(&mut self.state, now, item.task, None, fact);
        }
        for left in &collected.leftovers {
            let fact = GcFact::Settled { worktree: left.path.clone(), detail: left.detail.clone() };
            change_set.note(&mut self.state, now, None, None, fact);
        }
        if let Some(reply) = self.watch.take_collecting_for() {
            answer(change_set, reply, Ok(collected));
        }
    }

    pub(crate) fn collection_broke(&mut self, change_set: &mut ChangeSet, error: &str) {
        if let Some(reply) = self.watch.take_collecting_for() {
            let message = format!("worktrees could not be looked through: {error}");
            answer(change_set, reply, Err(EngineError::Invalid { message, hint: None }));
        }
    }
}
