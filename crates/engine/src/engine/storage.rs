//! How turns are stored and published: what keeps the journal from being written, whether it is damaged, and what
//! follows a turn that is stored.

use crate::engine::metrics::Metrics;
use crate::state::alarm::Alarm;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::Task;
use orch_store::journal::{Entry, JournalError, Write};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// The journal as this engine finds it.
pub(crate) struct Storage {
    feed: broadcast::Sender<Entry>,
    metrics: Arc<Metrics>,
    /// Where readers of the journal say that it is damaged.
    alarm: Alarm,
    /// Set when the journal is found damaged.
    damaged: CancellationToken,
    /// How the journal is damaged, where this engine found it.
    damage: Option<String>,
    /// The reason why nothing can be stored now.
    problem: Option<String>,
    /// Since when nothing could be stored, and why, where that is still to be written down.
    unstored: Option<(Timestamp, String)>,
    /// Tasks whose sidecar is older than their state.
    sidecars: BTreeMap<TaskId, Arc<Task>>,
}

impl Storage {
    pub(crate) fn new(
        feed: broadcast::Sender<Entry>,
        metrics: Arc<Metrics>,
        alarm: Alarm,
        damaged: CancellationToken,
    ) -> Self {
        Self { feed, metrics, alarm, damaged, damage: None, problem: None, unstored: None, sidecars: BTreeMap::new() }
    }

    /// A read of the journal failed.
    pub(crate) fn observe(&self, error: &JournalError) {
        self.alarm.observe(error);
    }

    /// Waits until the journal is found damaged.
    pub(crate) async fn damaged(&self) {
        self.damaged.cancelled().await;
    }

    /// Returns what a read found damaged; remembered as the reason to leave.
    pub(crate) fn note_damage_found(&mut self) -> Option<String> {
        let found = self.alarm.found().cloned()?;
        self.damage = Some(found.clone());
        Some(found)
    }

    /// How the journal is damaged, if it is.
    pub(crate) fn take_damage(&mut self) -> Option<String> {
        let examined = || "it was found damaged when it was examined".to_owned();
        let damage = self.damage.take().or_else(|| self.alarm.found().cloned());
        damage.or_else(|| self.damaged.is_cancelled().then(examined))
    }

    /// A turn has written this.
    pub(crate) fn count(&self, writes: &[Write]) {
        self.metrics.count(writes);
    }

    /// A turn was decided, stored and carried out in this time.
    pub(crate) fn turn_took(&self, time: Duration) {
        self.metrics.change_set(time);
    }

    /// A turn was stored in this time.
    pub(crate) fn stored(&mut self, time: Duration) {
        self.metrics.stored(time);
        self.problem = None;
    }

    /// A turn could not be stored.
    pub(crate) fn refused(&mut self, error: &JournalError, now: Timestamp) {
        self.problem = Some(format!("{error}; nothing is begun before it can be written again"));
        self.unstored.get_or_insert_with(|| (now, error.to_string()));
        if error.is_damage() {
            self.damage = Some(error.to_string());
        }
    }

    /// Returns the reason why nothing can be stored now.
    pub(crate) fn problem(&self) -> Option<&String> {
        self.problem.as_ref()
    }

    /// Since when nothing could be stored, and why, where that is still to be written down.
    pub(crate) fn take_unstored(&mut self) -> Option<(Timestamp, String)> {
        self.unstored.take()
    }

    /// Publishes what was stored to the listeners, if there are any.
    pub(crate) fn publish(&self, entry: Entry) {
        self.feed.send(entry).ok();
    }

    /// Records that these tasks changed: their sidecars are to be written.
    pub(crate) fn outdate_sidecars(&mut self, tasks: impl Iterator<Item = (TaskId, Arc<Task>)>) {
        self.sidecars.extend(tasks);
    }

    /// Tasks whose sidecars are to be written.
    pub(crate) fn take_sidecars(&mut self) -> Vec<Arc<Task>> {
        std::mem::take(&mut self.sidecars).into_values().collect()
    }
}
