//! A call of git: the checkout it works in, and the settings it runs under.

use super::error::GitError;
use super::halfway::holder;
use super::remembered::Remembered;
use super::repo::Repo;
use super::settings::{self, Setting, Settings};
use super::stale;
use crate::fs;
use crate::process::{self, Excess, Invocation, Output};
use orch_core::base::names::short_hash;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time limit of a command that reads, or changes little.
const QUICK: Duration = Duration::from_secs(60);
/// Time limit of a command that writes a whole checkout.
pub(crate) const CHECKOUT: Duration = Duration::from_secs(600);
/// How long such a command may make no progress: no processor time, no I/O, no wait for a disk.
pub(super) const QUIET: Duration = Duration::from_secs(8);
/// The same for a command that writes a checkout, whose filters may wait for a server.
const QUIET_CHECKOUT: Duration = Duration::from_secs(40);
/// The most that a command may print, in bytes. A hundred thousand long paths fit.
const OUTPUT_LIMIT: usize = 64 << 20;

/// The file in which a linked checkout's git directory names the directory shared by all checkouts.
const COMMON_DIR_FILE: &str = "commondir";

/// A checkout with all of its directories.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkout {
    /// The directory of the working tree.
    pub work_tree: PathBuf,
    /// Its own git directory: `<common>` for the main checkout, `<common>/worktrees/<name>` for a linked one.
    pub git_dir: PathBuf,
    /// The git directory that all checkouts share.
    pub common_dir: PathBuf,
}

impl Checkout {
    /// Rejects a linked checkout whose `commondir` file names another repository: git reads refs there, whatever the
    /// environment says, and anyone who works in the checkout can change the file.
    fn require_common_dir(&self) -> Result<(), GitError> {
        if self.git_dir == self.common_dir {
            return Ok(());
        }
        let file = self.git_dir.join(COMMON_DIR_FILE);
        let target = fs::read_limited(&file, 16 << 10)
            .ok()
            .and_then(|text| self.git_dir.join(OsStr::from_bytes(text.trim_ascii_end())).canonicalize().ok());
        if target.is_some() && target == self.common_dir.canonicalize().ok() {
            Ok(())
        } else {
            Err(GitError::Redirected { file })
        }
    }

    /// Corrects the `commondir` file. Returns whether it was wrong.
    pub(crate) fn restore_common_dir(&self) -> Result<bool, GitError> {
        let Err(GitError::Redirected { file }) = self.require_common_dir() else { return Ok(false) };
        write_common_dir(&file)?;
        self.require_common_dir().map(|()| true)
    }
}

/// Writes the `commondir` file, whose content is the same for every linked checkout.
pub(super) fn write_common_dir(file: &Path) -> Result<(), GitError> {
    let written = fs::write_private(file, b"../..\n", fs::Durability::Cached);
    written.map_err(|error| GitError::file(file, error))
}

/// A git command under construction.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    args: Vec<OsString>,
    stdin: Vec<u8>,
    settings: Vec<Setting>,
    variables: Vec<(OsString, OsString)>,
    time_limit: Duration,
    output_limit: usize,
}

impl Call {
    /// Starts a command `git <args>`. Names from outside go behind `--` or `--end-of-options`, or are full ref names.
    pub(crate) fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let (stdin, settings, variables) = (Vec::new(), Vec::new(), Vec::new());
        Self { args, stdin, settings, variables, time_limit: QUICK, output_limit: OUTPUT_LIMIT }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    pub(crate) fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets how many bytes it may print before it is killed and the call fails.
    pub(crate) fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Adds a configuration setting for this call alone.
    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Returns how long it may make no progress before it is killed.
    fn quiet_limit(&self) -> Duration {
        if self.time_limit > QUICK { QUIET_CHECKOUT } else { QUIET }
    }

    /// Returns the command's name for messages: `git` and the subcommand.
    fn label(&self) -> String {
        let word = self.args.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        format!("git {word}")
    }
}

/// Fingerprints of a checkout's configuration files when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<FileStamp>; 2]);

/// Inode, size, and the times of the last content and status change (seconds, nanoseconds).
type FileStamp = (u64, u64, [i64; 4]);

impl Stamp {
    fn read(at: &Checkout) -> Self {
        let stamp = |file: PathBuf| {
            let m = std::fs::metadata(file).ok()?;
            Some((m.ino(), m.size(), [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()]))
        };
        Self([stamp(at.common_dir.join("config")), stamp(at.git_dir.join("config.worktree"))])
    }
}

