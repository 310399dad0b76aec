//! What the scripted agent remembers of a conversation: one small file for each, in a directory of its own.

use super::prompt::Task;
use orch_sys::fs::{self, Durability, FsError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The largest file of a conversation, in bytes.
const LARGEST: usize = 8 << 20;

/// Why a conversation cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConversationError {
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// Its file holds something else.
    #[error("{} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conversation {
    #[serde(skip)]
    file: PathBuf,
    /// Turns begun.
    pub turns: u32,
    /// Tokens so far: what a model would have to read again.
    pub tokens: u64,
    /// What it is about.
    pub task: Option<Task>,
}

impl Conversation {
    /// One that begins now. An older one of the same id is forgotten.
    pub(super) fn new(state: &Path, id: &str) -> Self {
        Self { file: file(state, id), turns: 0, tokens: 0, task: None }
    }

    /// One that was begun before; `None` when there is none of this id.
    pub(super) fn load(state: &Path, id: &str) -> Result<Option<Self>, ConversationError> {
        let path = file(state, id);
        let bytes = match fs::read_limited(&path, LARGEST) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(known) => Ok(Some(Self { file: path, ..known })),
            Err(source) => Err(ConversationError::Damaged { path, source }),
        }
    }

    /// Counts a turn, also one that will be cut off, and takes up the task if the prompt tells one.
    pub(super) fn begin_turn(&mut self, task: Option<Task>) {
        self.turns = self.turns.saturating_add(1);
        self.task = task.or(self.task.take());
    }

    /// Writes it down.
    pub(super) fn save(&self) -> Result<(), ConversationError> {
        if let Some(dir) = self.file.parent() {
            fs::create_dir_private(dir)?;
        }
        let bytes = serde_json::to_vec(self)
            .map_err(|source| ConversationError::Damaged { path: self.file.clone(), source })?;
        Ok(fs::write_private(&self.file, &bytes, Durability::Cached)?)
    }
}

fn file(state: &Path, id: &str) -> PathBuf {
    state.join(format!("{id}.json"))
}
