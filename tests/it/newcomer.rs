//! Tests the first ten minutes of a user who has only read the README.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::terminal::Terminal;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use serde_json::{Value, json};

/// An agent that answers as agents are asked to, in prose and with a JSON object at the end.
const ANSWERS: &str = "#!/bin/sh\ncat > /dev/null\necho hello > hello.txt; git add -A; git commit -qm 'Add hello'\n\
     echo 'I added the greeting.'\n\
     printf '{\"status\":\"done\",\"summary\":\"Added hello.txt.\",\"files_changed\":[\"hello.txt\"]}\\n'\n";

/// An agent that works until it is stopped.
const ENDLESS: &str = "#!/bin/sh\ncat > /dev/null\necho at work\nwhile :; do sleep 0.05; done\n";

fn start(agent: &str) -> (SealedBox, Repo) {
    let mut sealed = SealedBox::new();
    sealed.set("USER", "ada");
    sealed.program("bot", agent);
    sealed.config("agents: {bot: {kind: command, command: bot}}\nrouter: {mode: round_robin, agents: [bot]}\n");
    let repo = sealed.repo("shop");
    (sealed, repo)
}

fn show(sealed: &SealedBox, id: u64) -> Value {
    sealed.orch(["task", "show", &id.to_string(), "--json"]).ok().json()
}

fn until_numbered(sealed: &SealedBox, id: u64) {
    let line = format!("id: {id}\n");
    wait::wait_until("the entry to have its id", SOON, || sealed.read_tasks().contains(&line));
}

#[test]
fn a_task_is_refused_where_nobody_has_typed_init_and_says_what_to_type() {
    let (sealed, repo) = start(ANSWERS);
    let refused = sealed.orch_in(repo.dir(), ["add", "Too early", "--json"]).code_is(7).json();
    let text = refused["error"].to_string();
    assert!(text.contains("orch init") && text.contains(&*repo.dir().to_string_lossy()), "{text}");
    // Outside of any repository nothing is guessed, registered or not.
    let bare = sealed.orch_in(&sealed.home(), ["add", "Nowhere"]).code_is(2);
    assert!(bare.stderr.contains("there is no repository here") && bare.stderr.contains("orch init"), "{bare}");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    let outside = sealed.orch_in(&sealed.home(), ["add", "Nowhere"]).code_is(2);
    assert!(outside.stderr.contains(&format!("--dir {}", repo.dir().display())), "{outside}");
    assert_eq!(sealed.orch(["list", "--json"]).ok().json(), json!([]), "nothing was added");

    let added = sealed.orch_in(repo.dir(), ["add", "In time"]).ok();
    assert!(added.stdout.starts_with("added task 1: In time\n"), "{added}");
    for part in ["project shop", "from main", "stays on a branch of its own", "workflow.integrate: branch"] {
        assert!(added.stderr.contains(part), "{part}: {added}");
    }
    let named = sealed.orch(["add", "By its directory", "--dir", &repo.dir().to_string_lossy(), "--json"]).ok().json();
    assert_eq!((&named["project"], &named["integrate"]), (&json!("shop"), &json!("branch")), "{named}");
    sealed.finish();
}

#[test]
fn a_person_at_a_terminal_is_asked_and_a_yes_registers_the_repository() {
    let (sealed, repo) = start(ANSWERS);
    let line = format!("cd '{}' && '{ORCH}' add 'Say hello'; exec sleep 1000", repo.dir().display());
    let terminal = Terminal::new(&sealed, &line);
    terminal.shows("register it now");
    terminal.tmux(&["send-keys", "-t", "=t:", "", "Enter"]).ok();
    terminal.shows("added task 1");
    terminal.close();
    let projects = sealed.orch(["project", "list", "--json"]).ok().json();
    assert_eq!(projects[0]["name"], "shop", "{projects}");
    sealed.finish();
}

#[test]
fn an_entry_for_an_unregistered_repository_is_held_until_init() {
    let (mut sealed, repo) = start(ANSWERS);
    sealed.serve();
    sealed.write_tasks(&format!("tasks:\n  - title: Say hello\n    dir: {}\n", repo.dir().display()));
    let hold = || {
        let why = sealed.orch(["why", "1", "--json"]);
        (why.code == Some(0)).then(|| why.json()["hold"].clone())
    };
    wait::wait_until("the task to be held", SOON, || hold().is_some_and(|hold| hold["reason"] == "no_project"));
    let detail = hold().expect("held")["detail"].to_string();
    assert!(detail.contains("orch init") && detail.contains("shop"), "{detail}");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    wait::wait_until("the task to be done", RUN, || show(&sealed, 1)["status"] == "done");
    sealed.finish();
}

