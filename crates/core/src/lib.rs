//! The rules: routing, planning, retries, and judging results. Pure: no I/O, no clock, no async.
//!
//! The rooms, from the bottom up. Each imports only rooms above it in this table; `tests/it/tidy` enforces it.
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
//! | [`notices`] | what a person is told |

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

pub use audit::{actor, history, rebuild, timeline};
pub use base::{count, external, health, ids, money, names, nearest, once, time};
pub use economics::{budget, cost, forecast, pattern, policy, recorded, strategy, track_record};
pub use models::{
    agent_model, agents, availability, catalog, degrade, model_api, model_path, model_warning, price, provider_access,
    resolve, set_model,
};
pub use notices::{notice, outbox};
pub use operations::{channel, gc, job, pause, quiet, retention, schedule, service};
pub use planning::{admission, batch, breaker, overlap, plan, provider_cooldown};
pub use prompts::{prompt, router, skills};
pub use tasks::{
    advice, answer, change, claim, conflict, cycle, delegation, edit, escalation, event, evidence, fallback, hold,
    judge, lifecycle, message, missing_tasks, model_policy, outcome, question, retry, review, review_decision, route,
    spec, spec_merge, task, task_type, workspace,
};
pub use text::{images, output, redact, shell, styled, task_key};
