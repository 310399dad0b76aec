//! Bringing an accepted branch to its base: kept as it is, or merged after the checks pass on the merge result. The
//! user's own checkout is never touched while it is dirty.

pub(crate) mod integration_job;
pub(crate) mod revert;

use crate::deps::task_context::TaskContext;
use crate::deps::{Deps, leases};
use crate::launch::starting_point::tasks;
use crate::settings::project_file;
use crate::verify::workspace::Unready;
use crate::verify::{Checking, Place};
use jiff::{SignedDuration, Timestamp};
use orch_config::raw::Integrate;
use orch_config::resolved::Config;
use orch_core::base::external::{External, StepProblem};
use orch_core::base::ids::RunId;
use orch_core::base::names::BranchName;
use orch_core::tasks::conflict::Conflict;
use orch_core::tasks::event::IntegrationProblem;
use orch_core::tasks::evidence::{Check, CheckState, IntegrateMode, Integration, IntegrationState};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::judge::failed_checks;
use orch_core::tasks::outcome::{ConflictRound, Failure};
use orch_core::tasks::task::{BeganFrom, OrderKind, Postponed, Status, Task};
use orch_core::tasks::task_type::TaskType;
use orch_sys::crash::point;
use orch_sys::git::{AdvanceError, Candidate, GitError, MergeError, MergeRequest, Merged, MoveProgress, RefMove, Repo};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// How often a base that moves under the merge is followed before it is left for later.
pub(crate) const MOVES_FOLLOWED: u32 = 5;
/// When a setup that does not work is tried again.
const SETUP_AGAIN: SignedDuration = SignedDuration::from_secs(300);
/// When a dirty checkout is checked again.
const WAIT: SignedDuration = SignedDuration::from_secs(30);

/// Integrates the accepted work of `task`, or carries out what a person has ordered about its branch.
pub async fn integrate(cx: &TaskContext, run: &RunId) -> Result<Integration, IntegrationProblem> {
    let TaskContext { deps, task, .. } = cx;
    let config = cx.config();
    if let (Some(OrderKind::Approve), Some(integration)) = (task.order().map(|o| o.kind), &task.integration)
        && task.is_merged()
    {
        // The base has it, and the person leaves it there.
        return Ok(Integration::clone(integration));
    }
    let kind = task.order().map(|order| order.kind);
    if kind != Some(OrderKind::Revert) {
        dependencies_done(deps, task).await?;
    }
    match (kind, config.workflow.integrate) {
        (None | Some(OrderKind::Approve), Integrate::Branch) => {
            let judged = task.judged_commit().map(str::to_owned);
            let commit = task.order().map(|order| order.commit.clone()).or(judged);
            Ok(Integration { mode: IntegrateMode::Branch, state: IntegrationState::Kept, commit, restored: None })
        }
        (None | Some(OrderKind::Approve), Integrate::Merge) | (Some(OrderKind::Merge), _) => {
            let queue = Queue::new(cx, &config, run).await?;
            queue.require_approval()?;
            queue.dependencies_merged().await?;
            queue.merge().await
        }
        (Some(OrderKind::Revert), _) => {
            let queue = Queue::new(cx, &config, run).await?;
            queue.require_approval()?;
            crate::integrate::revert::take_back(&queue).await
        }
    }
}

/// Throws away what an integration that was called off has left.
pub async fn clear(cx: &TaskContext, run: &RunId) {
    let Ok(dir) = cx.dir() else { return };
    match cx.deps.repository(&dir).await {
        Ok(repo) => clear_scratch(&repo, run, &scratch(&cx.deps, run)).await,
        Err(error) => tracing::warn!(%run, %error, "a scratch worktree is left behind"),
    }
}

async fn clear_scratch(repo: &Repo, run: &RunId, scratch: &Path) {
    if let Err(error) = repo.remove_scratch(scratch).await {
        tracing::warn!(%run, %error, "a scratch worktree is left behind");
    }
}

fn scratch(deps: &Deps, run: &RunId) -> PathBuf {
    deps.home.merges().join(run.as_str())
}

