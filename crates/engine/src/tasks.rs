//! What is asked of tasks by commands, and what becomes of them: the one way in which a task changes.

pub(crate) mod batches;
pub(crate) mod claims;
pub(crate) mod commands;
pub(crate) mod delegate;
pub(crate) mod edit;
pub(crate) mod history;
pub(crate) mod key_value;
pub(crate) mod messages;
pub(crate) mod once;
pub(crate) mod record;
pub(crate) mod review_decision;
pub(crate) mod view;