#[test]
fn first_guesses_at_a_key_are_understood_and_strange_ones_are_named_on_the_task() {
    let (mut sealed, repo) = start(ANSWERS);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch(["pause"]).ok();
    sealed.serve();
    let text = "tasks:\n  - title: First\n    description: the details\n    estimate: 3\n  - title: Second\n    depends: 1\n    \
                tags: [docs]\n    project: shop\n  - title: Third\n    hold: true\n";
    sealed.write_tasks(text);
    until_numbered(&sealed, 2);
    wait::wait_until("the second task", SOON, || sealed.orch(["task", "show", "2"]).code == Some(0));
    let (first, second) = (show(&sealed, 1), show(&sealed, 2));
    assert_eq!(first["body"], "the details");
    assert_eq!(first["ignored"], json!(["`estimate` is no key of a task and is not looked at"]));
    assert_eq!((&second["depends_on"], &second["labels"]), (&json!([1]), &json!(["docs"])));
    assert!(second["ignored"][0].as_str().is_some_and(|output| output.contains("write `dir:`")), "{second:#}");
    let output = sealed.orch(["show", "1"]).ok().stdout;
    assert!(output.contains("`estimate` is no key of a task"), "{output}");
    // What is held does not become a task that could begin.
    let problems = sealed.orch(["status", "--json"]).ok().json()["problems"].to_string();
    assert!(problems.contains("held by `hold`") && !sealed.read_tasks().contains("id: 3"), "{problems}");
    write_file(&sealed.orch_home().join("tasks.yml"), &sealed.read_tasks().replace("    hold: true\n", ""));
    until_numbered(&sealed, 3);
    // A command changes the key that the person uses, and adds no second one.
    sealed.orch(["task", "edit", "1", "--body", "other details"]).ok();
    wait::wait_until("the edit in the file", SOON, || sealed.read_tasks().contains("description: other details"));
    assert!(!sealed.read_tasks().contains("body:"), "{}", sealed.read_tasks());
    sealed.finish();
}

#[test]
fn an_id_comes_after_the_title_and_no_line_of_the_persons_changes() {
    let (mut sealed, repo) = start(ANSWERS);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch(["pause"]).ok();
    sealed.serve();
    let text = "# mine\ntasks:\n  - title: One   # the first\n    body: |\n      a\n\n      b\n  - {title: Two}\n  - title: Three\n";
    sealed.write_tasks(text);
    until_numbered(&sealed, 3);
    wait::wait_until("the statuses", SOON, || sealed.read_tasks().matches("status: new").count() == 3);
    let now = sealed.read_tasks();
    let is_own = |line: &&str| !line.trim_start().starts_with("id: ") && !line.trim_start().starts_with("status: ");
    let kept: Vec<&str> = now.lines().filter(is_own).collect();
    let mine: Vec<String> =
        text.lines().map(|line| line.replace("{title: Two}", "{title: Two, id: 2, status: new}")).collect();
    assert_eq!(kept, mine, "{now}");
    assert!(now.contains("  - title: One   # the first\n    id: 1\n"), "{now}");
    sealed.finish();
}

#[test]
fn an_entry_that_was_deleted_and_a_new_one_in_its_place_are_two_tasks() {
    let (mut sealed, repo) = start(ANSWERS);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch(["pause"]).ok();
    sealed.serve();
    sealed.write_tasks("tasks:\n  - title: Add a health endpoint\n");
    until_numbered(&sealed, 1);
    wait::wait_until("the first task", SOON, || sealed.orch(["task", "show", "1"]).code == Some(0));
    sealed.write_tasks("tasks:\n  - title: Translate the manual\n");
    until_numbered(&sealed, 2);
    wait::wait_until("the first to be given up", RUN, || show(&sealed, 1)["status"] == "cancelled");
    assert_eq!(show(&sealed, 1)["title"], "Add a health endpoint");
    assert_eq!(
        (&show(&sealed, 2)["title"], &show(&sealed, 2)["status"]),
        (&json!("Translate the manual"), &json!("new"))
    );
    sealed.finish();
}

#[test]
fn init_adds_what_a_file_lacks_and_shows_what_is_red_on_the_base() {
    let (sealed, repo) = start(ANSWERS);
    let file = "# mine\nworkflow:\n  max_attempts: 2   # enough\n";
    repo.write(".orch.yml", file);
    repo.write("Makefile", "test:\n\t@echo the cause stands first\n\t@seq 60\n\t@test -e mended\n");
    repo.commit("Set up");
    let found = sealed.orch_in(repo.dir(), ["init", "--with-checks", "--json"]).ok().json();
    assert_eq!((&found["checks"], &found["added"]), (&json!(["make test"]), &json!(["workflow.checks"])), "{found:#}");
    let now = crate::kit::read_file(&repo.dir().join(".orch.yml"));
    assert!(file.lines().all(|line| now.contains(line)), "{now}");
    let red = sealed.orch_in(repo.dir(), ["init", "--try"]).code_is(5);
    assert!(red.stdout.contains("the cause stands first") && red.stderr.contains("orch init --try"), "{red}");
    repo.write("mended", "");
    repo.commit("Mend it");
    let green = sealed.orch_in(repo.dir(), ["init", "--with-checks", "--try"]).ok();
    assert!(green.stdout.contains("approved as it is") && green.stdout.contains("make test: passed"), "{green}");
    sealed.finish();
}

