//! The states in which worktrees are left: each possible feature, alone and combined.

use super::dice::Dice;
use super::fixture::Fixture;
use super::process::Running;
use super::repo::Repo as Project;
use super::wait;
use orch_core::operations::gc::Reason;
use orch_sys::worktree::Worktree;
use std::path::PathBuf;

/// One feature of a worktree's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Work is committed and merged into the base.
    Merged,
    /// Work is committed and stays on the branch.
    Unpushed,
    /// Work is committed, and a remote has it.
    Pushed,
    /// A commit was made and amended.
    Amended,
    /// A build left its cache, which git ignores.
    Ignored,
    /// A file is changed.
    Dirty,
    /// A change is staged.
    Staged,
    /// There is a new file.
    Untracked,
    /// A change was hidden from git.
    Concealed,
    /// A change was stashed.
    Stash,
    /// A commit without a branch is checked out.
    Detached,
    /// A commit was made without a branch, and left behind.
    Abandoned,
    /// The branch's own commit is checked out without the branch.
    DetachedHere,
    /// A rebase stopped at a conflict.
    Rebasing,
    /// A merge stopped at a conflict.
    Merging,
    /// A bisection goes on.
    Bisecting,
    /// Somebody locked it.
    Locked,
    /// There is another repository in it.
    Nested,
    /// The same, where git ignores it.
    NestedIgnored,
    /// There is a submodule with work in it.
    Submodule,
    /// Another branch is checked out.
    OtherBranch,
    /// There is a reference of the worktree alone.
    OwnRef,
    /// A process works in it.
    Busy,
}

use Deed::*;

/// The features, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(Vec<Deed>);

/// The work in a worktree that must not get lost.
#[derive(Default)]
pub struct Made {
    /// Commits that must be reachable afterwards.
    pub commits: Vec<String>,
    /// The commit that is checked out at the end.
    pub head: String,
    /// Files that must be there afterwards, with their text.
    pub edits: Vec<(PathBuf, String)>,
    /// The commits of nested repositories, with the paths of these.
    nested: Vec<(String, PathBuf)>,
    process: Option<Running>,
}

impl State {
    /// Returns a random combination.
    pub fn any(dice: &mut Dice) -> Self {
        const FIRST: [Option<Deed>; 5] = [None, Some(Merged), Some(Unpushed), Some(Pushed), Some(Amended)];
        const THEN: [Deed; 18] = [
            Ignored,
            Dirty,
            Staged,
            Untracked,
            Concealed,
            Stash,
            Detached,
            Abandoned,
            DetachedHere,
            Rebasing,
            Merging,
            Bisecting,
            Locked,
            Nested,
            NestedIgnored,
            Submodule,
            OtherBranch,
            OwnRef,
        ];
        let mut deeds: Vec<Deed> = FIRST[dice.at(5)].into_iter().collect();
        for _ in 0..dice.below(3) {
            let deed = THEN[dice.at(18)];
            // Features that stop half-way or leave the branch come last.
            let is_last = deeds.last().is_some_and(|last| last.is_unfinished());
            if !is_last && !deeds.contains(&deed) {
                deeds.push(deed);
            }
        }
        if dice.below(12) == 0 {
            deeds.push(Busy);
        }
        Self(deeds)
    }

