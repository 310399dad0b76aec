//! Settings: as typed (`raw`), as resolved (`resolved`), and the conversion between them. Parses once and passes on
//! finished values. Must not open a configuration file or read the environment: texts and variables are arguments.
//!
//! `raw` (types, documentation) → `json_schema` → `shape` (the schema as data) drives everything that knows keys:
//! `settings` (a file's tree, checked), `environment`, `example`, `show`, `edit`. `layers` merges the settings of all
//! sources; `validate` checks what a schema cannot express.

pub mod edit;
pub mod environment;
pub mod example;
pub mod home;
pub mod http;
pub mod identity;
pub mod json_schema;
pub mod layers;
pub mod origin;
mod overlay;
pub mod policy;
pub mod preset;
pub mod problem;
pub mod raw;
pub mod raw_budget;
pub mod raw_channels;
pub mod raw_models;
pub mod raw_router;
pub mod raw_workspace;
mod renamed;
mod render;
pub mod resolved;
pub mod resolved_agent;
pub mod resolved_breaker;
pub mod resolved_budget;
pub mod resolved_channels;
pub mod resolved_engine;
pub mod resolved_escalation;
pub mod resolved_gc;
pub mod resolved_limits;
pub mod resolved_models;
pub mod resolved_retention;
pub mod resolved_review;
pub mod resolved_workspace;
pub mod secret;
mod settings;
pub mod shape;
pub mod show;
mod tree;
pub mod validate;
pub mod yaml;

pub use example::example_text;
pub use home::Home;
pub use json_schema::json_schema;
pub use layers::{Layer, Loaded, load};
pub use origin::{Origin, Origins};
pub use problem::{ConfigProblem, Warning};
pub use raw::{Integrate, RouterMode};
pub use resolved::Config;
pub use resolved_agent::{AgentConfig, MissingVariable};
pub use secret::Secret;
pub use shape::FileKind;
