//! Tests `orch service`: with a real systemd, with scripted supervisors, and in unusual states.

mod definitions;
mod notified;
mod odd;
mod path;
mod real;
