//! The process between the runner and an agent that is an HTTP server: starts `opencode serve`, sends it the runner's
//! messages from stdin, prints its events as the lines of `opencode run`, and ends it. The decisions are made in
//! `agents::opencode::conversation`; the bridge only carries them out. It knows no run directory, no configuration and no
//! task, writes no file, and ends with its server. A question to a provider's API, which needs no server, is in [`ask`].

pub mod ask;
mod carry_out;
mod client;
mod server;

pub use carry_out::run;

/// The hidden subcommand: `orch __opencode <program> <its arguments>`.
pub const SUBCOMMAND: &str = orch_core::models::agents::opencode::BRIDGE;
