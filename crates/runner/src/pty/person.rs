//! The runner's own terminal, the pane, in which a person sees the program and types. It may be slow, stuck or gone; the
//! run never waits for it. Output that it did not take in time is dropped, and the present screen is drawn instead.

use super::DEFAULT_SIZE;
use orch_sys::process::TerminalSize;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// The most bytes that are buffered for a slow pane.
const MAX_UNSENT: usize = 256 << 10;

/// How long [`PaneTerminal::restore`] waits for the last bytes to appear.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// Aborts a partial sequence and resets the terminal.
const RESET: &str = "\x18\x1bc";

/// Leaves the alternate screen, shows the cursor, ends colours, mouse reporting and bracketed paste.
const RESTORE: &str = "\x1b[?1049l\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\r\n";

/// The pane's terminal: the runner's own stdin and stdout.
pub(super) struct PaneTerminal {
    /// The output; `None` once it is gone.
    output: Option<File>,
    /// The input; `None` when it is no terminal, or gone.
    input: Option<File>,
    /// The terminal's settings before.
    before: Option<Termios>,
    unsent: Vec<u8>,
    /// Whether output was dropped since the buffer was last empty.
    has_dropped: bool,
}

impl PaneTerminal {
    /// Takes over the runner's terminal in raw mode, so that each key reaches the program as it is typed.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub(super) fn take_over() -> io::Result<Self> {
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&output).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            // A terminal that refuses raw mode works, but echoes what is typed twice.
            let _ = tcsetattr(&output, OptionalActions::Now, &raw);
        }
        let input = Some(input).filter(|input| isatty(input));
        for file in [Some(&output), input.as_ref()].into_iter().flatten() {
            let _ = rustix::io::ioctl_fionbio(file, true);
        }
        Ok(Self { output: Some(output), input, before, unsent: Vec::new(), has_dropped: false })
    }

    /// Returns the size of the pane.
    pub(super) fn size(&self) -> TerminalSize {
        let size = self.output.as_ref().and_then(|output| tcgetwinsize(output).ok());
        let seen = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        seen.map_or(DEFAULT_SIZE, |size| TerminalSize { columns: size.ws_col, rows: size.ws_row })
    }

    /// Buffers output of the program, unless the buffer is full.
    pub(super) fn show(&mut self, bytes: &[u8]) {
        if self.unsent.len() + bytes.len() > MAX_UNSENT {
            self.has_dropped = true;
        }
        if !self.has_dropped {
            self.unsent.extend_from_slice(bytes);
        }
    }

    /// Sends what is buffered, and then, if output was dropped, draws the present screen.
    pub(super) fn send(&mut self, drawn: &dyn Fn() -> String) {
        self.push();
        if self.has_dropped && self.unsent.is_empty() {
            self.has_dropped = false;
            self.unsent.extend_from_slice(RESET.as_bytes());
            self.unsent.extend_from_slice(drawn().as_bytes());
            self.push();
        }
    }

    fn push(&mut self) {
        let mut sent = 0;
        while let Some(output) = self.output.as_mut().filter(|_| sent < self.unsent.len()) {
            match output.write(&self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.output = None,
            }
        }
        self.unsent.drain(..sent);
        if self.output.is_none() {
            self.unsent.clear();
            self.has_dropped = false;
        }
    }

    /// Reads what was typed since the last call.
    pub(super) fn typed(&mut self, into: &mut Vec<u8>) {
        let Some(input) = &mut self.input else { return };
        let mut buffer = [0; 4096];
        match input.read(&mut buffer) {
            Ok(count @ 1..) => into.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(_) | Err(_) => self.input = None,
        }
    }

    /// Returns what to poll for: input if `wants_keys`, and room in the output while something is unsent.
    pub(super) fn poll_fds(&self, wants_keys: bool) -> impl Iterator<Item = PollFd<'_>> {
        let keys = self.input.as_ref().filter(|_| wants_keys).map(|input| PollFd::new(input, PollFlags::IN));
        let writable = self.output.as_ref().filter(|_| !self.unsent.is_empty());
        keys.into_iter().chain(writable.map(|output| PollFd::new(output, PollFlags::OUT)))
    }

    /// Sends the rest and restores the terminal's settings.
    pub(super) fn restore(mut self, drawn: &dyn Fn() -> String) {
        for _ in 0..2 {
            self.send(drawn);
            let mut writable: Vec<PollFd<'_>> = self.poll_fds(false).collect();
            if writable.is_empty() {
                break;
            }
            let _ = poll(&mut writable, Timespec::try_from(CLOSE_TIMEOUT).ok().as_ref());
        }
    }
}

impl Drop for PaneTerminal {
    fn drop(&mut self) {
        let (Some(output), Some(before)) = (&mut self.output, &self.before) else { return };
        // Errors are ignored: the terminal may be gone.
        let _ = output.write(RESTORE.as_bytes());
        let _ = tcsetattr(&*output, OptionalActions::Now, before);
        let _ = rustix::io::ioctl_fionbio(&*output, false);
    }
}
