//! The resolved settings of the daemon's loop: its interval, how much runs at once, and what resources stay free.

use super::overlay::overlay;
use super::raw::{Adaptive, OnSignal, RawEngine};
use orch_core::planning::admission;
use serde::Serialize;
use std::time::Duration;

/// The daemon's loop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Engine {
    /// Interval at which the loop runs when nothing happens; never zero.
    #[serde(rename = "tick_seconds", serialize_with = "super::resolved::seconds")]
    pub tick: Duration,
    /// Maximum number of agents at once; at least 1.
    pub max_parallel: u32,
    /// How the load of the machine adjusts `max_parallel`.
    pub adaptive: Adaptive,
    /// Upper limit under [`Adaptive::Load`]; `None`: `max_parallel`.
    pub max_parallel_ceiling: Option<u32>,
    /// Megabytes (of 1,000,000 bytes) that must be free on a disk before anything starts.
    pub min_free_disk_mb: u64,
    /// Memory of the daemon, in megabytes (of 1,000,000 bytes), above which it restarts itself; 0: never.
    pub self_memory_limit_mb: u64,
    /// What happens to running agents when a signal ends the daemon.
    pub on_signal: OnSignal,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(10),
            max_parallel: 4,
            adaptive: Adaptive::default(),
            max_parallel_ceiling: None,
            min_free_disk_mb: 500,
            self_memory_limit_mb: 512,
            on_signal: OnSignal::default(),
        }
    }
}

impl Engine {
    pub(super) fn with(self, raw: RawEngine) -> Self {
        overlay!(self with raw {
            [max_parallel, adaptive, min_free_disk_mb, self_memory_limit_mb, on_signal]
            ?[max_parallel_ceiling]
            tick: raw.tick_seconds.map_or(self.tick, Duration::from_secs),
        })
    }

    /// Returns the rule by which the load of the machine counts.
    pub fn rule(&self) -> admission::Rule {
        let base = self.max_parallel as usize;
        let (by_memory, by_load) = match self.adaptive {
            Adaptive::None => (false, false),
            Adaptive::Memory => (true, false),
            Adaptive::Load => (true, true),
        };
        let ceiling = self.max_parallel_ceiling.map_or(base, |ceiling| ceiling as usize);
        admission::Rule { by_memory, by_load, base, ceiling }
    }
}
