//! The rules: routing, planning, retries, and judging results. Pure: no I/O, no clock, no async.
//!
//! The rooms, from the bottom up. Each imports only rooms above it in this table, as `WITHIN` in `tests/it/tidy/rooms.rs`
//! says in detail.
//!
//! | room | what it owns |
//! |---|---|
//! | [`base`] | ids, time, money, names |
//! | [`text`] | redaction, control sequences, quoting |
//! | [`tasks`] | the core: task, lifecycle, judging, retries |
//! | [`operations`] | jobs, clean-up, service, pauses, channels |
//! | [`models`] | agent CLIs, catalog, the path from a task to its model |
//! | [`prompts`] | prompts, skills, the router's question and answer |
//! | [`economics`] | budgets, cost, track records, policies |
//! | [`planning`] | which task continues, and why another does not |
//! | [`audit`] | the facts of the history, their sentences, rebuilding |
//! | [`notices`] | notices to a person |

pub mod audit;
pub mod base;
pub mod economics;
pub mod models;
pub mod notices;
pub mod operations;
pub mod planning;
pub mod prompts;
pub mod tasks;
pub mod text;