    /// Returns each feature alone, with the reason to keep the worktree; `None` if it may be removed.
    pub fn each() -> Vec<(Self, Option<Reason>)> {
        let alone = |deed| Self(vec![deed]);
        vec![
            (Self(Vec::new()), None),
            (alone(Merged), None),
            (alone(Pushed), None),
            (alone(Ignored), None),
            (alone(DetachedHere), None),
            (alone(Abandoned), None),
            (alone(Unpushed), Some(Reason::Unmerged)),
            (alone(Amended), Some(Reason::Unmerged)),
            (alone(Dirty), Some(Reason::Changed)),
            (alone(Staged), Some(Reason::Changed)),
            (alone(Untracked), Some(Reason::Changed)),
            (alone(Concealed), Some(Reason::Concealed)),
            (alone(Stash), Some(Reason::Stash)),
            (alone(Detached), Some(Reason::Detached)),
            (alone(Rebasing), Some(Reason::InProgress)),
            (alone(Merging), Some(Reason::InProgress)),
            (alone(Bisecting), Some(Reason::InProgress)),
            (alone(Locked), Some(Reason::Locked)),
            (alone(Nested), Some(Reason::Changed)),
            (alone(NestedIgnored), Some(Reason::Nested)),
            (Self(vec![Submodule, Merged]), Some(Reason::Nested)),
            (alone(OtherBranch), Some(Reason::OtherBranch)),
            (alone(OwnRef), Some(Reason::OwnRefs)),
            (alone(Busy), Some(Reason::Busy)),
        ]
    }

    /// Returns whether nothing exists only in the worktree.
    pub fn is_free(&self) -> bool {
        self.0.iter().all(|deed| matches!(deed, Merged | Pushed | Ignored | DetachedHere | Abandoned))
    }
}

impl Deed {
    fn is_unfinished(self) -> bool {
        matches!(self, Detached | DetachedHere | Rebasing | Merging | Bisecting | OtherBranch | Concealed | Submodule)
    }
}

/// Returns whether a commit is in a nested repository that still exists.
pub fn is_nested(made: &Made, sha: &str) -> bool {
    made.nested.iter().any(|(commit, dir)| commit == sha && dir.join(".git").exists())
}

/// Ends the processes in the worktree.
pub fn release(made: Made) {
    if let Some(process) = made.process {
        process.signal(rustix::process::Signal::KILL);
        process.finish(wait::SOON);
    }
}

/// Makes all features of the state.
pub fn make(fixture: &Fixture, worktree: &Worktree, state: &State) -> Made {
    let mut made = Made::default();
    for deed in &state.0 {
        one(fixture, worktree, *deed, &mut made);
    }
    made.head = fixture.inside(worktree).head();
    made
}

fn one(fixture: &Fixture, worktree: &Worktree, deed: Deed, made: &mut Made) {
    let tree = fixture.inside(worktree);
    let branch = worktree.branch.as_str();
    let unique = format!("{deed:?}-{}\n", branch.replace('/', "-"));
    let mut edit = |name: &str| {
        tree.write(name, &unique);
        let path = worktree.path.join(name);
        // The person has removed what was there before.
        made.edits.retain(|(known, _)| *known != path);
        made.edits.push((path, unique.clone()));
    };
    match deed {
        Merged => {
            made.commits.push(commit(&tree, "merged.txt", &unique));
            fixture.project.git(["merge", "--quiet", "--no-ff", "--no-edit", branch]);
        }
        Unpushed => made.commits.push(commit(&tree, "own.txt", &unique)),
        Pushed => {
            let sha = commit(&tree, "pushed.txt", &unique);
            fixture.project.git(["update-ref", &format!("refs/remotes/origin/{branch}"), &sha]);
            made.commits.push(sha);
        }
        Amended => {
            commit(&tree, "amended.txt", "first\n");
            tree.write("amended.txt", &unique);
            tree.git(["commit", "--quiet", "--all", "--amend", "--no-edit"]);
            made.commits.push(tree.head());
        }
        Ignored => tree.write("cache/object.bin", &unique),
        Dirty => edit("README.md"),
        Staged => {
            edit("second.txt");
            tree.git(["add", "second.txt"]);
        }
        Untracked => edit("new/deep/file.txt"),
        Concealed => {
            edit("README.md");
            tree.git(["update-index", "--assume-unchanged", "README.md"]);
        }
        Stash => {
            let before = tree.git(["status", "--porcelain", "--untracked-files=no"]);
            if before.is_empty() {
                tree.write("README.md", &unique);
                tree.git(["stash", "push", "--quiet"]);
                made.commits.push(tree.git(["rev-parse", "refs/stash"]));
            }
        }
        Detached | Abandoned => {
            tree.git(["switch", "--quiet", "--detach"]);
            made.commits.push(commit(&tree, "floating.txt", &unique));
            if deed == Abandoned {
                tree.git(["switch", "--quiet", branch]);
            }
        }
        DetachedHere => drop(tree.git(["switch", "--quiet", "--detach"])),
        Rebasing | Merging | Bisecting => unfinished(fixture, &tree, deed, &unique, made),
        Locked => drop(tree.git(["worktree", "lock", &worktree.path.to_string_lossy()])),
        Nested | NestedIgnored => {
            let place = if deed == Nested { "inner" } else { "cache/inner" };
            let inner = Project::create(&worktree.path.join(place), fixture.sealed.env());
            let sha = commit(&inner, "inner.txt", &unique);
            made.nested.push((sha.clone(), inner.dir().to_owned()));
            made.commits.push(sha);
        }
        Submodule => submodule(fixture, &tree, made, &unique),
        OtherBranch => drop(tree.git(["switch", "--quiet", "-c", &format!("other-{}", branch.replace('/', "-"))])),
        OwnRef => drop(tree.git(["update-ref", "refs/worktree/mine", "HEAD"])),
        Busy => {
            let script = "echo here; exec sleep 1000";
            let running = fixture.sealed.run_program_in("sh", &worktree.path).args(["-c", script]).start();
            wait::wait_until("the process to be there", wait::SOON, || running.said().0.contains("here"));
            made.process = Some(running);
        }
    }
}

