//! A person rewrites the base branch while an agent works: what they took out does not come back by the merge, and what the
//! agent did on the base from its own worktree is not taken for theirs.

use crate::kit::process::Program;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use serde_json::{Value, json};

const WAIT: &str = "touch \"$HOME/there\"; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done";

/// A home in which a program with this work has begun on a task in a repository, whose last commit adds a file.
fn begun(work: &str) -> (SealedBox, Repo) {
    let mut sealed = SealedBox::new();
    let answer = "echo '{\"status\":\"done\",\"summary\":\"did it\"}'";
    sealed.program("bot", &format!("#!/bin/sh\ncat > /dev/null\n{work}\n{answer}\n"));
    sealed.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge}\n");
    let repo = sealed.repo("shop");
    repo.write("answer", "7\n");
    repo.commit("The question");
    repo.write("private", "a password\n");
    repo.write("kept", "kept\n");
    repo.commit("By mistake");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
    sealed.serve();
    (sealed, repo)
}

fn show(sealed: &SealedBox) -> Value {
    sealed.orch(["task", "show", "1", "--json"]).ok().json()
}

fn by_hand(sealed: &SealedBox, repo: &Repo, script: &str) {
    Program::new("sh", repo.dir()).args(["-ec", script]).envs(sealed.env()).run().ok();
}

fn go_on_until_it_ends(sealed: &SealedBox) -> Value {
    crate::kit::write_file(&sealed.home().join("go"), "");
    wait::wait_until("the task to end", RUN, || {
        show(sealed)["status"] == "done" || !show(sealed)["question"].is_null()
    });
    show(sealed)
}

#[test]
fn what_a_person_took_out_of_the_base_does_not_come_back() {
    let acts = [
        "git reset -q --hard HEAD~1",
        "git rm -q private; git commit -q --amend -m 'In order'",
        "git reset -q --hard HEAD~1; echo more > more; git add more; git commit -qm 'Something else'",
        "git -c sequence.editor='sed -i s/^pick/drop/' rebase -qi HEAD~1",
        "git checkout -q --detach HEAD~1; git branch -f main HEAD; git switch -q main",
    ];
    for act in acts {
        for work in [
            format!("{WAIT}; echo 42 > answer; git commit -qam mend; echo 43 >> answer; git commit -qam more"),
            format!("echo 42 > answer; git commit -qam mend; {WAIT}; echo 43 >> answer; git commit -qam more"),
        ] {
            let (sealed, repo) = begun(&work);
            wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
            by_hand(&sealed, &repo, act);
            let task = go_on_until_it_ends(&sealed);
            assert_eq!(
                (&task["integration"]["state"], &task["question"]),
                (&json!("merged"), &Value::Null),
                "{act}: {task}"
            );
            assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n43\n"), "{act}");
            assert_eq!(repo.show("main", "private"), None, "{act}");
            let log = repo.git(["log", "--format=%s%n%b", "main"]);
            assert!(!log.contains("By mistake") && log.contains("main was rewritten"), "{act}: {log}");
            assert_eq!(log.matches("mend").count(), 1, "{act}: {log}");
            let trailer = repo.git(["log", "-1", "--format=%(trailers:key=Orch-Task,valueonly)", "main"]);
            assert_eq!(trailer.trim(), "1", "{act}: {log}");
            sealed.finish();
        }
    }
}

#[test]
fn a_second_attempt_after_the_base_was_rewritten_has_none_of_what_was_taken_out() {
    let work = format!(
        "if mkdir \"$HOME/begun\" 2> /dev/null; then echo half > half; git add half; git commit -qm half; {WAIT}; exit 1; fi\n\
         echo 42 > answer; git commit -qam mend"
    );
    let (sealed, repo) = begun(&work);
    wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
    by_hand(&sealed, &repo, "git reset -q --hard HEAD~1");
    let task = go_on_until_it_ends(&sealed);
    assert_eq!((&task["integration"]["state"], &task["attempts"]), (&json!("merged"), &json!(2)), "{task}");
    assert_eq!((&task["evidence"]["files"], repo.show("main", "private")), (&json!(2), None), "{task}");
    sealed.finish();
}

