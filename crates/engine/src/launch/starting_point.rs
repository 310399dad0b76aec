//! Where the work of a task begins: at the tip of its base branch, or at the accepted work of the tasks that it depends
//! on. Several of these are merged first, and the checks must pass on the merge.

use crate::deps::task_context::TaskContext;
use crate::deps::{Deps, leases};
use crate::launch::run_start::{ask, git_problem};
use crate::settings::directory_of;
use crate::verify::{Checking, Place};
use orch_config::resolved::Config;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::names::BranchName;
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::judge::failed_checks;
use orch_core::tasks::task::{BeganFrom, Task, Workplace};
use orch_core::tasks::task_type::TaskType;
use orch_runner::RunDir;
use orch_sys::fs::{self, Durability};
use orch_sys::git::{MergeError, Repo};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// The file of a run that records where its work begins, before the branch is made.
const FILE: &str = "start.json";
/// More than it ever holds, in bytes.
const LARGEST: usize = 1 << 20;

/// The place where work begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartingPoint {
    /// The commit; `None`: the tip of the base branch.
    pub commit: Option<String>,
    /// What it holds of other tasks.
    #[serde(with = "orch_store::records::as_record")]
    pub began_from: Vec<BeganFrom>,
}

/// What is needed to find it.
pub struct Finding<'a> {
    /// The task that is started.
    pub cx: &'a TaskContext,
    /// The project's settings.
    pub config: &'a Config,
    /// Its run that begins.
    pub run: &'a RunId,
    /// The repository of the task.
    pub repo: &'a Repo,
    /// The base branch of the task.
    pub base: &'a BranchName,
}

