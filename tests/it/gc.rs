//! Cleaning up never loses work: worktrees in all states in which people and agents leave them, with real git.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use crate::kit::fixture::{Fixture, clean_up_worktrees, main, policy};
use crate::kit::worktree_states::{self as states, State};
use orch_core::operations::gc::{Keep, Reason};
use orch_sys::worktree::{Aside, Retired, Subject, Worktree, settle};
use std::path::{Path, PathBuf};

#[tokio::test]
async fn no_state_of_a_worktree_loses_a_commit_or_an_edit() {
    let tally = clean_up_worktrees(100, 4).await;
    assert_eq!((tally.lost.as_slice(), tally.stuck.as_slice()), (&[][..], &[][..]));
    assert!(tally.removed >= 10 && tally.kept >= 30, "{tally:?}");
}

/// Makes and removes so many worktrees at once, over what a killed git left; returns how many were made and are gone.
pub async fn come_and_go_at_once(count: u64) -> usize {
    let fixture = Fixture::new().await;
    fixture.project.git(["branch", "mine"]);
    let mine = fixture.project.git(["rev-parse", "mine"]);
    // The person's own git was killed, which blocks nothing.
    crate::kit::write_file(&fixture.project.dir().join(".git/index.lock"), "");
    let one = async |id: u64| {
        let worktree = fixture.worktree(id).await;
        if id.is_multiple_of(8) {
            // Its branch is deleted under it.
            fixture.project.git(["update-ref", "-d", &worktree.branch.full_ref()]);
        }
        let removed = matches!(fixture.retire(&worktree, &policy()).await, Retired::Gone { .. });
        removed || id.is_multiple_of(8)
    };
    let gone = futures::future::join_all((1..=count).map(one)).await.into_iter().filter(|gone| *gone).count();
    std::fs::remove_file(fixture.project.dir().join(".git/index.lock")).unwrap();
    fixture.assert_sound();
    assert_eq!(fixture.project.git(["rev-parse", "mine"]), mine);
    assert!(Aside(&fixture.aside()).is_empty());
    let list = fixture.project.git(["worktree", "list", "--porcelain"]);
    assert!(!list.contains("prunable"), "{list}");
    gone
}

#[tokio::test]
async fn many_that_come_and_go_at_once_leave_nothing_behind() {
    assert_eq!(come_and_go_at_once(64).await, 64);
}

#[tokio::test]
async fn each_state_alone_is_kept_for_its_own_reason() {
    let fixture = Fixture::new().await;
    for (id, (state, reason)) in State::each().into_iter().enumerate() {
        let worktree = fixture.worktree(id as u64 + 1).await;
        let made = states::make(&fixture, &worktree, &state);
        let retired = fixture.retire(&worktree, &policy()).await;
        let found = match &retired {
            Retired::Kept(keep) => Some(keep.reason),
            Retired::Gone { .. } | Retired::Absent => None,
        };
        assert_eq!(found, reason, "{state:?}: {retired:?}");
        states::release(made);
    }
    fixture.assert_sound();
}

#[tokio::test]
async fn a_worktree_that_a_person_made_at_our_path_stays() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree(1).await;
    fixture.project.git(["worktree", "remove", &worktree.path.to_string_lossy()]);
    fixture.project.git(["worktree", "add", "--quiet", &worktree.path.to_string_lossy(), worktree.branch.as_str()]);
    let retired = fixture.retire(&worktree, &policy()).await;
    assert!(matches!(&retired, Retired::Kept(keep) if keep.reason == Reason::NotOurs), "{retired:?}");
}

#[tokio::test]
async fn what_is_done_while_it_is_moved_aside_brings_it_back() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree(1).await;
    let (path, held) = (worktree.path.clone(), fixture.aside());
    // The second question comes after the move: a program with an open file has written meanwhile.
    let late = move || {
        if !path.exists() {
            let dir = std::fs::read_dir(&held).unwrap().flatten().find(|e| e.path().is_dir()).unwrap();
            crate::kit::write_file(&dir.path().join("late.txt"), "late\n");
        }
        Ok::<(), Keep>(())
    };
    let base = main();
    let subject = Subject { path: &worktree.path, branch: &worktree.branch, base: &base };
    let retired = fixture.repo.retire(&subject, &policy(), Aside(&fixture.aside()), &late).await.unwrap();
    assert!(matches!(&retired, Retired::Kept(keep) if keep.reason == Reason::Changed), "{retired:?}");
    assert_eq!(std::fs::read_to_string(worktree.path.join("late.txt")).unwrap(), "late\n");
    assert!(Aside(&fixture.aside()).is_empty());
    assert_eq!(fixture.inside(&worktree).git(["status", "--porcelain"]), "?? late.txt");
}

