//! An alternate screen of a terminal that is updated in place, without flicker. The previous screen is restored however
//! the command ends.

use super::Ui;
use crate::cli::error::CliError;

/// Enters the alternate screen, and hides the cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// Leaves the alternate screen.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// The alternate screen, until it is dropped.
pub struct Screen {
    ui: Ui,
}

impl Ui {
    /// Enters the alternate screen; `None` if stdout is not a capable terminal.
    pub fn screen(&self) -> Option<Screen> {
        let is_able = self.moves && self.rows().is_some();
        is_able.then(|| self.data(ENTER).ok().map(|()| Screen { ui: *self })).flatten()
    }
}

impl Screen {
    /// Shows these lines, which are safe and fit.
    ///
    /// # Errors
    /// The terminal is closed.
    pub fn show(&self, lines: &str) -> Result<(), CliError> {
        self.ui.data(&frame(lines))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A closed terminal needs no restoring.
        self.ui.data(LEAVE).ok();
    }
}

/// Returns one write without a moment in which the screen is empty: each line is overwritten, then the rest is cleared.
fn frame(lines: &str) -> String {
    let mut frame = String::with_capacity(lines.len() + 256);
    frame.push_str("\u{1b}[H");
    for (at, line) in lines.lines().enumerate() {
        // No line feed after the last line: on the last row it would scroll.
        frame.push_str(if at > 0 { "\r\n" } else { "" });
        frame.push_str(line);
        frame.push_str("\u{1b}[K");
    }
    frame.push_str("\u{1b}[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_written_over_the_last_one_and_never_scrolls() {
        assert_eq!(frame("one\ntwo\n"), "\u{1b}[Hone\u{1b}[K\r\ntwo\u{1b}[K\u{1b}[J");
        assert_eq!(frame(""), "\u{1b}[H\u{1b}[J");
    }
}
