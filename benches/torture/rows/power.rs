//! R4: the power is cut. What orch and its runners do to their files is written down once, with the moments at which orch
//! answered somebody; then the disk is looked at as it would be after any of the calls, without what nobody had flushed,
//! or with any part of it. Some cuts are made in earnest, with a daemon that goes on afterwards.

use crate::check::{self, Allowed};
use crate::disk::player::{Before, Disk, Film, Kept};
use crate::disk::trace;
use crate::disk::{Layer, scratch};
use crate::fixture::{Fixture, Job, MARKS, kill};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use ::orch::daemon::Setup;
use ::orch_config::Home;
use ::orch_core::base::ids::TaskId;
use ::orch_store::journal::Journal;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Looked at offline.
pub const CUTS: Row = Row {
    id: "R4",
    code: file!(),
    fault: "the power is cut after any call of the file system: what was not flushed is lost, kept, zeros, torn, names and bytes apart",
    goal: "every task and every end that was told is there; the journal opens without a rebuild; tasks.yml is whole",
    run: Run::Trials { quick: 120, full: 10_000, run: cuts },
};
/// In earnest.
pub const LIVE: Row = Row {
    id: "R4",
    code: file!(),
    fault: "the power is cut under a daemon and its runs, the disk loses what was not flushed, and a daemon goes on",
    goal: "what ran is done again at most",
    run: Run::Trials { quick: 2, full: 100, run: live },
};

/// A reported state, and the length of the trace at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    end: u64,
    title: String,
    /// `None`: that it was added.
    status: Option<String>,
}

/// A play that was written down.
struct Recorded {
    film: Film,
    reports: Vec<Report>,
    /// What `tasks.yml` held at any time.
    files: Vec<Vec<u8>>,
    fixture: Fixture,
    /// The program, without the layer.
    git: PathBuf,
}

fn extent(layer: &Layer) -> u64 {
    layer.trace().metadata().map_or(0, |found| found.len())
}

/// Tasks of all kinds, by a daemon and by commands, from an empty home on.
fn record() -> Recorded {
    let fixture = Fixture::empty("");
    fixture.sealed.write_tasks(&format!("{}\n{}", MARKS[0], Job::plain("one", "").entry()));
    let home = fixture.sealed.orch_home();
    let repo = fixture.repo.dir().to_owned();
    let layer = Layer::over(&[&home, &repo], &fixture.notes).traced(&fixture.notes).of_everybody();
    let git = put_git_under(&layer, &fixture);
    let before = Before::read(&[&home, &repo]);
    let mut reports = Vec::new();
    add(&fixture, &layer, "Added before", &mut reports);
    let mut daemon = fixture.under(&layer).args(["serve"]).start();
    wait::wait_until("the daemon", RUN, || fixture.sealed.socket().is_some());
    add(&fixture, &layer, "Added beside", &mut reports);
    add(&fixture, &layer, "Given up", &mut reports);
    let id = |title: &str| statuses(&fixture).into_iter().find(|(_, name, _)| name == title).map(|(id, ..)| id);
    let given_up = id("Given up").expect("a task").to_string();
    fixture.orch(["task", "cancel", &given_up]).ok();
    hear(&fixture, &layer, &mut reports);
    wait::wait_until("the tasks", RUN, || {
        hear(&fixture, &layer, &mut reports);
        reports.iter().filter(|report| report.status.as_deref() == Some("done")).count() >= 3
    });
    daemon.signal(Signal::TERM);
    wait::wait_until("its end", RUN, || !daemon.is_running());
    add(&fixture, &layer, "Added after", &mut reports);
    let film = before.and(trace::read(layer.trace()));
    let whole = film.cut(film.len(), Kept::Everything, &mut Dice::new(0));
    for name in ["tasks.yml", ".orch/orch.db", ".orch/orch.db-witness"] {
        let there = std::fs::read(home.join(name)).expect("a file");
        assert_eq!(whole.bytes(&home.join(name)), Some(&*there), "the layer has seen every write to {name}");
    }
    let files = film.versions(&fixture.sealed.tasks_file());
    Recorded { film, reports, files, fixture, git }
}

fn add(fixture: &Fixture, layer: &Layer, title: &str, reports: &mut Vec<Report>) {
    let name = title.to_lowercase().replace(' ', "-");
    let script = format!("```orch-script\nwrite {name}.txt right\ncommit Add {name}\n```");
    let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir()).envs(layer.env());
    program.args(["task", "add", title, "-b", &script, "-l", "agent:bot", "-l", "complexity:simple"]).run().ok();
    reports.push(Report { end: extent(layer), title: title.to_owned(), status: None });
}

