//! The process between the runner and an agent that speaks HTTP: starts `opencode serve`, says to it what the runner says
//! on stdin, prints what it answers in the lines of `opencode run`, and ends it. What is said and what the answers mean
//! is decided in `agents::opencode::conversation`; here it is only carried out. It knows no run directory, no
//! configuration and no task, writes no file, and lives no longer than its server. A question to a provider's API, which
//! needs no server, is [`ask`]'s.

pub mod ask;
mod carry_out;
mod client;
mod server;

pub use carry_out::run;

/// The hidden subcommand: `orch __opencode <program> <its arguments>`.
pub const SUBCOMMAND: &str = orch_core::agents::opencode::BRIDGE;
