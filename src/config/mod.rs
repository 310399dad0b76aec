//! x
pub mod json_schema; pub mod origin; pub mod problem; pub mod raw; pub mod secret; pub mod settings; pub mod resolved; pub mod resolved_agent; pub mod environment; pub mod shape; pub mod tree; pub mod yaml;
