//! R19: changes of the repository by a person, git itself or a crash while agents work in it.

use crate::check::{self, Allowed};
use crate::fixture::{Ends, Fixture, Job};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use std::path::PathBuf;

/// The row.
pub const ROW: Row = Row {
    id: "R19",
    code: file!(),
    fault: "git: `index.lock` left in the worktree, branch moved, worktree deleted under the agent, `git gc` during a run, base force-moved, ten worktrees at once",
    goal: "`git fsck` clean, no commit out of reach, the person's branches untouched",
    run: Run::Trials { quick: 6, full: 120, run },
};

fn run(times: usize, _: Size) -> Tally {
    trials(times, 3, |trial| match trial % 6 {
        0 => struck(Ends::Done, |fixture| {
            let lock = fixture.repo.dir().join(".git/worktrees").read_dir().expect("worktrees").flatten().next();
            crate::kit::write_file(&lock.expect("one worktree").path().join("index.lock"), "");
        }),
        1 => moved_branch(),
        2 => deleted(),
        3 => struck(Ends::Done, |fixture| {
            fixture.repo.git(["gc", "--quiet", "--prune=now"]);
        }),
        4 => forced_base(),
        _ => crowd(),
    })
}

/// One task whose agent commits before the fault and writes after it.
fn job(shop_notes: &std::path::Path, ends: Ends) -> Job {
    let go = format!("run sh -c 'until [ -e {}/go ]; do sleep 0.01; done'", shop_notes.display());
    let script = format!("write early.txt right\ncommit Add early\n{go}\nwrite one.txt right");
    Job { title: "Do one".into(), script, ends, file: ("one.txt".into(), "right\n".into()), starts: 1 }
}

/// A task at the gate, and the fault; then the gate opens.
fn at_the_gate(ends: Ends, strike: impl Fn(&Fixture)) -> (Fixture, Job) {
    let fixture = Fixture::empty("");
    let job = job(&fixture.notes, ends);
    let marks = crate::fixture::MARKS;
    fixture.sealed.write_tasks(&format!("{}\n{}{}\n", marks[0], job.entry(), marks[1]));
    let daemon = fixture.until_idle(&[]);
    let committed = || fixture.repo.try_git(["log", "--format=%s", "--all"]).stdout.contains("Add early");
    wait::wait_until("the first commit", RUN, committed);
    strike(&fixture);
    std::fs::write(fixture.note("go"), "").expect("a file in the box");
    daemon.finish(RUN);
    fixture.until_idle(&[]).finish(RUN);
    (fixture, job)
}

fn struck(ends: Ends, strike: impl Fn(&Fixture)) -> Findings {
    let (fixture, job) = at_the_gate(ends, strike);
    check::all(&fixture, &[job], Allowed { more_starts: 1, ..Allowed::default() })
}

fn worktree(fixture: &Fixture) -> PathBuf {
    fixture.worktrees().pop().expect("a worktree")
}

/// Where the agent's commit can still be found.
fn reachable(fixture: &Fixture, found: &mut Findings) {
    if !fixture.repo.git(["log", "--format=%s", "--all"]).contains("Add early") {
        found.push(finding(Broken::Lost, "the agent's commit is out of reach"));
    }
}

/// Somebody switches the worktree to another branch under the agent: what the agent commits there comes to the task's branch.
fn moved_branch() -> Findings {
    let (fixture, job) = at_the_gate(Ends::Done, |fixture| {
        fixture.sealed.run_program_in("git", &worktree(fixture)).args(["switch", "--quiet", "-c", "mine"]).run().ok();
    });
    let mut found = Vec::new();
    reachable(&fixture, &mut found);
    if fixture.repo.try_git(["rev-parse", "--verify", "refs/heads/mine"]).code != Some(0) {
        found.push(finding(Broken::Lost, "the person's branch is gone"));
    }
    found.extend(check::all(&fixture, &[job], Allowed::default()));
    found
}

/// The worktree is deleted under the agent: what was committed stays, and the task can be done again.
fn deleted() -> Findings {
    let (fixture, mut job) = at_the_gate(Ends::Done, |fixture| {
        std::fs::remove_dir_all(worktree(fixture)).expect("a directory that can be removed");
    });
    let mut found = Vec::new();
    reachable(&fixture, &mut found);
    if fixture.show(1)["status"] != "done" {
        // What the agent wrote where its worktree had been is not claimed that orch knows: the person is asked to move it.
        for dir in fixture.worktrees().into_iter().filter(|dir| !dir.join(".git").exists()) {
            std::fs::rename(&dir, fixture.note("moved-away")).expect("a directory that can be moved");
        }
        fixture.orch(["task", "retry", "1"]).ok();
        fixture.until_idle(&[]).finish(RUN);
    }
    job.starts = 4;
    found.extend(check::all(&fixture, &[job], Allowed::default()));
    found
}

/// The person rewrites the base branch meanwhile.
fn forced_base() -> Findings {
    let (fixture, job) = at_the_gate(Ends::Done, |fixture| {
        fixture.repo.git(["commit", "--quiet", "--amend", "--message", "Begin anew"]);
        fixture.repo.write("other.txt", "the person's\n");
        fixture.repo.commit("The person's own");
    });
    let mut found = check::all(&fixture, &[job], Allowed { more_starts: 1, ..Allowed::default() });
    if fixture.repo.show("main", "other.txt").is_none() {
        found.push(finding(Broken::Lost, "the person's own commit is not on the base any more"));
    }
    found
}

/// Ten worktrees are made and merged at the same time.
fn crowd() -> Findings {
    let jobs: Vec<Job> = (0..10).map(|n| Job::plain(&format!("f{n}"), "")).collect();
    let fixture = Fixture::open(&jobs, "engine: {max_parallel: 10, tick_seconds: 2}\n");
    fixture.until_idle(&[]).finish(RUN * 2);
    check::all(&fixture, &jobs, Allowed::default())
}
