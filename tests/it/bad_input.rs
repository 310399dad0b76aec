//! What people, repositories and agents get wrong, each with the answer that names place, cause and next step. The
//! agents here are small shell programs; the real CLIs are in `main_job`.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use serde_json::Value;

/// Commits a file named after its branch.
const GOOD: &str = "#!/bin/sh
cat > /dev/null
name=$(git rev-parse --abbrev-ref HEAD | tr / -)
echo work > \"$name.txt\" && git add . && git commit -q -m work && echo finished
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn with(sealed: SealedBox, agents: &[(&str, &str)], config: &str) -> Self {
        for (name, script) in agents {
            sealed.program(name, script);
        }
        let declared: String =
            agents.iter().map(|(name, _)| format!("  {name}: {{kind: command, command: {name}}}\n")).collect();
        sealed.config(&format!("agents:\n{declared}{config}"));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn new(agents: &[(&str, &str)], config: &str) -> Self {
        Self::with(SealedBox::new(), agents, config)
    }

    fn add(&self, title: &str, agent: &str) -> String {
        let label = format!("agent:{agent}");
        let args = ["task", "add", title, "-l", &label, "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn until_idle(&self, code: i32) {
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(code);
    }
}

fn last_class(task: &Value) -> &str {
    task["runs"].as_array().and_then(|r| r.last()).map_or("", |r| r["outcome"]["class"].as_str().unwrap_or("finished"))
}

#[test]
fn init_says_what_is_wrong_with_a_place_and_what_to_do() {
    let sealed = SealedBox::new();
    let plain = sealed.base().join("plain");
    std::fs::create_dir(&plain).expect("directory");
    let ran = sealed.orch_in(&plain, ["init"]).code_is(1);
    assert!(ran.stderr.contains("not a git repository") && ran.stderr.contains("init"), "{}", ran.stderr);
    let empty = sealed.empty_repo("empty");
    let ran = sealed.orch_in(empty.dir(), ["init"]).code_is(1);
    assert!(ran.stderr.contains("no commit"), "{}", ran.stderr);
    let json = sealed.orch_in(&plain, ["init", "--json"]).code_is(1).json();
    assert!(json["error"]["message"].as_str().is_some_and(|m| m.contains("not a git repository")), "{json}");
    assert!(json["error"]["hint"].is_string(), "{json}");
    sealed.finish();
}

#[test]
fn a_detached_head_works_from_the_usual_branch_and_without_one_a_person_is_asked() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    fixture.repo.git(["checkout", "-q", "--detach"]);
    let id = fixture.add("From a detached head", "good");
    fixture.until_idle(0);
    assert_eq!(fixture.show(&id)["status"], "done");
    fixture.repo.git(["branch", "-m", "main", "odd"]);
    let id = fixture.add("From nowhere", "good");
    fixture.until_idle(5);
    let task = fixture.show(&id);
    assert_eq!(task["status"], "needs_review");
    let question = task["question"].as_str().unwrap_or_default();
    assert!(question.contains("detached") && question.contains("base_branch"), "{question}");
    fixture.sealed.finish();
}

#[test]
fn a_base_branch_that_is_not_there_is_named_with_those_that_are() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    fixture.sealed.config("workflow: {base_branch: mian}\nagents: {good: {kind: command, command: good}}\n");
    let refused = fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).code_is(1);
    assert!(refused.stderr.contains("mian") && refused.stderr.contains("main"), "{}", refused.stderr);
    let id = fixture.add("Typo", "good");
    fixture.until_idle(5);
    let question = fixture.show(&id)["question"].as_str().unwrap_or_default().to_owned();
    assert!(question.contains("mian") && question.contains("main"), "{question}");
    fixture.sealed.finish();
}

