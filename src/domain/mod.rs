//! PURE. No I/O, no clock, no async. Decides: what is routed where, what starts, what a result is worth.

pub mod answer;
pub mod ids;
pub mod judge;
pub mod lifecycle;
pub mod money;
pub mod names;
pub mod outcome;
pub mod plan;
pub mod redact;
pub mod retry;
pub mod route;
pub mod task;
