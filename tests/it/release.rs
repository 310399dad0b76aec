//! Tests the steps of a release that can run here: the version from the commits, the changelog, the archive and the
//! package byte for byte, the checksums, the commit with its tag, the tap, and the scans for secrets.

use crate::kit::process::{Program, Ran};
use crate::kit::readers::{left_out, reader, skipped};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::{read_file, write_file};
use std::path::{Path, PathBuf};

/// A clone of the project with a history of its own.
struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new() -> Self {
        let sealed = SealedBox::new();
        let repo = sealed.repo("project");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for dir in ["scripts", "packaging", "Formula"] {
            sealed
                .run_program("cp")
                .args(["-R".as_ref(), root.join(dir).as_os_str(), repo.dir().as_os_str()])
                .run()
                .ok();
        }
        for file in ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md"] {
            repo.write(file, &read_file(&root.join(file)));
        }
        repo.git(["add", "-A"]);
        repo.git(["commit", "-qm", "chore: begin"]);
        Self { sealed, repo }
    }

    fn script(&self, name: &str) -> Program {
        self.sealed.run_program_in(self.repo.dir().join("scripts").join(name), self.repo.dir())
    }

    fn run(&self, name: &str, args: &[&str]) -> Ran {
        self.script(name).args(args).run()
    }

    fn commit(&self, message: &str) {
        self.repo.git(["commit", "-q", "--allow-empty", "-m", message]);
    }

    fn version(&self) -> String {
        self.run("release-version", &[]).ok().stdout.trim().to_owned()
    }

    /// Returns a small program that reports a version.
    fn orch(&self, version: &str) -> PathBuf {
        let script =
            format!("#!/bin/sh\n[ \"$1\" = version ] && echo 'orch {version}' && exit\nexec '{ORCH}' \"$@\"\n");
        self.sealed.program("small-orch", &script)
    }
}

#[test]
fn the_version_follows_the_commits() {
    let fixture = Fixture::new();
    assert_eq!(fixture.version(), env!("CARGO_PKG_VERSION"), "the first release is what Cargo.toml says");
    fixture.repo.git(["tag", "v1.2.3"]);
    fixture.repo.git(["tag", "v9.9.9-rc1"]);
    assert_eq!(fixture.version(), "", "nothing came");
    for (message, version) in [
        ("docs: words", ""),
        ("Merge of something: feat", ""),
        ("feature: no such type", ""),
        ("fix(cli): a wrong word", "1.2.4"),
        ("perf: quicker", "1.2.4"),
        ("feat: something new\n\nfix: is not a subject here", "1.3.0"),
        ("docs: feat!: not here", "1.3.0"),
        ("refactor(api)!: another shape", "2.0.0"),
    ] {
        fixture.commit(message);
        assert_eq!(fixture.version(), version, "{message}");
    }
    fixture.repo.git(["tag", "v2.0.0"]);
    fixture.commit("chore: x\n\nBREAKING CHANGE: the file is elsewhere");
    assert_eq!(fixture.version(), "3.0.0");
    fixture.run("release-version", &["--upload-pack=x"]).code_is(2);
}

#[test]
fn the_changelog_shows_each_release_and_takes_no_commit_at_its_word() {
    let fixture = Fixture::new();
    fixture.commit("feat(cli): first");
    fixture.repo.git(["tag", "v0.1.0"]);
    fixture.commit("feat: <script>alert(1)</script> [x](http://evil) `rm` @all #1");
    fixture.commit("fix(engine): a mend");
    fixture.commit("feat(api)!: other shapes");
    fixture.commit("docs: nothing to tell");
    let one = fixture.run("changelog", &["0.2.0"]).ok().stdout;
    let (broken, rest) = one.split_once("### New").expect("both");
    assert!(one.starts_with("## 0.2.0 (") && broken.contains("**api**: other shapes"), "{one}");
    assert!(rest.contains("&lt;script&gt;") && rest.contains("\\[x\\]") && rest.contains("\\@all \\#1"), "{one}");
    assert!(one.contains("### Mended\n\n- **engine**: a mend (") && !one.contains("first") && !one.contains("nothing"));
    let all = fixture.run("changelog", &["--all", "0.2.0"]).ok().stdout;
    let places: Vec<usize> =
        ["# Changelog", "## 0.2.0", "## 0.1.0", "first"].map(|part| all.find(part).expect(part)).into();
    assert!(places.is_sorted(), "{all}");
    assert!(all.contains(&format!("<!-- up to {} -->\n", fixture.repo.git(["rev-parse", "HEAD"]))), "{all}");
    let open = fixture.run("changelog", &["--all", "-"]).ok().stdout;
    assert_eq!(open.replace("## Unreleased (", "## 0.2.0 ("), all, "what is not released yet is told alike");
    for wrong in [["two", "HEAD"], ["-", "HEAD"], ["--all", "two"], ["0.2.0", "nothing"]] {
        fixture.run("changelog", &wrong).code_is(2);
    }
}

