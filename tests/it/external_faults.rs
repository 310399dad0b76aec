//! Programs and files outside of orch that fail for a while: git is killed, away, hangs or finds a lock, the disk is full, a
//! file is being saved. Nothing of that is a question for a person, runs an agent again, or loses a file.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use serde_json::Value;
use std::path::PathBuf;

/// An agent that counts its runs, waits for a file where the test wants that, and leaves its work uncommitted.
const WRITER: &str = "#!/bin/sh
cat > /dev/null
echo run >> \"$HOME/runs\"
while [ -e \"$HOME/wait\" ]; do sleep 0.05; done
echo work > work.txt && echo finished
";

/// An agent whose question quotes an error of the system.
const ASKER: &str = "#!/bin/sh
cat > /dev/null
echo run >> \"$HOME/runs\"
echo '{\"status\": \"needs_review\", \"summary\": \"cannot go on\", \"reason\": \"cp says: No space left on device. Where to?\"}'
";

/// A git that follows a file if the file names its subcommand, and otherwise works as usual.
const WRAPPER: &str = "#!/bin/sh
fault=$(cat \"$HOME/fault\" 2>/dev/null)
case \" $* \" in
*\" ${fault#* } \"*)
    case \"${fault%% *}\" in
    killed) kill -9 $$ ;;
    fails) exit 128 ;;
    hangs)
        case \"$GIT_COMMON_DIR\" in */shop/*) echo $$ >> \"$HOME/hanging\"; exec sleep 1000 ;; esac ;;
    esac ;;
