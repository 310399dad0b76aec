//! R10: a person edits `tasks.yml`, in all ways in which editors save and break files, while orch writes to it.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, pause, trials};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Concurrent saves.
pub const RACES: Row = Row {
    id: "R10",
    code: file!(),
    fault: "two editors save `tasks.yml` (rename, or truncate and write) beside orch's own writes",
    goal: "no comment, no new task, no status is lost; what cannot be in the file is kept beside it, and the person is told where",
    run: Run::Trials { quick: 40, full: 10_000, run: races },
};
/// The file is not what it should be.
pub const BROKEN: Row = Row {
    id: "R10",
    code: file!(),
    fault: "`tasks.yml` invalid, deleted, empty, a directory, a link to elsewhere, with CRLF; put right later",
    goal: "what runs goes on, nothing is cancelled, the person's bytes stay",
    run: Run::Trials { quick: 6, full: 120, run: broken },
};

const CONFIG: &str = "engine: {max_parallel: 3, tick_seconds: 2}\n";

fn jobs(count: usize) -> Vec<Job> {
    (0..count).map(|number| Job::plain(&format!("f{number}"), "wait 200ms")).collect()
}

fn races(times: usize, size: Size) -> Tally {
    let each = if size == Size::Full { 100 } else { 20 };
    let aside = AtomicUsize::new(0);
    let mut tally = trials(times.div_ceil(2 * each), 3, |trial| race(trial, each, &aside));
    tally.times = times;
    tally.note = match aside.into_inner() {
        0 => "nothing had to be kept beside it".to_owned(),
        count => format!("{count} kept beside it, in files that were told of"),
    };
    tally
}

/// What two editors have put into the file.
#[derive(Default)]
struct Put {
    comments: Vec<String>,
    jobs: Vec<Job>,
}

/// Two editors, each of which reads, changes one thing, and saves, again and again, each so many times.
fn race(trial: usize, saves: usize, aside: &AtomicUsize) -> Findings {
    let mut jobs = jobs(4);
    let fixture = Fixture::open(&jobs, CONFIG);
    let mut daemon = fixture.orch_program().args(["serve"]).start();
    wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
    let (turn, put) = (Mutex::new(()), Mutex::new(Put::default()));
    std::thread::scope(|scope| {
        for editor in 0..2 {
            let dice = Dice::new((2 * trial + editor) as u64 + 6000);
            let (fixture, turn, put) = (&fixture, &turn, &put);
            scope.spawn(move || edit(fixture, editor, saves, dice, turn, put));
        }
    });
    let put = put.into_inner().expect("no editor panics");
    jobs.extend(put.jobs);
    let mut found = fixture.until_done(jobs.len(), RUN);
    daemon.signal(rustix::process::Signal::TERM);
    assert!(wait::poll(SOON, || (!daemon.is_running()).then_some(())).is_some(), "the daemon leaves");
    fixture.until_idle(&[]).finish(RUN);
    let text = fixture.sealed.read_tasks();
    for comment in put.comments.iter().filter(|comment| !text.lines().any(|line| line == **comment)) {
        match is_kept_and_reported(&fixture, comment) {
            true => drop(aside.fetch_add(1, Ordering::Relaxed)),
            false => found.push(finding(Broken::Lost, format!("{comment:?} is gone from tasks.yml:\n{text}"))),
        }
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// Returns whether a line is in a file next to `tasks.yml` that the history mentions.
fn is_kept_and_reported(fixture: &Fixture, line: &str) -> bool {
    let output = fixture.orch(["events", "--json"]).stdout;
    let kept = std::fs::read_dir(fixture.sealed.orch_home().join(".orch")).into_iter().flatten().flatten();
    let has = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|one| one == line));
    kept.map(|entry| entry.path()).any(|path| output.contains(&*path.to_string_lossy()) && has(&path))
}

