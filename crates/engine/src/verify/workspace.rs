//! Making a fresh checkout ready to work in: submodules, files that git does not track, and the project's own setup.
//!
//! What an agent has made never comes into it: files come from the person's checkout, and what an earlier setup
//! installed is reused only where that setup ran on the base branch.

use crate::deps::Deps;
use crate::settings::content_id;
use crate::verify::run_check::run_check;
use orch_config::resolved::Config;
use orch_core::base::ids::RunId;
use orch_core::base::names::short_hash;
use orch_core::tasks::evidence::{Check, CheckState};
use orch_core::tasks::workspace::{LOCK_FILES, is_installer};
use orch_core::text::shell::word;
use orch_sys::fs::{self, Bring, Durability};
use orch_sys::git::{Checkout, Head, Repo};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Patterns of files to copy, in the person's checkout.
const INCLUDE: &str = ".worktreeinclude";
/// The file in a checkout's own git directory that says for what it was made ready.
const READY: &str = "orch-workspace";
/// The file that says what a finished setup has made.
const MADE: &str = "made.json";
/// The largest lock file that is read, in bytes.
const LARGEST: usize = 64 << 20;
/// The number of results of setups that are kept for each repository.
const KEPT: usize = 4;

/// Why a checkout is not ready. It is the project's fault, or the machine's; no agent has to do with it.
#[derive(Debug, Clone)]
pub enum Unready {
    /// A setup command did not succeed, twice.
    Setup(Box<Check>),
    /// A file or a submodule could not be brought; in words.
    Files(String),
}

impl Unready {
    /// Describes the problem for a person, with what to do.
    pub fn describe(&self) -> String {
        match self {
            Self::Setup(check) => {
                let tail = check.output_tail.trim_end();
                let end = if tail.is_empty() { String::new() } else { format!("\n{tail}") };
                format!("`{}` of workspace.setup {}{end}", check.command, check.describe_result())
            }
            Self::Files(problem) => problem.clone(),
        }
    }
}

/// What a checkout is made ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An agent works there, and commits what it finds.
    Work,
    /// Checks run there.
    Check,
}

/// What is needed to make checkouts of one project ready.
pub struct Workspace<'a> {
    /// The adapters of the engine.
    pub deps: &'a Arc<Deps>,
    /// The project's settings.
    pub config: &'a Config,
    /// The repository of the project.
    pub repo: &'a Repo,
    /// The run that the checkout is for.
    pub run: &'a RunId,
    /// The task's own variables.
    pub env: &'a BTreeMap<String, String>,
}

fn files(error: impl std::fmt::Display) -> Unready {
    Unready::Files(error.to_string())
}

