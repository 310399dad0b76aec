//! Samples that a person records by hand.

use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::Spending;
use orch_core::economics::recorded::Recorded;

impl EngineHandle {
    /// Records a sample by hand. It is on disk, with its number, when this returns.
    pub async fn record(&self, recorded: Recorded) -> Result<Recorded, EngineError> {
        self.change(|engine, change_set, now| Ok(engine.record_sample(change_set, recorded, now))).await
    }
}

impl Engine {
    /// Stores what was found to be sound, under a number of its own.
    pub(crate) fn record_sample(&mut self, change_set: &mut ChangeSet, recorded: Recorded, now: Timestamp) -> Recorded {
        self.state.last_recorded += 1;
        let recorded = Recorded { number: self.state.last_recorded, ..recorded };
        let Recorded { task_type, agent, model, by, accepted, .. } = recorded.clone();
        let fact = Spending::SampleRecorded { by, accepted, task_type, agent, model };
        change_set.note(&mut self.state, now, None, None, fact);
        change_set.recorded.push(recorded.clone());
        recorded
    }
}