/// One of the editors. As editors do, it does not overwrite a save since it read the file, but reads again; no editor
/// reads a file that another is writing. orch is not waited for.
fn edit(fixture: &Fixture, editor: usize, saves: usize, mut dice: Dice, turn: &Mutex<()>, put: &Mutex<Put>) {
    for save in 0..saves {
        let job = (save % 20 == 3).then(|| Job::plain(&format!("late{editor}-{save}"), ""));
        let comment = format!("# thought {save} of editor {editor}");
        let is_saved = |dice: &mut Dice| {
            let read = {
                let _nobody_writes = turn.lock().expect("no editor panics");
                fixture.sealed.read_tasks()
            };
            dice.pause(40);
            let text = match &job {
                Some(job) => format!("{}\n{}", read.trim_end(), job.entry()),
                None => format!("{comment}\n{read}"),
            };
            let _my_turn = turn.lock().expect("no editor panics");
            if fixture.sealed.read_tasks() != read {
                return None;
            }
            if dice.below(2) == 0 {
                fixture.save_tasks(&text);
            } else {
                rewrite(&fixture.sealed.tasks_file(), &text, dice);
            }
            Some(())
        };
        wait::wait_some("a save", RUN, || is_saved(&mut dice));
        let mut put = put.lock().expect("no editor panics");
        match job {
            Some(job) => put.jobs.push(job),
            None => put.comments.push(comment),
        }
    }
}

/// Saves as an editor that rewrites the existing file, in two writes.
fn rewrite(path: &Path, text: &str, dice: &mut Dice) {
    let mut file = std::fs::File::create(path).expect("a file that can be written");
    let half = text.len() / 2;
    file.write_all(&text.as_bytes()[..half]).expect("room");
    dice.pause(5);
    file.write_all(&text.as_bytes()[half..]).expect("room");
}

fn broken(times: usize, _: Size) -> Tally {
    trials(times, 3, |trial| match trial % 6 {
        0 => damaged(|path, text| crate::kit::write_file(path, &format!("{text}\n- {{ not: [closed\n")), false),
        1 => damaged(|path, _| std::fs::remove_file(path).expect("a file"), false),
        2 => damaged(|path, _| crate::kit::write_file(path, ""), false),
        3 => damaged(
            |path, _| {
                std::fs::remove_file(path).expect("a file");
                std::fs::create_dir(path).expect("a directory");
            },
            false,
        ),
        4 => damaged(
            |path, text| {
                let other = path.with_file_name("elsewhere.yml");
                crate::kit::write_file(&other, text);
                std::fs::remove_file(path).expect("a file");
                std::os::unix::fs::symlink(&other, path).expect("a link");
            },
            true,
        ),
        _ => damaged(|path, text| crate::kit::write_file(path, &text.replace('\n', "\r\n")), true),
    })
}

/// The file is damaged while agents run, and put right when some time has passed. `good`: it was fine all the time.
fn damaged(damage: impl Fn(&Path, &str), good: bool) -> Findings {
    let jobs = jobs(5);
    let fixture = Fixture::open(&jobs, CONFIG);
    let mut daemon = fixture.orch_program().args(["serve"]).start();
    wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
    let path = fixture.sealed.tasks_file();
    // As the person has it in the editor.
    let text = wait::wait_some("ids", RUN, || Some(fixture.sealed.read_tasks()).filter(|text| text.contains("id: 5")));
    damage(&path, &text);
    // Longer than orch thinks that a save may take.
    pause(Duration::from_millis(3500));
    let mut found = Vec::new();
    if !good {
        if path.is_dir() {
            std::fs::remove_dir(&path).expect("an empty directory");
        }
        fixture.save_tasks(&text);
    }
    found.extend(fixture.until_done(jobs.len(), RUN));
    assert!(daemon.is_running(), "the daemon lives");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.finish(SOON);
    fixture.until_idle(&[]).finish(RUN);
    if MARKS.iter().any(|mark| !fixture.sealed.read_tasks().contains(mark)) {
        found.push(finding(Broken::Lost, "the person's comments are gone"));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}
