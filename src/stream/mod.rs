//! Live output. Mechanism only: whoever watches never slows the one who writes.

pub mod transcript;
