//! Gathering the evidence of a finished run, with orch's own eyes: what was committed, what was left lying, what
//! changed outside, and whether the checks pass. The verdict itself is `core::tasks::judge`.

mod change;
mod checks;
pub(crate) mod difference;
pub(crate) mod ending;
mod outside;
pub(crate) mod run_check;
mod trail;
pub(crate) mod tryout;
mod unjudged;
pub(crate) mod workspace;

use crate::deps::task_context::TaskContext;
use crate::deps::{Deps, leases};
use crate::settings::Settings;
use crate::verify::difference::parting;
pub use checks::{Checking, Place};
use orch_config::raw::ChecksIn;
use orch_core::base::external::{ExternalFailure, How, StepProblem};
use orch_core::base::ids::RunId;
use orch_core::base::names::BranchName;
use orch_core::tasks::answer::Answer;
use orch_core::tasks::delegation::{self, DelegationContext};
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::judge::{Case, Verdict, accepted_because, depends_on_checks, judge as conclude};
use orch_core::tasks::outcome::{Failure, Outcome};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::review::Reviewers;
use orch_core::tasks::task::{Run, Workplace};
use orch_core::tasks::task_type::TaskType;
use orch_core::text::redact::Redactor;
use orch_core::text::shell::word;
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use orch_sys::git::{Author, Checkout, Evidence as Seen, GitError, Head, LeftoversError, Repo};
use orch_sys::worktree::{WorktreeError, WorktreeRequest};
pub use outside::Before;
use outside::Scene;
use std::collections::BTreeSet;
use std::path::Path;
pub use unjudged::{Beginning, inspect_last_run};

/// What orch concludes of a run.
pub struct Judgement {
    /// The conclusion about the run.
    pub verdict: Verdict,
    /// The evidence of the verdict.
    pub evidence: Evidence,
    /// Who reviews it next, should it be good.
    pub reviewers: Reviewers,
}

/// Judges the result of `run`.
///
/// # Errors
/// There is no evidence to judge: an external call failed, or only a person can go on.
pub async fn judge(cx: &TaskContext, delegation: &DelegationContext, run: &RunId) -> Result<Judgement, StepProblem> {
    let task_type = TaskType::from_spec(&cx.task.spec);
    let (answer, mut evidence) = gather(cx, &task_type, run).await?;
    let case = Case { answer: &answer, evidence: &evidence, task_type: &task_type };
    let concluded = conclude(&case);
    let accepted = accepted_because(&case);
    let verdict = delegation::apply_limits(concluded, &mut evidence, delegation);
    let reviewers = reviewers(cx, &evidence);
    evidence.accepted = (verdict == Verdict::Accept).then_some(accepted);
    Ok(Judgement { verdict, evidence, reviewers })
}

impl Judgement {
    /// The result of a step that only a person can take further. What they fix is judged then, and nothing is done again for
    /// it.
    pub fn asking(question: String) -> Self {
        let (verdict, evidence) = (Verdict::Ask { question, kind: QuestionKind::Setup }, Evidence::default());
        Self { verdict, evidence, reviewers: Reviewers::Nobody }
    }
}

/// Who reviews a change. A text is the person's own to read.
fn reviewers(cx: &TaskContext, evidence: &Evidence) -> Reviewers {
    if evidence.commits.is_empty() {
        return Reviewers::Nobody;
    }
    let config = cx.config();
    config.workflow.review.reviewers(cx.settings.may_review(&config).len())
}

