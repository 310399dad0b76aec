//! Gathering the evidence of a finished run, with orch's own eyes: what was committed, what was left lying, what
//! changed outside, and whether the checks pass. The verdict itself is `domain::judge`.

use super::agent_env;
use super::doors::Doors;
use super::launch::guard_file;
use super::settings::{Settings, directory_of};
use crate::adapters::clock::instant;
use crate::adapters::fs::{self, Durability};
use crate::adapters::git::{Author, Change, ChangeKind, Checkout, Guard, Repo, Weight};
use crate::adapters::process::{Excess, Invocation, ProcessError, RUN_MARK, run_async, sweep};
use crate::agents::DialectKind;
use crate::config::resolved::Config;
use crate::domain::answer::{Answer, AnswerStatus};
use crate::domain::evidence::{Check, CheckState, Evidence};
use crate::domain::ids::RunId;
use crate::domain::judge::{Verdict, judge as conclude};
use crate::domain::names::BranchName;
use crate::domain::outcome::Outcome;
use crate::domain::task::{Task, Workplace};
use crate::store::journal::Project;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How much of a check's output is kept, in bytes.
const CHECK_OUTPUT: usize = 1 << 20;
/// How much of it stands in the evidence and goes back to the agent, in bytes.
const CHECK_TAIL: usize = 8 << 10;
/// The most that is read of the agent's raw output to find out who changed something outside.
const EVENTS_READ: usize = 64 << 20;

/// Weighs the result of `run`.
pub async fn judge(
    doors: &Arc<Doors>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &RunId,
) -> (Verdict, Evidence) {
    match gather(doors, settings, projects, task, run).await {
        Ok((answer, evidence)) => (conclude(&answer, &evidence), evidence),
        Err(question) => (Verdict::Ask { question }, Evidence::default()),
    }
}

async fn gather(
    doors: &Arc<Doors>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Task,
    run: &RunId,
) -> Result<(Answer, Evidence), String> {
    let dir = directory_of(task, projects)?;
    let place = task.place.as_ref().ok_or("the run has no worktree to look at")?;
    if !place.worktree.is_dir() {
        let (gone, branch) = (place.worktree.display(), &place.branch);
        return Err(format!("the worktree {gone} is gone; what was committed is on {branch}"));
    }
    let config = settings.for_task(task, projects);
    let repo = doors.repository(&dir).await.map_err(|e| e.to_string())?;
    let checkout = repo
        .open_worktree(&place.worktree)
        .map_err(|e| e.to_string())?
        .ok_or_else(|| format!("the worktree {} is gone", place.worktree.display()))?;
    let (answer, warnings) = answer_of(doors, settings, run)?;
    let mut evidence = look_at(&repo, &checkout, place).await?;
    evidence.notes.extend(warnings);
    outside(doors, &repo, &checkout, run, config.workflow.sandbox, &mut evidence).await;
    if !evidence.commits.is_empty() && answer.status == AnswerStatus::Done {
        let output_dir = doors.run_dir(run).evidence();
        evidence.checks = run_checks(doors, &config, run, &place.worktree, &output_dir).await;
    }
    Ok((answer, evidence))
}

/// What the run reports, and what its runner warns of.
fn answer_of(doors: &Doors, settings: &Settings, run: &RunId) -> Result<(Answer, Vec<String>), String> {
    let report = super::launch::ended(doors, settings, run).ok_or("the run's report is gone")?;
    match report.outcome() {
        Outcome::Finished { answer } => Ok((answer, report.warnings)),
        Outcome::Failed(failure) => Err(failure.detail),
        Outcome::Cancelled { detail } => Err(detail),
    }
}

