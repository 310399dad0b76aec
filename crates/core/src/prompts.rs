//! The texts for agents and the router, and the answers of the router.

pub mod prompt;
pub mod router;
pub mod skills;
