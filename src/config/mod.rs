//! x
pub mod json_schema; pub mod origin; pub mod problem; pub mod raw; pub mod secret; pub mod settings; pub mod shape; pub mod tree; pub mod yaml;
