//! Completes an interrupted move of a base branch: git, orch or the machine died while the branch and the checkout of
//! it were moved. The move is recorded in a note on the disk before it begins, and the next process finishes it: back
//! to the old commit or, when the index is at the new one already, on to that.
//!
//! Never here: touching a checkout with a file that matches neither the old nor the new commit, removing a lock that a
//! living process may hold, overwriting a file.

use super::base::require_sha;
use super::call::{CHECKOUT, Call, Checkout, mark};
use super::error::GitError;
use super::merge::AdvanceError;
use super::repo::{Head, Repo};
use super::stand::{Stand, Step, remove_unchanged};
use super::status::Untracked;
use super::{index_lock, stale};
use crate::fs::{self, Durability};
use crate::process;
use orch_core::base::names::BranchName;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, interval};

/// How long to wait for a git that is still running.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to check whether it has ended.
const LOOK: Duration = Duration::from_millis(50);
/// The largest note that is read, in bytes.
const NOTE_AT_MOST: usize = 1 << 20;

/// A recorded move of a branch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) branch: BranchName,
    pub(super) old: String,
    pub(super) new: String,
    /// The checkout that moves with it; `None` when the branch is not checked out.
    pub(super) checkout: Option<Checkout>,
}

/// A note with the time when it was written, by the clock of the file system.
struct Noted {
    note: Note,
    at: SystemTime,
}

/// The commit to which index and checkout are brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Old,
    New,
}

/// How to treat a lock that is older than the note.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elder {
    /// It may belong to a living process.
    Spared,
    /// It is an obstacle that a person has to remove.
    Refused,
}

/// Returns the mark of the git that moves a checkout; read-only commands do not carry it.
pub(super) fn moving_mark(work_tree: &Path) -> String {
    format!("{}-move", mark(work_tree))
}

impl Repo {
    /// Completes an interrupted move, if there is one.
    pub async fn finish_move(&self) -> Result<(), AdvanceError> {
        if !self.move_note().exists() {
            return Ok(());
        }
        let _held = self.hold().await?;
        self.finish_held_move().await
    }

    /// Does the same for a caller that holds the repository's lock.
    pub(super) async fn finish_held_move(&self) -> Result<(), AdvanceError> {
        if !self.move_note().exists() {
            return Ok(());
        }
        let _moving = self.moving();
        self.settle_move().await
    }

    /// Writes the note durably. The caller must hold the repository's lock.
    pub(super) fn note_move(&self, note: &Note) -> Result<(), GitError> {
        let file = self.move_note();
        let unwritten = |error| GitError::Io { path: file.clone(), source: std::io::Error::other(error) };
        let bytes = serde_json::to_vec(note).map_err(unwritten)?;
        fs::write_private(&file, &bytes, Durability::Synced).map_err(|error| GitError::file(&file, error))
    }

    /// Removes the note, when the move is complete or has not begun. If a power cut brings it back, it is found to be
    /// complete.
    pub(super) fn forget_move(&self) -> Result<(), GitError> {
        stale::remove(&self.move_note())
    }

    /// Does the same for a caller that holds the repository's lock and has announced the move.
    pub(super) async fn settle_move(&self) -> Result<(), AdvanceError> {
        let Some(noted) = read(&self.move_note())? else { return Ok(()) };
        let note = &noted.note;
        let main = self.main_checkout();
        let at = note.checkout.as_ref().unwrap_or(&main);
        // Another repository may have taken its place by now.
        let is_the_same = self.commit_of(&note.old).await?.is_some() && self.commit_of(&note.new).await?.is_some();
        if at.git_dir.is_dir() && is_the_same {
            if !at.work_tree.is_dir() {
                let (branch, path) = (note.branch.clone(), at.work_tree.clone());
                return Err(AdvanceError::CheckoutMissing { branch, path });
            }
            self.wait_for_own_git(at, note).await?;
            match &note.checkout {
                Some(at) => self.settle_checkout(at, &noted).await?,
                None => {
                    index_lock::settle(at, false)?;
                    self.clear_locks(at, &noted, Elder::Spared).await?;
                }
            }
        }
        Ok(self.forget_move()?)
    }