/// The changelog need not be generated at each commit: it records its last commit, and is generated again from there.
#[test]
fn the_changelog_here_matches_its_commits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (sealed, text) = (SealedBox::new(), read_file(&root.join("CHANGELOG.md")));
    let after =
        |mark: &str, end: char| text.split_once(mark).and_then(|(_, rest)| rest.split_once(end)).map(|(it, _)| it);
    let (commit, first) = (after("<!-- up to ", ' ').expect("a commit"), after("\n## ", ' ').expect("a release"));
    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    assert!(first == "Unreleased" || first == env!("CARGO_PKG_VERSION"), "{first} is not what Cargo.toml says");
    let in_root = |program: &str| Program::new(program, root).envs(sealed.env());
    if in_root("git").args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).run().code != Some(0) {
        return skipped("CHANGELOG.md against the commits", "this clone has not all of them");
    }
    let version = if first == "Unreleased" { "-" } else { first };
    let script = root.join("scripts/changelog");
    let made = Program::new(script, root).envs(sealed.env()).args(["--all", version, commit]).run().ok().stdout;
    assert!(
        made == text,
        "CHANGELOG.md was changed by hand, or the script was: scripts/changelog --all {version} {commit}"
    );
}

#[test]
fn an_archive_and_a_package_are_the_same_bytes_each_time() {
    let fixture = Fixture::new();
    let program = fixture.orch("1.2.3");
    let target = "x86_64-unknown-linux-musl";
    let pack = |dir: &Path| {
        let args = [program.as_os_str(), target.as_ref(), "1.2.3".as_ref(), dir.as_os_str()];
        PathBuf::from(fixture.script("release-archive").args(args).run().ok().stdout.trim())
    };
    let (one, other) = (fixture.sealed.base().join("one"), fixture.sealed.base().join("other"));
    let (first, second) = (pack(&one), pack(&other));
    let bytes = |file: &Path| std::fs::read(file).expect("a file");
    assert!(bytes(&first) == bytes(&second), "two archives of one program");
    let names = fixture.sealed.run_program("tar").args(["-tzf".as_ref(), first.as_os_str()]).run().ok().stdout;
    for name in ["orch", "LICENSE", "man/orch-task-add.1", "completions/_orch", "systemd/orch.service"] {
        assert!(names.contains(&format!("orch-1.2.3-{target}/{name}\n")), "{name} in {names}");
    }
    let wrong = [program.as_os_str(), target.as_ref(), "1.2.4".as_ref(), one.as_os_str()];
    let refused = fixture.script("release-archive").args(wrong).run().code_is(1);
    assert!(refused.stderr.contains("orch 1.2.3, not orch 1.2.4"), "{refused}");
    package(&fixture, &first, [&one, &other]);
    fixture.script("release-sums").args([&one]).run().ok();
    let sums = read_file(&one.join("SHA256SUMS"));
    assert!(
        sums.contains(&format!("orch-1.2.3-{target}.tar.gz"))
            && !one.join(format!("orch-1.2.3-{target}.tar.gz.sha256")).exists()
    );
    write_file(&other.join(format!("orch-1.2.3-{target}.tar.gz")), "other bytes");
    fixture.script("release-sums").args([&other]).run().code_is(1);
}

fn package(fixture: &Fixture, archive: &Path, [one, other]: [&Path; 2]) {
    if reader("dpkg-deb").is_none() {
        return left_out("the package for Debian", "dpkg-deb");
    }
    let make = |dir: &Path| {
        let args = [archive.as_os_str(), "amd64".as_ref(), dir.as_os_str()];
        PathBuf::from(fixture.script("make-deb").args(args).run().ok().stdout.trim())
    };
    let (first, second) = (make(one), make(other));
    let bytes = |file: &Path| std::fs::read(file).expect("a file");
    assert!(bytes(&first) == bytes(&second), "two packages of one archive");
    let text = |option: &str| {
        fixture.sealed.run_program("dpkg-deb").args([option.as_ref(), first.as_os_str()]).run().ok().stdout
    };
    let content = text("--contents");
    for name in [
        "/usr/bin/orch",
        "/usr/lib/systemd/user/orch.service",
        "/usr/share/man/man1/orch-task.1.gz",
        "/usr/share/bash-completion/completions/orch",
    ] {
        assert!(content.contains("root/root") && content.contains(name), "{name} in {content}");
    }
    assert!(text("--info").contains("Depends: git (>= 1:2.34), tmux (>= 3.0)"));
}