fn statuses(fixture: &Fixture) -> Vec<(u64, String, String)> {
    let listed: Value = serde_json::from_str(&fixture.orch(["task", "list", "--json"]).stdout).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |task: &Value| Some((task["id"].as_u64()?, text(&task["title"]), text(&task["status"])));
    listed.as_array().into_iter().flatten().filter_map(row).collect()
}

/// Reads the states of the tasks, and records which have ended.
fn hear(fixture: &Fixture, layer: &Layer, reports: &mut Vec<Report>) {
    let heard = statuses(fixture);
    let end = extent(layer);
    for (_, title, status) in heard.into_iter().filter(|(.., status)| ["done", "cancelled"].contains(&status.as_str()))
    {
        if !reports.iter().any(|known| known.title == title && known.status.is_some()) {
            reports.push(Report { end, title, status: Some(status) });
        }
    }
}

fn cuts(times: usize, _: Size) -> Tally {
    let recorded = record();
    let count = recorded.film.len();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut tally = trials(times, 2, |number| {
        let mut dice = Dice::new(number as u64 + 40_000);
        // Each call in its turn, and each kind of loss; then random ones.
        let at = if times > count {
            number % (count + 1)
        } else {
            usize::try_from(dice.below(count as u64 + 1)).expect("small")
        };
        let kept = if dice.below(2) == 0 { Kept::Some } else { Kept::ALL[number % Kept::ALL.len()] };
        let disk = recorded.film.cut(at, kept, &mut dice);
        let place = tempfile::Builder::new().prefix("ob-").tempdir_in(scratch()).expect("a directory");
        disk.put(&recorded.fixture.sealed.orch_home(), place.path(), |path| !path.starts_with("worktrees"));
        let due: Vec<&Report> = recorded.reports.iter().filter(|report| report.end <= recorded.film.end(at)).collect();
        let mut found = looked_at(place.path(), &due, &recorded, &runtime());
        if found.is_empty() && number % 50 == 0 {
            found = asked(place.path(), &due, &recorded.fixture);
        }
        if found.is_empty() && number % 5 == 0 {
            disk.put(recorded.fixture.repo.dir(), &place.path().join("repository"), |_| true);
            found = merged(&place.path().join("repository"), &due, &recorded);
        }
        let reports = |text: &str| format!("{kept:?} after call {at} of {count}, {}: {text}", recorded.film.last(at));
        found.into_iter().map(|one| finding(one.broken, reports(&one.text))).collect()
    });
    tally.note = format!("{count} calls");
    tally
}

/// The home is opened in this process: what a daemon would find.
fn looked_at(dir: &Path, due: &[&Report], recorded: &Recorded, runtime: &tokio::runtime::Runtime) -> Findings {
    let mut found = Vec::new();
    let file = std::fs::read(dir.join("tasks.yml")).ok();
    if file.as_ref().is_none_or(|file| !recorded.files.contains(file)) {
        let text = file.map(|file| String::from_utf8_lossy(&file).into_owned());
        found.push(finding(Broken::Lost, format!("tasks.yml is what it never was: {text:?}")));
    }
    let setup = Setup {
        home: Home::new(dir, None),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        flags: Vec::new(),
        orch: crate::orch().to_owned(),
    };
    match runtime.block_on(setup.mend()) {
        Ok(None) => {}
        Ok(Some(damage)) => found.push(finding(Broken::Stuck, format!("the journal was rebuilt: {damage:?}"))),
        Err(error) => found.push(finding(Broken::Stuck, format!("the journal cannot be looked at: {error}"))),
    }
    let journal = match Journal::open(&setup.home.journal()) {
        Ok((journal, _)) => journal,
        Err(error) => {
            found.push(finding(Broken::Stuck, format!("the journal does not open: {error}")));
            return found;
        }
    };
    let tasks = journal.tasks_after(TaskId(0), 1000).expect("it reads");
    for report in due {
        let same: Vec<_> = tasks.iter().filter(|task| task.spec.title == report.title).collect();
        match (&same[..], &report.status) {
            ([], _) => found.push(finding(Broken::Lost, format!("{:?} is gone", report.title))),
            ([task], Some(status)) if task.status().as_str() != status => {
                let text = format!("{:?} was told to be {status}, and is {}", report.title, task.status().as_str());
                found.push(finding(Broken::Lost, text));
            }
            ([_], _) => {}
            (more, _) => {
                found.push(finding(Broken::Doubled, format!("{:?} is there {} times", report.title, more.len())))
            }
        }
    }
    runtime.block_on(journal.leave());
    found
}

