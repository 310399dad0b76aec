//! Whether the world outside agrees with what orch knows: the home, sessions, processes, worktrees, branches, locks. And
//! mending what can be mended without losing anything. Works beside a daemon and without one, under the locks that both
//! take; it creates nothing of a home that does not exist.

mod files;
mod finding;
mod home;
mod mend;
mod outside;
mod trees;

pub use finding::{Finding, Patient, Verdict, Wish};
use futures::future::join_all;
use orch_sys::git::{GitError, Repo};
use std::path::Path;

/// Checks everything, and mends what is safe.
pub async fn check_up(patient: &Patient<'_>, wish: Wish) -> Vec<Finding> {
    if !patient.home.state().is_dir() {
        return home::disk(patient).into_iter().chain(files::tasks(patient, None)).collect();
    }
    let mut findings = home::check(patient).await;
    let first = patient.known().await;
    findings.extend(files::tasks(patient, first.as_ref()));
    match first {
        // Without the journal it is unknown which runs belong to no engine.
        None => {}
        Some(first) => {
            findings.extend(files::projects(patient, &first));
            findings.extend(home::clock(patient, &first));
            let repositories = patient.repositories(&first).await;
            findings.extend(authors(&repositories).await);
            let seen = outside::Seen::gather(patient, &repositories).await;
            // Read after the looking: what was made meanwhile is known.
            if let Some(known) = patient.known().await {
                findings.extend(outside::compare(patient, &known, &seen));
                findings.extend(trees::compare(patient, &known, &seen).await);
            }
        }
    }
    if wish != Wish::Inspect {
        for finding in findings.iter_mut().filter(|finding| finding.mend.is_some()) {
            mend::carry_out(patient, finding, wish).await;
        }
    }
    findings
}

/// Repositories in which git does not know who commits: no agent can commit there.
async fn authors(repositories: &[Repo]) -> Vec<Finding> {
    let asked = join_all(repositories.iter().map(|repo| async move { (repo.root(), repo.author().await) })).await;
    let unknown = asked.into_iter().filter_map(|(root, author)| Some((root, author.err()?)));
    let finding = |(root, error): (&Path, GitError)| {
        let detail = format!("git does not know who commits in {}: {error}", root.display());
        Finding::new("author", Verdict::Bad, detail).remedy(WHO_COMMITS)
    };
    unknown.map(finding).collect()
}

/// How git learns who commits.
pub const WHO_COMMITS: &str =
    "git config --global user.name \"Your Name\"; git config --global user.email you@example.com";