/// Caches what was read from each checkout's configuration until one of its files changes.
pub(super) type Known = Remembered<CachedConfiguration>;

#[derive(Debug, Clone)]
pub(super) struct CachedConfiguration {
    stamp: Stamp,
    settings: Arc<Settings>,
    entries: Arc<Vec<settings::Entry>>,
}

impl Repo {
    /// Runs a command in a checkout. The caller judges a non-zero exit code.
    pub(crate) async fn run(&self, at: &Checkout, call: Call) -> Result<Output, GitError> {
        let settings = self.settings(at).await?;
        self.run_under(at, call, &settings.pairs).await
    }

    /// Runs a command that must exit with 0.
    ///
    /// A killed `git worktree add` can make every later git command that lists worktrees fail, the user's too: that is
    /// repaired here, and the command is repeated.
    pub(crate) async fn ask(&self, at: &Checkout, call: Call) -> Result<Output, GitError> {
        let label = call.label();
        let mut output = self.run(at, call.clone()).await?;
        if !output.success()
            && let Some(file) = unreadable_common_dir(&output, &self.common_dir)
        {
            stale::fill_common_dir(&file).await?;
            output = self.run(at, call).await?;
        }
        if !output.success() {
            return Err(self.with_holder(at, failed(label, &output)).await);
        }
        if is_cut_off(&output, &label) {
            return Err(GitError::unexpected(&label, "the answer breaks off"));
        }
        Ok(output)
    }

    /// Adds to a lock error the process that holds the lock.
    pub(super) async fn with_holder(&self, at: &Checkout, error: GitError) -> GitError {
        let GitError::Locked { lock, holder: None } = error else { return error };
        let (at, file) = (at.clone(), lock.clone());
        let found = tokio::task::spawn_blocking(move || holder(&at, &file)).await;
        GitError::Locked { lock, holder: found.ok().flatten() }
    }

    /// Fails while another process holds the index lock of a checkout.
    pub(super) async fn require_index_free(&self, at: &Checkout) -> Result<(), GitError> {
        let lock = at.git_dir.join("index.lock");
        match lock.symlink_metadata() {
            Ok(_) => Err(self.with_holder(at, GitError::Locked { lock, holder: None }).await),
            Err(_) => Ok(()),
        }
    }

