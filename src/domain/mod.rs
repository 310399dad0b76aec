//! PURE. No I/O, no clock, no async. Decides: what is routed where, what starts, what a result is worth.

pub mod answer;
pub mod ids;
pub mod money;
pub mod outcome;
pub mod route;
