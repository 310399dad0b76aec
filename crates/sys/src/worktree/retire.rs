//! Removes the worktree of an inactive task in two steps: it is moved aside and checked again, and only then deleted.
//! When the process is killed in between, it is in its old place, is moved back there, or was found empty and is
//! deleted later.
//!
//! Never here: deleting anything that was not checked after it had been moved out of reach.

use super::WorktreeError;
use super::survey::{Subject, blocking};
use crate::crash::point;
use crate::fs::{self, Durability};
use crate::git::{Call, Checkout, GitError, Presence, Repo, same_place};
use orch_core::base::names::{BranchName, short_hash};
use orch_core::operations::gc::{Branch, Keep, Policy, Reason, Verdict, decide};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The ref prefix of commits that only a worktree knew.
const KEPT: &str = "refs/orch/kept/";
/// The name prefix of a worktree that was moved aside and is not checked yet.
const HELD: &str = "held-";
/// The name prefix of a worktree that holds nothing of value.
const GONE: &str = "gone-";

/// The result of retiring a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retired {
    /// It was removed.
    Gone {
        /// The freed space, in bytes.
        bytes: u64,
        /// Whether its branch was deleted.
        branch: Branch,
    },
    /// It was kept.
    Kept(Keep),
    /// It did not exist.
    Absent,
}

/// The record that is written before a worktree is moved aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The path of the repository.
    root: PathBuf,
    /// The original path of the worktree.
    path: PathBuf,
}

/// A leftover of an earlier removal, and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its current or former path.
    pub path: PathBuf,
    /// Whether it was deleted or moved back; otherwise a person must check it.
    pub settled: bool,
    /// A description of the outcome.
    pub detail: String,
}

/// The directory of worktrees that are being removed, on the same disk as the worktrees.
#[derive(Debug, Clone, Copy)]
pub struct Aside<'a>(pub &'a Path);

impl Aside<'_> {
    fn file(&self, step: &str, key: &str) -> PathBuf {
        self.0.join(format!("{step}{key}"))
    }

    fn record(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.json"))
    }

    /// Returns the keys of everything in it.
    fn keys(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.0).into_iter().flatten().flatten();
        let key = |name: String| {
            let moved = name.strip_prefix(HELD).or_else(|| name.strip_prefix(GONE));
            moved.or_else(|| name.strip_suffix(".json")).map(str::to_owned)
        };
        let mut keys: Vec<String> = names.filter_map(|entry| key(entry.file_name().into_string().ok()?)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Returns whether anything is in it.
    pub fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }
}

impl Repo {
    /// Removes the worktree of a task, if nothing would be lost. `may` is called under the repository's lock, before
    /// anything is touched and again after the worktree was moved aside.
    pub async fn retire(
        &self,
        subject: &Subject<'_>,
        policy: &Policy,
        aside: Aside<'_>,
        may: &(dyn Fn() -> Result<(), Keep> + Sync),
    ) -> Result<Retired, GitError> {
        let key = key_of(self, subject.path);
        let (bytes, branch) = {
            let _held = self.hold().await?;
            let Some(checkout) = self.there(subject.path).await? else { return Ok(Retired::Absent) };
            let (bytes, branch) = match self.check(&checkout, subject, policy, may).await? {
                Ok(free) => free,
                Err(keep) => return Ok(Retired::Kept(keep)),
            };
            self.keep_abandoned(Some(&checkout), subject.branch, branch == Branch::Goes).await?;
            if let Some(keep) = self.set_aside(&checkout, subject, policy, aside, &key, may).await? {
                return Ok(Retired::Kept(keep));
            }
            self.forget(subject.path).await?;
            point!("gc.forgotten");
            let branch = if branch == Branch::Goes { self.drop_branch(subject).await? } else { branch };
            (bytes, branch)
        };
        point!("gc.unbound");
        clear(aside, &key).await?;
        point!("gc.after");
        Ok(Retired::Gone { bytes, branch })
    }

    /// Creates refs for commits that would become unreachable.
    pub(super) async fn keep_abandoned(
        &self,
        at: Option<&Checkout>,
        branch: &BranchName,
        leaving: bool,
    ) -> Result<(), GitError> {
        for sha in self.abandoned(at, branch, leaving).await? {
            self.ask(&self.main_checkout(), Call::new(["update-ref", &format!("{KEPT}{sha}"), &sha])).await?;
        }
        Ok(())
    }

