//! Adapters: one module for each kind of effect outside the process. They provide mechanisms and hold no policy.

pub mod clock;
pub mod crash;
pub mod file_watch;
pub mod fs;
pub mod git;
pub mod hidden_input;
pub mod listed_models;
pub mod machine;
pub mod outgoing;
pub mod probes;
pub mod process;
pub mod provider_api;
pub mod registered;
pub mod supervised;
pub mod tmux;
pub mod worktree;
