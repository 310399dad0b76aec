//! Runs as the loop sees them: started, observed, reviewed, and what their failures speak against.

pub(crate) mod begin;
pub(crate) mod breakers;
pub(crate) mod health;
pub(crate) mod reviewing;
