//! What happened and who did it: the facts of the history, their sentences, and the state that a lost journal is rebuilt from.

pub mod actor;
pub mod history;
pub mod rebuild;
pub mod timeline;