async fn gather(cx: &TaskContext, task_type: &TaskType, run: &RunId) -> Result<(Answer, Evidence), StepProblem> {
    let TaskContext { deps, settings, task, .. } = cx;
    let dir = cx.dir().map_err(StepProblem::Ask)?;
    let place = task.place.as_ref().ok_or_else(|| asked("the run has no worktree to look at"))?;
    let config = cx.config();
    let repo = deps.repository(&dir).await?;
    let (checkout, mut notes) = worktree(&repo, place).await?;
    // Files that were hidden from the agent come back first: nothing is judged without them.
    repo.reveal(&checkout).await?;
    repo.look_everywhere(&checkout).await?;
    let (answer, warnings) = answer_of(deps, settings, run)?;
    notes.extend(warnings);
    let mut evidence = inspect_worktree(&repo, &checkout, place).await?;
    evidence.notes.extend(notes);
    let scene = Scene { repo: &repo, checkout: &checkout, place, run, sandbox: config.workflow.sandbox };
    let own_refs = outside::inspect_outside(deps, &scene, &mut evidence).await?;
    unjudged::keep(&deps.run_dir(run), &own_refs)?;
    own_work_only(&repo, &checkout, place, &mut evidence).await?;
    mask(&config.redactor(&deps.environment), &mut evidence);
    keep_result(deps, run, &answer);
    change::inspect_change(deps, &config, &repo, &checkout, &task.spec, &mut evidence).await?;
    let judged = task.judged_commit().unwrap_or(&place.base);
    change::find_undone(&repo, &checkout, [&place.base, judged], &mut evidence).await?;
    let output_dir = deps.run_dir(run).evidence();
    let (base, output_dir) = (evidence.base.clone(), output_dir.as_path());
    let mends = task_type.mends();
    let env = leases::values(deps, &config.workspace.env, task.id).await.map_err(StepProblem::Ask)?;
    let checking = Checking { deps, config: &config, run, repo: &repo, base: &base, output_dir, mends, env: &env };
    if !evidence.commits.is_empty() {
        evidence.unapproved.clone_from(&config.workflow.unapproved_checks);
    }
    if depends_on_checks(&Case { answer: &answer, evidence: &evidence, task_type }) {
        run_checks(&checking, place, task_type, &mut evidence).await?;
    }
    Ok((answer, evidence))
}

