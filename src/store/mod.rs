//! What lasts: the journal (what happened) and the document `tasks.yml` (what the person wants). Mechanism, no policy.

pub mod journal;
mod messages;
mod migrations;
pub mod search;
pub mod tasks_file;
