//! Checks the invariants after every trial: the promises of `docs/explanation/reliability.md`, observed from outside,
//! when orch has come to rest and no daemon runs.

use crate::fixture::{Ends, Fixture, Job, MARKS};
use crate::kit::wait::{self, SOON};
use crate::row::{Broken, Findings, finding};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a trial allows in addition to its tasks' definitions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// So many starts of agents more than if nothing had gone wrong: one for each run that died.
    pub more_starts: usize,
    /// The person's own bytes in `tasks.yml` are gone by the trial's own doing.
    pub no_marks: bool,
    /// The record of a run's start may be lost with the power: then the same run starts again.
    pub same_run: bool,
    /// The person takes out of `tasks.yml` what is settled.
    pub tidied: bool,
}

/// Everything. Call it when no daemon runs.
pub fn all(fixture: &Fixture, jobs: &[Job], allowed: Allowed) -> Findings {
    let mut found = Vec::new();
    // A process that was killed may have asked tmux for its version just before: that answers into nothing, and ends.
    let asks = |line: &String| line.ends_with("tmux -V");
    wait::poll(SOON, || (!fixture.left_behind().iter().any(asks)).then_some(()));
    let left = fixture.left_behind();
    if !left.is_empty() {
        found.push(finding(Broken::Lost, format!("processes are left behind: {left:?}")));
    }
    tasks(fixture, jobs, &mut found);
    journal(fixture, &mut found);
    starts(fixture, jobs, allowed, &mut found);
    repository(fixture, &mut found);
    file(fixture, allowed, &mut found);
    leftovers(fixture, &mut found);
    if !found.is_empty() && crate::is_verbose() {
        crate::table::print_error(&crate::kit::last_words::read(&fixture.state(), ""));
    }
    found
}

/// What holds at any time when no orch runs: the journal is whole, `tasks.yml` agrees with it, nothing is half-written.
pub fn at_rest(fixture: &Fixture, allowed: Allowed) -> Findings {
    let mut found = Vec::new();
    journal(fixture, &mut found);
    file(fixture, allowed, &mut found);
    leftovers(fixture, &mut found);
    found
}

/// What holds of the repository at any time when no orch runs.
pub fn sound(fixture: &Fixture) -> Findings {
    let mut found = Vec::new();
    repository(fixture, &mut found);
    found
}

/// Each task ended as it should, and its work is where it belongs, once.
fn tasks(fixture: &Fixture, jobs: &[Job], found: &mut Findings) {
    let listed = fixture.json(["task", "list", "--json"]);
    let merges = merges(fixture);
    for job in jobs {
        // By title: which number an entry gets that was typed while orch wrote is not promised.
        let mut same = listed.as_array().into_iter().flatten().filter(|task| task["title"] == *job.title);
        let Some((task, id)) = same.next().and_then(|task| Some((task, task["id"].as_u64()?))) else {
            found.push(finding(Broken::Lost, format!("the task {} is gone: {}", job.title, fixture.describe())));
            continue;
        };
        if let Some(second) = same.next() {
            found.push(finding(Broken::Doubled, format!("{} is task {id} and {}", job.title, second["id"])));
        }
        let expected = match job.ends {
            Ends::Done => "done",
            Ends::Cancelled => "cancelled",
            Ends::Asks => "needs_review",
        };
        if task["status"] != expected {
            let (status, question) = (&task["status"], &task["question"]);
            let text =
                format!("task {id} ({}) is {status} instead of {expected}: {question} {}", job.title, task["hold"]);
            found.push(finding(Broken::Stuck, text));
            continue;
        }
        work(fixture, (id, job), merges.get(&id).copied().unwrap_or(0), found);
    }
}

