//! Sessions, processes and run directories that no run needs any more.

use super::finding::{Finding, GRACE, Patient, UNKNOWN_GRACE, Verdict, describe_run, is_over};
use super::mend::Mend;
use crate::launch::session::SESSION_FILE;
use jiff::SignedDuration;
use orch_core::base::ids::RunId;
use orch_store::journal::Glance;
use orch_sys::fs;
use orch_sys::git::Repo;
use orch_sys::process::marks;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is there, before the journal is asked about it.
pub(super) struct Seen {
    /// tmux sessions on orch's own socket.
    pub(super) sessions: Vec<String>,
    /// Marks that processes bear.
    pub(super) marks: BTreeSet<String>,
    /// Directories of runs, with the name of their session.
    pub(super) runs: BTreeMap<RunId, Option<String>>,
    /// Branches of tasks, by repository.
    pub(super) branches: Vec<(Repo, Vec<String>)>,
}

impl Seen {
    pub(super) async fn gather(patient: &Patient<'_>, repositories: &[Repo]) -> Self {
        // Looking must not start a server.
        let sessions =
            if patient.tmux.socket().exists() { patient.tmux.sessions().await.unwrap_or_default() } else { Vec::new() };
        let mut branches = Vec::new();
        for repo in repositories {
            branches.push((repo.clone(), repo.task_branches().await.unwrap_or_default()));
        }
        let marks = tokio::task::spawn_blocking(marks).await.unwrap_or_default();
        Self { sessions, marks, runs: run_directories(&patient.home.runs()), branches }
    }
}

fn run_directories(runs: &Path) -> BTreeMap<RunId, Option<String>> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let one = |entry: std::fs::DirEntry| {
        let run: RunId = entry.file_name().to_str()?.parse().ok()?;
        Some((run, fs::read_text(&entry.path().join(SESSION_FILE), 4096).ok()))
    };
    entries.filter_map(one).collect()
}

pub(super) fn compare(patient: &Patient<'_>, known: &Glance, seen: &Seen) -> Vec<Finding> {
    let mut findings = sessions(patient, known, seen);
    findings.extend(processes(patient, known, seen));
    findings.extend(directories(patient, known, seen));
    findings
}

/// Returns whether a run belongs to no engine: over, or in no journal and old.
pub(super) fn is_abandoned(patient: &Patient<'_>, known: &Glance, run: &RunId) -> bool {
    match known.runs.get(run) {
        Some(run) => is_over(run, patient.now),
        None => age(&patient.home.run(run), patient).is_none_or(|age| age >= UNKNOWN_GRACE),
    }
}

fn age(path: &Path, patient: &Patient<'_>) -> Option<SignedDuration> {
    let modified = path.symlink_metadata().ok()?.modified().ok()?;
    patient.file_time().duration_since(modified).ok().and_then(|age| SignedDuration::try_from(age).ok())
}

fn sessions(patient: &Patient<'_>, known: &Glance, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in &seen.sessions {
        let run = seen.runs.iter().find(|(_, session)| session.as_deref() == Some(name)).map(|(run, _)| run);
        let title = format!("session {name}");
        let remedy = format!("tmux -S {} kill-session -t ={name}", patient.tmux.socket().display());
        let finding = match run {
            Some(run) if !is_abandoned(patient, known, run) => continue,
            Some(run) => {
                let detail = format!("it is of {}", describe_run(known, run));
                Finding::new(&title, Verdict::Warning, detail)
                    .mend(Mend::Session { name: name.clone(), run: run.clone() })
            }
            None => Finding::new(&title, Verdict::Warning, "no run has it; orch leaves it alone"),
        };
        findings.push(finding.remedy(remedy));
    }
    if findings.is_empty() {
        findings.push(Finding::new("sessions", Verdict::Ok, format!("{}, each of a run", seen.sessions.len())));
    }
    findings
}

/// Processes of runs of this home that are over. Runs of other homes are in no journal here, and left alone.
fn processes(patient: &Patient<'_>, known: &Glance, seen: &Seen) -> Vec<Finding> {
    let runs = seen.marks.iter().filter_map(|mark| mark.parse::<RunId>().ok());
    let over = runs.filter(|run| known.runs.get(run).is_some_and(|run| is_over(run, patient.now)));
    let one = |run: RunId| {
        let detail = format!("processes of {} are still there", describe_run(known, &run));
        Finding::new(&format!("processes {run}"), Verdict::Warning, detail)
            .remedy("orch doctor --fix")
            .mend(Mend::Processes { run })
    };
    over.map(one).collect()
}

/// Directories of runs that no journal has: what an agent said there may be wanted, so they are only reported.
fn directories(patient: &Patient<'_>, known: &Glance, seen: &Seen) -> Vec<Finding> {
    let is_old = |run: &RunId| age(&patient.home.run(run), patient).is_some_and(|age| age >= GRACE);
    let orphans: Vec<&RunId> = seen
        .runs
        .keys()
        .filter(|run| !known.runs.contains_key(*run) && is_abandoned(patient, known, run) && is_old(run))
        .collect();
    let Some(first) = orphans.first() else { return Vec::new() };
    let detail = format!("{} directories of runs that no journal has, the first {first}", orphans.len());
    let remedy = format!("look at {}, and remove what is not wanted", patient.home.run(first).display());
    vec![Finding::new("run directories", Verdict::Warning, detail).remedy(remedy)]
}
