//! Tests that an interrupted move of the base branch is completed without losing any data.

use super::{Fixture, assert_sound, environment, main};
use crate::kit;
use crate::kit::process::Program;
use crate::kit::repo::Repo as Project;
use crate::kit::wait::{self, RUN};
use orch_core::base::names::short_hash;
use orch_sys::git::{AdvanceError, Git, GitError, Repo};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A project whose `main` is to go from one commit to another.
struct Move {
    fixture: Fixture,
    project: Project,
    repo: Repo,
    old: String,
    new: String,
}

impl Move {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let project = fixture.project("shop");
        for (file, text) in [("text", "old\n"), ("gone", "old\n"), ("deep/er/file", "old\n"), ("kept", "kept\n")] {
            project.write(file, text);
        }
        let old = project.commit("old");
        project.git(["switch", "--quiet", "--create", "next"]);
        for (file, text) in [("text", "new and long\n"), ("deep/er/file", "new\n"), ("fresh/one", "of the task\n")] {
            project.write(file, text);
        }
        std::fs::remove_file(project.dir().join("gone")).unwrap();
        std::fs::set_permissions(project.dir().join("text"), PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("kept", project.dir().join("link")).unwrap();
        let new = project.commit("new");
        project.git(["switch", "--quiet", "main"]);
        let repo = fixture.open(&project).await;
        Self { fixture, project, repo, old, new }
    }

    fn dir(&self) -> &Path {
        self.project.dir()
    }

    fn lock(&self, name: &str) -> PathBuf {
        let lock = self.dir().join(".git").join(name);
        kit::write_file(&lock, "");
        lock
    }

    /// Writes what orch writes before it begins.
    fn note(&self) -> PathBuf {
        let git_dir = self.dir().join(".git");
        let name = format!("git-{}.move", short_hash(git_dir.as_os_str().as_bytes()));
        let checkout = serde_json::json!({"work_tree": self.dir(), "git_dir": git_dir, "common_dir": git_dir});
        let note = serde_json::json!({"branch": "main", "old": self.old, "new": self.new, "checkout": checkout});
        let file = self.fixture.path("locks").join(name);
        kit::write_file(&file, &note.to_string());
        file
    }

    /// The files as git leaves them that dies while it writes them: some are new, one is begun, the index is the old one.
    fn half_way(&self) {
        self.lock("index.lock");
        for file in ["text", "gone"] {
            std::fs::remove_file(self.dir().join(file)).unwrap();
        }
        self.project.write("deep/er/file", "new\n");
        self.project.write("fresh/one", "of the");
        std::os::unix::fs::symlink("kept", self.dir().join("link")).unwrap();
    }

    async fn finish(&self) -> Result<(), AdvanceError> {
        self.repo.finish_move().await
    }

    /// The repository, by a git that runs a line of shell before it moves a checkout.
    async fn with_merges_by(&self, line: &str) -> Repo {
        let mut environment = environment(self.fixture.root.path());
        let real = kit::process::find_program(Path::new("git"), environment["PATH"].as_ref()).expect("git");
        let script = format!(
            "#!/bin/sh\nREAL={real}\ncase \"$*\" in *--ff-only*) {line};; esac\nexec {real} \"$@\"\n",
            real = real.display(),
        );
        self.fixture.script(&self.fixture.path("bin/git"), &script);
        let path = format!("{}:{}", self.fixture.path("bin").display(), environment["PATH"]);
        environment.insert("PATH".to_owned(), path);
        let git = Git::locate(&environment, &self.fixture.path("locks")).await.unwrap();
        Repo::discover(&git, self.dir()).await.unwrap()
    }

