//! Agents and models: which there are, which can be used, and what a reference to a model resolves to.

pub mod agent_model;
pub mod agents;
pub mod availability;
pub mod catalog;
pub mod degrade;
pub mod model_api;
pub mod model_path;
pub mod model_warning;
pub mod price;
pub mod provider_access;
pub mod resolve;
pub mod set_model;
