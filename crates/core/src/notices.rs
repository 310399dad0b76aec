//! Notices to a person, and the channels that carry them.

pub mod notice;
pub mod outbox;
