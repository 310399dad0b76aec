//! How work reaches its base, and a person's hand on it: looking, approving, rejecting, merging now, taking back; what an
//! agent may not; and that the base is green after every merge.

mod decisions;

use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use serde_json::Value;

/// Does what the lines of its prompt say that begin with `DO:`, and keeps the prompt.
const BOT: &str = "#!/bin/sh
cat > \"$HOME/prompt-$$\"
sed -n 's/^DO: //p' \"$HOME/prompt-$$\" > \"$HOME/do-$$\"
. \"$HOME/do-$$\"
";

/// Its final answer, a question to a person.
const ASKS: &str = r#"DO: echo '{"status": "needs_review", "summary": "did it", "reason": "is that right?"}'"#;

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new(workflow: &str) -> Self {
        let sealed = SealedBox::new();
        sealed.program("bot", BOT);
        sealed.config(&format!(
            "agents: {{bot: {{kind: command, command: bot}}}}\nengine: {{max_parallel: 2}}\nworkflow: {{{workflow}}}\n"
        ));
        let repo = sealed.repo("shop");
        repo.write("check.sh", "! { [ -e a.flag ] && [ -e b.flag ]; } && ! grep -qs broken README.md\n");
        repo.commit("Add the check");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self, title: &str, body: &str, labels: &[&str]) -> u64 {
        let mut args = vec!["task", "add", title, "-b", body, "-l", "agent:bot", "--json"];
        args.extend(labels.iter().flat_map(|label| ["-l", label]));
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].as_u64().expect("an id")
    }

    /// A command about a task.
    fn task(&self, verb: &str, id: u64, more: &[&str]) -> Ran {
        let id = id.to_string();
        let args = [&["task", verb, &id], more].concat();
        self.sealed.run_program(ORCH).args(args).deadline(RUN).run()
    }

    fn show(&self, id: u64) -> Value {
        self.task("show", id, &["--json"]).ok().json()
    }

    fn run_all(&self) {
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run();
    }

    fn status(&self, id: u64) -> String {
        self.show(id)["status"].as_str().expect("a status").to_owned()
    }

    fn head(&self, id: u64) -> String {
        self.repo.git(["rev-parse", self.show(id)["branch"].as_str().expect("a branch")])
    }

    /// The newest prompt.
    fn prompt(&self) -> String {
        let files = std::fs::read_dir(self.sealed.home()).expect("a home").flatten();
        let prompts = files.filter(|file| file.file_name().to_string_lossy().starts_with("prompt-"));
        let newest = prompts.max_by_key(|file| file.metadata().and_then(|known| known.modified()).expect("a time"));
        crate::kit::read_file(&newest.expect("a prompt").path())
    }

    /// Every commit that the base ever stood at passes the check.
    fn base_was_always_green(&self) {
        for commit in self.repo.git(["rev-list", "--first-parent", "main"]).lines() {
            self.repo.git(["checkout", "--quiet", commit]);
            let check =
                self.sealed.run_program_in("sh", self.repo.dir()).args(["-c", "[ ! -e check.sh ] || sh check.sh"]);
            check.run().ok();
        }
        self.repo.git(["checkout", "--quiet", "main"]);
    }
}

fn commit(file: &str, text: &str) -> String {
    format!("DO: echo {text} > {file}; git add .; git commit -qm 'Change {file}'")
}

