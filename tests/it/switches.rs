//! Tests pauses, the ways to stop, replacing a daemon, and restarting, with the real daemon and obedient agents.

mod between;
pub mod fixture;
mod pause;
mod shutdown;
mod upgrade;