#[test]
fn a_deleted_repository_is_named_and_can_be_removed_and_bare_titles_go_on() {
    let (mut sealed, repo) = start(ANSWERS);
    let gone = sealed.repo("gone");
    sealed.orch_in(gone.dir(), ["init"]).ok();
    std::fs::remove_dir_all(gone.dir()).expect("it goes");
    let doctor = sealed.orch(["doctor", "--json"]);
    assert!(doctor.stdout.contains("orch project remove gone"), "{doctor}");
    assert!(sealed.orch(["project", "list"]).ok().stdout.contains("the directory is gone"));
    sealed.serve();
    sealed.write_tasks("tasks:\n  - title: Say hello\n");
    wait::wait_until("the task to wait for the directory", SOON, || {
        let why = sealed.orch(["why", "1", "--json"]);
        why.code == Some(0) && why.json()["hold"]["reason"] == "missing_dir"
    });
    sealed.orch(["project", "remove", "nothing"]).code_is(3);
    let removed = sealed.orch(["project", "remove", "gone", "--json"]).ok().json();
    assert_eq!(removed["name"], "gone");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    wait::wait_until("the task to be done in the other one", RUN, || show(&sealed, 1)["status"] == "done");
    sealed.kill_daemon();
    assert_eq!(sealed.orch(["project", "list", "--json"]).ok().json().as_array().map(Vec::len), Some(1));
    sealed.finish();
}

#[test]
fn a_project_in_which_an_agent_works_is_not_removed() {
    let (mut sealed, repo) = start(ENDLESS);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    sealed.orch(["add", "Work on"]).ok();
    wait::wait_until("the agent to work", RUN, || sealed.orch(["log", "1"]).stdout.contains("at work"));
    let refused = sealed.orch(["project", "remove", "shop"]).code_is(7);
    assert!(refused.stderr.contains("task 1") && refused.stderr.contains("orch cancel 1"), "{refused}");
    sealed.orch(["cancel", "1"]).ok();
    wait::wait_until("the project to go", RUN, || sealed.orch(["project", "remove", "shop"]).code == Some(0));
    sealed.finish();
}

#[test]
fn the_log_shows_the_answer_in_words_and_once() {
    let (sealed, repo) = start(ANSWERS);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch(["add", "Say hello"]).ok();
    sealed.run_program_in(ORCH, repo.dir()).args(["run", "1"]).deadline(RUN).run().ok();
    for args in [&["log", "1"][..], &["stream", "1", "--from-start"]] {
        let text = sealed.orch(args).ok().stdout;
        assert_eq!(text.matches("Added hello.txt.").count(), 1, "{text}");
        assert!(text.contains("I added the greeting.") && !text.contains("files_changed"), "{text}");
    }
    sealed.finish();
}

#[test]
fn a_view_says_that_it_is_one_and_ctrl_c_there_names_who_stopped_the_agent() {
    let (mut sealed, repo) = start(ENDLESS);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    sealed.orch(["add", "Work on"]).ok();
    wait::wait_until("the agent to work", RUN, || sealed.orch(["log", "1"]).stdout.contains("at work"));
    let terminal = Terminal::new(&sealed, &format!("'{ORCH}' task attach 1; exec sleep 1000"));
    terminal.shows("orch task send 1 TEXT talks to it");
    // The line is printed before the pane is attached: an earlier key press reaches the command, not the agent.
    terminal.shows("at work");
    terminal.tmux(&["send-keys", "-t", "=t:", "C-c"]).ok();
    wait::wait_until("a person to be asked", RUN, || show(&sealed, 1)["status"] == "needs_review");
    let question = show(&sealed, 1)["question"].to_string();
    assert!(question.contains("stopped by ada, with Ctrl-C in its pane"), "{question}");
    terminal.close();
    sealed.finish();
}

#[test]
fn a_command_of_another_tool_is_answered_with_the_one_that_is_meant() {
    let sealed = SealedBox::new();
    for (words, meant) in [
        (&["rollback"][..], "orch revert"),
        (&["stop"], "orch shutdown"),
        (&["join", "1"], "orch attach"),
        (&["profiles"], "orch config preset"),
    ] {
        let ran = sealed.orch(words).code_is(2);
        assert!(ran.stderr.contains(meant) && !ran.stderr.contains("'serve'"), "{words:?}: {ran}");
    }
    let strange = sealed.orch(["gh"]).code_is(2);
    assert!(!strange.stderr.contains("did you mean") && !strange.stderr.contains("'gc'"), "{strange}");
    let output = sealed.orch(["kill", "--json"]).code_is(2);
    assert!(output.stdout.contains("orch cancel"), "{output}");
    sealed.config("cto_model: haiku\nprofiles: []\n");
    let wrong = sealed.orch(["config", "validate"]).code_is(2);
    assert!(wrong.stderr.contains("router.model") && !wrong.stderr.contains("providers"), "{wrong}");
    sealed.finish();
}
