//! Bringing a backup back. Everything is taken out, compared and examined beside the home first; then what is in
//! the way is moved aside, and never removed. A restore that was cut short is known by its mark, and is done again.

use super::{DIRECTORIES, FILES, JOURNAL, Manifest, archive, sidecar_of};
use crate::rebuild;
use jiff::Timestamp;
use orch_config::home::Home;
use orch_core::base::count::named;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::names::BranchName;
use orch_core::tasks::task::Task;
use orch_runner::{RunDir, RunState};
use orch_store::journal::{JournalError, Project, SCHEMA, last_task_id, reserve, whole};
use orch_store::salvage::{Salvaged, salvage};
use orch_store::witness;
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability, FsError};
use orch_sys::git::{Git, Repo};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is no backup, or is not whole.
    #[error("{} is no whole backup: {why}", path.display())]
    Damaged {
        /// The file that was to be restored.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer orch wrote it.
    #[error("it holds {what}, which this orch does not know: use the newer orch that wrote it")]
    Newer {
        /// What is newer.
        what: String,
    },
    /// The target holds something already.
    #[error("{} holds something already: {}", home.display(), named(there.iter().map(|path| path.display())))]
    NotEmpty {
        /// The home that is not empty.
        home: PathBuf,
        /// The files and directories that it holds.
        there: Vec<PathBuf>,
    },
    /// Agents work that the backup knows nothing of.
    #[error("{} at work, and the backup is older: a second agent would work beside it", describe_alive(runs))]
    Alive {
        /// The runs of the agents that work.
        runs: Vec<RunId>,
    },
    /// The journal in it cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be read, written or moved.
    #[error(transparent)]
    File(#[from] FsError),
}

fn describe_alive(runs: &[RunId]) -> String {
    let names: Vec<&str> = runs.iter().map(RunId::as_str).collect();
    format!(
        "{} {} {}",
        if names.len() == 1 { "run" } else { "runs" },
        names.join(", "),
        if names.len() == 1 { "is" } else { "are" }
    )
}

/// Something that the backup speaks of and that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The task that it belongs to; none for a project.
    pub task: Option<TaskId>,
    /// `worktree`, `branch` or `project`.
    pub kind: &'static str,
    /// The name or the path of what is missing.
    pub name: String,
}

/// What was restored, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What stood in the way.
    pub set_aside: Vec<PathBuf>,
    /// Where that is now.
    pub aside: Option<PathBuf>,
    /// What the backup speaks of and git does not have.
    pub missing: Vec<Missing>,
}

/// How it is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreWish {
    /// Nothing is changed.
    pub dry_run: bool,
    /// What is in the way is moved aside.
    pub force: bool,
}

fn mark(home: &Home) -> PathBuf {
    home.state().join("restoring")
}

/// A restore was cut short: the home holds files of two times.
pub fn interrupted(home: &Home) -> Option<String> {
    fs::read_text(&mark(home), 64 << 10).ok()
}

/// Restores. The engine's lock is held.
///
/// # Errors
/// Nothing was restored; where files were moved already, [`interrupted`] reports it.
pub async fn restore(
    home: &Home,
    environment: &BTreeMap<String, String>,
    file: &Path,
    wish: RestoreWish,
    now: Timestamp,
) -> Result<Restored, RestoreError> {
    let stage = home.state().join("restore-stage");
    // Of a try that was cut short; what it has moved is in its place already.
    std::fs::remove_dir_all(&stage).ok();
    let done = staged(home, environment, file, wish, now, &stage).await;
    // The rest is a copy of the backup.
    std::fs::remove_dir_all(&stage).ok();
    done
}

async fn staged(
    home: &Home,
    environment: &BTreeMap<String, String>,
    file: &Path,
    wish: RestoreWish,
    now: Timestamp,
    stage: &Path,
) -> Result<Restored, RestoreError> {
    let manifest = archive::verify(file)?;
    if manifest.schema > SCHEMA {
        return Err(RestoreError::Newer { what: format!("a journal of version {}", manifest.schema) });
    }
    let highest = highest(home);
    let set_aside = in_the_way(home);
    if !set_aside.is_empty() && !wish.force && !wish.dry_run {
        return Err(RestoreError::NotEmpty { home: home.root().to_owned(), there: set_aside });
    }
    fs::create_dir_private(stage)?;
    archive::extract(file, stage)?;
    let journal = stage.join(JOURNAL);
    let saved = if journal.exists() {
        reserve(&journal, highest)?;
        whole(&journal)?;
        salvage(&journal, 0)
    } else {
        Salvaged::default()
    };
    let runs = alive(home, &saved);
    if !runs.is_empty() {
        return Err(RestoreError::Alive { runs });
    }
    let missing = missing(home, environment, &saved).await;
    let aside = home.replaced().join(now.strftime("%Y%m%dT%H%M%S%.3fZ").to_string());
    let aside = (!set_aside.is_empty()).then_some(aside);
    if !wish.dry_run {
        exchange(home, file, stage, &set_aside, aside.as_deref())?;
        finish(home, now)?;
    }
    Ok(Restored { manifest, set_aside, aside, missing })
}

/// Returns what must go before the backup can take its place: all that a home consists of but runs. A run's name is never given
/// out twice, so a directory of its name is that run's own, as new as the one in the backup or newer, and may be in use.
fn in_the_way(home: &Home) -> Vec<PathBuf> {
    let root = home.root();
    let mut found: Vec<PathBuf> = FILES.iter().chain(&DIRECTORIES).map(|name| root.join(name)).collect();
    let journal = root.join(JOURNAL);
    let beside = ["-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", journal.display())));
    found.extend(beside.into_iter().chain([witness::path_of(&journal), journal]));
    let sidecars = archive::entries_of(&home.state()).into_iter();
    found.extend(sidecars.filter(|(name, _)| sidecar_of(name).is_some()).map(|(_, path)| path));
    found.retain(|path| path.symlink_metadata().is_ok());
    found
}

