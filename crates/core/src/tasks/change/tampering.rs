//! Whether a change weakens the tests that would find its faults. Judged by names and words common to test frameworks;
//! a review may catch the rest.

use super::form::{is_comment, is_only_form};
use super::patch::{Line, Mark};
use super::{ChangedFile, Finding, FindingKind};
use std::collections::BTreeMap;

/// Text that disables a test, in common languages.
const SKIPS: &[&str] = &[
    "#[ignore",
    "@pytest.mark.skip",
    "@pytest.mark.xfail",
    "@unittest.skip",
    "pytest.skip(",
    "self.skipTest(",
    "it.skip(",
    "test.skip(",
    "describe.skip(",
    "it.only(",
    "test.only(",
    "describe.only(",
    "xit(",
    "xdescribe(",
    "xtest(",
    "t.Skip(",
    "t.SkipNow(",
    "@Disabled",
    "@Ignore",
    "[Ignore]",
    "[Skip",
    "it.todo(",
    "test.todo(",
    "t.Skipf(",
    "//go:build ignore",
    "// +build ignore",
    "pytestmark = pytest.mark.skip",
    "raise unittest.SkipTest",
    "__test__ = False",
    "#[cfg(any())]",
    "Assume.assumeTrue(false",
    "assumeTrue(false",
    "throw XCTSkip",
];
/// Text with which a test starts.
const BEGINNINGS: &[&str] = &[
    "#[test]",
    "#[tokio::test",
    "#[rstest",
    "def test_",
    "async def test_",
    "func Test",
    "it(",
    "it('",
    "test(",
    "@Test",
    "[Fact]",
    "[Test]",
    "TEST(",
    "TEST_F(",
];
/// Text of an expectation, in lower case.
const EXPECTING: &[&str] = &[
    "assert", "expect(", "expect_", ".should", "t.error", "t.fatal", "t.fail", "require.", "verify(", "raises",
    "check(",
];
/// The same for shell scripts.
const EXPECTING_IN_SHELL: &[&str] = &["test ", "[ ", "grep", "diff ", "cmp ", "false", "exit 1", "return 1", "assert"];
/// Expectations that always hold, in lower case and without spaces.
const ALWAYS_TRUE: &[&str] = &[
    "assert!(true",
    "assert!(1==1",
    "assert_eq!(1,1",
    "assert_eq!(true,true",
    "asserttrue(true",
    "assertequal(1,1",
    "assertequals(1,1",
    "assert.true(true",
    "assert.ok(true",
    "assert(true",
    "expect(true).tobe(true",
    "expect(1).tobe(1",
];
/// Lines with which a test ends before its expectations.
const ENDS: &[&str] = &[
    "exit",
    "exit 0",
    "return",
    "return;",
    "return 0",
    "sys.exit(0)",
    "os._exit(0)",
    "os.Exit(0)",
    "process.exit(0);",
];
/// Where expected values are stored.
const EXPECTED_ENDINGS: &[&str] = &[".snap", ".golden", ".expected"];
const EXPECTED_PLACES: &[&str] = &["__snapshots__", "snapshots", "golden", "goldens", "testdata", "expected"];

/// Returns whether a file configures a CI service.
pub fn is_ci_file(path: &str) -> bool {
    const PLACES: [&str; 5] = [".github/workflows/", ".circleci/", ".buildkite/", ".gitlab/ci/", ".ci/"];
    const FILES: [&str; 5] =
        [".gitlab-ci.yml", "azure-pipelines.yml", "Jenkinsfile", ".travis.yml", "bitbucket-pipelines.yml"];
    PLACES.iter().any(|place| path.starts_with(place)) || FILES.contains(&path)
}

/// Returns whether a file contains tests, by its name.
pub fn is_test_file(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default().to_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let in_tests =
        parts.any(|part| ["test", "tests", "__tests__", "spec", "specs"].contains(&part.to_lowercase().as_str()));
    in_tests
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_spec")
        || [".test.", ".spec."].iter().any(|infix| name.contains(infix))
        || (stem.ends_with("test") || stem.ends_with("tests"))
            && [".java", ".kt", ".cs", ".swift"].iter().any(|ending| name.ends_with(ending))
}

fn begins_test(text: &str) -> bool {
    let text = text.trim_start();
    BEGINNINGS.iter().any(|word| text.starts_with(word))
}

fn switches_off(text: &str) -> bool {
    let text = text.trim_start();
    SKIPS.iter().any(|word| text.starts_with(word))
        || text.contains(".skip(") && begins_test(&text.replace(".skip", ""))
}

/// Returns whether test runners find tests in this file, where they go by its name.
fn is_collected(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "rs" | "c" | "cc" | "cpp" | "h" | "hpp" | "cs" | "swift" | "rb" | "php" => true,
        "py" => stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests",
        "go" => stem.ends_with("_test"),
        "java" | "kt" | "scala" | "groovy" => stem.contains("test") || stem.contains("spec"),
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" => is_test_file(path),
        _of_no_language => false,
    }
}

