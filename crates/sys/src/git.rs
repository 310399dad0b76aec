//! git, through its command line: the state of a repository and of worktrees, detection of forbidden changes, and the
//! merge of a finished branch.
//!
//! Every call runs git by its absolute path, without a shell, with an environment made here, under a time limit, and
//! under settings that keep a hostile repository from starting a program (`settings`). Directories are passed
//! explicitly (`GIT_DIR`, `GIT_COMMON_DIR`, `GIT_WORK_TREE`), so that a pointer file in a checkout redirects nothing.
//!
//! Never here: a push, a forced update of a branch, a decision about a task.

mod around;
mod base;
mod call;
mod changes;
mod command;
mod concealed;
mod difference;
mod durable;
mod error;
mod evidence;
mod guard;
mod halfway;
mod index_lock;
mod inprogress;
mod joined;
mod leftovers;
mod lock;
mod marks;
mod merge;
mod merge_error;
mod ongoing;
mod reattach;
mod remembered;
mod repo;
mod revert;
mod rewritten;
mod settings;
mod sides;
mod stale;
mod stand;
mod status;
mod submodules;
mod trace;
mod untracked;
mod worktrees;

pub use around::{is_top, main_checkout_around};
pub use base::{Base, checked_out};
pub use call::Checkout;
pub use changes::{Change, Danger, MoveProgress, RefChange, RefMove};
pub use command::GitCommand;
pub use concealed::Concealed;
pub use difference::Difference;
pub use error::{GitError, OLDEST_GIT};
pub use evidence::{Evidence, FileChange, Patch};
pub use guard::Guard;
pub use inprogress::Operation;
pub use joined::Joined;
pub use leftovers::{Author, Leftovers, LeftoversError};
pub use merge::{AdvanceError, Advanced, Candidate, MergeError, MergeRequest, Merged};
pub use ongoing::Hanging;
pub use repo::{Head, Repo};
pub use revert::RevertRequest;
pub use submodules::SubmoduleError;
pub use trace::{forget_traces, trace_file, trace_variables};

pub(crate) use base::require_sha;
pub(crate) use call::{CHECKOUT, Call, mark};
pub(crate) use stale::clear_branch_lock;
pub(crate) use status::Untracked;
pub(crate) use worktrees::{Entry, Presence, same_place, settled};

use crate::process::{self, Invocation};
use lock::Locks;
use ongoing::Ongoing;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time limit of `git version`.
const VERSION: Duration = Duration::from_secs(10);

/// Variables of the daemon that are passed to git beside `PATH`: it needs them to find the user's settings and to reach
/// a remote.
const PASSED: &[&str] = &[
    "HOME",
    "XDG_CONFIG_HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// The installed git and the environment in which it runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    version: (u32, u32),
    environment: Arc<Vec<(OsString, OsString)>>,
    locks: Locks,
    ongoing: Ongoing,
}

impl Git {
    /// Finds git in the `PATH` of `environment` and reads its version. `locks` is a directory for lock files, made when
    /// it is missing; every process that works with the same repositories (daemon, CLI) must name the same one.
    pub async fn locate(environment: &BTreeMap<String, String>, locks: &Path) -> Result<Self, GitError> {
        let path = environment.get("PATH").map_or("", String::as_str);
        let program = process::which("git", path).ok_or(GitError::GitMissing)?;
        let environment = Arc::new(base_environment(environment));
        let call = Invocation::new(&program, "/").arg("version").envs(environment.iter().cloned());
        let call = call.time_limit(VERSION);
        let text = process::run_async(&call).await?.text();
        let version = parse_version(&text)
            .ok_or_else(|| GitError::Unexpected { command: "git version".to_owned(), detail: text.clone() })?;
        if version < OLDEST_GIT {
            return Err(GitError::TooOld { found: text.trim_start_matches("git version ").to_owned() });
        }
        Ok(Self { program, version, environment, locks: Locks::new(locks), ongoing: Ongoing::default() })
    }

    /// Returns the absolute path of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the commands that currently make no progress.
    pub fn hanging(&self) -> Vec<Hanging> {
        self.ongoing.hanging()
    }

    /// Returns the version of git: major and minor.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }
}

/// Returns the environment of every call, without the settings.
fn base_environment(environment: &BTreeMap<String, String>) -> Vec<(OsString, OsString)> {
    let passed = PASSED.iter().filter_map(|name| Some((OsString::from(name), OsString::from(environment.get(*name)?))));
    // A relative entry would let a program be found in a checkout.
    let path = environment.get("PATH").map_or("", String::as_str).split(':').filter(|dir| dir.starts_with('/'));
    let path = (OsString::from("PATH"), OsString::from(path.collect::<Vec<_>>().join(":")));
    let fixed = settings::VARIABLES.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    passed.chain([path]).chain(fixed).collect()
}

/// `git version 2.47.3.windows.1` → (2, 47).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split(['.', ' ', '-']).map(|part| part.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_vendors_write_them() {
        assert_eq!(parse_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(parse_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(parse_version("git version 3.0-rc1"), Some((3, 0)));
        assert_eq!(parse_version("hub version 2"), None);
    }

    #[test]
    fn no_variable_of_git_and_no_relative_search_path_is_passed_on() {
        let given = [
            ("GIT_DIR", "/x"),
            ("GIT_CONFIG_COUNT", "1"),
            ("PATH", ".:/bin::bin:/usr/bin"),
            ("HOME", "/h"),
            ("LC_ALL", "de_DE"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let result: BTreeMap<OsString, OsString> = base_environment(&given).into_iter().collect();
        assert_eq!(result.get(&OsString::from("PATH")), Some(&OsString::from("/bin:/usr/bin")));
        assert_eq!(result.get(&OsString::from("LC_ALL")), Some(&OsString::from("C")));
        assert!(
            !result.contains_key(&OsString::from("GIT_DIR"))
                && !result.contains_key(&OsString::from("GIT_CONFIG_COUNT"))
        );
    }
}
