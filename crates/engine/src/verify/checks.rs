//! Running the project's checks, and finding out what a red one means: whether it is flaky, whether it was red before,
//! whether it is green only by rules that the work has changed for itself.

use crate::deps::Deps;
use crate::verify::run_check::{CHECK_TAIL, run_check, tail};
use crate::verify::workspace::{Purpose, Unready, Workspace};
use jiff::SignedDuration;
use orch_config::resolved::Config;
use orch_core::base::external::StepProblem;
use orch_core::base::ids::RunId;
use orch_core::base::names::short_hash;
use orch_core::tasks::evidence::{Check, CheckState};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use orch_sys::git::{Checkout, Repo};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
/// The number of answers of checks on base commits that are remembered.
const BASELINES: usize = 1000;
/// How long a check that was red on a base commit counts as red there without another check.
const RED_HOLDS: SignedDuration = SignedDuration::from_secs(600);

/// What the checks of one run are run with.
pub struct Checking<'a> {
    /// The adapters of the engine.
    pub deps: &'a Arc<Deps>,
    /// The project's settings.
    pub config: &'a Config,
    /// The run whose work is checked.
    pub run: &'a RunId,
    /// The repository of the project.
    pub repo: &'a Repo,
    /// The commit without the work.
    pub base: &'a str,
    /// Where the whole output of the checks is kept.
    pub output_dir: &'a Path,
    /// A check that was red before is what the work is about.
    pub mends: bool,
    /// The task's own variables.
    pub env: &'a BTreeMap<String, String>,
}

/// The place where checks run.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A fresh checkout of the commit that is judged.
    Fresh(&'a Checkout),
    /// Where something else is as well: nothing is taken back there.
    AsItIs(&'a Path),
}

impl Place<'_> {
    fn dir(&self) -> &Path {
        match self {
            Self::Fresh(at) => &at.work_tree,
            Self::AsItIs(dir) => dir,
        }
    }
}

