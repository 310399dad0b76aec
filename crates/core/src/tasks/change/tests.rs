//! Findings, each in a small patch.

use super::*;
use globset::{Glob, GlobSetBuilder};
use proptest::prelude::*;

fn file(path: &str, old_mode: u32, new_mode: u32) -> ChangedFile {
    ChangedFile { path: path.to_owned(), old_mode, new_mode }
}

/// A patch of one file with one hunk.
fn patch(path: &str, removed: &[&str], added: &[&str]) -> String {
    let (old, new) = (removed.len(), added.len());
    let mut text = format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1,{old} +1,{new} @@\n");
    removed.iter().for_each(|line| text.push_str(&format!("-{line}\n")));
    added.iter().for_each(|line| text.push_str(&format!("+{line}\n")));
    text
}

struct Case<'a> {
    files: Vec<ChangedFile>,
    patch: String,
    history: String,
    blobs: Vec<(String, u64)>,
    names: Vec<NewPath>,
    collisions: Vec<Collision>,
    allowed: &'a [&'a str],
    checks: &'a [&'a str],
}

impl Default for Case<'_> {
    fn default() -> Self {
        let (files, blobs, names, collisions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (patch, history) = (String::new(), String::new());
        Self { files, patch, history, blobs, names, collisions, allowed: &[], checks: &[] }
    }
}

impl Case<'_> {
    /// What is found beside that only tests were changed, which these small patches often are.
    fn found(&self) -> Vec<String> {
        self.everything().into_iter().filter(|found| !found.starts_with("OnlyExpectations")).collect()
    }

    fn everything(&self) -> Vec<String> {
        let mut allowed = GlobSetBuilder::new();
        for glob in self.allowed {
            allowed.add(Glob::new(glob).expect("a glob"));
        }
        let checks: Vec<String> = self.checks.iter().map(|check| (*check).to_owned()).collect();
        let rules = Rules {
            allowed: &allowed.build().expect("globs"),
            max_file: Some(1_000_000),
            checks: &checks,
            followed: &[],
            is_secret: &|line| line.contains("ghp_"),
        };
        let change = Change {
            files: &self.files,
            patch: &self.patch,
            history: &self.history,
            blobs: &self.blobs,
            names: &self.names,
            collisions: &self.collisions,
        };
        findings(&change, &rules).iter().map(|finding| format!("{:?} {finding}", finding.kind)).collect()
    }
}

fn found_in(path: &str, removed: &[&str], added: &[&str]) -> Vec<String> {
    let new_mode = if added.is_empty() { 0 } else { 0o100_644 };
    Case { files: vec![file(path, 0o100_644, new_mode)], patch: patch(path, removed, added), ..Case::default() }.found()
}

#[test]
fn an_ordinary_change_holds_nothing_to_speak_of() {
    assert_eq!(
        found_in("src/lib.rs", &["fn a() {}"], &["fn b() {}", "// ======= a heading", "let x = a << b;"]),
        [""; 0]
    );
}

#[test]
fn a_conflict_that_was_committed_is_found_and_one_mark_alone_is_none() {
    let found = found_in("a.rs", &[], &["<<<<<<< HEAD", "a", "=======", "b", ">>>>>>> main"]);
    assert_eq!(found, ["ConflictMarkers a.rs:1: a conflict that nobody resolved"]);
    assert_eq!(found_in("a.md", &["Title"], &["Title", "======="]), [""; 0]);
}

#[test]
fn a_secret_is_found_in_the_last_state_and_in_a_commit_that_was_taken_back() {
    let found = found_in("a.env", &[], &["name", "token = ghp_x"]);
    assert_eq!(found, ["Secret a.env:2: it looks like a secret"]);
    let history = format!("{}\n{}", patch("b.env", &[], &["ghp_y"]), patch("b.env", &["ghp_y"], &[]));
    let found = Case { history, ..Case::default() }.found();
    assert_eq!(found, ["Secret b.env: what looks like a secret is still in a commit of the branch"]);
    // Whoever removes an old one does well.
    assert_eq!(found_in("c.env", &["ghp_z"], &["none"]), [""; 0]);
}

