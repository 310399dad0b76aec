//! What a person wrote in `tasks.yml`, examined and applied to the state.

pub(crate) mod cycles;
pub(crate) mod merge_file;
pub(crate) mod missing_tasks;
