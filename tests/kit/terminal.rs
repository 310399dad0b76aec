//! A real terminal to run commands in: a pane of a separate tmux server.

use super::process::Ran;
use super::sealed_box::SealedBox;
use super::wait::{self, RUN};

/// A terminal in a box.
pub struct Terminal<'a> {
    sealed: &'a SealedBox,
}

impl<'a> Terminal<'a> {
    /// Runs a command line in a terminal of 100 × 30.
    pub fn new(sealed: &'a SealedBox, line: &str) -> Self {
        let terminal = Self { sealed };
        let size = ["-x", "100", "-y", "30"];
        terminal.tmux(&[&["-f", "/dev/null", "new-session", "-d", "-s", "t"], &size[..], &[line]].concat()).ok();
        terminal
    }

    /// Returns the terminal that was created before.
    pub fn for_box(sealed: &'a SealedBox) -> Self {
        Self { sealed }
    }

    /// Ends the terminal and everything in it. Another one may be created when this returns.
    pub fn close(self) {
        self.tmux(&["kill-server"]).ok();
        // A server that is shutting down would still answer there.
        std::fs::remove_file(self.sealed.root().join("tmux-terminal")).ok();
    }

    /// Runs a tmux command.
    pub fn tmux(&self, args: &[&str]) -> Ran {
        let socket = self.sealed.root().join("tmux-terminal");
        let socket = socket.to_str().expect("a plain path");
        self.sealed.run_program("tmux").args([&["-S", socket], args].concat()).run()
    }

    /// Returns the text on its screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "=t:"]).stdout
    }

    /// Waits until the screen shows `what`.
    pub fn shows(&self, what: &str) {
        let mut last = String::new();
        let seen = wait::poll(RUN, || {
            last = self.screen();
            last.contains(what).then_some(())
        });
        assert!(seen.is_some(), "the terminal never showed {what:?}:\n{last}");
    }
}
