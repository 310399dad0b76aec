//! R29: a person works in the repository while agents work there and their work is merged.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job};
use crate::kit::repo::Repo;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, pause, trials};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    id: "R29",
    code: file!(),
    fault: "a person at work: an editor, an IDE with its files and its `index.lock`, `git add/commit/gc/rebase/stash/switch -c/push -u/remote add`, hooks, `config.yml` saved, the agent upgraded, while 20 tasks run and merge",
    goal: "no run more than tasks, no question, nothing of the person's overwritten or refused",
    run: Run::Trials { quick: 1, full: 20, run },
};

/// Tasks of one trial.
const TASKS: usize = 20;
/// What a person does, each at least once.
const ACTS: usize = 14;
/// How long a command of the person's may meet orch's own lock.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(times: usize, _: Size) -> Tally {
    let acts = AtomicUsize::new(0);
    let mut tally = trials(times, 1, |trial| day(trial, &acts));
    tally.times = acts.into_inner();
    tally.note = format!("acts of the person beside {} tasks", times * TASKS);
    tally
}

fn day(trial: usize, acts: &AtomicUsize) -> Findings {
    let jobs: Vec<Job> = (0..TASKS).map(|n| Job::plain(&format!("f{n}"), "wait 700ms")).collect();
    let fixture = Fixture::open(&jobs, "engine: {max_parallel: 4, tick_seconds: 2}\n");
    let theirs = fixture.sealed.root().join("theirs.git");
    fixture.sealed.run_program("git").args(["init", "-q", "--bare", &theirs.to_string_lossy()]).run().ok();
    let daemon = fixture.serves(TASKS);
    let (is_over, asked) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let person = Person::new(&fixture, theirs, trial);
    let (mut found, person) = std::thread::scope(|scope| {
        let working = scope.spawn(|| person.works(&is_over, acts));
        let looking = scope.spawn(|| look_for_questions(&fixture, &is_over, &asked));
        let found = fixture.until_done(TASKS, RUN * 6);
        is_over.store(true, Ordering::SeqCst);
        looking.join().expect("it only looks");
        (found, working.join().expect("what the person finds is told, not panicked"))
    });
    let asked = asked.into_inner().expect("nobody panics with it");
    found.extend(asked.into_iter().map(|question| finding(Broken::Stuck, question)));
    found.extend(fixture.leaves(daemon));
    found.extend(person.stops_working());
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    if !found.is_empty() && crate::is_verbose() {
        let moves = fixture.repo.try_git(["reflog", "show", "--date=iso-strict", "main"]).stdout;
        let head = fixture.repo.try_git(["reflog", "show", "--date=iso-strict", "HEAD"]).stdout;
        crate::table::print_error(&format!("how main moved:\n{moves}how HEAD moved:\n{head}"));
    }
    found
}