    /// Everything is at one commit, and nothing is locked.
    fn assert_at(&self, sha: &str) {
        assert_eq!(self.project.git(["rev-parse", "main"]), sha);
        assert_eq!(self.project.git(["status", "--porcelain", "--ignored"]), "");
        let locks = std::fs::read_dir(self.dir().join(".git")).unwrap().map(|entry| entry.unwrap().file_name());
        let locks: Vec<_> = locks.filter(|name| name.to_string_lossy().ends_with(".lock")).collect();
        assert!(locks.is_empty() && !self.dir().join(".git/refs/heads/main.lock").exists(), "{locks:?}");
        assert_sound(&self.project);
    }

    /// Asserts that orch changes nothing, and gives the reason.
    async fn assert_refused(&self, why: &str) {
        let before = tree(self.dir());
        let error = self.finish().await.unwrap_err();
        assert!(matches!(&error, AdvanceError::HalfMoved { reason, .. } if reason.contains(why)), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(tree(self.dir()), before, "nothing was touched");
        let moved = self.repo.advance_base(&main(), &self.old, &self.new).await;
        assert!(matches!(moved, Err(AdvanceError::HalfMoved { .. })), "{moved:?}");
    }
}

/// All files and what they hold, those of git as well.
fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut open, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => open.push(path),
                kind if kind.is_symlink() => {
                    files.push((path.clone(), path.read_link().unwrap().into_os_string().into_encoded_bytes()))
                }
                _ => files.push((path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_checkout_that_is_half_moved_goes_back_and_then_all_the_way() {
    let it = Move::new().await;
    let note = it.note();
    it.half_way();
    it.finish().await.unwrap();
    it.assert_at(&it.old);
    assert!(!note.exists() && !it.dir().join("fresh").exists());
    it.repo.advance_base(&main(), &it.old, &it.new).await.unwrap();
    it.assert_at(&it.new);
    assert!(!note.exists());
}

#[tokio::test]
async fn a_move_whose_branch_alone_was_left_behind_is_completed() {
    let it = Move::new().await;
    it.note();
    it.project.git(["read-tree", "-m", "-u", &it.old, &it.new]);
    it.lock("HEAD.lock");
    kit::write_file(&it.dir().join(".git/refs/heads/main.lock"), &it.new);
    // git's writes were not on the disk yet when the machine crashed.
    kit::write_file(&it.dir().join("fresh/one"), "");
    let advanced = it.repo.advance_base(&main(), &it.old, &it.new).await.unwrap();
    assert!(advanced.already, "it is found to be there");
    it.assert_at(&it.new);
    let log = it.project.git(["log", "--walk-reflogs", "--max-count=1", "--format=%H", "HEAD", "--"]);
    assert_eq!(log, it.new, "the checkout's own log knows the commit");
}

#[tokio::test]
async fn a_lock_that_was_left_over_a_move_that_was_made_or_not_begun_is_removed() {
    for lock in ["index.lock", "HEAD.lock", "ORIG_HEAD.lock", "refs/heads/main.lock"] {
        let it = Move::new().await;
        it.note();
        it.lock(lock);
        it.finish().await.unwrap();
        it.assert_at(&it.old);
    }
    let it = Move::new().await;
    it.note();
    it.project.git(["merge", "--quiet", "--ff-only", &it.new]);
    it.lock("HEAD.lock");
    it.finish().await.unwrap();
    it.assert_at(&it.new);
}

#[tokio::test]
async fn an_index_that_was_written_and_not_put_in_its_place_is_put_there() {
    let it = Move::new().await;
    it.note();
    it.lock("index.lock");
    let copy = it.dir().join(".git/index.orch");
    std::fs::copy(it.dir().join(".git/index"), &copy).unwrap();
    let env = it.fixture.env().into_iter().chain([("GIT_INDEX_FILE".into(), copy.clone().into())]);
    Program::new("git", it.dir()).args(["merge", "--quiet", "--ff-only", &it.new]).envs(env).run().ok();
    it.finish().await.unwrap();
    it.assert_at(&it.new);
    assert!(!copy.exists());
}

#[tokio::test]
async fn what_somebody_adds_while_the_checkout_moves_is_refused_and_not_undone() {
    let it = Move::new().await;
    it.project.write("mine", "mine\n");
    let said = it.fixture.path("said");
    let add = format!("env -u GIT_INDEX_FILE \"$REAL\" add mine 2> {}", said.display());
    let repo = it.with_merges_by(&add).await;
    repo.advance_base(&main(), &it.old, &it.new).await.unwrap();
    assert!(kit::read_file(&said).contains("index.lock"), "git says who is at it: {}", kit::read_file(&said));
    assert_eq!(it.project.git(["status", "--porcelain"]), "?? mine");
    it.project.git(["add", "mine"]);
    assert_eq!(it.project.git(["status", "--porcelain"]), "A  mine");
}

#[tokio::test]
async fn a_git_that_is_killed_while_it_moves_the_checkout_costs_nothing_but_another_try() {
    let it = Move::new().await;
    let half = "mkdir -p fresh; printf 'of the' > fresh/one; rm text gone; : > \"$GIT_INDEX_FILE.lock\"; kill -9 $$";
    let once = it.fixture.path("once");
    let repo = it.with_merges_by(&format!("[ -e {once} ] || {{ : > {once}; {half}; }}", once = once.display())).await;
    let error = repo.advance_base(&main(), &it.old, &it.new).await.unwrap_err();
    assert!(matches!(&error, AdvanceError::Moved { found: Some(found), .. } if *found == it.old), "{error}");
    assert!(once.exists(), "git was killed");
    it.assert_at(&it.old);
    repo.advance_base(&main(), &it.old, &it.new).await.unwrap();
    it.assert_at(&it.new);
}

#[tokio::test]
async fn a_commit_that_comes_while_the_files_are_brought_stands_and_the_files_go_back() {
    let it = Move::new().await;
    // git commits without the lock of the index: it has let that go before it moves the branch.
    let commit = format!(
        "\"$REAL\" read-tree -m -u {} {}; C=$(\"$REAL\" commit-tree -p HEAD -m theirs 'HEAD^{{tree}}'); \
         \"$REAL\" update-ref HEAD $C; echo \"fatal: update_ref failed for ref 'HEAD': cannot lock ref 'HEAD'\" >&2; exit 128",
        it.old, it.new
    );
    let repo = it.with_merges_by(&commit).await;
    let error = repo.advance_base(&main(), &it.old, &it.new).await.unwrap_err();
    assert!(matches!(&error, AdvanceError::Git(GitError::Failed { .. })), "it is tried again: {error}");
    let theirs = it.project.git(["rev-parse", "main"]);
    assert_eq!(it.project.git(["log", "-1", "--format=%s", "main"]), "theirs");
    it.assert_at(&theirs);
}

#[tokio::test]
async fn what_a_person_did_meanwhile_is_not_touched() {
    // A file that the move changes, one that it leaves alone, one in the place of a new one, one in the index.
    for (file, text) in [("text", "mine"), ("kept", "mine"), ("fresh/one", "mine"), ("deep/er/file", "new\nand mine\n")]
    {
        let it = Move::new().await;
        it.note();
        it.half_way();
        it.project.write(file, text);
        it.assert_refused(file).await;
        assert_eq!(it.project.read(file), text);
    }
    let it = Move::new().await;
    it.note();
    it.project.write("gone", "mine");
    it.project.git(["add", "gone"]);
    it.half_way();
    it.project.write("gone", "old\n");
    it.assert_refused("index").await;
    // The person repairs it, and orch continues.
    std::fs::remove_file(it.dir().join(".git/index.lock")).unwrap();
    it.project.git(["reset", "--quiet", "--hard", "main"]);
    it.project.git(["clean", "--quiet", "--force", "-d"]);
    it.repo.advance_base(&main(), &it.old, &it.new).await.unwrap();
    it.assert_at(&it.new);
}

#[tokio::test]
async fn a_file_that_was_there_before_is_the_persons_though_it_equals_the_new_one() {
    let it = Move::new().await;
    it.project.write("fresh/one", "of the task\n");
    let made = it.dir().join("fresh/one").metadata().unwrap().modified().unwrap();
    wait::wait_until("a later time", RUN, || SystemTime::now() > made + Duration::from_millis(20));
    it.note();
    it.finish().await.unwrap();
    assert_eq!(it.project.read("fresh/one"), "of the task\n");
    let error = it.repo.advance_base(&main(), &it.old, &it.new).await.unwrap_err();
    assert!(
        matches!(&error, AdvanceError::FilesInTheWay { files, .. } if files == &[PathBuf::from("fresh/one")]),
        "{error}"
    );
    assert_eq!(it.project.read("fresh/one"), "of the task\n");
}

#[tokio::test]
async fn a_lock_of_head_is_seen_before_a_file_is_written() {
    let it = Move::new().await;
    let lock = it.lock("HEAD.lock");
    let error = it.repo.advance_base(&main(), &it.old, &it.new).await.unwrap_err();
    assert!(matches!(&error, AdvanceError::Git(GitError::Locked { lock: found, .. }) if *found == lock), "{error}");
    assert!(lock.exists(), "it is somebody else's");
    std::fs::remove_file(&lock).unwrap();
    it.assert_at(&it.old);
    it.repo.advance_base(&main(), &it.old, &it.new).await.unwrap();
    it.assert_at(&it.new);
}

#[tokio::test]
async fn a_lock_that_somebody_may_hold_stays() {
    let it = Move::new().await;
    let elder = it.lock("index.lock");
    let made = elder.metadata().unwrap().modified().unwrap();
    wait::wait_until("a later time", RUN, || SystemTime::now() > made + Duration::from_millis(20));
    it.note();
    it.finish().await.unwrap();
    assert!(elder.exists(), "it was there before");
    std::fs::remove_file(&elder).unwrap();

    it.note();
    it.half_way();
    let lock = it.dir().join(".git/index.lock");
    let script = format!("exec 9< {}; echo open; exec tail -f /dev/null", lock.display());
    let holder = Program::new("sh", "/").args(["-c", &script]).envs(it.fixture.env()).start();
    wait::wait_until("the lock is open", RUN, || holder.said().0.contains("open"));
    it.assert_refused("may be held by tail").await;
    holder.signal(rustix::process::Signal::KILL);
    holder.finish(RUN);
    it.finish().await.unwrap();
    it.assert_at(&it.old);
}

#[tokio::test]
async fn a_checkout_that_is_switched_to_the_branch_while_that_moves_has_its_files() {
    let it = Move::new().await;
    it.project.git(["switch", "--quiet", "--create", "topic"]);
    // git runs it when the files are those of the branch, and HEAD is not yet.
    let hook = it.dir().join(".git/hooks/post-index-change");
    let wait = "#!/bin/sh\n[ \"$GIT_REFLOG_ACTION\" = switch ] || exit 0\ntouch there\nwhile [ ! -e go ]; do sleep 0.02; done\nrm there go\n";
    kit::write_file(&hook, wait);
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let env = it.fixture.env().into_iter().chain([("GIT_REFLOG_ACTION".into(), "switch".into())]);
    let switch = Program::new("git", it.dir()).args(["switch", "--quiet", "main"]).envs(env).start();
    wait::wait_until("git to switch", RUN, || it.dir().join("there").exists());
    let (repo, old, new) = (it.repo.clone(), it.old.clone(), it.new.clone());
    let moving = tokio::spawn(async move { repo.advance_base(&main(), &old, &new).await });
    let moved = || it.project.git(["rev-parse", "main"]) == it.new;
    while !moved() {
        tokio::task::yield_now().await;
    }
    kit::write_file(&it.dir().join("go"), "");
    switch.finish(RUN).ok();
    moving.await.unwrap().unwrap();
    it.assert_at(&it.new);
}
