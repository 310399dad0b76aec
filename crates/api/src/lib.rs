//! The types of requests and answers, the table of endpoints, and a client. Independent of the engine: the types are
//! converted from those of the core.

pub mod availability;
pub mod batches;
pub mod breakers;
pub mod budget;
pub mod channels;
pub mod claims;
pub mod client;
pub mod cost;
pub mod dashboard;
pub mod edits;
pub mod endpoint;
pub mod error;
pub mod evidence;
pub mod gc;
pub mod health;
pub mod jobs;
pub mod last_worker;
pub mod messages;
mod mirror;
pub mod models;
pub mod patterns;
pub mod problem;
pub mod queries;
pub mod rest;
pub mod route;
pub mod rulings;
pub mod set_models;
pub mod settings;
pub mod status;
pub mod stream;
pub mod switches;
pub mod types;
pub mod wanted;
