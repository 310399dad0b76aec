//! The merge queue: branches that each pass their checks alone, of which some conflict and some break each other. All are
//! ordered to be merged at once. How long that takes beside the checks alone, once for each branch; and whether the base
//! passes at each commit that it ever stood at.

use crate::Scale;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use crate::measure::{Samples, figure, timed};
use crate::table::{Row, Table};
use orch::daemon::Setup;
use orch_config::Home;
use orch_core::base::ids::TaskId;
use orch_engine::Mode;
use orch_engine::handle::Acceptance;
use std::path::PathBuf;

/// Of the branches, so many change the same line, and as many break each other.
const TORN: u64 = 5;
/// Does what the lines of its prompt say that begin with `DO:`.
const BOT: &str = "#!/bin/sh\nsed -n 's/^DO: //p' > \"$HOME/do-$$\"\n. \"$HOME/do-$$\"\n";
/// Passes where there is at most one flag, after a tenth of a second.
const CHECK: &str = "sleep 0.1; [ \"$(ls | grep -c 'flag$')\" -le 1 ]\n";
/// Times the checks alone.
const GOAL: f64 = 2.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let count = scale.pick(50, 14);
    let sealed = SealedBox::new();
    let repo = branches(&sealed, count);
    let mut alone = Samples::default();
    let (alone_ms, ()) = timed(|| {
        for id in 1..=count {
            let dir = worktree(&sealed, id);
            let (ms, ran) = timed(|| sealed.run_program_in("sh", &dir).args(["check.sh"]).run());
            ran.ok();
            alone.add(ms);
        }
    });
    let (merged_ms, merged) = timed(|| merge_all(&sealed, count));
    let red = repo
        .git(["rev-list", "--first-parent", "main"])
        .lines()
        .filter(|commit| is_red(&sealed, &repo, commit))
        .count();
    let ratio = merged_ms / alone_ms;
    let torn = 2 * TORN;
    table.add(Row {
        name: format!(
            "merge queue: {count} branches, {torn} of which conflict or break each other; checks of {} ms",
            figure(alone.p50())
        ),
        baseline: format!("{} s", figure(alone_ms / 1e3)),
        orch: format!("{} s", figure(merged_ms / 1e3)),
        own: format!("× {ratio:.2}"),
        goal: format!("× ≤ {GOAL} of the checks"),
        reached: Some(ratio <= GOAL),
    });
    // One of each kind that do not go together gets in.
    let expected = usize::try_from(count - torn + 2).unwrap_or_default();
    table.add(Row {
        name: "  · merged; commits of the base that fail its checks".to_owned(),
        orch: format!("{merged}; {red}"),
        goal: format!("{expected}; 0"),
        reached: Some((merged, red) == (expected, 0)),
        ..Row::default()
    });
    sealed.finish();
}

/// A repository in which each task has left a branch that passes its checks.
fn branches(sealed: &SealedBox, count: u64) -> Repo {
    sealed.program("bot", BOT);
    sealed.config(
        "agents: {bot: {kind: command, command: bot}}\nengine: {max_parallel: 8}\n\
         breaker: {failures: 0}\nworkflow: {integrate: branch, checks: [sh check.sh]}\n",
    );
    let repo = sealed.repo("shop");
    repo.write("check.sh", CHECK);
    repo.commit("Add the check");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    for id in 1..=count {
        let file = match id {
            id if id <= TORN => "README.md".to_owned(),
            id if id <= 2 * TORN => format!("{id}.flag"),
            id => format!("file-{id}.txt"),
        };
        let body = format!("DO: echo {id} > {file}; git add .; git commit -qm 'Change {file}'");
        sealed.orch_in(repo.dir(), ["task", "add", "Work", "-b", &body, "-l", "agent:bot"]).ok();
    }
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 10).run().ok();
    repo
}

fn worktree(sealed: &SealedBox, id: u64) -> PathBuf {
    let task = sealed.orch(["task", "show", &id.to_string(), "--json"]).ok().json();
    PathBuf::from(task["worktree"].as_str().expect("a worktree"))
}

/// Orders all merges at once; how many were made when all is at rest.
fn merge_all(sealed: &SealedBox, count: u64) -> usize {
    let text = |value: std::ffi::OsString| value.into_string().expect("text");
    let setup = Setup {
        home: Home::new(sealed.orch_home(), None),
        environment: sealed.env().into_iter().map(|(name, value)| (text(name), text(value))).collect(),
        flags: Vec::new(),
        orch: PathBuf::from(ORCH),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let running = setup.open(Mode::Serve).await.expect("opens");
        let engine = running.handle.clone();
        let mut feed = engine.follow();
        for id in 1..=count {
            engine.accept(TaskId(id), Acceptance::Merge, None, None).await.expect("ordered");
        }
        let (mut over, mut merged) = (0, 0);
        while over < count {
            let fact = feed.recv().await.expect("the feed goes on").fact;
            merged += usize::from(fact.kind() == "done");
            over += u64::from(fact.kind() == "done" || fact.kind() == "not_integrated");
        }
        running.signals.shutdown.cancel();
        running.serve().await;
        merged
    })
}

fn is_red(sealed: &SealedBox, repo: &Repo, commit: &str) -> bool {
    if repo.show(commit, "check.sh").is_none() {
        return false;
    }
    repo.git(["checkout", "--quiet", commit]);
    let ran = sealed.run_program_in("sh", repo.dir()).args(["check.sh"]).run();
    repo.git(["checkout", "--quiet", "main"]);
    ran.code != Some(0)
}
