//! Trials of R1 in which orch dies while it carries out a person's order: a revert, a cleanup, a recurring command, a
//! repair, a backup, a restore; and the automatic rebuild of a damaged journal. The person repeats the order.

use super::{orders, who_died};
use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job};
use crate::kit::process::Ran;
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Findings, finding};
use rusqlite::Connection;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much of the journal is made zeros: its head, without which SQLite opens nothing.
const HEAD: usize = 4096;

/// Opens a fixture whose tasks are done.
fn after(names: &[&str], config: &str) -> (Fixture, Vec<Job>) {
    let jobs: Vec<Job> = names.iter().map(|name| Job::plain(name, "")).collect();
    let fixture = Fixture::open(&jobs, config);
    fixture.until_idle(&[]).finish(RUN);
    (fixture, jobs)
}

/// Runs a command of orch that dies at the point.
fn dies(fixture: &Fixture, at: &str, args: &[&str]) -> Ran {
    let orders = orders(fixture, at);
    let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir());
    let variables = orders.each_ref().map(|(name, value)| (*name, value.as_str()));
    program.args(args).envs(variables).deadline(RUN).run()
}

/// Runs it again without a crash; adds a finding if it fails.
fn again(fixture: &Fixture, args: &[&str], found: &mut Findings) {
    let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir());
    let ran = program.args(args).deadline(RUN).run();
    if ran.code != Some(0) {
        found.push(finding(Broken::Stuck, format!("{args:?} does not go through afterwards: {ran}")));
    }
}

/// A merge is taken back: once, and the work is on the task's branch again.
pub fn revert(at: &str) -> Findings {
    let (fixture, _) = after(&["one"], "");
    dies(&fixture, at, &["task", "revert", "1"]);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    fixture.until_idle(&[]).finish(RUN);
    let task = fixture.show(1);
    if task["integration"]["state"] != "reverted" || task["status"] != "needs_review" {
        let text = format!("the merge is not taken back: {} {}", task["status"], task["integration"]);
        found.push(finding(Broken::Stuck, text));
    }
    if fixture.repo.show("main", "one.txt").is_some() {
        found.push(finding(Broken::Lost, "the work is on the base branch still"));
    }
    let reverts = fixture.repo.git(["log", "--format=%H", "--grep=^Revert ", "main"]).lines().count();
    if reverts != 1 {
        found.push(finding(Broken::Doubled, format!("it was taken back {reverts} times")));
    }
    let branch = task["branch"].as_str().unwrap_or_default().to_owned();
    if fixture.repo.show(&branch, "one.txt").as_deref() != Some("right\n") {
        found.push(finding(Broken::Lost, format!("the work is not on {branch} any more")));
    }
    found.extend(check::at_rest(&fixture, Allowed::default()));
    found.extend(check::sound(&fixture));
    found
}

