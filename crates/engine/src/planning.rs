//! What limits starts: the machine, files that tasks share, and which directories are registered.

pub(crate) mod capacity;
pub(crate) mod overlap;
pub(crate) mod registered;
pub(crate) mod touched;
