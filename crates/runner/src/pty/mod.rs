//! Agents with a screen: a program on a terminal of its own, with the runner between it and the pane. What it shows
//! becomes lines, appended to the file to which any other agent prints, so that readers of that file need no special
//! case. The only input for the program is what a person types in the pane.

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

/// The size of the terminal when the pane's size is unknown.
const DEFAULT_SIZE: TerminalSize = TerminalSize { columns: 200, rows: 50 };
