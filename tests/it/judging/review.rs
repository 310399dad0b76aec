//! Tests review runs: the effect and the limits of a reviewer's verdict.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use serde_json::Value;

/// Creates an author whose second attempt is good, and a reviewer that follows this script.
fn reviewed(reviewer: &str, config: &str) -> (SealedBox, Repo) {
    let sealed = SealedBox::new();
    let author = "#!/bin/sh\ncat > told\nif grep -q 'asks for changes' told; then echo 42 > answer; else echo 41 > answer; fi\n\
                  git add answer; git commit -qm work; rm told; echo '{\"status\":\"done\",\"summary\":\"did it\"}'\n";
    sealed.program("author", author);
    sealed.program("reviewer", &format!("#!/bin/sh\ncat > /dev/null\nC=$(git rev-parse HEAD)\n{reviewer}\n"));
    sealed.config(&format!(
        "agents:\n  author: {{kind: command, command: author}}\n  reviewer: {{kind: command, command: reviewer}}\n\
         review: {{agents: [reviewer]{config}}}\nworkflow: {{review: agent, integrate: merge}}\n"
    ));
    let repo = sealed.repo("shop");
    repo.write("answer", "7\n");
    repo.commit("The question");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:author"]).ok();
    (sealed, repo)
}

const APPROVES_42: &str = "if test \"$(cat answer)\" = 42; then D=approve; else D=request_changes; fi\n\
    echo scribble > scribble\n\
    printf '{\"decision\":\"%s\",\"commit\":\"%s\",\"notes\":\"it must be 42\"}\\n' $D $C";

fn settle(sealed: &SealedBox, code: i32) -> Value {
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(code);
    sealed.orch(["task", "show", "1", "--json"]).ok().json()
}

#[test]
fn a_reviewer_sends_work_back_to_its_author_and_approves_the_next_commit() {
    let (sealed, repo) = reviewed(APPROVES_42, "");
    let task = settle(&sealed, 0);
    assert_eq!(task["status"], "done", "{task}");
    assert_eq!(repo.git(["show", "main:answer"]), "42");
    let kinds: Vec<&str> =
        task["runs"].as_array().into_iter().flatten().filter_map(|run| run["kind"].as_str()).collect();
    assert_eq!(kinds, ["work", "review", "work", "review"]);
    assert_eq!(task["attempts"], 1, "a review is no attempt");
    let review = &task["evidence"]["review"];
    assert_eq!((&review["decision"], &review["commit"]), (&"approve".into(), &task["evidence"]["head"]));
    // What the reviewer wrote is nowhere.
    let files = repo.git(["ls-tree", "-r", "--name-only", "main"]);
    assert!(!files.contains("scribble"), "{files}");
    let list = repo.git(["worktree", "list"]);
    assert!(!list.contains("-review"), "{list}");
}

#[test]
fn a_quarrel_with_the_reviewer_is_a_persons_to_decide() {
    let never = "printf '{\"decision\":\"request_changes\",\"commit\":\"%s\",\"notes\":\"never\"}\\n' $C";
    let (sealed, _repo) = reviewed(never, ", max_rounds: 1");
    let task = settle(&sealed, 5);
    let question = task["question"].as_str().unwrap_or_default();
    assert!(question.contains("asked for changes 2 times") && question.contains("never"), "{task}");
}

#[test]
fn a_review_of_another_commit_or_of_nothing_never_approves() {
    for answer in [
        "echo '{\"decision\":\"approve\",\"commit\":\"0123456789abcdef\",\"notes\":\"fine\"}'",
        "echo 'Looks good to me, approve!'",
        "exit 3",
    ] {
        let (sealed, repo) = reviewed(answer, "");
        let task = settle(&sealed, 5);
        let question = task["question"].as_str().unwrap_or_default();
        assert!(question.contains("could not be reviewed"), "{answer}: {task}");
        let runs = task["runs"].as_array().into_iter().flatten();
        assert_eq!(
            runs.filter(|run| run["kind"] == "review").count(),
            2,
            "{answer}: it is asked twice at most: {task}"
        );
        for verb in ["diff", "approve", "reject", "send"] {
            let begins = format!("orch task {verb} 1");
            let mut choices = task["choices"].as_array().into_iter().flatten().filter_map(Value::as_str);
            assert!(choices.any(|choice| choice.starts_with(&begins)), "{verb}: {task}");
        }
        assert_eq!(repo.git(["show", "main:answer"]), "7");
    }
}
