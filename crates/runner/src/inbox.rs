//! Messages to the agent of a run, as files in its directory: `message-` by the daemon, `claim-` by the runner when it
//! passes one on, `receipt-` when the agent has read it. They survive daemon and runner, and each message is passed on
//! at most once.

use super::launch::{RunDir, RunFileError};
use super::transcript::Transcript;
use jiff::Timestamp;
use orch_core::tasks::message::{Author, MessageId};
use orch_core::tasks::outcome::AgentEvent;
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::crash::point;
use orch_sys::fs::Durability;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A message to be delivered to an agent. Stored as `message-<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The id of the message.
    pub id: MessageId,
    /// The author.
    #[serde(default)]
    pub from: Author,
    /// The text as it was written.
    pub text: String,
    /// The text that the agent gets.
    #[serde(rename = "told")]
    pub rendered: String,
}

/// Confirms that the agent has read a message. Stored as `receipt-<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The id of the message.
    pub id: MessageId,
    /// When the runner saw that.
    pub at: Timestamp,
}

impl RunDir {
    fn message_file(&self, kind: &str, id: MessageId) -> PathBuf {
        self.path().join(format!("{kind}-{id}.json"))
    }

    /// Hands a message to the runner, if the run can take one. A repeated call does nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn hand_over(&self, message: &Handed) -> Result<(), RunFileError> {
        let path = self.message_file("message", message.id);
        if path.exists() {
            return Ok(());
        }
        point!("message.hand_over.before");
        self.write(&path, message, Durability::Cached)?;
        point!("message.hand_over.after");
        Ok(())
    }

    /// Returns the receipts so far, for the messages handed over and for those in the prompt.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.message_ids("receipt")
            .into_iter()
            .filter_map(|id| self.read(&self.message_file("receipt", id)).ok())
            .collect()
    }

    /// Claims the messages that are not claimed yet, and returns them oldest first. A damaged one is skipped.
    pub(super) fn take_messages(&self) -> Vec<Handed> {
        let taken = self.message_ids("message").into_iter().filter(|id| self.claim(*id));
        taken.filter_map(|id| self.handed(id)).collect()
    }

    fn handed(&self, id: MessageId) -> Option<Handed> {
        self.read(&self.message_file("message", id)).ok()
    }

    /// Claims a message. Of any number of claims, one succeeds.
    fn claim(&self, id: MessageId) -> bool {
        let claim = self.message_file("claim", id);
        if claim.exists() {
            return false;
        }
        point!("message.claim.before");
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(claim) {
            Ok(_) => {
                point!("message.claim.after");
                true
            }
            // A claim that cannot be recorded is none: better deliver the message with the next turn than twice.
            Err(error) => error.kind() == ErrorKind::Interrupted && self.claim(id),
        }
    }

    fn confirm(&self, id: MessageId) -> Result<(), RunFileError> {
        let path = self.message_file("receipt", id);
        if path.exists() {
            return Ok(());
        }
        point!("message.receipt.before");
        self.write(&path, &Receipt { id, at: SystemClock.now() }, Durability::Cached)?;
        point!("message.receipt.after");
        Ok(())
    }

    /// Returns the ids of all files of a kind, in order.
    fn message_ids(&self, kind: &str) -> Vec<MessageId> {
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

/// Reports what the agent has read: in the transcript for the person, by a receipt for the daemon.
pub(super) struct Inbox {
    dir: RunDir,
    /// The messages in the prompt, until the agent's first event.
    in_prompt: Vec<Handed>,
    new_receipts: bool,
}

impl Inbox {
    pub(super) fn new(dir: &RunDir, in_prompt: Vec<Handed>) -> Self {
        Self { dir: dir.clone(), in_prompt, new_receipts: false }
    }

    /// Handles an event, after it was rendered. What it adds to the transcript depends on the event alone.
    pub(super) fn event(&mut self, event: &AgentEvent, transcript: &mut Transcript) {
        let heard: Vec<Handed> = if let AgentEvent::Started { .. } = event {
            std::mem::take(&mut self.in_prompt)
        } else if let AgentEvent::Heard { message } = event {
            self.dir.handed(*message).into_iter().collect()
        } else {
            return;
        };
        for message in heard {
            let from = match message.from {
                Author::Person => "you",
                Author::Orch => "orch",
            };
            transcript.note(&format!("message from {from}: {}", message.text));
            self.new_receipts |= self.dir.confirm(message.id).is_ok();
        }
    }

    /// Returns whether there are new receipts since the last call.
    pub(super) fn take_new_receipts(&mut self) -> bool {
        std::mem::take(&mut self.new_receipts)
    }
}
