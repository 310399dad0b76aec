//! `orch service` as a person types it: with a real systemd, with supervisors that speak their protocols, and where something
//! is not as it should be.

mod definitions;
mod notified;
mod odd;
mod path;
mod real;