#[test]
fn a_task_whose_directory_is_gone_waits_until_it_is_back() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "engine: {tick_seconds: 1}\n");
    let id = fixture.add("Come back", "good");
    let away = fixture.repo.dir().with_extension("away");
    std::fs::rename(fixture.repo.dir(), &away).expect("moved away");
    fixture.sealed.serve();
    wait::wait_until("the task to be blocked", SOON, || fixture.show(&id)["status"] == "blocked");
    let why = fixture.sealed.orch(["why", &id, "--json"]).ok().json();
    assert_eq!(why["hold"]["reason"], "missing_dir", "{why}");
    std::fs::rename(&away, fixture.repo.dir()).expect("moved back");
    wait::wait_until("the task to be done", RUN, || fixture.show(&id)["status"] == "done");
    fixture.sealed.finish();
}

#[test]
fn hostile_titles_are_only_text() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    let canary = fixture.sealed.base().join("canary");
    let titles = [
        "x".repeat(10_000),
        "two\nlines".to_owned(),
        "quotes ' \" ` and \\ back".to_owned(),
        format!("$(touch {0}) `touch {0}` #(touch {0}) ; touch {0}", canary.display()),
        "#{session_name} #[fg=red] %s".to_owned(),
        "🦀 émoji and مرحبا بالعالم and 日本語".to_owned(),
        "-rf --help".to_owned(),
        "\u{1b}]52;c;aGk=\u{7}escape".to_owned(),
        "../../etc/passwd".to_owned(),
    ];
    let mut ids = Vec::new();
    for title in &titles {
        let args = ["task", "add", "-l", "agent:good", "--json", "--", title];
        ids.push(fixture.sealed.orch_in(fixture.repo.dir(), args).ok().json()["id"].to_string());
    }
    fixture.until_idle(0);
    for (id, title) in ids.iter().zip(&titles) {
        let task = fixture.show(id);
        assert_eq!(task["title"].as_str(), Some(title.as_str()));
        assert_eq!(task["status"], "done", "{task:#}");
    }
    assert!(!canary.exists(), "a title was run as a command");
    let list = fixture.sealed.orch(["task", "list"]).ok().stdout;
    assert!(!list.contains('\u{1b}') && !list.contains('\u{7}'), "escape sequences reach the terminal: {list:?}");
    let long = "y".repeat(10_001);
    let refused = fixture.sealed.orch_in(fixture.repo.dir(), ["task", "add", &long]).code_is(2);
    assert!(refused.stderr.contains("10000"), "{}", refused.stderr);
    fixture.sealed.orch_in(fixture.repo.dir(), ["task", "add", "  "]).code_is(2);
    fixture.sealed.finish();
}

#[test]
fn two_tasks_of_one_title_do_not_meet() {
    let fixture = Fixture::new(&[("good", GOOD)], "workflow: {integrate: merge}\n");
    let ids = [fixture.add("The same", "good"), fixture.add("The same", "good")];
    fixture.until_idle(0);
    let branches = ids.map(|id| fixture.show(&id)["branch"].as_str().unwrap_or_default().to_owned());
    assert_ne!(branches[0], branches[1]);
    fixture.sealed.finish();
}

#[test]
fn an_agent_that_is_not_installed_is_named_with_those_that_are() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    let id = fixture.add("For nobody", "opencode");
    fixture.until_idle(5);
    let question = fixture.show(&id)["question"].as_str().unwrap_or_default().to_owned();
    assert!(question.contains("opencode") && question.contains("not installed"), "{question}");
    fixture.sealed.finish();
}

#[test]
fn agents_that_end_badly_are_distinguished() {
    let bad = [
        ("idle", "#!/bin/sh\ncat > /dev/null\necho nothing to do\n", "no_change"),
        ("failing", "#!/bin/sh\ncat > /dev/null\necho broken >&2\nexit 1\n", "crashed"),
        ("babbling", "#!/bin/sh\ncat > /dev/null\necho '{\"status\": \"nonsense\"}'\n", "malformed"),
        ("endless", "#!/bin/sh\ncat > /dev/null\nexec sleep 600\n", "timeout"),
    ];
    let agents: Vec<(&str, &str)> = bad.iter().map(|(name, script, _)| (*name, *script)).collect();
    let fixture = Fixture::new(&agents, "workflow: {max_attempts: 1, timeout_seconds: 3}\n");
    let ids: Vec<String> = bad.iter().map(|(name, ..)| fixture.add(&format!("For {name}"), name)).collect();
    fixture.until_idle(5);
    for (id, (name, _, class)) in ids.iter().zip(bad) {
        let task = fixture.show(id);
        assert_eq!(last_class(&task), class, "{name}: {task:#}");
        assert_eq!(task["status"], "needs_review", "{name}");
    }
    fixture.sealed.finish();
}