    /// Decides by the current state.
    async fn check(
        &self,
        at: &Checkout,
        subject: &Subject<'_>,
        policy: &Policy,
        may: &(dyn Fn() -> Result<(), Keep> + Sync),
    ) -> Result<Result<(u64, Branch), Keep>, GitError> {
        if let Err(keep) = may() {
            return Ok(Err(keep));
        }
        let facts = self.facts(at, subject).await?;
        Ok(match decide(&facts, policy) {
            Verdict::Keep(keep) => Err(keep),
            Verdict::Remove(branch) => Ok((facts.bytes, branch)),
        })
    }

    /// Moves the worktree aside and checks it again where no program finds it by its name, to see changes made until then.
    /// Afterwards it is known to hold nothing, or is back.
    async fn set_aside(
        &self,
        checkout: &Checkout,
        subject: &Subject<'_>,
        policy: &Policy,
        aside: Aside<'_>,
        key: &str,
        may: &(dyn Fn() -> Result<(), Keep> + Sync),
    ) -> Result<Option<Keep>, GitError> {
        let held = aside.file(HELD, key);
        let record = Record { root: self.root().to_owned(), path: subject.path.to_owned() };
        if held.symlink_metadata().is_ok() || aside.file(GONE, key).symlink_metadata().is_ok() {
            let detail = format!("an earlier removal was cut short: {}", aside.0.display());
            return Ok(Some(Keep { reason: Reason::Unknown, detail }));
        }
        point!("gc.before");
        write_record(aside, key, &record)?;
        point!("gc.recorded");
        fs::move_aside(subject.path, &held).map_err(failed(subject.path))?;
        point!("gc.held");
        let moved = Checkout { work_tree: held.clone(), ..checkout.clone() };
        let looked = self.check(&moved, subject, policy, may).await;
        if let Ok(Ok(_)) = looked {
            fs::move_aside(&held, &aside.file(GONE, key)).map_err(failed(&held))?;
            point!("gc.free");
            return Ok(None);
        }
        fs::move_aside(&held, subject.path).map_err(failed(&held))?;
        remove_record(aside, key)?;
        Ok(looked?.err())
    }

    /// Unregisters a worktree whose directory is missing. Should it be back, git refuses if it has changes.
    async fn forget(&self, path: &Path) -> Result<(), GitError> {
        let entries = self.entries().await?;
        let entry = entries.iter().skip(1).find(|entry| same_place(&entry.path, path));
        match entry.filter(|entry| entry.presence() == Presence::Missing) {
            None => Ok(()),
            Some(entry) => self.discard(entry).await.map_err(|error| match error {
                WorktreeError::Git(error) => error,
                other @ (WorktreeError::BadPath { .. }
                | WorktreeError::PathTaken { .. }
                | WorktreeError::BranchInUse { .. }
                | WorktreeError::WrongBranch { .. }
                | WorktreeError::Unrelated { .. }
                | WorktreeError::Leftovers(_)) => {
                    GitError::Io { path: path.to_owned(), source: std::io::Error::other(other) }
                }
            }),
        }
    }

    /// Deletes a branch that its base contains, if it has not moved.
    async fn drop_branch(&self, subject: &Subject<'_>) -> Result<Branch, GitError> {
        self.delete_branch(subject.branch, subject.base)
            .await
            .map(|gone| if gone { Branch::Goes } else { Branch::Stays })
    }

    /// Deletes a task's branch that another one contains, if it is still at the commit that was checked.
    async fn delete_branch(&self, branch: &BranchName, base: &BranchName) -> Result<bool, GitError> {
        let (Some(tip), Some(base)) = (self.tip(branch).await?, self.tip(base).await?) else { return Ok(false) };
        if !branch.is_of_a_task() || !self.is_ancestor(&tip, &base).await? {
            return Ok(false);
        }
        let call = Call::new(["update-ref", "-d", &branch.full_ref(), &tip]);
        Ok(self.run(&self.main_checkout(), call).await?.success())
    }

