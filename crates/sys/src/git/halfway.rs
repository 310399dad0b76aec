//! A move of a base branch that was cut off: git, orch or the machine died while the branch and the checkout that has it
//! checked out were moved. What is to be done is noted on the disk before it begins, and whoever comes next brings it to
//! an end: back to the old commit, or, when the index is at the new one already, on to that.
//!
//! Never here: touching a checkout in which anything is not exactly of the old or of the new commit, removing a lock that
//! a living process may hold, overwriting a file.

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
use orch_core::names::BranchName;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, interval};

/// How long to wait for a git that still lives.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look.
const LOOK: Duration = Duration::from_millis(50);
/// More than any note has.
const NOTE_AT_MOST: usize = 1 << 20;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) branch: BranchName,
    pub(super) old: String,
    pub(super) new: String,
    /// The checkout that goes along; none when nobody has the branch checked out.
    pub(super) checkout: Option<Checkout>,
}

/// A note, and when it was written by the clock of the file system.
struct Noted {
    note: Note,
    at: SystemTime,
}

/// Where index and checkout can be brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Old,
    New,
}

/// What is done about a lock that is older than the note.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elder {
    /// It is somebody's.
    Spared,
    /// It is in the way.
    Refused,
}

/// The mark of the git that moves a checkout, which only looks do not bear.
pub(super) fn moving_mark(work_tree: &Path) -> String {
    format!("{}-move", mark(work_tree))
}

impl Repo {
    /// Brings a move to its end that was cut off, if there is one.
    pub async fn finish_move(&self) -> Result<(), AdvanceError> {
        if !self.move_note().exists() {
            return Ok(());
        }
        let _held = self.hold().await?;
        self.finish_held_move().await
    }

    /// The same for who holds the repository.
    pub(super) async fn finish_held_move(&self) -> Result<(), AdvanceError> {
        if !self.move_note().exists() {
            return Ok(());
        }
        let _moving = self.moving();
        self.settle_move().await
    }

    /// Notes what will be done, durably. Only who holds the repository does.
    pub(super) fn note_move(&self, note: &Note) -> Result<(), GitError> {
        let file = self.move_note();
        let unwritten = |error| GitError::Io { path: file.clone(), source: std::io::Error::other(error) };
        let bytes = serde_json::to_vec(note).map_err(unwritten)?;
        fs::write_private(&file, &bytes, Durability::Synced).map_err(|error| GitError::file(&file, error))
    }

    /// It is done, or nothing of it is. A note that a power cut brings back is found to be fulfilled.
    pub(super) fn forget_move(&self) -> Result<(), GitError> {
        stale::remove(&self.move_note())
    }

