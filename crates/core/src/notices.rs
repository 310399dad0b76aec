//! What a person is told, and through which channel.

pub mod notice;
pub mod outbox;
