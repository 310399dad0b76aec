//! Money: budgets, cost, track records, and the policies that choose a model by them.

pub mod budget;
pub mod cost;
pub mod forecast;
pub mod pattern;
pub mod policy;
pub mod recorded;
pub mod strategy;
pub mod track_record;