/// Every question that a task asks, at any time.
fn look_for_questions(fixture: &Fixture, is_over: &AtomicBool, asked: &Mutex<Vec<String>>) {
    while !is_over.load(Ordering::SeqCst) {
        let listed = fixture.orch(["task", "list", "--json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
        for task in listed.as_array().into_iter().flatten().filter(|task| task["status"] == "needs_review") {
            let question = format!("task {} asks: {}", task["id"], task["question"]);
            let mut asked = asked.lock().expect("nobody panics with it");
            if !asked.contains(&question) {
                asked.push(question);
            }
        }
        pause(Duration::from_millis(300));
    }
}

/// Somebody at their desk.
struct Person<'a> {
    fixture: &'a Fixture,
    repo: &'a Repo,
    dice: Dice,
    /// A repository of theirs elsewhere.
    theirs: PathBuf,
    /// What they wrote into `person.txt` and committed.
    lines: Vec<String>,
    branches: Vec<String>,
    /// What went wrong for them.
    found: Findings,
}

impl<'a> Person<'a> {
    fn new(fixture: &'a Fixture, theirs: PathBuf, trial: usize) -> Self {
        let (dice, repo) = (Dice::new(trial as u64 + 2900), &fixture.repo);
        Self { fixture, repo, dice, theirs, lines: Vec::new(), branches: Vec::new(), found: Vec::new() }
    }

    /// One act after the other, until everything is done.
    fn works(mut self, is_over: &AtomicBool, acts: &AtomicUsize) -> Self {
        let mut number = 0;
        while number < ACTS || !is_over.load(Ordering::SeqCst) {
            let act = if number < ACTS { number } else { self.dice.below(ACTS as u64) as usize };
            self.act(act, number);
            acts.fetch_add(1, Ordering::SeqCst);
            number += 1;
            self.dice.pause(900);
        }
        self
    }

    fn act(&mut self, act: usize, number: usize) {
        match act {
            0 => self.commits(number),
            1 => self.opens_an_ide(),
            2 => self.holds_the_index(),
            3 => self.stages(number),
            4 => self.git(["gc", "--quiet"]),
            5 => self.rebases(number),
            6 => self.stashes(number),
            7 => self.branches_off(number),
            8 => self.pushes(number),
            9 => self.sets_things(number),
            10 => self.saves_the_configuration(),
            11 => self.upgrades_the_agent(),
            12 => self.thinks_and_drops_it(),
            _ => self.commits_in_the_editor(number),
        }
    }

    /// What was theirs is there, and goes.
    fn stops_working(mut self) -> Findings {
        let on_main = self.repo.show("main", "person.txt").unwrap_or_default();
        let missing: Vec<&String> =
            self.lines.iter().filter(|line| !on_main.lines().any(|one| one == **line)).collect();
        if !missing.is_empty() {
            self.found.push(finding(Broken::Lost, format!("{missing:?} of the person's is not on main: {on_main:?}")));
        }
        for branch in &self.branches {
            if self.repo.try_git(["rev-parse", "--verify", "--quiet", branch]).code != Some(0) {
                self.found.push(finding(Broken::Lost, format!("the person's branch {branch} is gone")));
            }
        }
        for (path, text) in [(".idea/workspace.xml", "<idea/>\n"), (".git/hooks/post-checkout", "#!/bin/sh\n")] {
            let path = self.repo.dir().join(path);
            if path.exists() && crate::kit::read_file(&path) != text {
                self.found.push(finding(Broken::Lost, format!("{} of the person's has changed", path.display())));
            }
        }
        let stashed = self.repo.git(["stash", "list"]);
        if !stashed.is_empty() {
            self.found.push(finding(Broken::Lost, format!("a stash of the person's is left: {stashed}")));
        }
        std::fs::remove_dir_all(self.repo.dir().join(".idea")).ok();
        self.found
    }

    /// Runs a command of the person's. They retry when git reports a lock.
    fn git<const N: usize>(&mut self, args: [&str; N]) {
        // The fourth is what `git stash pop` reports about a lock, and the last what `git gc` reports about a worktree
        // under construction.
        let words =
            ["index.lock", "cannot lock ref", "Unable to create", "could not write index", "commondir: Success"];
        let locked = |text: &str| words.iter().any(|word| text.contains(word));
        let mut last = String::new();
        let done = wait::poll(PATIENCE, || {
            let ran = self.repo.try_git(args);
            if ran.code == Some(0) || !locked(&ran.stderr) {
                last = format!("{ran}");
                return Some(ran.code == Some(0));
            }
            last = ran.stderr;
            if self.repo.dir().join(".git/MERGE_HEAD").exists() {
                // The branch was moved: git reports it, and the person must conclude the merge.
                pause(Duration::from_secs(2));
                let concluded = self.repo.try_git(["commit", "--quiet", "--no-edit"]);
                last = format!("{last}{concluded}");
                return Some(concluded.code == Some(0));
            }
            None
        });
        if done != Some(true) {
            self.found.push(finding(Broken::Lost, format!("the person's git {args:?} fails: {last}")));
        }
    }

    /// A new line in their file.
    fn writes(&mut self, number: usize, what: &str) {
        let line = format!("{number}: {what}");
        let path = self.repo.dir().join("person.txt");
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a file of the person's own");
        writeln!(file, "{line}").expect("room");
        self.lines.push(line);
    }

    fn commits(&mut self, number: usize) {
        self.writes(number, "a thought");
        self.dice.pause(500);
        self.git(["add", "person.txt"]);
        self.git(["commit", "--quiet", "--message", "A thought"]);
    }

    fn opens_an_ide(&mut self) {
        self.repo.write(".idea/workspace.xml", "<idea/>\n");
        self.repo.write(".README.md.swp", "swap");
        self.dice.pause(300);
        std::fs::remove_file(self.repo.dir().join(".README.md.swp")).expect("their own file");
    }

    /// Refreshes the index, as an IDE does.
    fn holds_the_index(&mut self) {
        let lock = self.repo.dir().join(".git/index.lock");
        if std::fs::OpenOptions::new().write(true).create_new(true).open(&lock).is_ok() {
            pause(Duration::from_millis(800));
            std::fs::remove_file(&lock).expect("their own lock");
        }
    }

    fn stages(&mut self, number: usize) {
        self.writes(number, "staged first");
        self.git(["add", "person.txt"]);
        pause(Duration::from_secs(1));
        self.git(["commit", "--quiet", "--message", "Staged first"]);
    }

    fn rebases(&mut self, number: usize) {
        let base = self.repo.head();
        for half in ["one half", "the other half"] {
            self.writes(number, half);
            self.git(["add", "person.txt"]);
            self.git(["commit", "--quiet", "--message", half]);
        }
        // Nobody rebases over merges of others.
        if !self.repo.git(["rev-list", "--merges", &format!("{base}..HEAD")]).is_empty() {
            return;
        }
        self.git(["-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "--quiet", "--rebase-merges", "-i", &base]);
        for _ in 0..2 {
            pause(Duration::from_millis(800));
            if self.repo.dir().join(".git/rebase-merge").exists() {
                self.git(["rebase", "--continue"]);
            }
        }
    }

    fn stashes(&mut self, number: usize) {
        self.writes(number, "put away for a while");
        self.git(["add", "person.txt"]);
        self.git(["stash", "--quiet"]);
        // git notes the entry before it takes the lock: where it met one, the second try has made another.
        while self.repo.git(["stash", "list"]).lines().count() > 1 {
            self.git(["stash", "drop", "--quiet"]);
        }
        self.dice.pause(800);
        self.git(["stash", "pop", "--quiet"]);
        self.git(["add", "person.txt"]);
        self.git(["commit", "--quiet", "--message", "Put away for a while"]);
    }

    fn branches_off(&mut self, number: usize) {
        let name = format!("topic-{number}");
        self.git(["switch", "--quiet", "--create", &name]);
        self.branches.push(name.clone());
        self.writes(number, "on a branch");
        self.git(["add", "person.txt"]);
        self.git(["commit", "--quiet", "--message", "On a branch"]);
        self.dice.pause(1500);
        self.git(["switch", "--quiet", "main"]);
        self.git(["merge", "--quiet", "--no-edit", &name]);
    }

    fn pushes(&mut self, number: usize) {
        let (name, to) = (format!("theirs-{number}"), self.theirs.to_string_lossy().into_owned());
        self.git(["remote", "add", &name, &to]);
        self.git(["push", "--quiet", "--set-upstream", &name, "main"]);
    }

    fn sets_things(&mut self, number: usize) {
        self.git(["config", "--local", "core.editor", "true"]);
        self.git(["config", "--local", "alias.ci", "commit"]);
        self.git(["tag", &format!("v{number}")]);
        self.repo.write(".git/hooks/post-checkout", "#!/bin/sh\n");
        self.repo.write(".git/info/attributes", "*.x -text\n");
    }

    /// In two portions, as some editors do.
    fn saves_the_configuration(&mut self) {
        let path = self.fixture.sealed.orch_home().join("config.yml");
        let text = crate::kit::read_file(&path);
        let mut file = std::fs::File::create(&path).expect("a file that can be written");
        let (first, second) = text.split_at(text.len() / 2);
        file.write_all(first.as_bytes()).expect("room");
        self.dice.pause(40);
        file.write_all(second.as_bytes()).expect("room");
    }

    /// Its program is away for a moment.
    fn upgrades_the_agent(&mut self) {
        let bot = self.fixture.sealed.bin().join("bot");
        let aside = bot.with_file_name("bot.old");
        std::fs::rename(&bot, &aside).expect("their own program");
        self.dice.pause(500);
        std::fs::rename(&aside, &bot).expect("their own program");
    }

    fn thinks_and_drops_it(&mut self) {
        self.repo.write("README.md", "# A project\n\nhalf a thought\n");
        self.dice.pause(1500);
        self.git(["checkout", "--quiet", "--", "README.md"]);
    }

    /// git waits for the editor, and holds the index meanwhile.
    fn commits_in_the_editor(&mut self, number: usize) {
        self.writes(number, "with many words");
        self.git(["add", "person.txt"]);
        self.git(["-c", "core.editor=sleep 1; echo Words >", "commit", "--quiet", "--all"]);
    }
}
