//! Cleaning up after tasks at rest: their worktrees go when all that is in them exists elsewhere too. What may go decides
//! `core::operations::gc`; here the tasks are matched with what lies on the disk, and what went is written into the history.

use crate::deps::Deps;
use crate::settings::{Settings, directory_of};
use crate::upkeep::last_pass;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::names::{BRANCH_PREFIX, BranchName};
use orch_core::operations::gc::{Branch, Keep, Policy, Reason, Verdict, at_rest, decide, task_of_branch};
use orch_core::operations::retention::Watch;
use orch_core::tasks::task::{Phase, Task, Workplace};
use orch_store::journal::Project;
use orch_sys::fs::{self, Durability};
use orch_sys::git::{GitError, Repo};
use orch_sys::worktree::{Aside, Leftover, Retired, Subject, settle};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A request to collect worktrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The daemon, when the clock can be believed.
    ByItself,
    /// A person who asks for it.
    ByHand,
    /// A person who wants to know what would be done.
    DryRun,
}

/// What became of a worktree, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The worktree was removed.
    Removed(Branch),
    /// The worktree would be removed.
    WouldRemove(Branch),
    /// The worktree stays, and why.
    Kept(Keep),
}

/// One worktree and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The owner of the worktree.
    pub task: Option<TaskId>,
    /// The path of the worktree.
    pub path: PathBuf,
    /// The branch of the worktree.
    pub branch: String,
    /// What it takes on the disk, where that was measured.
    pub bytes: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// The result of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// Nothing was touched.
    pub dry_run: bool,
    /// The worktrees, by path.
    pub items: Vec<Item>,
    /// What removals left that were cut short.
    pub leftovers: Vec<Leftover>,
}

/// Looks through all worktrees, and removes what may go.
pub async fn collect(deps: &Arc<Deps>, settings: &Arc<Settings>, projects: &[Project], wish: Wish) -> Collected {
    let now = deps.clock.now();
    if wish == Wish::ByItself && !is_steady(deps, now) {
        return Collected::default();
    }
    let dry_run = wish == Wish::DryRun;
    let mut collected = Collected { dry_run, ..Collected::default() };
    let place = deps.home.removed_worktrees();
    let aside = Aside(&place);
    if !dry_run {
        collected.leftovers = settle(aside, |root| async move { deps.repository(&root).await.ok() }).await;
    }
    let sweep = Sweep { deps, projects, policy: settings.config.gc.policy(), now, dry_run, aside };
    for (path, branch) in directories(deps.home.worktrees()) {
        let task = task_of_branch(&branch);
        let (bytes, outcome) = match sweep.one(task, &path, &branch).await {
            Ok(done) => done,
            Err(keep) => (0, Outcome::Kept(keep)),
        };
        if let Outcome::Kept(keep) = &outcome {
            tracing::debug!(path = %path.display(), reason = keep.reason.as_str(), detail = keep.detail, "kept");
        }
        collected.items.push(Item { task, path, branch, bytes, outcome });
    }
    collected
}

/// Returns whether the clock has come on steadily since the last check: only then something goes because of its age.
fn is_steady(deps: &Deps, now: Timestamp) -> bool {
    let stamp = deps.home.gc_stamp();
    let watch = Watch::new(last_pass(&stamp), now);
    if watch.is_long_enough()
        && let Err(error) = fs::write_private(&stamp, now.to_string().as_bytes(), Durability::Cached)
    {
        tracing::warn!(%error, "when worktrees were looked through cannot be written down");
    }
    watch.is_steady()
}

/// Returns the directories of worktrees, with the branch that each is named after: `<project>/orch/<name>`.
pub(crate) fn directories(root: &Path) -> Vec<(PathBuf, String)> {
    let below = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let visible = entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)));
        visible.filter(|(path, name)| !name.starts_with('.') && path.is_dir()).collect::<Vec<_>>()
    };
    let mut found: Vec<(PathBuf, String)> = below(root)
        .into_iter()
        .flat_map(|(project, _)| below(&project.join(BRANCH_PREFIX)))
        .map(|(path, name)| (path, format!("{BRANCH_PREFIX}{name}")))
        .collect();
    found.sort();
    found
}

/// One pass over the worktrees.
struct Sweep<'a> {
    deps: &'a Arc<Deps>,
    projects: &'a [Project],
    policy: Policy,
    now: Timestamp,
    dry_run: bool,
    aside: Aside<'a>,
}

impl Sweep<'_> {
    async fn one(&self, task: Option<TaskId>, path: &Path, branch: &str) -> Result<(u64, Outcome), Keep> {
        let no_task = || Keep::because(Reason::NoTask, "no task works there; it is left to you");
        let task = self.task(task.ok_or_else(no_task)?)?;
        let of_path = |place: &&Workplace| place.worktree == path && place.branch == branch;
        let place = task.place.as_deref().filter(of_path).ok_or_else(no_task)?;
        at_rest(&task, &self.policy, self.now)?;
        let repo = self.repository(&task).await?;
        let name = |name: &str| BranchName::parse(name).map_err(unknown);
        let (branch, base) = (name(&place.branch)?, name(&place.base_branch)?);
        let subject = Subject { path, branch: &branch, base: &base };
        if self.dry_run {
            return self.examine(&repo, &subject).await;
        }
        let may = || {
            let task = self.task(task.id)?;
            self.require_no_run(task.id)?;
            at_rest(&task, &self.policy, self.now)
        };
        match repo.retire(&subject, &self.policy, self.aside, &may).await.map_err(|error| git(&error))? {
            Retired::Gone { bytes, branch } => Ok((bytes, Outcome::Removed(branch))),
            Retired::Kept(keep) => Err(keep),
            Retired::Absent => Err(not_registered()),
        }
    }

    /// The same decision, from the same facts.
    async fn examine(&self, repo: &Repo, subject: &Subject<'_>) -> Result<(u64, Outcome), Keep> {
        let facts = repo.survey(subject).await.map_err(|error| git(&error))?.ok_or_else(not_registered)?;
        Ok(match decide(&facts, &self.policy) {
            Verdict::Remove(branch) => (facts.bytes, Outcome::WouldRemove(branch)),
            Verdict::Keep(keep) => (facts.bytes, Outcome::Kept(keep)),
        })
    }

    /// Returns the task as it is stored now: nothing begins for a task before that is stored.
    fn task(&self, id: TaskId) -> Result<Task, Keep> {
        let found = self.deps.journal.task(id).map_err(unknown)?;
        found.ok_or_else(|| Keep::because(Reason::NoTask, format!("there is no task {id}")))
    }

    fn require_no_run(&self, id: TaskId) -> Result<(), Keep> {
        let runs = self.deps.journal.runs_of(id).map_err(unknown)?;
        match runs.iter().find(|run| run.phase != Phase::Ended) {
            Some(run) => Err(Keep::because(Reason::Open, format!("run {} has not ended", run.id))),
            None => Ok(()),
        }
    }

    async fn repository(&self, task: &Task) -> Result<Repo, Keep> {
        let dir = directory_of(task, self.projects).map_err(unknown)?;
        self.deps.repository(&dir).await.map_err(|error| git(&error))
    }
}

fn unknown(error: impl std::fmt::Display) -> Keep {
    Keep::because(Reason::Unknown, error.to_string())
}

fn git(error: &GitError) -> Keep {
    Keep::because(Reason::Unknown, error.to_string())
}

fn not_registered() -> Keep {
    Keep::because(Reason::NotOurs, "git does not know it as a worktree of its repository")
}
