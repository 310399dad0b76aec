//! What keeps a home in order: jobs and their schedules, clean-up, the service, pauses, and the channels to a person.

pub mod channel;
pub mod gc;
pub mod job;
pub mod pause;
pub mod quiet;
pub mod retention;
pub mod schedule;
pub mod service;
