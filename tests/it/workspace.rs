//! Tests the preparation of a fresh checkout: untracked files, the project's setup, variables of each task, submodules;
//! for agents and for checks. And how a person opens a task's worktree.

use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use serde_json::Value;

/// Does what the lines of its prompt say that begin with `DO:`.
const BOT: &str = "#!/bin/sh
cat > \"$HOME/prompt-$$\"
sed -n 's/^DO: //p' \"$HOME/prompt-$$\" > \"$HOME/do-$$\"
. \"$HOME/do-$$\"
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    /// With a `.orch.yml` and a `.gitignore` that are committed; `lie` makes what is not tracked.
    fn new(orch_yml: &str, ignored: &str, lie: impl FnOnce(&SealedBox, &Repo)) -> Self {
        let sealed = SealedBox::new();
        sealed.program("bot", BOT);
        sealed.config(
            "agents: {bot: {kind: command, command: bot}}\nrouter: {agents: [bot]}\nworkflow: {review: 'off'}\n",
        );
        let repo = sealed.repo("shop");
        repo.write(".orch.yml", orch_yml);
        repo.write(".gitignore", ignored);
        repo.commit("Set up");
        lie(&sealed, &repo);
        let fixture = Self { sealed, repo };
        fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
        fixture
    }

    fn add(&self, title: &str, body: &str) -> u64 {
        let args = ["task", "add", title, "-b", body, "-l", "agent:bot", "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].as_u64().expect("an id")
    }

    fn task(&self, verb: &str, id: u64, more: &[&str]) -> Ran {
        let id = id.to_string();
        self.sealed.run_program(ORCH).args([&["task", verb, &id], more].concat()).deadline(RUN).run()
    }

    fn show(&self, id: u64) -> Value {
        self.task("show", id, &["--json"]).ok().json()
    }

    fn run_all(&self) {
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run();
    }

    fn file(&self, id: u64, path: &str) -> Option<String> {
        self.repo.show(self.show(id)["branch"].as_str().expect("a branch"), path)
    }

    fn done(&self, id: u64) {
        let task = self.show(id);
        assert_eq!(task["status"], "done", "{task:#}");
    }
}

fn keep(command: &str, file: &str) -> String {
    format!("DO: {command} > {file}; git add {file}; git commit -qm 'Add {file}'")
}

#[test]
fn what_git_ignores_is_there_for_agents_and_for_checks() {
    let config = "workflow: {checks: ['test -f .env && test -f config/dev.key && test -f node_modules/.bin/tool']}\n\
                  workspace: {copy: [.env], link: [node_modules]}\n";
    let fixture = Fixture::new(config, ".env\n*.key\nnode_modules/\n", |_, repo| {
        repo.write(".env", "SECRET=1\n");
        repo.write("config/dev.key", "key\n");
        repo.write(".worktreeinclude", "# what else\n*.key\n");
        repo.write("node_modules/.bin/tool", "#!/bin/sh\n");
        repo.git(["add", ".worktreeinclude"]);
        repo.git(["commit", "--quiet", "--message", "List"]);
    });
    let id = fixture.add("Read", &keep("cat .env config/dev.key", "seen.txt"));
    fixture.run_all();
    fixture.done(id);
    assert_eq!(fixture.file(id, "seen.txt").as_deref(), Some("SECRET=1\nkey\n"));
    assert_eq!(
        (fixture.file(id, ".env"), fixture.file(id, "node_modules/.bin/tool")),
        (None, None),
        "nothing is committed"
    );
    fixture.sealed.finish();
}

#[test]
fn the_setup_runs_for_work_and_checks_and_its_output_is_kept() {
    let config = "workflow: {checks: ['test -f deps/tool']}\n\
                  workspace: {setup: ['mkdir -p deps && echo ready > deps/tool && echo installed the tools']}\n";
    let fixture = Fixture::new(config, "deps/\n", |_, _| {});
    let id = fixture.add("Use it", &keep("cat deps/tool", "seen.txt"));
    fixture.run_all();
    fixture.done(id);
    assert_eq!(fixture.file(id, "seen.txt").as_deref(), Some("ready\n"));
    assert!(fixture.task("log", id, &["--setup"]).ok().stdout.contains("installed the tools"));
    fixture.sealed.finish();
}

