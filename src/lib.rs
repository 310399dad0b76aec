//! orch runs coding agents on tasks, checks their work and integrates it.
//!
//! `specs.md` describes the modules and which may import which; `tests/it/tidy.rs` enforces it.

pub mod cli;
pub mod daemon;
pub mod telemetry;