/// Runs that live and that the backup's journal does not hold: no engine would follow them, and their tasks would start
/// once more in the same worktrees.
fn alive(home: &Home, saved: &Salvaged) -> Vec<RunId> {
    let runs = archive::entries_of(&home.runs()).into_iter().filter_map(|(name, _)| name.parse::<RunId>().ok());
    let lives = |run: &RunId| matches!(orch_runner::inspect(&RunDir::new(home.run(run))), Ok(RunState::Running { .. }));
    runs.filter(|run| !saved.runs.contains_key(run)).filter(lives).collect()
}

/// Returns the highest number of a task that this home knows of, or knew before a restore moved it aside: none of them is given
/// out again. A restore that is done once more finds the most of it there.
fn highest(home: &Home) -> u64 {
    let aside = archive::entries_of(&home.replaced()).into_iter().map(|(_, path)| path);
    let states = aside.filter_map(|path| Some(path.join(home.state().strip_prefix(home.root()).ok()?)));
    let highest_recorded = states.chain([home.state()]).map(|state| highest_below(&state)).max().unwrap_or(0);
    let runs = archive::entries_of(&home.runs()).into_iter().filter_map(|(name, _)| name.parse::<RunId>().ok()?.task());
    runs.map(|id| id.0).fold(highest_recorded, u64::max)
}

fn highest_below(state: &Path) -> u64 {
    let journal = state.join(Path::new(JOURNAL).file_name().unwrap_or_default());
    let witnessed = witness::read(&journal).map_or(0, |known| known.last_task_id);
    let sidecars = archive::entries_of(state).into_iter().filter_map(|(name, _)| sidecar_of(&name));
    sidecars.map(|id| id.0).fold(witnessed.max(last_task_id(&journal)), u64::max)
}

/// Returns what open tasks and projects need outside of the home.
async fn missing(home: &Home, environment: &BTreeMap<String, String>, saved: &Salvaged) -> Vec<Missing> {
    let mut missing = Vec::new();
    let git = Git::locate(environment, &home.state().join("locks")).await.ok();
    let mut repositories = Vec::new();
    for Project { dir, .. } in &saved.projects {
        let found = match &git {
            Some(git) if dir.is_dir() => Repo::discover(git, dir).await.ok(),
            Some(_) | None => None,
        };
        match found {
            Some(repo) => repositories.push(repo),
            None => missing.push(Missing { task: None, kind: "project", name: dir.display().to_string() }),
        }
    }
    for task in saved.tasks.values().filter(|task| !task.status().is_final()) {
        let Some(place) = &task.place else { continue };
        let of = |kind, name: String| Missing { task: Some(task.id), kind, name };
        if !place.worktree.is_dir() {
            missing.push(of("worktree", place.worktree.display().to_string()));
        }
        if !has_branch(&repositories, task).await {
            missing.push(of("branch", place.branch.clone()));
        }
    }
    missing
}

async fn has_branch(repositories: &[Repo], task: &Task) -> bool {
    let Some(branch) = task.place.as_ref().and_then(|place| BranchName::parse(&place.branch).ok()) else {
        return false;
    };
    for repo in repositories {
        if matches!(repo.tip(&branch).await, Ok(Some(_))) {
            return true;
        }
    }
    false
}

/// Moves what is there aside and the rest into its place.
fn exchange(
    home: &Home,
    file: &Path,
    stage: &Path,
    set_aside: &[PathBuf],
    aside: Option<&Path>,
) -> Result<(), RestoreError> {
    fs::write_private(&mark(home), file.display().to_string().as_bytes(), Durability::Synced)?;
    point!("restore.marked");
    if let Some(aside) = aside {
        for path in set_aside {
            let Ok(below) = path.strip_prefix(home.root()) else { continue };
            move_below(path, &aside.join(below))?;
            point!("restore.set_aside");
        }
    }
    for (name, path) in archive::entries_of(stage) {
        if name == ".orch" {
            put_state(home, &path)?;
        } else {
            move_below(&path, &home.root().join(name))?;
        }
    }
    fs::sync_dir(&home.state())?;
    fs::sync_dir(home.root())?;
    point!("restore.placed");
    Ok(())
}

/// Everything is in its place. What was known of damage is known of the journal that was moved aside: while it stood, the
/// next start would make a journal of that one and put it over the restored one.
fn finish(home: &Home, now: Timestamp) -> Result<(), RestoreError> {
    rebuild::supersede(home, "a restore", now)?;
    point!("restore.superseded");
    std::fs::remove_file(mark(home)).map_err(|source| FsError::Io { action: "remove", path: mark(home), source })?;
    fs::sync_dir(&home.state())?;
    point!("restore.after");
    Ok(())
}

fn put_state(home: &Home, from: &Path) -> Result<(), RestoreError> {
    for (name, path) in archive::entries_of(from) {
        if name == "runs" {
            let runs = archive::entries_of(&path).into_iter();
            for (run, path) in runs.filter(|(run, _)| !home.runs().join(run).exists()) {
                move_below(&path, &home.runs().join(run))?;
            }
        } else if !name.ends_with("-shm") && !name.ends_with("-wal") {
            move_below(&path, &home.state().join(name))?;
            point!("restore.part");
        }
    }
    Ok(())
}

fn move_below(from: &Path, to: &Path) -> Result<(), FsError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_private(parent)?;
    }
    fs::move_aside(from, to).map(drop)
}
