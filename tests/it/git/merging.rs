//! The merge of a finished branch, and how the base moves.

use super::{Fixture, assert_sound, inside, main};
use crate::kit;
use crate::kit::process::Program;
use crate::kit::repo::Repo as Project;
use orch_core::base::names::BranchName;
use orch_sys::git::{AdvanceError, Candidate, MergeError, MergeRequest, Merged, Operation, Repo, RevertRequest};
use orch_sys::worktree::WorktreeRequest;
use std::path::{Path, PathBuf};

async fn merge(fixture: &Fixture, repo: &Repo, branch: &BranchName) -> Result<Merged, MergeError> {
    let scratch = fixture.path("scratch/1");
    let message = "Merge task #1: -x $(y)";
    repo.merge_candidate(&MergeRequest {
        branch,
        base: &main(),
        scratch: &scratch,
        message,
        trailers: "",
        expected: None,
    })
    .await
}

/// A project with a task that has changed `file`, ready to be merged.
async fn finished(fixture: &Fixture, file: &str) -> (Project, Repo, BranchName) {
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    inside(fixture, &worktree).commit(file, "of the task\n");
    (project, repo, worktree.branch)
}

fn ready(merged: Merged) -> Candidate {
    match merged {
        Merged::Ready(candidate) => candidate,
        Merged::Already { base_sha, .. } => panic!("already merged at {base_sha}"),
    }
}

#[tokio::test]
async fn a_merge_is_tried_aside_and_then_moves_the_base_and_its_clean_checkout() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    let old = project.head();
    project.write("unknown", "mine");
    let candidate = ready(merge(&fixture, &repo, &branch).await.unwrap());
    assert_eq!((&candidate.base_sha, project.head()), (&old, old.clone()), "the base has not moved yet");
    assert!(candidate.checkout.work_tree.join("feature").exists());
    let advanced = repo.advance_base(&main(), &candidate.base_sha, &candidate.merge_sha).await.unwrap();
    assert_eq!(advanced.checkout.as_deref(), Some(project.dir()));
    assert_eq!(project.read("feature"), "of the task\n");
    assert_eq!(project.git(["status", "--porcelain"]), "?? unknown");
    assert_eq!(project.subjects("main")[0], "Merge task #1: -x $(y)");
    assert_eq!(project.git(["rev-parse", "main^1", "main^2"]), format!("{old}\n{}", candidate.branch_sha));
    repo.remove_scratch(&candidate.checkout.work_tree).await.unwrap();
    repo.remove_scratch(&candidate.checkout.work_tree).await.unwrap();
    assert_sound(&project);
}

#[tokio::test]
async fn every_step_may_be_repeated() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    let first = ready(merge(&fixture, &repo, &branch).await.unwrap());
    // A check left something behind, and the daemon crashed.
    kit::write_file(&first.checkout.work_tree.join("target/x"), "");
    kit::write_file(&first.checkout.work_tree.join("feature"), "broken");
    let second = ready(merge(&fixture, &repo, &branch).await.unwrap());
    assert_eq!(kit::read_file(&second.checkout.work_tree.join("feature")), "of the task\n");
    assert!(!second.checkout.work_tree.join("target").exists());
    for already in [false, true] {
        let advanced = repo.advance_base(&main(), &second.base_sha, &second.merge_sha).await.unwrap();
        assert_eq!((advanced.already, &advanced.sha), (already, &second.merge_sha));
    }
    let (base_sha, commit) = (second.merge_sha.clone(), second.merge_sha);
    assert_eq!(merge(&fixture, &repo, &branch).await.unwrap(), Merged::Already { base_sha, commit });
    assert_eq!(project.git(["worktree", "list"]).lines().count(), 3, "the scratch stays until it is removed");
}

#[tokio::test]
async fn a_conflict_names_the_files_and_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "README.md").await;
    project.write("README.md", "of the user\n");
    let base = project.commit("user");
    let error = merge(&fixture, &repo, &branch).await.unwrap_err();
    let MergeError::Conflict { files, sides, .. } = &error else { panic!("{error}") };
    assert_eq!(files, &[PathBuf::from("README.md")]);
    // What was there before, and what each side made of it.
    for part in ["README.md:\n@@@", "<<<<<<<", "of the user", "# A project", "=======", "of the task", ">>>>>>>"] {
        assert!(sides.contains(part), "{part:?} is missing: {sides}");
    }
    assert!(error.hint().is_some() && !fixture.path("scratch/1").exists());
    assert_eq!(project.head(), base);
    assert_sound(&project);
}

