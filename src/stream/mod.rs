//! Live output. The transcript of a run is the stream: append-only, so an offset is a cursor. One thread follows the
//! transcripts that somebody watches and hands what is new to everybody; whoever comes late, or was too slow, reads
//! the file. Mechanism only: whoever watches never slows the one who writes.

mod capture;
mod files;
mod hub;
mod subscription;
#[cfg(test)]
mod tests;

pub use files::{RunFiles, Start};
pub use hub::Hub;
pub use subscription::{Delivery, Subscription};
