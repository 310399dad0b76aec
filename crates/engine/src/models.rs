//! The agent, the model and the money of a task.

pub(crate) mod budgets;
pub(crate) mod current_models;
pub(crate) mod estimates;
pub(crate) mod expected;
pub(crate) mod model_names;
pub(crate) mod model_warnings;
pub(crate) mod policy_word;
pub(crate) mod provider_checks;
pub(crate) mod provider_health;
pub(crate) mod set_models;
pub(crate) mod try_route;