fn work(fixture: &Fixture, (id, job): (u64, &Job), merges: usize, found: &mut Findings) {
    let (name, text) = &job.file;
    let (wanted, there) = match job.ends {
        Ends::Done => (1, fixture.repo.show("main", name)),
        Ends::Cancelled | Ends::Asks => {
            let worktree = fixture.show(id)["worktree"].as_str().map(PathBuf::from);
            (0, worktree.and_then(|dir| std::fs::read_to_string(dir.join(name)).ok()))
        }
    };
    let expects_work = !text.is_empty() && (job.ends == Ends::Done || fixture.has_started(id));
    if expects_work && there.as_deref() != Some(text.as_str()) {
        found.push(finding(Broken::Lost, format!("{name} of task {id} holds {there:?}")));
    }
    if merges > wanted {
        found.push(finding(Broken::Doubled, format!("task {id} was merged {merges} times")));
    } else if merges < wanted {
        found.push(finding(Broken::Lost, format!("task {id} was merged {merges} times")));
    }
}

/// How many merge commits of each task the base branch reaches.
fn merges(fixture: &Fixture) -> BTreeMap<u64, usize> {
    let text = fixture.repo.git(["log", "--format=%(trailers:key=Orch-Task,valueonly)", "main"]);
    let mut merges = BTreeMap::new();
    for id in text.lines().filter_map(|line| line.trim().parse().ok()) {
        *merges.entry(id).or_default() += 1;
    }
    merges
}

/// Returns SQLite's verdict on the journal, and the runs in it.
fn read_journal(fixture: &Fixture) -> rusqlite::Result<(String, Vec<Value>)> {
    let path = fixture.state().join("orch.db");
    let journal = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let whole = journal.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let mut runs = journal.prepare("SELECT data FROM runs")?;
    let runs = runs.query_map([], |row| row.get::<_, String>(0))?;
    Ok((whole, runs.flatten().filter_map(|text| serde_json::from_str(&text).ok()).collect()))
}

/// Counts runs that could not continue a conversation because the previous agent died before it was saved: each of
/// these agents did nothing, and the next one started a new conversation.
fn lost_sessions(fixture: &Fixture) -> usize {
    let runs = read_journal(fixture).map(|(_, runs)| runs).unwrap_or_default();
    runs.iter().filter(|run| run["outcome"].to_string().contains("\"session_lost\"")).count()
}

/// Describes how each run ended, to explain their number.
fn endings(fixture: &Fixture) -> String {
    let runs = read_journal(fixture).map(|(_, runs)| runs).unwrap_or_default();
    runs.iter().map(|run| format!("\n  {}: {}", run["id"], run["outcome"])).collect()
}

/// The journal is whole, and knows how every run ended.
fn journal(fixture: &Fixture, found: &mut Findings) {
    let (whole, runs) = match read_journal(fixture) {
        Ok(read) => read,
        Err(error) => return found.push(finding(Broken::Lost, format!("the journal cannot be read: {error}"))),
    };
    if whole != "ok" {
        found.push(finding(Broken::Lost, format!("the journal is damaged: {whole}")));
    }
    for run in &runs {
        if run["outcome"].is_null() && run["phase"] != "ended" {
            found.push(finding(Broken::Stuck, format!("run {} never ended: {}", run["id"], run["phase"])));
        }
    }
    for (task, run, _) in fixture.started() {
        if !runs.iter().any(|known| known["id"] == *run) {
            found.push(finding(Broken::Lost, format!("run {run} of task {task} is not known")));
        }
    }
}

/// No two agents at once, and none more often than it must.
fn starts(fixture: &Fixture, jobs: &[Job], allowed: Allowed, found: &mut Findings) {
    for (task, run, pid) in fixture.doubled() {
        found
            .push(finding(Broken::Doubled, format!("the agent of run {run} of task {task} (pid {pid}) was not alone")));
    }
    let started = fixture.started();
    let expected: usize =
        jobs.iter().map(|job| job.starts).sum::<usize>() + allowed.more_starts + lost_sessions(fixture);
    if started.len() > expected {
        let endings = endings(fixture);
        let text = format!("agents started {} times, expected {expected} at most: {started:?}{endings}", started.len());
        found.push(finding(Broken::Doubled, text));
    }
    let mut runs: Vec<&String> = started.iter().map(|(_, run, _)| run).collect();
    runs.sort();
    if let Some(twice) = runs.windows(2).find(|pair| pair[0] == pair[1]).filter(|_| !allowed.same_run) {
        found.push(finding(Broken::Doubled, format!("run {} was started twice", twice[0])));
    }
}