/// The real program is asked.
fn asked(dir: &Path, due: &[&Report], fixture: &Fixture) -> Findings {
    let program = fixture.orch_program().envs([("ORCH_HOME", dir)]);
    let ran = program.args(["task", "list", "--json"]).run();
    if ran.code != Some(0) {
        return vec![finding(Broken::Stuck, format!("it does not answer: {ran}"))];
    }
    let listed = ran.json();
    let is_there = |report: &Report| {
        let mut tasks = listed.as_array().into_iter().flatten().filter(|task| task["title"] == *report.title);
        tasks.any(|task| report.status.as_ref().is_none_or(|status| task["status"] == **status))
    };
    let gone: Vec<&&Report> = due.iter().filter(|report| !is_there(report)).collect();
    if gone.is_empty() { Vec::new() } else { vec![finding(Broken::Lost, format!("{gone:?}: {ran}"))] }
}

/// Checks that the work of a task that was reported as done is on the base branch, complete.
fn merged(repo: &Path, due: &[&Report], recorded: &Recorded) -> Findings {
    let git = |args: &[&str]| recorded.fixture.sealed.run_program_in(&recorded.git, repo).args(args).run();
    let done: Vec<&&Report> = due.iter().filter(|report| report.status.as_deref() == Some("done")).collect();
    if done.is_empty() {
        return Vec::new();
    }
    let subjects = git(&["log", "--first-parent", "--format=%s", "main"]);
    let whole = git(&["rev-list", "--objects", "--quiet", "main"]);
    let mut found = Vec::new();
    for report in done.iter().filter(|report| !subjects.stdout.lines().any(|subject| subject == report.title)) {
        found.push(finding(Broken::Lost, format!("the merge of {:?} is gone: {subjects}", report.title)));
    }
    if whole.code != Some(0) {
        found.push(finding(Broken::Lost, format!("the base branch lacks something: {whole}")));
    }
    found
}

fn live(times: usize, _: Size) -> Tally {
    trials(times, 3, |number| {
        let mut dice = Dice::new(number as u64 + 50_000);
        let kept = Kept::ALL[number % Kept::ALL.len()];
        let found = cut(kept, &mut dice);
        found.into_iter().map(|one| finding(one.broken, format!("{kept:?}: {}", one.text))).collect()
    })
}

fn cut(kept: Kept, dice: &mut Dice) -> Findings {
    let script = |dice: &mut Dice| format!("wait {}ms", dice.below(300));
    let jobs: Vec<Job> = (0..4).map(|number| Job::plain(&format!("f{number}"), &script(dice))).collect();
    let fixture = Fixture::open(&jobs, "engine: {max_parallel: 4, tick_seconds: 2}\n");
    let home = fixture.sealed.orch_home();
    let layer = Layer::over(&[&home], &fixture.notes).traced(&fixture.notes);
    let before = Before::read(&[&home]);
    let daemon = fixture.under(&layer).args(["serve", "--until-idle"]).start();
    wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
    dice.pause(2000);
    let over = wait::poll(Duration::from_secs(10), || {
        let all = fixture.sealed.inmates();
        for one in all.iter().filter(|one| !is_git(&one.command)) {
            kill(one.pid);
        }
        all.is_empty().then_some(())
    });
    daemon.finish(RUN);
    let film = before.and(trace::read(layer.trace()));
    let disk = film.cut(film.len(), kept, dice);
    lay(&disk, &home);
    let started = fixture.started().len();
    fixture.until_idle(&[]).finish(RUN * 2);
    let allowed = Allowed { more_starts: started, same_run: true, ..Allowed::default() };
    let mut found = check::all(&fixture, &jobs, allowed);
    if over.is_none() {
        found.push(finding(Broken::Stuck, "not everything could be killed"));
    }
    found
}

fn is_git(command: &str) -> bool {
    command.split(' ').next().is_some_and(|program| program.rsplit('/').next() == Some("git"))
}

/// Puts a git into the box that runs under the layer. Returns the path of the real one.
fn put_git_under(layer: &Layer, fixture: &Fixture) -> PathBuf {
    let found = fixture.sealed.run_program("sh").args(["-c", "command -v git"]).run().ok().stdout;
    let orders: String = layer.env().iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    fixture.sealed.program("git", &format!("#!/bin/sh\n{orders}exec {} \"$@\"\n", found.trim()));
    found.trim().into()
}

/// The home is what the disk holds; worktrees are git's.
fn lay(disk: &Disk, home: &Path) {
    std::fs::remove_dir_all(home.join(".orch")).expect("orch's own directory");
    std::fs::remove_file(home.join("tasks.yml")).ok();
    disk.put(home, home, |path| !path.starts_with("worktrees"));
}