#[test]
fn a_flood_and_a_child_that_stays_harm_nobody() {
    // More than anything between agent and disk holds at once. How fast it goes is for the benchmarks: this program is not
    // optimized, and takes a second for a megabyte where the machine is busy.
    let flood = "#!/bin/sh\ncat > /dev/null\nhead -c 20000000 /dev/zero | tr '\\0' x | fold -w 200\n\
                 echo a > a.txt && git add . && git commit -q -m a\n";
    let parent = "#!/bin/sh\ncat > /dev/null\nsetsid sleep 600 > /dev/null 2>&1 &\n\
                  echo b > b.txt && git add . && git commit -q -m b\n";
    let fixture = Fixture::new(&[("flood", flood), ("parent", parent)], "");
    let ids = [fixture.add("Flood", "flood"), fixture.add("Stay", "parent")];
    fixture.until_idle(0);
    for id in &ids {
        assert_eq!(fixture.show(id)["status"], "done");
    }
    let text = fixture.show(&ids[0])["runs"][0]["transcript"].as_str().map(std::fs::read_to_string);
    let text = text.expect("a transcript").expect("it reads");
    let whole = text.lines().filter(|line| line.len() == 200 && line.bytes().all(|byte| byte == b'x')).count();
    assert_eq!(whole, 100_000, "every line of the flood is told");
    fixture.sealed.finish();
}

#[test]
fn a_worktree_path_with_somebodys_files_is_left_alone() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    let taken = fixture.sealed.orch_home().join("worktrees/shop/orch/1-take-my-place");
    std::fs::create_dir_all(&taken).expect("directory");
    std::fs::write(taken.join("precious.txt"), "mine").expect("file");
    let id = fixture.add("Take my place", "good");
    fixture.until_idle(5);
    let question = fixture.show(&id)["question"].as_str().unwrap_or_default().to_owned();
    assert!(question.contains("1-take-my-place"), "{question}");
    assert_eq!(std::fs::read_to_string(taken.join("precious.txt")).expect("still there"), "mine");
    fixture.sealed.finish();
}

#[test]
fn a_branch_that_this_home_did_not_make_is_left_alone_and_its_commits_are_kept() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    fixture.repo.git(["checkout", "-q", "-b", "orch/1-known-branch"]);
    fixture.repo.write("before.txt", "kept\n");
    fixture.repo.commit("Before");
    let before = fixture.repo.git(["rev-parse", "orch/1-known-branch"]);
    fixture.repo.git(["checkout", "-q", "main"]);
    let id = fixture.add("Known branch", "good");
    fixture.until_idle(0);
    let task = fixture.show(&id);
    let branch = task["branch"].as_str().unwrap_or_default();
    assert_eq!(task["status"], "done");
    let suffix = branch.strip_prefix("orch/1-known-branch-").unwrap_or_default();
    assert!(!suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()), "{branch}");
    assert_eq!(fixture.repo.git(["rev-parse", "orch/1-known-branch"]), before, "nothing is put onto it");
    assert_eq!(fixture.repo.show("orch/1-known-branch", "before.txt").as_deref(), Some("kept\n"));
    assert_eq!(fixture.repo.show(branch, "before.txt"), None, "the task begins from its base");
    fixture.sealed.finish();
}

