//! The conversations of the scripted agent: one small file for each, in a directory of their own.

use super::prompt::Task;
use orch_sys::fs::{self, Durability, FsError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The largest file of a conversation, in bytes.
const LARGEST: usize = 8 << 20;

/// Why a conversation cannot be stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConversationError {
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// Its file is invalid.
    #[error("{} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conversation {
    #[serde(skip)]
    file: PathBuf,
    /// The number of turns started.
    pub turns: u32,
    /// Tokens so far, which a model would have to read again.
    pub tokens: u64,
    /// Its task.
    pub task: Option<Task>,
}

impl Conversation {
    /// Creates a conversation. An older one with the same id is discarded.
    pub(super) fn new(state: &Path, id: &str) -> Self {
        Self { file: file(state, id), turns: 0, tokens: 0, task: None }
    }

    /// Loads a conversation, or returns `None` if there is none with this id.
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

    /// Counts a turn, even if it will be cut off, and stores the task if the prompt contains one.
    pub(super) fn begin_turn(&mut self, task: Option<Task>) {
        self.turns = self.turns.saturating_add(1);
        self.task = task.or(self.task.take());
    }

    /// Stores the conversation.
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
