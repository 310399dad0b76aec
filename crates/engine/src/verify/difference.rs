//! What a task's branch would change, or has changed: for people who are to decide about it. Looks only; masked and bounded.

use crate::deps::task_context::TaskContext;
use crate::error::EngineError;
use orch_core::base::count;
use orch_core::base::names::BranchName;
use orch_core::tasks::evidence::IntegrationState;
use orch_core::tasks::task::{Task, Workplace};
use orch_sys::git::{GitError, Repo};

/// What a branch would change, or has changed. Masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name of the branch.
    pub branch: String,
    /// Where it goes to.
    pub base_branch: String,
    /// The commit from which it differs.
    pub base: String,
    /// The commit that differs.
    pub head: String,
    /// How many commits lie between.
    pub commits: usize,
    /// Changed files, with added and removed lines.
    pub files: Vec<(String, u64, u64)>,
    /// The diff, where that was wanted.
    pub patch: Option<String>,
    /// Files that were too large for it.
    pub omitted: Vec<String>,
    /// The commit of the branch that was judged.
    pub judged: Option<String>,
    /// What came to the branch since it was judged, where it has moved.
    pub moved: Option<Moved>,
}

/// What lies between the commit that was judged and the tip of the branch. Masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The commit that was judged.
    pub judged: String,
    /// Commits that came since, the newest first, each in a line. Empty where the branch went back or was rewritten.
    pub commits: Vec<String>,
    /// Changed files, with added and removed lines; `None`: the judged commit is not there any more.
    pub files: Option<Vec<(String, u64, u64)>>,
}

impl Moved {
    /// Describes the difference in a few lines.
    pub fn describe(&self) -> String {
        let mut lines: Vec<String> = self.commits.iter().take(LISTED).map(|commit| format!("  {commit}")).collect();
        let more = self.commits.len().saturating_sub(LISTED);
        lines.extend((more > 0).then(|| format!("  … and {more} more")));
        let figures = match &self.files {
            Some(files) => {
                let (added, removed) = files.iter().fold((0, 0), |sum, file| (sum.0 + file.1, sum.1 + file.2));
                format!("+{added} \u{2212}{removed} in {}", count::plural(files.len(), "file"))
            }
            None => "the judged commit is not there any more".to_owned(),
        };
        let since = match self.commits.len() {
            0 => "the branch was rewritten or set back".to_owned(),
            new => format!("{} since", count::plural(new, "commit")),
        };
        let head = format!("{since}: {figures}");
        std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
    }
}

/// Commits that are named one by one.
const LISTED: usize = 10;
/// The most commits that are read.
const MOST_COMMITS: usize = 1000;

/// Bytes of a diff at most; files that do not fit are named.
const PATCH: usize = 1 << 20;

/// Compares the branch with where it came from.
pub async fn compare(cx: &TaskContext, with_patch: bool) -> Result<Difference, EngineError> {
    let TaskContext { deps, task, .. } = cx;
    let invalid = |message: String| EngineError::Invalid { message, hint: None };
    let place = task.place.as_ref().ok_or_else(|| nothing_yet(task))?;
    let dir = cx.dir().map_err(invalid)?;
    let failed = |error: GitError| EngineError::Invalid { hint: error.hint(), message: error.to_string() };
    let repo = deps.repository(&dir).await.map_err(failed)?;
    let (base, head) = ends(&repo, task, place).await.map_err(failed)?.ok_or_else(|| gone(task, place))?;
    let at = repo.main_checkout();
    let commits = repo.commits_between(&base, &head).await.map_err(failed)?;
    let files = repo.diff_stat(&at, &base, &head).await.map_err(failed)?;
    let config = cx.config();
    let redactor = config.redactor(&deps.environment);
    let masked = |text: &str| redactor.text(text).into_owned();
    let name = |path: &std::path::Path| masked(&path.to_string_lossy());
    let (mut patch, mut omitted) = (None, Vec::new());
    if with_patch {
        let found = repo.diff(&at, &base, &head, PATCH).await.map_err(failed)?;
        // As it is: the caller writes out what a reader would not see, which is just what a reviewer must see.
        patch = Some(redactor.text(&found.text).into_owned());
        omitted = found.omitted.iter().map(|path| name(path)).collect();
    }
    let moved = match task.judged_commit().filter(|judged| *judged != head && !task.is_merged()) {
        Some(judged) => Some(moved(&repo, judged, &head, &masked).await.map_err(failed)?),
        None => None,
    };
    Ok(Difference {
        judged: task.judged_commit().map(str::to_owned),
        moved,
        branch: place.branch.clone(),
        base_branch: place.base_branch.clone(),
        files: files.iter().map(|file| (name(&file.path), file.insertions, file.deletions)).collect(),
        base,
        head,
        commits,
        patch,
        omitted,
    })
}

/// Returns what came since the judged commit.
async fn moved(repo: &Repo, judged: &str, head: &str, masked: &impl Fn(&str) -> String) -> Result<Moved, GitError> {
    let judged = judged.to_owned();
    if repo.commit_of(&judged).await?.is_none() {
        return Ok(Moved { judged, commits: Vec::new(), files: None });
    }
    let commits = repo.subjects_between(&judged, head, MOST_COMMITS).await?;
    let commits = commits.iter().map(|line| masked(line)).collect();
    let files = repo.diff_stat(&repo.main_checkout(), &judged, head).await?;
    let files =
        files.iter().map(|file| (masked(&file.path.to_string_lossy()), file.insertions, file.deletions)).collect();
    Ok(Moved { judged, commits, files: Some(files) })
}

/// Returns where the difference begins and ends. Of what is merged it is what the merge brought: the base has it all by now.
async fn ends(repo: &Repo, task: &Task, place: &Workplace) -> Result<Option<(String, String)>, GitError> {
    let merged = task.integration.as_ref().filter(|integration| integration.state == IntegrationState::Merged);
    if let Some(commit) = merged.and_then(|integration| integration.commit.as_deref())
        && let Some(commit) = repo.commit_of(commit).await?
        && let [base, _branch] = repo.parents(&commit).await?.as_slice()
    {
        return Ok(Some((base.clone(), commit)));
    }
    let Ok(branch) = BranchName::parse(&place.branch) else { return Ok(None) };
    let Some(head) = repo.tip(&branch).await? else { return Ok(None) };
    let from = parting(repo, place, &head).await?;
    Ok(Some((from, head)))
}

/// The commit from which the task's own work differs at `head`: what came to the branch from the base meanwhile is not its work.
pub(crate) async fn parting(repo: &Repo, place: &Workplace, head: &str) -> Result<String, GitError> {
    let tip = match BranchName::parse(&place.base_branch) {
        Ok(base) => repo.tip(&base).await?,
        Err(_) => None,
    };
    let common = match tip {
        Some(tip) => repo.merge_base(&tip, head).await?,
        None => None,
    };
    let Some(common) = common else { return Ok(place.base.clone()) };
    // A branch that began from the work of another task shows its own work only.
    let is_own = repo.is_ancestor(&common, &place.base).await? && repo.is_ancestor(&place.base, head).await?;
    Ok(if is_own { place.base.clone() } else { common })
}

fn nothing_yet(task: &Task) -> EngineError {
    let message = format!("task {} has no branch yet", task.id);
    EngineError::NotThere { message, hint: format!("`orch why {}` tells what it waits for", task.id) }
}

fn gone(task: &Task, place: &Workplace) -> EngineError {
    let message = format!("the branch {} of task {} is gone", place.branch, task.id);
    EngineError::NotThere { message, hint: format!("`orch task show {}` has its commits", task.id) }
}
