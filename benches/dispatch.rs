//! Measures the time from "a task can run" to "its agent runs", and from "the agent ended" to "its status is recorded",
//! against the bare programs.

use crate::Scale;
use crate::agent;
use crate::fixture::{Feed, Fixture, Seen, repository, this_program};
use crate::kit::provider::{Answer, Provider};
use crate::kit::repo::Repo;
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use crate::measure::{Samples, ms_between, now_ns, program_ms, random_pause};
use crate::table::Table;
use orch_sys::process::{Invocation, run};
use std::path::{Path, PathBuf};

/// Median and 95th percentile of orch's own share of a dispatch, in milliseconds.
const DISPATCH: (f64, f64) = (10.0, 25.0);
/// The same from the agent's end to a status.
const ENDING: (f64, f64) = (10.0, 30.0);

/// What a dispatch may take longer while no provider answers, in milliseconds: as much as two runs of the same thing differ.
const NO_SLOWER: f64 = 5.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    for (files, rounds) in [(500, scale.pick(60, 10)), (5_000, scale.pick(30, 5))] {
        measure(files, rounds, table);
    }
    providers(scale.pick(40, 8), table);
}

/// Measures dispatch with providers that never answer, and with ones that answer at once, alternating.
fn providers(rounds: usize, table: &mut Table) {
    let answers = [Answer::models(&["model"]), Answer::Never];
    let servers = answers.map(|answer| [0, 1, 2].map(|_| Provider::start(answer.clone())));
    let ready = servers.each_ref().map(|servers| {
        let names: Vec<String> = (0..servers.len()).map(|number| format!("maker-{number}")).collect();
        let urls = names.iter().zip(servers).map(|(name, server)| format!("{name}: {{base_url: '{}'}}", server.url()));
        let mut fixture = Fixture::new(&format!(
            "engine: {{max_parallel: 4}}\nrouter: {{agents: [bot]}}\nproviders: {{{}}}\nescalation: {{ladder: [bot/maker-1/model, \
             bot/maker-2/model]}}\nmodel_map: {{medium: {{bot: maker-0/model}}}}\n",
            urls.collect::<Vec<_>>().join(", ")
        ));
        let repo = repository(fixture.sealed(), 500);
        fixture.serve();
        fixture.register(&repo);
        (fixture, repo)
    });
    let labs = ready.each_ref().map(|(fixture, repo)| Harness::new(fixture, repo));
    for server in servers.iter().flatten() {
        wait::wait_until("a provider to be asked", RUN, || !server.seen().is_empty());
    }
    let mut taken = [Taken::default(), Taken::default()];
    for round in 0..=rounds {
        for (harness, taken) in labs.iter().zip(&mut taken) {
            let before = now_ns();
            let id = harness.fixture.add(&format!("Task {round} by the API"));
            let mut first = Taken::default();
            // The first round makes what is made once.
            harness.follow(id, before, if round == 0 { &mut first } else { taken }, true);
        }
    }
    labs.iter().for_each(Harness::end);
    let [well, silent] = taken;
    table.share(
        "task added by the API → agent runs, 500 files: no provider answers, beside three that do",
        Some(&well.api),
        &silent.api,
        (NO_SLOWER, NO_SLOWER),
    );
    drop(labs);
    ready.into_iter().for_each(|(fixture, _)| fixture.finish());
}

/// What one repository gave.
#[derive(Default)]
struct Taken {
    /// Worktree, session and agent by the bare programs.
    bare: Samples,
    /// Of that: `git worktree add`.
    bare_worktree: Samples,
    /// The same by orch, added by the API.
    api: Samples,
    /// Of that: from the request to the entry "run_launched".
    stored: Samples,
    /// The same by orch, written into `tasks.yml`.
    file: Samples,
    /// From the agent's end to the entry "run_ended".
    reviewed: Samples,
    /// From the agent's end to the entry "done".
    done: Samples,
    /// The git commands of the evidence, bare.
    evidence: Samples,
}

fn measure(files: usize, rounds: usize, table: &mut Table) {
    let mut fixture = Fixture::new("engine: {max_parallel: 4}\n");
    let repo = repository(fixture.sealed(), files);
    fixture.serve();
    fixture.register(&repo);
    let harness = Harness::new(&fixture, &repo);
    harness.round(0, &mut Taken::default());
    // The round before made what is made once, and does not count.
    let mut taken = Taken::default();
    for round in 1..=rounds {
        harness.round(round, &mut taken);
    }
    harness.end();
    fixture.finish();
    taken.report(files, table);
}

impl Taken {
    fn report(&self, files: usize, table: &mut Table) {
        let name = |what: &str| format!("{what}, {files} files");
        table.share(name("task added by the API → agent runs"), Some(&self.bare), &self.api, DISPATCH);
        table.part("of the baseline: git worktree add", &self.bare_worktree);
        table.part("of orch: request → run stored", &self.stored);
        table.share(name("task written into tasks.yml → agent runs"), Some(&self.bare), &self.file, DISPATCH);
        table.share(name("agent ends → in_review on the feed"), None, &self.reviewed, ENDING);
        table.share(name("agent ends → done, beyond the evidence commands"), Some(&self.evidence), &self.done, ENDING);
    }
}

/// What the rounds work with.
struct Harness<'a> {
    fixture: &'a Fixture,
    repo: &'a Repo,
    feed: Feed,
    /// The baseline's own tmux server, kept warm by a session.
    tmux: PathBuf,
}

impl<'a> Harness<'a> {
    fn new(fixture: &'a Fixture, repo: &'a Repo) -> Self {
        let dir = fixture.sealed().runtime().join("tmux");
        std::fs::create_dir_all(&dir).expect("a directory in the box");
        let harness = Self { fixture, repo, feed: fixture.feed(), tmux: dir.join("bare") };
        program_ms(&harness.tmux(&["new-session", "-d", "-s", "keep", "--", "sleep", "100000"]));
        harness
    }