    async fn settle_checkout(&self, at: &Checkout, noted: &Noted) -> Result<(), AdvanceError> {
        let note = &noted.note;
        if let Some(operation) = at.operation() {
            return Err(note.incomplete(at, format!("a {operation} is in progress now")));
        }
        let steps = self.steps(at, note).await?;
        let tip = match self.head_of(at).await? {
            Head::Branch { name, sha } if name == note.branch => Some(sha),
            Head::Branch { .. } | Head::Unborn { .. } | Head::Detached { .. } => None,
        };
        index_lock::settle(at, tip.as_ref() == Some(&note.new))?;
        let status = self.status(at, Untracked::No).await?;
        // New files are no difference before the index contains them.
        let has_begun = || steps.iter().any(|step| step.old.is_none() && step.was_made_since(&at.work_tree, noted.at));
        let is_half_moved = match &tip {
            Some(tip) if *tip == note.old => !status.differences.is_empty() || has_begun(),
            Some(tip) if *tip == note.new => !status.differences.is_empty(),
            Some(tip) if self.is_overtaken(note, tip).await? => {
                let differing = status.differences.iter().map(|difference| difference.path.as_path()).collect();
                return self.settle_overtaken(at, noted, steps, &differing).await;
            }
            // Somebody has continued from here: uncommitted changes are theirs.
            Some(_) | None => false,
        };
        if is_half_moved {
            let is_of_it = |path: &Path| steps.iter().any(|step| step.path == path);
            if let Some(other) = status.differences.iter().find(|difference| !is_of_it(&difference.path)) {
                return Err(note.changed(at, &other.path));
            }
            let differing = status.differences.iter().map(|difference| difference.path.as_path()).collect();
            self.settle_files(at, noted, &steps, &differing, tip.as_ref() == Some(&note.new)).await
        } else {
            self.clear_locks(at, noted, Elder::Spared).await
        }
    }

    /// Returns whether another program has committed onto the old commit while git wrote the files of the new one: git commits
    /// without the lock of the index.
    async fn is_overtaken(&self, note: &Note, tip: &str) -> Result<bool, GitError> {
        Ok(self.is_ancestor(&note.old, tip).await? && !self.is_ancestor(&note.new, tip).await?)
    }

    /// Reverts files of the new commit where the index has those of the old one. Everything else belongs to the user.
    async fn settle_overtaken(
        &self,
        at: &Checkout,
        noted: &Noted,
        steps: Vec<Step>,
        differing: &HashSet<&Path>,
    ) -> Result<(), AdvanceError> {
        let call = Call::new(["diff-index", "--cached", "--name-only", "--no-renames", "--no-ext-diff", "-z"]);
        let output = self.ask(at, call.arg(&noted.note.old).arg("--")).await?.stdout;
        let theirs: HashSet<&[u8]> = output.split(|byte| *byte == 0).collect();
        let left = |step: &Step| !theirs.contains(step.path.as_os_str().as_bytes());
        let steps: Vec<Step> = steps.into_iter().filter(left).collect();
        let hashes = self.hashes(at, &steps).await?;
        let mut path_states = Vec::with_capacity(steps.len());
        for (step, hash) in steps.iter().zip(hashes) {
            let stand = self.stand(at, &noted.note.new, noted.at, step, hash).await?;
            // Content of neither commit belongs to the user.
            path_states.extend(stand.map(|stand| (step, stand)));
        }
        self.clear_locks(at, noted, Elder::Spared).await?;
        self.write_files(at, &noted.note, Goal::Old, &path_states, differing).await
    }

    async fn settle_files(
        &self,
        at: &Checkout,
        noted: &Noted,
        steps: &[Step],
        differing: &HashSet<&Path>,
        moved: bool,
    ) -> Result<(), AdvanceError> {
        let note = &noted.note;
        let goal = self.goal(at, note, moved).await?;
        let path_states = self.path_states(at, noted, steps).await?;
        self.clear_locks(at, noted, Elder::Refused).await?;
        self.write_files(at, note, goal, &path_states, differing).await?;
        if goal == Goal::New && !moved {
            self.move_ref(&note.branch, &note.old, &note.new).await?;
        }
        match self.status(at, Untracked::No).await?.differences.first() {
            None => Ok(()),
            Some(left) => Err(note.changed(at, &left.path)),
        }
    }