/// Returns the starting point that was recorded for a run.
pub fn recorded(run_dir: &RunDir) -> Option<StartingPoint> {
    let bytes = fs::read_limited(&run_dir.path().join(FILE), LARGEST).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Finding<'_> {
    /// Returns the starting point of the run, recorded before it is returned. The same run always gets the same one.
    pub async fn starting_point(&self) -> Result<StartingPoint, LaunchProblem> {
        let run_dir = self.cx.deps.run_dir(self.run);
        if let Some(point) = recorded(&run_dir) {
            return Ok(point);
        }
        let point = match &self.cx.task.place {
            Some(place) => self.continued(place).await?,
            None => self.first().await?,
        };
        if point == StartingPoint::default() {
            return Ok(point);
        }
        let bytes = serde_json::to_vec(&point).map_err(|e| ask(&e, None))?;
        fs::create_dir_private(run_dir.path())
            .and_then(|()| fs::write_private(&run_dir.path().join(FILE), &bytes, Durability::Cached))
            .map_err(|e| ask(&e, None))?;
        Ok(point)
    }

    /// A branch that is there keeps its starting point until the base branch contains it.
    async fn continued(&self, place: &Workplace) -> Result<StartingPoint, LaunchProblem> {
        let began_from = place.began_from.clone();
        if began_from.is_empty() {
            return Ok(StartingPoint::default());
        }
        let base = self.repo.base(self.base, false).await.map_err(git_problem)?;
        let is_in_base = self.repo.is_ancestor(&place.base, &base.sha).await.map_err(git_problem)?;
        Ok(StartingPoint { commit: (!is_in_base).then(|| place.base.clone()), began_from })
    }

    async fn first(&self) -> Result<StartingPoint, LaunchProblem> {
        let began_from = self.accepted_work().await?;
        if began_from.is_empty() {
            return Ok(StartingPoint::default());
        }
        let base = self.repo.base(self.base, true).await.map_err(git_problem)?;
        let mut open = Vec::new();
        for work in &began_from {
            if self.repo.commit_of(&work.commit).await.map_err(git_problem)?.is_none() {
                let (task, commit, own) = (work.task, &work.commit, self.cx.task.id);
                let problem = format!(
                    "task {task}, on which it depends, was accepted at {commit}, and the repository has no such commit"
                );
                let hint = format!(
                    "restore it, or `orch task edit {own} --depends-on …` without {task}; then orch task unblock {own}"
                );
                return Err(ask(&problem, Some(hint)));
            }
            if !self.repo.is_ancestor(&work.commit, &base.sha).await.map_err(git_problem)? {
                open.push(work.commit.clone());
            }
        }
        let mut open = self.repo.without_contained(&open).await.map_err(git_problem)?;
        let commit = match open.len() {
            0 => None,
            1 => open.pop(),
            _ => Some(self.merged(&open, &began_from, &base.sha).await?),
        };
        Ok(StartingPoint { commit, began_from })
    }

    /// Returns what was accepted of the tasks that it depends on, as far as they work in the same repository.
    async fn accepted_work(&self) -> Result<Vec<BeganFrom>, LaunchProblem> {
        let ids = self.cx.task.spec.depends_on.clone();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut work = Vec::new();
        for task in tasks(&self.cx.deps, ids).await.map_err(|e| ask(&e, None))? {
            let Some(commit) = task.accepted_commit() else { continue };
            if self.is_here(&task).await {
                work.push(BeganFrom { task: task.id, commit: commit.to_owned() });
            }
        }
        Ok(work)
    }

    async fn is_here(&self, task: &Task) -> bool {
        let Ok(dir) = directory_of(task, &self.cx.projects) else { return false };
        self.cx.deps.repository(&dir).await.is_ok_and(|repo| repo.common_dir() == self.repo.common_dir())
    }

    /// Returns the merge of several commits, after the checks have passed on it.
    async fn merged(&self, open: &[String], from: &[BeganFrom], base: &str) -> Result<String, LaunchProblem> {
        let output_dir = self.cx.deps.run_dir(self.run).evidence().join("start");
        let task_type = TaskType::from_spec(&self.cx.task.spec);
        let env = leases::values(&self.cx.deps, &self.config.workspace.env, self.cx.task.id).await;
        let env = env.map_err(LaunchProblem::Ask)?;
        let checking = Checking {
            deps: &self.cx.deps,
            config: self.config,
            run: self.run,
            repo: self.repo,
            base,
            output_dir: &output_dir,
            mends: false,
            env: &env,
        };
        let scratch: PathBuf = checking.scratch("start");
        let Some((first, others)) = open.split_first() else { return Ok(base.to_owned()) };
        let joined = self.repo.joined(first, others, &scratch).await.map_err(|error| self.unmerged(error, from))?;
        let checks = checking.run_all(Place::Fresh(&joined.checkout)).await;
        checking.drop_scratch(&scratch).await;
        if let Some(failure) = failed_checks(&checks, &task_type) {
            let problem = format!("the work of {} does not pass the checks together: {}", named(from), failure.detail);
            return Err(ask(&problem, Some(self.apart(from))));
        }
        Ok(joined.sha)
    }

    fn unmerged(&self, error: MergeError, from: &[BeganFrom]) -> LaunchProblem {
        let MergeError::Conflict { files, .. } = &error else { return ask(&error, error.hint()) };
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let problem = format!("the work of {} conflicts in {}", named(from), files.join(", "));
        ask(&problem, Some(self.apart(from)))
    }

    /// Returns what a person can do about work that does not fit together.
    fn apart(&self, from: &[BeganFrom]) -> String {
        let first = from.first().map_or(self.cx.task.id, |work| work.task);
        let own = self.cx.task.id;
        format!(
            "bring them together, for instance with `orch task merge {first}` and then the others; then orch task unblock {own}"
        )
    }
}

fn named(from: &[BeganFrom]) -> String {
    let names: Vec<String> = from.iter().map(|work| format!("#{}", work.task)).collect();
    format!("the tasks {}", names.join(" and "))
}

/// Tasks as they are stored; those that do not exist are left out.
pub async fn tasks(deps: &Arc<Deps>, ids: Vec<TaskId>) -> Result<Vec<Task>, String> {
    let deps = Arc::clone(deps);
    let read = move || ids.into_iter().map(|id| deps.journal.task(id)).collect::<Result<Vec<_>, _>>();
    let read = tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?;
    Ok(read.map_err(|e| e.to_string())?.into_iter().flatten().collect())
}
