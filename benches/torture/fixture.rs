//! The fixture of a trial: a sealed box with a repository, a list of tasks written by a person, and an agent that
//! records each start and holds a lock while it lives, so that two at once are detected.

use crate::kit::process::{Program, Ran, Running};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use crate::row::{Broken, Findings, finding};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where other agents come in `config.yml`.
const OTHERS: &str = "# others\n";

/// Fails while the file contains "wrong".
const CHECK: &str = "if grep -qs wrong fix*.txt; then echo must not say wrong; exit 1; fi\n";

/// The person's own lines in `tasks.yml`.
pub const MARKS: [&str; 2] = ["# mine: this comment stays", "# and this one, too"];

/// How a task is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Merged.
    Done,
    /// Given up by the person, with its work kept.
    Cancelled,
    /// A person is asked.
    Asks,
}

/// A task, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it is called.
    pub title: String,
    /// What the agent does.
    pub script: String,
    /// How it ends.
    pub ends: Ends,
    /// What is on the base branch then, or for a cancelled task in its worktree.
    pub file: (String, String),
    /// How often its agent starts when nothing goes wrong.
    pub starts: usize,
}

impl Job {
    /// One that writes a file of this name, and commits it.
    pub fn plain(name: &str, before: &str) -> Self {
        let script = format!("{before}\nwrite {name}.txt right\ncommit Add {name}");
        let file = (format!("{name}.txt"), "right\n".to_owned());
        Self { title: format!("Do {name}"), script, ends: Ends::Done, file, starts: 1 }
    }

    /// Returns a task that prints a line from time to time until the file `go` exists, and then commits. `task` is its
    /// number.
    pub fn teller(task: usize) -> Self {
        let file = (format!("told-{task}.txt"), "right\n".to_owned());
        Self { title: format!("Tell {task}"), script: String::new(), ends: Ends::Done, file, starts: 1 }
    }

    /// As an entry of `tasks.yml`.
    pub fn entry(&self) -> String {
        self.entry_for("bot")
    }

    /// The same for another agent.
    pub fn entry_for(&self, agent: &str) -> String {
        let script: String = self.script.trim().lines().map(|line| format!("    {line}\n")).collect();
        let title = &self.title;
        format!(
            "- title: {title}\n  labels: ['agent:{agent}', complexity:simple]\n  body: |\n    ```orch-script\n{script}    ```\n"
        )
    }
}

/// The fixture.
pub struct Fixture {
    /// The box.
    pub sealed: SealedBox,
    /// The repository.
    pub repo: Repo,
    /// Where the agents write.
    pub notes: PathBuf,
}

impl Fixture {
    /// With these tasks; `config` is the rest of `config.yml`.
    pub fn open(jobs: &[Job], config: &str) -> Self {
        let fixture = Self::empty(config);
        let entries: String = jobs.iter().map(Job::entry).collect();
        fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
        fixture
    }

    /// Without tasks.
    pub fn empty(config: &str) -> Self {
        let mut sealed = SealedBox::new();
        sealed.is_run_by(crate::orch());
        let notes = sealed.root().join("notes");
        std::fs::create_dir_all(&notes).expect("a directory in the box");
        agents(&sealed, &notes);
        let bot = sealed.bin().join("bot");
        let teller = sealed.bin().join("teller");
        let base = format!(
            "agents:\n  bot: {{kind: claude, command: '{}'}}\n  teller: {{kind: command, command: '{}'}}\n{OTHERS}\
             router: {{mode: round_robin, agents: [bot], agent: bot, fallback_executor: bot}}\n\
             workflow: {{integrate: merge, checks: [sh check.sh], max_attempts: 9, review: \"off\"}}\n",
            bot.display(),
            teller.display()
        );
        let engine = if config.contains("engine:") { "" } else { "engine: {max_parallel: 6, tick_seconds: 2}\n" };
        sealed.config(&format!("{base}{engine}{config}"));
        let repo = sealed.repo("shop");
        repo.write("check.sh", CHECK);
        repo.commit("Add the check");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        repo.commit("Add the settings");
        Self { sealed, repo, notes }
    }

    /// Adds an agent: `settings` are its keys next to `command`, and its program runs after the common part. It is
    /// recorded as a start.
    pub fn hire(&self, name: &str, settings: &str, program: &str) {
        let bot = crate::kit::read_file(&self.sealed.bin().join("bot"));
        let (starts, _) = bot.rsplit_once("exec ").expect("the bot's program ends with orch");
        self.sealed.program(name, &format!("{starts}{program}\n"));
        let config = self.sealed.orch_home().join("config.yml");
        let command = self.sealed.bin().join(name);
        let line = format!("  {name}: {{command: '{}', {settings}}}\n{OTHERS}", command.display());
        crate::kit::write_file(&config, &crate::kit::read_file(&config).replacen(OTHERS, &line, 1));
    }

    /// A file in which agents write.
    pub fn note(&self, name: &str) -> PathBuf {
        self.notes.join(name)
    }

    /// Whose agents have started: task, run, process.
    pub fn started(&self) -> Vec<(u64, String, i32)> {
        lines_of(&self.note("started"))
    }

    /// Which of them found another one at work.
    pub fn doubled(&self) -> Vec<(u64, String, i32)> {
        lines_of(&self.note("doubled"))
    }

    /// Whether an agent of the task has started.
    pub fn has_started(&self, task: u64) -> bool {
        self.started().iter().any(|(one, ..)| *one == task)
    }

