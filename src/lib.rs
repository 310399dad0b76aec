//! orch: tasks in, judged and integrated work of coding agents out.
//!
//! The rooms, and who may import whom, are in `specs.md`; `tests/it/tidy.rs` enforces it.

pub mod cli;
pub mod daemon;
pub mod telemetry;
