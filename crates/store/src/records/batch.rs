//! The records of batches.

use super::records;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::planning::batch::{Batch, BatchName, End, Member, Row};
use orch_core::tasks::task::Status;

records! {
    struct BatchRecord = Batch {
        number: u64,
        name: BatchName,
        members: Vec<Member>,
        concurrency: u32,
        budget: Option<Usd>,
        created_at: Timestamp,
        cancelled_at: Option<Timestamp>,
        end: Option<End>,
    }

    struct MemberRecord = Member {
        task: TaskId,
        before: Usd,
        spent: Usd,
    }

    struct EndRecord = End {
        at: Timestamp,
        rows: Vec<Row>,
    }

    struct RowRecord = Row {
        task: TaskId,
        title: String,
        status: Status,
        spent: Usd,
    }
}