#[test]
fn a_broken_tasks_file_stops_nothing_and_is_reported_with_its_place() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "");
    let first = fixture.add("Before", "good");
    fixture.sealed.serve();
    wait::wait_until("the first to be done", RUN, || fixture.show(&first)["status"] == "done");
    wait::wait_until("it to be written", SOON, || fixture.sealed.read_tasks().contains("status: done"));
    let good = fixture.sealed.read_tasks();
    let broken = format!("{good}  - title: [never closed\n");
    fixture.sealed.write_tasks(&broken);
    let answer = || fixture.sealed.orch(["status", "--json"]).ok().json()["problems"].to_string();
    wait::wait_until("the mistake to be reported", SOON, || answer().contains("line"));
    let second = fixture.add("Meanwhile", "good");
    wait::wait_until("work to go on", RUN, || fixture.show(&second)["status"] == "done");
    assert_eq!(fixture.sealed.read_tasks(), broken, "a broken file is not touched");
    fixture.sealed.write_tasks(&format!("{good}  - title: Mended\n    labels: [agent:good]\n"));
    wait::wait_until("the new task to be done", RUN, || {
        let tasks = fixture.sealed.orch(["task", "list", "--all", "--json"]).ok().json();
        let mended = tasks.as_array().and_then(|t| t.iter().find(|t| t["title"] == "Mended").cloned());
        mended.is_some_and(|t| t["status"] == "done")
    });
    wait::wait_until("everything to be written", SOON, || {
        let text = fixture.sealed.read_tasks();
        text.contains("Meanwhile") && text.matches("status: done").count() == 3
    });
    fixture.sealed.finish();
}

#[test]
fn an_old_copy_of_the_tasks_file_starts_nothing_again() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "");
    let id = fixture.add("Once is enough", "good");
    let old = fixture.sealed.read_tasks();
    fixture.sealed.serve();
    wait::wait_until("it to be done and written", RUN, || fixture.sealed.read_tasks().contains("status: done"));
    fixture.sealed.write_tasks(&format!("{old}  - title: A new line\n    labels: [agent:good]\n"));
    wait::wait_until("both to be done and written", RUN, || {
        fixture.sealed.read_tasks().matches("status: done").count() == 2
    });
    let task = fixture.show(&id);
    assert_eq!(task["runs"].as_array().map(Vec::len), Some(1), "{task:#}");
    fixture.sealed.finish();
}

/// A save within the moments in which orch's own write is not over yet must be read like any other.
#[test]
fn a_save_right_after_orchs_own_write_is_read() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "");
    fixture.sealed.write_tasks("tasks:\n");
    fixture.sealed.serve();
    for round in 1..=6 {
        let id = fixture.add(&format!("Round {round}"), "good");
        let mut text = String::new();
        wait::catch("it to be done and written", RUN, || {
            text = fixture.sealed.read_tasks();
            text.matches("status: done").count() == 2 * round - 1
        });
        fixture.sealed.write_tasks(&format!("{text}  - {{title: Save {round}, status: done}}\n"));
        let numbered = format!("  - {{title: Save {round}, id: {}, status: done}}\n", 2 * round);
        wait::wait_until("the save to be read", SOON, || fixture.sealed.read_tasks().contains(&numbered));
        assert_eq!(fixture.show(&id)["status"], "done");
    }
    fixture.sealed.finish();
}

/// An agent that works until a file appears beside its repository.
const PATIENT: &str = "#!/bin/sh
cat > /dev/null
touch \"$HOME/working\"
until [ -e \"$HOME/go-on\" ]; do sleep 0.1; done
echo work > work.txt && git add . && git commit -q -m work && echo finished
";

impl Fixture {
    /// A daemon with one patient agent at work; the run's directory.
    fn at_work(&mut self) -> (String, std::path::PathBuf) {
        let id = self.add("Take your time", "patient");
        self.sealed.serve();
        wait::wait_until("the agent to work", RUN, || self.sealed.home().join("working").exists());
        let transcript = self.show(&id)["runs"][0]["transcript"].as_str().unwrap_or_default().to_owned();
        let dir = std::path::Path::new(&transcript).parent().expect("in a directory").to_owned();
        (id, dir)
    }

    /// The first run is reported as crashed, by frequent requests, and the next attempt finishes.
    fn crashes_and_is_tried_again(self, id: &str) {
        let class = || self.show(id)["runs"][0]["outcome"]["class"].clone();
        wait::wait_until("the run to be reported as crashed", RUN, || class() == "crashed");
        std::fs::write(self.sealed.home().join("go-on"), "").expect("file");
        wait::wait_until("the next attempt to be done", RUN, || self.show(id)["status"] == "done");
        self.sealed.finish();
    }
}

#[test]
fn a_runner_that_is_killed_is_noticed_although_others_keep_asking() {
    let mut fixture = Fixture::new(&[("patient", PATIENT)], "engine: {tick_seconds: 10}\n");
    let (id, dir) = fixture.at_work();
    let started: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("started.json")).expect("started")).expect("JSON");
    let pid = started["runner"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    // Asking is what this loop does, many times a second.
    fixture.crashes_and_is_tried_again(&id);
}