#[test]
fn a_huge_file_is_found_wherever_it_came_in() {
    let blobs = vec![("video.mp4".to_owned(), 2_500_000), ("small.txt".to_owned(), 900)];
    assert_eq!(Case { blobs, ..Case::default() }.found(), ["HugeFile video.mp4: 2.5 MB"]);
}

#[test]
fn files_outside_the_allowed_paths_are_found() {
    let files = vec![file("src/a.rs", 0o100_644, 0o100_644), file("docs/b.md", 0, 0o100_644)];
    let found = Case { files, allowed: &["src/**"], ..Case::default() }.found();
    assert_eq!(found, ["NotAllowed docs/b.md: the task may not touch this file"]);
}

#[test]
fn links_that_leave_the_repository_and_repositories_inside_it_are_found() {
    let link = |path: &str, target: &str| Case {
        files: vec![file(path, 0, LINK)],
        patch: patch(path, &[], &[target]) + "\\ No newline at end of file\n",
        ..Case::default()
    };
    assert_eq!(link("a/b", "../../etc").found(), ["LinkOutside a/b: a link to ../../etc"]);
    assert_eq!(link("a", "/etc/passwd").found(), ["LinkOutside a: a link to /etc/passwd"]);
    assert_eq!(link("a/b", "../c/./../d").found(), [""; 0]);
    let files = vec![file("vendor/lib", 0, SUBMODULE)];
    let found = Case { files, ..Case::default() }.found();
    assert_eq!(found, ["Submodule vendor/lib: a repository inside the repository was changed"]);
}

#[test]
fn tests_that_are_deleted_removed_or_switched_off_are_found() {
    let found = found_in("tests/api.py", &["def test_a():", "    pass", "def test_b():"], &[]);
    assert_eq!(found, ["TestsDeleted tests/api.py: the file is deleted, with 2 tests"]);
    let found = found_in("src/lib.rs", &["    #[test]", "    fn a() {}"], &["fn b() {}"]);
    assert_eq!(found, ["TestsRemoved src/lib.rs: 1 test gone"]);
    for skip in ["#[ignore]", "  it.skip('works', () => {", "@pytest.mark.skip(reason='x')", "\tt.Skip()"] {
        assert_eq!(found_in("x", &["a"], &[skip]), ["TestsSkipped x:1: a test is switched off"], "{skip}");
    }
}

#[test]
fn tests_that_move_to_another_file_or_are_written_anew_are_not_missed() {
    let moved = format!("{}{}", patch("tests/a.rs", &["#[test]"], &[]), patch("tests/b.rs", &[], &["#[test]"]));
    let files = vec![file("tests/a.rs", 0o100_644, 0), file("tests/b.rs", 0, 0o100_644)];
    assert_eq!(Case { files, patch: moved, ..Case::default() }.found(), [""; 0]);
    assert_eq!(found_in("a_test.go", &["func TestOld(t *testing.T) {"], &["func TestNew(t *testing.T) {"]), [""; 0]);
}

#[test]
fn what_decides_about_the_work_is_told_when_it_changes() {
    let paths = ["check.sh", "Makefile", ".orch.yml", ".github/workflows/ci.yml", "package.json", "src/make.rs"];
    let files = paths.iter().map(|path| file(path, 0o100_644, 0o100_644)).collect();
    let found = Case { files, checks: &["sh ./check.sh --all", "make -C . test"], ..Case::default() }.found();
    assert_eq!(
        found,
        [
            "ChecksChanged .orch.yml: it decides whether the work is accepted",
            "ChecksChanged Makefile: it decides whether the work is accepted",
            "ChecksChanged check.sh: it decides whether the work is accepted",
            "CiChanged .github/workflows/ci.yml: it belongs to the project's CI",
        ]
    );
    assert!(!FindingKind::ChecksChanged.is_rejected() && FindingKind::Secret.is_rejected());
}