#[test]
fn a_person_looks_at_what_would_change_and_accepts_just_that() {
    let fixture = Fixture::new("integrate: merge, checks: [sh check.sh]");
    let id = fixture.add("Ask first", &format!("{}\n{ASKS}", commit("a.txt", "hello")), &[]);
    assert_eq!(fixture.task("approve", id, &[]).code, Some(7), "it asks nobody yet");
    assert_eq!(fixture.task("diff", id, &[]).code, Some(3), "there is no branch yet");
    fixture.run_all();
    assert_eq!(fixture.status(id), "needs_review");
    let stat = fixture.task("diff", id, &["--stat", "--json"]).ok().json();
    assert_eq!((stat["commits"].as_u64(), stat["insertions"].as_u64()), (Some(1), Some(1)), "{stat:#}");
    assert_eq!((&stat["files"][0]["path"], &stat["patch"]), (&"a.txt".into(), &Value::Null));
    let shown = fixture.task("diff", id, &[]).ok().stdout;
    assert!(shown.contains("+++ b/a.txt\n") && shown.contains("\n+hello\n"), "{shown}");
    // Somebody commits there after the person has looked.
    let seen = fixture.head(id);
    let worktree = Repo::at(fixture.show(id)["worktree"].as_str().expect("a path").as_ref(), fixture.sealed.env());
    worktree.write("late.txt", "late\n");
    worktree.git(["add", "."]);
    worktree.git(["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "late"]);
    let refused = fixture.task("approve", id, &["--commit", &seen]).code_is(7);
    assert!(refused.stderr.contains("orch task diff"), "{refused}");
    assert_eq!(fixture.task("approve", id, &["--commit", "main"]).code, Some(2));
    worktree.git(["reset", "--quiet", "--hard", &seen]);
    fixture.task("approve", id, &["--commit", &seen[..12]]).ok();
    let task = fixture.show(id);
    assert_eq!((task["status"].as_str(), task["integration"]["state"].as_str()), (Some("done"), Some("merged")));
    assert_eq!(fixture.repo.show("main", "a.txt").as_deref(), Some("hello\n"));
    let brought = fixture.task("diff", id, &[]).ok().stdout;
    assert!(brought.contains("+hello"), "what is merged is still shown: {brought}");
    assert!(fixture.task("approve", id, &[]).code_is(7).stderr.contains("accepted already"));
    fixture.sealed.finish();
}

#[test]
fn a_word_on_work_that_has_not_begun_begins_none() {
    let fixture = Fixture::new("integrate: merge");
    let id = fixture.add("Not yet", &commit("a.txt", "hello"), &[]);
    for verb in ["approve", "merge"] {
        let refused = fixture.task(verb, id, &[]).code_is(7);
        assert!(refused.stderr.contains("there is no result yet"), "{refused}");
    }
    let task = fixture.show(id);
    assert_eq!((&task["status"], &task["runs"]), (&"new".into(), &serde_json::json!([])), "{task:#}");
    fixture.sealed.finish();
}

#[test]
fn an_agent_cannot_accept_anybodys_work_whatever_it_tries() {
    let mut fixture = Fixture::new("integrate: merge");
    let mine = fixture.add("Ask", &format!("{}\n{ASKS}", commit("a.txt", "a")), &[]);
    fixture.run_all();
    let home = fixture.sealed.orch_home().display().to_string();
    let orch = format!("ORCH_HOME={home} {ORCH} task");
    let out = fixture.sealed.base().join("tried").display().to_string();
    let body = format!(
        "DO: {orch} approve {mine} > {out}-1 2>&1; echo $? >> {out}-1\n\
         DO: env -u ORCH_RUN_ID {orch} merge {mine} > {out}-2 2>&1; echo $? >> {out}-2\n\
         DO: (env -i {orch} reject {mine} -m no > {out}-3 2>&1; echo $? >> {out}-3; touch {out}-over) &\n\
         DO: while [ ! -e {out}-over ]; do sleep 0.1; done\n\
         DO: {orch} diff {mine} > {out}-4 2>&1; echo $? >> {out}-4\n{}",
        commit("b.txt", "b")
    );
    let other = fixture.add("Try", &body, &[]);
    fixture.sealed.serve();
    wait::wait_until("the agent to have tried", RUN, || fixture.status(other) == "done");
    for (number, code) in [("1", "7"), ("2", "7"), ("3", "7"), ("4", "0")] {
        let text = crate::kit::read_file(format!("{out}-{number}").as_ref());
        assert_eq!(text.lines().last(), Some(code), "{number}: {text}");
        assert!(code == "0" || text.contains("only a person decides"), "{text}");
    }
    assert_eq!(fixture.status(mine), "needs_review");
    fixture.task("approve", mine, &[]).ok();
    fixture.sealed.finish();
}

#[test]
fn a_kept_branch_is_merged_when_the_person_says_so_and_a_conflict_goes_to_its_author_with_both_sides() {
    let fixture = Fixture::new("integrate: branch, checks: [sh check.sh]");
    let clean = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    let torn = fixture.add("Change the page", &commit("README.md", "of-the-task"), &[]);
    fixture.run_all();
    assert_eq!((fixture.status(clean), fixture.status(torn)), ("done".to_owned(), "done".to_owned()));
    fixture.task("merge", clean, &[]).ok();
    assert_eq!(fixture.repo.show("main", "a.txt").as_deref(), Some("a\n"));
    fixture.task("merge", clean, &[]).ok();
    fixture.repo.write("README.md", "of-the-person\n");
    fixture.repo.commit("Write the page");
    let refused = fixture.task("merge", torn, &[]).code_is(7);
    assert!(refused.stderr.contains("conflicts in README.md"), "{refused}");
    assert_eq!(fixture.status(torn), "needs_review");
    assert_eq!(fixture.repo.show("main", "README.md").as_deref(), Some("of-the-person\n"), "the base is as it was");
    let reason = "Keep both.\nDO: git merge -q main; printf 'of-the-person\\nof-the-task\\n' > README.md; \
                  git add . && git commit -qm Both";
    fixture.task("reject", torn, &["-m", reason]).ok();
    assert_eq!(fixture.task("reject", torn, &["-m", reason]).code, Some(7), "it is not asked twice");
    fixture.run_all();
    let prompt = fixture.prompt();
    for part in ["<<<<<<<", "of-the-person", ">>>>>>>", "Keep both."] {
        assert!(prompt.contains(part), "{part} is not in the prompt:\n{prompt}");
    }
    fixture.task("merge", torn, &[]).ok();
    assert_eq!(fixture.repo.show("main", "README.md").as_deref(), Some("of-the-person\nof-the-task\n"));
    fixture.sealed.finish();
}

#[test]
fn what_was_merged_is_taken_back_by_a_commit_and_can_be_merged_once_more() {
    let fixture = Fixture::new("integrate: merge, checks: [sh check.sh]");
    let id = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    fixture.run_all();
    assert_eq!(fixture.status(id), "done");
    fixture.repo.write("other.txt", "other\n");
    fixture.repo.commit("Somebody goes on");
    fixture.task("revert", id, &[]).ok();
    let task = fixture.show(id);
    assert_eq!(
        (task["status"].as_str(), task["integration"]["state"].as_str()),
        (Some("needs_review"), Some("reverted"))
    );
    assert_eq!((fixture.repo.show("main", "a.txt"), fixture.repo.show("main", "other.txt").is_some()), (None, true));
    assert!(fixture.repo.subjects("main")[0].starts_with("Revert \"Add a file\""));
    assert!(!fixture.repo.dir().join("a.txt").exists(), "the person's checkout came along");
    assert_eq!(fixture.task("revert", id, &[]).code, Some(7), "there is nothing more to take back");
    let stat = fixture.task("diff", id, &["--stat", "--json"]).ok().json();
    assert_eq!((&stat["files"][0]["path"], stat["commits"].as_u64()), (&"a.txt".into(), Some(1)), "{stat:#}");
    fixture.task("merge", id, &[]).ok();
    assert_eq!(fixture.repo.show("main", "a.txt").as_deref(), Some("a\n"));
    fixture.base_was_always_green();
    fixture.sealed.finish();
}

#[test]
fn a_base_that_fails_its_checks_after_a_merge_is_found_and_the_way_back_is_offered() {
    let fixture = Fixture::new("integrate: branch, checks: [sh check.sh]");
    let id = fixture.add("Add a flag", &commit("a.flag", "a"), &[]);
    fixture.run_all();
    // The person merges by hand, next to a conflicting change.
    let branch = fixture.show(id)["branch"].as_str().expect("a branch").to_owned();
    fixture.repo.write("b.flag", "b\n");
    fixture.repo.commit("Another flag");
    fixture.repo.git(["merge", "--quiet", "--no-ff", "--no-edit", &branch]);
    let found = fixture.task("merge", id, &[]).code_is(7);
    assert!(found.stderr.contains("fails its checks") && found.stderr.contains("orch task revert"), "{found}");
    let task = fixture.show(id);
    assert_eq!(
        (task["status"].as_str(), task["integration"]["state"].as_str()),
        (Some("needs_review"), Some("merged"))
    );
    fixture.task("revert", id, &[]).ok();
    assert_eq!((fixture.repo.show("main", "a.flag"), fixture.repo.show("main", "b.flag").is_some()), (None, true));
    // The same again, without verification.
    fixture.sealed.orch(["config", "set", "workflow.verify_after_merge", "false"]).ok();
    let refused = fixture.task("merge", id, &[]).code_is(7);
    assert!(refused.stderr.contains("check.sh"), "what breaks the base is not merged by anybody: {refused}");
    fixture.sealed.finish();
}

#[test]
fn a_task_waits_for_the_one_that_works_on_the_same_file() {
    let mut fixture = Fixture::new("integrate: branch, overlap: hold");
    let go = fixture.sealed.base().join("go");
    let held = format!("DO: while [ ! -e '{}' ]; do sleep 0.1; done\n{}", go.display(), commit("src.txt", "a"));
    let first = fixture.add("Redo src/parser.rs", &held, &[]);
    let second = fixture.add("Tidy up", &commit("b.txt", "b"), &["files:src/"]);
    let third = fixture.add("Write docs/intro.md", &commit("c.txt", "c"), &[]);
    fixture.sealed.serve();
    wait::wait_until("the one beside it to be done", RUN, || fixture.status(third) == "done");
    let why = fixture.sealed.orch(["why", &second.to_string(), "--json"]).ok().json();
    assert_eq!(why["hold"]["reason"], "overlap", "{why:#}");
    assert_eq!(why["because"], format!("overlaps {first} in src/parser.rs"), "{why:#}");
    write_file(&go, "");
    wait::wait_until("both to be done", RUN, || [first, second].iter().all(|id| fixture.status(*id) == "done"));
    fixture.sealed.finish();
}

#[test]
fn a_base_is_green_after_every_merge_of_branches_that_pass_alone() {
    let fixture = Fixture::new("integrate: branch, checks: [sh check.sh]");
    fixture.sealed.orch(["config", "set", "engine.max_parallel", "4"]).ok();
    let good: Vec<u64> = (0..6).map(|n| fixture.add("A file", &commit(&format!("f{n}.txt"), "x"), &[])).collect();
    let flags =
        [fixture.add("One flag", &commit("a.flag", "x"), &[]), fixture.add("Other", &commit("b.flag", "x"), &[])];
    let torn =
        [fixture.add("One page", &commit("README.md", "1"), &[]), fixture.add("Other", &commit("README.md", "2"), &[])];
    fixture.run_all();
    fixture.sealed.orch(["config", "set", "workflow.integrate", "merge"]).ok();
    let merged = |id: &u64| fixture.task("merge", *id, &[]).code == Some(0);
    assert!(good.iter().all(merged));
    assert_eq!(flags.iter().filter(|id| merged(id)).count(), 1, "both together break the base");
    assert_eq!(torn.iter().filter(|id| merged(id)).count(), 1, "both changed the same");
    assert_eq!(fixture.repo.git(["rev-list", "--first-parent", "--count", "main"]), "10");
    fixture.base_was_always_green();
    fixture.sealed.finish();
}

#[test]
fn work_that_a_person_sent_back_is_no_success_and_what_waits_for_a_word_is_nothing_yet() {
    let fixture = Fixture::new("integrate: merge, review: human, checks: [sh check.sh]");
    let id = fixture.add("Change it", &commit("a.txt", "hello"), &[]);
    fixture.run_all();
    assert_eq!(fixture.status(id), "needs_review");
    let export = || fixture.sealed.orch(["patterns", "export"]).ok().stdout;
    assert_eq!(export(), "", "nobody has accepted it yet");
    fixture.task("reject", id, &["-m", &commit("a.txt", "again")]).ok();
    assert!(export().contains("review_rejected"), "{}", export());
    fixture.run_all();
    fixture.task("approve", id, &[]).ok();
    fixture.run_all();
    assert_eq!(fixture.status(id), "done");
    let accepted: Vec<bool> = export().lines().map(|line| line.contains("\"accepted\":true")).collect();
    assert_eq!(accepted, [false, true], "{}", export());
    fixture.sealed.finish();
}

#[test]
fn an_agent_that_asked_and_is_answered_by_sending_it_back_has_failed_at_nothing() {
    let fixture = Fixture::new("integrate: merge, checks: [sh check.sh]");
    let id = fixture.add("Ask first", &format!("{}\n{ASKS}", commit("a.txt", "hello")), &[]);
    fixture.run_all();
    assert_eq!(fixture.status(id), "needs_review");
    fixture.task("reject", id, &["-m", "The other way round."]).ok();
    assert_eq!(fixture.sealed.orch(["patterns", "export"]).ok().stdout, "");
    fixture.sealed.finish();
}

#[test]
fn nothing_of_a_project_begins_before_its_settings_read() {
    let mut fixture = Fixture::new("integrate: merge");
    let settings = |end: &str| fixture.repo.write(".orch.yml", &format!("workflow:\n  checks: [sh check.sh]\n{end}"));
    settings("");
    fixture.repo.commit("Name the check");
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    settings("limits: [\n");
    let id = fixture.add("Break it", &commit("README.md", "broken"), &[]);
    fixture.sealed.serve();
    let why = || fixture.task("why", id, &[]).stdout;
    wait::wait_until("it to be held", RUN, || why().contains("mend that file"));
    assert!(why().contains(".orch.yml:3") && fixture.status(id) == "new", "{}", why());
    fixture.repo.git(["checkout", "--quiet", ".orch.yml"]);
    wait::wait_until("its work to be judged", RUN, || fixture.show(id)["attempts"].as_u64() > Some(0));
    wait::wait_until("its work to be refused", RUN, || {
        !["new", "routed", "in_progress", "in_review"].contains(&fixture.status(id).as_str())
    });
    assert_ne!(fixture.repo.read("README.md"), "broken\n");
    assert_eq!(fixture.status(id), "needs_review", "{}", why());
    fixture.sealed.finish();
}