/// What the worktree holds; what is not committed is committed first, so that nothing is lost.
async fn look_at(repo: &Repo, checkout: &Checkout, place: &Workplace) -> Result<Evidence, String> {
    let mut notes = Vec::new();
    let branch = BranchName::parse(&place.branch).map_err(|e| e.to_string())?;
    let mut seen = repo.evidence(checkout, &place.base).await.map_err(|e| e.to_string())?;
    if seen.dirty {
        let message = "orch: changes that the agent left uncommitted";
        match repo.commit_leftovers(checkout, &branch, message, Author::Configured).await {
            Ok(left) => {
                if left.sha.is_some() {
                    notes.push("the agent left changes uncommitted; orch committed them".to_owned());
                }
                notes.extend(
                    left.left_out.iter().map(|p| format!("left out: {} is a repository of its own", p.display())),
                );
            }
            Err(error) => notes.push(format!("changes are left uncommitted: {error}")),
        }
        seen = repo.evidence(checkout, &place.base).await.map_err(|e| e.to_string())?;
    }
    if seen.branch.as_deref() != Some(place.branch.as_str()) {
        let found = seen.branch.as_deref().unwrap_or("no branch");
        return Err(format!("the worktree is on {found} instead of {}; its commits are kept there", place.branch));
    }
    Ok(Evidence {
        base: seen.base,
        head: seen.head,
        commits: seen.commits,
        files: seen.files,
        insertions: seen.insertions,
        deletions: seen.deletions,
        checks: Vec::new(),
        violations: Vec::new(),
        notes,
    })
}

/// What changed in the repository outside the worktree while the run lasted.
async fn outside(doors: &Doors, repo: &Repo, checkout: &Checkout, run: &RunId, sandbox: bool, evidence: &mut Evidence) {
    let dir = doors.run_dir(run);
    let guard = fs::read_limited(&guard_file(&dir), EVENTS_READ)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Guard>(&bytes).ok());
    let Some(guard) = guard else {
        evidence.notes.push("the record of the repository before the run is gone; it was not compared".to_owned());
        return;
    };
    match guard.check(repo, || doors.ledger.moves()).await {
        Ok(changes) if changes.is_empty() => {}
        Ok(changes) => {
            let own = repo.diff_stat(checkout, &evidence.base, &evidence.head).await.unwrap_or_default();
            let own = own.into_iter().map(|file| file.path.to_string_lossy().into_owned()).collect();
            let trail = Trail::of(doors, repo, run, own);
            attribute(&trail, &changes, sandbox, evidence);
        }
        Err(error) => evidence.notes.push(format!("the repository could not be compared: {error}")),
    }
}

/// What a run left behind that tells whether a change is its doing.
struct Trail {
    /// Everything its CLI printed: tool calls with their arguments.
    events: String,
    /// The main checkout is named there.
    names_root: bool,
    /// Files that it changed in its own worktree.
    own: BTreeSet<String>,
    /// It is a program that does not show what it does.
    silent: bool,
}

impl Trail {
    fn of(doors: &Doors, repo: &Repo, run: &RunId, own: BTreeSet<String>) -> Self {
        let dir = doors.run_dir(run);
        let events = fs::read_limited(&dir.events(), EVENTS_READ).unwrap_or_default();
        let events = String::from_utf8_lossy(&events).into_owned();
        let root = repo.root().to_string_lossy();
        Self {
            names_root: root.len() > 1 && events.contains(&*root),
            silent: dir.read_launch().is_ok_and(|launch| launch.dialect == DialectKind::Command),
            events,
            own,
        }
    }

    /// Whether a change may be held against the run: it speaks of the thing, and not of its own copy of it.
    fn leads_to(&self, change: &Change) -> bool {
        let named =
            |name: &String| self.events.contains(name.as_str()) && (self.names_root || !self.own.contains(name));
        self.silent
            || match change.kind {
                ChangeKind::WorkTree => change.names.iter().any(named),
                ChangeKind::Ref | ChangeKind::Hooks | ChangeKind::Config | ChangeKind::Head => {
                    self.names_root && change.names.iter().any(|name| self.events.contains(name.as_str()))
                }
            }
    }
}