/// Finds tests that were removed or disabled. Tests that move between files are added as often as removed; tests moved
/// to where no runner finds them count as removed.
pub(super) fn weakened_tests(files: &[ChangedFile], lines: &[Line<'_>]) -> Vec<Finding> {
    let mut found: Vec<Finding> = lines
        .iter()
        .filter(|line| line.mark == Mark::Added && switches_off(line.text))
        .map(|line| Finding::at(FindingKind::TestsSkipped, line, "a test is switched off"))
        .collect();
    let mut gone: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines.iter().filter(|line| begins_test(line.text)) {
        *gone.entry(line.path.as_str()).or_default() += if line.mark == Mark::Removed { 1 } else { -1 };
    }
    // Tests added in other files, by whether runners find them there.
    let came = |collected: bool| -> i64 {
        gone.iter()
            .filter(|(path, count)| **count < 0 && is_collected(path) == collected)
            .map(|(_, count)| -count)
            .sum()
    };
    let mut spare = [came(false), came(true)];
    for (path, count) in gone.into_iter().filter(|(_, count)| *count > 0) {
        // Tests that were moved still exist.
        let mut lost = count;
        let from = usize::from(is_collected(path));
        for pool in &mut spare[from..] {
            let moved = lost.min(*pool);
            *pool -= moved;
            lost -= moved;
        }
        let was_deleted = files.iter().any(|file| file.path == path && file.new_mode == 0);
        if lost > 0 && was_deleted && is_test_file(path) {
            found.push(Finding::new(
                FindingKind::TestsDeleted,
                path,
                format!("the file is deleted, with {}", counted(lost)),
            ));
        } else if lost > 0 {
            found.push(Finding::new(FindingKind::TestsRemoved, path, format!("{} gone", counted(lost))));
        }
    }
    found.extend(emptied(files, lines));
    found
}

/// Finds test files that expect less than before, or that are deleted without recognizable tests. They are restored for
/// another run of the checks, because their expectations may still hold.
fn emptied(files: &[ChangedFile], lines: &[Line<'_>]) -> Vec<Finding> {
    let tests: Vec<&ChangedFile> = files.iter().filter(|file| file.old_mode != 0 && is_test_file(&file.path)).collect();
    let mut came: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.mark == Mark::Added && expects(line)) {
        *came.entry(line.text.trim()).or_default() += 1;
    }
    let mut found = Vec::new();
    for file in tests {
        let own = || lines.iter().filter(|line| line.path == file.path);
        if file.new_mode == 0 {
            if !own().any(|line| begins_test(line.text)) {
                found.push(Finding::new(FindingKind::TestsWeakened, file.path.as_str(), "a file of tests is gone"));
            }
            continue;
        }
        let mut moved = came.clone();
        let mut lost: i64 = 0;
        for line in own().filter(|line| expects(line)) {
            match line.mark {
                Mark::Removed => match moved.get_mut(line.text.trim()).filter(|count| **count > 0) {
                    Some(count) => *count -= 1,
                    None => lost += 1,
                },
                Mark::Added => {}
            }
        }
        let added = own().filter(|line| line.mark == Mark::Added && expects(line));
        let mut new: i64 = 0;
        for line in added {
            if let Some(count) = moved.get_mut(line.text.trim()).filter(|count| **count > 0) {
                *count -= 1;
                new += 1;
            }
        }
        if let Some(line) = own().find(|line| line.mark == Mark::Added && ENDS.contains(&line.text.trim())) {
            found.push(Finding::at(FindingKind::TestsWeakened, line, "a test ends before its expectations"));
        } else if lost > new {
            let less = lost - new;
            let what = if less == 1 { "expectation" } else { "expectations" };
            let detail = format!("{less} {what} less than before");
            found.push(Finding::new(FindingKind::TestsWeakened, file.path.as_str(), detail));
        }
    }
    found
}

/// Returns whether a test line expects something that may fail.
fn expects(line: &Line<'_>) -> bool {
    let text = line.text.trim().to_lowercase();
    let name = line.path.rsplit('/').next().unwrap_or(&line.path);
    let is_shell = !name.contains('.') || [".sh", ".bash", ".bats"].iter().any(|ending| name.ends_with(ending));
    let words = if is_shell { EXPECTING_IN_SHELL } else { EXPECTING };
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != ';').collect();
    !is_comment(&line.path, line.text)
        && words.iter().any(|word| text.contains(word))
        && !ALWAYS_TRUE.iter().any(|always| plain.contains(always))
        && !["asserttrue", "assert1", "assert1==1"].contains(&plain.as_str())
}

/// Returns whether a file holds expectations of the work rather than the work.
fn is_expectation(path: &str) -> bool {
    is_test_file(path)
        || EXPECTED_ENDINGS.iter().any(|ending| path.ends_with(ending))
        || path.contains(".approved.")
        || path.split('/').any(|part| EXPECTED_PLACES.contains(&part))
}

/// Finds changes of nothing but expectations; white space and comments in other files are ignored.
pub(super) fn only_expectations(files: &[ChangedFile], lines: &[Line<'_>]) -> Vec<Finding> {
    if files.iter().any(|file| !is_expectation(&file.path) && !is_only_form(file, lines)) {
        return Vec::new();
    }
    let changed = files.iter().filter(|file| file.old_mode != 0 && is_expectation(&file.path));
    let detail = "only expectations were changed";
    changed.map(|file| Finding::new(FindingKind::OnlyExpectations, file.path.as_str(), detail)).collect()
}

fn counted(tests: i64) -> String {
    if tests == 1 { "1 test".to_owned() } else { format!("{tests} tests") }
}