impl Workspace<'_> {
    /// Makes a checkout ready; one that is ready stays as it is. What the setup printed is kept in `log`.
    pub async fn ready(&self, at: &Checkout, purpose: Purpose, log: &Path) -> Result<(), Unready> {
        let wanted = &self.config.workspace;
        let include = self.include();
        let has_submodules = at.work_tree.join(".gitmodules").is_file();
        let brings = !wanted.copy.is_empty() || !wanted.link.is_empty() || include.is_some();
        if !brings && !has_submodules && wanted.setup.is_empty() {
            return Ok(());
        }
        let mark = at.git_dir.join(READY);
        let stamp = self.stamp(&at.work_tree);
        if fs::read_text(&mark, 4096).is_ok_and(|found| found == stamp) {
            return Ok(());
        }
        let before = match purpose {
            Purpose::Work => self.visible(at).await?,
            Purpose::Check => BTreeSet::new(),
        };
        if has_submodules {
            self.submodules(at).await?;
        }
        self.bring(at, include.as_deref()).await?;
        self.set_up(at, log).await?;
        if purpose == Purpose::Work {
            self.require_ignored(at, &before).await?;
        }
        fs::write_private(&mark, stamp.as_bytes(), Durability::Cached).map_err(files)
    }

    /// Returns what the settings and the person's checkout bring, in short. Empty where they bring nothing.
    pub async fn fingerprint(&self) -> String {
        let wanted = &self.config.workspace;
        let include = self.include();
        let mut text = String::new();
        if !wanted.copy.is_empty() || include.is_some() {
            let found = self.repo.untracked_matching(&wanted.copy, include.as_deref()).await.unwrap_or_default();
            let root = self.repo.root();
            text =
                found.iter().map(|path| format!("\n{path:?} {:?}", fs::Fingerprint::read(&root.join(path)))).collect();
        }
        if !wanted.link.is_empty() || !wanted.setup.is_empty() {
            text.push_str(&format!("\n{:?} {:?}", wanted.link, wanted.setup));
        }
        text
    }

    async fn submodules(&self, at: &Checkout) -> Result<(), Unready> {
        let root = word(self.repo.root());
        let hint = format!("git -C {root} submodule update --init --recursive");
        let empty = self.repo.ensure_submodules(at).await.map_err(|error| files(format!("{error} ({hint})")))?;
        for path in empty {
            tracing::info!(run = %self.run, submodule = %path.display(), "it is not initialised in the main checkout");
        }
        Ok(())
    }

    /// The person's own list of files to copy. One that is a link leads elsewhere and is left alone.
    fn include(&self) -> Option<PathBuf> {
        let file = self.repo.root().join(INCLUDE);
        file.symlink_metadata().is_ok_and(|kind| kind.is_file()).then_some(file)
    }

    /// Brings what is not tracked from the person's checkout.
    async fn bring(&self, at: &Checkout, include: Option<&Path>) -> Result<(), Unready> {
        let wanted = &self.config.workspace;
        let mut brought: Vec<(PathBuf, Bring)> = Vec::new();
        for path in &wanted.link {
            let path = PathBuf::from(path.trim_end_matches('/'));
            if self.repo.tracks(&path).await.map_err(files)? {
                return Err(files(format!("workspace.link: git tracks {}: take it out there", path.display())));
            }
            brought.push((path, Bring::Link));
        }
        if !wanted.copy.is_empty() || include.is_some() {
            let found = self.repo.untracked_matching(&wanted.copy, include).await.map_err(files)?;
            brought.extend(found.into_iter().map(|path| (path, Bring::Copy)));
        }
        let (from, to) = (self.repo.root().to_owned(), at.work_tree.clone());
        blocking(move || brought.iter().try_for_each(|(path, how)| fs::bring(&from, &to, path, *how).map(drop))).await
    }

    /// Runs the setup, or takes what an earlier one has made.
    async fn set_up(&self, at: &Checkout, log: &Path) -> Result<(), Unready> {
        let commands = &self.config.workspace.setup;
        if commands.is_empty() {
            return Ok(());
        }
        let key = self.key(&at.work_tree).filter(|_| commands.iter().all(|command| is_installer(command)));
        if let Some(key) = key
            && let Some((tree, paths)) = self.made(&key, log).await
        {
            let to = at.work_tree.clone();
            blocking(move || paths.iter().try_for_each(|path| fs::bring(&tree, &to, path, Bring::Copy).map(drop)))
                .await?;
            let note = format!("{}: taken from an earlier setup with the same lock file\n", commands.join("; "));
            self.keep(log, &note);
            return Ok(());
        }
        self.run_setup(at, log).await
    }

    /// Runs the commands, each once more where it does not succeed: a network may have been away for a moment.
    async fn run_setup(&self, at: &Checkout, log: &Path) -> Result<(), Unready> {
        let limit = self.config.workflow.check_timeout;
        let mut said = String::new();
        for command in &self.config.workspace.setup {
            let mut last = None;
            for _ in 0..2 {
                let (check, output) = run_check(self.deps, command, self.run, &at.work_tree, limit, self.env).await;
                let output = self.config.redactor(&self.deps.environment).text(&output).into_owned();
                said.push_str(&format!("$ {command}\n{}", orch_runner::sanitize(&output)));
                said.push_str(&format!("({}, {} ms)\n", check.describe_result(), check.duration_ms));
                let is_done = check.state == CheckState::Passed;
                let tail = orch_runner::sanitize(&output);
                last = Some(Check { output_tail: last_lines(&tail), is_setup: true, ..check });
                if is_done {
                    break;
                }
            }
            self.keep(log, &said);
            if let Some(check) = last.filter(|check| check.state != CheckState::Passed) {
                return Err(Unready::Setup(Box::new(check)));
            }
        }
        // A setup may touch files that are tracked, such as a lock file; work and checks begin from the commit.
        self.repo.restore_tracked(at).await.map_err(files)
    }

    fn keep(&self, log: &Path, text: &str) {
        let dir = log.parent().unwrap_or(log);
        let kept =
            fs::create_dir_private(dir).and_then(|()| fs::write_private(log, text.as_bytes(), Durability::Cached));
        if let Err(error) = kept {
            tracing::warn!(run = %self.run, %error, "the output of a setup could not be kept");
        }
    }

    /// Returns what is not as it was committed, and not ignored.
    async fn visible(&self, at: &Checkout) -> Result<BTreeSet<PathBuf>, Unready> {
        let head = self.head(at).await?;
        Ok(self.repo.touched(at, &head).await.map_err(files)?.into_iter().collect())
    }

    /// What is brought into an agent's worktree and not ignored would become part of its work.
    async fn require_ignored(&self, at: &Checkout, before: &BTreeSet<PathBuf>) -> Result<(), Unready> {
        let after = self.visible(at).await?;
        let named: Vec<String> = after.difference(before).take(5).map(|path| path.display().to_string()).collect();
        if named.is_empty() {
            return Ok(());
        }
        let problem = "git does not ignore what the workspace brings, and the agent would commit it";
        Err(files(format!("{problem}: {}; add it to .gitignore", named.join(", "))))
    }

    async fn head(&self, at: &Checkout) -> Result<String, Unready> {
        match self.repo.head_of(at).await.map_err(files)? {
            Head::Branch { sha, .. } | Head::Detached { sha } => Ok(sha),
            Head::Unborn { .. } => Err(files("the branch has no commit")),
        }
    }

    /// For what a checkout is made ready: the settings, and what decides what a setup installs.
    fn stamp(&self, dir: &Path) -> String {
        let wanted = &self.config.workspace;
        let locks = self.key(dir).unwrap_or_default();
        content_id(format!("{:?}\n{:?}\n{:?}\n{locks}", wanted.copy, wanted.link, wanted.setup).as_bytes())
    }

    /// Returns what two checkouts have in common for which a setup installs the same. `None`: nothing says so.
    fn key(&self, dir: &Path) -> Option<String> {
        let read = |name: &&str| Some(((*name).to_owned(), fs::read_limited(&dir.join(name), LARGEST).ok()?));
        let locks: Vec<(String, Vec<u8>)> = LOCK_FILES.iter().filter_map(read).collect();
        if locks.is_empty() {
            return None;
        }
        let mut text = self.config.workspace.setup.join("\n").into_bytes();
        for (name, bytes) in locks {
            text.extend_from_slice(format!("\n{name} {}\n", content_id(&bytes)).as_bytes());
        }
        Some(content_id(&text)[..32].to_owned())
    }

    /// Returns what the setup makes of the base branch, where that has the same lock files: made now, where it is not made yet.
    /// `None`: it cannot be reused, or not be made.
    async fn made(&self, key: &str, log: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
        let repository = short_hash(self.repo.common_dir().as_os_str().as_encoded_bytes());
        let all = self.deps.home.state().join("workspaces").join(repository);
        let dir = all.join(key);
        let _alone = self.deps.ledger.turn(self.repo.common_dir(), &format!("workspace {key}")).await;
        if let Some(paths) = known(&dir) {
            return paths.map(|paths| (dir.join("tree"), paths));
        }
        let base = self.repo.default_branch(self.config.workflow.base_branch.as_deref()).await.ok()?;
        let tip = self.repo.tip(&base).await.ok()??;
        let scratch = self.deps.home.merges().join(format!("{}-setup", self.run));
        let at = self.repo.checkout_aside(&scratch, &tip).await.ok()?;
        let made = match self.key(&at.work_tree) {
            Some(found) if found == key => self.make(&at, &dir, log).await,
            Some(_) | None => None,
        };
        if let Err(error) = self.repo.remove_scratch(&scratch).await {
            tracing::warn!(run = %self.run, %error, "a scratch worktree is left behind");
        }
        forget_oldest(&all);
        made.map(|paths| (dir.join("tree"), paths))
    }

    /// Runs the setup on the base, and moves what it made to `dir`, whole or not at all.
    async fn make(&self, at: &Checkout, dir: &Path, log: &Path) -> Option<Vec<PathBuf>> {
        self.bring(at, self.include().as_deref()).await.ok()?;
        let before: BTreeSet<PathBuf> = self.repo.untracked(at).await.ok()?.into_iter().collect();
        self.run_setup(at, log).await.ok()?;
        let after = self.repo.untracked(at).await.ok()?;
        let made: Vec<PathBuf> = after.into_iter().filter(|path| !before.contains(path)).collect();
        let (from, dir) = (at.work_tree.clone(), dir.to_owned());
        let stored = tokio::task::spawn_blocking(move || store(&from, &dir, made)).await;
        match stored {
            Ok(Ok(paths)) => paths,
            Ok(Err(error)) => {
                tracing::warn!(run = %self.run, %error, "what a setup made is not kept");
                None
            }
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "what a setup made is not kept");
                None
            }
        }
    }
}

