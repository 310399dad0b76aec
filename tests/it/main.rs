//! The one integration-test binary: real git, real tmux, real agent CLIs, in sealed boxes.
#![expect(clippy::disallowed_methods, reason = "tests read files and the clock as they please")]

#[path = "../kit/mod.rs"]
mod kit;

mod agent_fixtures;
mod bad_input;
mod bridge;
mod cli_contract;
mod config_example;
mod docs;
mod engine_in_process;
mod git;
mod http;
mod logs;
mod main_job;
mod prompts;
mod redaction;
mod rendering;
mod runner;
mod screen;
mod scripted_agent;
mod settled;
mod status;
mod steering;
mod stream;
mod tasks_file;
mod tidy;
