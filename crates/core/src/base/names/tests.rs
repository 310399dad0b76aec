//! Names that every program accepts and no two tasks share.

use super::*;
use proptest::prelude::*;
use std::path::Component;

#[test]
fn a_branch_tells_the_task_and_its_title() {
    let name = |title: &str| branch(TaskId(7), title).to_string();
    assert_eq!(name("Add a health endpoint"), "orch/7-add-a-health-endpoint");
    assert_eq!(name("  Fix: the *flaky* test!! "), "orch/7-fix-the-flaky-test");
    assert_eq!(name("Größe prüfen"), "orch/7-grose-prufen");
    assert_eq!(name("🚀🚀"), "orch/7");
    assert_eq!(name("אבג"), "orch/7");
    assert_eq!(name(""), "orch/7");
    assert_eq!(name("$(touch /tmp/x) `id` #{q} \"'\n--force"), "orch/7-touch-tmp-x-id-q-force");
    assert_eq!(name(&"ab ".repeat(5_000)), format!("orch/7-{}", "ab-".repeat(13) + "a"));
    assert_eq!(name(&format!("{} b", "a".repeat(39))), format!("orch/7-{}", "a".repeat(39)));
}

#[test]
fn a_name_that_is_taken_has_others_like_it() {
    let name = |number| branch_of_home(TaskId(7), "Fix it", "0a1b2c3d", number).to_string();
    assert_eq!([name(1), name(2)], ["orch/7-fix-it-0a1b2c3d", "orch/7-fix-it-0a1b2c3d-2"]);
    assert!(BranchName::parse(&name(1)).is_ok());
}

#[test]
fn names_that_git_refuses_are_refused_here() {
    let bad = [
        "", "-x", "--force", "@", "HEAD", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a@{1}", ".a",
        "a/.b", "a.lock", "a.lock/b", "/a", "a/", "a//b", "a.", "a\nb", "a\0b", "a\x7fb",
    ];
    for name in bad {
        assert!(BranchName::parse(name).is_err(), "{name:?}");
    }
    for name in ["main", "feature/x-1", "ünï", "a@b", "release-1.2", "x/@", "a{b}"] {
        assert!(BranchName::parse(name).is_ok(), "{name:?}");
    }
    assert!(BranchName::parse(&"a".repeat(251)).is_err());
}

#[test]
fn two_projects_of_one_name_have_different_sessions() {
    let name = |root| session_name("my.shop: ünï", Path::new(root), TaskId(7), 2);
    assert!(name("/a/shop").starts_with("orch-my-shop-uni-"), "{}", name("/a/shop"));
    assert!(name("/a/shop").ends_with("-7-2"));
    assert_ne!(name("/a/shop"), name("/b/shop"));
}

#[test]
fn a_project_name_cannot_leave_the_worktrees_root() {
    for (project, expected) in [
        ("..", "project"),
        ("../../etc", "etc"),
        ("/", "project"),
        ("a/b", "a-b"),
        (".git", "git"),
        ("my shop", "my-shop"),
        ("x.git", "x"),
    ] {
        assert_eq!(directory_name(project), expected, "{project:?}");
    }
}

proptest! {
    #[test]
    fn every_title_gives_a_valid_branch(id in 1..u64::MAX, title in any::<String>()) {
        let name = branch(TaskId(id), &title);
        prop_assert_eq!(BranchName::parse(name.as_str()), Ok(name.clone()));
        prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/-".contains(&b)));
        prop_assert!(!name.as_str().contains("--") && !name.as_str().ends_with('-'));
        prop_assert!(name.as_str().len() <= 5 + 20 + 1 + 40);
    }

    #[test]
    fn branches_of_two_tasks_differ_whatever_their_titles(a in 1..5000u64, b in 1..5000u64, one in ".{0,60}", two in ".{0,60}") {
        prop_assume!(a != b);
        prop_assert_ne!(branch(TaskId(a), &one), branch(TaskId(b), &two));
    }

    #[test]
    fn a_worktree_stays_below_its_root(project in any::<String>(), title in any::<String>(), id in 1..u64::MAX) {
        let dir = worktree_dir(&project, &branch(TaskId(id), &title));
        prop_assert!(dir.components().all(|part| matches!(part, Component::Normal(_))), "{:?}", dir);
        prop_assert_eq!(dir.components().count(), 3);
    }

    #[test]
    fn a_session_name_is_an_exact_target(project in any::<String>(), root in any::<String>(), id in 1..u64::MAX, ordinal in any::<u32>()) {
        let name = session_name(&project, Path::new(&root), TaskId(id), ordinal);
        prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{}", name);
        prop_assert!(name.len() <= 80);
    }

    #[test]
    fn a_parsed_name_never_is_an_option_or_a_traversal(name in "[-a./@{}lock~ ]{0,12}") {
        if let Ok(name) = BranchName::parse(&name) {
            prop_assert!(!name.as_str().starts_with('-') && !name.as_str().contains(".."));
            prop_assert!(Path::new(name.as_str()).components().all(|part| matches!(part, Component::Normal(_))));
        }
    }
}