/// Returns what a finished setup has made, by the note beside it: the outer `None`: there is no such note; the inner: it cannot
/// be used elsewhere.
fn known(dir: &Path) -> Option<Option<Vec<PathBuf>>> {
    let text = fs::read_text(&dir.join(MADE), 1 << 20).ok()?;
    serde_json::from_str(&text).ok()
}

/// Keeps what a setup made. What names the place where it was made, as a Python environment does, would lead back there
/// and is not kept.
fn store(from: &Path, dir: &Path, made: Vec<PathBuf>) -> Result<Option<Vec<PathBuf>>, fs::FsError> {
    let staging = dir.with_extension("new");
    fs::remove_tree(&staging)?;
    let tree = staging.join("tree");
    fs::create_dirs(&tree)?;
    let mut is_bound = false;
    for path in &made {
        is_bound = is_bound || fs::names_place(&from.join(path), from)?;
    }
    let kept = (!is_bound).then_some(made);
    for path in kept.iter().flatten() {
        fs::relocate(from, &tree, path)?;
    }
    let note = serde_json::to_vec(&kept).unwrap_or_default();
    fs::write_private(&staging.join(MADE), &note, Durability::Cached)?;
    fs::move_aside(&staging, dir)?;
    Ok(kept)
}

/// Makes room: what was made first goes first.
fn forget_oldest(all: &Path) {
    let Ok(names) = fs::names(all) else { return };
    let mut dirs: Vec<_> = names.into_iter().map(|name| all.join(name)).collect();
    dirs.sort_by_key(|dir| fs::Fingerprint::read(&dir.join(MADE)).and_then(|found| found.modified()));
    for dir in dirs.iter().take(dirs.len().saturating_sub(KEPT)) {
        if let Err(error) = fs::remove_tree(dir) {
            tracing::debug!(path = %dir.display(), %error, "what a setup made stays");
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

async fn blocking(work: impl FnOnce() -> Result<(), fs::FsError> + Send + 'static) -> Result<(), Unready> {
    tokio::task::spawn_blocking(work).await.map_err(files)?.map_err(files)
}
