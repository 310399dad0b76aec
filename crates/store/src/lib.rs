//! What lasts: the journal (what happened) and the document `tasks.yml` (what the person wants). Mechanism, no policy.

mod actors;
mod batches;
mod breakers;
mod jobs;
pub mod jobs_file;
pub mod journal;
mod key_value;
mod messages;
mod migrations;
mod outbox;
mod problem;
mod recorded;
pub mod records;
pub mod salvage;
pub mod search;
mod spends;
mod sums;
mod switches;
pub mod tasks_file;
mod typed_history;
pub mod witness;
