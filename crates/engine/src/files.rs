//! The home's files `tasks.yml` and `jobs.yml` and the settings: reading and writing them. Decides nothing, knows no engine.

pub(crate) mod entry_edits;
pub(crate) mod file_job;
pub(crate) mod jobs_file;
