//! Agents that only have a screen: a program on a terminal of its own, with the runner between it and the pane. What it
//! shows becomes lines, which are appended to the file that any other agent would have printed them to; so whoever
//! follows that file needs not know. Nothing is typed for the program but what a person types in the pane.

mod emulator;
mod frame;
mod intake;
mod person;
mod raw_file;
mod recover;
mod relay;

pub(super) use recover::recover;
pub(super) use relay::Relay;

use orch_sys::process::TerminalSize;

/// The size of a terminal that nobody looks at.
const UNSEEN: TerminalSize = TerminalSize { columns: 200, rows: 50 };
