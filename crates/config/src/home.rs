//! The layout of `ORCH_HOME`: the only module that builds its paths. PURE: it neither reads nor creates directories.

use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::names::fingerprint;
use orch_core::operations::job::JobId;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Name of the API's socket, for [`Home::socket_path`].
pub const API_SOCKET: &str = "orch.sock";
/// Name of tmux's socket, for [`Home::socket_path`]: in a directory of its own, which a sandbox can hide.
pub const TMUX_SOCKET: &str = "tmux/orch";
/// Longest path of a socket in bytes. The kernels allow 104 (macOS) and 108 (Linux) including the final NUL.
pub const MAX_SOCKET_PATH: usize = 100;

/// The directory `ORCH_HOME` and the directory of worktrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    worktrees: PathBuf,
}

impl Home {
    /// Creates the home at `root`, an absolute path without symbolic links, so that every process computes the same
    /// names. `worktrees` is `ORCH_WORKTREES`, also absolute, if it is set.
    pub fn new(root: impl Into<PathBuf>, worktrees: Option<PathBuf>) -> Self {
        // Normalizes the spelling: no `.` and no trailing slash.
        let root: PathBuf = root.into().components().collect();
        let worktrees = worktrees.unwrap_or_else(|| root.join("worktrees"));
        Self { root, worktrees }
    }

    /// Returns `ORCH_HOME` itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the base directory of all worktrees.
    pub fn worktrees(&self) -> &Path {
        &self.worktrees
    }

    /// Returns the worktree of a branch. `domain::names` makes both names safe; a branch may contain `/`.
    pub fn worktree(&self, project: &str, branch: &str) -> PathBuf {
        self.worktrees.join(project).join(branch)
    }

    /// Returns the directory with the output of one job's commands, one subdirectory per execution.
    pub fn job_commands(&self, job: &JobId) -> PathBuf {
        self.jobs_dir().join(job.as_str())
    }

    /// Returns the sidecar: route and state of a task, for other tools to read.
    pub fn sidecar(&self, task: TaskId) -> PathBuf {
        self.state().join(format!("{task}.json"))
    }

    /// Returns the directory of one run.
    pub fn run(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }

    /// Returns the path of a socket: under the state directory; if that path is too long for the kernel, in
    /// `$XDG_RUNTIME_DIR/orch-<hash>/`, or else in `/tmp/orch-<uid>-<hash>/`, with a hash of the home.
    ///
    /// Outside the home, the caller must first make sure that the directories belong to `uid` and are private to it.
    pub fn socket_path(&self, name: &str, runtime_dir: Option<&Path>, uid: u32) -> PathBuf {
        let hash = fingerprint(self.root.as_os_str().as_bytes());
        let fits = |path: &PathBuf| path.as_os_str().len() <= MAX_SOCKET_PATH;
        let at_home = self.state().join(name);
        let runtime_dir = runtime_dir.filter(|dir| dir.is_absolute());
        let at_runtime = runtime_dir.map(|dir| dir.join(format!("orch-{hash:016x}")).join(name));
        let candidates = [Some(at_home), at_runtime];
        let last = || Path::new("/tmp").join(format!("orch-{uid}-{hash:016x}")).join(name);
        candidates.into_iter().flatten().find(fits).unwrap_or_else(last)
    }
}