#[tokio::test]
async fn a_build_cache_that_worktrees_share_stays() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree(1).await;
    let shared = tempfile::tempdir().unwrap();
    let object = shared.path().join("object.bin");
    crate::kit::write_file(&object, "built once\n");
    let inside = worktree.path.join("cache");
    std::fs::create_dir_all(&inside).unwrap();
    // As cargo, pnpm and ccache share what they have built: by a link to the directory, or to each file.
    std::os::unix::fs::symlink(shared.path(), inside.join("shared")).unwrap();
    std::fs::hard_link(&object, inside.join("object.bin")).unwrap();
    let retired = fixture.retire(&worktree, &policy()).await;
    assert!(matches!(retired, Retired::Gone { .. }) && !worktree.path.exists(), "{retired:?}");
    assert_eq!(crate::kit::read_file(&object), "built once\n");
    fixture.assert_sound();
}

/// Stops a removal where `stop` panics, as a kill would.
async fn cut_short(fixture: &Fixture, worktree: &Worktree, calls: usize) {
    let (repo, worktree, aside) = (fixture.repo.clone(), worktree.clone(), fixture.aside());
    let killed = tokio::spawn(async move {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let stop = || {
            let asked = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if asked == calls {
                std::panic::resume_unwind(Box::new("killed"));
            }
            Ok(())
        };
        let base = main();
        let subject = Subject { path: &worktree.path, branch: &worktree.branch, base: &base };
        repo.retire(&subject, &policy(), Aside(&aside), &stop).await.map(drop)
    });
    assert!(killed.await.is_err());
}

async fn settled(fixture: &Fixture) -> Vec<(PathBuf, bool)> {
    let left = settle(Aside(&fixture.aside()), |_root| async { Some(fixture.repo.clone()) }).await;
    left.into_iter().map(|left| (left.path, left.settled)).collect()
}

#[tokio::test]
async fn a_removal_that_was_killed_is_taken_back_or_brought_to_its_end() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree(1).await;
    cut_short(&fixture, &worktree, 1).await;
    assert!(!worktree.path.exists(), "it was aside when it was killed");
    assert_eq!(settled(&fixture).await, [(worktree.path.clone(), true)]);
    assert!(worktree.path.join("README.md").exists());
    assert_eq!(fixture.inside(&worktree).git(["status", "--porcelain"]), "");
    // After it was looked at: it is deleted by the next pass.
    cut_short(&fixture, &worktree, 1).await;
    rename(&fixture.aside(), "held-", "gone-");
    assert_eq!(settled(&fixture).await, [(worktree.path.clone(), true)]);
    assert!(!worktree.path.exists() && Aside(&fixture.aside()).is_empty());
    assert!(!fixture.project.git(["worktree", "list", "--porcelain"]).contains("prunable"));
    let again = fixture.worktree(1).await;
    assert!(again.created && again.path == worktree.path);
    fixture.assert_sound();
}

#[tokio::test]
async fn what_was_moved_aside_and_whose_place_is_taken_is_kept_and_reported() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree(1).await;
    cut_short(&fixture, &worktree, 1).await;
    assert!(fixture.worktree(1).await.created, "a task that goes on gets a new one");
    assert_eq!(settled(&fixture).await, [(worktree.path.clone(), false)]);
    assert!(!Aside(&fixture.aside()).is_empty());
}

fn rename(dir: &Path, from: &str, to: &str) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if let Some(rest) = name.strip_prefix(from) {
            std::fs::rename(entry.path(), dir.join(format!("{to}{rest}"))).unwrap();
        }
    }
}
