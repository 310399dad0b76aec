//! Talks to an agent whose conversation is held open: opens it with the prompt, passes messages on while it works, and
//! closes it when the turn is over and nothing waits. What to write is the dialect's; here it is only written, without
//! ever waiting for the agent to read.

use super::launch::{RunDir, RunFileError};
use super::reading::Reading;
use orch_sys::fs;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::io::PipeWriter;

/// The largest prompt.
const LARGEST: usize = 64 << 20;

/// The runner's end of the conversation.
pub(super) struct Talk {
    /// `None` once it is closed, or the agent has closed its own end.
    stdin: Option<PipeWriter>,
    unsent: Vec<u8>,
    interrupted: bool,
}

impl Talk {
    /// Opens the conversation with the run's prompt.
    ///
    /// # Errors
    /// When the prompt cannot be read or the pipe not be used.
    pub(super) fn open(stdin: PipeWriter, dir: &RunDir, reading: &mut Reading) -> Result<Self, RunFileError> {
        let path = dir.prompt();
        let prompt = fs::read_limited(&path, LARGEST)?;
        rustix::io::ioctl_fionbio(&stdin, true).map_err(|error| fs::FsError::Io {
            action: "talk over",
            path,
            source: error.into(),
        })?;
        let mut talk = Self { stdin: Some(stdin), unsent: Vec::new(), interrupted: false };
        if let Some(live) = reading.live() {
            let lines = live.open(&String::from_utf8_lossy(&prompt));
            talk.say(lines);
        }
        talk.send();
        Ok(talk)
    }

    /// Passes on what waits, and closes the conversation when it is over. To be called whenever something may be new.
    pub(super) fn go_on(&mut self, dir: &RunDir, reading: &mut Reading) {
        let Some(live) = reading.live().filter(|_| self.stdin.is_some()) else { return };
        let lines = live.replies();
        self.say(lines);
        if !self.interrupted {
            for message in dir.take_messages() {
                let lines = live.say(message.id, &message.told);
                self.say(lines);
            }
        }
        self.send();
        let over = if self.interrupted { live.turn_ended() } else { live.rests() };
        if over && self.unsent.is_empty() {
            self.stdin = None;
        }
    }

    /// Ends the agent's turn over the conversation. `false`: that cannot be said now.
    pub(super) fn interrupt(&mut self, reading: &mut Reading) -> bool {
        let Some(live) = reading.live().filter(|_| self.stdin.is_some()) else { return false };
        let lines = live.interrupt();
        if lines.is_empty() {
            return false;
        }
        self.interrupted = true;
        self.say(lines);
        self.send();
        self.stdin.is_some()
    }

    fn say(&mut self, lines: Vec<String>) {
        for line in lines {
            self.unsent.extend_from_slice(line.as_bytes());
            self.unsent.push(b'\n');
        }
    }

    /// Writes as much as the agent has room for.
    fn send(&mut self) {
        let mut sent = 0;
        while let Some(stdin) = self.stdin.as_ref().filter(|_| sent < self.unsent.len()) {
            match rustix::io::write(stdin, &self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // Nobody listens any more: what was not heard is told by the receipts that are missing.
                Err(_) => self.stdin = None,
            }
        }
        self.unsent.drain(..sent);
    }

    /// What to wait for besides news: room for what is still to be written.
    pub(super) fn room(&self) -> Option<PollFd<'_>> {
        let stdin = self.stdin.as_ref().filter(|_| !self.unsent.is_empty())?;
        Some(PollFd::new(stdin, PollFlags::OUT))
    }
}