/// Work is not integrated before the tasks that it depends on are done: one of them may have been taken back or started
/// again since.
async fn dependencies_done(deps: &Arc<Deps>, task: &Task) -> Result<(), IntegrationProblem> {
    let ids = task.spec.depends_on.clone();
    if ids.is_empty() {
        return Ok(());
    }
    let found = tasks(deps, ids).await.map_err(|error| ask(&error, None))?;
    let open: Vec<String> = found.iter().filter(|one| one.status() != Status::Done).map(stands).collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(wait_for_tasks(deps, format!("it waits for {}", open.join(", "))))
}

/// Describes a dependency and its state.
fn stands(task: &Task) -> String {
    if task.is_reverted() {
        return format!("#{} (its merge was taken back)", task.id);
    }
    format!("#{} ({})", task.id, task.status().as_str())
}

fn wait_for_tasks(deps: &Deps, detail: String) -> IntegrationProblem {
    let now = deps.clock.now();
    let until = now.checked_add(WAIT).unwrap_or(now);
    IntegrationProblem::Wait(Postponed { detail, until, reason: HoldReason::Dependency })
}

pub(crate) fn ask(error: &impl std::fmt::Display, hint: Option<String>) -> IntegrationProblem {
    StepProblem::Ask(error.to_string()).with_hint(hint).into()
}

/// Returns what a failed call amounts to: something that passes, or something that a person must fix.
fn failed(error: impl External, hint: Option<String>) -> IntegrationProblem {
    StepProblem::from(error).with_hint(hint).into()
}

pub(crate) fn git_failed(error: GitError) -> IntegrationProblem {
    let hint = error.hint();
    failed(error, hint)
}

/// A task at the head of the queue of its base branch, with all that is needed to bring something there.
pub(crate) struct Queue<'a> {
    pub(crate) deps: &'a Arc<Deps>,
    pub(crate) config: &'a Config,
    pub(crate) task: &'a Task,
    pub(crate) run: &'a RunId,
    pub(crate) repo: Repo,
    pub(crate) branch: BranchName,
    pub(crate) base: BranchName,
    pub(crate) scratch: PathBuf,
    /// A merge beside this one moves the base, and everything would be done and checked once more.
    _turn: OwnedMutexGuard<()>,
}

/// What an attempt has brought to the base.
pub(crate) struct Brought {
    /// The commit that holds it.
    pub(crate) commit: String,
    /// Where the base stood before.
    before: String,
    /// Where the base stood then.
    base_sha: String,
    /// The checks have passed on exactly that.
    is_tested: bool,
}

#[derive(Debug)]
pub(crate) enum Attempt {
    /// The base moved meanwhile.
    Moved,
    Problem(IntegrationProblem),
}

impl From<IntegrationProblem> for Attempt {
    fn from(problem: IntegrationProblem) -> Self {
        Self::Problem(problem)
    }
}

impl<'a> Queue<'a> {
    /// Waits for its turn.
    async fn new(cx: &'a TaskContext, config: &'a Config, run: &'a RunId) -> Result<Self, IntegrationProblem> {
        let TaskContext { deps, task, .. } = cx;
        let dir = cx.dir().map_err(IntegrationProblem::Ask)?;
        let repo = deps.repository(&dir).await.map_err(git_failed)?;
        let place = task.place.as_ref().ok_or_else(|| ask(&"the task has no branch", None))?;
        let branch = BranchName::parse(&place.branch).map_err(|e| ask(&e, None))?;
        let base = BranchName::parse(&place.base_branch).map_err(|e| ask(&e, None))?;
        let scratch = scratch(deps, run);
        let turn = deps.ledger.turn(repo.common_dir(), base.as_str()).await;
        Ok(Self { deps, config, task, run, repo, branch, base, scratch, _turn: turn })
    }

    /// What the branch holds of other tasks is on the base before the branch goes there.
    async fn dependencies_merged(&self) -> Result<(), IntegrationProblem> {
        let from = self.task.place.iter().flat_map(|place| &place.began_from);
        let from: Vec<_> = from.filter(|work| self.task.spec.depends_on.contains(&work.task)).collect();
        if from.is_empty() {
            return Ok(());
        }
        let tip = self.repo.tip(&self.base).await.map_err(git_failed)?;
        // The merge reports that the base branch is gone.
        let Some(tip) = tip else { return Ok(()) };
        for work in from {
            if !self.is_on(work, &tip).await? {
                let (first, base) = (work.task, &self.base);
                let detail = format!("it holds the work of #{first}, which is not on {base}: orch task merge {first}");
                return Err(wait_for_tasks(self.deps, detail));
            }
        }
        Ok(())
    }

