//! The one integration-test binary: real git, real tmux, real agent CLIs, in sealed boxes.
#![expect(clippy::disallowed_methods, reason = "tests read files and the clock as they please")]

#[path = "../kit/mod.rs"]
mod kit;

mod admission;
mod agent_fixtures;
mod availability;
mod bad_endings;
mod bad_input;
mod batches;
mod bridge;
mod budget;
mod chains;
mod cli_contract;
mod config_example;
mod cost;
mod crash_points;
mod docs;
mod doctor;
mod engine_in_process;
mod eval;
mod gc;
mod git;
mod health;
mod http;
mod integration;
mod jobs;
mod journal;
mod judging;
mod lives;
mod logs;
mod main_job;
mod models;
mod notices;
mod pieces;
mod power_cut;
mod prompts;
mod redaction;
mod rendering;
mod route;
mod runner;
mod screen;
mod scripted_agent;
mod settled;
mod status;
mod steering;
mod stream;
mod switches;
mod taken;
mod tasks_file;
mod tidy;
mod torture_table;
mod two_way;
mod two_way_races;
