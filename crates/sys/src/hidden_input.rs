//! A line from a terminal that does not show what is typed.

use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, BufRead};

/// Puts the terminal back as it was.
struct Shown(Termios);

impl Drop for Shown {
    fn drop(&mut self) {
        // A terminal that is gone needs it no more.
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
    }
}

/// Reads a line from stdin; at a terminal, nothing of it is shown.
///
/// # Errors
/// The system's own.
pub fn read_hidden_line() -> io::Result<String> {
    let mut line = String::new();
    if !isatty(io::stdin()) {
        io::stdin().lock().read_line(&mut line)?;
        return Ok(line);
    }
    let before = tcgetattr(io::stdin())?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    let shown = Shown(before);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    io::stdin().lock().read_line(&mut line)?;
    drop(shown);
    Ok(line)
}
