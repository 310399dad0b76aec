//! Reads a line from a terminal without echo.

use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, BufRead};

/// Restores the terminal's settings when it is dropped.
struct EchoGuard(Termios);

impl Drop for EchoGuard {
    fn drop(&mut self) {
        // A terminal that is gone need not be restored.
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
    }
}

/// Reads a line from stdin; on a terminal, without echo.
///
/// # Errors
/// Stdin or the terminal's settings cannot be read or changed.
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
    let guard = EchoGuard(before);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    io::stdin().lock().read_line(&mut line)?;
    drop(guard);
    Ok(line)
}