#[test]
fn a_setup_that_fails_is_the_projects_fault_and_no_attempt() {
    let fixture = Fixture::new("workspace: {setup: ['echo no such registry >&2; exit 3']}\n", "", |_, _| {});
    let id = fixture.add("Never begun", &keep("echo x", "x.txt"));
    fixture.run_all();
    let task = fixture.show(id);
    let question = task["question"].as_str().expect("a question");
    for text in ["workspace.setup", "no such registry", "orch init"] {
        assert!(question.contains(text), "{text}: {question}");
    }
    assert_eq!(task["question_kind"], "setup", "{task:#}");
    assert_eq!((task["status"].as_str(), task["attempts"].as_u64()), (Some("needs_review"), Some(0)), "{task:#}");
    let choices = task["choices"].as_array().expect("choices");
    assert!(choices.iter().any(|choice| choice == &format!("orch task unblock {id}")), "{choices:?}");
    // It is fixed, and continues.
    fixture.repo.write(".orch.yml", "workspace: {setup: ['true']}\n");
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    fixture.task("unblock", id, &[]).ok();
    fixture.run_all();
    fixture.done(id);
    fixture.sealed.finish();
}

/// A check that needs what git ignores, and no `workspace:` that brings it.
fn without_what_its_check_needs() -> (Fixture, u64) {
    let fixture = Fixture::new("workflow: {checks: ['cat private/settings']}\n", "private/\n", |_, repo| {
        std::fs::create_dir(repo.dir().join("private")).expect("a directory");
        repo.write("private/settings", "x\n");
    });
    let id = fixture.add("Say hello", "DO: echo hello > hello; git add .; git commit -qm hello");
    fixture.run_all();
    (fixture, id)
}

#[test]
fn work_that_the_setup_keeps_from_being_judged_is_judged_when_that_is_mended_and_no_agent_runs_again() {
    let (fixture, id) = without_what_its_check_needs();
    let asked = fixture.show(id);
    assert_eq!((&asked["status"], &asked["question_kind"]), (&"needs_review".into(), &"setup".into()), "{asked:#}");
    assert_eq!(asked["choices"][0], format!("orch task unblock {id}"));
    let question = asked["question"].as_str().expect("a question");
    for text in
        ["no check can tell", "as it does on the base", "workspace:", "orch init --try", "private/settings: No such"]
    {
        assert!(question.contains(text), "{text}: {question}");
    }
    let mended = "workflow: {checks: ['cat private/settings']}\nworkspace: {copy: [private/settings]}\n";
    fixture.repo.write(".orch.yml", mended);
    // What is mended holds once it is approved: before that, the same question would come back.
    let refused = fixture.task("unblock", id, &[]).code_is(7);
    assert!(refused.stderr.contains("not approved") && refused.stderr.contains("orch init"), "{refused}");
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    fixture.task("unblock", id, &[]).ok();
    fixture.run_all();
    let done = fixture.show(id);
    assert_eq!(
        (&done["status"], &done["evidence"]["checks"][0]["state"]),
        (&"done".into(), &"passed".into()),
        "{done:#}"
    );
    assert_eq!(done["runs"].as_array().map(Vec::len), Some(1), "the work was there: {done:#}");
    fixture.sealed.finish();
}

#[test]
fn who_accepts_what_no_check_has_proved_is_reported_so() {
    let (fixture, id) = without_what_its_check_needs();
    let approved = fixture.task("approve", id, &[]).ok();
    let text = "accepted by your word alone: `cat private/settings` failed with exit code 1, as it does on the base";
    assert!(approved.stderr.contains(text), "{approved}");
    assert_eq!(fixture.show(id)["status"], "done");
    fixture.sealed.finish();
}

#[test]
fn a_setup_that_only_the_work_breaks_is_sent_back_to_the_agent() {
    let fixture = Fixture::new(
        "workflow: {checks: ['true'], max_attempts: 1}\nworkspace: {setup: ['! test -e bad']}\n",
        "",
        |_, _| {},
    );
    let id = fixture.add("Break it", &keep("echo x", "bad"));
    fixture.run_all();
    let task = fixture.show(id);
    assert_eq!((task["status"].as_str(), task["attempts"].as_u64()), (Some("needs_review"), Some(1)), "{task:#}");
    assert!(!task["question"].as_str().expect("a question").contains("your setup"), "{task:#}");
    fixture.sealed.finish();
}

