//! orch: tasks in, judged and integrated work of coding agents out.

pub mod domain;
