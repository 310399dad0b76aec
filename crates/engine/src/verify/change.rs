//! Searches a change for what no verdict should overlook; `core::tasks::change` says for what.

use crate::deps::Deps;
use globset::{Glob, GlobSet, GlobSetBuilder};
use orch_config::resolved::Config;
use orch_core::base::external::StepProblem;
use orch_core::tasks::change::{Change, Finding, FindingKind, Rules, commands_in, findings, is_for_checking, scripts};
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::task::Spec;
use orch_sys::git::{Checkout, Repo};
use std::collections::BTreeSet;

/// The label that names what a task may change.
const PATHS: &str = "paths:";
/// How deep scripts that run scripts are followed, how many of them, and how much of each is read, in bytes.
const DEPTH: usize = 3;
const SCRIPTS: usize = 40;
const SCRIPT: usize = 256 << 10;

/// Adds the findings of the change to the evidence.
pub async fn inspect_change(
    deps: &Deps,
    config: &Config,
    repo: &Repo,
    at: &Checkout,
    spec: &Spec,
    evidence: &mut Evidence,
) -> Result<(), StepProblem> {
    if evidence.commits.is_empty() {
        evidence.tree = Some(repo.tree_of(at, &evidence.head).await?);
        return Ok(());
    }
    let seen = repo.difference(at, &evidence.base, &evidence.head, evidence.commits.len()).await?;
    let redactor = config.redactor(&deps.environment);
    let max_file = config.workflow.max_file_mb.checked_mul(1_000_000).filter(|bytes| *bytes > 0);
    let allowed = allowed(config, spec);
    let followed = followed(repo, at, &evidence.base, &config.workflow.checks).await?;
    let rules = Rules {
        allowed: &allowed,
        max_file,
        checks: &config.workflow.checks,
        followed: &followed,
        is_secret: &|line| redactor.text(line) != line,
    };
    let history = seen.history.as_deref().unwrap_or_default();
    let (names, collisions) = (seen.names.as_slice(), seen.collisions.as_slice());
    let change = Change { files: &seen.files, patch: &seen.patch, history, blobs: &seen.blobs, names, collisions };
    evidence.findings = findings(&change, &rules);
    if !seen.omitted.is_empty() {
        let names: Vec<String> = seen.omitted.iter().take(5).map(|path| path.display().to_string()).collect();
        evidence.notes.push(format!("too large to be looked through: {}", names.join(", ")));
    }
    if seen.history.is_none() {
        evidence.notes.push("the single commits are too large to be looked through".to_owned());
    }
    evidence.tree = Some(seen.tree);
    Ok(())
}

/// Adds the files in which the branch contains newer commits of its base and not what they changed: as they were where it
/// began, or in its own work before.
pub async fn find_undone(
    repo: &Repo,
    at: &Checkout,
    own: [&str; 2],
    evidence: &mut Evidence,
) -> Result<(), StepProblem> {
    let [began, judged] = own;
    if evidence.base == began {
        return Ok(());
    }
    let mut undone = BTreeSet::new();
    for own in BTreeSet::from([began, judged]) {
        if repo.commit_of(own).await?.is_none() {
            continue;
        }
        undone.extend(repo.undone(at, own, &evidence.base, &evidence.head).await?);
    }
    let detail = "what came to the base since is not in it";
    evidence.findings.extend(undone.into_iter().map(|path| Finding::new(FindingKind::Undone, path, detail)));
    Ok(())
}

/// Returns the commands of the scripts that the checks run on the base, and of those that these run for checking.
async fn followed(repo: &Repo, at: &Checkout, base: &str, checks: &[String]) -> Result<Vec<String>, StepProblem> {
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    let mut fresh = checks.to_vec();
    for depth in 0..DEPTH {
        let mut next = Vec::new();
        for path in scripts(&fresh).into_iter().filter(|path| depth == 0 || is_for_checking(path)) {
            if seen.len() < SCRIPTS && seen.insert(path.clone()) {
                let text = repo.text_at(at, base, &path, SCRIPT).await?;
                next.extend(text.iter().flat_map(|text| commands_in(&path, text)));
            }
        }
        all.extend(next.iter().cloned());
        fresh = next;
    }
    Ok(all)
}

/// Returns what the task may change: its own labels say, else the project.
fn allowed(config: &Config, spec: &Spec) -> GlobSet {
    let own: Vec<&str> = spec.labels.iter().filter_map(|label| label.trim().strip_prefix(PATHS)).collect();
    let all: Vec<&str> = config.workflow.allowed_paths.iter().map(String::as_str).collect();
    let patterns = if own.is_empty() { all } else { own };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // What is no pattern is a name.
        let glob = Glob::new(pattern).or_else(|_| Glob::new(&globset::escape(pattern)));
        glob.into_iter().for_each(|glob| {
            set.add(glob);
        });
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}