#[tokio::test]
async fn a_dirty_checkout_of_the_base_is_not_touched() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    let candidate = ready(merge(&fixture, &repo, &branch).await.unwrap());
    let base = main();
    let advance = || repo.advance_base(&base, &candidate.base_sha, &candidate.merge_sha);
    project.write("README.md", "half a thought\n");
    let error = advance().await.unwrap_err();
    assert!(
        matches!(&error, AdvanceError::BaseDirty { files, .. } if files == &[PathBuf::from("README.md")]),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("commit or stash"));
    project.git(["checkout", "--quiet", "README.md"]);
    // Untracked and ignored files are in the way as well.
    let in_the_way = async || {
        let error = advance().await.unwrap_err();
        let is_named =
            matches!(&error, AdvanceError::FilesInTheWay { files, .. } if files == &[PathBuf::from("feature")]);
        assert!(is_named, "{error}");
    };
    project.write("feature", "mine");
    in_the_way().await;
    project.write(".git/info/exclude", "feature\n");
    in_the_way().await;
    assert_eq!((project.read("feature").as_str(), project.head()), ("mine", candidate.base_sha.clone()));
    std::fs::remove_file(project.dir().join("feature")).unwrap();
    project.write("feature/inside", "mine");
    in_the_way().await;
    std::fs::remove_dir_all(project.dir().join("feature")).unwrap();
    assert!(!advance().await.unwrap().already);
}

#[tokio::test]
async fn what_is_in_the_way_of_a_merge_is_named_and_the_advice_clears_it() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.write("d/tracked", "1\n");
    project.write("local.conf", "theirs\n");
    project.write(".gitignore", "*.log\nbuild/\n");
    project.commit("The beginning");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let (agent, branch) = (inside(&fixture, &worktree), worktree.branch);
    std::fs::remove_dir_all(worktree.path.join("d")).unwrap();
    kit::write_file(&worktree.path.join("local.conf"), "of the task\n");
    agent.commit("d", "a file now");
    agent.git(["commit", "--quiet", "--all", "--allow-empty", "--message", "the rest"]);
    let candidate = ready(merge(&fixture, &repo, &branch).await.unwrap());
    let base = main();
    let refused = async || repo.advance_base(&base, &candidate.base_sha, &candidate.merge_sha).await.unwrap_err();
    let obey = |error: &AdvanceError| {
        let hint = error.hint().unwrap();
        let command = hint.rsplit(": cd ").next().unwrap().replace('…', "\"$HOME\"");
        Program::new("sh", project.dir()).args(["-ec", &format!("cd {command}")]).envs(fixture.env()).run().ok();
    };
    for option in ["--skip-worktree", "--assume-unchanged"] {
        project.git(["update-index", option, "local.conf"]);
        project.write("local.conf", "mine\n");
        let error = refused().await;
        assert!(
            matches!(&error, AdvanceError::Concealed { .. }) && error.to_string().contains("local.conf"),
            "{error}"
        );
        obey(&error);
        assert_eq!(project.read("local.conf"), "theirs\n", "{error}");
    }
    for path in ["d/mine", "d/a.log", "d/build/one", "d/build/two"] {
        project.write(path, "mine\n");
    }
    let error = refused().await;
    assert!(error.to_string().ends_with(": d/a.log, d/build/, d/mine"), "{error}");
    obey(&error);
    assert!(!repo.advance_base(&base, &candidate.base_sha, &candidate.merge_sha).await.unwrap().already);
    assert_eq!(project.read("d"), "a file now");
}

#[tokio::test]
async fn a_base_that_somebody_rebases_or_bisects_is_not_moved_until_he_is_through() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    project.write("mine", "1\n");
    project.commit("one");
    project.write("mine", "2\n");
    project.commit("two");
    project.git(["worktree", "add", "--quiet", "--detach", "../linked"]);
    let linked = Project::at(&fixture.path("linked"), fixture.env());
    let base = main();
    let candidate = ready(merge(&fixture, &repo, &branch).await.unwrap());
    let (old, new) = (candidate.base_sha.clone(), candidate.merge_sha.clone());
    let refused = async |operation: Operation, place: &Path| {
        for error in
            [repo.require_movable(&base).await.unwrap_err(), repo.advance_base(&base, &old, &new).await.unwrap_err()]
        {
            let AdvanceError::InProgress { path, operation: found, .. } = &error else { panic!("{error}") };
            assert_eq!((*found, path.as_path()), (operation, place), "{error}");
            assert!(error.hint().unwrap().contains(operation.abort()));
        }
        assert_eq!(project.git(["rev-parse", "main"]), old);
    };
    let in_rebase = ["-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "--quiet", "-i", "HEAD~2"];
    project.git(in_rebase);
    refused(Operation::Rebase, project.dir()).await;
    project.git(["rebase", "--abort"]);
    project.git(["bisect", "start", "main", "main~2"]);
    refused(Operation::Bisect, project.dir()).await;
    project.git(["bisect", "reset"]);
    project.git(["switch", "--quiet", "--create", "other", "main~1"]);
    linked.git(["switch", "--quiet", "main"]);
    linked.git(in_rebase);
    refused(Operation::Rebase, linked.dir()).await;
    linked.git(["rebase", "--abort"]);
    linked.git(["merge", "--quiet", "--no-commit", "--no-ff", branch.as_str()]);
    refused(Operation::Merge, linked.dir()).await;
    linked.git(["merge", "--abort"]);
    // Operations on another branch are not in the way.
    project.git(["bisect", "start", "other", "other~1"]);
    repo.require_movable(&base).await.unwrap();
    repo.advance_base(&base, &old, &new).await.unwrap();
    assert_eq!(linked.read("feature"), "of the task\n");
    assert_sound(&project);
}

