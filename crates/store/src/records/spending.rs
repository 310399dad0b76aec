//! The records of what a person enters by hand: spending outside of orch's runs, and samples of judged work.

use super::records;
use jiff::Timestamp;
use orch_core::base::money::Usd;
use orch_core::economics::budget::Record;
use orch_core::economics::recorded::Recorded;
use orch_core::tasks::route::Complexity;
use std::path::PathBuf;

records! {
    struct SpendRecord = Record {
        account: String,
        at: Timestamp,
        cost: Option<Usd>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    struct SampleRecord = Recorded {
        number: u64,
        task_type: String,
        agent: String,
        model: String,
        accepted: bool,
        complexity: Option<Complexity>,
        project: Option<PathBuf>,
        cost: Option<Usd>,
        seconds: Option<i64>,
        ended_at: Timestamp,
        recorded_at: Timestamp,
        by: String,
        note: String,
    }
}