impl Checking<'_> {
    /// A place for a scratch checkout.
    pub fn scratch(&self, purpose: &str) -> PathBuf {
        self.deps.home.merges().join(format!("{}-{purpose}", self.run))
    }

    /// Makes the checkout ready and runs the checks, one after the other, up to the first that the work is to blame for.
    pub async fn run_all(&self, place: Place<'_>) -> Vec<Check> {
        if self.config.workflow.checks.is_empty() {
            return Vec::new();
        }
        let mut checks = Vec::new();
        if let Err(unready) = self.make_ready(place.dir(), "setup").await {
            return vec![self.unready(unready).await];
        }
        for (index, command) in self.config.workflow.checks.iter().enumerate() {
            let check = self.run_with_retry(index + 1, command, place).await;
            let goes_on = check.state == CheckState::Passed || (check.fails_on_base() && !self.mends);
            checks.push(check);
            if !goes_on {
                break;
            }
        }
        checks
    }

    /// Makes the checkout ready and runs each check once. A checkout that cannot be made ready is the only answer then.
    pub async fn run_each(&self, dir: &Path) -> Vec<Check> {
        match self.make_ready(dir, "setup").await {
            Ok(()) => {}
            Err(unready) => return vec![unready_check(unready)],
        }
        let mut checks = Vec::new();
        for (index, command) in self.config.workflow.checks.iter().enumerate() {
            checks.push(self.run(&format!("check-{}", index + 1), command, dir).await);
        }
        checks
    }

    async fn make_ready(&self, dir: &Path, name: &str) -> Result<(), Unready> {
        let Checking { deps, config, repo, run, env, .. } = *self;
        let at = repo.open_worktree(dir).map_err(|error| Unready::Files(error.to_string()))?;
        let Some(at) = at else { return Ok(()) };
        let log = self.output_dir.join(format!("{name}.log"));
        Workspace { deps, config, repo, run, env }.ready(&at, Purpose::Check, &log).await
    }

    /// A checkout that cannot be made ready, as a check that did not pass. The base shows whether the work is to blame.
    async fn unready(&self, unready: Unready) -> Check {
        let mut check = unready_check(unready);
        let scratch = self.scratch("base");
        check.on_base = match self.repo.checkout_aside(&scratch, self.base).await {
            Ok(at) => match self.make_ready(&at.work_tree, "setup-base").await {
                Ok(()) => Some(CheckState::Passed),
                Err(_) => Some(check.state),
            },
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "the base cannot be checked");
                None
            }
        };
        self.drop_scratch(&scratch).await;
        check
    }

    /// One check. A red one is run once more on the same files, and then without the work.
    async fn run_with_retry(&self, number: usize, command: &str, place: Place<'_>) -> Check {
        let dir = place.dir();
        let mut check = self.run(&format!("check-{number}"), command, dir).await;
        if check.state == CheckState::Failed && self.is_as_committed(place).await {
            let again = self.run(&format!("check-{number}-again"), command, dir).await;
            if again.state == CheckState::Passed {
                return Check { flaky: true, ..again };
            }
        }
        if check.state != CheckState::Passed {
            check.on_base = self.on_base(number, command).await;
        }
        check
    }

    /// Takes back what a check has done to the files: some mend what they complain of, and would be content then. What the
    /// project ignores stays, for the builds to come.
    async fn is_as_committed(&self, place: Place<'_>) -> bool {
        match place {
            Place::AsItIs(_) => true,
            Place::Fresh(at) => {
                let reset = self.repo.take_back_changes(at).await;
                reset.inspect_err(|error| tracing::warn!(run = %self.run, %error, "a check is not run again")).is_ok()
            }
        }
    }

    /// How a check goes on the base commit; remembered. `None`: that could not be found out.
    async fn on_base(&self, number: usize, command: &str) -> Option<CheckState> {
        let dir = self.deps.home.state().join("baselines");
        // What the workspace brings decides as well how a check goes.
        let workspace = self.workspace_stamp().await;
        let key = format!("{}\n{}\n{command}{workspace}", self.repo.common_dir().display(), self.base);
        let key = short_hash(key.as_bytes());
        let file = dir.join(format!("{}-{key}.json", &self.base[..self.base.len().min(12)]));
        if let Some(known) = self.remembered(&file) {
            return Some(known);
        }
        let scratch = self.scratch("base");
        let at = self.repo.checkout_aside(&scratch, self.base).await;
        let at = at.inspect_err(|error| tracing::warn!(run = %self.run, %error, "the base cannot be checked")).ok()?;
        let state = match self.make_ready(&at.work_tree, "setup-base").await {
            Ok(()) => Some(self.run(&format!("check-{number}-base"), command, &at.work_tree).await.state),
            Err(_) => None,
        };
        self.drop_scratch(&scratch).await;
        let state = state?;
        let text = orch_store::records::to_json(&state).ok()?;
        let kept =
            fs::create_dir_private(&dir).and_then(|()| fs::write_private(&file, text.as_bytes(), Durability::Cached));
        if let Err(error) = kept {
            tracing::warn!(run = %self.run, %error, "how a check goes on the base could not be remembered");
        }
        forget_oldest(&dir);
        Some(state)
    }

    /// How a check went on a base commit before. That it was red is soon doubted: what it needs beside the files, a server
    /// or a network, may be there again.
    fn remembered(&self, file: &Path) -> Option<CheckState> {
        let known: CheckState = orch_store::records::from_json(&fs::read_text(file, 4096).ok()?).ok()?;
        let age = || Some(self.deps.clock.now().duration_since(fs::Fingerprint::read(file)?.modified()?));
        (known == CheckState::Passed || age().is_some_and(|age| age < RED_HOLDS)).then_some(known)
    }

    /// Runs the green ones once more in a scratch checkout, with the base's own `files` in place of the work's.
    pub async fn by_base_rules(
        &self,
        at: &Checkout,
        files: &[String],
        checks: &mut [Check],
    ) -> Result<(), StepProblem> {
        self.repo.restore_files(at, self.base, files).await?;
        for (index, check) in checks.iter_mut().enumerate().filter(|(_, check)| check.state == CheckState::Passed) {
            let name = format!("check-{}-base-rules", index + 1);
            check.by_base_rules = Some(self.run(&name, &check.command, &at.work_tree).await.state);
        }
        Ok(())
    }

    /// Returns what the workspace brings to the base, in short: the same text where it brings the same.
    async fn workspace_stamp(&self) -> String {
        let Checking { deps, config, repo, run, env, .. } = *self;
        Workspace { deps, config, repo, run, env }.fingerprint().await
    }

    /// Throws a scratch checkout away.
    pub async fn drop_scratch(&self, scratch: &Path) {
        if let Err(error) = self.repo.remove_scratch(scratch).await {
            tracing::warn!(run = %self.run, %error, "a scratch worktree is left behind");
        }
    }

    /// Runs one check, and keeps its output as `<name>.log`.
    async fn run(&self, name: &str, command: &str, dir: &Path) -> Check {
        point!("judge.check.before");
        let (mut check, output) =
            run_check(self.deps, command, self.run, dir, self.config.workflow.check_timeout, self.env).await;
        point!("judge.check.after");
        let output = self.config.redactor(&self.deps.environment).text(&output).into_owned();
        let file = self.output_dir.join(format!("{name}.log"));
        let kept = fs::create_dir_private(self.output_dir)
            .and_then(|()| fs::write_private(&file, output.as_bytes(), Durability::Cached));
        point!("judge.kept");
        if let Err(error) = kept {
            tracing::warn!(run = %self.run, %error, "the output of a check could not be kept");
        }
        check.output_tail = tail(&orch_runner::sanitize(&output), CHECK_TAIL).to_owned();
        check
    }
}

fn unready_check(unready: Unready) -> Check {
    match unready {
        Unready::Setup(check) => *check,
        Unready::Files(problem) => {
            Check { output_tail: problem, is_setup: true, ..Check::new("workspace", CheckState::NotStarted) }
        }
    }
}

/// Makes room: the files that were written first go.
fn forget_oldest(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort();
    for (_, path) in files.iter().take(files.len().saturating_sub(BASELINES)) {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::debug!(path = %path.display(), %error, "a remembered check stays");
        }
    }
}