#[test]
fn tests_that_move_to_where_nobody_looks_for_them_are_gone() {
    let moved = |from: &str, to: &str| {
        let files = vec![file(from, 0o100_644, 0), file(to, 0, 0o100_644)];
        let patch = format!("{}{}", patch(from, &["def test_a():"], &[]), patch(to, &[], &["def test_a():"]));
        Case { files, patch, ..Case::default() }.found()
    };
    let gone = ["TestsDeleted tests/test_a.py: the file is deleted, with 1 test"];
    assert_eq!(moved("tests/test_a.py", "tests/old_a.py"), gone);
    assert_eq!(moved("tests/test_a.py", "tests/test_a.py.off"), gone);
    assert_eq!(moved("tests/test_a.py", "unit/test_a.py"), [""; 0]);
    // Where they were not looked for before, they may be anywhere.
    assert!(!moved("tests/helpers.py", "tests/more.py").iter().any(|found| found.starts_with("TestsDeleted")));
}

fn weakened(path: &str, removed: &[&str], added: &[&str]) -> Vec<String> {
    found_in(path, removed, added).into_iter().filter(|found| found.starts_with("TestsWeakened")).collect()
}

#[test]
fn a_test_that_expects_less_than_before_is_found() {
    let found = |less: &str| vec![format!("TestsWeakened tests/test_a.py: {less} less than before")];
    assert_eq!(weakened("tests/test_a.py", &["    assert a() == 1"], &["    pass"]), found("1 expectation"));
    assert_eq!(weakened("tests/test_a.py", &["  assert a", "  assert b"], &["  # assert a"]), found("2 expectations"));
    assert_eq!(
        weakened("tests/test_a.py", &["    self.assertEqual(a(), 1)"], &["    assert True"]),
        found("1 expectation")
    );
    assert_eq!(
        weakened("tests/a_test.go", &[], &["\treturn"]),
        ["TestsWeakened tests/a_test.go:1: a test ends before its expectations"]
    );
    assert_eq!(weakened("tests/a.sh", &["test \"$(cat name)\" = shop"], &["true"]).len(), 1);
    assert_eq!(weakened("a.test.js", &["expect(a()).toBe(1)"], &["expect(true).toBe(true)"]).len(), 1);
}

#[test]
fn a_test_that_expects_something_else_or_elsewhere_is_not_called_weaker() {
    assert_eq!(weakened("tests/test_a.py", &["    assert a() == 1"], &["    assert a() == 2"]), [""; 0]);
    assert_eq!(weakened("src/a.py", &["    assert a() == 1"], &["    pass"]), [""; 0]);
    let (one, other) = ("tests/test_a.py", "tests/test_b.py");
    let files = vec![file(one, 0o100_644, 0o100_644), file(other, 0o100_644, 0o100_644)];
    let patch = format!("{}{}", patch(one, &["    assert a"], &[]), patch(other, &[], &["    assert a"]));
    let found = Case { files, patch, ..Case::default() }.found();
    assert!(!found.iter().any(|found| found.starts_with("TestsWeakened")), "{found:?}");
}

#[test]
fn a_change_of_nothing_but_what_is_expected_is_told_file_by_file() {
    let all = |paths: &[&str]| {
        let files = paths.iter().map(|path| file(path, 0o100_644, 0o100_644)).collect();
        Case { files, ..Case::default() }.everything()
    };
    let text = ["OnlyExpectations src/__snapshots__/a.snap: only expectations were changed"];
    assert_eq!(all(&["src/__snapshots__/a.snap"]), text);
    assert_eq!(all(&["src/__snapshots__/a.snap", "src/a.js"]), [""; 0]);
    let finding = Finding::new(FindingKind::OnlyExpectations, "tests/a.sh", "");
    assert!(finding.uses_base_version(&TaskType::Fix) && !finding.uses_base_version(&TaskType::Test));
}

