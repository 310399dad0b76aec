//! PURE. No I/O, no clock, no async. Decides: what is routed where, what starts, what a result is worth.

pub mod answer;
pub mod edit;
pub mod event;
pub mod evidence;
pub mod ids;
pub mod judge;
pub mod lifecycle;
pub mod message;
pub mod money;
pub mod names;
pub mod outcome;
pub mod output;
pub mod pattern;
pub mod plan;
pub mod prompt;
pub mod redact;
pub mod retention;
pub mod retry;
pub mod route;
pub mod router;
pub mod skills;
pub mod styled;
pub mod task;
pub mod timeline;