#[test]
fn a_run_whose_directory_is_taken_away_ends_and_is_tried_again() {
    let mut fixture = Fixture::new(&[("patient", PATIENT)], "");
    let (id, dir) = fixture.at_work();
    std::fs::remove_dir_all(&dir).expect("removed");
    fixture.crashes_and_is_tried_again(&id);
}

#[test]
fn a_second_daemon_is_refused() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "");
    fixture.sealed.serve();
    let ran = fixture.sealed.orch(["serve"]).code_is(7);
    assert!(ran.stderr.contains("already"), "{}", ran.stderr);
    fixture.sealed.finish();
}

#[test]
fn a_home_that_is_long_and_odd_works() {
    let mut fixture = Fixture::with(SealedBox::awkward(), &[("good", GOOD)], "workflow: {integrate: merge}\n");
    let id = fixture.add("Far away", "good");
    fixture.sealed.serve();
    wait::wait_until("the task to be done", RUN, || fixture.show(&id)["status"] == "done");
    fixture.sealed.finish();
}

#[test]
fn a_dirty_checkout_of_the_base_is_not_touched() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "workflow: {integrate: merge}\n");
    fixture.repo.write("README.md", "somebody is writing here\n");
    let id = fixture.add("Merge me", "good");
    fixture.sealed.serve();
    wait::wait_until("the merge to wait", RUN, || fixture.show(&id)["hold"]["reason"] == "base_dirty");
    assert_eq!(fixture.repo.read("README.md"), "somebody is writing here\n");
    fixture.repo.git(["checkout", "-q", "README.md"]);
    fixture.sealed.orch(["task", "run", &id]).code_is(0);
    fixture.sealed.finish();
}

#[test]
fn what_a_program_that_shows_nothing_changes_in_the_main_checkout_is_noted_and_nobody_is_blamed() {
    let intruder = "#!/bin/sh\ncat > /dev/null\nmain=$(git worktree list | head -1 | cut -d' ' -f1)\n\
                    echo x > \"$main/intruder.txt\"\necho a > a.txt && git add . && git commit -q -m a\n";
    let fixture = Fixture::new(&[("intruder", intruder)], "workflow: {max_attempts: 1}\n");
    let id = fixture.add("Intrude", "intruder");
    fixture.until_idle(0);
    let task = fixture.show(&id);
    assert_eq!(task["status"], "done", "{task:#}");
    let notes = task["evidence"]["notes"].to_string();
    assert!(notes.contains("intruder.txt") && notes.contains("nothing shows"), "{task:#}");
    fixture.sealed.finish();
}

#[test]
fn a_bare_title_in_the_file_is_a_task_and_its_comments_survive() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "router: {agents: [good], mode: round_robin}\n");
    let text = "# my tasks\ntasks:\n  - title: Write a changelog   # soon\n\n  # nothing else yet\n";
    fixture.sealed.write_tasks(text);
    fixture.sealed.serve();
    wait::wait_until("it to be done and written", RUN, || fixture.sealed.read_tasks().contains("status: done"));
    let written = fixture.sealed.read_tasks();
    for kept in ["# my tasks\n", "title: Write a changelog   # soon\n", "  # nothing else yet\n", "id: 1"] {
        assert!(written.contains(kept), "{kept:?} is lost in:\n{written}");
    }
    fixture.sealed.finish();
}