/// Worktrees of merged tasks are cleaned up: all go in the end, and nothing of theirs is lost.
pub fn clean_up(at: &str) -> Findings {
    let (fixture, jobs) = after(&["one", "two"], "gc: {after_hours: 0, delete_merged_branches: true}\n");
    dies(&fixture, at, &["gc"]);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    again(&fixture, &["gc"], &mut found);
    let left: Vec<_> = fixture.worktrees().into_iter().filter(|path| path.is_dir()).collect();
    if !left.is_empty() {
        found.push(finding(Broken::Stuck, format!("worktrees stay: {left:?}")));
    }
    let aside = fixture.sealed.orch_home().join("worktrees/.removed");
    let rest: Vec<_> = std::fs::read_dir(&aside).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    if !rest.is_empty() {
        found.push(finding(Broken::Stuck, format!("the rest of a removal stays: {rest:?}")));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// The command of a job: begun once at most, and once for certain where orch died before it had taken it.
pub fn command(at: &str) -> Findings {
    let fixture = Fixture::empty("");
    let log = fixture.note("ran");
    let run = format!("echo ran >> '{}'", log.display());
    let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir());
    program.args(["job", "add", "@daily", "--run", &run, "--id", "dump"]).run().ok();
    // Pretends that orch has not checked it since then, so that the trial waits for no time.
    let journal = Connection::open(fixture.state().join("orch.db")).expect("a journal");
    let since = "UPDATE jobs SET data = json_set(data, '$.through', ?1), sum = NULL";
    journal.execute(since, ["2020-01-01T00:00:00Z"]).expect("a job");
    drop(journal);
    let orders = orders(&fixture, at);
    let daemon = fixture.orch_program().args(["serve"]);
    let mut daemon = daemon.envs(orders.each_ref().map(|(name, value)| (*name, value.as_str()))).start();
    wait::poll(SOON, || (!daemon.is_running()).then_some(()));
    drop(daemon);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    let daemon = fixture.orch_program().args(["serve"]).start();
    let firing = || {
        let job = fixture.json(["job", "show", "dump", "--json"]);
        job["firings"][0]["state"].as_str().map(str::to_owned)
    };
    if wait::poll(RUN, firing).is_none() {
        found.push(finding(Broken::Stuck, "nobody tells what became of the command"));
    }
    found.extend(fixture.leaves(daemon));
    let times = std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    if times > 1 {
        found.push(finding(Broken::Doubled, format!("the command ran {times} times")));
    } else if times == 0 && !at.starts_with("command.claimed") {
        found.push(finding(Broken::Lost, "the command never ran"));
    }
    found.extend(check::at_rest(&fixture, Allowed { no_marks: true, ..Allowed::default() }));
    found
}

/// `orch doctor --fix` dies before or after it mends; what is left is mended by the next. Here that is a branch
/// of no task, all of whose commits the base has.
pub fn mend(at: &str) -> Findings {
    let (fixture, jobs) = after(&["one"], "");
    fixture.repo.git(["branch", "orch/77-spare", "main"]);
    dies(&fixture, at, &["doctor", "--fix"]);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir());
    program.args(["doctor", "--fix"]).deadline(RUN).run();
    if !fixture.repo.git(["branch", "--list", "orch/77-spare"]).is_empty() {
        found.push(finding(Broken::Stuck, "the spare branch stays"));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// An interrupted backup has no final name; the next one is complete, and nothing is left next to it.
pub fn backup(at: &str) -> Findings {
    let (fixture, jobs) = after(&["one", "two"], "");
    let place = fixture.note("backups");
    std::fs::create_dir_all(&place).expect("a directory");
    let file = place.join("home.tar.zst").to_string_lossy().into_owned();
    dies(&fixture, at, &["backup", &file]);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    if !Path::new(&file).exists() {
        again(&fixture, &["backup", &file], &mut found);
    }
    again(&fixture, &["restore", &file, "--dry-run"], &mut found);
    again(&fixture, &["backup", &file, "--force"], &mut found);
    let there: Vec<_> = std::fs::read_dir(&place).expect("there").flatten().map(|entry| entry.file_name()).collect();
    if there != ["home.tar.zst"] {
        found.push(finding(Broken::Stuck, format!("the rest of a backup stays: {there:?}")));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// An interrupted restore is reported, and is repeated; what it moved is kept.
pub fn restore(at: &str) -> Findings {
    let (fixture, jobs) = after(&["one", "two"], "");
    let file = fixture.note("home.tar.zst").to_string_lossy().into_owned();
    fixture.orch(["backup", &file]).ok();
    let mut found = Vec::new();
    again(&fixture, &["task", "add", "Later", "-l", "agent:bot"], &mut found);
    let later = fixture.sealed.read_tasks();
    dies(&fixture, at, &["restore", &file, "--force"]);
    who_died(&fixture, at, &mut found);
    let halfway = fixture.state().join("restoring").exists();
    if halfway && !fixture.orch(["doctor"]).stdout.contains("restore") {
        found.push(finding(Broken::Lost, "nobody tells that a restore was cut short"));
    }
    again(&fixture, &["restore", &file, "--force"], &mut found);
    let replaced = fixture.state().join("replaced");
    let kept = std::fs::read_dir(&replaced).into_iter().flatten().flatten().map(|entry| entry.path().join("tasks.yml"));
    if !kept.into_iter().any(|path| std::fs::read_to_string(path).is_ok_and(|text| text == later)) {
        found.push(finding(Broken::Lost, format!("tasks.yml from before is not in {}", replaced.display())));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// The journal has lost its head, and orch dies while it makes a new one.
pub fn rebuild(at: &str) -> Findings {
    let (fixture, jobs) = after(&["one", "two"], "");
    let journal = fixture.state().join("orch.db");
    std::fs::remove_file(journal.with_file_name("orch.db-wal")).ok();
    let file = OpenOptions::new().write(true).open(&journal).expect("a journal");
    file.write_all_at(&[0; HEAD], 0).expect("room");
    drop(file);
    dies(&fixture, at, &["serve", "--until-idle"]);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    fixture.until_idle(&[]).finish(RUN);
    // If the pauses are unknown, everything is paused.
    again(&fixture, &["resume"], &mut found);
    let text = fixture.orch(["events"]).stdout;
    let times = text.matches("journal_rebuilt").count();
    if times != 1 {
        found.push(finding(Broken::Doubled, format!("the history tells of {times} rebuilds:\n{text}")));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// An editor saves without a pause, until orch dies between taking its own text back and having done so.
pub fn race(at: &str) -> Findings {
    let jobs: Vec<Job> = (0..3).map(|number| Job::plain(&format!("f{number}"), "wait 100ms")).collect();
    let fixture = Fixture::open(&jobs, "");
    let orders = orders(&fixture, at);
    let daemon = fixture.orch_program().args(["serve"]);
    let mut daemon = daemon.envs(orders.each_ref().map(|(name, value)| (*name, value.as_str()))).start();
    let mut saves = 0;
    wait::poll(RUN, || {
        saves += 1;
        let text = fixture.sealed.read_tasks();
        let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("# save ")).collect();
        fixture.save_tasks(&format!("# save {saves}\n{}\n", rest.join("\n")));
        (!daemon.is_running()).then_some(())
    });
    drop(daemon);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    fixture.until_idle(&[]).finish(RUN);
    let text = fixture.sealed.read_tasks();
    if !text.contains(&format!("# save {saves}\n")) {
        found.push(finding(Broken::Lost, format!("save {saves}, the last one, is gone from tasks.yml:\n{text}")));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}
