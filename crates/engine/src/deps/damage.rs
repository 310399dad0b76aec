//! The report on a rebuilt journal: what became of what, for people and programs. It stays beside the damaged files.

use jiff::Timestamp;
use orch_core::audit::history::{Fact, ServiceFact};
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{Run, Task};
use orch_store::journal::Project;
use orch_store::salvage::Salvaged;
use orch_sys::fs::{self, Durability, FsError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const DOCUMENT: &str = "report.json";
const TEXT: &str = "report.txt";
/// The largest report that is read.
const LARGEST: usize = 16 << 20;

/// A task whose state a person must confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The number of the task.
    pub task: TaskId,
    /// What is known and what is not.
    pub why: String,
}

/// What became of a damaged journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// When it was found.
    pub at: Timestamp,
    /// What was found damaged.
    pub cause: String,
    /// Where the damaged files are.
    pub kept: PathBuf,
    /// Tasks in the new journal.
    pub tasks: usize,
    /// Those whose row could be read from the damaged one.
    pub tasks_read: usize,
    /// Runs in the new journal.
    pub runs: usize,
    /// Lines of the history that could be read.
    pub entries: usize,
    /// Tasks whose state a person must confirm.
    pub asked: Vec<Asked>,
    /// What could not be rebuilt.
    pub lost: Vec<String>,
}

impl Damage {
    pub(crate) fn new(at: Timestamp, cause: &str, kept: &Path, saved: &Salvaged) -> Self {
        Self {
            at,
            cause: cause.to_owned(),
            kept: kept.to_owned(),
            tasks: 0,
            tasks_read: saved.tasks.len(),
            runs: 0,
            entries: 0,
            asked: Vec::new(),
            lost: saved.lost.clone(),
        }
    }

    pub(crate) fn count(&mut self, _: &Task, runs: &[Run]) {
        self.tasks += 1;
        self.runs += runs.len();
    }

    pub(crate) fn projects_found(&mut self, found: &[Project]) {
        self.lost.extend(found.iter().map(|project| {
            format!("project {}: its checks must be approved again (orch init)", project.dir.display())
        }));
    }

    /// Returns what the history says of it.
    pub(crate) fn fact(&self) -> ServiceFact {
        ServiceFact::JournalRebuilt {
            cause: self.cause.clone(),
            tasks: self.tasks,
            asked: self.asked.len(),
            runs: self.runs,
            lost: self.lost.len(),
            report: self.kept.join(TEXT),
        }
    }

    /// Describes the damage in one sentence.
    pub fn describe(&self) -> String {
        Fact::from(self.fact()).text()
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.at, self.describe());
        for Asked { task, why } in &self.asked {
            text.push_str(&format!("task {task} asks: {why}\n"));
        }
        for lost in &self.lost {
            text.push_str(&format!("lost: {lost}\n"));
        }
        text
    }

    /// The document goes last: with it the work is done.
    pub(crate) fn write(&self, kept: &Path) -> Result<(), FsError> {
        fs::write_private(&kept.join(TEXT), self.text().as_bytes(), Durability::Synced)?;
        let document = serde_json::to_vec_pretty(self).unwrap_or_else(|_| b"{}".to_vec());
        fs::write_private(&kept.join(DOCUMENT), &document, Durability::Synced)
    }
}

/// What is written where a journal was kept and no new one was made of it. It is no [`Damage`], and does not read as one.
#[derive(Serialize)]
struct Superseded {
    at: Timestamp,
    superseded_by: &'static str,
}

/// Ends every rebuild that was cut short: what was kept stays, and nothing is made of it any more.
pub(crate) fn supersede(damaged: &Path, by: &'static str, at: Timestamp) -> Result<(), FsError> {
    let document = serde_json::to_vec_pretty(&Superseded { at, superseded_by: by }).unwrap_or_else(|_| b"{}".to_vec());
    while let Some(unfinished) = unfinished(damaged) {
        fs::write_private(&unfinished.join(DOCUMENT), &document, Durability::Synced)?;
    }
    Ok(())
}

fn directories(damaged: &Path) -> Vec<PathBuf> {
    let entries = damaged.read_dir().into_iter().flatten().flatten();
    let is_whole = |path: &PathBuf| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_whole).collect();
    found.sort();
    found
}

/// A directory whose journal was kept, and which is not reported yet.
pub(crate) fn unfinished(damaged: &Path) -> Option<PathBuf> {
    directories(damaged).into_iter().find(|dir| dir.is_dir() && !dir.join(DOCUMENT).exists())
}

/// Returns the report on the last damage, while its directory exists.
pub(crate) fn latest(damaged: &Path) -> Option<Damage> {
    let read = |dir: PathBuf| serde_json::from_slice(&fs::read_limited(&dir.join(DOCUMENT), LARGEST).ok()?).ok();
    directories(damaged).into_iter().rev().find_map(read)
}