    /// Determines which commit the index is at. `moved` means that the branch, which moves last, is at the new one.
    async fn goal(&self, at: &Checkout, note: &Note, moved: bool) -> Result<Goal, AdvanceError> {
        for (sha, goal) in [(&note.new, Goal::New), (&note.old, Goal::Old)] {
            let args = ["diff-index", "--cached", "--quiet", "--no-ext-diff", "--ignore-submodules=dirty", sha, "--"];
            if (goal == Goal::New || !moved) && self.holds(at, Call::new(args)).await? {
                return Ok(goal);
            }
        }
        Err(note.incomplete(at, "its index has changed meanwhile".to_owned()))
    }

    /// Determines the state of each path of the move; an error when one matches neither commit.
    async fn path_states<'a>(
        &self,
        at: &Checkout,
        noted: &Noted,
        steps: &'a [Step],
    ) -> Result<Vec<(&'a Step, Stand)>, AdvanceError> {
        let mut path_states = Vec::with_capacity(steps.len());
        for (step, hash) in steps.iter().zip(self.hashes(at, steps).await?) {
            let Some(stand) = self.stand(at, &noted.note.new, noted.at, step, hash).await? else {
                return Err(noted.note.changed(at, &step.path));
            };
            path_states.push((step, stand));
        }
        Ok(path_states)
    }

    /// Brings the files of the move to one of its commits. Files saved meanwhile stay.
    async fn write_files(
        &self,
        at: &Checkout,
        note: &Note,
        goal: Goal,
        path_states: &[(&Step, Stand)],
        differing: &HashSet<&Path>,
    ) -> Result<(), AdvanceError> {
        let mut wanted = Vec::new();
        for (step, stand) in path_states {
            let side = match goal {
                Goal::Old => &step.old,
                Goal::New => &step.new,
            };
            match (goal, stand) {
                (_, Stand::Repository) | (Goal::Old, Stand::Old(_)) | (Goal::New, Stand::New(_)) => continue,
                (_, Stand::Old(seen) | Stand::New(seen) | Stand::Begun(seen)) => {
                    if !remove_unchanged(&at.work_tree, &step.path, seen)? {
                        return Err(note.changed(at, &step.path));
                    }
                }
                // A sparse checkout excludes this path.
                (_, Stand::Gone) if !differing.contains(step.path.as_path()) => continue,
                (_, Stand::Gone) => {}
            }
            if side.is_some() {
                wanted.extend_from_slice(step.path.as_os_str().as_bytes());
                wanted.push(0);
            }
        }
        if !wanted.is_empty() {
            // Without force: a file that has appeared meanwhile is not overwritten.
            let call = Call::new(["checkout-index", "--quiet", "-u", "-z", "--stdin"]).stdin(wanted);
            self.run(at, call.time_limit(CHECKOUT)).await?;
        }
        Ok(())
    }

    /// Waits for the git of a dead orch, which continues and completes the move by itself.
    async fn wait_for_own_git(&self, at: &Checkout, note: &Note) -> Result<(), AdvanceError> {
        let until = Instant::now() + PATIENCE;
        let mut look = interval(LOOK);
        while Instant::now() < until {
            look.tick().await;
            let mark = moving_mark(&at.work_tree);
            if blocking(move || process::marked(&mark)).await?.is_empty() {
                return Ok(());
            }
        }
        Err(note.incomplete(at, "git is still at it".to_owned()))
    }

    /// Removes the locks that the dead git left: they are younger than the note, and no living process can hold them.
    async fn clear_locks(&self, at: &Checkout, noted: &Noted, elder: Elder) -> Result<(), AdvanceError> {
        let own = ["index.lock", "HEAD.lock", "ORIG_HEAD.lock"].map(|name| at.git_dir.join(name));
        let mut dead = Vec::new();
        for lock in own.into_iter().chain([at.common_dir.join(noted.note.branch.full_ref() + ".lock")]) {
            let Ok(meta) = lock.symlink_metadata() else { continue };
            if meta.modified().is_ok_and(|made| made >= noted.at) {
                self.wait_until_dead(at, &noted.note, &lock).await?;
                dead.push(lock);
            } else if elder == Elder::Refused {
                return Err(noted.note.incomplete(at, format!("{} was there before it", lock.display())));
            }
        }
        Ok(dead.iter().try_for_each(|lock| stale::remove(lock))?)
    }

    async fn wait_until_dead(&self, at: &Checkout, note: &Note, lock: &Path) -> Result<(), AdvanceError> {
        let until = Instant::now() + PATIENCE;
        let mut look = interval(LOOK);
        let (mut signs, mut since) = (stale::fingerprint(lock), Instant::now());
        let mut who = None;
        while Instant::now() < until {
            look.tick().await;
            let now = stale::fingerprint(lock);
            if now.is_none() {
                return Ok(());
            }
            if now != signs {
                (signs, since) = (now, Instant::now());
            } else if since.elapsed() >= stale::STILL {
                let (at, lock) = (at.clone(), lock.to_owned());
                who = blocking(move || holder(&at, &lock)).await?;
                if who.is_none() {
                    return Ok(());
                }
            }
        }
        let who = who.unwrap_or_else(|| "somebody".to_owned());
        Err(note.incomplete(at, format!("{} may be held by {who}", lock.display())))
    }
}

