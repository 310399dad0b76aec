//! orch: tasks in, judged and integrated work of coding agents out.
//!
//! The rooms, and who may import whom, are in `specs.md`; `tests/it/tidy.rs` enforces it.

pub mod adapters;
pub mod agents;
pub mod api;
pub mod bridge;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod engine;
pub mod http;
pub mod runner;
pub mod store;
pub mod stream;
pub mod telemetry;
pub mod transports;