esac
exec REAL \"$@\"
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new(workflow: &str) -> Self {
        let mut sealed = SealedBox::new();
        sealed.program("writer", WRITER);
        sealed.program("asker", ASKER);
        sealed.config(&config(workflow));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        repo.commit("Add the settings");
        sealed.set("ORCH_LOG", "debug");
        Self { sealed, repo }
    }

    /// With a git of the test's own before the real one.
    fn with_wrapper(workflow: &str) -> Self {
        let fixture = Self::new(workflow);
        let path = std::env::var_os("PATH").expect("a PATH");
        let real = std::env::split_paths(&path).map(|dir| dir.join("git")).find(|git| git.is_file()).expect("git");
        fixture.sealed.program("git", &WRAPPER.replace("REAL", &format!("'{}'", real.display())));
        fixture
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sealed.home().join(name)
    }

    /// From now on git has this fault: `killed commit`.
    fn fault(&self, fault: &str) {
        write_file(&self.file("fault"), fault);
    }

    fn mend(&self) {
        std::fs::remove_file(self.file("fault")).expect("a fault");
    }

    fn add(&self, agent: &str) -> String {
        let label = format!("agent:{agent}");
        let args = ["task", "add", "Write it", "-l", &label, "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn status(&self, id: &str) -> String {
        self.show(id)["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the task is held for this reason, and returns the detail.
    fn held(&self, id: &str, reason: &str) -> String {
        wait::wait_some(&format!("a hold for {reason}"), RUN, || {
            let hold = self.show(id)["hold"].clone();
            (hold["reason"] == reason).then(|| hold["detail"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// The work is merged, after one run of the agent and without a question.
    fn merged(&self, id: &str) {
        let over = || {
            let status = self.status(id);
            assert_ne!(status, "needs_review", "{:#}", self.show(id));
            status == "done"
        };
        wait::wait_until("the task to be done", RUN, over);
        assert_eq!(self.repo.show("main", "work.txt").as_deref(), Some("work\n"), "{:#}", self.show(id));
        assert_eq!(self.runs(), 1);
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.file("runs")).unwrap_or_default().lines().count()
    }
}

fn config(workflow: &str) -> String {
    format!(
        "agents:\n  writer: {{kind: command, command: writer}}\n  asker: {{kind: command, command: asker}}\n\
         engine: {{tick_seconds: 1}}\nworkflow: {{integrate: merge, review: \"off\"{workflow}}}\n"
    )
}

#[test]
fn leftovers_that_cannot_be_committed_are_held_and_never_dropped() {
    for fault in ["killed commit", "fails update-index"] {
        let mut fixture = Fixture::with_wrapper("");
        fixture.fault(fault);
        let id = fixture.add("writer");
        fixture.sealed.serve();
        let words = fixture.held(&id, "system");
        assert!(words.contains("cannot be committed"), "{words}");
        assert_eq!(fixture.repo.show("main", "work.txt"), None);
        fixture.mend();
        fixture.merged(&id);
        fixture.sealed.finish();
    }
}

#[test]
fn a_lock_on_the_persons_index_holds_the_merge_and_names_the_lock() {
    let mut fixture = Fixture::new("");
    write_file(&fixture.file("wait"), "");
    let id = fixture.add("writer");
    fixture.sealed.serve();
    wait::wait_until("the agent to work", RUN, || fixture.runs() == 1);
    let lock = fixture.repo.dir().join(".git/index.lock");
    write_file(&lock, "");
    std::fs::remove_file(fixture.file("wait")).expect("a file");
    let words = fixture.held(&id, "locked");
    assert!(words.contains("index.lock"), "{words}");
    assert!(lock.exists(), "the lock is somebody else's");
    std::fs::remove_file(&lock).expect("a lock");
    fixture.merged(&id);
    fixture.sealed.finish();
}

#[test]
fn a_git_that_is_killed_while_it_looks_for_a_branch_has_not_said_that_there_is_none() {
    let mut fixture = Fixture::with_wrapper("");
    let id = fixture.add("writer");
    fixture.fault("killed rev-parse");
    fixture.sealed.serve();
    let words = fixture.held(&id, "system");
    assert!(words.contains("signal 9"), "{words}");
    fixture.mend();
    fixture.merged(&id);
    fixture.sealed.finish();
}

#[test]
fn a_git_that_is_away_for_a_while_is_waited_for() {
    let mut fixture = Fixture::with_wrapper("");
    write_file(&fixture.file("wait"), "");
    let id = fixture.add("writer");
    fixture.sealed.serve();
    wait::wait_until("the agent to work", RUN, || fixture.runs() == 1);
    let (git, away) = (fixture.sealed.bin().join("git"), fixture.sealed.bin().join("git.away"));
    std::fs::rename(&git, &away).expect("moved");
    std::fs::remove_file(fixture.file("wait")).expect("a file");
    fixture.held(&id, "system");
    std::fs::rename(&away, &git).expect("moved back");
    fixture.merged(&id);
    fixture.sealed.finish();
}

#[test]
fn a_git_that_hangs_is_named_within_seconds_and_ended_and_other_repositories_go_on() {
    let mut fixture = Fixture::with_wrapper("");
    let other = fixture.sealed.repo("other");
    fixture.sealed.orch_in(other.dir(), ["init"]).ok();
    write_file(&fixture.file("wait"), "");
    let id = fixture.add("writer");
    fixture.sealed.serve();
    wait::wait_until("the agent to work", RUN, || fixture.runs() == 1);
    fixture.fault("hangs status");
    std::fs::remove_file(fixture.file("wait")).expect("a file");
    let words = fixture.held(&id, "system");
    let hanging = std::fs::read_to_string(fixture.file("hanging")).expect("it hangs");
    let pid = hanging.lines().next().expect("a process");
    assert!(words.contains("git status") && words.contains(pid), "{words}: {hanging}");
    let args = ["task", "add", "Elsewhere", "-l", "agent:asker", "--json"];
    let elsewhere = fixture.sealed.orch_in(other.dir(), args).ok().json()["id"].to_string();
    wait::wait_until("work elsewhere", RUN, || fixture.status(&elsewhere) == "needs_review");
    fixture.mend();
    wait::wait_until("the task to be done", RUN, || fixture.status(&id) == "done");
    assert_eq!(fixture.repo.show("main", "work.txt").as_deref(), Some("work\n"));
    fixture.sealed.finish();
}

#[test]
fn a_question_that_quotes_an_error_of_the_system_reaches_the_person() {
    let mut fixture = Fixture::new("");
    let id = fixture.add("asker");
    fixture.sealed.serve();
    wait::wait_until("the question", RUN, || fixture.status(&id) == "needs_review");
    let shown = fixture.show(&id);
    assert!(shown["question"].as_str().is_some_and(|text| text.contains("No space left on device")), "{shown:#}");
    fixture.sealed.finish();
}

#[test]
fn a_check_that_is_red_on_the_base_and_prints_an_error_of_the_system_is_asked_about_once() {
    let mut fixture = Fixture::new(", checks: [\"echo run >> $HOME/checked; echo 'x: Input/output error'; exit 1\"]");
    let id = fixture.add("writer");
    fixture.sealed.serve();
    wait::wait_until("the question", RUN, || fixture.status(&id) == "needs_review");
    assert_eq!(fixture.runs(), 1);
    fixture.sealed.finish();
}

#[test]
fn a_config_that_is_half_saved_changes_nothing_of_what_happens_with_work_in_progress() {
    for part in [None, Some(0), Some(60)] {
        let mut fixture = Fixture::new("");
        write_file(&fixture.file("wait"), "");
        let ids = [fixture.add("writer"), fixture.add("writer")];
        fixture.sealed.serve();
        wait::wait_until("the agents to work", RUN, || fixture.runs() == 2);
        let (file, whole) = (fixture.sealed.orch_home().join("config.yml"), config(""));
        match part {
            None => std::fs::remove_file(&file).expect("a file"),
            Some(bytes) => write_file(&file, &whole[..bytes]),
        }
        // The daemon checks its files at each tick, and has done so when a task that is added now is held or runs.
        let late = fixture.add("writer");
        wait::wait_until("the late one to begin", RUN, || fixture.runs() == 3);
        std::fs::remove_file(fixture.file("wait")).expect("a file");
        for id in ids.iter().chain([&late]) {
            wait::wait_until("an end", RUN, || ["done", "needs_review"].contains(&fixture.status(id).as_str()));
        }
        write_file(&file, &whole);
        let integrated = ids.iter().filter(|id| fixture.show(id)["integration"]["state"] == "merged").count();
        assert!(integrated >= 1, "{part:?}: {:#}", fixture.show(&ids[0]));
        for id in &ids {
            assert_ne!(fixture.show(id)["integration"]["state"], "kept", "{part:?}: {:#}", fixture.show(id));
        }
        fixture.sealed.finish();
    }
}

#[test]
fn an_agent_whose_program_is_replaced_is_waited_for() {
    let mut fixture = Fixture::new("");
    fixture.sealed.serve();
    let (program, away) = (fixture.sealed.bin().join("writer"), fixture.sealed.bin().join("writer.away"));
    // The daemon has seen the agent before its program goes.
    let first = fixture.add("asker");
    wait::wait_until("the first task", RUN, || fixture.status(&first) == "needs_review");
    std::fs::remove_file(fixture.file("runs")).expect("a file");
    std::fs::rename(&program, &away).expect("moved");
    let id = fixture.add("writer");
    fixture.held(&id, "system");
    std::fs::rename(&away, &program).expect("moved back");
    fixture.merged(&id);
    fixture.sealed.finish();
}

#[test]
fn ignored_files_in_the_way_of_a_merge_are_named_with_what_helps() {
    let mut fixture = Fixture::new("");
    write_file(&fixture.repo.dir().join(".git/info/exclude"), "work.txt\n");
    let id = fixture.add("writer");
    // The worktree shares the list; what is ignored there is committed by force.
    fixture.sealed.program("writer", &WRITER.replace("echo finished", "git add -f work.txt && git commit -qm work"));
    fixture.repo.write("work.txt", "mine\n");
    fixture.sealed.serve();
    let words = fixture.held(&id, "base_dirty");
    assert!(words.contains("work.txt") && words.contains("move") && !words.contains("stash"), "{words}");
    assert_eq!(fixture.repo.read("work.txt"), "mine\n");
    std::fs::remove_file(fixture.repo.dir().join("work.txt")).expect("a file");
    fixture.sealed.orch(["task", "run", &id]).ok();
    fixture.merged(&id);
    fixture.sealed.finish();
}

#[test]
fn a_base_branch_that_is_renamed_and_comes_back_needs_nobody() {
    let mut fixture = Fixture::new("");
    write_file(&fixture.file("wait"), "");
    let id = fixture.add("writer");
    fixture.sealed.serve();
    wait::wait_until("the agent to work", RUN, || fixture.runs() == 1);
    fixture.repo.git(["branch", "-m", "main", "other"]);
    std::fs::remove_file(fixture.file("wait")).expect("a file");
    let words = fixture.held(&id, "base_dirty");
    assert!(words.contains("main") && words.contains("back"), "{words}");
    fixture.repo.git(["branch", "-m", "other", "main"]);
    fixture.sealed.orch(["task", "run", &id]).ok();
    fixture.merged(&id);
    fixture.sealed.finish();
}

#[test]
fn work_that_is_to_go_on_waits_for_its_base_branch_and_needs_nobody() {
    let mut fixture = Fixture::new("");
    let fails_once = "[ -e \"$HOME/once\" ] || { touch \"$HOME/once\"; exit 1; }; echo finished";
    fixture.sealed.program("writer", &WRITER.replace("echo finished", fails_once));
    write_file(&fixture.file("wait"), "");
    let id = fixture.add("writer");
    fixture.sealed.serve();
    wait::wait_until("the agent to work", RUN, || fixture.runs() == 1);
    fixture.repo.git(["branch", "-m", "main", "other"]);
    std::fs::remove_file(fixture.file("wait")).expect("a file");
    let words = fixture.held(&id, "system");
    assert!(words.contains("main") && words.contains("back"), "{words}");
    fixture.repo.git(["branch", "-m", "other", "main"]);
    wait::wait_until("the task to be done", RUN, || fixture.status(&id) == "done");
    assert_eq!(fixture.runs(), 2, "the one that failed, and the one that went on");
    fixture.sealed.finish();
}

#[test]
fn a_repository_that_an_agent_makes_in_its_worktree_is_not_dropped_without_a_word() {
    let fixture = Fixture::new(", max_attempts: 1");
    let nested = WRITER.replace("echo finished", "mkdir sub && cd sub && git init -q && echo inner > inner.txt");
    fixture.sealed.program("writer", &nested);
    let id = fixture.add("writer");
    fixture.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(5);
    let shown = fixture.show(&id);
    assert_eq!(shown["status"], "needs_review", "{shown:#}");
    assert!(shown["question"].as_str().is_some_and(|text| text.contains("sub/")), "{shown:#}");
    assert_eq!(fixture.repo.show("main", "work.txt"), None);
    fixture.sealed.finish();
}
