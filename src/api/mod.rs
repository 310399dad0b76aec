//! What crosses the socket: shapes, and a client that speaks them. Knows nothing of the engine.

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
pub mod gc;
pub mod health;
pub mod jobs;
pub mod messages;
pub mod models;
pub mod patterns;
pub mod problem;
pub mod rest;
pub mod route;
pub mod rulings;
pub mod set_models;
pub mod status;
pub mod stream;
pub mod switches;
pub mod types;
pub mod worked;