/// The repository is sound, and nothing in it is locked.
fn repository(fixture: &Fixture, found: &mut Findings) {
    let checked = fixture.repo.try_git(["fsck", "--strict", "--no-dangling", "--no-progress"]);
    if checked.code != Some(0) {
        found.push(finding(Broken::Lost, format!("git fsck: {checked}")));
    }
    // The maintenance that an agent's `git commit` begins leaves its locks where it is killed with the agent; orch itself
    // never takes these in a trial.
    let of_maintenance = |name: &str| ["maintenance.lock", "packed-refs.lock"].contains(&name);
    // The last act of `git commit` is to remove this file; a run that continues in the worktree finds it removed.
    let of_agent = |name: &str| name == "AUTO_MERGE.lock";
    let hinders = |name: &str| name.ends_with(".lock") && !of_maintenance(name) && !of_agent(name);
    let locks = below(&fixture.repo.dir().join(".git"), &hinders);
    if !locks.is_empty() {
        found.push(finding(Broken::Stuck, format!("locks are left in the repository: {locks:?}")));
    }
    let scratch = fixture.repo.git(["worktree", "list", "--porcelain"]);
    if scratch.contains("/.orch/merge/") {
        found.push(finding(Broken::Lost, format!("a scratch worktree is left behind: {scratch}")));
    }
    let status = fixture.repo.git(["status", "--porcelain"]);
    if !status.is_empty() {
        found.push(finding(Broken::Lost, format!("the person's checkout is not clean: {status}")));
    }
}

/// Checks that `tasks.yml` is readable, agrees with the journal, and has all of the person's bytes.
fn file(fixture: &Fixture, allowed: Allowed, found: &mut Findings) {
    let text = std::fs::read_to_string(fixture.sealed.tasks_file()).unwrap_or_default();
    for mark in MARKS.iter().filter(|mark| !allowed.no_marks && !text.contains(**mark)) {
        found.push(finding(Broken::Lost, format!("{mark:?} is gone from tasks.yml:\n{text}")));
    }
    let says = statuses(&text);
    let listed = fixture.json(["task", "list", "--json"]);
    for task in listed.as_array().into_iter().flatten() {
        let (id, status) = (task["id"].to_string(), task["status"].as_str().unwrap_or_default());
        let is_taken_out = allowed.tidied && ["done", "cancelled"].contains(&status) && !says.contains_key(&id);
        if says.get(&id).map(String::as_str) != Some(status) && !is_taken_out {
            found.push(finding(Broken::Lost, format!("tasks.yml does not say that task {id} is {status}:\n{text}")));
        }
    }
}

/// Returns the status of each id in the file, in any style.
fn statuses(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut id, mut status) = (BTreeMap::new(), None, None);
    for line in text.lines().map(str::trim).chain(["- end"]) {
        let field = match line.strip_prefix("- ") {
            Some(first) => {
                if let (Some(id), Some(status)) = (id.take(), status.take()) {
                    found.insert(id, status);
                }
                first
            }
            None => line,
        };
        match field.split_once(": ") {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("status", value)) => status = Some(value.to_owned()),
            Some(_) | None => {}
        }
    }
    found
}

/// Checks that nothing partially written is left.
fn leftovers(fixture: &Fixture, found: &mut Findings) {
    let home = std::fs::read_dir(fixture.sealed.orch_home()).into_iter().flatten().flatten();
    let names = home.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let odd: Vec<String> = names.filter(|name| name.contains(".orch-tmp") || name.contains(".orch-swap")).collect();
    if !odd.is_empty() {
        found.push(finding(Broken::Lost, format!("files are left beside tasks.yml: {odd:?}")));
    }
}

/// The files below a directory whose name fits.
fn below(dir: &Path, fits: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let (mut open, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else if fits(&entry.file_name().to_string_lossy()) {
                files.push(entry.path());
            }
        }
    }
    files
}
