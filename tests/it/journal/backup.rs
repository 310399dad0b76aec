//! `orch backup` and `orch restore`.

use super::Fixture;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_backup_beside_a_running_daemon_brings_everything_back() {
    let mut fixture = Fixture::new();
    let done = fixture.add("Make a file", "good");
    fixture.sealed.serve();
    fixture.is(&done, "done");
    let held = fixture.add("Wait", "held");
    fixture.is(&held, "in_progress");
    let file = fixture.sealed.base().join("home.orch");
    let name = file.to_str().expect("text");
    let written = fixture.sealed.orch(["backup", name, "--json"]).ok().json();
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(written["bytes"], file.metadata().expect("there").len());
    let parts: Vec<&str> =
        written["manifest"]["parts"].as_array().expect("parts").iter().filter_map(|p| p["path"].as_str()).collect();
    assert_eq!(&parts[..3], [".orch/orch.db", "tasks.yml", "config.yml"]);
    assert!(parts.contains(&".orch/1.json") && parts.iter().all(|path| !path.contains("runs")), "{parts:?}");
    fixture.sealed.orch(["backup", name]).code_is(7);
    fixture.sealed.orch(["backup", name, "--force", "--with-runs"]).ok();

    // What comes after it is not in it.
    let later = fixture.add("Later", "good");
    fixture.is(&later, "done");
    let ran = fixture.sealed.orch(["restore", name, "--force"]).code_is(7);
    assert!(ran.stderr.contains("stop the daemon"), "{ran}");
    fixture.sealed.stop_daemon();
    let ran = fixture.sealed.orch(["restore", name]).code_is(7);
    assert!(ran.stderr.contains("tasks.yml") && ran.stderr.contains("--force"), "{ran}");
    let before = fixture.sealed.read_tasks();
    let dry = fixture.sealed.orch(["restore", name, "--force", "--dry-run", "--json"]).ok().json();
    assert_eq!((dry["dry_run"].as_bool(), fixture.sealed.read_tasks() == before), (Some(true), true));
    let restored = fixture.sealed.orch(["restore", name, "--force", "--json"]).ok().json();
    let aside = std::path::Path::new(restored["aside"].as_str().expect("a directory"));
    assert_eq!(crate::kit::read_file(&aside.join("tasks.yml")), before);
    assert!(aside.join(".orch/orch.db").exists());
    assert_eq!(restored["missing"], serde_json::json!([]), "its worktree and branch are there");

    fixture.sealed.orch(["task", "show", &later]).code_is(3);
    fixture.sealed.serve();
    fixture.open_gate();
    fixture.is(&held, "done");
    assert_eq!(fixture.show(&held)["runs"].as_array().map(Vec::len), Some(1), "its agent was found again");
    assert_eq!(fixture.show(&done)["status"], "done");
    assert_eq!(
        fixture.add("New", "good"),
        "4",
        "the number of the task that came after the backup is not given out again"
    );
    fixture.sealed.finish();
}

#[test]
fn a_restore_that_was_cut_short_is_reported_by_every_command_and_by_the_doctor() {
    let fixture = Fixture::new();
    fixture.add("Make a file", "good");
    let state = fixture.sealed.orch_home().join(".orch");
    // What a restore leaves that is killed between its first and its last file.
    crate::kit::write_file(&state.join("restoring"), "/backups/home.orch");
    let ran = fixture.sealed.orch(["task", "list"]).code_is(7);
    assert!(ran.stderr.contains("/backups/home.orch was cut short") && ran.stderr.contains("--force"), "{ran}");
    let answer = fixture.sealed.orch(["doctor", "--json"]).code_is(1).json();
    let finding =
        answer["findings"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "restore").cloned());
    let finding = finding.unwrap_or_else(|| panic!("no finding: {answer:#}"));
    assert_eq!(
        (&finding["verdict"], &finding["remedy"]),
        (&"bad".into(), &"orch restore /backups/home.orch --force".into())
    );
    std::fs::remove_file(state.join("restoring")).expect("there");
    fixture.sealed.finish();
}

#[test]
fn a_backup_that_is_cut_or_changed_restores_nothing_else() {
    let fixture = Fixture::new();
    fixture.add("Make a file", "good");
    let file = fixture.sealed.base().join("home.orch");
    let name = file.to_str().expect("text");
    fixture.sealed.orch(["backup", name]).ok();
    let whole = std::fs::read(&file).expect("there");
    let tasks = |sealed: &SealedBox| sealed.orch(["task", "list", "--json"]).ok().stdout;
    let mut other = SealedBox::new();
    // Whether it was restored: as it was, and from a home in which no refused one has left anything.
    let mut try_it = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        let ran = other.orch(["restore", name, "--json"]);
        if ran.code != Some(0) {
            assert!(!other.orch_home().join("tasks.yml").exists() && !other.orch_home().join(".orch/orch.db").exists());
            return false;
        }
        assert_eq!(ran.json()["set_aside"], serde_json::json!([]));
        assert_eq!(tasks(&other), tasks(&fixture.sealed));
        std::mem::replace(&mut other, SealedBox::new()).finish();
        true
    };
    for cut in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        assert!(!try_it(&whole[..cut]), "cut at {cut}");
    }
    let places: Vec<usize> = (0..whole.len()).step_by(whole.len() / 40).collect();
    let changed = |at: &&usize| {
        let mut bytes = whole.clone();
        bytes[**at] ^= 0x10;
        !try_it(&bytes)
    };
    // A bit of the compressed form may be one that decides nothing: what comes out is the same then.
    let refused = places.iter().filter(changed).count();
    assert!(refused + 2 >= places.len(), "{refused} of {}", places.len());
    assert!(try_it(&whole));
    other.finish();
    fixture.sealed.finish();
}

#[test]
fn what_a_backup_names_and_git_does_not_have_is_reported() {
    let mut fixture = Fixture::new();
    let held = fixture.add("Wait", "held");
    fixture.sealed.serve();
    wait_until("its worktree", RUN, || fixture.show(&held)["worktree"].is_string());
    let file = fixture.sealed.base().join("home.orch");
    let name = file.to_str().expect("text");
    fixture.sealed.orch(["backup", name]).ok();
    fixture.open_gate();
    fixture.is(&held, "done");
    fixture.sealed.stop_daemon();
    let branch = fixture.show(&held)["branch"].as_str().expect("a branch").to_owned();
    let worktree = fixture.show(&held)["worktree"].as_str().expect("a worktree").to_owned();
    fixture.repo.try_git(["worktree", "remove", "--force", &worktree]);
    fixture.repo.try_git(["branch", "-D", &branch]);
    let ran = fixture.sealed.orch(["restore", name, "--force"]).ok();
    assert!(ran.stdout.contains(&format!("missing: task {held}: branch {branch}")), "{ran}");
    fixture.sealed.finish();
}
