//! `orch backup` and `orch restore`.

use super::Place;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_backup_beside_a_running_daemon_brings_everything_back() {
    let mut place = Place::new();
    let done = place.add("Make a file", "good");
    place.sealed.serve();
    place.is(&done, "done");
    let held = place.add("Wait", "held");
    place.is(&held, "in_progress");
    let file = place.sealed.base().join("home.orch");
    let name = file.to_str().expect("text");
    let written = place.sealed.orch(["backup", name, "--json"]).ok().json();
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(written["bytes"], file.metadata().expect("there").len());
    let parts: Vec<&str> =
        written["manifest"]["parts"].as_array().expect("parts").iter().filter_map(|p| p["path"].as_str()).collect();
    assert_eq!(&parts[..3], [".orch/orch.db", "tasks.yml", "config.yml"]);
    assert!(parts.contains(&".orch/1.json") && parts.iter().all(|path| !path.contains("runs")), "{parts:?}");
    place.sealed.orch(["backup", name]).code_is(7);
    place.sealed.orch(["backup", name, "--force", "--with-runs"]).ok();

    // What comes after it is not in it.
    let later = place.add("Later", "good");
    place.is(&later, "done");
    let ran = place.sealed.orch(["restore", name, "--force"]).code_is(7);
    assert!(ran.stderr.contains("stop the daemon"), "{ran}");
    place.sealed.stop_daemon();
    let ran = place.sealed.orch(["restore", name]).code_is(7);
    assert!(ran.stderr.contains("tasks.yml") && ran.stderr.contains("--force"), "{ran}");
    let before = place.sealed.read_tasks();
    let dry = place.sealed.orch(["restore", name, "--force", "--dry-run", "--json"]).ok().json();
    assert_eq!((dry["dry_run"].as_bool(), place.sealed.read_tasks() == before), (Some(true), true));
    let restored = place.sealed.orch(["restore", name, "--force", "--json"]).ok().json();
    let aside = std::path::Path::new(restored["aside"].as_str().expect("a directory"));
    assert_eq!(crate::kit::read_file(&aside.join("tasks.yml")), before);
    assert!(aside.join(".orch/orch.db").exists());
    assert_eq!(restored["missing"], serde_json::json!([]), "its worktree and branch are there");

    place.sealed.orch(["task", "show", &later]).code_is(3);
    place.sealed.serve();
    place.open_gate();
    place.is(&held, "done");
    assert_eq!(place.show(&held)["runs"].as_array().map(Vec::len), Some(1), "its agent was found again");
    assert_eq!(place.show(&done)["status"], "done");
    assert_eq!(
        place.add("New", "good"),
        "4",
        "the number of the task that came after the backup is not given out again"
    );
    place.sealed.finish();
}

#[test]
fn a_restore_that_was_cut_short_is_told_by_every_command_and_by_the_doctor() {
    let place = Place::new();
    place.add("Make a file", "good");
    let state = place.sealed.orch_home().join(".orch");
    // What a restore leaves that is killed between its first and its last file.
    crate::kit::write_file(&state.join("restoring"), "/backups/home.orch");
    let ran = place.sealed.orch(["task", "list"]).code_is(7);
    assert!(ran.stderr.contains("/backups/home.orch was cut short") && ran.stderr.contains("--force"), "{ran}");
    let told = place.sealed.orch(["doctor", "--json"]).code_is(1).json();
    let finding = told["findings"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "restore").cloned());
    let finding = finding.unwrap_or_else(|| panic!("no finding: {told:#}"));
    assert_eq!(
        (&finding["verdict"], &finding["remedy"]),
        (&"bad".into(), &"orch restore /backups/home.orch --force".into())
    );
    std::fs::remove_file(state.join("restoring")).expect("there");
    place.sealed.finish();
}

#[test]
fn a_backup_that_is_cut_or_changed_restores_nothing_else() {
    let place = Place::new();
    place.add("Make a file", "good");
    let file = place.sealed.base().join("home.orch");
    let name = file.to_str().expect("text");
    place.sealed.orch(["backup", name]).ok();
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
        assert_eq!(tasks(&other), tasks(&place.sealed));
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
    place.sealed.finish();
}

#[test]
fn what_a_backup_names_and_git_does_not_have_is_told() {
    let mut place = Place::new();
    let held = place.add("Wait", "held");
    place.sealed.serve();
    wait_until("its worktree", RUN, || place.show(&held)["worktree"].is_string());
    let file = place.sealed.base().join("home.orch");
    let name = file.to_str().expect("text");
    place.sealed.orch(["backup", name]).ok();
    place.open_gate();
    place.is(&held, "done");
    place.sealed.stop_daemon();
    let branch = place.show(&held)["branch"].as_str().expect("a branch").to_owned();
    let worktree = place.show(&held)["worktree"].as_str().expect("a worktree").to_owned();
    place.repo.try_git(["worktree", "remove", "--force", &worktree]);
    place.repo.try_git(["branch", "-D", &branch]);
    let ran = place.sealed.orch(["restore", name, "--force"]).ok();
    assert!(ran.stdout.contains(&format!("missing: task {held}: branch {branch}")), "{ran}");
    place.sealed.finish();
}