    /// Completes an interrupted removal in this repository, or undoes it.
    async fn settle_one(&self, aside: Aside<'_>, key: &str, record: &Record) -> Result<Leftover, GitError> {
        let leftover =
            |settled, detail: &str| Leftover { path: record.path.clone(), settled, detail: detail.to_owned() };
        let held = aside.file(HELD, key);
        {
            let _held = self.hold().await?;
            if held.symlink_metadata().is_ok() {
                let is_free = record.path.symlink_metadata().is_err() && self.linked_checkout(&record.path)?.is_some();
                if !is_free {
                    let detail = format!("its place is taken; what was in it is in {}", held.display());
                    return Ok(leftover(false, &detail));
                }
                fs::move_aside(&held, &record.path).map_err(failed(&held))?;
                remove_record(aside, key)?;
                return Ok(leftover(true, "put back: its removal was cut short before it was looked at"));
            }
            if aside.file(GONE, key).symlink_metadata().is_ok() {
                self.forget(&record.path).await?;
            }
        }
        clear(aside, key).await?;
        Ok(leftover(true, "its removal was cut short, and is done now"))
    }
}

/// Completes or undoes interrupted removals. `open` opens a repository.
pub async fn settle<F: Future<Output = Option<Repo>>>(aside: Aside<'_>, open: impl Fn(PathBuf) -> F) -> Vec<Leftover> {
    let mut settled = Vec::new();
    for key in aside.keys() {
        let record = fs::read_limited(&aside.record(&key), 64 << 10).ok();
        let record: Option<Record> = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let repo = match &record {
            Some(record) => open(record.root.clone()).await,
            None => None,
        };
        let done = match (record, repo) {
            (Some(record), Some(repo)) => repo.settle_one(aside, &key, &record).await,
            (_, _) => settle_alone(aside, &key).await,
        };
        settled.push(done.unwrap_or_else(|error| Leftover {
            path: aside.file(GONE, &key),
            settled: false,
            detail: error.to_string(),
        }));
    }
    settled
}

/// Handles a leftover without its repository: what holds nothing is deleted, everything else stays.
async fn settle_alone(aside: Aside<'_>, key: &str) -> Result<Leftover, GitError> {
    let held = aside.file(HELD, key);
    if held.symlink_metadata().is_ok() {
        let detail = "its repository is not to be found; it is kept".to_owned();
        return Ok(Leftover { path: held, settled: false, detail });
    }
    clear(aside, key).await?;
    let detail = "its removal was cut short, and is done now".to_owned();
    Ok(Leftover { path: aside.file(GONE, key), settled: true, detail })
}

/// Returns the key of one worktree of one repository.
fn key_of(repo: &Repo, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect();
    let of = [repo.common_dir().as_os_str().as_bytes(), path.as_os_str().as_bytes()].join(&0);
    format!("{}-{name}", short_hash(&of))
}

/// Deletes a worktree that holds nothing, and then its record.
async fn clear(aside: Aside<'_>, key: &str) -> Result<(), GitError> {
    let gone = aside.file(GONE, key);
    blocking(move || delete(&gone)).await??;
    point!("gc.deleted");
    remove_record(aside, key)
}

/// Deletes a directory with its content, including read-only entries. Blocking.
fn delete(dir: &Path) -> Result<(), GitError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            make_writable(dir);
            std::fs::remove_dir_all(dir).map_err(|source| GitError::Io { path: dir.to_owned(), source })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| GitError::Io { path: dir.to_owned(), source }),
    }
}

fn make_writable(root: &Path) {
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        // What cannot be changed is reported by the deletion that fails there.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).ok();
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        open.extend(entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
    }
}

fn write_record(aside: Aside<'_>, key: &str, record: &Record) -> Result<(), GitError> {
    let file = aside.record(key);
    let bytes = serde_json::to_vec(record).map_err(std::io::Error::other);
    let bytes = bytes.map_err(|source| GitError::Io { path: file.clone(), source })?;
    fs::create_dir_private(aside.0).map_err(failed(aside.0))?;
    fs::write_private(&file, &bytes, Durability::Synced).map_err(failed(&file))
}

fn remove_record(aside: Aside<'_>, key: &str) -> Result<(), GitError> {
    let file = aside.record(key);
    match std::fs::remove_file(&file) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(GitError::Io { path: file, source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(path: &Path) -> impl FnOnce(fs::FsError) -> GitError {
    let path = path.to_owned();
    move |error| GitError::Io { path, source: std::io::Error::other(error) }
}