#[test]
fn a_release_is_committed_tagged_pushed_and_put_into_the_tap() {
    let fixture = Fixture::new();
    fixture.commit("feat: something");
    let bare = |name: &str| {
        let dir = fixture.sealed.base().join(name);
        let args =
            ["clone".as_ref(), "-q".as_ref(), "--bare".as_ref(), fixture.repo.dir().as_os_str(), dir.as_os_str()];
        fixture.sealed.run_program("git").args(args).run().ok();
        dir
    };
    let (origin, tap) = (bare("origin.git"), bare("tap.git"));
    fixture.run("release-commit", &["7.0.1"]).ok();
    fixture.run("release-commit", &["7.0.1"]).code_is(1);
    for (file, part) in [
        ("Cargo.toml", "\nversion = \"7.0.1\"\n"),
        ("Cargo.lock", "name = \"orch\"\nversion = \"7.0.1\"\n"),
        ("CHANGELOG.md", "## 7.0.1 ("),
    ] {
        assert!(fixture.repo.show("v7.0.1", file).is_some_and(|text| text.contains(part)), "{file}");
    }
    fixture.run("release-push", &["7.0.1", origin.to_str().expect("text")]).ok();
    let there = Repo::at(&origin, fixture.sealed.env());
    assert_eq!(there.git(["rev-parse", "v7.0.1^{commit}"]), there.git(["rev-parse", "main"]));
    // Somebody was quicker: neither branch nor tag is moved.
    fixture.commit("fix: mine");
    fixture.run("release-commit", &["7.0.2"]).ok();
    let quicker = fixture.repo.git(["commit-tree", "-p", "v7.0.1^{commit}", "-m", "theirs", "main^{tree}"]);
    fixture.repo.git(["push", "-q", origin.to_str().expect("text"), &format!("{quicker}:refs/heads/main")]);
    assert_ne!(fixture.run("release-push", &["7.0.2", origin.to_str().expect("text")]).code, Some(0));
    assert_eq!(there.git(["tag", "--list"]), "v7.0.1");
    let targets =
        ["aarch64-apple-darwin", "x86_64-apple-darwin", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"];
    let sums: String =
        targets.iter().map(|target| format!("{}  orch-7.0.1-{target}.tar.gz\n", "ab".repeat(32))).collect();
    let file = fixture.sealed.base().join("SHA256SUMS");
    write_file(&file, &sums);
    let update = || {
        let program = fixture.script("update-tap").args(["7.0.1".as_ref(), file.as_os_str()]);
        program.envs([("TAP", tap.as_os_str())]).run()
    };
    update().ok();
    assert!(update().ok().stderr.contains("already"), "done twice is done once");
    let formula = Repo::at(&tap, fixture.sealed.env()).show("main", "Formula/orch.rb").expect("a formula");
    assert!(formula.contains("version \"7.0.1\""), "{formula}");
    let nowhere = fixture.script("update-tap").args(["7.0.1".as_ref(), file.as_os_str()]).run().code_is(1);
    assert!(nowhere.stderr.contains("TAP"), "{nowhere}");
}

/// A run that failed after its push begins again in a clone of its own, at the commit that began it.
#[test]
fn a_release_that_failed_after_its_push_is_completed() {
    let fixture = Fixture::new();
    fixture.commit("fix: mine");
    let from = fixture.repo.git(["rev-parse", "HEAD"]);
    let origin = fixture.sealed.base().join("origin.git");
    let args = ["clone".as_ref(), "-q".as_ref(), "--bare".as_ref(), fixture.repo.dir().as_os_str(), origin.as_os_str()];
    fixture.sealed.run_program("git").args(args).run().ok();
    let remote = origin.to_str().expect("text");
    fixture.run("release-commit", &["7.0.1"]).ok();
    fixture.run("release-push", &["7.0.1", remote]).ok();
    let there = Repo::at(&origin, fixture.sealed.env());
    let pushed = there.git(["rev-parse", "v7.0.1^{commit}"]);
    // Meanwhile another person has pushed to main.
    let newer = fixture.repo.git(["commit-tree", "-p", "v7.0.1^{commit}", "-m", "newer", "v7.0.1^{tree}"]);
    fixture.repo.git(["push", "-q", remote, &format!("{newer}:refs/heads/main")]);

    fixture.repo.git(["checkout", "-q", "--detach", &from]);
    assert!(fixture.run("release-commit", &["7.0.1"]).ok().stderr.contains("completed"));
    assert_eq!(fixture.repo.git(["rev-parse", "HEAD"]), pushed, "what is published is what was pushed");
    assert!(fixture.run("release-push", &["7.0.1", remote]).ok().stderr.contains("already"));
    assert_eq!((there.git(["rev-parse", "main"]), there.git(["rev-parse", "v7.0.1^{commit}"])), (newer, pushed));
    fixture.commit("fix: another");
    let other = fixture.run("release-commit", &["7.0.1"]).code_is(1);
    assert!(other.stderr.contains("another commit"), "{other}");
}

/// `gh` notes what it is asked; a release is there from its first creation on.
#[test]
fn a_release_that_is_half_published_is_published_again() {
    let fixture = Fixture::new();
    fixture.commit("fix: mine");
    fixture.run("release-commit", &["7.0.1"]).ok();
    let asked = fixture.sealed.base().join("asked");
    let script = format!(
        "#!/bin/sh\necho \"$2 $3 $4\" >> {asked}\n[ \"$2\" != view ] || grep -q create {asked}\n",
        asked = asked.display()
    );
    fixture.sealed.program("gh", &script);
    let dist = fixture.sealed.base().join("dist");
    std::fs::create_dir(&dist).expect("a directory");
    write_file(&dist.join("orch.tar.gz"), "bytes");
    let publish = || fixture.run("release-publish", &["7.0.1", dist.to_str().expect("text")]).ok();
    publish();
    publish();
    let text = std::fs::read_to_string(&asked).expect("what gh was asked");
    let text: Vec<&str> = text.lines().collect();
    let expected = [
        "view v7.0.1 ",
        "create v7.0.1 --verify-tag",
        "view v7.0.1 ",
        "upload v7.0.1 --clobber",
        "edit v7.0.1 --draft=false",
    ];
    assert_eq!(text, expected);
}

#[test]
fn a_secret_in_what_is_committed_is_named_by_its_place_alone() {
    let fixture = Fixture::new();
    fixture.run("scan-secrets", &[]).ok();
    // Put together here, so that this file holds none.
    let token = format!("ghp_{}", "a1B2".repeat(9));
    fixture.repo.write("notes.txt", &format!("one\ntoken: {token}\n"));
    let found = fixture.run("scan-secrets", &[]).code_is(1);
    assert!(found.stderr.contains("GitHub token in notes.txt:2") && !found.stderr.contains(&token), "{found}");
    fixture.repo.write("notes.txt", &format!("{token} # not-a-secret\n"));
    fixture.run("scan-secrets", &[]).ok();
    let project = Program::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/scan-secrets"), "/");
    project.envs(fixture.sealed.env()).run().ok();
}

#[test]
fn without_the_program_advisories_are_not_said_to_be_fine_where_they_are_required() {
    let fixture = Fixture::new();
    fixture.sealed.program("cargo", "#!/bin/sh\nexit 1\n");
    assert!(fixture.run("check-advisories", &[]).ok().stderr.contains("not looked at"));
    fixture.run("check-advisories", &["--required"]).code_is(1);
}

#[test]
fn a_shell_and_man_read_what_orch_writes_for_them() {
    let sealed = SealedBox::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = sealed.orch(["completions", shell]).ok().stdout;
        assert!(text.contains("uninstall") && text.len() > 10_000, "{shell}");
        let file = sealed.root().join(shell);
        write_file(&file, &text);
        if shell == "bash" {
            sealed.run_program("bash").args(["-n".as_ref(), file.as_os_str()]).run().ok();
        }
    }
    sealed.orch(["completions", "tcsh"]).code_is(2);
    let pages = sealed.root().join("pages");
    sealed.orch(["man".as_ref(), pages.as_os_str()]).ok();
    let page = read_file(&pages.join("orch-task.1"));
    assert!(page.contains(".SH SUBCOMMANDS") && page.contains("orch\\-task\\-add(1)"), "{page}");
    assert!(sealed.orch(["man"]).ok().stdout.contains(".TH orch 1"));
}
