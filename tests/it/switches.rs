//! What a person switches, with the real daemon and agents that do as they are told: pauses, the three ways out, another
//! daemon in the place of the first one, and starting anew.

mod between;
pub mod fixture;
mod pause;
mod shutdown;
mod upgrade;
