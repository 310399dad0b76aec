//! The present models, providers and programs: what can be had, under which name, with which record. Knows no engine.

pub(crate) mod credentials;
pub(crate) mod known_models;
pub(crate) mod made_catalogs;
pub(crate) mod model_book;
pub(crate) mod overhead;
pub(crate) mod policies;
pub(crate) mod reach;
pub(crate) mod strategies;