    /// The same for who holds the repository, and has said that it moves.
    pub(super) async fn settle_move(&self) -> Result<(), AdvanceError> {
        let Some(noted) = read(&self.move_note())? else { return Ok(()) };
        let note = &noted.note;
        let main = self.main_checkout();
        let at = note.checkout.as_ref().unwrap_or(&main);
        // Another repository may be in its place by now.
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
            return Err(note.open(at, format!("a {operation} is in progress now")));
        }
        let steps = self.steps(at, note).await?;
        let tip = match self.head_of(at).await? {
            Head::Branch { name, sha } if name == note.branch => Some(sha),
            Head::Branch { .. } | Head::Unborn { .. } | Head::Detached { .. } => None,
        };
        index_lock::settle(at, tip.as_ref() == Some(&note.new))?;
        let status = self.status(at, Untracked::No).await?;
        // Files that are new are no difference before the index knows them.
        let has_begun = || steps.iter().any(|step| step.old.is_none() && step.was_made_since(&at.work_tree, noted.at));
        let is_half_moved = match &tip {
            Some(tip) if *tip == note.old => !status.differences.is_empty() || has_begun(),
            Some(tip) if *tip == note.new => !status.differences.is_empty(),
            Some(tip) if self.is_overtaken(note, tip).await? => {
                let differing = status.differences.iter().map(|difference| difference.path.as_path()).collect();
                return self.settle_overtaken(at, noted, steps, &differing).await;
            }
            // Somebody has gone on from here: whatever is uncommitted is his.
            Some(_) | None => false,
        };
        if is_half_moved {
            let is_of_it = |path: &Path| steps.iter().any(|step| step.path == path);
            if let Some(other) = status.differences.iter().find(|difference| !is_of_it(&difference.path)) {
                return Err(note.changed(at, &other.path));
            }
            let differing = status.differences.iter().map(|difference| difference.path.as_path()).collect();
            self.settle_files(at, noted, (&steps, &differing), tip.as_ref() == Some(&note.new)).await
        } else {
            self.clear_locks(at, noted, Elder::Spared).await
        }
    }

    /// Whether somebody has committed onto the old commit, while git brought the files of the new one: git commits without
    /// the lock of the index.
    async fn is_overtaken(&self, note: &Note, tip: &str) -> Result<bool, GitError> {
        Ok(self.is_ancestor(&note.old, tip).await? && !self.is_ancestor(&note.new, tip).await?)
    }

    /// Takes the files of the new commit back, where the index has those of the old one. All else is theirs.
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
        let mut stands = Vec::with_capacity(steps.len());
        for (step, hash) in steps.iter().zip(hashes) {
            let stand = self.stand(at, (&noted.note.new, noted.at), step, hash).await?;
            // What neither commit explains is theirs.
            stands.extend(stand.map(|stand| (step, stand)));
        }
        self.clear_locks(at, noted, Elder::Spared).await?;
        self.put(at, &noted.note, Goal::Old, (&stands, differing)).await
    }

    async fn settle_files(
        &self,
        at: &Checkout,
        noted: &Noted,
        (steps, differing): (&[Step], &HashSet<&Path>),
        moved: bool,
    ) -> Result<(), AdvanceError> {
        let note = &noted.note;
        let goal = self.goal(at, note, moved).await?;
        let stands = self.stands(at, noted, steps).await?;
        self.clear_locks(at, noted, Elder::Refused).await?;
        self.put(at, note, goal, (&stands, differing)).await?;
        if goal == Goal::New && !moved {
            self.move_ref(&note.branch, &note.old, &note.new).await?;
        }
        match self.status(at, Untracked::No).await?.differences.first() {
            None => Ok(()),
            Some(left) => Err(note.changed(at, &left.path)),
        }
    }

    /// Which commit the index is at. `moved`: the branch is at the new one, and it goes last.
    async fn goal(&self, at: &Checkout, note: &Note, moved: bool) -> Result<Goal, AdvanceError> {
        for (sha, goal) in [(&note.new, Goal::New), (&note.old, Goal::Old)] {
            let args = ["diff-index", "--cached", "--quiet", "--no-ext-diff", "--ignore-submodules=dirty", sha, "--"];
            if (goal == Goal::New || !moved) && self.holds(at, Call::new(args)).await? {
                return Ok(goal);
            }
        }
        Err(note.open(at, "its index has changed meanwhile".to_owned()))
    }

    /// How each path of the move stands; an error when one of them is explained by neither commit.
    async fn stands<'a>(
        &self,
        at: &Checkout,
        noted: &Noted,
        steps: &'a [Step],
    ) -> Result<Vec<(&'a Step, Stand)>, AdvanceError> {
        let mut stands = Vec::with_capacity(steps.len());
        for (step, hash) in steps.iter().zip(self.hashes(at, steps).await?) {
            let Some(stand) = self.stand(at, (&noted.note.new, noted.at), step, hash).await? else {
                return Err(noted.note.changed(at, &step.path));
            };
            stands.push((step, stand));
        }
        Ok(stands)
    }

    /// Brings the files of the move to one of its commits. What somebody saves meanwhile stays.
    async fn put(
        &self,
        at: &Checkout,
        note: &Note,
        goal: Goal,
        (stands, differing): (&[(&Step, Stand)], &HashSet<&Path>),
    ) -> Result<(), AdvanceError> {
        let mut wanted = Vec::new();
        for (step, stand) in stands {
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
                // Not wanted here: the checkout is a sparse one.
                (_, Stand::Gone) if !differing.contains(step.path.as_path()) => continue,
                (_, Stand::Gone) => {}
            }
            if side.is_some() {
                wanted.extend_from_slice(step.path.as_os_str().as_bytes());
                wanted.push(0);
            }
        }
        if !wanted.is_empty() {
            // Without force: a file that is there by now is not overwritten.
            let call = Call::new(["checkout-index", "--quiet", "-u", "-z", "--stdin"]).stdin(wanted);
            self.run(at, call.time_limit(CHECKOUT)).await?;
        }
        Ok(())
    }

    /// The git of an orch that died goes on, and ends the move by itself.
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
        Err(note.open(at, "git is still at it".to_owned()))
    }

    /// Removes the locks that the dead git left: they are younger than the note, and nobody alive can hold them.
    async fn clear_locks(&self, at: &Checkout, noted: &Noted, elder: Elder) -> Result<(), AdvanceError> {
        let own = ["index.lock", "HEAD.lock", "ORIG_HEAD.lock"].map(|name| at.git_dir.join(name));
        let mut dead = Vec::new();
        for lock in own.into_iter().chain([at.common_dir.join(noted.note.branch.full_ref() + ".lock")]) {
            let Ok(meta) = lock.symlink_metadata() else { continue };
            if meta.modified().is_ok_and(|made| made >= noted.at) {
                self.wait_until_dead(at, &noted.note, &lock).await?;
                dead.push(lock);
            } else if elder == Elder::Refused {
                return Err(noted.note.open(at, format!("{} was there before it", lock.display())));
            }
        }
        Ok(dead.iter().try_for_each(|lock| stale::remove(lock))?)
    }

    async fn wait_until_dead(&self, at: &Checkout, note: &Note, lock: &Path) -> Result<(), AdvanceError> {
        let until = Instant::now() + PATIENCE;
        let mut look = interval(LOOK);
        let (mut signs, mut since) = (stale::signs(lock), Instant::now());
        let mut who = None;
        while Instant::now() < until {
            look.tick().await;
            let now = stale::signs(lock);
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
        Err(note.open(at, format!("{} may be held by {who}", lock.display())))
    }
}

