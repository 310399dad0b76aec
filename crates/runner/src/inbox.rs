//! Messages of the person to the agent of a run, as files in its directory: what the daemon hands over, what the runner
//! took to pass on, what the agent has heard. They work whoever lives, and a message is passed on at most once.

use super::launch::{RunDir, RunFileError};
use super::transcript::Transcript;
use jiff::Timestamp;
use orch_core::message::{Author, MessageId};
use orch_core::outcome::AgentEvent;
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::crash::point;
use orch_sys::fs::Durability;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A message on its way to an agent. Stored as `message-<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Which.
    pub id: MessageId,
    /// Who says it.
    #[serde(default)]
    pub from: Author,
    /// What was written.
    pub text: String,
    /// The words in which the agent is told.
    pub told: String,
}

/// The agent has taken up a message. Stored as `receipt-<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which.
    pub id: MessageId,
    /// When that was seen.
    pub at: Timestamp,
}

impl RunDir {
    fn letter(&self, kind: &str, id: MessageId) -> PathBuf {
        self.path().join(format!("{kind}-{id}.json"))
    }

    /// Hands a message to the runner, if the run can take one. To be done again is to do nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hand_over(&self, message: &Handed) -> Result<(), RunFileError> {
        let path = self.letter("message", message.id);
        if path.exists() {
            return Ok(());
        }
        point!("message.hand_over.before");
        self.write(&path, message, Durability::Cached)?;
        point!("message.hand_over.after");
        Ok(())
    }

    /// What the agent has heard so far, of the messages handed over and of those in its prompt.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.letters("receipt").into_iter().filter_map(|id| self.read(&self.letter("receipt", id)).ok()).collect()
    }

    /// Takes the messages that nobody has taken yet, oldest first. A damaged one is left alone.
    pub(super) fn take_messages(&self) -> Vec<Handed> {
        let taken = self.letters("message").into_iter().filter(|id| self.claim(*id));
        taken.filter_map(|id| self.handed(id)).collect()
    }

    fn handed(&self, id: MessageId) -> Option<Handed> {
        self.read(&self.letter("message", id)).ok()
    }

    /// Of any number of claims, one succeeds.
    fn claim(&self, id: MessageId) -> bool {
        let claim = self.letter("claim", id);
        if claim.exists() {
            return false;
        }
        point!("message.claim.before");
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(claim) {
            Ok(_) => {
                point!("message.claim.after");
                true
            }
            // A claim that cannot be recorded is none: better said with the next turn than said twice.
            Err(error) => error.kind() == ErrorKind::Interrupted && self.claim(id),
        }
    }

    fn confirm(&self, id: MessageId) -> Result<(), RunFileError> {
        let path = self.letter("receipt", id);
        if path.exists() {
            return Ok(());
        }
        point!("message.receipt.before");
        self.write(&path, &Receipt { id, at: SystemClock.now() }, Durability::Cached)?;
        point!("message.receipt.after");
        Ok(())
    }

    /// The numbers of all files of a kind, in order.
    fn letters(&self, kind: &str) -> Vec<MessageId> {
        let number = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(kind)?.strip_prefix('-')?.strip_suffix(".json")?;
            number.parse().ok().map(MessageId)
        };
        let entries = std::fs::read_dir(self.path()).into_iter().flatten().flatten();
        let mut found: Vec<MessageId> = entries.filter_map(number).collect();
        found.sort_unstable();
        found
    }
}

/// Tells what the agent heard: to the person in the transcript, to the daemon by a receipt.
pub(super) struct Inbox {
    dir: RunDir,
    /// What the prompt says, until the agent shows a sign of life.
    in_prompt: Vec<Handed>,
    news: bool,
}

impl Inbox {
    pub(super) fn new(dir: &RunDir, in_prompt: Vec<Handed>) -> Self {
        Self { dir: dir.clone(), in_prompt, news: false }
    }

    /// To be called with each event, after it was rendered. What it adds to the transcript depends on nothing else.
    pub(super) fn event(&mut self, event: &AgentEvent, transcript: &mut Transcript) {
        let heard: Vec<Handed> = match event {
            AgentEvent::Started { .. } => std::mem::take(&mut self.in_prompt),
            AgentEvent::Heard { message } => self.dir.handed(*message).into_iter().collect(),
            AgentEvent::Text { .. }
            | AgentEvent::Reasoning { .. }
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::Spent { .. }
            | AgentEvent::Retry { .. }
            | AgentEvent::Warning { .. }
            | AgentEvent::Error { .. }
            | AgentEvent::TurnEnded => return,
        };
        for message in heard {
            let from = match message.from {
                Author::Person => "you",
                Author::Orch => "orch",
            };
            transcript.note(&format!("message from {from}: {}", message.text));
            self.news |= self.dir.confirm(message.id).is_ok();
        }
    }

    /// Whether there are receipts since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }
}