fn unfinished(fixture: &Fixture, tree: &Project, deed: Deed, unique: &str, made: &mut Made) {
    if !tree.git(["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        return; // git itself refuses to begin over changes.
    }
    if deed == Bisecting {
        tree.git(["bisect", "start"]);
        return;
    }
    made.commits.push(commit(tree, "second.txt", unique));
    fixture.project.write("second.txt", &format!("the base's own, {unique}"));
    fixture.project.commit("the base goes on");
    let stopped =
        if deed == Rebasing { tree.try_git(["rebase", "main"]) } else { tree.try_git(["merge", "--no-edit", "main"]) };
    assert_ne!(stopped.code, Some(0), "it stops at a conflict");
}

fn submodule(fixture: &Fixture, tree: &Project, made: &mut Made, unique: &str) {
    let origin = fixture.path("library");
    if !origin.exists() {
        Project::create(&origin, fixture.sealed.env());
    }
    let added = tree.try_git([
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        "--force",
        &origin.to_string_lossy(),
        "library",
    ]);
    if added.code != Some(0) {
        return; // Over changes of another kind git refuses.
    }
    tree.git(["commit", "--quiet", "--message", "a submodule"]);
    made.commits.push(tree.head());
    let dir = tree.dir().join("library");
    let inner = Project::at(&dir, fixture.sealed.env());
    inner.git(["config", "user.name", "Test Person"]);
    inner.git(["config", "user.email", "person@example.invalid"]);
    let recorded = inner.head();
    let sha = commit(&inner, "inner.txt", unique);
    inner.git(["branch", "work"]);
    // The outer repository's record is unchanged, so git does not report the changes inside.
    inner.git(["checkout", "--quiet", &recorded]);
    inner.write("README.md", unique);
    made.edits.push((dir.join("README.md"), unique.to_owned()));
    made.nested.push((sha.clone(), dir));
    made.commits.push(sha);
}

/// Commits only this file.
fn commit(tree: &Project, name: &str, text: &str) -> String {
    tree.write(name, text);
    tree.git(["add", "--force", name]);
    tree.git(["commit", "--quiet", "--message", name, "--", name]);
    tree.head()
}