/// Declares the paths of the home: for each, its name, the directory above it, and what it is called there.
macro_rules! paths {
    ($($(#[$doc:meta])+ $name:ident: $above:ident / $file:literal;)+) => {
        impl Home {
            $($(#[$doc])+ pub fn $name(&self) -> PathBuf {
                self.$above().join($file)
            })+
        }
    };
}

paths! {
    /// Returns the file with the person's tasks.
    tasks_file: root / "tasks.yml";
    /// Returns the file with recurring jobs.
    jobs_file: root / "jobs.yml";
    /// Returns the file with the person's settings.
    config_file: root / "config.yml";
    /// Returns the directory with prompt templates that replace the built-in ones.
    prompts: root / "prompts";
    /// Returns the directory with the person's skills.
    skills: root / "skills";
    /// Returns the directory of runtime state, private to the daemon (0700).
    state: root / ".orch";
    /// Returns the journal.
    journal: state / "orch.db";
    /// Returns the lock file for writing `tasks.yml`.
    tasks_lock: state / "tasks.lock";
    /// Returns the lock file for writing `jobs.yml`.
    jobs_lock: state / "jobs.lock";
    /// Returns the directory with the output of all jobs' commands.
    jobs_dir: state / "jobs";
    /// Returns the directory with damaged journals, each with a report.
    damaged: state / "damaged";
    /// Returns the directory with the files that restored backups replaced.
    replaced: state / "replaced";
    /// Returns the search index of all transcripts, which may be deleted at any time.
    search_index: state / "search.db";
    /// Returns the file with the last answers of model providers.
    providers_file: state / "providers.json";
    /// Returns the lock file for writing [`Home::providers_file`].
    providers_lock: state / "providers.lock";
    /// Returns the file with the time of the last retention pass over finished runs.
    retention_stamp: state / "retention";
    /// Returns the file with the work that was in progress when the daemon stopped.
    recovery: state / "recovery.json";
    /// Returns the file with the time of the last garbage collection of worktrees.
    gc_stamp: state / "gc";
    /// Returns the directory for worktrees that are being removed: on the same disk, outside all projects' directories.
    removed_worktrees: worktrees / ".removed";
    /// Returns the directory with scratch worktrees of merges, by run.
    merges: state / "merge";
    /// Returns the lock file of the one engine that runs on this home.
    lock: state / "orch.lock";
    /// Returns the daemon's log file.
    log: state / "orch.log";
    /// Returns the file with the token of the API over TCP (0600).
    http_token: state / "http-token";
    /// Returns the directory of all runs.
    runs: state / "runs";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let home = Home::new("/home/u/.orch", None);
        for (path, expected) in [
            (home.tasks_file(), "tasks.yml"),
            (home.jobs_file(), "jobs.yml"),
            (home.config_file(), "config.yml"),
            (home.worktree("shop", "orch/7-x"), "worktrees/shop/orch/7-x"),
            (home.journal(), ".orch/orch.db"),
            (home.search_index(), ".orch/search.db"),
            (home.retention_stamp(), ".orch/retention"),
            (home.providers_file(), ".orch/providers.json"),
            (home.lock(), ".orch/orch.lock"),
            (home.log(), ".orch/orch.log"),
            (home.sidecar(TaskId(7)), ".orch/7.json"),
            (home.socket_path(API_SOCKET, None, 0), ".orch/orch.sock"),
            (home.socket_path(TMUX_SOCKET, None, 0), ".orch/tmux/orch"),
            (home.run(&RunId::new(TaskId(7), 2, 0xab)), ".orch/runs/7-2-000000ab"),
        ] {
            assert_eq!(path, Path::new("/home/u/.orch").join(expected));
        }
        let moved = Home::new("/home/u/.orch", Some("/big/trees".into()));
        assert_eq!(moved.worktree("shop", "b"), Path::new("/big/trees/shop/b"));
    }

    #[test]
    fn a_socket_that_does_not_fit_moves_to_a_shorter_place() {
        let home = Home::new(format!("/home/u/{}", "long name'é/".repeat(12)), None);
        let runtime = Path::new("/run/user/1000");
        let hash = "1fb41aa5fd8e89c9";
        assert_eq!(home.socket_path(API_SOCKET, Some(runtime), 1000), runtime.join(format!("orch-{hash}/orch.sock")));
        assert_eq!(home.socket_path(TMUX_SOCKET, None, 1000), Path::new(&format!("/tmp/orch-1000-{hash}/tmux/orch")));
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
        let relative = home.socket_path(API_SOCKET, Some(Path::new("run")), 1000);
        assert_eq!(relative, Path::new(&format!("/tmp/orch-1000-{hash}/orch.sock")));
    }

    proptest! {
        #[test]
        fn a_socket_always_fits_and_two_homes_never_share_one(
            a in "/[^\\x00]{1,200}", b in "/[^\\x00]{1,200}", runtime in proptest::option::of("/[a-zé ]{1,120}"), uid: u32,
        ) {
            let runtime = runtime.as_deref().map(Path::new);
            let path = |home: &str| Home::new(home, None).socket_path(TMUX_SOCKET, runtime, uid);
            prop_assert!(path(&a).as_os_str().len() <= MAX_SOCKET_PATH);
            prop_assert_eq!(path(&a), path(&a));
            prop_assume!(Path::new(&a) != Path::new(&b));
            prop_assert_ne!(path(&a), path(&b));
        }
    }
}
