//! Which task continues, and why another does not: capacity, breakers, batches, file overlaps.

pub mod admission;
pub mod batch;
pub mod breaker;
pub mod overlap;
pub mod plan;
pub mod provider_cooldown;