/// Returns the worktree of a run that is over, on its branch, with what had to be done for that in words.
///
/// # Errors
/// The directory is missing or holds other files, or the branch was deleted with the worktree.
async fn worktree(repo: &Repo, place: &Workplace) -> Result<(Checkout, Vec<String>), StepProblem> {
    let (path, mut notes) = (&place.worktree, Vec::new());
    let (shown, name) = (path.display(), &place.branch);
    let parse = |name: &String| BranchName::parse(name).map_err(|bad| asked(bad.to_string()));
    let (branch, base) = (parse(name)?, parse(&place.base_branch)?);
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(StepProblem::External(ExternalFailure::new(
            How::Vanished,
            format!("the worktree {shown} is away"),
        )));
    }
    // Without its link it is not the worktree any more, whatever the agent has put there since: to git every file that is
    // not there would be one that the agent deleted.
    if !path.join(".git").exists() {
        let gone = format!("the worktree {shown} is gone; what was committed is on {name}");
        if repo.tip(&branch).await?.is_none() {
            return Err(asked(format!("{gone}, and that is gone as well")));
        }
        let request =
            WorktreeRequest { path, branch: &branch, base: &base, start: Some(place.base.as_str()), fetch: false };
        match repo.ensure_worktree(&request).await {
            Ok(_) => notes.push(format!("{gone}; it was made anew from there")),
            Err(WorktreeError::PathTaken { .. }) => {
                return Err(asked(format!("{gone}, and {shown} holds something else: move that away")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let checkout = repo.open_worktree(path)?.ok_or_else(|| asked(format!("the worktree {shown} is gone")))?;
    notes.extend(repo.reattach(&checkout, &branch).await?);
    Ok((checkout, notes))
}

/// A command or a path in a report may hold a token.
pub(crate) fn mask(redactor: &Redactor, evidence: &mut Evidence) {
    for line in evidence.violations.iter_mut().chain(&mut evidence.notes) {
        *line = redactor.text(line).into_owned();
    }
}

/// The text that was asked for is kept beside the evidence: the answer itself goes when raw output goes.
fn keep_result(deps: &Deps, run: &RunId, answer: &Answer) {
    if answer.result.trim().is_empty() {
        return;
    }
    let dir = deps.run_dir(run).evidence();
    let kept = fs::create_dir_private(&dir)
        .and_then(|()| fs::write_private(&dir.join("result.md"), answer.result.as_bytes(), Durability::Cached));
    if let Err(error) = kept {
        tracing::warn!(%run, %error, "the text of a task could not be kept");
    }
}

/// Runs the checks on the commit that is judged: in a fresh checkout, where nothing helps that is not committed.
async fn run_checks(
    checking: &Checking<'_>,
    place: &Workplace,
    task_type: &TaskType,
    evidence: &mut Evidence,
) -> Result<(), StepProblem> {
    let checks = &checking.config.workflow.checks;
    if checks.is_empty() {
        return Ok(());
    }
    let put_back = evidence.findings.iter().filter(|finding| finding.uses_base_version(task_type));
    let own_rules: BTreeSet<String> = put_back.map(|finding| finding.path.clone()).collect();
    let own_rules: Vec<String> = own_rules.into_iter().collect();
    let is_clean = checking.config.workflow.checks_in == ChecksIn::Clean;
    if is_clean {
        let scratch = checking.scratch("judge");
        let at = checking.repo.checkout_aside(&scratch, &evidence.head).await?;
        evidence.checks = checking.run_all(Place::Fresh(&at)).await;
        checking.drop_scratch(&scratch).await;
    } else {
        evidence.checks = checking.run_all(Place::AsItIs(&place.worktree)).await;
    }
    if own_rules.is_empty() {
        return Ok(());
    }
    // In a checkout of its own: what the work's rules have left in the other one must not help.
    let scratch = checking.scratch("base-rules");
    let at = checking.repo.checkout_aside(&scratch, &evidence.head).await?;
    let checked = checking.by_base_rules(&at, &own_rules, &mut evidence.checks).await;
    checking.drop_scratch(&scratch).await;
    checked
}

/// Returns what the run reports, and what its runner warns of.
fn answer_of(deps: &Deps, settings: &Settings, run: &RunId) -> Result<(Answer, Vec<String>), StepProblem> {
    let over = crate::verify::ending::ended(deps, settings, run).map_err(StepProblem::External)?;
    let report = over.ok_or_else(|| asked("the run's report is gone"))?.report;
    match report.outcome() {
        Outcome::Finished { answer } => Ok((answer, report.warnings)),
        Outcome::Failed(failure) => Err(asked(failure.detail)),
        Outcome::Cancelled { detail } => Err(asked(detail)),
    }
}

/// How often leftovers are committed before it is reported that they change all the time.
const COMMITTED_AT_MOST: usize = 3;

/// Inspects the worktree. What is not committed is committed first; what cannot be committed is part of the evidence, and
/// is never accepted.
async fn inspect_worktree(repo: &Repo, checkout: &Checkout, place: &Workplace) -> Result<Evidence, StepProblem> {
    let (mut notes, mut uncommitted) = (Vec::new(), Vec::new());
    let branch = BranchName::parse(&place.branch).map_err(|bad| asked(bad.to_string()))?;
    let mut seen = match repo.evidence(checkout, &place.base).await {
        Ok(seen) => seen,
        Err(error) => return Err(why_nothing_is_seen(repo, checkout, place, error).await),
    };
    for _ in 0..COMMITTED_AT_MOST {
        uncommitted.clear();
        if !seen.dirty && seen.operation.is_none() {
            break;
        }
        let message = "orch: changes that the agent left uncommitted";
        point!("judge.leftovers.before");
        let committed = repo.commit_leftovers(checkout, &branch, message, Author::Configured).await;
        point!("judge.leftovers.after");
        match committed {
            Ok(left) => {
                if left.sha.is_some() {
                    notes.push("the agent left changes uncommitted; orch committed them".to_owned());
                }
                uncommitted = repo.uncommitted(checkout).await?;
            }
            Err(error @ (LeftoversError::InProgress { .. } | LeftoversError::Unmerged { .. })) => {
                uncommitted = vec![error.to_string()];
            }
            // It is reported below, with what is checked out instead.
            Err(LeftoversError::WrongBranch { .. }) => {}
            Err(error @ LeftoversError::Git(_)) => return Err(kept_from_committing(error)),
        }
        seen = repo.evidence(checkout, &place.base).await?;
        if uncommitted.is_empty() || seen.operation.is_some() {
            break;
        }
    }
    if !repo.is_ancestor(&seen.base, &seen.head).await? {
        let base = BranchName::parse(&place.base_branch).map_err(|bad| asked(bad.to_string()))?;
        let is_lost = match repo.tip(&base).await? {
            Some(tip) => !repo.is_ancestor(&seen.base, &tip).await?,
            None => false,
        };
        // Else the branch was rebased to a base that was rewritten.
        if !is_lost {
            return Err(rewritten(place));
        }
        seen = repo.evidence(checkout, &parting(repo, place, &seen.head).await?).await?;
    }
    if seen.branch.as_deref() != Some(place.branch.as_str()) {
        let (found, tip) = (seen.branch.as_deref().unwrap_or("no branch"), repo.tip(&branch).await?);
        let at = word(&place.worktree);
        let what = match tip {
            Some(_) => format!("{branch} has something else: bring what is wanted onto {branch} there"),
            None => format!("{branch} does not exist: `git -C {at} switch -c {branch}` makes it there"),
        };
        let (path, head) = (place.worktree.display(), seen.head.get(..10).unwrap_or(&seen.head));
        return Err(asked(format!("the worktree {path} is on {found} instead of {branch}, at {head}, and {what}")));
    }
    // What is accepted, or asked about, outlasts a power cut.
    repo.make_durable(checkout, &branch, &seen.base, &seen.head).await?;
    let mut evidence = Evidence { uncommitted, notes, ..Evidence::default() };
    take_over(seen, &mut evidence);
    Ok(evidence)
}

/// What came to the branch from the base since the run's start, as it does where a conflict is resolved, is not what the agent
/// is judged by. Where the run moved the base itself, all of it is.
async fn own_work_only(
    repo: &Repo,
    checkout: &Checkout,
    place: &Workplace,
    evidence: &mut Evidence,
) -> Result<(), StepProblem> {
    if evidence.take_back.is_some() {
        return Ok(());
    }
    let from = parting(repo, place, &evidence.head).await?;
    if from != evidence.base && from != evidence.head {
        take_over(repo.evidence(checkout, &from).await?, evidence);
    }
    Ok(())
}

/// What is seen between two commits becomes what is judged.
pub(crate) fn take_over(seen: Seen, evidence: &mut Evidence) {
    evidence.changed = seen.changed.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    (evidence.base, evidence.head, evidence.commits) = (seen.base, seen.head, seen.commits);
    (evidence.files, evidence.insertions, evidence.deletions) = (seen.files, seen.insertions, seen.deletions);
}

/// Leftovers that git does not take stay in the worktree, and nothing of the run is judged meanwhile.
fn kept_from_committing(error: LeftoversError) -> StepProblem {
    let words = |what: &str| format!("the changes that the agent left uncommitted cannot be committed: {what}");
    match StepProblem::from(error) {
        StepProblem::External(failure) => {
            let detail = words(&failure.detail);
            StepProblem::External(ExternalFailure { detail, ..failure })
        }
        StepProblem::Ask(question) => StepProblem::Ask(words(&question)),
    }
}

/// A branch that shares nothing with its base any more cannot be compared with it.
async fn why_nothing_is_seen(repo: &Repo, checkout: &Checkout, place: &Workplace, error: GitError) -> StepProblem {
    let head = match repo.head_of(checkout).await {
        Ok(Head::Branch { sha, .. } | Head::Detached { sha }) => sha,
        Ok(Head::Unborn { .. }) | Err(_) => return error.into(),
    };
    match repo.is_ancestor(&place.base, &head).await {
        Ok(false) => rewritten(place),
        Ok(true) | Err(_) => error.into(),
    }
}

fn rewritten(place: &Workplace) -> StepProblem {
    asked(format!(
        "the branch {} does not contain the commit any more that it began from: its history was rewritten below the base",
        place.branch
    ))
}

fn asked(question: impl Into<String>) -> StepProblem {
    StepProblem::Ask(question.into())
}

/// Returns the record of a run whose work orch did not accept.
pub(crate) fn overruled(deps: &Deps, run: &RunId, failure: &Failure) -> Option<Box<Run>> {
    let mut record = deps.journal.run(run).ok().flatten()?;
    record.outcome = Some(Outcome::Failed(failure.clone()));
    Some(Box::new(record))
}
