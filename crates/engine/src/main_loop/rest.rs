//! Whether anything is under way or still to come, and whether the engine's mode is fulfilled by that.

use crate::engine::Engine;
use crate::engine::mode::Mode;
use jiff::Timestamp;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::task::Status;

impl Engine {
    /// Returns whether nothing is under way, and everything is written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.file.is_read() && self.jobs.is_empty() && self.file.is_written()
    }

    pub(super) fn settled(&self) -> bool {
        self.file.is_read()
            && self.jobs.is_empty()
            && self.planner.current().actions.is_empty()
            && self.file.is_written()
    }

    /// Returns whether nothing will happen by itself any more.
    pub(crate) fn idle(&self) -> bool {
        let waits_for_time =
            |reason: HoldReason, until: Option<Timestamp>| until.is_some() && reason != HoldReason::BaseDirty;
        self.settled()
            && self.state.runs.is_empty()
            && !self.planner.current().holds.iter().any(|(_, hold)| waits_for_time(hold.reason, hold.until))
    }

    pub(super) fn fulfilled(&self) -> bool {
        match self.lifetime.mode() {
            Mode::Serve => false,
            Mode::Once => self.settled(),
            Mode::UntilIdle => self.idle(),
            Mode::Command | Mode::Task(_) => self.inputs.is_unattended() && self.settled(),
        }
    }

    pub(crate) fn person_needed(&self) -> bool {
        let is_open_matter = self.lifetime.mode() == Mode::UntilIdle;
        self.state.tasks.values().map(|task| task.status()).any(|status| {
            matches!(status, Status::NeedsReview | Status::Blocked) || (is_open_matter && !status.is_final())
        })
    }
}
