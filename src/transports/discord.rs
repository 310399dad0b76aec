//! A Discord channel.

pub mod api;
pub mod gateway;
pub mod render;
