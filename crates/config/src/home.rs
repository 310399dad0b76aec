//! The layout of `ORCH_HOME`: the only place that joins names to its paths. PURE: no directory is looked at or made.

use orch_core::ids::{RunId, TaskId};
use orch_core::job::JobId;
use orch_core::names::fingerprint;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Name of the API's socket, for [`Home::socket_path`].
pub const API_SOCKET: &str = "orch.sock";
/// Name of tmux's socket, for [`Home::socket_path`]: in a directory of its own, which a sandbox can hide.
pub const TMUX_SOCKET: &str = "tmux/orch";
/// Longest path of a socket in bytes. The kernels allow 104 (macOS) and 108 (Linux) with the final zero.
pub const MAX_SOCKET_PATH: usize = 100;

/// A home of orch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    worktrees: PathBuf,
}

impl Home {
    /// The home at `root`, an absolute path without symbolic links, so that every process computes the same names;
    /// `worktrees` is `ORCH_WORKTREES`, absolute too, when it is set.
    pub fn new(root: impl Into<PathBuf>, worktrees: Option<PathBuf>) -> Self {
        // Spelled one way: without `.` and without a slash at the end.
        let root: PathBuf = root.into().components().collect();
        let worktrees = worktrees.unwrap_or_else(|| root.join("worktrees"));
        Self { root, worktrees }
    }

    /// `ORCH_HOME` itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tasks.
    pub fn tasks_file(&self) -> PathBuf {
        self.root.join("tasks.yml")
    }

    /// What recurs.
    pub fn jobs_file(&self) -> PathBuf {
        self.root.join("jobs.yml")
    }

    /// The person's settings.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.yml")
    }

    /// Templates that replace orch's own.
    pub fn prompts(&self) -> PathBuf {
        self.root.join("prompts")
    }

    /// The person's skills.
    pub fn skills(&self) -> PathBuf {
        self.root.join("skills")
    }

    /// Base directory of all worktrees.
    pub fn worktrees(&self) -> &Path {
        &self.worktrees
    }

    /// The worktree of a branch. Both names are made safe by `domain::names`; a branch may hold `/`.
    pub fn worktree(&self, project: &str, branch: &str) -> PathBuf {
        self.worktrees.join(project).join(branch)
    }

    /// Runtime state, the daemon's alone (0700).
    pub fn state(&self) -> PathBuf {
        self.root.join(".orch")
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.state().join("orch.db")
    }

    /// Held while `tasks.yml` is written.
    pub fn tasks_lock(&self) -> PathBuf {
        self.state().join("tasks.lock")
    }

    /// Held while `jobs.yml` is written.
    pub fn jobs_lock(&self) -> PathBuf {
        self.state().join("jobs.lock")
    }

    /// What the commands of jobs leave.
    pub fn jobs_dir(&self) -> PathBuf {
        self.state().join("jobs")
    }

    /// The output of the commands of a job, each in a directory of its own.
    pub fn job_commands(&self, job: &JobId) -> PathBuf {
        self.jobs_dir().join(job.as_str())
    }

    /// Journals that were damaged, each with the report on what became of it.
    pub fn damaged(&self) -> PathBuf {
        self.state().join("damaged")
    }

    /// What stood in the home before a backup was restored.
    pub fn replaced(&self) -> PathBuf {
        self.state().join("replaced")
    }

    /// The index of all transcripts: may be thrown away at any time.
    pub fn search_index(&self) -> PathBuf {
        self.state().join("search.db")
    }

    /// What model providers answered last.
    pub fn providers_file(&self) -> PathBuf {
        self.state().join("providers.json")
    }

    /// Held while that is written.
    pub fn providers_lock(&self) -> PathBuf {
        self.state().join("providers.lock")
    }

    /// When finished runs were last looked through for what is kept too long.
    pub fn retention_stamp(&self) -> PathBuf {
        self.state().join("retention")
    }

    /// What was under way when the daemon left.
    pub fn recovery(&self) -> PathBuf {
        self.state().join("recovery.json")
    }

    /// When worktrees were last looked through for those that may go.
    pub fn gc_stamp(&self) -> PathBuf {
        self.state().join("gc")
    }

    /// Where worktrees lie while they are being removed: on the disk of the others, and no project's directory.
    pub fn removed_worktrees(&self) -> PathBuf {
        self.worktrees.join(".removed")
    }

    /// Scratch worktrees in which merges are tried, by run.
    pub fn merges(&self) -> PathBuf {
        self.state().join("merge")
    }

    /// Held by the one engine that runs on this home.
    pub fn lock(&self) -> PathBuf {
        self.state().join("orch.lock")
    }

    /// The daemon's log.
    pub fn log(&self) -> PathBuf {
        self.state().join("orch.log")
    }

    /// The token of the API over TCP (0600).
    pub fn http_token(&self) -> PathBuf {
        self.state().join("http-token")
    }

    /// Route and state of a task, for other tools to read.
    pub fn sidecar(&self, task: TaskId) -> PathBuf {
        self.state().join(format!("{task}.json"))
    }

    /// All runs.
    pub fn runs(&self) -> PathBuf {
        self.state().join("runs")
    }

    /// The directory of one run.
    pub fn run(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }

    /// Where a socket of that name belongs: under the state directory; where that path would be too long for the
    /// kernel, in `$XDG_RUNTIME_DIR/orch-<hash>/`, or else in `/tmp/orch-<uid>-<hash>/`, with a hash of the home.
    ///
    /// Outside the home, whoever uses the path must first make sure that its directories belong to `uid` and are open
    /// to nobody else.
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
