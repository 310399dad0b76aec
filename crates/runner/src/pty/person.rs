//! The pane that a person may look at and type into. It may be slow, stuck or gone; nothing ever waits for it. What it
//! could not take in time is not sent later: it is shown how things stand by then.

use super::UNSEEN;
use orch_sys::process::TerminalSize;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// How much may wait for a slow pane.
const MOST: usize = 256 << 10;

/// How long the end waits for the last bytes to appear.
const FAREWELL: Duration = Duration::from_millis(300);

/// Ends a sequence that was cut, and begins with an empty screen.
const ANEW: &str = "\x18\x1bc";

/// Leaves the alternate screen, shows the cursor, ends colours, reporting of the mouse and bracketed paste.
const RESTORED: &str = "\x1b[?1049l\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\r\n";

/// A person's terminal: the runner's own stdin and stdout.
pub(super) struct Person {
    /// `None` once it is gone.
    output: Option<File>,
    /// `None` when it is no terminal, or gone.
    input: Option<File>,
    /// How the terminal was set before.
    before: Option<Termios>,
    unsent: Vec<u8>,
    /// Something was left out since the last time that everything was sent.
    behind: bool,
}

impl Person {
    /// Takes over the runner's terminal: each key goes to the program as it is typed.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub(super) fn meet() -> io::Result<Self> {
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&output).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            // A terminal that refuses shows what is typed twice, and works.
            let _ = tcsetattr(&output, OptionalActions::Now, &raw);
        }
        let input = Some(input).filter(|input| isatty(input));
        for file in [Some(&output), input.as_ref()].into_iter().flatten() {
            let _ = rustix::io::ioctl_fionbio(file, true);
        }
        Ok(Self { output: Some(output), input, before, unsent: Vec::new(), behind: false })
    }

    /// The size of the pane.
    pub(super) fn size(&self) -> TerminalSize {
        let size = self.output.as_ref().and_then(|output| tcgetwinsize(output).ok());
        let seen = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        seen.map_or(UNSEEN, |size| TerminalSize { columns: size.ws_col, rows: size.ws_row })
    }

    /// Shows what the program wrote, as far as there is room.
    pub(super) fn show(&mut self, bytes: &[u8]) {
        if self.unsent.len() + bytes.len() > MOST {
            self.behind = true;
        }
        if !self.behind {
            self.unsent.extend_from_slice(bytes);
        }
    }

    /// Sends what waits, and then, when something was left out, what the screen shows by now.
    pub(super) fn send(&mut self, drawn: &dyn Fn() -> String) {
        self.push();
        if self.behind && self.unsent.is_empty() {
            self.behind = false;
            self.unsent.extend_from_slice(ANEW.as_bytes());
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
            self.behind = false;
        }
    }

    /// What was typed since the last call.
    pub(super) fn typed(&mut self, into: &mut Vec<u8>) {
        let Some(input) = &mut self.input else { return };
        let mut piece = [0; 4096];
        match input.read(&mut piece) {
            Ok(count @ 1..) => into.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(_) | Err(_) => self.input = None,
        }
    }

    /// What to wait for: keys where `listening`, and room where something is unsent.
    pub(super) fn awaited(&self, listening: bool) -> impl Iterator<Item = PollFd<'_>> {
        let keys = self.input.as_ref().filter(|_| listening).map(|input| PollFd::new(input, PollFlags::IN));
        let room = self.output.as_ref().filter(|_| !self.unsent.is_empty());
        keys.into_iter().chain(room.map(|output| PollFd::new(output, PollFlags::OUT)))
    }

    /// Gives the terminal back as it was.
    pub(super) fn part(mut self, drawn: &dyn Fn() -> String) {
        for _ in 0..2 {
            self.send(drawn);
            let mut room: Vec<PollFd<'_>> = self.awaited(false).collect();
            if room.is_empty() {
                break;
            }
            let _ = poll(&mut room, Timespec::try_from(FAREWELL).ok().as_ref());
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let (Some(output), Some(before)) = (&mut self.output, &self.before) else { return };
        // All that can be done for a terminal that may be gone.
        let _ = output.write(RESTORED.as_bytes());
        let _ = tcsetattr(&*output, OptionalActions::Now, before);
        let _ = rustix::io::ioctl_fionbio(&*output, false);
    }
}