#[tokio::test]
async fn a_base_that_moved_meanwhile_is_merged_anew() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    let stale = ready(merge(&fixture, &repo, &branch).await.unwrap());
    project.write("other", "");
    let moved = project.commit("other");
    let error = repo.advance_base(&main(), &stale.base_sha, &stale.merge_sha).await.unwrap_err();
    assert!(matches!(&error, AdvanceError::Moved { found: Some(found), .. } if *found == moved), "{error}");
    let fresh = ready(merge(&fixture, &repo, &branch).await.unwrap());
    repo.advance_base(&main(), &fresh.base_sha, &fresh.merge_sha).await.unwrap();
    assert!(project.dir().join("other").exists() && project.dir().join("feature").exists());
    let backwards = repo.advance_base(&main(), &fresh.merge_sha, &stale.merge_sha).await;
    assert!(matches!(backwards, Err(AdvanceError::NotForward { .. })));
}

#[tokio::test]
async fn a_base_that_is_checked_out_nowhere_moves_alone() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    project.git(["switch", "--quiet", "--create", "mine"]);
    let candidate = ready(merge(&fixture, &repo, &branch).await.unwrap());
    let advanced = repo.advance_base(&main(), &candidate.base_sha, &candidate.merge_sha).await.unwrap();
    assert_eq!(advanced.checkout, None);
    assert_eq!(project.git(["rev-parse", "main"]), candidate.merge_sha);
    assert!(!project.dir().join("feature").exists());
}

#[tokio::test]
async fn a_base_in_a_linked_worktree_moves_with_it_or_waits_for_it() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    project.git(["switch", "--quiet", "--create", "mine"]);
    project.git(["worktree", "add", "--quiet", "../linked", "main"]);
    let candidate = ready(merge(&fixture, &repo, &branch).await.unwrap());
    let linked = fixture.path("linked");
    std::fs::rename(&linked, fixture.path("away")).unwrap();
    let base = main();
    let advance = || repo.advance_base(&base, &candidate.base_sha, &candidate.merge_sha);
    assert!(matches!(advance().await, Err(AdvanceError::CheckoutMissing { path, .. }) if path == linked));
    std::fs::rename(fixture.path("away"), &linked).unwrap();
    assert_eq!(advance().await.unwrap().checkout, Some(linked.clone()));
    assert_eq!(kit::read_file(&linked.join("feature")), "of the task\n");
}

#[tokio::test]
async fn a_scratch_never_replaces_what_is_not_scratch() {
    let fixture = Fixture::new().await;
    let (_project, repo, branch) = finished(&fixture, "feature").await;
    kit::write_file(&fixture.path("scratch/1/mine"), "");
    assert!(matches!(merge(&fixture, &repo, &branch).await, Err(MergeError::Scratch(_))));
    std::fs::remove_dir_all(fixture.path("scratch")).unwrap();
    let worktree = fixture.path("worktrees/shop/orch/1-x");
    assert!(repo.remove_scratch(&worktree).await.is_err() && worktree.join("feature").exists());
    let gone = BranchName::parse("orch/9-gone").unwrap();
    assert!(matches!(merge(&fixture, &repo, &gone).await, Err(MergeError::BranchMissing { .. })));
}

#[tokio::test]
async fn the_sides_of_a_large_conflict_are_bounded_and_a_deletion_is_reported() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let names: Vec<String> = (0..20).map(|n| format!("f{n:02}.txt")).collect();
    names.iter().for_each(|name| project.write(name, "before\n"));
    project.commit("many");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let task = inside(&fixture, &worktree);
    names.iter().for_each(|name| task.write(name, &"of the task\n".repeat(2000)));
    task.commit("f00.txt", "of the task\n");
    std::fs::remove_file(project.dir().join("f00.txt")).unwrap();
    names[1..].iter().for_each(|name| project.write(name, "of the user\n"));
    project.commit("user");
    let error = merge(&fixture, &repo, &worktree.branch).await.unwrap_err();
    let MergeError::Conflict { files, sides, .. } = &error else { panic!("{error}") };
    assert_eq!(files.len(), 20);
    assert!(sides.len() < 64 << 10 && sides.contains("more files are in conflict"), "{} bytes", sides.len());
    assert!(sides.starts_with("f00.txt: deleted by the base, changed by the branch\n"), "{sides}");
    assert!(sides.contains("too much to show here"), "{sides}");
}

