//! Text as it is shown and stored: secrets are removed, control sequences are parsed, words are quoted.

pub mod images;
pub mod output;
pub mod redact;
pub mod shell;
pub mod styled;
pub mod task_key;