impl Note {
    /// It cannot be brought to an end, and why.
    fn open(&self, at: &Checkout, reason: String) -> AdvanceError {
        AdvanceError::HalfMoved { branch: self.branch.clone(), path: at.work_tree.clone(), reason }
    }

    fn changed(&self, at: &Checkout, path: &Path) -> AdvanceError {
        self.open(at, format!("{} has changed meanwhile", path.display()))
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
        // Then a checkout that is half moved waits for the person, as any that is not clean.
        Ok(_) | Err(_) => {
            tracing::warn!(file = %file.display(), "the note of a move does not read, and is thrown away");
            stale::remove(file)?;
            return Ok(None);
        }
    };
    let at = file.metadata().and_then(|meta| meta.modified()).map_err(|error| broken(error.to_string()))?;
    Ok(Some(Noted { note, at }))
}

/// Who may hold a lock: whoever has it open, and any git that works in the checkout but for those of orch that only look.
/// Blocking.
pub(super) fn holder(at: &Checkout, lock: &Path) -> Option<String> {
    let told = |pid: u32| format!("{} (pid {pid})", process::program_of(pid));
    // It went by itself meanwhile.
    if !lock.exists() {
        return None;
    }
    let looks: Vec<u32> = process::marked(&mark(&at.work_tree)).iter().map(|look| look.pid).collect();
    for dir in [lock, at.work_tree.as_path(), at.git_dir.as_path()] {
        let Some(there) = process::working_in(dir) else { return Some("somebody: it cannot be told here".to_owned()) };
        let may = |pid: &u32| !looks.contains(pid) && (dir == lock || process::program_of(*pid).starts_with("git"));
        if let Some(pid) = there.into_iter().find(may) {
            return Some(told(pid));
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