    fn end(&self) {
        program_ms(&self.tmux(&["kill-server"]));
    }

    /// One of each, in turn.
    fn round(&self, round: usize, taken: &mut Taken) {
        self.bare(round, taken);
        let before = now_ns();
        let id = self.fixture.add(&format!("Task {round} by the API"));
        self.follow(id, before, taken, true);
        let title = format!("Task {round} by hand");
        self.settle();
        let before = self.write_task(&title);
        let added = self.feed.until("new task", |entry| entry.kind == "task_added" && entry.text == title);
        let id = added.last().and_then(|seen| seen.entry.task_id).expect("a task has an id").0;
        self.follow(id, before, taken, false);
    }

    /// What the same takes without orch.
    fn bare(&self, round: usize, taken: &mut Taken) {
        random_pause(20, 120);
        let name = format!("bare-{round}");
        let dir = self.fixture.worktrees().join(&name);
        let before = now_ns();
        self.must(
            &self
                .git(self.repo.dir(), &["worktree", "add", "--quiet", "--no-track", "-b", &name])
                .arg(&dir)
                .arg("main"),
        );
        taken.bare_worktree.add(ms_between(before, now_ns()));
        let session = ["new-session", "-d", "-s", &name, "-x", "200", "-y", "50", "-c"];
        let session = self.tmux(&session).arg(&dir).arg("--").arg(this_program());
        self.must(&session.arg(agent::FLAG).arg(self.fixture.stamps()).arg(&name));
        taken.bare.add(ms_between(before, self.fixture.await_stamp(&name, "begin")));
        self.fixture.await_stamp(&name, "end");
        self.remove(&dir);
    }

    /// Waits until the task is done, and takes the times.
    fn follow(&self, id: u64, before: u64, taken: &mut Taken, by_api: bool) {
        let seen = self.feed.until(&format!("end of task {id}"), |entry| {
            entry.kind == "done" && entry.task_id.is_some_and(|task| task.0 == id)
        });
        let name = id.to_string();
        let begun = self.fixture.await_stamp(&name, "begin");
        let ended = self.fixture.await_stamp(&name, "end");
        let at = |kind: &str| arrival(&seen, kind);
        if by_api {
            taken.api.add(ms_between(before, begun));
            taken.stored.add(ms_between(before, at("run_launched")));
            taken.reviewed.add(ms_between(ended, at("run_ended")));
            taken.done.add(ms_between(ended, at("done")));
        } else {
            taken.file.add(ms_between(before, begun));
        }
        random_pause(20, 120);
        let dir = self.worktree_of(id);
        if by_api {
            taken.evidence.add(self.evidence(&dir));
        }
        self.remove(&dir);
    }

    /// The git commands by which a result is looked at, bare: what the branch holds, and whether anything changed in the
    /// main checkout.
    fn evidence(&self, dir: &Path) -> f64 {
        let main = self.repo.dir();
        [
            self.git(dir, &["status", "--porcelain=v2", "--branch", "-z"]),
            self.git(dir, &["rev-list", "--reverse", "main..HEAD"]),
            self.git(dir, &["diff", "--numstat", "-z", "main...HEAD"]),
            self.git(main, &["status", "--porcelain=v2", "--branch", "-z"]),
            self.git(main, &["for-each-ref", "--format=%(refname) %(objectname)"]),
            self.git(main, &["config", "--list", "--show-scope", "-z"]),
        ]
        .iter()
        .map(program_ms)
        .sum()
    }

    /// Waits until orch has written all that it had to write into `tasks.yml`.
    fn settle(&self) {
        let statuses = || self.fixture.sealed().read_tasks().matches("status: done").count() as u64;
        wait::wait_until("tasks.yml to be up to date", RUN, || statuses() == self.fixture.count("done"));
        random_pause(20, 120);
    }

    /// Adds an entry as an editor does: the new text is renamed into place. When that was done.
    fn write_task(&self, title: &str) -> u64 {
        let text = self.fixture.sealed().read_tasks();
        let item = text.lines().find(|line| line.trim_start().starts_with("- ")).unwrap_or("- ");
        let indent = &item[..item.len() - item.trim_start().len()];
        let next = self.fixture.sealed().tasks_file().with_extension("yml.next");
        write_file(&next, &format!("{text}{indent}- title: {title}\n{indent}  labels: [agent:bot]\n"));
        let before = now_ns();
        std::fs::rename(&next, self.fixture.sealed().tasks_file()).expect("a file in the box");
        before
    }

    fn worktree_of(&self, id: u64) -> PathBuf {
        self.fixture.task(id).worktree.expect("a task that ran has a worktree")
    }

    /// Removes a worktree, so that the disk does not fill up.
    fn remove(&self, dir: &Path) {
        self.must(&self.git(self.repo.dir(), &["worktree", "remove", "--force"]).arg(dir));
    }

    fn must(&self, call: &Invocation) {
        let output = run(call).unwrap_or_else(|error| panic!("{error}"));
        assert!(output.success(), "{call:?}: {}", output.error_text());
    }

    fn git(&self, dir: &Path, args: &[&str]) -> Invocation {
        self.fixture.program("git", dir).args(args)
    }

    fn tmux(&self, args: &[&str]) -> Invocation {
        let call = self.fixture.program("tmux", self.fixture.sealed().root());
        call.args(["-f", "/dev/null", "-S"]).arg(&self.tmux).args(args)
    }
}

fn arrival(seen: &[Seen], kind: &str) -> u64 {
    let found = seen.iter().find(|seen| seen.entry.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind} among {seen:#?}")).at
}