#[test]
fn work_that_needs_what_a_person_took_out_is_theirs_to_decide() {
    let work = format!("echo another > private; {WAIT}; git commit -qam mend");
    for decides in ["rebase", "merge"] {
        let (sealed, repo) = begun(&work);
        wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
        by_hand(&sealed, &repo, "git reset -q --hard HEAD~1");
        let task = go_on_until_it_ends(&sealed);
        let question = task["question"].as_str().unwrap_or_default();
        assert!(question.contains("main was rewritten") && question.contains("By mistake"), "{task}");
        assert_eq!(repo.show("main", "private"), None, "{task}");
        let command =
            question.split('`').find(|part| part.starts_with("git ") && part.contains(decides)).expect("a command");
        let resolve = match decides {
            "rebase" => format!(
                "{command} || {{ cd {}; git add private; git -c core.editor=true rebase --continue; }}",
                task["worktree"].as_str().unwrap_or_default()
            ),
            _ => command.to_owned(),
        };
        by_hand(&sealed, &repo, &resolve);
        sealed.orch(["task", "unblock", "1"]).ok();
        let task = go_on_until_it_ends(&sealed);
        assert_eq!(task["status"], "done", "{decides}: {task}");
        assert_eq!(repo.show("main", "private").as_deref(), Some("another\n"));
        let is_back = repo.git(["log", "--format=%s", "main"]).contains("By mistake");
        assert_eq!(is_back, decides == "merge");
        sealed.finish();
    }
}

#[test]
fn the_agents_own_commits_are_its_work_also_where_a_person_had_them_on_the_base_for_a_while() {
    let work = format!("echo 42 > answer; git commit -qam mend; {WAIT}; echo 43 >> answer; git commit -qam more");
    let (sealed, repo) = begun(&work);
    wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
    by_hand(&sealed, &repo, "git merge -q --ff-only orch/1-find-the-answer; git reset -q --hard HEAD~2");
    let task = go_on_until_it_ends(&sealed);
    assert_eq!((&task["integration"]["state"], &task["question"]), (&json!("merged"), &Value::Null), "{task}");
    assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n43\n"));
    assert_eq!(repo.show("main", "private"), None);
    sealed.finish();
}

#[test]
fn a_branch_that_merged_the_rewritten_base_itself_is_the_persons_to_decide() {
    let work = format!("echo 42 > answer; git commit -qam mend; {WAIT}; git merge -q main -m 'Up to date'");
    let (sealed, repo) = begun(&work);
    wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
    by_hand(
        &sealed,
        &repo,
        "git reset -q --hard HEAD~1; echo more > more; git add more; git commit -qm 'Something else'",
    );
    let task = go_on_until_it_ends(&sealed);
    let question = task["question"].as_str().unwrap_or_default();
    assert!(question.contains("main was rewritten") && question.contains("merge of its own"), "{task}");
    let command = question.split('`').find(|part| part.contains(" rebase ")).expect("a command");
    by_hand(&sealed, &repo, command);
    sealed.orch(["task", "unblock", "1"]).ok();
    let task = go_on_until_it_ends(&sealed);
    assert_eq!(task["integration"]["state"], "merged", "{task}");
    assert_eq!((repo.show("main", "private"), repo.show("main", "answer")), (None, Some("42\n".to_owned())));
    sealed.finish();
}

#[test]
fn commits_that_a_run_without_a_result_made_on_the_base_from_its_worktree_are_reported() {
    let goes_there = ["git switch -q main", "git checkout -q --ignore-other-worktrees main"];
    let does = ["echo evil > evil; git add evil; git commit -qm evil", "git reset -q --hard HEAD~1"];
    for (go, act) in goes_there.into_iter().zip(does).chain(goes_there.into_iter().zip(does.into_iter().rev())) {
        let work = format!(
            "if mkdir \"$HOME/begun\" 2> /dev/null; then {go}; {act}; git checkout -q -; exit 1; fi\n\
             echo 42 > answer; git commit -qam mend"
        );
        let sealed = SealedBox::new();
        let answer = "echo '{\"status\":\"done\",\"summary\":\"did it\"}'";
        sealed.program("bot", &format!("#!/bin/sh\ncat > /dev/null\n{work}\n{answer}\n"));
        sealed.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge}\n");
        let repo = sealed.repo("shop");
        repo.write("answer", "7\n");
        repo.commit("The question");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
        if go.contains("switch") {
            repo.git(["switch", "--quiet", "-c", "mine"]);
        }
        let before = repo.git(["rev-parse", "main"]);
        sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(5);
        let task = show(&sealed);
        let question = task["question"].as_str().unwrap_or_default();
        assert!(question.contains("refs/heads/main"), "{go}; {act}: {task}");
        let command = question.split('`').find(|part| part.starts_with("git ")).expect("how to put it back");
        by_hand(&sealed, &repo, command);
        assert_eq!(
            (repo.git(["rev-parse", "main"]), repo.git(["status", "--porcelain", "--untracked-files=no"])),
            (before, String::new()),
            "{command}"
        );
        sealed.orch(["task", "unblock", "1"]).ok();
        sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(0);
        assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n"), "{go}; {act}: {}", show(&sealed));
        assert_eq!(repo.show("main", "evil"), None);
        sealed.finish();
    }
}