#[test]
fn tests_are_switched_off_in_many_languages() {
    for (path, skip) in [
        ("tests/a.rs", "#[ignore = \"slow\"]"),
        ("tests/test_a.py", "pytestmark = pytest.mark.skip"),
        ("a.test.ts", "  it.skip('adds', () => {"),
        ("a_test.go", "\tt.Skipf(\"later\")"),
        ("a_test.go", "//go:build ignore"),
        ("src/test/java/ATest.java", "    @Disabled"),
        ("ATests.cs", "    [Ignore]"),
        ("ATests.swift", "        throw XCTSkip()"),
    ] {
        let found = found_in(path, &["a"], &[skip]);
        assert!(found.iter().any(|found| found.starts_with("TestsSkipped")), "{path}: {skip}: {found:?}");
    }
}

#[test]
fn a_flood_of_one_kind_leaves_room_for_the_others() {
    let added: Vec<String> = (0..100).map(|n| format!("ghp_{n}")).collect();
    let added: Vec<&str> = added.iter().map(String::as_str).chain(["#[ignore]"]).collect();
    assert_eq!(found_in("a", &[], &added).len(), 21);
}

#[test]
fn names_that_git_quotes_are_read_as_they_are() {
    let text = "--- /dev/null\n+++ \"b/sp\\303\\244t \\\"x\\\".txt\"\n@@ -0,0 +1 @@\n+a\n";
    let lines: Vec<(String, u64)> = Lines::new(text).map(|line| (line.path, line.number)).collect();
    assert_eq!(lines, [("spät \"x\".txt".to_owned(), 1)]);
}

#[test]
fn lines_that_look_like_heads_are_lines_inside_a_hunk() {
    let text = "--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n--- a/y\n++++ b/y\n unchanged\n+@@ -1 +1 @@\n";
    let lines: Vec<(&str, Mark, u64)> = Lines::new(text).map(|line| (line.text, line.mark, line.number)).collect();
    assert_eq!(lines, [("-- a/y", Mark::Removed, 1), ("+++ b/y", Mark::Added, 1), ("@@ -1 +1 @@", Mark::Added, 3)]);
}

proptest! {
    #[test]
    fn no_text_breaks_the_search(patch in "([-+ @<>=a\\\\\"/.0-9,]{0,40}\n){0,30}", path in "[a-z/.]{0,20}", mode in 0u32..0o200_000) {
        let case = Case { files: vec![file(&path, mode, mode)], patch: patch.clone(), history: patch, ..Case::default() };
        case.found();
    }

    #[test]
    fn each_added_line_of_a_hunk_is_found_where_it_stands(lines in prop::collection::vec("[a-z+@ -]{0,12}", 1..20)) {
        let added: Vec<&str> = lines.iter().map(String::as_str).collect();
        let text = patch("f", &["old"], &added);
        let read: Vec<(u64, String)> = Lines::new(&text)
            .filter(|line| line.mark == Mark::Added)
            .map(|line| (line.number, line.text.to_owned()))
            .collect();
        let expected: Vec<(u64, String)> = (1..).zip(lines).collect();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn a_path_that_is_another_one_elsewhere_is_found_though_a_later_commit_takes_it_out() {
    let names = vec![NewPath { commit: "1".into(), path: ".GIT/hooks/pre-commit".into() }];
    let collisions = vec![Collision { path: "readme".into(), with: "README".into() }];
    let found = Case { names, collisions, ..Case::default() }.found();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|found| found.starts_with("UnsafePath")), "{found:?}");
}

#[test]
fn only_tests_were_changed_though_a_comment_was_too() {
    let files = vec![file("tests/a.sh", 0o100_644, 0o100_644), file("src/lib.rs", 0o100_644, 0o100_644)];
    let tests = patch("tests/a.sh", &["test 1 = 1"], &["true"]);
    let beside = |line: &str| {
        let patch = format!("{tests}{}", patch("src/lib.rs", &[], &[line]));
        let found = Case { files: files.clone(), patch, ..Case::default() }.everything();
        found.iter().any(|found| found.starts_with("OnlyExpectations"))
    };
    assert!(beside("// a word") && !beside("fn a() {}"));
}