    /// Runs a command whose exit code 1 means "no".
    pub(crate) async fn holds(&self, at: &Checkout, call: Call) -> Result<bool, GitError> {
        let label = call.label();
        let output = self.run(at, call).await?;
        match output.exit.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            Some(_) | None => Err(failed(label, &output)),
        }
    }

    /// Returns whether an object exists: git exits with 1 or 128 where it does not. A killed git is an error.
    pub(crate) async fn has_object(&self, at: &Checkout, object: &str) -> Result<bool, GitError> {
        let output = self.run(at, Call::new(["cat-file", "-e", object])).await?;
        match output.exit.code {
            Some(0) => Ok(true),
            Some(1 | 128) => Ok(false),
            Some(_) | None => Err(failed("git cat-file".to_owned(), &output)),
        }
    }

    /// Runs a command that prints one word, or exits with 1 and prints nothing.
    pub(super) async fn word(&self, at: &Checkout, call: Call) -> Result<Option<String>, GitError> {
        let label = call.label();
        let output = self.run(at, call).await?;
        let word = output.text();
        match output.exit.code {
            Some(0) if word.is_empty() || is_cut_off(&output, &label) => {
                Err(GitError::unexpected(&label, "the answer breaks off"))
            }
            Some(0) => Ok(Some(word)),
            Some(1) => Ok(None),
            Some(_) | None => Err(failed(label, &output)),
        }
    }

    /// Returns the settings for a checkout, read again whenever its configuration has changed.
    pub(crate) async fn settings(&self, at: &Checkout) -> Result<Arc<Settings>, GitError> {
        Ok(self.cached_configuration(at).await?.settings)
    }

    /// Returns the effective configuration of a checkout. Values from the user's own files may be outdated.
    pub(super) async fn configuration(&self, at: &Checkout) -> Result<Arc<Vec<settings::Entry>>, GitError> {
        Ok(self.cached_configuration(at).await?.entries)
    }

    async fn cached_configuration(&self, at: &Checkout) -> Result<CachedConfiguration, GitError> {
        let stamp = Stamp::read(at);
        let known = self.known.get(&at.git_dir);
        if let Some(cached_configuration) = known.filter(|known| known.stamp == stamp && !known.settings.includes) {
            return Ok(cached_configuration);
        }
        let entries = Arc::new(self.listed(at).await?);
        let cached_configuration =
            CachedConfiguration { stamp, settings: Arc::new(settings::settings(&entries)), entries };
        self.known.keep(&at.git_dir, cached_configuration.clone());
        Ok(cached_configuration)
    }

    /// Reads the whole effective configuration of a checkout with `git config --list`, which starts no other program.
    async fn listed(&self, at: &Checkout) -> Result<Vec<settings::Entry>, GitError> {
        let call = Call::new(["config", "--list", "--show-scope", "-z", "--includes"]);
        let output = self.run_under(at, call, &settings::always()).await?;
        if !output.success() {
            return Err(failed("git config".to_owned(), &output));
        }
        // A repository sets at least its format version.
        let listed = settings::parse_listing(&output.stdout).filter(|listed| !listed.is_empty());
        listed.ok_or_else(|| GitError::unexpected("git config --list", "the listing breaks off"))
    }

    async fn run_under(&self, at: &Checkout, mut call: Call, pairs: &[Setting]) -> Result<Output, GitError> {
        let quiet_limit = call.quiet_limit();
        at.require_common_dir()?;
        let pairs = [pairs, &std::mem::take(&mut call.settings)].concat();
        let invocation = Invocation::new(&self.git.program, &at.work_tree)
            .args(&call.args)
            .envs(self.git.environment.iter().cloned())
            .envs(settings::as_variables(&pairs))
            .env("GIT_DIR", &at.git_dir)
            .env("GIT_COMMON_DIR", &at.common_dir)
            .env("GIT_WORK_TREE", &at.work_tree)
            .env(process::RUN_MARK, mark(&at.work_tree))
            .envs(call.variables)
            .stdin(call.stdin)
            .time_limit(call.time_limit)
            .output_limit(call.output_limit, Excess::Kill);
        let label = invocation.label();
        Ok(self.git.ongoing.run(&invocation, &label, &at.common_dir, quiet_limit).await?)
    }
}

/// Returns the mark of git commands that work on a checkout, by which those of a killed daemon, which continue, are
/// found.
pub(crate) fn mark(work_tree: &Path) -> String {
    format!("git-{}", short_hash(work_tree.as_os_str().as_bytes()))
}

/// Returns the worktree file that git could not read, if that is why it failed.
fn unreadable_common_dir(output: &Output, common_dir: &Path) -> Option<PathBuf> {
    let detail = output.error_text();
    let file = detail.lines().find_map(|line| line.split_once("failed to read ")?.1.rsplit_once(": "))?.0;
    let file = PathBuf::from(file);
    let is_note = file.file_name() == Some(OsStr::new(COMMON_DIR_FILE))
        && file.parent().and_then(Path::parent) == Some(&common_dir.join("worktrees"));
    is_note.then_some(file)
}

/// Converts a failed command into an error; causes that the user can remove get their own variants.
pub(crate) fn failed(command: String, output: &Output) -> GitError {
    let detail = output.error_text();
    let lock = detail.lines().find_map(|line| {
        let file = line.split_once("nable to create '")?.1.split_once("': File exists")?.0;
        Some(PathBuf::from(file))
    });
    match lock {
        Some(lock) => GitError::Locked { lock, holder: None },
        None => GitError::Failed { command, exit: output.exit, detail: shortened(&detail) },
    }
}

/// Returns whether an output ends in the middle of a line, which only the content of an object may.
fn is_cut_off(output: &Output, label: &str) -> bool {
    label != "git cat-file" && output.stdout.last().is_some_and(|last| !matches!(last, b'\n' | 0))
}

/// Returns the first lines of stderr that say what is wrong.
pub(super) fn shortened(detail: &str) -> String {
    let text: Vec<&str> =
        detail.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("hint:")).take(6).collect();
    text.join("\n").chars().take(800).collect()
}

/// Describes a checkout known by its path alone, for the commands that find out about it.
pub(super) fn unknown_checkout_call(git: &super::Git, dir: &Path, args: &[&str]) -> Invocation {
    Invocation::new(&git.program, dir)
        .args(args)
        .envs(git.environment.iter().cloned())
        .envs(settings::as_variables(&settings::always()))
        .time_limit(QUICK)
}
