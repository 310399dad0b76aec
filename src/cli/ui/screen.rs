//! A screen of a terminal that is written over in place: no flicker, and the person's own screen comes back, however
//! the command ends.

use super::Ui;
use crate::cli::error::CliError;

/// Another screen beside the person's, without a cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// Back to the person's.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// The screen, as long as this lives.
pub struct Screen {
    ui: Ui,
}

impl Ui {
    /// Takes the screen; `None`: stdout is no terminal that can go back.
    pub fn screen(&self) -> Option<Screen> {
        let is_able = self.moves && self.rows().is_some();
        is_able.then(|| self.data(ENTER).ok().map(|()| Screen { ui: *self })).flatten()
    }
}

impl Screen {
    /// Shows these lines and nothing else. They are safe, and fit.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn show(&self, lines: &str) -> Result<(), CliError> {
        self.ui.data(&frame(lines))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        self.ui.data(LEAVE).ok();
    }
}

/// One write that leaves no moment in which the screen is empty: each line is written over, then what is left is cleared.
fn frame(lines: &str) -> String {
    let mut frame = String::with_capacity(lines.len() + 256);
    frame.push_str("\u{1b}[H");
    for (at, line) in lines.lines().enumerate() {
        // No line feed after the last one: on the last row it would scroll.
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