    /// Returns whether the base at `tip` has the work of another task: its commit, or the merge that brought its changes there.
    async fn is_on(&self, work: &BeganFrom, tip: &str) -> Result<bool, IntegrationProblem> {
        if self.repo.is_ancestor(&work.commit, tip).await.map_err(git_failed)? {
            return Ok(true);
        }
        let found = tasks(self.deps, vec![work.task]).await.map_err(|error| ask(&error, None))?;
        let merged = found.iter().filter(|task| task.is_merged() && task.judged_commit() == Some(&work.commit));
        for commit in merged.filter_map(|task| task.integration.as_ref()?.commit.as_deref()) {
            if self.repo.is_ancestor(commit, tip).await.map_err(git_failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn merge(&self) -> Result<Integration, IntegrationProblem> {
        let mut result = Err(later(self.deps, format!("{} keeps moving", self.base)));
        for _ in 0..MOVES_FOLLOWED {
            match self.attempt().await {
                Err(Attempt::Moved) => {}
                Err(Attempt::Problem(problem)) => {
                    result = Err(problem);
                    break;
                }
                Ok(brought) => {
                    result = self.verified(brought).await;
                    break;
                }
            }
        }
        self.clear().await;
        result
    }

    /// Runs the checks once more, where the base is not what they have passed on.
    async fn verified(&self, brought: Brought) -> Result<Integration, IntegrationProblem> {
        let (mode, state) = (IntegrateMode::Merge, IntegrationState::Merged);
        let integration = Integration { mode, state, commit: Some(brought.commit), restored: None };
        if !self.config.workflow.verify_after_merge || self.config.workflow.checks.is_empty() {
            return Ok(integration);
        }
        let tip = self.repo.tip(&self.base).await.map_err(git_failed)?;
        let Some(tip) = tip.filter(|tip| !brought.is_tested || *tip != brought.base_sha) else {
            return Ok(integration);
        };
        let checkout = match self.repo.scratch_at(&self.scratch, &tip).await {
            Ok(checkout) => checkout,
            Err(error) => return Err(self.problem(error, &[]).await),
        };
        match self.check("base", &checkout.work_tree, &brought.before).await {
            Ok(Some(failure)) => Err(IntegrationProblem::Red { integration, failure: Box::new(failure) }),
            // It is merged, and what was merged has passed.
            Err(problem) => {
                tracing::warn!(task = %self.task.id, ?problem, "the base could not be checked after the merge");
                Ok(integration)
            }
            Ok(None) => Ok(integration),
        }
    }

    /// Throws the scratch worktree away.
    pub(crate) async fn clear(&self) {
        point!("merge.remove.before");
        clear_scratch(&self.repo, self.run, &self.scratch).await;
        point!("merge.remove.after");
    }

    async fn attempt(&self) -> Result<Brought, Attempt> {
        let (message, trailers) = message(self.task);
        let request = MergeRequest {
            branch: &self.branch,
            base: &self.base,
            scratch: &self.scratch,
            message: &message,
            trailers: &trailers,
            expected: self.task.order().map(|order| order.commit.as_str()).or(self.task.judged_commit()),
        };
        match self.repo.merge_candidate(&request).await {
            Ok(Merged::Already { .. }) if self.was_taken_back() => {
                let detail = format!("{} was merged and taken back, and has nothing new since", self.branch);
                Err(ask(&detail, Some(format!("orch task retry {}", self.task.id))).into())
            }
            Ok(Merged::Already { base_sha, commit }) => {
                let before = self.task.place.as_ref().map_or_else(|| base_sha.clone(), |place| place.base.clone());
                Ok(Brought { commit, before, base_sha, is_tested: false })
            }
            Ok(Merged::Ready(candidate)) => self.bring(&candidate, "after merging with the base").await,
            // One lost answer must not make the task wait for a branch that exists.
            Err(error) if self.is_base(&error) && self.has_base().await => Err(Attempt::Moved),
            Err(error) => Err(self.problem(error, request.expected.as_slice()).await.into()),
        }
    }

    async fn has_base(&self) -> bool {
        self.repo.tip(&self.base).await.is_ok_and(|tip| tip.is_some())
    }

    fn is_base(&self, error: &MergeError) -> bool {
        matches!(error, MergeError::BranchMissing { name } if *name == self.base)
    }

    fn was_taken_back(&self) -> bool {
        self.task.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Reverted)
    }

    /// What a merge or a revert that cannot be made amounts to. `heads`: the commits that were to be brought to the base.
    pub(crate) async fn problem(&self, error: MergeError, heads: &[&str]) -> IntegrationProblem {
        match error {
            MergeError::Conflict { files, sides, base_sha } => {
                let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
                let redactor = self.config.redactor(&self.deps.environment);
                let sides = orch_runner::sanitize(&redactor.text(&sides));
                let round = self.round(base_sha, heads).await;
                let failure = Failure::of_conflict(Conflict { files, sides: sides.trim_end().to_owned() });
                IntegrationProblem::Work(Failure { round: Some(Box::new(round)), ..failure })
            }
            error @ MergeError::BranchMissing { .. } if self.is_base(&error) => {
                later(self.deps, format!("{error}; it goes on when the branch is back"))
            }
            error @ (MergeError::NotAsJudged { .. }
            | MergeError::BaseRewritten { .. }
            | MergeError::NotAMerge { .. }
            | MergeError::BranchMissing { .. }
            | MergeError::Scratch(_)
            | MergeError::Git(_)) => {
                let hint = error.hint();
                failed(error, hint)
            }
        }
    }

    /// Compares a conflict with the last one of the task.
    async fn round(&self, base: String, heads: &[&str]) -> ConflictRound {
        let mut resolved_last = false;
        if let Some(last) = &self.task.progress.conflict_base {
            for head in heads {
                // Where git gives no answer, nothing counts as resolved.
                resolved_last |= self.repo.is_ancestor(last, head).await.unwrap_or(false);
            }
        }
        ConflictRound { base, resolved_last }
    }

    /// Brings a candidate to the base, once the checks pass on it.
    pub(crate) async fn bring(&self, candidate: &Candidate, when: &str) -> Result<Brought, Attempt> {
        // The checks may take long: they are for nothing while the base cannot move.
        self.repo.require_movable(&self.base).await.map_err(|error| self.not_moved(error))?;
        // What passes on a branch may still break the base.
        if let Some(failure) = self.check("merge", &candidate.checkout.work_tree, &candidate.base_sha).await? {
            let detail = format!("{when}: {}", failure.detail);
            return Err(IntegrationProblem::Work(Failure { detail, ..failure }).into());
        }
        point!("merge.checked");
        let ledger = &self.deps.ledger;
        if !ledger.begin_moving(self.run) {
            return Err(later(self.deps, "it was called off".to_owned()).into());
        }
        let advanced = self.advance(&self.base, candidate).await;
        let base_sha = advanced.inspect_err(|_| ledger.not_moved(self.run))?;
        let commit = candidate.merge_sha.clone();
        let before = candidate.base_sha.clone();
        Ok(Brought { is_tested: base_sha == commit, before, commit, base_sha })
    }

    /// Moves a branch to a candidate, if it is still where that began.
    pub(crate) async fn advance(&self, base: &BranchName, candidate: &Candidate) -> Result<String, Attempt> {
        let (deps, repo) = (self.deps, &self.repo);
        // Noted first: a run that ends right after the move must already find it in the ledger.
        let (name, old, new) = (base.full_ref(), candidate.base_sha.clone(), candidate.merge_sha.clone());
        deps.ledger.begin(repo.common_dir(), RefMove { name, old, new, progress: MoveProgress::UnderWay });
        point!("merge.advance.before");
        let advanced = repo.advance_base(base, &candidate.base_sha, &candidate.merge_sha).await;
        point!("merge.advance.after");
        deps.ledger.end(repo.common_dir(), &candidate.merge_sha, advanced.is_ok());
        match advanced {
            Ok(advanced) => Ok(advanced.sha),
            Err(error) => Err(self.not_moved(error)),
        }
    }

    /// Returns what a branch that cannot be moved amounts to.
    fn not_moved(&self, error: AdvanceError) -> Attempt {
        match error {
            AdvanceError::Moved { .. } => Attempt::Moved,
            error @ (AdvanceError::BaseDirty { .. }
            | AdvanceError::Concealed { .. }
            | AdvanceError::FilesInTheWay { .. }
            | AdvanceError::HalfMoved { .. }
            | AdvanceError::InProgress { .. }
            | AdvanceError::CheckoutMissing { .. }) => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                later(self.deps, format!("{error}{hint}")).into()
            }
            error @ (AdvanceError::FilterOff { .. } | AdvanceError::NotForward { .. } | AdvanceError::Git(_)) => {
                let hint = error.hint();
                failed(error, hint).into()
            }
        }
    }

    /// Runs the checks in `dir`; what was red at `before` already does not count here. `Err`: nothing could be checked.
    async fn check(&self, name: &str, dir: &Path, before: &str) -> Result<Option<Failure>, IntegrationProblem> {
        let output_dir = self.deps.run_dir(self.run).evidence().join(name);
        let task_type = TaskType::from_spec(&self.task.spec);
        let env = leases::values(self.deps, &self.config.workspace.env, self.task.id).await;
        let env = env.map_err(|error| ask(&error, None))?;
        let checking = Checking {
            deps: self.deps,
            config: self.config,
            run: self.run,
            repo: &self.repo,
            base: before,
            output_dir: &output_dir,
            mends: task_type.mends(),
            env: &env,
        };
        let checks = checking.run_all(Place::AsItIs(dir)).await;
        if let Some(check) = checks.iter().find(|check| check.is_broken_setup()) {
            let unready = Unready::Setup(Box::new(check.clone()));
            return Err(self.wait(unready.describe(), SETUP_AGAIN, HoldReason::Setup));
        }
        if let Some(check) = checks.iter().find(|check| !task_type.mends() && self.says_nothing_now(check)) {
            let (command, went, base) = (&check.command, check.describe_result(), &self.base);
            let detail =
                format!("`{command}` passed on the branch, and now {went}: mend {base}, or what the check needs");
            return Err(self.wait(detail, SETUP_AGAIN, HoldReason::Setup));
        }
        Ok(failed_checks(&checks, &task_type))
    }
}

impl Queue<'_> {
    fn wait(&self, detail: String, pause: SignedDuration, reason: HoldReason) -> IntegrationProblem {
        let until = self.deps.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        IntegrationProblem::Wait(Postponed { detail, until, reason })
    }