#[test]
fn what_is_brought_and_not_ignored_is_never_committed() {
    let fixture = Fixture::new("workspace: {copy: [.env]}\n", "", |_, repo| repo.write(".env", "SECRET=1\n"));
    let id = fixture.add("Never begun", &keep("echo x", "x.txt"));
    fixture.run_all();
    let question = fixture.show(id)["question"].as_str().expect("a question").to_owned();
    assert!(question.contains(".env") && question.contains(".gitignore"), "{question}");
    fixture.sealed.finish();
}

#[test]
fn each_task_has_ports_and_names_of_its_own_in_its_runs_and_checks() {
    let config = "workflow: {checks: ['test \"$PORT $DB_NAME\" = \"$(cat seen-$DB_NAME.txt)\"']}\n\
                  workspace: {env: {PORT: {port: web}, DB_NAME: {slug: app}}}\n";
    let fixture = Fixture::new(config, "", |_, _| {});
    let say = "DO: echo \"$PORT $DB_NAME\" > seen-$DB_NAME.txt; git add .; git commit -qm Seen";
    let (one, two) = (fixture.add("one", say), fixture.add("two", say));
    fixture.run_all();
    for id in [one, two] {
        fixture.done(id);
    }
    let port = |id: u64| {
        let text = fixture.file(id, &format!("seen-app_{id}.txt")).expect("its own name");
        text.split(' ').next().and_then(|port| port.parse::<u16>().ok()).expect("a port")
    };
    assert_ne!(port(one), port(two));
    fixture.sealed.finish();
}

#[test]
fn submodules_are_there_without_a_network() {
    let fixture = Fixture::new("workflow: {checks: ['test -f lib/tool.sh']}\n", "", |sealed, repo| {
        let lib = sealed.repo("lib-origin");
        lib.write("tool.sh", "true\n");
        lib.commit("Add the tool");
        let from = lib.dir().to_string_lossy().into_owned();
        repo.git(["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from, "lib"]);
        repo.commit("Add the library");
        std::fs::remove_dir_all(lib.dir()).expect("it is gone: nothing can be fetched");
    });
    let id = fixture.add("Use it", &keep("cat lib/tool.sh", "seen.txt"));
    fixture.run_all();
    fixture.done(id);
    assert_eq!(fixture.file(id, "seen.txt").as_deref(), Some("true\n"));
    fixture.sealed.finish();
}

#[test]
fn an_installers_result_is_reused_where_the_lock_file_is_the_same_and_never_comes_from_an_agent() {
    let config = "workflow: {checks: ['grep -q real node_modules/x']}\nworkspace: {setup: [npm ci]}\n";
    let fixture = Fixture::new(config, "node_modules/\n", |_, repo| {
        repo.write("package-lock.json", "{}\n");
        repo.commit("Lock");
    });
    let npm = "#!/bin/sh\necho . >> \"$HOME/installs\"\nrm -rf node_modules; mkdir node_modules; echo real > node_modules/x\n";
    fixture.sealed.program("npm", npm);
    let id = fixture.add("Poison it", &format!("DO: echo fake > node_modules/x\n{}", keep("echo x", "x.txt")));
    fixture.run_all();
    fixture.done(id);
    let next = fixture.add("Next", &keep("cat node_modules/x", "seen.txt"));
    fixture.run_all();
    fixture.done(next);
    assert_eq!(fixture.file(next, "seen.txt").as_deref(), Some("real\n"));
    let installs = crate::kit::read_file(&fixture.sealed.home().join("installs"));
    assert_eq!(installs.lines().count(), 1, "once for two tasks and their checks");
    fixture.sealed.finish();
}

#[test]
fn a_person_opens_the_worktree_and_it_is_made_again_where_it_was_removed() {
    let mut fixture = Fixture::new("", "", |_, _| {});
    let id = fixture.add("Work", &keep("echo x", "x.txt"));
    assert_eq!(fixture.task("open", id, &[]).code, Some(3), "there is none yet");
    fixture.run_all();
    fixture.done(id);
    fixture.sealed.set("EDITOR", "ls > \"$HOME/opened\"; echo");
    let worktree = fixture.show(id)["worktree"].as_str().expect("a path").to_owned();
    fixture.repo.git(["worktree", "remove", "--force", &worktree]);
    fixture.task("open", id, &[]).ok();
    assert!(crate::kit::read_file(&fixture.sealed.home().join("opened")).contains("x.txt"));
    assert!(std::path::Path::new(&worktree).join("x.txt").is_file(), "made again");
    fixture.sealed.finish();
}