/// A change is held against the run when it is nobody's right to make it, or when the run's own trail leads to it.
/// Otherwise the person may have made it: it is noted. Without `workflow.sandbox` the main checkout is not closed to
/// agents.
fn attribute(trail: &Trail, changes: &[Change], sandbox: bool, evidence: &mut Evidence) {
    // Whoever commits in the main checkout meanwhile is a person at work there: a silent program is not blamed then.
    let person_at_work = changes.iter().any(|c| matches!(c.kind, ChangeKind::Head | ChangeKind::Ref));
    let leads = |change: &Change| trail.leads_to(change) && !(trail.silent && person_at_work);
    for change in changes {
        match change.weight {
            Weight::Violation => evidence.violations.push(change.detail.clone()),
            Weight::Suspicion if sandbox && leads(change) => evidence.violations.push(change.detail.clone()),
            Weight::Suspicion => evidence.notes.push(format!("{} (not by what the run shows)", change.detail)),
        }
    }
}

/// Runs the project's checks in `dir`, one after the other, up to the first that does not pass. Their whole output is
/// kept in `output_dir`.
pub async fn run_checks(doors: &Doors, config: &Config, run: &RunId, dir: &Path, output_dir: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let redactor = config.redactor(&doors.environment);
    for (number, command) in config.workflow.checks.iter().enumerate() {
        let (mut check, output) = run_check(doors, command, run, dir, config.workflow.check_timeout).await;
        let output = redactor.text(&output).into_owned();
        let file = output_dir.join(format!("check-{}.log", number + 1));
        let kept = fs::create_dir_private(output_dir)
            .and_then(|()| fs::write_private(&file, output.as_bytes(), Durability::Cached));
        if let Err(error) = kept {
            tracing::warn!(%run, %error, "the output of a check could not be kept");
        }
        check.output_tail = tail(&crate::runner::sanitize(&output), CHECK_TAIL).to_owned();
        let passed = check.state == CheckState::Passed;
        checks.push(check);
        if !passed {
            break;
        }
    }
    checks
}

async fn run_check(doors: &Doors, command: &str, run: &RunId, dir: &Path, limit: Duration) -> (Check, String) {
    let mark = format!("{run}-check");
    let call = Invocation::new("/bin/sh", dir)
        .args(["-c", command])
        .envs(agent_env::for_checks(&doors.environment))
        .env(RUN_MARK, &mark)
        .time_limit(limit)
        .output_limit(CHECK_OUTPUT, Excess::KeepTail);
    let begun = instant();
    let result = run_async(&call).await;
    // What a check starts and leaves behind ends with it.
    let swept = tokio::task::spawn_blocking(move || sweep(&mark, Duration::from_millis(200))).await;
    if let Err(error) = swept {
        tracing::warn!(%run, %error, "the processes of a check could not be looked for");
    }
    let (state, exit_code, output) = match result {
        Ok(output) => {
            let state = if output.success() { CheckState::Passed } else { CheckState::Failed };
            let text = [&output.stdout, &output.stderr].map(|bytes| whole_words(bytes, output.truncated));
            (state, output.exit.code, text.concat())
        }
        Err(ProcessError::TimedOut { .. }) => (CheckState::TimedOut, None, String::new()),
        Err(error) => (CheckState::NotStarted, None, error.to_string()),
    };
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    (Check { command: command.to_owned(), state, exit_code, duration_ms, output_tail: String::new() }, output)
}

/// Output as text. Where its beginning was dropped, so is the rest of the word that was cut: it may be the rest of a
/// secret, which nothing could tell.
fn whole_words(bytes: &[u8], is_cut: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.find(char::is_whitespace).filter(|_| is_cut) {
        Some(end) => text[end..].to_owned(),
        None => text.into_owned(),
    }
}

/// The end of a text, cut at a character.
fn tail(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