#[tokio::test]
async fn a_branch_that_moved_since_it_was_judged_is_not_merged() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    let base = project.head();
    let (scratch, main) = (fixture.path("scratch/1"), main());
    let request = |expected| MergeRequest {
        branch: &branch,
        base: &main,
        scratch: &scratch,
        message: "m",
        trailers: "",
        expected,
    };
    let refused = repo.merge_candidate(&request(Some(&base))).await;
    assert!(matches!(refused, Err(MergeError::NotAsJudged { .. })), "{refused:?}");
    assert!(!scratch.exists());
    let tip = repo.tip(&branch).await.unwrap().unwrap();
    assert!(matches!(repo.merge_candidate(&request(Some(&tip))).await, Ok(Merged::Ready(_))));
}

#[tokio::test]
async fn a_merge_is_taken_back_once_and_its_work_goes_on_from_there() {
    let fixture = Fixture::new().await;
    let (project, repo, branch) = finished(&fixture, "feature").await;
    let merged = ready(merge(&fixture, &repo, &branch).await.unwrap());
    repo.advance_base(&main(), &merged.base_sha, &merged.merge_sha).await.unwrap();
    project.write("other", "");
    project.commit("other");
    let (scratch, base) = (fixture.path("scratch/2"), main());
    let request = RevertRequest { merge: &merged.merge_sha, base: &base, scratch: &scratch, message: "Revert it" };
    let candidate = ready(repo.revert_candidate(&request).await.unwrap());
    assert!(!candidate.checkout.work_tree.join("feature").exists());
    repo.advance_base(&base, &candidate.base_sha, &candidate.merge_sha).await.unwrap();
    assert!(!project.dir().join("feature").exists() && project.dir().join("other").exists());
    let again = repo.revert_candidate(&request).await.unwrap();
    assert!(matches!(&again, Merged::Already { commit, .. } if *commit == candidate.merge_sha), "{again:?}");
    let tip = repo.tip(&branch).await.unwrap().unwrap();
    let work = repo.restored(&candidate.merge_sha, &tip, &scratch, "The work").await.unwrap();
    repo.advance_base(&branch, &work.base_sha, &work.merge_sha).await.unwrap();
    let brought = ready(merge(&fixture, &repo, &branch).await.unwrap());
    assert_eq!(kit::read_file(&brought.checkout.work_tree.join("feature")), "of the task\n");
    let no_merge = RevertRequest { merge: &tip, ..request };
    assert!(matches!(repo.revert_candidate(&no_merge).await, Err(MergeError::NotAMerge { .. })));
    assert_sound(&project);
}

#[tokio::test]
async fn the_merge_that_further_work_begins_from_is_the_same_after_a_crash() {
    let fixture = Fixture::new().await;
    let (project, repo, first) = finished(&fixture, "one").await;
    let worktree = fixture.ensure(&repo, 2, "y").await.unwrap();
    inside(&fixture, &worktree).commit("two", "of the other task\n");
    let tips = [project.git(["rev-parse", first.as_str()]), project.git(["rev-parse", worktree.branch.as_str()])];
    assert_eq!(repo.without_contained(&[tips[0].clone(), project.head(), tips[1].clone()]).await.unwrap(), tips);
    let scratch = fixture.path("scratch/start");
    let joined = repo.joined(&tips[0], &tips[1..], &scratch).await.unwrap();
    assert!(joined.checkout.work_tree.join("one").exists() && joined.checkout.work_tree.join("two").exists());
    // The daemon crashed before the branch was made there.
    let again = repo.joined(&tips[0], &tips[1..], &scratch).await.unwrap();
    assert_eq!(again.sha, joined.sha);
    let branch = orch_core::base::names::branch(orch_core::base::ids::TaskId(3), "both");
    let path = fixture.path("worktrees/both");
    let ensure = || async {
        let start = Some(joined.sha.as_str());
        let request = WorktreeRequest { path: &path, branch: &branch, base: &main(), start, fetch: false };
        repo.ensure_worktree(&request).await.unwrap()
    };
    assert_eq!((ensure().await.base_sha, ensure().await.base_sha), (joined.sha.clone(), joined.sha.clone()));
    repo.remove_scratch(&scratch).await.unwrap();
    assert_sound(&project);
}
