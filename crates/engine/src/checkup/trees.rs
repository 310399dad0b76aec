//! Worktrees, branches, scratch worktrees and locks of git that no task needs any more.

use super::finding::{Finding, Patient, Verdict, is_at_work, of_task};
use super::mend::Mend;
use super::outside::{Seen, is_abandoned};
use crate::upkeep::gc::directories;
use orch_core::base::ids::RunId;
use orch_core::base::names::BranchName;
use orch_core::operations::gc::task_of_branch;
use orch_core::text::shell::word;
use orch_store::journal::Glance;
use orch_sys::fs;
use orch_sys::git::Repo;
use orch_sys::worktree::Aside;
use std::path::Path;

/// The most that is read of a worktree's link to its repository, in bytes.
const LINK: usize = 16 << 10;

pub(super) async fn compare(patient: &Patient<'_>, known: &Glance, seen: &Seen) -> Vec<Finding> {
    let mut findings = worktrees(patient, known);
    findings.extend(missing(known));
    findings.extend(scratch(patient, known, seen).await);
    for (repo, branches) in &seen.branches {
        findings.extend(registrations(patient, known, repo).await);
        findings.extend(orphaned_branches(known, repo, branches).await);
        findings.extend(locks(patient, known, repo).await);
    }
    if findings.is_empty() {
        findings.push(Finding::new("worktrees", Verdict::Ok, "each is of a task, and each task has its own"));
    }
    findings
}

/// Directories that no task has: whose they are is not known, so they are only reported.
fn worktrees(patient: &Patient<'_>, known: &Glance) -> Vec<Finding> {
    let root = patient.home.worktrees();
    let is_placed =
        |path: &Path| known.tasks.values().any(|task| task.place.as_ref().is_some_and(|place| place.worktree == path));
    let is_starting = |branch: &str| {
        task_of_branch(branch).and_then(|id| known.tasks.get(&id)).is_some_and(|task| is_at_work(known, task))
    };
    let orphans = directories(root).into_iter().filter(|(path, branch)| !is_placed(path) && !is_starting(branch));
    let mut findings: Vec<Finding> = orphans
        .map(|(path, _)| {
            let shown = path.display();
            let link = fs::read_text(&path.join(".git"), LINK).unwrap_or_default();
            let is_linked = link.strip_prefix("gitdir: ").is_some_and(|to| Path::new(to.trim_end()).is_dir());
            let at = word(&path);
            let remedy = match is_linked {
                true => format!("git -C {at} status; when nothing is missed: git -C {at} worktree remove {at}"),
                false => format!("ls {at}; when nothing is missed: rm -r {at}"),
            };
            Finding::new(&format!("worktree {shown}"), Verdict::Warning, "no task works there").remedy(remedy)
        })
        .collect();
    let place = patient.home.removed_worktrees();
    if !Aside(&place).is_empty() {
        let detail = format!("removals in {} were cut short", place.display());
        findings.push(Finding::new("removals", Verdict::Warning, detail).remedy("orch gc"));
    }
    findings
}

/// Open tasks whose worktree is gone: a run makes a new one from the branch.
fn missing(known: &Glance) -> Vec<Finding> {
    let open = known.tasks.values().filter(|task| !task.status().is_final());
    open.filter_map(|task| {
        let place = task.place.as_ref().filter(|place| !place.worktree.exists())?;
        let detail = format!("{} is gone; the next run makes it anew from {}", place.worktree.display(), place.branch);
        let name = format!("worktree of {}", of_task(task.id));
        Some(Finding::new(&name, Verdict::Warning, detail).remedy(format!("orch task show {}", task.id)))
    })
    .collect()
}

/// Worktrees in orch's directory that git lists, and that are not there.
async fn registrations(patient: &Patient<'_>, known: &Glance, repo: &Repo) -> Vec<Finding> {
    let missing = repo.missing_below(patient.home.worktrees()).await.unwrap_or_default();
    let is_used = |path: &Path| {
        let of = known.tasks.values().find(|task| task.place.as_ref().is_some_and(|place| place.worktree == path));
        of.is_some_and(|task| is_at_work(known, task))
    };
    let one = |path: std::path::PathBuf| {
        let shown = path.display();
        Finding::new(&format!("registration {shown}"), Verdict::Warning, "git lists a worktree that is not there")
            .remedy(format!("git -C {} worktree prune", word(repo.root())))
            .mend(Mend::Registration { repo: repo.clone(), path: path.clone() })
    };
    missing.into_iter().filter(|path| !is_used(path)).map(one).collect()
}

/// Branches of tasks that are not there. One goes only when everything on it is on another too.
async fn orphaned_branches(known: &Glance, repo: &Repo, branches: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in branches {
        let Some(branch) = task_of_branch(name).filter(|id| !known.tasks.contains_key(id)) else { continue };
        let Ok(of) = BranchName::parse(name) else { continue };
        let at = word(repo.root());
        let is_spare = repo.is_spare(&of).await.unwrap_or(false);
        let detail = if is_spare {
            format!("there is no {}; all of its commits are elsewhere too", of_task(branch))
        } else {
            format!("there is no {}; its commits may be nowhere else", of_task(branch))
        };
        let finding = Finding::new(&format!("branch {name}"), Verdict::Warning, detail);
        findings.push(if is_spare {
            finding
                .remedy(format!("git -C {at} branch -D {name}"))
                .mend(Mend::Branch { repo: repo.clone(), branch: of })
        } else {
            finding.remedy(format!("git -C {at} log {name}"))
        });
    }
    findings
}

/// Locks of a git that was killed. Those of the person's own checkout are only reported.
async fn locks(patient: &Patient<'_>, known: &Glance, repo: &Repo) -> Vec<Finding> {
    let root = patient.home.worktrees().to_owned();
    let found = repo.old_locks(&root, patient.file_time()).await.unwrap_or_default();
    let nothing_runs = !known.runs.values().any(|run| run.phase != orch_core::tasks::task::Phase::Ended);
    let one = |lock: orch_sys::worktree::OldLock| {
        let shown = lock.path.display();
        let finding = Finding::new(&format!("lock {shown}"), Verdict::Warning, "it is old, and no git holds it")
            .remedy(format!("rm {shown}"));
        if lock.of_a_task && nothing_runs {
            finding.mend(Mend::Lock { repo: repo.clone(), lock: lock.clone() })
        } else {
            finding
        }
    };
    found.into_iter().map(one).collect()
}

/// Scratch worktrees of merges whose run is over.
async fn scratch(patient: &Patient<'_>, known: &Glance, seen: &Seen) -> Vec<Finding> {
    let entries = std::fs::read_dir(patient.home.merges()).into_iter().flatten().flatten();
    let mut findings = Vec::new();
    for entry in entries {
        let Some(run) = entry.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()) else { continue };
        let task = run.task().and_then(|id| known.tasks.get(&id));
        let is_used = task.is_some_and(|task| task.status() == orch_core::tasks::task::Status::InReview);
        if is_used || !is_abandoned(patient, known, &run) {
            continue;
        }
        let path = entry.path();
        let shown = path.display();
        let mut finding = Finding::new(&format!("scratch {shown}"), Verdict::Warning, "a merge that is over left it");
        for (repo, _) in &seen.branches {
            if repo.is_scratch(&path).await.unwrap_or(false) {
                let (at, scratch) = (word(repo.root()), word(&path));
                finding = finding
                    .remedy(format!("git -C {at} worktree remove --force --force {scratch}"))
                    .mend(Mend::Scratch { repo: repo.clone(), path: path.clone(), run: run.clone() });
            }
        }
        findings.push(finding);
    }
    findings
}
