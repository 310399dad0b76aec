//! R19: what a person, git itself or a crash does to the repository while agents work in it.

use crate::check::{self, Allowed};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use crate::shop::{Ends, Job, Shop};
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
        0 => struck(Ends::Done, |shop| {
            let lock = shop.repo.dir().join(".git/worktrees").read_dir().expect("worktrees").flatten().next();
            crate::kit::write_file(&lock.expect("one worktree").path().join("index.lock"), "");
        }),
        1 => moved_branch(),
        2 => deleted(),
        3 => struck(Ends::Done, |shop| {
            shop.repo.git(["gc", "--quiet", "--prune=now"]);
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
fn at_the_gate(ends: Ends, strike: impl Fn(&Shop)) -> (Shop, Job) {
    let shop = Shop::empty("");
    let job = job(&shop.notes, ends);
    let marks = crate::shop::MARKS;
    shop.sealed.write_tasks(&format!("{}\n{}{}\n", marks[0], job.entry(), marks[1]));
    let daemon = shop.until_idle(&[]);
    let committed = || shop.repo.try_git(["log", "--format=%s", "--all"]).stdout.contains("Add early");
    wait::wait_until("the first commit", RUN, committed);
    strike(&shop);
    std::fs::write(shop.note("go"), "").expect("a file in the box");
    daemon.finish(RUN);
    shop.until_idle(&[]).finish(RUN);
    (shop, job)
}

fn struck(ends: Ends, strike: impl Fn(&Shop)) -> Findings {
    let (shop, job) = at_the_gate(ends, strike);
    check::all(&shop, &[job], Allowed { more_starts: 1, ..Allowed::default() })
}

fn worktree(shop: &Shop) -> PathBuf {
    shop.worktrees().pop().expect("a worktree")
}

/// Where the agent's commit can still be found.
fn reachable(shop: &Shop, found: &mut Findings) {
    if !shop.repo.git(["log", "--format=%s", "--all"]).contains("Add early") {
        found.push(finding(Broken::Lost, "the agent's commit is out of reach"));
    }
}

/// Somebody switches the worktree to another branch under the agent: what the agent commits there comes to the task's branch.
fn moved_branch() -> Findings {
    let (shop, job) = at_the_gate(Ends::Done, |shop| {
        shop.sealed.run_program_in("git", &worktree(shop)).args(["switch", "--quiet", "-c", "mine"]).run().ok();
    });
    let mut found = Vec::new();
    reachable(&shop, &mut found);
    if shop.repo.try_git(["rev-parse", "--verify", "refs/heads/mine"]).code != Some(0) {
        found.push(finding(Broken::Lost, "the person's branch is gone"));
    }
    found.extend(check::all(&shop, &[job], Allowed::default()));
    found
}

/// The worktree is deleted under the agent: what was committed stays, and the task can be done again.
fn deleted() -> Findings {
    let (shop, mut job) = at_the_gate(Ends::Done, |shop| {
        std::fs::remove_dir_all(worktree(shop)).expect("a directory that can be removed");
    });
    let mut found = Vec::new();
    reachable(&shop, &mut found);
    if shop.show(1)["status"] != "done" {
        // What the agent wrote where its worktree had been is nobody's that orch knows: the person is asked to move it.
        for dir in shop.worktrees().into_iter().filter(|dir| !dir.join(".git").exists()) {
            std::fs::rename(&dir, shop.note("moved-away")).expect("a directory that can be moved");
        }
        shop.orch(["task", "retry", "1"]).ok();
        shop.until_idle(&[]).finish(RUN);
    }
    job.starts = 4;
    found.extend(check::all(&shop, &[job], Allowed::default()));
    found
}

/// The person rewrites the base branch meanwhile.
fn forced_base() -> Findings {
    let (shop, job) = at_the_gate(Ends::Done, |shop| {
        shop.repo.git(["commit", "--quiet", "--amend", "--message", "Begin anew"]);
        shop.repo.write("other.txt", "the person's\n");
        shop.repo.commit("The person's own");
    });
    let mut found = check::all(&shop, &[job], Allowed { more_starts: 1, ..Allowed::default() });
    if shop.repo.show("main", "other.txt").is_none() {
        found.push(finding(Broken::Lost, "the person's own commit is not on the base any more"));
    }
    found
}

/// Ten worktrees are made and merged at the same time.
fn crowd() -> Findings {
    let jobs: Vec<Job> = (0..10).map(|n| Job::plain(&format!("f{n}"), "")).collect();
    let shop = Shop::open(&jobs, "engine: {max_parallel: 10, tick_seconds: 2}\n");
    shop.until_idle(&[]).finish(RUN * 2);
    check::all(&shop, &jobs, Allowed::default())
}
