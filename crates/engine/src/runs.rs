//! Runs as the loop sees them: begun, faring, reviewed, and what their failures speak against.

pub(crate) mod begin;
pub(crate) mod breakers;
pub(crate) mod health;
pub(crate) mod reviewing;
