//! The engine as a service: how it comes and goes, how turns are stored, what it cleans up.

pub(crate) mod collection;
pub(crate) mod housekeeping;
pub(crate) mod lifetime;
pub(crate) mod storing;
pub(crate) mod switches;
