//! A person works in their own checkout while agents work: nothing that they do there is held against an agent, costs an
//! attempt, starts an agent again or asks them anything, and nothing of theirs is overwritten. What an agent does there is.

use crate::kit::process::Program;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use serde_json::{Value, json};

/// Reports that it has started, waits for permission to continue, works, and reports that it is done.
const BOT: &str = "#!/bin/sh
cat > /dev/null
D=\"$HOME/$(basename \"$PWD\")\"
touch \"$D.there\"
while [ ! -e \"$D.go\" ]; do sleep 0.05; done
echo 42 > answer; git add answer; git commit -qm mend
echo '{\"status\":\"done\",\"summary\":\"did it\"}'
";

/// What a person does at their desk, each in a repository of its own.
const ACTS: &[&str] = &[
    "echo more >> README.md",
    "echo more >> README.md; git commit -qam 'by hand'",
    "echo more >> README.md; git add README.md",
    "echo text > notes.txt",
    "echo swap > .README.md.swp",
    "mkdir .idea; echo '<xml/>' > .idea/workspace.xml",
    "mkdir __pycache__; echo x > __pycache__/a.pyc",
    "git remote add upstream https://example.invalid/x.git",
    "git init -q --bare ../theirs-$N; git remote add mine ../theirs-$N; git push -qu mine main",
    "git config --local core.editor vim; git config --local alias.ci commit; git config core.fsmonitor false",
    "printf '#!/bin/sh\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
    "echo '*.x -text' > .git/info/attributes",
    "git branch -D old",
    "git update-ref -d refs/heads/old",
    "git switch -qc topic; echo t > t; git add t; git commit -qm t",
    "git switch -q --detach",
    "echo more >> README.md; git stash -q",
    "git tag -d v0; git tag v1",
    "git commit -q --amend -m 'in other words'",
    "git reset -q --hard HEAD~1",
    "git update-ref refs/heads/main HEAD~1; git reset -q --hard",
    "git -c sequence.editor='sed -i s/^pick/reword/' -c core.editor=true rebase -qi HEAD~1",
    "git gc -q",
];

/// A home in which a program works on one task in each of some repositories.
struct Fixture {
    sealed: SealedBox,
    repos: Vec<Repo>,
}

impl Fixture {
    fn new(count: usize, workflow: &str) -> Self {
        let sealed = SealedBox::new();
        sealed.program("bot", BOT);
        sealed.config(&format!(
            "agents: {{bot: {{kind: command, command: bot}}}}\nengine: {{max_parallel: {count}}}\n\
             workflow: {{review: off, {workflow}}}\n"
        ));
        let repos = (1..=count).map(|number| {
            let repo = sealed.repo(&format!("shop-{number}"));
            repo.write("answer", "7\n");
            repo.commit("The question");
            repo.git(["branch", "old"]);
            repo.git(["tag", "v0"]);
            sealed.orch_in(repo.dir(), ["init"]).ok();
            sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
            repo
        });
        let repos = repos.collect();
        Self { sealed, repos }
    }

    fn show(&self, id: usize) -> Value {
        self.sealed.orch(["task", "show", &id.to_string(), "--json"]).ok().json()
    }

    /// Returns a file by which the program of a task communicates.
    fn sign(&self, id: usize, word: &str) -> std::path::PathBuf {
        let worktree = self.show(id)["worktree"].as_str().map(str::to_owned).unwrap_or_default();
        let name = worktree.rsplit('/').next().unwrap_or_default().to_owned();
        self.sealed.home().join(format!("{name}.{word}"))
    }

    fn until_all_work(&self) {
        for id in 1..=self.repos.len() {
            wait::wait_until("the agent to work", RUN, || self.sign(id, "there").exists());
        }
    }

    fn go_on(&self) {
        (1..=self.repos.len()).for_each(|id| crate::kit::write_file(&self.sign(id, "go"), ""));
    }

    /// Something that the person does in their checkout.
    fn by_hand(&self, id: usize, script: &str) {
        let mut env = self.sealed.env();
        env.push(("N".into(), id.to_string().into()));
        Program::new("sh", self.repos[id - 1].dir()).args(["-ec", script]).envs(env).run().ok();
    }

    /// Everything in a checkout, but for git's own.
    fn files(&self, id: usize) -> String {
        let find = "find . -path ./.git -prune -o -type f -exec sha256sum {} + | sort -k2; git for-each-ref refs/heads/old \
             refs/tags refs/stash refs/heads/topic; cat .git/HEAD; cat .git/config; ls .git/hooks";
        let ran = Program::new("sh", self.repos[id - 1].dir()).args(["-c", find]).envs(self.sealed.env()).run();
        ran.ok().stdout
    }
}

#[test]
fn nothing_that_a_person_does_in_their_own_checkout_is_held_against_an_agent() {
    let mut fixture = Fixture::new(ACTS.len(), "max_attempts: 3");
    fixture.sealed.serve();
    fixture.until_all_work();
    let mut kept = Vec::new();
    for (number, act) in ACTS.iter().enumerate() {
        fixture.by_hand(number + 1, act);
        kept.push(fixture.files(number + 1));
    }
    fixture.go_on();
    let ended = |task: &Value| ["done", "needs_review"].contains(&task["status"].as_str().unwrap_or_default());
    let mut wrong = Vec::new();
    for (number, act) in ACTS.iter().enumerate() {
        let id = number + 1;
        let task = wait::wait_some("the end of the task", RUN * 2, || Some(fixture.show(id)).filter(ended));
        let (runs, violations) = (task["runs"].as_array().map_or(0, Vec::len), &task["evidence"]["violations"]);
        let is_clean = violations.as_array().is_none_or(Vec::is_empty);
        if task["status"] != "done" || runs != 1 || !task["question"].is_null() || !is_clean {
            wrong.push(format!("{act}: {} after {runs} runs: {}, {violations}", task["status"], task["question"]));
        }
        if fixture.files(id) != kept[number] {
            wrong.push(format!(
                "{act}: what was there is not there any more:\n{}\n{}",
                kept[number],
                fixture.files(id)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fixture.sealed.finish();
}

#[test]
fn work_waits_for_a_person_who_rebases_or_edits_its_base_and_is_merged_afterwards() {
    let begin = "for n in 1 2; do echo $n > mine; git add mine; git commit -qm \"mine $n\"; done; \
                 git -c sequence.editor='sed -i s/^pick/edit/' rebase -qi HEAD~2";
    let mut fixture = Fixture::new(2, "integrate: merge");
    fixture.sealed.serve();
    fixture.until_all_work();
    fixture.by_hand(1, begin);
    fixture.by_hand(2, "echo 'half a thought' >> README.md");
    fixture.go_on();
    for (id, word) in [(1, "rebase"), (2, "uncommitted")] {
        wait::wait_until("the task to be held", RUN * 2, || fixture.show(id)["hold"]["reason"] == "base_dirty");
        let task = fixture.show(id);
        assert!(task["hold"]["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{task}");
        assert!(task["question"].is_null(), "{task}");
    }
    // Both of their commits arrive, and nothing was changed in between.
    fixture.by_hand(1, "git rebase --continue; git rebase --continue");
    fixture.by_hand(2, "git commit -qam 'a whole thought'");
    for (id, repo) in [1, 2].into_iter().zip(&fixture.repos) {
        wait::wait_until("the task to be done", RUN * 3, || fixture.show(id)["status"] == "done");
        let task = fixture.show(id);
        assert_eq!(task["runs"].as_array().map(Vec::len), Some(1), "{task}");
        assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n"));
        repo.git(["fsck", "--strict", "--no-dangling"]);
    }
    assert_eq!(fixture.repos[0].show("main", "mine").as_deref(), Some("2\n"));
    assert!(fixture.repos[1].show("main", "README.md").is_some_and(|text| text.contains("half a thought")));
    fixture.sealed.finish();
}

#[test]
fn what_an_agent_did_outside_is_reported_with_the_command_that_did_it() {
    let work = "echo 42 > answer; git commit -qam mend; git branch -qD old";
    let (sealed, _, task) = ended("max_attempts: 1", work, |repo| {
        repo.git(["branch", "old"]);
    });
    assert_eq!(task["runs"][0]["outcome"]["class"], "sandbox_violation", "{task}");
    let text = task["evidence"]["violations"][0].as_str().unwrap_or_default();
    assert!(text.contains("refs/heads/old was deleted") && text.contains("git branch -qD old"), "{task}");
    sealed.finish();
}

#[test]
fn a_repository_that_is_away_when_an_agent_ends_is_waited_for() {
    let mut sealed = SealedBox::new();
    let script = "#!/bin/sh\ncat > /dev/null\necho 42 > answer; git commit -qam mend; touch \"$HOME/there\"\n\
                  while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\necho '{\"status\":\"done\",\"summary\":\"did it\"}'\n";
    sealed.program("bot", script);
    sealed.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge}\n");
    let repo = sealed.repo("shop");
    repo.write("answer", "7\n");
    repo.commit("The question");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
    sealed.serve();
    wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
    let (dot_git, aside) = (repo.dir().join(".git"), repo.dir().join("aside"));
    std::fs::rename(&dot_git, &aside).expect("it goes");
    crate::kit::write_file(&sealed.home().join("go"), "");
    let show = || sealed.orch(["task", "show", "1", "--json"]).ok().json();
    wait::wait_until("the task to be held", RUN, || show()["hold"]["reason"] == "system");
    assert!(show()["hold"]["detail"].as_str().is_some_and(|detail| detail.contains(".git")), "{}", show());
    std::fs::rename(&aside, &dot_git).expect("it comes back");
    wait::wait_until("the task to be done", RUN, || show()["status"] == "done");
    assert_eq!(show()["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n"));
    sealed.finish();
}

/// A repository in which a program has just done a task, with what the task shows.
fn ended(workflow: &str, work: &str, prepare: impl Fn(&Repo)) -> (SealedBox, Repo, Value) {
    ended_in("shop", workflow, work, prepare)
}

fn ended_in(name: &str, workflow: &str, work: &str, prepare: impl Fn(&Repo)) -> (SealedBox, Repo, Value) {
    let sealed = SealedBox::new();
    let answer = "echo '{\"status\":\"done\",\"summary\":\"did it\"}'";
    sealed.program("bot", &format!("#!/bin/sh\ncat > /dev/null\n{work}\n{answer}\n"));
    sealed
        .config(&format!("agents: {{bot: {{kind: command, command: bot}}}}\nworkflow: {{review: off, {workflow}}}\n"));
    let repo = sealed.repo(name);
    repo.write("answer", "7\n");
    repo.commit("The question");
    prepare(&repo);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(5);
    let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    (sealed, repo, task)
}

/// The person types what the question proposes between backticks and begins with `git`, and sends the task on.
fn put_back(sealed: &SealedBox, repo: &Repo, task: &Value) {
    let question = task["question"].as_str().unwrap_or_default();
    let commands = question
        .split('`')
        .filter(|part| part.starts_with("git ") && !part.contains(" log ") || part.starts_with("cd "));
    let commands: Vec<&str> = commands.collect();
    assert!(!commands.is_empty(), "how to put it back: {question}");
    for command in commands {
        sealed.run_program_in("sh", repo.dir()).args(["-c", command]).run().ok();
    }
    sealed.orch(["task", "unblock", "1"]).ok();
    done(sealed);
}

/// Has orch work until the task is done.
fn done(sealed: &SealedBox) -> Value {
    let ran = sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run();
    let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    assert_eq!(ran.code, Some(0), "{task}");
    task
}

#[test]
fn what_an_agent_took_from_its_person_is_put_back_before_its_work_is_accepted() {
    fn stash(repo: &Repo) {
        repo.write("README.md", "half a thought\n");
        repo.git(["stash", "--quiet"]);
    }
    fn tag(repo: &Repo) {
        repo.git(["tag", "v1"]);
    }
    type Prepare = fn(&Repo);
    let takes: [(&str, Prepare, &str); 4] = [
        ("git reflog expire --expire=now refs/stash", stash, "refs/stash"),
        ("git stash drop -q", stash, "refs/stash"),
        ("git stash pop -q; git checkout -q README.md", stash, "refs/stash"),
        ("git tag -d v1", tag, "refs/tags/v1"),
    ];
    for (take, prepare, lost) in takes {
        let work = format!("{take} > /dev/null; echo 42 > answer; git commit -qam mend");
        let (sealed, repo, task) = ended("integrate: merge, max_attempts: 3", &work, prepare);
        assert!(task["question"].as_str().is_some_and(|question| question.contains(lost)), "{take}: {task}");
        sealed.orch(["task", "unblock", "1"]).ok();
        sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(5);
        put_back(&sealed, &repo, &sealed.orch(["task", "show", "1", "--json"]).ok().json());
        assert!(repo.git(["for-each-ref", lost]).contains(lost), "{take}");
        assert_eq!(lost == "refs/stash", !repo.git(["stash", "list"]).is_empty(), "{take}");
        let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
        let runs = task["runs"].as_array().map(Vec::len);
        assert_eq!((&task["integration"]["state"], runs), (&json!("merged"), Some(1)), "{take}: {task}");
        sealed.finish();
    }
}

/// Where the agent finds its person's checkout.
const MAIN: &str = "MAIN=$(dirname \"$(git rev-parse --path-format=absolute --git-common-dir)\")";

#[test]
fn what_a_run_did_outside_that_ends_without_a_result_is_reported_once_before_the_next_begins() {
    let endings = ["exit 1", "kill -9 $$", "sleep 600"];
    let damage = "git tag -d v1; cd \"$MAIN\"; echo sneaky > answer; git commit -qam sneaky; cd - > /dev/null; \
                  echo half > README.md";
    for ending in endings {
        let work = format!(
            "{MAIN}\nif mkdir \"$HOME/begun\" 2> /dev/null; then {damage} > /dev/null 2>&1; {ending}; fi\n\
             echo 42 > answer; git commit -qam mend"
        );
        let workflow = "integrate: merge, max_attempts: 3, timeout_seconds: 4";
        let tag = |repo: &Repo| drop(repo.git(["tag", "v1"]));
        let (sealed, repo, task) = ended(workflow, &work, tag);
        let (question, before) = (task["question"].as_str().unwrap_or_default(), repo.git(["rev-parse", "main~1"]));
        for text in ["refs/tags/v1", "refs/heads/main", "orch task unblock 1"] {
            assert!(question.contains(text), "{ending}: {task}");
        }
        put_back(&sealed, &repo, &task);
        assert!(repo.git(["for-each-ref", "refs/tags"]).contains("v1"), "{ending}");
        let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
        assert_eq!(
            (&task["integration"]["state"], &task["attempts"]),
            (&json!("merged"), &json!(2)),
            "{ending}: {task}"
        );
        assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n"), "{ending}");
        assert!(!repo.git(["log", "--format=%s", &format!("{}..main", before.trim())]).contains("sneaky"), "{ending}");
        sealed.finish();
    }
}

#[test]
fn a_person_who_keeps_what_a_crashed_run_did_is_not_asked_again() {
    let work = format!(
        "{MAIN}\ngit -C \"$MAIN\" tag -d v1 > /dev/null 2>&1 && exit 1\necho 42 > answer; git commit -qam mend"
    );
    for goes_on in ["unblock", "retry"] {
        let (sealed, repo, _) = ended("integrate: merge, max_attempts: 3", &work, |repo| drop(repo.git(["tag", "v1"])));
        sealed.orch(["task", goes_on, "1"]).ok();
        done(&sealed);
        assert_eq!(repo.show("main", "answer").as_deref(), Some("42\n"), "{goes_on}");
        sealed.finish();
    }
}

#[test]
fn an_attempt_clears_away_what_an_earlier_one_of_the_task_made() {
    let made = "git tag wip; git branch spare; git switch -qc other; echo 1 > answer; git stash -q; git switch -q -";
    let cleared =
        "git tag -d wip; git branch -D spare other; git stash drop -q; echo 42 > answer; git commit -qam mend";
    for ending in ["exit 1", "echo '{\"status\":\"done\",\"summary\":\"nothing\"}'; exit 0"] {
        let work = format!(
            "if mkdir \"$HOME/begun\" 2> /dev/null; then {{ {made}; }} > /dev/null; {ending}; fi\n{{ {cleared}; }} > /dev/null"
        );
        let sealed = SealedBox::new();
        let answer = "echo '{\"status\":\"done\",\"summary\":\"did it\"}'";
        sealed.program("bot", &format!("#!/bin/sh\ncat > /dev/null\n{work}\n{answer}\n"));
        sealed.config(
            "agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge, max_attempts: 3}\n",
        );
        let repo = sealed.repo("shop");
        repo.write("answer", "7\n");
        repo.commit("The question");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
        let task = done(&sealed);
        assert_eq!(
            (&task["integration"]["state"], &task["attempts"]),
            (&json!("merged"), &json!(2)),
            "{ending}: {task}"
        );
        assert_eq!(repo.git(["for-each-ref", "refs/tags", "refs/stash", "refs/heads/spare", "refs/heads/other"]), "");
        sealed.finish();
    }
}

#[test]
fn what_a_person_cleared_away_of_an_agent_is_not_missed() {
    let mut sealed = SealedBox::new();
    let script = "#!/bin/sh\ncat > /dev/null\nif mkdir \"$HOME/begun\" 2> /dev/null; then\n\
                  git tag wip; echo 1 > answer; git stash -q; exit 1\nfi\ntouch \"$HOME/there\"\n\
                  while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\necho 42 > answer; git commit -qam mend\n\
                  echo '{\"status\":\"done\",\"summary\":\"did it\"}'\n";
    sealed.program("bot", script);
    sealed.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge}\n");
    let repo = sealed.repo("shop");
    repo.write("answer", "7\n");
    repo.commit("The question");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
    sealed.serve();
    wait::wait_until("the second attempt", RUN, || sealed.home().join("there").exists());
    repo.git(["stash", "drop", "--quiet"]);
    repo.git(["tag", "--delete", "wip"]);
    crate::kit::write_file(&sealed.home().join("go"), "");
    let show = || sealed.orch(["task", "show", "1", "--json"]).ok().json();
    wait::wait_until("the task to be done", RUN, || show()["status"] == "done" || !show()["question"].is_null());
    assert_eq!((&show()["integration"]["state"], &show()["attempts"]), (&json!("merged"), &json!(2)), "{}", show());
    sealed.finish();
}

#[test]
fn files_that_an_agent_left_are_removed_by_the_suggested_command() {
    let leaves = [
        (
            "cd \"$MAIN\"; echo x > 'new file'; git add 'new file'; git rm -q README.md; cd -",
            "git status --porcelain",
            "?? .orch.yml",
        ),
        ("git config core.hooksPath /tmp/x", "git config --local core.hooksPath; true", ""),
    ];
    for (leave, look, nothing) in leaves {
        let work = format!("{MAIN}\n{{ {leave}; }} > /dev/null; echo 42 > answer; git commit -qam mend");
        let (sealed, repo, task) = ended_in("my shop", "integrate: branch", &work, |_| ());
        assert_eq!(task["question_kind"], "setup", "{leave}: {task}");
        put_back(&sealed, &repo, &task);
        let left = sealed.run_program_in("sh", repo.dir()).args(["-c", look]).run().ok().stdout;
        assert_eq!(left.trim(), nothing, "{leave}: {task}");
        let after = sealed.orch(["task", "show", "1", "--json"]).ok().json();
        assert_eq!((&after["status"], after["runs"].as_array().map(Vec::len)), (&json!("done"), Some(1)), "{after}");
        sealed.finish();
    }
}

#[test]
fn a_person_whose_checkout_an_agent_stashed_and_switched_gets_it_back_as_it_was() {
    let work = format!(
        "{MAIN}\n(cd \"$MAIN\"; git stash -q; git switch -qc foo) > /dev/null 2>&1; echo 42 > answer; git commit -qam mend"
    );
    let thought = |repo: &Repo| {
        repo.write("README.md", "half a thought\n");
        repo.write("new", "staged\n");
        drop(repo.git(["add", "new"]));
    };
    let (sealed, repo, task) = ended("integrate: branch", &work, thought);
    put_back(&sealed, &repo, &task);
    assert_eq!(
        (repo.read("README.md"), repo.read("new")),
        ("half a thought\n".to_owned(), "staged\n".to_owned()),
        "{task}"
    );
    assert_eq!(repo.git(["branch", "--show-current"]).trim(), "main");
    let after = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    assert_eq!((&after["status"], after["runs"].as_array().map(Vec::len)), (&json!("done"), Some(1)), "{after}");
    sealed.finish();
}

#[test]
fn a_person_and_an_agent_use_the_stash_at_the_same_time() {
    let mut sealed = SealedBox::new();
    let script = "#!/bin/sh\ncat > /dev/null\necho 42 > answer; git stash -q; touch \"$HOME/there\"\n\
                  while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\nN=$(git stash list | grep orch | cut -d: -f1)\n\
                  git stash apply -q $N; git commit -qam mend; git stash drop -q $N\n\
                  echo '{\"status\":\"done\",\"summary\":\"did it\"}'\n";
    sealed.program("bot", script);
    sealed.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {review: off, integrate: merge}\n");
    let repo = sealed.repo("shop");
    repo.write("answer", "7\n");
    repo.commit("The question");
    repo.write("README.md", "an old thought\n");
    repo.git(["stash", "--quiet"]);
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:bot"]).ok();
    sealed.serve();
    wait::wait_until("the agent to work", RUN, || sealed.home().join("there").exists());
    // The old one goes, a new one comes.
    repo.git(["stash", "drop", "--quiet", "stash@{1}"]);
    repo.write("README.md", "half a thought\n");
    repo.git(["stash", "--quiet"]);
    crate::kit::write_file(&sealed.home().join("go"), "");
    let show = || sealed.orch(["task", "show", "1", "--json"]).ok().json();
    wait::wait_until("the task to be done", RUN, || show()["status"] == "done" || !show()["question"].is_null());
    assert_eq!((&show()["integration"]["state"], &show()["question"]), (&json!("merged"), &Value::Null), "{}", show());
    assert_eq!(repo.git(["stash", "list"]).lines().count(), 1, "the person's new one");
    sealed.finish();
}

#[test]
fn a_base_that_an_agent_moved_is_taken_back_by_the_person_and_then_the_same_work_is_judged() {
    let work = "echo 42 > answer; git commit -qam mend; git update-ref refs/heads/main HEAD";
    let (sealed, repo, task) = ended("integrate: merge", work, |_| ());
    let question = task["question"].as_str().unwrap_or_default();
    let command = question.split('`').find(|part| part.starts_with("git ")).expect("how to take it back");
    sealed.run_program_in("sh", repo.dir()).args(["-c", command]).run().ok();
    assert_eq!(repo.show("main", "answer").as_deref(), Some("7\n"));
    assert_eq!(repo.git(["status", "--porcelain", "--untracked-files=no"]), "", "{command}");
    sealed.orch(["task", "unblock", "1"]).ok();
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(0);
    let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    assert_eq!((&task["integration"]["state"], task["runs"].as_array().map(Vec::len)), (&json!("merged"), Some(1)));
    sealed.finish();
}

#[test]
fn what_a_person_had_not_committed_outlasts_the_way_back_from_an_agents_commit() {
    let work = "echo 42 > answer; git commit -qam mend\n\
                cd \"$(dirname \"$(git rev-parse --path-format=absolute --git-common-dir)\")\"; git commit -qam sneaky";
    let (sealed, repo, task) = ended("integrate: merge", work, |repo| repo.write("README.md", "half a thought\n"));
    let question = task["question"].as_str().unwrap_or_default();
    let command = question.split('`').find(|part| part.contains(" reset ")).expect("how to take it back");
    let before = repo.head();
    sealed.run_program_in("sh", repo.dir()).args(["-c", command]).run().ok();
    assert_ne!(repo.head(), before, "{question}");
    assert_eq!(repo.read("README.md"), "half a thought\n");
    sealed.orch(["task", "unblock", "1"]).ok();
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run();
    let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    assert_eq!(task["hold"]["reason"], "base_dirty", "{task}");
    sealed.finish();
}

#[test]
fn a_task_begins_and_ends_at_the_branch_it_was_made_on_wherever_the_person_is_meanwhile() {
    let mut fixture = Fixture::new(1, "integrate: merge");
    fixture.by_hand(1, "git switch -qc topic; echo t > t; git add t; git commit -qm t");
    fixture.sealed.orch_in(fixture.repos[0].dir(), ["task", "add", "Of the topic", "-l", "agent:bot"]).ok();
    assert_eq!((&fixture.show(1)["base_branch"], &fixture.show(2)["base_branch"]), (&json!("main"), &json!("topic")));
    fixture.by_hand(1, "git switch -qc other");
    fixture.sealed.serve();
    for (id, base) in [(1, "main"), (2, "topic")] {
        wait::wait_until("the agent to work", RUN * 2, || fixture.sign(id, "there").exists());
        crate::kit::write_file(&fixture.sign(id, "go"), "");
        wait::wait_until("the task to be done", RUN * 2, || fixture.show(id)["status"] == "done");
        assert_eq!(fixture.repos[0].show(base, "answer").as_deref(), Some("42\n"), "{}", fixture.show(id));
        assert_eq!(fixture.repos[0].show("other", "answer").as_deref(), Some("7\n"));
    }
    assert_eq!(fixture.repos[0].show("main", "t"), None, "the topic is the person's");
    fixture.sealed.finish();
}