    /// orch, until nothing is left to do, with a variable or two.
    pub fn until_idle(&self, env: &[(&str, &str)]) -> Running {
        self.orch_program().args(["serve", "--until-idle"]).envs(env.iter().copied()).start()
    }

    /// orch, to be given arguments.
    pub fn orch_program(&self) -> Program {
        self.sealed.run_program(self.sealed.orch_program())
    }

    /// orch is asked.
    pub fn orch<const N: usize>(&self, args: [&str; N]) -> Ran {
        self.sealed.orch(args)
    }

    /// orch is asked, and answers in JSON.
    pub fn json<const N: usize>(&self, args: [&str; N]) -> Value {
        self.orch(args).ok().json()
    }

    /// Returns the document of a task.
    pub fn show(&self, task: u64) -> Value {
        self.json(["task", "show", &task.to_string(), "--json"])
    }

    /// orch's own directory.
    pub fn state(&self) -> PathBuf {
        self.sealed.orch_home().join(".orch")
    }

    /// All directories of runs.
    pub fn runs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.state().join("runs")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// The worktrees of tasks.
    pub fn worktrees(&self) -> Vec<PathBuf> {
        let base = self.sealed.orch_home().join("worktrees/shop/orch");
        std::fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// A daemon that has read so many tasks: before that, there is nothing to ask about them.
    pub fn serves(&self, count: usize) -> Running {
        let daemon = self.orch_program().args(["serve"]).start();
        let listed = || self.json(["task", "list", "--json"]).as_array().map_or(0, Vec::len);
        wait::wait_until("the tasks of the file", RUN, || listed() == count);
        daemon
    }

    /// Describes the states of all tasks.
    pub fn describe(&self) -> String {
        let listed = self.orch(["task", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
        let text = |task: &Value| format!("{}: {} {} {}", task["id"], task["status"], task["hold"], task["question"]);
        listed.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join("; ")
    }

    /// Saves `tasks.yml` as an editor does that renames.
    pub fn save_tasks(&self, text: &str) {
        let temporary = self.sealed.orch_home().join("tasks.yml~");
        write_file(&temporary, text);
        std::fs::rename(&temporary, self.sealed.tasks_file()).expect("a file that can be replaced");
    }

    /// The processes of a kind: `serve`, `__run`, `__scripted-agent`, `tmux`.
    pub fn processes(&self, kind: &str) -> Vec<i32> {
        let is_it = |command: &str| command.split(' ').any(|word| word == kind || word.ends_with(&format!("/{kind}")));
        self.sealed.inmates().into_iter().filter(|one| is_it(&one.command)).map(|one| one.pid).collect()
    }

    /// Waits until so many tasks are there and done, and none is left otherwise.
    pub fn until_done(&self, count: usize, patience: Duration) -> Findings {
        let over = || {
            let listed = self.orch(["task", "list", "--json"]);
            let listed: Value = serde_json::from_str(&listed.stdout).ok()?;
            (listed.as_array()?.iter().filter(|task| task["status"] == "done").count() >= count).then_some(())
        };
        match wait::poll(patience, over) {
            Some(()) => Vec::new(),
            None => vec![finding(Broken::Stuck, format!("not all {count} tasks come to an end: {}", self.describe()))],
        }
    }

    /// Stops the daemon by SIGTERM.
    pub fn leaves(&self, daemon: Running) -> Findings {
        daemon.signal(Signal::TERM);
        let ran = daemon.finish(SOON);
        if ran.code == Some(0) {
            return Vec::new();
        }
        vec![finding(Broken::Stuck, format!("a daemon that was told to leave ended otherwise: {ran}"))]
    }

    /// Waits until no process is left in the box; returns those that are.
    pub fn left_behind(&self) -> Vec<String> {
        wait::poll(SOON, || self.sealed.inmates().is_empty().then_some(()));
        self.sealed.inmates().into_iter().map(|one| format!("{} {}", one.pid, one.command)).collect()
    }
}

/// Kills a process; whether it was there.
pub fn kill(pid: i32) -> bool {
    signal(pid, Signal::KILL)
}

/// Sends a signal; returns whether the process existed.
pub fn signal(pid: i32, which: Signal) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, which).is_ok())
}

/// The programs of the agents. Each writes down its start and holds a lock as long as it lives.
fn agents(sealed: &SealedBox, notes: &Path) {
    let (at, orch) = (notes.display(), crate::orch().display());
    let starts = format!(
        "#!/bin/sh\nexec 9>>'{at}'/$ORCH_TASK_ID.lock\n\
         flock -n 9 || echo $ORCH_TASK_ID $ORCH_RUN_ID $$ >> '{at}'/doubled\n\
         echo $ORCH_TASK_ID $ORCH_RUN_ID $$ >> '{at}'/started\n"
    );
    sealed.program("bot", &format!("{starts}exec '{orch}' __scripted-agent \"$@\"\n"));
    let tells = "while [ ! -e GO ]; do echo \"line $i\"; i=$((i+1)); sleep 0.1; done\n\
                 echo right > told-$ORCH_TASK_ID.txt; git add -A; git commit -qm 'Tell it'; echo \"told it all: $i\"\n";
    sealed.program("teller", &format!("{starts}i=0\n{}", tells.replace("GO", &format!("'{at}/go'"))));
}

fn lines_of(path: &Path) -> Vec<(u64, String, i32)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}