impl Note {
    /// Returns the error that the move cannot be completed, with the reason.
    fn incomplete(&self, at: &Checkout, reason: String) -> AdvanceError {
        AdvanceError::HalfMoved { branch: self.branch.clone(), path: at.work_tree.clone(), reason }
    }

    fn changed(&self, at: &Checkout, path: &Path) -> AdvanceError {
        self.incomplete(at, format!("{} has changed meanwhile", path.display()))
    }
}

fn read(file: &Path) -> Result<Option<Noted>, GitError> {
    let broken = |error: String| GitError::Io { path: file.to_owned(), source: std::io::Error::other(error) };
    let bytes = match fs::read_limited(file, NOTE_AT_MOST) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(broken(error.to_string())),
    };
    let note = match serde_json::from_slice::<Note>(&bytes) {
        Ok(note) if require_sha(&note.old).is_ok() && require_sha(&note.new).is_ok() => note,
        // Then a half-moved checkout waits for the user, like any other that is not clean.
        Ok(_) | Err(_) => {
            tracing::warn!(file = %file.display(), "the note of a move does not read, and is thrown away");
            stale::remove(file)?;
            return Ok(None);
        }
    };
    let at = file.metadata().and_then(|meta| meta.modified()).map_err(|error| broken(error.to_string()))?;
    Ok(Some(Noted { note, at }))
}

/// Describes the process that may hold a lock: one that has it open, or any git that works in the checkout except
/// orch's read-only ones. Blocking.
pub(super) fn holder(at: &Checkout, lock: &Path) -> Option<String> {
    let describe = |pid: u32| format!("{} (pid {pid})", process::program_of(pid));
    // The lock was removed meanwhile.
    if !lock.exists() {
        return None;
    }
    let looks: Vec<u32> = process::marked(&mark(&at.work_tree)).iter().map(|look| look.pid).collect();
    for dir in [lock, at.work_tree.as_path(), at.git_dir.as_path()] {
        let Some(there) = process::working_in(dir) else { return Some("somebody: it cannot be told here".to_owned()) };
        let may = |pid: &u32| !looks.contains(pid) && (dir == lock || process::program_of(*pid).starts_with("git"));
        if let Some(pid) = there.into_iter().find(may) {
            return Some(describe(pid));
        }
    }
    None
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, GitError> {
    let gone = |error: tokio::task::JoinError| GitError::Unexpected {
        command: "looking at processes".to_owned(),
        detail: error.to_string(),
    };
    tokio::task::spawn_blocking(work).await.map_err(gone)
}
