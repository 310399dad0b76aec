//! What crosses the socket: shapes, and a client that speaks them. Knows nothing of the engine.

pub mod client;
pub mod messages;
pub mod problem;
pub mod rest;
pub mod status;
pub mod stream;
pub mod types;