    /// A check that proved the work when it was judged is red now with and without it: nothing goes to the base unproved unless
    /// a person has ordered it.
    fn says_nothing_now(&self, check: &Check) -> bool {
        let judged = self.task.evidence.iter().flat_map(|evidence| &evidence.checks);
        let mut before = judged.filter(|one| one.command == check.command);
        let is_red = check.state != CheckState::Passed && check.fails_on_base();
        self.task.order().is_none() && is_red && before.any(|one| one.state == CheckState::Passed)
    }

    /// What a person orders goes by the settings of that moment. Without the project's own checks nothing is merged or taken
    /// back that they would have refused.
    fn require_approval(&self) -> Result<(), IntegrationProblem> {
        let workflow = &self.config.workflow;
        if workflow.unapproved_checks.is_empty() || (self.task.order().is_none() && !workflow.checks.is_empty()) {
            return Ok(());
        }
        let file = project_file(self.repo.root());
        let detail = format!("{} is not approved: read it, then `orch init` there", file.display());
        Err(self.wait(detail, WAIT, HoldReason::NotApproved))
    }
}

/// Returns the message of a task's merge, and its trailers.
fn message(task: &Task) -> (String, String) {
    let title = orch_core::prompts::prompt::data::one_line(&task.spec.title, 200);
    let summary = task.summary.as_deref().unwrap_or_default();
    let route = task.route.as_ref().map(|r| r.agent.as_str()).unwrap_or_default();
    (format!("{title}\n\n{summary}"), format!("Orch-Task: {}\nOrch-Agent: {route}", task.id))
}

pub(crate) fn later(deps: &Deps, detail: String) -> IntegrationProblem {
    let now = deps.clock.now();
    let until = now.checked_add(WAIT).unwrap_or(now);
    IntegrationProblem::Wait(Postponed { detail, until, reason: HoldReason::BaseDirty })
}
