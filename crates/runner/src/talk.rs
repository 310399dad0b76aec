//! Writes to an agent whose conversation stays open: sends the prompt, passes messages on while it works, and closes its
//! stdin when the turn is over and nothing is pending. The dialect decides what to write; this module never waits for
//! the agent to read.

use super::launch::{RunDir, RunFileError};
use super::reading::Reading;
use orch_sys::fs;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::io::PipeWriter;

/// The largest prompt, in bytes.
const MAX_PROMPT: usize = 64 << 20;

/// The runner's end of an open conversation.
pub(super) struct Conversation {
    /// `None` once either side has closed it.
    stdin: Option<PipeWriter>,
    unsent: Vec<u8>,
    interrupted: bool,
}

impl Conversation {
    /// Opens the conversation with the run's prompt.
    ///
    /// # Errors
    /// The prompt cannot be read, or the pipe cannot be used.
    pub(super) fn open(stdin: PipeWriter, dir: &RunDir, reading: &mut Reading) -> Result<Self, RunFileError> {
        let path = dir.prompt();
        let prompt = fs::read_limited(&path, MAX_PROMPT)?;
        rustix::io::ioctl_fionbio(&stdin, true).map_err(|error| fs::FsError::Io {
            action: "send",
            path,
            source: error.into(),
        })?;
        let mut talk = Self { stdin: Some(stdin), unsent: Vec::new(), interrupted: false };
        if let Some(live) = reading.live() {
            let lines = live.open(&String::from_utf8_lossy(&prompt));
            talk.queue(lines);
        }
        talk.flush();
        Ok(talk)
    }

    /// Passes on what is pending, and closes the conversation when it is over. Call this whenever something may be new.
    pub(super) fn advance(&mut self, dir: &RunDir, reading: &mut Reading) {
        let Some(live) = reading.live().filter(|_| self.stdin.is_some()) else { return };
        let lines = live.take_replies();
        self.queue(lines);
        if !self.interrupted {
            for message in dir.take_messages() {
                let lines = live.send_message(message.id, &message.rendered);
                self.queue(lines);
            }
        }
        self.flush();
        let over = if self.interrupted { live.turn_ended() } else { live.is_idle() };
        if over && self.unsent.is_empty() {
            self.stdin = None;
        }
    }

    /// Asks the agent to end its turn. Returns `false` when no such message can be sent now.
    pub(super) fn interrupt(&mut self, reading: &mut Reading) -> bool {
        let Some(live) = reading.live().filter(|_| self.stdin.is_some()) else { return false };
        let lines = live.interrupt();
        if lines.is_empty() {
            return false;
        }
        self.interrupted = true;
        self.queue(lines);
        self.flush();
        self.stdin.is_some()
    }

    fn queue(&mut self, lines: Vec<String>) {
        for line in lines {
            self.unsent.extend_from_slice(line.as_bytes());
            self.unsent.push(b'\n');
        }
    }

    /// Writes as much as the pipe takes.
    fn flush(&mut self) {
        let mut sent = 0;
        while let Some(stdin) = self.stdin.as_ref().filter(|_| sent < self.unsent.len()) {
            match rustix::io::write(stdin, &self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The agent has closed its stdin. Messages that it did not read have no receipt.
                Err(_) => self.stdin = None,
            }
        }
        self.unsent.drain(..sent);
    }

    /// Returns what to poll for while something is unsent: room in the pipe.
    pub(super) fn writable(&self) -> Option<PollFd<'_>> {
        let stdin = self.stdin.as_ref().filter(|_| !self.unsent.is_empty())?;
        Some(PollFd::new(stdin, PollFlags::OUT))
    }
}
