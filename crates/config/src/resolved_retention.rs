//! The resolved settings of retention: how long data of finished runs is kept.

use super::overlay::overlay;
use super::raw::RawRetention;
use jiff::SignedDuration;
use orch_core::operations::retention::Limits;
use serde::Serialize;

/// How long data of runs is kept once their task is finished. 0 means no limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retention {
    /// Days that raw output is kept.
    pub raw_days: u32,
    /// Days that a transcript is kept.
    pub transcript_days: u32,
    /// Total size in megabytes (of 1,000,000 bytes).
    pub total_mb: u64,
    /// Days that entries of the history are kept.
    pub events_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw_days: 7, transcript_days: 180, total_mb: 10_000, events_days: 365 }
    }
}

impl Retention {
    pub(super) fn with(self, raw: RawRetention) -> Self {
        overlay!(self with raw { [raw_days, transcript_days, total_mb, events_days] })
    }

    /// Returns how long entries of the history are kept; `None`: forever.
    pub fn events(&self) -> Option<SignedDuration> {
        (self.events_days > 0).then(|| SignedDuration::from_hours(24 * i64::from(self.events_days)))
    }

    /// Returns the limits that these settings define.
    pub fn limits(&self) -> Limits {
        let days = |days: u32| (days > 0).then(|| SignedDuration::from_hours(24 * i64::from(days)));
        let total = (self.total_mb > 0).then(|| self.total_mb.saturating_mul(1_000_000));
        Limits { raw: days(self.raw_days), transcript: days(self.transcript_days), total }
    }
}
